#include "fs/vfs/attributes.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_SEC    INT64_C(1000000000)
#define SYMLINK_NAME  "--symlink-target" /* geesefs */
#define MODE_ALL_BITS 0177777u
#define MODE_PERM     07777u

/* Where each attribute is looked for: our own name first, then those of others. NULL ends a row. */
static const char *const mode_names[] = {"mode", "permissions", NULL};
static const char *const mode_octal_names[] = {"goog-reserved-posix-mode", NULL};
static const char *const uid_names[] = {"uid", "owner", "goog-reserved-posix-uid", NULL};
static const char *const gid_names[] = {"gid", "group", "goog-reserved-posix-gid", NULL};
static const char *const mtime_names[] = {"mtime", "goog-reserved-file-mtime", "gcsfuse_mtime",
					  NULL};
static const char *const ctime_names[] = {"ctime", NULL};
static const char *const atime_names[] = {"atime", "goog-reserved-file-atime", NULL};

/* Foreign names that say what ours say; a rewrite would leave them stale. */
static const char *const stale_names[] = {
	"permissions",
	"owner",
	"group",
	"goog-reserved-posix-mode",
	"goog-reserved-posix-uid",
	"goog-reserved-posix-gid",
	"goog-reserved-file-mtime",
	"goog-reserved-file-atime",
	"gcsfuse_mtime",
	NULL,
};

/* Digits of that base and nothing else, at most max. */
static bool parse_digits(const char *text, unsigned base, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned digit = (unsigned char)*text - (unsigned)'0';

		if (digit >= base || value > (max - digit) / base)
			return false;
		value = value * base + digit;
	}
	*out = value;
	return true;
}

static bool is_file_type(uint64_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK: return true;
	default: return false;
	}
}

/* Parses the mode as octal, with type bits or without. */
static bool parse_mode_octal(const char *text, uint32_t *out)
{
	uint64_t mode;

	if (!parse_digits(text, 8, MODE_ALL_BITS, &mode) || mode == 0 ||
	    ((mode & S_IFMT) && !is_file_type(mode)))
		return false;
	*out = (uint32_t)mode;
	return true;
}

/* s3fs writes decimal, rclone octal ("100644", "40755"). No decimal mode of a file type has
 * rclone's six digits, so what makes no sense as decimal is octal, if it is of a type that rclone
 * copies. A few octal directories ("41777") would also be symlinks in decimal; the key's final
 * slash decides. A leading zero is octal to s3fs, too (strtoll with base 0). */
static bool parse_mode(const char *text, bool is_directory, uint32_t *out)
{
	uint64_t decimal;
	uint32_t octal = 0;
	bool is_octal = parse_mode_octal(text, &octal) &&
			(text[0] == '0' || S_ISREG(octal) || S_ISDIR(octal) || S_ISLNK(octal));

	if (!parse_digits(text, 10, MODE_ALL_BITS, &decimal) || decimal == 0 || text[0] == '0' ||
	    ((decimal & S_IFMT) && !is_file_type(decimal)) ||
	    (is_directory && is_octal && S_ISDIR(octal) && !S_ISDIR(decimal))) {
		*out = octal;
		return is_octal;
	}
	*out = (uint32_t)decimal;
	return true;
}

static bool find_mode(const struct os_meta *meta, bool is_directory, uint32_t *out)
{
	const char *value;

	for (const char *const *name = mode_names; *name; name++) {
		value = os_meta_get(meta, *name);
		if (value && parse_mode(value, is_directory, out))
			return true;
	}
	for (const char *const *name = mode_octal_names; *name; name++) {
		value = os_meta_get(meta, *name);
		if (value && parse_mode_octal(value, out))
			return true;
	}
	return false;
}

static bool is_directory_type(const char *content_type)
{
	static const char *const types[] = {"application/x-directory", "httpd/unix-directory"};

	for (size_t i = 0; content_type && i < sizeof(types) / sizeof(types[0]); i++) {
		size_t len = strlen(types[i]);

		if (strncmp(content_type, types[i], len) == 0 &&
		    (content_type[len] == '\0' || content_type[len] == ';'))
			return true;
	}
	return false;
}

static uint32_t decode_mode(const struct os_meta *meta, const char *content_type, bool is_directory,
			    const struct attribute_defaults *defaults)
{
	uint32_t mode = 0, type;
	bool found = find_mode(meta, is_directory, &mode);

	if (is_directory)
		type = S_IFDIR;
	else if (attributes_symlink_target(meta))
		type = S_IFLNK;
	else if (found && (mode & S_IFMT))
		type = mode & S_IFMT;
	else
		type = is_directory_type(content_type) ? S_IFDIR : S_IFREG;

	/* The permissions of a file that was copied to a directory's key would lock it. */
	if (found && (mode & S_IFMT) && (mode & S_IFMT) != type)
		found = false;
	if (found)
		return type | (mode & MODE_PERM);
	if (type == S_IFLNK)
		return type | 0777;
	return type | ((type == S_IFDIR ? defaults->dir_mode : defaults->file_mode) & MODE_PERM);
}

/* chown(2) gives (uint32_t)-1 a meaning of its own, so nothing can belong to it. */
static uint32_t decode_id(const struct os_meta *meta, const char *const *names, uint32_t fallback)
{
	uint64_t id;

	for (; *names; names++) {
		const char *value = os_meta_get(meta, *names);

		if (value && parse_digits(value, 10, UINT32_MAX - 1, &id))
			return (uint32_t)id;
	}
	return fallback;
}

/* Up to nine digits count, the rest is below a nanosecond. Returns how many digits there were; 0:
 * none. */
static size_t parse_fraction(const char *text, int64_t *ns)
{
	int64_t unit = NS_PER_SEC;
	size_t digits;

	*ns = 0;
	for (digits = 0; isdigit((unsigned char)text[digits]); digits++) {
		unit /= 10;
		*ns += (text[digits] - '0') * unit;
	}
	return digits;
}

/* "sec", "sec.nnnnnnnnn" (s3fs), "sec.fraction" (rclone). Below zero the two differ: s3fs writes
 * the parts of a struct timespec, whose nanoseconds count upwards, and always nine of them; rclone
 * one number. */
static bool parse_seconds(const char *text, int64_t *out)
{
	bool negative = *text == '-';
	char whole[24];
	uint64_t seconds;
	int64_t fraction = 0;
	size_t len, digits = 0;

	text += negative;
	len = strspn(text, "0123456789");
	if (len >= sizeof(whole))
		return false;
	memcpy(whole, text, len);
	whole[len] = '\0';
	if (!parse_digits(whole, 10, (uint64_t)ATTRIBUTE_SECONDS_MAX, &seconds))
		return false;
	text += len;
	if (*text == '.') {
		digits = parse_fraction(text + 1, &fraction);
		if (digits == 0)
			return false;
		text += 1 + digits;
	}
	if (*text)
		return false;
	*out = (negative ? -(int64_t)seconds : (int64_t)seconds) * NS_PER_SEC +
	       (negative && digits != 9 ? -fraction : fraction);
	return true;
}

/* Two digits after a separator. */
static bool two_digits(const char *text, char before, int *out)
{
	if (text[0] != before || !isdigit((unsigned char)text[1]) ||
	    !isdigit((unsigned char)text[2]))
		return false;
	*out = (text[1] - '0') * 10 + (text[2] - '0');
	return true;
}

/* "Z" or "+hh:mm": seconds east of Greenwich. */
static bool parse_zone(const char *text, int64_t *east)
{
	int hours, minutes;

	*east = 0;
	if (strcmp(text, "Z") == 0)
		return true;
	if ((*text != '+' && *text != '-') || !two_digits(text, *text, &hours) ||
	    !two_digits(text + 3, ':', &minutes) || text[6] || hours > 23 || minutes > 59)
		return false;
	*east = (hours * 60 + minutes) * 60;
	if (*text == '-')
		*east = -*east;
	return true;
}

/* RFC 3339, as rclone writes atime and gcsfuse its mtime: "2026-01-02T03:04:05.5+01:00". */
static bool parse_rfc3339(const char *text, int64_t *out)
{
	struct tm tm = {0};
	int64_t fraction = 0, east, seconds;

	if (strspn(text, "0123456789") != 4 || !two_digits(text + 4, '-', &tm.tm_mon) ||
	    !two_digits(text + 7, '-', &tm.tm_mday) || !two_digits(text + 10, 'T', &tm.tm_hour) ||
	    !two_digits(text + 13, ':', &tm.tm_min) || !two_digits(text + 16, ':', &tm.tm_sec))
		return false;
	for (int i = 0; i < 4; i++)
		tm.tm_year = tm.tm_year * 10 + (text[i] - '0');
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	text += 19;
	if (*text == '.') {
		size_t digits = parse_fraction(text + 1, &fraction);

		if (digits == 0)
			return false;
		text += 1 + digits;
	}
	if (!parse_zone(text, &east))
		return false;
	seconds = (int64_t)timegm(&tm) - east;
	if (seconds > ATTRIBUTE_SECONDS_MAX || seconds < -ATTRIBUTE_SECONDS_MAX)
		return false;
	*out = seconds * NS_PER_SEC + fraction;
	return true;
}

static int64_t decode_time(const struct os_meta *meta, const char *const *names, int64_t fallback)
{
	int64_t time;

	for (; *names; names++) {
		const char *value = os_meta_get(meta, *names);

		if (value && (parse_seconds(value, &time) || parse_rfc3339(value, &time)))
			return time;
	}
	return fallback;
}

void attributes_decode(struct attributes *out, const struct os_meta *meta, const char *content_type,
		       int64_t last_modified, bool is_directory,
		       const struct attribute_defaults *defaults)
{
	const char *rdev = os_meta_get(meta, "rdev");
	uint64_t device;

	out->mode = decode_mode(meta, content_type, is_directory, defaults);
	out->uid = decode_id(meta, uid_names, defaults->uid);
	out->gid = decode_id(meta, gid_names, defaults->gid);
	out->rdev = 0;
	if ((S_ISCHR(out->mode) || S_ISBLK(out->mode)) && rdev &&
	    parse_digits(rdev, 10, UINT64_MAX, &device))
		out->rdev = device;
	out->mtime = decode_time(meta, mtime_names, last_modified);
	out->ctime = decode_time(meta, ctime_names, last_modified);
	out->atime = decode_time(meta, atime_names, out->mtime);
}

static int set_number(struct os_meta *meta, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return os_meta_set(meta, name, text);
}

static int set_time(struct os_meta *meta, const char *name, int64_t time)
{
	int64_t seconds = time / NS_PER_SEC, ns = time % NS_PER_SEC;
	char text[48];

	if (ns < 0) {
		seconds--;
		ns += NS_PER_SEC;
	}
	snprintf(text, sizeof(text), "%" PRId64 ".%09" PRId64, seconds, ns);
	return os_meta_set(meta, name, text);
}

int attributes_encode(const struct attributes *attributes, struct os_meta *meta)
{
	bool device = S_ISCHR(attributes->mode) || S_ISBLK(attributes->mode);
	int err = 0;

	for (const char *const *name = stale_names; *name; name++)
		os_meta_set(meta, *name, NULL);
	/* It is the symlink's content, so it stays for as long as this is one. */
	if (!S_ISLNK(attributes->mode))
		os_meta_set(meta, SYMLINK_NAME, NULL);
	if (!device)
		os_meta_set(meta, "rdev", NULL);

	if (set_number(meta, "mode", attributes->mode) ||
	    set_number(meta, "uid", attributes->uid) || set_number(meta, "gid", attributes->gid) ||
	    set_time(meta, "mtime", attributes->mtime) ||
	    set_time(meta, "ctime", attributes->ctime) ||
	    set_time(meta, "atime", attributes->atime) ||
	    (device && set_number(meta, "rdev", attributes->rdev)))
		err = -ENOMEM;
	else if (os_meta_bytes(meta) > OS_META_BYTES_MAX)
		err = -E2BIG;
	return err;
}

const char *attributes_symlink_target(const struct os_meta *meta)
{
	const char *target = os_meta_get(meta, SYMLINK_NAME);

	return target && *target ? target : NULL;
}

const char *attributes_content_type(uint32_t mode)
{
	return S_ISDIR(mode) ? "application/x-directory" : "application/octet-stream";
}

bool attributes_atime_is_due(const struct attributes *attributes, int64_t now)
{
	const int64_t day = INT64_C(24) * 3600 * 1000000000;

	return attributes->atime <= attributes->mtime || attributes->atime <= attributes->ctime ||
	       now - attributes->atime >= day;
}

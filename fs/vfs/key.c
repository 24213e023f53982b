#include "fs/vfs/key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/s3/objstore.h"
#include "fs/vfs/attributes.h"

enum {
	NODE_BYTES_MAX = 64, /* of a conflict name; a host name has at most that (sethostname(2)) */
	PUT_ID_SHOWN = 8,
};

static bool is_dot_or_dot_dot(const char *name, size_t len)
{
	return (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.');
}

static bool is_scratch(const char *name, size_t len)
{
	static const char *const starts[] = {KEY_SCRATCH, KEY_EXCHANGE};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		size_t prefix = strlen(starts[i]);

		if (len >= prefix + PUT_ID_LEN && memcmp(name, starts[i], prefix) == 0 &&
		    strspn(name + prefix, "0123456789abcdef") >= PUT_ID_LEN)
			return true;
	}
	return false;
}

bool key_component(const char *dir, const char *key, struct key_component *out, bool *hidden)
{
	size_t dir_len = strlen(dir);
	const char *slash;

	*hidden = false;
	if (strncmp(key, dir, dir_len) != 0 || key[dir_len] == '\0')
		return false;
	out->name = key + dir_len;
	slash = strchr(out->name, '/');
	out->is_directory = slash != NULL;
	out->len = slash ? (size_t)(slash - out->name) : strlen(out->name);
	*hidden = out->len == 0 || out->len > NAME_BYTES_MAX ||
		  is_dot_or_dot_dot(out->name, out->len);
	return !*hidden && !is_scratch(out->name, out->len);
}

int key_check_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || is_dot_or_dot_dot(name, len) || strchr(name, '/') || is_scratch(name, len))
		return -EINVAL;
	return len > NAME_BYTES_MAX ? -ENAMETOOLONG : 0;
}

const char *key_name(const char *key)
{
	const char *name = key + strlen(key);

	if (name > key) /* a slash at the end belongs to it */
		name--;
	while (name > key && name[-1] != '/')
		name--;
	return name;
}

char *key_beside(const char *key, const char *name)
{
	const char *old = key_name(key);
	size_t len = strlen(old);
	struct buf out = BUF_INIT;

	buf_append(&out, key, (size_t)(old - key));
	buf_puts(&out, name);
	if (len > 0 && old[len - 1] == '/')
		buf_putc(&out, '/');
	return buf_steal(&out);
}

char *key_aside(const char *key, const char *put_id)
{
	char name[sizeof(KEY_EXCHANGE) + 64];

	snprintf(name, sizeof(name), "%s%s", KEY_EXCHANGE, put_id);
	return key_beside(key, name);
}

char *key_normalise_prefix(const char *prefix)
{
	size_t len, used = 0;
	char *out;

	if (*prefix == '/')
		prefix++;
	len = strlen(prefix);
	if (len > 1 && prefix[len - 1] == '/')
		len--;
	/* With the slash behind it there must be room for a name. */
	if (len + 1 >= OS_KEY_MAX)
		return NULL;
	while (used < len) {
		const char *end = memchr(prefix + used, '/', len - used);
		size_t component = end ? (size_t)(end - prefix) - used : len - used;

		/* A slash at the very end here means that two of them ended the prefix. */
		if (component == 0 || is_dot_or_dot_dot(prefix + used, component) ||
		    (end && used + component + 1 == len))
			return NULL;
		used += component + 1;
	}
	out = malloc(len + 2);
	if (!out)
		return NULL;
	memcpy(out, prefix, len);
	if (len)
		out[len++] = '/';
	out[len] = '\0';
	return out;
}

/* The longest start of text that has at most max bytes and ends between characters. */
static size_t cut_utf8(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1), cut = max;

	if (len <= max)
		return len;
	/* A sequence has at most three continuation bytes (RFC 3629, section 3); more is not UTF-8.
	 */
	while (cut > 0 && max - cut < 3 && ((unsigned char)text[cut] & 0xc0) == 0x80)
		cut--;
	return ((unsigned char)text[cut] & 0xc0) == 0x80 ? max : cut;
}

void key_conflict_name(char out[NAME_BYTES_MAX + 1], const char *name, const char *node,
		       long long wall, const char *put_id)
{
	long long second = 1000000000;
	time_t seconds = (time_t)(wall / second - (wall % second < 0));
	char suffix[NAME_BYTES_MAX + 1], stamp[32];
	struct tm utc;
	int node_len = (int)cut_utf8(node, NODE_BYTES_MAX);
	size_t kept, suffix_len;

	gmtime_r(&seconds, &utc);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
	snprintf(suffix, sizeof(suffix), ".conflict-%.*s-%s-%.*s", node_len, node, stamp,
		 PUT_ID_SHOWN, put_id);
	/* What an administrator chose as the node's name must not lead to another directory. */
	for (char *c = suffix; *c; c++) {
		if (*c == '/')
			*c = '_';
	}
	suffix_len = strlen(suffix);
	kept = cut_utf8(name, NAME_BYTES_MAX - suffix_len);
	memcpy(out, name, kept);
	memcpy(out + kept, suffix, suffix_len + 1);
}

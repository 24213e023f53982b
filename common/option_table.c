#include "common/options.h"

#include <ctype.h>
#include <string.h>

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

#define BOTH (OPTION_IN_MOUNT | OPTION_IN_VOLUME)

static const char *const path_styles[] = {"auto", "on", "off", NULL};
static const char *const publish_modes[] = {"s3", "local", NULL};
static const char *const conflict_modes[] = {"keep-both", "fail", "overwrite", NULL};

static bool has_white_space_or_control(const char *text)
{
	for (; *text; text++) {
		if (isspace((unsigned char)*text) || iscntrl((unsigned char)*text))
			return true;
	}
	return false;
}

/* RFC 3986 section 3.2: user information would be a secret in argv, so an endpoint has none. */
static const char *check_endpoint(char *value)
{
	static const char accepted[] = "a URL without user, query or fragment, as in "
				       "https://s3.example.com or http://10.0.0.5:9000";
	const char *host;
	size_t len = strlen(value);

	if (string_has_prefix(value, "https://"))
		host = value + strlen("https://");
	else if (string_has_prefix(value, "http://"))
		host = value + strlen("http://");
	else
		return accepted;
	if (!isalnum((unsigned char)*host) && *host != '[')
		return accepted;
	if (strpbrk(value, "@?#\\\"<>") || has_white_space_or_control(value))
		return accepted;
	while (len > 0 && value[len - 1] == '/')
		value[--len] = '\0';
	return NULL;
}

static const char *check_region(char *value)
{
	static const char accepted[] = "letters, digits, '-' and '_', as in eu-central-1";
	size_t len = strlen(value);

	if (len == 0 || len > 64)
		return accepted;
	for (; *value; value++) {
		if (!isalnum((unsigned char)*value) && *value != '-' && *value != '_')
			return accepted;
	}
	return NULL;
}

static const char *check_profile(char *value)
{
	if (*value == '\0' || strpbrk(value, "[]\r\n"))
		return "the name of a profile in ~/.aws/credentials or ~/.aws/config";
	return NULL;
}

static const char *check_prefix(char *value)
{
	static const char accepted[] =
		"a path inside of the bucket without empty parts, '.' and '..', "
		"at most 1000 bytes";
	char *start = value, *end;
	const char *part;

	while (*start == '/')
		start++;
	memmove(value, start, strlen(start) + 1);
	end = value + strlen(value);
	while (end > value && end[-1] == '/')
		*--end = '\0';
	if (end - value > 1000)
		return accepted;
	if (end == value)
		return NULL;
	for (part = value; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
		size_t len = strcspn(part, "/");

		if (len == 0 || len > 255 || (len <= 2 && strspn(part, ".") >= len))
			return accepted;
	}
	return NULL;
}

static const char *check_path(char *value)
{
	return *value == '\0' ? "a path" : NULL;
}

static const char *check_log(char *value)
{
	if (strcmp(value, "stderr") == 0 || strcmp(value, "syslog") == 0 || *value == '/')
		return NULL;
	return "stderr, syslog, or the absolute path of a file";
}

static const char *check_mime(char *value)
{
	if (strcmp(value, "off") == 0 || *value == '/')
		return NULL;
	return "off, or the absolute path of a file like /etc/mime.types";
}

#define AT(field) offsetof(struct options, field)

/* In the order of --help: where the bucket is, who may, the cache, what is promised, limits. */
const struct option_spec option_table[] = {
	{"endpoint", OPTION_STRING, "URL", NULL, 0, 0, NULL, "S3MOUNT_ENDPOINT",
	 "Server to talk to; without it, Amazon S3 of the region.", BOTH, AT(endpoint),
	 check_endpoint},
	{"region", OPTION_STRING, "NAME", NULL, 0, 0, NULL, "S3MOUNT_REGION",
	 "Region that requests are signed for; without it, us-east-1 or what the server names.",
	 BOTH, AT(region), check_region},
	{"path_style", OPTION_CHOICE, NULL, "auto", 0, 0, path_styles, "S3MOUNT_PATH_STYLE",
	 "Bucket in the path of URLs instead of the host name; auto takes what works.", BOTH,
	 AT(path_style), NULL},
	{"prefix", OPTION_STRING, "PATH", NULL, 0, 0, NULL, "S3MOUNT_PREFIX",
	 "Map only the keys below this path of the bucket.", BOTH, AT(prefix), check_prefix},
	{"ca_file", OPTION_PATH, "FILE", NULL, 0, 0, NULL, "S3MOUNT_CA_FILE",
	 "PEM file of the authorities to trust for HTTPS, instead of the system's.", BOTH,
	 AT(ca_file), check_path},
	{"profile", OPTION_STRING, "NAME", NULL, 0, 0, NULL, "S3MOUNT_PROFILE",
	 "AWS profile to take keys, region and endpoint from; without it, \"default\".", BOTH,
	 AT(profile), check_profile},
	{"passwd_file", OPTION_PATH, "FILE", NULL, 0, 0, NULL, "S3MOUNT_PASSWD_FILE",
	 "File with KEY:SECRET or BUCKET:KEY:SECRET lines, readable by its owner alone.", BOTH,
	 AT(passwd_file), check_path},
	{"anonymous", OPTION_FLAG, NULL, "no", 0, 0, NULL, "S3MOUNT_ANONYMOUS",
	 "Send unsigned requests, for public buckets.", BOTH, AT(anonymous), NULL},
	{"ro", OPTION_FLAG, NULL, "no", 0, 0, NULL, "S3MOUNT_RO", "Mount read-only; rw undoes it.",
	 BOTH, AT(ro), NULL},
	{"noatime", OPTION_FLAG, NULL, "no", 0, 0, NULL, "S3MOUNT_NOATIME",
	 "Reading a file does not change its access time; relatime undoes it.", BOTH, AT(noatime),
	 NULL},
	{"acl", OPTION_FLAG, NULL, "no", 0, 0, NULL, "S3MOUNT_ACL",
	 "POSIX ACLs decide and are inherited; the kernel then asks once for that of each file.",
	 BOTH, AT(acl), NULL},
	{"allow_other", OPTION_FLAG, NULL, "no", 0, 0, NULL, "S3MOUNT_ALLOW_OTHER",
	 "Let other users in, as far as the permissions of the files allow it.", BOTH,
	 AT(allow_other), NULL},
	{"uid", OPTION_INT, "ID", NULL, 0, 4294967294, NULL, "S3MOUNT_UID",
	 "Owner of objects that carry none; without it, who mounts.", BOTH, AT(uid), NULL},
	{"gid", OPTION_INT, "ID", NULL, 0, 4294967294, NULL, "S3MOUNT_GID",
	 "Group of objects that carry none; without it, that of who mounts.", BOTH, AT(gid), NULL},
	{"umask", OPTION_OCTAL, "OCTAL", NULL, 0, 0777, NULL, "S3MOUNT_UMASK",
	 "Permissions that objects without a mode lack; without it, 022.", BOTH, AT(umask), NULL},
	{"dirmask", OPTION_OCTAL, "OCTAL", NULL, 0, 0777, NULL, "S3MOUNT_DIRMASK",
	 "The same for directories; without it, as umask.", BOTH, AT(dirmask), NULL},
	{"mime", OPTION_STRING, "FILE", OPTION_MIME_DEFAULT, 0, 0, NULL, "S3MOUNT_MIME",
	 "Content types of new objects by the extensions of their names; off gives them none.",
	 BOTH, AT(mime), check_mime},
	{"cache", OPTION_PATH, "DIR", "/var/cache/s3mount", 0, 0, NULL, "S3MOUNT_CACHE",
	 "Directory of cache and journal, on a local disk; a crash must not take it away.",
	 OPTION_IN_MOUNT, AT(cache), check_path},
	{"force_cache", OPTION_FLAG, NULL, "no", 0, 0, NULL, "S3MOUNT_FORCE_CACHE",
	 "Cache even on tmpfs, overlayfs or a network: what is not uploaded yet may be lost there.",
	 BOTH, AT(force_cache), NULL},
	{"cache_size", OPTION_SIZE, "BYTES", NULL, 16 * MIB, 1024 * TIB, NULL, "S3MOUNT_CACHE_SIZE",
	 "Limit of cached data; without it, half of what the disk has free, at most 64G.", BOTH,
	 AT(cache_size), NULL},
	{"dirty_limit", OPTION_SIZE, "BYTES", NULL, 1 * MIB, 1024 * TIB, NULL,
	 "S3MOUNT_DIRTY_LIMIT",
	 "Writers wait while more than this is not uploaded yet; without it, half of cache_size.",
	 BOTH, AT(dirty_limit), NULL},
	{"close", OPTION_CHOICE, NULL, "s3", 0, 0, publish_modes, "S3MOUNT_CLOSE",
	 "close(2) returns when the file is in S3, or already when the local journal has it.", BOTH,
	 AT(close), NULL},
	{"fsync", OPTION_CHOICE, NULL, "s3", 0, 0, publish_modes, "S3MOUNT_FSYNC",
	 "fsync(2) returns when the file is in S3, or already when it is safe on the local disk.",
	 BOTH, AT(fsync), NULL},
	{"conflict", OPTION_CHOICE, NULL, "keep-both", 0, 0, conflict_modes, "S3MOUNT_CONFLICT",
	 "When someone else changed the object meanwhile: keep our bytes beside it, fail, or "
	 "replace it.",
	 BOTH, AT(conflict), NULL},
	{"attr_timeout", OPTION_SECONDS, "SECONDS", "1", 0, 86400, NULL, "S3MOUNT_ATTR_TIMEOUT",
	 "How long names and attributes may be answered without asking S3 again.", BOTH,
	 AT(attr_timeout), NULL},
	{"part_size", OPTION_SIZE, "BYTES", "8M", 5 * MIB, 5 * GIB, NULL, "S3MOUNT_PART_SIZE",
	 "Size of the parts of multipart uploads; grows by itself for very big files.", BOTH,
	 AT(part_size), NULL},
	{"parallel", OPTION_INT, "COUNT", "64", 1, 256, NULL, "S3MOUNT_PARALLEL",
	 "Connections to S3 at most.", BOTH, AT(parallel), NULL},
	{"drain_timeout", OPTION_SECONDS, "SECONDS", "60", 0, 86400, NULL, "S3MOUNT_DRAIN_TIMEOUT",
	 "How long unmounting waits for uploads; the rest is uploaded by the next mount.", BOTH,
	 AT(drain_timeout), NULL},
	{"log", OPTION_STRING, "TARGET", NULL, 0, 0, NULL, "S3MOUNT_LOG",
	 "stderr, syslog or a file; without it, stderr in the foreground and syslog otherwise.",
	 OPTION_IN_MOUNT, AT(log), check_log},
	{"debug", OPTION_FLAG, NULL, "no", 0, 0, NULL, "S3MOUNT_DEBUG",
	 "Log every operation and request; never keys or data.", BOTH, AT(debug), NULL},
};

const size_t option_count = sizeof(option_table) / sizeof(option_table[0]);

_Static_assert(sizeof(option_table) / sizeof(option_table[0]) <= 64, "options.given has 64 bits");

/* https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html: the service's own
 * endpoint variable goes before the general one. AWS_REGION before AWS_DEFAULT_REGION as in most of
 * the SDKs. */
const struct option_variable option_variables[] = {
	{"AWS_ENDPOINT_URL_S3", "endpoint"},
	{"AWS_ENDPOINT_URL", "endpoint"},
	{"AWS_REGION", "region"},
	{"AWS_DEFAULT_REGION", "region"},
	{"AWS_PROFILE", "profile"},
	{"AWS_CA_BUNDLE", "ca_file"},
};

const size_t option_variable_count = sizeof(option_variables) / sizeof(option_variables[0]);

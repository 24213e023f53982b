/* options.h — the one table of options, and the values that it fills.
 *
 * From option_table come the command line (-o name=value), fstab, volume options of the plugin,
 * environment names, --help, the man page and the near-match hint for a typing error.
 *
 * Precedence, lowest first: default, AWS profile (endpoint, region), environment, -o or volume
 * option. Words that mount(8), FUSE and s3fs users write besides are in option_word.h. Secrets are
 * never options: they come by environment, profile or file (common/s3/credentials.h).
 *
 * Any thread; no state but what the caller owns.
 */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/error.h"

enum {
	OPTION_VALUE_BYTES_MAX = 4096,
	OPTION_LIST_BYTES_MAX = 64 * 1024,
};

/* May be missing: then a few types are known without it. */
#define OPTION_MIME_DEFAULT "/etc/mime.types"

enum option_type {
	OPTION_STRING,
	OPTION_FLAG, /* bare name = true; yes/no/true/false/1/0/on/off accepted */
	OPTION_SIZE, /* bytes; suffix K M G T */
	OPTION_INT,
	OPTION_OCTAL,	/* stays -1 while it has neither default nor value; so does OPTION_INT */
	OPTION_CHOICE,	/* stored as the index into choices */
	OPTION_SECONDS, /* stored in ns; fractions allowed */
	OPTION_PATH,	/* a string, made absolute: daemons leave the directory */
};

enum option_where {
	OPTION_IN_MOUNT = 1,  /* s3mount -o, fstab */
	OPTION_IN_VOLUME = 2, /* docker volume create -o */
};

struct option_spec {
	const char *name;
	enum option_type type;
	const char *unit;	    /* for help: "URL", "DIR", "BYTES" .. */
	const char *default_text;   /* as the user would write it; NULL: none */
	int64_t min, max;	    /* OPTION_SIZE, INT, OCTAL, SECONDS (in s) */
	const char *const *choices; /* OPTION_CHOICE: NULL-terminated */
	const char *environment;    /* variable that sets it: S3MOUNT_ and the name */
	const char *help;	    /* one sentence */
	unsigned where;		    /* enum option_where */
	size_t offset;		    /* in struct options */
	/* Strings and paths, may be NULL: NULL when value is fine, else what is accepted. May
	 * change value in place to its normal form, never to a longer one. */
	const char *(*check)(char *value);
};

enum publish_mode { PUBLISH_S3, PUBLISH_LOCAL }; /* close=, fsync= */
enum conflict_mode { CONFLICT_KEEP_BOTH, CONFLICT_FAIL, CONFLICT_OVERWRITE };
enum path_style_mode { PATH_STYLE_AUTO, PATH_STYLE_ON, PATH_STYLE_OFF };

struct options {
	char *endpoint, *region, *profile, *passwd_file, *prefix, *cache, *log, *ca_file;
	char *mime;	     /* path of a file, or "off" */
	int64_t path_style;  /* enum path_style_mode */
	int64_t cache_size;  /* bytes; 0: half of what the file system has free, at most 64 GiB */
	int64_t dirty_limit; /* bytes; 0: half of cache_size */
	int64_t uid, gid;    /* -1: of the mounting process; owner of objects without metadata */
	int64_t umask, dirmask; /* -1: see options_umask, options_dirmask */
	int64_t close, fsync;	/* enum publish_mode */
	int64_t conflict;	/* enum conflict_mode */
	bool ro, noatime, acl, allow_other, anonymous, debug, force_cache;
	int64_t attr_timeout;  /* ns */
	int64_t part_size;     /* bytes */
	int64_t parallel;      /* connections at most */
	int64_t drain_timeout; /* ns: how long unmount waits for dirty data */
	uint64_t given; /* bit i: option_table[i] was set by options_set, not by the environment */
};

/* Other variables that set an option when its own S3MOUNT_ variable does not; the first wins. */
struct option_variable {
	const char *variable, *option;
};

extern const struct option_spec option_table[];
extern const size_t option_count; /* at most 64, for options.given */
extern const struct option_variable option_variables[];
extern const size_t option_variable_count;

/* All defaults, then the environment. Errors: malformed environment value (-EINVAL), -ENOMEM. */
int options_init(struct options *options, struct error *error);
void options_free(struct options *options);

/* One option by name. where says which names are allowed. value NULL: bare flag.
 * Errors: unknown name (message has the nearest match), malformed value, out of range: -EINVAL;
 * -ENOMEM. */
int options_set(struct options *options, enum option_where where, const char *name,
		const char *value, struct error *error);
/* A comma-separated list as of -o; "\," is a comma inside a value and "\\" a backslash. What
 * mount(8), fstab and s3fs users write besides (option_word.h) is accepted. Errors as above. */
int options_parse(struct options *options, enum option_where where, const char *list,
		  struct error *error);
const struct option_spec *option_find(const char *name);
/* Was it set by options_set or options_parse? */
bool options_given(const struct options *options, const char *name);
/* Permission bits that objects without metadata lack: 022 unless set; dirmask follows umask. */
unsigned options_umask(const struct options *options);
unsigned options_dirmask(const struct options *options);

/* Appends all options that where allows and that were given or differ from their default, as a list
 * that options_parse takes back ("\," and "\\" inside of values). Errors: -ENOMEM. */
int options_format(const struct options *options, enum option_where where, struct buf *out);
/* The value alone as a user would write it; nothing for an unset string or number. */
void option_format_value(const struct option_spec *spec, const struct options *options,
			 struct buf *out);

/* The option part of --help, and the OPTIONS and ENVIRONMENT sections of the man page (mdoc). */
void options_print_help(FILE *stream, enum option_where where);
void options_print_man(FILE *stream);

#endif

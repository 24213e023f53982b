/* options.h — the one table of options, and the values that it fills.
 *
 * From option_table come the command line (-o name=value), fstab, volume options of the plugin,
 * environment names, --help, the man page and the near-match hint for a typing error.
 *
 * Precedence, lowest first: default, AWS profile (endpoint, region), environment, -o / volume option.
 * Secrets are never options: they come by environment, profile or file (common/s3/credentials.h).
 */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"

enum option_type {
	OPTION_STRING,
	OPTION_FLAG,     /* bare name = true; yes/no/true/false/1/0/on/off accepted */
	OPTION_SIZE,     /* bytes; suffix K M G T; or N% where the help says so */
	OPTION_INT,
	OPTION_OCTAL,
	OPTION_CHOICE,   /* stored as the index into choices */
	OPTION_SECONDS,  /* stored in ns; fractions allowed */
};

enum option_where {
	OPTION_IN_MOUNT = 1,  /* s3mount -o, fstab */
	OPTION_IN_VOLUME = 2, /* docker volume create -o */
};

struct option_spec {
	const char *name;
	enum option_type type;
	const char *unit;             /* for help: "URL", "DIR", "BYTES" .. */
	const char *default_text;     /* as the user would write it; NULL: none */
	int64_t min, max;             /* OPTION_SIZE, INT, OCTAL, SECONDS (in s) */
	const char *const *choices;   /* OPTION_CHOICE: NULL-terminated */
	const char *environment;      /* variable that sets it, or NULL */
	const char *help;             /* one sentence */
	unsigned where;               /* enum option_where */
	size_t offset;                /* in struct options */
};

enum publish_mode { PUBLISH_S3, PUBLISH_LOCAL };                           /* close=, fsync= */
enum conflict_mode { CONFLICT_KEEP_BOTH, CONFLICT_FAIL, CONFLICT_OVERWRITE };
enum path_style_mode { PATH_STYLE_AUTO, PATH_STYLE_ON, PATH_STYLE_OFF };

struct options {
	char *endpoint, *region, *profile, *passwd_file, *prefix, *cache, *log, *ca_file;
	int64_t path_style;       /* enum path_style_mode */
	int64_t cache_size;       /* bytes; 0: half of what the file system has free, at most 64 GiB */
	int64_t dirty_limit;      /* bytes; 0: half of cache_size */
	int64_t uid, gid;         /* -1: of the mounting process; owner of objects without metadata */
	int64_t umask, dirmask;   /* -1: 022 */
	int64_t close, fsync;     /* enum publish_mode */
	int64_t conflict;         /* enum conflict_mode */
	bool ro, allow_other, anonymous, debug;
	int64_t attr_timeout;     /* ns */
	int64_t part_size;        /* bytes */
	int64_t parallel;         /* connections at most */
	int64_t drain_timeout;    /* ns: how long unmount waits for dirty data */
};

extern const struct option_spec option_table[];
extern const size_t option_count;

/* All defaults, then the environment. Errors: malformed environment value (-EINVAL), -ENOMEM. */
int options_init(struct options *options, struct error *error);
void options_free(struct options *options);

/* One option by name. where says which names are allowed. value NULL: bare flag.
 * Errors: unknown name (message has the nearest match), malformed value, out of range: -EINVAL; -ENOMEM. */
int options_set(struct options *options, enum option_where where, const char *name, const char *value,
                struct error *error);
/* A comma-separated list as of -o; "\," is a comma inside a value. Options that mount(8) and fstab pass
 * and that need no action (rw, defaults, _netdev, nofail, noauto, user, x-systemd.*, nosuid, nodev, ..)
 * are accepted. Errors as above. */
int options_parse(struct options *options, enum option_where where, const char *list, struct error *error);
const struct option_spec *option_find(const char *name);

/* The option part of --help, and the OPTIONS and ENVIRONMENT sections of the man page (mdoc/roff). */
void options_print_help(FILE *stream, enum option_where where);
void options_print_man(FILE *stream);

#endif

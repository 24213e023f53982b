/* definition.h — what a volume is: its bucket and the options that were given for it. Pure.
 *
 * A definition comes from `docker volume create`, or from a bucket of the account that is used by
 * its name alone. Options are kept as they were given, so that a later version applies its own
 * defaults to the rest. Any thread. All strings belong to the definition.
 */
#ifndef PLUGIN_DEFINITION_H
#define PLUGIN_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

enum {
	DEFINITION_NAME_BYTES_MAX = 200, /* with escapes; it is part of file names */
	DEFINITION_OPTIONS_MAX = 64,
};

struct definition_option {
	char *name, *value; /* value "" is a bare flag */
};

struct definition {
	char *name;
	char *bucket;
	char *credentials;		   /* NULL: those of the plugin */
	struct definition_option *options; /* of the options table */
	size_t option_count;
	int64_t created_at; /* ns since the epoch; 0: not known */
	bool implied;	    /* by the name of a bucket; nobody created it */
};

/* Docker lets any name through. It must be usable as one part of a path (after
 * definition_put_file_name). Errors: -EINVAL, message set. */
int definition_check_name(const char *name, struct error *error);
/* The name as part of a path: what is not a letter, digit or one of "-._~" is written %XX. */
void definition_put_file_name(const char *name, struct buf *out);

/* definition must be empty. Errors: -EINVAL (message names the option), -ENOMEM. */
int definition_create(struct definition *definition, const char *name,
		      const struct definition_option *options, size_t count, struct error *error);
/* For a bucket that is used by its name. */
int definition_imply(struct definition *definition, const char *name, struct error *error);
void definition_free(struct definition *definition);

/* Same bucket, credentials and options, in any order? */
bool definition_equal(const struct definition *a, const struct definition *b);

/* JSON and back. Reading checks as definition_create does, but keeps options that this version does
 * not know: an older version must not lose them. Errors: -EINVAL, -ENOMEM. */
char *definition_format(const struct definition *definition); /* NULL: out of memory */
int definition_parse(struct definition *definition, const char *text, size_t len,
		     struct error *error);

#endif

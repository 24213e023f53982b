/* state.h — small files that survive the plugin, one per volume.
 *
 * A file is replaced as a whole: written beside, flushed, renamed, and the directory flushed; so
 * after a crash either the old or the new one is there. One that cannot be read is kept aside as
 * NAME.bad: the person who looks for what was in it shall find it. Nothing here is ever rewritten
 * or removed because S3 is away.
 *
 * Threads: any, one at a time per directory and name. Blocks on the disk.
 */
#ifndef PLUGIN_STATE_H
#define PLUGIN_STATE_H

#include <stddef.h>

#include "common/error.h"

enum { STATE_FILE_BYTES_MAX = 1024 * 1024 };

/* name: one part of a path, as definition_put_file_name writes it. Errors: -errno, message set. */
int state_save(const char *directory, const char *name, const char *text, struct error *error);
/* The caller frees *text. Errors: -ENOENT without a message; others with one. */
int state_load(const char *directory, const char *name, char **text, size_t *len,
	       struct error *error);
/* Absent is success. Errors: -errno, message set. */
int state_remove(const char *directory, const char *name, struct error *error);
/* Renames it to NAME.bad, in place of an older one. */
void state_set_aside(const char *directory, const char *name);
/* Calls found for each file, in no order; what a crash left half-written is removed. A negative
 * result of found ends it and is returned. A missing directory is an empty one. */
int state_each(const char *directory, int (*found)(void *context, const char *name), void *context);

/* mkdir -p with the mode; existing directories stay as they are. Errors: -errno, message set. */
int state_make_directory(const char *path, unsigned mode, struct error *error);

#endif

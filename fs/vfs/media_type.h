/* media_type.h — the Content-Type that a file's name tells, so that a browser shows what was
 * written.
 *
 * By the last extension, whatever its case; a name that only begins with a dot has none. The types
 * are those of a file in the format of /etc/mime.types ("type extension extension ..", '#' begins a
 * comment); without it the few that the web needs. Read once, then immutable: any thread.
 */
#ifndef FS_VFS_MEDIA_TYPE_H
#define FS_VFS_MEDIA_TYPE_H

#include <stddef.h>

#include "common/error.h"

#define MEDIA_TYPE_NONE "application/octet-stream"

struct media_types;

/* Errors: with a message; a file above 4 MiB is none. */
int media_types_load(const char *path, struct media_types **out, struct error *error);
/* Those of such a file's text, or the built-in ones for NULL. NULL: out of memory. Errors of a line
 * cost that line. */
struct media_types *media_types_parse(const char *text);
void media_types_free(struct media_types *types); /* NULL allowed */
/* MEDIA_TYPE_NONE where nothing is known, and always for types NULL. Lives as long as types. */
const char *media_type_of(const struct media_types *types, const char *name);

#endif

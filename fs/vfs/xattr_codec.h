/* xattr_codec.h — extended attributes <-> one item of an object's user metadata. Pure; no I/O.
 *
 * The format is s3fs's: x-amz-meta-xattr holds percent-encoded JSON, {"NAME":"BASE64",..}. Names
 * are bytes; what JSON needs escaped in them is (s3fs itself writes them as they are and skips what
 * it does not understand).
 */
#ifndef FS_VFS_XATTR_CODEC_H
#define FS_VFS_XATTR_CODEC_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

#define META_XATTR "xattr"

enum {
	XATTR_NAME_BYTES_MAX = 255,	  /* XATTR_NAME_MAX of Linux */
	XATTR_TEXT_BYTES_MAX = 64 * 1024, /* far more than S3 takes; a bound for what comes in */
};

struct xattr {
	char *name; /* whole: "user.mime_type" */
	void *value;
	size_t len;
};
/* Owns its strings; a zeroed one is empty. Names are unique, in the order in which they came. */
struct xattr_set {
	struct xattr *items;
	size_t count;
};

void xattr_set_free(struct xattr_set *set); /* resets to empty */
const struct xattr *xattr_set_find(const struct xattr_set *set, const char *name); /* NULL: none */
/* Adds or replaces. Errors: -ENOMEM (set unchanged). */
int xattr_set_put(struct xattr_set *set, const char *name, const void *value, size_t len);
bool xattr_set_remove(struct xattr_set *set, const char *name); /* was it there? */

/* text: the item's value, or NULL for none. out must be empty and stays so on failure. Of equal
 * names the last counts. Errors: -EINVAL (not this format, or over a limit), -ENOMEM. */
int xattr_decode(const char *text, struct xattr_set *out);
/* Appends; nothing for an empty set. Errors are buf's. */
void xattr_encode(const struct xattr_set *set, struct buf *out);

#endif

/* key.h — names of directory entries <-> object keys. Pure.
 *
 * One rule, reversible: a component is the bytes between slashes. What POSIX cannot name is not
 * shown (and counted by the caller): empty components, ".", "..", longer than 255 bytes.
 */
#ifndef FS_VFS_KEY_H
#define FS_VFS_KEY_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_BYTES_MAX = 255 };

/* What the probe of a server calls its objects, and what holds one of two files that change places
 * meanwhile: this and at least 32 hexadecimal digits. Such names are not shown and cannot be used.
 */
#define KEY_SCRATCH  ".s3mount-probe-"
#define KEY_EXCHANGE ".s3mount-exchange-"

/* Where its last component begins, to which a '/' at the end belongs. */
const char *key_name(const char *key);
/* The key with that component replaced, and with a '/' at the end where the key has one. Caller
 * frees. NULL: out of memory. */
char *key_beside(const char *key, const char *name);
/* Where what the key has is set aside: beside it, as who may write there may write this, and with a
 * '/' at the end where the key has one. put_id: a new one. Caller frees. NULL: out of memory. */
char *key_aside(const char *key, const char *put_id);

/* A listed key below the directory prefix dir ("" or "a/b/"): where its first component is. */
struct key_component {
	const char *name; /* points into key */
	size_t len;
	bool is_directory; /* more follows, or it ends in '/' */
};

/* false: key is not below dir, is dir itself, a scratch object, or its component cannot be shown
 * (*hidden is set then). */
bool key_component(const char *dir, const char *key, struct key_component *out, bool *hidden);
/* Can this be a file name of ours? 0, -ENAMETOOLONG, -EINVAL (".", "..", empty, has '/', or of a
 * scratch object). */
int key_check_name(const char *name);
/* A user's prefix option: "a/b", "/a/b/" -> "a/b/"; "" stays. Caller frees. Errors: NULL when a
 * component is empty, "." or "..", it is too long, or out of memory. */
char *key_normalise_prefix(const char *prefix);

/* "name.conflict-NODE-20260102T030405Z-putid8", the name cut so that all fits NAME_BYTES_MAX (never
 * within a UTF-8 sequence). wall: ns since the epoch. */
void key_conflict_name(char out[NAME_BYTES_MAX + 1], const char *name, const char *node,
		       long long wall, const char *put_id);

#endif

/* attributes.h — POSIX attributes <-> user metadata of an object. Pure; no I/O.
 *
 * Written in s3fs's format: mode (decimal st_mode with type bits), uid, gid (decimal), mtime,
 * ctime, atime
 * ("sec.nnnnnnnnn"), rdev (decimal, geesefs's name). Read as well: s3fs's plain seconds, s3sync
 * (permissions, owner, group), goog-reserved-posix-*, goog-reserved-file-mtime, rclone (mode as six
 * octal digits, mtime as a decimal fraction, atime in RFC 3339), gcsfuse_mtime, geesefs
 * (--symlink-target). Source of the formats: the writers' own code and documentation.
 */
#ifndef FS_VFS_ATTRIBUTES_H
#define FS_VFS_ATTRIBUTES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/s3/objstore.h"

/* Times are between minus and plus that, in seconds since the epoch. */
#define ATTRIBUTE_SECONDS_MAX (INT64_MAX / INT64_C(1000000000) - 1)

struct attributes {
	uint32_t mode; /* with type bits */
	uint32_t uid, gid;
	uint64_t rdev;
	int64_t atime, mtime, ctime; /* ns since the epoch; may be negative */
};

/* For objects that carry no (or only some) metadata. */
struct attribute_defaults {
	uint32_t uid, gid;
	uint32_t file_mode, dir_mode; /* permission bits only */
};

/* From a HEAD or GET answer. is_directory: the key ends in '/' (then the type is a directory
 * whatever the metadata says). content_type "application/x-directory" (or httpd/unix-directory) on
 * a plain key whose metadata names no type also makes a directory. Permissions that came with
 * another type do not count. Set-uid, set-gid and sticky bits are kept. Never fails: what does not
 * parse falls back; absent times are last_modified (atime: mtime). */
void attributes_decode(struct attributes *out, const struct os_meta *meta, const char *content_type,
		       int64_t last_modified, bool is_directory,
		       const struct attribute_defaults *defaults);

/* Sets our names in meta; unknown items in it stay (they belong to others and are kept on rewrite),
 * the foreign spellings of what we set are removed. Errors: -ENOMEM; -E2BIG when it all exceeds
 * OS_META_BYTES_MAX (meta is then unusable). */
int attributes_encode(const struct attributes *attributes, struct os_meta *meta);

/* Does a read at that time change atime? relatime (relatime_need_update, fs/inode.c of Linux): only
 * when it is not later than mtime and ctime, or a day old. */
bool attributes_atime_is_due(const struct attributes *attributes, int64_t now);

/* The put-id: which publication of ours an object is. Metadata name and helpers. */
#define META_PUT_ID "s3mount-putid"
enum { PUT_ID_LEN = 32 }; /* hex digits */

/* Target of a symlink that is stored in metadata instead of the body (geesefs), or NULL. */
const char *attributes_symlink_target(const struct os_meta *meta);

/* Content type to send for a mode: application/x-directory, application/octet-stream .. */
const char *attributes_content_type(uint32_t mode);

#endif

/* acl.h — what a POSIX ACL means for the mode of its file. Pure; no I/O.
 *
 * Values are those of system.posix_acl_access (include/uapi/linux/posix_acl_xattr.h of Linux): a
 * version, then entries of tag, permissions and id, little endian.
 */
#ifndef FS_VFS_ACL_H
#define FS_VFS_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* *mode gets the nine permission bits that show the ACL: the group's are the mask, or where there
 * is none the owning group's. *minimal: the mode says all that the ACL says. Errors: -EINVAL (no
 * such value). */
int acl_to_mode(const void *value, size_t len, uint32_t *mode, bool *minimal);
/* chmod: the entries of owner and others become those of mode, and so does the mask, or where there
 * is none that of the owning group. False, and nothing is changed: no such value. */
bool acl_set_mode(void *value, size_t len, uint32_t mode);
/* A directory's default ACL becomes the access ACL of a file that is made in it with *mode: each
 * grants what both do, and *mode what is left. False, and nothing is changed: no such value. */
bool acl_inherit(void *value, size_t len, uint32_t *mode);

#endif

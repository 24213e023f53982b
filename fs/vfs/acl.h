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

/* *mode gets the nine permission bits that grant nothing which the ACL does not: the group's are
 * those of the owning group below the mask. *minimal: the mode says all that the ACL says.
 * Errors: -EINVAL (no such value). */
int acl_to_mode(const void *value, size_t len, uint32_t *mode, bool *minimal);
/* chmod: the entries of owner, owning group and others become those of mode, and the mask includes
 * the group's. False, and nothing is changed: no such value. */
bool acl_set_mode(void *value, size_t len, uint32_t mode);

#endif

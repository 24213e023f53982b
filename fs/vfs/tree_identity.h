/* tree_identity.h — how a copy is known again, also after a crash; part of tree_copy.h.
 *
 * By its ETag, or, where copying changes that (multipart uploads, encryption by KMS), by the
 * metadata, which then must hold a put-id. Pure.
 */
#ifndef FS_VFS_TREE_IDENTITY_H
#define FS_VFS_TREE_IDENTITY_H

#include "common/s3/objstore.h"

/* A source that has no put-id of its own gets one: its ETag is as good, as no other version has it.
 * Errors: -ENOMEM. */
int tree_add_put_id(struct os_meta *meta, const char *etag);
/* Of what two HEADs have told. Out of memory it is none. */
bool tree_is_copy(const struct os_result *source, const struct os_result *target);
/* The same where the target may hold another file with the same bytes: the metadata must be the
 * source's as well. */
bool tree_is_same(const struct os_result *source, const struct os_result *target);
/* The same for a directory's own object: without bytes the ETag says nothing, so that the metadata
 * must be the source's. */
bool tree_is_copied_marker(const struct os_result *source, const struct os_result *target);

#endif

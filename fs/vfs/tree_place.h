/* tree_place.h — what was set aside of a directory gets its place; part of tree_swap.h.
 *
 * Threads: owner thread, in a fiber.
 */
#ifndef FS_VFS_TREE_PLACE_H
#define FS_VFS_TREE_PLACE_H

#include "fs/vfs/tree_run.h"
#include "fs/vfs/tree_swap.h"

/* Puts what is below what->aside below where->prefix, in place of what that held, and notes in
 * what->placed which ETags it has there. Idempotent. Errors: of S3 (swap->message filled), -ENOMEM.
 */
int tree_place(struct tree_swap *swap, struct swap_side *what, const struct swap_side *where);

/* Maps of ETags that they own. Errors: -ENOMEM. */
int tree_etags_put(struct map *etags, const char *relative, const char *etag);
void tree_etags_free(struct map *etags);

#endif

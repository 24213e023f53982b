/* rename.h — one rename under way; internal to rename.c and rename_directory.c.
 *
 * In a fiber; both directories are entered (inode_enter). */
#ifndef FS_VFS_RENAME_H
#define FS_VFS_RENAME_H

#include "fs/vfs/inode.h"

#define PUBLISH_WAIT (300 * NSEC_PER_SEC)

struct rename {
	struct vfs *vfs;
	struct inode *from, *to;       /* directories */
	struct inode *source, *target; /* target may be NULL */
	const char *new_name;
	char *source_key, *target_key;
};

/* The tree follows what S3 has done. */
int rename_move_inode(struct rename *rename);
/* The intent is committed when it returns 0. */
int rename_put_intent(struct rename *rename, enum journal_intent_kind kind, const char *etag,
		      uint64_t *id);
int rename_directory(struct rename *rename);

#endif

/* unnamed.c — files that are made without a name (O_TMPFILE), and the name that one may get later.
 * Part of vfs.h.
 *
 * Until then it is what an unlinked file is that somebody has open: its row says so, and a crash
 * leaves nothing of it.
 */
#include <errno.h>
#include <stdlib.h>

#include "fs/vfs/inode.h"

int vfs_tmpfile(struct vfs *vfs, struct vfs_caller caller, uint64_t parent_ino, mode_t mode,
		int flags, struct vfs_handle **handle, struct stat *out)
{
	struct inode *parent, *inode;
	int err = vfs_find_directory(vfs, parent_ino, &parent);

	if (err)
		return err;
	inode = inode_new(parent, "", (mode & 07777) | S_IFREG);
	err = inode ? 0 : -ENOMEM;
	if (!err) {
		inode->unnamed = true;
		err = inode_begin(inode, caller, parent);
	}
	if (!err)
		err = change_begin(inode, NODE_DIRTY_DATA);
	if (!err) {
		change_note(inode, NODE_DIRTY_DATA);
		handle_attach(inode, flags, handle);
		err = *handle ? 0 : -ENOMEM;
	}
	if (!err) {
		inode_stat(inode, out);
		inode->nlookup++;
	} else if (inode) {
		change_forget(inode);
	}
	if (inode)
		inode_put(inode);
	inode_put(parent);
	return err;
}

/* It is published with its next close or fsync, like a file that was created. */
static int give_name(struct inode *inode, struct inode *parent, const char *name)
{
	int err = inode->unnamed ? inode_link(inode, parent, name) : -EPERM;

	if (err)
		return err;
	inode->unnamed = false;
	inode->changed = ++inode->vfs->change;
	err = change_begin(inode, NODE_DIRTY_DATA);
	if (!err) {
		inode_touch(inode, false);
		change_note(inode, NODE_DIRTY_DATA);
		err = change_wait(inode, change_journal(inode));
	}
	if (!err) {
		inode_touch(parent, true);
		return 0;
	}
	change_forget(inode);
	inode_unlink(inode);
	inode->unnamed = true;
	return err;
}

int vfs_link(struct vfs *vfs, uint64_t ino, uint64_t parent_ino, const char *name, struct stat *out)
{
	struct inode *inode = inode_find(vfs, ino), *parent;
	int err;

	if (!inode)
		return -ESTALE;
	err = inode->unnamed ? vfs_find_directory(vfs, parent_ino, &parent) : -EPERM;
	if (!err) {
		err = name_check_free(parent, name, false);
		if (!err)
			err = give_name(inode, parent, name);
		inode_put(parent);
	}
	if (!err) {
		inode_stat(inode, out);
		inode->nlookup++;
	}
	inode_put(inode);
	return err;
}

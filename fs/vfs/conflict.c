/* conflict.c — somebody else's version is where ours should go. Part of inode.h.
 *
 * Nothing is overwritten and nothing is lost: their version keeps the name, ours gets a name of its
 * own next to it. The inode, its handles and its cache move along, as everything is keyed by inode.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/key.h"

int conflict_keep_both(struct inode *inode, const char *foreign_etag)
{
	struct vfs *vfs = inode->vfs;
	struct inode *parent = inode->parent;
	char name[NAME_BYTES_MAX + 1], text[700];
	int err;

	if (inode->directory) { /* a marker of the same directory: theirs is as good as ours */
		change_forget(inode);
		inode->remote = REMOTE_IMPLIED;
		inode->attributes_known = false;
		inode->confirmed_at = 0;
		return 0;
	}
	key_conflict_name(name, inode->name, vfs->config.node, executor_wall(vfs->env->executor),
			  inode->put_id);
	if (inode_child(parent, name)) {
		return -EAGAIN;
	}
	snprintf(text, sizeof(text),
		 "another writer's version (ETag %s) is there, ours was based on %s: ours is kept "
		 "as %s",
		 foreign_etag, inode->etag ? inode->etag : "no object", name);
	vfs_report(vfs, inode, -ESTALE, text);
	inode_unlink(inode);
	err = inode_link(inode, parent, name);
	if (err) {
		return err;
	}
	parent->directory->listed_at = 0;
	state_mark_conflict(inode);
	inode->remote = REMOTE_ABSENT;
	inode_set_etag(inode, NULL);
	if (inode->content)
		inode->content->base_len = 0;
	inode->changed = ++vfs->change;
	inode->error = -ESTALE;
	vfs->conflicts++;
	change_journal(inode);
	return 0;
}

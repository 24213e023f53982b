/* conflict.c — somebody else's version is where ours should go. Part of inode.h.
 *
 * Nothing is overwritten and nothing is lost: their version keeps the name, ours gets a name of its
 * own next to it. The inode, its handles and its cache move along, as everything is keyed by inode.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/key.h"

/* Large files are not brought here whole before they are changed. Where the version that the rest
 * would have come from is gone, the copy has holes, and says so in its name and metadata. */
#define PARTIAL	   "partial-"
#define META_VALID "s3mount-valid" /* ranges of bytes, both ends included */
enum { RANGES_BYTES = 256 };

static bool is_partial(const struct inode *inode)
{
	return inode->content && !content_is_complete(inode->content);
}

static void list_ranges(const struct extent_set *set, char text[RANGES_BYTES])
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < set->count; i++) {
		int more = snprintf(text + len, RANGES_BYTES - len, "%s%llu-%llu", i ? "," : "",
				    (unsigned long long)set->items[i].start,
				    (unsigned long long)set->items[i].end - 1);

		if (more < 0 || (size_t)more >= RANGES_BYTES - len - sizeof(",..")) {
			snprintf(text + len, RANGES_BYTES - len, ",..");
			return;
		}
		len += (size_t)more;
	}
}

/* Ours has no base any more. *ranges: what of it is right; "" : all. */
static int leave_base(struct inode *inode, char ranges[RANGES_BYTES])
{
	int err = 0;

	ranges[0] = '\0';
	if (is_partial(inode)) {
		list_ranges(&inode->content->valid, ranges);
		err = content_lose_origin(inode->content);
		if (!err)
			err = os_meta_set(&inode->meta, META_VALID, ranges);
	}
	if (!err)
		err = inode_keep_fetched(inode);
	if (!err && inode->content)
		inode->content->base_len = 0;
	return err;
}

void conflict_show_theirs(struct inode *parent)
{
	parent->directory->listed_at = 0;
	free(parent->directory->absent);
	parent->directory->absent = NULL;
}

int conflict_take_away(struct inode *inode)
{
	char ranges[RANGES_BYTES];

	if (is_partial(inode)) {
		vfs_report(inode->vfs, inode, -ESTALE,
			   "parts of it were never on this node, and the version that they are of "
			   "is gone: it cannot be renamed. Remove it, or mount with "
			   "conflict=keep-both to get what there is under a name that says so");
		return -ESTALE;
	}
	conflict_show_theirs(inode->parent);
	inode->remote = REMOTE_ABSENT;
	inode_set_etag(inode, NULL);
	inode->conflicted = false;
	inode->error = 0;
	inode->retries = 0;
	inode->due = 0;
	return leave_base(inode, ranges);
}

int conflict_keep_both(struct inode *inode, const char *foreign_etag)
{
	struct vfs *vfs = inode->vfs;
	struct inode *parent = inode->parent;
	char name[NAME_BYTES_MAX + 1], text[1200], ranges[RANGES_BYTES], node[HOST_NAME_MAX + 16];
	int err;

	if (inode->directory) { /* a marker of the same directory: theirs is as good as ours */
		inode->dirty = 0;
		inode->published_generation = inode->generation;
		inode->remote = REMOTE_IMPLIED;
		inode->attributes_known = false;
		inode->confirmed_at = 0;
		change_settle(inode); /* rows of what is below need its row */
		return 0;
	}
	snprintf(node, sizeof(node), "%s%s", is_partial(inode) ? PARTIAL : "", vfs->config.node);
	key_conflict_name(name, inode->name, node, executor_wall(vfs->env->executor),
			  inode->put_id);
	if (inode_child(parent, name)) {
		return -EAGAIN;
	}
	err = leave_base(inode, ranges);
	if (err)
		return err;
	snprintf(text, sizeof(text),
		 "another writer's version (%s%s) is there, ours, of node %s, was based on %s%s: "
		 "ours is kept as %s%s%s",
		 foreign_etag[0] ? "ETag " : "", foreign_etag[0] ? foreign_etag : "or none",
		 vfs->config.node, inode->etag ? "ETag " : "",
		 inode->etag ? inode->etag : "no object", name,
		 ranges[0]
			 ? "; what was not on this node is gone with the old version and reads as "
			   "zeros, right are the bytes "
			 : "",
		 ranges);
	vfs_report(vfs, inode, -ESTALE, text);
	err = inode_move(inode, parent, name);
	if (err)
		return err;
	parent->directory->listed_at = 0;
	state_mark_conflict(inode);
	inode->remote = REMOTE_ABSENT;
	inode_set_etag(inode, NULL);
	inode->conflicted = false;
	inode->changed = ++vfs->change;
	inode->error = -ESTALE;
	vfs->conflicts++;
	change_journal(inode);
	return 0;
}

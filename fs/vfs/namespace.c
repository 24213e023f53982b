/* namespace.c — making and removing names. Part of vfs.h.
 *
 * What has never been uploaded costs no request to remove. A name is taken away here only after S3
 * has taken it away, so that a failed unlink leaves everything as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/key.h"

#define PUBLISH_WAIT (300 * NSEC_PER_SEC)

int vfs_find_directory(struct vfs *vfs, uint64_t ino, struct inode **out)
{
	struct inode *inode = inode_find(vfs, ino);

	if (!inode)
		return -ESTALE;
	if (!inode->directory || (!inode->parent && inode != vfs->root)) {
		int err = inode->directory ? -ENOENT : -ENOTDIR;

		inode_put(inode);
		return err;
	}
	*out = inode;
	return 0;
}

int inode_begin(struct inode *inode, struct vfs_caller caller, const struct inode *parent)
{
	int err = 0;

	inode->attributes.uid = caller.uid;
	inode->attributes.gid = caller.gid;
	if (parent->attributes.mode & S_ISGID) { /* inode_init_owner, fs/inode.c of Linux */
		inode->attributes.gid = parent->attributes.gid;
		if (inode->directory)
			inode->attributes.mode |= S_ISGID;
	}
	if (!S_ISLNK(inode->attributes.mode))
		err = xattr_inherit(inode, parent, caller.umask);
	inode_touch(inode, true);
	inode->attributes.atime = inode->attributes.mtime;
	inode->attributes_known = true;
	inode->remote = REMOTE_ABSENT;
	inode->changed = ++inode->vfs->change;
	return err;
}

int name_check_free(struct inode *parent, const char *name, bool directory)
{
	struct inode *there;
	char *key;
	int err = parent->vfs->config.read_only ? -EROFS : key_check_name(name);

	if (!err)
		err = inode_child_key(parent, name, directory, &key);
	if (err)
		return err;
	free(key);
	inode_wait_thawed(parent);
	err = vfs_find(parent, name, &there);
	if (!err)
		inode_put(there);
	return err == -ENOENT ? 0 : err ? err : -EEXIST;
}

/* A new inode under a name that is free. */
static int new_child(struct vfs *vfs, struct vfs_caller caller, struct inode *parent,
		     const char *name, mode_t mode, struct inode **out)
{
	struct inode *child;
	int err = name_check_free(parent, name, S_ISDIR(mode));

	if (err)
		return err;
	child = inode_new(parent, name, mode);
	if (!child)
		return -ENOMEM;
	err = inode_begin(child, caller, parent);
	if (err) {
		inode_put(child);
		return err;
	}
	if (child->directory) /* nothing lies below the name: that has just been looked up */
		child->directory->listed_at = env_now(vfs->env);
	err = inode_link(child, parent, name);
	if (err) {
		inode_put(child);
		return err;
	}
	*out = child;
	return 0;
}

/* Out of the tree again, as if it had never been. */
static void undo(struct inode *child)
{
	publish_quiesce(child);
	janitor_expect(child);
	change_forget(child);
	inode_unlink(child);
}

int vfs_make(struct vfs *vfs, struct vfs_caller caller, uint64_t parent_ino, const char *name,
	     mode_t mode, dev_t rdev, const char *target, struct stat *out)
{
	struct inode *parent, *child = NULL;
	int err = vfs_find_directory(vfs, parent_ino, &parent);

	if (err)
		return err;
	if (target && strlen(target) > 4095)
		err = -ENAMETOOLONG;
	if (!err)
		err = new_child(vfs, caller, parent, name, mode, &child);
	if (!err) {
		child->attributes.rdev = rdev;
		child->target = string_copy(target);
		err = target && !child->target ? -ENOMEM : change_begin(child, NODE_DIRTY_DATA);
		if (!err) {
			change_note(child, NODE_DIRTY_DATA);
			err = change_wait(child, child->dirty_sequence);
		}
		if (!err && vfs->config.close == PUBLISH_S3)
			err = publish_wait(child, env_after(vfs->env, PUBLISH_WAIT),
					   WAIT_INTERRUPTIBLE);
		else
			publish_soon(child, 0);
		/* Somebody else made it at the same moment. */
		if (err == -ESTALE)
			err = -EEXIST;
		if (err)
			undo(child);
	}
	if (!err) {
		inode_touch(parent, true);
		inode_stat(child, out);
		child->nlookup++;
	}
	if (child)
		inode_put(child);
	inode_put(parent);
	return err;
}

/* The kernel takes what a create gives it for new, and checks no permission (fuse_create_open,
 * fs/fuse/dir.c of Linux). Which groups the caller is in is not told: both sets of bits must allow
 * it. */
static bool may_open(const struct attributes *attributes, struct vfs_caller caller, int flags)
{
	unsigned access = flags & O_ACCMODE, mode = attributes->mode;
	unsigned wanted = access == O_RDONLY ? 4 : access == O_WRONLY ? 2 : 6;
	unsigned given = caller.uid == attributes->uid ? mode >> 6 : mode >> 3 & mode;

	return caller.uid == 0 || (given & wanted) == wanted;
}

/* Others made it after the kernel had asked for the name: open(2) without O_EXCL opens it. */
static int open_existing(struct inode *parent, const char *name, struct vfs_caller caller,
			 int flags, struct vfs_handle **handle, struct inode **out)
{
	bool keep;
	int err = vfs_find(parent, name, out);

	if (err)
		return err;
	err = S_ISREG((*out)->attributes.mode) && may_open(&(*out)->attributes, caller, flags)
		      ? vfs_open(parent->vfs, caller, (*out)->ino, flags, handle, &keep)
		      : -EEXIST;
	if (err) {
		inode_put(*out);
		*out = NULL;
	}
	return err;
}

static int open_new(struct inode *parent, struct inode *child, int flags,
		    struct vfs_handle **handle)
{
	int err = change_begin(child, NODE_DIRTY_DATA);

	if (!err)
		change_note(child, NODE_DIRTY_DATA);
	/* Somebody may take the name for a lock. The first write would wait for the same row. */
	if (!err)
		err = change_wait(child, child->dirty_sequence);
	if (!err) {
		handle_attach(child, flags, handle);
		err = *handle ? 0 : -ENOMEM;
	}
	if (err)
		undo(child);
	else
		inode_touch(parent, true);
	return err;
}

int vfs_create(struct vfs *vfs, struct vfs_caller caller, uint64_t parent_ino, const char *name,
	       mode_t mode, int flags, struct vfs_handle **handle, struct stat *out)
{
	struct inode *parent, *child = NULL;
	int err = vfs_find_directory(vfs, parent_ino, &parent);

	if (err)
		return err;
	err = new_child(vfs, caller, parent, name, (mode & 07777) | S_IFREG, &child);
	if (err == -EEXIST && !(flags & O_EXCL))
		err = open_existing(parent, name, caller, flags, handle, &child);
	else if (!err)
		err = open_new(parent, child, flags, handle);
	if (!err) {
		inode_stat(child, out);
		child->nlookup++;
	}
	if (child)
		inode_put(child);
	inode_put(parent);
	return err;
}

/* A symlink whose target came in the metadata (geesefs), or is the object's body. */
int inode_read_target(struct inode *inode)
{
	const char *stored = attributes_symlink_target(&inode->meta);
	char *text;
	ssize_t got;
	struct vfs_handle *handle;
	bool keep;
	int err;

	if (inode->target)
		return 0;
	if (stored) {
		inode->target = string_copy(stored);
		return inode->target ? 0 : -ENOMEM;
	}
	err = vfs_open(inode->vfs, (struct vfs_caller){0, 0, -1, 0}, inode->ino, O_RDONLY, &handle,
		       &keep);
	if (err)
		return err;
	text = calloc(1, 4096);
	got = text ? vfs_read(handle, text, 4095, 0) : -ENOMEM;
	vfs_release(handle);
	if (got < 0) {
		free(text);
		return (int)got;
	}
	free(inode->target);
	inode->target = text;
	return 0;
}

int vfs_readlink(struct vfs *vfs, uint64_t ino, char **target)
{
	struct inode *inode = inode_find(vfs, ino);
	int err = 0;

	if (!inode)
		return -ESTALE;
	if (!S_ISLNK(inode->attributes.mode))
		err = -EINVAL;
	if (!err)
		err = inode_read_target(inode);
	if (!err) {
		*target = string_copy(inode->target);
		err = *target ? 0 : -ENOMEM;
	}
	inode_put(inode);
	return err;
}

/* What became of a request whose reply was lost? */
static bool key_is_gone(struct vfs *vfs, const char *key)
{
	struct os_request head = {.op = OS_HEAD, .key = key, .urgent = true};
	int err = env_s3(vfs->env, &head);

	os_request_free_result(&head);
	return err == -ENOENT;
}

static int delete_object(struct inode *inode)
{
	struct vfs *vfs = inode->vfs;
	struct os_request request = {.op = OS_DELETE, .urgent = true};
	char *key;
	int err = inode_key(inode, &key);

	if (err)
		return err;
	request.key = key;
	if (vfs->uploader.can.delete &&inode->etag && !inode->directory)
		request.condition.if_match = inode->etag;
	err = late_run(&vfs->uploader, &request);
	if (err && request.result.ambiguous)
		err = key_is_gone(vfs, key) ? 0 : err;
	if (err == -ENOENT)
		err = 0;
	if (err && err != -ESTALE)
		vfs_report(vfs, inode, err, request.result.message);
	inode->may_vanish |= err && request.result.ambiguous;
	os_request_free_result(&request);
	free(key);
	return err;
}

/* Another name in the directory that S3 has, and will have. What is only here does not keep it. */
static bool has_other_key(const struct inode *parent, const struct inode *leaving)
{
	size_t position = 0;
	void *value;

	while (map_next(parent->directory->children, &position, NULL, NULL, &value)) {
		const struct inode *child = value;

		if (child != leaving && child->remote != REMOTE_ABSENT && !child->may_vanish)
			return true;
	}
	return false;
}

int directory_mark(struct inode *directory)
{
	int err;

	if (directory->remote != REMOTE_IMPLIED || directory == directory->vfs->root)
		return 0;
	err = change_begin(directory, NODE_DIRTY_DATA);
	if (err)
		return err;
	change_note(directory, NODE_DIRTY_DATA);
	return publish_wait(directory, env_after(directory->vfs->env, PUBLISH_WAIT), WAIT_PLAIN);
}

int keep_directory(struct inode *parent, const struct inode *leaving)
{
	if (parent->remote != REMOTE_IMPLIED || has_other_key(parent, leaving))
		return 0;
	return directory_mark(parent);
}

/* The file is readable for those who have it open, also where its bytes are not here yet. */
int inode_keep_for_readers(struct inode *inode)
{
	struct content_origin origin = {NULL, inode->etag};
	char *key;
	int err;

	if (!inode->opens || inode->directory || inode->remote != REMOTE_PRESENT)
		return 0;
	err = inode_open_content(inode);
	if (err || content_is_complete(inode->content))
		return err;
	err = inode_key(inode, &key);
	if (err)
		return err;
	origin.key = key;
	err = content_hydrate(inode->content, &origin, 0, inode->content->size);
	free(key);
	return err;
}

uint64_t inode_orphan(struct inode *inode)
{
	if (inode->opens == 0)
		return change_forget(inode);
	if (!inode->persisted)
		return 0;
	inode->due = DEADLINE_NONE;
	return change_journal(inode); /* NODE_UNLINKED: a crash must not bring it back */
}

/* The publication of inode is ours while this runs. object: in S3 as well. */
static int remove_object(struct inode *inode, struct inode *parent, bool object)
{
	struct upload_outcome outcome = {0};
	int err = 0;

	if (inode->parent != parent || !parent)
		return -ENOENT;
	if (inode->resolve_first)
		err = publish_resolve(inode, &outcome);
	/* An ETag without an object of ours is of what a new file was moved over. What others have
	 * put in the place of ours stays. */
	if (!err && object && !inode->conflicted &&
	    (inode->remote == REMOTE_PRESENT || inode->etag)) {
		err = inode_keep_for_readers(inode);
		if (!err)
			err = keep_directory(parent, inode);
		if (!err)
			err = change_confirm(inode);
		if (!err && inode->parent != parent)
			err = -ENOENT;
		if (!err)
			err = delete_object(inode);
	}
	if (!err && inode->parent != parent)
		err = -ENOENT;
	return err;
}

static int take_name_away(struct inode *inode, bool object)
{
	struct vfs *vfs = inode->vfs;
	struct inode *parent;
	uint64_t owed = 0;
	bool dirty = false, in_bucket;
	int err;

	inode_wait_thawed(inode);
	parent = inode->parent;
	if (!parent)
		return -ENOENT;
	inode_get(parent);
	inode_enter(parent);
	publish_acquire(inode);
	in_bucket = inode->remote == REMOTE_PRESENT || inode->resolve_first;
	err = remove_object(inode, parent, object);
	if (!err) {
		janitor_expect(inode);
		inode_unlink(inode);
		inode_touch(inode, false);
		inode->remote = REMOTE_ABSENT;
		if (inode->conflicted) { /* ours is given up: their version shows */
			conflict_show_theirs(parent);
			inode->conflicted = false;
			inode->error = 0;
		}
		parent->changed = inode->changed = ++vfs->change;
		dirty = inode_is_dirty(inode);
		owed = inode_orphan(inode);
		inode_touch(parent, true);
	}
	publish_release(inode);
	inode_leave(parent);
	if (err == -ESTALE) { /* replaced by others since we looked: not what the caller meant */
		remote_refresh(inode);
		err = -EBUSY;
	}
	inode_put(parent);
	if (err)
		return err;
	if (!dirty || !owed)
		return 0;
	/* What S3 has never had must not come back after a crash either; what it had, not even
	 * after a power loss. */
	return in_bucket ? journal_wait(vfs->env->journal, owed, JOURNAL_DURABLE)
			 : change_wait(inode, owed);
}

int name_remove(struct inode *inode)
{
	return take_name_away(inode, true);
}

int name_give_way(struct inode *inode)
{
	return take_name_away(inode, false);
}

int vfs_unlink(struct vfs *vfs, uint64_t parent_ino, const char *name)
{
	struct inode *parent, *child;
	int err = vfs_find_directory(vfs, parent_ino, &parent);

	if (err)
		return err;
	err = vfs->config.read_only ? -EROFS : vfs_find_named(parent, name, &child);
	if (!err) {
		err = child->directory ? -EISDIR : name_remove(child);
		inode_put(child);
	}
	inode_put(parent);
	return err;
}

int vfs_rmdir(struct vfs *vfs, uint64_t parent_ino, const char *name)
{
	struct inode *parent, *child;
	int err = vfs_find_directory(vfs, parent_ino, &parent);

	if (err)
		return err;
	err = vfs->config.read_only ? -EROFS : vfs_find(parent, name, &child);
	if (!err) {
		err = child->directory ? listing_is_empty(child) : -ENOTDIR;
		if (err == 0)
			err = -ENOTEMPTY;
		else if (err == 1)
			err = name_remove(child);
		inode_put(child);
	}
	inode_put(parent);
	return err;
}

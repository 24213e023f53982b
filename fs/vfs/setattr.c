/* setattr.c — attributes that callers change, and those that follow from it. Part of vfs.h. */
#include <errno.h>
#include <sys/stat.h>

#include "fs/vfs/inode.h"

/* Attributes alone wait a little: a chmod rarely comes without a chown and a utimes. */
#define ATTRIBUTES_DELAY (200 * NSEC_PER_MSEC)

/* What is earlier or later than can be stored becomes the first or last second that can. */
static int64_t from_timespec(struct timespec time)
{
	int64_t seconds = time.tv_sec;

	if (seconds > ATTRIBUTE_SECONDS_MAX)
		seconds = ATTRIBUTE_SECONDS_MAX;
	if (seconds < -ATTRIBUTE_SECONDS_MAX)
		seconds = -ATTRIBUTE_SECONDS_MAX;
	return seconds * (int64_t)NSEC_PER_SEC + (seconds == time.tv_sec ? time.tv_nsec : 0);
}

/* The bits that go when the file changes hands or content (should_remove_suid). Set-gid without
 * group execution means mandatory locking, not privilege. */
static uint32_t privileges(const struct inode *inode)
{
	uint32_t mode = inode->attributes.mode;

	if (!S_ISREG(mode))
		return 0;
	return (mode & S_ISUID) | (mode & S_IXGRP ? mode & S_ISGID : 0);
}

static void set_attributes(struct inode *inode, const struct stat *values, unsigned which)
{
	struct attributes *attributes = &inode->attributes;
	int64_t now = executor_wall(inode->vfs->env->executor);

	if (which & VFS_SET_MODE)
		attributes->mode = (attributes->mode & S_IFMT) | (values->st_mode & 07777);
	if (which & VFS_SET_UID)
		attributes->uid = values->st_uid;
	if (which & VFS_SET_GID)
		attributes->gid = values->st_gid;
	if (which & VFS_SET_MODE)
		xattr_follow_mode(inode);
	if (which & VFS_CLEAR_SUID)
		attributes->mode &= ~privileges(inode);
	if (which & (VFS_SET_UID | VFS_SET_GID))
		xattr_drop_capability(inode);
	if (which & VFS_SET_ATIME)
		attributes->atime = from_timespec(values->st_atim);
	if (which & VFS_SET_ATIME_NOW)
		attributes->atime = now;
	if (which & VFS_SET_MTIME)
		attributes->mtime = from_timespec(values->st_mtim);
	if (which & VFS_SET_MTIME_NOW)
		attributes->mtime = now;
	attributes->ctime = now;
}

int change_attributes_end(struct inode *inode)
{
	int err;

	change_note(inode, NODE_DIRTY_ATTR);
	err = change_wait(inode, change_journal(inode));
	/* A file that is open for writing takes them along when it is closed. */
	if (!(inode->dirty & NODE_DIRTY_DATA) || inode->writers == 0)
		publish_soon(inode, ATTRIBUTES_DELAY);
	return err;
}

static int change_attributes(struct inode *inode, const struct stat *values, unsigned which)
{
	int err = change_begin(inode, NODE_DIRTY_ATTR);

	if (err)
		return err;
	set_attributes(inode, values, which);
	return change_attributes_end(inode);
}

/* The root has no key: its attributes are this node's, kept in the journal. */
static int change_root(struct inode *root, const struct stat *values, unsigned which)
{
	set_attributes(root, values, which);
	return change_wait(root, change_journal(root));
}

int vfs_drop_privileges(struct vfs *vfs, uint64_t ino)
{
	static const struct stat none;
	struct inode *inode = inode_find(vfs, ino);
	int err = 0;

	if (!inode)
		return -ESTALE;
	if (privileges(inode))
		err = change_attributes(inode, &none, VFS_CLEAR_SUID);
	inode_put(inode);
	return err;
}

int vfs_setattr(struct vfs *vfs, uint64_t ino, struct vfs_handle *handle, const struct stat *values,
		unsigned which, struct stat *out)
{
	struct inode *inode = inode_find(vfs, ino);
	unsigned rest;
	int err = 0;

	if (!inode)
		return -ESTALE;
	if (vfs->config.read_only)
		err = -EROFS;
	if (!err && !inode->attributes_known && !inode_is_local(inode))
		err = remote_refresh(inode);
	if (!err && (which & VFS_SET_SIZE)) {
		err = inode->directory ? -EISDIR : file_revalidate(inode, -1);
		if (!err && handle && !handle_is_current(handle))
			err = -ESTALE;
		if (!err)
			err = file_truncate(inode, (uint64_t)values->st_size);
	}
	rest = which & ~(unsigned)(VFS_SET_SIZE | (privileges(inode) ? 0 : VFS_CLEAR_SUID));
	if (!err && rest && inode == vfs->root)
		err = change_root(inode, values, rest);
	else if (!err && rest)
		err = change_attributes(inode, values, rest);
	/* truncate(2) has no close after it that would publish. */
	if (!err && (which & VFS_SET_SIZE) && !handle && inode->writers == 0)
		err = file_settle(inode, vfs->config.close, JOURNAL_COMMITTED);
	if (!err)
		inode_stat(inode, out);
	inode_put(inode);
	return err;
}

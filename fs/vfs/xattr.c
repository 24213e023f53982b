/* xattr.c — extended attributes: those of files, kept in the object's metadata, and those that say
 * what became of a file (user.s3mount.*, state.c). Part of vfs.h.
 *
 * The kernel asks for security.capability before it lets a file run, and on old kernels before each
 * write: what is known is answered without a request.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/vfs/acl.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/xattr_codec.h"

#define CAPABILITY "security.capability"
#define LABEL	   "security.selinux"
#define TRUSTED	   "trusted."

static bool is_acl(const char *name)
{
	return strcmp(name, ACL_ACCESS) == 0 || strcmp(name, ACL_DEFAULT) == 0;
}

/* Of the names that Linux knows; it passes on all others as well. */
static int check_name(const struct vfs *vfs, const char *name)
{
	static const char *const spaces[] = {"user.", TRUSTED, "security."};

	if (is_acl(name))
		return vfs->config.acl ? 0 : -EOPNOTSUPP;
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		if (string_has_prefix(name, spaces[i]))
			return name[strlen(spaces[i])] ? 0 : -EINVAL;
	return -EOPNOTSUPP;
}

static int find(struct vfs *vfs, uint64_t ino, struct inode **out)
{
	struct inode *inode = inode_find(vfs, ino);
	int err = 0;

	if (!inode)
		return -ESTALE;
	if (!inode->attributes_known && !inode_is_local(inode))
		err = remote_refresh(inode);
	if (err)
		inode_put(inode);
	else
		*out = inode;
	return err;
}

static int load(const struct inode *inode, struct xattr_set *set)
{
	return xattr_decode(os_meta_get(&inode->meta, META_XATTR), set);
}

static bool has(const struct inode *inode, const char *name)
{
	struct xattr_set set = {NULL, 0};
	bool found = os_meta_get(&inode->meta, META_XATTR) && load(inode, &set) == 0 &&
		     xattr_set_find(&set, name);

	xattr_set_free(&set);
	return found;
}

static ssize_t give(const void *from, size_t len, void *to, size_t size)
{
	if (size == 0)
		return (ssize_t)len;
	if (len > size)
		return -ERANGE;
	if (len)
		memcpy(to, from, len);
	return (ssize_t)len;
}

static ssize_t get_state(struct inode *inode, const char *name, void *value, size_t size)
{
	struct buf text = BUF_INIT;
	ssize_t got = state_get(inode, name, &text);

	if (!got)
		got = text.failed ? -ENOMEM : give(buf_str(&text), text.len, value, size);
	buf_free(&text);
	return got;
}

static ssize_t get(struct inode *inode, const char *name, void *value, size_t size)
{
	struct xattr_set set = {NULL, 0};
	const struct xattr *found;
	ssize_t got;

	if (string_has_prefix(name, STATE_PREFIX))
		return get_state(inode, name, value, size);
	/* What is not in our format is somebody's else: for us there is nothing. */
	got = load(inode, &set);
	if (got == -EINVAL)
		got = 0;
	if (!got) {
		found = xattr_set_find(&set, name);
		/* ls -l asks for the label of each file, unless it is told that there are none. */
		got = found			 ? give(found->value, found->len, value, size)
		      : strcmp(name, LABEL) == 0 ? -EOPNOTSUPP
						 : -ENODATA;
	}
	xattr_set_free(&set);
	return got;
}

ssize_t vfs_getxattr(struct vfs *vfs, uint64_t ino, const char *name, void *value, size_t size)
{
	struct inode *inode;
	ssize_t got = check_name(vfs, name);

	if (!got)
		got = find(vfs, ino, &inode);
	if (got)
		return got;
	got = get(inode, name, value, size);
	inode_put(inode);
	return got;
}

ssize_t vfs_listxattr(struct vfs *vfs, struct vfs_caller caller, uint64_t ino, char *list,
		      size_t size)
{
	struct xattr_set set = {NULL, 0};
	struct buf names = BUF_INIT;
	struct inode *inode;
	ssize_t got = find(vfs, ino, &inode);

	if (got)
		return got;
	got = load(inode, &set);
	if (got == -EINVAL)
		got = 0;
	for (size_t i = 0; i < set.count; i++) {
		const char *name = set.items[i].name;

		/* Of trusted ones the kernel hides the values from everybody else (xattr(7)), not
		 * the names. Others may have stored ours. */
		if ((caller.uid != 0 && string_has_prefix(name, TRUSTED)) ||
		    string_has_prefix(name, STATE_PREFIX) || (is_acl(name) && !vfs->config.acl))
			continue;
		buf_append(&names, name, strlen(name) + 1);
	}
	if (!got)
		got = names.failed ? -ENOMEM : give(buf_str(&names), names.len, list, size);
	buf_free(&names);
	xattr_set_free(&set);
	inode_put(inode);
	return got;
}

/* A change of one attribute; value NULL removes. */
struct change {
	const char *name;
	const void *value;
	size_t len;
	int flags;
	bool sets_mode;
	uint32_t mode; /* permission bits, of an access ACL */
};

/* An ACL that says no more than a mode does is one (posix_acl_update_mode, fs/posix_acl.c of
 * Linux); of any other the mode shows what it can. */
static int take_acl(struct change *change)
{
	bool minimal;
	int err;

	if (!change->value || strcmp(change->name, ACL_ACCESS) != 0)
		return 0;
	err = acl_to_mode(change->value, change->len, &change->mode, &minimal);
	change->sets_mode = !err;
	if (minimal && !err)
		change->value = NULL;
	return err;
}

static int apply(const struct change *change, struct xattr_set *set)
{
	bool there = xattr_set_find(set, change->name) != NULL;

	if (there && (change->flags & XATTR_CREATE))
		return -EEXIST;
	/* To remove an ACL that is not there is no error. */
	if (!there &&
	    ((change->flags & XATTR_REPLACE) || (!change->value && !is_acl(change->name))))
		return -ENODATA;
	if (change->value)
		return xattr_set_put(set, change->name, change->value, change->len);
	xattr_set_remove(set, change->name);
	return 0;
}

/* All user metadata together must fit, with attributes as long as they can get, or a later chown
 * would make the file too large to publish. */
static int check_room(const struct inode *inode, const char *text)
{
	enum { CONFLICT_ROOM = 160 };
	struct attributes longest = {
		.mode = S_IFREG | 07777,
		.uid = UINT32_MAX - 1,
		.gid = UINT32_MAX - 1,
		.rdev = inode->attributes.rdev ? UINT32_MAX : 0,
		.atime = INT64_MAX,
	};
	struct os_meta meta = OS_META_INIT;
	int err = os_meta_copy(&meta, &inode->meta);

	longest.mtime = longest.ctime = longest.atime;
	if (!err)
		err = os_meta_set(&meta, META_XATTR, text);
	if (!err)
		err = os_meta_set(&meta, META_PUT_ID, "0123456789abcdef0123456789abcdef");
	if (!err)
		err = attributes_encode(&longest, &meta);
	if (err == -E2BIG || (!err && os_meta_bytes(&meta) > OS_META_BYTES_MAX - CONFLICT_ROOM))
		err = -ENOSPC;
	os_meta_free(&meta);
	return err;
}

/* The item's new value; "" for none. */
static int compute(const struct inode *inode, const struct change *change, struct buf *text)
{
	struct xattr_set set = {NULL, 0};
	int err = load(inode, &set);

	/* What we cannot read would be lost. */
	if (err == -EINVAL)
		err = -EIO;
	if (!err)
		err = apply(change, &set);
	if (!err) {
		buf_reset(text);
		xattr_encode(&set, text);
		err = text->failed ? -ENOMEM : 0;
	}
	if (!err && change->value)
		err = check_room(inode, buf_str(text));
	xattr_set_free(&set);
	return err;
}

static int change_now(struct inode *inode, const struct change *change, const struct buf *text)
{
	int err = os_meta_set(&inode->meta, META_XATTR, text->len ? buf_str(text) : NULL);

	if (err)
		return err;
	if (change->sets_mode)
		inode->attributes.mode = (inode->attributes.mode & ~0777u) | change->mode;
	inode_touch(inode, false);
	return 0;
}

/* cp sets the mode once more in the shape of an ACL; and removes one that is not there. */
static bool is_no_change(const struct inode *inode, const struct change *change)
{
	return is_acl(change->name) && !change->value && !has(inode, change->name) &&
	       (!change->sets_mode || (inode->attributes.mode & 0777) == change->mode);
}

static int change_one(struct inode *inode, struct change *change)
{
	struct buf text = BUF_INIT;
	bool root = inode == inode->vfs->root;
	int err = inode->vfs->config.read_only ? -EROFS : 0;

	if (!err && string_has_prefix(change->name, STATE_PREFIX))
		err = -EPERM;
	if (!err)
		err = take_acl(change);
	if (!err && is_no_change(inode, change))
		return 0;
	/* First to see whether it can be done: only then the file becomes dirty. That may wait, so
	 * it is computed again after it. */
	if (!err)
		err = compute(inode, change, &text);
	if (!err && !root)
		err = change_begin(inode, NODE_DIRTY_ATTR);
	if (!err)
		err = compute(inode, change, &text);
	if (!err)
		err = change_now(inode, change, &text);
	buf_free(&text);
	if (err)
		return err;
	return root ? change_wait(inode, change_journal(inode)) : change_attributes_end(inode);
}

static int change_named(struct vfs *vfs, uint64_t ino, struct change *change)
{
	struct inode *inode;
	int err = check_name(vfs, change->name);

	if (!err)
		err = find(vfs, ino, &inode);
	if (err)
		return err;
	err = change_one(inode, change);
	inode_put(inode);
	return err;
}

int vfs_setxattr(struct vfs *vfs, uint64_t ino, const char *name, const void *value, size_t len,
		 int flags)
{
	struct change change = {.name = name, .value = value, .len = len, .flags = flags};

	return change_named(vfs, ino, &change);
}

int vfs_removexattr(struct vfs *vfs, uint64_t ino, const char *name)
{
	struct change change = {.name = name};

	return change_named(vfs, ino, &change);
}

bool xattr_grants_capability(const struct inode *inode)
{
	return has(inode, CAPABILITY);
}

/* Stays as it was when memory is short or what is there cannot be read. */
void xattr_drop_capability(struct inode *inode)
{
	const struct change change = {.name = CAPABILITY};
	struct buf text = BUF_INIT;

	if (has(inode, CAPABILITY) && compute(inode, &change, &text) == 0)
		os_meta_set(&inode->meta, META_XATTR, text.len ? buf_str(&text) : NULL);
	buf_free(&text);
}

void xattr_follow_mode(struct inode *inode)
{
	struct xattr_set set = {NULL, 0};
	const struct xattr *acl;
	struct buf text = BUF_INIT;

	if (!has(inode, ACL_ACCESS) || load(inode, &set))
		return;
	acl = xattr_set_find(&set, ACL_ACCESS);
	if (acl && acl_set_mode(acl->value, acl->len, inode->attributes.mode)) {
		xattr_encode(&set, &text);
		if (!text.failed)
			os_meta_set(&inode->meta, META_XATTR, buf_str(&text));
	}
	buf_free(&text);
	xattr_set_free(&set);
}

/* The ACLs of what is made in a directory that has a default ACL. */
static int inherit(const struct xattr *given, struct inode *child, struct xattr_set *set)
{
	uint32_t mode = child->attributes.mode, shown;
	void *value = malloc(given->len + 1);
	bool minimal = true;
	int err = value ? 0 : -ENOMEM;

	if (!err)
		memcpy(value, given->value, given->len);
	if (!err && acl_inherit(value, given->len, &mode)) {
		child->attributes.mode = mode;
		err = acl_to_mode(value, given->len, &shown, &minimal);
	}
	if (!err && !minimal)
		err = xattr_set_put(set, ACL_ACCESS, value, given->len);
	if (!err && child->directory)
		err = xattr_set_put(set, ACL_DEFAULT, given->value, given->len);
	free(value);
	return err;
}

int xattr_inherit(struct inode *child, const struct inode *parent, uint32_t umask)
{
	struct xattr_set of_parent = {NULL, 0}, set = {NULL, 0};
	const struct xattr *given = NULL;
	struct buf text = BUF_INIT;
	int err = 0;

	if (parent->vfs->config.acl && has(parent, ACL_DEFAULT) && load(parent, &of_parent) == 0)
		given = xattr_set_find(&of_parent, ACL_DEFAULT);
	if (!given)
		child->attributes.mode &= ~umask;
	else
		err = inherit(given, child, &set);
	if (!err && set.count > 0) {
		xattr_encode(&set, &text);
		err = text.failed ? -ENOMEM : check_room(child, buf_str(&text));
		if (!err)
			err = os_meta_set(&child->meta, META_XATTR, buf_str(&text));
	}
	buf_free(&text);
	xattr_set_free(&set);
	xattr_set_free(&of_parent);
	return err;
}

#include "fs/vfs/inode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "fs/vfs/key.h"

enum {
	INODES_MAX = 500000, /* known names; about 600 bytes each */
};

static struct directory *directory_new(void)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return NULL;
	directory->children = map_create();
	if (!directory->children) {
		free(directory);
		return NULL;
	}
	wait_queue_init(&directory->listed);
	return directory;
}

struct inode *inode_new_numbered(struct vfs *vfs, uint64_t ino, uint32_t mode)
{
	struct inode *inode = calloc(1, sizeof(*inode));

	if (!inode)
		return NULL;
	if (S_ISDIR(mode)) {
		inode->directory = directory_new();
		if (!inode->directory)
			goto fail;
	}
	inode->ino = ino;
	inode->vfs = vfs;
	inode->attributes.mode = mode;
	inode->order_index = SIZE_MAX;
	inode->busy = 1;
	list_init(&inode->dirty_link);
	wait_queue_init(&inode->published);
	if (map_put_u64(vfs->inodes, ino, inode, NULL))
		goto fail;
	return inode;
fail:
	if (inode->directory) {
		map_destroy(inode->directory->children);
		free(inode->directory);
	}
	free(inode);
	return NULL;
}

/* FNV-1a, 64 bits, of the parent's number and the name. */
static uint64_t path_number(uint64_t parent, const char *name)
{
	uint64_t value = UINT64_C(0xcbf29ce484222325);

	for (int shift = 0; shift < 64; shift += 8)
		value = (value ^ (parent >> shift & 0xff)) * UINT64_C(0x100000001b3);
	for (; *name; name++)
		value = (value ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return value;
}

struct inode *inode_new(struct inode *parent, const char *name, uint32_t mode)
{
	struct vfs *vfs = parent->vfs;
	uint64_t ino = path_number(parent->ino, name);

	/* Taken: by a file that had this name before it was renamed, or by chance. */
	while (ino <= VFS_ROOT || map_get_u64(vfs->inodes, ino))
		ino = path_number(ino, name);
	return inode_new_numbered(vfs, ino, mode);
}

struct inode *inode_find(struct vfs *vfs, uint64_t ino)
{
	struct inode *inode = map_get_u64(vfs->inodes, ino);

	return inode ? inode_get(inode) : NULL;
}

struct inode *inode_get(struct inode *inode)
{
	inode->busy++;
	return inode;
}

static void drop_etag(struct inode *inode)
{
	if (inode->etag != inode->usual_etag)
		free(inode->etag);
	inode->etag = NULL;
}

static void inode_free(struct inode *inode)
{
	CHECK(!inode_is_dirty(inode) && !inode->publishing && !inode->stream);
	map_remove_u64(inode->vfs->inodes, inode->ino);
	if (inode->content)
		content_abandon(inode->content, false);
	if (inode->directory) {
		map_destroy(inode->directory->children);
		map_destroy(inode->directory->removed);
		free(inode->directory->absent);
		free(inode->directory->unseen);
		free(inode->directory->order);
		free(inode->directory);
	}
	os_meta_free(&inode->meta);
	os_meta_free(&inode->headers);
	free(inode->content_type);
	free(inode->failure_text);
	free(inode->target);
	drop_etag(inode);
	free(inode->name);
	free(inode);
}

void inode_put(struct inode *inode)
{
	CHECK(inode->busy > 0);
	inode->busy--;
	if (inode->busy || inode->nlookup || inode->parent || inode == inode->vfs->root)
		return;
	if (inode->directory && map_count(inode->directory->children) > 0)
		return;
	inode_free(inode);
}

struct inode *inode_child(const struct inode *parent, const char *name)
{
	return map_get(parent->directory->children, name);
}

struct inode *inode_below(struct inode *inode, const char *relative)
{
	char name[NAME_BYTES_MAX + 1];

	while (*relative) {
		const char *slash = strchr(relative, '/');
		size_t len = slash ? (size_t)(slash - relative) : strlen(relative);

		if (len == 0 || len > NAME_BYTES_MAX || !inode->directory)
			return NULL;
		memcpy(name, relative, len);
		name[len] = '\0';
		inode = inode_child(inode, name);
		/* "a" and "a/" are two keys, and one name */
		if (!inode || (inode->directory != NULL) != (slash != NULL))
			return NULL;
		relative += len + (slash ? 1 : 0);
	}
	return inode;
}

struct inode *inode_at_key(struct vfs *vfs, const char *key)
{
	return inode_below(vfs->root, key + strlen(vfs->config.prefix));
}

bool inode_is_only_here(const struct inode *directory)
{
	return directory->remote == REMOTE_ABSENT && directory != directory->vfs->root &&
	       !directory->resolve_first;
}

/* Out of memory here means that a name may show for the attribute time longer. */
static void note_removed(struct directory *directory, const char *name)
{
	if (!directory->listing)
		return;
	if (!directory->removed)
		directory->removed = map_create();
	if (directory->removed)
		map_put(directory->removed, name, directory, NULL);
}

void inode_unlink(struct inode *inode)
{
	struct inode *parent = inode->parent;

	if (!parent)
		return;
	CHECK(map_remove(parent->directory->children, inode->name) == inode);
	if (inode->order_index < parent->directory->order_count &&
	    parent->directory->order[inode->order_index] == inode)
		parent->directory->order[inode->order_index] = NULL;
	inode->order_index = SIZE_MAX;
	inode->parent = NULL;
	note_removed(parent->directory, inode->name);
	/* A directory that was only kept by its children may go now. */
	inode_put(inode_get(parent));
}

int inode_move(struct inode *inode, struct inode *parent, const char *name)
{
	char *copy = string_copy(name);

	CHECK(!inode_child(parent, name));
	if (!copy || map_put(parent->directory->children, copy, inode, NULL)) {
		free(copy);
		return -ENOMEM;
	}
	inode_unlink(inode);
	free(inode->name);
	inode->name = copy;
	inode->parent = parent;
	return 0;
}

/* inode takes the place that one of another name leaves. */
static void take_place(struct inode *inode, struct inode *parent, char *name, size_t order_index)
{
	struct directory *directory = parent->directory;

	CHECK(map_put(directory->children, name, inode, NULL) == 0); /* the name is there already */
	if (order_index < directory->order_count)
		directory->order[order_index] = inode;
	inode->parent = parent;
	inode->name = name;
	inode->order_index = order_index;
}

void inode_exchange(struct inode *one, struct inode *other)
{
	struct inode *parent = one->parent;
	char *name = one->name;
	size_t order_index = one->order_index;

	take_place(one, other->parent, other->name, other->order_index);
	take_place(other, parent, name, order_index);
	one->changed = other->changed = parent->changed = one->parent->changed = ++one->vfs->change;
}

int inode_link(struct inode *inode, struct inode *parent, const char *name)
{
	CHECK(!inode->parent);
	return inode_move(inode, parent, name);
}

void inode_vanish(struct inode *inode)
{
	inode_get(inode);
	inode_unlink(inode);
	/* A row that stayed could meet one of a new file with this name at the next mount. */
	if (inode->persisted && !inode_is_dirty(inode)) {
		journal_drop_node(inode->vfs->env->journal, inode->ino);
		inode->persisted = false;
	}
	inode_put(inode);
}

void inode_move_to_key(struct inode *inode, const char *key)
{
	const char *name = key_name(key);
	char *directory = strndup(key, (size_t)(name - key));
	struct inode *parent = directory ? inode_at_key(inode->vfs, directory) : NULL;

	free(directory);
	if (!parent || inode_child(parent, name) || inode_move(inode, parent, name))
		inode_vanish(inode);
}

static int put_path(const struct inode *inode, struct buf *key, int depth)
{
	int err;

	if (!inode->parent)
		return inode == inode->vfs->root ? 0 : -ENOENT;
	if (depth > OS_KEY_MAX)
		return -ENAMETOOLONG;
	err = put_path(inode->parent, key, depth + 1);
	if (err)
		return err;
	buf_puts(key, inode->name);
	if (inode->directory)
		buf_putc(key, '/');
	return 0;
}

static int finish_key(struct buf *key, char **out)
{
	if (key->len > OS_KEY_MAX) {
		buf_free(key);
		return -ENAMETOOLONG;
	}
	*out = buf_steal(key);
	return *out ? 0 : -ENOMEM;
}

int inode_key(const struct inode *inode, char **out)
{
	struct buf key = BUF_INIT;
	int err;

	buf_puts(&key, inode->vfs->config.prefix);
	err = put_path(inode, &key, 0);
	if (err) {
		buf_free(&key);
		return err;
	}
	return finish_key(&key, out);
}

int inode_child_key(const struct inode *parent, const char *name, bool directory, char **out)
{
	struct buf key = BUF_INIT;
	int err;

	buf_puts(&key, parent->vfs->config.prefix);
	err = put_path(parent, &key, 0);
	if (err) {
		buf_free(&key);
		return err;
	}
	buf_puts(&key, name);
	if (directory)
		buf_putc(&key, '/');
	return finish_key(&key, out);
}

uint64_t inode_size(const struct inode *inode)
{
	if (S_ISLNK(inode->attributes.mode) && inode->target)
		return strlen(inode->target);
	return inode->content ? inode->content->size : inode->size;
}

static struct timespec to_timespec(int64_t ns)
{
	int64_t sec = ns / (int64_t)NSEC_PER_SEC, rest = ns % (int64_t)NSEC_PER_SEC;

	if (rest < 0) {
		sec--;
		rest += (int64_t)NSEC_PER_SEC;
	}
	return (struct timespec){.tv_sec = sec, .tv_nsec = rest};
}

void inode_stat(const struct inode *inode, struct stat *out)
{
	uint64_t size = inode->directory ? 4096 : inode_size(inode);

	*out = (struct stat){
		.st_ino = inode->ino,
		.st_mode = inode->attributes.mode,
		.st_nlink = inode->parent || inode == inode->vfs->root ? 1 : 0,
		.st_uid = inode->attributes.uid,
		.st_gid = inode->attributes.gid,
		.st_rdev = (dev_t)inode->attributes.rdev,
		.st_size = (off_t)size,
		.st_blksize = 4096,
		.st_blocks = (blkcnt_t)((size + 511) / 512),
		.st_atim = to_timespec(inode->attributes.atime),
		.st_mtim = to_timespec(inode->attributes.mtime),
		.st_ctim = to_timespec(inode->attributes.ctime),
	};
}

bool inode_is_dirty(const struct inode *inode)
{
	return (inode->dirty | inode->dirty_frozen) != 0;
}

bool inode_is_local(const struct inode *inode)
{
	return inode_is_dirty(inode) || inode->publishing || inode->remote == REMOTE_ABSENT;
}

bool inode_holds_local(const struct inode *inode)
{
	size_t position = 0;
	void *value;

	if (inode_is_local(inode))
		return true;
	while (inode->directory &&
	       map_next(inode->directory->children, &position, NULL, NULL, &value))
		if (inode_holds_local(value))
			return true;
	return false;
}

void inode_set_etag(struct inode *inode, const char *etag)
{
	size_t size = etag ? strlen(etag) + 1 : 0;
	char *copy = NULL;

	if (size > sizeof(inode->usual_etag))
		copy = string_copy(etag);
	else if (size > 1)
		copy = memmove(inode->usual_etag, etag, size);
	if (copy != inode->etag)
		drop_etag(inode);
	inode->etag = copy;
}

void inode_drop_content(struct inode *inode)
{
	struct content *content = inode->content;

	if (!content)
		return;
	CHECK(!(inode_is_dirty(inode) && content_is_dirty(content)));
	inode->size = content->size;
	inode->content = NULL;
	content_abandon(content, false);
	if (inode->persisted && !inode_is_dirty(inode)) {
		journal_drop_node(inode->vfs->env->journal, inode->ino);
		inode->persisted = false;
	}
}

void inode_touch(struct inode *inode, bool mtime)
{
	inode->attributes.ctime = executor_wall(inode->vfs->env->executor);
	if (mtime)
		inode->attributes.mtime = inode->attributes.ctime;
}

bool vfs_is_fresh(const struct vfs *vfs, uint64_t when)
{
	return when != 0 && env_now(vfs->env) - when < vfs->config.attr_timeout;
}

static bool is_reclaimable(const struct inode *inode)
{
	return inode->parent && !inode->nlookup && !inode->busy && !inode->persisted &&
	       !inode->content && !inode_is_local(inode) &&
	       !(inode->directory && map_count(inode->directory->children) > 0);
}

void inodes_reclaim(struct vfs *vfs)
{
	size_t position = 0;
	void *value;

	if (map_count(vfs->inodes) <= INODES_MAX)
		return;
	while (map_next(vfs->inodes, &position, NULL, NULL, &value)) {
		struct inode *inode = value;

		if (!is_reclaimable(inode))
			continue;
		inode->parent->directory->listed_at = 0;
		inode_get(inode);
		inode_unlink(inode);
		inode_put(inode);
	}
}

bool inode_is_ancestor(const struct inode *ancestor, const struct inode *inode)
{
	for (; inode; inode = inode->parent)
		if (inode == ancestor)
			return true;
	return false;
}

bool inode_is_frozen(const struct inode *inode)
{
	for (; inode; inode = inode->parent)
		if (inode->directory && inode->directory->frozen)
			return true;
	return false;
}

bool inode_has_moved(const struct inode *inode, const char *key)
{
	bool moved;
	char *now;

	if (inode_is_frozen(inode))
		return true;
	if (inode_key(inode, &now))
		return false;
	moved = strcmp(now, key) != 0;
	free(now);
	return moved;
}

void inode_wait_thawed(struct inode *inode)
{
	while (inode_is_frozen(inode))
		fiber_wait(&inode->vfs->thawed, DEADLINE_NONE, WAIT_PLAIN);
}

void inode_enter(struct inode *directory)
{
	inode_enter_two(directory, directory);
}

void inode_enter_two(struct inode *one, struct inode *two)
{
	while (inode_is_frozen(one) || inode_is_frozen(two))
		fiber_wait(&one->vfs->thawed, DEADLINE_NONE, WAIT_PLAIN);
	one->directory->entered++;
	if (two != one)
		two->directory->entered++;
}

void inode_leave(struct inode *directory)
{
	directory->directory->entered--;
	wait_wake_all(&directory->vfs->thawed);
}

/* lookup.c — names, attributes and directory streams. Part of vfs.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/key.h"

enum {
	/* Lookups that cost a request before the whole directory is listed instead; large
	   directories need more. */
	MISSES_MIN = 3,
	MISSES_PER_ENTRIES = 250,
	WALK_ENTRIES = 1000, /* what one request lists */
	/* Attributes that are asked for ahead of a reader who goes through a directory in order. */
	PREFETCH = 128,
};

static struct inode *find_directory(struct vfs *vfs, uint64_t ino, int *err)
{
	struct inode *inode = inode_find(vfs, ino);

	*err = !inode ? -ESTALE : inode->directory ? 0 : -ENOTDIR;
	if (*err && inode) {
		inode_put(inode);
		inode = NULL;
	}
	return inode;
}

static bool is_confirmed(const struct inode *inode)
{
	return inode_is_local(inode) ||
	       (inode->attributes_known && vfs_is_fresh(inode->vfs, inode->confirmed_at));
}

/* A listing instead of one more request for one name. Of a small directory it is one request, and
 * on a walk the neighbours will be asked for as well. */
static bool listing_pays(const struct inode *parent)
{
	const struct directory *directory = parent->directory;

	return directory->misses >= MISSES_MIN + directory->listed_count / MISSES_PER_ENTRIES ||
	       (directory->listed_count <= WALK_ENTRIES && walk_is_on(parent->vfs));
}

/* A child whose attributes are not known although the directory has just been listed: who asks for
 * one will ask for its neighbours. */
static int read_attributes(struct inode *parent, struct inode *child)
{
	if (child->order_index != SIZE_MAX &&
	    (parent->directory->misses++ > 0 || walk_is_on(parent->vfs)))
		listing_prefetch(parent, child->order_index, PREFETCH);
	return child->attributes_asked ? listing_await_attributes(child) : remote_refresh(child);
}

/* A create asks for its name twice: the kernel's lookup, and the create itself. */
static bool is_known_absent(const struct inode *parent, const char *name)
{
	const struct directory *directory = parent->directory;

	return directory->absent && strcmp(directory->absent, name) == 0 &&
	       vfs_is_fresh(parent->vfs, directory->absent_at);
}

static void note_absent(struct inode *parent, const char *name, uint64_t asked)
{
	free(parent->directory->absent);
	parent->directory->absent = string_copy(name);
	parent->directory->absent_at = asked;
}

/* P6: while S3 is away, a directory that was listed before is as it was then; so new files can be
 * made, and their condition (If-None-Match) guards what we could not see. */
static int resolve_unknown(struct inode *parent, const char *name, struct inode **out)
{
	struct env *env = parent->vfs->env;
	uint64_t asked = env_now(env);
	bool listed = parent->directory->listed_at != 0;
	int err;

	if (is_known_absent(parent, name))
		return -ENOENT;
	err = listed && env_is_away(env) ? -EHOSTUNREACH : remote_resolve(parent, name, out);
	if (err == -ENOENT)
		note_absent(parent, name, asked);
	return err && err != -ENOENT && listed && env_is_away(env) ? -ENOENT : err;
}

/* The child, confirmed within the attribute time; takes a busy reference. named: its version alone,
 * which a listing confirms, not its attributes. */
static int find_child(struct inode *parent, const char *name, bool named, struct inode **out)
{
	struct directory *directory = parent->directory;
	struct inode *child;
	int err = key_check_name(name);

	if (err)
		return err;
	for (int turn = 0;; turn++) {
		child = inode_child(parent, name);
		if (child && is_confirmed(child))
			break;
		if (vfs_is_fresh(parent->vfs, directory->listed_at) || turn > 1) {
			if (!child)
				return -ENOENT;
			if (named && child->confirmed_at > 0)
				break;
			inode_get(child);
			err = read_attributes(parent, child);
			inode_put(child);
			break;
		}
		if (inode_is_only_here(parent)) {
			directory->listed_at = env_now(parent->vfs->env);
			continue;
		}
		if (!child && is_known_absent(parent, name))
			return -ENOENT;
		directory->misses++;
		if (listing_pays(parent)) {
			err = listing_refresh(parent);
			walk_note(parent, false);
			if (!err)
				continue;
			/* P6: what is known of the name is served while S3 is away. */
			child = inode_child(parent, name);
			if (!child || !child->attributes_known)
				return err;
			err = 0;
			break;
		}
		if (!child)
			return resolve_unknown(parent, name, out);
		inode_get(child);
		err = remote_refresh(child);
		if (err == -ENOENT && child->parent && !inode_is_local(child)) {
			inode_vanish(child);
			inode_put(child);
			return remote_resolve(parent, name, out); /* another type, perhaps */
		}
		inode_put(child);
		break;
	}
	if (err)
		return err;
	child = inode_child(parent, name);
	if (!child)
		return -ENOENT;
	*out = inode_get(child);
	return 0;
}

int vfs_find(struct inode *parent, const char *name, struct inode **out)
{
	return find_child(parent, name, false, out);
}

int vfs_find_named(struct inode *parent, const char *name, struct inode **out)
{
	return find_child(parent, name, true, out);
}

int vfs_lookup(struct vfs *vfs, struct vfs_caller caller, uint64_t parent_ino, const char *name,
	       struct stat *out)
{
	struct recent_lookup *recent = &vfs->recent[(uint32_t)caller.pid % RECENT_LOOKUPS];
	uint64_t started = env_now(vfs->env);
	struct inode *parent, *child;
	int err;

	parent = find_directory(vfs, parent_ino, &err);
	if (!parent)
		return err;
	/* What was in it when others removed it, or a directory above, is not there any more,
	 * however fresh. */
	err = inode_is_ancestor(vfs->root, parent) ? vfs_find(parent, name, &child) : -ENOENT;
	if (err == -EINVAL)
		err = -ENOENT;
	if (!err) {
		inode_stat(child, out);
		child->nlookup++;
		*recent = (struct recent_lookup){0, 0, 0};
		if (child->confirmed_at >= started)
			*recent = (struct recent_lookup){caller.pid, child->ino, env_now(vfs->env)};
		inode_put(child);
	}
	inode_put(parent);
	return err;
}

void vfs_forget(struct vfs *vfs, uint64_t ino, uint64_t count)
{
	struct inode *inode = inode_find(vfs, ino);

	if (!inode)
		return;
	inode->nlookup = count < inode->nlookup ? inode->nlookup - count : 0;
	inode_put(inode);
}

int vfs_getattr(struct vfs *vfs, uint64_t ino, struct stat *out)
{
	struct inode *inode = inode_find(vfs, ino);
	int err = 0;

	if (!inode)
		return -ESTALE;
	/* What is open or has lost its name is what we have. */
	if (!is_confirmed(inode) && inode->parent && inode->opens == 0)
		err = remote_refresh(inode);
	if (err == -ENOENT)
		err = inode->opens ? 0 : -ENOENT;
	if (!err)
		inode_stat(inode, out);
	inode_put(inode);
	return err;
}

/* An open directory: the names as they were when it was opened or rewound. */
struct vfs_directory {
	struct inode *inode;
	struct inode **entries; /* busy references */
	size_t count;
	size_t asked; /* attributes have been asked for up to here */
	bool loaded;
};

static void drop_entries(struct vfs_directory *directory)
{
	for (size_t i = 0; i < directory->count; i++)
		inode_put(directory->entries[i]);
	free(directory->entries);
	directory->entries = NULL;
	directory->count = directory->asked = 0;
	directory->loaded = false;
}

static int compare_entries(const void *a, const void *b)
{
	const struct inode *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

static int load_entries(struct vfs_directory *directory)
{
	struct inode *inode = directory->inode;
	size_t position = 0;
	void *value;
	int err = 0;

	drop_entries(directory);
	if (!vfs_is_fresh(inode->vfs, inode->directory->listed_at))
		err = listing_refresh(inode);
	if (err)
		return err;
	walk_note(inode, true);
	directory->entries = calloc(map_count(inode->directory->children) + 1, sizeof(void *));
	if (!directory->entries)
		return -ENOMEM;
	while (map_next(inode->directory->children, &position, NULL, NULL, &value))
		directory->entries[directory->count++] = inode_get(value);
	if (directory->count > 0)
		qsort(directory->entries, directory->count, sizeof(void *), compare_entries);
	directory->loaded = true;
	return 0;
}

int vfs_opendir(struct vfs *vfs, uint64_t ino, struct vfs_directory **out)
{
	struct vfs_directory *directory = calloc(1, sizeof(*directory));
	int err;

	if (!directory)
		return -ENOMEM;
	directory->inode = find_directory(vfs, ino, &err);
	if (!directory->inode) {
		free(directory);
		return err;
	}
	directory->inode->opens++;
	*out = directory;
	return 0;
}

void vfs_releasedir(struct vfs_directory *directory)
{
	drop_entries(directory);
	directory->inode->opens--;
	inode_put(directory->inode);
	free(directory);
}

/* Keeps PREFETCH attribute requests under way ahead of the reader. */
static void prefetch_entries(struct vfs_directory *directory, size_t index)
{
	if (index + PREFETCH / 2 < directory->asked)
		return;
	for (; directory->asked < directory->count && directory->asked < index + PREFETCH;
	     directory->asked++) {
		struct inode *child = directory->entries[directory->asked];

		if (!is_confirmed(child) && child->order_index != SIZE_MAX)
			listing_prefetch(directory->inode, child->order_index, 1);
	}
}

/* A symlink's or special file's object is small: what is larger can only be a regular file. */
static uint32_t known_type(const struct inode *inode)
{
	enum { SMALL_OBJECT = 4096 };

	if (inode->directory || inode->attributes_known || inode_is_local(inode) ||
	    inode->remote_size > SMALL_OBJECT)
		return inode->attributes.mode & S_IFMT;
	return 0;
}

int vfs_readdir(struct vfs_directory *directory, uint64_t position, bool plus,
		struct vfs_dirent *out, bool *more)
{
	struct inode *inode = directory->inode, *child;
	int err = 0;

	out->counted = false;
	if (position < 2) {
		if (position == 0)
			drop_entries(directory);
		out->name = position == 0 ? "." : "..";
		child = position == 1 && inode->parent ? inode->parent : inode;
		inode_stat(child, &out->attributes);
		*more = true;
		return 0;
	}
	if (!directory->loaded)
		err = load_entries(directory);
	*more = !err && position - 2 < directory->count;
	if (!*more)
		return err;
	child = directory->entries[position - 2];
	out->name = child->name;
	out->attributes = (struct stat){.st_ino = child->ino, .st_mode = known_type(child)};
	if (child->parent != inode)
		out->attributes.st_ino = 0;
	if (!plus || out->attributes.st_ino == 0)
		return 0;
	prefetch_entries(directory, position - 2);
	if (child->attributes_asked || !child->attributes_known)
		err = listing_await_attributes(child);
	if (err == -ENOENT || child->parent != inode) {
		out->attributes.st_ino = 0;
		return 0;
	}
	/* One object that does not tell its attributes must not hide the others. */
	if (err)
		return 0;
	inode_stat(child, &out->attributes);
	child->nlookup++;
	out->counted = true;
	return 0;
}

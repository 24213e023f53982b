/* walk.c — somebody goes through the tree, directory after directory (find, rsync, git status, rm
 * -r): what comes next is asked for while it is still being looked at what is here. Part of
 * inode.h.
 *
 * A directory costs a round trip for its names and one for the attributes of its files. Ahead of a
 * walk both are under way for several directories at once.
 */
#include "fs/vfs/inode.h"

/* Directories that follow each other this soon, and so many in a row, are a walk. */
#define WALK_PAUSE (500 * NSEC_PER_MSEC)
enum { WALK_DIRECTORIES = 4 };
/* Directories that are asked for ahead, attributes in each, and names that are looked through to
 * find them. */
enum { WALK_AHEAD = 8, WALK_FILES = 128, WALK_NAMES = 1024 };

bool walk_is_on(const struct vfs *vfs)
{
	return vfs->walked >= WALK_DIRECTORIES && env_now(vfs->env) - vfs->walked_at < WALK_PAUSE;
}

static void list_ahead(void *argument)
{
	struct inode *directory = argument;
	struct vfs *vfs = directory->vfs;

	if (listing_refresh(directory) == 0)
		listing_prefetch(directory, 0, WALK_FILES);
	vfs->walk_asking--;
	inode_put(directory);
}

static void ask(struct inode *directory)
{
	struct vfs *vfs = directory->vfs;

	if (directory->directory->listing || vfs_is_fresh(vfs, directory->directory->listed_at))
		return;
	vfs->walk_asking++;
	inode_get(directory);
	if (fiber_start(vfs->env->fibers, list_ahead, directory)) {
		vfs->walk_asking--;
		inode_put(directory);
	}
}

/* The directories from a place of the order on; returns how many of ahead are left. */
static unsigned ask_from(struct inode *parent, size_t from, unsigned ahead)
{
	struct vfs *vfs = parent->vfs;

	/* Each start may change the order. */
	for (size_t i = from; i < from + WALK_NAMES && i < parent->directory->order_count; i++) {
		struct inode *child = parent->directory->order[i];

		if (!child || !child->directory || child->parent != parent)
			continue;
		if (ahead == 0 || vfs->walk_asking >= WALK_AHEAD)
			return 0;
		ask(child);
		ahead--;
	}
	return ahead;
}

/* What is asked for must still be fresh when the walk comes to it, at the pace that it has. */
static unsigned reach(const struct vfs *vfs, uint64_t pause)
{
	uint64_t fresh = vfs->config.attr_timeout / 4, steps = pause ? fresh / pause : WALK_AHEAD;

	return steps < WALK_AHEAD ? (unsigned)steps : WALK_AHEAD;
}

void walk_note(struct inode *directory, bool read)
{
	struct vfs *vfs = directory->vfs;
	uint64_t now = env_now(vfs->env), pause = now - vfs->walked_at;
	unsigned ahead;

	/* What is read may have been listed for a lookup in it just before. */
	if (vfs->walked_in == directory->ino && pause < WALK_PAUSE)
		pause = vfs->walk_pause;
	else
		vfs->walked = pause < WALK_PAUSE ? vfs->walked + 1 : 1;
	vfs->walked_in = directory->ino;
	vfs->walk_pause = pause;
	vfs->walked_at = now;
	if (!walk_is_on(vfs))
		return;
	ahead = reach(vfs, pause);
	if (read)
		ahead = ask_from(directory, 0, ahead);
	if (directory->parent && directory->order_index != SIZE_MAX)
		ask_from(directory->parent, directory->order_index + 1, ahead);
}

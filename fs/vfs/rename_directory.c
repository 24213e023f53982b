/* rename_directory.c — rename of a directory: everything below it is copied, then deleted. Part of
 * rename.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/vfs/key.h"
#include "fs/vfs/rename.h"
#include "fs/vfs/tree_copy.h"

/* What was copied below has a new version: its inode learns it if the old one is what it has. Of
 * everything else S3 is asked again. */
void rename_copied(void *context, const char *relative, const char *etag, const char *copy)
{
	struct inode *inode = inode_below(context, relative);

	if (!inode || inode->remote != REMOTE_PRESENT)
		return;
	if (!copy || !inode->etag || strcmp(inode->etag, etag) != 0) {
		inode->confirmed_at = 0;
		return;
	}
	inode_set_etag(inode, copy);
	inode->remote_modified = 0;
	if (inode->persisted && !inode->directory)
		change_journal(inode);
}

static bool is_entered(const struct inode *directory)
{
	size_t position = 0;
	void *value;

	if (directory->directory->entered)
		return true;
	while (map_next(directory->directory->children, &position, NULL, NULL, &value))
		if (((struct inode *)value)->directory && is_entered(value))
			return true;
	return false;
}

/* Until no name below is being removed or renamed; new ones must wait from the freeze on, which has
 * to follow at once. */
static int wait_alone(struct inode *directory)
{
	struct vfs *vfs = directory->vfs;
	uint64_t deadline = env_after(vfs->env, PUBLISH_WAIT);

	while (directory->directory->frozen || is_entered(directory))
		if (fiber_wait(&vfs->thawed, deadline, WAIT_PLAIN))
			return -EBUSY;
	return 0;
}

/* A publication, which still goes to a key below. */
static struct inode *busy_below(struct inode *directory)
{
	size_t position = 0;
	void *value;

	if (directory->publishing)
		return directory;
	while (map_next(directory->directory->children, &position, NULL, NULL, &value)) {
		struct inode *child = value, *busy = child->publishing ? child : NULL;

		if (!busy && child->directory)
			busy = busy_below(child);
		if (busy)
			return busy;
	}
	return NULL;
}

/* What was under way below before the freeze still goes to the old keys: it ends first. */
static void quiesce_below(struct inode *directory)
{
	struct inode *busy;

	while ((busy = busy_below(directory))) {
		inode_get(busy);
		publish_quiesce(busy);
		inode_put(busy);
	}
}

/* An intent that stays says what is left to do. */
static void amend_intent(struct rename *rename, uint64_t id, const struct tree_copy *copy)
{
	struct journal *journal = rename->vfs->env->journal;
	char note[TREE_NOTE_MAX];
	struct journal_intent intent = {
		.id = id,
		.kind = INTENT_RENAME_DIR,
		.source = rename->source_key,
		.target = rename->target_key,
		.etag = note,
	};

	tree_copy_note(copy, note);
	journal_wait(journal, journal_put_intent(journal, &intent), JOURNAL_COMMITTED);
}

static void report(struct rename *rename, int err, const struct tree_copy *copy,
		   const char *message)
{
	static const char *const ends[] = {
		[TREE_AS_BEFORE] = "it stays",
		[TREE_BETWEEN] = "it stays; the next mount removes the copies that are left",
		[TREE_MOVED] = "it moved; the next mount deletes what is left of the old",
	};
	char text[400];

	snprintf(text, sizeof(text), "rename to %s: %s: %s", rename->target_key, ends[copy->state],
		 message[0] ? message : "it failed");
	vfs_report(rename->vfs, rename->source, err, text);
}

/* Also before the intent is written: a crash would go on with it, and make one of the two. */
static int check_empty(struct inode *directory)
{
	int empty = listing_is_empty(directory);

	return empty < 0 ? empty : empty ? 0 : -ENOTEMPTY;
}

/* An empty directory gives way. Only once the intent is written: else a crash would leave neither.
 * Its object stays until that of the other one is copied over it: a deletion could come late. */
static int remove_target(struct rename *rename)
{
	int err = check_empty(rename->target);

	return err ? err : name_give_way(rename->target);
}

/* The rename came to nothing: the directory that gave way is made again, in S3 once that is there.
 * etag: of its object, if that is still there, perhaps with the attributes of the other one; or "".
 */
static void restore_target(struct rename *rename, const struct inode *replaced, const char *etag)
{
	unsigned owed = etag[0] ? NODE_DIRTY_ATTR : NODE_DIRTY_DATA;
	struct inode *made;

	if (inode_child(rename->to, rename->new_name))
		return;
	made = inode_new(rename->to, rename->new_name, replaced->attributes.mode);
	if (!made)
		return;
	made->attributes = replaced->attributes;
	made->attributes_known = true;
	made->remote = etag[0] ? REMOTE_PRESENT : REMOTE_ABSENT;
	inode_set_etag(made, etag[0] ? etag : NULL);
	made->changed = ++rename->vfs->change;
	made->directory->listed_at = env_now(rename->vfs->env);
	if (os_meta_copy(&made->meta, &replaced->meta) == 0 &&
	    os_meta_set(&made->meta, META_PUT_ID, NULL) == 0 &&
	    inode_link(made, rename->to, rename->new_name) == 0) {
		if (change_begin(made, owed) == 0) {
			change_note(made, owed);
			publish_soon(made, 0);
		} else { /* neither the journal nor S3 would know of the name */
			inode_unlink(made);
		}
	}
	inode_put(made);
}

/* S3 has moved it: without memory for its name this waits for some. */
static int move_inode(struct rename *rename)
{
	enum { TURNS = 50 };
	int err = -ENOMEM;

	for (int turn = 0; err == -ENOMEM && turn < TURNS; turn++) {
		if (turn > 0)
			fiber_sleep_until(env_after(rename->vfs->env, 100 * NSEC_PER_MSEC),
					  WAIT_PLAIN);
		err = rename_move_inode(rename);
	}
	return err;
}

static int move_tree(struct rename *rename)
{
	struct vfs *vfs = rename->vfs;
	struct tree_copy copy = {.uploader = &vfs->uploader,
				 .source = rename->source_key,
				 .target = rename->target_key,
				 .copied = rename_copied,
				 .context = rename->source,
				 .take_back = true};
	char message[300] = "";
	uint64_t intent;
	struct inode *replaced = rename->target;
	int err = replaced ? check_empty(replaced) : 0, moved = 0;
	bool owed;

	if (!err)
		err = rename_put_intent(rename, INTENT_RENAME_DIR, "", &intent);
	if (err)
		return err;
	if (replaced)
		err = remove_target(rename);
	if (err) {
		journal_drop_intent(vfs->env->journal, intent);
		return err;
	}
	err = tree_copy_run(&copy, message, sizeof(message));
	owed = err && copy.state != TREE_AS_BEFORE;
	if (err)
		report(rename, err, &copy, message);
	if (copy.state == TREE_MOVED) {
		janitor_moved(vfs, rename->source_key, rename->target_key);
		moved = move_inode(rename);
		err = 0;
		/* No row from before may bring anything below back under its old name. */
		if (!moved)
			moved = journal_wait(vfs->env->journal, journal_newest(vfs->env->journal),
					     JOURNAL_DURABLE);
	}
	if (owed)
		amend_intent(rename, intent, &copy);
	else /* A power loss must not bring it back: others may work below the old name from now
		on, and what they put there may have the bytes that were moved. */
		journal_wait(vfs->env->journal, journal_drop_intent(vfs->env->journal, intent),
			     JOURNAL_DURABLE);
	if (err && replaced)
		restore_target(rename, replaced, copy.replaced);
	return err ? err : moved;
}

/* While this waited, others may have renamed what is above. */
int rename_check_keys(const struct rename *rename)
{
	char *source = NULL, *target = NULL;
	int err = inode_key(rename->source, &source);

	if (!err)
		err = rename->target ? inode_key(rename->target, &target)
				     : inode_child_key(rename->to, rename->new_name, true, &target);
	if (!err &&
	    (strcmp(source, rename->source_key) != 0 || strcmp(target, rename->target_key) != 0))
		err = -EBUSY;
	free(source);
	free(target);
	return err;
}

int rename_freeze(struct inode *directory)
{
	struct vfs *vfs = directory->vfs;
	int err = vfs_sync(vfs, directory->ino, env_after(vfs->env, PUBLISH_WAIT));

	if (!err)
		err = wait_alone(directory);
	if (err)
		return err;
	directory->directory->frozen++;
	quiesce_below(directory);
	return 0;
}

void rename_thaw(struct inode *directory)
{
	struct vfs *vfs = directory->vfs;

	directory->directory->frozen--;
	wait_wake_all(&vfs->thawed);
	publish_pump(vfs);
}

int rename_directory(struct rename *rename)
{
	int err = rename->target ? directory_mark(rename->source) : 0;

	if (!err)
		err = rename_freeze(rename->source);
	if (err)
		return err;
	err = rename_check_keys(rename);
	if (!err)
		err = move_tree(rename);
	rename_thaw(rename->source);
	return err;
}

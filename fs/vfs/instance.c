/* instance.c — the life of a vfs: creation from the journal, recovery, sync, status, end. Part of
 * vfs.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/tree_copy.h"

static void pump_fired(struct timer *timer)
{
	publish_pump(container_of(timer, struct vfs, pump));
}

/* An empty file can be dirty too, and what has lost its name exists nowhere else. */
static bool is_refetchable(const struct inode *inode)
{
	return !inode_is_local(inode) && inode->parent;
}

/* May some of it go, while the rest stays? Not before a row that says that it is complete has gone.
 */
static bool refetchable(const struct content *content)
{
	struct inode *inode = content->owner;
	struct journal *journal = inode->vfs->env->journal;

	if (!is_refetchable(inode))
		return false;
	if (inode->persisted) {
		inode->dirty_sequence = journal_drop_node(journal, inode->ino);
		inode->persisted = false;
	}
	return journal_is_committed(journal, inode->dirty_sequence);
}

/* The least recently used clean data goes first; a row that says that it is here goes with it. */
static void evict(struct content *content)
{
	if (is_refetchable(content->owner))
		inode_drop_content(content->owner);
}

static int copy_config(struct vfs *vfs, const struct vfs_config *config)
{
	vfs->config = *config;
	vfs->config.volume = string_copy(config->volume);
	vfs->config.prefix = string_copy(config->prefix);
	vfs->config.node = string_copy(config->node);
	return vfs->config.volume && vfs->config.prefix && vfs->config.node ? 0 : -ENOMEM;
}

static int make_root(struct vfs *vfs)
{
	struct inode *root = inode_new_numbered(vfs, VFS_ROOT,
						S_IFDIR | vfs->config.defaults.dir_mode);

	if (!root)
		return -ENOMEM;
	vfs->root = root;
	root->attributes.uid = vfs->config.defaults.uid;
	root->attributes.gid = vfs->config.defaults.gid;
	inode_touch(root, true);
	root->attributes.atime = root->attributes.mtime;
	root->attributes_known = true;
	root->remote = REMOTE_IMPLIED;
	root->nlookup = 1;
	return 0;
}

int vfs_create_instance(struct env *env, const struct vfs_config *config,
			const struct journal_info *info, struct vfs **out, struct error *error)
{
	struct vfs *vfs = calloc(1, sizeof(*vfs));
	int err;

	if (!vfs)
		return error_set(error, -ENOMEM, "out of memory");
	vfs->env = env;
	list_init(&vfs->dirty);
	wait_queue_init(&vfs->settled);
	wait_queue_init(&vfs->thawed);
	timer_init(&vfs->pump, pump_fired);
	timer_init(&vfs->keeper, durable_fired);
	vfs->inodes = map_create();
	cache_init(&vfs->cache, env, config->cache_limit, config->dirty_limit,
		   info->next_file_id ? info->next_file_id : 1);
	vfs->cache.evict = evict;
	vfs->cache.refetchable = refetchable;
	uploader_init(&vfs->uploader, env, config->part_size,
		      config->parallel / 2 ? config->parallel / 2 : 1,
		      info->next_intent ? info->next_intent : 1);
	err = vfs->inodes ? copy_config(vfs, config) : -ENOMEM;
	if (!err)
		err = make_root(vfs);
	if (err)
		error_set(error, err, "out of memory");
	else
		err = load_journal(vfs, error);
	if (err) {
		vfs_destroy_instance(vfs);
		return err;
	}
	vfs->recovering = vfs->found_intents || vfs->doubtful;
	if (!vfs->root->persisted)
		change_journal(vfs->root);
	*out = vfs;
	return 0;
}

struct uploader *vfs_uploader(struct vfs *vfs)
{
	return &vfs->uploader;
}

struct executor *vfs_executor(struct vfs *vfs)
{
	return vfs->env->executor;
}

enum { FOLLOWED = 1 }; /* of recover_intent: the intent stays for who looks after it */

static int recover_upload(struct vfs *vfs, const struct journal_intent *intent)
{
	struct os_request request = {
		.op = OS_MPU_ABORT, .key = intent->source, .upload_id = intent->target};
	int err = env_s3(vfs->env, &request);

	os_request_free_result(&request);
	return err == -ENOENT ? 0 : err;
}

/* Deletes the version of a key that was copied; a newer one is somebody's work. */
static int delete_copied(struct vfs *vfs, const char *key, const char *etag)
{
	struct os_request head = {.op = OS_HEAD, .key = key};
	struct os_request delete = {.op = OS_DELETE, .key = key};
	int err = env_s3(vfs->env, &head);

	if (vfs->uploader.can.delete)
		delete.condition.if_match = etag;
	if (!err && strcmp(head.result.etag, etag) == 0)
		err = env_s3(vfs->env, &delete);
	os_request_free_result(&delete);
	os_request_free_result(&head);
	return err == -ESTALE ? 0 : err;
}

/* What the target's name held here before, and was never uploaded, has been replaced by the copy.
 */
static void forget_replaced(struct vfs *vfs, const char *key)
{
	struct inode *inode = inode_find_below(vfs->root, key + strlen(vfs->config.prefix));

	if (!inode || !inode->untouched || !(inode->dirty & NODE_DIRTY_DATA) || inode->publishing)
		return;
	inode_get(inode);
	inode_unlink(inode);
	inode_orphan(inode);
	inode_put(inode);
}

/* The copy carries the put-id that the intent begins with: then it was made, and the source, whose
 * ETag follows, is what is left. 1: so it is; 0: there is no such copy, or not yet. */
static int finish_rename(struct vfs *vfs, const struct journal_intent *intent)
{
	struct os_request head = {.op = OS_HEAD, .key = intent->target};
	const char *put_id;
	int err = env_s3(vfs->env, &head);
	bool copied = false;

	if (!err) {
		put_id = os_meta_get(&head.result.meta, META_PUT_ID);
		copied = put_id && strlen(put_id) == PUT_ID_LEN &&
			 strncmp(put_id, intent->etag, PUT_ID_LEN) == 0;
		if (copied)
			forget_replaced(vfs, intent->target);
		if (copied)
			err = delete_copied(vfs, intent->source, intent->etag + PUT_ID_LEN);
	}
	os_request_free_result(&head);
	return err == -ENOENT ? copied : err ? err : copied;
}

/* A copy that nobody waits for may be made later: then the rename is finished then. */
static int recover_rename(struct vfs *vfs, const struct journal_intent *intent)
{
	int settled = finish_rename(vfs, intent);
	struct found_intent *found;

	if (settled != 0)
		return settled < 0 ? settled : 0;
	found = found_intent_new(intent);
	if (!found)
		return -ENOMEM;
	if (janitor_follow(vfs, found, finish_rename))
		return FOLLOWED;
	found_intent_free(found);
	return -EAGAIN;
}

/* What is left after another failure is written down: below the old name others may work meanwhile.
 */
static int recover_tree(struct vfs *vfs, const struct journal_intent *intent)
{
	struct tree_copy copy = {.uploader = &vfs->uploader,
				 .source = intent->source,
				 .target = intent->target,
				 .note = intent->etag};
	struct journal_intent left = *intent;
	char message[300] = "", note[TREE_NOTE_MAX];
	int err;

	log_info("%s: finishing the rename of %s to %s", vfs->config.volume, intent->source,
		 intent->target);
	err = tree_copy_run(&copy, message, sizeof(message));
	if (!err)
		return 0;
	vfs_report(vfs, NULL, err, message[0] ? message : "the rename is not finished");
	if (copy.state == TREE_MOVED) {
		tree_copy_note(&copy, note);
		left.etag = note;
		journal_put_intent(vfs->env->journal, &left);
	}
	return err;
}

static int recover_intent(struct vfs *vfs, const struct journal_intent *intent)
{
	switch (intent->kind) {
	case INTENT_MPU: return recover_upload(vfs, intent);
	case INTENT_RENAME_FILE: return recover_rename(vfs, intent);
	case INTENT_RENAME_DIR: return recover_tree(vfs, intent);
	case INTENT_DELETE: return janitor_look(vfs, intent) < 0 ? -EAGAIN : 0;
	}
	return 0;
}

int vfs_recover(struct vfs *vfs)
{
	struct found_intent *found, *left = NULL;
	int first = 0;

	park_settle(vfs);

	while ((found = vfs->found_intents)) {
		int err;

		vfs->found_intents = found->next;
		err = vfs->config.read_only ? 0 : recover_intent(vfs, &found->intent);
		if (err < 0) {
			log_warning("%s: what was left of %s waits for the next mount: %s",
				    vfs->config.volume, found->intent.source, strerror(-err));
			first = first ? first : err;
			found->next = left;
			left = found;
			continue;
		}
		if (!vfs->config.read_only && err != FOLLOWED)
			journal_drop_intent(vfs->env->journal, found->intent.id);
		found_intent_free(found);
	}
	vfs->found_intents = left;
	vfs->recovering = false;
	wait_wake_all(&vfs->settled);
	if (!vfs->config.read_only) {
		publish_pump(vfs);
		durable_expect(vfs);
	}
	return first;
}

static void destroy_inodes(struct vfs *vfs)
{
	size_t position = 0;
	uint64_t ino;
	void *value;

	while (map_next(vfs->inodes, &position, NULL, &ino, &value)) {
		struct inode *inode = value;

		if (inode->content) {
			content_abandon(inode->content, inode->persisted);
			inode->content = NULL;
		}
		inode->dirty = inode->dirty_frozen = 0;
		inode->nlookup = 0;
		inode->parent = NULL;
		inode->busy = 1;
		if (inode->directory) {
			map_destroy(inode->directory->children);
			inode->directory->children = map_create();
		}
	}
	/* Now nothing holds anything: the references just set are the last. */
	position = 0;
	vfs->root = NULL;
	while (map_next(vfs->inodes, &position, NULL, &ino, &value))
		inode_put(value);
}

void vfs_destroy_instance(struct vfs *vfs)
{
	struct found_intent *found;

	timer_cancel(vfs->env->executor, &vfs->pump);
	timer_cancel(vfs->env->executor, &vfs->keeper);
	if (vfs->inodes)
		destroy_inodes(vfs);
	map_destroy(vfs->inodes);
	while ((found = vfs->found_intents)) {
		vfs->found_intents = found->next;
		found_intent_free(found);
	}
	park_free(vfs);
	free((char *)vfs->config.volume);
	free((char *)vfs->config.prefix);
	free((char *)vfs->config.node);
	free(vfs);
}

int vfs_sync(struct vfs *vfs, uint64_t ino, uint64_t deadline)
{
	struct inode *directory = inode_find(vfs, ino);
	int err = 0;

	if (!directory)
		return -ESTALE;
	while (!err && vfs->recovering)
		err = fiber_wait(&vfs->settled, deadline, WAIT_INTERRUPTIBLE);
	/* Everything that is due later is due now, so that it goes side by side. */
	LIST_FOREACH (node, &vfs->dirty) {
		struct inode *inode = container_of(node, struct inode, dirty_link);

		if (inode->retries == 0 && inode_is_ancestor(directory, inode))
			inode->due = 0;
	}
	publish_pump(vfs);
	while (!err) {
		struct inode *next = NULL;

		LIST_FOREACH (node, &vfs->dirty) {
			struct inode *inode = container_of(node, struct inode, dirty_link);

			if (inode->parent && inode_is_ancestor(directory, inode)) {
				next = inode;
				break;
			}
		}
		if (!next)
			break;
		inode_get(next);
		err = publish_wait(next, deadline, WAIT_INTERRUPTIBLE);
		inode_put(next);
	}
	inode_put(directory);
	return err;
}

/* The dirty inodes below a directory, each with a busy reference. */
static int dirty_below(struct vfs *vfs, const struct inode *directory, struct inode ***out,
		       size_t *count)
{
	*count = 0;
	*out = calloc(vfs_pending(vfs).files + 1, sizeof(struct inode *));
	if (!*out)
		return -ENOMEM;
	LIST_FOREACH (node, &vfs->dirty) {
		struct inode *inode = container_of(node, struct inode, dirty_link);

		if (inode->parent && inode_is_ancestor(directory, inode))
			(*out)[(*count)++] = inode_get(inode);
	}
	return 0;
}

int vfs_fsyncdir(struct vfs *vfs, uint64_t ino, uint64_t deadline)
{
	struct inode *directory, **below;
	size_t count;
	int err;

	if (vfs->config.fsync == PUBLISH_S3)
		return vfs_sync(vfs, ino, deadline);
	directory = inode_find(vfs, ino);
	if (!directory)
		return -ESTALE;
	err = dirty_below(vfs, directory, &below, &count);
	for (size_t i = 0; i < count; i++) {
		int one = inode_make_durable(below[i], JOURNAL_DURABLE);

		err = err ? err : one;
		inode_put(below[i]);
	}
	free(below);
	inode_put(directory);
	return err;
}

int vfs_statfs(struct vfs *vfs, uint64_t *blocks, uint64_t *blocks_free, uint64_t *files)
{
	/* A bucket has no end: 1 PiB in blocks of 4 KiB. */
	*blocks = *blocks_free = UINT64_C(1) << 38;
	*files = map_count(vfs->inodes);
	return 0;
}

struct vfs_pending vfs_pending(const struct vfs *vfs)
{
	struct vfs_pending pending = {0, vfs->cache.dirty};

	LIST_FOREACH (node, &vfs->dirty) {
		pending.files += container_of(node, struct inode, dirty_link)->parent != NULL;
	}
	return pending;
}

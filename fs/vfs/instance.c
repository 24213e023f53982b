/* instance.c — the life of a vfs: creation from the journal, recovery, sync, status, end. Part of
 * vfs.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/upload/multipart.h"
#include "fs/upload/orphan.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/tree_copy.h"

static void pump_fired(struct timer *timer)
{
	publish_pump(container_of(timer, struct vfs, pump));
}

/* An empty file can be dirty too, and what has lost its name exists nowhere else. */
static bool refetchable(const struct content *content)
{
	const struct inode *inode = content->owner;

	return !inode_is_local(inode) && inode->parent;
}

/* The least recently used clean data goes first; a row that says that it is here goes with it. */
static void evict(struct content *content)
{
	if (refetchable(content))
		inode_drop_content(content->owner);
}

static int copy_config(struct vfs *vfs, const struct vfs_config *config)
{
	vfs->config = *config;
	vfs->config.volume = string_copy(config->volume);
	vfs->config.prefix = string_copy(config->prefix);
	vfs->config.node = string_copy(config->node);
	vfs->config.read_only_because = string_copy(config->read_only_because);
	vfs->config.cache_directory = string_copy(config->cache_directory);
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
		err = load_journal(vfs, info->same_boot, error);
	if (err) {
		vfs_destroy_instance(vfs);
		return err;
	}
	vfs->recovering = vfs->found_intents != NULL;
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

enum { RECOVERED_LATER = 1 }; /* the intent has a new owner */

/* Else our key has not the right, or the server cannot. */
static bool is_transient(int err)
{
	return err == -EIO || err == -ETIMEDOUT || err == -EHOSTUNREACH || err == -EBUSY ||
	       err == -EPROTO || err == -EKEYREJECTED;
}

static int recover_upload(struct vfs *vfs, const struct found_intent *found)
{
	const struct journal_intent *intent = &found->intent;
	struct uploader *uploader = &vfs->uploader;
	int64_t since;
	int err;

	if (!intent->target[0]) {
		if (parse_int(intent->etag, 0, INT64_MAX, &since))
			return 0;
		err = orphan_find(uploader, intent->source, since);
		if (err >= 0 || !is_transient(err))
			return 0;
		orphan_find_later(uploader, intent->source, since, intent->id);
		return RECOVERED_LATER;
	}
	/* With two, one of them may still become the object that bears the put-id of both. */
	err = found->shared ? -ESTALE : stream_resume(vfs, intent);
	if (!err)
		return RECOVERED_LATER;
	if (!is_transient(err) && err != -ENOENT)
		err = orphan_abort(uploader, intent->source, intent->target);
	if (!err || err == -ENOENT)
		return 0;
	orphan_abort_later(uploader, intent->source, intent->target, intent->id);
	return RECOVERED_LATER;
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

/* Attributes that were owed under the old name are in the copy. */
static void forget_source(struct vfs *vfs, const char *key)
{
	struct inode *inode = inode_below(vfs->root, key + strlen(vfs->config.prefix));

	if (!inode || (inode->dirty & NODE_DIRTY_DATA))
		return;
	inode_get(inode);
	change_forget(inode);
	inode_vanish(inode);
	inode_put(inode);
}

/* The copy carries the put-id that the intent begins with: then it was made, and the source, whose
 * ETag follows, is what is left. */
static int recover_rename(struct vfs *vfs, const struct journal_intent *intent)
{
	struct os_request head = {.op = OS_HEAD, .key = intent->target};
	const char *put_id;
	int err = env_s3(vfs->env, &head);

	if (!err) {
		put_id = os_meta_get(&head.result.meta, META_PUT_ID);
		if (put_id && strlen(put_id) == PUT_ID_LEN &&
		    strncmp(put_id, intent->etag, PUT_ID_LEN) == 0) {
			err = delete_copied(vfs, intent->source, intent->etag + PUT_ID_LEN);
			if (!err || err == -ENOENT)
				forget_source(vfs, intent->source);
		}
	}
	os_request_free_result(&head);
	return err == -ENOENT ? 0 : err;
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

static bool is_rename(const struct journal_intent *intent)
{
	return intent->kind == INTENT_RENAME_FILE || intent->kind == INTENT_RENAME_DIR;
}

static int recover_intent(struct vfs *vfs, const struct found_intent *found)
{
	const struct journal_intent *intent = &found->intent;

	switch (intent->kind) {
	case INTENT_MPU: return recover_upload(vfs, found);
	case INTENT_RENAME_FILE: return recover_rename(vfs, intent);
	case INTENT_RENAME_DIR: return recover_tree(vfs, intent);
	case INTENT_DELETE:
		return janitor_look(vfs, intent->source, intent->etag) < 0 ? -EAGAIN : 0;
	}
	return 0;
}

/* One kind of what was found; what fails stays on the list. */
static int recover_intents(struct vfs *vfs, bool renames)
{
	struct found_intent **place = &vfs->found_intents, *found;
	int first = 0;

	while ((found = *place)) {
		int err = 0;

		if (is_rename(&found->intent) != renames) {
			place = &found->next;
			continue;
		}
		if (!vfs->config.read_only)
			err = recover_intent(vfs, found);
		if (err < 0) {
			log_warning("%s: what was left of %s waits for the next mount: %s",
				    vfs->config.volume, found->intent.source, strerror(-err));
			first = first ? first : err;
			place = &found->next;
			continue;
		}
		if (!vfs->config.read_only && err != RECOVERED_LATER)
			journal_drop_intent(vfs->env->journal, found->intent.id);
		*place = found->next;
		found_intent_free(found);
	}
	return first;
}

int vfs_recover(struct vfs *vfs)
{
	int err = recover_intents(vfs, true), other;

	vfs->names_known = true;
	wait_wake_all(&vfs->settled);
	other = recover_intents(vfs, false);
	vfs->recovering = false;
	wait_wake_all(&vfs->settled);
	if (!vfs->config.read_only)
		publish_pump(vfs);
	return err ? err : other;
}

void vfs_await_names(struct vfs *vfs, uint64_t deadline)
{
	while (!vfs->names_known)
		if (fiber_wait(&vfs->settled, deadline, WAIT_PLAIN))
			return;
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
		if (inode->stream) /* of before a crash, and not gone on with */
			multipart_forget(inode->stream);
		inode->stream = NULL;
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
	if (vfs->inodes)
		destroy_inodes(vfs);
	map_destroy(vfs->inodes);
	while ((found = vfs->found_intents)) {
		vfs->found_intents = found->next;
		found_intent_free(found);
	}
	free((char *)vfs->config.volume);
	free((char *)vfs->config.prefix);
	free((char *)vfs->config.node);
	free((char *)vfs->config.read_only_because);
	free((char *)vfs->config.cache_directory);
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

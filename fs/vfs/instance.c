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
	list_init(&vfs->watches);
	wait_queue_init(&vfs->settled);
	wait_queue_init(&vfs->thawed);
	timer_init(&vfs->pump, pump_fired);
	timer_init(&vfs->keeper, durable_fired);
	vfs->inodes = map_create();
	cache_init(&vfs->cache, env, config->cache_limit, config->dirty_limit,
		   info->next_file_id ? info->next_file_id : 1);
	vfs->cache.evict = evict;
	vfs->cache.refetchable = refetchable;
	vfs->copy_least = env->sizes->whole_max;
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

bool vfs_has_acl(const struct vfs *vfs)
{
	return vfs->config.acl;
}

struct executor *vfs_executor(struct vfs *vfs)
{
	return vfs->env->executor;
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
	enum { BLOCK = 4096 };
	const struct cache *cache = &vfs->cache;
	uint64_t free = cache->dirty < cache->dirty_limit ? cache->dirty_limit - cache->dirty : 0;
	uint64_t evictable = cache->used > cache->dirty ? cache->used - cache->dirty : 0;
	struct disk *disk = vfs->env->disk;
	struct disk_space space;

	if (disk->ops->space(disk, &space) == 0 && space.available + evictable < free)
		free = space.available + evictable;
	*blocks = cache->dirty_limit / BLOCK;
	*blocks_free = free / BLOCK;
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

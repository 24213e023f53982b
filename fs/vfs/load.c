/* load.c — the tree as the journal has it. Part of inode.h.
 *
 * While the page cache that they were written through lives, data files hold what their rows say.
 * After a restart of the kernel that is known only of those that were synced (NODE_UNSURE: the
 * rest). Then what is only cached is forgotten. What is dirty is parked: row and file stay as they
 * are, the log and the status say so, and nothing is published, because an object in S3 must not be
 * replaced by a file of which blocks may be missing. A file that grew after its sync is cut to what
 * it was then: so it once was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/vfs/inode.h"

struct load {
	struct vfs *vfs;
	struct map *files; /* data files that a row names */
	/* Rows that are of no use. They go when all have been read: the journal takes no record
	 * before. */
	uint64_t *forgotten;
	size_t forgotten_count, forgotten_capacity;
	uint64_t dropped, dirty, lost;
};

/* The file as it was when it was synced. */
static int cut_to_synced(struct content *content, const struct journal_node *node)
{
	int err = content->size > node->size ? content_resize(content, node->size) : 0;

	content->synced_epoch = content->epoch;
	content->synced_size = content->size;
	content->synced_whole = node->flags & NODE_COMPLETE;
	content->promised = node->flags & NODE_DIRTY_DATA;
	return err;
}

/* Of a file that is not here whole: where the process died between an append and its record, the
 * data file is longer than anybody was told, and nobody could say where the bytes at its end are
 * from. */
static int cut_to_known(struct content *content, const struct journal_node *node,
			const struct extent_set *dirty)
{
	uint64_t end = dirty->count > 0 ? dirty->items[dirty->count - 1].end : 0;
	uint64_t size = end > node->size ? end : node->size;

	return content->size > size ? content_resize(content, size) : 0;
}

static int make_lost_file(struct env *env, uint64_t file_id)
{
	struct blob *blob;
	int err = blob_create(env, file_id, &blob);

	if (!err)
		blob_unref(blob);
	return err;
}

static int adopt_content(struct load *load, struct inode *inode, const struct journal_node *node,
			 const struct extent_set *dirty)
{
	bool complete = node->flags & NODE_COMPLETE;
	const struct extent_set *changed = node->flags & NODE_DIRTY_DATA ? dirty : NULL;
	struct cache *cache = &load->vfs->cache;
	int err;

	/* In doubt, and nothing of it is owed: it can be fetched again. */
	if (!node->file_id || (node->flags & NODE_UNSURE) || !S_ISREG(node->attributes.mode))
		return 0;
	err = content_adopt(cache, node->file_id, complete, node->base_size, changed, inode,
			    &inode->content);
	/* Its name was not durable, and need not be: there is nothing in it. */
	if (err == -ENOENT && (node->flags & NODE_SYNCED) && node->size == 0) {
		err = make_lost_file(cache->env, node->file_id);
		if (!err)
			err = content_adopt(cache, node->file_id, complete, node->base_size,
					    changed, inode, &inode->content);
	}
	if (!err && !complete && changed)
		err = cut_to_known(inode->content, node, dirty);
	if (!err)
		err = map_put_u64(load->files, node->file_id, inode, NULL);
	if (!err && (node->flags & NODE_SYNCED) && !(node->flags & NODE_OLD)) {
		inode->content->synced_epoch = inode->content->epoch;
		inode->content->synced_size = node->size;
		inode->content->synced_whole = complete;
		inode->content->promised = node->flags & NODE_DIRTY_DATA;
	} else if (!err && (node->flags & NODE_SYNCED)) {
		err = cut_to_synced(inode->content, node);
	}
	inode->row_synced = node->flags & NODE_SYNCED;
	if (!err && complete && (node->flags & NODE_DIRTY_DATA)) {
		/* Which of its bytes are new was not written down: all of them count as changed. */
		struct content *content = inode->content;

		content->base_len = 0;
		err = extent_add(&content->changed, 0, content->size);
		content_account(content);
	}
	return err;
}

static int fill(struct inode *inode, const struct journal_node *node)
{
	inode->attributes = node->attributes;
	inode->attributes_known = true;
	inode->size = inode->remote_size = node->size;
	inode->generation = node->generation;
	inode->conflicted = node->flags & NODE_CONFLICT;
	inode->remote_modified = node->remote_modified;
	inode->remote = node->flags & NODE_REMOTE ? REMOTE_PRESENT
			: node->flags & (NODE_DIRTY_DATA | NODE_DIRTY_ATTR) || !inode->directory
				? REMOTE_ABSENT
				: REMOTE_IMPLIED;
	inode_set_etag(inode, node->etag);
	inode->content_type = string_copy(node->content_type);
	if (S_ISLNK(node->attributes.mode) && node->target[0]) {
		inode->target = string_copy(node->target);
		if (!inode->target)
			return -ENOMEM;
	}
	inode->persisted = true;
	inode->suspect = node->flags & NODE_SUSPECT;
	memcpy(inode->put_id, node->put_id, strnlen(node->put_id, PUT_ID_LEN));
	if ((node->flags & NODE_OLD) && !(node->flags & (NODE_DIRTY_DATA | NODE_DIRTY_ATTR)))
		put_id_leap(inode->vfs->env, inode->put_id);
	if (node->meta && os_meta_copy(&inode->meta, node->meta))
		return -ENOMEM;
	if (node->headers && os_meta_copy(&inode->headers, node->headers))
		return -ENOMEM;
	return 0;
}

/* Without memory for it the row stays until the next mount. */
static void forget_row(struct load *load, uint64_t ino)
{
	if (load->forgotten_count == load->forgotten_capacity) {
		size_t capacity = load->forgotten_capacity ? load->forgotten_capacity * 2 : 64;
		uint64_t *more = realloc(load->forgotten, capacity * sizeof(*more));

		if (!more)
			return;
		load->forgotten = more;
		load->forgotten_capacity = capacity;
	}
	load->forgotten[load->forgotten_count++] = ino;
	load->dropped++;
}

static void make_dirty(struct load *load, struct inode *inode, uint32_t flags)
{
	inode->dirty = flags & (NODE_DIRTY_DATA | NODE_DIRTY_ATTR);
	if (!inode->dirty)
		return;
	inode->resolve_first = inode->put_id[0] != '\0';
	inode->later = flags & NODE_LATER;
	inode->reloaded = flags & NODE_OLD;
	inode->untouched = true;
	inode->generation++;
	inode->dirty_since = (uint64_t)executor_wall(load->vfs->env->executor);
	list_append(&load->vfs->dirty, &inode->dirty_link);
	inode_get(inode);
	load->dirty++;
}

/* A name has one row; should there be two all the same, what is owed comes before what is cached.
 */
static void give_way(struct load *load, struct inode *parent, const char *name)
{
	struct inode *there = parent && parent->directory ? inode_child(parent, name) : NULL;

	if (!there || inode_is_dirty(there))
		return;
	forget_row(load, there->ino);
	there->persisted = false;
	inode_vanish(there);
}

/* Row and data file stay as they are. */
static int keep_apart(struct load *load, const struct journal_node *node, struct inode *parent)
{
	int err = park_file(load->vfs, node, parent && parent->directory ? parent : NULL);

	return err || !node->file_id ? err : map_put_u64(load->files, node->file_id, load, NULL);
}

static int load_node(void *context, const struct journal_node *node, const struct extent_set *dirty)
{
	struct load *load = context;
	struct vfs *vfs = load->vfs;
	struct inode *parent = map_get_u64(vfs->inodes, node->parent), *inode;
	bool owed = node->flags & (NODE_DIRTY_DATA | NODE_DIRTY_ATTR);
	int err;

	if (node->ino == VFS_ROOT) {
		vfs->root->attributes = node->attributes;
		vfs->root->persisted = true;
		return node->meta ? os_meta_copy(&vfs->root->meta, node->meta) : 0;
	}
	if ((node->flags & NODE_UNSURE) && (node->flags & NODE_DIRTY_DATA) &&
	    S_ISREG(node->attributes.mode) && !(node->flags & NODE_UNLINKED))
		return keep_apart(load, node, parent);
	if (owed && !(node->flags & NODE_UNLINKED))
		give_way(load, parent, node->name);
	if ((node->flags & NODE_UNLINKED) || !parent || !parent->directory ||
	    inode_child(parent, node->name) || (!owed && (node->flags & NODE_UNSURE))) {
		if (owed && !(node->flags & NODE_UNLINKED))
			return keep_apart(load, node, NULL);
		forget_row(load, node->ino);
		return 0;
	}
	inode = inode_new_numbered(vfs, node->ino, node->attributes.mode);
	if (!inode)
		return -ENOMEM;
	err = fill(inode, node);
	if (!err)
		err = adopt_content(load, inode, node, dirty);
	if (err == -ENOENT && !owed) {
		inode_put(inode);
		forget_row(load, node->ino);
		return 0;
	}
	if (err == -ENOENT) {
		load->lost++;
		log_error("%s: the data file of \"%s\" is missing from the cache",
			  vfs->config.volume, node->name);
		inode_put(inode);
		return 0;
	}
	if (!err)
		err = inode_link(inode, parent, node->name);
	if (!err) {
		make_dirty(load, inode, node->flags);
	} else if (inode->content) { /* what is owed stays for another attempt */
		content_abandon(inode->content, true);
		inode->content = NULL;
	}
	inode_put(inode);
	return err;
}

void found_intent_free(struct found_intent *found)
{
	free((char *)found->intent.source);
	free((char *)found->intent.target);
	free((char *)found->intent.etag);
	free(found);
}

struct found_intent *found_intent_new(const struct journal_intent *intent)
{
	struct found_intent *found = calloc(1, sizeof(*found));

	if (!found)
		return NULL;
	found->intent = *intent;
	found->intent.source = string_copy(intent->source);
	found->intent.target = string_copy(intent->target);
	found->intent.etag = string_copy(intent->etag);
	if (found->intent.source && found->intent.target && found->intent.etag)
		return found;
	found_intent_free(found);
	return NULL;
}

static int load_intent(void *context, const struct journal_intent *intent)
{
	struct load *load = context;
	struct found_intent *found = found_intent_new(intent);

	if (!found)
		return -ENOMEM;
	for (struct found_intent *other = load->vfs->found_intents; other; other = other->next) {
		if (intent->kind == INTENT_MPU && other->intent.kind == INTENT_MPU &&
		    strcmp(intent->source, other->intent.source) == 0)
			found->shared = other->shared = true;
	}
	found->next = load->vfs->found_intents;
	load->vfs->found_intents = found;
	return 0;
}

/* Directories were only there for what is below them. */
static void prune(struct load *load, struct inode *directory)
{
	size_t position = 0;
	void *value;

	while (map_next(directory->directory->children, &position, NULL, NULL, &value)) {
		struct inode *child = value;

		if (child->directory)
			prune(load, child);
	}
	if (directory == load->vfs->root || map_count(directory->directory->children) > 0 ||
	    inode_is_dirty(directory))
		return;
	forget_row(load, directory->ino);
	directory->persisted = false;
	inode_get(directory);
	inode_unlink(directory);
	inode_put(directory);
}

static int sweep_file(void *context, uint64_t id)
{
	struct load *load = context;
	struct disk *disk = load->vfs->env->disk;

	if (!map_get_u64(load->files, id)) {
		disk->ops->remove(disk, id);
		load->dropped++;
	}
	return 0;
}

int load_journal(struct vfs *vfs, struct error *error)
{
	struct load load = {.vfs = vfs, .files = map_create()};
	struct journal_loader loader = {load_node, load_intent, &load};
	int err = load.files ? journal_load(vfs->env->journal, &loader) : -ENOMEM;

	if (err) {
		error_set(error, err, "cannot read the journal in the cache directory: %s",
			  strerror(-err));
	} else {
		prune(&load, vfs->root);
		for (size_t i = 0; i < load.forgotten_count; i++)
			journal_drop_node(vfs->env->journal, load.forgotten[i]);
		/* With data that has lost its row nothing is swept: it may be all that is left of a
		 * file. */
		if (load.lost == 0)
			vfs->env->disk->ops->scan(vfs->env->disk, sweep_file, &load);
		if (load.dirty > 0)
			log_info("%s: %llu files from before are not in S3 yet and go there now",
				 vfs->config.volume, (unsigned long long)load.dirty);
	}
	map_destroy(load.files);
	free(load.forgotten);
	return err;
}

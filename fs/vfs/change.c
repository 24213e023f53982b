/* change.c — local changes: what must be in the journal before they are acknowledged. Part of
 * inode.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "fs/vfs/inode.h"

int inode_open_content(struct inode *inode)
{
	struct vfs *vfs = inode->vfs;
	uint64_t size = inode->remote == REMOTE_PRESENT ? inode->remote_size : 0;
	int err;

	if (inode->content)
		return 0;
	cache_make_room(&vfs->cache, 0);
	err = content_create(&vfs->cache, size, inode, &inode->content);
	if (local_disk_is_full(err)) {
		cache_give_up(&vfs->cache, vfs->cache.limit / 8);
		err = content_create(&vfs->cache, size, inode, &inode->content);
	}
	return err;
}

/* Of a file that has only grown since its last sync, what was there then is what counts after a
 * power loss. */
static void note_synced(const struct inode *inode, struct journal_node *node)
{
	const struct content *content = inode->content;

	if (!content_is_synced(content))
		return;
	if ((inode->dirty | inode->dirty_frozen) & NODE_DIRTY_DATA)
		node->size = content->synced_size;
	else if (content->synced_size != content->size)
		return;
	node->flags |= NODE_SYNCED;
}

/* What of the data file is the file's. What was fetched after the last sync may be gone after a
 * power loss, and what was synced counts then: the row goes on to tell it by ranges, as long as the
 * rest can be fetched again. */
static void note_content(const struct inode *inode, struct journal_node *node)
{
	const struct content *content = inode->content;
	bool complete = content_is_complete(content);
	bool fetched = complete && !content->synced_whole;

	node->file_id = content->blob->id;
	node->base_size = content->base_len;
	if (!fetched || inode->etag)
		note_synced(inode, node);
	if (complete && !(fetched && (node->flags & NODE_SYNCED)))
		node->flags |= NODE_COMPLETE;
}

/* There may be an object with put_id that does not have all that is owed: a publication is under
 * way, or the end of one was not seen. */
static bool is_later(const struct inode *inode)
{
	return inode->dirty_frozen ||
	       (inode->resolve_first && (!inode->reloaded || inode->later || !inode->untouched));
}

static uint64_t put_row(struct inode *inode)
{
	struct journal_node node = {
		.ino = inode->ino,
		.parent = inode->parent ? inode->parent->ino : 0,
		.name = inode->parent ? inode->name : "",
		.flags = inode->dirty | inode->dirty_frozen,
		.attributes = inode->attributes,
		.size = inode_size(inode),
		.generation = inode->generation,
		.etag = inode->etag ? inode->etag : "",
		.remote_modified = inode->remote_modified,
		.put_id = inode->put_id,
		.target = inode->target ? inode->target : "",
		.content_type = inode->content_type ? inode->content_type : "",
		.meta = &inode->meta,
		.headers = &inode->headers,
	};

	if (inode->remote == REMOTE_PRESENT)
		node.flags |= NODE_REMOTE;
	if (inode->conflicted)
		node.flags |= NODE_CONFLICT;
	if (inode->dirty && is_later(inode))
		node.flags |= NODE_LATER;
	inode->was_owed |= (node.flags & NODE_DIRTY_DATA) != 0;
	if (!inode->parent && inode != inode->vfs->root)
		node.flags |= NODE_UNLINKED;
	if (inode->suspect)
		node.flags |= NODE_SUSPECT;
	if (inode->content)
		note_content(inode, &node);
	inode->row_complete = node.flags & NODE_COMPLETE;
	inode->row_synced = node.flags & NODE_SYNCED;
	inode->persisted = true;
	inode->settled_sequence = journal_put_node(inode->vfs->env->journal, &node);
	return inode->settled_sequence;
}

static void persist_ancestors(struct inode *inode)
{
	struct inode *parent = inode->parent;

	if (!parent || parent->persisted)
		return;
	persist_ancestors(parent);
	put_row(parent);
}

uint64_t change_journal(struct inode *inode)
{
	persist_ancestors(inode);
	inode->dirty_sequence = put_row(inode);
	return inode->dirty_sequence;
}

int change_confirm(struct inode *inode)
{
	struct journal *journal = inode->vfs->env->journal;
	uint64_t settled = inode->settled_sequence;
	int err;

	if (!inode->was_owed || ((inode->dirty | inode->dirty_frozen) & NODE_DIRTY_DATA))
		return 0;
	err = journal_wait(journal, settled, JOURNAL_DURABLE);
	if (!err && inode->settled_sequence == settled)
		inode->was_owed = false;
	return err;
}

int change_wait(struct inode *inode, uint64_t sequence)
{
	struct journal *journal = inode->vfs->env->journal;
	int err;

	if (journal_is_committed(journal, sequence))
		return journal_error(journal);
	err = journal_wait(journal, sequence, JOURNAL_COMMITTED);
	if (err && err != -ENOSPC && !inode->vfs->write_stopped) {
		inode->vfs->write_stopped = true;
		vfs_report(
			inode->vfs, NULL, err,
			"the journal in the cache directory failed; no more writes are accepted");
	}
	return err;
}

/* Objects of moderate size are brought here whole before they are changed: then the data file alone
 * says everything, and no range has to be journalled write by write. */
static int prepare_data(struct inode *inode)
{
	int err;

	if (!S_ISREG(inode->attributes.mode))
		return 0;
	err = inode_open_content(inode);
	while (!err && !content_is_complete(inode->content) &&
	       inode->content->size <= inode->vfs->env->sizes->whole_max) {
		struct content_origin origin = {NULL, inode->etag};
		char *key;

		err = inode_key(inode, &key);
		if (err)
			break;
		origin.key = key;
		err = content_hydrate(inode->content, &origin, 0, inode->content->size);
		free(key);
		/* Another version may have taken its place meanwhile. */
		if (!err)
			err = inode_open_content(inode);
	}
	return err;
}

/* What a power loss has left may be older than what S3 got from us: that is found out before it is
 * changed. While S3 is away it is changed all the same, and should there be a newer one, both are
 * kept. */
static void settle_reloaded(struct inode *inode)
{
	struct upload_outcome outcome = {0};

	publish_acquire(inode);
	if (inode->reloaded && inode->parent && publish_resolve(inode, &outcome))
		inode->untouched = false;
	publish_release(inode);
}

static void become_dirty(struct inode *inode, unsigned what)
{
	struct vfs *vfs = inode->vfs;

	inode->serves |= inode->persisted && !inode->directory &&
			 !((inode->dirty | inode->dirty_frozen) & NODE_DIRTY_DATA);
	if (!inode_is_dirty(inode)) {
		put_id_next(vfs->env, inode->put_id);
		inode->dirty_since = (uint64_t)executor_wall(vfs->env->executor);
		list_append(&vfs->dirty, &inode->dirty_link);
		inode->due = DEADLINE_NONE;
		inode->retries = 0;
		inode->stream_failed = false;
		inode_get(inode);
		inode->kept_at = env_now(vfs->env);
	}
	inode->dirty |= what;
	change_journal(inode);
}

int change_begin(struct inode *inode, unsigned what)
{
	struct vfs *vfs = inode->vfs;
	int err = 0;

	if (vfs->config.read_only)
		return -EROFS;
	if (vfs->write_stopped)
		return -EIO;
	/* A directory that loses its last name must be able to stay. */
	if (journal_is_full(vfs->env->journal) && !inode->directory)
		return -ENOSPC;
	inode_wait_thawed(inode);
	if (inode->reloaded)
		settle_reloaded(inode);
	if ((what & NODE_DIRTY_DATA) && !(inode->dirty & NODE_DIRTY_DATA))
		err = prepare_data(inode);
	if (!err && S_ISLNK(inode->attributes.mode))
		err = inode_read_target(inode); /* it is published with the attributes */
	if (err)
		return err;
	/* Should the change fail, the inode is dirty all the same: whoever waits for it to be
	 * published must have a generation to wait for. */
	if ((inode->dirty & what) != what)
		inode->generation++;
	if (((inode->dirty | inode->dirty_frozen) & what) == what)
		inode->dirty |= what;
	else
		become_dirty(inode, what);
	if (!inode->serves)
		return 0;
	/* That is taken back before a byte changes. */
	err = change_wait(inode, inode->dirty_sequence);
	if (err)
		return err;
	inode->serves = false;
	return change_begin(inode, what);
}

void change_note(struct inode *inode, unsigned what)
{
	CHECK((inode->dirty & what) == what);
	inode->generation++;
	inode->untouched = false;
	if (what & NODE_DIRTY_DATA)
		durable_expect(inode->vfs);
}

/* After the last thing that was owed: the row becomes a record of what the cache may serve, or
 * goes. */
void change_settle(struct inode *inode)
{
	struct vfs *vfs = inode->vfs;

	CHECK(!inode_is_dirty(inode));
	if (list_empty(&inode->dirty_link))
		return;
	list_remove(&inode->dirty_link);
	if (inode->content && content_is_complete(inode->content) && inode->parent) {
		put_row(inode);
		journal_truncate_extents(vfs->env->journal, inode->ino, 0);
	} else if (inode->persisted && !inode->directory) {
		journal_drop_node(vfs->env->journal, inode->ino);
		inode->persisted = false;
	} else if (inode->persisted) {
		put_row(inode);
	}
	inode->settled_sequence = journal_newest(vfs->env->journal);
	if (inode->content && inode->opens == 0)
		content_idle(inode->content);
	wait_wake_all(&vfs->settled);
	inode_put(inode);
}

uint64_t change_forget(struct inode *inode)
{
	uint64_t sequence = 0;

	stream_drop(inode);
	if (inode->persisted) {
		sequence = journal_drop_node(inode->vfs->env->journal, inode->ino);
		inode->settled_sequence = sequence;
		inode->persisted = false;
	}
	inode->dirty = inode->dirty_frozen = 0;
	inode->published_generation = inode->generation;
	if (!list_empty(&inode->dirty_link)) {
		list_remove(&inode->dirty_link);
		wait_wake_all(&inode->vfs->settled);
		inode_put(inode);
	}
	wait_wake_all(&inode->published);
	return sequence;
}

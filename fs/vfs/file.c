/* file.c — open files: reading, writing, and what close and fsync promise. Part of vfs.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "fs/vfs/inode.h"

/* An open asks S3, so that it sees what a close anywhere has published (P3); unless the lookup that
 * the kernel made for the same open(2) has just done so. */
#define SAME_OPEN    (2 * NSEC_PER_MSEC)
#define DIRTY_WAIT   (30 * NSEC_PER_SEC)
#define PUBLISH_WAIT (300 * NSEC_PER_SEC)

struct vfs_handle {
	struct inode *inode; /* busy reference */
	int flags;
	bool served;	  /* bytes were read through it */
	uint64_t version; /* of the inode at the open */
	struct read_window window;
};

/* open(2) empties a file also for who only reads it afterwards. */
static bool may_change(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

static struct vfs_handle *handle_new(struct inode *inode, int flags)
{
	struct vfs_handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	handle->inode = inode_get(inode);
	handle->flags = flags;
	handle->version = inode->version;
	inode->opens++;
	if (may_change(flags))
		inode->writers++;
	return handle;
}

/* Nothing of the object is wanted any more: it need not come here first. */
static int start_empty(struct inode *inode)
{
	struct vfs *vfs = inode->vfs;

	if (inode_is_local(inode) || (inode->content && content_is_complete(inode->content)))
		return 0;
	inode_drop_content(inode);
	return content_create(&vfs->cache, 0, inode, &inode->content);
}

static void note_write_error(struct inode *inode, int err)
{
	if (!local_disk_is_full(err) && err != -ENOMEM)
		local_disk_failed(inode, err,
				  "a write to the cache failed; no more writes are accepted");
}

/* What changes is not the program any more that was given capabilities, whoever changes it. The
 * kernel does not see to that in all cases (file_remove_privs is not called for FOPEN_DIRECT_IO).
 */
static int drop_capability(struct inode *inode)
{
	int err;

	if (!xattr_grants_capability(inode))
		return 0;
	err = change_begin(inode, NODE_DIRTY_ATTR);
	if (err)
		return err;
	xattr_drop_capability(inode);
	return change_attributes_end(inode);
}

/* Objects have no holes, so the zeros up to there have to be sent. More than may wait for its
 * upload would keep out all other writers for as long as that takes. */
static bool is_too_sparse(const struct inode *inode, uint64_t from, uint64_t to)
{
	uint64_t waiting = inode->content ? inode->content->accounted_dirty : 0;

	return to > from && waiting + (to - from) > inode->vfs->cache.dirty_limit;
}

int file_truncate(struct inode *inode, uint64_t size)
{
	struct journal *journal = inode->vfs->env->journal;
	uint64_t old, sequence;
	bool emptied = false;
	int err = size > OBJECT_MAX || is_too_sparse(inode, inode_size(inode), size)
			  ? -EFBIG
			  : drop_capability(inode);

	if (!err && size == 0 && !inode->vfs->config.read_only) {
		err = start_empty(inode);
		emptied = !err;
	}
	if (!err)
		err = change_begin(inode, NODE_DIRTY_DATA);
	if (err) {
		if (emptied && !inode_is_local(inode)) {
			inode_drop_content(inode);
			inode->size = inode->remote_size; /* that content was empty */
		}
		return err;
	}
	old = inode->content->size;
	err = content_truncate(inode->content, size);
	/* It may have waited, and a publication may have ended meanwhile. */
	if (!err)
		err = change_begin(inode, NODE_DIRTY_DATA);
	if (err) {
		note_write_error(inode, err);
		return err;
	}
	if (size == 0 && inode->suspect) { /* a new data file, for which nothing has failed */
		inode->suspect = false;
		inode->error = 0;
		inode->retries = 0;
	}
	sequence = change_journal(inode);
	if (!inode->row_complete) {
		if (size < old)
			sequence = journal_truncate_extents(journal, inode->ino, size);
		else if (size > old)
			sequence = journal_add_extent(journal, inode->ino, old, size);
	}
	inode_touch(inode, true);
	change_note(inode, NODE_DIRTY_DATA);
	stream_note(inode, size < old ? size : old, UINT64_MAX);
	err = change_wait(inode, sequence);
	if (!err && inode->content)
		content_drop_retired(inode->content);
	return err;
}

int file_revalidate(struct inode *inode, int32_t pid)
{
	struct vfs *vfs = inode->vfs;
	struct recent_lookup *recent = &vfs->recent[(uint32_t)pid % RECENT_LOOKUPS];
	bool same_open = recent->pid == pid && recent->ino == inode->ino &&
			 env_now(vfs->env) - recent->replied < SAME_OPEN;

	recent->pid = 0;
	if (same_open || inode_is_local(inode) || !inode->parent)
		return 0;
	return remote_refresh(inode);
}

/* Where a change has failed the journal may not know that the file is empty. */
static bool is_known_empty(const struct inode *inode)
{
	return inode_size(inode) == 0 && !inode_is_dirty(inode) && !inode->vfs->write_stopped;
}

int vfs_open(struct vfs *vfs, struct vfs_caller caller, uint64_t ino, int flags,
	     struct vfs_handle **out, bool *keep_cache)
{
	struct inode *inode = inode_find(vfs, ino);
	int err = 0;

	if (!inode)
		return -ESTALE;
	if (inode->directory)
		err = -EISDIR;
	else if (may_change(flags) && vfs->config.read_only)
		err = -EROFS;
	if (!err)
		err = file_revalidate(inode, caller.pid);
	if (!err && (flags & O_TRUNC) && !is_known_empty(inode))
		err = file_truncate(inode, 0);
	if (!err) {
		*keep_cache = inode->opened_version == inode->version;
		inode->opened_version = inode->version;
		*out = handle_new(inode, flags);
		if (!*out)
			err = -ENOMEM;
	}
	inode_put(inode);
	return err;
}

void handle_attach(struct inode *inode, int flags, struct vfs_handle **out)
{
	*out = handle_new(inode, flags);
}

static ssize_t read_once(struct vfs_handle *handle, void *data, size_t len, uint64_t offset)
{
	struct inode *inode = handle->inode;
	struct content_origin origin = {NULL, NULL};
	struct content *content;
	char *key = NULL, *etag = NULL;
	ssize_t got;
	int err = inode_open_content(inode);

	if (err)
		return err;
	content = content_ref(inode->content);
	if (!content_is_complete(content)) {
		err = inode_key(inode, &key);
		etag = string_copy(inode->etag);
		origin = (struct content_origin){key, etag};
	}
	got = err ? err : content_read(content, &origin, &handle->window, data, len, offset);
	free(key);
	free(etag);
	content_unref(content);
	return got;
}

/* The access time is kept here, and goes to S3 along with the next change: a read must not cost a
 * copy of the object. Later reads through the handle may not reach us. */
static void note_read(struct vfs_handle *handle)
{
	struct inode *inode = handle->inode;
	const struct vfs_config *config = &inode->vfs->config;
	int64_t now = executor_wall(inode->vfs->env->executor);

	handle->served = true;
	if (!config->noatime && !config->read_only && !(handle->flags & O_NOATIME) &&
	    attributes_atime_is_due(&inode->attributes, now))
		inode->attributes.atime = now;
}

ssize_t vfs_read(struct vfs_handle *handle, void *data, size_t len, uint64_t offset)
{
	enum { TURNS = 4 };
	struct inode *inode = handle->inode;
	ssize_t got = -ESTALE;

	/* The version that was asked for may have gone because ours took its place, or because it
	 * has another name: what is missing here is the same in both. */
	for (int turn = 0; got == -ESTALE && turn < TURNS; turn++) {
		uint64_t changed = inode->changed;

		got = read_once(handle, data, len, offset);
		if (got == -ENOENT)
			got = -ESTALE;
		if (got == -ESTALE)
			publish_quiesce(inode);
		if (inode->changed == changed)
			break;
	}
	/* Replaced by another writer before this handle gave anything out: it opens the new
	 * version. */
	if (got == -ESTALE && !handle->served && !inode_is_local(inode) && inode->parent &&
	    remote_refresh(inode) == 0)
		got = read_once(handle, data, len, offset);
	if (local_disk_is_full((int)got) &&
	    cache_give_up(&inode->vfs->cache, inode->vfs->env->sizes->ahead))
		got = read_once(handle, data, len, offset);
	if (local_disk_is_full((int)got))
		got = local_disk_read_past(inode, data, len, offset);
	if (got > 0 && !handle->served)
		note_read(handle);
	if (got == -ENOENT)
		got = -ESTALE;
	return got;
}

/* Waits for room, and longer than DIRTY_WAIT only while uploads are under way that make some. */
static int reserve_dirty(struct vfs *vfs, size_t len)
{
	uint64_t deadline = env_after(vfs->env, PUBLISH_WAIT), published;
	int err;

	do {
		if (vfs->cache.dirty + len > vfs->cache.dirty_limit)
			local_disk_relieve(vfs);
		published = vfs->published;
		err = cache_reserve_dirty(&vfs->cache, len, DIRTY_WAIT);
	} while (err == -ENOSPC && env_now(vfs->env) < deadline &&
		 (vfs->published > published || (vfs->publishing > 0 && !env_is_away(vfs->env))));
	return err;
}

/* Others have replaced what the program may have read through this handle: what it writes into
 * their version would be a mix of two, or take theirs away unseen. An append looks at nothing. */
static bool is_outdated(const struct vfs_handle *handle)
{
	return handle->version != handle->inode->version;
}

bool handle_is_current(const struct vfs_handle *handle)
{
	return !is_outdated(handle);
}

struct inode *handle_inode(const struct vfs_handle *handle)
{
	return handle->inode;
}

static bool may_write(const struct vfs_handle *handle, uint64_t offset)
{
	return offset == VFS_AT_END || !is_outdated(handle);
}

/* An append is not about any version: it goes to the end of the one that is there. */
static int begin_write(struct inode *inode, bool append)
{
	int err = change_begin(inode, NODE_DIRTY_DATA);

	if (err == -ESTALE && append && !inode_is_local(inode) && inode->parent &&
	    remote_refresh(inode) == 0)
		err = change_begin(inode, NODE_DIRTY_DATA);
	return err;
}

/* Into the data file. *offset becomes where it went, *start from where on the file is new. */
static int place(struct vfs_handle *handle, const void *data, size_t len, uint64_t *offset,
		 uint64_t *start)
{
	struct inode *inode = handle->inode;
	struct vfs *vfs = inode->vfs;
	uint64_t old, at;
	/* A hole may be larger than the limit. */
	int err = reserve_dirty(vfs, data ? len : 1);

	if (!err && !may_write(handle, *offset))
		err = -ESTALE;
	if (!err)
		err = drop_capability(inode);
	if (!err)
		err = begin_write(inode, *offset == VFS_AT_END);
	if (!err && !may_write(handle, *offset))
		err = -ESTALE; /* replaced while the rest of it came here */
	if (err)
		return err;
	old = inode->content->size;
	at = *offset == VFS_AT_END ? old : *offset;
	if (is_too_sparse(inode, old, at))
		return -EFBIG;
	if (!data && at + len > old)
		return -EINVAL;
	err = data ? content_write(inode->content, data, len, at)
		   : content_zero(inode->content, at, at + len);
	if (err) {
		note_write_error(inode, err);
		return err;
	}
	*offset = at;
	*start = at < old ? at : old; /* the hole up to it is new as well */
	return 0;
}

/* After a power loss what was synced counts, with all ranges that its row has: where one of them
 * replaces bytes of that, and is to be told by the row, it is durable first. What only appends is
 * cut off then. */
static int begin_record(struct inode *inode, uint64_t start)
{
	/* content_write may have waited, and a publication may have ended meanwhile. */
	int err = change_begin(inode, NODE_DIRTY_DATA);
	const struct content *content = inode->content;

	if (err || inode->row_complete || !content->promised || start >= content->synced_size)
		return err;
	err = inode_sync_data(inode, true);
	return err ? err : change_begin(inode, NODE_DIRTY_DATA);
}

/* What place() has changed survives the process. May be called again after a full disk. */
static int record(struct inode *inode, uint64_t start, uint64_t offset, uint64_t end)
{
	struct journal *journal = inode->vfs->env->journal;
	uint64_t sequence;
	int err = begin_record(inode, start);

	if (err)
		return err;
	sequence = inode->dirty_sequence;
	/* The rest of it has come here since the first write, or what was durable is not any more.
	 */
	if ((content_is_complete(inode->content) && !inode->row_complete) ||
	    (inode->row_synced && !content_is_synced(inode->content)))
		sequence = change_journal(inode);
	if (!inode->row_complete)
		sequence = journal_add_extent(journal, inode->ino, start, end);
	inode_touch(inode, true);
	change_note(inode, NODE_DIRTY_DATA);
	stream_note(inode, offset, end);
	return change_wait(inode, sequence);
}

ssize_t vfs_write(struct vfs_handle *handle, const void *data, size_t len, uint64_t offset)
{
	struct inode *inode = handle->inode;
	uint64_t deadline = env_after(inode->vfs->env, DIRTY_WAIT), start = 0;
	uint64_t from = offset == VFS_AT_END ? inode_size(inode) : offset;
	bool placed = false;
	int err, waited = 0;
	unsigned turn = 0;

	if (from > OBJECT_MAX || len > OBJECT_MAX - from)
		return -EFBIG;
	do {
		err = placed ? 0 : place(handle, data, len, &offset, &start);
		placed = placed || !err; /* an append must not be placed twice */
		if (!err)
			err = record(inode, start, offset, offset + len);
		if (local_disk_is_full(err))
			waited = local_disk_make_room(inode->vfs, turn++, deadline);
	} while (local_disk_is_full(err) && !waited);
	if (err)
		return waited == -EINTR ? waited : err;
	return (ssize_t)len;
}

int file_settle(struct inode *inode, enum publish_mode mode, enum journal_level level)
{
	int err;

	if (!inode_is_dirty(inode) || !inode->parent)
		return inode_take_error(inode);
	if (mode == PUBLISH_S3)
		return publish_wait(inode, env_after(inode->vfs->env, PUBLISH_WAIT),
				    WAIT_INTERRUPTIBLE);
	err = inode_make_durable(inode, level);
	publish_soon(inode, 0);
	return err ? err : inode_take_error(inode);
}

int vfs_flush(struct vfs_handle *handle)
{
	if (!may_change(handle->flags))
		return 0;
	return file_settle(handle->inode, handle->inode->vfs->config.close, JOURNAL_COMMITTED);
}

int vfs_fsync(struct vfs_handle *handle)
{
	return file_settle(handle->inode, handle->inode->vfs->config.fsync, JOURNAL_DURABLE);
}

void vfs_release(struct vfs_handle *handle)
{
	struct inode *inode = handle->inode;

	inode->opens--;
	if (may_change(handle->flags))
		inode->writers--;
	if (!inode->parent)
		inode_orphan(inode);
	else if (inode_is_dirty(inode))
		publish_soon(inode, 0);
	if (inode->opens == 0 && inode->content) {
		/* What is here as a whole may be used by the next mount, too. */
		if (!inode->persisted && !inode_is_local(inode) && inode->parent &&
		    inode->attributes_known && content_is_complete(inode->content))
			change_journal(inode);
		content_idle(inode->content);
	}
	inode_put(inode);
	free(handle);
}

/* mode 0: room that is there now; another writer may take it. */
static int check_space(struct vfs *vfs, uint64_t size, uint64_t end)
{
	struct disk *disk = vfs->env->disk;
	struct disk_space space;
	int err = disk->ops->space(disk, &space);

	return err ? err : end > size && end - size > space.available ? -ENOSPC : 0;
}

static int zero(struct vfs_handle *handle, uint64_t start, uint64_t end)
{
	uint64_t size = inode_size(handle->inode);
	ssize_t done;

	if (end > size)
		end = size;
	if (start >= end)
		return 0;
	done = vfs_write(handle, NULL, end - start, start);
	return done < 0 ? (int)done : 0;
}

int vfs_fallocate(struct vfs_handle *handle, int mode, uint64_t offset, uint64_t len)
{
	static const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	struct inode *inode = handle->inode;
	uint64_t size = inode_size(inode), end = offset + len;
	int err = 0;

	if ((mode & ~known) || (mode & FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE)))
		return -EOPNOTSUPP;
	if (offset > OBJECT_MAX || len > OBJECT_MAX - offset)
		return -EFBIG;
	if (inode->vfs->config.read_only)
		return -EROFS;
	if (!(mode & FALLOC_FL_PUNCH_HOLE))
		err = check_space(inode->vfs, size > offset ? size : offset, end);
	if (!err && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
		err = zero(handle, offset, end);
	if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && end > inode_size(inode))
		err = file_truncate(inode, end);
	return err;
}

int vfs_seek(struct vfs_handle *handle, uint64_t offset, bool hole, uint64_t *out)
{
	struct inode *inode = handle->inode;
	uint64_t size = inode_size(inode);

	if (offset >= size)
		return -ENXIO;
	*out = hole ? size : offset;
	/* What a writer has put into a mapping may not have come here yet: no hole is certain. */
	if (!inode->content || inode->writers > 0)
		return 0;
	return content_seek(inode->content, offset, hole, out);
}

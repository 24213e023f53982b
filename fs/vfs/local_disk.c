/* local_disk.c — what a full or failing disk below the cache means for readers and writers. Part of
 * inode.h.
 *
 * A full disk heals: cached data makes room, then uploads do, and readers go past it. A failed one
 * does not: the volume takes no more writes, and serves and uploads what it can.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/vfs/inode.h"

/* Room that is made at once, and how often a full disk is tried again while nothing happens here.
 */
#define ROOM_STEP (UINT64_C(64) << 20)
#define ROOM_POLL (NSEC_PER_SEC / 2)

bool local_disk_is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT;
}

/* Also what is open for writing goes now: otherwise no file could be larger than the room there is.
 */
void local_disk_relieve(struct vfs *vfs)
{
	LIST_FOREACH (node, &vfs->dirty) {
		struct inode *inode = container_of(node, struct inode, dirty_link);

		if (inode->parent && inode->retries == 0)
			inode->due = 0;
	}
	publish_pump(vfs);
}

/* Where what went to S3 made no room, the next round of the same waits longer. */
static int pause_before(struct vfs *vfs, unsigned turn)
{
	if (turn == 0)
		return 0;
	return fiber_sleep_until(env_after(vfs->env, turn < 9 ? NSEC_PER_MSEC << turn : ROOM_POLL),
				 WAIT_INTERRUPTIBLE);
}

int local_disk_make_room(struct vfs *vfs, unsigned turn, uint64_t deadline)
{
	uint64_t poll;
	int err;

	if (env_now(vfs->env) >= deadline)
		return -ENOSPC;
	if (!journal_is_full(vfs->env->journal) && cache_give_up(&vfs->cache, ROOM_STEP))
		return 0;
	if (pause_before(vfs, turn) == -EINTR)
		return -EINTR;
	poll = env_after(vfs->env, ROOM_POLL);
	local_disk_relieve(vfs);
	err = fiber_wait(&vfs->settled, poll < deadline ? poll : deadline, WAIT_INTERRUPTIBLE);
	/* The journal is content with less than a file. */
	cache_give_up(&vfs->cache, ROOM_STEP / 16);
	return err == -EINTR ? err : 0;
}

void local_disk_failed(struct inode *inode, int err, const char *what)
{
	struct vfs *vfs = inode->vfs;

	if (vfs->write_stopped)
		return;
	vfs->write_stopped = true;
	vfs_report(vfs, inode, err, what);
}

struct span { /* of memory that is filled from start on */
	char *data;
	uint64_t start;
	size_t len, filled;
};

static int fill_span(void *context, const void *data, size_t len, uint64_t offset)
{
	struct span *span = context;
	uint64_t at = offset - span->start;

	if (offset < span->start || at > span->len || len > span->len - at)
		return -EIO;
	memcpy(span->data + at, data, len);
	if (at + len > span->filled)
		span->filled = at + len;
	return 0;
}

ssize_t local_disk_read_past(struct inode *inode, void *data, size_t len, uint64_t offset)
{
	struct vfs *vfs = inode->vfs;
	struct span span = {NULL, offset, len, 0};
	struct os_request get = {.op = OS_GET, .has_range = true, .urgent = true};
	char *key = NULL, *etag = string_copy(inode->etag);
	int err;

	if (inode_is_local(inode) || !etag || offset >= inode->remote_size) {
		free(etag);
		return inode_is_local(inode) || !etag ? -ENOSPC : 0;
	}
	if (span.len > inode->remote_size - offset)
		span.len = (size_t)(inode->remote_size - offset);
	/* Not into data, which others fill while this one waits (vfs_read). */
	span.data = malloc(span.len ? span.len : 1);
	err = span.data ? inode_key(inode, &key) : -ENOMEM;
	if (!err) {
		get.key = key;
		get.condition.if_match = etag;
		get.range_first = offset;
		get.range_len = span.len;
		get.sink = (struct os_sink){fill_span, &span};
		get.deadline = env_bulk_deadline(vfs->env, span.len);
		err = env_s3(vfs->env, &get);
		os_request_free_result(&get);
	}
	free(key);
	free(etag);
	if (!err && span.filled != span.len)
		err = -EIO;
	if (!err)
		memcpy(data, span.data, span.len);
	free(span.data);
	return err ? err : (ssize_t)span.len;
}

/* copy_range.c — copy_file_range(2). Part of vfs.h.
 *
 * A whole file that is in S3, into an empty one: the server copies, and no byte passes through the
 * node. That is a publication of the new file at once, so that nothing of it hangs on the source
 * any more. All else is read and written.
 */
#include <errno.h>
#include <stdlib.h>

#include "fs/vfs/inode.h"

static ssize_t copy_bytes(struct vfs_handle *from, uint64_t from_offset, struct vfs_handle *to,
			  uint64_t to_offset, size_t len)
{
	enum { PIECE = 1 << 20, MOST = 8 * PIECE };
	size_t end = len < MOST ? len : MOST, done = 0;
	char *piece = malloc(end < PIECE ? end + 1 : PIECE);
	ssize_t got = piece ? 1 : -ENOMEM;

	while (done < end && got > 0) {
		size_t want = end - done < PIECE ? end - done : PIECE;

		got = vfs_read(from, piece, want, from_offset + done);
		if (got > 0)
			got = vfs_write(to, piece, (size_t)got, to_offset + done);
		if (got > 0)
			done += (size_t)got;
	}
	free(piece);
	return got < 0 && done == 0 ? got : (ssize_t)done;
}

static bool is_published(const struct inode *inode)
{
	return inode->parent && inode->remote == REMOTE_PRESENT && inode->etag &&
	       !inode_is_dirty(inode) && !inode->publishing && !inode->conflicted;
}

/* Small ones cost the same number of requests either way, and attributes that are set next go along
 * with the bytes. */
static bool is_worth_it(struct vfs_handle *from, struct vfs_handle *to, size_t len)
{
	const struct inode *source = handle_inode(from), *target = handle_inode(to);
	uint64_t size = source->remote_size;

	return size > 0 && size >= source->vfs->copy_least && len >= size && source != target &&
	       is_published(source) && handle_is_current(from) && handle_is_current(to) &&
	       target->parent && inode_size(target) == 0 && !target->conflicted &&
	       !target->resolve_first && !target->suspect && !target->vfs->config.read_only;
}

/* What is here of the target is nothing; from now on it is what S3 has. */
static void take_copy(struct inode *target)
{
	inode_drop_content(target);
	target->size = target->remote_size;
	change_settle(target);
}

/* The publications of both are ours. 0: the target is the copy. */
static int copy_between(struct inode *source, struct inode *target)
{
	struct upload_outcome outcome;
	uint64_t generation = target->generation;
	int err = publish_copy_of(target, source, &outcome);

	if (err)
		return err;
	/* Somebody has written into it meanwhile: that is not lost, and the rest is copied into it.
	 */
	if (target->generation != generation || inode_size(target) > 0) {
		put_id_next(target->vfs->env, target->put_id);
		change_journal(target);
		return -EAGAIN;
	}
	take_copy(target);
	return change_wait(target, journal_newest(target->vfs->env->journal));
}

/* All that the source has, or an error: then nothing was copied. */
static ssize_t copy_whole(struct vfs_handle *from, struct vfs_handle *to, size_t len)
{
	struct inode *source = handle_inode(from), *target = handle_inode(to);
	ssize_t size = 0;
	int err = change_begin(target, NODE_DIRTY_DATA);

	if (err)
		return err;
	inode_touch(target, true);
	change_note(target, NODE_DIRTY_DATA);
	publish_acquire(target);
	/* It may have waited. */
	err = is_worth_it(from, to, len) ? 0 : -EAGAIN;
	if (!err) {
		publish_acquire(source);
		size = (ssize_t)source->remote_size;
		err = copy_between(source, target);
		publish_release(source);
	}
	publish_release(target);
	return err ? err : size;
}

ssize_t vfs_copy_range(struct vfs_handle *from, uint64_t from_offset, struct vfs_handle *to,
		       uint64_t to_offset, size_t len)
{
	ssize_t copied = -EAGAIN;

	if (from_offset == 0 && to_offset == 0 && is_worth_it(from, to, len))
		copied = copy_whole(from, to, len);
	return copied > 0 ? copied : copy_bytes(from, from_offset, to, to_offset, len);
}

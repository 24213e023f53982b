/* stream.c — large files go to S3 while they are being written, so that close has little left to
 * wait for. Part of inode.h.
 *
 * Only for files of which nothing is in S3 that could be copied instead, and only ranges that the
 * writer has passed; a range that is written again is sent again when the file is published.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/upload/multipart.h"
#include "fs/vfs/inode.h"

enum { STREAM_WIDTH = 4 };

static int read_blob(void *context, void *data, size_t len, uint64_t offset)
{
	struct blob *blob = context;
	ssize_t got = blob_read(blob, data, len, offset);

	/* The file may be cut while it is read: the part is stale then, and what it holds does not
	 * matter. */
	if (got >= 0 && (size_t)got < len)
		memset((char *)data + got, 0, len - (size_t)got);
	return got < 0 ? (int)got : 0;
}

static bool is_eligible(const struct inode *inode)
{
	const struct content *content = inode->content;
	uint64_t after = inode->vfs->env->sizes->stream_after;

	return !inode->publishing && !inode->stream_failed && inode->parent && !inode->retries &&
	       !inode->resolve_first && content->size > after && content->base_len == 0 &&
	       !content->frozen_active && content_is_complete(content);
}

/* Whole parts behind the writer. */
static void pump(struct inode *inode)
{
	struct multipart *multipart = inode->stream;
	struct content *content = inode->content;
	uint64_t part_size = inode->vfs->uploader.part_size;
	struct os_source body = {read_blob, content->blob, content->size};

	if (blob_ensure(content->blob))
		return;
	while (multipart->running < STREAM_WIDTH && !multipart->failure.err) {
		uint64_t start = multipart->count * part_size;

		if (start + part_size > inode->stream_reach || start + part_size > content->size ||
		    multipart->count >= OS_PART_COUNT_MAX)
			return;
		if (multipart_send(multipart, multipart->count, start, start + part_size, &body,
				   content->blob))
			return;
	}
}

static void keep_pumping(void *argument)
{
	struct inode *inode = argument;
	struct upload_outcome outcome = {0};
	struct os_meta meta = OS_META_INIT;
	struct multipart *multipart = NULL;
	char *key = NULL;
	int err = inode_key(inode, &key);

	if (!err)
		err = publish_metadata(inode, &meta);
	if (!err)
		err = multipart_begin(&inode->vfs->uploader, key, &meta, &inode->headers,
				      publish_content_type(inode), &outcome, &multipart);
	os_meta_free(&meta);
	free(key);
	/* Published, renamed or cut while the upload was created: it is of no use any more. */
	if (!err && (!inode->content || !is_eligible(inode) || !inode_is_dirty(inode))) {
		multipart_end(multipart, false);
		multipart = NULL;
	}
	if (err)
		inode->stream_failed = true;
	inode->stream = multipart;
	while (multipart && !inode->stream_closing && !multipart->failure.err) {
		pump(inode);
		fiber_wait(&multipart->changed, DEADLINE_NONE, WAIT_PLAIN);
	}
	inode->stream_pumping = false;
	wait_wake_all(&inode->published);
	inode_put(inode);
}

void stream_note(struct inode *inode, uint64_t start, uint64_t end)
{
	if (inode->stream) {
		multipart_touch(inode->stream, start, end);
		inode->stream_reach = start;
		wait_wake_all(&inode->stream->changed);
		return;
	}
	inode->stream_reach = start;
	if (inode->stream_pumping || !is_eligible(inode))
		return;
	inode->stream_pumping = true;
	inode_get(inode);
	if (fiber_start(inode->vfs->env->fibers, keep_pumping, inode)) {
		inode->stream_pumping = false;
		inode_put(inode);
	}
}

struct multipart *stream_take(struct inode *inode, const char *key)
{
	struct multipart *multipart;

	inode->stream_closing = true;
	/* Until the parts under way have ended they must learn of writes: the stream stays
	 * attached. */
	while (inode->stream_pumping || (inode->stream && inode->stream->running > 0)) {
		if (inode->stream)
			wait_wake_all(&inode->stream->changed);
		if (inode->stream_pumping)
			fiber_wait(&inode->published, DEADLINE_NONE, WAIT_PLAIN);
		else
			multipart_wait(inode->stream);
	}
	multipart = inode->stream;
	inode->stream = NULL;
	inode->stream_closing = false;
	if (multipart && (multipart->failure.err || strcmp(multipart->key, key) != 0)) {
		multipart_end(multipart, false);
		return NULL;
	}
	return multipart;
}

static void end_stream(void *argument)
{
	struct inode *inode = argument;
	struct multipart *multipart = stream_take(inode, "");

	if (multipart)
		multipart_end(multipart, false);
	inode_put(inode);
}

void stream_drop(struct inode *inode)
{
	if (!inode->stream && !inode->stream_pumping)
		return;
	inode_get(inode);
	if (fiber_start(inode->vfs->env->fibers, end_stream, inode))
		inode_put(inode); /* then the intent in the journal ends it at the next mount */
}

static bool can_resume(const struct inode *inode, const struct journal_intent *intent)
{
	uint64_t put_max = inode->vfs->env->sizes->put_max;

	return intent->etag[0] && strcmp(inode->put_id, intent->etag) == 0 && inode->parent &&
	       (inode->dirty & NODE_DIRTY_DATA) && inode->content && !inode->publishing &&
	       !inode->stream && !inode->stream_pumping && inode->content->size > put_max;
}

int stream_resume(struct vfs *vfs, const struct journal_intent *intent)
{
	struct inode *inode = inode_at_key(vfs, intent->source);
	struct multipart *multipart = NULL;
	int err;

	if (!inode || !can_resume(inode, intent))
		return -ESTALE;
	inode_get(inode);
	err = multipart_adopt(&vfs->uploader, intent, &multipart);
	/* It may have been published, changed or moved while its parts were listed. */
	if (!err && !can_resume(inode, intent)) {
		multipart_forget(multipart);
		err = -ESTALE;
	}
	if (!err) {
		log_info("%s: the upload of %s goes on where it was cut off", vfs->config.volume,
			 intent->source);
		inode->stream = multipart;
	}
	inode_put(inode);
	return err;
}

bool stream_is_resumed(const struct inode *inode)
{
	return inode->stream && !inode->stream_pumping && inode->resolve_first &&
	       strcmp(multipart_put_id(inode->stream), inode->put_id) == 0;
}

/* content_change.c — what writers do to a file's data; part of content.h.
 *
 * Each change ends the fetches that it meets, keeps for a frozen view what that still shows, and
 * counts as a new epoch unless it only appends: what was synced before is not any more.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/check.h"
#include "fs/cache/content.h"

/* Bytes between the old end and start become zeros that are ours. */
static int extend_to(struct content *content, uint64_t start)
{
	int err = 0;

	if (start > content->size) {
		err = extent_add(&content->valid, content->size, start);
		if (!err)
			err = extent_add(&content->changed, content->size, start);
	}
	return err;
}

/* Before bytes are overwritten: should that fail half-way, those that are the file's are not the
 * origin's any more. */
static int count_as_changed(struct content *content, uint64_t start, uint64_t end)
{
	struct extent range;
	int err = 0;

	while (!err && start < end && extent_first(&content->valid, start, end, &range)) {
		err = extent_add(&content->changed, range.start, range.end);
		start = range.end;
	}
	/* What is written after this must not be valid without being changed. */
	if (!err)
		err = extent_reserve(&content->valid);
	return err ? err : extent_reserve(&content->changed);
}

/* A change that was to make the file longer has failed. C4; should that fail as well, the next
 * write tries it again. */
static void cut_back(struct content *content)
{
	blob_truncate(content->blob, content->size);
	extent_remove(&content->valid, content->size, UINT64_MAX);
	extent_remove(&content->changed, content->size, UINT64_MAX);
}

int content_write(struct content *content, const void *data, size_t len, uint64_t offset)
{
	uint64_t end = offset + len;
	int err = 0;

	if (len == 0)
		return 0;
	content->pins++;
	content->original = false;
	content_stop_fetches(content, offset, end);
	if (offset < content->size || !content_is_complete(content))
		content->epoch++;
	cache_make_room(content->cache, len);
	err = blob_ensure(content->blob);
	if (!err && content->snapshot)
		err = snapshot_preserve(content->snapshot, offset, end);
	if (!err)
		err = count_as_changed(content, offset, end);
	if (!err)
		err = blob_write(content->blob, data, len, offset);
	if (!err)
		err = extend_to(content, offset);
	if (!err)
		err = extent_add(&content->valid, offset, end);
	if (!err)
		err = extent_add(&content->changed, offset, end);
	if (err && end > content->size)
		cut_back(content);
	if (!err && end > content->size)
		content->size = end;
	content_account(content);
	content->pins--;
	content_touch(content);
	return err;
}

int content_zero(struct content *content, uint64_t start, uint64_t end)
{
	int err;

	content->pins++;
	content->original = false;
	content_stop_fetches(content, start, end);
	if (end > content->size) /* cut while this waited */
		end = content->size;
	if (start > end)
		start = end;
	content->epoch++;
	err = blob_ensure(content->blob);
	if (!err && content->snapshot)
		err = snapshot_preserve(content->snapshot, start, end);
	if (!err)
		err = count_as_changed(content, start, end);
	if (!err)
		err = content->cache->env->disk->ops->punch(content->blob->file, start, end);
	if (!err)
		err = extent_add(&content->valid, start, end);
	if (!err)
		err = extent_add(&content->changed, start, end);
	content_account(content);
	content->pins--;
	content_touch(content);
	return err;
}

int content_seek(struct content *content, uint64_t offset, bool hole, uint64_t *out)
{
	const struct disk_ops *ops = content->cache->env->disk->ops;
	int err;

	*out = hole ? content->size : offset;
	if (!ops->seek || !content_is_complete(content))
		return 0;
	err = blob_ensure(content->blob);
	if (!err)
		err = ops->seek(content->blob->file, offset, hole, out);
	if (!err && *out > content->size)
		*out = content->size;
	return err;
}

int content_fill(struct content *content, const void *data, size_t len)
{
	int err = blob_ensure(content->blob);

	CHECK(len == content->size && list_empty(&content->fetches));
	content->epoch++;
	if (!err)
		err = blob_write(content->blob, data, len, 0);
	if (!err)
		err = extent_add(&content->valid, 0, len);
	content_account(content);
	return err;
}

int content_truncate(struct content *content, uint64_t size)
{
	return size == 0 && content->size > 0 ? content_reset(content)
					      : content_resize(content, size);
}

int content_resize(struct content *content, uint64_t size)
{
	uint64_t old = content->size;
	int err = 0;

	content->pins++;
	content->original = false;
	if (size < old || !content_is_complete(content))
		content->epoch++;
	if (size < old)
		content_stop_fetches(content, size, old);
	err = blob_ensure(content->blob);
	if (!err && size < old) {
		if (content->snapshot)
			err = snapshot_preserve(content->snapshot, size, old);
	}
	if (!err)
		err = blob_truncate(content->blob, size);
	if (!err && size > old) {
		err = extend_to(content, size);
		if (err)
			cut_back(content);
	}
	if (!err && size < old) {
		err = extent_remove(&content->valid, size, UINT64_MAX);
		if (!err)
			err = extent_remove(&content->changed, size, UINT64_MAX);
		if (content->base_len > size)
			content->base_len = size;
		if (content->next_base_len > size)
			content->next_base_len = size;
	}
	if (!err)
		content->size = size;
	if (content->synced_size > content->size)
		content->synced_size = content->size;
	content_account(content);
	content->pins--;
	return err;
}

void content_drop_retired(struct content *content)
{
	if (content->retired)
		blob_discard(content->retired);
	blob_unref(content->retired);
	content->retired = NULL;
}

int content_reset(struct content *content)
{
	struct blob *fresh;
	int err;

	content->pins++;
	content->original = false;
	content_stop_fetches(content, 0, UINT64_MAX);
	content->pins--;
	err = blob_create(content->cache->env, cache_new_file_id(content->cache), &fresh);
	if (err)
		return err;
	content_drop_retired(content);
	content->epoch++;
	content->synced_size = 0; /* of which nothing can be missing */
	content->synced_whole = true;
	content->retired = content->blob;
	content->blob = fresh;
	content->snapshot = NULL;
	content->reset_since_freeze = content->frozen_active;
	extent_set_free(&content->valid);
	extent_set_free(&content->changed);
	content->size = content->base_len = content->next_base_len = 0;
	content_account(content);
	return 0;
}

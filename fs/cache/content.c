#include "fs/cache/content.h"

#include <errno.h>
#include <stdlib.h>

#include "common/check.h"

static struct content *content_alloc(struct cache *cache, void *owner)
{
	struct content *content = calloc(1, sizeof(*content));

	if (!content)
		return NULL;
	content->cache = cache;
	content->owner = owner;
	content->refs = 1;
	content->epoch = 1;
	list_init(&content->fetches);
	wait_queue_init(&content->progress);
	list_append(&cache->lru, &content->lru);
	return content;
}

void content_account(struct content *content)
{
	struct cache *cache = content->cache;
	uint64_t used = extent_total(&content->valid);
	uint64_t dirty = extent_total(&content->changed) + extent_total(&content->frozen);
	bool less = dirty < content->accounted_dirty;

	cache->used += used - content->accounted_used;
	cache->dirty += dirty - content->accounted_dirty;
	content->accounted_used = used;
	content->accounted_dirty = dirty;
	if (less)
		wait_wake_all(&cache->room);
}

int content_create(struct cache *cache, uint64_t size, void *owner, struct content **out)
{
	struct content *content = content_alloc(cache, owner);
	int err;

	if (!content)
		return -ENOMEM;
	err = blob_create(cache->env, cache_new_file_id(cache), &content->blob);
	if (!err && size > 0)
		err = blob_truncate(content->blob, size);
	if (err) {
		content_unref(content);
		return err;
	}
	content->size = content->base_len = size;
	content->original = true;
	*out = content;
	return 0;
}

int content_adopt(struct cache *cache, uint64_t file_id, bool complete, uint64_t base_len,
		  const struct extent_set *dirty, void *owner, struct content **out)
{
	struct content *content = content_alloc(cache, owner);
	int err;

	if (!content)
		return -ENOMEM;
	err = blob_open(cache->env, file_id, &content->blob);
	if (!err)
		err = cache->env->disk->ops->size(content->blob->file, &content->size);
	if (!err && complete)
		err = extent_add(&content->valid, 0, content->size);
	for (size_t i = 0; !err && dirty && i < dirty->count; i++) {
		err = extent_add(&content->valid, dirty->items[i].start, dirty->items[i].end);
		if (!err)
			err = extent_add(&content->changed, dirty->items[i].start,
					 dirty->items[i].end);
	}
	if (err) {
		content->keep_file = true;
		content_unref(content);
		return err;
	}
	content->base_len = base_len < content->size ? base_len : content->size;
	content_account(content);
	content_idle(content);
	*out = content;
	return 0;
}

struct content *content_ref(struct content *content)
{
	content->refs++;
	return content;
}

void content_unref(struct content *content)
{
	if (!content || --content->refs > 0)
		return;
	CHECK(list_empty(&content->fetches) && !content->frozen_active);
	content_drop_retired(content);
	if (content->blob && !content->keep_file)
		blob_discard(content->blob);
	blob_unref(content->blob);
	extent_set_free(&content->valid);
	extent_set_free(&content->changed);
	extent_set_free(&content->frozen);
	extent_set_free(&content->inflight);
	content_account(content);
	list_remove(&content->lru);
	free(content);
}

void content_abandon(struct content *content, bool keep_file)
{
	content->keep_file = keep_file;
	content->owner = NULL;
	content_cancel_fetches(content);
	content_unref(content);
}

bool content_is_complete(const struct content *content)
{
	return extent_contains(&content->valid, 0, content->size);
}

bool content_is_dirty(const struct content *content)
{
	return content->changed.count > 0 || content->frozen_active;
}

bool content_is_synced(const struct content *content)
{
	return content->promised || content->synced_epoch == content->epoch;
}

/* S3 has what the n-th freeze saw. */
static void note_published(struct content *content, uint64_t freeze)
{
	content->published = freeze;
	if (content->synced_freezes >= freeze)
		return;
	content->promised = false;
	content->synced_epoch = 0;
}

void content_settle_sync(struct content *content)
{
	note_published(content, ++content->freezes);
}

/* Of what others changed meanwhile, the bytes that were there at the start are durable, each as it
 * was or as it is now: enough for a promise, unless a later sync knows better. */
static void note_synced(struct content *content, uint64_t epoch, uint64_t size, bool whole,
			bool promise)
{
	bool same = content->epoch == epoch;

	if (!same && (!promise || content->synced_epoch == content->epoch))
		return;
	if (size > content->size)
		size = content->size;
	if (content->synced_size < size)
		content->synced_size = size;
	content->synced_whole = whole;
	if (same)
		content->synced_epoch = epoch;
}

int content_sync(struct content *content, bool promise)
{
	struct blob *blob = blob_ref(content->blob);
	uint64_t epoch = content->epoch, size = content->size, freezes = content->freezes;
	bool whole = content_is_complete(content);
	int err = blob_ensure(blob);

	content_ref(content);
	if (!err)
		err = content->cache->env->disk->ops->sync(blob->file);
	if (!err && content->published <= freezes) {
		content->synced_freezes = freezes;
		if (content->blob == blob)
			note_synced(content, epoch, size, whole, promise);
		if (promise && (content_is_dirty(content) || content->size == 0))
			content->promised = true;
	}
	blob_unref(blob);
	content_unref(content);
	return err;
}

bool content_is_evictable(const struct content *content)
{
	return content->owner && content->pins == 0 && content->refs == 1 &&
	       !content_is_dirty(content);
}

void content_idle(struct content *content)
{
	if (content->refs == 1 && content->pins == 0 && !content_is_dirty(content))
		blob_idle(content->blob);
}

void content_touch(struct content *content)
{
	list_remove(&content->lru);
	list_append(&content->cache->lru, &content->lru);
}

/* Frees [start, end) on disk and forgets it. A failure leaves the bytes where they are: more is
 * used then. */
static void give_back(struct content *content, uint64_t start, uint64_t end)
{
	struct disk *disk = content->cache->env->disk;
	struct extent range;

	while (start < end && extent_first(&content->valid, start, end, &range)) {
		if (extent_remove(&content->valid, range.start, range.end))
			break;
		disk->ops->punch(content->blob->file, range.start, range.end);
		start = range.end;
	}
	content_account(content);
}

void content_trim(struct content *content)
{
	const struct sizes *sizes = content->cache->env->sizes;
	uint64_t before = content->last_read, after = content->last_read + 2 * sizes->ahead;

	if (content_is_dirty(content) || !content->owner || blob_ensure(content->blob))
		return;
	before = before > sizes->range ? before - sizes->range : 0;
	content->epoch++;
	give_back(content, 0, before);
	if (after < content->size)
		give_back(content, after, content->size);
}

int content_lose_origin(struct content *content)
{
	struct disk *disk = content->cache->env->disk;
	struct extent gap;
	int err = blob_ensure(content->blob);

	CHECK(!content->frozen_active);
	content_cancel_fetches(content);
	while (!err && extent_first_gap(&content->valid, 0, content->size, &gap)) {
		/* A fetch that broke off may have left something. */
		err = disk->ops->punch(content->blob->file, gap.start, gap.end);
		if (!err)
			err = extent_add(&content->valid, gap.start, gap.end);
	}
	if (!err)
		err = extent_add(&content->changed, 0, content->size);
	if (!err)
		content->base_len = 0;
	content_account(content);
	return err;
}

/* How much more to fetch now: the next stretch once the reader has used half of what was asked for.
 */
static void read_ahead(struct content *content, const struct content_origin *origin,
		       struct read_window *window, uint64_t offset, uint64_t end)
{
	const struct sizes *sizes = content->cache->env->sizes;
	uint64_t target, ahead, valid_end;

	if (content->size <= sizes->whole_max) {
		content_fetch(content, origin, 0, content->size);
		return;
	}
	target = window ? read_window_advance(window, offset, end - offset, content->size,
					      sizes->ahead, cache_worth(content->cache))
			: end;
	ahead = end;
	do {
		valid_end = extent_run_end(&content->valid, ahead);
		ahead = extent_run_end(&content->inflight, valid_end);
	} while (ahead > valid_end && ahead < target);
	/* What is asked for now and what comes next is one request where nothing lies between. */
	if (ahead < target && (ahead - end) * 2 < target - end)
		content_fetch(content, origin, offset, target);
	else
		content_fetch(content, origin, offset, end);
}

/* Waits until [start, end) is valid, asking for what is missing. */
static int wait_valid(struct content *content, const struct content_origin *origin,
		      struct read_window *window, uint64_t start, uint64_t end)
{
	struct env *env = content->cache->env;
	uint64_t deadline = env_after(env, DEADLINE_BULK);

	if (window && content->size > env->sizes->whole_max && !content_is_complete(content))
		read_ahead(content, origin, window, start, end);
	while (!extent_contains(&content->valid, start, end)) {
		unsigned failures = content->failures;
		struct extent gap;
		int err;

		if (!origin->etag)
			return -EIO;
		if (window)
			content_fetch(content, origin, start, end);
		else
			read_ahead(content, origin, NULL, start, end);
		err = fiber_wait(&content->progress, deadline, WAIT_INTERRUPTIBLE);
		if (err)
			return err;
		if (end > content->size)
			end = content->size > start ? content->size : start;
		if (content->failures != failures &&
		    extent_first_gap(&content->valid, start, end, &gap) &&
		    !extent_intersects(&content->inflight, gap.start, gap.start + 1))
			return content->failure;
	}
	return 0;
}

ssize_t content_read(struct content *content, const struct content_origin *origin,
		     struct read_window *window, void *data, size_t len, uint64_t offset)
{
	bool large = content->size > content->cache->env->sizes->whole_max;
	struct read_window *ahead = large ? window : NULL;
	uint64_t end;
	ssize_t got;
	int err;

	if (offset >= content->size)
		return 0;
	end = len < content->size - offset ? offset + len : content->size;
	content_ref(content);
	content->pins++;
	content->last_read = offset;
	err = wait_valid(content, origin, ahead, offset, end);
	/* The file may have been cut meanwhile: then there is less, or nothing, to read. */
	if (!err && end > content->size)
		end = content->size > offset ? content->size : offset;
	if (!err)
		err = blob_ensure(content->blob);
	got = err ? err : blob_read(content->blob, data, (size_t)(end - offset), offset);
	content->pins--;
	content_touch(content);
	content_unref(content);
	return got;
}

int content_hydrate(struct content *content, const struct content_origin *origin, uint64_t start,
		    uint64_t end)
{
	uint64_t most = content->cache->env->sizes->ahead;
	int err = 0;

	if (end > content->size)
		end = content->size;
	content_ref(content);
	content->pins++;
	/* In steps, so that a large range does not flood the queue of requests. */
	while (!err && start < end) {
		uint64_t step = end - start < most ? end : start + most;

		err = wait_valid(content, origin, NULL, start, step);
		start = step;
		if (end > content->size)
			end = content->size;
	}
	content->pins--;
	content_unref(content);
	return err;
}

int content_freeze(struct content *content, struct snapshot **out)
{
	int err;

	CHECK(!content->frozen_active);
	err = blob_ensure(content->blob);
	if (err)
		return err;
	err = snapshot_create(content->blob, content->size, cache_new_file_id(content->cache), out);
	if (err)
		return err;
	content->snapshot = *out;
	content->frozen_active = true;
	content->freezes++;
	content->reset_since_freeze = false;
	content->frozen = content->changed;
	content->changed = (struct extent_set)EXTENT_SET_INIT;
	content->frozen_base_len = content->base_len;
	content->next_base_len = content->size;
	return 0;
}

/* What was frozen is changed again. Memory may be short: nothing that is owed may be forgotten for
 * that. */
static void give_back_frozen(struct content *content)
{
	struct extent_set *frozen = &content->frozen, *changed = &content->changed;
	int err = 0;

	if (frozen->count > 0 && changed->count == 0) {
		extent_set_free(changed);
		*changed = *frozen;
		*frozen = (struct extent_set)EXTENT_SET_INIT;
		CHECK(extent_remove(changed, content->size, UINT64_MAX) == 0);
		return;
	}
	for (size_t i = 0; i < frozen->count && !err; i++) {
		struct extent range = frozen->items[i];

		if (range.end > content->size)
			range.end = content->size;
		if (range.start < range.end)
			err = extent_add(changed, range.start, range.end);
	}
	if (!err)
		return;
	/* More than was changed may go, if all of it is here. */
	CHECK(content_is_complete(content));
	extent_set_free(changed);
	*changed = *frozen;
	*frozen = (struct extent_set)EXTENT_SET_INIT;
	changed->items[0] = (struct extent){0, content->size};
	changed->total = content->size;
	changed->count = content->size > 0;
}

void content_thaw(struct content *content, struct snapshot *snapshot, bool published)
{
	CHECK(content->frozen_active);
	content->frozen_active = false;
	content->snapshot = NULL;
	if (published) {
		content->base_len = content->next_base_len;
		note_published(content, content->freezes);
		content->promised = content->promised && content->changed.count > 0;
	} else if (!content->reset_since_freeze) {
		give_back_frozen(content);
		if (content->next_base_len < content->frozen_base_len)
			content->base_len = content->next_base_len;
		else
			content->base_len = content->frozen_base_len;
	} else {
		content->base_len = 0;
	}
	content->reset_since_freeze = false;
	extent_set_free(&content->frozen);
	snapshot_destroy(snapshot);
	content_account(content);
}

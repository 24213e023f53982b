#include "fs/cache/cache.h"

#include <errno.h>

#include "fs/cache/content.h"

/* File numbers are taken from the journal in steps, so that a crash costs numbers and never reuses
 * one. */
enum { FILE_ID_STEP = 1024 };

void cache_init(struct cache *cache, struct env *env, uint64_t limit, uint64_t dirty_limit,
		uint64_t next_file_id)
{
	*cache = (struct cache){
		.env = env,
		.limit = limit,
		.dirty_limit = dirty_limit,
		.next_file_id = next_file_id,
		.reserved_file_ids = next_file_id,
	};
	list_init(&cache->lru);
	wait_queue_init(&cache->room);
}

/* What one connection to S3 carries from inside its region (S3 performance guidelines: 85 to 90
 * MB/s for each request). */
#define BYTES_PER_MSEC UINT64_C(90000)

void cache_note_round_trip(struct cache *cache, uint64_t ns)
{
	enum { SMOOTH = 8 };

	cache->round_trip = cache->round_trip ? (cache->round_trip * (SMOOTH - 1) + ns) / SMOOTH
					      : ns;
	if (cache->round_trip == 0)
		cache->round_trip = 1;
}

uint64_t cache_worth(const struct cache *cache)
{
	return cache->round_trip ? cache->round_trip / 1000 * BYTES_PER_MSEC / 1000 + 1 : 0;
}

uint64_t cache_new_file_id(struct cache *cache)
{
	if (cache->next_file_id == cache->reserved_file_ids) {
		cache->reserved_file_ids += FILE_ID_STEP;
		journal_put_counters(cache->env->journal, 0, cache->reserved_file_ids, 0);
	}
	return cache->next_file_id++;
}

int cache_reserve_dirty(struct cache *cache, uint64_t len, uint64_t wait_ns)
{
	uint64_t deadline;

	if (cache->dirty + len <= cache->dirty_limit)
		return 0;
	deadline = env_after(cache->env, wait_ns);
	while (cache->dirty + len > cache->dirty_limit) {
		int err = fiber_wait(&cache->room, deadline, WAIT_INTERRUPTIBLE);

		if (err)
			return err == -ETIMEDOUT ? -ENOSPC : err;
	}
	return 0;
}

void cache_make_room(struct cache *cache, uint64_t len)
{
	if (cache->used + len <= cache->limit)
		return;
	LIST_FOREACH (node, &cache->lru) {
		struct content *content = container_of(node, struct content, lru);

		if (cache->used + len <= cache->limit)
			return;
		if (content_is_evictable(content))
			cache->evict(content);
	}
	/* Only files that are in use are left: a large one keeps what is around its reader. */
	LIST_FOREACH (in_use, &cache->lru) {
		struct content *content = container_of(in_use, struct content, lru);

		if (cache->used + len <= cache->limit)
			return;
		if (content->owner && cache->refetchable(content))
			content_trim(content);
	}
}

bool cache_give_up(struct cache *cache, uint64_t len)
{
	uint64_t before = cache->used, limit = cache->limit;

	cache->limit = before > len ? before - len : 0;
	cache_make_room(cache, 0);
	cache->limit = limit;
	return cache->used < before;
}

#include "fs/cache/space.h"

#include <stdlib.h>

#include "common/check.h"

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

void cache_space_account(struct cache_space *space, struct cache_share *share,
			 struct cache_share now)
{
	CHECK(now.dirty <= now.used);
	CHECK(space->used >= share->used && space->dirty >= share->dirty);
	space->used = add_saturated(space->used - share->used, now.used);
	space->dirty = add_saturated(space->dirty - share->dirty, now.dirty);
	*share = now;
}

bool cache_space_dirty_fits(const struct cache_space *space, uint64_t len)
{
	return add_saturated(space->dirty, len) <= space->dirty_limit;
}

uint64_t cache_space_excess(const struct cache_space *space, uint64_t len)
{
	uint64_t wanted = add_saturated(space->used, len);

	return wanted > space->limit ? wanted - space->limit : 0;
}

static bool may_go(const struct evict_candidate *candidate)
{
	return !candidate->pinned && !candidate->dirty && candidate->bytes > 0;
}

static int compare(const void *first, const void *second)
{
	const struct evict_candidate *a = first, *b = second;

	if (may_go(a) != may_go(b))
		return may_go(a) ? -1 : 1;
	if (a->last_used != b->last_used)
		return a->last_used < b->last_used ? -1 : 1;
	return (a->file_id > b->file_id) - (a->file_id < b->file_id);
}

size_t cache_space_choose(struct evict_candidate *candidates, size_t count, uint64_t excess)
{
	uint64_t freed = 0;
	size_t chosen = 0;

	if (excess == 0 || count == 0)
		return 0;
	qsort(candidates, count, sizeof(*candidates), compare);
	while (chosen < count && freed < excess && may_go(&candidates[chosen]))
		freed = add_saturated(freed, candidates[chosen++].bytes);
	return chosen;
}

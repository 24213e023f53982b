/* cache.h — the space that file data takes on the local disk: limits, accounting, who goes first.
 *
 * Threads: owner thread.
 * Invariants: dirty <= used; a content that is pinned or dirty is never evicted; dirty stays at or
 * below dirty_limit, writers wait for that (cache_reserve).
 */
#ifndef FS_CACHE_CACHE_H
#define FS_CACHE_CACHE_H

#include "common/list.h"
#include "fs/env.h"

struct content;

struct cache {
	struct env *env;
	uint64_t limit, dirty_limit; /* bytes */
	uint64_t used, dirty;
	struct list lru;	/* contents, least recently used first */
	struct wait_queue room; /* woken when dirty went down */
	uint64_t next_file_id, reserved_file_ids;
	uint64_t
		round_trip; /* ns from a range's request to its first bytes, smoothed; 0: not yet */
	/* Takes a clean, unpinned content from its owner and destroys it, unless it is needed. */
	void (*evict)(struct content *content);
	/* Can what is given back be fetched again? */
	bool (*refetchable)(const struct content *content);
};

void cache_init(struct cache *cache, struct env *env, uint64_t limit, uint64_t dirty_limit,
		uint64_t next_file_id);
/* A number that no data file has had. */
uint64_t cache_new_file_id(struct cache *cache);
/* Waits until len more dirty bytes fit. Returns 0, -ENOSPC after wait_ns, -EINTR. In a fiber. */
int cache_reserve_dirty(struct cache *cache, uint64_t len, uint64_t wait_ns);
/* Evicts until used + len is within the limit, as far as possible. */
void cache_make_room(struct cache *cache, uint64_t len);
/* Another range began to arrive. */
void cache_note_round_trip(struct cache *cache, uint64_t ns);
/* How many bytes one connection brings in the time of a round trip, as window.h wants it. */
uint64_t cache_worth(const struct cache *cache);
/* The disk has less room than the limit says: evicts len bytes. false: nothing could be. */
bool cache_give_up(struct cache *cache, uint64_t len);

#endif

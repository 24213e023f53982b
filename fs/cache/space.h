/* space.h — how much of the local disk is taken, and which files go when it is too much. Pure.
 *
 * Invariants: dirty <= used. Sums saturate, so no size from outside can wrap a limit around.
 */
#ifndef FS_CACHE_SPACE_H
#define FS_CACHE_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache_space { /* bytes */
	uint64_t limit, used;
	uint64_t dirty_limit, dirty; /* dirty: part of used that is not in S3 */
};

/* One file's share, of the whole and of what is dirty. */
struct cache_share {
	uint64_t used, dirty;
};

/* The file's share changes from *share to now. */
void cache_space_account(struct cache_space *space, struct cache_share *share,
			 struct cache_share now);
/* May len more bytes become dirty? */
bool cache_space_dirty_fits(const struct cache_space *space, uint64_t len);
/* How many bytes must go before len more fit within limit; more than there is when len is too
 * large. */
uint64_t cache_space_excess(const struct cache_space *space, uint64_t len);

struct evict_candidate {
	uint64_t file_id, bytes;
	int64_t last_used; /* any clock, the same for all */
	bool pinned, dirty;
};

/* Picks what frees at least excess bytes, least recently used first (of equals the older file),
 * never what is pinned or dirty or would free nothing. Brings those to the front, in the order in
 * which they should go, and returns their number; all that may go when that is not enough. */
size_t cache_space_choose(struct evict_candidate *candidates, size_t count, uint64_t excess);

#endif

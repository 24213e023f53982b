/* extent.h — a set of byte ranges [start, end). Pure data structure; no I/O.
 *
 * Threads: the owner serialises.
 * Invariants: ranges are sorted, not empty, and neither overlap nor touch; a zeroed set is an empty
 * one. Costs: looking up is logarithmic in the number of ranges, changing is linear with a small
 * factor.
 */
#ifndef FS_CACHE_EXTENT_H
#define FS_CACHE_EXTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extent {
	uint64_t start, end;
};

struct extent_set {
	struct extent *items;
	size_t count, capacity;
	uint64_t total; /* bytes in all ranges; kept here because every write asks for it */
};
#define EXTENT_SET_INIT                                                                            \
	{                                                                                          \
		NULL, 0, 0, 0                                                                      \
	}

void extent_set_free(struct extent_set *set); /* resets to empty */
/* Errors: -ENOMEM (set unchanged). Empty ranges are no-ops. Removing fails only where it cuts a
 * range in two, so never for [start, UINT64_MAX). */
int extent_add(struct extent_set *set, uint64_t start, uint64_t end);
int extent_remove(struct extent_set *set, uint64_t start, uint64_t end);
/* So that the next extent_add cannot fail. */
int extent_reserve(struct extent_set *set);
int extent_set_copy(struct extent_set *to, const struct extent_set *from); /* replaces */
bool extent_contains(const struct extent_set *set, uint64_t start,
		     uint64_t end); /* all of it; true when empty */
bool extent_intersects(const struct extent_set *set, uint64_t start, uint64_t end);
/* First range that is not in the set within [start, end); false when all of it is. */
bool extent_first_gap(const struct extent_set *set, uint64_t start, uint64_t end,
		      struct extent *gap);
/* The part of the set in [start, end) that comes first; false when none. */
bool extent_first(const struct extent_set *set, uint64_t start, uint64_t end, struct extent *out);
/* End of the run that holds offset; offset itself when it is not in the set. */
uint64_t extent_run_end(const struct extent_set *set, uint64_t offset);
uint64_t extent_total(const struct extent_set *set); /* bytes */

#endif

#include "fs/cache/extent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EXTENT_CAPACITY_FIRST = 8 };

void extent_set_free(struct extent_set *set)
{
	free(set->items);
	*set = (struct extent_set)EXTENT_SET_INIT;
}

/* Index of the first range that ends after offset; count when there is none. */
static size_t first_ending_after(const struct extent_set *set, uint64_t offset)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->items[middle].end > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

int extent_reserve(struct extent_set *set)
{
	size_t capacity = set->capacity ? set->capacity * 2 : EXTENT_CAPACITY_FIRST;
	struct extent *items;

	if (set->count < set->capacity)
		return 0;
	items = reallocarray(set->items, capacity, sizeof(*items));
	if (!items)
		return -ENOMEM;
	set->items = items;
	set->capacity = capacity;
	return 0;
}

/* The caller has reserved the room. */
static void insert_at(struct extent_set *set, size_t index, uint64_t start, uint64_t end)
{
	memmove(set->items + index + 1, set->items + index,
		(set->count - index) * sizeof(*set->items));
	set->items[index] = (struct extent){start, end};
	set->count++;
}

/* Takes out the ranges with indices [first, last). */
static void erase(struct extent_set *set, size_t first, size_t last)
{
	if (first == last)
		return;
	memmove(set->items + first, set->items + last, (set->count - last) * sizeof(*set->items));
	set->count -= last - first;
}

int extent_add(struct extent_set *set, uint64_t start, uint64_t end)
{
	size_t first, last;

	if (start >= end)
		return 0;
	/* Ranges that touch are joined, so one that ends at start counts. */
	first = start ? first_ending_after(set, start - 1) : 0;
	if (first == set->count || set->items[first].start > end) {
		if (extent_reserve(set))
			return -ENOMEM;
		insert_at(set, first, start, end);
		set->total += end - start;
		return 0;
	}
	for (last = first; last < set->count && set->items[last].start <= end; last++)
		set->total -= set->items[last].end - set->items[last].start;
	if (set->items[first].start < start)
		start = set->items[first].start;
	if (set->items[last - 1].end > end)
		end = set->items[last - 1].end;
	set->items[first] = (struct extent){start, end};
	set->total += end - start;
	erase(set, first + 1, last);
	return 0;
}

int extent_remove(struct extent_set *set, uint64_t start, uint64_t end)
{
	size_t first, last;
	uint64_t tail;

	if (start >= end)
		return 0;
	first = first_ending_after(set, start);
	if (first == set->count || set->items[first].start >= end)
		return 0;
	tail = set->items[first].end;
	if (set->items[first].start < start && tail > end) {
		if (extent_reserve(set))
			return -ENOMEM;
		set->items[first].end = start;
		insert_at(set, first + 1, end, tail);
		set->total -= end - start;
		return 0;
	}
	if (set->items[first].start < start) {
		set->total -= tail - start;
		set->items[first].end = start;
		first++;
	}
	for (last = first; last < set->count && set->items[last].end <= end; last++)
		set->total -= set->items[last].end - set->items[last].start;
	if (last < set->count && set->items[last].start < end) {
		set->total -= end - set->items[last].start;
		set->items[last].start = end;
	}
	erase(set, first, last);
	return 0;
}

int extent_set_copy(struct extent_set *to, const struct extent_set *from)
{
	struct extent *items = NULL;

	if (to == from)
		return 0;
	if (from->count) {
		items = reallocarray(NULL, from->count, sizeof(*items));
		if (!items)
			return -ENOMEM;
		memcpy(items, from->items, from->count * sizeof(*items));
	}
	free(to->items);
	*to = (struct extent_set){items, from->count, from->count, from->total};
	return 0;
}

bool extent_contains(const struct extent_set *set, uint64_t start, uint64_t end)
{
	size_t index;

	if (start >= end)
		return true;
	index = first_ending_after(set, start);
	return index < set->count && set->items[index].start <= start &&
	       set->items[index].end >= end;
}

bool extent_intersects(const struct extent_set *set, uint64_t start, uint64_t end)
{
	struct extent found;

	return extent_first(set, start, end, &found);
}

bool extent_first_gap(const struct extent_set *set, uint64_t start, uint64_t end,
		      struct extent *gap)
{
	size_t index;

	if (start >= end)
		return false;
	index = first_ending_after(set, start);
	if (index < set->count && set->items[index].start <= start) {
		start = set->items[index].end;
		if (start >= end)
			return false;
		index++;
	}
	gap->start = start;
	gap->end = end;
	if (index < set->count && set->items[index].start < end)
		gap->end = set->items[index].start;
	return true;
}

bool extent_first(const struct extent_set *set, uint64_t start, uint64_t end, struct extent *out)
{
	size_t index;

	if (start >= end)
		return false;
	index = first_ending_after(set, start);
	if (index == set->count || set->items[index].start >= end)
		return false;
	out->start = set->items[index].start > start ? set->items[index].start : start;
	out->end = set->items[index].end < end ? set->items[index].end : end;
	return true;
}

uint64_t extent_run_end(const struct extent_set *set, uint64_t offset)
{
	size_t index = first_ending_after(set, offset);

	if (index < set->count && set->items[index].start <= offset)
		return set->items[index].end;
	return offset;
}

uint64_t extent_total(const struct extent_set *set)
{
	return set->total;
}

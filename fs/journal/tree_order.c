#include "fs/journal/tree_order.h"

#include <errno.h>
#include <stdlib.h>

#define DEPTH_UNKNOWN SIZE_MAX

static int compare_id(const void *left, const void *right)
{
	const struct tree_entry *a = left, *b = right;

	return (a->id > b->id) - (a->id < b->id);
}

static int compare_depth(const void *left, const void *right)
{
	const struct tree_entry *a = left, *b = right;

	if (a->depth != b->depth)
		return a->depth > b->depth ? 1 : -1;
	return compare_id(left, right);
}

static struct tree_entry *parent_of(const struct tree_entry *entry, struct tree_entry *entries,
				    size_t count)
{
	struct tree_entry key = {.id = entry->parent};

	if (entry->parent == entry->id)
		return NULL;
	return bsearch(&key, entries, count, sizeof(*entries), compare_id);
}

/* Walks up to the first entry of known depth, then the same way again to number it. */
static int set_depth(struct tree_entry *entry, struct tree_entry *entries, size_t count)
{
	struct tree_entry *up = entry;
	size_t steps = 0, depth;

	while (up && up->depth == DEPTH_UNKNOWN) {
		if (steps++ > count)
			return -EUCLEAN;
		up = parent_of(up, entries, count);
	}
	depth = steps + (up ? up->depth : (size_t)-1);
	for (up = entry; steps > 0; steps--) {
		up->depth = depth--;
		up = parent_of(up, entries, count);
	}
	return 0;
}

int tree_order(struct tree_entry *entries, size_t count)
{
	if (count == 0)
		return 0;
	qsort(entries, count, sizeof(*entries), compare_id);
	for (size_t i = 0; i < count; i++) {
		entries[i].depth = DEPTH_UNKNOWN;
		if (i > 0 && entries[i].id == entries[i - 1].id)
			return -EUCLEAN;
	}
	for (size_t i = 0; i < count; i++) {
		int err = set_depth(&entries[i], entries, count);

		if (err)
			return err;
	}
	qsort(entries, count, sizeof(*entries), compare_depth);
	return 0;
}

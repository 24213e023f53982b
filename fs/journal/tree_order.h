/* tree_order.h — puts the nodes of a tree in an order in which parents come before children. Pure.
 */
#ifndef FS_JOURNAL_TREE_ORDER_H
#define FS_JOURNAL_TREE_ORDER_H

#include <stddef.h>
#include <stdint.h>

struct tree_entry {
	uint64_t id, parent; /* a parent that is no entry, or the entry itself: it is a root */
	size_t depth;	     /* set by tree_order */
};

/* Sorts by depth, then id. Errors: -EUCLEAN (an id twice, or a cycle). */
int tree_order(struct tree_entry *entries, size_t count);

#endif

/* record.h — one change of the journal on its way from the core to the database; internal to
 * fs/journal.
 *
 * A record is one allocation that holds copies of all that it names. It has one owner at a time:
 * the maker, then the queue, then the journal thread, which frees it.
 */
#ifndef FS_JOURNAL_RECORD_H
#define FS_JOURNAL_RECORD_H

#include "fs/journal/journal.h"

enum record_kind {
	RECORD_PUT_NODE,
	RECORD_DROP_NODE,
	RECORD_MOVE_NODE,
	RECORD_EXCHANGE_NODES,
	RECORD_ADD_EXTENT,
	RECORD_TRUNCATE_EXTENTS,
	RECORD_PUT_INTENT,
	RECORD_DROP_INTENT,
	RECORD_PUT_COUNTERS,
};

/* An encoded os_meta; data NULL: there was none. */
struct record_blob {
	const void *data;
	size_t len;
};

struct record {
	struct record *next;
	uint64_t sequence;
	enum record_kind kind;
	union {
		/* node.meta and node.headers are not set; the blobs stand for them. DROP_NODE: ino;
		 * MOVE_NODE: ino, parent and name. */
		struct {
			struct journal_node node;
			struct record_blob meta, headers;
		};
		struct {
			uint64_t ino, start, end; /* TRUNCATE_EXTENTS: ino, start */
		} extent;
		struct {
			struct journal_name one, other;
		} exchange;
		struct journal_intent intent; /* DROP_INTENT: id */
		struct {
			uint64_t next_ino, next_file_id, next_intent;
		} counters;
	};
};

/* Each returns NULL when out of memory; free() frees the record. sequence and next are the caller's
 * to set. */
struct record *record_plain(enum record_kind kind);
struct record *record_node(const struct journal_node *node);
struct record *record_move(uint64_t ino, uint64_t parent, const char *name);
struct record *record_exchange(const struct journal_name *one, const struct journal_name *other);
struct record *record_intent(const struct journal_intent *intent);

/* journal.c: takes the record and gives it the next sequence number. NULL: there was no memory for
 * it, and without it nothing after it may be written. */
uint64_t journal_enqueue(struct journal *journal, struct record *record);

#endif

/* put.c — the calls of journal.h that write, as records. */
#include "common/check.h"
#include "fs/journal/record.h"

uint64_t journal_put_node(struct journal *journal, const struct journal_node *node)
{
	CHECK(node->ino != 0);
	return journal_enqueue(journal, record_node(node));
}

uint64_t journal_drop_node(struct journal *journal, uint64_t ino)
{
	struct record *record = record_plain(RECORD_DROP_NODE);

	if (record)
		record->node.ino = ino;
	return journal_enqueue(journal, record);
}

uint64_t journal_move_node(struct journal *journal, uint64_t ino, uint64_t parent, const char *name)
{
	return journal_enqueue(journal, record_move(ino, parent, name));
}

uint64_t journal_exchange_nodes(struct journal *journal, const struct journal_name *one,
				const struct journal_name *other)
{
	return journal_enqueue(journal, record_exchange(one, other));
}

static uint64_t put_extent(struct journal *journal, enum record_kind kind, uint64_t ino,
			   uint64_t start, uint64_t end)
{
	struct record *record = record_plain(kind);

	if (record) {
		record->extent.ino = ino;
		record->extent.start = start;
		record->extent.end = end;
	}
	return journal_enqueue(journal, record);
}

uint64_t journal_add_extent(struct journal *journal, uint64_t ino, uint64_t start, uint64_t end)
{
	return put_extent(journal, RECORD_ADD_EXTENT, ino, start, end);
}

uint64_t journal_truncate_extents(struct journal *journal, uint64_t ino, uint64_t size)
{
	return put_extent(journal, RECORD_TRUNCATE_EXTENTS, ino, size, 0);
}

uint64_t journal_put_intent(struct journal *journal, const struct journal_intent *intent)
{
	CHECK(intent->id != 0);
	return journal_enqueue(journal, record_intent(intent));
}

uint64_t journal_drop_intent(struct journal *journal, uint64_t id)
{
	struct record *record = record_plain(RECORD_DROP_INTENT);

	if (record)
		record->intent.id = id;
	return journal_enqueue(journal, record);
}

uint64_t journal_put_counters(struct journal *journal, uint64_t next_ino, uint64_t next_file_id,
			      uint64_t next_intent)
{
	struct record *record = record_plain(RECORD_PUT_COUNTERS);

	if (record) {
		record->counters.next_ino = next_ino;
		record->counters.next_file_id = next_file_id;
		record->counters.next_intent = next_intent;
	}
	return journal_enqueue(journal, record);
}

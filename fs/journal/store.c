#include "fs/journal/store.h"

#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "fs/journal/room.h"
#include "fs/journal/schema.h"
#include "fs/journal/sql.h"
#include "fs/journal/store_load.h"
#include "fs/journal/store_open.h"

/* A page and its header in the log; SQLite file format, section 4.1. */
enum { LOG_FRAME_BYTES = 4096 + 24 };

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	PUT_NODE,
	DROP_NODE,
	MOVE_NODE,
	EXTENT_AT,
	EXTENT_REACH,
	EXTENT_CLEAR,
	EXTENT_PUT,
	EXTENT_CUT,
	PUT_INTENT,
	DROP_INTENT,
	PUT_COUNTERS,
	TOUCH,
	MARK_CLEAN,
	STATEMENTS,
};

static const char *const statement_text[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[PUT_NODE] = "INSERT OR REPLACE INTO node (" NODE_COLUMNS ") VALUES "
		     "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[DROP_NODE] = "DELETE FROM node WHERE ino = ?",
	[MOVE_NODE] = "UPDATE node SET parent = ?2, name = ?3 WHERE ino = ?1",
	[EXTENT_AT] = "SELECT start, end FROM extent WHERE ino = ? AND start <= ? "
		      "ORDER BY start DESC LIMIT 1",
	[EXTENT_REACH] = "SELECT coalesce(max(end), 0) FROM extent "
			 "WHERE ino = ? AND start BETWEEN ? AND ?",
	[EXTENT_CLEAR] = "DELETE FROM extent WHERE ino = ? AND start BETWEEN ? AND ?",
	[EXTENT_PUT] = "INSERT INTO extent (ino, start, end) VALUES (?, ?, ?)",
	[EXTENT_CUT] = "UPDATE extent SET end = ?3 WHERE ino = ?1 AND start = ?2",
	[PUT_INTENT] = "INSERT OR REPLACE INTO intent (id, kind, source, target, etag) "
		       "VALUES (?, ?, ?, ?, ?)",
	[DROP_INTENT] = "DELETE FROM intent WHERE id = ?",
	[PUT_COUNTERS] = "UPDATE state SET next_ino = max(next_ino, ?), "
			 "next_file_id = max(next_file_id, ?), next_intent = max(next_intent, ?)",
	[TOUCH] = "UPDATE state SET touched = touched + 1",
	[MARK_CLEAN] = "UPDATE state SET clean = 1",
};

struct store {
	struct sql *sql;
	struct room room;
	struct sql_statement *statements[STATEMENTS];
};

static int prepare_all(struct store *store)
{
	int err = 0;

	for (int i = 0; i < STATEMENTS && err == 0; i++)
		err = sql_prepare(store->sql, statement_text[i], &store->statements[i]);
	return err;
}

int store_open(struct store **out, const struct journal_host *host, const char *dir,
	       const char *volume, struct journal_info *info, struct error *error)
{
	struct store *store = calloc(1, sizeof(*store));
	int err;

	if (!store)
		return error_set(error, -ENOMEM, "out of memory");
	store->room = (struct room){-1, -1};
	err = store_open_database(&store->sql, host, dir, volume, info, error);
	if (err) {
		free(store);
		return err;
	}
	err = prepare_all(store);
	/* That it is in use becomes durable here, and known even to who finds the database without
	 * its log. */
	if (err == 0)
		err = store_checkpoint(store);
	if (err) {
		error_set(error, err, "%s/journal.db: %s", dir, sql_message(store->sql));
		store_abandon(store);
		return err;
	}
	if (!host->file_layer)
		room_open(&store->room, dir);
	*out = store;
	return 0;
}

static int put_node(struct store *store, const struct record *record)
{
	struct sql_statement *row = store->statements[PUT_NODE];
	const struct journal_node *node = &record->node;

	sql_put_u64(row, node->ino);
	sql_put_u64(row, node->parent);
	sql_put_string(row, node->name);
	sql_put_int(row, node->flags);
	sql_put_int(row, node->attributes.mode);
	sql_put_int(row, node->attributes.uid);
	sql_put_int(row, node->attributes.gid);
	sql_put_u64(row, node->attributes.rdev);
	sql_put_int(row, node->attributes.atime);
	sql_put_int(row, node->attributes.mtime);
	sql_put_int(row, node->attributes.ctime);
	sql_put_u64(row, node->size);
	sql_put_u64(row, node->generation);
	sql_put_u64(row, node->file_id);
	sql_put_u64(row, node->base_size);
	sql_put_string(row, node->etag);
	sql_put_int(row, node->remote_modified);
	sql_put_string(row, node->put_id);
	sql_put_string(row, node->target);
	sql_put_string(row, node->content_type);
	sql_put_bytes(row, record->meta.data, record->meta.len);
	sql_put_bytes(row, record->headers.data, record->headers.len);
	return sql_run(row);
}

static int clear_extents(struct store *store, uint64_t ino, uint64_t from, uint64_t to)
{
	struct sql_statement *clear = store->statements[EXTENT_CLEAR];

	sql_put_u64(clear, ino);
	sql_put_u64(clear, from);
	sql_put_u64(clear, to);
	return sql_run(clear);
}

static int drop_node(struct store *store, uint64_t ino)
{
	struct sql_statement *drop = store->statements[DROP_NODE];
	int err;

	sql_put_u64(drop, ino);
	err = sql_run(drop);
	return err ? err : clear_extents(store, ino, 0, INT64_MAX);
}

static int move_node(struct store *store, uint64_t ino, uint64_t parent, const char *name)
{
	struct sql_statement *move = store->statements[MOVE_NODE];

	sql_put_u64(move, ino);
	sql_put_u64(move, parent);
	sql_put_string(move, name);
	return sql_run(move);
}

static int exchange_nodes(struct store *store, const struct journal_name *one,
			  const struct journal_name *other)
{
	int err = move_node(store, one->ino, one->parent, one->name);

	return err ? err : move_node(store, other->ino, other->parent, other->name);
}

/* The extent with the greatest start that is not beyond offset: 1 and *out, 0 when there is none.
 */
static int extent_at(struct store *store, uint64_t ino, uint64_t offset, struct extent *out)
{
	struct sql_statement *at = store->statements[EXTENT_AT];
	int found;

	sql_put_u64(at, ino);
	sql_put_u64(at, offset);
	found = sql_step(at);
	if (found > 0) {
		out->start = sql_u64(at, 0);
		out->end = sql_u64(at, 1);
		sql_reset(at);
	}
	return found;
}

/* Merges with what it overlaps or touches, so that a file has as many rows as it has gaps. */
static int add_extent(struct store *store, uint64_t ino, uint64_t start, uint64_t end)
{
	struct sql_statement *reach = store->statements[EXTENT_REACH];
	struct sql_statement *put = store->statements[EXTENT_PUT];
	struct extent before;
	int err;

	if (start >= end || end > INT64_MAX)
		return start >= end ? 0 : -EFBIG;
	err = extent_at(store, ino, start, &before);
	if (err < 0)
		return err;
	if (err > 0 && before.end >= end)
		return 0;
	if (err > 0 && before.end >= start)
		start = before.start;
	sql_put_u64(reach, ino);
	sql_put_u64(reach, start);
	sql_put_u64(reach, end);
	err = sql_step(reach);
	if (err < 0)
		return err;
	if (sql_u64(reach, 0) > end)
		end = sql_u64(reach, 0);
	sql_reset(reach);
	err = clear_extents(store, ino, start, end);
	if (err)
		return err;
	sql_put_u64(put, ino);
	sql_put_u64(put, start);
	sql_put_u64(put, end);
	return sql_run(put);
}

static int truncate_extents(struct store *store, uint64_t ino, uint64_t size)
{
	struct sql_statement *cut = store->statements[EXTENT_CUT];
	struct extent last;
	int err;

	if (size > INT64_MAX)
		return 0;
	err = clear_extents(store, ino, size, INT64_MAX);
	if (err)
		return err;
	err = extent_at(store, ino, size, &last);
	if (err <= 0 || last.end <= size)
		return err < 0 ? err : 0;
	sql_put_u64(cut, ino);
	sql_put_u64(cut, last.start);
	sql_put_u64(cut, size);
	return sql_run(cut);
}

static int put_intent(struct store *store, const struct journal_intent *intent)
{
	struct sql_statement *put = store->statements[PUT_INTENT];

	sql_put_u64(put, intent->id);
	sql_put_int(put, intent->kind);
	sql_put_string(put, intent->source);
	sql_put_string(put, intent->target);
	sql_put_string(put, intent->etag);
	return sql_run(put);
}

static int drop_intent(struct store *store, uint64_t id)
{
	sql_put_u64(store->statements[DROP_INTENT], id);
	return sql_run(store->statements[DROP_INTENT]);
}

static int put_counters(struct store *store, const struct record *record)
{
	struct sql_statement *put = store->statements[PUT_COUNTERS];

	sql_put_u64(put, record->counters.next_ino);
	sql_put_u64(put, record->counters.next_file_id);
	sql_put_u64(put, record->counters.next_intent);
	return sql_run(put);
}

static int apply_one(struct store *store, const struct record *record)
{
	switch (record->kind) {
	case RECORD_PUT_NODE: return put_node(store, record);
	case RECORD_DROP_NODE: return drop_node(store, record->node.ino);
	case RECORD_MOVE_NODE:
		return move_node(store, record->node.ino, record->node.parent, record->node.name);
	case RECORD_EXCHANGE_NODES:
		return exchange_nodes(store, &record->exchange.one, &record->exchange.other);
	case RECORD_ADD_EXTENT:
		return add_extent(store, record->extent.ino, record->extent.start,
				  record->extent.end);
	case RECORD_TRUNCATE_EXTENTS:
		return truncate_extents(store, record->extent.ino, record->extent.start);
	case RECORD_PUT_INTENT: return put_intent(store, &record->intent);
	case RECORD_DROP_INTENT: return drop_intent(store, record->intent.id);
	case RECORD_PUT_COUNTERS: return put_counters(store, record);
	}
	return -EINVAL;
}

int store_apply(struct store *store, const struct record *first)
{
	int err = sql_run(store->statements[BEGIN]);

	if (err)
		return err;
	for (const struct record *record = first; record && err == 0; record = record->next)
		err = apply_one(store, record);
	if (err == 0)
		err = sql_run(store->statements[COMMIT]);
	if (err && err != -ENOSPC)
		log_error("journal: %s", sql_message(store->sql));
	if (err)
		sql_run(store->statements[ROLLBACK]);
	return err;
}

int store_load(struct store *store, const struct journal_loader *loader)
{
	return load_database(store->sql, loader);
}

int store_sync(struct store *store)
{
	return sql_sync_log(store->sql);
}

bool store_keep_room(struct store *store)
{
	return room_keep(&store->room);
}

uint64_t store_log_bytes(const struct store *store)
{
	return (uint64_t)sql_log_frames(store->sql) * LOG_FRAME_BYTES;
}

int store_checkpoint(struct store *store)
{
	int err = sql_checkpoint(store->sql);

	/* The first commit after a checkpoint starts the log again and syncs its header (wal.c:
	 * otherwise a reordered write could mix old and new frames). It should not be one that
	 * somebody waits for. */
	return err ? err : sql_run(store->statements[TOUCH]);
}

int store_close(struct store *store, bool clean)
{
	int err = 0;

	/* Else what is committed stays in the log, for the next open: the end of a process that has
	 * to be quick must not wait for the disk. */
	if (clean)
		err = sql_run(store->statements[MARK_CLEAN]);
	if (clean && err == 0)
		err = sql_execute(store->sql, "PRAGMA wal_checkpoint(TRUNCATE)");
	for (int i = 0; i < STATEMENTS; i++)
		sql_finalize(store->statements[i]);
	sql_close(store->sql, clean && err == 0);
	room_close(&store->room);
	free(store);
	return err;
}

void store_abandon(struct store *store)
{
	for (int i = 0; i < STATEMENTS; i++)
		sql_finalize(store->statements[i]);
	sql_close(store->sql, false);
	room_close(&store->room);
	free(store);
}

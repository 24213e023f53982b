#include "fs/journal/store_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "fs/journal/meta_blob.h"
#include "fs/journal/schema.h"
#include "fs/journal/tree_order.h"

struct load {
	const struct journal_loader *loader;
	struct sql_statement *node, *extents;
	struct extent_set dirty; /* of the current node; the memory is used again */
	struct os_meta meta, headers;
};

/* Unlinked nodes count as roots: their parent may be gone or have found another place since. */
static int read_tree(struct sql *sql, struct tree_entry **out, size_t *count)
{
	struct sql_statement *select = NULL;
	struct tree_entry *entries = NULL;
	size_t capacity = 0, used = 0;
	int err = sql_prepare(sql, "SELECT ino, parent, flags FROM node", &select);

	while (err == 0 && (err = sql_step(select)) > 0) {
		err = 0;
		if (used == capacity) {
			size_t more = capacity ? 2 * capacity : 256;
			struct tree_entry *bigger = reallocarray(entries, more, sizeof(*entries));

			if (!bigger) {
				err = -ENOMEM;
				break;
			}
			entries = bigger;
			capacity = more;
		}
		entries[used].id = sql_u64(select, 0);
		entries[used].parent = sql_u64(select, 1);
		if (sql_int(select, 2) & NODE_UNLINKED)
			entries[used].parent = entries[used].id;
		used++;
	}
	sql_finalize(select);
	if (err) {
		free(entries);
		return err;
	}
	*out = entries; /* the caller's, even when their order is none */
	*count = used;
	return tree_order(entries, used);
}

static int append_extent(struct extent_set *set, uint64_t start, uint64_t end)
{
	if (start >= end || (set->count > 0 && start <= set->items[set->count - 1].end))
		return -EUCLEAN;
	if (set->count == set->capacity) {
		size_t more = set->capacity ? 2 * set->capacity : 16;
		struct extent *bigger = reallocarray(set->items, more, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		set->items = bigger;
		set->capacity = more;
	}
	set->items[set->count++] = (struct extent){start, end};
	return 0;
}

static int read_extents(struct load *load, uint64_t ino)
{
	struct sql_statement *select = load->extents;
	int err;

	load->dirty.count = 0;
	sql_put_u64(select, ino);
	while ((err = sql_step(select)) > 0) {
		err = append_extent(&load->dirty, sql_u64(select, 0), sql_u64(select, 1));
		if (err) {
			sql_reset(select);
			return err;
		}
	}
	return err;
}

/* *out is NULL when the column is. */
static int read_meta(struct sql_statement *row, int column, struct os_meta *meta,
		     const struct os_meta **out)
{
	size_t len = 0;
	const void *data = sql_bytes(row, column, &len);

	*out = data ? meta : NULL;
	return data ? meta_blob_decode(data, len, meta) : 0;
}

int load_columns(struct sql_statement *row, struct journal_node *node)
{
	int column = 0;

	node->ino = sql_u64(row, column++);
	node->parent = sql_u64(row, column++);
	node->name = sql_string(row, column++);
	node->flags = (uint32_t)sql_int(row, column++);
	node->attributes.mode = (uint32_t)sql_int(row, column++);
	node->attributes.uid = (uint32_t)sql_int(row, column++);
	node->attributes.gid = (uint32_t)sql_int(row, column++);
	node->attributes.rdev = sql_u64(row, column++);
	node->attributes.atime = sql_int(row, column++);
	node->attributes.mtime = sql_int(row, column++);
	node->attributes.ctime = sql_int(row, column++);
	node->size = sql_u64(row, column++);
	node->generation = sql_u64(row, column++);
	node->file_id = sql_u64(row, column++);
	node->base_size = sql_u64(row, column++);
	node->etag = sql_string(row, column++);
	node->remote_modified = sql_int(row, column++);
	node->put_id = sql_string(row, column++);
	node->target = sql_string(row, column++);
	node->content_type = sql_string(row, column++);
	return column;
}

static int load_node(struct load *load, uint64_t ino)
{
	struct journal_node node;
	int column, err = read_extents(load, ino);

	if (err)
		return err;
	sql_put_u64(load->node, ino);
	err = sql_step(load->node);
	if (err <= 0)
		return err < 0 ? err : -EUCLEAN;
	column = load_columns(load->node, &node);
	err = node.ino == 0 ? -EUCLEAN : read_meta(load->node, column, &load->meta, &node.meta);
	if (err == 0)
		err = read_meta(load->node, column + 1, &load->headers, &node.headers);
	if (err == 0)
		err = load->loader->node(load->loader->context, &node, &load->dirty);
	os_meta_free(&load->meta);
	os_meta_free(&load->headers);
	sql_reset(load->node);
	return err;
}

static int load_nodes(struct sql *sql, struct load *load)
{
	struct tree_entry *entries = NULL;
	size_t count = 0;
	int err = read_tree(sql, &entries, &count);

	if (err == 0)
		err = sql_prepare(sql, "SELECT " NODE_COLUMNS " FROM node WHERE ino = ?",
				  &load->node);
	if (err == 0)
		err = sql_prepare(sql, "SELECT start, end FROM extent WHERE ino = ? ORDER BY start",
				  &load->extents);
	for (size_t i = 0; i < count && err == 0; i++)
		err = load_node(load, entries[i].id);
	sql_finalize(load->node);
	sql_finalize(load->extents);
	free(load->dirty.items);
	free(entries);
	return err;
}

static int load_intents(struct sql *sql, const struct journal_loader *loader)
{
	struct sql_statement *select = NULL;
	int err = sql_prepare(sql, "SELECT id, kind, source, target, etag FROM intent ORDER BY id",
			      &select);

	while (err == 0 && (err = sql_step(select)) > 0) {
		struct journal_intent intent = {
			.id = sql_u64(select, 0),
			.kind = (enum journal_intent_kind)sql_int(select, 1),
			.source = sql_string(select, 2),
			.target = sql_string(select, 3),
			.etag = sql_string(select, 4),
		};

		err = -EUCLEAN;
		if (intent.id != 0 && intent.kind >= INTENT_DELETE &&
		    intent.kind <= INTENT_EXCHANGE)
			err = loader->intent(loader->context, &intent);
	}
	sql_finalize(select);
	return err;
}

int load_database(struct sql *sql, const struct journal_loader *loader)
{
	struct load load = {
		.loader = loader,
		.dirty = EXTENT_SET_INIT,
		.meta = OS_META_INIT,
		.headers = OS_META_INIT,
	};
	int err = load_nodes(sql, &load);

	if (err == 0)
		err = load_intents(sql, loader);
	if (err)
		log_error("journal: cannot be read: %s", strerror(-err));
	return err;
}

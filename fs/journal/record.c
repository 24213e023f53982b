#include "fs/journal/record.h"

#include <stdlib.h>
#include <string.h>

#include "fs/journal/meta_blob.h"

/* Strings and blobs of a record, gathered first to know the size of the one allocation. */
enum { PIECES_MAX = 8 };

struct pieces {
	struct {
		const char **at; /* points to the string; then to the copy */
		size_t len;
	} items[PIECES_MAX];
	size_t count, bytes;
};

/* NULL counts as "": readers of the journal never see NULL. */
static void piece_add(struct pieces *pieces, const char **at)
{
	if (!*at)
		*at = "";
	pieces->items[pieces->count].at = at;
	pieces->items[pieces->count].len = strlen(*at) + 1;
	pieces->bytes += pieces->items[pieces->count].len;
	pieces->count++;
}

static char *pieces_copy(struct pieces *pieces, char *to)
{
	for (size_t i = 0; i < pieces->count; i++) {
		memcpy(to, *pieces->items[i].at, pieces->items[i].len);
		*pieces->items[i].at = to;
		to += pieces->items[i].len;
	}
	return to;
}

struct record *record_plain(enum record_kind kind)
{
	struct record *record = calloc(1, sizeof(*record));

	if (record)
		record->kind = kind;
	return record;
}

static struct record *record_sized(enum record_kind kind, size_t bytes)
{
	struct record *record = malloc(sizeof(*record) + bytes);

	if (!record)
		return NULL;
	memset(record, 0, sizeof(*record));
	record->kind = kind;
	return record;
}

static char *blob_copy(struct record_blob *blob, const struct os_meta *meta, size_t len, char *to)
{
	if (!meta)
		return to;
	meta_blob_encode(meta, to);
	blob->data = to;
	blob->len = len;
	return to + len;
}

struct record *record_node(const struct journal_node *node)
{
	struct journal_node copy = *node;
	struct pieces pieces = {.count = 0};
	struct record *record;
	size_t meta_len = node->meta ? meta_blob_size(node->meta) : 0;
	size_t headers_len = node->headers ? meta_blob_size(node->headers) : 0;
	char *to;

	piece_add(&pieces, &copy.name);
	piece_add(&pieces, &copy.etag);
	piece_add(&pieces, &copy.put_id);
	piece_add(&pieces, &copy.target);
	piece_add(&pieces, &copy.content_type);
	record = record_sized(RECORD_PUT_NODE, pieces.bytes + meta_len + headers_len);
	if (!record)
		return NULL;
	to = pieces_copy(&pieces, (char *)(record + 1));
	to = blob_copy(&record->meta, node->meta, meta_len, to);
	blob_copy(&record->headers, node->headers, headers_len, to);
	copy.meta = NULL;
	copy.headers = NULL;
	record->node = copy;
	return record;
}

struct record *record_move(uint64_t ino, uint64_t parent, const char *name)
{
	struct pieces pieces = {.count = 0};
	struct record *record;

	piece_add(&pieces, &name);
	record = record_sized(RECORD_MOVE_NODE, pieces.bytes);
	if (!record)
		return NULL;
	pieces_copy(&pieces, (char *)(record + 1));
	record->node.ino = ino;
	record->node.parent = parent;
	record->node.name = name;
	return record;
}

struct record *record_exchange(const struct journal_name *one, const struct journal_name *other)
{
	struct journal_name names[2] = {*one, *other};
	struct pieces pieces = {.count = 0};
	struct record *record;

	piece_add(&pieces, &names[0].name);
	piece_add(&pieces, &names[1].name);
	record = record_sized(RECORD_EXCHANGE_NODES, pieces.bytes);
	if (!record)
		return NULL;
	pieces_copy(&pieces, (char *)(record + 1));
	record->exchange.one = names[0];
	record->exchange.other = names[1];
	return record;
}

struct record *record_intent(const struct journal_intent *intent)
{
	struct journal_intent copy = *intent;
	struct pieces pieces = {.count = 0};
	struct record *record;

	piece_add(&pieces, &copy.source);
	piece_add(&pieces, &copy.target);
	piece_add(&pieces, &copy.etag);
	record = record_sized(RECORD_PUT_INTENT, pieces.bytes);
	if (!record)
		return NULL;
	pieces_copy(&pieces, (char *)(record + 1));
	record->intent = copy;
	return record;
}

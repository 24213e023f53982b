#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "tests/unit/memory_operations.h"

/* Where a listing goes on: after a key, or after all keys with a prefix that was listed as one
 * entry. */
struct position {
	const char *after, *skip;
};

/* A token is 'k' or 'p' and then the last key or prefix. It is opaque to its users. */
static struct position position_of(const struct os_request *request)
{
	struct position position = {NULL, NULL};

	if (!request->token)
		position.after = request->start_after;
	else if (request->token[0] == 'k')
		position.after = request->token + 1;
	else
		position.skip = request->token + 1;
	return position;
}

static bool is_listed(const char *key, const char *prefix, const struct position *position)
{
	if (!string_has_prefix(key, prefix))
		return false;
	if (position->after && strcmp(key, position->after) <= 0)
		return false;
	return !position->skip ||
	       (strcmp(key, position->skip) > 0 && !string_has_prefix(key, position->skip));
}

static struct os_entry *entry_add(struct os_result *result, const char *key, size_t len)
{
	struct os_entry *entry;

	result->entries = reallocarray(result->entries, result->entry_count + 1,
				       sizeof(*result->entries));
	CHECK(result->entries != NULL);
	entry = &result->entries[result->entry_count++];
	memset(entry, 0, sizeof(*entry));
	entry->key = strndup(key, len);
	CHECK(entry->key != NULL);
	return entry;
}

/* Length of the common prefix that stands for the key; 0: the key is listed itself. */
static size_t common_prefix(const char *key, const char *prefix, char delimiter)
{
	const char *end = delimiter ? strchr(key + strlen(prefix), delimiter) : NULL;

	return end ? (size_t)(end - key) + 1 : 0;
}

static bool is_in_entry(const struct os_entry *entry, const char *key)
{
	return entry && entry->is_prefix && string_has_prefix(key, entry->key);
}

static void set_token(struct os_result *result)
{
	const struct os_entry *last = &result->entries[result->entry_count - 1];
	struct buf token = BUF_INIT;

	buf_printf(&token, "%c%s", last->is_prefix ? 'p' : 'k', last->key);
	result->next_token = buf_steal(&token);
	CHECK(result->next_token != NULL);
}

/* As in S3's document: the objects, then the common prefixes, each in order. */
static void objects_first(struct os_result *result)
{
	struct os_entry *sorted = calloc(result->entry_count + 1, sizeof(*sorted));
	size_t used = 0;

	CHECK(sorted != NULL);
	for (size_t i = 0; i < result->entry_count; i++) {
		if (!result->entries[i].is_prefix)
			sorted[used++] = result->entries[i];
	}
	for (size_t i = 0; i < result->entry_count; i++) {
		if (result->entries[i].is_prefix)
			sorted[used++] = result->entries[i];
	}
	free(result->entries);
	result->entries = sorted;
}

static void list_object(struct os_result *result, const struct memory_object *object,
			size_t prefix_len)
{
	struct os_entry *entry = entry_add(result, object->key,
					   prefix_len ? prefix_len : strlen(object->key));

	if (prefix_len) {
		entry->is_prefix = true;
		return;
	}
	memcpy(entry->etag, object->etag, sizeof(entry->etag));
	entry->size = object->size;
	entry->last_modified = object->last_modified;
}

void memory_list(struct objstore_memory *memory, struct os_request *request)
{
	const struct memory_bucket *bucket = &memory->bucket;
	const char *prefix = request->prefix ? request->prefix : "";
	struct position position = position_of(request);
	struct os_result *result = &request->result;
	size_t limit = memory->list_max;

	if (request->max_keys > 0 && request->max_keys < limit)
		limit = request->max_keys;
	for (size_t at = memory_bucket_position(bucket, prefix); at < bucket->object_count; at++) {
		const struct memory_object *object = bucket->objects[at];
		const struct os_entry *last = result->entry_count
						      ? &result->entries[result->entry_count - 1]
						      : NULL;

		if (!string_has_prefix(object->key, prefix))
			break;
		if (!is_listed(object->key, prefix, &position) || is_in_entry(last, object->key))
			continue;
		if (result->entry_count == limit) {
			set_token(result);
			break;
		}
		list_object(result, object, common_prefix(object->key, prefix, request->delimiter));
	}
	objects_first(result);
}

static size_t page_limit(const struct objstore_memory *memory, const struct os_request *request)
{
	return request->max_keys > 0 && request->max_keys < memory->list_max ? request->max_keys
									     : memory->list_max;
}

/* In the order of creation; a token is the id of the last that was listed. */
void memory_list_uploads(struct objstore_memory *memory, struct os_request *request)
{
	const char *prefix = request->prefix ? request->prefix : "";
	size_t limit = page_limit(memory, request);

	for (size_t i = 0; i < memory->bucket.upload_count; i++) {
		const struct memory_upload *upload = memory->bucket.uploads[i];
		struct os_entry *entry;

		if (!string_has_prefix(upload->target.key, prefix) ||
		    (request->token && strcmp(upload->id, request->token) <= 0))
			continue;
		if (request->result.entry_count == limit) {
			request->result.next_token = strdup(
				request->result.entries[limit - 1].upload_id);
			CHECK(request->result.next_token != NULL);
			break;
		}
		entry = entry_add(&request->result, upload->target.key, strlen(upload->target.key));
		entry->last_modified = upload->target.last_modified;
		entry->upload_id = strdup(upload->id);
		CHECK(entry->upload_id != NULL);
	}
}

void memory_list_parts(struct objstore_memory *memory, struct os_request *request)
{
	const struct memory_upload *upload = memory_upload_find(&memory->bucket, request->key,
								request->upload_id);
	unsigned after = request->token ? (unsigned)strtoul(request->token, NULL, 10) : 0;
	size_t limit = page_limit(memory, request);
	struct os_result *result = &request->result;
	char token[16];

	if (!upload) {
		memory_fail(request, -ENOENT, 404, "NoSuchUpload");
		return;
	}
	for (size_t i = 0; i < upload->part_count; i++) {
		const struct memory_part *part = &upload->parts[i];
		struct os_entry *entry;

		if (part->number <= after)
			continue;
		if (result->entry_count == limit) {
			snprintf(token, sizeof(token), "%u",
				 result->entries[limit - 1].part_number);
			result->next_token = strdup(token);
			CHECK(result->next_token != NULL);
			break;
		}
		entry = entry_add(result, "", 0);
		entry->part_number = part->number;
		entry->size = part->size;
		memcpy(entry->etag, part->etag, sizeof(entry->etag));
	}
}

void memory_list_buckets(struct objstore_memory *memory, struct os_request *request)
{
	entry_add(&request->result, memory->bucket_name, strlen(memory->bucket_name));
}

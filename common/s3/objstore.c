#include "common/s3/objstore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct os_meta_item *meta_find(const struct os_meta *meta, const char *name)
{
	for (size_t i = 0; i < meta->count; i++) {
		if (strcmp(meta->items[i].name, name) == 0)
			return &meta->items[i];
	}
	return NULL;
}

const char *os_meta_get(const struct os_meta *meta, const char *name)
{
	const struct os_meta_item *item = meta_find(meta, name);

	return item ? item->value : NULL;
}

static void meta_remove(struct os_meta *meta, struct os_meta_item *item)
{
	free(item->name);
	free(item->value);
	meta->count--;
	memmove(item, item + 1, (size_t)(meta->items + meta->count - item) * sizeof(*item));
}

static int meta_append(struct os_meta *meta, const char *name, const char *value)
{
	struct os_meta_item *items;
	struct os_meta_item item;

	items = reallocarray(meta->items, meta->count + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	meta->items = items;
	item.name = strdup(name);
	item.value = strdup(value);
	if (!item.name || !item.value) {
		free(item.name);
		free(item.value);
		return -ENOMEM;
	}
	items[meta->count++] = item;
	return 0;
}

int os_meta_set(struct os_meta *meta, const char *name, const char *value)
{
	struct os_meta_item *item = meta_find(meta, name);
	char *copy;

	if (!value) {
		if (item)
			meta_remove(meta, item);
		return 0;
	}
	if (!item)
		return meta_append(meta, name, value);
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(item->value);
	item->value = copy;
	return 0;
}

int os_meta_copy(struct os_meta *to, const struct os_meta *from)
{
	for (size_t i = 0; i < from->count; i++) {
		if (meta_append(to, from->items[i].name, from->items[i].value)) {
			os_meta_free(to);
			return -ENOMEM;
		}
	}
	return 0;
}

void os_meta_free(struct os_meta *meta)
{
	for (size_t i = 0; i < meta->count; i++) {
		free(meta->items[i].name);
		free(meta->items[i].value);
	}
	free(meta->items);
	meta->items = NULL;
	meta->count = 0;
}

size_t os_meta_bytes(const struct os_meta *meta)
{
	size_t bytes = 0;

	for (size_t i = 0; i < meta->count; i++)
		bytes += strlen(meta->items[i].name) + strlen(meta->items[i].value);
	return bytes;
}

static int memory_read(void *context, void *data, size_t len, uint64_t offset)
{
	const struct os_memory *memory = context;

	if (offset > memory->len || len > memory->len - offset)
		return -EIO;
	if (len > 0)
		memcpy(data, (const char *)memory->data + offset, len);
	return 0;
}

struct os_source os_source_memory(struct os_memory *memory)
{
	return (struct os_source){.read = memory_read, .context = memory, .len = memory->len};
}

const char *os_op_name(enum os_op op)
{
	static const char *const names[] = {
		[OS_HEAD] = "HeadObject",
		[OS_GET] = "GetObject",
		[OS_PUT] = "PutObject",
		[OS_DELETE] = "DeleteObject",
		[OS_DELETE_MANY] = "DeleteObjects",
		[OS_LIST] = "ListObjectsV2",
		[OS_COPY] = "CopyObject",
		[OS_MPU_CREATE] = "CreateMultipartUpload",
		[OS_MPU_PART] = "UploadPart",
		[OS_MPU_PART_COPY] = "UploadPartCopy",
		[OS_MPU_COMPLETE] = "CompleteMultipartUpload",
		[OS_MPU_ABORT] = "AbortMultipartUpload",
		[OS_MPU_LIST] = "ListMultipartUploads",
		[OS_MPU_LIST_PARTS] = "ListParts",
		[OS_TAGS] = "GetObjectTagging",
		[OS_BUCKETS] = "ListBuckets",
		[OS_BUCKET_HEAD] = "HeadBucket",
	};

	return (unsigned)op < sizeof(names) / sizeof(names[0]) ? names[op] : "Unknown";
}

void os_request_free_result(struct os_request *request)
{
	struct os_result *result = &request->result;

	os_meta_free(&result->meta);
	os_meta_free(&result->headers);
	for (size_t i = 0; i < result->entry_count; i++) {
		free(result->entries[i].key);
		free(result->entries[i].upload_id);
	}
	free(result->entries);
	free(result->next_token);
	free(result->delete_errors);
	memset(result, 0, sizeof(*result));
}

/* The character at text (RFC 3629, section 3), or 0 where there is none; *len: its bytes. */
static uint32_t utf8_character(const unsigned char *text, size_t *len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t character;

	*len = text[0] < 0x80	? 1
	       : text[0] < 0xc0 ? 0
	       : text[0] < 0xe0 ? 2
	       : text[0] < 0xf0 ? 3
				: 4;
	if (*len == 0 || text[0] > 0xf4)
		return 0;
	character = *len == 1 ? text[0] : text[0] & (0x7fu >> *len);
	for (size_t i = 1; i < *len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (text[i] & 0x3fu);
	}
	return character < least[*len] ? 0 : character;
}

bool os_fits_xml(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t len;

	for (; *at; at += len) {
		uint32_t c = utf8_character(at, &len);
		bool fits = c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c < 0xd800) ||
			    (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);

		if (!fits)
			return false;
	}
	return true;
}

#include "tests/unit/memory_bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/s3/digest.h"

static char *copy_string(const char *text)
{
	char *copy = strdup(text);

	CHECK(copy != NULL);
	return copy;
}

struct memory_object *memory_object_new(const struct os_request *request)
{
	struct memory_object *object = calloc(1, sizeof(*object));

	CHECK(object != NULL);
	object->key = copy_string(request->key);
	object->content_type = copy_string(request->content_type ? request->content_type
								 : "application/octet-stream");
	if (request->meta)
		CHECK(os_meta_copy(&object->meta, request->meta) == 0);
	if (request->headers)
		CHECK(os_meta_copy(&object->headers, request->headers) == 0);
	return object;
}

static void object_clear(struct memory_object *object)
{
	free(object->key);
	free(object->data);
	free(object->content_type);
	os_meta_free(&object->meta);
	os_meta_free(&object->headers);
}

void memory_object_free(struct memory_object *object)
{
	if (!object)
		return;
	object_clear(object);
	free(object);
}

/* The MD5, as S3 does without encryption. */
void memory_etag(char out[OS_ETAG_MAX], const void *data, size_t size, unsigned parts)
{
	struct md5 *md5 = md5_start();
	unsigned char hash[MD5_BYTES];
	struct buf text = BUF_INIT;

	CHECK(md5 != NULL);
	md5_update(md5, data, size);
	md5_finish(md5, hash);
	buf_putc(&text, '"');
	buf_put_hex(&text, hash, sizeof(hash));
	if (parts > 0)
		buf_printf(&text, "-%u", parts);
	buf_putc(&text, '"');
	snprintf(out, OS_ETAG_MAX, "%s", buf_str(&text));
	buf_free(&text);
}

void memory_object_fill(struct memory_object *object, unsigned char *data, size_t size)
{
	free(object->data);
	object->data = data;
	object->size = size;
	memory_etag(object->etag, data, size, 0);
}

size_t memory_bucket_position(const struct memory_bucket *bucket, const char *key)
{
	size_t low = 0, high = bucket->object_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		/* strcmp compares as unsigned bytes: the order of S3's listings. */
		if (strcmp(bucket->objects[middle]->key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct memory_object *memory_bucket_find(const struct memory_bucket *bucket, const char *key)
{
	size_t at = memory_bucket_position(bucket, key);

	if (at < bucket->object_count && strcmp(bucket->objects[at]->key, key) == 0)
		return bucket->objects[at];
	return NULL;
}

void memory_bucket_insert(struct memory_bucket *bucket, struct memory_object *object)
{
	size_t at = memory_bucket_position(bucket, object->key);

	if (at < bucket->object_count && strcmp(bucket->objects[at]->key, object->key) == 0) {
		memory_object_free(bucket->objects[at]);
		bucket->objects[at] = object;
		return;
	}
	if (bucket->object_count == bucket->object_capacity) {
		bucket->object_capacity = 2 * bucket->object_capacity + 16;
		bucket->objects = reallocarray(bucket->objects, bucket->object_capacity,
					       sizeof(struct memory_object *));
		CHECK(bucket->objects != NULL);
	}
	memmove(bucket->objects + at + 1, bucket->objects + at,
		(bucket->object_count - at) * sizeof(struct memory_object *));
	bucket->objects[at] = object;
	bucket->object_count++;
}

bool memory_bucket_remove(struct memory_bucket *bucket, const char *key)
{
	size_t at = memory_bucket_position(bucket, key);

	if (at == bucket->object_count || strcmp(bucket->objects[at]->key, key) != 0)
		return false;
	memory_object_free(bucket->objects[at]);
	bucket->object_count--;
	memmove(bucket->objects + at, bucket->objects + at + 1,
		(bucket->object_count - at) * sizeof(struct memory_object *));
	return true;
}

struct memory_upload *memory_upload_create(struct memory_bucket *bucket,
					   const struct os_request *request)
{
	struct memory_upload *upload = calloc(1, sizeof(*upload));
	struct memory_object *target = memory_object_new(request);
	char id[32];

	CHECK(upload != NULL);
	upload->target = *target;
	free(target);
	snprintf(id, sizeof(id), "upload-%08u", ++bucket->next_upload);
	upload->id = copy_string(id);
	bucket->uploads = reallocarray(bucket->uploads, bucket->upload_count + 1,
				       sizeof(struct memory_upload *));
	CHECK(bucket->uploads != NULL);
	bucket->uploads[bucket->upload_count++] = upload;
	return upload;
}

struct memory_upload *memory_upload_find(const struct memory_bucket *bucket, const char *key,
					 const char *id)
{
	for (size_t i = 0; i < bucket->upload_count; i++) {
		struct memory_upload *upload = bucket->uploads[i];

		if (strcmp(upload->id, id) == 0 && strcmp(upload->target.key, key) == 0)
			return upload;
	}
	return NULL;
}

static void upload_free(struct memory_upload *upload)
{
	for (size_t i = 0; i < upload->part_count; i++)
		free(upload->parts[i].data);
	free(upload->parts);
	free(upload->id);
	object_clear(&upload->target);
	free(upload);
}

void memory_upload_remove(struct memory_bucket *bucket, struct memory_upload *upload)
{
	size_t at = 0;

	while (bucket->uploads[at] != upload)
		at++;
	bucket->upload_count--;
	memmove(bucket->uploads + at, bucket->uploads + at + 1,
		(bucket->upload_count - at) * sizeof(struct memory_upload *));
	upload_free(upload);
}

const struct memory_part *memory_upload_part(const struct memory_upload *upload, unsigned number)
{
	for (size_t i = 0; i < upload->part_count; i++) {
		if (upload->parts[i].number == number)
			return &upload->parts[i];
	}
	return NULL;
}

static struct memory_part *part_place(struct memory_upload *upload, unsigned number)
{
	size_t at = upload->part_count;

	while (at > 0 && upload->parts[at - 1].number >= number)
		at--;
	if (at < upload->part_count && upload->parts[at].number == number) {
		free(upload->parts[at].data);
		return &upload->parts[at];
	}
	upload->parts = reallocarray(upload->parts, upload->part_count + 1, sizeof(*upload->parts));
	CHECK(upload->parts != NULL);
	memmove(upload->parts + at + 1, upload->parts + at,
		(upload->part_count - at) * sizeof(*upload->parts));
	upload->part_count++;
	return &upload->parts[at];
}

const struct memory_part *memory_upload_put_part(struct memory_upload *upload, unsigned number,
						 unsigned char *data, size_t size)
{
	struct memory_part *part = part_place(upload, number);

	*part = (struct memory_part){.number = number, .data = data, .size = size};
	memory_etag(part->etag, data, size, 0);
	return part;
}

void memory_bucket_free(struct memory_bucket *bucket)
{
	for (size_t i = 0; i < bucket->object_count; i++)
		memory_object_free(bucket->objects[i]);
	free(bucket->objects);
	for (size_t i = 0; i < bucket->upload_count; i++)
		upload_free(bucket->uploads[i]);
	free(bucket->uploads);
	*bucket = (struct memory_bucket){.objects = NULL};
}

static unsigned char *copy_data(const unsigned char *data, size_t size)
{
	unsigned char *copy = malloc(size + 1);

	CHECK(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

static void object_copy(struct memory_object *copy, const struct memory_object *object)
{
	*copy = *object;
	copy->key = copy_string(object->key);
	copy->content_type = copy_string(object->content_type);
	copy->data = object->data ? copy_data(object->data, object->size) : NULL;
	copy->meta = copy->headers = (struct os_meta)OS_META_INIT;
	CHECK(os_meta_copy(&copy->meta, &object->meta) == 0);
	CHECK(os_meta_copy(&copy->headers, &object->headers) == 0);
}

static struct memory_upload *upload_copy(const struct memory_upload *upload)
{
	struct memory_upload *copy = calloc(1, sizeof(*copy));

	CHECK(copy != NULL);
	copy->id = copy_string(upload->id);
	object_copy(&copy->target, &upload->target);
	for (size_t i = 0; i < upload->part_count; i++) {
		const struct memory_part *part = &upload->parts[i];

		memory_upload_put_part(copy, part->number, copy_data(part->data, part->size),
				       part->size);
	}
	return copy;
}

struct memory_bucket memory_bucket_copy(const struct memory_bucket *bucket)
{
	struct memory_bucket copy = *bucket;

	copy.object_capacity = bucket->object_count;
	copy.objects = calloc(bucket->object_count + 1, sizeof(struct memory_object *));
	copy.uploads = calloc(bucket->upload_count + 1, sizeof(struct memory_upload *));
	CHECK(copy.objects && copy.uploads);
	for (size_t i = 0; i < bucket->object_count; i++) {
		copy.objects[i] = calloc(1, sizeof(*copy.objects[i]));
		CHECK(copy.objects[i] != NULL);
		object_copy(copy.objects[i], bucket->objects[i]);
	}
	for (size_t i = 0; i < bucket->upload_count; i++)
		copy.uploads[i] = upload_copy(bucket->uploads[i]);
	return copy;
}

/* memory_bucket.h — the objects and uploads of one bucket in memory; data only, under
 * objstore_memory.h.
 *
 * Threads: one. Owns everything that it hands out; pointers live until the object or upload is
 * changed. Out of memory ends the process: it is for tests.
 */
#ifndef TESTS_UNIT_MEMORY_BUCKET_H
#define TESTS_UNIT_MEMORY_BUCKET_H

#include "common/s3/objstore.h"

struct memory_object {
	char *key;
	unsigned char *data;
	size_t size;
	char etag[OS_ETAG_MAX];
	char *content_type;
	struct os_meta meta, headers;
	int64_t last_modified; /* whole seconds, in ns: HTTP dates have no more */
};

struct memory_part {
	unsigned number;
	unsigned char *data;
	size_t size;
	char etag[OS_ETAG_MAX];
};

struct memory_upload {
	char *id;
	struct memory_object target; /* key, metadata; data and etag come with the completion */
	struct memory_part *parts;   /* sorted by number */
	size_t part_count;
};

struct memory_bucket {
	struct memory_object **objects; /* sorted by the bytes of the key */
	size_t object_count, object_capacity;
	struct memory_upload **uploads; /* in the order of creation */
	size_t upload_count;
	unsigned next_upload;
};

void memory_bucket_free(struct memory_bucket *bucket);
struct memory_bucket memory_bucket_copy(const struct memory_bucket *bucket);

/* What the request (PUT, COPY, MPU_CREATE) says about metadata. */
struct memory_object *memory_object_new(const struct os_request *request);
void memory_object_free(struct memory_object *object); /* NULL allowed */
/* Takes data over (malloc) and sets size and ETag, which is the same for the same bytes. */
void memory_object_fill(struct memory_object *object, unsigned char *data, size_t size);
void memory_etag(char out[OS_ETAG_MAX], const void *data, size_t size, unsigned parts);

struct memory_object *memory_bucket_find(const struct memory_bucket *bucket, const char *key);
/* Index of the first object whose key is not less. */
size_t memory_bucket_position(const struct memory_bucket *bucket, const char *key);
/* Takes the object over; replaces the one with its key. */
void memory_bucket_insert(struct memory_bucket *bucket, struct memory_object *object);
bool memory_bucket_remove(struct memory_bucket *bucket, const char *key);

struct memory_upload *memory_upload_create(struct memory_bucket *bucket,
					   const struct os_request *request);
struct memory_upload *memory_upload_find(const struct memory_bucket *bucket, const char *key,
					 const char *id);
void memory_upload_remove(struct memory_bucket *bucket, struct memory_upload *upload);
/* Takes data over; replaces the part with its number. */
const struct memory_part *memory_upload_put_part(struct memory_upload *upload, unsigned number,
						 unsigned char *data, size_t size);
const struct memory_part *memory_upload_part(const struct memory_upload *upload, unsigned number);

#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/check.h"
#include "tests/s3server/store_private.h"

char *upload_index_key(const char *key, const char *id)
{
	return xasprintf("%s\x01%s", key, id);
}

void upload_free(struct upload *upload)
{
	if (!upload)
		return;
	upload_snapshot_free(upload);
	free(upload);
}

void upload_snapshot_free(struct upload *snapshot)
{
	for (size_t i = 0; i < snapshot->part_count; i++)
		object_unref(snapshot->parts[i].object);
	free(snapshot->parts);
	free(snapshot->key);
	pairs_free(&snapshot->headers);
}

void upload_create(struct bucket *bucket, const char *key, const struct pairs *headers, int64_t now,
		   char id[UPLOAD_ID_BYTES + 1])
{
	struct upload *upload = xmalloc(sizeof(*upload));
	unsigned char random[UPLOAD_ID_BYTES / 2];
	struct buf line = BUF_INIT;
	char *index_key;

	CHECK(getrandom(random, sizeof(random), 0) == sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(upload->id + 2 * i, 3, "%02x", random[i]);
	memcpy(id, upload->id, sizeof(upload->id));
	upload->key = xstrdup(key);
	upload->initiated = now;
	for (size_t i = 0; i < headers->count; i++)
		pairs_add(&upload->headers, headers->items[i].name, headers->items[i].value);
	index_key = upload_index_key(key, id);
	log_line_upload(&line, bucket->name, upload);
	pthread_rwlock_wrlock(&bucket->lock);
	CHECK(log_append(bucket->store, &line) == 0);
	index_set_value(index_insert(bucket->uploads, index_key), upload);
	pthread_rwlock_unlock(&bucket->lock);
	free(index_key);
}

/* Caller holds the bucket's lock. */
static struct upload *find_upload(struct bucket *bucket, const char *key, const char *id)
{
	char *index_key = upload_index_key(key, id);
	struct index_node *node = index_find(bucket->uploads, index_key);

	free(index_key);
	return node ? index_value(node) : NULL;
}

struct object *upload_set_part(struct upload *upload, unsigned number, struct object *object)
{
	size_t at = upload->part_count;

	while (at > 0 && upload->parts[at - 1].number >= number)
		at--;
	if (at < upload->part_count && upload->parts[at].number == number) {
		struct object *old = upload->parts[at].object;

		upload->parts[at].object = object;
		return old;
	}
	if (upload->part_count == upload->part_capacity) {
		size_t capacity = upload->part_capacity ? upload->part_capacity * 2 : 8;
		struct part *parts = reallocarray(upload->parts, capacity, sizeof(*parts));

		CHECK(parts);
		upload->parts = parts;
		upload->part_capacity = capacity;
	}
	memmove(&upload->parts[at + 1], &upload->parts[at],
		(upload->part_count - at) * sizeof(upload->parts[0]));
	upload->parts[at] = (struct part){number, object};
	upload->part_count++;
	return NULL;
}

int upload_put_part(struct bucket *bucket, const char *key, const char *id, unsigned number,
		    struct object *part)
{
	struct object *old = part;
	struct buf line = BUF_INIT;
	struct upload *upload;
	int err = -ENOENT;

	log_line_part(&line, bucket->name, key, id, number, part);
	pthread_rwlock_wrlock(&bucket->lock);
	upload = find_upload(bucket, key, id);
	if (upload) {
		err = log_append(bucket->store, &line);
		if (!err)
			old = upload_set_part(upload, number, part);
	}
	pthread_rwlock_unlock(&bucket->lock);
	buf_free(&line);
	object_unref(old);
	return err;
}

int upload_snapshot(struct bucket *bucket, const char *key, const char *id, struct upload *out)
{
	struct upload *upload;
	int err = -ENOENT;

	memset(out, 0, sizeof(*out));
	pthread_rwlock_rdlock(&bucket->lock);
	upload = find_upload(bucket, key, id);
	if (upload) {
		memcpy(out->id, upload->id, sizeof(out->id));
		out->key = xstrdup(upload->key);
		out->initiated = upload->initiated;
		out->parts = xmalloc(upload->part_count * sizeof(out->parts[0]));
		out->part_count = upload->part_count;
		for (size_t i = 0; i < upload->part_count; i++) {
			out->parts[i] = upload->parts[i];
			object_ref(out->parts[i].object);
		}
		for (size_t i = 0; i < upload->headers.count; i++)
			pairs_add(&out->headers, upload->headers.items[i].name,
				  upload->headers.items[i].value);
		err = 0;
	}
	pthread_rwlock_unlock(&bucket->lock);
	return err;
}

int upload_abort(struct bucket *bucket, const char *key, const char *id)
{
	char *index_key = upload_index_key(key, id);
	struct upload *upload = NULL;
	struct buf line = BUF_INIT;

	log_line_upload_end(&line, bucket->name, key, id);
	pthread_rwlock_wrlock(&bucket->lock);
	if (index_find(bucket->uploads, index_key)) {
		CHECK(log_append(bucket->store, &line) == 0);
		upload = index_remove(bucket->uploads, index_key);
	}
	pthread_rwlock_unlock(&bucket->lock);
	buf_free(&line);
	free(index_key);
	upload_free(upload);
	return upload ? 0 : -ENOENT;
}

#include "tests/s3server/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "tests/s3server/store_private.h"

void blob_path(uint64_t id, char out[BLOB_NAME_MAX])
{
	snprintf(out, BLOB_NAME_MAX, "%02x/%llx", (unsigned)(id & 0xff), (unsigned long long)id);
}

int blob_create(struct store *store, struct blob **out)
{
	struct blob *blob = xmalloc(sizeof(*blob));
	char path[BLOB_NAME_MAX];
	int fd;

	blob->store = store;
	blob->id = atomic_fetch_add(&store->next_id, 1);
	atomic_init(&blob->references, 1);
	blob_path(blob->id, path);
	fd = openat(store->data_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0) {
		fd = -errno;
		free(blob);
		return fd;
	}
	*out = blob;
	return fd;
}

int blob_open(const struct blob *blob)
{
	char path[BLOB_NAME_MAX];
	int fd;

	blob_path(blob->id, path);
	fd = openat(blob->store->data_fd, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void blob_ref(struct blob *blob)
{
	atomic_fetch_add(&blob->references, 1);
}

void blob_unref(struct blob *blob)
{
	char path[BLOB_NAME_MAX];

	if (!blob || atomic_fetch_sub(&blob->references, 1) != 1)
		return;
	blob_path(blob->id, path);
	unlinkat(blob->store->data_fd, path, 0);
	free(blob);
}

struct object *object_create(void)
{
	struct object *object = xmalloc(sizeof(*object));

	atomic_init(&object->references, 1);
	return object;
}

struct object *object_ref(struct object *object)
{
	atomic_fetch_add(&object->references, 1);
	return object;
}

void object_unref(struct object *object)
{
	if (!object || atomic_fetch_sub(&object->references, 1) != 1)
		return;
	for (size_t i = 0; i < object->extent_count; i++)
		blob_unref(object->extents[i].blob);
	free(object->extents);
	pairs_free(&object->headers);
	free(object);
}

void object_add_extent(struct object *object, struct blob *blob, uint64_t offset, uint64_t len)
{
	struct extent *extents;

	if (len == 0) {
		blob_unref(blob);
		return;
	}
	extents = reallocarray(object->extents, object->extent_count + 1, sizeof(*extents));
	CHECK(extents);
	object->extents = extents;
	extents[object->extent_count++] = (struct extent){blob, offset, len};
	object->size += len;
}

void object_append_range(struct object *object, const struct object *source, uint64_t offset,
			 uint64_t len)
{
	for (size_t i = 0; i < source->extent_count && len > 0; i++) {
		const struct extent *extent = &source->extents[i];
		uint64_t take;

		if (offset >= extent->len) {
			offset -= extent->len;
			continue;
		}
		take = extent->len - offset < len ? extent->len - offset : len;
		blob_ref(extent->blob);
		object_add_extent(object, extent->blob, extent->offset + offset, take);
		offset = 0;
		len -= take;
	}
}

ssize_t object_read(const struct object *object, uint64_t offset, char *data, size_t len)
{
	for (size_t i = 0; i < object->extent_count; i++) {
		const struct extent *extent = &object->extents[i];
		ssize_t got;
		int fd;

		if (offset >= extent->len) {
			offset -= extent->len;
			continue;
		}
		if (len > extent->len - offset)
			len = (size_t)(extent->len - offset);
		fd = blob_open(extent->blob);
		if (fd < 0)
			return fd;
		got = pread(fd, data, len, (off_t)(extent->offset + offset));
		if (got < 0)
			got = -errno;
		close(fd);
		return got == 0 ? -EIO : got;
	}
	return 0;
}

struct bucket *bucket_add(struct store *store, const char *name, int64_t created)
{
	struct bucket *bucket = xmalloc(sizeof(*bucket));
	struct list *before = store->buckets.next;

	bucket->store = store;
	bucket->name = xstrdup(name);
	bucket->created = created;
	bucket->objects = index_create();
	bucket->uploads = index_create();
	pthread_rwlock_init(&bucket->lock, NULL);
	while (before != &store->buckets &&
	       strcmp(container_of(before, struct bucket, node)->name, name) < 0)
		before = before->next;
	list_append(before, &bucket->node);
	return bucket;
}

static struct bucket *find_locked(struct store *store, const char *name)
{
	LIST_FOREACH (node, &store->buckets) {
		struct bucket *bucket = container_of(node, struct bucket, node);

		if (strcmp(bucket->name, name) == 0)
			return bucket;
	}
	return NULL;
}

struct bucket *bucket_find(struct store *store, const char *name)
{
	struct bucket *bucket;

	pthread_rwlock_rdlock(&store->lock);
	bucket = find_locked(store, name);
	pthread_rwlock_unlock(&store->lock);
	return bucket;
}

int bucket_create(struct store *store, const char *name, int64_t now)
{
	struct buf line = BUF_INIT;
	int err = -EEXIST;

	pthread_rwlock_wrlock(&store->lock);
	if (!find_locked(store, name)) {
		log_line_bucket(&line, bucket_add(store, name, now), true);
		err = log_append(store, &line);
	}
	pthread_rwlock_unlock(&store->lock);
	return err;
}

void bucket_bury(struct store *store, struct bucket *bucket)
{
	bucket->deleted = true;
	list_remove(&bucket->node);
	list_append(&store->dead, &bucket->node);
}

int bucket_delete(struct store *store, struct bucket *bucket)
{
	struct buf line = BUF_INIT;
	int err = 0;

	pthread_rwlock_wrlock(&store->lock);
	pthread_rwlock_wrlock(&bucket->lock);
	if (bucket->deleted) {
		err = -ENOENT;
	} else if (index_count(bucket->objects) > 0) {
		err = -ENOTEMPTY;
	} else {
		log_line_bucket(&line, bucket, false);
		err = log_append(store, &line);
		bucket_bury(store, bucket);
	}
	pthread_rwlock_unlock(&bucket->lock);
	pthread_rwlock_unlock(&store->lock);
	return err;
}

void bucket_names(struct store *store, struct pairs *out)
{
	char date[DATE_TEXT_MAX];

	pthread_rwlock_rdlock(&store->lock);
	LIST_FOREACH (node, &store->buckets) {
		struct bucket *bucket = container_of(node, struct bucket, node);

		format_iso_date(date, bucket->created);
		pairs_add(out, bucket->name, date);
	}
	pthread_rwlock_unlock(&store->lock);
}

struct object *bucket_get(struct bucket *bucket, const char *key)
{
	struct object *object = NULL;
	struct index_node *node;

	pthread_rwlock_rdlock(&bucket->lock);
	node = index_find(bucket->objects, key);
	if (node)
		object = object_ref(index_value(node));
	pthread_rwlock_unlock(&bucket->lock);
	return object;
}

static const char *current_etag(const struct bucket *bucket, const char *key)
{
	struct index_node *node = index_find(bucket->objects, key);

	return node ? ((struct object *)index_value(node))->etag : NULL;
}

int bucket_put(struct bucket *bucket, const char *key, struct object *object,
	       const struct condition *condition, const char *upload_id, enum verdict *verdict)
{
	char *upload_key = upload_id ? upload_index_key(key, upload_id) : NULL;
	struct object *old = object;
	struct upload *ended = NULL;
	struct buf line = BUF_INIT;
	struct index_node *node;
	int err = 0;

	*verdict = VERDICT_PASS;
	log_line_object(&line, bucket->name, key, object);
	if (upload_id)
		log_line_upload_end(&line, bucket->name, key, upload_id);
	pthread_rwlock_wrlock(&bucket->lock);
	if (bucket->deleted)
		err = -ENXIO;
	else if (upload_key && !index_find(bucket->uploads, upload_key))
		err = -ENOENT;
	else
		*verdict = condition_for_write(condition, current_etag(bucket, key));
	if (!err && *verdict == VERDICT_PASS)
		err = log_append(bucket->store, &line);
	if (!err && *verdict == VERDICT_PASS) {
		node = index_insert(bucket->objects, key);
		old = index_value(node);
		index_set_value(node, object);
		if (upload_key)
			ended = index_remove(bucket->uploads, upload_key);
	}
	pthread_rwlock_unlock(&bucket->lock);
	buf_free(&line);
	object_unref(old);
	upload_free(ended);
	free(upload_key);
	return err;
}

enum verdict bucket_remove(struct bucket *bucket, const char *key,
			   const struct condition *condition, bool *existed)
{
	struct object *old = NULL;
	struct buf line = BUF_INIT;
	enum verdict verdict;

	log_line_object(&line, bucket->name, key, NULL);
	pthread_rwlock_wrlock(&bucket->lock);
	verdict = condition_for_write(condition, current_etag(bucket, key));
	if (verdict == VERDICT_PASS && index_find(bucket->objects, key)) {
		CHECK(log_append(bucket->store, &line) == 0);
		old = index_remove(bucket->objects, key);
	}
	pthread_rwlock_unlock(&bucket->lock);
	buf_free(&line);
	*existed = old != NULL;
	object_unref(old);
	return verdict;
}

static int open_directories(struct store *store, const char *root, struct error *error)
{
	char name[8];

	if (mkdir(root, 0750) && errno != EEXIST)
		return error_set(error, -errno, "cannot make %s: %s", root, strerror(errno));
	store->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->root_fd < 0)
		return error_set(error, -errno, "cannot open %s: %s", root, strerror(errno));
	if (mkdirat(store->root_fd, "data", 0750) && errno != EEXIST)
		return error_set(error, -errno, "cannot make %s/data: %s", root, strerror(errno));
	store->data_fd = openat(store->root_fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->data_fd < 0)
		return error_set(error, -errno, "cannot open %s/data: %s", root, strerror(errno));
	for (unsigned i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "%02x", i);
		if (mkdirat(store->data_fd, name, 0750) && errno != EEXIST)
			return error_set(error, -errno, "cannot make %s/data/%s: %s", root, name,
					 strerror(errno));
	}
	return 0;
}

int store_open(struct store **out, const char *root, struct error *error)
{
	struct store *store = xmalloc(sizeof(*store));
	int err;

	store->root_fd = store->data_fd = store->log_fd = -1;
	atomic_init(&store->next_id, 1);
	pthread_rwlock_init(&store->lock, NULL);
	list_init(&store->buckets);
	list_init(&store->dead);
	err = open_directories(store, root, error);
	if (!err)
		err = log_load(store, error);
	if (err) {
		store_close(store);
		return err;
	}
	*out = store;
	return 0;
}

/* Forgets the memory and leaves the files. */
static void object_forget(struct object *object)
{
	for (size_t i = 0; i < object->extent_count; i++)
		if (atomic_fetch_sub(&object->extents[i].blob->references, 1) == 1)
			free(object->extents[i].blob);
	object->extent_count = 0;
	object_unref(object);
}

static void bucket_free(struct bucket *bucket)
{
	struct index_node *node;

	for (node = index_seek(bucket->objects, "", 0); node; node = index_next(node))
		object_forget(index_value(node));
	for (node = index_seek(bucket->uploads, "", 0); node; node = index_next(node)) {
		struct upload *upload = index_value(node);

		for (size_t i = 0; i < upload->part_count; i++)
			object_forget(upload->parts[i].object);
		upload->part_count = 0;
		upload_free(upload);
	}
	index_destroy(bucket->objects);
	index_destroy(bucket->uploads);
	pthread_rwlock_destroy(&bucket->lock);
	free(bucket->name);
	free(bucket);
}

static void free_buckets(struct list *buckets)
{
	LIST_FOREACH (node, buckets) {
		bucket_free(container_of(node, struct bucket, node));
	}
}

void store_close(struct store *store)
{
	free_buckets(&store->buckets);
	free_buckets(&store->dead);
	pthread_rwlock_destroy(&store->lock);
	if (store->log_fd >= 0)
		close(store->log_fd);
	if (store->data_fd >= 0)
		close(store->data_fd);
	if (store->root_fd >= 0)
		close(store->root_fd);
	free(store);
}

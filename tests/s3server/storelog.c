#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "tests/s3server/store_private.h"

/* A line is a letter and fields, separated by tabs, each percent-encoded. A last line without a
 * newline is what a killed server left and is ignored. */
enum { FIELDS_MAX = 12 };

static void put_field(struct buf *line, const char *text)
{
	buf_putc(line, '\t');
	buf_put_uri(line, text, strlen(text), true);
}

static void put_number(struct buf *line, uint64_t number)
{
	buf_printf(line, "\t%llx", (unsigned long long)number);
}

static void put_headers(struct buf *line, const struct pairs *headers)
{
	buf_putc(line, '\t');
	for (size_t i = 0; i < headers->count; i++) {
		const struct pair *pair = &headers->items[i];

		if (i > 0)
			buf_putc(line, '&');
		buf_put_uri(line, pair->name, strlen(pair->name), false);
		buf_putc(line, '=');
		buf_put_uri(line, pair->value, strlen(pair->value), false);
	}
}

static void put_object(struct buf *line, const struct object *object)
{
	put_number(line, (uint64_t)object->modified);
	put_field(line, object->etag);
	put_number(line, object->parts);
	buf_putc(line, '\t');
	for (size_t i = 0; i < object->extent_count; i++) {
		const struct extent *extent = &object->extents[i];

		buf_printf(line, "%s%llx:%llx:%llx", i ? "," : "",
			   (unsigned long long)extent->blob->id, (unsigned long long)extent->offset,
			   (unsigned long long)extent->len);
	}
	put_headers(line, &object->headers);
}

void log_line_bucket(struct buf *line, const struct bucket *bucket, bool created)
{
	buf_putc(line, created ? 'B' : 'b');
	put_field(line, bucket->name);
	put_number(line, (uint64_t)bucket->created);
	buf_putc(line, '\n');
}

void log_line_object(struct buf *line, const char *bucket, const char *key,
		     const struct object *object)
{
	buf_putc(line, object ? 'O' : 'o');
	put_field(line, bucket);
	put_field(line, key);
	if (object)
		put_object(line, object);
	buf_putc(line, '\n');
}

void log_line_upload(struct buf *line, const char *bucket, const struct upload *upload)
{
	buf_putc(line, 'U');
	put_field(line, bucket);
	put_field(line, upload->key);
	put_field(line, upload->id);
	put_number(line, (uint64_t)upload->initiated);
	put_headers(line, &upload->headers);
	buf_putc(line, '\n');
}

void log_line_upload_end(struct buf *line, const char *bucket, const char *key, const char *id)
{
	buf_putc(line, 'u');
	put_field(line, bucket);
	put_field(line, key);
	put_field(line, id);
	buf_putc(line, '\n');
}

void log_line_part(struct buf *line, const char *bucket, const char *key, const char *id,
		   unsigned number, const struct object *part)
{
	buf_putc(line, 'P');
	put_field(line, bucket);
	put_field(line, key);
	put_field(line, id);
	put_number(line, number);
	put_object(line, part);
	buf_putc(line, '\n');
}

int log_append(struct store *store, struct buf *line)
{
	ssize_t put;
	int err = 0;

	CHECK(!line->failed);
	put = write(store->log_fd, line->data, line->len);
	if (put < 0)
		err = -errno;
	else if ((size_t)put < line->len)
		err = -ENOSPC;
	buf_free(line);
	return err;
}

/* --- replay --- */

struct replay {
	struct store *store;
	struct index *blobs; /* id in hex -> blob; holds one reference each */
	char *fields[FIELDS_MAX];
	size_t field_count;
};

static struct blob *replay_blob(struct replay *replay, uint64_t id)
{
	char name[BLOB_NAME_MAX];
	struct index_node *node;
	struct blob *blob;

	blob_path(id, name);
	node = index_insert(replay->blobs, name);
	blob = index_value(node);
	if (!blob) {
		blob = xmalloc(sizeof(*blob));
		blob->store = replay->store;
		blob->id = id;
		atomic_init(&blob->references, 1);
		index_set_value(node, blob);
		if (id >= atomic_load(&replay->store->next_id))
			atomic_store(&replay->store->next_id, id + 1);
	}
	blob_ref(blob);
	return blob;
}

static uint64_t field_number(const char *text)
{
	return text ? strtoull(text, NULL, 16) : 0;
}

/* Fields from first on, as put_object wrote them; the caller has counted them. */
static struct object *replay_object(struct replay *replay, size_t first)
{
	char **fields = &replay->fields[first];
	struct object *object = object_create();
	char *at = fields[3];

	object->modified = (int64_t)field_number(fields[0]);
	snprintf(object->etag, sizeof(object->etag), "%s", fields[1]);
	object->parts = (unsigned)field_number(fields[2]);
	while (*at) {
		uint64_t id = strtoull(at, &at, 16), offset, len;

		offset = *at == ':' ? strtoull(at + 1, &at, 16) : 0;
		len = *at == ':' ? strtoull(at + 1, &at, 16) : 0;
		object_add_extent(object, replay_blob(replay, id), offset, len);
		if (*at != ',')
			break;
		at++;
	}
	pairs_parse_query(&object->headers, fields[4]);
	return object;
}

static void replay_put(struct bucket *bucket, const char *key, struct object *object)
{
	struct index_node *node = index_insert(bucket->objects, key);

	object_unref(index_value(node));
	index_set_value(node, object);
}

static void replay_upload(struct replay *replay, struct bucket *bucket)
{
	struct upload *upload = xmalloc(sizeof(*upload));
	char *key = upload_index_key(replay->fields[2], replay->fields[3]);
	struct index_node *node = index_insert(bucket->uploads, key);

	snprintf(upload->id, sizeof(upload->id), "%s", replay->fields[3]);
	upload->key = xstrdup(replay->fields[2]);
	upload->initiated = (int64_t)field_number(replay->fields[4]);
	pairs_parse_query(&upload->headers, replay->fields[5]);
	upload_free(index_value(node));
	index_set_value(node, upload);
	free(key);
}

static void replay_part(struct replay *replay, struct bucket *bucket)
{
	char *key = upload_index_key(replay->fields[2], replay->fields[3]);
	struct index_node *node = index_find(bucket->uploads, key);

	if (node)
		object_unref(upload_set_part(index_value(node),
					     (unsigned)field_number(replay->fields[4]),
					     replay_object(replay, 5)));
	free(key);
}

static void replay_upload_end(struct replay *replay, struct bucket *bucket)
{
	char *key = upload_index_key(replay->fields[2], replay->fields[3]);

	upload_free(index_remove(bucket->uploads, key));
	free(key);
}

static void replay_line(struct replay *replay)
{
	char **fields = replay->fields;
	char letter = fields[0][0];
	struct bucket *bucket = bucket_find(replay->store, fields[1]);

	if (letter == 'B' && !bucket)
		bucket_add(replay->store, fields[1], (int64_t)field_number(fields[2]));
	if (!bucket)
		return;
	if (letter == 'b')
		bucket_bury(replay->store, bucket);
	else if (letter == 'O' && replay->field_count == 8)
		replay_put(bucket, fields[2], replay_object(replay, 3));
	else if (letter == 'o' && replay->field_count == 3)
		object_unref(index_remove(bucket->objects, fields[2]));
	else if (letter == 'U' && replay->field_count == 6)
		replay_upload(replay, bucket);
	else if (letter == 'u' && replay->field_count == 4)
		replay_upload_end(replay, bucket);
	else if (letter == 'P' && replay->field_count == 10)
		replay_part(replay, bucket);
}

/* The list of headers stays encoded: pairs_parse_query decodes it. */
static bool split_line(struct replay *replay, char *line)
{
	replay->field_count = 0;
	for (char *field; (field = strsep(&line, "\t"));) {
		if (replay->field_count == FIELDS_MAX)
			return false;
		replay->fields[replay->field_count++] = field;
	}
	if (replay->field_count < 2)
		return false;
	for (size_t i = 1; i < replay->field_count; i++)
		if (!strchr(replay->fields[i], '='))
			uri_decode(replay->fields[i]);
	return true;
}

static void replay_file(struct replay *replay, FILE *file)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, file)) > 0 && line[len - 1] == '\n') {
		line[len - 1] = '\0';
		if (split_line(replay, line))
			replay_line(replay);
	}
	free(line);
}

/* Removes body files that nothing refers to: what a killed server was receiving. */
static void sweep(struct replay *replay)
{
	for (unsigned i = 0; i < 256; i++) {
		char name[8], path[BLOB_NAME_MAX];
		struct dirent *entry;
		DIR *dir;
		int fd;

		snprintf(name, sizeof(name), "%02x", i);
		fd = openat(replay->store->data_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		dir = fd >= 0 ? fdopendir(fd) : NULL;
		if (!dir)
			continue;
		while ((entry = readdir(dir))) {
			uint64_t id = strtoull(entry->d_name, NULL, 16);

			if (entry->d_name[0] == '.')
				continue;
			if (id >= atomic_load(&replay->store->next_id))
				atomic_store(&replay->store->next_id, id + 1);
			blob_path(id, path);
			if (!index_find(replay->blobs, path))
				unlinkat(fd, entry->d_name, 0);
		}
		closedir(dir);
	}
}

static void write_bucket(struct bucket *bucket, FILE *file)
{
	struct buf line = BUF_INIT;
	struct index_node *node;

	log_line_bucket(&line, bucket, true);
	for (node = index_seek(bucket->objects, "", 0); node; node = index_next(node)) {
		log_line_object(&line, bucket->name, index_key(node), index_value(node));
		if (line.len > 65536) {
			fwrite(line.data, 1, line.len, file);
			buf_reset(&line);
		}
	}
	for (node = index_seek(bucket->uploads, "", 0); node; node = index_next(node)) {
		const struct upload *upload = index_value(node);

		log_line_upload(&line, bucket->name, upload);
		for (size_t i = 0; i < upload->part_count; i++)
			log_line_part(&line, bucket->name, upload->key, upload->id,
				      upload->parts[i].number, upload->parts[i].object);
	}
	fwrite(line.data, 1, line.len, file);
	buf_free(&line);
}

static int compact(struct store *store)
{
	int fd = openat(store->root_fd, "index.log.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			0640);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!file)
		return -errno;
	LIST_FOREACH (node, &store->buckets) {
		write_bucket(container_of(node, struct bucket, node), file);
	}
	if (fclose(file) || renameat(store->root_fd, "index.log.new", store->root_fd, "index.log"))
		return -errno;
	return 0;
}

static void forget_blobs(struct replay *replay)
{
	struct index_node *node;

	for (node = index_seek(replay->blobs, "", 0); node; node = index_next(node))
		blob_unref(index_value(node));
	index_destroy(replay->blobs);
}

int log_load(struct store *store, struct error *error)
{
	struct replay replay = {.store = store, .blobs = index_create()};
	int fd = openat(store->root_fd, "index.log", O_RDONLY | O_CREAT | O_CLOEXEC, 0640);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	int err = file ? 0 : -errno;

	if (file) {
		replay_file(&replay, file);
		fclose(file);
		sweep(&replay);
		err = compact(store); /* also rids it of a torn last line */
	}
	forget_blobs(&replay);
	if (!err) {
		store->log_fd = openat(store->root_fd, "index.log",
				       O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
		err = store->log_fd < 0 ? -errno : 0;
	}
	if (err)
		return error_set(error, err, "cannot read or write the index: %s", strerror(-err));
	return 0;
}

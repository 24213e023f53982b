/* store.h — buckets, objects, multipart uploads: an ordered index in memory, bodies in files.
 *
 * ROOT/data/XX/ID   one immutable file per body that was sent (a PUT or a part); XX are the low
 * bits of ID ROOT/index.log    what happened, one line per change, replayed (and compacted) by
 * store_open
 *
 * An object is a list of extents of such files, so completing an upload or copying an object moves
 * no bytes. Objects and blobs are immutable and counted: a reader keeps what it reads, whatever is
 * written meanwhile; the last reference to a blob removes its file.
 *
 * Threads: any. One lock per bucket, held for index operations and their line in the log only,
 * never across body I/O. Lock order: store, bucket. Durability: a change is in the kernel before
 * the call returns (survives kill -9 of the server, not a power loss).
 */
#ifndef TESTS_S3SERVER_STORE_H
#define TESTS_S3SERVER_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/list.h"
#include "tests/s3server/condition.h"
#include "tests/s3server/index.h"
#include "tests/s3server/text.h"

enum { ETAG_MAX = 72, PART_NUMBER_MAX = 10000, KEY_MAX_BYTES = 1024, UPLOAD_ID_BYTES = 32 };

struct store;

struct blob {
	atomic_uint references;
	uint64_t id;
	struct store *store;
};

struct extent {
	struct blob *blob; /* one reference */
	uint64_t offset, len;
};

struct object {
	atomic_uint references;
	char etag[ETAG_MAX]; /* with quotes */
	uint64_t size;
	int64_t modified;     /* ms */
	unsigned parts;	      /* 0: not from a multipart upload */
	struct pairs headers; /* what is given back: content-type, x-amz-meta-.., in lower case */
	struct extent *extents;
	size_t extent_count;
};

struct part {
	unsigned number;
	struct object *object; /* etag, size, extents, modified; one reference */
};

struct upload {
	char id[UPLOAD_ID_BYTES + 1];
	char *key;
	int64_t initiated;
	struct pairs headers;
	struct part *parts; /* by number */
	size_t part_count, part_capacity;
};

/* Buckets live until store_close, deleted ones marked; so a pointer never dangles. */
struct bucket {
	struct list node;
	struct store *store;
	char *name;
	int64_t created;
	pthread_rwlock_t lock; /* all below */
	bool deleted;
	struct index *objects; /* key -> struct object, one reference */
	struct index *uploads; /* key "\x01" id -> struct upload, owned */
};

/* Creates root when it is missing. Errors: with a message. */
int store_open(struct store **out, const char *root, struct error *error);
void store_close(struct store *store);

/* Errors: -EEXIST. */
int bucket_create(struct store *store, const char *name, int64_t now);
/* Errors: -ENOTEMPTY, -ENOENT. */
int bucket_delete(struct store *store, struct bucket *bucket);
struct bucket *bucket_find(struct store *store, const char *name);
/* In order of names; the names are copied into out with the creation time as value (ISO date). */
void bucket_names(struct store *store, struct pairs *out);

struct object *object_ref(struct object *object);
void object_unref(struct object *object);
/* Takes over one reference of the blob. len 0 drops it and adds nothing. */
void object_add_extent(struct object *object, struct blob *blob, uint64_t offset, uint64_t len);
/* A part [offset, offset+len) of source appended to object, by reference. */
void object_append_range(struct object *object, const struct object *source, uint64_t offset,
			 uint64_t len);
struct object *object_create(void);

/* A reference, or NULL. */
struct object *bucket_get(struct bucket *bucket, const char *key);
/* Decides the condition and puts the object (taking over its reference) as one step. upload_id: of
 * the upload that ends with it, or NULL. Errors: -ENOENT: the upload is gone, -ENXIO: the bucket
 * is; -errno of the log. The reference is taken in any case. */
int bucket_put(struct bucket *bucket, const char *key, struct object *object,
	       const struct condition *condition, const char *upload_id, enum verdict *verdict);
/* *existed tells whether there was something. */
enum verdict bucket_remove(struct bucket *bucket, const char *key,
			   const struct condition *condition, bool *existed);

/* What orders uploads in bucket.uploads. The caller frees it. */
char *upload_index_key(const char *key, const char *id);
/* Returns with the id in id. */
void upload_create(struct bucket *bucket, const char *key, const struct pairs *headers, int64_t now,
		   char id[UPLOAD_ID_BYTES + 1]);
/* Takes over the reference. Errors: -ENOENT: no such upload. */
int upload_put_part(struct bucket *bucket, const char *key, const char *id, unsigned number,
		    struct object *part);
/* Copies of parts (with references) and headers; the caller frees with upload_snapshot_free.
 * Errors: -ENOENT. */
int upload_snapshot(struct bucket *bucket, const char *key, const char *id, struct upload *out);
void upload_snapshot_free(struct upload *snapshot);
int upload_abort(struct bucket *bucket, const char *key, const char *id); /* -ENOENT */

/* A new body file; returns its descriptor for writing, or a negative errno. */
int blob_create(struct store *store, struct blob **out);
int blob_open(const struct blob *blob); /* for reading; negative errno */
void blob_unref(struct blob *blob);
void blob_ref(struct blob *blob);

/* Reads across extents. Returns bytes (0 at the end) or a negative errno. */
ssize_t object_read(const struct object *object, uint64_t offset, char *data, size_t len);

#endif

/* store_private.h — what the files of the store share. Not for others. */
#ifndef TESTS_S3SERVER_STORE_PRIVATE_H
#define TESTS_S3SERVER_STORE_PRIVATE_H

#include "tests/s3server/store.h"

struct store {
	int root_fd, data_fd, log_fd;
	atomic_uint_fast64_t next_id;
	pthread_rwlock_t lock; /* buckets, dead */
	struct list buckets;   /* by name */
	struct list dead;      /* deleted buckets, kept for who still points to them */
};

enum { BLOB_NAME_MAX = 32 };

void blob_path(uint64_t id, char out[BLOB_NAME_MAX]);
struct bucket *bucket_add(struct store *store, const char *name, int64_t created);
void bucket_bury(struct store *store,
		 struct bucket *bucket); /* caller holds both locks, or is alone */

void upload_free(struct upload *upload);
/* Replaces the part of that number; takes over the reference. Gives back the old one or NULL. */
struct object *upload_set_part(struct upload *upload, unsigned number, struct object *object);

/* One line each, to be given to log_append while the bucket is locked. */
void log_line_bucket(struct buf *line, const struct bucket *bucket, bool created);
void log_line_object(struct buf *line, const char *bucket, const char *key,
		     const struct object *object); /* object NULL: removed */
void log_line_upload(struct buf *line, const char *bucket, const struct upload *upload);
void log_line_upload_end(struct buf *line, const char *bucket, const char *key, const char *id);
void log_line_part(struct buf *line, const char *bucket, const char *key, const char *id,
		   unsigned number, const struct object *part);
/* One write; frees the line. Errors: negative errno. */
int log_append(struct store *store, struct buf *line);

/* Opens, replays, removes files that nothing refers to, compacts. */
int log_load(struct store *store, struct error *error);

#endif

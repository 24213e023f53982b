/* objstore.h — an object store behind one asynchronous verb.
 *
 * Implementations: s3.h (real, libcurl), the simulation's model, and decorators (faults, tracing).
 *
 * Contract of submit: done runs exactly once, on the executor given at creation, never inside
 * submit. The request, and everything that it points to, belongs to the submitter and must live
 * until done; the result belongs to the request and is freed with os_request_free_result. Retries
 * (full jitter, backoff), redirects to another region and clock skew are handled below this
 * interface, until req->deadline. Body callbacks run on the store's own thread, one at a time per
 * request, never after done; they may be called again for the same offsets (a retry). Keys are full
 * keys of the bucket, any bytes but NUL, at most OS_KEY_MAX.
 */
#ifndef COMMON_S3_OBJSTORE_H
#define COMMON_S3_OBJSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/executor.h"

enum {
	OS_KEY_MAX = 1024, /* bytes; S3 user guide, "Object keys" */
	OS_ETAG_MAX = 128, /* bytes with quotes and NUL */
	OS_UPLOAD_ID_MAX = 1024,
	OS_PART_COUNT_MAX = 10000, /* S3 user guide, "Multipart upload limits" */
	OS_DELETE_MANY_MAX = 1000, /* DeleteObjects API page */
	OS_META_BYTES_MAX = 2048,  /* user metadata: names and values; S3 user guide */
	OS_STORAGE_CLASS_MAX = 24, /* with NUL; PutObject API page */
};

enum os_op {
	OS_HEAD,	/* key -> etag, size, last_modified, content_type, meta */
	OS_GET,		/* key, range?, if_match?, if_none_match? -> as HEAD, body to sink */
	OS_PUT,		/* key, body, meta, content_type, conditions -> etag */
	OS_DELETE,	/* key, if_match? ; absent is success */
	OS_DELETE_MANY, /* delete_keys -> deleted (err per key) */
	OS_LIST, /* prefix, delimiter?, start_after?, token?, max_keys -> entries, prefixes, next
		    token */
	OS_COPY, /* source -> key, source_if_match?, conditions on key?, replace_meta -> etag */
	OS_MPU_CREATE,	  /* key, meta, content_type -> upload_id */
	OS_MPU_PART,	  /* key, upload_id, part_number, body -> etag */
	OS_MPU_PART_COPY, /* source, range, source_if_match?, key, upload_id, part_number -> etag */
	OS_MPU_COMPLETE,  /* key, upload_id, parts, conditions -> etag */
	OS_MPU_ABORT,	  /* key, upload_id ; NoSuchUpload is success */
	OS_MPU_LIST, /* prefix, token?, max_keys -> uploads of the bucket: entries, next_token */
	OS_MPU_LIST_PARTS, /* key, upload_id, token?, max_keys -> its parts by number: entries,
			      next_token */
	OS_TAGS,	   /* key -> headers: OS_TAGGING, nothing when it has no tags */
	OS_BUCKETS,	   /* -> entries: the buckets of the account */
	OS_BUCKET_HEAD,	   /* the bucket answers and we may use it */
};

/* Tags of an object as a header takes them ("a=1&b=2", percent-encoded). No answer has it but that
 * of OS_TAGS; HEAD and GET tell how many there are, which is in os_result.headers and never sent.
 */
#define OS_TAGGING   "x-amz-tagging"
#define OS_TAG_COUNT "x-amz-tagging-count"

/* User metadata: names in lower case without "x-amz-meta-". Owns its strings. */
struct os_meta_item {
	char *name, *value;
};
struct os_meta {
	struct os_meta_item *items;
	size_t count;
};
#define OS_META_INIT                                                                               \
	{                                                                                          \
		NULL, 0                                                                            \
	}

const char *os_meta_get(const struct os_meta *meta, const char *name); /* NULL: absent */
/* Adds or replaces; value NULL removes. Errors: -ENOMEM. */
int os_meta_set(struct os_meta *meta, const char *name, const char *value);
int os_meta_copy(struct os_meta *to, const struct os_meta *from); /* to must be empty; -ENOMEM */
void os_meta_free(struct os_meta *meta);
size_t os_meta_bytes(const struct os_meta *meta); /* as S3 counts for OS_META_BYTES_MAX */

/* Where the bytes of a PUT come from. read returns exactly len bytes at offset, or a negative
 * errno. */
struct os_source {
	int (*read)(void *context, void *data, size_t len, uint64_t offset);
	void *context;
	uint64_t len;
};
/* Where the bytes of a GET go; offset counts from the start of the object. Returns 0 or a negative
 * errno, which ends the request with that error. */
struct os_sink {
	int (*write)(void *context, const void *data, size_t len, uint64_t offset);
	void *context;
};

/* A source over memory; both structs live until done. */
struct os_memory {
	const void *data;
	size_t len;
};
struct os_source os_source_memory(struct os_memory *memory);

struct os_condition {
	const char *if_match;	   /* ETag as the server gave it, with quotes; NULL: none */
	bool if_none_match_any;	   /* If-None-Match: * */
	const char *if_none_match; /* GET only: an ETag; equal gives err -EALREADY (304) */
};

struct os_part {
	unsigned number; /* 1 .. OS_PART_COUNT_MAX */
	char etag[OS_ETAG_MAX];
};

struct os_entry {	 /* of a listing */
	char *key;	 /* full key; for OS_BUCKETS the bucket's name; OS_MPU_LIST_PARTS: NULL */
	char *upload_id; /* OS_MPU_LIST only */
	unsigned part_number; /* OS_MPU_LIST_PARTS only */
	char etag[OS_ETAG_MAX];
	uint64_t size;
	int64_t last_modified; /* ns since the epoch; OS_MPU_LIST: when it was begun */
	bool is_prefix;	       /* a common prefix (ends in the delimiter) */
	char storage_class[OS_STORAGE_CLASS_MAX]; /* "": STANDARD, or not told */
};

struct os_result {
	/* 0, or: -ENOENT (no such key or upload), -ESTALE (412: a condition failed; also 404 of a
	 * write with if_match), -EALREADY (304), -EBUSY (409 ConditionalRequestConflict), -EACCES
	 * (403), -EINVAL (other 4xx, and a 409 that no waiting helps), -ENXIO (no such bucket),
	 * -ETIMEDOUT (deadline), -EHOSTUNREACH (no connection, DNS), -EPROTO (not S3, unparsable),
	 * -EKEYREJECTED (TLS), -ECANCELED, -EIO (5xx until the deadline), -ERANGE (416),
	 * -EOPNOTSUPP (501 NotImplemented), an errno of the source or sink. */
	int err;
	bool ambiguous;	 /* the write may or may not have been applied (lost reply, or a retry after
			    one) */
	bool repeated;	 /* err 0: it took an attempt more, and one before may have been applied as
			    well */
	int64_t date;	 /* of the server's clock, ns since the epoch; 0: not told */
	int http_status; /* 0: no answer */
	char code[64];	 /* S3 error code, "" when none */
	char message[256]; /* for people: what failed and why, without secrets */
	char request_id[80];
	char etag[OS_ETAG_MAX]; /* with quotes */
	uint64_t size;		/* of the whole object */
	int64_t last_modified;	/* ns since the epoch */
	char content_type[256];
	char region[64]; /* OS_BUCKET_HEAD: where the bucket is, "" when not told */
	struct os_meta meta;
	/* what a rewrite of the object must keep: x-amz-storage-class, x-amz-server-side-encryption
	 * .. (names as sent), and OS_TAG_COUNT */
	struct os_meta headers;
	char upload_id[OS_UPLOAD_ID_MAX];
	struct os_entry *entries;
	size_t entry_count;
	char *next_token;   /* of listings: NULL at the end */
	int *delete_errors; /* OS_DELETE_MANY: one errno per key, in order */
};

struct os_request {
	enum os_op op;
	const char *key;
	const char *source_key; /* same bucket */
	struct os_condition condition;
	const char *source_if_match;
	bool has_range;
	uint64_t range_first, range_len;
	const struct os_meta *meta; /* PUT, COPY (replaces), MPU_CREATE */
	/* Further ones, x-amz-storage-class .., as os_result.headers; may be NULL. A COPY that does
	 * not replace the metadata takes those of it that are the destination's alone. */
	const struct os_meta *headers;
	const char *content_type; /* NULL: application/octet-stream */
	bool replace_meta;	  /* COPY: metadata from this request instead of the source */
	struct os_source body;	  /* PUT, MPU_PART */
	struct os_sink sink;	  /* GET */
	const char *upload_id;
	unsigned part_number;
	const struct os_part *parts;
	size_t part_count;
	const char *prefix, *start_after, *token;
	char delimiter; /* 0: none */
	unsigned max_keys;
	const char *const *delete_keys;
	size_t delete_count;
	uint64_t deadline; /* monotonic ns: no attempt starts after it, and the whole ends soon
			      after */
	bool urgent;	   /* small and waited for: goes before bulk transfers */

	void (*done)(struct os_request *request);
	void *user;

	struct os_result result;

	/* for the implementation */
	struct task task;
	void *implementation;
};

struct objstore;

struct objstore_ops {
	void (*submit)(struct objstore *store, struct os_request *request);
	/* done still runs, exactly once; with -ECANCELED unless the request ended before. Owner
	 * thread. */
	void (*cancel)(struct objstore *store, struct os_request *request);
	/* Every request must be done. */
	void (*destroy)(struct objstore *store);
};

struct objstore {
	const struct objstore_ops *ops;
};

static inline void objstore_submit(struct objstore *store, struct os_request *request)
{
	store->ops->submit(store, request);
}

static inline void objstore_cancel(struct objstore *store, struct os_request *request)
{
	store->ops->cancel(store, request);
}

static inline void objstore_destroy(struct objstore *store)
{
	store->ops->destroy(store);
}

const char *os_op_name(enum os_op op);
/* DeleteObjects names keys in XML, which knows no other characters (XML 1.0, 2.2, in UTF-8): what
 * does not fit is deleted by a request of its own. */
bool os_fits_xml(const char *text);
/* Frees what the result owns and zeroes it; the request may then be submitted again. */
void os_request_free_result(struct os_request *request);

#endif

/* late.h — requests with If-Match that S3 may still carry out after everybody has stopped to wait
 * for them.
 *
 * The condition protects another version that was put there meanwhile, unless it has the same
 * bytes: an ETag tells no more than those (S3 API, "Object"). What was renamed and renamed back
 * would be deleted, what was written again would be replaced by what was there in between, and
 * newer attributes by older ones. So what is put at such a key, for as long as that may happen,
 * goes in parts where it would get that ETag: that of a multipart upload has a dash and the number
 * of its parts, whatever it holds.
 *
 * The newest 64 such requests of this process are known. Not helped: empty objects, which have no
 * parts, those that go in parts anyway, and servers without If-Match.
 *
 * Threads: owner thread.
 */
#ifndef FS_UPLOAD_LATE_H
#define FS_UPLOAD_LATE_H

#include "common/s3/objstore.h"

struct uploader;

enum { LATE_REQUESTS = 64 };

/* Servers give a request up long before. */
#define LATE_LIFE (400 * NSEC_PER_SEC)

struct late_request {
	char key[OS_KEY_MAX + 1], etag[OS_ETAG_MAX];
	uint64_t until;
};

/* env_s3; remembers what If-Match said when an attempt was not answered. In a fiber. */
int late_run(struct uploader *uploader, struct os_request *request);

/* Such a request would take a copy of the object with that ETag for what it was to change, if the
 * copy was made by one request. */
bool late_meets_copy(const struct uploader *uploader, const char *key, const char *source_etag);
/* The same of an object with these bytes. */
bool late_meets_body(const struct uploader *uploader, const char *key,
		     const struct os_source *body);

#endif

/* deletion.h — deletions of one version, and those that S3 may still carry out after everybody has
 * stopped to wait for them.
 *
 * If-Match protects another version that was put there meanwhile, unless it has the same bytes: an
 * ETag tells no more than those (S3 API, "Object"). A file that is renamed and renamed back, or
 * removed and written again, would go. So what is put at such a key, for as long as that may
 * happen, gets an ETag of the other form: that of a multipart upload has a dash and the number of
 * its parts, whatever it holds.
 *
 * The newest 64 such deletions of this process are known. Not helped: empty objects, which have no
 * parts, those that always go in parts, and servers without If-Match for DELETE.
 *
 * Threads: owner thread.
 */
#ifndef FS_UPLOAD_DELETION_H
#define FS_UPLOAD_DELETION_H

#include "common/s3/objstore.h"

struct uploader;

enum { LATE_DELETIONS = 64 };

struct late_deletion {
	char key[OS_KEY_MAX + 1];
	bool in_parts; /* the form of the ETag in its condition */
	uint64_t until;
};

/* env_s3 of a DELETE; remembers it when an attempt of it was not answered. In a fiber. */
int deletion_run(struct uploader *uploader, struct os_request *request);

/* A new object of size bytes at key must go in parts, also where it need not by its size. */
bool deletion_wants_parts(const struct uploader *uploader, const char *key, uint64_t size);

#endif

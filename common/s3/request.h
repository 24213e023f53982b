/* request.h — an os_request as an HTTP message, not signed yet. Pure.
 *
 * Source: Amazon S3 API reference, the page of each operation. What is written into the message is
 * percent-encoded, sorted and checked here, so that what is signed and what is sent are the same
 * bytes.
 */
#ifndef COMMON_S3_REQUEST_H
#define COMMON_S3_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/s3/endpoint.h"
#include "common/s3/headers.h"
#include "common/s3/objstore.h"

/* Where requests go: what endpoint, style and region came to. */
struct s3_target {
	bool https;
	char host[2 * ENDPOINT_HOST_MAX]; /* as in the Host header */
	char base_path[ENDPOINT_HOST_MAX];
	const char *bucket;  /* NULL: none */
	bool bucket_in_path; /* path style */
	bool unquoted_etags; /* If-Match of writes without quotes: a quirk of Ceph before 17 */
};

/* Continues a GET that broke: bytes before offset are there, and must be of this version. */
struct s3_resume {
	uint64_t offset; /* from the start of the object; 0: from the request's own start */
	const char *etag;
};

enum s3_body {
	S3_BODY_NONE,	/* GET, HEAD, DELETE: no Content-Length */
	S3_BODY_TEXT,	/* content: also when empty */
	S3_BODY_SOURCE, /* request->body */
};

struct s3_message {
	const char *method;
	struct buf url; /* whole; path and query are parts of it */
	size_t path, path_len, query, query_len;
	struct header_list
		headers; /* host is there; no x-amz-date, x-amz-content-sha256, authorization */
	enum s3_body body;
	struct buf content;
};

#define S3_MESSAGE_INIT                                                                            \
	{                                                                                          \
		.url = BUF_INIT                                                                    \
	}

/* Fills message, which keeps its memory from call to call. resume may be NULL.
 * Errors: -EINVAL: a request that S3 has no form for (message in why, at least 128 bytes); -ENOMEM.
 */
int s3_message_build(struct s3_message *message, const struct os_request *request,
		     const struct s3_target *target, const struct s3_resume *resume, char *why);
void s3_message_free(struct s3_message *message);

/* Changes nothing on the server, or the same whenever it is repeated. */
bool os_op_is_read(enum os_op op);

#endif

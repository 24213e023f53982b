/* response.h — an HTTP answer as an os_result. Pure.
 *
 * A status of 200 is not success yet: CompleteMultipartUpload, CopyObject, UploadPartCopy and
 * DeleteObjects send the status before the outcome is known, and may carry an error in the body
 * (Amazon S3 API reference, those pages).
 */
#ifndef COMMON_S3_RESPONSE_H
#define COMMON_S3_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/s3/endpoint.h"
#include "common/s3/objstore.h"

struct s3_reply {
	int status;
	const char *headers; /* lines, status line first, CRLF between */
	size_t headers_len;
	const char *body; /* empty for what went to the sink */
	size_t body_len;
};

/* What is not part of the result but decides what happens next. */
struct s3_hints {
	int status; /* that of the reply, or the one that the error inside a 200 stands for */
	bool has_date;
	int64_t date;			  /* Date header, seconds */
	char region[REGION_MAX];	  /* where the bucket is, when the answer tells */
	char location[ENDPOINT_HOST_MAX]; /* host of a redirect: for messages and for its region */
	unsigned retry_after;		  /* seconds */
	bool s3_like;	   /* bears a mark of an S3 server: a document or a request id */
	bool wrong_bucket; /* HeadBucket: the answer is not about this bucket: the style is wrong */
	bool has_range;
	uint64_t range_first; /* of Content-Range */
};

/* Fills result, which must be empty, and hints. bucket may be NULL. */
void s3_response_read(const struct os_request *request, const char *bucket,
		      const struct s3_reply *reply, struct os_result *result,
		      struct s3_hints *hints);

/* The part of it that needs the headers alone. Errors: -EPROTO, -ENOMEM. */
int s3_response_headers(const struct s3_reply *reply, struct os_result *result,
			struct s3_hints *hints);
/* Where in the object the body of a GET starts: of 200 and 206. Errors: -EPROTO. */
int s3_response_body_start(const struct s3_reply *reply, uint64_t *first);

/* The errno that objstore.h promises for a status and code. */
int s3_error_errno(const struct os_request *request, int status, const char *code);
/* The status that an error code usually comes with; 400 for unknown ones. */
int s3_code_status(const char *code);

#endif

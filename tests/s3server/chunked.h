/* chunked.h — decoder of the aws-chunked content coding, with chunk signatures and trailing
 * checksums. Source: Amazon S3 API reference, "Signature calculations for the Authorization header:
 * transferring payload in multiple chunks" and "Including trailing headers".
 *
 *   HEX-SIZE[;chunk-signature=SIG]CRLF DATA CRLF .. 0[;..]CRLF [name:value CRLF].. CRLF
 *
 * Threads: one at a time. Decoded bytes go to sink as they come.
 */
#ifndef TESTS_S3SERVER_CHUNKED_H
#define TESTS_S3SERVER_CHUNKED_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/s3server/hash.h"
#include "tests/s3server/signature.h"

enum { CHUNK_LINE_MAX = 1024 };

struct chunked {
	const struct signature *signature; /* borrowed */
	void (*sink)(void *context, const char *data, size_t len);
	void *context;
	enum {
		CHUNK_HEADER,
		CHUNK_DATA,
		CHUNK_DATA_END,
		CHUNK_TRAILER,
		CHUNK_DONE,
		CHUNK_BAD
	} stage;
	uint64_t left; /* of the current chunk */
	char line[CHUNK_LINE_MAX];
	size_t line_len;
	char previous[65], claimed[65];
	bool last;
	struct hash hash; /* of the current chunk, signed kinds only */
	struct pairs trailers;
	struct buf trailer_text; /* what the trailer signature covers */
	const char *error;	 /* S3 error code once the stage is bad */
};

void chunked_start(struct chunked *chunked, const struct signature *signature,
		   void (*sink)(void *context, const char *data, size_t len), void *context);
void chunked_feed(struct chunked *chunked, const char *data, size_t len);
/* NULL when the body was complete and right, else the S3 error code. */
const char *chunked_end(struct chunked *chunked);
void chunked_free(struct chunked *chunked);

#endif

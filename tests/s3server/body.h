/* body.h — what happens to a request's body while it arrives: decoding, digests, and a file or
 * memory as its end. Bytes that turn out to be wrong are in a file that nothing refers to.
 *
 * Threads: one at a time.
 */
#ifndef TESTS_S3SERVER_BODY_H
#define TESTS_S3SERVER_BODY_H

#include "tests/s3server/chunked.h"
#include "tests/s3server/store.h"

struct body_config {
	struct store *store; /* NULL: into memory, at most limit bytes */
	uint64_t limit;	     /* decoded bytes */
	bool want_md5;
	const struct signature *signature; /* borrowed until body_free */
	const struct pairs *headers;	   /* of the request; borrowed */
};

struct body {
	struct body_config config;
	bool started, is_chunked;
	struct chunked chunked;
	uint64_t size; /* decoded bytes so far */
	struct hash payload, md5, checksum;
	bool has_payload_hash, has_checksum;
	char checksum_header[40]; /* x-amz-checksum-crc32 .. */
	struct buf memory;
	struct blob *blob; /* a file; NULL while nothing came */
	int fd;
	const char *error; /* S3 error code */
	unsigned char md5_digest[16];
};

void body_start(struct body *body, const struct body_config *config);
void body_feed(struct body *body, const char *data, size_t len);
/* NULL when the body is as announced (length, digests, signatures, checksums), else the S3 error
 * code. */
const char *body_end(struct body *body);
/* Gives the file away (NULL: the body was empty). */
struct blob *body_take_blob(struct body *body);
void body_free(struct body *body);

#endif

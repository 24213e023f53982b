/* sigv4.h — AWS Signature Version 4 in the Authorization header.
 *
 * Source of the rules: AWS, "Signature Version 4 signing process" and, for S3's own (URI encoded
 * once, x-amz-content-sha256), Amazon S3 API reference, "Authenticating Requests: Using the
 * Authorization Header".
 *
 * Pure but for the cache of the day's signing key, which needs four HMACs to derive. A signer
 * belongs to one thread. It refers to the credentials, which must outlive it, and wipes the key it
 * derived.
 */
#ifndef COMMON_S3_SIGV4_H
#define COMMON_S3_SIGV4_H

#include <stdint.h>

#include "common/buf.h"
#include "common/s3/digest.h"
#include "common/s3/headers.h"

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
/* SHA-256 of nothing */
#define SIGV4_EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct sigv4_signer {
	struct digest *digest;
	const char *access_key, *secret_key;
	const char *service; /* "s3" */
	/* the cached key, and what it was derived from */
	unsigned char key[SHA256_BYTES];
	char key_day[9], key_region[64];
};

struct sigv4_input {
	const char *method;
	const char *path; /* percent-encoded, from the leading slash */
	size_t path_len;
	const char *query; /* sorted and percent-encoded, "name=value&.."; without "?" */
	size_t query_len;
	const struct header_list *headers; /* all of them are signed; host must be there */
	const char *payload_hash;	   /* hexadecimal, or SIGV4_UNSIGNED_PAYLOAD */
	const char *region;
	int64_t time; /* seconds since the epoch; x-amz-date must say the same */
};

/* "YYYYMMDDThhmmssZ" */
void sigv4_timestamp(int64_t time, char out[17]);

/* Appends the value of the Authorization header. scratch is overwritten with the canonical request,
 * which holds no secret. Errors: -ENOMEM; -EINVAL: a region that does not fit. */
int sigv4_sign(struct sigv4_signer *signer, const struct sigv4_input *input, struct buf *scratch,
	       struct buf *authorization);

/* The part before the hash, for tests and for comparing with what a server says it computed. */
void sigv4_canonical_request(const struct sigv4_input *input, struct buf *out);

/* Forgets and wipes the derived key. */
void sigv4_signer_wipe(struct sigv4_signer *signer);

#endif

/* signature.h — the server's side of AWS Signature Version 4, written apart from the client's so
 * that one checks the other. Source: Amazon S3 API reference, "Authenticating Requests (AWS
 * Signature Version 4)".
 *
 * Threads: any; the table of keys does not change after start. Secrets never reach logs or replies.
 */
#ifndef TESTS_S3SERVER_SIGNATURE_H
#define TESTS_S3SERVER_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "tests/s3server/text.h"

enum { ACCESS_KEYS_MAX = 16, SCOPE_MAX = 160 };

struct access_key {
	char *access, *secret, *token; /* token NULL: a permanent key */
};

struct access_keys {
	struct access_key items[ACCESS_KEYS_MAX];
	unsigned count;
};

int access_keys_add(struct access_keys *keys, const char *access, const char *secret,
		    const char *token, struct error *error);
/* Lines "ACCESS:SECRET" or "ACCESS:SECRET:TOKEN"; empty lines and # are skipped. */
int access_keys_load(struct access_keys *keys, const char *path, struct error *error);
void access_keys_free(struct access_keys *keys); /* wipes the secrets */

enum payload {
	PAYLOAD_UNSIGNED,
	PAYLOAD_SHA256,			 /* one digest over the body, in content_sha256 */
	PAYLOAD_CHUNKS_SIGNED,		 /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
	PAYLOAD_CHUNKS_SIGNED_TRAILER,	 /* ..-TRAILER */
	PAYLOAD_CHUNKS_UNSIGNED_TRAILER, /* STREAMING-UNSIGNED-PAYLOAD-TRAILER */
};

struct signature_input {
	const struct access_keys *keys;
	const char *method, *path; /* path as sent */
	const struct pairs *headers;
	const struct pairs *query; /* decoded */
	int64_t now;		   /* ms */
	const char *region;	   /* the only one that is right; NULL: any */
	int64_t skew_max;	   /* ms */
};

struct signature {
	/* NULL: good. Else the S3 error code. */
	const char *error;
	char message[256];
	struct pairs details; /* elements of the error document */
	bool anonymous;	      /* nothing was signed; the caller decides */
	bool presigned;
	enum payload payload;
	char content_sha256[65];
	/* for chunk signatures */
	char amz_date[17], scope[SCOPE_MAX], seed[65];
	unsigned char key[32];
};

/* out is filled in any case and freed with signature_free. */
void signature_verify(const struct signature_input *input, struct signature *out);
void signature_free(struct signature *signature);

/* The signature that a chunk (or, trailer true, the trailing headers) must carry, given the one
 * before it. sha256_hex: of the chunk's data. */
void signature_of_chunk(const struct signature *signature, const char *previous, bool trailer,
			const char *sha256_hex, char out[65]);

#endif

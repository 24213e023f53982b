/* digest.h — SHA-256, HMAC-SHA-256 and MD5 on OpenSSL's EVP interface.
 *
 * Threads: a struct digest belongs to one thread at a time. It keeps the fetched algorithms,
 * because fetching them anew for every request costs more than hashing a request's few hundred
 * bytes. Errors: creation returns NULL (out of memory, or a crypto policy without SHA-256). What
 * follows can only fail when OpenSSL runs out of memory and ends the process then (CHECK): a wrong
 * signature must not go out.
 */
#ifndef COMMON_S3_DIGEST_H
#define COMMON_S3_DIGEST_H

#include <stddef.h>

enum { SHA256_BYTES = 32, MD5_BYTES = 16 };

struct digest;

struct digest *digest_create(void);
void digest_free(struct digest *digest); /* NULL allowed */

void digest_sha256(struct digest *digest, const void *data, size_t len,
		   unsigned char out[SHA256_BYTES]);
void digest_hmac_sha256(struct digest *digest, const void *key, size_t key_len, const void *data,
			size_t len, unsigned char out[SHA256_BYTES]);

/* One SHA-256 in pieces; no other call on this digest between start and finish. */
void digest_start(struct digest *digest);
void digest_update(struct digest *digest, const void *data, size_t len);
void digest_finish(struct digest *digest, unsigned char out[SHA256_BYTES]);

/* One MD5 in pieces, to be compared with what servers call ETag. NULL: out of memory, or a crypto
 * policy forbids MD5. md5_finish frees; out may be NULL. */
struct md5;
struct md5 *md5_start(void);
void md5_update(struct md5 *md5, const void *data, size_t len);
void md5_finish(struct md5 *md5, unsigned char out[MD5_BYTES]);

/* Base64 of the MD5, as Content-MD5 wants it (RFC 1864): 24 characters and NUL.
 * Errors: -EOPNOTSUPP where a crypto policy forbids MD5. */
int digest_md5_base64(const void *data, size_t len, char out[25]);

#endif

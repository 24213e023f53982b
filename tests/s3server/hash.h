/* hash.h — digests (OpenSSL's EVP) and the reflected CRCs of S3's checksums, as one streaming
 * thing.
 *
 * Threads: a hash belongs to one thread at a time. hash_global_init before any use.
 */
#ifndef TESTS_S3SERVER_HASH_H
#define TESTS_S3SERVER_HASH_H

#include <stddef.h>
#include <stdint.h>

enum hash_kind { HASH_MD5, HASH_SHA1, HASH_SHA256, HASH_CRC32, HASH_CRC32C, HASH_CRC64NVME };
enum { HASH_BYTES_MAX = 32 };

struct hash {
	enum hash_kind kind;
	void *context; /* digests; NULL: not started */
	uint64_t crc;
};

void hash_global_init(void);
void hash_start(struct hash *hash, enum hash_kind kind);
void hash_update(struct hash *hash, const void *data, size_t len);
/* Returns the length (CRCs: big-endian). Frees what the hash holds. */
size_t hash_finish(struct hash *hash, unsigned char out[HASH_BYTES_MAX]);
void hash_drop(struct hash *hash); /* nothing is wanted any more; fine when finished */

void sha256(const void *data, size_t len, unsigned char out[32]);
/* RFC 2104 over SHA-256. */
void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		 unsigned char out[32]);
void hex_encode(const unsigned char *data, size_t len, char *out); /* 2 * len + 1 bytes */

#endif

#include "tests/s3server/hash.h"

#include <pthread.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/check.h"

/* Fetched once: an implicit fetch per digest costs more than hashing 4 KiB. Written by
 * hash_global_init alone, before there are threads. */
static EVP_MD *digests[HASH_SHA256 + 1];
static uint64_t crc_tables[3][8][256];
static pthread_key_t context_of_thread;

static void fill_crc_tables(uint64_t tables[8][256], uint64_t polynomial)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
		tables[0][i] = crc;
	}
	for (unsigned i = 0; i < 256; i++)
		for (unsigned slice = 1; slice < 8; slice++)
			tables[slice][i] = tables[slice - 1][i] >> 8 ^
					   tables[0][tables[slice - 1][i] & 0xff];
}

static void free_context(void *context)
{
	EVP_MD_CTX_free(context);
}

void hash_global_init(void)
{
	static const char *const names[] = {"MD5", "SHA1", "SHA256"};

	CHECK(pthread_key_create(&context_of_thread, free_context) == 0);
	for (unsigned i = 0; i <= HASH_SHA256; i++) {
		digests[i] = EVP_MD_fetch(NULL, names[i], NULL);
		CHECK(digests[i]);
	}
	fill_crc_tables(crc_tables[0], UINT64_C(0xedb88320));
	fill_crc_tables(crc_tables[1], UINT64_C(0x82f63b78));
	fill_crc_tables(crc_tables[2], UINT64_C(0x9a6c9329ac4bc9b5));
}

static uint64_t crc_mask(enum hash_kind kind)
{
	return kind == HASH_CRC64NVME ? UINT64_MAX : UINT32_MAX;
}

/* Eight bytes at a time ("slicing by 8", Kounavis and Berry 2005). */
static uint64_t crc_update(uint64_t tables[8][256], uint64_t crc, const unsigned char *data,
			   size_t len)
{
	for (; len >= 8; data += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, data, 8); /* little-endian machines only */
		word ^= crc;
		crc = 0;
		for (unsigned i = 0; i < 8; i++)
			crc ^= tables[7 - i][word >> (8 * i) & 0xff];
	}
	for (; len > 0; data++, len--)
		crc = crc >> 8 ^ tables[0][(crc ^ *data) & 0xff];
	return crc;
}

void hash_start(struct hash *hash, enum hash_kind kind)
{
	hash->kind = kind;
	hash->crc = crc_mask(kind);
	if (kind > HASH_SHA256)
		return;
	if (!hash->context)
		hash->context = EVP_MD_CTX_new();
	CHECK(hash->context && EVP_DigestInit_ex2(hash->context, digests[kind], NULL) == 1);
}

void hash_update(struct hash *hash, const void *data, size_t len)
{
	if (hash->kind > HASH_SHA256)
		hash->crc = crc_update(crc_tables[hash->kind - HASH_CRC32], hash->crc, data, len);
	else
		CHECK(EVP_DigestUpdate(hash->context, data, len) == 1);
}

size_t hash_finish(struct hash *hash, unsigned char out[HASH_BYTES_MAX])
{
	unsigned len = hash->kind == HASH_CRC64NVME ? 8 : 4;
	uint64_t crc = hash->crc ^ crc_mask(hash->kind);

	if (hash->kind <= HASH_SHA256) {
		CHECK(EVP_DigestFinal_ex(hash->context, out, &len) == 1);
		hash_drop(hash);
		return len;
	}
	for (unsigned i = 0; i < len; i++)
		out[i] = (unsigned char)(crc >> (8 * (len - 1 - i)));
	return len;
}

void hash_drop(struct hash *hash)
{
	EVP_MD_CTX_free(hash->context);
	hash->context = NULL;
}

/* One context per thread is kept: making it costs as much as a short digest. */
static EVP_MD_CTX *thread_context(void)
{
	EVP_MD_CTX *context = pthread_getspecific(context_of_thread);

	if (!context) {
		context = EVP_MD_CTX_new();
		CHECK(context && pthread_setspecific(context_of_thread, context) == 0);
	}
	return context;
}

static void sha256_two(const void *a, size_t a_len, const void *b, size_t b_len,
		       unsigned char out[32])
{
	EVP_MD_CTX *context = thread_context();

	CHECK(EVP_DigestInit_ex2(context, digests[HASH_SHA256], NULL) == 1 &&
	      EVP_DigestUpdate(context, a, a_len) == 1 &&
	      EVP_DigestUpdate(context, b, b_len) == 1 &&
	      EVP_DigestFinal_ex(context, out, NULL) == 1);
}

void sha256(const void *data, size_t len, unsigned char out[32])
{
	sha256_two(data, len, "", 0, out);
}

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		 unsigned char out[32])
{
	unsigned char inner[64] = {0}, outer[64];

	if (key_len > sizeof(inner))
		sha256(key, key_len, inner);
	else
		memcpy(inner, key, key_len);
	for (unsigned i = 0; i < sizeof(inner); i++) {
		outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	sha256_two(inner, sizeof(inner), data, len, out);
	sha256_two(outer, sizeof(outer), out, 32, out);
}

void hex_encode(const unsigned char *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * len] = '\0';
}

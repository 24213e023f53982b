#include "common/s3/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/check.h"

enum { SHA256_BLOCK = 64 };

struct digest {
	EVP_MD *sha256;
	EVP_MD_CTX *context;
};

struct digest *digest_create(void)
{
	struct digest *digest = calloc(1, sizeof(*digest));

	if (!digest)
		return NULL;
	digest->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	digest->context = EVP_MD_CTX_new();
	if (!digest->sha256 || !digest->context) {
		digest_free(digest);
		return NULL;
	}
	return digest;
}

void digest_free(struct digest *digest)
{
	if (!digest)
		return;
	EVP_MD_CTX_free(digest->context);
	EVP_MD_free(digest->sha256);
	free(digest);
}

void digest_start(struct digest *digest)
{
	CHECK(EVP_DigestInit_ex2(digest->context, digest->sha256, NULL) == 1);
}

void digest_update(struct digest *digest, const void *data, size_t len)
{
	CHECK(EVP_DigestUpdate(digest->context, data, len) == 1);
}

void digest_finish(struct digest *digest, unsigned char out[SHA256_BYTES])
{
	CHECK(EVP_DigestFinal_ex(digest->context, out, NULL) == 1);
}

void digest_sha256(struct digest *digest, const void *data, size_t len,
		   unsigned char out[SHA256_BYTES])
{
	digest_start(digest);
	digest_update(digest, data, len);
	digest_finish(digest, out);
}

/* RFC 2104 */
void digest_hmac_sha256(struct digest *digest, const void *key, size_t key_len, const void *data,
			size_t len, unsigned char out[SHA256_BYTES])
{
	unsigned char pad[SHA256_BLOCK], block[SHA256_BLOCK] = {0};

	if (key_len > SHA256_BLOCK)
		digest_sha256(digest, key, key_len, block);
	else
		memcpy(block, key, key_len);

	for (size_t i = 0; i < SHA256_BLOCK; i++)
		pad[i] = block[i] ^ 0x36;
	digest_start(digest);
	digest_update(digest, pad, sizeof(pad));
	digest_update(digest, data, len);
	digest_finish(digest, out);

	for (size_t i = 0; i < SHA256_BLOCK; i++)
		pad[i] = block[i] ^ 0x5c;
	digest_start(digest);
	digest_update(digest, pad, sizeof(pad));
	digest_update(digest, out, SHA256_BYTES);
	digest_finish(digest, out);

	OPENSSL_cleanse(pad, sizeof(pad));
	OPENSSL_cleanse(block, sizeof(block));
}

int digest_md5_base64(const void *data, size_t len, char out[25])
{
	unsigned char md5[EVP_MAX_MD_SIZE];
	unsigned int size;

	if (EVP_Digest(data, len, md5, &size, EVP_md5(), NULL) != 1 || size != MD5_BYTES)
		return -EOPNOTSUPP;
	CHECK(EVP_EncodeBlock((unsigned char *)out, md5, MD5_BYTES) == 24);
	return 0;
}

/* An EVP_MD_CTX under a name of its own. */
struct md5 *md5_start(void)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (context && EVP_DigestInit_ex(context, EVP_md5(), NULL) != 1) {
		EVP_MD_CTX_free(context);
		context = NULL;
	}
	return (struct md5 *)context;
}

void md5_update(struct md5 *md5, const void *data, size_t len)
{
	CHECK(EVP_DigestUpdate((EVP_MD_CTX *)md5, data, len) == 1);
}

void md5_finish(struct md5 *md5, unsigned char out[MD5_BYTES])
{
	unsigned char hash[EVP_MAX_MD_SIZE];

	if (out) {
		CHECK(EVP_DigestFinal_ex((EVP_MD_CTX *)md5, hash, NULL) == 1);
		memcpy(out, hash, MD5_BYTES);
	}
	EVP_MD_CTX_free((EVP_MD_CTX *)md5);
}

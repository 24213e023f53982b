#include "tests/s3server/body.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const struct {
	const char *name;
	enum hash_kind kind;
} checksums[] = {
	{"x-amz-checksum-crc32", HASH_CRC32},	      {"x-amz-checksum-crc32c", HASH_CRC32C},
	{"x-amz-checksum-crc64nvme", HASH_CRC64NVME}, {"x-amz-checksum-sha1", HASH_SHA1},
	{"x-amz-checksum-sha256", HASH_SHA256},
};

static void fail(struct body *body, const char *error)
{
	if (!body->error)
		body->error = error;
}

static void write_all(struct body *body, const char *data, size_t len)
{
	if (!body->blob) {
		body->fd = blob_create(body->config.store, &body->blob);
		if (body->fd < 0)
			fail(body, "InternalError");
	}
	while (len > 0 && !body->error) {
		ssize_t put = write(body->fd, data, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			fail(body, "InternalError");
			return;
		}
		data += put;
		len -= (size_t)put;
	}
}

static void sink(void *context, const char *data, size_t len)
{
	struct body *body = context;

	if (body->error)
		return;
	body->size += len;
	if (body->size > body->config.limit) {
		fail(body, body->config.store ? "EntityTooLarge" : "MalformedXML");
		return;
	}
	if (body->config.want_md5)
		hash_update(&body->md5, data, len);
	if (body->has_checksum)
		hash_update(&body->checksum, data, len);
	if (body->config.store)
		write_all(body, data, len);
	else
		buf_append(&body->memory, data, len);
}

/* A checksum is announced by its header, or by the name of its trailer. */
static void find_checksum(struct body *body)
{
	const char *trailer = pairs_get_nocase(body->config.headers, "x-amz-trailer");

	for (size_t i = 0; i < sizeof(checksums) / sizeof(checksums[0]); i++) {
		const char *name = checksums[i].name;

		if (!pairs_get_nocase(body->config.headers, name) &&
		    (!trailer || strcasecmp(trailer, name) != 0))
			continue;
		snprintf(body->checksum_header, sizeof(body->checksum_header), "%s", name);
		hash_start(&body->checksum, checksums[i].kind);
		body->has_checksum = true;
		return;
	}
}

void body_start(struct body *body, const struct body_config *config)
{
	memset(body, 0, sizeof(*body));
	body->config = *config;
	body->fd = -1;
	body->started = true;
	body->is_chunked = config->signature->payload > PAYLOAD_SHA256;
	if (body->is_chunked)
		chunked_start(&body->chunked, config->signature, sink, body);
	body->has_payload_hash = config->signature->payload == PAYLOAD_SHA256;
	if (body->has_payload_hash)
		hash_start(&body->payload, HASH_SHA256);
	if (pairs_get_nocase(config->headers, "Content-MD5"))
		body->config.want_md5 = true;
	if (body->config.want_md5)
		hash_start(&body->md5, HASH_MD5);
	find_checksum(body);
}

void body_feed(struct body *body, const char *data, size_t len)
{
	if (body->is_chunked) {
		chunked_feed(&body->chunked, data, len);
		return;
	}
	if (body->has_payload_hash)
		hash_update(&body->payload, data, len);
	sink(body, data, len);
}

static void check_payload_hash(struct body *body)
{
	unsigned char digest[HASH_BYTES_MAX];
	char hex[65];

	if (!body->has_payload_hash)
		return;
	hash_finish(&body->payload, digest);
	hex_encode(digest, 32, hex);
	if (strcasecmp(hex, body->config.signature->content_sha256) != 0)
		fail(body, "XAmzContentSHA256Mismatch");
}

static bool equals_base64(const unsigned char *digest, size_t len, const char *text)
{
	struct buf encoded = BUF_INIT;
	bool equal;

	buf_put_base64(&encoded, digest, len);
	equal = strcmp(buf_str(&encoded), text) == 0;
	buf_free(&encoded);
	return equal;
}

static void check_md5(struct body *body)
{
	const char *claimed = pairs_get_nocase(body->config.headers, "Content-MD5");
	unsigned char digest[HASH_BYTES_MAX];

	if (!body->config.want_md5)
		return;
	hash_finish(&body->md5, digest);
	memcpy(body->md5_digest, digest, sizeof(body->md5_digest));
	if (claimed && strlen(claimed) != 24)
		fail(body, "InvalidDigest");
	else if (claimed && !equals_base64(digest, 16, claimed))
		fail(body, "BadDigest");
}

static void check_checksum(struct body *body)
{
	unsigned char digest[HASH_BYTES_MAX];
	const char *claimed;
	size_t len;

	if (!body->has_checksum)
		return;
	len = hash_finish(&body->checksum, digest);
	claimed = pairs_get_nocase(body->config.headers, body->checksum_header);
	if (!claimed && body->is_chunked)
		claimed = pairs_get_nocase(&body->chunked.trailers, body->checksum_header);
	if (!claimed)
		fail(body, "MalformedTrailerError");
	else if (!equals_base64(digest, len, claimed))
		fail(body, "BadDigest");
}

const char *body_end(struct body *body)
{
	const char *decoded = pairs_get_nocase(body->config.headers,
					       "x-amz-decoded-content-length");
	const char *error = body->is_chunked ? chunked_end(&body->chunked) : NULL;

	if (error)
		fail(body, error);
	if (body->is_chunked && decoded && strtoull(decoded, NULL, 10) != body->size)
		fail(body, "IncompleteBody");
	check_payload_hash(body);
	check_md5(body);
	check_checksum(body);
	if (body->fd >= 0 && close(body->fd))
		fail(body, "InternalError");
	body->fd = -1;
	return body->error;
}

struct blob *body_take_blob(struct body *body)
{
	struct blob *blob = body->blob;

	body->blob = NULL;
	return blob;
}

void body_free(struct body *body)
{
	if (!body->started)
		return;
	if (body->fd >= 0)
		close(body->fd);
	blob_unref(body->blob);
	hash_drop(&body->payload);
	hash_drop(&body->md5);
	hash_drop(&body->checksum);
	if (body->is_chunked)
		chunked_free(&body->chunked);
	buf_free(&body->memory);
	body->started = false;
}

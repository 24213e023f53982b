#include "tests/s3server/chunked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_signed(const struct chunked *chunked)
{
	return chunked->signature->payload != PAYLOAD_CHUNKS_UNSIGNED_TRAILER;
}

static void fail(struct chunked *chunked, const char *error)
{
	chunked->stage = CHUNK_BAD;
	if (!chunked->error)
		chunked->error = error;
}

void chunked_start(struct chunked *chunked, const struct signature *signature,
		   void (*sink)(void *context, const char *data, size_t len), void *context)
{
	memset(chunked, 0, sizeof(*chunked));
	chunked->signature = signature;
	chunked->sink = sink;
	chunked->context = context;
	memcpy(chunked->previous, signature->seed, sizeof(chunked->previous));
}

void chunked_free(struct chunked *chunked)
{
	hash_drop(&chunked->hash);
	pairs_free(&chunked->trailers);
	buf_free(&chunked->trailer_text);
}

/* The chunk's data is complete: its signature is due. */
static void check_chunk(struct chunked *chunked)
{
	unsigned char digest[HASH_BYTES_MAX];
	char hex[65], expected[65];

	if (!is_signed(chunked))
		return;
	hash_finish(&chunked->hash, digest);
	hex_encode(digest, 32, hex);
	signature_of_chunk(chunked->signature, chunked->previous, false, hex, expected);
	if (!text_equal_secret(expected, chunked->claimed))
		fail(chunked, "SignatureDoesNotMatch");
	memcpy(chunked->previous, expected, sizeof(expected));
}

static void chunk_header(struct chunked *chunked)
{
	static const char attribute[] = ";chunk-signature=";
	const char *signature = strstr(chunked->line, attribute);
	char *end;

	chunked->left = strtoull(chunked->line, &end, 16);
	if (end == chunked->line || (*end && *end != ';') || chunked->left > UINT64_C(1) << 40) {
		fail(chunked, "InvalidChunkSizeError");
		return;
	}
	if (is_signed(chunked)) {
		if (!signature || strlen(signature) != sizeof(attribute) - 1 + 64) {
			fail(chunked, "SignatureDoesNotMatch");
			return;
		}
		memcpy(chunked->claimed, signature + sizeof(attribute) - 1, 65);
		hash_start(&chunked->hash, HASH_SHA256);
	}
	chunked->last = chunked->left == 0;
	chunked->stage = chunked->last ? CHUNK_TRAILER : CHUNK_DATA;
	if (chunked->last) {
		check_chunk(chunked);
		buf_reset(&chunked->trailer_text);
	}
}

static void check_trailer_signature(struct chunked *chunked)
{
	const char *claimed = pairs_get_nocase(&chunked->trailers, "x-amz-trailer-signature");
	unsigned char digest[32];
	char hex[65], expected[65];

	if (chunked->signature->payload != PAYLOAD_CHUNKS_SIGNED_TRAILER)
		return;
	sha256(buf_str(&chunked->trailer_text), chunked->trailer_text.len, digest);
	hex_encode(digest, 32, hex);
	signature_of_chunk(chunked->signature, chunked->previous, true, hex, expected);
	if (!claimed || !text_equal_secret(expected, claimed))
		fail(chunked, "SignatureDoesNotMatch");
}

static void trailer_line(struct chunked *chunked)
{
	char *colon = strchr(chunked->line, ':');
	char *value;

	if (chunked->line_len == 0) {
		chunked->stage = CHUNK_DONE;
		check_trailer_signature(chunked);
		return;
	}
	if (!colon || chunked->trailers.count > 16) {
		fail(chunked, "MalformedTrailerError");
		return;
	}
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	pairs_add(&chunked->trailers, chunked->line, value);
	if (strcasecmp(chunked->line, "x-amz-trailer-signature") != 0)
		buf_printf(&chunked->trailer_text, "%s:%s\n", chunked->line, value);
}

/* Collects a line up to its LF; returns what it took. */
static size_t feed_line(struct chunked *chunked, const char *data, size_t len)
{
	const char *end = memchr(data, '\n', len);
	size_t take = end ? (size_t)(end - data) : len;

	if (chunked->line_len + take >= CHUNK_LINE_MAX) {
		fail(chunked, "InvalidChunkSizeError");
		return len;
	}
	memcpy(chunked->line + chunked->line_len, data, take);
	chunked->line_len += take;
	if (!end)
		return len;
	if (chunked->line_len > 0 && chunked->line[chunked->line_len - 1] == '\r')
		chunked->line_len--;
	chunked->line[chunked->line_len] = '\0';
	if (chunked->stage == CHUNK_HEADER)
		chunk_header(chunked);
	else if (chunked->stage == CHUNK_TRAILER)
		trailer_line(chunked);
	else if (chunked->line_len > 0)
		fail(chunked, "IncompleteBody");
	else
		chunked->stage = CHUNK_HEADER;
	chunked->line_len = 0;
	return take + 1;
}

void chunked_feed(struct chunked *chunked, const char *data, size_t len)
{
	while (len > 0 && chunked->stage != CHUNK_BAD && chunked->stage != CHUNK_DONE) {
		size_t take = len;

		if (chunked->stage != CHUNK_DATA) {
			take = feed_line(chunked, data, len);
		} else {
			if (take > chunked->left)
				take = (size_t)chunked->left;
			if (is_signed(chunked))
				hash_update(&chunked->hash, data, take);
			chunked->sink(chunked->context, data, take);
			chunked->left -= take;
			if (chunked->left == 0) {
				chunked->stage = CHUNK_DATA_END;
				check_chunk(chunked);
			}
		}
		data += take;
		len -= take;
	}
}

const char *chunked_end(struct chunked *chunked)
{
	if (chunked->stage == CHUNK_BAD)
		return chunked->error;
	/* some clients leave the last empty line out */
	if (chunked->stage == CHUNK_TRAILER && chunked->line_len == 0) {
		check_trailer_signature(chunked);
		return chunked->error;
	}
	return chunked->stage == CHUNK_DONE ? chunked->error : "IncompleteBody";
}

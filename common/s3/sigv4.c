#include "common/s3/sigv4.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char hex_digits[] = "0123456789abcdef";

static void hex(const unsigned char *data, char out[2 * SHA256_BYTES + 1])
{
	for (size_t i = 0; i < SHA256_BYTES; i++) {
		out[2 * i] = hex_digits[data[i] >> 4];
		out[2 * i + 1] = hex_digits[data[i] & 15];
	}
	out[2 * SHA256_BYTES] = '\0';
}

void sigv4_timestamp(int64_t time, char out[17])
{
	time_t seconds = (time_t)time;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(out, 17, "%Y%m%dT%H%M%SZ", &tm);
}

static int compare_names(const struct header_list *list, unsigned a, unsigned b)
{
	const struct header *x = &list->items[a], *y = &list->items[b];
	size_t len = x->name_len < y->name_len ? x->name_len : y->name_len;
	int order = memcmp(header_line(list, a), header_line(list, b), len);

	if (order != 0)
		return order;
	return x->name_len < y->name_len ? -1 : x->name_len > y->name_len;
}

/* Insertion sort: a dozen headers, mostly in order already. */
static void sort_headers(const struct header_list *list, unsigned order[HEADER_COUNT_MAX])
{
	for (unsigned i = 0; i < list->count; i++) {
		unsigned j = i;

		for (; j > 0 && compare_names(list, i, order[j - 1]) < 0; j--)
			order[j] = order[j - 1];
		order[j] = i;
	}
}

/* Runs of spaces become one; the ends are trimmed already. */
static void put_value(struct buf *out, const char *value, size_t len)
{
	size_t start = 0;

	for (size_t i = 1; i < len; i++) {
		if (value[i] == ' ' && value[i - 1] == ' ') {
			buf_append(out, value + start, i - start);
			while (i < len && value[i] == ' ')
				i++;
			start = i;
		}
	}
	buf_append(out, value + start, len - start);
}

static void put_signed_names(struct buf *out, const struct header_list *list, const unsigned *order)
{
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			buf_putc(out, ';');
		buf_append(out, header_line(list, order[i]), list->items[order[i]].name_len);
	}
}

static void put_canonical(const struct sigv4_input *input, const unsigned *order, struct buf *out)
{
	const struct header_list *list = input->headers;

	buf_puts(out, input->method);
	buf_putc(out, '\n');
	buf_append(out, input->path, input->path_len);
	buf_putc(out, '\n');
	buf_append(out, input->query, input->query_len);
	buf_putc(out, '\n');
	for (size_t i = 0; i < list->count; i++) {
		const struct header *header = &list->items[order[i]];

		buf_append(out, header_line(list, order[i]), header->name_len);
		buf_putc(out, ':');
		put_value(out, header_value(list, order[i]), header->value_len);
		buf_putc(out, '\n');
	}
	buf_putc(out, '\n');
	put_signed_names(out, list, order);
	buf_putc(out, '\n');
	buf_puts(out, input->payload_hash);
}

void sigv4_canonical_request(const struct sigv4_input *input, struct buf *out)
{
	unsigned order[HEADER_COUNT_MAX];

	sort_headers(input->headers, order);
	put_canonical(input, order, out);
}

static int derive_key(struct sigv4_signer *signer, const char *day, const char *region)
{
	struct digest *digest = signer->digest;
	unsigned char *key = signer->key;
	struct buf first = BUF_INIT;

	if (strcmp(signer->key_day, day) == 0 && strcmp(signer->key_region, region) == 0)
		return 0;
	if (strlen(region) >= sizeof(signer->key_region))
		return -EINVAL;
	buf_puts(&first, "AWS4");
	buf_puts(&first, signer->secret_key);
	if (first.failed) {
		buf_free(&first);
		return -ENOMEM;
	}
	digest_hmac_sha256(digest, first.data, first.len, day, 8, key);
	explicit_bzero(first.data, first.len);
	buf_free(&first);
	digest_hmac_sha256(digest, key, SHA256_BYTES, region, strlen(region), key);
	digest_hmac_sha256(digest, key, SHA256_BYTES, signer->service, strlen(signer->service),
			   key);
	digest_hmac_sha256(digest, key, SHA256_BYTES, "aws4_request", 12, key);
	memcpy(signer->key_day, day, 9);
	snprintf(signer->key_region, sizeof(signer->key_region), "%s", region);
	return 0;
}

int sigv4_sign(struct sigv4_signer *signer, const struct sigv4_input *input, struct buf *scratch,
	       struct buf *authorization)
{
	unsigned char hash[SHA256_BYTES];
	char text[2 * SHA256_BYTES + 1], timestamp[17], day[9], to_sign[256];
	unsigned order[HEADER_COUNT_MAX];
	int err, len;

	sigv4_timestamp(input->time, timestamp);
	memcpy(day, timestamp, 8);
	day[8] = '\0';
	err = derive_key(signer, day, input->region);
	if (err)
		return err;

	sort_headers(input->headers, order);
	buf_reset(scratch);
	put_canonical(input, order, scratch);
	if (scratch->failed)
		return -ENOMEM;
	digest_sha256(signer->digest, scratch->data, scratch->len, hash);
	hex(hash, text);
	len = snprintf(to_sign, sizeof(to_sign), "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s",
		       timestamp, day, input->region, signer->service, text);
	if (len < 0 || (size_t)len >= sizeof(to_sign))
		return -EINVAL;
	digest_hmac_sha256(signer->digest, signer->key, SHA256_BYTES, to_sign, (size_t)len, hash);
	hex(hash, text);

	buf_puts(authorization, "AWS4-HMAC-SHA256 Credential=");
	buf_puts(authorization, signer->access_key);
	buf_printf(authorization, "/%s/%s/%s/aws4_request, SignedHeaders=", day, input->region,
		   signer->service);
	put_signed_names(authorization, input->headers, order);
	buf_puts(authorization, ", Signature=");
	buf_append(authorization, text, 2 * SHA256_BYTES);
	return authorization->failed ? -ENOMEM : 0;
}

void sigv4_signer_wipe(struct sigv4_signer *signer)
{
	explicit_bzero(signer->key, sizeof(signer->key));
	signer->key_day[0] = '\0';
	signer->key_region[0] = '\0';
}

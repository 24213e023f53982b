#include "tests/s3server/signature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/s3server/hash.h"

static const char algorithm[] = "AWS4-HMAC-SHA256";
static const char empty_sha256[] =
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

int access_keys_add(struct access_keys *keys, const char *access, const char *secret,
		    const char *token, struct error *error)
{
	if (keys->count == ACCESS_KEYS_MAX)
		return error_set(error, -E2BIG, "more than %d access keys", ACCESS_KEYS_MAX);
	keys->items[keys->count++] = (struct access_key){xstrdup(access), xstrdup(secret),
							 token ? xstrdup(token) : NULL};
	return 0;
}

int access_keys_load(struct access_keys *keys, const char *path, struct error *error)
{
	FILE *file = fopen(path, "re");
	char line[1024];
	int err = 0;

	if (!file)
		return error_set(error, -errno, "cannot open %s: %s", path, strerror(errno));
	while (!err && fgets(line, sizeof(line), file)) {
		char *rest = line, *access, *secret;

		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		access = strsep(&rest, ":");
		secret = strsep(&rest, ":");
		if (!secret)
			err = error_set(error, -EINVAL, "%s: a line is not ACCESS:SECRET[:TOKEN]",
					path);
		else
			err = access_keys_add(keys, access, secret, rest, error);
	}
	explicit_bzero(line, sizeof(line));
	fclose(file);
	return err;
}

void access_keys_free(struct access_keys *keys)
{
	for (unsigned i = 0; i < keys->count; i++) {
		explicit_bzero(keys->items[i].secret, strlen(keys->items[i].secret));
		free(keys->items[i].access);
		free(keys->items[i].secret);
		free(keys->items[i].token);
	}
	keys->count = 0;
}

/* What the client says about its signature, from the header or the query. Owns its strings. */
struct claim {
	char *access, *date, *region, *service, *terminator;
	char *signed_headers, *signature, *amz_date, *token;
	int64_t expires; /* s; presigned only */
};

static void claim_free(struct claim *claim)
{
	free(claim->access);
	free(claim->date);
	free(claim->region);
	free(claim->service);
	free(claim->terminator);
	free(claim->signed_headers);
	free(claim->signature);
	free(claim->amz_date);
	free(claim->token);
}

static bool fail(struct signature *out, const char *error, const char *message)
{
	out->error = error;
	snprintf(out->message, sizeof(out->message), "%s", message);
	return false;
}

/* ACCESS/DATE/REGION/SERVICE/aws4_request; the access key may hold slashes. */
static bool split_credential(struct claim *claim, const char *credential, size_t len)
{
	char *copy = strndup(credential, len),
	     **fields[] = {&claim->terminator, &claim->service, &claim->region, &claim->date};
	bool good = copy != NULL;

	for (unsigned i = 0; i < 4 && good; i++) {
		char *slash = strrchr(copy, '/');

		good = slash != NULL;
		if (good) {
			*fields[i] = xstrdup(slash + 1);
			*slash = '\0';
		}
	}
	if (good)
		claim->access = xstrdup(copy);
	free(copy);
	return good;
}

static bool claim_from_header(struct claim *claim, const struct signature_input *input,
			      const char *authorization, struct signature *out)
{
	const char *at = authorization + strlen(algorithm), *date, *token;

	while (*at) {
		size_t len;

		at += strspn(at, " ,\t");
		len = strcspn(at, ", \t");
		if (strncmp(at, "Credential=", 11) == 0 && !claim->access) {
			if (!split_credential(claim, at + 11, len - 11))
				return fail(
					out, "AuthorizationHeaderMalformed",
					"The Credential is mal-formed; expecting "
					"\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
		} else if (strncmp(at, "SignedHeaders=", 14) == 0 && !claim->signed_headers) {
			claim->signed_headers = strndup(at + 14, len - 14);
		} else if (strncmp(at, "Signature=", 10) == 0 && !claim->signature) {
			claim->signature = strndup(at + 10, len - 10);
		}
		at += len;
	}
	if (!claim->access || !claim->signed_headers || !claim->signature)
		return fail(
			out, "AuthorizationHeaderMalformed",
			"The authorization header lacks Credential, SignedHeaders or Signature.");
	date = pairs_get_nocase(input->headers, "x-amz-date");
	if (!date)
		return fail(out, "AccessDenied",
			    "AWS authentication requires a valid Date or x-amz-date header");
	claim->amz_date = xstrdup(date);
	token = pairs_get_nocase(input->headers, "x-amz-security-token");
	claim->token = token ? xstrdup(token) : NULL;
	return true;
}

static bool claim_from_query(struct claim *claim, const struct signature_input *input,
			     struct signature *out)
{
	static const char *const names[] = {"X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
					    "X-Amz-SignedHeaders", "X-Amz-Signature"};
	const char *values[5], *token = pairs_get(input->query, "X-Amz-Security-Token");

	for (unsigned i = 0; i < 5; i++) {
		values[i] = pairs_get(input->query, names[i]);
		if (!values[i])
			return fail(
				out, "AuthorizationQueryParametersError",
				"Query-string authentication version 4 requires the "
				"X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
				"X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
	}
	if (!split_credential(claim, values[0], strlen(values[0])))
		return fail(out, "AuthorizationQueryParametersError",
			    "Error parsing the X-Amz-Credential parameter.");
	claim->amz_date = xstrdup(values[1]);
	claim->expires = strtoll(values[2], NULL, 10);
	claim->signed_headers = xstrdup(values[3]);
	claim->signature = xstrdup(values[4]);
	claim->token = token ? xstrdup(token) : NULL;
	out->presigned = true;
	if (claim->expires < 1 || claim->expires > 604800)
		return fail(out, "AuthorizationQueryParametersError",
			    "X-Amz-Expires must be between 1 and 604800 seconds");
	return true;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_canonical_query(struct buf *buf, const struct pairs *query)
{
	char **items = xmalloc((query->count + 1) * sizeof(*items));
	size_t count = 0;

	for (size_t i = 0; i < query->count; i++) {
		const struct pair *pair = &query->items[i];
		struct buf item = BUF_INIT;

		if (strcmp(pair->name, "X-Amz-Signature") == 0)
			continue;
		buf_put_uri(&item, pair->name, strlen(pair->name), false);
		buf_putc(&item, '\x01'); /* sorts before all, so that names decide */
		buf_put_uri(&item, pair->value, strlen(pair->value), false);
		items[count++] = buf_steal(&item);
	}
	qsort(items, count, sizeof(*items), compare_text);
	for (size_t i = 0; i < count; i++) {
		*strchr(items[i], '\x01') = '=';
		buf_printf(buf, "%s%s", i ? "&" : "", items[i]);
		free(items[i]);
	}
	free(items);
}

/* Outer spaces go, inner runs become one. */
static void put_trimmed(struct buf *buf, const char *value)
{
	size_t len;

	value += strspn(value, " \t");
	len = strlen(value);
	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		len--;
	for (size_t i = 0; i < len; i++)
		if (value[i] != ' ' || value[i + 1] != ' ')
			buf_putc(buf, value[i]);
}

static void put_canonical_headers(struct buf *buf, const struct pairs *headers, const char *names)
{
	while (*names) {
		size_t len = strcspn(names, ";");
		unsigned found = 0;

		buf_append(buf, names, len);
		buf_putc(buf, ':');
		for (size_t i = 0; i < headers->count; i++) {
			const struct pair *pair = &headers->items[i];

			if (strncasecmp(pair->name, names, len) != 0 || pair->name[len])
				continue;
			if (found++ > 0)
				buf_putc(buf, ',');
			put_trimmed(buf, pair->value);
		}
		buf_putc(buf, '\n');
		names += len;
		names += *names == ';';
	}
}

static bool is_signed(const char *signed_headers, const char *name)
{
	size_t len = strlen(name);

	while (*signed_headers) {
		size_t item = strcspn(signed_headers, ";");

		if (item == len && strncasecmp(signed_headers, name, len) == 0)
			return true;
		signed_headers += item;
		signed_headers += *signed_headers == ';';
	}
	return false;
}

/* S3 insists that host and every x-amz- header are signed. */
static bool check_signed_headers(const struct signature_input *input, const struct claim *claim,
				 struct signature *out)
{
	if (!is_signed(claim->signed_headers, "host"))
		return fail(out, "AccessDenied", "The host header must be signed");
	for (size_t i = 0; i < input->headers->count; i++) {
		const char *name = input->headers->items[i].name;

		if (strncasecmp(name, "x-amz-", 6) == 0 &&
		    !is_signed(claim->signed_headers, name)) {
			fail(out, "AccessDenied",
			     "There were headers present in the request which were not signed");
			pairs_add(&out->details, "HeadersNotSigned", name);
			return false;
		}
	}
	return true;
}

static bool check_time(const struct signature_input *input, const struct claim *claim,
		       struct signature *out)
{
	char server_time[DATE_TEXT_MAX];
	int64_t signed_at;

	if (!parse_amz_date(claim->amz_date, &signed_at) ||
	    strncmp(claim->amz_date, claim->date, 8) != 0 || strlen(claim->date) != 8)
		return fail(out, "AuthorizationHeaderMalformed",
			    "The date of the credential scope does not match x-amz-date.");
	if (out->presigned && input->now > signed_at + claim->expires * 1000)
		return fail(out, "AccessDenied", "Request has expired");
	if (signed_at - input->now <= input->skew_max &&
	    (out->presigned || input->now - signed_at <= input->skew_max))
		return true;
	fail(out, "RequestTimeTooSkewed",
	     "The difference between the request time and the current time is too large.");
	format_iso_date(server_time, input->now);
	pairs_add(&out->details, "RequestTime", claim->amz_date);
	pairs_add(&out->details, "ServerTime", server_time);
	pairs_add(&out->details, "MaxAllowedSkewMilliseconds", "900000");
	return false;
}

static bool check_scope(const struct signature_input *input, const struct claim *claim,
			struct signature *out)
{
	if (strcmp(claim->service, "s3") != 0 || strcmp(claim->terminator, "aws4_request") != 0)
		return fail(out, "AuthorizationHeaderMalformed",
			    "The authorization header is malformed; incorrect service or "
			    "terminator. This endpoint belongs to \"s3\".");
	if (!input->region || strcmp(claim->region, input->region) == 0)
		return true;
	out->error = "AuthorizationHeaderMalformed";
	snprintf(out->message, sizeof(out->message),
		 "The authorization header is malformed; the region '%.80s' is wrong; expecting "
		 "'%.80s'",
		 claim->region, input->region);
	pairs_add(&out->details, "Region", input->region);
	return false;
}

static bool read_payload(const struct signature_input *input, struct signature *out)
{
	const char *value = pairs_get_nocase(input->headers, "x-amz-content-sha256");

	if (!value && out->presigned)
		value = pairs_get(input->query, "X-Amz-Content-Sha256");
	if (!value && out->presigned)
		value = "UNSIGNED-PAYLOAD";
	if (!value)
		return fail(out, "InvalidRequest",
			    "Missing required header for this request: x-amz-content-sha256");
	if (strcmp(value, "UNSIGNED-PAYLOAD") == 0)
		out->payload = PAYLOAD_UNSIGNED;
	else if (strcmp(value, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") == 0)
		out->payload = PAYLOAD_CHUNKS_SIGNED;
	else if (strcmp(value, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") == 0)
		out->payload = PAYLOAD_CHUNKS_SIGNED_TRAILER;
	else if (strcmp(value, "STREAMING-UNSIGNED-PAYLOAD-TRAILER") == 0)
		out->payload = PAYLOAD_CHUNKS_UNSIGNED_TRAILER;
	else if (strlen(value) == 64)
		out->payload = PAYLOAD_SHA256;
	else
		return fail(
			out, "InvalidArgument",
			"x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-.. or a valid "
			"sha256 value.");
	snprintf(out->content_sha256, sizeof(out->content_sha256), "%.64s", value);
	return true;
}

static void derive_key(const char *secret, const struct claim *claim, unsigned char key[32])
{
	char *start = xasprintf("AWS4%s", secret);

	hmac_sha256(start, strlen(start), claim->date, strlen(claim->date), key);
	hmac_sha256(key, 32, claim->region, strlen(claim->region), key);
	hmac_sha256(key, 32, claim->service, strlen(claim->service), key);
	hmac_sha256(key, 32, claim->terminator, strlen(claim->terminator), key);
	explicit_bzero(start, strlen(start));
	free(start);
}

static void sign(const unsigned char key[32], const struct buf *text, char out[65])
{
	unsigned char mac[32];

	hmac_sha256(key, 32, text->data, text->len, mac);
	hex_encode(mac, 32, out);
}

static bool check_signature(const struct signature_input *input, const struct claim *claim,
			    const char *secret, struct signature *out)
{
	const char *payload = pairs_get_nocase(input->headers, "x-amz-content-sha256");
	struct buf request = BUF_INIT, to_sign = BUF_INIT;
	char *path, digest_hex[65], expected[65];
	unsigned char digest[32];
	bool had_nul, good;

	/* Encoded again from the decoded form: clients differ in what they leave plain on the wire.
	 */
	path = uri_decoded(input->path, strlen(input->path), &had_nul);
	buf_printf(&request, "%s\n", input->method);
	buf_put_uri(&request, path, strlen(path), true);
	buf_putc(&request, '\n');
	put_canonical_query(&request, input->query);
	buf_putc(&request, '\n');
	put_canonical_headers(&request, input->headers, claim->signed_headers);
	buf_printf(&request, "\n%s\n%s", claim->signed_headers,
		   payload ? payload : out->content_sha256);
	sha256(request.data, request.len, digest);
	hex_encode(digest, 32, digest_hex);
	buf_printf(&to_sign, "%s\n%s\n%s\n%s", algorithm, claim->amz_date, out->scope, digest_hex);
	derive_key(secret, claim, out->key);
	sign(out->key, &to_sign, expected);
	good = text_equal_secret(expected, claim->signature);
	if (!good) {
		fail(out, "SignatureDoesNotMatch",
		     "The request signature we calculated does not match the signature you "
		     "provided. Check your key and signing method.");
		pairs_add(&out->details, "AWSAccessKeyId", claim->access);
		pairs_add(&out->details, "StringToSign", buf_str(&to_sign));
		pairs_add(&out->details, "SignatureProvided", claim->signature);
		pairs_add(&out->details, "CanonicalRequest", buf_str(&request));
	}
	memcpy(out->seed, expected, sizeof(out->seed));
	free(path);
	buf_free(&request);
	buf_free(&to_sign);
	return good;
}

static const struct access_key *find_key(const struct access_keys *keys, const char *access)
{
	for (unsigned i = 0; i < keys->count; i++)
		if (strcmp(keys->items[i].access, access) == 0)
			return &keys->items[i];
	return NULL;
}

static bool verify_claim(const struct signature_input *input, const struct claim *claim,
			 struct signature *out)
{
	const struct access_key *key;

	if (!check_scope(input, claim, out) || !check_time(input, claim, out) ||
	    !read_payload(input, out) || !check_signed_headers(input, claim, out))
		return false;
	key = find_key(input->keys, claim->access);
	if (!key) {
		pairs_add(&out->details, "AWSAccessKeyId", claim->access);
		return fail(out, "InvalidAccessKeyId",
			    "The AWS Access Key Id you provided does not exist in our records.");
	}
	if (claim->token && (!key->token || strcmp(claim->token, key->token) != 0))
		return fail(out, "InvalidToken", "The provided token is malformed or invalid.");
	if (!claim->token && key->token)
		return fail(out, "InvalidAccessKeyId",
			    "The AWS Access Key Id you provided needs its session token.");
	snprintf(out->amz_date, sizeof(out->amz_date), "%s", claim->amz_date);
	snprintf(out->scope, sizeof(out->scope), "%s/%s/%s/%s", claim->date, claim->region,
		 claim->service, claim->terminator);
	return check_signature(input, claim, key->secret, out);
}

void signature_verify(const struct signature_input *input, struct signature *out)
{
	const char *authorization = pairs_get_nocase(input->headers, "Authorization");
	struct claim claim = {0};
	bool claimed;

	memset(out, 0, sizeof(*out));
	if (authorization && strncmp(authorization, algorithm, strlen(algorithm)) == 0) {
		claimed = claim_from_header(&claim, input, authorization, out);
	} else if (pairs_get(input->query, "X-Amz-Algorithm")) {
		claimed = claim_from_query(&claim, input, out);
	} else if (authorization || pairs_get(input->query, "AWSAccessKeyId")) {
		claimed = fail(out, "InvalidRequest",
			       "The authorization mechanism you have provided is not supported. "
			       "Please use AWS4-HMAC-SHA256.");
	} else {
		out->anonymous = true;
		claimed = false;
		if (pairs_get_nocase(input->headers, "x-amz-content-sha256"))
			read_payload(input, out);
	}
	if (claimed)
		verify_claim(input, &claim, out);
	claim_free(&claim);
}

void signature_free(struct signature *signature)
{
	pairs_free(&signature->details);
	explicit_bzero(signature->key, sizeof(signature->key));
}

void signature_of_chunk(const struct signature *signature, const char *previous, bool trailer,
			const char *sha256_hex, char out[65])
{
	struct buf text = BUF_INIT;

	buf_printf(&text, "%s-%s\n%s\n%s\n%s\n", algorithm, trailer ? "TRAILER" : "PAYLOAD",
		   signature->amz_date, signature->scope, previous);
	if (!trailer)
		buf_printf(&text, "%s\n", empty_sha256);
	buf_puts(&text, sha256_hex);
	sign(signature->key, &text, out);
	buf_free(&text);
}

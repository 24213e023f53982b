#include "common/s3/response.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/executor.h"
#include "common/s3/document.h"

enum { META_ITEMS_MAX = 128 };

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

int s3_code_status(const char *code)
{
	/* Amazon S3 API reference, "Error responses" */
	static const struct {
		const char *code;
		int status;
	} codes[] = {
		{"InternalError", 500},	     {"SlowDown", 503},
		{"ServiceUnavailable", 503}, {"NotImplemented", 501},
		{"PreconditionFailed", 412}, {"ConditionalRequestConflict", 409},
		{"OperationAborted", 409},   {"NoSuchKey", 404},
		{"NoSuchUpload", 404},	     {"NoSuchBucket", 404},
		{"AccessDenied", 403},	     {"ExpiredToken", 400},
		{"InvalidRange", 416},	     {"PermanentRedirect", 301},
		{"TemporaryRedirect", 307},
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (is(codes[i].code, code))
			return codes[i].status;
	}
	return 400;
}

/* A 404 that is about something else must not be taken for a deletion. HEAD has no code. */
static bool is_absence(const char *code)
{
	return !*code || string_has_prefix(code, "NoSuch") || is(code, "NotFound");
}

int s3_error_errno(const struct os_request *request, int status, const char *code)
{
	bool write = request->op == OS_PUT || request->op == OS_MPU_COMPLETE;

	if (is(code, "NoSuchBucket"))
		return -ENXIO;
	if (is(code, "InvalidAccessKeyId") || is(code, "SignatureDoesNotMatch") ||
	    is(code, "ExpiredToken") || is(code, "InvalidToken") ||
	    is(code, "XAdminUserNotFound")) /* versitygw's word for an unknown access key */
		return -EACCES;
	switch (status) {
	case 304: return -EALREADY;
	case 401:
	case 403: return -EACCES;
	case 404:
		/* Conditional writes guide: 404 NoSuchKey of If-Match on a key that is gone. */
		if (write && request->condition.if_match && !is(code, "NoSuchUpload"))
			return -ESTALE;
		return is_absence(code) ? -ENOENT : -EINVAL;
	case 409: /* where objects are files there is no place for "a" while "a/b" is there */
		return is(code, "ExistingObjectIsDirectory") || is(code, "ObjectParentIsFile")
			       ? -EINVAL
			       : -EBUSY;
	case 412: return -ESTALE;
	case 416: return -ERANGE;
	case 501: return -EOPNOTSUPP;
	default: break;
	}
	if (status >= 500 || status == 429 || status == 408 || is(code, "RequestTimeout"))
		return -EIO;
	return status >= 400 ? -EINVAL : -EPROTO;
}

struct header_line {
	const char *name, *value;
	size_t name_len, value_len;
};

/* Takes the next "name: value" line; the status line and what is malformed are skipped. */
static bool next_line(const char **text, const char *end, struct header_line *line)
{
	while (*text < end) {
		const char *start = *text, *stop = memchr(start, '\n', (size_t)(end - start));
		const char *colon;

		*text = stop ? stop + 1 : end;
		if (!stop)
			stop = end;
		while (stop > start && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t'))
			stop--;
		colon = memchr(start, ':', (size_t)(stop - start));
		if (!colon || colon == start)
			continue;
		line->name = start;
		line->name_len = (size_t)(colon - start);
		for (colon++; colon < stop && (*colon == ' ' || *colon == '\t'); colon++)
			;
		line->value = colon;
		line->value_len = (size_t)(stop - colon);
		return true;
	}
	return false;
}

static bool named(const struct header_line *line, const char *name)
{
	return line->name_len == strlen(name) && strncasecmp(line->name, name, line->name_len) == 0;
}

static void take(const struct header_line *line, char *out, size_t size)
{
	size_t len = line->value_len < size ? line->value_len : size - 1;

	memcpy(out, line->value, len);
	out[len] = '\0';
}

static bool take_number(const struct header_line *line, uint64_t *out)
{
	char text[24];
	int64_t value;

	if (line->value_len >= sizeof(text))
		return false;
	take(line, text, sizeof(text));
	if (parse_int(text, 0, INT64_MAX, &value))
		return false;
	*out = (uint64_t)value;
	return true;
}

/* Digits up to the stop character, which is skipped. */
static bool take_digits(const char **text, char stop, uint64_t *out)
{
	uint64_t value = 0;
	const char *p = *text;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (value > (uint64_t)INT64_MAX / 10 - 1)
			return false;
		value = value * 10 + (uint64_t)(*p - '0');
	}
	if (p == *text || *p != stop)
		return false;
	*text = stop ? p + 1 : p;
	*out = value;
	return true;
}

/* "bytes FIRST-LAST/TOTAL" (RFC 9110, 14.4); a total that is not told is of no use. */
static bool take_range(const struct header_line *line, struct os_result *result,
		       struct s3_hints *hints)
{
	uint64_t first, last, total;
	char text[80];
	const char *p = text;

	take(line, text, sizeof(text));
	if (!string_has_prefix(text, "bytes "))
		return false;
	p += strlen("bytes ");
	if (!take_digits(&p, '-', &first) || !take_digits(&p, '/', &last) ||
	    !take_digits(&p, '\0', &total) || first > last || last >= total)
		return false;
	hints->has_range = true;
	hints->range_first = first;
	result->size = total;
	return true;
}

static int take_pair(struct os_meta *meta, const struct header_line *line, size_t prefix)
{
	char name[256], *value;
	size_t len = line->name_len - prefix;
	int err;

	if (len == 0 || len >= sizeof(name) || meta->count == META_ITEMS_MAX)
		return 0;
	for (size_t i = 0; i < len; i++)
		name[i] = (char)tolower((unsigned char)line->name[prefix + i]);
	name[len] = '\0';
	value = strndup(line->value, line->value_len);
	if (!value)
		return -ENOMEM;
	err = os_meta_set(meta, name, value);
	free(value);
	return err;
}

/* What a rewrite of the object must say again, because S3 would fall back to a default. */
static bool is_kept(const struct header_line *line)
{
	static const char *const names[] = {
		"x-amz-storage-class",
		"x-amz-server-side-encryption",
		"x-amz-server-side-encryption-aws-kms-key-id",
		"x-amz-server-side-encryption-bucket-key-enabled",
		"x-amz-website-redirect-location",
		OS_TAG_COUNT,
		"cache-control",
		"content-disposition",
		"content-encoding",
		"content-language",
		"expires",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (named(line, names[i]))
			return true;
	}
	return false;
}

static void take_location(const struct header_line *line, struct s3_hints *hints)
{
	char url[2 * ENDPOINT_HOST_MAX];
	const char *host;

	take(line, url, sizeof(url));
	host = strstr(url, "://");
	if (!host)
		return;
	host += 3;
	snprintf(hints->location, sizeof(hints->location), "%.*s", (int)strcspn(host, "/:?"), host);
}

static void take_region(const char *text, struct s3_hints *hints)
{
	if (endpoint_region_is_valid(text))
		snprintf(hints->region, sizeof(hints->region), "%s", text);
}

static int read_object_line(const struct header_line *line, struct os_result *result,
			    struct s3_hints *hints, bool *bad_range)
{
	static const char meta_prefix[] = "x-amz-meta-";
	size_t prefix = sizeof(meta_prefix) - 1;
	char text[80];
	int64_t seconds;

	if (line->name_len > prefix && strncasecmp(line->name, meta_prefix, prefix) == 0)
		return take_pair(&result->meta, line, prefix);
	if (is_kept(line))
		return take_pair(&result->headers, line, 0);
	if (named(line, "etag")) {
		take(line, result->etag, sizeof(result->etag));
	} else if (named(line, "content-type")) {
		take(line, result->content_type, sizeof(result->content_type));
	} else if (named(line, "last-modified")) {
		take(line, text, sizeof(text));
		if (parse_http_time(text, &seconds) == 0)
			result->last_modified = seconds * (int64_t)NSEC_PER_SEC;
	} else if (named(line, "content-range")) {
		*bad_range = !take_range(line, result, hints);
	}
	return 0;
}

static void read_common_line(const struct header_line *line, struct os_result *result,
			     struct s3_hints *hints)
{
	char text[REGION_MAX];
	uint64_t number;

	if (named(line, "x-amz-request-id")) {
		take(line, result->request_id, sizeof(result->request_id));
		hints->s3_like = true;
	} else if (named(line, "x-amz-bucket-region")) {
		take(line, text, sizeof(text));
		take_region(text, hints);
	} else if (named(line, "date")) {
		take(line, text, sizeof(text));
		hints->has_date = parse_http_time(text, &hints->date) == 0;
	} else if (named(line, "location")) {
		take_location(line, hints);
	} else if (named(line, "retry-after") && take_number(line, &number)) {
		hints->retry_after = number > 60 ? 60 : (unsigned)number;
	}
}

int s3_response_headers(const struct s3_reply *reply, struct os_result *result,
			struct s3_hints *hints)
{
	const char *text = reply->headers, *end = text + reply->headers_len;
	bool success = reply->status >= 200 && reply->status < 300, bad_range = false;
	struct header_line line;
	uint64_t length = 0;

	hints->status = reply->status;
	while (next_line(&text, end, &line)) {
		if (named(&line, "content-length"))
			take_number(&line, &length);
		else
			read_common_line(&line, result, hints);
		/* Of a failed request these are not the object's. */
		if ((success || reply->status == 304) &&
		    read_object_line(&line, result, hints, &bad_range))
			return -ENOMEM;
	}
	if (reply->status == 206 && (bad_range || !hints->has_range))
		return -EPROTO;
	if (success && reply->status != 206)
		result->size = length;
	return 0;
}

int s3_response_body_start(const struct s3_reply *reply, uint64_t *first)
{
	const char *text = reply->headers, *end = text + reply->headers_len;
	struct s3_hints hints = {0};
	struct os_result result;
	struct header_line line;

	*first = 0;
	if (reply->status != 206)
		return 0;
	while (next_line(&text, end, &line)) {
		if (!named(&line, "content-range"))
			continue;
		if (!take_range(&line, &result, &hints))
			return -EPROTO;
		*first = hints.range_first;
		return 0;
	}
	return -EPROTO;
}

static void fail(struct os_result *result, int err, const char *message)
{
	result->err = err;
	snprintf(result->message, sizeof(result->message), "%s", message);
}

static void read_error(const struct os_request *request, const struct document *document,
		       struct os_result *result, struct s3_hints *hints)
{
	char region[REGION_MAX];

	snprintf(result->code, sizeof(result->code), "%s", document->code);
	if (!result->request_id[0])
		snprintf(result->request_id, sizeof(result->request_id), "%s",
			 document->request_id);
	hints->s3_like = true;
	if (document->region[0])
		take_region(document->region, hints);
	else if (!hints->region[0] && endpoint_region_of_host(document->endpoint, region))
		take_region(region, hints);
	if (hints->status >= 200 && hints->status < 300)
		hints->status = s3_code_status(document->code);
	fail(result, s3_error_errno(request, hints->status, document->code),
	     document->message[0] || document->code[0]
		     ? document->message
		     : "the server reports an error without a code");
}

/* Keys that DeleteObjects could not delete. Keys that were absent are reported as deleted, as
 * always. */
static int read_deleted(const struct os_request *request, const struct document *document,
			struct os_result *result)
{
	result->delete_errors = calloc(request->delete_count, sizeof(int));
	if (!result->delete_errors)
		return -ENOMEM;
	for (size_t i = 0; i < document->error_count; i++) {
		const struct document_error *error = &document->errors[i];
		int err = s3_error_errno(request, s3_code_status(error->code), error->code);
		bool found = false;

		if (is(error->code, "NoSuchKey"))
			err = 0;
		for (size_t j = 0; error->key && j < request->delete_count; j++) {
			if (is(request->delete_keys[j], error->key)) {
				result->delete_errors[j] = err;
				found = true;
			}
		}
		if (!found)
			return -EPROTO;
		if (err && !result->code[0])
			snprintf(result->code, sizeof(result->code), "%s", error->code);
	}
	return 0;
}

static void move_entries(struct document *document, struct os_result *result)
{
	result->entries = document->entries;
	result->entry_count = document->entry_count;
	document->entries = NULL;
	document->entry_count = 0;
}

/* The token of OS_MPU_LIST: see request.c. */
static int make_upload_token(struct document *document, struct os_result *result)
{
	struct buf token = BUF_INIT;
	char *key = document->key_marker;

	if (!key || !document->upload_id_marker)
		return -EPROTO;
	if (document->url_encoded) {
		for (char *p = key; *p; p++) {
			if (*p == '+')
				*p = ' ';
		}
		uri_decode(key);
	}
	buf_put_uri(&token, key, strlen(key), false);
	buf_putc(&token, ' ');
	buf_puts(&token, document->upload_id_marker);
	result->next_token = buf_steal(&token);
	return result->next_token ? 0 : -ENOMEM;
}

static int read_parts(struct document *document, struct os_result *result)
{
	char token[16];

	for (size_t i = 0; i < document->entry_count; i++) {
		if (document->entries[i].part_number == 0)
			return -EPROTO;
	}
	if (document->truncated) {
		if (document->part_marker == 0)
			return -EPROTO;
		snprintf(token, sizeof(token), "%u", document->part_marker);
		result->next_token = string_copy(token);
		if (!result->next_token)
			return -ENOMEM;
	}
	move_entries(document, result);
	return 0;
}

static int read_tags(struct document *document, struct os_result *result)
{
	const char *tags = document->tags.len ? buf_str(&document->tags) : NULL;

	return document->tags.failed ? -ENOMEM : os_meta_set(&result->headers, OS_TAGGING, tags);
}

static int read_listing(const struct os_request *request, struct document *document,
			struct os_result *result)
{
	if (document->truncated) {
		if (request->op == OS_MPU_LIST && make_upload_token(document, result))
			return -EPROTO;
		/* Truncated without a way to go on would be taken for the end: files would be
		 * missing. */
		if (request->op == OS_LIST && !document->next_token)
			return -EPROTO;
	}
	if (request->op == OS_LIST && document->truncated) {
		result->next_token = document->next_token;
		document->next_token = NULL;
	}
	move_entries(document, result);
	return 0;
}

static enum document_kind wanted_kind(enum os_op op)
{
	switch (op) {
	case OS_DELETE_MANY: return DOCUMENT_DELETED;
	case OS_LIST:
	case OS_BUCKET_HEAD: return DOCUMENT_LIST;
	case OS_COPY:
	case OS_MPU_PART_COPY: return DOCUMENT_COPIED;
	case OS_MPU_CREATE: return DOCUMENT_UPLOAD_STARTED;
	case OS_MPU_COMPLETE: return DOCUMENT_UPLOAD_COMPLETED;
	case OS_MPU_LIST: return DOCUMENT_UPLOADS;
	case OS_MPU_LIST_PARTS: return DOCUMENT_PARTS;
	case OS_TAGS: return DOCUMENT_TAGS;
	case OS_BUCKETS: return DOCUMENT_BUCKETS;
	default: return DOCUMENT_UNKNOWN; /* no document */
	}
}

static int read_result(const struct os_request *request, const char *bucket,
		       struct document *document, struct os_result *result, struct s3_hints *hints)
{
	switch (request->op) {
	case OS_DELETE_MANY: return read_deleted(request, document, result);
	case OS_LIST:
	case OS_MPU_LIST: return read_listing(request, document, result);
	case OS_MPU_LIST_PARTS: return read_parts(document, result);
	case OS_TAGS: return read_tags(document, result);
	case OS_BUCKETS: move_entries(document, result); return 0;
	case OS_BUCKET_HEAD:
		snprintf(result->region, sizeof(result->region), "%s", hints->region);
		hints->wrong_bucket = bucket && document->bucket[0] &&
				      !is(document->bucket, bucket);
		return hints->wrong_bucket ? -EPROTO : 0;
	case OS_COPY:
	case OS_MPU_PART_COPY:
	case OS_MPU_COMPLETE:
		if (!document->etag[0])
			return -EPROTO;
		memcpy(result->etag, document->etag, sizeof(result->etag));
		result->last_modified = document->last_modified;
		return 0;
	case OS_MPU_CREATE:
		memcpy(result->upload_id, document->upload_id, sizeof(result->upload_id));
		return result->upload_id[0] ? 0 : -EPROTO;
	default: return 0;
	}
}

static void read_success(const struct os_request *request, const char *bucket,
			 const struct s3_reply *reply, struct os_result *result,
			 struct s3_hints *hints)
{
	enum document_kind wanted = wanted_kind(request->op);
	struct document document;
	int err;

	if (wanted == DOCUMENT_UNKNOWN) {
		if ((request->op == OS_PUT || request->op == OS_MPU_PART) && !result->etag[0])
			fail(result, -EPROTO, "the answer has no ETag");
		return;
	}
	err = document_parse(&document, reply->body, reply->body_len);
	if (!err && document.kind == DOCUMENT_ERROR) {
		read_error(request, &document, result, hints);
	} else if (!err && document.kind == wanted) {
		hints->s3_like = true;
		err = read_result(request, bucket, &document, result, hints);
		if (err)
			fail(result, err, "the answer is incomplete or about something else");
	} else {
		if (!err && document.kind != DOCUMENT_UNKNOWN)
			hints->wrong_bucket = request->op == OS_BUCKET_HEAD;
		fail(result, err ? err : -EPROTO, "the answer is not what S3 sends");
	}
	document_free(&document);
}

static void read_failure(const struct os_request *request, const struct s3_reply *reply,
			 struct os_result *result, struct s3_hints *hints)
{
	struct document document;
	char text[64], region[REGION_MAX];
	bool known = false;

	if (reply->body_len > 0) {
		known = document_parse(&document, reply->body, reply->body_len) == 0 &&
			document.kind == DOCUMENT_ERROR && document.code[0];
		if (known)
			read_error(request, &document, result, hints);
		document_free(&document);
	}
	if (!hints->region[0] && endpoint_region_of_host(hints->location, region))
		take_region(region, hints);
	if (known)
		return;
	snprintf(text, sizeof(text), "HTTP status %d without an S3 error code", reply->status);
	/* A page of a proxy or of another web server says nothing about the key. */
	if (reply->status == 404 && !hints->s3_like && reply->body_len > 0)
		fail(result, -EPROTO, text);
	else
		fail(result, s3_error_errno(request, reply->status, ""), text);
}

void s3_response_read(const struct os_request *request, const char *bucket,
		      const struct s3_reply *reply, struct os_result *result,
		      struct s3_hints *hints)
{
	bool delete_done = request->op == OS_DELETE || request->op == OS_MPU_ABORT;
	int err;

	memset(hints, 0, sizeof(*hints));
	result->http_status = reply->status;
	err = s3_response_headers(reply, result, hints);
	result->date = hints->has_date ? hints->date * (int64_t)NSEC_PER_SEC : 0;
	if (err) {
		fail(result, err, "the headers of the answer are malformed");
		return;
	}
	if (reply->status >= 200 && reply->status < 300) {
		read_success(request, bucket, reply, result, hints);
		return;
	}
	read_failure(request, reply, result, hints);
	/* Absent is what was asked for. */
	if (delete_done && result->err == -ENOENT) {
		result->err = 0;
		result->message[0] = '\0';
	}
}

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tests/s3server/request.h"

enum {
	METADATA_MAX = 2048,	  /* S3 user guide, "Working with object metadata" */
	READ_AT_ONCE = 64 * 1024, /* bodies up to here are one write with their header */
};

int parse_range(const char *text, uint64_t size, uint64_t *first, uint64_t *len)
{
	unsigned long long a, b;
	char *end;

	if (strncmp(text, "bytes=", 6) != 0 || strchr(text, ','))
		return 0;
	text += 6;
	if (*text == '-') {
		a = strtoull(text + 1, &end, 10);
		if (end == text + 1 || *end)
			return 0;
		if (a == 0 || size == 0)
			return -1;
		*len = a < size ? a : size;
		*first = size - *len;
		return 1;
	}
	a = strtoull(text, &end, 10);
	if (end == text || *end != '-')
		return 0;
	text = end + 1;
	b = *text ? strtoull(text, &end, 10) : UINT64_MAX;
	if (*text ? *end != '\0' || b < a : false)
		return 0;
	if (a >= size)
		return -1;
	*first = a;
	*len = (b < size - 1 ? b : size - 1) - a + 1;
	return 1;
}

static bool is_kept(const char *name)
{
	static const char *const names[] = {
		"content-type",
		"content-encoding",
		"cache-control",
		"content-language",
		"expires",
		"content-disposition",
		"x-amz-website-redirect-location",
		"x-amz-server-side-encryption",
		"x-amz-server-side-encryption-aws-kms-key-id",
		"x-amz-server-side-encryption-bucket-key-enabled",
		"x-amz-storage-class",
		TAGS_HEADER,
	};

	if (strncasecmp(name, "x-amz-meta-", 11) == 0)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

/* "aws-chunked" is a coding of the transfer and no property of the object. */
static char *content_encoding(const char *value)
{
	struct buf kept = BUF_INIT;

	while (*value) {
		size_t len;

		value += strspn(value, ", ");
		len = strcspn(value, ", ");
		if (len > 0 && !(len == 11 && strncasecmp(value, "aws-chunked", 11) == 0)) {
			if (kept.len > 0)
				buf_putc(&kept, ',');
			buf_append(&kept, value, len);
		}
		value += len;
	}
	return buf_steal(&kept);
}

static void keep_header(struct pairs *out, const struct pair *header)
{
	char *name = xstrdup(header->name), *value;

	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	value = strcmp(name, "content-encoding") == 0 ? content_encoding(header->value)
						      : xstrdup(header->value);
	if (*value && strcmp(value, "STANDARD") != 0)
		pairs_add(out, name, value);
	else if (strncmp(name, "x-amz-meta-", 11) == 0)
		pairs_add(out, name, value);
	free(name);
	free(value);
}

bool request_object_headers(struct request *request, struct pairs *out)
{
	const struct pairs *headers = &request->exchange->headers;
	size_t metadata = 0;

	for (size_t i = 0; i < headers->count; i++) {
		const struct pair *header = &headers->items[i];

		if (!is_kept(header->name))
			continue;
		keep_header(out, header);
		if (strncasecmp(header->name, "x-amz-meta-", 11) == 0)
			metadata += strlen(header->name) - 11 + strlen(header->value);
	}
	if (!pairs_get(out, "content-type"))
		pairs_add(out, "content-type", "binary/octet-stream");
	if (metadata <= METADATA_MAX)
		return true;
	reply_error(request, "MetadataTooLarge", NULL);
	return false;
}

bool headers_hide_md5(const struct pairs *headers)
{
	const char *encryption = pairs_get(headers, "x-amz-server-side-encryption");

	return encryption && strncmp(encryption, "aws:kms", 7) == 0;
}

void request_opaque_etag(const struct request *request, char etag[ETAG_MAX])
{
	snprintf(etag, ETAG_MAX, "\"%016llx%s\"", (unsigned long long)request->now, request->id);
}

void request_body_etag(const struct request *request, char etag[ETAG_MAX])
{
	char hex[33];

	if (!request->opaque_etag) {
		hex_encode(request->body.md5_digest, 16, hex);
		snprintf(etag, ETAG_MAX, "\"%s\"", hex);
		return;
	}
	request_opaque_etag(request, etag);
}

/* Headers of the object, with what presigned URLs may replace (response-content-type ..). */
static void put_object_headers(struct request *request, const struct object *object)
{
	char modified[DATE_TEXT_MAX], name[64];

	for (size_t i = 0; i < object->headers.count; i++) {
		const struct pair *header = &object->headers.items[i];
		const char *value;

		if (strcmp(header->name, TAGS_HEADER) == 0)
			continue;
		snprintf(name, sizeof(name), "response-%.50s", header->name);
		value = request_query(request, name);
		reply_header(request, header->name, value ? value : header->value);
	}
	if (object_tag_count(object) > 0) {
		snprintf(name, sizeof(name), "%zu", object_tag_count(object));
		reply_header(request, "x-amz-tagging-count", name);
	}
	format_http_date(modified, object->modified);
	reply_header(request, "Last-Modified", modified);
	reply_header(request, "ETag", object->etag);
	reply_header(request, "Accept-Ranges", "bytes");
}

/* An object, or a range of it, as the body of a reply. */
struct object_source {
	struct object *object;
	uint64_t first;
};

static ssize_t source_read(void *context, uint64_t offset, char *data, size_t len)
{
	struct object_source *source = context;

	return object_read(source->object, source->first + offset, data, len);
}

static void source_free(void *context)
{
	struct object_source *source = context;

	object_unref(source->object);
	free(source);
}

static void read_into_memory(struct request *request, struct object *object, uint64_t first,
			     uint64_t len)
{
	char *data = xmalloc((size_t)len);
	uint64_t done = 0;
	ssize_t got = 1;

	while (done < len && got > 0) {
		got = object_read(object, first + done, data + done, (size_t)(len - done));
		if (got > 0)
			done += (uint64_t)got;
	}
	if (done < len)
		reply_error(request, "InternalError", NULL);
	else
		buf_append(&request->exchange->reply.body, data, (size_t)len);
	free(data);
}

/* The extent that holds the whole range, or NULL. */
static const struct extent *extent_of(const struct object *object, uint64_t *first, uint64_t len)
{
	for (size_t i = 0; i < object->extent_count; i++) {
		const struct extent *extent = &object->extents[i];

		if (*first < extent->len)
			return len <= extent->len - *first ? extent : NULL;
		*first -= extent->len;
	}
	return NULL;
}

/* Small: memory. In one file: sendfile. Else piece by piece. Takes a reference where it needs one.
 */
static void set_body(struct request *request, struct object *object, uint64_t first, uint64_t len)
{
	struct http_reply *reply = &request->exchange->reply;
	uint64_t within = first;
	const struct extent *extent = extent_of(object, &within, len);
	struct object_source *source;

	if (len <= READ_AT_ONCE) {
		read_into_memory(request, object, first, len);
		return;
	}
	reply->length = len;
	if (extent) {
		reply->fd = blob_open(extent->blob);
		reply->fd_offset = extent->offset + within;
		if (reply->fd < 0)
			reply_error(request, "InternalError", NULL);
		return;
	}
	source = xmalloc(sizeof(*source));
	*source = (struct object_source){object_ref(object), first};
	reply->source = (struct http_source){source_read, source_free, source};
}

/* GET and HEAD up to the body. Returns the range that is to be sent, false when replied. */
static bool begin_read(struct request *request, struct object *object, uint64_t *first,
		       uint64_t *len)
{
	const char *range = request_header(request, "Range");
	const char *if_range = request_header(request, "If-Range");
	struct condition condition = request_condition(request, "");
	enum verdict verdict = condition_for_read(&condition, object->etag, object->modified);
	char text[80];
	int kind;

	*first = 0;
	*len = object->size;
	if (verdict != VERDICT_PASS) {
		if (verdict == VERDICT_NOT_MODIFIED)
			reply_header(request, "ETag", object->etag);
		reply_verdict(request, verdict);
		return false;
	}
	if (if_range && !etag_matches(if_range, object->etag))
		range = NULL;
	kind = range ? parse_range(range, object->size, first, len) : 0;
	if (kind < 0) {
		struct pairs details = PAIRS_INIT;

		snprintf(text, sizeof(text), "%llu", (unsigned long long)object->size);
		pairs_add(&details, "RangeRequested", range);
		pairs_add(&details, "ActualObjectSize", text);
		reply_error_details(request, 416, "InvalidRange", NULL, &details);
		snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)object->size);
		reply_header(request, "Content-Range", text);
		pairs_free(&details);
		return false;
	}
	put_object_headers(request, object);
	if (object->parts > 0 && request_query(request, "partNumber")) {
		snprintf(text, sizeof(text), "%u", object->parts);
		reply_header(request, "x-amz-mp-parts-count", text);
	}
	if (kind > 0) {
		snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)*first,
			 (unsigned long long)(*first + *len - 1), (unsigned long long)object->size);
		reply_header(request, "Content-Range", text);
	}
	reply_status(request, kind > 0 ? 206 : 200);
	return true;
}

static void read_object(struct request *request, bool with_body)
{
	struct object *object = bucket_get(request->bucket, request->key);
	uint64_t first, len;

	if (!object) {
		reply_error(request, "NoSuchKey", NULL);
		return;
	}
	if (begin_read(request, object, &first, &len)) {
		if (with_body)
			set_body(request, object, first, len);
		else
			request->exchange->reply.length = len;
	}
	object_unref(object);
}

void op_get_object(struct request *request)
{
	read_object(request, true);
}

void op_head_object(struct request *request)
{
	read_object(request, false);
}

void op_put_object(struct request *request)
{
	struct condition condition;
	struct object *object;
	enum verdict verdict;
	char etag[ETAG_MAX];
	int err;

	if (!request_write_condition(request, &condition))
		return;
	object = object_create();
	if (!request_object_headers(request, &object->headers)) {
		object_unref(object);
		return;
	}
	object->modified = server_now(request->server);
	if (headers_hide_md5(&object->headers))
		request_opaque_etag(request, etag);
	else
		request_body_etag(request, etag);
	memcpy(object->etag, etag, sizeof(etag));
	object_add_extent(object, body_take_blob(&request->body), 0, request->body.size);
	err = bucket_put(request->bucket, request->key, object, &condition, NULL, &verdict);
	if (err) {
		reply_error(request, err == -ENXIO ? "NoSuchBucket" : "InternalError", NULL);
	} else if (verdict != VERDICT_PASS) {
		reply_verdict(request, verdict);
	} else {
		reply_header(request, "ETag", etag);
		reply_status(request, 200);
	}
}

void op_delete_object(struct request *request)
{
	struct condition condition;
	enum verdict verdict;
	bool existed;

	if (!request_write_condition(request, &condition))
		return;
	verdict = bucket_remove(request->bucket, request->key, &condition, &existed);
	if (verdict != VERDICT_PASS)
		reply_verdict(request, verdict);
	else
		reply_status(request, 204);
}

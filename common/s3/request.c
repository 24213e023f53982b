#include "common/s3/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/s3/digest.h"

enum { WHY_SIZE = 128 };

static const char default_type[] = "application/octet-stream";

bool os_op_is_read(enum os_op op)
{
	switch (op) {
	case OS_HEAD:
	case OS_GET:
	case OS_LIST:
	case OS_MPU_LIST:
	case OS_MPU_LIST_PARTS:
	case OS_TAGS:
	case OS_BUCKETS:
	case OS_BUCKET_HEAD: return true;
	default: return false;
	}
}

void s3_message_free(struct s3_message *message)
{
	buf_free(&message->url);
	buf_free(&message->content);
	header_list_free(&message->headers);
}

static int refuse(char *why, const char *text)
{
	snprintf(why, WHY_SIZE, "%s", text);
	return -EINVAL;
}

static void put_uri(struct buf *out, const char *text)
{
	buf_put_uri(out, text, strlen(text), false);
}

static void put_path(struct s3_message *message, const struct os_request *request,
		     const struct s3_target *target)
{
	struct buf *url = &message->url;

	buf_puts(url, target->https ? "https://" : "http://");
	buf_puts(url, target->host);
	message->path = url->len;
	buf_puts(url, target->base_path);
	buf_putc(url, '/');
	if (target->bucket && target->bucket_in_path && request->op != OS_BUCKETS) {
		put_uri(url, target->bucket);
		/* Without the slash some servers answer with a redirect to the same URL with one.
		 */
		buf_putc(url, '/');
	}
	if (request->key)
		buf_put_uri(url, request->key, strlen(request->key), true);
	message->path_len = url->len - message->path;
}

/* Parameters must be put in the order of their names: the signature is over the sorted query. */
static void put_query(struct s3_message *message, const char *name, const char *value)
{
	struct buf *url = &message->url;

	buf_putc(url, message->query ? '&' : '?');
	if (!message->query)
		message->query = url->len;
	buf_puts(url, name);
	buf_putc(url, '=');
	put_uri(url, value);
	message->query_len = url->len - message->query;
}

static void put_query_number(struct s3_message *message, const char *name, unsigned value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	put_query(message, name, text);
}

static void put_etag(struct s3_message *message, const char *name, const char *etag, bool unquote)
{
	size_t len = strlen(etag);

	if (unquote && len >= 2 && len < OS_ETAG_MAX && etag[0] == '"' && etag[len - 1] == '"')
		header_addf(&message->headers, name, "%.*s", (int)len - 2, etag + 1);
	else
		header_add(&message->headers, name, etag);
}

static void put_conditions(struct s3_message *message, const struct os_condition *condition,
			   bool unquote)
{
	if (condition->if_match)
		put_etag(message, "if-match", condition->if_match, unquote);
	if (condition->if_none_match_any)
		header_add(&message->headers, "if-none-match", "*");
	else if (condition->if_none_match)
		put_etag(message, "if-none-match", condition->if_none_match, false);
}

/* Those of request->headers that are sent and begin so. */
static void put_headers(struct s3_message *message, const struct os_request *request,
			const char *prefix)
{
	for (size_t i = 0; request->headers && i < request->headers->count; i++) {
		const struct os_meta_item *item = &request->headers->items[i];

		if (string_has_prefix(item->name, prefix) && strcmp(item->name, OS_TAG_COUNT) != 0)
			header_add(&message->headers, item->name, item->value);
	}
}

static void put_attributes(struct s3_message *message, const struct os_request *request)
{
	struct header_list *headers = &message->headers;

	header_add(headers, "content-type",
		   request->content_type ? request->content_type : default_type);
	for (size_t i = 0; request->meta && i < request->meta->count; i++)
		header_add_prefixed(headers, "x-amz-meta-", request->meta->items[i].name,
				    request->meta->items[i].value);
	put_headers(message, request, "");
}

static void put_copy_source(struct s3_message *message, const struct os_request *request,
			    const struct s3_target *target)
{
	struct buf source = BUF_INIT;

	buf_putc(&source, '/');
	put_uri(&source, target->bucket);
	buf_putc(&source, '/');
	buf_put_uri(&source, request->source_key, strlen(request->source_key), true);
	header_add(&message->headers, "x-amz-copy-source", buf_str(&source));
	if (source.failed)
		message->headers.failed = -ENOMEM;
	buf_free(&source);
	if (!request->source_if_match)
		return;
	put_etag(message, "x-amz-copy-source-if-match", request->source_if_match, false);
	/* The same old Ceph looks for the condition under this name only (rgw_rest_s3.cc). */
	if (target->unquoted_etags)
		put_etag(message, "x-amz-copy-if-match", request->source_if_match, false);
}

static int build_get(struct s3_message *message, const struct os_request *request,
		     const struct s3_resume *resume, char *why)
{
	uint64_t first = request->has_range ? request->range_first : 0;
	struct os_condition condition = request->condition;

	message->method = request->op == OS_HEAD ? "HEAD" : "GET";
	if (request->has_range &&
	    (request->range_len == 0 || first + request->range_len - 1 < first))
		return refuse(why, "an empty range");
	if (resume && resume->offset > first) {
		condition.if_match = resume->etag;
		condition.if_none_match = NULL;
		first = resume->offset;
	}
	if (request->has_range)
		header_addf(&message->headers, "range", "bytes=%" PRIu64 "-%" PRIu64, first,
			    request->range_first + request->range_len - 1);
	else if (first > 0)
		header_addf(&message->headers, "range", "bytes=%" PRIu64 "-", first);
	put_conditions(message, &condition, false);
	return 0;
}

static bool put_xml(struct buf *out, const char *text)
{
	if (!os_fits_xml(text))
		return false;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		switch (*p) {
		case '<': buf_puts(out, "&lt;"); break;
		case '>': buf_puts(out, "&gt;"); break;
		case '&': buf_puts(out, "&amp;"); break;
		case '"': buf_puts(out, "&quot;"); break;
		case '\t':
		case '\n':
		case '\r': buf_printf(out, "&#%d;", *p); break;
		default: buf_putc(out, (char)*p);
		}
	}
	return true;
}

static int build_delete_many(struct s3_message *message, const struct os_request *request,
			     char *why)
{
	struct buf *content = &message->content;
	char md5[25];

	if (request->delete_count == 0 || request->delete_count > OS_DELETE_MANY_MAX)
		return refuse(why, "a deletion of no keys or of more than 1000");
	message->method = "POST";
	message->body = S3_BODY_TEXT;
	put_query(message, "delete", "");
	buf_puts(content, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			  "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
			  "<Quiet>true</Quiet>");
	for (size_t i = 0; i < request->delete_count; i++) {
		buf_puts(content, "<Object><Key>");
		if (!put_xml(content, request->delete_keys[i]))
			return refuse(why, "a key that XML cannot hold");
		buf_puts(content, "</Key></Object>");
	}
	buf_puts(content, "</Delete>");
	if (content->failed)
		return -ENOMEM;
	/* DeleteObjects API page: Content-MD5 or a checksum is required. */
	if (digest_md5_base64(content->data, content->len, md5))
		return refuse(why, "MD5, which DeleteObjects needs, is not allowed on this system");
	header_add(&message->headers, "content-md5", md5);
	header_add(&message->headers, "content-type", "application/xml");
	return 0;
}

static int build_list(struct s3_message *message, const struct os_request *request)
{
	char delimiter[2] = {request->delimiter, '\0'};

	message->method = "GET";
	if (request->token)
		put_query(message, "continuation-token", request->token);
	if (request->delimiter)
		put_query(message, "delimiter", delimiter);
	put_query(message, "encoding-type", "url");
	put_query(message, "list-type", "2");
	if (request->max_keys)
		put_query_number(message, "max-keys", request->max_keys);
	put_query(message, "prefix", request->prefix ? request->prefix : "");
	if (request->start_after && !request->token)
		put_query(message, "start-after", request->start_after);
	return 0;
}

/* The token of OS_MPU_LIST is "KEY UPLOAD_ID", the key percent-encoded. */
static int build_mpu_list(struct s3_message *message, const struct os_request *request, char *why)
{
	char key[3 * OS_KEY_MAX + 1];
	const char *space = request->token ? strchr(request->token, ' ') : NULL;

	message->method = "GET";
	put_query(message, "encoding-type", "url");
	if (request->token) {
		if (!space || (size_t)(space - request->token) >= sizeof(key))
			return refuse(why, "a malformed continuation token");
		memcpy(key, request->token, (size_t)(space - request->token));
		key[space - request->token] = '\0';
		uri_decode(key);
		put_query(message, "key-marker", key);
	}
	put_query_number(message, "max-uploads", request->max_keys ? request->max_keys : 1000);
	if (request->prefix)
		put_query(message, "prefix", request->prefix);
	if (space)
		put_query(message, "upload-id-marker", space + 1);
	put_query(message, "uploads", "");
	return 0;
}

/* The token is the number of the last part that was listed. */
static int build_parts_list(struct s3_message *message, const struct os_request *request)
{
	message->method = "GET";
	put_query_number(message, "max-parts", request->max_keys ? request->max_keys : 1000);
	if (request->token)
		put_query(message, "part-number-marker", request->token);
	put_query(message, "uploadId", request->upload_id);
	return 0;
}

/* GET, not HEAD: it tells the error code, and the name in the answer proves that the style of the
 * address is right. A listing is what every mount needs the right for. */
static int build_bucket_head(struct s3_message *message, const struct os_request *request)
{
	message->method = "GET";
	put_query(message, "encoding-type", "url");
	put_query(message, "list-type", "2");
	put_query(message, "max-keys", "1");
	put_query(message, "prefix", request->prefix ? request->prefix : "");
	return 0;
}

static int build_copy(struct s3_message *message, const struct os_request *request,
		      const struct s3_target *target)
{
	message->method = "PUT";
	message->body = S3_BODY_TEXT;
	put_copy_source(message, request, target);
	header_add(&message->headers, "x-amz-metadata-directive",
		   request->replace_meta ? "REPLACE" : "COPY");
	if (request->replace_meta)
		put_attributes(message, request);
	else
		/* CopyObject API page: what a copy does not take over from its source, whatever
		 * becomes of the metadata. */
		put_headers(message, request, "x-amz-");
	put_conditions(message, &request->condition, target->unquoted_etags);
	return 0;
}

static int build_part(struct s3_message *message, const struct os_request *request,
		      const struct s3_target *target, char *why)
{
	if (request->part_number < 1 || request->part_number > OS_PART_COUNT_MAX)
		return refuse(why, "a part number that is not between 1 and 10000");
	message->method = "PUT";
	put_query_number(message, "partNumber", request->part_number);
	put_query(message, "uploadId", request->upload_id);
	if (request->op == OS_MPU_PART) {
		message->body = S3_BODY_SOURCE;
		header_add(&message->headers, "content-type", default_type);
		return 0;
	}
	message->body = S3_BODY_TEXT;
	put_copy_source(message, request, target);
	if (request->has_range) {
		if (request->range_len == 0)
			return refuse(why, "an empty range");
		header_addf(&message->headers, "x-amz-copy-source-range",
			    "bytes=%" PRIu64 "-%" PRIu64, request->range_first,
			    request->range_first + request->range_len - 1);
	}
	return 0;
}

static int build_complete(struct s3_message *message, const struct os_request *request,
			  const struct s3_target *target, char *why)
{
	struct buf *content = &message->content;

	if (request->part_count == 0 || request->part_count > OS_PART_COUNT_MAX)
		return refuse(why, "an upload of no parts or of more than 10000");
	message->method = "POST";
	message->body = S3_BODY_TEXT;
	put_query(message, "uploadId", request->upload_id);
	buf_puts(content, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUpload "
			  "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < request->part_count; i++) {
		buf_printf(content, "<Part><PartNumber>%u</PartNumber><ETag>",
			   request->parts[i].number);
		if (!put_xml(content, request->parts[i].etag))
			return refuse(why, "a malformed ETag");
		buf_puts(content, "</ETag></Part>");
	}
	buf_puts(content, "</CompleteMultipartUpload>");
	header_add(&message->headers, "content-type", "application/xml");
	put_conditions(message, &request->condition, target->unquoted_etags);
	return 0;
}

static int build_op(struct s3_message *message, const struct os_request *request,
		    const struct s3_target *target, const struct s3_resume *resume, char *why)
{
	switch (request->op) {
	case OS_HEAD:
	case OS_GET: return build_get(message, request, resume, why);
	case OS_PUT:
		message->method = "PUT";
		message->body = S3_BODY_SOURCE;
		put_attributes(message, request);
		put_conditions(message, &request->condition, target->unquoted_etags);
		return 0;
	case OS_DELETE:
		message->method = "DELETE";
		put_conditions(message, &request->condition, target->unquoted_etags);
		return 0;
	case OS_DELETE_MANY: return build_delete_many(message, request, why);
	case OS_LIST: return build_list(message, request);
	case OS_COPY: return build_copy(message, request, target);
	case OS_MPU_CREATE:
		message->method = "POST";
		message->body = S3_BODY_TEXT;
		put_query(message, "uploads", "");
		put_attributes(message, request);
		return 0;
	case OS_MPU_PART:
	case OS_MPU_PART_COPY: return build_part(message, request, target, why);
	case OS_MPU_COMPLETE: return build_complete(message, request, target, why);
	case OS_MPU_ABORT:
		message->method = "DELETE";
		put_query(message, "uploadId", request->upload_id);
		return 0;
	case OS_MPU_LIST: return build_mpu_list(message, request, why);
	case OS_MPU_LIST_PARTS: return build_parts_list(message, request);
	case OS_TAGS:
		message->method = "GET";
		put_query(message, "tagging", "");
		return 0;
	case OS_BUCKETS: message->method = "GET"; return 0;
	case OS_BUCKET_HEAD: return build_bucket_head(message, request);
	}
	return refuse(why, "an operation that S3 does not have");
}

static bool op_has_key(enum os_op op)
{
	switch (op) {
	case OS_DELETE_MANY:
	case OS_LIST:
	case OS_MPU_LIST:
	case OS_BUCKETS:
	case OS_BUCKET_HEAD: return false;
	default: return true;
	}
}

static int check(const struct os_request *request, const struct s3_target *target, char *why)
{
	bool upload = request->op == OS_MPU_PART || request->op == OS_MPU_PART_COPY ||
		      request->op == OS_MPU_COMPLETE || request->op == OS_MPU_ABORT ||
		      request->op == OS_MPU_LIST_PARTS;
	bool copy = request->op == OS_COPY || request->op == OS_MPU_PART_COPY;

	if (!target->bucket && request->op != OS_BUCKETS)
		return refuse(why, "no bucket is set");
	if (op_has_key(request->op) != (request->key != NULL))
		return refuse(why, "a key is missing, or given where none belongs");
	if (request->key && (!*request->key || strlen(request->key) > OS_KEY_MAX))
		return refuse(why, "a key must have 1 to 1024 bytes");
	if (copy && (!request->source_key || !*request->source_key ||
		     strlen(request->source_key) > OS_KEY_MAX))
		return refuse(why, "the source key must have 1 to 1024 bytes");
	if (upload && (!request->upload_id || !*request->upload_id))
		return refuse(why, "the upload id is missing");
	return 0;
}

int s3_message_build(struct s3_message *message, const struct os_request *request,
		     const struct s3_target *target, const struct s3_resume *resume, char *why)
{
	int err;

	buf_reset(&message->url);
	buf_reset(&message->content);
	header_list_reset(&message->headers);
	message->query = message->query_len = 0;
	message->body = S3_BODY_NONE;
	err = check(request, target, why);
	if (err)
		return err;
	put_path(message, request, target);
	header_add(&message->headers, "host", target->host);
	err = build_op(message, request, target, resume, why);
	if (err)
		return err;
	if (message->headers.failed == -EINVAL)
		return refuse(why,
			      "metadata or an ETag with control characters, or too much of it");
	if (message->url.failed || message->content.failed || message->headers.failed)
		return -ENOMEM;
	return 0;
}

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/s3server/request.h"

/* "/bucket/key" or "bucket/key", percent-encoded, perhaps with ?versionId=null. */
static bool parse_copy_source(const char *text, char **bucket, char **key)
{
	size_t len = strcspn(text, "?");
	bool had_nul;
	char *decoded, *slash;

	if (text[len] && strcmp(text + len, "?versionId=null") != 0)
		return false;
	decoded = uri_decoded(text, len, &had_nul);
	slash = strchr(decoded + (*decoded == '/'), '/');
	if (had_nul || !slash || !slash[1]) {
		free(decoded);
		return false;
	}
	*slash = '\0';
	*bucket = xstrdup(decoded + (*decoded == '/'));
	*key = xstrdup(slash + 1);
	free(decoded);
	return true;
}

struct object *request_copy_source(struct request *request, char **bucket_name, char **key)
{
	struct condition condition = request_condition(request, "x-amz-copy-source-");
	struct object *object = NULL;
	struct bucket *bucket;

	if (!parse_copy_source(request_header(request, "x-amz-copy-source"), bucket_name, key)) {
		reply_error(request, "InvalidArgument",
			    "Copy Source must mention the source bucket and key: "
			    "sourcebucket/sourcekey");
		return NULL;
	}
	bucket = bucket_find(request->server->store, *bucket_name);
	if (bucket)
		object = bucket_get(bucket, *key);
	if (!object) {
		reply_error(request, bucket ? "NoSuchKey" : "NoSuchBucket", NULL);
		return NULL;
	}
	/* a copy knows no 304: whatever does not hold is 412 */
	if (condition_for_read(&condition, object->etag, object->modified) != VERDICT_PASS) {
		reply_error(request, "PreconditionFailed", NULL);
		object_unref(object);
		return NULL;
	}
	return object;
}

/* CopyObject API page: these are the destination's alone, whatever the metadata directive. */
static bool is_of_destination(const char *name)
{
	static const char *const names[] = {
		"x-amz-storage-class",
		"x-amz-server-side-encryption",
		"x-amz-server-side-encryption-aws-kms-key-id",
		"x-amz-server-side-encryption-bucket-key-enabled",
		"x-amz-website-redirect-location",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static bool is_replace(const struct request *request, const char *directive)
{
	const char *value = request_header(request, directive);

	return value && strcasecmp(value, "REPLACE") == 0;
}

/* The new object shares the source's files. Returns NULL when replied. */
static struct object *make_copy(struct request *request, const struct object *source)
{
	bool replace = is_replace(request, "x-amz-metadata-directive");
	struct pairs sent = PAIRS_INIT;
	struct object *copy;

	if (!request_object_headers(request, &sent)) {
		pairs_free(&sent);
		return NULL;
	}
	copy = object_create();
	for (size_t i = 0; i < sent.count; i++)
		if (replace || is_of_destination(sent.items[i].name))
			pairs_add(&copy->headers, sent.items[i].name, sent.items[i].value);
	for (size_t i = 0; i < source->headers.count && !replace; i++)
		if (!is_of_destination(source->headers.items[i].name))
			pairs_add(&copy->headers, source->headers.items[i].name,
				  source->headers.items[i].value);
	object_set_tags(
		copy,
		pairs_get(is_replace(request, "x-amz-tagging-directive") ? &sent : &source->headers,
			  TAGS_HEADER));
	pairs_free(&sent);
	if (headers_hide_md5(&source->headers) || headers_hide_md5(&copy->headers))
		request_opaque_etag(request, copy->etag);
	else
		memcpy(copy->etag, source->etag, sizeof(copy->etag));
	copy->parts = source->parts;
	copy->modified = server_now(request->server);
	object_append_range(copy, source, 0, source->size);
	return copy;
}

static bool is_pointless(struct request *request, const char *bucket, const char *key)
{
	return strcmp(bucket, request->bucket_name) == 0 && strcmp(key, request->key) == 0 &&
	       !is_replace(request, "x-amz-metadata-directive") &&
	       !request_header(request, "x-amz-storage-class");
}

static void reply_copied(struct request *request, const char *element, const char *etag,
			 int64_t modified)
{
	struct buf *body = reply_document(request, element);

	put_element_date(body, "LastModified", modified);
	put_element(body, "ETag", etag);
	buf_printf(body, "</%s>", element);
	reply_status(request, 200);
}

static void copy_object(struct request *request, const struct object *source,
			const struct condition *condition)
{
	struct object *copy = make_copy(request, source);
	enum verdict verdict;
	char etag[ETAG_MAX];
	int64_t modified;
	int err;

	if (!copy)
		return;
	memcpy(etag, copy->etag, sizeof(etag));
	modified = copy->modified;
	err = bucket_put(request->bucket, request->key, copy, condition, NULL, &verdict);
	if (err)
		reply_error(request, err == -ENXIO ? "NoSuchBucket" : "InternalError", NULL);
	else if (verdict != VERDICT_PASS)
		reply_verdict(request, verdict);
	else
		reply_copied(request, "CopyObjectResult", etag, modified);
}

void op_copy_object(struct request *request)
{
	char *bucket = NULL, *key = NULL;
	struct condition condition;
	struct object *source;

	if (!request_write_condition(request, &condition))
		return;
	source = request_copy_source(request, &bucket, &key);
	if (source && source->size > request->server->config.limits.copy_size)
		reply_error(request, "InvalidRequest",
			    "The specified copy source is larger than the maximum allowable size "
			    "for a copy source");
	else if (source && is_pointless(request, bucket, key))
		reply_error(
			request, "InvalidRequest",
			"This copy request is illegal because it is trying to copy an object to "
			"itself without changing the object's metadata, storage class, website "
			"redirect location or encryption attributes.");
	else if (source)
		copy_object(request, source, &condition);
	object_unref(source);
	free(bucket);
	free(key);
}

/* "bytes=first-last": unlike Range, this form has no open ends. */
static bool parse_whole_range(const char *text, uint64_t *first, uint64_t *last)
{
	char *end;

	if (!string_has_prefix(text, "bytes=") || text[6] < '0' || text[6] > '9')
		return false;
	*first = strtoull(text + 6, &end, 10);
	if (end[0] != '-' || end[1] < '0' || end[1] > '9')
		return false;
	*last = strtoull(end + 1, &end, 10);
	return *end == '\0' && *last >= *first;
}

/* False: replied. */
static bool copy_range(struct request *request, const struct object *source, uint64_t *first,
		       uint64_t *len)
{
	const char *range = request_header(request, "x-amz-copy-source-range");
	uint64_t last;

	*first = 0;
	*len = source->size;
	if (range) {
		if (!parse_whole_range(range, first, &last)) {
			reply_error(request, "InvalidArgument",
				    "The x-amz-copy-source-range value must be of the form "
				    "bytes=first-last");
			return false;
		}
		if (last >= source->size) {
			reply_error(request, "InvalidRange", NULL);
			return false;
		}
		*len = last - *first + 1;
	}
	if (*len <= request->server->config.limits.part_size)
		return true;
	reply_error(request, "EntityTooLarge", NULL);
	return false;
}

/* The ETag of a part is the MD5 of its bytes, which S3 clients put into the list of parts as it is;
 * so any unique text serves, and the bytes need not be read. */
static void part_copy_etag(const struct object *source, uint64_t first, uint64_t len,
			   char etag[ETAG_MAX])
{
	unsigned char digest[HASH_BYTES_MAX];
	char text[ETAG_MAX + 48], hex[33];
	struct hash hash = {0};

	snprintf(text, sizeof(text), "%s %llx %llx", source->etag, (unsigned long long)first,
		 (unsigned long long)len);
	hash_start(&hash, HASH_MD5);
	hash_update(&hash, text, strlen(text));
	hash_finish(&hash, digest);
	hex_encode(digest, 16, hex);
	snprintf(etag, ETAG_MAX, "\"%s\"", hex);
}

static void copy_part(struct request *request, const struct object *source, unsigned number)
{
	struct object *part;
	uint64_t first, len;
	char etag[ETAG_MAX];
	int64_t modified;
	int err;

	if (!copy_range(request, source, &first, &len))
		return;
	part = object_create();
	object_append_range(part, source, first, len);
	part_copy_etag(source, first, len, part->etag);
	part->modified = modified = server_now(request->server);
	memcpy(etag, part->etag, sizeof(etag));
	err = upload_put_part(request->bucket, request->key, request_query(request, "uploadId"),
			      number, part);
	if (err)
		reply_error(request, err == -ENOENT ? "NoSuchUpload" : "InternalError", NULL);
	else
		reply_copied(request, "CopyPartResult", etag, modified);
}

void op_upload_part_copy(struct request *request)
{
	char *bucket = NULL, *key = NULL;
	struct object *source;
	unsigned number;

	if (!request_part_number(request, &number))
		return;
	source = request_copy_source(request, &bucket, &key);
	if (source)
		copy_part(request, source, number);
	object_unref(source);
	free(bucket);
	free(key);
}

#include <stdlib.h>
#include <string.h>

#include "tests/s3server/request.h"

/* One page of a listing, as both versions of the API and the list of uploads ask for it. */
struct page {
	const char *prefix, *delimiter;
	char *after; /* keys up to and with it are done; a common prefix: all below it too */
	unsigned max;
	bool encode; /* encoding-type=url */
	/* results */
	unsigned count;
	bool truncated;
	char *last; /* where the next page starts after */
	struct buf contents, prefixes;
};

static void page_free(struct page *page)
{
	free(page->after);
	free(page->last);
	buf_free(&page->contents);
	buf_free(&page->prefixes);
}

/* Returns false when replied. */
static bool page_read(struct request *request, struct page *page)
{
	const char *max = request_query(request, "max-keys");
	const char *encoding = request_query(request, "encoding-type");
	unsigned limit = request->server->config.limits.list_keys;
	int64_t number = limit;

	memset(page, 0, sizeof(*page));
	page->prefix = request_query(request, "prefix");
	page->prefix = page->prefix ? page->prefix : "";
	page->delimiter = request_query(request, "delimiter");
	if (page->delimiter && !*page->delimiter)
		page->delimiter = NULL;
	if (max && *max && parse_int(max, 0, INT32_MAX, &number)) {
		reply_error(request, "InvalidArgument",
			    "Provided max-keys not an integer or within integer range");
		return false;
	}
	page->max = number < limit ? (unsigned)number : limit;
	if (encoding && strcmp(encoding, "url") != 0) {
		reply_error(request, "InvalidArgument",
			    "Invalid Encoding Method specified in Request");
		return false;
	}
	page->encode = encoding != NULL;
	return true;
}

static void put_key(struct page *page, const char *key, const struct object *object)
{
	struct buf *buf = &page->contents;
	const char *storage_class = pairs_get(&object->headers, "x-amz-storage-class");

	buf_puts(buf, "<Contents>");
	put_element_encoded(buf, "Key", key, page->encode);
	put_element_date(buf, "LastModified", object->modified);
	put_element(buf, "ETag", object->etag);
	put_element_number(buf, "Size", object->size);
	put_element(buf, "StorageClass", storage_class ? storage_class : "STANDARD");
	buf_puts(buf, "</Contents>");
}

/* The common prefix that key belongs to, or NULL. The caller frees it. */
static char *common_prefix(const struct page *page, const char *key)
{
	const char *rest = key + strlen(page->prefix), *found;

	if (!page->delimiter)
		return NULL;
	found = strstr(rest, page->delimiter);
	return found ? strndup(key, (size_t)(found - key) + strlen(page->delimiter)) : NULL;
}

static struct index_node *page_start(const struct page *page, const struct bucket *bucket)
{
	size_t prefix_len = strlen(page->prefix);
	char *rolled;
	struct index_node *node;

	if (!page->after || strcmp(page->after, page->prefix) < 0)
		return index_seek(bucket->objects, page->prefix, 0);
	if (strncmp(page->after, page->prefix, prefix_len) != 0)
		return index_seek(bucket->objects, page->after, 1);
	/* after a common prefix: behind everything that it stands for */
	rolled = common_prefix(page, page->after);
	if (rolled && strcmp(rolled, page->after) == 0)
		node = index_seek_past(bucket->objects, rolled);
	else
		node = index_seek(bucket->objects, page->after, 1);
	free(rolled);
	return node;
}

/* Each common prefix costs one seek, however many keys are below it. */
static void page_fill(struct page *page, struct bucket *bucket)
{
	size_t prefix_len = strlen(page->prefix);
	struct index_node *node;

	pthread_rwlock_rdlock(&bucket->lock);
	node = page_start(page, bucket);
	while (node && strncmp(index_key(node), page->prefix, prefix_len) == 0) {
		char *rolled;

		if (page->count == page->max) {
			page->truncated = page->max > 0;
			break;
		}
		rolled = common_prefix(page, index_key(node));
		free(page->last);
		page->last = rolled ? rolled : xstrdup(index_key(node));
		if (rolled) {
			buf_puts(&page->prefixes, "<CommonPrefixes>");
			put_element_encoded(&page->prefixes, "Prefix", rolled, page->encode);
			buf_puts(&page->prefixes, "</CommonPrefixes>");
			node = index_seek_past(bucket->objects, rolled);
		} else {
			put_key(page, index_key(node), index_value(node));
			node = index_next(node);
		}
		page->count++;
	}
	pthread_rwlock_unlock(&bucket->lock);
}

static void put_page(struct request *request, const struct page *page, struct buf *body)
{
	put_element(body, "Name", request->bucket_name);
	put_element_encoded(body, "Prefix", page->prefix, page->encode);
	if (page->delimiter)
		put_element_encoded(body, "Delimiter", page->delimiter, page->encode);
	put_element_number(body, "MaxKeys", page->max);
	if (page->encode)
		put_element(body, "EncodingType", "url");
	put_element(body, "IsTruncated", page->truncated ? "true" : "false");
	buf_append(body, page->contents.data, page->contents.len);
	buf_append(body, page->prefixes.data, page->prefixes.len);
}

/* A token is opaque to clients: the key in hexadecimal behind a mark. */
static char *token_make(const char *key)
{
	struct buf token = BUF_INIT;

	buf_puts(&token, "1.");
	buf_put_hex(&token, key, strlen(key));
	return buf_steal(&token);
}

static char *token_read(const char *token)
{
	size_t len = strlen(token);
	char *key;

	if (len < 2 || strncmp(token, "1.", 2) != 0 || len % 2 ||
	    strspn(token + 2, "0123456789abcdef") != len - 2)
		return NULL;
	key = xmalloc(len / 2);
	for (size_t i = 0; i < len / 2 - 1; i++) {
		char digits[3] = {token[2 + 2 * i], token[3 + 2 * i], '\0'};

		key[i] = (char)strtoul(digits, NULL, 16);
	}
	return key;
}

void op_list_objects_v2(struct request *request)
{
	const char *token = request_query(request, "continuation-token");
	const char *start_after = request_query(request, "start-after");
	const char *type = request_query(request, "list-type");
	struct page page;
	struct buf *body;

	if (strcmp(type, "2") != 0) {
		reply_error(request, "InvalidArgument", "list-type must be 2");
		return;
	}
	if (!page_read(request, &page))
		return;
	if (token)
		page.after = token_read(token);
	else if (start_after && *start_after)
		page.after = xstrdup(start_after);
	if (token && !page.after) {
		reply_error(request, "InvalidArgument",
			    "The continuation token provided is incorrect");
		return;
	}
	page_fill(&page, request->bucket);
	body = reply_document(request, "ListBucketResult");
	put_page(request, &page, body);
	put_element_number(body, "KeyCount", page.count);
	if (token)
		put_element(body, "ContinuationToken", token);
	if (start_after)
		put_element_encoded(body, "StartAfter", start_after, page.encode);
	if (page.truncated) {
		char *next = token_make(page.last);

		put_element(body, "NextContinuationToken", next);
		free(next);
	}
	buf_puts(body, "</ListBucketResult>");
	page_free(&page);
	reply_status(request, 200);
}

void op_list_objects_v1(struct request *request)
{
	const char *marker = request_query(request, "marker");
	struct page page;
	struct buf *body;

	if (!page_read(request, &page))
		return;
	if (marker && *marker)
		page.after = xstrdup(marker);
	page_fill(&page, request->bucket);
	body = reply_document(request, "ListBucketResult");
	put_page(request, &page, body);
	put_element_encoded(body, "Marker", marker ? marker : "", page.encode);
	if (page.truncated && page.delimiter)
		put_element_encoded(body, "NextMarker", page.last, page.encode);
	buf_puts(body, "</ListBucketResult>");
	page_free(&page);
	reply_status(request, 200);
}

static void put_upload(struct buf *body, const struct upload *upload, bool encode)
{
	buf_puts(body, "<Upload>");
	put_element_encoded(body, "Key", upload->key, encode);
	put_element(body, "UploadId", upload->id);
	buf_puts(body, "<Initiator><ID>s3server</ID></Initiator><Owner><ID>s3server</ID></Owner>");
	put_element(body, "StorageClass", "STANDARD");
	put_element_date(body, "Initiated", upload->initiated);
	buf_puts(body, "</Upload>");
}

/* No delimiter: clients ask for uploads by prefix only. */
void op_list_multipart_uploads(struct request *request)
{
	const char *key_marker = request_query(request, "key-marker");
	const char *id_marker = request_query(request, "upload-id-marker");
	const char *prefix = request_query(request, "prefix"),
		   *encoding = request_query(request, "encoding-type");
	const char *last_key = "", *last_id = "";
	const char *max_text = request_query(request, "max-uploads");
	struct bucket *bucket = request->bucket;
	struct buf *body = reply_document(request, "ListMultipartUploadsResult");
	int64_t left = request->server->config.limits.list_keys, max = left;
	struct index_node *node;
	char *start;

	if (max_text && parse_int(max_text, 1, left, &max))
		max = left;
	left = max;
	prefix = prefix ? prefix : "";
	put_element(body, "Bucket", request->bucket_name);
	put_element_encoded(body, "Prefix", prefix, encoding != NULL);
	put_element_number(body, "MaxUploads", (uint64_t)max);
	start = !key_marker ? xstrdup(prefix)
		: id_marker ? upload_index_key(key_marker, id_marker)
			    : xasprintf("%s\x02", key_marker);
	pthread_rwlock_rdlock(&bucket->lock);
	node = index_seek(bucket->uploads, start, key_marker != NULL);
	for (; node && left > 0; node = index_next(node)) {
		const struct upload *upload = index_value(node);

		if (!string_has_prefix(upload->key, prefix)) {
			if (strcmp(upload->key, prefix) < 0)
				continue; /* the marker was before the prefix */
			break;
		}
		put_upload(body, upload, encoding != NULL);
		last_key = upload->key;
		last_id = upload->id;
		left--;
	}
	if (node && !string_has_prefix(((const struct upload *)index_value(node))->key, prefix))
		node = NULL;
	put_element(body, "IsTruncated", node && left == 0 ? "true" : "false");
	if (node && left == 0) {
		put_element_encoded(body, "NextKeyMarker", last_key, encoding != NULL);
		put_element(body, "NextUploadIdMarker", last_id);
	}
	pthread_rwlock_unlock(&bucket->lock);
	if (encoding)
		put_element(body, "EncodingType", "url");
	buf_puts(body, "</ListMultipartUploadsResult>");
	free(start);
	reply_status(request, 200);
}

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "tests/s3server/request.h"
#include "tests/s3server/xml_scan.h"

bool request_part_number(struct request *request, unsigned *number)
{
	const char *text = request_query(request, "partNumber");
	int64_t value;

	if (!text || parse_int(text, 1, PART_NUMBER_MAX, &value)) {
		reply_error(request, "InvalidArgument",
			    "Part number must be an integer between 1 and 10000, inclusive");
		return false;
	}
	*number = (unsigned)value;
	return true;
}

void op_create_multipart_upload(struct request *request)
{
	struct pairs headers = PAIRS_INIT;
	char id[UPLOAD_ID_BYTES + 1];
	struct buf *body;

	if (request_object_headers(request, &headers)) {
		upload_create(request->bucket, request->key, &headers, server_now(request->server),
			      id);
		body = reply_document(request, "InitiateMultipartUploadResult");
		put_element(body, "Bucket", request->bucket_name);
		put_element(body, "Key", request->key);
		put_element(body, "UploadId", id);
		buf_puts(body, "</InitiateMultipartUploadResult>");
		reply_status(request, 200);
	}
	pairs_free(&headers);
}

void op_upload_part(struct request *request)
{
	struct object *part;
	char etag[ETAG_MAX];
	unsigned number;
	int err;

	if (!request_part_number(request, &number))
		return;
	part = object_create();
	request_body_etag(request, etag);
	memcpy(part->etag, etag, sizeof(etag));
	part->modified = server_now(request->server);
	object_add_extent(part, body_take_blob(&request->body), 0, request->body.size);
	err = upload_put_part(request->bucket, request->key, request_query(request, "uploadId"),
			      number, part);
	if (err) {
		reply_error(request, err == -ENOENT ? "NoSuchUpload" : "InternalError", NULL);
		return;
	}
	reply_header(request, "ETag", etag);
	reply_status(request, 200);
}

/* One entry of CompleteMultipartUpload's list; etag points into the document. */
struct listed {
	unsigned number;
	const char *etag;
};

/* Returns the S3 error code, or NULL. The caller frees *out. */
static const char *read_list(struct request *request, struct listed **out, size_t *count)
{
	struct listed *parts = xmalloc(PART_NUMBER_MAX * sizeof(*parts)), part = {0};
	struct xml_scan scan;
	enum xml_event event;
	const char *error = NULL;

	*out = parts;
	*count = 0;
	if (request->body.memory.len == 0)
		return "MalformedXML";
	xml_scan_start(&scan, request->body.memory.data);
	while ((event = xml_scan_next(&scan)) == XML_OPEN || event == XML_CLOSE) {
		if (event == XML_OPEN)
			continue;
		if (strcmp(scan.name, "PartNumber") == 0) {
			part.number = (unsigned)strtoul(scan.text, NULL, 10);
		} else if (strcmp(scan.name, "ETag") == 0) {
			part.etag = scan.text;
		} else if (strcmp(scan.name, "Part") == 0) {
			if (*count == PART_NUMBER_MAX || part.number == 0 || !part.etag)
				return "MalformedXML";
			if (*count > 0 && parts[*count - 1].number >= part.number)
				error = "InvalidPartOrder";
			parts[(*count)++] = part;
			part = (struct listed){0};
		}
	}
	return event == XML_BAD || *count == 0 ? "MalformedXML" : error;
}

static const struct part *find_part(const struct upload *upload, unsigned number)
{
	size_t low = 0, high = upload->part_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (upload->parts[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < upload->part_count && upload->parts[low].number == number ? &upload->parts[low]
									       : NULL;
}

/* The MD5 of the parts' MD5s, in binary where they are MD5s, and the number of parts. */
static void complete_etag(struct hash *hash, size_t count, char etag[ETAG_MAX])
{
	unsigned char digest[HASH_BYTES_MAX];
	char hex[33];

	hash_finish(hash, digest);
	hex_encode(digest, 16, hex);
	snprintf(etag, ETAG_MAX, "\"%s-%zu\"", hex, count);
}

static void hash_etag(struct hash *hash, const char *etag)
{
	unsigned char digest[16];
	char byte[3] = "";

	if (strlen(etag) != 34 || strspn(etag + 1, "0123456789abcdef") != 32) {
		hash_update(hash, etag, strlen(etag));
		return;
	}
	for (size_t i = 0; i < 16; i++) {
		memcpy(byte, etag + 1 + 2 * i, 2);
		digest[i] = (unsigned char)strtoul(byte, NULL, 16);
	}
	hash_update(hash, digest, sizeof(digest));
}

/* Returns the S3 error code, or NULL with *out. */
static const char *assemble(struct request *request, const struct upload *upload,
			    const struct listed *listed, size_t count, struct object **out)
{
	const struct limits *limits = &request->server->config.limits;
	struct object *object = object_create();
	struct hash hash = {0};
	const char *error = NULL;

	hash_start(&hash, HASH_MD5);
	for (size_t i = 0; i < count && !error; i++) {
		const struct part *part = find_part(upload, listed[i].number);

		if (!part || !etag_matches(listed[i].etag, part->object->etag)) {
			error = "InvalidPart";
		} else if (i + 1 < count && part->object->size < limits->part_size_min) {
			error = "EntityTooSmall";
		} else {
			object_append_range(object, part->object, 0, part->object->size);
			hash_etag(&hash, part->object->etag);
		}
	}
	complete_etag(&hash, count, object->etag);
	if (error) {
		object_unref(object);
		return error;
	}
	for (size_t i = 0; i < upload->headers.count; i++)
		pairs_add(&object->headers, upload->headers.items[i].name,
			  upload->headers.items[i].value);
	object->parts = (unsigned)count;
	object->modified = server_now(request->server);
	*out = object;
	return NULL;
}

static void reply_completed(struct request *request, const char *etag)
{
	struct buf *body = reply_document(request, "CompleteMultipartUploadResult");
	const char *host = request_header(request, "Host");

	buf_puts(body, "<Location>http://");
	buf_put_xml(body, host ? host : "localhost");
	buf_put_uri(body, request->exchange->path, strlen(request->exchange->path), true);
	buf_puts(body, "</Location>");
	put_element(body, "Bucket", request->bucket_name);
	put_element(body, "Key", request->key);
	put_element(body, "ETag", etag);
	buf_puts(body, "</CompleteMultipartUploadResult>");
	reply_status(request, 200);
}

static void complete(struct request *request, const struct upload *upload,
		     const struct condition *condition)
{
	struct listed *listed = NULL;
	struct object *object = NULL;
	size_t count;
	const char *error = read_list(request, &listed, &count);
	char etag[ETAG_MAX];
	enum verdict verdict;
	int err;

	if (!error)
		error = assemble(request, upload, listed, count, &object);
	free(listed);
	if (error) {
		reply_error(request, error, NULL);
		return;
	}
	memcpy(etag, object->etag, sizeof(etag));
	err = bucket_put(request->bucket, request->key, object, condition, upload->id, &verdict);
	if (err)
		reply_error(request, err == -ENOENT ? "NoSuchUpload" : "InternalError", NULL);
	else if (verdict != VERDICT_PASS)
		reply_verdict(request, verdict);
	else
		reply_completed(request, etag);
}

void op_complete_multipart_upload(struct request *request)
{
	struct condition condition;
	struct upload upload;

	if (!request_write_condition(request, &condition))
		return;
	if (upload_snapshot(request->bucket, request->key, request_query(request, "uploadId"),
			    &upload)) {
		reply_error(request, "NoSuchUpload", NULL);
		return;
	}
	complete(request, &upload, &condition);
	upload_snapshot_free(&upload);
}

void op_abort_multipart_upload(struct request *request)
{
	if (upload_abort(request->bucket, request->key, request_query(request, "uploadId")))
		reply_error(request, "NoSuchUpload", NULL);
	else
		reply_status(request, 204);
}

static void put_parts(struct buf *body, const struct upload *upload, unsigned after, unsigned max)
{
	unsigned last = after;
	bool truncated = false;

	for (size_t i = 0; i < upload->part_count; i++) {
		const struct part *part = &upload->parts[i];

		if (part->number <= after)
			continue;
		truncated = max == 0;
		if (truncated)
			break;
		buf_puts(body, "<Part>");
		put_element_number(body, "PartNumber", part->number);
		put_element_date(body, "LastModified", part->object->modified);
		put_element(body, "ETag", part->object->etag);
		put_element_number(body, "Size", part->object->size);
		buf_puts(body, "</Part>");
		last = part->number;
		max--;
	}
	put_element(body, "IsTruncated", truncated ? "true" : "false");
	if (truncated)
		put_element_number(body, "NextPartNumberMarker", last);
}

void op_list_parts(struct request *request)
{
	const char *after_text = request_query(request, "part-number-marker");
	const char *max_text = request_query(request, "max-parts");
	int64_t after = 0, max = request->server->config.limits.list_keys, limit = max;
	struct upload upload;
	struct buf *body;

	if ((after_text && *after_text && parse_int(after_text, 0, INT32_MAX, &after)) ||
	    (max_text && *max_text && parse_int(max_text, 0, INT32_MAX, &max))) {
		reply_error(request, "InvalidArgument", NULL);
		return;
	}
	if (upload_snapshot(request->bucket, request->key, request_query(request, "uploadId"),
			    &upload)) {
		reply_error(request, "NoSuchUpload", NULL);
		return;
	}
	max = max < limit ? max : limit;
	body = reply_document(request, "ListPartsResult");
	put_element(body, "Bucket", request->bucket_name);
	put_element(body, "Key", request->key);
	put_element(body, "UploadId", upload.id);
	put_element(body, "StorageClass", "STANDARD");
	put_element_number(body, "PartNumberMarker", (uint64_t)after);
	put_element_number(body, "MaxParts", (uint64_t)max);
	put_parts(body, &upload, (unsigned)after, (unsigned)max);
	buf_puts(body, "</ListPartsResult>");
	upload_snapshot_free(&upload);
	reply_status(request, 200);
}

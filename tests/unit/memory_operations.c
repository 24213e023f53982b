#include "tests/unit/memory_operations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

int memory_fail(struct os_request *request, int err, int status, const char *code)
{
	request->result.err = err;
	request->result.http_status = status;
	snprintf(request->result.code, sizeof(request->result.code), "%s", code);
	snprintf(request->result.message, sizeof(request->result.message), "%s: %s",
		 os_op_name(request->op), code);
	return err;
}

static int64_t last_modified(struct objstore_memory *memory)
{
	int64_t wall = executor_wall(memory->executor);

	return wall - wall % (int64_t)NSEC_PER_SEC;
}

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void describe(struct os_result *result, const struct memory_object *object)
{
	copy_text(result->etag, sizeof(result->etag), object->etag);
	copy_text(result->content_type, sizeof(result->content_type), object->content_type);
	result->size = object->size;
	result->last_modified = object->last_modified;
	CHECK(os_meta_copy(&result->meta, &object->meta) == 0);
	CHECK(os_meta_copy(&result->headers, &object->headers) == 0);
	if (os_meta_get(&result->headers, OS_TAGGING)) {
		CHECK(os_meta_set(&result->headers, OS_TAGGING, NULL) == 0);
		CHECK(os_meta_set(&result->headers, OS_TAG_COUNT, "1") == 0);
	}
}

/* Key and metadata of what makes an object (limits: S3 user guide). */
static int check_object(struct os_request *request)
{
	size_t len = strlen(request->key);

	if (len == 0 || len > OS_KEY_MAX)
		return memory_fail(request, -EINVAL, 400, "KeyTooLongError");
	if (request->meta && os_meta_bytes(request->meta) > OS_META_BYTES_MAX)
		return memory_fail(request, -EINVAL, 400, "MetadataTooLarge");
	return 0;
}

static int check_write_condition(struct objstore_memory *memory, struct os_request *request,
				 enum condition_support support)
{
	const struct memory_object *object = memory_bucket_find(&memory->bucket, request->key);
	const struct os_condition *condition = &request->condition;

	if ((!condition->if_match && !condition->if_none_match_any) ||
	    support == CONDITIONS_IGNORED)
		return 0;
	if (support == CONDITIONS_NOT_IMPLEMENTED)
		return memory_fail(request, -EOPNOTSUPP, 501, "NotImplemented");
	if (condition->if_none_match_any && object)
		return memory_fail(request, -ESTALE, 412, "PreconditionFailed");
	if (!condition->if_match)
		return 0;
	if (!object && request->op != OS_COPY)
		return memory_fail(request, -ESTALE, 404, "NoSuchKey");
	if (!object || strcmp(object->etag, condition->if_match) != 0)
		return memory_fail(request, -ESTALE, 412, "PreconditionFailed");
	return 0;
}

/* The object to read, or NULL and the result says why. */
static const struct memory_object *find_readable(struct objstore_memory *memory,
						 struct os_request *request)
{
	const struct memory_object *object = memory_bucket_find(&memory->bucket, request->key);
	const struct os_condition *condition = &request->condition;
	bool head = request->op == OS_HEAD; /* its answers have no body, and so no code */

	if (!object) {
		memory_fail(request, -ENOENT, 404, head ? "" : "NoSuchKey");
		return NULL;
	}
	if (condition->if_match && strcmp(condition->if_match, object->etag) != 0) {
		memory_fail(request, -ESTALE, 412, head ? "" : "PreconditionFailed");
		return NULL;
	}
	if (condition->if_none_match && strcmp(condition->if_none_match, object->etag) == 0) {
		memory_fail(request, -EALREADY, 304, "");
		return NULL;
	}
	return object;
}

static void head(struct objstore_memory *memory, struct os_request *request)
{
	const struct memory_object *object = find_readable(memory, request);

	if (object)
		describe(&request->result, object);
}

static void tags(struct objstore_memory *memory, struct os_request *request)
{
	const struct memory_object *object = find_readable(memory, request);
	const char *value = object ? os_meta_get(&object->headers, OS_TAGGING) : NULL;

	if (value)
		CHECK(os_meta_set(&request->result.headers, OS_TAGGING, value) == 0);
}

static void get(struct objstore_memory *memory, struct os_request *request)
{
	const struct memory_object *object = find_readable(memory, request);
	uint64_t at = 0, end;

	if (!object)
		return;
	end = object->size;
	if (request->has_range) {
		at = request->range_first;
		if (at >= end || request->range_len == 0) {
			memory_fail(request, -ERANGE, 416, "InvalidRange");
			return;
		}
		if (request->range_len < end - at)
			end = at + request->range_len;
	}
	describe(&request->result, object);
	while (at < end && request->result.err == 0) {
		size_t len = end - at < memory->chunk ? (size_t)(end - at) : memory->chunk;

		request->result.err = request->sink.write(request->sink.context, object->data + at,
							  len, at);
		at += len;
	}
}

/* The body of a request; NULL: the source failed, and the result says so. */
static unsigned char *read_body(struct objstore_memory *memory, struct os_request *request)
{
	const struct os_source *body = &request->body;
	unsigned char *data = malloc(body->len + 1);

	CHECK(data != NULL);
	for (uint64_t at = 0; at < body->len;) {
		size_t len = body->len - at < memory->chunk ? (size_t)(body->len - at)
							    : memory->chunk;
		int err = body->read(body->context, data + at, len, at);

		if (err < 0) {
			free(data);
			memory_fail(request, err, 0, "");
			return NULL;
		}
		at += len;
	}
	return data;
}

static void store_object(struct objstore_memory *memory, struct os_request *request,
			 struct memory_object *object)
{
	object->last_modified = last_modified(memory);
	copy_text(request->result.etag, OS_ETAG_MAX, object->etag);
	memory_bucket_insert(&memory->bucket, object);
}

static void put(struct objstore_memory *memory, struct os_request *request)
{
	struct memory_object *object;
	unsigned char *data;

	if (check_object(request))
		return;
	data = read_body(memory, request);
	if (!data)
		return;
	if (check_write_condition(memory, request, memory->conditions.put)) {
		free(data);
		return;
	}
	object = memory_object_new(request);
	memory_object_fill(object, data, request->body.len);
	store_object(memory, request, object);
}

static void delete_one(struct objstore_memory *memory, struct os_request *request)
{
	if (!memory_bucket_find(&memory->bucket, request->key))
		return;
	if (check_write_condition(memory, request, memory->conditions.delete) == 0)
		memory_bucket_remove(&memory->bucket, request->key);
}

static void delete_many(struct objstore_memory *memory, struct os_request *request)
{
	if (request->delete_count == 0 || request->delete_count > OS_DELETE_MANY_MAX) {
		memory_fail(request, -EINVAL, 400, "MalformedXML");
		return;
	}
	request->result.delete_errors = calloc(request->delete_count, sizeof(int));
	CHECK(request->result.delete_errors != NULL);
	for (size_t i = 0; i < request->delete_count; i++)
		memory_bucket_remove(&memory->bucket, request->delete_keys[i]);
}

/* The source of a copy, or NULL and the result says why. */
static const struct memory_object *find_source(struct objstore_memory *memory,
					       struct os_request *request)
{
	const struct memory_object *source = memory_bucket_find(&memory->bucket,
								request->source_key);

	if (!source) {
		memory_fail(request, -ENOENT, 404, "NoSuchKey");
		return NULL;
	}
	if (request->source_if_match && strcmp(request->source_if_match, source->etag) != 0) {
		memory_fail(request, -ESTALE, 412, "PreconditionFailed");
		return NULL;
	}
	return source;
}

static unsigned char *copy_bytes(const unsigned char *data, size_t len)
{
	unsigned char *copy = malloc(len + 1);

	CHECK(copy != NULL);
	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

/* CopyObject's API page: a copy onto itself must change something. */
static void copy(struct objstore_memory *memory, struct os_request *request)
{
	const struct memory_object *source;
	struct memory_object *object;
	struct os_request like;

	if (check_object(request))
		return;
	source = find_source(memory, request);
	if (!source || check_write_condition(memory, request, memory->conditions.copy))
		return;
	if (!request->replace_meta && strcmp(request->source_key, request->key) == 0) {
		memory_fail(request, -EINVAL, 400, "InvalidRequest");
		return;
	}
	like = *request;
	if (!request->replace_meta) {
		like.meta = &source->meta;
		like.content_type = source->content_type;
	}
	object = memory_object_new(&like);
	/* x-amz-tagging-directive: COPY is its default, whatever becomes of the metadata. */
	CHECK(os_meta_set(&object->headers, OS_TAGGING,
			  os_meta_get(&source->headers, OS_TAGGING)) == 0);
	memory_object_fill(object, copy_bytes(source->data, source->size), source->size);
	/* The ETag of a multipart object is not that of its bytes; a copy in one piece has that. */
	store_object(memory, request, object);
}

static void upload_create(struct objstore_memory *memory, struct os_request *request)
{
	struct memory_upload *upload;

	if (check_object(request))
		return;
	upload = memory_upload_create(&memory->bucket, request);
	upload->target.last_modified = last_modified(memory);
	copy_text(request->result.upload_id, sizeof(request->result.upload_id), upload->id);
}

static struct memory_upload *find_upload(struct objstore_memory *memory, struct os_request *request)
{
	struct memory_upload *upload = memory_upload_find(&memory->bucket, request->key,
							  request->upload_id);

	if (!upload)
		memory_fail(request, -ENOENT, 404, "NoSuchUpload");
	return upload;
}

static void upload_part(struct objstore_memory *memory, struct os_request *request)
{
	const struct memory_part *part;
	struct memory_upload *upload;
	unsigned char *data = read_body(memory, request);

	if (!data)
		return;
	upload = find_upload(memory, request);
	if (upload && (request->part_number < 1 || request->part_number > OS_PART_COUNT_MAX))
		memory_fail(request, -EINVAL, 400, "InvalidArgument");
	if (request->result.err) {
		free(data);
		return;
	}
	part = memory_upload_put_part(upload, request->part_number, data, request->body.len);
	copy_text(request->result.etag, OS_ETAG_MAX, part->etag);
}

static void upload_part_copy(struct objstore_memory *memory, struct os_request *request)
{
	struct memory_upload *upload = find_upload(memory, request);
	const struct memory_object *source = upload ? find_source(memory, request) : NULL;
	const struct memory_part *part;
	uint64_t first = 0, len;

	if (!source)
		return;
	len = source->size;
	if (request->has_range) {
		first = request->range_first;
		len = request->range_len;
		/* UploadPartCopy's API page: the range must be within the source. */
		if (len == 0 || first > source->size || len > source->size - first) {
			memory_fail(request, -EINVAL, 400, "InvalidArgument");
			return;
		}
	}
	if (request->part_number < 1 || request->part_number > OS_PART_COUNT_MAX) {
		memory_fail(request, -EINVAL, 400, "InvalidArgument");
		return;
	}
	part = memory_upload_put_part(upload, request->part_number,
				      copy_bytes(source->data + first, len), len);
	copy_text(request->result.etag, OS_ETAG_MAX, part->etag);
}

static int check_parts(struct objstore_memory *memory, struct os_request *request,
		       const struct memory_upload *upload, size_t *size)
{
	*size = 0;
	if (request->part_count == 0)
		return memory_fail(request, -EINVAL, 400, "MalformedXML");
	for (size_t i = 0; i < request->part_count; i++) {
		const struct os_part *named = &request->parts[i];
		const struct memory_part *part = memory_upload_part(upload, named->number);

		if (i > 0 && named->number <= request->parts[i - 1].number)
			return memory_fail(request, -EINVAL, 400, "InvalidPartOrder");
		if (!part || strcmp(part->etag, named->etag) != 0)
			return memory_fail(request, -EINVAL, 400, "InvalidPart");
		if (part->size < memory->part_size_min && i + 1 < request->part_count)
			return memory_fail(request, -EINVAL, 400, "EntityTooSmall");
		*size += part->size;
	}
	return 0;
}

static void upload_complete(struct objstore_memory *memory, struct os_request *request)
{
	struct memory_upload *upload = find_upload(memory, request);
	struct os_request like;
	struct memory_object *object;
	unsigned char *data;
	size_t size, at = 0;

	if (!upload || check_parts(memory, request, upload, &size) ||
	    check_write_condition(memory, request, memory->conditions.complete))
		return;
	data = malloc(size + 1);
	CHECK(data != NULL);
	for (size_t i = 0; i < request->part_count; i++) {
		const struct memory_part *part = memory_upload_part(upload,
								    request->parts[i].number);

		if (part->size > 0)
			memcpy(data + at, part->data, part->size);
		at += part->size;
	}
	like = (struct os_request){.key = upload->target.key,
				   .meta = &upload->target.meta,
				   .headers = &upload->target.headers,
				   .content_type = upload->target.content_type};
	object = memory_object_new(&like);
	memory_object_fill(object, data, size);
	memory_etag(object->etag, data, size, (unsigned)request->part_count);
	store_object(memory, request, object);
	memory_upload_remove(&memory->bucket, upload);
}

static void upload_abort(struct objstore_memory *memory, struct os_request *request)
{
	struct memory_upload *upload = memory_upload_find(&memory->bucket, request->key,
							  request->upload_id);

	if (upload)
		memory_upload_remove(&memory->bucket, upload);
}

void memory_execute(struct objstore_memory *memory, struct os_request *request)
{
	request->result.http_status = 200;
	copy_text(request->result.request_id, sizeof(request->result.request_id), "MEMORY");
	request->result.date = last_modified(memory);
	switch (request->op) {
	case OS_HEAD: head(memory, request); break;
	case OS_GET: get(memory, request); break;
	case OS_PUT: put(memory, request); break;
	case OS_DELETE: delete_one(memory, request); break;
	case OS_DELETE_MANY: delete_many(memory, request); break;
	case OS_LIST: memory_list(memory, request); break;
	case OS_COPY: copy(memory, request); break;
	case OS_MPU_CREATE: upload_create(memory, request); break;
	case OS_MPU_PART: upload_part(memory, request); break;
	case OS_MPU_PART_COPY: upload_part_copy(memory, request); break;
	case OS_MPU_COMPLETE: upload_complete(memory, request); break;
	case OS_MPU_ABORT: upload_abort(memory, request); break;
	case OS_MPU_LIST: memory_list_uploads(memory, request); break;
	case OS_MPU_LIST_PARTS: memory_list_parts(memory, request); break;
	case OS_TAGS: tags(memory, request); break;
	case OS_BUCKETS: memory_list_buckets(memory, request); break;
	case OS_BUCKET_HEAD:
		copy_text(request->result.region, sizeof(request->result.region), "us-east-1");
		break;
	}
}

#include "tests/unit/memory_operations.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "tests/unit/memory_world.h"

static const struct os_condition always = {NULL, false, NULL};

static int append(void *context, const void *data, size_t len, uint64_t offset)
{
	struct buf *text = context;

	if (len > 3)
		return -EMSGSIZE;
	if (text->len == 0)
		buf_printf(text, "%llu:", (unsigned long long)offset);
	buf_append(text, data, len);
	return 0;
}

/* Bodies are told as "offset:bytes". */
static int get(struct memory_world *world, struct os_request request, const char *expected)
{
	struct buf text = BUF_INIT;
	int err;

	request.op = OS_GET;
	request.sink = (struct os_sink){append, &text};
	err = world_quick(world, request, NULL);
	assert_string_equal(buf_str(&text), expected);
	buf_free(&text);
	return err;
}

static void an_object_is_read_as_it_was_written(void **state)
{
	struct memory_world *world = *state;
	struct os_meta meta = OS_META_INIT;
	struct os_memory bytes = {"0123456789", 10};
	struct os_request request = {
		.op = OS_PUT, .key = "k", .content_type = "text/x", .meta = &meta};

	assert_int_equal(os_meta_set(&meta, "mode", "33188"), 0);
	request.body = os_source_memory(&bytes);
	assert_int_equal(world_call(world, &request), 0);
	os_meta_free(&meta);

	request = (struct os_request){.op = OS_HEAD, .key = "k"};
	assert_int_equal(world_call(world, &request), 0);
	assert_int_equal(request.result.size, 10);
	assert_string_equal(request.result.content_type, "text/x");
	assert_string_equal(os_meta_get(&request.result.meta, "mode"), "33188");
	assert_int_equal(request.result.last_modified, 1700000000 * NSEC_PER_SEC);
	assert_int_equal(request.result.etag[0], '"');
	os_request_free_result(&request);

	assert_int_equal(get(world, (struct os_request){.key = "k"}, "0:0123456789"), 0);
	assert_int_equal(
		get(world,
		    (struct os_request){
			    .key = "k", .has_range = true, .range_first = 4, .range_len = 4},
		    "4:4567"),
		0);
	assert_int_equal(get(world,
			     (struct os_request){.key = "k",
						 .has_range = true,
						 .range_first = 8,
						 .range_len = UINT64_MAX},
			     "8:89"),
			 0);
	assert_int_equal(
		get(world,
		    (struct os_request){
			    .key = "k", .has_range = true, .range_first = 10, .range_len = 1},
		    ""),
		-ERANGE);
	assert_int_equal(get(world, (struct os_request){.key = "none"}, ""), -ENOENT);
	assert_int_equal(world->memory->count[OS_GET], 5);
	assert_int_equal(world->memory->count[OS_PUT], 1);
}

static void etags_tell_contents_apart(void **state)
{
	struct memory_world *world = *state;
	char first[OS_ETAG_MAX], second[OS_ETAG_MAX], again[OS_ETAG_MAX];

	assert_int_equal(world_put(world, "k", "one", always, first), 0);
	assert_int_equal(world_put(world, "k", "two", always, second), 0);
	assert_int_equal(world_put(world, "other", "one", always, again), 0);
	assert_string_not_equal(first, second);
	assert_string_equal(first, again);
	assert_int_equal(
		get(world, (struct os_request){.key = "k", .condition.if_match = first}, ""),
		-ESTALE);
	assert_int_equal(
		get(world, (struct os_request){.key = "k", .condition.if_match = second}, "0:two"),
		0);
	assert_int_equal(
		get(world, (struct os_request){.key = "k", .condition.if_none_match = second}, ""),
		-EALREADY);
	assert_int_equal(get(world,
			     (struct os_request){.key = "k", .condition.if_none_match = first},
			     "0:two"),
			 0);
}

static const char stale[] = "\"stale\"";

/* Every conditional write in every state of its key: without the object, with it, and with its
 * ETag. */
static void conditions_of_writes_hold(void **state)
{
	struct memory_world *world = *state;
	struct os_condition create = {NULL, true, NULL}, change = {NULL, false, NULL};
	char etag[OS_ETAG_MAX], source[OS_ETAG_MAX];
	struct os_request copy = {.op = OS_COPY, .key = "k", .source_key = "s"};
	struct os_request delete = {.op = OS_DELETE, .key = "k"};

	assert_int_equal(world_put(world, "s", "source", always, source), 0);
	change.if_match = stale;
	assert_int_equal(world_put(world, "k", "1", change, NULL), -ESTALE);
	assert_int_equal(world_put(world, "k", "1", create, etag), 0);
	assert_int_equal(world_put(world, "k", "2", create, NULL), -ESTALE);
	assert_int_equal(world_put(world, "k", "2", change, NULL), -ESTALE);
	change.if_match = etag;
	assert_int_equal(world_put(world, "k", "2", change, etag), 0);

	copy.condition = create;
	assert_int_equal(world_quick(world, copy, NULL), -ESTALE);
	copy.condition = change;
	copy.source_if_match = stale;
	assert_int_equal(world_quick(world, copy, NULL), -ESTALE);
	copy.source_if_match = source;
	assert_int_equal(world_quick(world, copy, etag), 0);
	assert_string_equal(etag, source);

	delete.condition.if_match = stale;
	assert_int_equal(world_quick(world, delete, NULL), -ESTALE);
	assert_non_null(objstore_memory_find(world->memory, "k"));
	delete.condition.if_match = etag;
	assert_int_equal(world_quick(world, delete, NULL), 0);
	assert_null(objstore_memory_find(world->memory, "k"));
	assert_int_equal(world_quick(world, delete, NULL), 0);
}

static void servers_without_conditions_can_be_imitated(void **state)
{
	struct memory_world *world = *state;
	struct os_condition create = {NULL, true, NULL};
	struct os_request delete = {.op = OS_DELETE, .key = "k", .condition.if_match = stale};

	assert_int_equal(world_put(world, "k", "1", create, NULL), 0);
	world->memory->conditions.put = CONDITIONS_NOT_IMPLEMENTED;
	assert_int_equal(world_put(world, "k", "2", create, NULL), -EOPNOTSUPP);
	assert_int_equal(world_put(world, "k", "2", always, NULL), 0);
	world->memory->conditions.put = CONDITIONS_IGNORED;
	assert_int_equal(world_put(world, "k", "3", create, NULL), 0);
	world->memory->conditions.delete = CONDITIONS_IGNORED;
	assert_int_equal(world_quick(world, delete, NULL), 0);
	assert_null(objstore_memory_find(world->memory, "k"));
}

static void a_copy_keeps_or_replaces_metadata(void **state)
{
	struct memory_world *world = *state;
	static const char *const old[] = {"mode", "1", NULL};
	struct os_meta meta = OS_META_INIT;
	struct os_request copy = {.op = OS_COPY, .key = "b", .source_key = "a"};
	const struct memory_object *object;

	objstore_memory_put(world->memory, "a", "bytes", old);
	assert_int_equal(world_quick(world, copy, NULL), 0);
	object = objstore_memory_find(world->memory, "b");
	assert_non_null(object);
	assert_string_equal(os_meta_get(&object->meta, "mode"), "1");
	assert_memory_equal(object->data, "bytes", 5);

	assert_int_equal(os_meta_set(&meta, "mode", "2"), 0);
	copy = (struct os_request){.op = OS_COPY,
				   .key = "a",
				   .source_key = "a",
				   .meta = &meta,
				   .replace_meta = true,
				   .content_type = "x/y"};
	assert_int_equal(world_quick(world, copy, NULL), 0);
	object = objstore_memory_find(world->memory, "a");
	assert_string_equal(os_meta_get(&object->meta, "mode"), "2");
	assert_string_equal(object->content_type, "x/y");
	copy.replace_meta = false;
	assert_int_equal(world_quick(world, copy, NULL), -EINVAL);
	copy.source_key = "none";
	assert_int_equal(world_quick(world, copy, NULL), -ENOENT);
	os_meta_free(&meta);
}

static void many_keys_are_deleted_at_once(void **state)
{
	struct memory_world *world = *state;
	static const char *const keys[] = {"a", "none", "c"};
	struct os_request request = {.op = OS_DELETE_MANY, .delete_keys = keys, .delete_count = 3};

	objstore_memory_put(world->memory, "a", "", NULL);
	objstore_memory_put(world->memory, "b", "", NULL);
	objstore_memory_put(world->memory, "c", "", NULL);
	assert_int_equal(world_call(world, &request), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(request.result.delete_errors[i], 0);
	os_request_free_result(&request);
	assert_int_equal(world->memory->bucket.object_count, 1);
	request.delete_count = OS_DELETE_MANY_MAX + 1;
	assert_int_equal(world_quick(world, request, NULL), -EINVAL);
}

static int create_upload(struct memory_world *world, const char *key, char id[OS_UPLOAD_ID_MAX])
{
	struct os_meta meta = OS_META_INIT;
	struct os_request request = {.op = OS_MPU_CREATE, .key = key, .meta = &meta};
	int err;

	assert_int_equal(os_meta_set(&meta, "mode", "5"), 0);
	err = world_call(world, &request);
	memcpy(id, request.result.upload_id, OS_UPLOAD_ID_MAX);
	os_request_free_result(&request);
	os_meta_free(&meta);
	return err;
}

static int put_part(struct memory_world *world, const char *id, const char *text,
		    struct os_part *part)
{
	struct os_memory bytes = {text, strlen(text)};
	struct os_request request = {
		.op = OS_MPU_PART, .key = "k", .upload_id = id, .part_number = part->number};

	request.body = os_source_memory(&bytes);
	return world_quick(world, request, part->etag);
}

static void an_upload_in_parts_becomes_an_object(void **state)
{
	struct memory_world *world = *state;
	char id[OS_UPLOAD_ID_MAX], etag[OS_ETAG_MAX];
	struct os_part parts[3] = {{1, ""}, {2, ""}, {7, ""}};
	struct os_request request = {.op = OS_MPU_PART_COPY,
				     .key = "k",
				     .upload_id = id,
				     .source_key = "s",
				     .part_number = 2,
				     .has_range = true,
				     .range_first = 2,
				     .range_len = 4};
	const struct memory_object *object;

	objstore_memory_put(world->memory, "s", "0123456789", NULL);
	assert_int_equal(create_upload(world, "k", id), 0);
	assert_int_equal(put_part(world, id, "x", &parts[2]), 0);
	assert_int_equal(put_part(world, id, "wrong", &parts[0]), 0);
	assert_int_equal(put_part(world, id, "right", &parts[0]), 0);
	assert_int_equal(world_quick(world, request, parts[1].etag), 0);
	request.range_len = 9;
	assert_int_equal(world_quick(world, request, NULL), -EINVAL);
	request.source_if_match = stale;
	assert_int_equal(world_quick(world, request, NULL), -ESTALE);
	assert_null(objstore_memory_find(world->memory, "k"));

	request = (struct os_request){.op = OS_MPU_COMPLETE,
				      .key = "k",
				      .upload_id = id,
				      .parts = parts,
				      .part_count = 3,
				      .condition.if_none_match_any = true};
	assert_int_equal(world_quick(world, request, etag), 0);
	object = objstore_memory_find(world->memory, "k");
	assert_non_null(object);
	assert_int_equal(object->size, 10);
	assert_memory_equal(object->data, "right2345x", 10);
	assert_string_equal(os_meta_get(&object->meta, "mode"), "5");
	assert_true(string_has_suffix(etag, "-3\""));
	assert_int_equal(world_quick(world, request, NULL), -ENOENT);
}

static void what_is_wrong_with_parts_is_refused(void **state)
{
	struct memory_world *world = *state;
	char id[OS_UPLOAD_ID_MAX];
	struct os_part parts[2] = {{1, ""}, {2, ""}}, swapped[2], small[2];
	struct os_request request = {.op = OS_MPU_COMPLETE,
				     .key = "k",
				     .upload_id = id,
				     .parts = parts,
				     .part_count = 2};

	assert_int_equal(create_upload(world, "k", id), 0);
	assert_int_equal(put_part(world, id, "long enough", &parts[0]), 0);
	assert_int_equal(put_part(world, id, "x", &parts[1]), 0);
	swapped[0] = parts[1];
	swapped[1] = parts[0];
	request.parts = swapped;
	assert_int_equal(world_quick(world, request, NULL), -EINVAL);
	memcpy(small, parts, sizeof(small));
	small[1].etag[1] ^= 1;
	request.parts = small;
	assert_int_equal(world_quick(world, request, NULL), -EINVAL);
	assert_int_equal(put_part(world, id, "x", &parts[0]), 0);
	request.parts = parts;
	assert_int_equal(world_quick(world, request, NULL), -EINVAL);
	request.part_count = 0;
	assert_int_equal(world_quick(world, request, NULL), -EINVAL);
	parts[0].number = OS_PART_COUNT_MAX + 1;
	assert_int_equal(put_part(world, id, "x", &parts[0]), -EINVAL);
	/* Lost to another writer: the upload stays until it is aborted. */
	objstore_memory_put(world->memory, "k", "theirs", NULL);
	parts[0].number = 1;
	assert_int_equal(put_part(world, id, "long enough", &parts[0]), 0);
	request.part_count = 1;
	request.condition.if_none_match_any = true;
	assert_int_equal(world_quick(world, request, NULL), -ESTALE);
	assert_int_equal(world->memory->bucket.upload_count, 1);
}

static void uploads_are_listed_and_aborted(void **state)
{
	struct memory_world *world = *state;
	char id[OS_UPLOAD_ID_MAX], other[OS_UPLOAD_ID_MAX];
	struct os_request list = {.op = OS_MPU_LIST, .prefix = "dir/"};
	struct os_request abort = {.op = OS_MPU_ABORT, .key = "dir/k", .upload_id = id};
	struct os_part part = {1, ""};
	char *next;

	assert_int_equal(create_upload(world, "dir/k", id), 0);
	assert_int_equal(create_upload(world, "k", other), 0);
	assert_string_not_equal(id, other);
	assert_int_equal(world_call(world, &list), 0);
	assert_int_equal(list.result.entry_count, 1);
	assert_string_equal(list.result.entries[0].key, "dir/k");
	assert_string_equal(list.result.entries[0].upload_id, id);
	os_request_free_result(&list);
	list = (struct os_request){.op = OS_MPU_LIST, .max_keys = 1};
	assert_int_equal(world_call(world, &list), 0);
	assert_int_equal(list.result.entry_count, 1);
	next = list.result.next_token;
	assert_non_null(next);
	list.result.next_token = NULL;
	os_request_free_result(&list);
	list.token = next;
	assert_int_equal(world_call(world, &list), 0);
	assert_int_equal(list.result.entry_count, 1);
	assert_string_equal(list.result.entries[0].upload_id, other);
	assert_null(list.result.next_token);
	os_request_free_result(&list);
	free(next);
	assert_int_equal(world_quick(world, abort, NULL), 0);
	assert_int_equal(world_quick(world, abort, NULL), 0);
	assert_int_equal(put_part(world, id, "x", &part), -ENOENT);
	assert_int_equal(world->memory->bucket.upload_count, 1);
}

static void parts_are_listed_by_number(void **state)
{
	struct memory_world *world = *state;
	char id[OS_UPLOAD_ID_MAX];
	struct os_request list = {
		.op = OS_MPU_LIST_PARTS, .key = "k", .upload_id = id, .max_keys = 1};
	struct os_part one = {1, ""}, three = {3, ""};

	assert_int_equal(create_upload(world, "k", id), 0);
	assert_int_equal(put_part(world, id, "xyz", &three), 0);
	assert_int_equal(put_part(world, id, "x", &one), 0);
	assert_int_equal(world_call(world, &list), 0);
	assert_int_equal(list.result.entry_count, 1);
	assert_int_equal(list.result.entries[0].part_number, 1);
	assert_string_equal(list.result.entries[0].etag, one.etag);
	assert_string_equal(list.result.next_token, "1");
	os_request_free_result(&list);
	list.token = "1";
	assert_int_equal(world_call(world, &list), 0);
	assert_int_equal(list.result.entry_count, 1);
	assert_int_equal(list.result.entries[0].part_number, 3);
	assert_int_equal(list.result.entries[0].size, 3);
	assert_null(list.result.next_token);
	os_request_free_result(&list);
	list.key = "other";
	assert_int_equal(world_call(world, &list), -ENOENT);
	os_request_free_result(&list);
}

static void the_bucket_answers(void **state)
{
	struct memory_world *world = *state;
	struct os_request request = {.op = OS_BUCKETS};

	assert_int_equal(world_call(world, &request), 0);
	assert_int_equal(request.result.entry_count, 1);
	assert_string_equal(request.result.entries[0].key, "bucket");
	os_request_free_result(&request);
	request = (struct os_request){.op = OS_BUCKET_HEAD};
	assert_int_equal(world_call(world, &request), 0);
	assert_string_equal(request.result.region, "us-east-1");
	os_request_free_result(&request);
}

static int failing_read(void *context, void *data, size_t len, uint64_t offset)
{
	(void)context;
	memset(data, 'x', len);
	return offset >= 3 ? -EREMOTEIO : 0;
}

static int failing_write(void *context, const void *data, size_t len, uint64_t offset)
{
	(void)context;
	(void)data;
	(void)len;
	return offset >= 3 ? -EDQUOT : 0;
}

static void errors_of_sources_and_sinks_come_back(void **state)
{
	struct memory_world *world = *state;
	struct os_request request = {.op = OS_PUT, .key = "k", .body = {failing_read, NULL, 9}};

	assert_int_equal(world_quick(world, request, NULL), -EREMOTEIO);
	assert_null(objstore_memory_find(world->memory, "k"));
	objstore_memory_put(world->memory, "k", "0123456789", NULL);
	request = (struct os_request){.op = OS_GET, .key = "k", .sink = {failing_write, NULL}};
	assert_int_equal(world_quick(world, request, NULL), -EDQUOT);
}

static void limits_of_s3_hold(void **state)
{
	struct memory_world *world = *state;
	struct os_meta meta = OS_META_INIT;
	struct os_request request = {.op = OS_PUT, .meta = &meta};
	char key[OS_KEY_MAX + 2], value[OS_META_BYTES_MAX + 1];

	memset(key, 'k', sizeof(key));
	key[OS_KEY_MAX + 1] = '\0';
	assert_int_equal(world_put(world, key, "", always, NULL), -EINVAL);
	assert_int_equal(world_put(world, "", "", always, NULL), -EINVAL);
	key[OS_KEY_MAX] = '\0';
	assert_int_equal(world_put(world, key, "", always, NULL), 0);
	memset(value, 'v', sizeof(value));
	value[OS_META_BYTES_MAX] = '\0';
	assert_int_equal(os_meta_set(&meta, "n", value + 1), 0);
	request.key = "k";
	assert_int_equal(world_quick(world, request, NULL), 0);
	assert_int_equal(os_meta_set(&meta, "n", value), 0);
	assert_int_equal(world_quick(world, request, NULL), -EINVAL);
	os_meta_free(&meta);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEMORY_TEST(an_object_is_read_as_it_was_written),
		MEMORY_TEST(etags_tell_contents_apart),
		MEMORY_TEST(conditions_of_writes_hold),
		MEMORY_TEST(servers_without_conditions_can_be_imitated),
		MEMORY_TEST(a_copy_keeps_or_replaces_metadata),
		MEMORY_TEST(many_keys_are_deleted_at_once),
		MEMORY_TEST(an_upload_in_parts_becomes_an_object),
		MEMORY_TEST(what_is_wrong_with_parts_is_refused),
		MEMORY_TEST(uploads_are_listed_and_aborted),
		MEMORY_TEST(parts_are_listed_by_number),
		MEMORY_TEST(the_bucket_answers),
		MEMORY_TEST(errors_of_sources_and_sinks_come_back),
		MEMORY_TEST(limits_of_s3_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

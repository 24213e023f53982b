/* Server-side copies, in one request and in parts. The limits are set low, as nothing here has 5
 * GiB. */
#include "fs/upload/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/upload/multipart.h"
#include "tests/unit/core_files.h"

enum { PART = 1000, SIZE = 9500 };

static const char *const meta_of_source[] = {META_PUT_ID, "0123", "colour", "red", NULL};

static struct uploader *small_limits(struct core_world *world)
{
	static struct sizes small;
	struct uploader *uploader = vfs_uploader(world->node->vfs);

	small = sizes_usual;
	small.copy_max = small.copy_part = PART;
	uploader->env->sizes = &small;
	world->memory->part_size_min = PART;
	return uploader;
}

static void put_source(struct core_world *world, const char *key, size_t size)
{
	char *text = malloc(size + 1);

	assert_non_null(text);
	for (size_t i = 0; i < size; i++)
		text[i] = (char)('a' + i % 23);
	text[size] = '\0';
	objstore_memory_put(world->memory, key, text, meta_of_source);
	free(text);
}

static struct copy_job job_for(struct core_world *world, const char *source, const char *target)
{
	const struct memory_object *object = objstore_memory_find(world->memory, source);

	assert_non_null(object);
	return (struct copy_job){.source = source,
				 .target = target,
				 .size = object->size,
				 .source_etag = object->etag,
				 .target_etag = ""};
}

static void assert_same(struct core_world *world, const char *source, const char *target)
{
	const struct memory_object *from = objstore_memory_find(world->memory, source);
	const struct memory_object *to = objstore_memory_find(world->memory, target);

	assert_non_null(from);
	assert_non_null(to);
	assert_int_equal(from->size, to->size);
	assert_memory_equal(from->data, to->data, from->size);
	assert_true(os_meta_equal(&from->meta, &to->meta));
	assert_string_equal(from->content_type, to->content_type);
}

static void a_copy_in_parts_keeps_bytes_and_metadata(struct core_world *world)
{
	struct uploader *uploader = small_limits(world);
	struct memory_object *object;
	struct upload_outcome outcome;
	struct copy_job job;

	put_source(world, "from", SIZE);
	object = memory_bucket_find(&world->memory->bucket, "from");
	free(object->content_type);
	object->content_type = strdup("text/css");
	job = job_for(world, "from", "to");
	copy_run(uploader, &job, &outcome);
	assert_int_equal(outcome.err, 0);
	assert_int_equal(world->node->count[OS_MPU_PART_COPY], 10);
	assert_int_equal(world->node->count[OS_COPY], 0);
	assert_same(world, "from", "to");
	assert_string_equal(outcome.etag, objstore_memory_find(world->memory, "to")->etag);
}

static void a_copy_in_parts_takes_new_metadata(struct core_world *world)
{
	struct uploader *uploader = small_limits(world);
	struct os_meta meta = OS_META_INIT;
	struct upload_outcome outcome;
	struct copy_job job;

	put_source(world, "from", SIZE);
	assert_int_equal(os_meta_set(&meta, "colour", "blue"), 0);
	job = job_for(world, "from", "to");
	job.replace_meta = true;
	job.meta = &meta;
	copy_run(uploader, &job, &outcome);
	assert_int_equal(outcome.err, 0);
	assert_int_equal(world->node->count[OS_HEAD], 0);
	assert_true(os_meta_equal(&objstore_memory_find(world->memory, "to")->meta, &meta));
	os_meta_free(&meta);
}

static void a_copy_in_parts_has_the_tags(struct core_world *world)
{
	struct uploader *uploader = small_limits(world);
	struct upload_outcome outcome;
	struct copy_job job;

	put_source(world, "from", SIZE);
	assert_int_equal(os_meta_set(&memory_bucket_find(&world->memory->bucket, "from")->headers,
				     OS_TAGGING, "a=1"),
			 0);
	job = job_for(world, "from", "to");
	objstore_memory_fail(world->memory, OS_TAGS, 1, -EACCES, FAULT_BEFORE);
	copy_run(uploader, &job, &outcome);
	assert_int_equal(outcome.err, -EACCES);
	core_assert_object(world, "to", NULL);
	copy_run(uploader, &job, &outcome);
	assert_int_equal(outcome.err, 0);
	assert_string_equal(
		os_meta_get(&objstore_memory_find(world->memory, "to")->headers, OS_TAGGING),
		"a=1");
}

static void parts_are_copied_side_by_side(struct core_world *world)
{
	struct uploader *uploader = small_limits(world);
	uint64_t started = executor_monotonic(world->executor);
	struct upload_outcome outcome;
	struct copy_job job;

	uploader->width = 5;
	world->memory->latency = NSEC_PER_SEC;
	put_source(world, "from", SIZE);
	job = job_for(world, "from", "to");
	copy_run(uploader, &job, &outcome);
	assert_int_equal(outcome.err, 0);
	/* HEAD, create, two times five parts, complete */
	assert_int_equal(executor_monotonic(world->executor) - started, 5 * NSEC_PER_SEC);
}

static void a_copy_in_parts_that_fails_leaves_nothing(struct core_world *world)
{
	struct uploader *uploader = small_limits(world);
	struct upload_outcome outcome;
	struct copy_job job;

	put_source(world, "from", SIZE);
	job = job_for(world, "from", "to");
	objstore_memory_fail(world->memory, OS_MPU_PART_COPY, 4, -EACCES, FAULT_BEFORE);
	copy_run(uploader, &job, &outcome);
	assert_int_equal(outcome.err, -EACCES);
	assert_int_equal(world->memory->bucket.upload_count, 0);
	core_assert_object(world, "to", NULL);
}

static void copy_from_to(void *argument)
{
	struct core_world *world = argument;
	struct copy_job job = job_for(world, "from", "to");
	struct upload_outcome outcome;

	copy_run(small_limits(world), &job, &outcome);
}

static void a_copy_in_parts_that_a_crash_cuts_off_is_aborted(struct core_world *world)
{
	put_source(world, "from", SIZE);
	core_hold(world, OS_MPU_COMPLETE, NULL);
	core_spawn(world->node, copy_from_to, world);
	core_await_held(world);
	core_crash_only(world->node);
	core_release(world);
	assert_int_equal(world->memory->bucket.upload_count, 1);
	core_start(world->node);
	assert_int_equal(world->memory->bucket.upload_count, 0);
}

static void another_version_is_not_copied(struct core_world *world)
{
	static const size_t sizes[] = {PART / 2, SIZE};

	for (size_t i = 0; i < 2; i++) {
		struct uploader *uploader = small_limits(world);
		struct upload_outcome outcome;
		struct copy_job job;

		put_source(world, "from", sizes[i]);
		job = job_for(world, "from", "to");
		job.source_etag = "\"another\"";
		copy_run(uploader, &job, &outcome);
		assert_int_equal(outcome.err, -ESTALE);
		core_assert_object(world, "to", NULL);
		assert_int_equal(world->memory->bucket.upload_count, 0);
	}
}

static void someone_makes_to(struct core_world *world)
{
	objstore_memory_put(world->memory, "to", "theirs", NULL);
}

static void a_target_that_appears_is_not_overwritten(struct core_world *world)
{
	static const struct {
		size_t size;
		enum os_op last;
	} cases[] = {{PART / 2, OS_COPY}, {SIZE, OS_MPU_COMPLETE}};

	for (size_t i = 0; i < 2; i++) {
		struct uploader *uploader = small_limits(world);
		struct upload_outcome outcome;
		struct copy_job job;

		put_source(world, "from", cases[i].size);
		job = job_for(world, "from", "to");
		core_interfere(world, cases[i].last, someone_makes_to);
		copy_run(uploader, &job, &outcome);
		assert_int_equal(outcome.err, -ESTALE);
		core_assert_object(world, "to", "theirs");
		assert_int_equal(world->memory->bucket.upload_count, 0);
		objstore_memory_remove(world->memory, "to");
	}
}

/* The put-id that was sent along tells our own copy from that of others. */
static void a_copy_whose_reply_is_lost_is_found(struct core_world *world)
{
	static const struct {
		size_t size;
		enum os_op last;
		int err;
	} cases[] = {{PART / 2, OS_COPY, -ETIMEDOUT},
		     {PART / 2, OS_COPY, -ESTALE},
		     {SIZE, OS_MPU_COMPLETE, -ETIMEDOUT},
		     {SIZE, OS_MPU_COMPLETE, -ESTALE}};
	struct os_meta meta = OS_META_INIT;

	assert_int_equal(os_meta_set(&meta, META_PUT_ID, "ours"), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct uploader *uploader = small_limits(world);
		struct upload_outcome outcome;
		struct copy_job job;

		put_source(world, "from", cases[i].size);
		job = job_for(world, "from", "to");
		job.replace_meta = true;
		job.meta = &meta;
		objstore_memory_fail(world->memory, cases[i].last, 1, cases[i].err, FAULT_AFTER);
		copy_run(uploader, &job, &outcome);
		assert_int_equal(outcome.err, 0);
		assert_string_equal(outcome.etag, objstore_memory_find(world->memory, "to")->etag);
		objstore_memory_remove(world->memory, "to");
	}
	os_meta_free(&meta);
}

static void a_copy_of_which_nothing_is_known_says_so(struct core_world *world)
{
	struct uploader *uploader = small_limits(world);
	struct upload_outcome outcome;
	struct copy_job job;

	put_source(world, "from", PART / 2);
	job = job_for(world, "from", "to");
	objstore_memory_fail(world->memory, OS_COPY, 1, -ETIMEDOUT, FAULT_AFTER);
	copy_run(uploader, &job, &outcome);
	assert_int_equal(outcome.err, -ETIMEDOUT);
	assert_true(outcome.ambiguous);
}

/* As a rename does with its source, where the reply is lost. */
static void delete_unanswered(struct core_world *world, struct uploader *uploader, const char *key)
{
	struct os_request request = {
		.op = OS_DELETE,
		.key = key,
		.condition.if_match = objstore_memory_find(world->memory, key)->etag};

	objstore_memory_fail(world->memory, OS_DELETE, 1, -ETIMEDOUT, FAULT_AFTER);
	late_run(uploader, &request);
	assert_true(request.result.ambiguous);
	os_request_free_result(&request);
	objstore_memory_remove(world->memory, key);
}

static bool has_parts(struct core_world *world, const char *key)
{
	return strchr(objstore_memory_find(world->memory, key)->etag, '-') != NULL;
}

static void copy(struct core_world *world, const char *source, const char *target)
{
	struct copy_job job = job_for(world, source, target);
	struct upload_outcome outcome;

	job.target_etag = NULL;
	copy_run(vfs_uploader(world->node->vfs), &job, &outcome);
	assert_int_equal(outcome.err, 0);
	assert_same(world, source, target);
}

static void a_deletion_that_comes_late_does_not_take_the_same_bytes(struct core_world *world)
{
	struct uploader *uploader = small_limits(world);

	put_source(world, "from", PART / 2);
	copy(world, "from", "to");
	assert_false(has_parts(world, "to"));
	delete_unanswered(world, uploader, "to");
	copy(world, "from", "other");
	assert_false(has_parts(world, "other"));
	copy(world, "from", "to");
	assert_true(has_parts(world, "to"));
	copy(world, "to", "from"); /* in one request it would be what it was */
	objstore_memory_remove(world->memory, "to");
	copy(world, "from", "to");
	assert_true(has_parts(world, "to"));
	objstore_memory_remove(world->memory, "to");
	core_sleep(world, 500 * NSEC_PER_SEC);
	copy(world, "from", "to");
	assert_false(has_parts(world, "to"));
}

static void an_empty_object_has_no_parts(struct core_world *world)
{
	struct uploader *uploader = small_limits(world);

	put_source(world, "from", 0);
	copy(world, "from", "to");
	delete_unanswered(world, uploader, "to");
	copy(world, "from", "to");
	assert_false(has_parts(world, "to"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(a_copy_in_parts_keeps_bytes_and_metadata),
		CORE_TEST(a_copy_in_parts_takes_new_metadata),
		CORE_TEST(a_copy_in_parts_has_the_tags),
		CORE_TEST(parts_are_copied_side_by_side),
		CORE_TEST(a_copy_in_parts_that_fails_leaves_nothing),
		CORE_TEST(a_copy_in_parts_that_a_crash_cuts_off_is_aborted),
		CORE_TEST(another_version_is_not_copied),
		CORE_TEST(a_target_that_appears_is_not_overwritten),
		CORE_TEST(a_copy_whose_reply_is_lost_is_found),
		CORE_TEST(a_copy_of_which_nothing_is_known_says_so),
		CORE_TEST(a_deletion_that_comes_late_does_not_take_the_same_bytes),
		CORE_TEST(an_empty_object_has_no_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

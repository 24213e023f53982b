/* Large files on servers that ignore conditions of CompleteMultipartUpload: the HEAD in their
 * place. */
#include "fs/upload/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

enum { LARGE = 17 << 20 };

static void ignore_conditions_of_complete(struct core_world *world)
{
	world->memory->conditions.complete = CONDITIONS_IGNORED;
	vfs_uploader(world->node->vfs)->can.complete = false;
}

static void replace_by_others(struct core_world *world)
{
	objstore_memory_put(world->memory, "f", "theirs", NULL);
}

static void delete_by_others(struct core_world *world)
{
	assert_true(objstore_memory_remove(world->memory, "f"));
}

static int put_large(struct core_world *world, uint64_t seed)
{
	char *data = malloc(LARGE);
	int err;

	assert_true(LARGE > sizes_usual.put_max);
	assert_non_null(data);
	core_pattern(data, LARGE, 0, seed);
	err = core_put_bytes(world->node, "f", data, LARGE);
	free(data);
	return err;
}

static void assert_large(struct core_world *world, const char *key, uint64_t seed)
{
	const struct memory_object *object = objstore_memory_find(world->memory, key);
	char *expected = malloc(LARGE);

	assert_non_null(object);
	assert_non_null(expected);
	assert_int_equal(object->size, LARGE);
	core_pattern(expected, LARGE, 0, seed);
	assert_memory_equal(object->data, expected, LARGE);
	free(expected);
}

/* Nothing of theirs was replaced, nothing of ours lost, no parts left. */
static void assert_both_kept(struct core_world *world, uint64_t seed)
{
	const char *copy;

	core_drain(world->node);
	core_assert_object(world, "f", "theirs");
	copy = core_key_like(world, "f.conflict-");
	assert_non_null(copy);
	assert_large(world, copy, seed);
	assert_int_equal(world->memory->bucket.upload_count, 0);
}

static void a_file_that_others_made_during_the_parts_is_kept(struct core_world *world)
{
	ignore_conditions_of_complete(world);
	core_interfere(world, OS_MPU_PART, replace_by_others);
	assert_int_equal(put_large(world, 1), -ESTALE);
	assert_both_kept(world, 1);
}

static void a_version_that_others_wrote_during_the_parts_is_kept(struct core_world *world)
{
	ignore_conditions_of_complete(world);
	assert_int_equal(core_put(world->node, "f", "base"), 0);
	core_interfere(world, OS_MPU_PART, replace_by_others);
	assert_int_equal(put_large(world, 2), -ESTALE);
	assert_both_kept(world, 2);
}

static void what_others_deleted_during_the_parts_comes_back_with_our_bytes(struct core_world *world)
{
	ignore_conditions_of_complete(world);
	assert_int_equal(core_put(world->node, "f", "base"), 0);
	core_interfere(world, OS_MPU_PART, delete_by_others);
	assert_int_equal(put_large(world, 3), 0);
	core_drain(world->node);
	assert_large(world, "f", 3);
	assert_int_equal(world->memory->bucket.upload_count, 0);
}

static void with_conflict_overwrite_nobody_looks(struct core_world *world)
{
	core_stop(world->node);
	world->node->config.conflict = CONFLICT_OVERWRITE;
	core_start(world->node);
	ignore_conditions_of_complete(world);
	core_interfere(world, OS_MPU_PART, replace_by_others);
	assert_int_equal(put_large(world, 4), 0);
	core_drain(world->node);
	assert_large(world, "f", 4);
}

/* The last request before Complete is the HEAD, and no other one is spent. */
static void without_others_it_costs_one_head(struct core_world *world)
{
	unsigned heads;

	assert_int_equal(put_large(world, 5), 0); /* the conditions hold: what it costs otherwise */
	core_drain(world->node);
	core_zero(world->node);
	assert_int_equal(put_large(world, 6), 0);
	heads = world->node->count[OS_HEAD];
	ignore_conditions_of_complete(world);
	core_zero(world->node);
	assert_int_equal(put_large(world, 7), 0);
	assert_int_equal(world->node->count[OS_HEAD], heads + 1);
	core_drain(world->node);
	assert_large(world, "f", 7);
}

static void refuse_the_next_head(struct core_world *world)
{
	objstore_memory_fail(world->memory, OS_HEAD, 1, -EACCES, FAULT_BEFORE);
}

static void when_the_head_fails_nothing_is_completed(struct core_world *world)
{
	ignore_conditions_of_complete(world);
	core_interfere(world, OS_MPU_PART, refuse_the_next_head);
	assert_int_equal(put_large(world, 8), -EACCES);
	assert_int_equal(world->node->count[OS_MPU_COMPLETE], 0);
	core_drain(world->node);
	assert_large(world, "f", 8);
}

/* A deletion with If-Match that S3 carries out once more would take it, were its ETag the same. */
static void what_is_written_again_differs_for_a_late_deletion(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "the same"), 0);
	assert_null(strchr(objstore_memory_find(world->memory, "f")->etag, '-'));
	objstore_memory_fail(world->memory, OS_DELETE, 1, -ETIMEDOUT, FAULT_AFTER);
	assert_int_equal(core_unlink(world->node, "f"), 0);
	assert_int_equal(core_put(world->node, "f", "another"), 0);
	assert_null(strchr(objstore_memory_find(world->memory, "f")->etag, '-'));
	assert_int_equal(core_put(world->node, "f", "the same"), 0);
	core_assert_object(world, "f", "the same");
	assert_non_null(strchr(objstore_memory_find(world->memory, "f")->etag, '-'));
	core_drain(world->node);
	assert_int_equal(world->memory->bucket.upload_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(a_file_that_others_made_during_the_parts_is_kept),
		CORE_TEST(a_version_that_others_wrote_during_the_parts_is_kept),
		CORE_TEST(what_others_deleted_during_the_parts_comes_back_with_our_bytes),
		CORE_TEST(with_conflict_overwrite_nobody_looks),
		CORE_TEST(without_others_it_costs_one_head),
		CORE_TEST(when_the_head_fails_nothing_is_completed),
		CORE_TEST(what_is_written_again_differs_for_a_late_deletion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Large files: parts that go while the file is written, ranges that the server copies, and what is
 * left when an upload does not come to its end. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

static struct vfs_handle *open_file(struct core_node *node, const char *path, int flags)
{
	struct vfs_handle *handle;

	assert_int_equal(core_open(node, path, O_RDWR | flags, &handle), 0);
	return handle;
}

static void assert_no_uploads(struct core_world *world)
{
	core_drain(world->node);
	assert_int_equal(world->memory->bucket.upload_count, 0);
	/* Nor does the journal know of one. */
	core_crash(world->node);
	assert_int_equal(world->node->count[OS_MPU_ABORT], 0);
}

static void most_of_a_large_file_has_gone_before_it_is_closed(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "big", O_CREAT);
	unsigned before;

	core_write_pattern(handle, 0, 64 * MIB, 1);
	core_sleep(world, NSEC_PER_SEC);
	before = world->node->count[OS_MPU_PART];
	assert_true(before >= 8);
	assert_null(objstore_memory_find(world->memory, "big"));
	assert_int_equal(core_close(world->node, handle), 0);
	assert_int_equal(world->node->count[OS_MPU_PART], 13);
	assert_int_equal(world->node->count[OS_PUT], 0);
	assert_int_equal(objstore_memory_find(world->memory, "big")->size, 64 * MIB);
	core_assert_pattern(world, "big", 0, 64 * MIB, 1);
	core_zero(world->node);
	assert_no_uploads(world);
}

static void parts_that_were_written_again_are_sent_again(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "big", O_CREAT);

	core_write_pattern(handle, 0, 50 * MIB, 1);
	core_sleep(world, NSEC_PER_SEC);
	core_write_pattern(handle, 3 * MIB, 4 * MIB, 2);
	core_write_pattern(handle, 20 * MIB, 21 * MIB, 3);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_pattern(world, "big", 0, 3 * MIB, 1);
	core_assert_pattern(world, "big", 3 * MIB, 4 * MIB, 2);
	core_assert_pattern(world, "big", 4 * MIB, 20 * MIB, 1);
	core_assert_pattern(world, "big", 20 * MIB, 21 * MIB, 3);
	core_assert_pattern(world, "big", 21 * MIB, 50 * MIB, 1);
}

static void a_part_that_is_written_while_it_is_sent_is_sent_again(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "big", O_CREAT);

	core_hold(world, OS_MPU_PART, NULL);
	core_write_pattern(handle, 0, 50 * MIB, 1);
	core_await_held(world);
	core_write_pattern(handle, 0, 1 * MIB, 2);
	core_write_pattern(handle, 50 * MIB, 51 * MIB, 1);
	core_release(world);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_pattern(world, "big", 0, 1 * MIB, 2);
	core_assert_pattern(world, "big", 1 * MIB, 51 * MIB, 1);
}

static void a_file_that_shrinks_after_parts_have_gone_is_published_right(struct core_world *world)
{
	static const uint64_t sizes[] = {40 * MIB + 1, 33 * MIB, 17 * MIB, 16 * MIB, 5, 0};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct vfs_handle *handle = open_file(world->node, "big", O_CREAT);
		struct stat values = {.st_size = (off_t)sizes[i]}, out;

		core_write_pattern(handle, 0, 50 * MIB, i);
		core_sleep(world, NSEC_PER_SEC);
		assert_int_equal(vfs_setattr(world->node->vfs, core_ino(world->node, "big"), handle,
					     &values, VFS_SET_SIZE, &out),
				 0);
		assert_int_equal(core_close(world->node, handle), 0);
		assert_int_equal(objstore_memory_find(world->memory, "big")->size, sizes[i]);
		core_assert_pattern(world, "big", 0, sizes[i], i);
		core_drain(world->node);
		assert_int_equal(world->memory->bucket.upload_count, 0);
		assert_int_equal(core_unlink(world->node, "big"), 0);
	}
	core_zero(world->node);
	assert_no_uploads(world);
}

static void a_large_file_that_is_removed_or_moved_leaves_no_upload(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "gone", O_CREAT);

	core_write_pattern(handle, 0, 50 * MIB, 1);
	core_sleep(world, NSEC_PER_SEC);
	assert_int_equal(world->memory->bucket.upload_count, 1);
	assert_int_equal(core_unlink(world->node, "gone"), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	handle = open_file(world->node, "from", O_CREAT);
	core_write_pattern(handle, 0, 50 * MIB, 2);
	core_sleep(world, NSEC_PER_SEC);
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_pattern(world, "to", 0, 50 * MIB, 2);
	assert_int_equal(world->memory->bucket.object_count, 1);
	core_zero(world->node);
	assert_no_uploads(world);
}

static void a_crash_while_parts_go_ahead_leaves_no_upload(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "big", O_CREAT);

	core_write_pattern(handle, 0, 50 * MIB, 1);
	core_sleep(world, NSEC_PER_SEC);
	assert_int_equal(world->memory->bucket.upload_count, 1);
	core_crash(world->node);
	core_drain(world->node);
	assert_int_equal(world->memory->bucket.upload_count, 0);
	core_assert_pattern(world, "big", 0, 50 * MIB, 1);
}

static void untouched_ranges_are_copied_by_the_server(struct core_world *world)
{
	struct vfs_handle *handle;

	core_put_pattern(world, "big", 64 * MIB, 1);
	handle = open_file(world->node, "big", 0);
	core_zero(world->node);
	assert_int_equal(core_write(handle, "!", 30 * MIB), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	assert_true(world->node->count[OS_MPU_PART_COPY] >= 2);
	assert_true(world->node->count[OS_MPU_PART] <= 2);
	assert_true(world->node->count[OS_GET] <= 4);
	assert_int_equal(objstore_memory_find(world->memory, "big")->size, 64 * MIB);
	core_assert_pattern(world, "big", 0, 30 * MIB, 1);
	assert_memory_equal(objstore_memory_find(world->memory, "big")->data + 30 * MIB, "!", 1);
	core_assert_pattern(world, "big", 30 * MIB + 1, 64 * MIB, 1);
}

static void appending_to_a_large_object_sends_the_end_alone(struct core_world *world)
{
	struct vfs_handle *handle;

	core_put_pattern(world, "big", 64 * MIB, 1);
	handle = open_file(world->node, "big", O_APPEND);
	core_zero(world->node);
	core_write_pattern(handle, 64 * MIB, 66 * MIB, 1);
	assert_int_equal(core_close(world->node, handle), 0);
	assert_true(world->node->count[OS_MPU_PART_COPY] >= 1);
	assert_true(world->node->count[OS_MPU_PART] <= 1);
	assert_int_equal(objstore_memory_find(world->memory, "big")->size, 66 * MIB);
	core_assert_pattern(world, "big", 0, 66 * MIB, 1);
}

static void parts_that_fail_are_sent_again_in_the_end(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "big", O_CREAT);

	objstore_memory_fail(world->memory, OS_MPU_PART, 3, -EIO, FAULT_BEFORE);
	objstore_memory_fail(world->memory, OS_MPU_PART, 9, -ETIMEDOUT, FAULT_AFTER);
	objstore_memory_fail(world->memory, OS_MPU_COMPLETE, 1, -EIO, FAULT_BEFORE);
	core_write_pattern(handle, 0, 50 * MIB, 1);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_pattern(world, "big", 0, 50 * MIB, 1);
	core_zero(world->node);
	assert_no_uploads(world);
}

static void a_completion_whose_reply_is_lost_has_happened(struct core_world *world)
{
	static const int errors[] = {-ETIMEDOUT, -EIO, -ENOENT, -ESTALE};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct vfs_handle *handle = open_file(world->node, "big", O_CREAT | O_TRUNC);

		core_write_pattern(handle, 0, 20 * MIB, i);
		objstore_memory_fail(world->memory, OS_MPU_COMPLETE, 1, errors[i], FAULT_AFTER);
		core_zero(world->node);
		assert_int_equal(core_close(world->node, handle), 0);
		assert_int_equal(world->node->count[OS_MPU_CREATE], 1);
		core_assert_pattern(world, "big", 0, 20 * MIB, i);
		assert_int_equal(world->memory->bucket.object_count, 1);
	}
	core_zero(world->node);
	assert_no_uploads(world);
}

static void replace_by_others(struct core_world *world)
{
	objstore_memory_put(world->memory, "big", "theirs", NULL);
}

static void a_large_file_that_loses_a_race_is_kept_beside(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "big", O_CREAT);
	const char *copy;

	core_write_pattern(handle, 0, 20 * MIB, 1);
	core_interfere(world, OS_MPU_COMPLETE, replace_by_others);
	assert_int_equal(core_close(world->node, handle), -ESTALE);
	core_drain(world->node);
	core_assert_object(world, "big", "theirs");
	copy = core_key_like(world, "big.conflict-one-");
	assert_non_null(copy);
	core_assert_pattern(world, copy, 0, 20 * MIB, 1);
	core_zero(world->node);
	assert_no_uploads(world);
}

/* The range that was written, and nothing else of it, is on this node. */
static struct vfs_handle *change_a_range(struct core_world *world)
{
	struct vfs_handle *handle;

	core_put_pattern(world, "big", 64 * MIB, 1);
	handle = open_file(world->node, "big", 0);
	core_write_pattern(handle, 30 * MIB, 31 * MIB, 2);
	return handle;
}

/* What was never here is gone; the copy says which bytes are right. */
static void assert_partial_copy(struct core_world *world)
{
	const char *copy = core_key_like(world, "big.conflict-partial-one-");
	const struct memory_object *object;
	const char *ranges;
	char *rest;
	unsigned long long start, end;
	size_t right = 0;

	assert_non_null(copy);
	object = objstore_memory_find(world->memory, copy);
	assert_non_null(object);
	assert_int_equal(object->size, 64 * MIB);
	core_assert_pattern(world, copy, 30 * MIB, 31 * MIB, 2);
	ranges = os_meta_get(&object->meta, "s3mount-valid");
	assert_non_null(ranges);
	start = strtoull(ranges, &rest, 10);
	assert_int_equal(*rest, '-');
	end = strtoull(rest + 1, NULL, 10);
	for (size_t i = 0; i < 64 * MIB; i++)
		right += object->data[i] != 0;
	assert_true(start <= 30 * MIB && end + 1 >= 31 * MIB);
	assert_true(right <= end + 1 - start);
	assert_null(objstore_memory_find(world->memory, "big.conflict-one-"));
}

static void others_remove_it(struct core_world *world)
{
	objstore_memory_remove(world->memory, "big");
}

static void a_range_of_an_object_that_others_removed_is_not_lost(struct core_world *world)
{
	struct vfs_handle *handle = change_a_range(world);

	others_remove_it(world);
	assert_int_not_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	assert_partial_copy(world);
	assert_null(objstore_memory_find(world->memory, "big"));
	core_zero(world->node);
	assert_no_uploads(world);
}

static void with_overwrite_a_range_of_a_replaced_object_is_not_lost(struct core_world *world)
{
	struct vfs_handle *handle;

	core_stop(world->node);
	world->node->config.conflict = CONFLICT_OVERWRITE;
	core_start(world->node);
	handle = change_a_range(world);
	replace_by_others(world);
	assert_int_not_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	assert_partial_copy(world);
	core_assert_object(world, "big", "theirs");
}

/* All of it is here: nothing has to be copied from the version that went. */
static void with_overwrite_a_large_file_that_is_here_wins(struct core_world *world)
{
	struct vfs_handle *handle;

	core_stop(world->node);
	world->node->config.conflict = CONFLICT_OVERWRITE;
	core_start(world->node);
	handle = open_file(world->node, "big", O_CREAT);
	core_write_pattern(handle, 0, 64 * MIB, 1);
	assert_int_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	handle = open_file(world->node, "big", 0);
	core_write_pattern(handle, 30 * MIB, 31 * MIB, 2);
	replace_by_others(world);
	core_close(world->node, handle);
	core_drain(world->node);
	core_assert_pattern(world, "big", 0, 30 * MIB, 1);
	core_assert_pattern(world, "big", 30 * MIB, 31 * MIB, 2);
	core_assert_pattern(world, "big", 31 * MIB, 64 * MIB, 1);
	assert_int_equal(world->memory->bucket.object_count, 1);
}

static void a_range_of_a_replaced_object_is_not_lost(struct core_world *world)
{
	struct vfs_handle *handle = change_a_range(world);
	char *data = malloc(MIB), *expected = malloc(MIB);
	struct stat found;

	assert_non_null(data);
	assert_non_null(expected);
	replace_by_others(world);
	assert_int_not_equal(vfs_flush(handle), 0);
	core_assert_object(world, "big", "theirs");
	core_sleep(world, 600 * NSEC_PER_SEC);
	core_pattern(expected, MIB, 30 * MIB, 2);
	assert_int_equal(vfs_read(handle, data, MIB, 30 * MIB), MIB);
	assert_memory_equal(data, expected, MIB);
	core_release_handle(world->node, handle);
	core_crash(world->node);
	core_drain(world->node);
	assert_partial_copy(world);
	core_assert_file(world->node, "big", "theirs");
	assert_int_equal(core_stat(world->node, "big", &found), 0);
	free(data);
	free(expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(most_of_a_large_file_has_gone_before_it_is_closed),
		CORE_TEST(parts_that_were_written_again_are_sent_again),
		CORE_TEST(a_part_that_is_written_while_it_is_sent_is_sent_again),
		CORE_TEST(a_file_that_shrinks_after_parts_have_gone_is_published_right),
		CORE_TEST(a_large_file_that_is_removed_or_moved_leaves_no_upload),
		CORE_TEST(a_crash_while_parts_go_ahead_leaves_no_upload),
		CORE_TEST(untouched_ranges_are_copied_by_the_server),
		CORE_TEST(appending_to_a_large_object_sends_the_end_alone),
		CORE_TEST(parts_that_fail_are_sent_again_in_the_end),
		CORE_TEST(a_completion_whose_reply_is_lost_has_happened),
		CORE_TEST(a_large_file_that_loses_a_race_is_kept_beside),
		CORE_TEST(a_range_of_a_replaced_object_is_not_lost),
		CORE_TEST(a_range_of_an_object_that_others_removed_is_not_lost),
		CORE_TEST(with_overwrite_a_range_of_a_replaced_object_is_not_lost),
		CORE_TEST(with_overwrite_a_large_file_that_is_here_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

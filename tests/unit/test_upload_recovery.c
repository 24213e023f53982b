/* Multipart uploads that do not come to their end: those that a crash cut off go on where that is
 * right, and none is left behind. */
#include "fs/upload/orphan.h"

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

/* A file of 50 MiB of which 9 parts of 5 MiB have gone ahead. */
static struct vfs_handle *stream(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "big", O_CREAT);

	core_write_pattern(handle, 0, 50 * MIB, 1);
	core_sleep(world, NSEC_PER_SEC);
	assert_int_equal(world->memory->bucket.upload_count, 1);
	assert_int_equal(world->memory->bucket.uploads[0]->part_count, 9);
	return handle;
}

/* In the bucket, and none that the journal knows of either. */
static void assert_no_uploads(struct core_world *world)
{
	core_drain(world->node);
	assert_int_equal(world->memory->bucket.upload_count, 0);
	core_stop(world->node);
	core_zero(world->node);
	core_start(world->node);
	assert_int_equal(world->node->count[OS_MPU_ABORT], 0);
	assert_int_equal(world->node->count[OS_MPU_LIST], 0);
	assert_int_equal(world->node->count[OS_MPU_LIST_PARTS], 0);
}

static void crash_and_drain(struct core_world *world)
{
	core_zero(world->node);
	core_crash(world->node);
	core_drain(world->node);
}

static void an_upload_that_a_crash_cut_off_goes_on(struct core_world *world)
{
	world->memory->list_max = 4; /* several pages */
	stream(world);
	crash_and_drain(world);
	core_assert_pattern(world, "big", 0, 50 * MIB, 1);
	assert_int_equal(objstore_memory_find(world->memory, "big")->size, 50 * MIB);
	assert_int_equal(world->node->count[OS_MPU_PART], 1);
	assert_int_equal(world->node->count[OS_MPU_CREATE], 0);
	assert_no_uploads(world);
}

static void it_goes_on_after_a_second_crash_too(struct core_world *world)
{
	stream(world);
	core_hold(world, OS_MPU_PART, "big");
	core_crash(world->node);
	core_await_held(world);
	core_hold_no_more(world);
	crash_and_drain(world);
	core_assert_pattern(world, "big", 0, 50 * MIB, 1);
	assert_int_equal(world->node->count[OS_MPU_PART], 1);
	assert_no_uploads(world);
}

static void parts_that_are_old_are_sent_again(struct core_world *world)
{
	struct vfs_handle *handle = stream(world);

	core_write_pattern(handle, 3 * MIB, 4 * MIB, 2);
	core_write_pattern(handle, 20 * MIB, 21 * MIB, 3);
	crash_and_drain(world);
	core_assert_pattern(world, "big", 0, 3 * MIB, 1);
	core_assert_pattern(world, "big", 3 * MIB, 4 * MIB, 2);
	core_assert_pattern(world, "big", 4 * MIB, 20 * MIB, 1);
	core_assert_pattern(world, "big", 20 * MIB, 21 * MIB, 3);
	core_assert_pattern(world, "big", 21 * MIB, 50 * MIB, 1);
	assert_int_equal(world->node->count[OS_MPU_PART], 3);
	assert_no_uploads(world);
}

static void parts_behind_the_end_of_the_file_are_left_out(struct core_world *world)
{
	stream(world);
	assert_int_equal(core_truncate(world->node, "big", 22 * MIB), 0);
	crash_and_drain(world);
	assert_int_equal(objstore_memory_find(world->memory, "big")->size, 22 * MIB);
	core_assert_pattern(world, "big", 0, 22 * MIB, 1);
	assert_no_uploads(world);
}

/* Encrypted with other keys an ETag says nothing about the bytes. */
static void parts_that_cannot_be_compared_are_sent_again(struct core_world *world)
{
	struct memory_upload *upload;

	stream(world);
	upload = world->memory->bucket.uploads[0];
	for (size_t i = 0; i < upload->part_count; i++)
		snprintf(upload->parts[i].etag, OS_ETAG_MAX, "\"opaque-%zu\"", i);
	crash_and_drain(world);
	core_assert_pattern(world, "big", 0, 50 * MIB, 1);
	assert_int_equal(world->node->count[OS_MPU_PART], 10);
	assert_no_uploads(world);
}

static void an_upload_of_a_file_that_is_small_by_now_is_aborted(struct core_world *world)
{
	struct vfs_handle *handle = stream(world);
	struct stat values = {.st_size = 5}, out;

	core_hold(world, OS_PUT, "big");
	assert_int_equal(vfs_setattr(world->node->vfs, core_ino(world->node, "big"), handle,
				     &values, VFS_SET_SIZE, &out),
			 0);
	core_release_handle(world->node, handle);
	core_await_held(world);
	core_hold_no_more(world);
	crash_and_drain(world);
	assert_int_equal(world->node->count[OS_MPU_PART], 0);
	assert_int_equal(objstore_memory_find(world->memory, "big")->size, 5);
	assert_no_uploads(world);
}

/* Its object may still come, so nothing else may bear the same put-id. */
static void an_upload_that_was_being_completed_is_not_gone_on_with(struct core_world *world)
{
	struct vfs_handle *handle = stream(world);

	core_hold(world, OS_MPU_COMPLETE, "big");
	core_release_handle(world->node, handle);
	core_await_held(world);
	core_hold_no_more(world);
	crash_and_drain(world);
	core_assert_pattern(world, "big", 0, 50 * MIB, 1);
	assert_int_equal(world->node->count[OS_MPU_CREATE], 1);
	assert_int_equal(world->node->count[OS_MPU_PART], 10);
	assert_no_uploads(world);
}

/* A PUT with the same put-id may still come, too. */
static void nor_is_one_beside_a_put(struct core_world *world)
{
	struct vfs_handle *handle = stream(world), *second;
	struct stat values = {.st_size = 5}, out;

	core_hold(world, OS_PUT, "big");
	assert_int_equal(vfs_setattr(world->node->vfs, core_ino(world->node, "big"), handle,
				     &values, VFS_SET_SIZE, &out),
			 0);
	second = open_file(world->node, "big", 0);
	core_release_handle(world->node, handle);
	core_await_held(world);
	core_hold_no_more(world);
	core_write_pattern(second, 0, 50 * MIB, 1);
	crash_and_drain(world);
	core_assert_pattern(world, "big", 0, 50 * MIB, 1);
	assert_int_equal(world->node->count[OS_MPU_CREATE], 1);
	assert_no_uploads(world);
}

/* Whatever bears its put-id before it is completed is no reason to take that for its object. */
static void what_came_late_does_not_pass_for_the_upload(struct core_world *world)
{
	const char *meta[] = {META_PUT_ID, NULL, NULL};

	stream(world);
	meta[1] = os_meta_get(&world->memory->bucket.uploads[0]->target.meta, META_PUT_ID);
	objstore_memory_put(world->memory, "big", "of an attempt before", meta);
	crash_and_drain(world);
	core_assert_pattern(world, "big", 0, 50 * MIB, 1);
	assert_int_equal(world->memory->bucket.object_count, 1);
	assert_no_uploads(world);
}

static void an_upload_that_others_ended_begins_again(struct core_world *world)
{
	stream(world);
	memory_upload_remove(&world->memory->bucket, world->memory->bucket.uploads[0]);
	crash_and_drain(world);
	core_assert_pattern(world, "big", 0, 50 * MIB, 1);
	assert_no_uploads(world);
}

static void end_by_others(struct core_world *world)
{
	memory_upload_remove(&world->memory->bucket, world->memory->bucket.uploads[0]);
}

static void so_does_one_that_others_end_while_it_is_sent(struct core_world *world)
{
	static const int moments[] = {OS_MPU_PART, OS_MPU_PART_COPY, OS_MPU_COMPLETE};

	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		struct vfs_handle *handle;

		core_put_pattern(world, "big", 40 * MIB, 1);
		core_sleep(world, 5 * NSEC_PER_SEC);
		handle = open_file(world->node, "big", 0);
		core_write_pattern(handle, 39 * MIB, 45 * MIB, 1);
		core_interfere(world, moments[i], end_by_others);
		assert_int_equal(core_close(world->node, handle), 0);
		core_assert_pattern(world, "big", 0, 45 * MIB, 1);
		assert_int_equal(world->memory->bucket.object_count, 1);
	}
	assert_no_uploads(world);
}

static void a_lost_reply_to_the_first_request_leaves_no_upload(struct core_world *world)
{
	static const enum fault_moment moments[] = {FAULT_AFTER, FAULT_UNDECIDED, FAULT_TWICE};

	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		struct vfs_handle *handle = open_file(world->node, "big", O_CREAT);

		core_zero(world->node);
		objstore_memory_fail(world->memory, OS_MPU_CREATE, 1, -ETIMEDOUT, moments[i]);
		core_write_pattern(handle, 0, 20 * MIB, i);
		assert_int_equal(core_close(world->node, handle), 0);
		core_assert_pattern(world, "big", 0, 20 * MIB, i);
		assert_int_equal(world->node->count[OS_MPU_CREATE],
				 moments[i] == FAULT_TWICE ? 1 : 2);
		core_drain(world->node);
		assert_int_equal(world->memory->bucket.upload_count, 0);
		core_sleep(world, 600 * NSEC_PER_SEC);
	}
	assert_no_uploads(world);
}

static void nor_does_a_crash_at_that_moment(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "big", O_CREAT);

	objstore_memory_fail(world->memory, OS_MPU_CREATE, 1, -ETIMEDOUT, FAULT_AFTER);
	core_hold(world, OS_MPU_LIST, NULL);
	core_write_pattern(handle, 0, 20 * MIB, 1);
	core_release_handle(world->node, handle);
	core_await_held(world);
	core_hold_no_more(world);
	assert_int_equal(world->memory->bucket.upload_count, 1);
	crash_and_drain(world);
	core_assert_pattern(world, "big", 0, 20 * MIB, 1);
	assert_no_uploads(world);
}

static void make_upload(struct core_world *world, const char *key)
{
	struct os_meta meta = OS_META_INIT;
	struct os_request request = {.op = OS_MPU_CREATE, .key = key, .meta = &meta};
	struct memory_upload *upload = memory_upload_create(&world->memory->bucket, &request);

	upload->target.last_modified = executor_wall(world->executor);
}

static void begin_at_last(struct core_world *world)
{
	assert_true(world->node->count[OS_MPU_LIST] > 0);
	make_upload(world, "big");
}

/* The server was slower than we were with the next mount. */
static void nor_does_one_that_comes_after_the_recovery(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "big", O_CREAT);

	core_hold(world, OS_MPU_CREATE, NULL);
	core_write_pattern(handle, 0, 20 * MIB, 1);
	core_release_handle(world->node, handle);
	core_await_held(world);
	core_hold_no_more(world);
	core_interfere(world, OS_MPU_CREATE, begin_at_last);
	crash_and_drain(world);
	core_assert_pattern(world, "big", 0, 20 * MIB, 1);
	assert_no_uploads(world);
}

/* The key may not list parts, or the server is away for a moment: nothing is left either. */
static void nor_does_a_recovery_that_fails(struct core_world *world)
{
	static const int errors[] = {-EACCES, -EIO, -EHOSTUNREACH};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		stream(world);
		objstore_memory_fail(world->memory, OS_MPU_LIST_PARTS, 1, errors[i], FAULT_BEFORE);
		crash_and_drain(world);
		core_assert_pattern(world, "big", 0, 50 * MIB, 1);
		assert_int_equal(world->memory->bucket.upload_count, 0);
		assert_int_equal(core_unlink(world->node, "big"), 0);
	}
	assert_no_uploads(world);
}

static void uploads_of_others_stay(struct core_world *world)
{
	struct vfs_handle *handle;
	unsigned char *data = malloc(1);

	make_upload(world, "big"); /* older than ours */
	core_sleep(world, 60 * NSEC_PER_SEC);
	make_upload(world, "big2"); /* of another key */
	make_upload(world, "big");
	memory_upload_put_part(world->memory->bucket.uploads[2], 1, data, 1);
	handle = open_file(world->node, "big", O_CREAT);
	objstore_memory_fail(world->memory, OS_MPU_CREATE, 1, -ETIMEDOUT, FAULT_AFTER);
	core_write_pattern(handle, 0, 20 * MIB, 1);
	assert_int_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	assert_int_equal(world->memory->bucket.upload_count, 3);
}

static void an_abort_that_fails_is_tried_again(struct core_world *world)
{
	struct vfs_handle *handle = stream(world);

	objstore_memory_fail(world->memory, OS_MPU_ABORT, 1, -EIO, FAULT_BEFORE);
	objstore_memory_fail(world->memory, OS_MPU_ABORT, 1, -ETIMEDOUT, FAULT_BEFORE);
	assert_int_equal(core_unlink(world->node, "big"), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	assert_no_uploads(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(an_upload_that_a_crash_cut_off_goes_on),
		CORE_TEST(it_goes_on_after_a_second_crash_too),
		CORE_TEST(parts_that_are_old_are_sent_again),
		CORE_TEST(parts_behind_the_end_of_the_file_are_left_out),
		CORE_TEST(parts_that_cannot_be_compared_are_sent_again),
		CORE_TEST(an_upload_of_a_file_that_is_small_by_now_is_aborted),
		CORE_TEST(an_upload_that_was_being_completed_is_not_gone_on_with),
		CORE_TEST(nor_is_one_beside_a_put),
		CORE_TEST(what_came_late_does_not_pass_for_the_upload),
		CORE_TEST(an_upload_that_others_ended_begins_again),
		CORE_TEST(so_does_one_that_others_end_while_it_is_sent),
		CORE_TEST(a_lost_reply_to_the_first_request_leaves_no_upload),
		CORE_TEST(nor_does_a_crash_at_that_moment),
		CORE_TEST(nor_does_one_that_comes_after_the_recovery),
		CORE_TEST(nor_does_a_recovery_that_fails),
		CORE_TEST(uploads_of_others_stay),
		CORE_TEST(an_abort_that_fails_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is free, files that are too sparse, and the time of the last read. */
#include <errno.h>
#include <string.h>

#include "tests/unit/core_files.h"

#define DIRTY_LIMIT (64 * MIB)

static void limit(struct core_world *world)
{
	core_stop(world->node);
	world->node->config.dirty_limit = DIRTY_LIMIT;
	core_start(world->node);
}

static uint64_t free_bytes(struct core_world *world)
{
	uint64_t blocks, blocks_free, files;

	assert_int_equal(vfs_statfs(world->node->vfs, &blocks, &blocks_free, &files), 0);
	assert_int_equal(blocks * 4096, DIRTY_LIMIT);
	return blocks_free * 4096;
}

static void what_waits_for_its_upload_is_not_free(struct core_world *world)
{
	struct vfs_handle *handle;

	limit(world);
	assert_int_equal(free_bytes(world), DIRTY_LIMIT);
	assert_int_equal(core_open(world->node, "a", O_RDWR | O_CREAT, &handle), 0);
	core_write_pattern(handle, 0, 10 * MIB, 1);
	assert_int_equal(free_bytes(world), DIRTY_LIMIT - 10 * MIB);
	assert_int_equal(core_close(world->node, handle), 0);
	assert_int_equal(free_bytes(world), DIRTY_LIMIT);
}

static void a_file_that_is_too_sparse_is_refused_before_anything_is_lost(struct core_world *world)
{
	struct vfs_handle *handle;
	char data[8];

	limit(world);
	assert_int_equal(core_put(world->node, "a", "text"), 0);
	core_zero(world->node);
	assert_int_equal(core_truncate(world->node, "a", UINT64_C(1) << 40), -EFBIG);
	assert_int_equal(core_open(world->node, "a", O_RDWR, &handle), 0);
	assert_int_equal(vfs_write(handle, "x", 1, UINT64_C(1) << 40), -EFBIG);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), 4);
	/* in several steps as well */
	assert_int_equal(vfs_write(handle, "x", 1, 40 * MIB), 1);
	assert_int_equal(vfs_write(handle, "x", 1, 80 * MIB), -EFBIG);
	assert_int_equal(core_close(world->node, handle), 0);
}

static void a_hole_within_the_limit_is_zeros_in_the_object(struct core_world *world)
{
	const struct memory_object *object;
	struct vfs_handle *handle;

	limit(world);
	assert_int_equal(core_open(world->node, "a", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "end", 3 * MIB), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	object = objstore_memory_find(world->memory, "a");
	assert_int_equal(object->size, 3 * MIB + 3);
	assert_int_equal(object->data[0] | object->data[3 * MIB - 1], 0);
	assert_memory_equal(object->data + 3 * MIB, "end", 3);
}

static struct timespec read_at(struct core_world *world, const char *path, int flags)
{
	struct vfs_handle *handle;
	struct stat st;
	char data[4];

	assert_int_equal(core_open(world->node, path, flags, &handle), 0);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), 4);
	core_release_handle(world->node, handle);
	assert_int_equal(core_stat(world->node, path, &st), 0);
	return st.st_atim;
}

static bool is_later(struct timespec one, struct timespec other)
{
	return one.tv_sec != other.tv_sec ? one.tv_sec > other.tv_sec : one.tv_nsec > other.tv_nsec;
}

static void reading_changes_the_access_time_as_relatime_says(struct core_world *world)
{
	struct timespec first, second;
	struct stat st;

	assert_int_equal(core_put(world->node, "a", "text"), 0);
	core_sleep(world, 5 * NSEC_PER_SEC);
	core_zero(world->node);
	first = read_at(world, "a", O_RDONLY);
	assert_int_equal(core_stat(world->node, "a", &st), 0);
	assert_true(is_later(first, st.st_mtim));
	/* not again, until it is a day old; what S3 says of the version does not take it back */
	core_sleep(world, 3600 * NSEC_PER_SEC);
	second = read_at(world, "a", O_RDONLY);
	assert_int_equal(second.tv_sec, first.tv_sec);
	core_sleep(world, 24 * 3600 * NSEC_PER_SEC);
	assert_true(is_later(read_at(world, "a", O_RDONLY), second));
	/* and costs no change of the object */
	core_drain(world->node);
	assert_int_equal(world->node->count[OS_COPY] + world->node->count[OS_PUT], 0);
}

static void it_goes_to_s3_with_the_next_change(struct core_world *world)
{
	struct timespec read;
	struct stat st;

	assert_int_equal(core_put(world->node, "a", "text"), 0);
	core_sleep(world, 5 * NSEC_PER_SEC);
	read = read_at(world, "a", O_RDONLY);
	assert_int_equal(core_chmod(world->node, "a", 0600), 0);
	core_drain(world->node);
	core_start(&world->nodes[1]);
	assert_int_equal(core_stat(&world->nodes[1], "a", &st), 0);
	assert_int_equal(st.st_atim.tv_sec, read.tv_sec);
}

static void who_wants_no_access_times_gets_none(struct core_world *world)
{
	struct stat before;

	core_stop(world->node);
	world->node->config.noatime = true;
	core_start(world->node);
	assert_int_equal(core_put(world->node, "a", "text"), 0);
	assert_int_equal(core_stat(world->node, "a", &before), 0);
	core_sleep(world, 5 * NSEC_PER_SEC);
	assert_int_equal(read_at(world, "a", O_RDONLY).tv_sec, before.st_atim.tv_sec);
	core_stop(world->node);
	world->node->config.noatime = false;
	core_start(world->node);
	assert_int_equal(read_at(world, "a", O_RDONLY | O_NOATIME).tv_sec, before.st_atim.tv_sec);
	assert_true(is_later(read_at(world, "a", O_RDONLY), before.st_atim));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(what_waits_for_its_upload_is_not_free),
		CORE_TEST(a_file_that_is_too_sparse_is_refused_before_anything_is_lost),
		CORE_TEST(a_hole_within_the_limit_is_zeros_in_the_object),
		CORE_TEST(reading_changes_the_access_time_as_relatime_says),
		CORE_TEST(it_goes_to_s3_with_the_next_change),
		CORE_TEST(who_wants_no_access_times_gets_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

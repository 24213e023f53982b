/* Reading, what the cache keeps, and how much of it: ranges, replaced objects, limits. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

static void restart_with_limits(struct core_node *node, uint64_t cache, uint64_t dirty)
{
	core_stop(node);
	node->config.cache_limit = cache;
	node->config.dirty_limit = dirty;
	core_start(node);
}

static struct vfs_handle *open_file(struct core_node *node, const char *path, int flags)
{
	struct vfs_handle *handle;

	assert_int_equal(core_open(node, path, flags, &handle), 0);
	return handle;
}

/* Reads [start, end) in pieces and compares. */
static void read_pattern(struct vfs_handle *handle, uint64_t start, uint64_t end, size_t piece,
			 uint64_t seed)
{
	char *data = malloc(piece), *expected = malloc(piece);

	assert_non_null(data);
	assert_non_null(expected);
	while (start < end) {
		size_t len = end - start < piece ? (size_t)(end - start) : piece;

		assert_int_equal(vfs_read(handle, data, len, start), len);
		core_pattern(expected, len, start, seed);
		assert_memory_equal(data, expected, len);
		start += len;
	}
	free(data);
	free(expected);
}

static void a_small_object_comes_in_one_request(struct core_world *world)
{
	struct vfs_handle *handle;

	core_put_pattern(world, "f", 5 * MIB, 1);
	handle = open_file(world->node, "f", O_RDONLY);
	core_zero(world->node);
	read_pattern(handle, 0, 5 * MIB, 128 << 10, 1);
	assert_int_equal(core_requests(world->node), 1);
	read_pattern(handle, 0, 5 * MIB, 1 << 20, 1);
	assert_int_equal(core_requests(world->node), 1);
}

static void a_large_object_comes_by_ranges_side_by_side(struct core_world *world)
{
	struct vfs_handle *handle;
	uint64_t started;

	core_put_pattern(world, "f", 100 * MIB, 1);
	handle = open_file(world->node, "f", O_RDONLY);
	world->memory->latency = NSEC_PER_SEC;
	core_zero(world->node);
	started = env_now(&world->node->env);
	read_pattern(handle, 0, 100 * MIB, 128 << 10, 1);
	/* Each range takes a second; one after the other they would take 13 at least. */
	assert_true(env_now(&world->node->env) - started <= 8 * NSEC_PER_SEC);
	assert_true(world->node->count[OS_GET] <= 24);
}

static void a_reader_that_jumps_gets_little_more_than_it_asks_for(struct core_world *world)
{
	struct vfs_handle *handle;

	core_put_pattern(world, "f", 200 * MIB, 1);
	handle = open_file(world->node, "f", O_RDONLY);
	for (uint64_t i = 1; i <= 30; i++)
		read_pattern(handle, i * 37 % 190 * MIB, i * 37 % 190 * MIB + 4096, 4096, 1);
	core_sleep(world, NSEC_PER_SEC);
	core_zero(world->node);
	read_pattern(handle, 195 * MIB, 195 * MIB + 4096, 4096, 1);
	core_sleep(world, NSEC_PER_SEC);
	assert_int_equal(core_requests(world->node), 1);
}

struct reader {
	struct vfs_handle *handle;
	bool done;
};

static void reader_fiber(void *argument)
{
	struct reader *reader = argument;

	read_pattern(reader->handle, 0, 4 * MIB, 64 << 10, 1);
	reader->done = true;
}

static void many_readers_of_one_file_share_its_requests(struct core_world *world)
{
	struct reader readers[10];

	core_put_pattern(world, "f", 4 * MIB, 1);
	for (int i = 0; i < 10; i++)
		readers[i] = (struct reader){open_file(world->node, "f", O_RDONLY), false};
	core_zero(world->node);
	for (int i = 0; i < 10; i++)
		core_spawn(world->node, reader_fiber, &readers[i]);
	core_sleep(world, 10 * NSEC_PER_SEC);
	for (int i = 0; i < 10; i++)
		assert_true(readers[i].done);
	assert_int_equal(core_requests(world->node), 1);
}

static void reads_end_at_the_end(struct core_world *world)
{
	struct vfs_handle *handle;
	char data[16];

	objstore_memory_put(world->memory, "f", "0123456789", NULL);
	objstore_memory_put(world->memory, "empty", "", NULL);
	handle = open_file(world->node, "f", O_RDONLY);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 8), 2);
	assert_memory_equal(data, "89", 2);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 10), 0);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 1 << 30), 0);
	core_assert_file(world->node, "empty", "");
}

/* versitygw answers 416 before it looks at If-Match. */
static void a_range_that_is_not_there_means_another_version(struct core_world *world)
{
	struct vfs_handle *handle;
	char data[16];

	core_put_pattern(world, "f", 20 * MIB, 1);
	assert_int_equal(core_open(world->node, "f", O_RDONLY, &handle), 0);
	objstore_memory_fail(world->memory, OS_GET, 1, -ERANGE, FAULT_BEFORE);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), sizeof(data));
	objstore_memory_fail(world->memory, OS_GET, 1, -ERANGE, FAULT_BEFORE);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 15 * MIB), -ESTALE);
}

/* As versitygw answers while an object is being replaced: the new ETag, and the old size. */
static void a_version_of_another_size_than_was_told_is_not_cut_off(struct core_world *world)
{
	struct vfs_handle *handle;
	struct memory_object *object;
	char data[16];

	objstore_memory_put(world->memory, "f", "one,two,", NULL);
	object = memory_bucket_find(&world->memory->bucket, "f");
	object->size = 4;
	handle = open_file(world->node, "f", O_RDWR);
	object->size = 8;
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), 8);
	assert_memory_equal(data, "one,two,", 8);
	core_release_handle(world->node, handle);
	object->size = 4;
	core_sleep(world, 5 * NSEC_PER_SEC);
	handle = open_file(world->node, "f", O_RDWR);
	object->size = 8;
	assert_int_equal(core_write(handle, "six,", 4), -ESTALE);
	core_release_handle(world->node, handle);
	core_assert_file(world->node, "f", "one,two,");
}

static void a_reader_never_sees_two_versions_mixed(struct core_world *world)
{
	struct vfs_handle *handle;
	char data[4096];

	core_put_pattern(world, "f", 100 * MIB, 1);
	handle = open_file(world->node, "f", O_RDONLY);
	read_pattern(handle, 0, MIB, 128 << 10, 1);
	core_put_pattern(world, "f", 100 * MIB, 2);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 90 * MIB), -ESTALE);
	/* Who opens it now gets the new one, all of it. */
	handle = open_file(world->node, "f", O_RDONLY);
	read_pattern(handle, 0, 2 * MIB, 128 << 10, 2);
	read_pattern(handle, 90 * MIB, 91 * MIB, 128 << 10, 2);
}

static void a_reader_that_has_seen_nothing_yet_gets_the_new_version(struct core_world *world)
{
	struct vfs_handle *handle;

	core_put_pattern(world, "f", 20 * MIB, 1);
	handle = open_file(world->node, "f", O_RDONLY);
	core_put_pattern(world, "f", 30 * MIB, 2);
	read_pattern(handle, 10 * MIB, 11 * MIB, 128 << 10, 2);
	read_pattern(handle, 25 * MIB, 26 * MIB, 128 << 10, 2);
}

static void a_file_that_others_remove_is_stale_for_its_readers(struct core_world *world)
{
	struct vfs_handle *handle;
	char data[4096];

	core_put_pattern(world, "f", 20 * MIB, 1);
	handle = open_file(world->node, "f", O_RDONLY);
	objstore_memory_remove(world->memory, "f");
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), -ESTALE);
}

static void a_failed_range_is_an_error_and_then_asked_for_again(struct core_world *world)
{
	struct vfs_handle *handle;
	char data[16];

	core_put_pattern(world, "f", 20 * MIB, 1);
	handle = open_file(world->node, "f", O_RDONLY);
	objstore_memory_fail(world->memory, OS_GET, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 19 * MIB), -EACCES);
	read_pattern(handle, 19 * MIB, 20 * MIB, 128 << 10, 1);
}

static void what_is_cached_is_readable_in_an_outage(struct core_world *world)
{
	char data[16];

	core_put_pattern(world, "f", MIB, 1);
	assert_int_equal(core_read(world->node, "f", data, sizeof(data), 0), 16);
	core_sleep(world, 10 * NSEC_PER_SEC);
	objstore_memory_set_away(world->memory, true);
	for (int i = 0; i < 3; i++) {
		struct vfs_handle *handle = open_file(world->node, "f", O_RDONLY);

		read_pattern(handle, 0, MIB, 128 << 10, 1);
		core_release_handle(world->node, handle);
		core_sleep(world, 60 * NSEC_PER_SEC);
	}
	objstore_memory_set_away(world->memory, false);
}

static uint64_t used_by(struct core_node *node)
{
	struct buf text = BUF_INIT;
	const char *at;
	uint64_t value;

	vfs_status(node->vfs, &text);
	at = strstr(buf_str(&text), "\"cache_used\":");
	assert_non_null(at);
	value = strtoull(at + strlen("\"cache_used\":"), NULL, 10);
	buf_free(&text);
	return value;
}

static void the_cache_keeps_to_its_limit(struct core_world *world)
{
	char name[16], data[16];

	restart_with_limits(world->node, 10 * MIB, 5 * MIB);
	for (unsigned i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		core_put_pattern(world, name, MIB, i);
	}
	for (unsigned i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(core_read(world->node, name, data, sizeof(data), 0), 16);
		assert_true(used_by(world->node) <= 10 * MIB);
	}
	/* The newest are there, the oldest are fetched again. */
	core_zero(world->node);
	assert_int_equal(core_read(world->node, "f29", data, sizeof(data), 0), 16);
	assert_int_equal(world->node->count[OS_GET], 0);
	assert_int_equal(core_read(world->node, "f0", data, sizeof(data), 0), 16);
	assert_int_equal(world->node->count[OS_GET], 1);
}

static void a_file_larger_than_the_cache_can_be_read(struct core_world *world)
{
	struct vfs_handle *handle;

	restart_with_limits(world->node, 16 * MIB, 8 * MIB);
	core_put_pattern(world, "f", 60 * MIB, 1);
	handle = open_file(world->node, "f", O_RDONLY);
	read_pattern(handle, 0, 60 * MIB, 128 << 10, 1);
	read_pattern(handle, 0, 60 * MIB, 1 << 20, 1);
}

static void dirty_data_is_never_evicted(struct core_world *world)
{
	struct vfs_handle *handle;
	char name[16], data[64 << 10];

	restart_with_limits(world->node, 4 * MIB, 3 * MIB);
	handle = open_file(world->node, "dirty", O_RDWR | O_CREAT);
	for (uint64_t at = 0; at < MIB; at += sizeof(data)) {
		core_pattern(data, sizeof(data), at, 99);
		assert_int_equal(vfs_write(handle, data, sizeof(data), at), sizeof(data));
	}
	for (unsigned i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		core_put_pattern(world, name, MIB, i);
	}
	core_sleep(world, 2 * NSEC_PER_SEC);
	for (unsigned i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(core_read(world->node, name, data, 16, 0), 16);
	}
	read_pattern(handle, 0, MIB, 128 << 10, 99);
	assert_int_equal(core_close(world->node, handle), 0);
	assert_int_equal(objstore_memory_find(world->memory, "dirty")->size, MIB);
}

static void writers_wait_at_the_dirty_limit_and_then_get_enospc(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *handle;
	uint64_t started;
	char data[64 << 10] = {0};

	restart_with_limits(node, 4 * MIB, 1 * MIB);
	handle = open_file(node, "f", O_RDWR | O_CREAT);
	for (uint64_t at = 0; at < MIB; at += sizeof(data))
		assert_int_equal(vfs_write(handle, data, sizeof(data), at), sizeof(data));
	objstore_memory_set_away(world->memory, true);
	started = env_now(&node->env);
	assert_int_equal(vfs_write(handle, data, sizeof(data), MIB), -ENOSPC);
	assert_true(env_now(&node->env) - started >= 20 * NSEC_PER_SEC);
	assert_true(env_now(&node->env) - started <= 300 * NSEC_PER_SEC);
	objstore_memory_set_away(world->memory, false);
	assert_int_equal(core_close(node, handle), 0);
	assert_int_equal(objstore_memory_find(world->memory, "f")->size, MIB);
	assert_int_equal(core_put(node, "g", "goes on"), 0);
}

static void more_than_the_dirty_limit_can_be_written(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *handle;
	char data[64 << 10];

	restart_with_limits(node, 12 * MIB, 3 * MIB);
	handle = open_file(node, "f", O_RDWR | O_CREAT);
	for (uint64_t at = 0; at < 25 * MIB; at += sizeof(data)) {
		core_pattern(data, sizeof(data), at, 3);
		assert_int_equal(vfs_write(handle, data, sizeof(data), at), sizeof(data));
		assert_true(vfs_pending(node->vfs).bytes <= 3 * MIB);
	}
	assert_int_equal(core_close(node, handle), 0);
	core_start(&world->nodes[1]);
	handle = open_file(&world->nodes[1], "f", O_RDONLY);
	read_pattern(handle, 0, 25 * MIB, 64 << 10, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(a_small_object_comes_in_one_request),
		CORE_TEST(a_large_object_comes_by_ranges_side_by_side),
		CORE_TEST(a_reader_that_jumps_gets_little_more_than_it_asks_for),
		CORE_TEST(many_readers_of_one_file_share_its_requests),
		CORE_TEST(reads_end_at_the_end),
		CORE_TEST(a_range_that_is_not_there_means_another_version),
		CORE_TEST(a_version_of_another_size_than_was_told_is_not_cut_off),
		CORE_TEST(a_reader_never_sees_two_versions_mixed),
		CORE_TEST(a_reader_that_has_seen_nothing_yet_gets_the_new_version),
		CORE_TEST(a_file_that_others_remove_is_stale_for_its_readers),
		CORE_TEST(a_failed_range_is_an_error_and_then_asked_for_again),
		CORE_TEST(what_is_cached_is_readable_in_an_outage),
		CORE_TEST(the_cache_keeps_to_its_limit),
		CORE_TEST(a_file_larger_than_the_cache_can_be_read),
		CORE_TEST(dirty_data_is_never_evicted),
		CORE_TEST(writers_wait_at_the_dirty_limit_and_then_get_enospc),
		CORE_TEST(more_than_the_dirty_limit_can_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

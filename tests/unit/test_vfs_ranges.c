/* Ranges of zeros in the core: fallocate(2), holes. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <linux/falloc.h>
#include <string.h>

#include "tests/unit/core_files.h"

enum { PUNCH = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };

static void what_is_on_its_way_is_what_it_was_before(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *handle;

	node->config.close = PUBLISH_LOCAL;
	core_stop(node);
	core_start(node);
	assert_int_equal(core_open(node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "0123456789", 0), 0);
	core_hold(world, OS_PUT, "f");
	assert_int_equal(vfs_flush(handle), 0);
	core_await_held(world);
	core_hold_no_more(world);
	assert_int_equal(vfs_fallocate(handle, PUNCH, 2, 3), 0);
	core_release(world);
	core_sleep(world, NSEC_PER_SEC);
	core_assert_object(world, "f", "0123456789");
	assert_int_equal(core_close(node, handle), 0);
	core_drain(node);
	assert_int_equal(objstore_memory_find(world->memory, "f")->size, 10);
	assert_memory_equal(objstore_memory_find(world->memory, "f")->data,
			    "01\0\0\0"
			    "56789",
			    10);
}

static void a_hole_in_what_is_not_here_is_owed_after_a_crash(struct core_world *world)
{
	enum { LEN = 12 << 20, START = 5 << 20, HOLE = 3 << 20 };
	static char expected[LEN], found[LEN];
	struct core_node *node = world->node;
	struct vfs_handle *handle;

	core_put_pattern(world, "f", LEN, 1);
	core_pattern(expected, LEN, 0, 1);
	memset(expected + START, 0, HOLE);
	assert_int_equal(core_open(node, "f", O_RDWR, &handle), 0);
	assert_int_equal(vfs_fallocate(handle, PUNCH, START, HOLE), 0);
	core_crash(node);
	assert_int_equal(core_read(node, "f", found, LEN, 0), LEN);
	assert_memory_equal(found, expected, LEN);
	core_drain(node);
	assert_memory_equal(objstore_memory_find(world->memory, "f")->data, expected, LEN);
}

static void zeros_do_not_make_a_file_longer(struct core_world *world)
{
	struct vfs_handle *handle;
	uint64_t found;

	assert_int_equal(core_open(world->node, "f", O_RDWR | O_CREAT | O_APPEND, &handle), 0);
	assert_int_equal(core_write(handle, "0123", 0), 0);
	assert_int_equal(vfs_write(handle, NULL, 5, 0), -EINVAL);
	assert_int_equal(vfs_write(handle, NULL, 2, 1), 2);
	assert_int_equal(vfs_fallocate(handle, PUNCH, 4, 10), 0);
	assert_int_equal(vfs_fallocate(handle, PUNCH, 3, 10), 0);
	assert_int_equal(vfs_fallocate(handle, FALLOC_FL_PUNCH_HOLE, 0, 1), -EOPNOTSUPP);
	assert_int_equal(vfs_fallocate(handle, FALLOC_FL_COLLAPSE_RANGE, 0, 1), -EOPNOTSUPP);
	assert_int_equal(vfs_seek(handle, 3, false, &found), 0);
	assert_int_equal(found, 3);
	assert_int_equal(vfs_seek(handle, 0, true, &found), 0);
	assert_int_equal(found, 4);
	assert_int_equal(vfs_seek(handle, 4, true, &found), -ENXIO);
	assert_int_equal(core_close(world->node, handle), 0);
	assert_int_equal(objstore_memory_find(world->memory, "f")->size, 4);
	assert_memory_equal(objstore_memory_find(world->memory, "f")->data, "0\0\0\0", 4);
}

struct racer {
	struct core_node *node;
	ssize_t result;
	bool ended;
};

static void read_what_is_not_here(void *argument)
{
	struct racer *racer = argument;
	char data[4096];

	racer->result = core_read(racer->node, "f", data, sizeof(data), 10 << 20);
	racer->ended = true;
}

static void cut(void *argument)
{
	struct racer *racer = argument;

	racer->result = core_truncate(racer->node, "f", 5 << 20);
	racer->ended = true;
}

static void what_is_being_read_can_be_cut_off(struct core_world *world)
{
	struct core_node *node = world->node;
	struct racer reader = {.node = node}, cutter = {.node = node};
	struct vfs_handle *handle;

	core_put_pattern(world, "f", 12 << 20, 1);
	assert_int_equal(core_open(node, "f", O_RDWR, &handle), 0);
	assert_int_equal(core_write(handle, "x", 0), 0);
	core_hold(world, OS_GET, "f");
	core_spawn(node, read_what_is_not_here, &reader);
	core_await_held(world);
	core_hold_no_more(world);
	core_spawn(node, cut, &cutter);
	core_release(world);
	core_sleep(world, NSEC_PER_SEC);
	assert_true(reader.ended);
	assert_true(cutter.ended);
	assert_int_equal(reader.result, 0);
	assert_int_equal(cutter.result, 0);
	assert_int_equal(core_close(node, handle), 0);
	core_drain(node);
	assert_int_equal(objstore_memory_find(world->memory, "f")->size, 5 << 20);
	core_assert_pattern(world, "f", 1, 5 << 20, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CORE_TEST(what_is_on_its_way_is_what_it_was_before),
		CORE_TEST(a_hole_in_what_is_not_here_is_owed_after_a_crash),
		CORE_TEST(zeros_do_not_make_a_file_longer),
		CORE_TEST(what_is_being_read_can_be_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* How many requests a job costs (P8), and when sync and drain are content. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

#define assert_requests(node, puts, gets, heads, lists)                                            \
	do {                                                                                       \
		assert_int_equal((node)->count[OS_PUT], puts);                                     \
		assert_int_equal((node)->count[OS_GET], gets);                                     \
		assert_int_equal((node)->count[OS_HEAD], heads);                                   \
		assert_int_equal((node)->count[OS_LIST], lists);                                   \
		assert_int_equal(core_requests(node), (puts) + (gets) + (heads) + (lists));        \
	} while (0)

static void a_new_file_in_a_new_directory_is_one_put(struct core_world *world)
{
	assert_int_equal(core_mkdir(world->node, "d"), 0);
	core_zero(world->node);
	assert_int_equal(core_put(world->node, "d/f", "text"), 0);
	assert_requests(world->node, 1, 0, 0, 0);
}

static void a_new_directory_is_one_put_and_a_look(struct core_world *world)
{
	assert_int_equal(core_mkdir(world->node, "d"), 0);
	/* That neither the name nor anything below it is there. */
	assert_requests(world->node, 1, 0, 1, 1);
	core_zero(world->node);
	assert_int_equal(core_mkdir(world->node, "d/e"), 0);
	assert_requests(world->node, 1, 0, 0, 0);
}

static void a_thousand_new_files_are_a_thousand_puts(struct core_world *world)
{
	char path[32];

	assert_int_equal(core_mkdir(world->node, "d"), 0);
	core_sleep(world, 2 * NSEC_PER_SEC);
	core_zero(world->node);
	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "d/%d", i);
		assert_int_equal(core_put(world->node, path, path), 0);
	}
	assert_int_equal(world->node->count[OS_PUT], 1000);
	/* What the directory holds is asked for as its knowledge gets old, not for each file. */
	assert_true(core_requests(world->node) <= 1030);
}

static void a_cold_read_of_a_small_listed_file_is_one_request(struct core_world *world)
{
	char data[64];

	objstore_memory_put(world->memory, "d/f", "some text", NULL);
	assert_string_equal(core_list(world->node, "d"), "f ");
	core_sleep(world, 10 * NSEC_PER_SEC);
	core_zero(world->node);
	assert_int_equal(core_read(world->node, "d/f", data, sizeof(data), 0), 9);
	assert_true(core_requests(world->node) <= 3);
	assert_int_equal(world->node->count[OS_GET], 1);
}

static void a_cold_read_right_after_the_listing_is_at_most_two_requests(struct core_world *world)
{
	struct vfs_directory *directory;
	struct vfs_dirent entry;
	char data[64];
	bool more;

	objstore_memory_put(world->memory, "f", "some text", NULL);
	/* Names alone, as of a program that does not stat. */
	assert_int_equal(vfs_opendir(world->node->vfs, VFS_ROOT, &directory), 0);
	assert_int_equal(vfs_readdir(directory, 2, false, &entry, &more), 0);
	assert_string_equal(entry.name, "f");
	vfs_releasedir(directory);
	core_zero(world->node);
	assert_int_equal(core_read(world->node, "f", data, sizeof(data), 0), 9);
	assert_true(core_requests(world->node) <= 2);
}

static void a_cached_file_costs_one_look_to_open(struct core_world *world)
{
	char data[64];

	objstore_memory_put(world->memory, "f", "some text", NULL);
	assert_int_equal(core_read(world->node, "f", data, sizeof(data), 0), 9);
	core_sleep(world, 10 * NSEC_PER_SEC);
	core_zero(world->node);
	assert_int_equal(core_read(world->node, "f", data, sizeof(data), 0), 9);
	assert_requests(world->node, 0, 0, 1, 0);
	core_zero(world->node);
	assert_int_equal(core_read(world->node, "f", data, sizeof(data), 0), 9);
	assert_true(core_requests(world->node) <= 1);
}

static void a_close_without_changes_costs_nothing(struct core_world *world)
{
	struct vfs_handle *handle;

	objstore_memory_put(world->memory, "f", "some text", NULL);
	assert_int_equal(core_open(world->node, "f", O_RDWR, &handle), 0);
	core_zero(world->node);
	assert_int_equal(vfs_fsync(handle), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	assert_int_equal(core_requests(world->node), 0);
}

static void replacing_a_file_does_not_fetch_it(struct core_world *world)
{
	struct vfs_handle *handle;

	core_put_pattern(world, "f", 6 * MIB, 1);
	core_zero(world->node);
	assert_int_equal(core_open(world->node, "f", O_WRONLY | O_TRUNC, &handle), 0);
	assert_int_equal(core_write(handle, "new", 0), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "f", "new");
	assert_int_equal(world->node->count[OS_GET], 0);
	assert_int_equal(world->node->count[OS_PUT], 1);
}

static void many_small_writes_are_one_upload(struct core_world *world)
{
	struct vfs_handle *handle;
	struct stat values = {.st_mode = 0600, .st_uid = 7, .st_mtim = {5, 0}}, out;
	uint64_t ino;

	assert_int_equal(core_mkdir(world->node, "d"), 0);
	core_zero(world->node);
	assert_int_equal(core_open(world->node, "d/f", O_RDWR | O_CREAT, &handle), 0);
	for (uint64_t i = 0; i < 500; i++)
		assert_int_equal(core_write(handle, "0123456789", i * 10), 0);
	/* cp -p and its kind: attributes before the close go along. */
	ino = core_ino(world->node, "d/f");
	assert_int_equal(vfs_setattr(world->node->vfs, ino, handle, &values,
				     VFS_SET_MODE | VFS_SET_UID | VFS_SET_MTIME, &out),
			 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	assert_requests(world->node, 1, 0, 0, 0);
}

static void several_changes_of_attributes_are_one_copy(struct core_world *world)
{
	struct stat values = {.st_uid = 7, .st_mtim = {5, 0}}, out;
	uint64_t ino;

	assert_int_equal(core_put(world->node, "f", "text"), 0);
	ino = core_ino(world->node, "f");
	core_zero(world->node);
	assert_int_equal(core_chmod(world->node, "f", 0600), 0);
	assert_int_equal(vfs_setattr(world->node->vfs, ino, NULL, &values, VFS_SET_UID, &out), 0);
	assert_int_equal(vfs_setattr(world->node->vfs, ino, NULL, &values, VFS_SET_MTIME, &out), 0);
	core_drain(world->node);
	assert_int_equal(world->node->count[OS_COPY], 1);
	assert_int_equal(core_requests(world->node), 1);
}

static void what_was_never_uploaded_costs_nothing_to_remove(struct core_world *world)
{
	struct vfs_handle *handle;

	assert_int_equal(core_mkdir(world->node, "d"), 0);
	core_zero(world->node);
	assert_int_equal(core_open(world->node, "d/tmp", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "scratch", 0), 0);
	assert_int_equal(core_unlink(world->node, "d/tmp"), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	assert_int_equal(core_requests(world->node), 0);
}

/* Attributes that were read within the second of their version are read again, as they may have
 * changed in it; a removal does not need them. */
static void removing_what_was_just_made_costs_one_listing(struct core_world *world)
{
	enum { FILES = 10 };
	char path[16];

	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "d/%d", i);
		objstore_memory_put(world->memory, path, "made by others", NULL);
	}
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "d/%d", i);
		assert_true(core_exists(world->node, path));
	}
	core_sleep(world, 3 * NSEC_PER_SEC);
	core_zero(world->node);
	assert_non_null(core_list(world->node, "d"));
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "d/%d", i);
		assert_int_equal(core_unlink(world->node, path), 0);
	}
	assert_int_equal(world->node->count[OS_GET], 0);
	assert_int_equal(world->node->count[OS_DELETE], FILES);
	assert_true(world->node->count[OS_HEAD] <= 1); /* of the directory, which has no object */
	assert_int_equal(world->memory->bucket.object_count, 1); /* it has one now */
}

static void a_walk_through_a_tree_lists_and_asks_for_each_file_once(struct core_world *world)
{
	struct stat found;
	char path[32];

	for (int i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "d/%02d", i);
		objstore_memory_put(world->memory, path, "x", NULL);
	}
	core_sleep(world, 3 * NSEC_PER_SEC); /* younger ones are asked for again */
	core_zero(world->node);
	core_list(world->node, "d");
	for (int i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "d/%02d", i);
		assert_int_equal(core_stat(world->node, path, &found), 0);
	}
	assert_int_equal(world->node->count[OS_HEAD] <= 50 + 3, 1);
	assert_true(world->node->count[OS_LIST] <= 3);
	/* And again, unchanged: the listing alone tells it. */
	core_sleep(world, 10 * NSEC_PER_SEC);
	core_zero(world->node);
	core_list(world->node, "d");
	for (int i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "d/%02d", i);
		assert_int_equal(core_stat(world->node, path, &found), 0);
	}
	assert_true(core_requests(world->node) <= 5);
}

/* On a link of 20 ms each directory would cost two round trips, one after the other. */
static void a_walk_is_met_ahead(struct core_world *world)
{
	uint64_t begun;
	char path[32];

	for (int i = 0; i < 60; i++) {
		for (int j = 0; j < 4; j++) {
			snprintf(path, sizeof(path), "d/%02d/%d", i, j);
			objstore_memory_put(world->memory, path, "x", NULL);
		}
	}
	world->memory->latency = 20 * NSEC_PER_MSEC;
	core_zero(world->node);
	core_list(world->node, "d");
	begun = executor_monotonic(world->executor);
	for (int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "d/%02d", i);
		assert_string_equal(core_list(world->node, path), "0 1 2 3 ");
	}
	assert_true(executor_monotonic(world->executor) - begun < 60 * 10 * NSEC_PER_MSEC);
	assert_true(world->node->count[OS_LIST] <= 72);
	assert_true(world->node->count[OS_HEAD] <= 60 * 5 + 8);
}

/* What is asked for ahead would be old when the walk comes there. */
static void who_goes_slowly_gets_nothing_ahead(struct core_world *world)
{
	char path[32];

	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "d/%02d/x", i);
		objstore_memory_put(world->memory, path, "x", NULL);
	}
	core_list(world->node, "d");
	core_zero(world->node);
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "d/%02d", i);
		core_list(world->node, path);
		core_sleep(world, 600 * NSEC_PER_MSEC);
	}
	/* For each directory its names, and whether it is still there. */
	assert_true(world->node->count[OS_LIST] <= 20 + 20 + 12);
}

static void sync_publishes_what_is_open_too(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *handles[10];
	char path[16];

	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "f%d", i);
		assert_int_equal(core_open(node, path, O_RDWR | O_CREAT, &handles[i]), 0);
		assert_int_equal(core_write(handles[i], path, 0), 0);
	}
	assert_int_equal(vfs_pending(node->vfs).files, 10);
	assert_int_equal(vfs_sync(node->vfs, VFS_ROOT, env_after(&node->env, 30 * NSEC_PER_SEC)),
			 0);
	assert_int_equal(vfs_pending(node->vfs).files, 0);
	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "f%d", i);
		core_assert_object(world, path, path);
		assert_int_equal(core_close(node, handles[i]), 0);
	}
}

static void sync_of_a_directory_leaves_others_alone(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *inside, *outside;

	assert_int_equal(core_mkdir(node, "d"), 0);
	assert_int_equal(core_open(node, "d/in", O_RDWR | O_CREAT, &inside), 0);
	assert_int_equal(core_open(node, "out", O_RDWR | O_CREAT, &outside), 0);
	assert_int_equal(core_write(inside, "in", 0), 0);
	assert_int_equal(core_write(outside, "out", 0), 0);
	assert_int_equal(
		vfs_sync(node->vfs, core_ino(node, "d"), env_after(&node->env, NSEC_PER_SEC)), 0);
	core_assert_object(world, "d/in", "in");
	core_assert_object(world, "out", NULL);
}

static void sync_says_when_it_cannot(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *handle;

	assert_int_equal(core_open(node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "text", 0), 0);
	objstore_memory_set_away(world->memory, true);
	assert_int_equal(vfs_sync(node->vfs, VFS_ROOT, env_after(&node->env, 5 * NSEC_PER_SEC)),
			 -ETIMEDOUT);
	objstore_memory_set_away(world->memory, false);
	core_drain(node);
	core_assert_object(world, "f", "text");
	objstore_memory_fail(world->memory, OS_PUT, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(core_write(handle, "TEXT", 0), 0);
	assert_int_equal(vfs_sync(node->vfs, VFS_ROOT, env_after(&node->env, 5 * NSEC_PER_SEC)),
			 -EACCES);
}

static void many_dirty_files_go_side_by_side(struct core_world *world)
{
	struct core_node *node = &world->nodes[1];
	char path[16];
	uint64_t started;

	node->config.close = PUBLISH_LOCAL;
	core_start(node);
	assert_int_equal(core_mkdir(node, "d"), 0);
	world->memory->latency = NSEC_PER_SEC;
	started = env_now(&node->env);
	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "d/%d", i);
		assert_int_equal(core_put(node, path, "x"), 0);
	}
	assert_true(env_now(&node->env) - started < 10 * NSEC_PER_SEC);
	assert_int_equal(vfs_sync(node->vfs, VFS_ROOT, env_after(&node->env, 60 * NSEC_PER_SEC)),
			 0);
	assert_true(env_now(&node->env) - started <= 15 * NSEC_PER_SEC);
	world->memory->latency = NSEC_PER_MSEC;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(a_new_file_in_a_new_directory_is_one_put),
		CORE_TEST(a_new_directory_is_one_put_and_a_look),
		CORE_TEST(a_thousand_new_files_are_a_thousand_puts),
		CORE_TEST(a_cold_read_of_a_small_listed_file_is_one_request),
		CORE_TEST(a_cold_read_right_after_the_listing_is_at_most_two_requests),
		CORE_TEST(a_cached_file_costs_one_look_to_open),
		CORE_TEST(a_close_without_changes_costs_nothing),
		CORE_TEST(replacing_a_file_does_not_fetch_it),
		CORE_TEST(many_small_writes_are_one_upload),
		CORE_TEST(several_changes_of_attributes_are_one_copy),
		CORE_TEST(what_was_never_uploaded_costs_nothing_to_remove),
		CORE_TEST(removing_what_was_just_made_costs_one_listing),
		CORE_TEST(a_walk_through_a_tree_lists_and_asks_for_each_file_once),
		CORE_TEST(a_walk_is_met_ahead),
		CORE_TEST(who_goes_slowly_gets_nothing_ahead),
		CORE_TEST(sync_publishes_what_is_open_too),
		CORE_TEST(sync_of_a_directory_leaves_others_alone),
		CORE_TEST(sync_says_when_it_cannot),
		CORE_TEST(many_dirty_files_go_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

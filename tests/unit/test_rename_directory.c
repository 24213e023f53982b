/* Renames of directories: what becomes of the tree when something fails, and of what is known and
 * open below. */
#include "fs/vfs/tree_copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

struct job {
	struct core_node *node;
	const char *from, *to;
	int result;
	bool done;
};

static void rename_fiber(void *argument)
{
	struct job *job = argument;

	job->result = core_rename(job->node, job->from, job->to);
	job->done = true;
}

static void unlink_fiber(void *argument)
{
	struct job *job = argument;

	job->result = core_unlink(job->node, job->from);
	job->done = true;
}

static void await(struct core_world *world, const struct job *job)
{
	for (int turn = 0; !job->done; turn++) {
		assert_true(turn < 100000);
		core_sleep(world, 10 * NSEC_PER_MSEC);
	}
}

static void make_tree(struct core_world *world)
{
	assert_int_equal(core_mkdir(world->node, "from"), 0);
	assert_int_equal(core_put(world->node, "from/a", "a"), 0);
	assert_int_equal(core_mkdir(world->node, "from/sub"), 0);
	assert_int_equal(core_put(world->node, "from/sub/b", "b"), 0);
}

static bool is_below(struct core_world *world, const char *name)
{
	for (size_t i = 0; i < world->memory->bucket.object_count; i++)
		if (strncmp(world->memory->bucket.objects[i]->key, name, strlen(name)) == 0)
			return true;
	return false;
}

static bool status_says(struct core_world *world, const char *text)
{
	struct buf status = BUF_INIT;
	bool said;

	vfs_status(world->node->vfs, &status);
	said = strstr(buf_str(&status), text) != NULL;
	buf_free(&status);
	return said;
}

static void when_sources_cannot_be_deleted_the_tree_has_moved(struct core_world *world)
{
	make_tree(world);
	core_sleep(world, 3 * NSEC_PER_SEC);
	assert_int_equal(core_put(world->node, "from/z", "newest"), 0);
	objstore_memory_fail(world->memory, OS_DELETE_MANY, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	core_assert_file(world->node, "to/a", "a");
	core_assert_object(world, "to/sub/b", "b");
	core_assert_object(world, "from/sub/b", "b");
	assert_true(status_says(world, "it moved; the next mount deletes"));
	core_sleep(world, 3 * NSEC_PER_SEC);
	/* Work goes on at both places. */
	assert_int_equal(core_append(world->node, "to/a", "+"), 0);
	assert_int_equal(core_put(world->node, "from/new", "new"), 0);
	core_crash(world->node);
	core_drain(world->node);
	assert_string_equal(core_list(world->node, "from"), "new ");
	core_assert_object(world, "from/", NULL);
	core_assert_object(world, "from/new", "new");
	core_assert_object(world, "to/a", "a+");
	core_assert_object(world, "to/sub/b", "b");
	core_assert_object(world, "to/z", "newest");
}

static void deletions_that_heal_are_not_noticed(struct core_world *world)
{
	make_tree(world);
	objstore_memory_fail(world->memory, OS_DELETE_MANY, 1, -EIO, FAULT_BEFORE);
	objstore_memory_fail(world->memory, OS_DELETE_MANY, 2, -ETIMEDOUT, FAULT_AFTER);
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	assert_false(is_below(world, "from"));
	assert_true(status_says(world, "\"last_error\":null"));
	core_assert_file(world->node, "to/sub/b", "b");
}

static void a_failed_copy_is_taken_back_and_everything_goes_on(struct core_world *world)
{
	struct vfs_handle *handle;

	make_tree(world);
	assert_int_equal(core_open(world->node, "from/a", O_RDWR, &handle), 0);
	objstore_memory_fail(world->memory, OS_COPY, 3, -EACCES, FAULT_BEFORE);
	assert_int_equal(core_rename(world->node, "from", "to"), -EACCES);
	assert_false(is_below(world, "to"));
	assert_int_equal(core_write(handle, "A", 0), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "from/a", "A");
	core_crash(world->node);
	core_assert_file(world->node, "from/a", "A");
	assert_false(is_below(world, "to"));
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	core_assert_file(world->node, "to/a", "A");
}

static void copies_that_could_not_be_taken_back_go_at_the_next_mount(struct core_world *world)
{
	make_tree(world);
	objstore_memory_fail(world->memory, OS_COPY, 3, -EACCES, FAULT_BEFORE);
	objstore_memory_fail(world->memory, OS_DELETE_MANY, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(core_rename(world->node, "from", "to"), -EACCES);
	assert_true(is_below(world, "to"));
	core_assert_file(world->node, "from/a", "a");
	core_crash(world->node);
	assert_false(is_below(world, "to"));
	core_assert_file(world->node, "from/a", "a");
	core_assert_file(world->node, "from/sub/b", "b");
}

static void recovery_that_crashes_again_is_recovered(struct core_world *world)
{
	static const int ops[] = {OS_LIST, OS_COPY, OS_DELETE_MANY};

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct job job = {world->node, "from", "to", 0, false};

		make_tree(world);
		core_hold(world, OS_COPY, "to/sub/b");
		core_spawn(world->node, rename_fiber, &job);
		core_await_held(world);
		core_crash_only(world->node);
		core_release(world);
		objstore_memory_fail(world->memory, ops[i], 1, -EACCES, FAULT_BEFORE);
		core_start(world->node);
		assert_int_equal(objstore_memory_faults_left(world->memory), 0);
		core_crash(world->node);
		core_sleep(world, 3 * NSEC_PER_SEC);
		assert_false(is_below(world, "from"));
		core_assert_file(world->node, "to/a", "a");
		core_assert_file(world->node, "to/sub/b", "b");
		assert_false(core_exists(world->node, "from"));
		assert_int_equal(core_unlink(world->node, "to/sub/b"), 0);
		assert_int_equal(core_rmdir(world->node, "to/sub"), 0);
		assert_int_equal(core_unlink(world->node, "to/a"), 0);
		assert_int_equal(core_rmdir(world->node, "to"), 0);
	}
}

/* Above 16 MiB the object is made of parts: the copy has another ETag. */
static void a_large_file_below_keeps_its_cache_and_its_writer(struct core_world *world)
{
	enum { LEN = 17 << 20 };
	struct vfs_handle *handle;
	char *data = malloc(LEN);

	assert_non_null(data);
	core_pattern(data, LEN, 0, 1);
	assert_int_equal(core_mkdir(world->node, "from"), 0);
	assert_int_equal(core_put_bytes(world->node, "from/large", data, LEN), 0);
	assert_int_equal(core_open(world->node, "from/large", O_RDWR, &handle), 0);
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	core_zero(world->node);
	core_sleep(world, 2 * NSEC_PER_SEC);
	assert_int_equal(core_read(world->node, "to/large", data, LEN, 0), LEN);
	assert_int_equal(world->node->count[OS_GET], 0);
	assert_int_equal(core_write(handle, "changed", 0), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	assert_false(is_below(world, "from"));
	assert_int_equal(world->memory->bucket.object_count, 2); /* and no conflict copy */
	assert_memory_equal(objstore_memory_find(world->memory, "to/large")->data, "changed", 7);
	free(data);
}

static void another_version_that_moved_is_not_taken_for_ours(struct core_world *world)
{
	make_tree(world);
	core_assert_file(world->node, "from/a", "a");
	objstore_memory_put(world->memory, "from/a", "A", NULL); /* as long, and not seen yet */
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	core_assert_file(world->node, "to/a", "A");
}

static void someone_makes_to_a(struct core_world *world)
{
	objstore_memory_put(world->memory, "to/a", "theirs", NULL);
}

static void who_is_faster_at_the_destination_is_not_overwritten(struct core_world *world)
{
	make_tree(world);
	core_interfere(world, OS_COPY, someone_makes_to_a);
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	core_assert_file(world->node, "to/a", "theirs");
	core_assert_file(world->node, "from/a", "a");
	core_assert_file(world->node, "to/sub/b", "b");
	assert_string_equal(core_list(world->node, ""), "from to ");
}

static void a_file_and_a_directory_of_one_name_are_not_mixed_up(struct core_world *world)
{
	objstore_memory_put(world->memory, "from/x", "file", NULL);
	objstore_memory_put(world->memory, "from/x/", "", NULL);
	objstore_memory_put(world->memory, "from/x/y", "y", NULL);
	objstore_memory_put(world->memory, "from//odd", "odd", NULL);
	assert_string_equal(core_list(world->node, "from"), "x ");
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	core_assert_file(world->node, "to/x/y", "y");
	core_assert_object(world, "to/x", "file");
	core_assert_object(world, "to//odd", "odd");
	assert_false(is_below(world, "from"));
}

static void an_unlink_that_is_under_way_below_is_waited_for(struct core_world *world)
{
	struct job removal = {world->node, "from/a", NULL, 0, false};
	struct job job = {world->node, "from", "to", 0, false};

	make_tree(world);
	core_hold(world, OS_DELETE, "from/a");
	core_spawn(world->node, unlink_fiber, &removal);
	core_await_held(world);
	core_spawn(world->node, rename_fiber, &job);
	core_sleep(world, NSEC_PER_SEC);
	assert_false(job.done);
	core_release(world);
	await(world, &removal);
	await(world, &job);
	assert_int_equal(removal.result, 0);
	assert_int_equal(job.result, 0);
	core_assert_object(world, "to/a", NULL);
	assert_string_equal(core_list(world->node, "to"), "sub ");
	assert_false(is_below(world, "from"));
}

static void a_rename_below_is_waited_for(struct core_world *world)
{
	struct job below = {world->node, "from/a", "from/c", 0, false};
	struct job job = {world->node, "from", "to", 0, false};

	make_tree(world);
	core_hold(world, OS_COPY, "from/c");
	core_spawn(world->node, rename_fiber, &below);
	core_await_held(world);
	core_spawn(world->node, rename_fiber, &job);
	core_sleep(world, NSEC_PER_SEC);
	assert_false(job.done);
	core_release(world);
	await(world, &below);
	await(world, &job);
	assert_int_equal(below.result, 0);
	assert_int_equal(job.result, 0);
	assert_string_equal(core_list(world->node, "to"), "c sub ");
	core_assert_file(world->node, "to/c", "a");
	assert_false(is_below(world, "from"));
}

static struct job work[8];

static void make_job(struct core_world *world, unsigned number, void (*fiber)(void *argument),
		     const char *from, const char *to)
{
	work[number] = (struct job){world->node, from, to, 0, false};
	core_spawn(world->node, fiber, &work[number]);
}

/* At whatever moment a directory moves while names below it do, each key ends at one place. */
static void names_that_change_below_meanwhile_are_not_torn(struct core_world *world)
{
	for (unsigned delay = 0; delay < 14; delay++) {
		make_tree(world);
		assert_int_equal(core_put(world->node, "from/c", "c"), 0);
		assert_int_equal(core_put(world->node, "from/d", "d"), 0);
		core_sleep(world, 2 * NSEC_PER_SEC);
		world->memory->latency = 100 * NSEC_PER_MSEC;
		make_job(world, 0, rename_fiber, "from/a", "from/sub/a");
		make_job(world, 1, unlink_fiber, "from/c", NULL);
		make_job(world, 2, rename_fiber, "from/sub/b", "b");
		make_job(world, 3, rename_fiber, "from/d", "from/e");
		core_sleep(world, delay * 50 * NSEC_PER_MSEC);
		make_job(world, 4, rename_fiber, "from", "to");
		for (unsigned i = 0; i < 5; i++)
			await(world, &work[i]);
		world->memory->latency = 0;
		core_sleep(world, 2 * NSEC_PER_SEC);
		assert_int_equal(work[4].result, 0);
		assert_false(is_below(world, "from"));
		/* Who came too late did not find the name, and nothing happened. */
		core_assert_file(world->node, work[0].result ? "to/a" : "to/sub/a", "a");
		core_assert_file(world->node, work[2].result ? "to/sub/b" : "b", "b");
		core_assert_file(world->node, work[3].result ? "to/d" : "to/e", "d");
		assert_int_equal(core_exists(world->node, "to/c"), work[1].result != 0);
		assert_int_equal(world->memory->bucket.object_count, work[1].result ? 6 : 5);
		while (world->memory->bucket.object_count > 0)
			objstore_memory_remove(world->memory,
					       world->memory->bucket.objects[0]->key);
		core_sleep(world, 2 * NSEC_PER_SEC);
		assert_string_equal(core_list(world->node, ""), "");
	}
}

static void a_directory_that_moves_into_one_that_moves_arrives(struct core_world *world)
{
	for (unsigned delay = 0; delay < 14; delay++) {
		make_tree(world);
		assert_int_equal(core_mkdir(world->node, "other"), 0);
		assert_int_equal(core_put(world->node, "other/x", "x"), 0);
		core_sleep(world, 2 * NSEC_PER_SEC);
		world->memory->latency = 100 * NSEC_PER_MSEC;
		make_job(world, 0, rename_fiber, "other", "from/sub/other");
		core_sleep(world, delay * 50 * NSEC_PER_MSEC);
		make_job(world, 1, rename_fiber, "from", "to");
		await(world, &work[0]);
		await(world, &work[1]);
		world->memory->latency = 0;
		core_sleep(world, 2 * NSEC_PER_SEC);
		assert_int_equal(work[1].result, 0);
		assert_false(is_below(world, "from"));
		core_assert_file(world->node, work[0].result ? "other/x" : "to/sub/other/x", "x");
		core_assert_file(world->node, "to/sub/b", "b");
		assert_int_equal(world->memory->bucket.object_count, 6);
		while (world->memory->bucket.object_count > 0)
			objstore_memory_remove(world->memory,
					       world->memory->bucket.objects[0]->key);
		core_sleep(world, 2 * NSEC_PER_SEC);
		assert_string_equal(core_list(world->node, ""), "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(when_sources_cannot_be_deleted_the_tree_has_moved),
		CORE_TEST(deletions_that_heal_are_not_noticed),
		CORE_TEST(a_failed_copy_is_taken_back_and_everything_goes_on),
		CORE_TEST(copies_that_could_not_be_taken_back_go_at_the_next_mount),
		CORE_TEST(recovery_that_crashes_again_is_recovered),
		CORE_TEST(a_large_file_below_keeps_its_cache_and_its_writer),
		CORE_TEST(another_version_that_moved_is_not_taken_for_ours),
		CORE_TEST(who_is_faster_at_the_destination_is_not_overwritten),
		CORE_TEST(a_file_and_a_directory_of_one_name_are_not_mixed_up),
		CORE_TEST(an_unlink_that_is_under_way_below_is_waited_for),
		CORE_TEST(a_rename_below_is_waited_for),
		CORE_TEST(names_that_change_below_meanwhile_are_not_torn),
		CORE_TEST(a_directory_that_moves_into_one_that_moves_arrives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

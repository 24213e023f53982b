/* Directories as S3 and this node see them at once: whose word counts when. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

struct list_job {
	struct core_node *node;
	const char *path;
	char names[4096];
	bool done;
};

static void list_fiber(void *argument)
{
	struct list_job *job = argument;

	snprintf(job->names, sizeof(job->names), "%s", core_list(job->node, job->path));
	job->done = true;
}

/* The listing has been made by the server, but its reply is on its way for a second. */
static void begin_list_of(struct core_world *world, struct list_job *job, const char *path)
{
	*job = (struct list_job){.node = world->node, .path = path};
	core_sleep(world, 5 * NSEC_PER_SEC);
	core_hold(world, OS_LIST, NULL);
	core_spawn(world->node, list_fiber, job);
	core_await_held(world);
	core_hold_no_more(world);
}

static void begin_list(struct core_world *world, struct list_job *job)
{
	begin_list_of(world, job, "");
}

static void end_list(struct core_world *world, struct list_job *job)
{
	core_release(world);
	while (!job->done)
		core_sleep(world, NSEC_PER_MSEC);
}

/* The held request takes effect at its release: what the bucket was when it came is put there for
 * that moment. */
static struct memory_object *take_away(struct core_world *world, const char *key)
{
	struct memory_bucket *bucket = &world->memory->bucket;
	size_t at = memory_bucket_position(bucket, key);
	struct memory_object *object = bucket->objects[at];

	assert_string_equal(object->key, key);
	memmove(bucket->objects + at, bucket->objects + at + 1,
		(bucket->object_count - at - 1) * sizeof(struct memory_object *));
	bucket->object_count--;
	return object;
}

static void a_file_made_while_a_listing_is_under_way_stays(struct core_world *world)
{
	struct memory_object *made;
	struct list_job job;

	objstore_memory_put(world->memory, "old", "x", NULL);
	assert_string_equal(core_list(world->node, ""), "old ");
	begin_list(world, &job);
	assert_int_equal(core_put(world->node, "new", "n"), 0);
	made = take_away(world, "new");
	end_list(world, &job);
	memory_bucket_insert(&world->memory->bucket, made);
	assert_string_equal(core_list(world->node, ""), "new old ");
	core_assert_file(world->node, "new", "n");
}

static void a_file_removed_while_a_listing_is_under_way_stays_away(struct core_world *world)
{
	struct list_job job;

	objstore_memory_put(world->memory, "a", "x", NULL);
	objstore_memory_put(world->memory, "b", "x", NULL);
	assert_string_equal(core_list(world->node, ""), "a b ");
	begin_list(world, &job);
	assert_int_equal(core_unlink(world->node, "a"), 0);
	objstore_memory_put(world->memory, "a", "x", NULL); /* as the listing saw it */
	core_release(world);
	while (!job.done)
		core_sleep(world, NSEC_PER_MSEC);
	assert_true(objstore_memory_remove(world->memory, "a"));
	assert_string_equal(core_list(world->node, ""), "b ");
	assert_false(core_exists(world->node, "a"));
}

static void a_file_renamed_while_a_listing_is_under_way_has_one_name(struct core_world *world)
{
	struct list_job job;
	struct memory_object *moved;

	objstore_memory_put(world->memory, "a", "x", NULL);
	assert_string_equal(core_list(world->node, ""), "a ");
	begin_list(world, &job);
	assert_int_equal(core_rename(world->node, "a", "b"), 0);
	moved = take_away(world, "b");
	objstore_memory_put(world->memory, "a", "x", NULL);
	end_list(world, &job);
	assert_true(objstore_memory_remove(world->memory, "a"));
	memory_bucket_insert(&world->memory->bucket, moved);
	assert_string_equal(core_list(world->node, ""), "b ");
	assert_string_equal(job.names, "b ");
}

static void a_file_changed_while_a_listing_is_under_way_keeps_its_bytes(struct core_world *world)
{
	struct list_job job;

	assert_int_equal(core_put(world->node, "f", "first"), 0);
	begin_list(world, &job);
	assert_int_equal(core_put(world->node, "f", "second version"), 0);
	objstore_memory_put(world->memory, "f", "first", NULL);
	end_list(world, &job);
	core_assert_file(world->node, "f", "first"); /* S3's word, asked for at open */
}

static void what_others_do_shows_after_the_attribute_time(struct core_world *world)
{
	objstore_memory_put(world->memory, "stays", "1", NULL);
	objstore_memory_put(world->memory, "goes", "1", NULL);
	objstore_memory_put(world->memory, "type", "file", NULL);
	assert_string_equal(core_list(world->node, ""), "goes stays type ");
	objstore_memory_put(world->memory, "comes", "1", NULL);
	objstore_memory_remove(world->memory, "goes");
	objstore_memory_remove(world->memory, "type");
	objstore_memory_put(world->memory, "type/below", "1", NULL);
	core_sleep(world, 1100 * NSEC_PER_MSEC);
	assert_string_equal(core_list(world->node, ""), "comes stays type ");
	assert_string_equal(core_list(world->node, "type"), "below ");
	assert_false(core_exists(world->node, "goes"));
	core_assert_file(world->node, "comes", "1");
}

/* versitygw replaces ETag and bytes one after the other: in between it tells the ETag of the new
 * version with the size of the old one. */
static void a_listing_that_mixes_two_versions_takes_nothing_from_an_append(struct core_world *world)
{
	struct memory_object *object;
	struct vfs_handle *handle;

	objstore_memory_put(world->memory, "f", "one,", NULL);
	assert_int_equal(core_open(world->node, "f", O_WRONLY | O_APPEND, &handle), 0);
	objstore_memory_put(world->memory, "f", "one,two,", NULL);
	core_sleep(world, 5 * NSEC_PER_SEC);
	object = memory_bucket_find(&world->memory->bucket, "f");
	object->size = 4;
	assert_string_equal(core_list(world->node, ""), "f ");
	object->size = 8;
	assert_int_equal(core_write(handle, "six,", VFS_AT_END), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "f", "one,two,six,");
}

/* What LIST says of a file that is open is asked for once more before it is shown. */
static void a_file_that_is_open_shows_what_others_have_put_there(struct core_world *world)
{
	struct vfs_handle *handle;
	struct stat stat;
	char data[16];

	objstore_memory_put(world->memory, "f", "one,", NULL);
	assert_int_equal(core_open(world->node, "f", O_RDONLY, &handle), 0);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), 4);
	objstore_memory_put(world->memory, "f", "one,two,", NULL);
	core_sleep(world, 5 * NSEC_PER_SEC);
	core_zero(world->node);
	assert_string_equal(core_list(world->node, ""), "f ");
	assert_int_equal(core_stat(world->node, "f", &stat), 0);
	assert_int_equal(stat.st_size, 8);
	assert_int_equal(core_requests(world->node), 2);
	core_release_handle(world->node, handle);
}

static void a_directory_of_others_may_become_a_file(struct core_world *world)
{
	objstore_memory_put(world->memory, "type/below", "1", NULL);
	assert_string_equal(core_list(world->node, "type"), "below ");
	objstore_memory_remove(world->memory, "type/below");
	objstore_memory_put(world->memory, "type", "file", NULL);
	core_sleep(world, 1100 * NSEC_PER_MSEC);
	assert_string_equal(core_list(world->node, ""), "type ");
	core_assert_file(world->node, "type", "file");
}

static void new_attributes_of_others_show_after_the_attribute_time(struct core_world *world)
{
	static const char *const meta[] = {"mode", "33024", NULL};
	struct stat found;

	objstore_memory_put(world->memory, "f", "same bytes", NULL);
	assert_int_equal(core_stat(world->node, "f", &found), 0);
	assert_int_equal(found.st_mode, S_IFREG | 0644);
	/* In the same second, with the same ETag: only a HEAD can tell. */
	objstore_memory_put(world->memory, "f", "same bytes", meta);
	core_sleep(world, 1100 * NSEC_PER_MSEC);
	core_list(world->node, "");
	assert_int_equal(core_stat(world->node, "f", &found), 0);
	assert_int_equal(found.st_mode, S_IFREG | 0400);
}

static void an_outage_removes_no_name(struct core_world *world)
{
	struct stat found;

	assert_int_equal(core_mkdir(world->node, "d"), 0);
	assert_int_equal(core_put(world->node, "d/f", "1"), 0);
	objstore_memory_put(world->memory, "other", "1", NULL);
	core_sleep(world, 2 * NSEC_PER_SEC);
	assert_string_equal(core_list(world->node, ""), "d other ");
	objstore_memory_set_away(world->memory, true);
	for (int turn = 0; turn < 5; turn++) {
		core_sleep(world, 100 * NSEC_PER_SEC);
		assert_string_equal(core_list(world->node, ""), "d other ");
		assert_string_equal(core_list(world->node, "d"), "f ");
		assert_int_equal(core_stat(world->node, "other", &found), 0);
		core_assert_file(world->node, "d/f", "1");
	}
	assert_int_equal(core_rmdir(world->node, "d"), -ENOTEMPTY);
	assert_int_not_equal(core_unlink(world->node, "other"), 0);
	objstore_memory_set_away(world->memory, false);
	core_sleep(world, 10 * NSEC_PER_SEC);
	core_assert_file(world->node, "other", "1");
}

static void what_was_never_listed_is_an_error_in_an_outage(struct core_world *world)
{
	struct stat found;

	objstore_memory_put(world->memory, "d/f", "1", NULL);
	objstore_memory_set_away(world->memory, true);
	assert_int_equal(core_stat(world->node, "d", &found), -EHOSTUNREACH);
	assert_string_equal(core_list(world->node, ""), "error 113");
	objstore_memory_set_away(world->memory, false);
	core_sleep(world, 10 * NSEC_PER_SEC);
	assert_string_equal(core_list(world->node, "d"), "f ");
}

static void long_listings_come_in_pages(struct core_world *world)
{
	char key[32];
	struct stat found;

	world->memory->list_max = 7;
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), i % 5 ? "d/%03d" : "d/%03d/x", i);
		objstore_memory_put(world->memory, key, "1", NULL);
	}
	core_zero(world->node);
	core_list(world->node, "d");
	assert_true(world->node->count[OS_LIST] >= 8);
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "d/%03d", i);
		assert_int_equal(core_stat(world->node, key, &found), 0);
		assert_int_equal(S_ISDIR(found.st_mode), i % 5 == 0);
	}
}

static void a_listing_that_breaks_off_half_way_removes_nothing(struct core_world *world)
{
	world->memory->list_max = 1;
	objstore_memory_put(world->memory, "a", "1", NULL);
	objstore_memory_put(world->memory, "b", "1", NULL);
	objstore_memory_put(world->memory, "c", "1", NULL);
	assert_string_equal(core_list(world->node, ""), "a b c ");
	core_sleep(world, 10 * NSEC_PER_SEC);
	objstore_memory_fail(world->memory, OS_LIST, 2, -EIO, FAULT_BEFORE);
	assert_string_equal(core_list(world->node, ""), "a b c ");
	core_assert_file(world->node, "c", "1");
}

static void nodes_see_each_others_names(struct core_world *world)
{
	struct core_node *one = &world->nodes[0], *two = &world->nodes[1];

	core_start(two);
	assert_int_equal(core_mkdir(one, "d"), 0);
	assert_int_equal(core_put(one, "d/f", "x"), 0);
	assert_string_equal(core_list(two, "d"), "f ");
	assert_int_equal(core_unlink(two, "d/f"), 0);
	assert_int_equal(core_rmdir(two, "d"), 0);
	core_sleep(world, 2 * NSEC_PER_SEC);
	assert_false(core_exists(one, "d/f"));
	assert_false(core_exists(one, "d"));
	assert_string_equal(core_list(one, ""), "");
}

static void two_nodes_that_make_one_directory_share_it(struct core_world *world)
{
	struct core_node *one = &world->nodes[0], *two = &world->nodes[1];

	core_start(two);
	assert_false(core_exists(two, "d"));
	assert_int_equal(core_mkdir(one, "d"), 0);
	assert_int_equal(core_put(one, "d/1", "x"), 0);
	core_sleep(world, 2 * NSEC_PER_SEC);
	assert_int_equal(core_mkdir(two, "d"), -EEXIST);
	assert_int_equal(core_put(two, "d/2", "x"), 0);
	core_sleep(world, 2 * NSEC_PER_SEC);
	assert_string_equal(core_list(one, "d"), "1 2 ");
	assert_string_equal(core_list(two, "d"), "1 2 ");
}

static void rename_fiber(void *argument)
{
	assert_int_equal(core_rename(argument, "from", "to"), 0);
}

static void stat_fiber(void *argument)
{
	struct list_job *job = argument;
	struct stat st;

	snprintf(job->names, sizeof(job->names), "%d", core_stat(job->node, job->path, &st));
	job->done = true;
}

/* A tree whose directory has no object of its own, so that all that is known of it is below. */
static void put_tree(struct core_world *world)
{
	objstore_memory_put(world->memory, "from/sub/deep/file", "x", NULL);
	objstore_memory_put(world->memory, "from/sub/file", "x", NULL);
	assert_string_equal(core_list(world->node, "from/sub"), "deep file ");
	assert_string_equal(core_list(world->node, "from/sub/deep"), "file ");
}

static void a_listing_of_what_has_moved_meanwhile_removes_nothing(struct core_world *world)
{
	struct list_job job;

	put_tree(world);
	begin_list_of(world, &job, "from/sub");
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	end_list(world, &job);
	assert_true(core_exists(world->node, "to/sub/deep"));
	core_assert_file(world->node, "to/sub/deep/file", "x");
	assert_string_equal(core_list(world->node, "to/sub"), "deep file ");
}

static void a_name_that_is_asked_for_while_it_moves_stays(struct core_world *world)
{
	struct list_job job = {.node = world->node, .path = "from/sub/deep"};
	uint64_t ino;

	put_tree(world);
	ino = core_ino(world->node, "from/sub/deep");
	core_sleep(world, 5 * NSEC_PER_SEC);
	assert_true(core_exists(world->node, "from/sub"));
	core_hold(world, OS_HEAD, "from/sub/deep/");
	core_spawn(world->node, stat_fiber, &job);
	core_await_held(world);
	core_hold_no_more(world);
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	end_list(world, &job);
	assert_string_equal(job.names, "0");
	assert_int_equal(core_ino(world->node, "to/sub/deep"), ino);
	core_assert_file(world->node, "to/sub/deep/file", "x");
}

/* Between the deletion of the old keys and the move here. */
static void a_listing_within_a_rename_removes_nothing(struct core_world *world)
{
	struct list_job job = {.node = world->node, .path = "from/sub"};
	struct stat st;

	put_tree(world);
	core_sleep(world, 5 * NSEC_PER_SEC);
	core_hold(world, OS_DELETE_MANY, NULL);
	core_spawn(world->node, rename_fiber, world->node);
	core_await_held(world);
	assert_true(objstore_memory_remove(world->memory, "from/sub/deep/file"));
	core_spawn(world->node, list_fiber, &job);
	core_sleep(world, NSEC_PER_SEC);
	core_hold_no_more(world);
	end_list(world, &job);
	while (core_stat(world->node, "to/sub/deep/file", &st))
		core_sleep(world, NSEC_PER_MSEC);
	assert_string_equal(job.names, "deep file ");
	assert_string_equal(core_list(world->node, "to/sub"), "deep file ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(a_file_made_while_a_listing_is_under_way_stays),
		CORE_TEST(a_file_removed_while_a_listing_is_under_way_stays_away),
		CORE_TEST(a_file_renamed_while_a_listing_is_under_way_has_one_name),
		CORE_TEST(a_file_changed_while_a_listing_is_under_way_keeps_its_bytes),
		CORE_TEST(what_others_do_shows_after_the_attribute_time),
		CORE_TEST(a_listing_that_mixes_two_versions_takes_nothing_from_an_append),
		CORE_TEST(a_file_that_is_open_shows_what_others_have_put_there),
		CORE_TEST(a_directory_of_others_may_become_a_file),
		CORE_TEST(new_attributes_of_others_show_after_the_attribute_time),
		CORE_TEST(an_outage_removes_no_name),
		CORE_TEST(what_was_never_listed_is_an_error_in_an_outage),
		CORE_TEST(long_listings_come_in_pages),
		CORE_TEST(a_listing_that_breaks_off_half_way_removes_nothing),
		CORE_TEST(nodes_see_each_others_names),
		CORE_TEST(two_nodes_that_make_one_directory_share_it),
		CORE_TEST(a_listing_of_what_has_moved_meanwhile_removes_nothing),
		CORE_TEST(a_name_that_is_asked_for_while_it_moves_stays),
		CORE_TEST(a_listing_within_a_rename_removes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

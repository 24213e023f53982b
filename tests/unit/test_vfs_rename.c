/* Renames: what they cost, what they keep, and what a failure or a crash in the middle leaves. */
#include "fs/vfs/vfs.h"

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

static void await(struct core_world *world, const struct job *job)
{
	for (int turn = 0; !job->done; turn++) {
		assert_true(turn < 100000);
		core_sleep(world, 10 * NSEC_PER_MSEC);
	}
}

static void a_file_that_was_never_uploaded_moves_without_a_request(struct core_world *world)
{
	struct vfs_handle *handle;

	assert_int_equal(core_mkdir(world->node, "d"), 0);
	core_zero(world->node);
	assert_int_equal(core_open(world->node, "d/a", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "text", 0), 0);
	assert_int_equal(core_rename(world->node, "d/a", "d/b"), 0);
	assert_int_equal(core_requests(world->node), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	assert_int_equal(core_requests(world->node), 1);
	core_assert_object(world, "d/a", NULL);
	core_assert_object(world, "d/b", "text");
}

static void a_published_file_is_copied_by_the_server(struct core_world *world)
{
	struct stat before, after;

	assert_int_equal(core_put(world->node, "a", "text"), 0);
	assert_int_equal(core_stat(world->node, "a", &before), 0);
	core_zero(world->node);
	assert_int_equal(core_rename(world->node, "a", "b"), 0);
	assert_int_equal(world->node->count[OS_COPY], 1);
	assert_int_equal(world->node->count[OS_DELETE], 1);
	assert_int_equal(world->node->count[OS_PUT] + world->node->count[OS_GET], 0);
	core_assert_object(world, "a", NULL);
	core_assert_object(world, "b", "text");
	assert_false(core_exists(world->node, "a"));
	assert_int_equal(core_stat(world->node, "b", &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	/* And it goes on as a file: the next change is based on the copy. */
	assert_int_equal(core_append(world->node, "b", "+"), 0);
	core_assert_object(world, "b", "text+");
}

static void what_was_at_the_target_is_replaced(struct core_world *world)
{
	struct vfs_handle *reader;
	char data[8];

	assert_int_equal(core_put(world->node, "a", "new"), 0);
	assert_int_equal(core_put(world->node, "b", "old"), 0);
	assert_int_equal(core_open(world->node, "b", O_RDONLY, &reader), 0);
	assert_int_equal(core_rename(world->node, "a", "b"), 0);
	core_assert_object(world, "a", NULL);
	core_assert_object(world, "b", "new");
	core_assert_file(world->node, "b", "new");
	assert_int_equal(vfs_read(reader, data, sizeof(data), 0), 3);
	assert_memory_equal(data, "old", 3);
}

/* The crash comes between copy and deletion; what was written to the target is gone with it, and no
 * conflict with ourselves. */
static void a_crash_while_a_changed_file_is_replaced_leaves_no_conflict(struct core_world *world)
{
	struct job job = {world->node, "a", "b", 0, false};
	struct vfs_handle *handle;

	assert_int_equal(core_put(world->node, "a", "new"), 0);
	assert_int_equal(core_put(world->node, "b", "old"), 0);
	assert_int_equal(core_open(world->node, "b", O_RDWR, &handle), 0);
	assert_int_equal(core_write(handle, "changed", 0), 0);
	core_hold(world, OS_DELETE, NULL);
	core_spawn(world->node, rename_fiber, &job);
	core_await_held(world);
	core_hold_no_more(world);
	core_crash(world->node);
	core_drain(world->node);
	core_assert_object(world, "b", "new");
	core_assert_object(world, "a", NULL);
	assert_int_equal(world->memory->bucket.object_count, 1);
	core_assert_file(world->node, "b", "new");
	assert_false(core_exists(world->node, "a"));
}

static void
a_crash_in_the_rename_of_a_file_with_a_new_mode_leaves_one_name(struct core_world *world)
{
	struct job job = {world->node, "a", "b", 0, false};
	struct stat st;

	assert_int_equal(core_put(world->node, "a", "text"), 0);
	assert_int_equal(core_chmod(world->node, "a", 0600), 0);
	core_hold(world, OS_DELETE, NULL);
	core_spawn(world->node, rename_fiber, &job);
	core_await_held(world);
	core_hold_no_more(world);
	core_crash(world->node);
	assert_false(core_exists(world->node, "a"));
	assert_int_equal(core_stat(world->node, "b", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	core_drain(world->node);
	core_assert_object(world, "a", NULL);
	core_assert_object(world, "b", "text");
}

/* The file that moves is on its way to S3 when the rename begins. */
static void a_crash_while_a_file_on_its_way_replaces_another(struct core_world *world)
{
	struct job job = {world->node, "a", "b", 0, false};
	struct vfs_handle *handle;
	struct stat st;

	core_stop(world->node);
	world->node->config.close = PUBLISH_LOCAL;
	core_start(world->node);
	assert_int_equal(core_put(world->node, "b", "old"), 0);
	core_drain(world->node);
	assert_int_equal(core_open(world->node, "b", O_RDWR, &handle), 0);
	assert_int_equal(core_write(handle, "changed", 0), 0);
	assert_int_equal(core_chmod(world->node, "b", 0600), 0);
	core_hold(world, OS_PUT, "a");
	assert_int_equal(core_put(world->node, "a", "new"), 0);
	core_await_held(world);
	core_spawn(world->node, rename_fiber, &job);
	core_hold(world, OS_DELETE, NULL);
	objstore_memory_release(world->memory);
	core_await_held(world);
	core_hold_no_more(world);
	core_crash(world->node);
	core_drain(world->node);
	core_assert_object(world, "b", "new");
	core_assert_object(world, "a", NULL);
	assert_int_equal(world->memory->bucket.object_count, 1);
	assert_int_equal(core_stat(world->node, "b", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
}

static struct vfs_handle *write_new(struct core_world *world, const char *path)
{
	struct vfs_handle *handle;

	assert_int_equal(core_open(world->node, path, O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "new", 0), 0);
	return handle;
}

static void a_new_file_over_a_published_one_becomes_its_next_version(struct core_world *world)
{
	objstore_memory_put(world->memory, "file", "old", NULL);
	write_new(world, "file.tmp");
	assert_int_equal(core_rename(world->node, "file.tmp", "file"), 0);
	core_crash(world->node);
	core_assert_file(world->node, "file", "new");
	core_drain(world->node);
	core_assert_object(world, "file", "new");
	assert_int_equal(world->memory->bucket.object_count, 1);
}

/* A published file is replaced by one that is not in S3 yet. */
static void put_new_over_old(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "old", "old"), 0);
	write_new(world, "tmp");
	assert_int_equal(core_rename(world->node, "tmp", "old"), 0);
}

static void
what_a_new_file_has_replaced_does_not_come_back_when_it_is_removed(struct core_world *world)
{
	put_new_over_old(world);
	assert_int_equal(core_unlink(world->node, "old"), 0);
	core_sleep(world, 5 * NSEC_PER_SEC);
	core_assert_object(world, "old", NULL);
	assert_string_equal(core_list(world->node, ""), "");
}

static void
what_a_new_file_has_replaced_does_not_come_back_when_it_moves_on(struct core_world *world)
{
	put_new_over_old(world);
	assert_int_equal(core_rename(world->node, "old", "third"), 0);
	core_drain(world->node);
	core_sleep(world, 5 * NSEC_PER_SEC);
	core_assert_object(world, "old", NULL);
	assert_string_equal(core_list(world->node, ""), "third ");
}

static void a_file_moves_over_one_that_has_replaced_another(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "a", "published"), 0);
	put_new_over_old(world);
	assert_int_equal(core_rename(world->node, "a", "old"), 0);
	core_drain(world->node);
	core_assert_object(world, "old", "published");
	core_assert_object(world, "a", NULL);
}

static void a_rename_that_was_acknowledged_survives_a_crash(struct core_world *world)
{
	int err;

	write_new(world, "a");
	core_stop_journal(world->node);
	err = core_rename(world->node, "a", "b");
	core_crash(world->node);
	core_drain(world->node);
	/* Either it was recorded, or the caller was told that it was not. */
	core_assert_object(world, err ? "a" : "b", "new");
	core_assert_object(world, err ? "b" : "a", NULL);
}

static void an_unlink_that_was_acknowledged_survives_a_crash(struct core_world *world)
{
	int err;

	write_new(world, "a");
	core_stop_journal(world->node);
	err = core_unlink(world->node, "a");
	core_crash(world->node);
	core_drain(world->node);
	core_assert_object(world, "a", err ? "new" : NULL);
}

static void pending_attributes_ride_on_the_copy(struct core_world *world)
{
	const struct memory_object *object;

	assert_int_equal(core_put(world->node, "a", "text"), 0);
	assert_int_equal(core_chmod(world->node, "a", 0600), 0);
	core_zero(world->node);
	assert_int_equal(core_rename(world->node, "a", "b"), 0);
	core_drain(world->node);
	assert_int_equal(world->node->count[OS_COPY], 1);
	object = objstore_memory_find(world->memory, "b");
	assert_non_null(object);
	assert_string_equal(os_meta_get(&object->meta, "mode"), "33152");
}

static void a_write_during_the_copy_is_not_lost(struct core_world *world)
{
	struct job job = {world->node, "a", "b", 0, false};
	struct vfs_handle *handle;

	assert_int_equal(core_put(world->node, "a", "text"), 0);
	assert_int_equal(core_open(world->node, "a", O_RDWR, &handle), 0);
	core_hold(world, OS_COPY, NULL);
	core_spawn(world->node, rename_fiber, &job);
	core_await_held(world);
	assert_int_equal(core_write(handle, "TEXT", 0), 0);
	core_release(world);
	await(world, &job);
	assert_int_equal(job.result, 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "a", NULL);
	core_assert_object(world, "b", "TEXT");
}

static void a_copy_whose_reply_is_lost_was_made(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "a", "text"), 0);
	objstore_memory_fail(world->memory, OS_COPY, 1, -ETIMEDOUT, FAULT_AFTER);
	assert_int_equal(core_rename(world->node, "a", "b"), 0);
	core_assert_object(world, "a", NULL);
	core_assert_object(world, "b", "text");
	assert_string_equal(core_list(world->node, ""), "b ");
}

/* A store that lost the reply, sent it again and then met its own copy. */
static void a_copy_that_was_sent_twice_was_made(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "a", "text"), 0);
	objstore_memory_fail(world->memory, OS_COPY, 1, -ESTALE, FAULT_AFTER);
	assert_int_equal(core_rename(world->node, "a", "b"), 0);
	core_assert_object(world, "a", NULL);
	core_assert_object(world, "b", "text");
}

static void someone_else_makes_b(struct core_world *world)
{
	objstore_memory_put(world->memory, "b", "theirs", NULL);
}

static void a_target_that_appears_meanwhile_is_not_overwritten(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "a", "ours"), 0);
	core_interfere(world, OS_COPY, someone_else_makes_b);
	assert_int_equal(core_rename(world->node, "a", "b"), -EBUSY);
	core_assert_object(world, "a", "ours");
	core_assert_object(world, "b", "theirs");
	core_assert_file(world->node, "a", "ours");
	core_sleep(world, 2 * NSEC_PER_SEC);
	core_assert_file(world->node, "b", "theirs");
}

static void someone_else_writes_a(struct core_world *world)
{
	objstore_memory_put(world->memory, "a", "theirs", NULL);
}

static void a_source_that_others_replace_after_the_copy_stays(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "a", "ours"), 0);
	core_interfere(world, OS_DELETE, someone_else_writes_a);
	assert_int_equal(core_rename(world->node, "a", "b"), 0);
	core_assert_object(world, "a", "theirs");
	core_assert_object(world, "b", "ours");
	core_assert_file(world->node, "b", "ours");
	core_sleep(world, 2 * NSEC_PER_SEC);
	core_assert_file(world->node, "a", "theirs");
}

static void a_crash_between_copy_and_delete_is_finished(struct core_world *world)
{
	struct job job = {world->node, "a", "b", 0, false};

	assert_int_equal(core_put(world->node, "a", "text"), 0);
	core_hold(world, OS_DELETE, NULL);
	core_spawn(world->node, rename_fiber, &job);
	core_await_held(world);
	core_crash_only(world->node);
	core_release(world);
	core_assert_object(world, "a", "text");
	core_assert_object(world, "b", "text");
	core_start(world->node);
	core_assert_object(world, "a", NULL);
	core_assert_object(world, "b", "text");
	assert_string_equal(core_list(world->node, ""), "b ");
}

static void a_crash_before_the_copy_leaves_everything(struct core_world *world)
{
	struct job job = {world->node, "a", "b", 0, false};

	assert_int_equal(core_put(world->node, "a", "text"), 0);
	core_hold(world, OS_COPY, NULL);
	core_spawn(world->node, rename_fiber, &job);
	core_await_held(world);
	core_crash_only(world->node);
	core_release(world);
	core_start(world->node);
	assert_string_equal(core_list(world->node, ""), "a ");
	core_assert_file(world->node, "a", "text");
}

static void make_tree(struct core_world *world, unsigned files)
{
	char path[32];

	assert_int_equal(core_mkdir(world->node, "from"), 0);
	assert_int_equal(core_mkdir(world->node, "from/sub"), 0);
	for (unsigned i = 0; i < files; i++) {
		snprintf(path, sizeof(path), i % 2 ? "from/%u" : "from/sub/%u", i);
		assert_int_equal(core_put(world->node, path, path), 0);
	}
}

/* Everything is below that directory, and nothing elsewhere. */
static void assert_tree(struct core_world *world, const char *name, unsigned files)
{
	char path[32], text[32];

	for (unsigned i = 0; i < files; i++) {
		snprintf(text, sizeof(text), i % 2 ? "from/%u" : "from/sub/%u", i);
		snprintf(path, sizeof(path), "%s%s", name, text + strlen("from"));
		core_assert_object(world, path, text);
		core_assert_file(world->node, path, text);
	}
	assert_int_equal(world->memory->bucket.object_count, files + 2);
}

static void a_directory_moves_with_all_that_is_below(struct core_world *world)
{
	struct vfs_handle *handle;

	make_tree(world, 40);
	assert_int_equal(core_open(world->node, "from/1", O_RDWR, &handle), 0);
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	assert_tree(world, "to", 40);
	assert_false(core_exists(world->node, "from"));
	assert_int_equal(core_write(handle, "FROM", 0), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "to/1", "FROM/1");
}

static void what_is_dirty_below_a_directory_moves_along(struct core_world *world)
{
	struct vfs_handle *handle;

	make_tree(world, 4);
	assert_int_equal(core_open(world->node, "from/new", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "new", 0), 0);
	assert_int_equal(core_append(world->node, "from/1", "+"), 0);
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	assert_int_equal(core_write(handle, "er", 3), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "to/new", "newer");
	core_assert_object(world, "to/1", "from/1+");
	assert_null(core_key_like(world, "from"));
}

static void what_was_listed_of_a_directory_is_known_after_its_rename(struct core_world *world)
{
	objstore_memory_put(world->memory, "from/x", "other's", NULL);
	assert_string_equal(core_list(world->node, "from"), "x ");
	assert_int_equal(core_rename(world->node, "from", "to"), 0);
	core_assert_file(world->node, "to/x", "other's");
	assert_int_equal(core_append(world->node, "to/x", "+"), 0);
	core_assert_object(world, "to/x", "other's+");
}

static void directories_and_files_do_not_replace_each_other(struct core_world *world)
{
	make_tree(world, 2);
	assert_int_equal(core_mkdir(world->node, "empty"), 0);
	assert_int_equal(core_put(world->node, "file", "x"), 0);
	assert_int_equal(core_rename(world->node, "from", "from/sub/deeper"), -EINVAL);
	assert_int_equal(core_rename(world->node, "empty", "from"), -ENOTEMPTY);
	assert_int_equal(core_rename(world->node, "empty", "file"), -ENOTDIR);
	assert_int_equal(core_rename(world->node, "file", "empty"), -EISDIR);
	assert_int_equal(core_rename(world->node, "none", "file"), -ENOENT);
	assert_int_equal(vfs_rename(world->node->vfs, VFS_ROOT, "file", VFS_ROOT, "empty", 1),
			 -EEXIST);
	assert_int_equal(core_rename(world->node, "file", "file"), 0);
	assert_int_equal(core_unlink(world->node, "file"), 0);
	assert_int_equal(core_rename(world->node, "from", "empty"), 0);
	assert_tree(world, "empty", 2);
}

static void a_directory_whose_copy_fails_stays_as_it_was(struct core_world *world)
{
	make_tree(world, 20);
	objstore_memory_fail(world->memory, OS_COPY, 7, -EACCES, FAULT_BEFORE);
	assert_int_equal(core_rename(world->node, "from", "to"), -EACCES);
	assert_tree(world, "from", 20);
	assert_false(core_exists(world->node, "to"));
}

static void a_crash_while_a_directory_is_copied_is_finished(struct core_world *world)
{
	struct job job = {world->node, "from", "to", 0, false};

	make_tree(world, 40);
	core_hold(world, OS_COPY, "to/sub/20");
	core_spawn(world->node, rename_fiber, &job);
	core_await_held(world);
	core_crash_only(world->node);
	core_release(world);
	core_start(world->node);
	assert_tree(world, "to", 40);
	assert_false(core_exists(world->node, "from"));
}

static void a_crash_while_the_sources_are_deleted_is_finished(struct core_world *world)
{
	struct job job = {world->node, "from", "to", 0, false};

	make_tree(world, 10);
	core_hold(world, OS_DELETE_MANY, NULL);
	core_spawn(world->node, rename_fiber, &job);
	core_await_held(world);
	core_crash_only(world->node);
	core_release(world);
	/* Half of it had gone. */
	objstore_memory_remove(world->memory, "from/1");
	objstore_memory_remove(world->memory, "from/sub/2");
	core_start(world->node);
	assert_tree(world, "to", 10);
	assert_false(core_exists(world->node, "from"));
}

static void writers_below_wait_while_a_directory_moves(struct core_world *world)
{
	struct job job = {world->node, "from", "to", 0, false};
	struct vfs_handle *handle;

	make_tree(world, 4);
	assert_int_equal(core_open(world->node, "from/1", O_RDWR, &handle), 0);
	world->memory->latency = 100 * NSEC_PER_MSEC;
	core_spawn(world->node, rename_fiber, &job);
	core_sleep(world, 150 * NSEC_PER_MSEC);
	assert_false(job.done);
	assert_int_equal(core_write(handle, "FROM", 0), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	await(world, &job);
	assert_int_equal(job.result, 0);
	core_assert_object(world, "to/1", "FROM/1");
	assert_null(core_key_like(world, "from"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(a_file_that_was_never_uploaded_moves_without_a_request),
		CORE_TEST(a_published_file_is_copied_by_the_server),
		CORE_TEST(what_was_at_the_target_is_replaced),
		CORE_TEST(a_crash_while_a_changed_file_is_replaced_leaves_no_conflict),
		CORE_TEST(a_crash_while_a_file_on_its_way_replaces_another),
		CORE_TEST(a_crash_in_the_rename_of_a_file_with_a_new_mode_leaves_one_name),
		CORE_TEST(a_new_file_over_a_published_one_becomes_its_next_version),
		CORE_TEST(what_a_new_file_has_replaced_does_not_come_back_when_it_is_removed),
		CORE_TEST(what_a_new_file_has_replaced_does_not_come_back_when_it_moves_on),
		CORE_TEST(a_file_moves_over_one_that_has_replaced_another),
		CORE_TEST(a_rename_that_was_acknowledged_survives_a_crash),
		CORE_TEST(an_unlink_that_was_acknowledged_survives_a_crash),
		CORE_TEST(pending_attributes_ride_on_the_copy),
		CORE_TEST(a_write_during_the_copy_is_not_lost),
		CORE_TEST(a_copy_whose_reply_is_lost_was_made),
		CORE_TEST(a_copy_that_was_sent_twice_was_made),
		CORE_TEST(a_target_that_appears_meanwhile_is_not_overwritten),
		CORE_TEST(a_source_that_others_replace_after_the_copy_stays),
		CORE_TEST(a_crash_between_copy_and_delete_is_finished),
		CORE_TEST(a_crash_before_the_copy_leaves_everything),
		CORE_TEST(a_directory_moves_with_all_that_is_below),
		CORE_TEST(what_is_dirty_below_a_directory_moves_along),
		CORE_TEST(what_was_listed_of_a_directory_is_known_after_its_rename),
		CORE_TEST(directories_and_files_do_not_replace_each_other),
		CORE_TEST(a_directory_whose_copy_fails_stays_as_it_was),
		CORE_TEST(a_crash_while_a_directory_is_copied_is_finished),
		CORE_TEST(a_crash_while_the_sources_are_deleted_is_finished),
		CORE_TEST(writers_below_wait_while_a_directory_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

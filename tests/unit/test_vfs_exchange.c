/* RENAME_EXCHANGE: what it costs, what it keeps, and what failures and others leave. Crashes at
 * each step are the simulation's. */
#include "fs/vfs/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/core_files.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct job {
	struct core_node *node;
	const char *one, *other;
	int result;
	bool done;
};

static void exchange_fiber(void *argument)
{
	struct job *job = argument;

	job->result = core_exchange(job->node, job->one, job->other);
	job->done = true;
}

static void await(struct core_world *world, const struct job *job)
{
	for (int turn = 0; !job->done; turn++) {
		assert_true(turn < 100000);
		core_sleep(world, 10 * NSEC_PER_MSEC);
	}
}

static void the_next_step_follows_from_what_is_there(void **state)
{
	static const struct {
		struct exchange_view view;
		enum exchange_step step;
	} cases[] = {
		{{EXCHANGE_OLD, EXCHANGE_OLD, false, false, false, false}, EXCHANGE_ASIDE_OTHER},
		{{EXCHANGE_OLD, EXCHANGE_OLD, false, true, false, false}, EXCHANGE_ASIDE_ONE},
		{{EXCHANGE_OLD, EXCHANGE_OLD, true, true, false, false}, EXCHANGE_REPLACE},
		{{EXCHANGE_OLD, EXCHANGE_OLD, true, true, true, false}, EXCHANGE_REPLACE},
		{{EXCHANGE_OLD, EXCHANGE_NEW, true, true, true, false}, EXCHANGE_RETURN},
		{{EXCHANGE_GONE, EXCHANGE_NEW, true, true, false, false}, EXCHANGE_RETURN},
		{{EXCHANGE_NEW, EXCHANGE_NEW, true, true, false, false}, EXCHANGE_DONE},
		{{EXCHANGE_NEW, EXCHANGE_OTHER, true, true, true, false}, EXCHANGE_DONE},
		{{EXCHANGE_OTHER, EXCHANGE_NEW, false, false, true, false}, EXCHANGE_DONE},
		/* a failure before anything was replaced */
		{{EXCHANGE_OLD, EXCHANGE_OLD, true, true, false, true}, EXCHANGE_UNDONE},
		/* others: what is where it was is not kept twice, and nothing is lost */
		{{EXCHANGE_OTHER, EXCHANGE_OLD, true, true, true, false}, EXCHANGE_UNDONE},
		{{EXCHANGE_OLD, EXCHANGE_OTHER, true, true, false, false}, EXCHANGE_UNDONE},
		{{EXCHANGE_OLD, EXCHANGE_OTHER, true, true, true, false}, EXCHANGE_KEEP},
		{{EXCHANGE_OLD, EXCHANGE_GONE, true, true, true, false}, EXCHANGE_KEEP},
		{{EXCHANGE_OTHER, EXCHANGE_NEW, true, true, false, false}, EXCHANGE_KEEP},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(exchange_next(&cases[i].view), cases[i].step);
}

static void two_files_change_places_by_copies_of_the_server(struct core_world *world)
{
	struct stat before, after;

	assert_int_equal(core_mkdir(world->node, "d"), 0);
	assert_int_equal(core_put(world->node, "a", "first"), 0);
	assert_int_equal(core_put(world->node, "d/b", "second one"), 0);
	assert_int_equal(core_chmod(world->node, "d/b", 0600), 0);
	core_drain(world->node);
	assert_int_equal(core_stat(world->node, "a", &before), 0);
	core_zero(world->node);
	assert_int_equal(core_exchange(world->node, "a", "d/b"), 0);
	assert_int_equal(world->node->count[OS_COPY], 4);
	assert_int_equal(world->node->count[OS_PUT] + world->node->count[OS_GET], 0);
	core_assert_object(world, "a", "second one");
	core_assert_object(world, "d/b", "first");
	assert_int_equal(world->memory->bucket.object_count, 3);
	core_assert_file(world->node, "a", "second one");
	core_assert_file(world->node, "d/b", "first");
	assert_int_equal(core_stat(world->node, "d/b", &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	assert_int_equal(core_stat(world->node, "a", &after), 0);
	assert_int_equal(after.st_mode & 0777, 0600);
	/* And they go on as files: the next change is based on the copy. */
	assert_int_equal(core_append(world->node, "a", "+"), 0);
	assert_int_equal(core_append(world->node, "d/b", "-"), 0);
	core_assert_object(world, "a", "second one+");
	core_assert_object(world, "d/b", "first-");
}

static void files_that_were_never_uploaded_change_places_without_a_request(struct core_world *world)
{
	struct vfs_handle *a, *b;

	assert_int_equal(core_mkdir(world->node, "d"), 0);
	assert_int_equal(core_open(world->node, "d/a", O_RDWR | O_CREAT, &a), 0);
	assert_int_equal(core_open(world->node, "d/b", O_RDWR | O_CREAT, &b), 0);
	assert_int_equal(core_write(a, "one", 0), 0);
	core_zero(world->node);
	assert_int_equal(core_exchange(world->node, "d/a", "d/b"), 0);
	assert_int_equal(core_requests(world->node), 0);
	assert_int_equal(core_write(b, "two", 0), 0);
	core_crash(world->node);
	core_drain(world->node);
	core_assert_object(world, "d/a", "two");
	core_assert_object(world, "d/b", "one");
}

static void what_was_written_is_published_before_it_moves(struct core_world *world)
{
	struct vfs_handle *handle;

	assert_int_equal(core_put(world->node, "a", "first"), 0);
	assert_int_equal(core_open(world->node, "new", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "new text", 0), 0);
	assert_int_equal(core_exchange(world->node, "new", "a"), 0);
	core_assert_object(world, "a", "new text");
	core_assert_object(world, "new", "first");
	assert_int_equal(core_write(handle, "NEW", 0), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "a", "NEW text");
	core_assert_object(world, "new", "first");
}

static void what_is_open_is_read_on_under_its_new_name(struct core_world *world)
{
	struct vfs_handle *reader;
	char data[16];

	objstore_memory_put(world->memory, "a", "first", NULL);
	objstore_memory_put(world->memory, "b", "second", NULL);
	assert_int_equal(core_open(world->node, "a", O_RDONLY, &reader), 0);
	assert_int_equal(core_exchange(world->node, "a", "b"), 0);
	assert_int_equal(vfs_read(reader, data, sizeof(data), 0), 5);
	assert_memory_equal(data, "first", 5);
	core_release_handle(world->node, reader);
}

static void a_name_that_is_not_there_has_nothing_to_give(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "a", "first"), 0);
	assert_int_equal(core_mkdir(world->node, "d"), 0);
	assert_int_equal(core_mkdir(world->node, "d/e"), 0);
	assert_int_equal(core_put(world->node, "d/e/f", "deep"), 0);
	assert_int_equal(core_exchange(world->node, "a", "none"), -ENOENT);
	assert_int_equal(core_exchange(world->node, "none", "a"), -ENOENT);
	assert_int_equal(core_exchange(world->node, "d", "d/e/f"), -EINVAL);
	assert_int_equal(core_exchange(world->node, "d/e/f", "d"), -EINVAL);
	assert_int_equal(core_exchange(world->node, "a", "a"), 0);
	core_assert_object(world, "a", "first");
	core_assert_object(world, "d/e/f", "deep");
}

static void a_file_and_a_directory_change_places(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "a", "file"), 0);
	assert_int_equal(core_mkdir(world->node, "d"), 0);
	assert_int_equal(core_put(world->node, "d/x", "below"), 0);
	assert_int_equal(core_exchange(world->node, "a", "d"), 0);
	core_assert_object(world, "d", "file");
	core_assert_object(world, "a/x", "below");
	core_assert_object(world, "a", NULL);
	core_assert_object(world, "d/x", NULL);
	assert_int_equal(world->memory->bucket.object_count, 3);
	core_assert_file(world->node, "d", "file");
	core_assert_file(world->node, "a/x", "below");
	/* and back, the other way round */
	assert_int_equal(core_exchange(world->node, "a", "d"), 0);
	core_assert_object(world, "a", "file");
	core_assert_object(world, "d/x", "below");
	assert_int_equal(world->memory->bucket.object_count, 3);
}

static void a_directory_that_cannot_be_copied_leaves_both(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "a", "file"), 0);
	assert_int_equal(core_mkdir(world->node, "d"), 0);
	assert_int_equal(core_put(world->node, "d/x", "below"), 0);
	objstore_memory_fail(world->memory, OS_COPY, 2, -EACCES, FAULT_BEFORE);
	assert_int_equal(core_exchange(world->node, "a", "d"), -EACCES);
	core_assert_object(world, "a", "file");
	core_assert_object(world, "d/x", "below");
	assert_int_equal(world->memory->bucket.object_count, 3);
	core_crash(world->node);
	core_drain(world->node);
	core_assert_file(world->node, "a", "file");
	core_assert_file(world->node, "d/x", "below");
}

/* Whichever copy fails, both are what they were; what was set aside goes. */
static void a_copy_that_is_refused_leaves_both(struct core_world *world)
{
	for (unsigned nth = 1; nth <= 3; nth++) {
		assert_int_equal(core_put(world->node, "a", "first"), 0);
		assert_int_equal(core_put(world->node, "b", "second"), 0);
		objstore_memory_fail(world->memory, OS_COPY, nth, -EACCES, FAULT_BEFORE);
		assert_int_equal(core_exchange(world->node, "a", "b"), -EACCES);
		core_assert_object(world, "a", "first");
		core_assert_object(world, "b", "second");
		core_sleep(world, 3 * NSEC_PER_SEC);
		assert_int_equal(world->memory->bucket.object_count, 2);
	}
}

static void a_copy_whose_reply_is_lost_is_found(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "a", "first"), 0);
	assert_int_equal(core_put(world->node, "b", "second"), 0);
	for (unsigned nth = 1; nth <= 4; nth++) {
		const char *one = nth % 2 ? "second" : "first";

		objstore_memory_fail(world->memory, OS_COPY, nth, -EHOSTUNREACH, FAULT_AFTER);
		assert_int_equal(core_exchange(world->node, "a", "b"), 0);
		core_assert_object(world, "a", one);
	}
	assert_int_equal(world->memory->bucket.object_count, 2);
}

static void replace_b(struct core_world *world)
{
	objstore_memory_put(world->memory, "b", "of others", NULL);
}

/* Others replace one of them before it is: theirs stays. */
static void what_others_put_there_meanwhile_stays(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "a", "first"), 0);
	assert_int_equal(core_put(world->node, "b", "second"), 0);
	core_interfere(world, OS_COPY, replace_b);
	assert_int_equal(core_exchange(world->node, "a", "b"), -EBUSY);
	core_assert_object(world, "a", "first");
	core_assert_object(world, "b", "of others");
	core_assert_file(world->node, "b", "of others");
}

/* Others write to the first name when its file is at the second already: nobody loses anything. */
static void what_has_no_place_any_more_is_kept_beside(struct core_world *world)
{
	struct job job = {world->node, "a", "b", 0, false};
	const char *copy;

	assert_int_equal(core_put(world->node, "a", "first"), 0);
	assert_int_equal(core_put(world->node, "b", "second"), 0);
	core_hold(world, OS_COPY, "a");
	core_spawn(world->node, exchange_fiber, &job);
	core_await_held(world);
	objstore_memory_put(world->memory, "a", "of others", NULL);
	core_hold_no_more(world);
	core_release(world);
	await(world, &job);
	assert_int_equal(job.result, -EBUSY);
	core_assert_object(world, "a", "of others");
	core_assert_object(world, "b", "first");
	copy = core_key_like(world, "b.conflict-");
	assert_non_null(copy);
	core_assert_object(world, copy, "second");
	assert_int_equal(world->memory->bucket.object_count, 3);
	core_assert_file(world->node, "a", "of others");
	core_assert_file(world->node, "b", "first");
	core_assert_file(world->node, copy, "second");
}

/* A large file is read while it changes places. */
static void a_write_meanwhile_goes_along(struct core_world *world)
{
	struct job job = {world->node, "a", "b", 0, false};
	struct vfs_handle *handle;

	assert_int_equal(core_put(world->node, "a", "first"), 0);
	assert_int_equal(core_put(world->node, "b", "second"), 0);
	assert_int_equal(core_open(world->node, "a", O_RDWR, &handle), 0);
	core_hold(world, OS_COPY, "b");
	core_spawn(world->node, exchange_fiber, &job);
	core_await_held(world);
	assert_int_equal(core_write(handle, "FIRST", 0), 0);
	core_hold_no_more(world);
	core_release(world);
	await(world, &job);
	assert_int_equal(job.result, 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "a", "second");
	core_assert_object(world, "b", "FIRST");
	assert_int_equal(world->memory->bucket.object_count, 2);
}

/* An exchange of "a" and "b" in whose midst "a" is written to, until nothing is left but its last
 * copy. */
static void begin_with_a_write(struct core_world *world, struct job *job)
{
	struct vfs_handle *handle;

	*job = (struct job){world->node, "a", "b", 0, false};
	assert_int_equal(core_put(world->node, "a", "first"), 0);
	assert_int_equal(core_put(world->node, "b", "second"), 0);
	assert_int_equal(core_open(world->node, "a", O_RDWR, &handle), 0);
	core_hold(world, OS_COPY, "a");
	core_spawn(world->node, exchange_fiber, job);
	core_await_held(world);
	assert_int_equal(core_write(handle, "FIRST", 0), 0);
	core_hold_no_more(world);
}

static void assert_exchanged(struct core_world *world)
{
	core_drain(world->node);
	core_assert_object(world, "a", "second");
	core_assert_object(world, "b", "FIRST");
	assert_int_equal(world->memory->bucket.object_count, 2);
}

/* The process dies: what was written is not somebody else's version. */
static void a_write_meanwhile_survives_a_crash(struct core_world *world)
{
	struct job job;

	begin_with_a_write(world, &job);
	core_crash(world->node);
	assert_exchanged(world);
}

/* And dies again before the next upload: the names that they got after the first crash are not
 * those of before. */
static void the_new_names_survive_the_next_crash(struct core_world *world)
{
	struct job job;

	begin_with_a_write(world, &job);
	core_hold(world, OS_PUT, "b");
	core_crash(world->node);
	core_assert_file(world->node, "b", "FIRST");
	core_hold_no_more(world);
	core_crash(world->node);
	core_assert_file(world->node, "a", "second");
	core_assert_file(world->node, "b", "FIRST");
	assert_exchanged(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_step_follows_from_what_is_there),
		CORE_TEST(two_files_change_places_by_copies_of_the_server),
		CORE_TEST(files_that_were_never_uploaded_change_places_without_a_request),
		CORE_TEST(what_was_written_is_published_before_it_moves),
		CORE_TEST(what_is_open_is_read_on_under_its_new_name),
		CORE_TEST(a_name_that_is_not_there_has_nothing_to_give),
		CORE_TEST(a_file_and_a_directory_change_places),
		CORE_TEST(a_directory_that_cannot_be_copied_leaves_both),
		CORE_TEST(a_copy_that_is_refused_leaves_both),
		CORE_TEST(a_copy_whose_reply_is_lost_is_found),
		CORE_TEST(what_others_put_there_meanwhile_stays),
		CORE_TEST(what_has_no_place_any_more_is_kept_beside),
		CORE_TEST(a_write_meanwhile_goes_along),
		CORE_TEST(a_write_meanwhile_survives_a_crash),
		CORE_TEST(the_new_names_survive_the_next_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

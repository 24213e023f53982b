/* RENAME_EXCHANGE of two directories: what moves, what it costs, and what failures, crashes and
 * others leave. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "tests/unit/core_files.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct job {
	struct core_node *node;
	int result;
	bool done;
};

static void exchange_fiber(void *argument)
{
	struct job *job = argument;

	job->result = core_exchange(job->node, "one", "sub/two");
	job->done = true;
}

static void await(struct core_world *world, const struct job *job)
{
	for (int turn = 0; !job->done; turn++) {
		assert_true(turn < 100000);
		core_sleep(world, 10 * NSEC_PER_MSEC);
	}
}

/* As if it had been uploaded in parts: a copy in one piece has another ETag. */
static void put_parts(struct core_world *world, const char *key, const char *text)
{
	objstore_memory_put(world->memory, key, text, NULL);
	memory_etag(memory_bucket_find(&world->memory->bucket, key)->etag, text, strlen(text), 2);
}

/* Both have "same" with equal bytes and other attributes, "both" with other bytes, and what the
 * other one has not: names, a directory, what others made in parts, and keys that are no names. */
static const char *const one_has[] = {"both", "deep/er/x", "parts", "x//y"};
static const char *const two_has[] = {"both", "alone", "deep/z"};

static void put_foreign(struct core_world *world, const char *directory, const char *name,
			bool parts)
{
	char key[80];

	snprintf(key, sizeof(key), "%s/%s", directory, name);
	if (parts)
		put_parts(world, key, key);
	else
		objstore_memory_put(world->memory, key, key, NULL);
}

static void put_trees(struct core_world *world)
{
	assert_int_equal(core_mkdir(world->node, "one"), 0);
	assert_int_equal(core_mkdir(world->node, "sub"), 0);
	assert_int_equal(core_mkdir(world->node, "sub/two"), 0);
	assert_int_equal(core_chmod(world->node, "sub/two", 0711), 0);
	assert_int_equal(core_put(world->node, "one/same", "equal"), 0);
	assert_int_equal(core_put(world->node, "sub/two/same", "equal"), 0);
	assert_int_equal(core_chmod(world->node, "one/same", 0600), 0);
	for (size_t i = 0; i < COUNT(one_has); i++)
		put_foreign(world, "one", one_has[i], strcmp(one_has[i], "parts") == 0);
	for (size_t i = 0; i < COUNT(two_has); i++)
		put_foreign(world, "sub/two", two_has[i], false);
	core_drain(world->node);
	core_sleep(world, 2 * NSEC_PER_SEC);
}

/* markers of one, sub and two, "same" twice */
enum { OBJECTS = 3 + 2 + (int)(COUNT(one_has) + COUNT(two_has)) };

static bool is_there(struct core_world *world, const char *place, const char *from,
		     const char *name)
{
	const struct memory_object *object;
	char key[80], text[80];

	snprintf(key, sizeof(key), "%s/%s", place, name);
	snprintf(text, sizeof(text), "%s/%s", from, name);
	object = objstore_memory_find(world->memory, key);
	return object && object->size == strlen(text) &&
	       memcmp(object->data, text, object->size) == 0;
}

/* What was below the first is below one, and so on, and there is nothing else. */
static bool trees_are(struct core_world *world, const char *one, const char *two)
{
	char path[80];
	struct stat st;

	for (size_t i = 0; i < COUNT(one_has); i++)
		if (!is_there(world, one, "one", one_has[i]))
			return false;
	for (size_t i = 0; i < COUNT(two_has); i++)
		if (!is_there(world, two, "sub/two", two_has[i]))
			return false;
	snprintf(path, sizeof(path), "%s/same", one);
	if (core_stat(world->node, path, &st) || (st.st_mode & 07777) != 0600)
		return false;
	snprintf(path, sizeof(path), "%s/same", two);
	if (core_stat(world->node, path, &st) || (st.st_mode & 07777) != 0644)
		return false;
	if (core_stat(world->node, two, &st) || (st.st_mode & 07777) != 0711)
		return false;
	return world->memory->bucket.object_count == OBJECTS;
}

static void all_below_goes_along(struct core_world *world)
{
	put_trees(world);
	assert_true(trees_are(world, "one", "sub/two"));
	core_zero(world->node);
	assert_int_equal(core_exchange(world->node, "one", "sub/two"), 0);
	assert_int_equal(world->node->count[OS_COPY], 2 * (OBJECTS - 1));
	assert_int_equal(world->node->count[OS_PUT] + world->node->count[OS_GET], 0);
	assert_true(trees_are(world, "sub/two", "one"));
	core_assert_file(world->node, "one/alone", "sub/two/alone");
	core_assert_file(world->node, "sub/two/deep/er/x", "one/deep/er/x");
	assert_string_equal(core_list(world->node, "one"), "alone both deep same ");
	assert_int_equal(core_exchange(world->node, "sub/two", "one"), 0);
	assert_true(trees_are(world, "one", "sub/two"));
	core_crash(world->node);
	core_drain(world->node);
	assert_true(trees_are(world, "one", "sub/two"));
}

static void empty_directories_change_places_with_their_attributes(struct core_world *world)
{
	struct stat st;

	assert_int_equal(core_mkdir(world->node, "one"), 0);
	assert_int_equal(core_mkdir(world->node, "two"), 0);
	assert_int_equal(core_chmod(world->node, "two", 0700), 0);
	assert_int_equal(core_exchange(world->node, "one", "two"), 0);
	core_sleep(world, 2 * NSEC_PER_SEC);
	assert_int_equal(core_stat(world->node, "one", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(core_stat(world->node, "two", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(world->memory->bucket.object_count, 2);
}

/* Whichever request is refused, everything is where it was. */
static void refused(struct core_world *world, int op, unsigned count)
{
	put_trees(world);
	for (unsigned nth = 1; nth <= count; nth++) {
		objstore_memory_fail(world->memory, op, nth, -EACCES, FAULT_BEFORE);
		assert_int_equal(core_exchange(world->node, "one", "sub/two"), -EACCES);
		core_sleep(world, 3 * NSEC_PER_SEC);
		assert_true(trees_are(world, "one", "sub/two"));
	}
}

static void a_copy_that_is_refused_leaves_both(struct core_world *world)
{
	refused(world, OS_COPY, 2 * (OBJECTS - 1));
}

static void a_deletion_that_is_refused_leaves_both(struct core_world *world)
{
	refused(world, OS_DELETE, 5); /* of what has no counterpart */
}

static void a_copy_whose_reply_is_lost_is_found(struct core_world *world)
{
	put_trees(world);
	for (unsigned nth = 1; nth <= 2 * (OBJECTS - 1); nth++) {
		objstore_memory_fail(world->memory, OS_COPY, nth, -EHOSTUNREACH, FAULT_AFTER);
		assert_int_equal(core_exchange(world->node, "one", "sub/two"), 0);
		core_sleep(world, 400 * NSEC_PER_SEC);
		assert_true(nth % 2 ? trees_are(world, "sub/two", "one")
				    : trees_are(world, "one", "sub/two"));
	}
}

/* The process dies when a copy to that key is under way. */
static void dies_at(struct core_world *world, const char *key)
{
	struct job job = {world->node, 0, false};

	core_hold(world, OS_COPY, key);
	core_spawn(world->node, exchange_fiber, &job);
	core_await_held(world);
	core_hold_no_more(world);
	core_crash(world->node);
	core_drain(world->node);
	core_sleep(world, 400 * NSEC_PER_SEC);
}

static void a_crash_is_gone_on_with(struct core_world *world)
{
	put_trees(world);
	dies_at(world, "one/both");
	assert_true(trees_are(world, "sub/two", "one"));
	dies_at(world, "sub/two/both");
	assert_true(trees_are(world, "one", "sub/two"));
	dies_at(world, "sub/two/parts");
	assert_true(trees_are(world, "sub/two", "one"));
}

/* Others write to a file whose place is to be another's: theirs stays, nobody loses anything. */
static void what_others_write_meanwhile_stays(struct core_world *world)
{
	struct job job = {world->node, 0, false};
	const char *copy;

	put_trees(world);
	core_hold(world, OS_COPY, "one/both");
	core_spawn(world->node, exchange_fiber, &job);
	core_await_held(world);
	objstore_memory_put(world->memory, "one/both", "of others", NULL);
	objstore_memory_put(world->memory, "sub/two/new", "new of others", NULL);
	core_hold_no_more(world);
	core_release(world);
	await(world, &job);
	assert_int_equal(job.result, 0);
	core_assert_object(world, "one/both", "of others");
	core_assert_object(world, "sub/two/both", "one/both");
	core_assert_object(world, "sub/two/new", "new of others");
	copy = core_key_like(world, "one/both.conflict-");
	assert_non_null(copy);
	core_assert_object(world, copy, "sub/two/both");
	assert_int_equal(world->memory->bucket.object_count, OBJECTS + 2);
	core_sleep(world, 2 * NSEC_PER_SEC);
	core_assert_file(world->node, "one/both", "of others");
	core_assert_file(world->node, copy, "sub/two/both");
	core_assert_file(world->node, "sub/two/both", "one/both");
}

struct writer {
	struct vfs_handle *handle;
	int result;
	bool done;
};

static void write_fiber(void *argument)
{
	struct writer *writer = argument;

	writer->result = core_write(writer->handle, "ONE", 0);
	writer->done = true;
}

/* It waits until its directory has its new name. */
static void a_write_meanwhile_goes_along(struct core_world *world)
{
	struct job job = {world->node, 0, false};
	struct writer writer = {NULL, 0, false};

	put_trees(world);
	assert_int_equal(core_open(world->node, "one/both", O_RDWR, &writer.handle), 0);
	assert_int_equal(core_write(writer.handle, "one", 0), 0); /* dirty when it begins */
	core_hold(world, OS_COPY, "sub/two/both");
	core_spawn(world->node, exchange_fiber, &job);
	core_await_held(world);
	core_spawn(world->node, write_fiber, &writer);
	core_hold_no_more(world);
	core_release(world);
	await(world, &job);
	assert_int_equal(job.result, 0);
	assert_true(writer.done);
	assert_int_equal(writer.result, 0);
	assert_int_equal(core_close(world->node, writer.handle), 0);
	core_drain(world->node);
	core_assert_object(world, "sub/two/both", "ONE/both");
	core_assert_object(world, "one/both", "sub/two/both");
	core_assert_file(world->node, "sub/two/both", "ONE/both");
	assert_int_equal(world->memory->bucket.object_count, OBJECTS);
}

/* Two that exchange the same directories, each the other way round, do not wait for each other. */
static void back_fiber(void *argument)
{
	struct job *job = argument;

	job->result = core_exchange(job->node, "sub/two", "one");
	job->done = true;
}

static void two_at_once_take_turns(struct core_world *world)
{
	struct job there = {world->node, 0, false}, back = there;

	put_trees(world);
	core_spawn(world->node, exchange_fiber, &there);
	core_spawn(world->node, back_fiber, &back);
	await(world, &there);
	await(world, &back);
	/* A kernel lets one after the other come: here one of them meets names that have changed.
	 */
	assert_int_equal(there.result + back.result, -EBUSY);
	assert_true(there.result == 0 || back.result == 0);
	assert_true(trees_are(world, "sub/two", "one"));
}

static void a_key_that_gets_too_long_is_refused(struct core_world *world)
{
	struct buf key = BUF_INIT;

	put_trees(world);
	buf_puts(&key, "one/");
	while (key.len < OS_KEY_MAX - 4)
		buf_puts(&key, key.len % 200 ? "n" : "/");
	objstore_memory_put(world->memory, buf_str(&key), "deep", NULL);
	assert_int_equal(core_exchange(world->node, "one", "sub/two"), -ENAMETOOLONG);
	core_assert_object(world, buf_str(&key), "deep");
	objstore_memory_remove(world->memory, buf_str(&key));
	assert_true(trees_are(world, "one", "sub/two"));
	buf_free(&key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(all_below_goes_along),
		CORE_TEST(empty_directories_change_places_with_their_attributes),
		CORE_TEST(a_copy_that_is_refused_leaves_both),
		CORE_TEST(a_deletion_that_is_refused_leaves_both),
		CORE_TEST(a_copy_whose_reply_is_lost_is_found),
		CORE_TEST(a_crash_is_gone_on_with),
		CORE_TEST(what_others_write_meanwhile_stays),
		CORE_TEST(a_write_meanwhile_goes_along),
		CORE_TEST(two_at_once_take_turns),
		CORE_TEST(a_key_that_gets_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

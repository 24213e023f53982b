/* Trees of keys on the move: nothing is lost, whoever writes and whatever fails meanwhile. */
#include "fs/vfs/tree_copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

struct told {
	unsigned copies, others;
	char other[64];
};

static void tell(void *context, const char *relative, const char *etag, const char *copy)
{
	struct told *told = context;

	assert_true(etag[0] == '"');
	if (copy) {
		told->copies++;
	} else {
		told->others++;
		snprintf(told->other, sizeof(told->other), "%s", relative);
	}
}

static struct tree_copy move_of(struct core_world *world, struct told *told)
{
	return (struct tree_copy){.uploader = vfs_uploader(world->node->vfs),
				  .source = "from/",
				  .target = "to/",
				  .copied = tell,
				  .context = told,
				  .take_back = true};
}

static int run(struct core_world *world, bool take_back, const char *note, struct tree_copy *copy)
{
	static struct told told;
	char message[300] = "";
	int err;

	told = (struct told){0};
	*copy = move_of(world, &told);
	copy->take_back = take_back;
	copy->note = note;
	err = tree_copy_run(copy, message, sizeof(message));
	assert_true(err == 0 || message[0]);
	return err;
}

/* As if it had been uploaded in parts: a copy in one piece has another ETag. */
static void put_parts(struct core_world *world, const char *key, const char *text,
		      const char *put_id)
{
	const char *meta[] = {"colour", "red", META_PUT_ID, put_id, NULL};
	struct memory_object *object;

	if (!put_id)
		meta[2] = NULL;
	objstore_memory_put(world->memory, key, text, meta);
	object = memory_bucket_find(&world->memory->bucket, key);
	memory_etag(object->etag, text, strlen(text), 2);
}

enum { KEYS = 6 };

static const char *const names[KEYS] = {"a", "b/", "b/c", "large", "larger", "x//y"};

static void put_tree(struct core_world *world)
{
	char key[64];

	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "from/%s", names[i]);
		if (strcmp(names[i], "large") == 0)
			put_parts(world, key, key, NULL);
		else if (strcmp(names[i], "larger") == 0)
			put_parts(world, key, key, "put-id");
		else
			objstore_memory_put(world->memory, key, key, NULL);
	}
}

static void clear(struct core_world *world)
{
	while (world->memory->bucket.object_count > 0)
		objstore_memory_remove(world->memory, world->memory->bucket.objects[0]->key);
}

/* The whole tree is below that name, and nothing else in the bucket. */
static bool tree_is(struct core_world *world, const char *place)
{
	char key[64], text[64];

	for (int i = 0; i < KEYS; i++) {
		const struct memory_object *object;

		snprintf(key, sizeof(key), "%s/%s", place, names[i]);
		snprintf(text, sizeof(text), "from/%s", names[i]);
		object = objstore_memory_find(world->memory, key);
		if (!object || object->size != strlen(text) ||
		    memcmp(object->data, text, object->size) != 0)
			return false;
	}
	return world->memory->bucket.object_count == KEYS;
}

static void every_key_moves_also_those_that_are_no_names(struct core_world *world)
{
	static const char *const odd[] = {"from/",     "from//",    "from/./x",	 "from/../y",
					  "from/a//b", "from/\x01", "from/n\xff"};
	struct tree_copy copy;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		objstore_memory_put(world->memory, odd[i], odd[i], NULL);
	objstore_memory_put(world->memory, "from", "a file", NULL);
	objstore_memory_put(world->memory, "fromage/x", "another directory", NULL);
	assert_int_equal(run(world, true, NULL, &copy), 0);
	assert_int_equal(copy.state, TREE_MOVED);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		char key[32];

		snprintf(key, sizeof(key), "to/%s", odd[i] + strlen("from/"));
		core_assert_object(world, key, odd[i]);
		core_assert_object(world, odd[i], NULL);
	}
	assert_int_equal(world->memory->bucket.object_count, 2 + 7);
}

static void metadata_moves_along(struct core_world *world)
{
	const struct memory_object *object;
	struct tree_copy copy;

	put_tree(world);
	assert_int_equal(run(world, true, NULL, &copy), 0);
	assert_true(tree_is(world, "to"));
	object = objstore_memory_find(world->memory, "to/large");
	assert_string_equal(os_meta_get(&object->meta, "colour"), "red");
	assert_non_null(os_meta_get(&object->meta, META_PUT_ID));
	object = objstore_memory_find(world->memory, "to/larger");
	assert_string_equal(os_meta_get(&object->meta, META_PUT_ID), "put-id");
}

static void copies_run_side_by_side_but_not_all_at_once(struct core_world *world)
{
	uint64_t started = executor_monotonic(world->executor);
	struct tree_copy copy;
	char key[32];

	for (int i = 0; i < 128; i++) {
		snprintf(key, sizeof(key), "from/%03d", i);
		objstore_memory_put(world->memory, key, key, NULL);
	}
	world->memory->latency = NSEC_PER_SEC;
	assert_int_equal(run(world, true, NULL, &copy), 0);
	/* three listings, four times 32 copies, one deletion */
	assert_int_equal(executor_monotonic(world->executor) - started, 8 * NSEC_PER_SEC);
}

static void spend_faults(struct core_world *world)
{
	while (objstore_memory_faults_left(world->memory) > 0) {
		struct os_request head = {.op = OS_HEAD, .key = "none"};

		env_s3(&world->node->env, &head);
		os_request_free_result(&head);
	}
}

/* One request fails, then the whole is run again as after a crash. */
static void any_failure_is_finished_by_another_run(struct core_world *world)
{
	static const enum fault_moment moments[] = {FAULT_BEFORE, FAULT_AFTER, FAULT_UNDECIDED};
	struct tree_copy copy;

	for (int m = 0; m < 3; m++) {
		bool struck = true;

		for (unsigned nth = 1; struck; nth++) {
			int err;

			put_tree(world);
			objstore_memory_fail(world->memory, -1, nth, -EACCES, moments[m]);
			err = run(world, false, NULL, &copy);
			struck = objstore_memory_faults_left(world->memory) == 0;
			spend_faults(world);
			if (err)
				err = run(world, false, NULL, &copy);
			assert_int_equal(err, 0);
			assert_int_equal(copy.kept, 0);
			assert_true(tree_is(world, "to"));
			clear(world);
		}
	}
}

/* What the caller is told is what the bucket holds, and the note leads on from there. */
static void check_end(struct core_world *world, int err, struct tree_copy *copy)
{
	enum tree_state state = copy->state;
	char note[TREE_NOTE_MAX];

	tree_copy_note(copy, note);
	spend_faults(world);
	if (state == TREE_AS_BEFORE || err == 0) {
		assert_int_equal(err == 0, state == TREE_MOVED);
		assert_true(tree_is(world, err ? "from" : "to"));
		return;
	}
	assert_int_equal(run(world, true, note, copy), 0);
	assert_int_equal(copy->state, state == TREE_MOVED ? TREE_MOVED : TREE_AS_BEFORE);
	assert_true(tree_is(world, state == TREE_MOVED ? "to" : "from"));
}

static void any_two_failures_end_at_one_place_or_say_what_is_left(struct core_world *world)
{
	struct tree_copy copy;
	unsigned owed[3] = {0};
	bool struck = true;

	for (unsigned first = 1; struck; first++) {
		for (unsigned gap = 0; gap < 12; gap++) {
			int err;

			put_tree(world);
			objstore_memory_fail(world->memory, -1, first, -EACCES, FAULT_BEFORE);
			if (gap)
				objstore_memory_fail(world->memory, -1, first + gap, -EACCES,
						     gap % 2 ? FAULT_AFTER : FAULT_UNDECIDED);
			err = run(world, true, NULL, &copy);
			struck = objstore_memory_faults_left(world->memory) < (gap ? 2 : 1);
			owed[copy.state] += err != 0;
			check_end(world, err, &copy);
			clear(world);
		}
	}
	for (int i = 0; i < 3; i++)
		assert_true(owed[i] > 0);
}

static void what_is_there_already_is_not_copied_again(struct core_world *world)
{
	struct tree_copy copy;

	put_tree(world);
	assert_int_equal(run(world, false, NULL, &copy), 0);
	for (int i = 0; i < KEYS; i++) { /* the sources as they were before the deletion */
		put_tree(world);
		core_zero(world->node);
		assert_int_equal(run(world, false, NULL, &copy), 0);
		assert_int_equal(world->node->count[OS_COPY], 0);
		assert_int_equal(world->node->count[OS_HEAD], 4); /* of those made of parts */
		assert_true(tree_is(world, "to"));
	}
}

static void other_content_at_the_destination_stays_and_so_does_the_source(struct core_world *world)
{
	static const struct {
		const char *key, *text, *put_id;
		bool parts;
	} others[] = {
		{"to/a", "theirs", NULL, false},	     /* another size */
		{"to/a", "FROM/A", NULL, false},	     /* another ETag */
		{"to/large", "FROM/LARGE", NULL, true},	     /* one that could be a copy of parts */
		{"to/large", "FROM/LARGE", "another", true}, /* their put-id */
		{"to/larger", "FROM/LARGER", NULL, false},
		{"to/larger", "FROM/LARGER", "another", true},
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		char source[64];
		struct tree_copy copy;
		struct told told = {0};
		char message[300] = "";

		put_tree(world);
		if (others[i].parts)
			put_parts(world, others[i].key, others[i].text, others[i].put_id);
		else
			objstore_memory_put(world->memory, others[i].key, others[i].text, NULL);
		copy = move_of(world, &told);
		assert_int_equal(tree_copy_run(&copy, message, sizeof(message)), 0);
		assert_int_equal(copy.state, TREE_MOVED);
		assert_int_equal(copy.kept, 1);
		core_assert_object(world, others[i].key, others[i].text);
		snprintf(source, sizeof(source), "from/%s", others[i].key + strlen("to/"));
		core_assert_object(world, source, source);
		assert_int_equal(world->memory->bucket.object_count, KEYS + 1);
		assert_int_equal(told.copies, KEYS - 1);
		assert_int_equal(told.others, 1);
		assert_string_equal(told.other, others[i].key + strlen("to/"));
		clear(world);
	}
}

static void someone_makes_to_a(struct core_world *world)
{
	objstore_memory_put(world->memory, "to/a", "theirs", NULL);
}

static void who_is_faster_at_the_destination_is_not_overwritten(struct core_world *world)
{
	struct tree_copy copy;

	put_tree(world);
	core_interfere(world, OS_COPY, someone_makes_to_a);
	assert_int_equal(run(world, true, NULL, &copy), 0);
	assert_int_equal(copy.kept, 1);
	core_assert_object(world, "to/a", "theirs");
	core_assert_object(world, "from/a", "from/a");
	core_assert_object(world, "to/b/c", "from/b/c");
}

static void someone_is_faster_and_a_copy_fails(struct core_world *world)
{
	objstore_memory_put(world->memory, "to/a", "theirs", NULL);
	objstore_memory_fail(world->memory, OS_COPY, 3, -EACCES, FAULT_BEFORE);
}

static void what_is_taken_back_is_only_ours(struct core_world *world)
{
	struct tree_copy copy;

	put_tree(world);
	objstore_memory_put(world->memory, "to/b/c", "from/b/c",
			    NULL); /* theirs, of equal content */
	core_interfere(world, OS_COPY, someone_is_faster_and_a_copy_fails);
	assert_int_equal(run(world, true, NULL, &copy), -EACCES);
	assert_int_equal(copy.state, TREE_AS_BEFORE);
	core_assert_object(world, "to/a", "theirs");
	core_assert_object(world, "to/b/c", "from/b/c");
	assert_int_equal(world->memory->bucket.object_count, KEYS + 2);
}

static void someone_changes_from_a(struct core_world *world)
{
	objstore_memory_put(world->memory, "from/a", "changed", NULL);
}

static void a_source_that_changes_before_its_copy_moves_as_it_is(struct core_world *world)
{
	struct tree_copy copy;

	put_tree(world);
	core_interfere(world, OS_COPY, someone_changes_from_a);
	assert_int_equal(run(world, true, NULL, &copy), 0);
	assert_int_equal(copy.kept, 0);
	core_assert_object(world, "from/a", NULL);
	core_assert_object(world, "to/a", "changed");
}

static void someone_writes_below_from(struct core_world *world)
{
	objstore_memory_put(world->memory, "from/a", "changed", NULL);
	objstore_memory_put(world->memory, "from/new", "new", NULL);
}

/* Told between the last copy and the deletion. */
static void write_below_from(void *context, const char *relative, const char *etag,
			     const char *copy)
{
	(void)relative, (void)etag, (void)copy;
	someone_writes_below_from(context);
}

static void what_others_write_after_the_copies_stays(struct core_world *world)
{
	struct tree_copy copy = move_of(world, NULL);
	char message[300];

	put_tree(world);
	copy.copied = write_below_from;
	copy.context = world;
	assert_int_equal(tree_copy_run(&copy, message, sizeof(message)), 0);
	assert_int_equal(copy.kept, 2);
	core_assert_object(world, "from/a", "changed");
	core_assert_object(world, "to/a", "from/a");
	core_assert_object(world, "from/new", "new");
	core_assert_object(world, "from/b/c", NULL);
}

static void someone_removes_from_a(struct core_world *world)
{
	objstore_memory_remove(world->memory, "from/a");
}

static void a_source_that_vanishes_is_no_failure(struct core_world *world)
{
	struct tree_copy copy;

	put_tree(world);
	core_interfere(world, OS_COPY, someone_removes_from_a);
	assert_int_equal(run(world, true, NULL, &copy), 0);
	core_assert_object(world, "to/a", NULL);
	core_assert_object(world, "to/b/c", "from/b/c");
	assert_int_equal(world->memory->bucket.object_count, KEYS - 1);
}

static void deletions_are_tried_again(struct core_world *world)
{
	uint64_t started = executor_monotonic(world->executor);
	struct tree_copy copy;

	put_tree(world);
	for (unsigned i = 0; i < 4; i++)
		objstore_memory_fail(world->memory, OS_DELETE_MANY, i + 1, -EIO, FAULT_BEFORE);
	assert_int_equal(run(world, true, NULL, &copy), 0);
	assert_true(tree_is(world, "to"));
	assert_in_range(executor_monotonic(world->executor) - started, 7 * NSEC_PER_SEC,
			8 * NSEC_PER_SEC);
}

static void who_waits_for_deletions_waits_about_a_minute(struct core_world *world)
{
	uint64_t started = executor_monotonic(world->executor);
	struct tree_copy copy;

	put_tree(world);
	for (unsigned i = 0; i < 100; i++)
		objstore_memory_fail(world->memory, OS_DELETE_MANY, 1, -EIO, FAULT_BEFORE);
	assert_int_equal(run(world, true, NULL, &copy), -EIO);
	assert_int_equal(copy.state, TREE_MOVED);
	assert_int_equal(world->memory->bucket.object_count, 2 * KEYS);
	assert_in_range(executor_monotonic(world->executor) - started, 30 * NSEC_PER_SEC,
			60 * NSEC_PER_SEC);
}

static void what_is_new_under_the_old_name_is_not_owed(struct core_world *world)
{
	struct tree_copy copy;
	char note[TREE_NOTE_MAX];

	put_tree(world);
	core_sleep(world, 2 * NSEC_PER_SEC);
	objstore_memory_put(world->memory, "from/z", "newest", NULL);
	objstore_memory_fail(world->memory, OS_DELETE_MANY, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(run(world, true, NULL, &copy), -EACCES);
	assert_int_equal(copy.state, TREE_MOVED);
	tree_copy_note(&copy, note);
	core_sleep(world, 2 * NSEC_PER_SEC);
	/* The old name is used again, in part for the same bytes; and work goes on under the new.
	 */
	objstore_memory_put(world->memory, "from/a", "from/a", NULL);
	objstore_memory_put(world->memory, "from/b/new", "new", NULL);
	objstore_memory_put(world->memory, "to/b/c", "edited", NULL);
	objstore_memory_remove(world->memory, "to/b/");
	assert_int_equal(run(world, false, note, &copy), 0);
	core_assert_object(world, "from/a", "from/a");
	core_assert_object(world, "from/b/new", "new");
	core_assert_object(world, "to/a", "from/a");
	core_assert_object(world, "to/b/c", "edited");
	core_assert_object(world, "to/b/new", NULL);
	core_assert_object(world, "to/b/", NULL);
	core_assert_object(world, "from/z", NULL);
	assert_int_equal(world->memory->bucket.object_count, 2 + KEYS);
}

static void a_source_that_was_kept_is_not_owed_either(struct core_world *world)
{
	struct tree_copy copy;
	char note[TREE_NOTE_MAX];

	put_tree(world);
	core_sleep(world, 2 * NSEC_PER_SEC);
	objstore_memory_put(world->memory, "from/z", "newest", NULL);
	objstore_memory_put(world->memory, "to/a", "theirs", NULL);
	objstore_memory_fail(world->memory, OS_DELETE_MANY, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(run(world, true, NULL, &copy), -EACCES);
	tree_copy_note(&copy, note);
	assert_int_equal(run(world, false, note, &copy), 0);
	assert_int_equal(copy.kept, 1);
	core_assert_object(world, "from/a", "from/a");
	core_assert_object(world, "to/a", "theirs");
	core_assert_object(world, "from/b/c", NULL);
	core_assert_object(world, "from/z", NULL);
}

static void a_key_that_would_be_too_long_stops_it_before_it_begins(struct core_world *world)
{
	struct tree_copy copy;
	struct told told = {0};
	char message[300] = "", key[OS_KEY_MAX + 1];

	put_tree(world);
	memset(key, 'k', OS_KEY_MAX);
	key[OS_KEY_MAX] = '\0';
	memcpy(key, "from/", 5);
	objstore_memory_put(world->memory, key, "long", NULL);
	copy = move_of(world, &told);
	copy.target = "longer/";
	assert_int_equal(tree_copy_run(&copy, message, sizeof(message)), -ENAMETOOLONG);
	assert_int_equal(copy.state, TREE_AS_BEFORE);
	assert_int_equal(world->node->count[OS_COPY], 0);
	copy.target = "to/";
	assert_int_equal(tree_copy_run(&copy, message, sizeof(message)), 0);
}

static void a_listing_of_many_pages_is_moved_whole(struct core_world *world)
{
	struct tree_copy copy;

	put_tree(world);
	world->memory->list_max = 2;
	assert_int_equal(run(world, true, NULL, &copy), 0);
	assert_true(tree_is(world, "to"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(every_key_moves_also_those_that_are_no_names),
		CORE_TEST(metadata_moves_along),
		CORE_TEST(copies_run_side_by_side_but_not_all_at_once),
		CORE_TEST(any_failure_is_finished_by_another_run),
		CORE_TEST(any_two_failures_end_at_one_place_or_say_what_is_left),
		CORE_TEST(what_is_there_already_is_not_copied_again),
		CORE_TEST(other_content_at_the_destination_stays_and_so_does_the_source),
		CORE_TEST(who_is_faster_at_the_destination_is_not_overwritten),
		CORE_TEST(what_is_taken_back_is_only_ours),
		CORE_TEST(a_source_that_changes_before_its_copy_moves_as_it_is),
		CORE_TEST(what_others_write_after_the_copies_stays),
		CORE_TEST(a_source_that_vanishes_is_no_failure),
		CORE_TEST(deletions_are_tried_again),
		CORE_TEST(who_waits_for_deletions_waits_about_a_minute),
		CORE_TEST(what_is_new_under_the_old_name_is_not_owed),
		CORE_TEST(a_source_that_was_kept_is_not_owed_either),
		CORE_TEST(a_key_that_would_be_too_long_stops_it_before_it_begins),
		CORE_TEST(a_listing_of_many_pages_is_moved_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

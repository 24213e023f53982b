/* One file on its way to S3: conditions, lost replies, other writers, failures. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

static void replace_by_others(struct core_world *world)
{
	objstore_memory_put(world->memory, "f", "theirs", NULL);
}

static void delete_by_others(struct core_world *world)
{
	assert_true(objstore_memory_remove(world->memory, "f"));
}

static uint64_t number_in_status(struct core_node *node, const char *name)
{
	struct buf text = BUF_INIT;
	char pattern[64];
	const char *at;
	uint64_t value;

	vfs_status(node->vfs, &text);
	snprintf(pattern, sizeof(pattern), "\"%s\":", name);
	at = strstr(buf_str(&text), pattern);
	assert_non_null(at);
	value = strtoull(at + strlen(pattern), NULL, 10);
	buf_free(&text);
	return value;
}

static void what_is_new_must_not_be_there_yet(struct core_world *world)
{
	struct vfs_handle *handle;
	const char *copy;

	assert_int_equal(core_open(world->node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "ours", 0), 0);
	replace_by_others(world);
	assert_int_equal(vfs_flush(handle), -ESTALE);
	/* Told once; both contents are there. */
	assert_int_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	core_assert_object(world, "f", "theirs");
	copy = core_key_like(world, "f.conflict-one-");
	assert_non_null(copy);
	core_assert_object(world, copy, "ours");
	core_assert_file(world->node, copy, "ours");
	core_sleep(world, 2 * NSEC_PER_SEC);
	core_assert_file(world->node, "f", "theirs");
	assert_int_equal(number_in_status(world->node, "conflicts"), 1);
}

static void a_lost_race_keeps_both_contents(struct core_world *world)
{
	const char *copy;

	assert_int_equal(core_put(world->node, "f", "base"), 0);
	core_interfere(world, OS_PUT, replace_by_others);
	assert_int_equal(core_put(world->node, "f", "ours"), -ESTALE);
	core_drain(world->node);
	core_assert_object(world, "f", "theirs");
	copy = core_key_like(world, "f.conflict-one-");
	assert_non_null(copy);
	core_assert_object(world, copy, "ours");
}

/* As s3fs does, and versitygw with metadata in sidecar files: what the writer does not set stays.
 */
static void replace_and_keep_metadata(struct core_world *world)
{
	const struct memory_object *object = objstore_memory_find(world->memory, "f");
	const char *meta[] = {META_PUT_ID, os_meta_get(&object->meta, META_PUT_ID), NULL};

	assert_non_null(meta[1]);
	objstore_memory_put(world->memory, "f", object->size == 6 ? "theirs, newer" : "theirs",
			    meta);
}

static void others_who_keep_our_put_id_are_others(struct core_world *world)
{
	struct core_node *node = world->node;
	const char *copy;

	assert_int_equal(core_put(node, "f", "base"), 0);
	core_interfere(world, OS_PUT, replace_and_keep_metadata);
	assert_int_equal(core_put(node, "f", "ours"), -ESTALE);
	core_drain(node);
	core_assert_object(world, "f", "theirs");
	copy = core_key_like(world, "f.conflict-one-");
	assert_non_null(copy);
	core_assert_object(world, copy, "ours");
	/* Theirs is the base now, and is replaced in the same way. */
	core_sleep(world, 2 * NSEC_PER_SEC);
	core_assert_file(node, "f", "theirs");
	core_interfere(world, OS_PUT, replace_and_keep_metadata);
	assert_int_equal(core_put(node, "f", "on top"), -ESTALE);
	core_assert_object(world, "f", "theirs, newer");
}

static void they_are_after_a_crash(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *handle;

	assert_int_equal(core_put(node, "f", "base"), 0);
	assert_int_equal(core_open(node, "f", O_RDWR, &handle), 0);
	assert_int_equal(core_write(handle, "ours", 0), 0);
	core_crash_only(node);
	replace_and_keep_metadata(world);
	core_start(node);
	core_drain(node);
	core_assert_object(world, "f", "theirs");
	core_assert_object(world, core_key_like(world, "f.conflict-one-"), "ours");
}

static void the_handle_stays_with_the_copy_that_lost(struct core_world *world)
{
	struct vfs_handle *handle;
	const char *copy;

	assert_int_equal(core_put(world->node, "f", "base"), 0);
	assert_int_equal(core_open(world->node, "f", O_RDWR, &handle), 0);
	assert_int_equal(core_write(handle, "OURS", 0), 0);
	replace_by_others(world);
	assert_int_equal(vfs_fsync(handle), -ESTALE);
	assert_int_equal(core_write(handle, "+more", 4), 0);
	assert_int_equal(vfs_fsync(handle), 0);
	copy = core_key_like(world, "f.conflict-one-");
	assert_non_null(copy);
	core_assert_object(world, copy, "OURS+more");
	core_assert_object(world, "f", "theirs");
	assert_int_equal(core_close(world->node, handle), 0);
}

static void with_conflict_fail_nothing_is_replaced_or_lost(struct core_world *world)
{
	struct core_node *node = &world->nodes[1];

	node->config.conflict = CONFLICT_FAIL;
	core_start(node);
	assert_int_equal(core_put(node, "f", "base"), 0);
	core_interfere(world, OS_PUT, replace_by_others);
	assert_int_equal(core_put(node, "f", "ours"), -ESTALE);
	core_sleep(world, 600 * NSEC_PER_SEC);
	core_assert_object(world, "f", "theirs");
	assert_int_equal(world->memory->bucket.object_count, 1);
	assert_int_equal(vfs_pending(node->vfs).files, 1);
	core_assert_file(node, "f", "ours");
}

/* A file that lost a race, with conflict=fail. */
static struct core_node *lose_with_fail(struct core_world *world)
{
	struct core_node *node = &world->nodes[1];

	node->config.conflict = CONFLICT_FAIL;
	core_start(node);
	assert_int_equal(core_put(node, "f", "base"), 0);
	core_interfere(world, OS_PUT, replace_by_others);
	assert_int_equal(core_put(node, "f", "ours"), -ESTALE);
	return node;
}

static void with_conflict_fail_removing_gives_ours_up(struct core_world *world)
{
	for (int crash = 0; crash < 2; crash++) {
		struct core_node *node = lose_with_fail(world);

		if (crash)
			core_crash(node);
		assert_int_equal(core_unlink(node, "f"), 0);
		assert_int_equal(vfs_pending(node->vfs).files, 0);
		core_assert_file(node, "f", "theirs");
		core_sleep(world, 600 * NSEC_PER_SEC);
		core_assert_object(world, "f", "theirs");
		assert_int_equal(world->memory->bucket.object_count, 1);
		assert_int_equal(core_unlink(node, "f"), 0);
		assert_int_equal(world->memory->bucket.object_count, 0);
		core_stop(node);
	}
}

static void with_conflict_fail_renaming_keeps_both(struct core_world *world)
{
	for (int crash = 0; crash < 2; crash++) {
		struct core_node *node = lose_with_fail(world);

		if (crash)
			core_crash(node);
		assert_int_equal(core_rename(node, "f", "g"), 0);
		core_drain(node);
		core_assert_object(world, "f", "theirs");
		core_assert_object(world, "g", "ours");
		core_assert_file(node, "f", "theirs");
		core_assert_file(node, "g", "ours");
		assert_int_equal(world->memory->bucket.object_count, 2);
		core_stop(node);
		objstore_memory_remove(world->memory, "f");
		objstore_memory_remove(world->memory, "g");
	}
}

static void with_conflict_fail_an_open_file_can_be_removed(struct core_world *world)
{
	struct core_node *node = lose_with_fail(world);
	struct vfs_handle *handle;

	assert_int_equal(core_open(node, "f", O_RDWR, &handle), 0);
	assert_int_equal(core_unlink(node, "f"), 0);
	assert_int_equal(core_close(node, handle), 0);
	core_drain(node);
	core_assert_file(node, "f", "theirs");
}

static void with_conflict_overwrite_the_last_writer_wins(struct core_world *world)
{
	struct core_node *node = &world->nodes[1];

	node->config.conflict = CONFLICT_OVERWRITE;
	core_start(node);
	assert_int_equal(core_put(node, "f", "base"), 0);
	core_interfere(world, OS_PUT, replace_by_others);
	assert_int_equal(core_put(node, "f", "ours"), 0);
	core_assert_object(world, "f", "ours");
	assert_int_equal(world->memory->bucket.object_count, 1);
}

/* What was read through an open file is of a version that is not there any more: neither a mix of
 * the two is made, nor is the newer one replaced by what is based on the older. */
static void a_file_that_was_replaced_since_its_open_is_not_written_to(struct core_world *world)
{
	struct core_node *one = &world->nodes[0], *two = &world->nodes[1];
	struct stat size = {.st_size = 0}, st;
	struct vfs_handle *handle, *end;
	char data[64];

	core_start(two);
	assert_int_equal(core_put(one, "f", "first"), 0);
	assert_int_equal(core_open(one, "f", O_RDWR, &handle), 0);
	assert_int_equal(core_open(one, "f", O_WRONLY | O_APPEND, &end), 0);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), 5);
	assert_int_equal(core_put(two, "f", "second, longer"), 0);
	core_sleep(world, 5 * NSEC_PER_SEC);
	assert_int_equal(core_stat(one, "f", &st), 0);
	assert_int_equal(st.st_size, 14);
	assert_int_equal(vfs_write(handle, "FIRST", 5, 0), -ESTALE);
	assert_int_equal(
		vfs_setattr(one->vfs, core_ino(one, "f"), handle, &size, VFS_SET_SIZE, &st),
		-ESTALE);
	core_drain(one);
	core_assert_object(world, "f", "second, longer");
	assert_int_equal(vfs_write(end, "+", 1, VFS_AT_END), 1);
	assert_int_equal(core_close(one, end), 0);
	assert_int_equal(core_close(one, handle), 0);
	core_assert_object(world, "f", "second, longer+");
	assert_int_equal(core_open(one, "f", O_RDWR, &handle), 0);
	assert_int_equal(core_write(handle, "S", 0), 0);
	assert_int_equal(core_close(one, handle), 0);
	core_assert_object(world, "f", "Second, longer+");
}

static void two_nodes_that_change_one_file_lose_nothing(struct core_world *world)
{
	struct core_node *one = &world->nodes[0], *two = &world->nodes[1];
	struct vfs_handle *first, *second;

	core_start(two);
	assert_int_equal(core_put(one, "f", "base"), 0);
	assert_int_equal(core_open(one, "f", O_RDWR, &first), 0);
	assert_int_equal(core_open(two, "f", O_RDWR, &second), 0);
	assert_int_equal(core_write(first, "1111", 0), 0);
	assert_int_equal(core_write(second, "2222", 0), 0);
	assert_int_equal(core_close(one, first), 0);
	assert_int_equal(core_close(two, second), -ESTALE);
	core_drain(two);
	core_assert_object(world, "f", "1111");
	core_assert_object(world, core_key_like(world, "f.conflict-two-"), "2222");
}

static void close_to_open_between_nodes(struct core_world *world)
{
	struct core_node *one = &world->nodes[0], *two = &world->nodes[1];

	core_start(two);
	for (int turn = 0; turn < 10; turn++) {
		char text[32];

		snprintf(text, sizeof(text), "turn %d of one", turn);
		assert_int_equal(core_put(one, "f", text), 0);
		core_assert_file(two, "f", text);
		snprintf(text, sizeof(text), "and %d of two", turn);
		assert_int_equal(core_put(two, "f", text), 0);
		core_assert_file(one, "f", text);
	}
	assert_int_equal(world->memory->bucket.object_count, 1);
}

/* A reply that is lost, with or without effect, and whether the store could tell. */
static void replies_that_are_lost_cost_nothing_but_requests(struct core_world *world)
{
	static const struct {
		enum fault_moment moment;
		int err;
	} rows[] = {
		{FAULT_AFTER, -ETIMEDOUT}, {FAULT_UNDECIDED, -ETIMEDOUT},    {FAULT_AFTER, -EIO},
		{FAULT_BEFORE, -EIO},	   {FAULT_AFTER, -ESTALE},	     {FAULT_BEFORE, -EBUSY},
		{FAULT_BEFORE, -EPROTO},   {FAULT_UNDECIDED, -EHOSTUNREACH},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char created[20], changed[20]; /* the same bytes would go in parts: see late.h */

		snprintf(created, sizeof(created), "created %zu", i);
		snprintf(changed, sizeof(changed), "changed %zu", i);
		objstore_memory_fail(world->memory, OS_PUT, 1, rows[i].err, rows[i].moment);
		assert_int_equal(core_put(world->node, "new", created), 0);
		core_assert_object(world, "new", created);
		objstore_memory_fail(world->memory, OS_PUT, 1, rows[i].err, rows[i].moment);
		assert_int_equal(core_put(world->node, "new", changed), 0);
		core_assert_object(world, "new", changed);
		assert_int_equal(world->memory->bucket.object_count, 1);
		assert_int_equal(objstore_memory_faults_left(world->memory), 0);
		assert_int_equal(core_unlink(world->node, "new"), 0);
	}
}

static void a_write_after_a_lost_reply_is_published_too(struct core_world *world)
{
	struct vfs_handle *handle;

	/* The upload took effect, but neither its reply nor the question about it comes through. */
	assert_int_equal(core_open(world->node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "first", 0), 0);
	objstore_memory_fail(world->memory, OS_PUT, 1, -ETIMEDOUT, FAULT_AFTER);
	objstore_memory_fail(world->memory, OS_HEAD, 1, -ETIMEDOUT, FAULT_BEFORE);
	vfs_sync(world->node->vfs, VFS_ROOT, env_after(&world->node->env, 100 * NSEC_PER_MSEC));
	core_assert_object(world, "f", "first");
	assert_int_equal(core_write(handle, "SECOND", 0), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	core_assert_object(world, "f", "SECOND");
	assert_int_equal(world->memory->bucket.object_count, 1);
}

static void attributes_after_a_lost_reply_are_published_too(struct core_world *world)
{
	const struct memory_object *object;

	assert_int_equal(core_put(world->node, "f", "data"), 0);
	objstore_memory_fail(world->memory, OS_COPY, 1, -ETIMEDOUT, FAULT_AFTER);
	assert_int_equal(core_chmod(world->node, "f", 0600), 0);
	core_sleep(world, 300 * NSEC_PER_MSEC);
	assert_int_equal(core_chmod(world->node, "f", 0640), 0);
	core_drain(world->node);
	object = objstore_memory_find(world->memory, "f");
	assert_string_equal(os_meta_get(&object->meta, "mode"), "33184");
	assert_int_equal(world->memory->bucket.object_count, 1);
}

static void an_upload_that_may_have_happened_is_removed_with_the_file(struct core_world *world)
{
	struct vfs_handle *handle;

	assert_int_equal(core_open(world->node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "first", 0), 0);
	objstore_memory_fail(world->memory, OS_PUT, 1, -ETIMEDOUT, FAULT_AFTER);
	objstore_memory_fail(world->memory, OS_HEAD, 1, -ETIMEDOUT, FAULT_BEFORE);
	vfs_sync(world->node->vfs, VFS_ROOT, env_after(&world->node->env, 100 * NSEC_PER_MSEC));
	core_assert_object(world, "f", "first");
	assert_int_equal(core_unlink(world->node, "f"), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_sleep(world, 60 * NSEC_PER_SEC);
	core_assert_object(world, "f", NULL);
}

static void a_base_that_others_deleted_comes_back_with_our_bytes(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "base"), 0);
	core_interfere(world, OS_PUT, delete_by_others);
	assert_int_equal(core_put(world->node, "f", "ours"), 0);
	core_assert_object(world, "f", "ours");
	assert_int_equal(world->memory->bucket.object_count, 1);
}

static void attributes_of_what_others_deleted_are_forgotten(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "base"), 0);
	assert_int_equal(core_chmod(world->node, "f", 0600), 0);
	delete_by_others(world);
	core_drain(world->node);
	core_assert_object(world, "f", NULL);
	core_sleep(world, 2 * NSEC_PER_SEC);
	assert_false(core_exists(world->node, "f"));
}

static void attributes_go_on_top_of_what_others_wrote(struct core_world *world)
{
	const struct memory_object *object;

	assert_int_equal(core_put(world->node, "f", "base"), 0);
	assert_int_equal(core_chmod(world->node, "f", 0600), 0);
	replace_by_others(world);
	core_drain(world->node);
	core_assert_object(world, "f", "theirs");
	object = objstore_memory_find(world->memory, "f");
	assert_string_equal(os_meta_get(&object->meta, "mode"), "33152");
	core_sleep(world, 2 * NSEC_PER_SEC);
	core_assert_file(world->node, "f", "theirs");
}

static void conflicting_requests_are_repeated(struct core_world *world)
{
	for (int i = 0; i < 3; i++)
		objstore_memory_fail(world->memory, OS_PUT, 1, -EBUSY, FAULT_BEFORE);
	assert_int_equal(core_put(world->node, "f", "ours"), 0);
	core_assert_object(world, "f", "ours");
}

static void close_waits_while_the_server_fails_and_then_succeeds(struct core_world *world)
{
	uint64_t started = env_now(&world->node->env);

	for (int i = 0; i < 10; i++)
		objstore_memory_fail(world->memory, OS_PUT, 1, -EIO, FAULT_BEFORE);
	assert_int_equal(core_put(world->node, "f", "ours"), 0);
	core_assert_object(world, "f", "ours");
	assert_true(env_now(&world->node->env) - started < 300 * NSEC_PER_SEC);
	assert_int_equal(number_in_status(world->node, "failures"), 10);
}

static void a_refusal_is_told_at_close_and_tried_again_later(struct core_world *world)
{
	objstore_memory_fail(world->memory, OS_PUT, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(core_put(world->node, "f", "ours"), -EACCES);
	core_assert_object(world, "f", NULL);
	core_assert_file(world->node, "f", "ours");
	core_sleep(world, 120 * NSEC_PER_SEC);
	core_assert_object(world, "f", "ours");
	assert_int_equal(vfs_pending(world->node->vfs).files, 0);
}

static void an_outage_costs_time_and_nothing_else(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *handle;

	assert_int_equal(core_put(node, "known", "cached"), 0);
	assert_string_equal(core_list(node, ""), "known ");
	objstore_memory_set_away(world->memory, true);
	core_sleep(world, 10 * NSEC_PER_SEC);
	core_assert_file(node, "known", "cached");
	assert_int_equal(core_open(node, "new", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "written meanwhile", 0), 0);
	core_release_handle(node, handle);
	core_sleep(world, 600 * NSEC_PER_SEC);
	assert_string_equal(core_list(node, ""), "known new ");
	core_assert_file(node, "new", "written meanwhile");
	objstore_memory_set_away(world->memory, false);
	core_sleep(world, 60 * NSEC_PER_SEC);
	core_assert_object(world, "new", "written meanwhile");
	core_drain(node);
}

static void without_conditions_a_head_finds_other_writers(struct core_world *world)
{
	struct core_node *node = &world->nodes[1];

	world->memory->conditions.put = CONDITIONS_IGNORED;
	world->memory->conditions.copy = CONDITIONS_IGNORED;
	world->memory->conditions.complete = CONDITIONS_IGNORED;
	world->memory->conditions.delete = CONDITIONS_IGNORED;
	node->no_conditions = true;
	core_start(node);
	assert_int_equal(core_put(node, "f", "base"), 0);
	core_interfere(world, OS_HEAD, NULL);
	assert_int_equal(core_put(node, "f", "second"), 0);
	core_assert_object(world, "f", "second");
	{
		struct vfs_handle *handle;

		assert_int_equal(core_open(node, "f", O_RDWR, &handle), 0);
		assert_int_equal(core_write(handle, "OURS..", 0), 0);
		replace_by_others(world);
		assert_int_equal(core_close(node, handle), -ESTALE);
	}
	core_drain(node);
	core_assert_object(world, "f", "theirs");
	core_assert_object(world, core_key_like(world, "f.conflict-"), "OURS..");
}

static void set_unquoted(void *context, bool unquoted)
{
	*(bool *)context = unquoted;
}

static void the_probe_finds_out_what_the_server_does(struct core_world *world)
{
	static const enum condition_support support[] = {CONDITIONS_HONOURED, CONDITIONS_IGNORED,
							 CONDITIONS_NOT_IMPLEMENTED};
	struct upload_capabilities *can = &vfs_uploader(world->node->vfs)->can;
	struct os_result failure = {0};
	bool unquoted = false;

	for (size_t i = 0; i < 3; i++) {
		world->memory->conditions.put = support[i];
		world->memory->conditions.copy = support[(i + 1) % 3];
		world->memory->conditions.complete = support[(i + 2) % 3];
		world->memory->conditions.delete = support[i];
		assert_int_equal(upload_probe(vfs_uploader(world->node->vfs), "p/", &failure,
					      set_unquoted, &unquoted),
				 0);
		assert_int_equal(can->put_if_match, i == 0);
		assert_int_equal(can->put_if_none_match, i == 0);
		assert_int_equal(can->copy, i == 2);
		assert_int_equal(can->complete, i == 1);
		assert_int_equal(can->delete, i == 0);
		assert_false(unquoted);
		assert_int_equal(world->memory->bucket.object_count, 0);
		assert_int_equal(world->memory->bucket.upload_count, 0);
	}
	/* A racer without an answer: right, but not for keeps. */
	world->memory->conditions.put = CONDITIONS_HONOURED;
	assert_false(can->unsure);
	objstore_memory_fail(world->memory, OS_PUT, 20, -EIO, FAULT_BEFORE);
	assert_int_equal(upload_probe(vfs_uploader(world->node->vfs), "p/", &failure, set_unquoted,
				      &unquoted),
			 0);
	assert_true(can->unsure && can->put_if_match && can->put_if_none_match && !can->racy);
	objstore_memory_fail(world->memory, OS_PUT, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(upload_probe(vfs_uploader(world->node->vfs), "p/", &failure, set_unquoted,
				      &unquoted),
			 -EACCES);
}

static void probe_alone(void *argument)
{
	struct core_node *node = argument;
	struct os_result failure = {0};
	bool unquoted = false;

	upload_probe(vfs_uploader(node->vfs), "p/", &failure, set_unquoted, &unquoted);
}

static void a_probe_that_a_crash_cut_off_leaves_nothing(struct core_world *world)
{
	core_hold(world, OS_COPY, NULL);
	core_spawn(world->node, probe_alone, world->node);
	core_await_held(world);
	core_hold_no_more(world);
	assert_true(world->memory->bucket.object_count > 0);
	assert_string_equal(core_list(world->node, ""), "p ");
	assert_string_equal(core_list(world->node, "p"), "");
	core_crash(world->node);
	assert_int_equal(world->memory->bucket.object_count, 0);
	assert_int_equal(world->memory->bucket.upload_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(what_is_new_must_not_be_there_yet),
		CORE_TEST(a_lost_race_keeps_both_contents),
		CORE_TEST(others_who_keep_our_put_id_are_others),
		CORE_TEST(they_are_after_a_crash),
		CORE_TEST(the_handle_stays_with_the_copy_that_lost),
		CORE_TEST(with_conflict_fail_nothing_is_replaced_or_lost),
		CORE_TEST(with_conflict_fail_removing_gives_ours_up),
		CORE_TEST(with_conflict_fail_renaming_keeps_both),
		CORE_TEST(with_conflict_fail_an_open_file_can_be_removed),
		CORE_TEST(with_conflict_overwrite_the_last_writer_wins),
		CORE_TEST(a_file_that_was_replaced_since_its_open_is_not_written_to),
		CORE_TEST(two_nodes_that_change_one_file_lose_nothing),
		CORE_TEST(close_to_open_between_nodes),
		CORE_TEST(replies_that_are_lost_cost_nothing_but_requests),
		CORE_TEST(a_write_after_a_lost_reply_is_published_too),
		CORE_TEST(attributes_after_a_lost_reply_are_published_too),
		CORE_TEST(an_upload_that_may_have_happened_is_removed_with_the_file),
		CORE_TEST(a_base_that_others_deleted_comes_back_with_our_bytes),
		CORE_TEST(attributes_of_what_others_deleted_are_forgotten),
		CORE_TEST(attributes_go_on_top_of_what_others_wrote),
		CORE_TEST(conflicting_requests_are_repeated),
		CORE_TEST(close_waits_while_the_server_fails_and_then_succeeds),
		CORE_TEST(a_refusal_is_told_at_close_and_tried_again_later),
		CORE_TEST(an_outage_costs_time_and_nothing_else),
		CORE_TEST(without_conditions_a_head_finds_other_writers),
		CORE_TEST(the_probe_finds_out_what_the_server_does),
		CORE_TEST(a_probe_that_a_crash_cut_off_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

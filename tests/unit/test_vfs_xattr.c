/* Extended attributes in the core: what is owed after a crash, other writers, limits, requests; and
 * those that say what became of a file. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "tests/unit/core_files.h"

#define USER_A "%7B%22user.a%22%3A%22MQ%3D%3D%22%7D" /* {"user.a":"1"} */

static int set(struct core_node *node, const char *path, const char *name, const char *value)
{
	return vfs_setxattr(node->vfs, core_ino(node, path), name, value, strlen(value), 0);
}

/* The value as a string, or "error ERRNO". Static storage. */
static const char *get(struct core_node *node, const char *path, const char *name)
{
	static char text[4096];
	ssize_t got = vfs_getxattr(node->vfs, core_ino(node, path), name, text, sizeof(text) - 1);

	if (got < 0)
		snprintf(text, sizeof(text), "error %d", (int)-got);
	else
		text[got] = '\0';
	return text;
}

static const char *meta_of(struct core_world *world, const char *key, const char *name)
{
	const struct memory_object *object = objstore_memory_find(world->memory, key);
	const char *value = object ? os_meta_get(&object->meta, name) : NULL;

	return value ? value : "absent";
}

#define NONE "error 61" /* ENODATA */

static void a_change_is_owed_after_a_crash(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "x"), 0);
	assert_int_equal(core_mkdir(world->node, "d"), 0);
	core_drain(world->node);
	assert_int_equal(set(world->node, "f", "user.a", "1"), 0);
	assert_int_equal(set(world->node, "d", "user.a", "1"), 0);
	core_crash(world->node);
	assert_string_equal(get(world->node, "f", "user.a"), "1");
	core_drain(world->node);
	assert_string_equal(meta_of(world, "f", "xattr"), USER_A);
	assert_string_equal(meta_of(world, "d/", "xattr"), USER_A);
	core_assert_object(world, "f", "x");
}

static void replace_by_others(struct core_world *world)
{
	objstore_memory_put(world->memory, "f", "theirs", NULL);
}

static void a_change_goes_onto_the_version_that_is_there(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "ours"), 0);
	core_drain(world->node);
	assert_int_equal(set(world->node, "f", "user.a", "1"), 0);
	replace_by_others(world);
	core_drain(world->node);
	core_assert_object(world, "f", "theirs");
	assert_string_equal(meta_of(world, "f", "xattr"), USER_A);
	core_assert_file(world->node, "f", "theirs");
	assert_string_equal(get(world->node, "f", "user.a"), "1");
}

static void what_others_stored_under_our_names_is_not_shown(struct core_world *world)
{
	/* {"user.s3mount.state":"MQ==","user.a":"MQ=="} */
	static const char *const meta[] = {
		"xattr",
		"%7B%22user.s3mount.state%22%3A%22MQ%3D%3D%22%2C%22user.a%22%3A%22MQ%3D%3D%22%7D",
		NULL};
	char list[64];

	objstore_memory_put(world->memory, "f", "1", meta);
	assert_int_equal(vfs_listxattr(world->node->vfs, (struct vfs_caller){0, 0, 1, 0},
				       core_ino(world->node, "f"), list, sizeof(list)),
			 7);
	assert_string_equal(list, "user.a");
	assert_string_equal(get(world->node, "f", "user.s3mount.state"), "clean");
}

static void what_others_set_is_seen_and_kept(struct core_world *world)
{
	static const char *const meta[] = {"xattr", USER_A, NULL};

	objstore_memory_put(world->memory, "f", "1", meta);
	assert_string_equal(get(world->node, "f", "user.a"), "1");
	assert_int_equal(core_append(world->node, "f", "2"), 0);
	assert_int_equal(core_rename(world->node, "f", "g"), 0);
	core_drain(world->node);
	assert_string_equal(meta_of(world, "g", "xattr"), USER_A);
	assert_string_equal(get(world->node, "g", "user.a"), "1");
}

static void what_is_known_costs_nothing(struct core_world *world)
{
	uint64_t ino;
	char byte;

	assert_int_equal(core_put(world->node, "f", "x"), 0);
	core_drain(world->node);
	ino = core_ino(world->node, "f");
	core_sleep(world, 3600 * NSEC_PER_SEC);
	core_zero(world->node);
	for (int i = 0; i < 10; i++)
		assert_int_equal(
			vfs_getxattr(world->node->vfs, ino, "security.capability", &byte, 1),
			-ENODATA);
	assert_int_equal(core_requests(world->node), 0);
}

static void refused_changes_leave_the_file_clean(struct core_world *world)
{
	uint64_t ino;
	char value[2049];

	memset(value, 'v', sizeof(value));
	assert_int_equal(core_put(world->node, "f", "x"), 0);
	core_drain(world->node);
	ino = core_ino(world->node, "f");
	core_zero(world->node);
	assert_int_equal(vfs_setxattr(world->node->vfs, ino, "user.a", value, 2049, 0), -ENOSPC);
	assert_int_equal(vfs_setxattr(world->node->vfs, ino, "user.a", value, 1800, 0), -ENOSPC);
	assert_int_equal(vfs_setxattr(world->node->vfs, ino, "user.a", value, 1, XATTR_REPLACE),
			 -ENODATA);
	assert_int_equal(vfs_removexattr(world->node->vfs, ino, "user.a"), -ENODATA);
	assert_int_equal(vfs_setxattr(world->node->vfs, ino, "user.s3mount.state", value, 1, 0),
			 -EPERM);
	assert_int_equal(vfs_removexattr(world->node->vfs, ino, "user.s3mount.state"), -EPERM);
	assert_int_equal(vfs_setxattr(world->node->vfs, ino, "none", value, 1, 0), -EOPNOTSUPP);
	assert_int_equal(vfs_setxattr(world->node->vfs, ino, "user.", value, 1, 0), -EINVAL);
	assert_string_equal(get(world->node, "f", "user.s3mount.state"), "clean");
	core_sleep(world, 5 * NSEC_PER_SEC);
	assert_int_equal(core_requests(world->node), 0);
	assert_string_equal(meta_of(world, "f", "xattr"), "absent");
}

static void a_stream_takes_those_that_came_later_along(struct core_world *world)
{
	enum { PIECE = 1 << 20, PIECES = 48 };
	char *piece = calloc(1, PIECE);
	struct vfs_handle *handle;

	assert_non_null(piece);
	assert_int_equal(core_open(world->node, "f", O_RDWR | O_CREAT, &handle), 0);
	for (uint64_t i = 0; i < PIECES; i++)
		assert_int_equal(vfs_write(handle, piece, PIECE, i * PIECE), PIECE);
	core_sleep(world, NSEC_PER_SEC);
	assert_int_equal(set(world->node, "f", "user.a", "1"), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	assert_string_equal(meta_of(world, "f", "xattr"), USER_A);
	free(piece);
}

static void the_state_of_a_file_is_told(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *handle;

	assert_int_equal(core_open(node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "12345", 0), 0);
	assert_string_equal(get(node, "f", "user.s3mount.state"), "dirty");
	assert_string_equal(get(node, "f", "user.s3mount.pending"), "5");
	assert_string_equal(get(node, "f", "user.s3mount.etag"), NONE);
	assert_string_equal(get(node, "f", "user.s3mount.error"), NONE);
	assert_int_equal(core_close(node, handle), 0);
	core_drain(node);
	assert_string_equal(get(node, "f", "user.s3mount.state"), "clean");
	assert_string_equal(get(node, "f", "user.s3mount.pending"), "0");
	assert_int_equal(strcspn(get(node, "f", "user.s3mount.etag"), "\" "), 32);
	assert_string_equal(get(node, "f", "user.s3mount.conflict"), NONE);
	assert_string_equal(get(node, "f", "user.s3mount.xyz"), NONE);
	assert_int_equal(vfs_listxattr(node->vfs, (struct vfs_caller){0, 0, 1, 0},
				       core_ino(node, "f"), NULL, 0),
			 0);
}

static void an_upload_is_told_while_it_goes_on(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *handle;

	node->config.close = PUBLISH_LOCAL;
	core_stop(node);
	core_start(node);
	core_hold(world, OS_PUT, "f");
	assert_int_equal(core_open(node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "12345", 0), 0);
	assert_int_equal(core_close(node, handle), 0);
	core_await_held(world);
	assert_string_equal(get(node, "f", "user.s3mount.state"), "uploading");
	assert_string_equal(get(node, "f", "user.s3mount.pending"), "5");
	core_release(world);
	core_drain(node);
	assert_string_equal(get(node, "f", "user.s3mount.state"), "clean");
}

static void a_failure_is_told_until_it_has_healed(struct core_world *world)
{
	struct core_node *node = world->node;

	objstore_memory_fail(world->memory, OS_PUT, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(core_put(node, "f", "x"), -EACCES);
	assert_string_equal(get(node, "f", "user.s3mount.state"), "error");
	assert_non_null(strstr(get(node, "f", "user.s3mount.error"),
			       "(Permission denied), failed attempts: 1"));
	core_drain(node);
	assert_string_equal(get(node, "f", "user.s3mount.state"), "clean");
	assert_string_equal(get(node, "f", "user.s3mount.error"), NONE);
}

static void a_conflict_copy_tells_whose_it_is_and_what_it_was_based_on(struct core_world *world)
{
	struct core_node *node = world->node;
	char base[OS_ETAG_MAX], copy[300];
	const char *mark;

	assert_int_equal(core_put(node, "f", "base"), 0);
	snprintf(base, sizeof(base), "base=%s", get(node, "f", "user.s3mount.etag"));
	core_interfere(world, OS_PUT, replace_by_others);
	assert_int_equal(core_put(node, "f", "ours"), -ESTALE);
	core_drain(node);
	snprintf(copy, sizeof(copy), "%s", core_key_like(world, "f.conflict-one-"));
	mark = meta_of(world, copy, "s3mount-conflict");
	assert_int_equal(strncmp(mark, "node=one time=20", 16), 0);
	assert_string_equal(strstr(mark, "base="), base);
	assert_string_equal(get(node, copy, "user.s3mount.conflict"), mark);
	assert_string_equal(get(node, copy, "user.s3mount.state"), "conflict");
	assert_string_equal(get(node, "f", "user.s3mount.state"), "clean");
	/* Any node can tell, and after a restart. */
	core_start(&world->nodes[1]);
	assert_string_equal(get(&world->nodes[1], copy, "user.s3mount.conflict"), mark);
	core_stop(&world->nodes[1]);
	core_crash(node);
	assert_string_equal(get(node, copy, "user.s3mount.state"), "conflict");
	/* Moved over the original it is that. */
	assert_int_equal(core_rename(node, copy, "f"), 0);
	core_drain(node);
	assert_string_equal(meta_of(world, "f", "s3mount-conflict"), "absent");
	assert_string_equal(get(node, "f", "user.s3mount.state"), "clean");
	core_assert_object(world, "f", "ours");
}

static void with_conflict_fail_the_file_tells(struct core_world *world)
{
	struct core_node *node = &world->nodes[1];

	node->config.conflict = CONFLICT_FAIL;
	core_start(node);
	assert_int_equal(core_put(node, "f", "base"), 0);
	core_interfere(world, OS_PUT, replace_by_others);
	assert_int_equal(core_put(node, "f", "ours"), -ESTALE);
	assert_string_equal(get(node, "f", "user.s3mount.state"), "conflict");
	assert_non_null(strstr(get(node, "f", "user.s3mount.error"), "failed attempts: "));
	core_assert_file(node, "f", "ours");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CORE_TEST(a_change_is_owed_after_a_crash),
		CORE_TEST(a_change_goes_onto_the_version_that_is_there),
		CORE_TEST(what_others_set_is_seen_and_kept),
		CORE_TEST(what_others_stored_under_our_names_is_not_shown),
		CORE_TEST(what_is_known_costs_nothing),
		CORE_TEST(refused_changes_leave_the_file_clean),
		CORE_TEST(a_stream_takes_those_that_came_later_along),
		CORE_TEST(the_state_of_a_file_is_told),
		CORE_TEST(an_upload_is_told_while_it_goes_on),
		CORE_TEST(a_failure_is_told_until_it_has_healed),
		CORE_TEST(a_conflict_copy_tells_whose_it_is_and_what_it_was_based_on),
		CORE_TEST(with_conflict_fail_the_file_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

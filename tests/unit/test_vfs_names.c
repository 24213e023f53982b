/* Names and attributes: what is made, found, changed and removed. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

static const char *meta_of(struct core_world *world, const char *key, const char *name)
{
	const struct memory_object *object = objstore_memory_find(world->memory, key);
	const char *value = object ? os_meta_get(&object->meta, name) : NULL;

	return value ? value : "absent";
}

static void a_file_is_a_plain_object_after_close(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "hello.txt", "hello"), 0);
	core_assert_object(world, "hello.txt", "hello");
	core_assert_file(world->node, "hello.txt", "hello");
	assert_string_equal(core_list(world->node, ""), "hello.txt ");
}

/* The kernel asked for the name, then others made it, then the create arrives. */
static void a_create_finds_what_others_have_just_made(struct core_world *world)
{
	static const struct vfs_caller caller = {1000, 1000, 42, 0}, stranger = {1001, 1000, 42, 0};
	struct core_node *node = world->node;
	struct vfs_handle *handle;
	struct stat made;
	char text[8];

	assert_false(core_exists(node, "f"));
	objstore_memory_put(world->memory, "f", "theirs", NULL);
	core_sleep(world, 2 * NSEC_PER_SEC);
	assert_int_equal(vfs_create(node->vfs, caller, VFS_ROOT, "f", 0600,
				    O_RDWR | O_CREAT | O_EXCL, &handle, &made),
			 -EEXIST);
	assert_int_equal(vfs_create(node->vfs, stranger, VFS_ROOT, "f", 0600, O_RDWR | O_CREAT,
				    &handle, &made),
			 -EEXIST);
	assert_int_equal(vfs_create(node->vfs, caller, VFS_ROOT, "f", 0600, O_RDWR | O_CREAT,
				    &handle, &made),
			 0);
	assert_int_equal(made.st_size, 6);
	assert_int_equal(made.st_mode, S_IFREG | 0644);
	assert_int_equal(vfs_read(handle, text, sizeof(text), 0), 6);
	assert_memory_equal(text, "theirs", 6);
	vfs_release(handle);
	vfs_forget(node->vfs, made.st_ino, 1);
}

static void objects_of_others_are_files_with_the_defaults(struct core_world *world)
{
	struct stat found;

	objstore_memory_put(world->memory, "a/b/c.txt", "abc", NULL);
	assert_int_equal(core_stat(world->node, "a/b/c.txt", &found), 0);
	assert_int_equal(found.st_mode, S_IFREG | 0644);
	assert_int_equal(found.st_uid, 1000);
	assert_int_equal(found.st_size, 3);
	assert_int_equal(found.st_mtim.tv_sec, 1700000000);
	assert_int_equal(core_stat(world->node, "a/b", &found), 0);
	assert_int_equal(found.st_mode, S_IFDIR | 0755);
	assert_string_equal(core_list(world->node, "a"), "b ");
	assert_string_equal(core_list(world->node, "a/b"), "c.txt ");
	core_assert_file(world->node, "a/b/c.txt", "abc");
}

static void metadata_in_the_format_of_s3fs_is_understood(struct core_world *world)
{
	static const char *const meta[] = {"mode",  "33152",	    "uid", "7", "gid", "8",
					   "mtime", "1234567890.5", "x",   "y", NULL};
	struct stat found;

	objstore_memory_put(world->memory, "f", "1", meta);
	assert_int_equal(core_stat(world->node, "f", &found), 0);
	assert_int_equal(found.st_mode, S_IFREG | 0600);
	assert_int_equal(found.st_uid, 7);
	assert_int_equal(found.st_gid, 8);
	assert_int_equal(found.st_mtim.tv_sec, 1234567890);
	assert_int_equal(found.st_mtim.tv_nsec, 500000000);
	/* What we do not know is kept when the file is written again. */
	assert_int_equal(core_append(world->node, "f", "2"), 0);
	core_assert_object(world, "f", "12");
	assert_string_equal(meta_of(world, "f", "x"), "y");
	assert_string_equal(meta_of(world, "f", "uid"), "7");
}

static void directories_are_objects_that_end_in_a_slash(struct core_world *world)
{
	assert_int_equal(core_mkdir(world->node, "d"), 0);
	core_assert_object(world, "d/", "");
	assert_int_equal(core_mkdir(world->node, "d"), -EEXIST);
	assert_int_equal(core_mkdir(world->node, "d/e"), 0);
	assert_int_equal(core_put(world->node, "d/e/f", "x"), 0);
	core_assert_object(world, "d/e/f", "x");
	assert_int_equal(core_rmdir(world->node, "d"), -ENOTEMPTY);
	assert_int_equal(core_rmdir(world->node, "d/e"), -ENOTEMPTY);
	assert_int_equal(core_rmdir(world->node, "d/e/f"), -ENOTDIR);
	assert_int_equal(core_unlink(world->node, "d/e"), -EISDIR);
	assert_int_equal(core_unlink(world->node, "d/e/f"), 0);
	assert_int_equal(core_rmdir(world->node, "d/e"), 0);
	assert_int_equal(core_rmdir(world->node, "d"), 0);
	assert_int_equal(world->memory->bucket.object_count, 0);
}

static void a_directory_with_keys_of_others_is_not_removed(struct core_world *world)
{
	assert_int_equal(core_mkdir(world->node, "d"), 0);
	objstore_memory_put(world->memory, "d/new", "x", NULL);
	core_sleep(world, 2 * NSEC_PER_SEC);
	assert_int_equal(core_rmdir(world->node, "d"), -ENOTEMPTY);
	core_assert_object(world, "d/", "");
}

static void an_implied_directory_outlives_its_last_file(struct core_world *world)
{
	objstore_memory_put(world->memory, "d/only", "x", NULL);
	assert_int_equal(core_unlink(world->node, "d/only"), 0);
	core_drain(world->node);
	core_assert_object(world, "d/", "");
	core_sleep(world, 2 * NSEC_PER_SEC);
	assert_true(core_exists(world->node, "d"));
	assert_string_equal(core_list(world->node, "d"), "");
}

static void symlinks_keep_their_target(struct core_world *world)
{
	struct stat found;
	char *target;

	assert_int_equal(core_symlink(world->node, "../some where", "link"), 0);
	core_assert_object(world, "link", "../some where");
	core_crash(world->node);
	assert_int_equal(core_stat(world->node, "link", &found), 0);
	assert_true(S_ISLNK(found.st_mode));
	assert_int_equal(found.st_size, 13);
	assert_int_equal(vfs_readlink(world->node->vfs, found.st_ino, &target), 0);
	assert_string_equal(target, "../some where");
	free(target);
	core_start(&world->nodes[1]);
	assert_int_equal(
		vfs_readlink(world->nodes[1].vfs, core_ino(&world->nodes[1], "link"), &target), 0);
	assert_string_equal(target, "../some where");
	free(target);
}

static void a_symlink_survives_a_change_of_its_owner(struct core_world *world)
{
	static const char *const meta[] = {"mode", "41471", NULL};
	struct stat values = {.st_uid = 5}, found;

	objstore_memory_put(world->memory, "link", "target", meta);
	assert_int_equal(vfs_setattr(world->node->vfs, core_ino(world->node, "link"), NULL, &values,
				     VFS_SET_UID, &found),
			 0);
	core_drain(world->node);
	core_assert_object(world, "link", "target");
	assert_string_equal(meta_of(world, "link", "uid"), "5");
}

static void changed_attributes_reach_s3_without_the_data(struct core_world *world)
{
	struct stat values = {.st_mode = 0600, .st_mtim = {123, 456}}, found;
	uint64_t ino;

	assert_int_equal(core_put(world->node, "f", "data"), 0);
	core_zero(world->node);
	ino = core_ino(world->node, "f");
	assert_int_equal(vfs_setattr(world->node->vfs, ino, NULL, &values,
				     VFS_SET_MODE | VFS_SET_MTIME, &found),
			 0);
	assert_int_equal(found.st_mode, S_IFREG | 0600);
	core_drain(world->node);
	assert_int_equal(world->node->count[OS_PUT], 0);
	assert_int_equal(world->node->count[OS_COPY], 1);
	assert_string_equal(meta_of(world, "f", "mode"), "33152");
	assert_string_equal(meta_of(world, "f", "mtime"), "123.000000456");
	core_start(&world->nodes[1]);
	assert_int_equal(core_stat(&world->nodes[1], "f", &found), 0);
	assert_int_equal(found.st_mode, S_IFREG | 0600);
	assert_int_equal(found.st_mtim.tv_nsec, 456);
}

static void attributes_of_the_root_are_kept(struct core_world *world)
{
	struct stat found;

	assert_int_equal(core_chmod(world->node, "", 0700), 0);
	core_crash(world->node);
	assert_int_equal(core_stat(world->node, "", &found), 0);
	assert_int_equal(found.st_mode, S_IFDIR | 0700);
	assert_int_equal(world->memory->bucket.object_count, 0);
}

static void an_unlinked_file_is_gone_from_s3(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "x"), 0);
	assert_int_equal(core_unlink(world->node, "f"), 0);
	core_assert_object(world, "f", NULL);
	assert_false(core_exists(world->node, "f"));
	assert_int_equal(core_unlink(world->node, "f"), -ENOENT);
}

static void an_unlink_that_s3_refuses_leaves_the_file(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "x"), 0);
	objstore_memory_fail(world->memory, OS_DELETE, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(core_unlink(world->node, "f"), -EACCES);
	core_assert_file(world->node, "f", "x");
}

static void an_unlink_spares_what_another_writer_has_put_there(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "ours"), 0);
	objstore_memory_put(world->memory, "f", "theirs", NULL);
	assert_int_equal(core_unlink(world->node, "f"), -EBUSY);
	core_assert_object(world, "f", "theirs");
	core_assert_file(world->node, "f", "theirs");
}

static void an_unlinked_file_stays_readable_where_it_is_open(struct core_world *world)
{
	struct vfs_handle *handle;
	char data[16];

	objstore_memory_put(world->memory, "f", "bytes", NULL);
	assert_int_equal(core_open(world->node, "f", O_RDWR, &handle), 0);
	assert_int_equal(core_unlink(world->node, "f"), 0);
	core_assert_object(world, "f", NULL);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), 5);
	assert_memory_equal(data, "bytes", 5);
	assert_int_equal(core_write(handle, "BY", 0), 0);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), 5);
	assert_memory_equal(data, "BYtes", 5);
	/* A new file of that name is another one. */
	assert_int_equal(core_put(world->node, "f", "new"), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	core_assert_object(world, "f", "new");
}

static void an_unlinked_open_file_is_not_evicted(struct core_world *world)
{
	struct core_node *node = &world->nodes[1];
	struct vfs_handle *handle;
	char data[16];

	node->config.cache_limit = 100;
	core_start(node);
	assert_int_equal(core_put(node, "f", "0123456789"), 0);
	assert_int_equal(core_open(node, "f", O_RDONLY, &handle), 0);
	assert_int_equal(core_unlink(node, "f"), 0);
	for (int i = 0; i < 20; i++) {
		char name[8] = {'g', (char)('a' + i), '\0'};

		assert_int_equal(core_put(node, name, "another file of some 30 bytes."), 0);
	}
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), 10);
	assert_memory_equal(data, "0123456789", 10);
}

static void an_unlinked_file_does_not_come_back_after_a_crash(struct core_world *world)
{
	struct vfs_handle *handle;

	world->node->config.close = PUBLISH_LOCAL;
	core_crash(world->node);
	core_hold(world, OS_PUT, NULL);
	assert_int_equal(core_open(world->node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "x", 0), 0);
	assert_int_equal(core_unlink(world->node, "f"), 0);
	core_crash(world->node);
	core_release(world);
	core_drain(world->node);
	core_assert_object(world, "f", NULL);
	assert_int_equal(disk_memory_files(world->node->disk), 0);
}

static void names_that_posix_cannot_have_are_refused(struct core_world *world)
{
	char longer[300];

	memset(longer, 'x', sizeof(longer));
	longer[256] = '\0';
	assert_int_equal(core_mkdir(world->node, longer), -ENAMETOOLONG);
	longer[255] = '\0';
	assert_int_equal(core_mkdir(world->node, longer), 0);
	assert_int_equal(core_put(world->node, "..", "x"), -EINVAL);
}

static void keys_without_a_file_name_do_not_disturb(struct core_world *world)
{
	objstore_memory_put(world->memory, "a//b", "1", NULL);
	objstore_memory_put(world->memory, "a/./c", "2", NULL);
	objstore_memory_put(world->memory, "a/d", "3", NULL);
	assert_string_equal(core_list(world->node, "a"), "d ");
	assert_string_equal(core_list(world->node, ""), "a ");
}

static void a_key_that_is_file_and_directory_shows_the_directory(struct core_world *world)
{
	objstore_memory_put(world->memory, "a", "file", NULL);
	objstore_memory_put(world->memory, "a/b", "below", NULL);
	assert_string_equal(core_list(world->node, ""), "a ");
	core_assert_file(world->node, "a/b", "below");
	core_start(&world->nodes[1]);
	core_assert_file(&world->nodes[1], "a/b", "below");
}

static void inode_numbers_are_the_same_on_every_node(struct core_world *world)
{
	uint64_t ino;

	assert_int_equal(core_mkdir(world->node, "d"), 0);
	assert_int_equal(core_put(world->node, "d/f", "x"), 0);
	ino = core_ino(world->node, "d/f");
	core_start(&world->nodes[1]);
	assert_int_equal(core_ino(&world->nodes[1], "d/f"), ino);
	core_stop(world->node);
	core_start(world->node);
	assert_int_equal(core_ino(world->node, "d/f"), ino);
}

static void a_read_only_mount_changes_nothing(struct core_world *world)
{
	struct core_node *node = &world->nodes[1];
	struct vfs_handle *handle;

	objstore_memory_put(world->memory, "f", "x", NULL);
	node->config.read_only = true;
	core_start(node);
	core_assert_file(node, "f", "x");
	assert_int_equal(core_put(node, "new", "x"), -EROFS);
	assert_int_equal(core_open(node, "f", O_RDWR, &handle), -EROFS);
	assert_int_equal(core_unlink(node, "f"), -EROFS);
	assert_int_equal(core_mkdir(node, "d"), -EROFS);
	assert_int_equal(core_rename(node, "f", "g"), -EROFS);
	assert_int_equal(core_truncate(node, "f", 0), -EROFS);
	assert_int_equal(core_chmod(node, "f", 0600), -EROFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(a_file_is_a_plain_object_after_close),
		CORE_TEST(a_create_finds_what_others_have_just_made),
		CORE_TEST(objects_of_others_are_files_with_the_defaults),
		CORE_TEST(metadata_in_the_format_of_s3fs_is_understood),
		CORE_TEST(directories_are_objects_that_end_in_a_slash),
		CORE_TEST(a_directory_with_keys_of_others_is_not_removed),
		CORE_TEST(an_implied_directory_outlives_its_last_file),
		CORE_TEST(symlinks_keep_their_target),
		CORE_TEST(a_symlink_survives_a_change_of_its_owner),
		CORE_TEST(changed_attributes_reach_s3_without_the_data),
		CORE_TEST(attributes_of_the_root_are_kept),
		CORE_TEST(an_unlinked_file_is_gone_from_s3),
		CORE_TEST(an_unlink_that_s3_refuses_leaves_the_file),
		CORE_TEST(an_unlink_spares_what_another_writer_has_put_there),
		CORE_TEST(an_unlinked_file_stays_readable_where_it_is_open),
		CORE_TEST(an_unlinked_open_file_is_not_evicted),
		CORE_TEST(an_unlinked_file_does_not_come_back_after_a_crash),
		CORE_TEST(names_that_posix_cannot_have_are_refused),
		CORE_TEST(keys_without_a_file_name_do_not_disturb),
		CORE_TEST(a_key_that_is_file_and_directory_shows_the_directory),
		CORE_TEST(inode_numbers_are_the_same_on_every_node),
		CORE_TEST(a_read_only_mount_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

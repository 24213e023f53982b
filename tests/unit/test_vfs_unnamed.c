/* Files that are made without a name, and the name that one may get. */
#include <errno.h>
#include <string.h>

#include "tests/unit/core_files.h"

static const struct vfs_caller caller = {1000, 1000, 42, 0};

static struct vfs_handle *make(struct core_world *world, uint64_t *ino)
{
	struct vfs_handle *handle;
	struct stat st;

	assert_int_equal(
		vfs_tmpfile(world->node->vfs, caller, VFS_ROOT, 0640, O_RDWR, &handle, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	*ino = st.st_ino;
	return handle;
}

static int close_unnamed(struct core_world *world, struct vfs_handle *handle, uint64_t ino)
{
	int err = vfs_flush(handle);

	vfs_release(handle);
	vfs_forget(world->node->vfs, ino, 1);
	return err;
}

static void it_costs_no_request_and_leaves_nothing(struct core_world *world)
{
	struct vfs_handle *handle;
	uint64_t ino;
	char data[8];

	core_zero(world->node);
	handle = make(world, &ino);
	assert_int_equal(core_write(handle, "text", 0), 0);
	assert_int_equal(vfs_fsync(handle), 0);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), 4);
	assert_int_equal(vfs_fsyncdir(world->node->vfs, VFS_ROOT,
				      env_after(&world->node->env, NSEC_PER_SEC)),
			 0);
	assert_int_equal(close_unnamed(world, handle, ino), 0);
	assert_int_equal(vfs_pending(world->node->vfs).files, 0);
	assert_int_equal(core_requests(world->node), 0);
	assert_int_equal(world->memory->bucket.object_count, 0);
}

static void it_gets_a_name_once(struct core_world *world)
{
	struct vfs *vfs = world->node->vfs;
	struct vfs_handle *handle;
	struct stat st;
	uint64_t ino;

	assert_int_equal(core_put(world->node, "taken", "x"), 0);
	handle = make(world, &ino);
	assert_int_equal(core_write(handle, "text", 0), 0);
	assert_int_equal(vfs_link(vfs, ino, VFS_ROOT, "taken", &st), -EEXIST);
	assert_int_equal(vfs_link(vfs, ino, VFS_ROOT, "a", &st), 0);
	assert_int_equal(st.st_nlink, 1);
	vfs_forget(vfs, ino, 1);
	assert_int_equal(vfs_link(vfs, ino, VFS_ROOT, "b", &st), -EPERM);
	assert_int_equal(vfs_link(vfs, core_ino(world->node, "taken"), VFS_ROOT, "b", &st), -EPERM);
	core_assert_object(world, "a", NULL);
	assert_int_equal(close_unnamed(world, handle, ino), 0);
	core_assert_object(world, "a", "text");
	core_assert_file(world->node, "a", "text");
	core_assert_object(world, "taken", "x");
}

static void an_unlinked_file_gets_no_name_back(struct core_world *world)
{
	struct vfs_handle *handle;
	struct stat st;
	uint64_t ino;

	assert_int_equal(core_open(world->node, "a", O_RDWR | O_CREAT, &handle), 0);
	ino = core_ino(world->node, "a");
	assert_int_equal(core_unlink(world->node, "a"), 0);
	assert_int_equal(vfs_link(world->node->vfs, ino, VFS_ROOT, "a", &st), -EPERM);
	core_release_handle(world->node, handle);
}

static void a_crash_leaves_nothing_without_a_name_and_all_with_one(struct core_world *world)
{
	struct vfs *vfs = world->node->vfs;
	struct vfs_handle *unnamed, *named;
	uint64_t ino;
	struct stat st;

	unnamed = make(world, &ino);
	assert_int_equal(core_write(unnamed, "lost", 0), 0);
	named = make(world, &ino);
	assert_int_equal(core_write(named, "kept", 0), 0);
	assert_int_equal(vfs_link(vfs, ino, VFS_ROOT, "a", &st), 0);
	core_crash(world->node);
	core_drain(world->node);
	core_assert_object(world, "a", "kept");
	assert_int_equal(world->memory->bucket.object_count, 1);
	core_assert_file(world->node, "a", "kept");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(it_costs_no_request_and_leaves_nothing),
		CORE_TEST(it_gets_a_name_once),
		CORE_TEST(an_unlinked_file_gets_no_name_back),
		CORE_TEST(a_crash_leaves_nothing_without_a_name_and_all_with_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

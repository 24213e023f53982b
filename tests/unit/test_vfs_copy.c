/* copy_file_range: what the server copies, and what it may not. */
#include <errno.h>
#include <string.h>

#include "fs/vfs/inode.h"
#include "tests/unit/core_files.h"

enum { MOST = 1 << 30 };

static struct vfs_handle *open_with(struct core_world *world, const char *path, int flags)
{
	struct vfs_handle *handle;

	assert_int_equal(core_open(world->node, path, flags, &handle), 0);
	return handle;
}

/* As cp does. Returns what close of the target says. */
static int copy(struct core_world *world, const char *from_path, const char *to_path)
{
	struct vfs_handle *from = open_with(world, from_path, O_RDONLY);
	struct vfs_handle *to = open_with(world, to_path, O_WRONLY | O_CREAT | O_TRUNC);
	uint64_t offset = 0;
	ssize_t got;

	while ((got = vfs_copy_range(from, offset, to, offset, MOST)) > 0)
		offset += (uint64_t)got;
	assert_int_equal(got, 0);
	core_release_handle(world->node, from);
	return core_close(world->node, to);
}

static unsigned bodies(const struct core_world *world)
{
	return world->node->count[OS_PUT] + world->node->count[OS_GET] +
	       world->node->count[OS_MPU_PART];
}

static void a_whole_object_is_copied_by_the_server(struct core_world *world)
{
	struct stat from, to;

	core_put_pattern(world, "a", 9 * MIB, 1);
	assert_int_equal(core_put(world->node, "b", "old text"), 0);
	for (int turn = 0; turn < 2; turn++) { /* into a new file, and over an old one */
		const char *name = turn ? "b" : "new";

		core_zero(world->node);
		assert_int_equal(copy(world, "a", name), 0);
		assert_int_equal(world->node->count[OS_COPY], 1);
		assert_int_equal(bodies(world), 0);
		core_assert_pattern(world, name, 0, 9 * MIB, 1);
		assert_int_equal(core_stat(world->node, name, &to), 0);
		assert_int_equal(to.st_size, 9 * MIB);
	}
	assert_int_equal(core_stat(world->node, "a", &from), 0);
	assert_int_not_equal(from.st_ino, to.st_ino);
	assert_int_equal(vfs_pending(world->node->vfs).files, 0);
	/* It goes on as a file of its own. */
	assert_int_equal(core_append(world->node, "b", "+"), 0);
	core_assert_pattern(world, "b", 0, 9 * MIB, 1);
	assert_int_equal(core_unlink(world->node, "a"), 0);
	core_assert_pattern(world, "new", 0, 9 * MIB, 1);
}

static void the_copy_has_the_attributes_of_the_new_file(struct core_world *world)
{
	static const char *const meta[] = {"mode",   "33261",	    "uid", "7",
					   "theirs", "stays there", NULL};
	const struct memory_object *object;
	struct stat st;

	world->node->vfs->copy_least = 1;
	objstore_memory_put(world->memory, "a", "text", meta);
	assert_int_equal(copy(world, "a", "b"), 0);
	core_assert_object(world, "b", "text");
	object = objstore_memory_find(world->memory, "b");
	assert_null(os_meta_get(&object->meta, "theirs"));
	assert_int_equal(core_stat(world->node, "b", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	core_crash(world->node);
	core_assert_file(world->node, "b", "text");
}

static void small_files_go_with_their_attributes(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "a", "text"), 0);
	core_zero(world->node);
	assert_int_equal(copy(world, "a", "b"), 0);
	assert_int_equal(world->node->count[OS_COPY], 0);
	core_assert_object(world, "b", "text");
}

/* What has been written and is not in S3 yet. */
static void a_source_that_was_changed_is_read(struct core_world *world)
{
	struct vfs_handle *writer;

	world->node->vfs->copy_least = 1;
	assert_int_equal(core_put(world->node, "a", "old"), 0);
	writer = open_with(world, "a", O_RDWR);
	assert_int_equal(core_write(writer, "new", 0), 0);
	assert_int_equal(copy(world, "a", "b"), 0);
	core_assert_object(world, "b", "new");
	assert_int_equal(core_close(world->node, writer), 0);
}

static void a_part_and_a_target_with_text_are_read(struct core_world *world)
{
	struct vfs_handle *from, *to;

	world->node->vfs->copy_least = 1;
	assert_int_equal(core_put(world->node, "a", "text"), 0);
	from = open_with(world, "a", O_RDONLY);
	to = open_with(world, "b", O_RDWR | O_CREAT);
	assert_int_equal(core_write(to, "-", 0), 0);
	assert_int_equal(vfs_copy_range(from, 0, to, 1, MOST), 4);
	assert_int_equal(core_close(world->node, to), 0);
	core_assert_object(world, "b", "-text");
	to = open_with(world, "c", O_RDWR | O_CREAT);
	assert_int_equal(vfs_copy_range(from, 0, to, 0, 2), 2);
	assert_int_equal(core_close(world->node, to), 0);
	core_assert_object(world, "c", "te");
	core_release_handle(world->node, from);
}

static void a_refused_copy_is_read_and_written(struct core_world *world)
{
	world->node->vfs->copy_least = 1;
	assert_int_equal(core_put(world->node, "a", "text"), 0);
	objstore_memory_fail(world->memory, OS_COPY, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(copy(world, "a", "b"), 0);
	core_assert_object(world, "b", "text");
	/* The end of this one nobody saw, and it may have been made. */
	objstore_memory_fail(world->memory, OS_COPY, 1, -EHOSTUNREACH, FAULT_UNDECIDED);
	assert_int_equal(copy(world, "a", "c"), 0);
	core_assert_object(world, "c", "text");
	assert_int_equal(world->memory->bucket.object_count, 3);
}

static void replace_a(struct core_world *world)
{
	objstore_memory_put(world->memory, "a", "of others", NULL);
}

static void a_source_that_others_replace_is_not_half_of_each(struct core_world *world)
{
	struct vfs_handle *from, *to;

	world->node->vfs->copy_least = 1;
	objstore_memory_put(world->memory, "a", "text", NULL);
	from = open_with(world, "a", O_RDONLY);
	to = open_with(world, "b", O_RDWR | O_CREAT);
	core_interfere(world, OS_COPY, replace_a);
	assert_int_equal(vfs_copy_range(from, 0, to, 0, MOST), strlen("of others"));
	assert_int_equal(core_close(world->node, to), 0);
	core_release_handle(world->node, from);
	core_assert_object(world, "b", "of others");
}

static void make_b(struct core_world *world)
{
	objstore_memory_put(world->memory, "b", "of others", NULL);
}

static void what_others_put_at_the_target_stays(struct core_world *world)
{
	const char *ours;

	world->node->vfs->copy_least = 1;
	assert_int_equal(core_put(world->node, "a", "text"), 0);
	core_interfere(world, OS_COPY, make_b);
	assert_int_equal(copy(world, "a", "b"), -ESTALE);
	core_assert_object(world, "b", "of others");
	core_drain(world->node);
	ours = core_key_like(world, "b.conflict-");
	assert_non_null(ours);
	core_assert_object(world, ours, "text");
}

struct race {
	struct core_world *world;
	struct vfs_handle *from, *to;
	int renamed;
	bool copied;
};

static void copy_in_race(void *argument)
{
	struct race *race = argument;

	race->copied = vfs_copy_range(race->from, 0, race->to, 0, MOST) >= 0;
}

static void rename_in_race(void *argument)
{
	struct race *race = argument;

	race->renamed = core_rename(race->world->node, "a", "b");
}

/* Each wants the publications of both, while that of the target is still under way. */
static void a_rename_of_the_source_over_the_target_goes_on(struct core_world *world)
{
	struct race race = {.world = world, .renamed = 1};

	world->node->vfs->copy_least = 1;
	assert_int_equal(core_put(world->node, "a", "text"), 0);
	core_hold(world, OS_PUT, "b");
	race.from = open_with(world, "a", O_RDONLY);
	race.to = open_with(world, "b", O_WRONLY | O_CREAT);
	publish_soon(handle_inode(race.to), 0);
	core_await_held(world);
	core_spawn(world->node, copy_in_race, &race);
	core_sleep(world, NSEC_PER_MSEC);
	core_spawn(world->node, rename_in_race, &race);
	core_sleep(world, NSEC_PER_MSEC);
	core_release(world);
	core_sleep(world, 10 * NSEC_PER_SEC);
	assert_int_equal(race.renamed, 0);
	assert_true(race.copied);
	core_release_handle(world->node, race.from);
	core_close(world->node, race.to);
	core_drain(world->node);
	core_assert_object(world, "b", "text");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(a_whole_object_is_copied_by_the_server),
		CORE_TEST(the_copy_has_the_attributes_of_the_new_file),
		CORE_TEST(small_files_go_with_their_attributes),
		CORE_TEST(a_source_that_was_changed_is_read),
		CORE_TEST(a_part_and_a_target_with_text_are_read),
		CORE_TEST(a_refused_copy_is_read_and_written),
		CORE_TEST(a_source_that_others_replace_is_not_half_of_each),
		CORE_TEST(what_others_put_at_the_target_stays),
		CORE_TEST(a_rename_of_the_source_over_the_target_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

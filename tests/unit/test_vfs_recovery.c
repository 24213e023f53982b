/* What a crash or a loss of power leaves, and what the next mount makes of it. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

static void restart_with(struct core_node *node, enum publish_mode close_mode,
			 enum publish_mode fsync_mode)
{
	core_stop(node);
	node->config.close = close_mode;
	node->config.fsync = fsync_mode;
	core_start(node);
}

static struct vfs_handle *open_file(struct core_node *node, const char *path, int flags)
{
	struct vfs_handle *handle;

	assert_int_equal(core_open(node, path, flags, &handle), 0);
	return handle;
}

static void assert_byte(struct core_node *node, const char *path, uint64_t offset, int expected)
{
	unsigned char byte = 0;

	assert_int_equal(core_read(node, path, &byte, 1, offset), 1);
	assert_int_equal(byte, expected);
}

static int pattern_byte(uint64_t offset, uint64_t seed)
{
	unsigned char byte;

	core_pattern(&byte, 1, offset, seed);
	return byte;
}

static void an_acknowledged_write_survives_a_crash(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "f", O_RDWR | O_CREAT);

	assert_int_equal(core_write(handle, "written", 0), 0);
	core_crash(world->node);
	core_assert_file(world->node, "f", "written");
	core_drain(world->node);
	core_assert_object(world, "f", "written");
}

static void a_write_to_a_clean_file_survives_a_crash(struct core_world *world)
{
	struct vfs_handle *handle;

	objstore_memory_put(world->memory, "f", "original", NULL);
	handle = open_file(world->node, "f", O_RDWR);
	assert_int_equal(core_write(handle, "ORIG", 0), 0);
	assert_int_equal(core_write(handle, "AL", 6), 0);
	core_crash(world->node);
	core_drain(world->node);
	core_assert_object(world, "f", "ORIGinAL");
	assert_int_equal(world->memory->bucket.object_count, 1);
}

static void a_write_that_was_not_acknowledged_spoils_no_clean_file(struct core_world *world)
{
	struct vfs_handle *handle;

	assert_int_equal(core_put(world->node, "f", "original"), 0);
	handle = open_file(world->node, "f", O_RDWR);
	core_stop_journal(world->node);
	assert_int_not_equal(core_write(handle, "XXXX", 0), 0);
	core_crash(world->node);
	core_sleep(world, 60 * NSEC_PER_SEC);
	/* Old or new, but what is read here is what S3 has. */
	core_assert_object(world, "f", "original");
	core_assert_file(world->node, "f", "original");
}

/* The same where a new mode is on its way: the data is clean all the same. */
static void
a_write_that_was_not_acknowledged_spoils_no_file_with_a_new_mode(struct core_world *world)
{
	struct vfs_handle *handle;

	assert_int_equal(core_put(world->node, "f", "original"), 0);
	core_hold(world, OS_COPY, NULL);
	assert_int_equal(core_chmod(world->node, "f", 0600), 0);
	handle = open_file(world->node, "f", O_RDWR);
	core_stop_journal(world->node);
	assert_int_not_equal(core_write(handle, "XXXX", 0), 0);
	core_hold_no_more(world);
	core_crash(world->node);
	core_drain(world->node);
	core_assert_object(world, "f", "original");
	core_assert_file(world->node, "f", "original");
}

static void a_truncate_that_was_not_acknowledged_loses_nothing(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "f", O_RDWR | O_CREAT);
	struct stat values = {.st_size = 0}, out;

	assert_int_equal(core_write(handle, "acknowledged", 0), 0);
	core_stop_journal(world->node);
	assert_int_not_equal(vfs_setattr(world->node->vfs, core_ino(world->node, "f"), handle,
					 &values, VFS_SET_SIZE, &out),
			     0);
	core_crash(world->node);
	core_drain(world->node);
	core_assert_object(world, "f", "acknowledged");
}

static void close_local_survives_a_crash(struct core_world *world)
{
	restart_with(world->node, PUBLISH_LOCAL, PUBLISH_LOCAL);
	objstore_memory_set_away(world->memory, true);
	assert_int_equal(core_mkdir(world->node, "d"), -EHOSTUNREACH);
	objstore_memory_set_away(world->memory, false);
	core_sleep(world, 10 * NSEC_PER_SEC);
	assert_int_equal(core_mkdir(world->node, "d"), 0);
	core_hold(world, OS_PUT, NULL);
	assert_int_equal(core_put(world->node, "d/f", "closed"), 0);
	core_crash(world->node);
	core_release(world);
	core_drain(world->node);
	core_assert_object(world, "d/f", "closed");
	core_assert_object(world, "d/", "");
}

static void fsync_local_survives_a_loss_of_power(struct core_world *world)
{
	struct vfs_handle *handle;

	restart_with(world->node, PUBLISH_LOCAL, PUBLISH_LOCAL);
	core_hold(world, OS_PUT, NULL);
	handle = open_file(world->node, "f", O_RDWR | O_CREAT);
	assert_int_equal(core_write(handle, "synced", 0), 0);
	assert_int_equal(vfs_fsync(handle), 0);
	core_power_loss(world->node);
	core_release(world);
	core_drain(world->node);
	core_assert_object(world, "f", "synced");
}

struct overwrite {
	struct core_world *world;
	struct vfs_handle *handle;
};

static void overwrite_during_sync(void *argument)
{
	struct overwrite *overwrite = argument;

	core_sleep(overwrite->world, NSEC_PER_MSEC / 2);
	assert_int_equal(core_write(overwrite->handle, "SYNC", 0), 0);
}

static void an_fsync_keeps_what_was_appended_though_others_overwrite(struct core_world *world)
{
	struct vfs_handle *handle;
	struct overwrite overwrite = {.world = world};

	restart_with(world->node, PUBLISH_LOCAL, PUBLISH_LOCAL);
	core_hold(world, OS_PUT, NULL);
	handle = open_file(world->node, "f", O_RDWR | O_CREAT);
	assert_int_equal(core_write(handle, "synced", 0), 0);
	assert_int_equal(vfs_fsync(handle), 0);
	assert_int_equal(core_write(handle, ", appended", 6), 0);
	overwrite.handle = handle;
	core_spawn(world->node, overwrite_during_sync, &overwrite);
	assert_int_equal(vfs_fsync(handle), 0);
	core_assert_file(world->node, "f", "SYNCed, appended");
	core_power_loss(world->node);
	core_release(world);
	core_drain(world->node);
	core_assert_object(world, "f", "synced, appended");
}

static void an_older_sync_does_not_replace_what_was_published(struct core_world *world)
{
	struct vfs_handle *handle;

	restart_with(world->node, PUBLISH_S3, PUBLISH_LOCAL);
	handle = open_file(world->node, "f", O_RDWR | O_CREAT);
	assert_int_equal(core_write(handle, "synced", 0), 0);
	assert_int_equal(vfs_fsync(handle), 0);
	assert_int_equal(core_write(handle, ", published", 6), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_hold(world, OS_PUT, NULL);
	handle = open_file(world->node, "f", O_RDWR);
	assert_int_equal(core_write(handle, ", lost", 17), 0);
	core_power_loss(world->node);
	core_drain(world->node);
	core_assert_object(world, "f", "synced, published");
	core_assert_file(world->node, "f", "synced, published");
}

static void a_clean_cache_is_not_trusted_after_a_loss_of_power(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "published"), 0);
	core_power_loss(world->node);
	core_zero(world->node);
	core_assert_file(world->node, "f", "published");
	assert_true(world->node->count[OS_GET] > 0);
}

static void a_clean_cache_is_warm_after_a_restart(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "published"), 0);
	core_stop(world->node);
	core_start(world->node);
	core_zero(world->node);
	core_assert_file(world->node, "f", "published");
	assert_int_equal(world->node->count[OS_GET], 0);
	core_crash(world->node);
	core_zero(world->node);
	core_assert_file(world->node, "f", "published");
	assert_int_equal(world->node->count[OS_GET], 0);
}

static void a_warm_cache_gives_way_to_a_newer_version(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "published"), 0);
	core_stop(world->node);
	objstore_memory_put(world->memory, "f", "newer", NULL);
	core_start(world->node);
	core_assert_file(world->node, "f", "newer");
}

static void write_at(struct vfs_handle *handle, uint64_t offset)
{
	assert_int_equal(core_write(handle, "!", offset), 0);
}

static void ranges_of_a_large_file_survive_a_crash(struct core_world *world)
{
	struct vfs_handle *handle;

	core_put_pattern(world, "big", 20 * MIB, 1);
	handle = open_file(world->node, "big", O_RDWR);
	write_at(handle, 0);
	write_at(handle, 10 * MIB);
	write_at(handle, 30 * MIB); /* the hole before it is new as well */
	core_crash(world->node);
	assert_byte(world->node, "big", 0, '!');
	assert_byte(world->node, "big", 1, pattern_byte(1, 1));
	assert_byte(world->node, "big", 10 * MIB, '!');
	assert_byte(world->node, "big", 25 * MIB, 0);
	assert_byte(world->node, "big", 30 * MIB, '!');
	core_drain(world->node);
	core_stop(world->node);
	core_start(&world->nodes[1]);
	assert_byte(&world->nodes[1], "big", 0, '!');
	assert_byte(&world->nodes[1], "big", 10 * MIB, '!');
	assert_byte(&world->nodes[1], "big", 20 * MIB - 1, pattern_byte(20 * MIB - 1, 1));
	assert_byte(&world->nodes[1], "big", 25 * MIB, 0);
	assert_byte(&world->nodes[1], "big", 30 * MIB, '!');
}

static void what_a_truncate_adds_to_a_large_file_survives_a_crash(struct core_world *world)
{
	const size_t base = 9 * MIB, grown = 11 * MIB;
	const struct memory_object *object;
	static char zeros[4096];
	struct stat values = {.st_size = (off_t)grown}, out;
	struct vfs_handle *handle;

	core_put_pattern(world, "big", base, 1);
	handle = open_file(world->node, "big", O_RDWR);
	assert_int_equal(vfs_setattr(world->node->vfs, core_ino(world->node, "big"), handle,
				     &values, VFS_SET_SIZE, &out),
			 0);
	core_crash(world->node);
	core_drain(world->node);
	object = objstore_memory_find(world->memory, "big");
	assert_int_equal(object->size, grown);
	assert_memory_equal(object->data + base, zeros, sizeof(zeros));
	assert_memory_equal(object->data + grown - sizeof(zeros), zeros, sizeof(zeros));
}

static void a_write_after_the_rest_was_read_survives_a_crash(struct core_world *world)
{
	struct vfs_handle *handle;
	char *data = malloc(12 * MIB);

	assert_non_null(data);
	core_put_pattern(world, "big", 12 * MIB, 2);
	handle = open_file(world->node, "big", O_RDWR);
	write_at(handle, 0);
	assert_int_equal(vfs_read(handle, data, 12 * MIB, 0), 12 * MIB);
	write_at(handle, 5 * MIB);
	free(data);
	core_crash(world->node);
	assert_byte(world->node, "big", 0, '!');
	assert_byte(world->node, "big", 5 * MIB, '!');
}

static void an_upload_that_a_crash_cut_off_is_recognised(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "f", O_RDWR | O_CREAT);

	/* It took effect; the process died before it knew. */
	assert_int_equal(core_write(handle, "data", 0), 0);
	objstore_memory_fail(world->memory, OS_PUT, 1, -ETIMEDOUT, FAULT_AFTER);
	core_hold(world, OS_HEAD, NULL);
	vfs_sync(world->node->vfs, VFS_ROOT, env_after(&world->node->env, NSEC_PER_SEC));
	core_assert_object(world, "f", "data");
	core_crash_only(world->node);
	core_release(world);
	core_start(world->node);
	core_drain(world->node);
	core_assert_object(world, "f", "data");
	assert_int_equal(world->memory->bucket.object_count, 1);
}

static void an_upload_that_a_crash_cut_off_is_removed_with_its_file(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "f", O_RDWR | O_CREAT);

	assert_int_equal(core_write(handle, "data", 0), 0);
	objstore_memory_fail(world->memory, OS_PUT, 1, -ETIMEDOUT, FAULT_AFTER);
	core_hold(world, OS_HEAD, NULL);
	vfs_sync(world->node->vfs, VFS_ROOT, env_after(&world->node->env, NSEC_PER_SEC));
	core_crash_only(world->node);
	core_release(world);
	core_load(world->node);
	assert_int_equal(core_unlink(world->node, "f"), 0);
	core_assert_object(world, "f", NULL);
}

static void a_conflict_that_comes_up_at_recovery_keeps_both(struct core_world *world)
{
	struct vfs_handle *handle;
	const char *copy;

	assert_int_equal(core_put(world->node, "f", "base"), 0);
	handle = open_file(world->node, "f", O_RDWR);
	assert_int_equal(core_write(handle, "OURS", 0), 0);
	core_crash_only(world->node);
	objstore_memory_put(world->memory, "f", "theirs", NULL);
	core_start(world->node);
	core_drain(world->node);
	core_assert_object(world, "f", "theirs");
	copy = core_key_like(world, "f.conflict-one-");
	assert_non_null(copy);
	core_assert_object(world, copy, "OURS");
}

static void abandoned_multipart_uploads_are_aborted(struct core_world *world)
{
	struct vfs_handle *handle = open_file(world->node, "big", O_RDWR | O_CREAT);
	char *data = calloc(1, 20 * MIB);

	assert_non_null(data);
	assert_int_equal(vfs_write(handle, data, 20 * MIB, 0), 20 * MIB);
	free(data);
	core_hold(world, OS_MPU_COMPLETE, NULL);
	vfs_sync(world->node->vfs, VFS_ROOT, env_after(&world->node->env, NSEC_PER_SEC));
	assert_int_equal(world->memory->bucket.upload_count, 1);
	core_crash_only(world->node);
	core_release(world);
	core_load(world->node);
	assert_int_equal(world->memory->bucket.upload_count, 1);
	assert_int_equal(vfs_recover(world->node->vfs), 0);
	core_drain(world->node);
	assert_int_equal(world->memory->bucket.upload_count, 0);
	assert_int_equal(objstore_memory_find(world->memory, "big")->size, 20 * MIB);
}

/* Aborts that fail; what is left after that. */
static void recover_with_failures(struct core_world *world, unsigned failures, unsigned left)
{
	struct vfs_handle *handle = open_file(world->node, "big", O_RDWR | O_CREAT);
	char *data = calloc(1, 20 * MIB);

	assert_non_null(data);
	assert_int_equal(vfs_write(handle, data, 20 * MIB, 0), 20 * MIB);
	free(data);
	core_hold(world, OS_MPU_COMPLETE, NULL);
	vfs_sync(world->node->vfs, VFS_ROOT, env_after(&world->node->env, NSEC_PER_SEC));
	core_crash_only(world->node);
	core_release(world);
	for (unsigned i = 0; i < failures; i++)
		objstore_memory_fail(world->memory, OS_MPU_ABORT, 1, -EIO, FAULT_BEFORE);
	core_load(world->node);
	assert_int_equal(vfs_recover(world->node->vfs), 0);
	core_drain(world->node);
	assert_int_equal(world->memory->bucket.upload_count, left);
	core_crash(world->node);
	assert_int_equal(world->memory->bucket.upload_count, 0);
}

static void what_recovery_cannot_reach_is_tried_again(struct core_world *world)
{
	recover_with_failures(world, 3, 0);
}

static void what_it_never_reaches_waits_for_the_next_mount(struct core_world *world)
{
	recover_with_failures(world, 9, 1);
}

static void
a_rename_that_failed_half_way_is_not_finished_behind_the_users_back(struct core_world *world)
{
	/* The copy is there, but the source would not go, and the caller was told so. */
	assert_int_equal(core_put(world->node, "a", "text"), 0);
	objstore_memory_fail(world->memory, OS_DELETE, 1, -EACCES, FAULT_BEFORE);
	assert_int_equal(core_rename(world->node, "a", "b"), -EACCES);
	assert_int_equal(core_put(world->node, "a", "a newer text"), 0);
	core_crash(world->node);
	core_assert_object(world, "a", "a newer text");
	core_assert_file(world->node, "a", "a newer text");
}

static void data_files_that_nothing_names_are_removed(struct core_world *world)
{
	struct disk_file *file;

	assert_int_equal(core_put(world->node, "f", "kept"), 0);
	core_stop(world->node);
	assert_int_equal(
		world->node->disk->disk.ops->create(&world->node->disk->disk, 1 << 20, &file), 0);
	world->node->disk->disk.ops->close(file);
	assert_int_equal(disk_memory_files(world->node->disk), 2);
	core_start(world->node);
	assert_int_equal(disk_memory_files(world->node->disk), 1);
}

static void a_crash_at_every_request_of_a_small_job_loses_nothing(struct core_world *world)
{
	static const char *const texts[] = {"one", "two two", "3"};

	for (int at = 0; at < 12; at++) {
		struct vfs_handle *handle;

		assert_int_equal(core_put(world->node, "f", "base"), 0);
		for (int i = 0; i < 3; i++) {
			handle = open_file(world->node, "f", O_RDWR | O_TRUNC);
			assert_int_equal(core_write(handle, texts[i], 0), 0);
			if (i * 4 == at)
				core_crash(world->node);
			else
				assert_int_equal(core_close(world->node, handle), 0);
			if (i * 4 + 1 == at)
				core_crash(world->node);
			core_assert_file(world->node, "f", texts[i]);
			if (i * 4 + 2 == at)
				core_crash(world->node);
			if (i * 4 + 3 == at)
				core_power_loss(world->node);
			core_drain(world->node);
			core_assert_object(world, "f", texts[i]);
		}
	}
	assert_int_equal(world->memory->bucket.object_count, 1);
}

static void nothing_more_is_accepted_when_the_local_disk_fails_to_sync(struct core_world *world)
{
	struct vfs_handle *handle;

	restart_with(world->node, PUBLISH_S3, PUBLISH_LOCAL);
	handle = open_file(world->node, "f", O_RDWR | O_CREAT);
	assert_int_equal(core_write(handle, "x", 0), 0);
	world->node->disk->sync_error = -EIO;
	assert_int_equal(vfs_fsync(handle), -EIO);
	world->node->disk->sync_error = 0;
	assert_int_equal(core_put(world->node, "g", "y"), -EIO);
	core_assert_file(world->node, "f", "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(an_acknowledged_write_survives_a_crash),
		CORE_TEST(a_write_to_a_clean_file_survives_a_crash),
		CORE_TEST(a_write_that_was_not_acknowledged_spoils_no_clean_file),
		CORE_TEST(a_write_that_was_not_acknowledged_spoils_no_file_with_a_new_mode),
		CORE_TEST(a_truncate_that_was_not_acknowledged_loses_nothing),
		CORE_TEST(close_local_survives_a_crash),
		CORE_TEST(fsync_local_survives_a_loss_of_power),
		CORE_TEST(an_fsync_keeps_what_was_appended_though_others_overwrite),
		CORE_TEST(an_older_sync_does_not_replace_what_was_published),
		CORE_TEST(a_clean_cache_is_not_trusted_after_a_loss_of_power),
		CORE_TEST(a_clean_cache_is_warm_after_a_restart),
		CORE_TEST(a_warm_cache_gives_way_to_a_newer_version),
		CORE_TEST(ranges_of_a_large_file_survive_a_crash),
		CORE_TEST(what_a_truncate_adds_to_a_large_file_survives_a_crash),
		CORE_TEST(a_write_after_the_rest_was_read_survives_a_crash),
		CORE_TEST(an_upload_that_a_crash_cut_off_is_recognised),
		CORE_TEST(an_upload_that_a_crash_cut_off_is_removed_with_its_file),
		CORE_TEST(a_conflict_that_comes_up_at_recovery_keeps_both),
		CORE_TEST(abandoned_multipart_uploads_are_aborted),
		CORE_TEST(what_recovery_cannot_reach_is_tried_again),
		CORE_TEST(what_it_never_reaches_waits_for_the_next_mount),
		CORE_TEST(a_rename_that_failed_half_way_is_not_finished_behind_the_users_back),
		CORE_TEST(data_files_that_nothing_names_are_removed),
		CORE_TEST(a_crash_at_every_request_of_a_small_job_loses_nothing),
		CORE_TEST(nothing_more_is_accepted_when_the_local_disk_fails_to_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

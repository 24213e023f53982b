/* A local disk that is full or fails: who is told what, what goes on, and what heals. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/core_files.h"
#include "tests/unit/core_world.h"
#include "tests/unit/sqlite_shim.h"

static void restart_with(struct core_node *node, enum publish_mode close_mode)
{
	core_stop(node);
	node->config.close = close_mode;
	node->config.fsync = PUBLISH_LOCAL;
	core_start(node);
}

static bool status_says(struct core_node *node, const char *text)
{
	struct buf status = BUF_INIT;
	bool found;

	vfs_status(node->vfs, &status);
	found = strstr(buf_str(&status), text) != NULL;
	if (!found)
		print_error("%s\n", buf_str(&status));
	buf_free(&status);
	return found;
}

static void heal_later(void *argument)
{
	struct core_node *node = argument;

	core_sleep(node->world, 5 * NSEC_PER_SEC);
	node->disk->write_error = 0;
}

static void a_writer_waits_for_room(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *handle;
	uint64_t begun;

	assert_int_equal(core_open(node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "kept", 0), 0);
	node->disk->write_error = -ENOSPC;
	core_spawn(node, heal_later, node);
	begun = executor_monotonic(world->executor);
	assert_int_equal(core_write(handle, "more", 4), 0);
	assert_in_range(executor_monotonic(world->executor) - begun, 4 * NSEC_PER_SEC,
			7 * NSEC_PER_SEC);
	assert_int_equal(core_close(node, handle), 0);
	core_assert_object(world, "f", "keptmore");
}

static void cached_data_makes_room(struct core_world *world)
{
	struct core_node *node = world->node;
	size_t files;

	for (int i = 0; i < 10; i++) {
		char name[8];

		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(core_put(node, name, "cached"), 0);
	}
	files = disk_memory_files(node->disk);
	assert_true(files >= 10);
	node->disk->write_error = -ENOSPC;
	assert_int_equal(core_put(node, "g", "x"), -ENOSPC);
	assert_true(disk_memory_files(node->disk) < files);
	node->disk->write_error = 0;
	assert_int_equal(core_put(node, "g", "x"), 0);
	core_assert_file(node, "f3", "cached");
}

static void readers_go_past_a_full_disk(struct core_world *world)
{
	struct core_node *node = world->node;
	size_t len = 9 * MIB;
	char *wanted = malloc(len), *got = malloc(len);

	assert_true(wanted && got);
	core_put_pattern(world, "large", len, 7);
	core_pattern(wanted, len, 0, 7);
	objstore_memory_put(world->memory, "small", "text", NULL);
	node->disk->write_error = -ENOSPC;
	core_assert_file(node, "small", "text");
	assert_int_equal(core_read(node, "large", got, 1000, 5 * MIB), 1000);
	assert_memory_equal(got, wanted + 5 * MIB, 1000);
	assert_int_equal(core_read(node, "large", got, 1000, len - 10), 10);
	assert_int_equal(core_read(node, "large", got, 1000, len), 0);
	node->disk->write_error = 0;
	assert_int_equal(core_read(node, "large", got, len, 0), (ssize_t)len);
	assert_memory_equal(got, wanted, len);
	free(wanted);
	free(got);
}

struct reader { /* several at once, with one buffer, as the front has them */
	struct core_node *node;
	const char *wanted;
	char *shared;
	uint64_t offset;
	unsigned *left;
};

enum { SHARED_BYTES = 4096 };

static void read_shared(void *argument)
{
	struct reader *reader = argument;
	ssize_t got = core_read(reader->node, "large", reader->shared, SHARED_BYTES,
				reader->offset);

	/* Nobody else has run since it was filled. */
	assert_int_equal(got, SHARED_BYTES);
	assert_memory_equal(reader->shared, reader->wanted + reader->offset, SHARED_BYTES);
	--*reader->left;
}

static void readers_that_share_a_buffer_do_not_mix_their_bytes(struct core_world *world)
{
	struct core_node *node = world->node;
	size_t len = 9 * MIB;
	char *wanted = malloc(len), shared[SHARED_BYTES];
	struct reader readers[8];
	unsigned left = 8;

	assert_non_null(wanted);
	core_put_pattern(world, "large", len, 7);
	core_pattern(wanted, len, 0, 7);
	core_hold(world, OS_GET, "large");
	node->disk->write_error = -ENOSPC;
	for (unsigned i = 0; i < 8; i++) {
		readers[i] = (struct reader){node, wanted, shared, i * MIB, &left};
		core_spawn(node, read_shared, &readers[i]);
	}
	/* The bytes of all of them arrive before any of them goes on. */
	core_sleep(world, NSEC_PER_SEC);
	core_hold_no_more(world);
	core_release(world);
	core_sleep(world, 10 * NSEC_PER_SEC);
	assert_int_equal(left, 0);
	free(wanted);
}

/* Of a large object only what changed is sent, the rest is copied by the server: what a failed
 * write has changed must be among it. */
static void a_write_that_failed_half_way_is_not_lost_track_of(struct core_world *world)
{
	struct core_node *node = world->node;
	size_t len = 24 * MIB, part = 6 * MIB;
	char *bytes = malloc(len), *got = malloc(len);
	struct vfs_handle *handle;
	const struct memory_object *object;

	assert_true(bytes && got);
	core_put_pattern(world, "f", len, 1);
	assert_int_equal(core_open(node, "f", O_RDWR, &handle), 0);
	assert_int_equal(vfs_read(handle, got, len, 0), (ssize_t)len);
	assert_int_equal(core_write(handle, "begun", 0), 0);
	core_pattern(bytes, len, 0, 2);
	node->disk->write_error = -EIO;
	node->disk->write_half = true;
	assert_int_equal(vfs_write(handle, bytes, part, 12 * MIB), -EIO);
	assert_int_equal(vfs_write(handle, bytes, part, len), -EIO);
	node->disk->write_error = 0;
	assert_int_equal(core_write(handle, "not accepted", 0), -EIO);
	assert_true(status_says(node, "\"accepts_writes\":false"));
	assert_int_equal(vfs_read(handle, got, len, 0), (ssize_t)len);
	assert_int_equal(core_close(node, handle), 0);
	object = objstore_memory_find(world->memory, "f");
	assert_int_equal(object->size, len);
	assert_memory_equal(object->data, got, len);
	free(bytes);
	free(got);
}

static void what_could_not_be_synced_is_not_uploaded(struct core_world *world)
{
	struct core_node *node = world->node;
	struct vfs_handle *good, *bad;

	restart_with(node, PUBLISH_LOCAL);
	assert_int_equal(core_put(node, "f", "whole"), 0);
	core_drain(node);
	assert_int_equal(core_open(node, "good", O_RDWR | O_CREAT, &good), 0);
	assert_int_equal(core_write(good, "goes to S3", 0), 0);
	assert_int_equal(core_open(node, "f", O_RDWR, &bad), 0);
	assert_int_equal(core_write(bad, "spoilt", 0), 0);
	node->disk->sync_error = -EIO;
	assert_int_equal(vfs_fsync(bad), -EIO);
	node->disk->sync_error = 0;
	assert_int_equal(core_put(node, "g", "y"), -EIO);
	assert_int_equal(core_close(node, good), 0);
	core_close(node, bad);
	core_sleep(world, 120 * NSEC_PER_SEC);
	core_assert_object(world, "good", "goes to S3");
	core_assert_object(world, "f", "whole");
	core_assert_file(node, "f", "spoilt");
	/* The next mount takes writes again, and knows. */
	core_crash(node);
	core_sleep(world, 120 * NSEC_PER_SEC);
	core_assert_object(world, "f", "whole");
	core_assert_file(node, "f", "spoilt");
	assert_int_equal(core_put(node, "f", "written anew"), 0);
	core_drain(node);
	core_assert_object(world, "f", "written anew");
}

static void a_full_journal_heals(struct core_world *world)
{
	struct sqlite_shim *shim = sqlite_shim_install();
	struct core_node *node = world->node;

	restart_with(node, PUBLISH_LOCAL);
	objstore_memory_put(world->memory, "there", "text", NULL);
	assert_int_equal(core_put(node, "before", "a"), 0);
	atomic_store(&shim->write_error, SHIM_FULL);
	atomic_store(&shim->log_writes_left, 0);
	assert_int_equal(core_put(node, "refused", "b"), -ENOSPC);
	assert_int_equal(core_mkdir(node, "directory"), -ENOSPC);
	assert_true(status_says(node, "\"accepts_writes\":false"));
	core_assert_file(node, "there", "text");
	core_assert_file(node, "before", "a");
	atomic_store(&shim->log_writes_left, -1);
	while (journal_is_full(node->env.journal)) /* its thread looks in real time */
		usleep(10000);
	assert_int_equal(core_put(node, "after", "c"), 0);
	core_drain(node);
	core_assert_object(world, "before", "a");
	core_assert_object(world, "after", "c");
	core_assert_object(world, "directory/", NULL);
	core_crash(node);
	core_drain(node);
	assert_false(core_exists(node, "directory"));
}

struct relief {
	struct core_node *node;
	struct sqlite_shim *shim;
};

static void free_the_journal_later(void *argument)
{
	struct relief *relief = argument;
	struct core_node *node = relief->node;

	core_sleep(node->world, 2 * NSEC_PER_SEC);
	atomic_store(&relief->shim->log_writes_left, -1);
	while (journal_is_full(node->env.journal)) /* its thread looks in real time */
		usleep(1000);
}

/* The bytes are in the data file when the journal finds no room for their range: what is tried
 * again is the record alone. */
static void an_append_that_waits_for_the_journal_is_there_once(struct core_world *world)
{
	const size_t base = 9 *
			    MIB; /* only ranges of it come here, so that each write is recorded */
	struct core_node *node = world->node;
	struct sqlite_shim *shim = sqlite_shim_install();
	struct relief relief = {node, shim};
	const struct memory_object *object;
	struct vfs_handle *handle;

	core_put_pattern(world, "f", base, 1);
	assert_int_equal(core_open(node, "f", O_WRONLY | O_APPEND, &handle), 0);
	assert_int_equal(core_write(handle, "A", VFS_AT_END), 0);
	atomic_store(&shim->write_error, SHIM_FULL);
	atomic_store(&shim->log_writes_left, 0);
	core_spawn(node, free_the_journal_later, &relief);
	assert_int_equal(core_write(handle, "B", VFS_AT_END), 0);
	assert_int_equal(core_close(node, handle), 0);
	object = objstore_memory_find(world->memory, "f");
	assert_int_equal(object->size, base + 2);
	assert_memory_equal(object->data + base, "AB", 2);
}

static void what_a_failed_journal_holds_goes_to_s3_all_the_same(struct core_world *world)
{
	struct sqlite_shim *shim = sqlite_shim_install();
	struct core_node *node = world->node;
	struct vfs_handle *handle;

	restart_with(node, PUBLISH_LOCAL);
	assert_int_equal(core_open(node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "only here", 0), 0);
	atomic_store(&shim->write_error, SHIM_IO_ERROR);
	atomic_store(&shim->log_writes_left, 0);
	assert_int_equal(core_put(node, "g", "x"), -EIO);
	atomic_store(&shim->log_writes_left, -1);
	assert_int_equal(core_put(node, "h", "x"), -EIO);
	assert_int_equal(core_close(node, handle), -EIO);
	core_sleep(world, 120 * NSEC_PER_SEC);
	core_assert_object(world, "f", "only here");
	core_crash(node);
	core_drain(node);
	core_assert_object(world, "f", "only here");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(a_writer_waits_for_room),
		CORE_TEST(cached_data_makes_room),
		CORE_TEST(readers_go_past_a_full_disk),
		CORE_TEST(readers_that_share_a_buffer_do_not_mix_their_bytes),
		CORE_TEST(a_write_that_failed_half_way_is_not_lost_track_of),
		CORE_TEST(what_could_not_be_synced_is_not_uploaded),
		CORE_TEST(a_full_journal_heals),
		CORE_TEST(an_append_that_waits_for_the_journal_is_there_once),
		CORE_TEST(what_a_failed_journal_holds_goes_to_s3_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

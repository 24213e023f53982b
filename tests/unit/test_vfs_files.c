/* The bytes of files: against a model, with crashes in between; and while uploads are under way. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

enum { SMALL_MAX = 200 << 10, CHUNK = 1 << 20 };

/* What the file must be. */
struct model {
	struct core_world *world;
	struct core_node *node;
	struct vfs_handle *handle; /* NULL: closed */
	unsigned char *bytes;
	size_t size, max;
	uint64_t random;
	unsigned char *scratch;
};

static uint64_t draw(struct model *model, uint64_t below)
{
	model->random ^= model->random << 13; /* xorshift64 */
	model->random ^= model->random >> 7;
	model->random ^= model->random << 17;
	return model->random % below;
}

static void reopen(struct model *model, int flags)
{
	if (!model->handle)
		assert_int_equal(
			core_open(model->node, "f", O_RDWR | O_CREAT | flags, &model->handle), 0);
}

static void model_write(struct model *model, size_t offset, size_t len)
{
	core_pattern(model->scratch, len, offset, draw(model, 1000));
	reopen(model, 0);
	assert_int_equal(vfs_write(model->handle, model->scratch, len, offset), len);
	memcpy(model->bytes + offset, model->scratch, len);
	if (offset + len > model->size)
		model->size = offset + len;
}

static void model_truncate(struct model *model, size_t size)
{
	struct stat values = {.st_size = (off_t)size}, out;

	reopen(model, 0);
	assert_int_equal(vfs_setattr(model->node->vfs, core_ino(model->node, "f"), model->handle,
				     &values, VFS_SET_SIZE, &out),
			 0);
	assert_int_equal(out.st_size, size);
	if (size < model->size)
		memset(model->bytes + size, 0, model->size - size);
	model->size = size;
}

static void model_read(struct model *model, size_t offset, size_t len)
{
	size_t left = offset < model->size ? model->size - offset : 0;
	size_t expected = len < left ? len : left;

	reopen(model, 0);
	assert_int_equal(vfs_read(model->handle, model->scratch, len, offset), expected);
	assert_memory_equal(model->scratch, model->bytes + offset, expected);
}

static void model_close(struct model *model)
{
	if (model->handle)
		assert_int_equal(core_close(model->node, model->handle), 0);
	model->handle = NULL;
}

static void model_restart(struct model *model, unsigned how)
{
	switch (how) {
	case 0:
		model_close(model);
		core_drain(model->node);
		core_stop(model->node);
		core_start(model->node);
		break;
	case 1:
		reopen(model, 0);
		assert_int_equal(vfs_fsync(model->handle), 0);
		core_power_loss(model->node);
		break;
	default: core_crash(model->node); break;
	}
	model->handle = NULL;
}

/* Something on the way to S3 fails, with or without effect; that heals by itself. */
static void model_fault(struct model *model)
{
	static const int ops[] = {OS_PUT, OS_MPU_PART, OS_MPU_COMPLETE, OS_MPU_CREATE};
	int op = ops[draw(model, 4)];
	enum fault_moment moment = (enum fault_moment)draw(model, 3);

	/* An upload whose id is lost with the reply to its creation cannot be aborted. */
	if (op == OS_MPU_CREATE)
		moment = FAULT_BEFORE;
	objstore_memory_fail(model->world->memory, op, 1, draw(model, 2) ? -EIO : -ETIMEDOUT,
			     moment);
}

static void model_step(struct model *model)
{
	size_t offset = (size_t)draw(model, model->max), limit = model->max - offset, len;

	len = 1 + (size_t)draw(model, limit < CHUNK ? limit : CHUNK);
	if (draw(model, 4) > 0 && len > 3000)
		len = 1 + len % 3000;
	switch (draw(model, 16)) {
	case 0: model_truncate(model, offset); break;
	case 1: model_truncate(model, draw(model, 3) ? model->size / 2 : 0); break;
	case 2:
		model_close(model);
		reopen(model, O_TRUNC);
		model->size = 0;
		memset(model->bytes, 0, model->max);
		break;
	case 3:
	case 4: model_close(model); break;
	case 5:
		reopen(model, 0);
		assert_int_equal(vfs_fsync(model->handle), 0);
		break;
	case 6:
		if (model->size + len <= model->max)
			model_write(model, model->size, len);
		break;
	case 7:
	case 8:
	case 9: model_read(model, offset, len); break;
	case 10:
		if (draw(model, 3) == 0)
			model_restart(model, (unsigned)draw(model, 4));
		break;
	case 11: model_fault(model); break;
	default: model_write(model, offset, len); break;
	}
}

static void assert_same_everywhere(struct model *model)
{
	const struct memory_object *object;
	struct core_node *other = &model->world->nodes[1];
	size_t offset = 0;

	model_close(model);
	core_drain(model->node);
	object = objstore_memory_find(model->world->memory, "f");
	assert_non_null(object);
	assert_int_equal(object->size, model->size);
	assert_memory_equal(object->data, model->bytes, model->size);
	assert_int_equal(model->world->memory->bucket.object_count, 1);
	assert_int_equal(model->world->memory->bucket.upload_count, 0);
	core_start(other);
	while (offset < model->size) {
		ssize_t got = core_read(other, "f", model->scratch, CHUNK, offset);

		assert_true(got > 0);
		assert_memory_equal(model->scratch, model->bytes + offset, got);
		offset += (size_t)got;
	}
	core_stop(other);
}

static struct model model_make(struct core_world *world, size_t max)
{
	struct model model = {.world = world, .node = world->node, .max = max};

	model.bytes = calloc(1, max);
	model.scratch = malloc(max + CHUNK);
	assert_non_null(model.bytes);
	assert_non_null(model.scratch);
	return model;
}

static void model_free(struct model *model)
{
	free(model->bytes);
	free(model->scratch);
}

/* One seed: in an empty bucket, or on top of an object that is there. */
static void run_seed(struct core_world *world, uint64_t seed, size_t max, size_t base,
		     unsigned steps)
{
	struct model model = model_make(world, max);

	print_message("seed %llu\n", (unsigned long long)seed); /* the last one is what failed */
	model.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	if (base > 0) {
		core_put_pattern(world, "f", base, seed);
		core_pattern(model.bytes, base, 0, seed);
		model.size = base;
	}
	for (unsigned step = 0; step < steps; step++)
		model_step(&model);
	reopen(&model, 0);
	assert_same_everywhere(&model);
	model_free(&model);
	assert_int_equal(core_unlink(world->node, "f"), 0);
	core_sleep(world, 2 * NSEC_PER_SEC);
}

static void random_operations_give_what_the_model_says(struct core_world *world)
{
	for (uint64_t seed = 1; seed <= 24; seed++) {
		run_seed(world, seed, SMALL_MAX, seed % 3 ? 0 : SMALL_MAX / 2, 150);
	}
}

static void random_operations_on_local_promises_give_what_the_model_says(struct core_world *world)
{
	core_stop(world->node);
	world->node->config.close = world->node->config.fsync = PUBLISH_LOCAL;
	core_start(world->node);
	for (uint64_t seed = 100; seed <= 120; seed++) {
		run_seed(world, seed, SMALL_MAX, seed % 3 ? 0 : SMALL_MAX / 2, 150);
	}
}

static void random_operations_on_a_large_object_give_what_the_model_says(struct core_world *world)
{
	for (uint64_t seed = 200; seed <= 215; seed++) {
		run_seed(world, seed, 24 * MIB, (12 + seed % 2 * 8) * MIB, 40);
	}
}

static void what_was_never_written_is_zero(struct core_world *world)
{
	struct vfs_handle *handle;
	char data[10000], zeros[10000] = {0};

	assert_int_equal(core_open(world->node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "end", 9000), 0);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), 9003);
	assert_memory_equal(data, zeros, 9000);
	assert_memory_equal(data + 9000, "end", 3);
	assert_int_equal(vfs_read(handle, data, 10, 9003), 0);
	assert_int_equal(core_truncate(world->node, "f", 100), 0);
	assert_int_equal(core_truncate(world->node, "f", 9500), 0);
	assert_int_equal(vfs_read(handle, data, sizeof(data), 0), 9500);
	assert_memory_equal(data, zeros, 9500);
	assert_int_equal(core_close(world->node, handle), 0);
	assert_int_equal(objstore_memory_find(world->memory, "f")->size, 9500);
}

static void a_truncate_by_path_is_published_at_once(struct core_world *world)
{
	assert_int_equal(core_put(world->node, "f", "0123456789"), 0);
	assert_int_equal(core_truncate(world->node, "f", 4), 0);
	core_assert_object(world, "f", "0123");
	assert_int_equal(core_truncate(world->node, "f", 0), 0);
	core_assert_object(world, "f", "");
	assert_int_equal(core_append(world->node, "f", "ab"), 0);
	core_assert_object(world, "f", "ab");
}

static void files_that_no_object_can_hold_are_refused(struct core_world *world)
{
	struct vfs_handle *handle;

	assert_int_equal(core_open(world->node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "x", OBJECT_MAX), -EFBIG);
	assert_int_equal(core_write(handle, "x", UINT64_MAX - 1), -EFBIG);
	assert_int_equal(core_truncate(world->node, "f", OBJECT_MAX + 1), -EFBIG);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "f", "");
}

static void flush_fiber(void *argument)
{
	vfs_flush(argument);
}

/* The upload of "first generation" is held at the moment before it reads its source. */
static struct vfs_handle *hold_upload(struct core_world *world)
{
	struct vfs_handle *handle;

	assert_int_equal(core_open(world->node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "first generation", 0), 0);
	core_hold(world, OS_PUT, NULL);
	core_spawn(world->node, flush_fiber, handle);
	core_await_held(world);
	core_hold_no_more(world);
	return handle;
}

static void release_upload(struct core_world *world)
{
	unsigned before = world->memory->count[OS_PUT];

	core_release(world);
	while (world->memory->count[OS_PUT] == before)
		core_sleep(world, 1000);
	core_assert_object(world, "f", "first generation");
}

static void a_write_during_an_upload_goes_into_the_next_one(struct core_world *world)
{
	struct vfs_handle *handle = hold_upload(world);

	assert_int_equal(core_write(handle, "SECOND", 0), 0);
	assert_int_equal(core_write(handle, ", longer", 16), 0);
	release_upload(world);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "f", "SECONDgeneration, longer");
}

static void a_truncate_during_an_upload_goes_into_the_next_one(struct core_world *world)
{
	struct vfs_handle *handle = hold_upload(world);
	struct stat values = {.st_size = 5}, out;

	assert_int_equal(vfs_setattr(world->node->vfs, core_ino(world->node, "f"), handle, &values,
				     VFS_SET_SIZE, &out),
			 0);
	assert_int_equal(core_write(handle, "!", 6), 0);
	release_upload(world);
	assert_int_equal(core_close(world->node, handle), 0);
	assert_int_equal(objstore_memory_find(world->memory, "f")->size, 7);
	assert_memory_equal(objstore_memory_find(world->memory, "f")->data, "first\0!", 7);
}

static void emptying_a_file_during_its_upload_goes_into_the_next_one(struct core_world *world)
{
	struct vfs_handle *handle = hold_upload(world), *second;

	assert_int_equal(core_open(world->node, "f", O_RDWR | O_TRUNC, &second), 0);
	assert_int_equal(core_write(second, "new", 0), 0);
	release_upload(world);
	assert_int_equal(core_close(world->node, second), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "f", "new");
}

static void a_failed_upload_is_repeated_with_what_was_written_meanwhile(struct core_world *world)
{
	struct vfs_handle *handle = hold_upload(world), *second;

	objstore_memory_fail(world->memory, OS_PUT, 1, -EIO, FAULT_BEFORE);
	assert_int_equal(core_open(world->node, "f", O_RDWR | O_TRUNC, &second), 0);
	assert_int_equal(core_write(second, "new", 0), 0);
	core_release(world);
	assert_int_equal(core_close(world->node, second), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	core_assert_object(world, "f", "new");
	assert_int_equal(disk_memory_files(world->node->disk), 1);
}

static void a_crash_during_an_upload_keeps_what_was_written_meanwhile(struct core_world *world)
{
	struct vfs_handle *handle = hold_upload(world);

	assert_int_equal(core_write(handle, "SECOND", 0), 0);
	core_crash_only(world->node);
	core_release(world);
	core_start(world->node);
	core_drain(world->node);
	core_assert_object(world, "f", "SECONDgeneration");
	assert_int_equal(disk_memory_files(world->node->disk), 1);
}

static void removing_a_file_during_its_upload_leaves_nothing(struct core_world *world)
{
	struct vfs_handle *handle = hold_upload(world);

	core_release(world);
	assert_int_equal(core_unlink(world->node, "f"), 0);
	assert_int_equal(core_close(world->node, handle), 0);
	core_drain(world->node);
	core_assert_object(world, "f", NULL);
	assert_int_equal(disk_memory_files(world->node->disk), 0);
}

static void a_full_local_disk_is_told_to_the_writer(struct core_world *world)
{
	struct vfs_handle *handle;

	assert_int_equal(core_open(world->node, "f", O_RDWR | O_CREAT, &handle), 0);
	assert_int_equal(core_write(handle, "kept", 0), 0);
	world->node->disk->write_error = -ENOSPC;
	assert_int_equal(core_write(handle, "more", 4), -ENOSPC);
	assert_int_equal(core_put(world->node, "other", "x"), -ENOSPC);
	world->node->disk->write_error = 0;
	assert_int_equal(core_close(world->node, handle), 0);
	core_assert_object(world, "f", "kept");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(random_operations_give_what_the_model_says),
		CORE_TEST(random_operations_on_local_promises_give_what_the_model_says),
		CORE_TEST(random_operations_on_a_large_object_give_what_the_model_says),
		CORE_TEST(what_was_never_written_is_zero),
		CORE_TEST(a_truncate_by_path_is_published_at_once),
		CORE_TEST(files_that_no_object_can_hold_are_refused),
		CORE_TEST(a_write_during_an_upload_goes_into_the_next_one),
		CORE_TEST(a_truncate_during_an_upload_goes_into_the_next_one),
		CORE_TEST(emptying_a_file_during_its_upload_goes_into_the_next_one),
		CORE_TEST(a_failed_upload_is_repeated_with_what_was_written_meanwhile),
		CORE_TEST(a_crash_during_an_upload_keeps_what_was_written_meanwhile),
		CORE_TEST(removing_a_file_during_its_upload_leaves_nothing),
		CORE_TEST(a_full_local_disk_is_told_to_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

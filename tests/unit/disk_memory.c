#include "tests/unit/disk_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/fiber.h"
#include "common/list.h"

struct bytes {
	unsigned char *data; /* zero between size and capacity */
	size_t size, capacity;
};

struct memory_file {
	struct bytes now, synced;
	bool entry_synced; /* its name survives power loss */
	unsigned opens;
};

struct disk_file {
	struct disk_memory *disk;
	struct memory_file *file;
};

static struct disk_memory *memory_of(struct disk *disk)
{
	return container_of(disk, struct disk_memory, disk);
}

static void resize(struct bytes *bytes, size_t size)
{
	if (size > bytes->capacity) {
		size_t capacity = bytes->capacity * 2 > size ? bytes->capacity * 2 : size;

		bytes->data = realloc(bytes->data, capacity);
		CHECK(bytes->data != NULL);
		memset(bytes->data + bytes->capacity, 0, capacity - bytes->capacity);
		bytes->capacity = capacity;
	}
	if (size < bytes->size)
		memset(bytes->data + size, 0, bytes->size - size);
	bytes->size = size;
}

static void copy_bytes(struct bytes *to, const struct bytes *from)
{
	resize(to, from->size);
	if (from->size > 0)
		memcpy(to->data, from->data, from->size);
}

static void file_free(struct memory_file *file)
{
	free(file->now.data);
	free(file->synced.data);
	free(file);
}

static struct disk_file *attach(struct disk_memory *memory, struct memory_file *file)
{
	struct disk_file *handle = calloc(1, sizeof(*handle));

	CHECK(handle != NULL);
	*handle = (struct disk_file){memory, file};
	file->opens++;
	memory->opens++;
	return handle;
}

static int disk_create(struct disk *disk, uint64_t id, struct disk_file **out)
{
	struct disk_memory *memory = memory_of(disk);
	struct memory_file *file;

	if (memory->write_error)
		return memory->write_error;
	if (map_get_u64(memory->files, id))
		return -EEXIST;
	file = calloc(1, sizeof(*file));
	CHECK(file && map_put_u64(memory->files, id, file, NULL) == 0);
	*out = attach(memory, file);
	return 0;
}

static int disk_open(struct disk *disk, uint64_t id, struct disk_file **out)
{
	struct memory_file *file = map_get_u64(memory_of(disk)->files, id);

	if (!file)
		return -ENOENT;
	*out = attach(memory_of(disk), file);
	return 0;
}

static void disk_close(struct disk_file *handle)
{
	handle->file->opens--;
	handle->disk->opens--;
	free(handle);
}

static ssize_t disk_read(struct disk_file *handle, void *data, size_t len, uint64_t offset)
{
	const struct bytes *bytes = &handle->file->now;

	if (offset >= bytes->size)
		return 0;
	if (len > bytes->size - offset)
		len = (size_t)(bytes->size - offset);
	memcpy(data, bytes->data + offset, len);
	return (ssize_t)len;
}

static int disk_write(struct disk_file *handle, const void *data, size_t len, uint64_t offset)
{
	struct bytes *bytes = &handle->file->now;

	int err = handle->disk->write_error;

	if (err && !handle->disk->write_half)
		return err;
	if (err)
		len /= 2;
	if (len == 0)
		return err;
	if (offset + len > bytes->size)
		resize(bytes, (size_t)offset + len);
	memcpy(bytes->data + offset, data, len);
	return err;
}

static int disk_truncate(struct disk_file *handle, uint64_t size)
{
	if (handle->disk->write_error)
		return handle->disk->write_error;
	resize(&handle->file->now, (size_t)size);
	return 0;
}

static int disk_punch(struct disk_file *handle, uint64_t start, uint64_t end)
{
	struct bytes *bytes = &handle->file->now;

	if (end > bytes->size)
		end = bytes->size;
	if (start < end)
		memset(bytes->data + start, 0, (size_t)(end - start));
	return 0;
}

static int disk_size(struct disk_file *handle, uint64_t *size)
{
	*size = handle->file->now.size;
	return 0;
}

static int disk_sync(struct disk_file *handle)
{
	struct disk_memory *memory = handle->disk;
	struct memory_file *file = handle->file;
	struct bytes begun = {NULL, 0, 0};

	memory->syncs++;
	copy_bytes(&begun, &file->now);
	if (memory->sync_time)
		fiber_sleep_until(executor_monotonic(memory->executor) + memory->sync_time,
				  WAIT_PLAIN);
	if (memory->sync_error) {
		free(begun.data);
		return memory->sync_error;
	}
	free(file->synced.data);
	file->synced = begun;
	file->entry_synced = true;
	return 0;
}

static int disk_remove(struct disk *disk, uint64_t id)
{
	struct memory_file *file = map_remove_u64(memory_of(disk)->files, id);

	if (!file)
		return -ENOENT;
	CHECK(file->opens == 0);
	file_free(file);
	return 0;
}

static int disk_scan(struct disk *disk, int (*visit)(void *context, uint64_t id), void *context)
{
	size_t position = 0;
	uint64_t id;
	int err = 0;

	while (!err && map_next(memory_of(disk)->files, &position, NULL, &id, NULL))
		err = visit(context, id);
	return err;
}

static int disk_space(struct disk *disk, struct disk_space *out)
{
	(void)disk;
	*out = (struct disk_space){UINT64_C(1) << 40, UINT64_C(1) << 39};
	return 0;
}

static void disk_destroy(struct disk *disk)
{
	disk_memory_destroy(memory_of(disk));
}

static const struct disk_ops memory_ops = {
	.create = disk_create,
	.open = disk_open,
	.close = disk_close,
	.read = disk_read,
	.write = disk_write,
	.truncate = disk_truncate,
	.punch = disk_punch,
	.size = disk_size,
	.sync = disk_sync,
	.remove = disk_remove,
	.scan = disk_scan,
	.space = disk_space,
	.destroy = disk_destroy,
};

struct disk_memory *disk_memory_create(struct executor *executor)
{
	struct disk_memory *memory = calloc(1, sizeof(*memory));

	CHECK(memory != NULL);
	memory->disk.ops = &memory_ops;
	memory->executor = executor;
	memory->files = map_create();
	CHECK(memory->files != NULL);
	memory->sync_time = NSEC_PER_MSEC;
	return memory;
}

struct disk_memory *disk_memory_clone(const struct disk_memory *disk, bool power_loss)
{
	struct disk_memory *clone = disk_memory_create(disk->executor);
	size_t position = 0;
	uint64_t id;
	void *value;

	clone->sync_time = disk->sync_time;
	while (map_next(disk->files, &position, NULL, &id, &value)) {
		const struct memory_file *file = value;
		struct memory_file *copy;

		if (power_loss && !file->entry_synced)
			continue;
		copy = calloc(1, sizeof(*copy));
		CHECK(copy && map_put_u64(clone->files, id, copy, NULL) == 0);
		copy_bytes(&copy->now, power_loss ? &file->synced : &file->now);
		copy_bytes(&copy->synced, &file->synced);
		copy->entry_synced = file->entry_synced;
	}
	return clone;
}

void disk_memory_destroy(struct disk_memory *disk)
{
	size_t position = 0;
	void *value;

	CHECK(disk->opens == 0);
	while (map_next(disk->files, &position, NULL, NULL, &value))
		file_free(value);
	map_destroy(disk->files);
	free(disk);
}

size_t disk_memory_files(const struct disk_memory *disk)
{
	return map_count(disk->files);
}

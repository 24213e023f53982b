#include "tests/sim/sim_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/fiber.h"
#include "common/list.h"

enum { PAGE = 4096, SECTOR = 512, REMOVED_MAX = 32 };

struct page {
	unsigned refs;
	unsigned char bytes[PAGE];
};

struct image {
	struct page **pages; /* NULL: zeros */
	size_t count;
	uint64_t size;
};

enum change_kind { CHANGE_WRITE, CHANGE_TRUNCATE, CHANGE_PUNCH };

struct change {
	unsigned refs;
	enum change_kind kind;
	uint64_t offset, end; /* TRUNCATE: the size is offset */
	unsigned char data[];
};

struct sim_file {
	uint64_t name;
	struct image now, synced;
	struct change **changes; /* from synced to now */
	size_t count, capacity;
	uint64_t covered; /* changes that are synced, ever */
	bool entry_synced;
	bool removed; /* gone, but not durably */
};

struct disk_file {
	struct sim_disk *disk;
	struct sim_file *file;
};

static void page_unref(struct page *page)
{
	if (page && --page->refs == 0)
		free(page);
}

static void image_free(struct image *image)
{
	for (size_t i = 0; i < image->count; i++)
		page_unref(image->pages[i]);
	free(image->pages);
	*image = (struct image){NULL, 0, 0};
}

static struct image image_copy(const struct image *image)
{
	struct image copy = *image;

	copy.pages = calloc(image->count + 1, sizeof(struct page *));
	CHECK(copy.pages != NULL);
	for (size_t i = 0; i < image->count; i++) {
		copy.pages[i] = image->pages[i];
		if (copy.pages[i])
			copy.pages[i]->refs++;
	}
	return copy;
}

/* A page that is the image's alone. */
static struct page *image_page(struct image *image, size_t index)
{
	struct page *page, *own;

	if (index >= image->count) {
		size_t count = index + 1 + index / 4;

		image->pages = reallocarray(image->pages, count, sizeof(struct page *));
		CHECK(image->pages != NULL);
		memset(image->pages + image->count, 0,
		       (count - image->count) * sizeof(struct page *));
		image->count = count;
	}
	page = image->pages[index];
	if (page && page->refs == 1)
		return page;
	own = page ? malloc(sizeof(*own)) : calloc(1, sizeof(*own));
	CHECK(own != NULL);
	if (page) {
		memcpy(own->bytes, page->bytes, PAGE);
		page->refs--;
	}
	own->refs = 1;
	image->pages[index] = own;
	return own;
}

static void image_write(struct image *image, const unsigned char *data, uint64_t offset,
			uint64_t end)
{
	if (end > image->size)
		image->size = end;
	while (offset < end) {
		size_t at = offset % PAGE;
		size_t len = end - offset < PAGE - at ? (size_t)(end - offset) : PAGE - at;

		memcpy(image_page(image, offset / PAGE)->bytes + at, data, len);
		data += len;
		offset += len;
	}
}

static void image_zero(struct image *image, uint64_t offset, uint64_t end)
{
	if (end > image->count * PAGE)
		end = image->count * PAGE;
	while (offset < end) {
		size_t at = offset % PAGE;
		size_t len = end - offset < PAGE - at ? (size_t)(end - offset) : PAGE - at;

		if (image->pages[offset / PAGE])
			memset(image_page(image, offset / PAGE)->bytes + at, 0, len);
		offset += len;
	}
}

static void image_truncate(struct image *image, uint64_t size)
{
	if (size < image->size)
		image_zero(image, size, image->size);
	image->size = size;
}

static size_t image_read(const struct image *image, unsigned char *data, size_t len,
			 uint64_t offset)
{
	size_t done = 0;

	if (offset >= image->size)
		return 0;
	if (len > image->size - offset)
		len = (size_t)(image->size - offset);
	while (done < len) {
		size_t at = (offset + done) % PAGE, index = (size_t)((offset + done) / PAGE);
		size_t part = len - done < PAGE - at ? len - done : PAGE - at;

		if (index < image->count && image->pages[index])
			memcpy(data + done, image->pages[index]->bytes + at, part);
		else
			memset(data + done, 0, part);
		done += part;
	}
	return len;
}

/* end is that of the change, or where it was torn. */
static void apply(struct image *image, const struct change *change, uint64_t end)
{
	switch (change->kind) {
	case CHANGE_WRITE: image_write(image, change->data, change->offset, end); break;
	case CHANGE_TRUNCATE: image_truncate(image, change->offset); break;
	case CHANGE_PUNCH:
		image_zero(image, change->offset, end < image->size ? end : image->size);
		break;
	}
}

static void change_unref(struct change *change)
{
	if (--change->refs == 0)
		free(change);
}

static void add_change(struct sim_file *file, enum change_kind kind, const void *data,
		       uint64_t offset, uint64_t end)
{
	size_t len = data ? (size_t)(end - offset) : 0;
	struct change *change = malloc(sizeof(*change) + len);

	CHECK(change != NULL);
	change->refs = 1;
	change->kind = kind;
	change->offset = offset;
	change->end = end;
	if (data)
		memcpy(change->data, data, len);
	if (file->count == file->capacity) {
		file->capacity = 2 * file->capacity + 8;
		file->changes = reallocarray(file->changes, file->capacity,
					     sizeof(struct change *));
		CHECK(file->changes != NULL);
	}
	file->changes[file->count++] = change;
	apply(&file->now, change, end);
}

static void file_free(struct sim_file *file)
{
	for (size_t i = 0; i < file->count; i++)
		change_unref(file->changes[i]);
	free(file->changes);
	image_free(&file->now);
	image_free(&file->synced);
	free(file);
}

struct sim_file *sim_disk_find(struct sim_disk *disk, uint64_t name)
{
	for (size_t i = disk->count; i > 0; i--)
		if (disk->files[i - 1]->name == name && !disk->files[i - 1]->removed)
			return disk->files[i - 1];
	return NULL;
}

static void append_file(struct sim_disk *disk, struct sim_file *file)
{
	if (disk->count == disk->capacity) {
		disk->capacity = 2 * disk->capacity + 8;
		disk->files = reallocarray(disk->files, disk->capacity, sizeof(struct sim_file *));
		CHECK(disk->files != NULL);
	}
	disk->files[disk->count++] = file;
}

struct sim_file *sim_disk_add(struct sim_disk *disk, uint64_t name)
{
	struct sim_file *file = calloc(1, sizeof(*file));

	CHECK(file != NULL);
	file->name = name;
	append_file(disk, file);
	return file;
}

static void forget(struct sim_disk *disk, size_t index)
{
	file_free(disk->files[index]);
	disk->count--;
	memmove(disk->files + index, disk->files + index + 1,
		(disk->count - index) * sizeof(struct sim_file *));
}

/* The oldest removals reach the disk some day. */
void sim_disk_unlink(struct sim_disk *disk, struct sim_file *file)
{
	size_t removed = 0, oldest = 0;

	file->removed = true;
	for (size_t i = disk->count; i > 0; i--)
		if (disk->files[i - 1]->removed) {
			removed++;
			oldest = i - 1;
		}
	if (removed > REMOVED_MAX)
		forget(disk, oldest);
}

uint64_t sim_file_size(const struct sim_file *file)
{
	return file->now.size;
}

size_t sim_file_read(const struct sim_file *file, void *data, size_t len, uint64_t offset)
{
	return image_read(&file->now, data, len, offset);
}

void sim_file_write(struct sim_file *file, const void *data, size_t len, uint64_t offset)
{
	add_change(file, CHANGE_WRITE, data, offset, offset + len);
}

void sim_file_truncate(struct sim_file *file, uint64_t size)
{
	add_change(file, CHANGE_TRUNCATE, NULL, size, size);
}

/* The first changes are on the disk now. */
static void sync_first(struct sim_file *file, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		apply(&file->synced, file->changes[i], file->changes[i]->end);
		change_unref(file->changes[i]);
	}
	file->count -= count;
	file->covered += count;
	memmove(file->changes, file->changes + count, file->count * sizeof(struct change *));
	file->entry_synced = true;
}

void sim_file_sync(struct sim_file *file)
{
	sync_first(file, file->count);
}

static uint64_t torn_end(const struct change *change, uint64_t unit, uint64_t random)
{
	uint64_t units = (change->end - change->offset) / unit;
	uint64_t cut = (change->offset / unit + random % (units + 1)) * unit;

	return cut < change->offset ? change->offset : cut < change->end ? cut : change->end;
}

static void lose(struct sim_file *file, const struct sim_file *from, enum sim_loss loss,
		 uint64_t (*draw)(void *context), void *context)
{
	size_t first = loss == SIM_PREFIX ? draw(context) % (from->count + 1) : from->count;

	file->now = image_copy(&from->synced);
	for (size_t i = 0; i < first && loss != SIM_DROP; i++) {
		const struct change *change = from->changes[i];
		uint64_t random = draw(context), end = change->end;

		if (loss != SIM_PREFIX && random % 2 == 0)
			continue;
		if (change->kind == CHANGE_WRITE && loss == SIM_TORN_512 && random % 4 == 1)
			end = torn_end(change, SECTOR, random >> 8);
		if (change->kind == CHANGE_WRITE && loss == SIM_TORN_4K && random % 4 == 1)
			end = torn_end(change, PAGE, random >> 8);
		if (end > change->offset || change->kind != CHANGE_WRITE)
			apply(&file->now, change, end);
	}
	file->synced = image_copy(&file->now);
	file->entry_synced = true;
}

static struct sim_file *keep(const struct sim_file *from)
{
	struct sim_file *file = malloc(sizeof(*file));

	CHECK(file != NULL);
	*file = *from;
	file->now = image_copy(&from->now);
	file->synced = image_copy(&from->synced);
	file->changes = calloc(from->count + 1, sizeof(struct change *));
	CHECK(file->changes != NULL);
	file->capacity = from->count + 1;
	for (size_t i = 0; i < from->count; i++) {
		file->changes[i] = from->changes[i];
		file->changes[i]->refs++;
	}
	return file;
}

/* Is its name there? Of a name that was used again the newest that is there counts. */
static bool name_survives(const struct sim_file *from, enum sim_loss loss, uint64_t random)
{
	if (from->entry_synced && !from->removed)
		return true;
	if (loss == SIM_DROP)
		return from->entry_synced;
	return random % 2 == 0;
}

struct sim_disk *sim_disk_copy(const struct sim_disk *disk, enum sim_loss loss,
			       uint64_t (*draw)(void *context), void *context)
{
	struct sim_disk *copy = sim_disk_create(disk->executor);

	copy->sync_time = disk->sync_time;
	for (size_t i = 0; i < disk->count; i++) {
		const struct sim_file *from = disk->files[i];
		struct sim_file *older;

		if (loss == SIM_KEEP) {
			append_file(copy, keep(from));
			continue;
		}
		if (!name_survives(from, loss, draw(context)))
			continue;
		older = sim_disk_find(copy, from->name);
		for (size_t j = 0; older && j < copy->count; j++)
			if (copy->files[j] == older) {
				forget(copy, j);
				break;
			}
		lose(sim_disk_add(copy, from->name), from, loss, draw, context);
	}
	return copy;
}

void sim_disk_destroy(struct sim_disk *disk)
{
	CHECK(disk->opens == 0);
	while (disk->count > 0)
		forget(disk, disk->count - 1);
	free(disk->files);
	free(disk);
}

size_t sim_disk_data_files(const struct sim_disk *disk)
{
	size_t count = 0;

	for (size_t i = 0; i < disk->count; i++)
		count += disk->files[i]->name < SIM_NAME(SIM_NAME_ROLLBACK) &&
			 !disk->files[i]->removed;
	return count;
}

/* disk.h */

static struct sim_disk *sim_of(struct disk *disk)
{
	return container_of(disk, struct sim_disk, disk);
}

static int before(struct sim_disk *disk, enum sim_call call)
{
	return disk->before ? disk->before(disk->context, call) : 0;
}

static struct disk_file *handle_new(struct sim_disk *disk, struct sim_file *file)
{
	struct disk_file *handle = malloc(sizeof(*handle));

	CHECK(handle != NULL);
	*handle = (struct disk_file){disk, file};
	disk->opens++;
	return handle;
}

static int disk_create(struct disk *disk, uint64_t id, struct disk_file **out)
{
	struct sim_disk *sim = sim_of(disk);
	int err = before(sim, SIM_CREATE);

	if (err)
		return err;
	if (sim_disk_find(sim, id))
		return -EEXIST;
	*out = handle_new(sim, sim_disk_add(sim, id));
	return 0;
}

static int disk_open(struct disk *disk, uint64_t id, struct disk_file **out)
{
	struct sim_disk *sim = sim_of(disk);
	struct sim_file *file = sim_disk_find(sim, id);

	if (!file)
		return -ENOENT;
	*out = handle_new(sim, file);
	return 0;
}

static void disk_close(struct disk_file *handle)
{
	handle->disk->opens--;
	free(handle);
}

static ssize_t disk_read(struct disk_file *handle, void *data, size_t len, uint64_t offset)
{
	return (ssize_t)sim_file_read(handle->file, data, len, offset);
}

static int disk_write(struct disk_file *handle, const void *data, size_t len, uint64_t offset)
{
	int err = before(handle->disk, SIM_WRITE);

	if (!err)
		sim_file_write(handle->file, data, len, offset);
	return err;
}

static int disk_truncate(struct disk_file *handle, uint64_t size)
{
	int err = before(handle->disk, SIM_TRUNCATE);

	if (!err)
		sim_file_truncate(handle->file, size);
	return err;
}

static int disk_punch(struct disk_file *handle, uint64_t start, uint64_t end)
{
	int err = before(handle->disk, SIM_PUNCH);

	if (!err)
		add_change(handle->file, CHANGE_PUNCH, NULL, start, end);
	return err;
}

static int disk_size(struct disk_file *handle, uint64_t *size)
{
	*size = sim_file_size(handle->file);
	return 0;
}

static int disk_sync(struct disk_file *handle)
{
	struct sim_file *file = handle->file;
	uint64_t reach = file->covered + file->count;
	int err = before(handle->disk, SIM_SYNC);

	if (err)
		return err;
	fiber_sleep_until(executor_monotonic(handle->disk->executor) + handle->disk->sync_time,
			  WAIT_PLAIN);
	/* Another sync may have ended meanwhile. */
	sync_first(file, reach > file->covered ? (size_t)(reach - file->covered) : 0);
	return 0;
}

static int disk_remove(struct disk *disk, uint64_t id)
{
	struct sim_disk *sim = sim_of(disk);
	struct sim_file *file = sim_disk_find(sim, id);
	int err = before(sim, SIM_REMOVE);

	if (err || !file)
		return err ? err : -ENOENT;
	sim_disk_unlink(sim, file);
	return 0;
}

static int disk_scan(struct disk *disk, int (*visit)(void *context, uint64_t id), void *context)
{
	struct sim_disk *sim = sim_of(disk);
	int err = 0;

	/* visit may remove what it is given: that stays in its place, at least for a while. */
	for (size_t i = sim->count; i > 0 && !err; i--)
		if (i <= sim->count && sim->files[i - 1]->name < SIM_NAME(SIM_NAME_ROLLBACK) &&
		    !sim->files[i - 1]->removed)
			err = visit(context, sim->files[i - 1]->name);
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
	sim_disk_destroy(sim_of(disk));
}

static const struct disk_ops sim_ops = {
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

struct sim_disk *sim_disk_create(struct executor *executor)
{
	struct sim_disk *disk = calloc(1, sizeof(*disk));

	CHECK(disk != NULL);
	disk->disk.ops = &sim_ops;
	disk->executor = executor;
	disk->sync_time = NSEC_PER_MSEC;
	return disk;
}

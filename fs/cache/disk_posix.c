#include "fs/cache/disk_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/check.h"
#include "fs/cache/sync_pool.h"

enum {
	DIRECTORIES = 256,
	NAME_DIGITS = 16,
	ZEROS = 64 * 1024,
};

struct disk_posix {
	struct disk disk; /* first */
	struct sync_pool *syncs;
	int directories[DIRECTORIES];
	unsigned open_files;
};

struct disk_file {
	struct disk_posix *disk;
	int fd;
	int directory;
	unsigned syncs;	   /* under way; the descriptor must stay */
	bool entry_synced; /* the directory entry is durable */
};

static struct disk_posix *from_disk(struct disk *disk)
{
	return (struct disk_posix *)disk;
}

static int directory_of(const struct disk_posix *disk, uint64_t id)
{
	return disk->directories[id % DIRECTORIES];
}

static void name_of(uint64_t id, char out[NAME_DIGITS + 1])
{
	snprintf(out, NAME_DIGITS + 1, "%016" PRIx64, id);
}

static int open_file(struct disk *base, uint64_t id, int flags, struct disk_file **out)
{
	struct disk_posix *disk = from_disk(base);
	struct disk_file *file = calloc(1, sizeof(*file));
	char name[NAME_DIGITS + 1];

	if (!file)
		return -ENOMEM;
	name_of(id, name);
	file->disk = disk;
	file->directory = directory_of(disk, id);
	file->fd = openat(file->directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (file->fd < 0) {
		int err = -errno;

		free(file);
		return err;
	}
	disk->open_files++;
	*out = file;
	return 0;
}

static int posix_create(struct disk *disk, uint64_t id, struct disk_file **out)
{
	return open_file(disk, id, O_CREAT | O_EXCL, out);
}

static int posix_open(struct disk *disk, uint64_t id, struct disk_file **out)
{
	return open_file(disk, id, 0, out);
}

static void posix_close(struct disk_file *file)
{
	/* A sync of whatever file gets the number next would acknowledge what is not on the disk.
	 */
	CHECK(file->syncs == 0);
	close(file->fd);
	file->disk->open_files--;
	free(file);
}

static ssize_t posix_read(struct disk_file *file, void *data, size_t len, uint64_t offset)
{
	size_t done = 0;

	if (offset > INT64_MAX || len > (uint64_t)INT64_MAX - offset)
		return -EINVAL;
	while (done < len) {
		ssize_t got = pread(file->fd, (char *)data + done, len - done,
				    (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static int posix_write(struct disk_file *file, const void *data, size_t len, uint64_t offset)
{
	size_t done = 0;

	if (offset > INT64_MAX || len > (uint64_t)INT64_MAX - offset)
		return -EFBIG;
	while (done < len) {
		ssize_t put = pwrite(file->fd, (const char *)data + done, len - done,
				     (off_t)(offset + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		if (put == 0)
			return -EIO;
		done += (size_t)put;
	}
	return 0;
}

static int posix_truncate(struct disk_file *file, uint64_t size)
{
	int result;

	if (size > INT64_MAX)
		return -EFBIG;
	do
		result = ftruncate(file->fd, (off_t)size);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

static int posix_size(struct disk_file *file, uint64_t *size)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

/* The position of the descriptor, which this moves, is used for nothing. */
static int posix_seek(struct disk_file *file, uint64_t offset, bool hole, uint64_t *out)
{
	off_t found;

	if (offset > INT64_MAX)
		return -ENXIO;
	found = lseek(file->fd, (off_t)offset, hole ? SEEK_HOLE : SEEK_DATA);
	if (found < 0)
		return -errno;
	*out = (uint64_t)found;
	return 0;
}

/* For file systems that cannot punch holes: zeros take space, but they read the same. */
static int write_zeros(struct disk_file *file, uint64_t start, uint64_t end)
{
	static const char zeros[ZEROS];
	int err = 0;

	while (!err && start < end) {
		size_t len = end - start < ZEROS ? (size_t)(end - start) : ZEROS;

		err = posix_write(file, zeros, len, start);
		start += len;
	}
	return err;
}

static int posix_punch(struct disk_file *file, uint64_t start, uint64_t end)
{
	uint64_t size = 0;
	int result = posix_size(file, &size);

	if (result < 0)
		return result;
	/* Behind the end there is nothing to free, and file systems refuse offsets that no file can
	 * have. */
	if (end > size)
		end = size;
	if (start >= end)
		return 0;
	do
		result = fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   (off_t)start, (off_t)(end - start));
	while (result < 0 && errno == EINTR);
	if (result < 0 && errno == EOPNOTSUPP)
		return write_zeros(file, start, end);
	return result < 0 ? -errno : 0;
}

static int posix_sync(struct disk_file *file)
{
	bool with_entry = !file->entry_synced;
	int err;

	file->syncs++;
	err = sync_pool_run(file->disk->syncs, file->fd, with_entry ? file->directory : -1);
	file->syncs--;
	if (!err && with_entry)
		file->entry_synced = true;
	return err;
}

static int posix_remove(struct disk *disk, uint64_t id)
{
	char name[NAME_DIGITS + 1];

	name_of(id, name);
	return unlinkat(directory_of(from_disk(disk), id), name, 0) < 0 ? -errno : 0;
}

/* false: not the name of a data file of ours in that directory. */
static bool parse_name(const char *name, unsigned directory, uint64_t *id)
{
	if (strlen(name) != NAME_DIGITS || strspn(name, "0123456789abcdef") != NAME_DIGITS)
		return false;
	*id = strtoull(name, NULL, 16);
	return *id % DIRECTORIES == directory;
}

static int scan_directory(struct disk_posix *disk, unsigned index,
			  int (*visit)(void *context, uint64_t id), void *context)
{
	/* Opened anew, because a duplicate would share its position. */
	int fd = openat(disk->directories[index], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int result = 0;

	if (!stream) {
		result = -errno;
		if (fd >= 0)
			close(fd);
		return result;
	}
	while (result == 0 && (errno = 0, entry = readdir(stream))) {
		uint64_t id;

		if (parse_name(entry->d_name, index, &id))
			result = visit(context, id);
	}
	if (result == 0 && errno)
		result = -errno;
	closedir(stream);
	return result;
}

/* What visit stopped it with is returned. */
static int posix_scan(struct disk *disk, int (*visit)(void *context, uint64_t id), void *context)
{
	int result = 0;

	for (unsigned i = 0; result == 0 && i < DIRECTORIES; i++)
		result = scan_directory(from_disk(disk), i, visit, context);
	return result;
}

static int posix_space(struct disk *disk, struct disk_space *out)
{
	struct statvfs st;

	if (fstatvfs(from_disk(disk)->directories[0], &st) < 0)
		return -errno;
	out->total = (uint64_t)st.f_blocks * st.f_frsize;
	out->available = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

static void posix_destroy(struct disk *base)
{
	struct disk_posix *disk = from_disk(base);

	CHECK(disk->open_files == 0);
	sync_pool_destroy(disk->syncs);
	for (unsigned i = 0; i < DIRECTORIES; i++) {
		if (disk->directories[i] >= 0)
			close(disk->directories[i]);
	}
	free(disk);
}

static const struct disk_ops posix_ops = {
	.create = posix_create,
	.open = posix_open,
	.close = posix_close,
	.read = posix_read,
	.write = posix_write,
	.truncate = posix_truncate,
	.punch = posix_punch,
	.size = posix_size,
	.seek = posix_seek,
	.sync = posix_sync,
	.remove = posix_remove,
	.scan = posix_scan,
	.space = posix_space,
	.destroy = posix_destroy,
};

/* Opens name below parent, which is made when it is missing. Returns the descriptor or -errno. */
static int open_directory(int parent, const char *name, int flags, bool *made)
{
	int fd;

	*made = mkdirat(parent, name, 0700) == 0;
	if (!*made && errno != EEXIST)
		return -errno;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	return fd < 0 ? -errno : fd;
}

static int check_owner(int fd, const char *directory, struct error *error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(error, -errno, "cache directory %s: %s", directory,
				 strerror(errno));
	if (st.st_uid != geteuid())
		return error_set(error, -EPERM,
				 "cache directory %s belongs to uid %u, not to uid %u: name one of "
				 "your own with -o cache=DIR",
				 directory, (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(error, -EPERM,
				 "cache directory %s may be written by others: chmod go-w %s",
				 directory, directory);
	return 0;
}

static int open_directories(struct disk_posix *disk, int top, const char *directory,
			    struct error *error)
{
	bool made, any_made = false;

	for (unsigned i = 0; i < DIRECTORIES; i++) {
		char name[3];

		snprintf(name, sizeof(name), "%02x", i & 0xff);
		disk->directories[i] = open_directory(top, name, O_NOFOLLOW, &made);
		if (disk->directories[i] < 0)
			return error_set(error, disk->directories[i], "cache directory %s/%s: %s",
					 directory, name, strerror(-disk->directories[i]));
		any_made |= made;
	}
	if (any_made && fsync(top) < 0)
		return error_set(error, -errno, "cache directory %s: %s", directory,
				 strerror(errno));
	return 0;
}

int disk_posix_create(struct disk **out, struct executor *executor, const char *directory,
		      struct error *error)
{
	struct disk_posix *disk;
	bool made;
	int top, err;

	top = open_directory(AT_FDCWD, directory, 0, &made);
	if (top < 0)
		return error_set(error, top, "cache directory %s: %s", directory, strerror(-top));
	disk = calloc(1, sizeof(*disk));
	if (!disk) {
		close(top);
		return error_set(error, -ENOMEM, "cache directory %s: out of memory", directory);
	}
	disk->disk.ops = &posix_ops;
	memset(disk->directories, -1, sizeof(disk->directories));
	err = check_owner(top, directory, error);
	if (!err)
		err = open_directories(disk, top, directory, error);
	close(top);
	if (!err) {
		err = sync_pool_create(&disk->syncs, executor);
		if (err)
			error_set(error, err, "threads for the cache directory %s: %s", directory,
				  strerror(-err));
	}
	if (err) {
		posix_destroy(&disk->disk);
		return err;
	}
	*out = &disk->disk;
	return 0;
}

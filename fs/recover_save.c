/* recover_save.c — one file of a cache directory on its way to where it is safe. Part of
 * recover_tree.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fileio.h"
#include "fs/recover_tree.h"

enum { CHUNK = 1 << 20, BLOCK = 4096 };

/* The directory that path lies in, made as far as it is missing. Links are not followed: a damaged
 * row could make one and then name what is behind it. Returns a descriptor or -errno. */
static int open_parent(int to, const char *path, const char **last)
{
	int at = fcntl(to, F_DUPFD_CLOEXEC, 0);
	const char *slash;

	while (at >= 0 && (slash = strchr(path, '/'))) {
		char name[NAME_MAX + 1];
		size_t len = (size_t)(slash - path);
		int next;

		memcpy(name, path, len < NAME_MAX ? len : NAME_MAX);
		name[len < NAME_MAX ? len : NAME_MAX] = '\0';
		if (mkdirat(at, name, 0700) < 0 && errno != EEXIST) {
			next = -errno;
		} else {
			next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			next = next < 0 ? -errno : next;
		}
		close(at);
		at = next;
		path = slash + 1;
	}
	*last = path;
	return at;
}

static int copy_chunk(int in, int out, char *data, size_t len, uint64_t at, bool *unreadable)
{
	ssize_t got = pread_all(in, data, len, (off_t)at);

	*unreadable = got != (ssize_t)len;
	return *unreadable ? 0 : pwrite_all(out, data, len, (off_t)at);
}

/* A chunk with a bad sector is read again in blocks; those that stay unreadable go into bad. */
static int copy_range(int in, int out, char *data, struct extent range, struct extent_set *bad)
{
	size_t step = CHUNK;
	int err = 0;

	while (!err && range.start < range.end) {
		size_t len = range.end - range.start < step ? (size_t)(range.end - range.start)
							    : step;
		bool unreadable;

		err = copy_chunk(in, out, data, len, range.start, &unreadable);
		if (!err && unreadable && step > BLOCK) {
			step = BLOCK;
			continue;
		}
		if (!err && unreadable)
			err = extent_add(bad, range.start, range.start + len);
		range.start += len;
	}
	return err;
}

static int copy_data(struct recover_file *file, int in, int out)
{
	struct extent_set bad = EXTENT_SET_INIT;
	char *data = malloc(CHUNK);
	int err = data ? 0 : -ENOMEM;

	if (!err && ftruncate(out, (off_t)file->size) < 0)
		err = -errno;
	for (size_t i = 0; i < file->valid.count && !err; i++)
		err = copy_range(in, out, data, file->valid.items[i], &bad);
	for (size_t i = 0; i < bad.count && !err; i++)
		err = extent_remove(&file->valid, bad.items[i].start, bad.items[i].end);
	if (!err && bad.count > 0 && file->kind == RECOVER_COMPLETE)
		file->kind = RECOVER_PARTIAL;
	extent_set_free(&bad);
	free(data);
	return err;
}

/* The owner only as far as who saves it may give it away. */
static int set_attributes(const struct recover_file *file, int fd)
{
	const struct attributes *attributes = &file->attributes;
	struct timespec times[] = {
		{attributes->atime / 1000000000, attributes->atime % 1000000000},
		{attributes->mtime / 1000000000, attributes->mtime % 1000000000},
	};

	if (file->kind == RECOVER_UNNAMED)
		return 0;
	if (fchown(fd, attributes->uid, attributes->gid) < 0 && errno != EPERM)
		return -errno;
	if (fchmod(fd, attributes->mode & 0777) < 0)
		return -errno;
	/* Times that no clock has shown are of a damaged row. */
	if (times[0].tv_nsec >= 0 && times[1].tv_nsec >= 0 && futimens(fd, times) < 0)
		return -errno;
	return 0;
}

static int save_data(struct recover_file *file, const char *directory, int parent, const char *name)
{
	char path[PATH_MAX];
	int in, out, err;

	recover_data_path(directory, file->file_id, path);
	in = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (in < 0)
		return -errno;
	out = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0) {
		err = -errno;
		close(in);
		return err;
	}
	err = copy_data(file, in, out);
	if (!err)
		err = set_attributes(file, out);
	if (!err && fsync(out) < 0)
		err = -errno;
	close(in);
	if (close(out) < 0 && !err)
		err = -errno;
	return err;
}

int recover_save(struct recover_file *file, const char *directory, int to)
{
	const char *name;
	int parent;

	if (!file->path || file->kind == RECOVER_ATTRIBUTES || file->kind == RECOVER_LOST ||
	    file->err)
		return file->err;
	parent = open_parent(to, file->path, &name);
	if (parent < 0)
		return file->err = parent;
	if (file->kind == RECOVER_SYMLINK)
		file->err = symlinkat(file->target, parent, name) < 0 ? -errno : 0;
	else
		file->err = save_data(file, directory, parent, name);
	close(parent);
	return file->err;
}

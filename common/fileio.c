#include "common/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_CHUNK_BYTES = 16 * 1024 };

int write_all(int fd, const void *data, size_t len)
{
	const char *next = data;

	while (len > 0) {
		ssize_t n = write(fd, next, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		next += n;
		len -= (size_t)n;
	}
	return 0;
}

int pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
	const char *next = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, next, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		next += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

ssize_t pread_all(int fd, void *data, size_t len, off_t offset)
{
	char *next = data;
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, next + got, len - got, offset + (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static int read_descriptor(int fd, size_t limit, struct buf *out)
{
	char chunk[READ_CHUNK_BYTES];
	size_t total = 0;

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		total += (size_t)n;
		if (total > limit)
			return -EFBIG;
		buf_append(out, chunk, (size_t)n);
		if (out->failed)
			return -ENOMEM;
	}
}

int file_read(const char *path, size_t limit, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int err;

	if (fd < 0)
		return -errno;
	err = read_descriptor(fd, limit, out);
	close(fd);
	return err;
}

static int write_new_file(const char *path, const void *data, size_t len, mode_t mode)
{
	/* A leftover of a crash may have other permissions, or be somebody's link. */
	int fd = unlink(path) < 0 && errno != ENOENT
			 ? -1
			 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, data, len);
	if (!err && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	return err;
}

static int sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent;
	int err;

	if (!slash)
		return directory_sync(".");
	if (slash == path)
		return directory_sync("/");
	parent = strndup(path, (size_t)(slash - path));
	if (!parent)
		return -ENOMEM;
	err = directory_sync(parent);
	free(parent);
	return err;
}

int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode)
{
	struct buf name = BUF_INIT;
	char *temporary;
	int err;

	buf_printf(&name, "%s.tmp", path);
	temporary = buf_steal(&name);
	if (!temporary)
		return -ENOMEM;
	err = write_new_file(temporary, data, len, mode);
	if (!err && rename(temporary, path) < 0)
		err = -errno;
	if (err)
		unlink(temporary);
	free(temporary);
	return err ? err : sync_parent(path);
}

int directory_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return err;
}

static int make_one(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	/* A read-only parent says EROFS for what is there, too. */
	if (errno != EEXIST && errno != EROFS && errno != EACCES)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *position)
{
	(void)st;
	(void)type;
	(void)position;
	remove(path); /* what cannot be removed keeps its directory */
	return 0;
}

void directory_remove(const char *path)
{
	enum { DESCRIPTORS = 16 };

	nftw(path, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int directory_make(const char *path, mode_t mode)
{
	char *part = strdup(path);
	int err = part && *part ? 0 : part ? -ENOENT : -ENOMEM;

	for (char *c = part; !err && *c; c++) {
		if (c[1] != '/' && c[1] != '\0')
			continue;
		if (c[0] == '/') /* the root, or one slash of several */
			continue;
		const char kept = c[1];

		c[1] = '\0';
		err = make_one(part, mode);
		c[1] = kept;
	}
	free(part);
	return err;
}

static pid_t read_holder(int fd)
{
	char text[24];
	ssize_t len = pread_all(fd, text, sizeof(text) - 1, 0);
	int64_t pid;

	if (len <= 0)
		return 0;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return parse_int(text, 1, INT_MAX, &pid) ? 0 : (pid_t)pid;
}

int lock_file_take(const char *path, pid_t *holder)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err;

	if (holder)
		*holder = 0;
	if (fd < 0)
		return -errno;
	do
		err = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
	while (err == -EINTR);
	if (err == -EWOULDBLOCK && holder)
		*holder = read_holder(fd);
	if (!err)
		err = lock_file_note(fd);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int lock_file_note(int fd)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	int err = pwrite_all(fd, text, (size_t)len, 0);

	/* Written first and cut then, so that a reader finds a number at any time. */
	return err || ftruncate(fd, len) == 0 ? err : -errno;
}

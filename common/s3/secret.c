#include "common/s3/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *secret_copy(const char *text, size_t len)
{
	char *copy = text ? malloc(len + 1) : NULL;

	if (copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

void secret_free(char *text)
{
	if (!text)
		return;
	explicit_bzero(text, strlen(text));
	free(text);
}

static int check_file(const char *path, const struct stat *st, mode_t forbidden,
		      struct error *error)
{
	if (!S_ISREG(st->st_mode))
		return error_set(error, -EINVAL, "%.300s is not a regular file", path);
	if (st->st_mode & forbidden)
		return error_set(error, -EPERM,
				 "%.300s holds keys and others may read it (mode %04o); run: chmod "
				 "%s %.300s",
				 path, (unsigned)st->st_mode & 07777,
				 forbidden & 040 ? "600" : "640", path);
	if (st->st_size > SECRET_FILE_BYTES_MAX)
		return error_set(error, -EINVAL, "%.300s is bigger than %d bytes", path,
				 SECRET_FILE_BYTES_MAX);
	return 0;
}

/* Reads until the end of the file or until capacity is full. Returns the length or -errno. */
static ssize_t read_all(int fd, char *data, size_t capacity)
{
	size_t len = 0;

	while (len < capacity) {
		ssize_t n = read(fd, data + len, capacity - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int secret_file_read(const char *path, mode_t forbidden, char **out, struct error *error)
{
	/* O_NONBLOCK: a pipe must not hold us up before fstat tells that it is one. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *data = NULL;
	struct stat st;
	ssize_t len;
	int err;

	*out = NULL;
	if (fd < 0) {
		err = -errno;
		if (err == -ENOENT || err == -ENOTDIR || err == -EACCES)
			return err;
		return error_set(error, err, "cannot open %.300s: %s", path, strerror(-err));
	}
	err = fstat(fd, &st)
		      ? error_set(error, -errno, "cannot stat %.300s: %s", path, strerror(errno))
		      : check_file(path, &st, forbidden, error);
	if (err)
		goto out;
	data = malloc((size_t)st.st_size + 1);
	if (!data) {
		err = error_set(error, -ENOMEM, "out of memory");
		goto out;
	}
	len = read_all(fd, data, (size_t)st.st_size);
	if (len < 0) {
		err = error_set(error, (int)len, "cannot read %.300s: %s", path,
				strerror((int)-len));
		goto out;
	}
	data[len] = '\0';
	if (memchr(data, '\0', (size_t)len)) {
		err = error_set(error, -EINVAL, "%.300s is not a text file: it holds NUL bytes",
				path);
		goto out;
	}
	*out = data;
	data = NULL;
out:
	if (data)
		explicit_bzero(data, (size_t)st.st_size);
	free(data);
	close(fd);
	return err;
}

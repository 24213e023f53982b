#include "plugin/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fileio.h"

#define SUFFIX	".json"
#define PARTIAL ".tmp" /* of file_write_atomic */
#define ASIDE	".bad"

static int file_path(char out[PATH_MAX], const char *directory, const char *name,
		     const char *suffix)
{
	int len = snprintf(out, PATH_MAX, "%s/%s%s", directory, name, suffix);

	return len > 0 && len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int failed(struct error *error, int err, const char *what, const char *path)
{
	return error_set(error, err, "cannot %s %s: %s", what, path, strerror(-err));
}

int state_save(const char *directory, const char *name, const char *text, struct error *error)
{
	char path[PATH_MAX];
	int err = file_path(path, directory, name, SUFFIX);

	if (err)
		return error_set(error, err, "the name '%s' is too long", name);
	err = file_write_atomic(path, text, strlen(text), 0600);
	return err ? failed(error, err, "write", path) : 0;
}

int state_load(const char *directory, const char *name, char **text, size_t *len,
	       struct error *error)
{
	struct buf content = BUF_INIT;
	char path[PATH_MAX];
	int err = file_path(path, directory, name, SUFFIX);

	if (err)
		return error_set(error, err, "the name '%s' is too long", name);
	err = file_read(path, STATE_FILE_BYTES_MAX, &content);
	if (!err) {
		*len = content.len;
		*text = buf_steal(&content);
		err = *text ? 0 : -ENOMEM;
	}
	buf_free(&content);
	if (err == -ENOENT)
		return err;
	return err ? failed(error, err, "read", path) : 0;
}

int state_remove(const char *directory, const char *name, struct error *error)
{
	char path[PATH_MAX];
	int err = file_path(path, directory, name, SUFFIX);

	if (err)
		return error_set(error, err, "the name '%s' is too long", name);
	if (unlink(path))
		return errno == ENOENT ? 0 : failed(error, -errno, "remove", path);
	err = directory_sync(directory);
	return err ? failed(error, err, "flush", directory) : 0;
}

void state_set_aside(const char *directory, const char *name)
{
	char path[PATH_MAX], aside[PATH_MAX];

	if (!file_path(path, directory, name, SUFFIX) &&
	    !file_path(aside, directory, name, ASIDE) && rename(path, aside) == 0)
		directory_sync(directory);
}

int state_each(const char *directory, int (*found)(void *context, const char *name), void *context)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	int err = 0;

	if (!stream)
		return errno == ENOENT ? 0 : -errno;
	while (err >= 0 && (entry = readdir(stream))) {
		char name[NAME_MAX + 1];
		size_t len;

		if (string_has_suffix(entry->d_name, PARTIAL)) {
			unlinkat(dirfd(stream), entry->d_name, 0);
			continue;
		}
		if (!string_has_suffix(entry->d_name, SUFFIX))
			continue;
		len = strlen(entry->d_name) - strlen(SUFFIX);
		memcpy(name, entry->d_name, len);
		name[len] = '\0';
		err = found(context, name);
	}
	closedir(stream);
	return err < 0 ? err : 0;
}

int state_make_directory(const char *path, unsigned mode, struct error *error)
{
	int err = directory_make(path, mode);

	return err ? failed(error, err, "make directory", path) : 0;
}

#include "fs/cache_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"

enum { LOCK_WAIT_SECONDS = 10, LOCK_POLL_MS = 100 };
#define PROBE_VALID (INT64_C(7) * 24 * 3600)

/* FNV-1a, 64 bits (the Fowler/Noll/Vo page of its authors): short names, not secrets. */
static uint64_t hash(const char *text)
{
	uint64_t value = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		value = (value ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return value;
}

static int make_path(const char *path, struct error *error)
{
	char *copy = string_copy(path);
	int err = 0;

	for (char *slash = copy ? strchr(copy + 1, '/') : NULL;; slash = strchr(slash + 1, '/')) {
		if (!copy)
			return error_set(error, -ENOMEM, "out of memory");
		if (slash)
			*slash = '\0';
		if (mkdir(copy, 0700) && errno != EEXIST)
			err = error_set(error, -errno,
			                "cannot make the cache directory %s: %s; give another with -o cache=DIR",
			                copy, strerror(errno));
		if (!slash || err)
			break;
		*slash = '/';
	}
	free(copy);
	return err;
}

static int take_lock(struct cache_directory *directory, struct error *error)
{
	struct timespec pause = {0, LOCK_POLL_MS * 1000000L};
	char path[4200], pid[32] = "";
	ssize_t got;

	snprintf(path, sizeof(path), "%s/LOCK", directory->path);
	directory->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (directory->lock_fd < 0)
		return error_set(error, -errno,
		                 "the cache directory %s cannot be written: %s; give another with -o cache=DIR",
		                 directory->path, strerror(errno));
	for (int i = 0; flock(directory->lock_fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(error, -errno, "cannot lock %s: %s", path, strerror(errno));
		if (i >= LOCK_WAIT_SECONDS * 1000 / LOCK_POLL_MS) {
			got = pread(directory->lock_fd, pid, sizeof(pid) - 1, 0);
			pid[got > 0 ? strcspn(pid, "\n") : 0] = '\0';
			return error_set(error, -EBUSY,
			                 "the cache directory %s is in use by another mount (process %s): "
			                 "unmount that first, or give this one its own with -o cache=DIR",
			                 directory->path, pid[0] ? pid : "unknown");
		}
		nanosleep(&pause, NULL);
	}
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(directory->lock_fd, 0) ||
	    pwrite(directory->lock_fd, pid, strlen(pid), 0) != (ssize_t)strlen(pid))
		return error_set(error, -errno, "cannot write %s: %s", path, strerror(errno));
	return 0;
}

int cache_directory_open(struct cache_directory *directory, const char *cache, const char *bucket,
                         const char *volume, struct error *error)
{
	struct buf path = BUF_INIT;
	struct statvfs space;
	int err;

	*directory = (struct cache_directory){.lock_fd = -1};
	path.limit = 4000;
	buf_printf(&path, "%s/%s-%012llx", cache, bucket,
	           (unsigned long long)(hash(volume) & UINT64_C(0xffffffffffff)));
	directory->path = buf_steal(&path);
	buf_printf(&path, "%s/data", directory->path ? directory->path : "");
	directory->data_path = buf_steal(&path);
	if (!directory->path || !directory->data_path)
		return error_set(error, -ENAMETOOLONG, "the cache directory's path is too long: %s", cache);
	err = make_path(directory->data_path, error);
	if (!err)
		err = take_lock(directory, error);
	if (!err && statvfs(directory->path, &space))
		err = error_set(error, -errno, "cannot look at %s: %s", directory->path, strerror(errno));
	if (err) {
		cache_directory_close(directory);
		return err;
	}
	directory->total = (uint64_t)space.f_blocks * space.f_frsize;
	directory->available = (uint64_t)space.f_bavail * space.f_frsize;
	return 0;
}

void cache_directory_close(struct cache_directory *directory)
{
	if (directory->lock_fd >= 0)
		close(directory->lock_fd);
	directory->lock_fd = -1;
	free(directory->path);
	free(directory->data_path);
	directory->path = directory->data_path = NULL;
}

bool cache_directory_load_probe(const struct cache_directory *directory, int64_t wall,
                                struct upload_capabilities *can, bool *unquoted)
{
	char path[4200];
	int values[6];
	long long when;
	FILE *file;
	bool good;

	snprintf(path, sizeof(path), "%s/probe", directory->path);
	file = fopen(path, "re");
	if (!file)
		return false;
	good = fscanf(file, "1 %lld %d %d %d %d %d %d", &when, &values[0], &values[1], &values[2],
	              &values[3], &values[4], &values[5]) == 7;
	fclose(file);
	if (!good || wall / INT64_C(1000000000) - when > PROBE_VALID)
		return false;
	*can = (struct upload_capabilities){values[0], values[1], values[2], values[3], values[4]};
	*unquoted = values[5];
	return true;
}

void cache_directory_save_probe(const struct cache_directory *directory,
                                const struct upload_capabilities *can, bool unquoted)
{
	char path[4200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/probe", directory->path);
	file = fopen(path, "we");
	if (!file)
		return; /* then the next mount asks again */
	fprintf(file, "1 %lld %d %d %d %d %d %d\n", (long long)time(NULL), can->put_if_none_match,
	        can->put_if_match, can->complete, can->copy, can->delete, unquoted);
	fclose(file);
}

#include "fs/cache_directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fileio.h"
#include "common/log.h"

enum { LOCK_WAIT_SECONDS = 10, LOCK_POLL_MS = 100 };
enum { VOLUME_PATH_MAX = 4000, PATH_BYTES = VOLUME_PATH_MAX + 100, PROBE_BYTES_MAX = 256 };
enum { PROBE_VERSION = 2 };
#define PROBE_VALID (INT64_C(7) * 24 * 3600)

/* FNV-1a, 64 bits (the Fowler/Noll/Vo page of its authors): short names, not secrets. */
static uint64_t hash(const char *text)
{
	uint64_t value = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		value = (value ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return value;
}

static int unusable(const char *path, int err, struct error *error)
{
	return error_set(error, err,
			 "the cache directory %s cannot be used: %s; give another with -o "
			 "cache=DIR",
			 path, strerror(-err));
}

/* A former mount of the volume may still be uploading what it has left. */
static int take_lock(struct cache_directory *directory, struct error *error)
{
	struct timespec pause = {0, LOCK_POLL_MS * 1000000L};
	char path[PATH_BYTES], process[24] = "unknown";
	pid_t holder;

	snprintf(path, sizeof(path), "%s/LOCK", directory->path);
	for (int i = 0;; i++) {
		directory->lock_fd = lock_file_take(path, &holder);
		if (directory->lock_fd >= 0)
			return 0;
		if (directory->lock_fd != -EWOULDBLOCK)
			return unusable(directory->path, directory->lock_fd, error);
		if (i >= LOCK_WAIT_SECONDS * 1000 / LOCK_POLL_MS)
			break;
		nanosleep(&pause, NULL);
	}
	if (holder)
		snprintf(process, sizeof(process), "%ld", (long)holder);
	return error_set(error, -EBUSY,
			 "the cache directory %s is in use by another mount (process %s): unmount "
			 "that first, or give this one its own with -o cache=DIR",
			 directory->path, process);
}

int cache_directory_open(struct cache_directory *directory, const char *cache, const char *bucket,
			 const char *volume, struct error *error)
{
	struct buf path = BUF_INIT;
	struct statvfs space;
	int err;

	*directory = (struct cache_directory){.lock_fd = -1};
	path.limit = VOLUME_PATH_MAX;
	buf_printf(&path, "%s/%s-%012llx", cache, bucket,
		   (unsigned long long)(hash(volume) & UINT64_C(0xffffffffffff)));
	directory->path = buf_steal(&path);
	buf_printf(&path, "%s/data", directory->path ? directory->path : "");
	directory->data_path = buf_steal(&path);
	if (!directory->path || !directory->data_path)
		return error_set(error, -ENAMETOOLONG, "the cache directory's path is too long: %s",
				 cache);
	err = directory_make(directory->data_path, 0700);
	err = err ? unusable(directory->data_path, err, error) : take_lock(directory, error);
	if (!err && statvfs(directory->path, &space))
		err = error_set(error, -errno, "cannot look at %s: %s", directory->path,
				strerror(errno));
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

/* Exactly count numbers on one line. Cuts the text up. */
static bool parse_numbers(char *text, int64_t *values, size_t count)
{
	char *rest = text;

	for (size_t i = 0; i < count; i++) {
		const char *word = rest ? strsep(&rest, " \n") : NULL;

		if (!word || parse_int(word, 0, INT64_MAX, &values[i]))
			return false;
	}
	return rest && !*rest;
}

bool cache_directory_load_probe(const struct cache_directory *directory, int64_t wall,
				struct upload_capabilities *can, bool *unquoted)
{
	struct buf text = BUF_INIT;
	char path[PATH_BYTES];
	int64_t values[9], age;
	bool good;

	snprintf(path, sizeof(path), "%s/probe", directory->path);
	good = file_read(path, PROBE_BYTES_MAX, &text) == 0 &&
	       parse_numbers(text.data, values, sizeof(values) / sizeof(values[0])) &&
	       values[0] == PROBE_VERSION;
	buf_free(&text);
	age = good ? wall / INT64_C(1000000000) - values[1] : -1;
	if (age < 0 || age > PROBE_VALID) /* also when the clock has been set back */
		return false;
	*can = (struct upload_capabilities){
		.put_if_none_match = values[2],
		.put_if_match = values[3],
		.complete = values[4],
		.copy = values[5],
		.delete = values[6],
		.racy = values[8],
	};
	*unquoted = values[7];
	return true;
}

void cache_directory_save_probe(const struct cache_directory *directory,
				const struct upload_capabilities *can, bool unquoted)
{
	char path[PATH_BYTES], text[PROBE_BYTES_MAX];
	int err, len;

	snprintf(path, sizeof(path), "%s/probe", directory->path);
	len = snprintf(text, sizeof(text), "%d %lld %d %d %d %d %d %d %d\n", PROBE_VERSION,
		       (long long)time(NULL), can->put_if_none_match, can->put_if_match,
		       can->complete, can->copy, can->delete, unquoted, can->racy);
	err = file_write_atomic(path, text, (size_t)len, 0600);
	if (err)
		log_debug("cannot write %s: %s; the next mount asks the server again", path,
			  strerror(-err));
}

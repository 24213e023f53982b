#include "fs/cache_directory.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
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

/* Where a crash, a container's end or another machine takes away what was not uploaded yet, or
 * where fsync does not mean what it says. Magic numbers: statfs(2), linux/magic.h and the kernel's
 * sources of those that are not in it. */
static const struct {
	unsigned long type;
	const char *name, *risk;
} unsafe_file_systems[] = {
	{0x01021994, "tmpfs", "it is in memory, and a restart loses it"},
	{0x858458f6, "ramfs", "it is in memory, and a restart loses it"},
	{0x794c7630, "overlayfs", "it goes with its container"},
	{0x6969, "NFS", "it depends on another machine"},
	{0x517b, "SMB", "it depends on another machine"},
	{0xff534d42, "CIFS", "it depends on another machine"},
	{0xfe534d42, "SMB", "it depends on another machine"},
	{0x65735546, "FUSE", "what an fsync means there is not known"},
	{0x01021997, "9P", "it depends on another machine"},
	{0x00c36400, "CephFS", "it depends on other machines"},
	{0x5346414f, "AFS", "it depends on another machine"},
	{0x0bd00bd0, "Lustre", "it depends on other machines"},
	{0x786f4256, "vboxsf", "it depends on another machine"},
};

static int check_file_system(const char *path, enum cache_use use, struct error *error)
{
	struct statfs st;

	if (use == CACHE_FOR_READS)
		return 0;
	if (statfs(path, &st))
		return unusable(path, -errno, error);
	for (size_t i = 0; i < sizeof(unsafe_file_systems) / sizeof(unsafe_file_systems[0]); i++) {
		if ((unsigned long)st.f_type != unsafe_file_systems[i].type)
			continue;
		if (use == CACHE_FORCED) {
			log_warning("the cache directory %s is on %s: %s, with all that is not in "
				    "S3 yet",
				    path, unsafe_file_systems[i].name, unsafe_file_systems[i].risk);
			return 0;
		}
		return error_set(error, -EOPNOTSUPP,
				 "the cache directory %s is on %s: %s, with all that is not in S3 "
				 "yet; give one on a local disk with -o cache=DIR, or accept the "
				 "risk with -o force_cache, or mount with -o ro",
				 path, unsafe_file_systems[i].name, unsafe_file_systems[i].risk);
	}
	return 0;
}

int cache_directory_open(struct cache_directory *directory, const char *cache, enum cache_use use,
			 const char *bucket, const char *volume, struct error *error)
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
	err = err ? unusable(directory->data_path, err, error)
		  : check_file_system(directory->path, use, error);
	if (!err)
		err = take_lock(directory, error);
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

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *position)
{
	(void)st;
	(void)type;
	(void)position;
	return remove(path); /* errno stays for nftw's caller */
}

int cache_directory_set_aside(struct cache_directory *directory, struct error *error)
{
	struct buf path = BUF_INIT;
	char *reads, *data;
	int err;

	buf_printf(&path, "%s/reads", directory->path);
	reads = buf_steal(&path);
	buf_printf(&path, "%s/data", reads ? reads : "");
	data = buf_steal(&path);
	if (!reads || !data) {
		free(reads);
		free(data);
		return error_set(error, -ENOMEM, "out of memory");
	}
	directory->aside = directory->path;
	free(directory->data_path);
	directory->path = reads;
	directory->data_path = data;
	/* Of a former mount like this one; copies alone. */
	if (nftw(reads, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) && errno != ENOENT)
		return unusable(reads, -errno, error);
	err = directory_make(data, 0700);
	return err ? unusable(data, err, error) : 0;
}

void cache_directory_close(struct cache_directory *directory)
{
	if (directory->lock_fd >= 0)
		close(directory->lock_fd);
	directory->lock_fd = -1;
	free(directory->path);
	free(directory->data_path);
	free(directory->aside);
	directory->path = directory->data_path = directory->aside = NULL;
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

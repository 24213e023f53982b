/* disk.h — the cache file system as the core sees it: data files named by number. One vtable, so
 * that the simulation can lose, tear and reorder what was not synced.
 *
 * Implementations: disk_posix.c, the simulation's.
 * Threads: read and write may be called from any thread, at once, on one file. The others belong to
 * the owner thread. read and write do not wait for the device when the page cache holds the bytes;
 * sync does, so it runs elsewhere and the calling fiber waits. Errors: negative errno. Short reads
 * end at the end of the file; writes are complete or fail.
 */
#ifndef FS_CACHE_DISK_H
#define FS_CACHE_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct disk;
struct disk_file;

struct disk_space {
	uint64_t total, available; /* bytes */
};

struct disk_ops {
	/* Creates (must not exist) or opens (must exist) the data file of that number, for reading
	 * and writing. */
	int (*create)(struct disk *disk, uint64_t id, struct disk_file **out);
	int (*open)(struct disk *disk, uint64_t id, struct disk_file **out);
	void (*close)(struct disk_file *file);
	ssize_t (*read)(struct disk_file *file, void *data, size_t len, uint64_t offset);
	int (*write)(struct disk_file *file, const void *data, size_t len, uint64_t offset);
	int (*truncate)(struct disk_file *file, uint64_t size);
	int (*punch)(struct disk_file *file, uint64_t start,
		     uint64_t end); /* frees the blocks; reads as zeros */
	int (*size)(struct disk_file *file, uint64_t *size);
	/* SEEK_HOLE or SEEK_DATA of lseek(2), from an offset below the size. -ENXIO: no data
	 * follows. NULL: everything is data. */
	int (*seek)(struct disk_file *file, uint64_t offset, bool hole, uint64_t *out);
	/* fdatasync, and the directory entry on the first call. In a fiber. Never retried by the
	 * caller. */
	int (*sync)(struct disk_file *file);
	int (*remove)(struct disk *disk, uint64_t id);
	/* Every data file there is, in no order; only at start. Return non-zero from visit to stop.
	 */
	int (*scan)(struct disk *disk, int (*visit)(void *context, uint64_t id), void *context);
	int (*space)(struct disk *disk, struct disk_space *out);
	void (*destroy)(struct disk *disk);
};

struct disk {
	const struct disk_ops *ops;
};

#endif

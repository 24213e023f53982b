/* sim_disk.h — a disk that forgets: the data files of one cache and the files of its journal, with
 * what of them is synced and every change that is not, so that a crash can keep, lose, reorder or
 * tear each of those.
 *
 * What ext4 may do is what happens here: without a sync any subset of the writes, truncates and
 * holes of a file may reach the disk, each write cut at a sector or block, and names may come or go
 * late. A sync of a file covers all that was done to it before and its name. Threads: one. Pages
 * and changes are shared between copies, so that a copy is cheap. Out of memory ends the process.
 */
#ifndef TESTS_SIM_SIM_DISK_H
#define TESTS_SIM_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/executor.h"
#include "fs/cache/disk.h"

enum sim_call {
	SIM_CREATE,
	SIM_WRITE,
	SIM_TRUNCATE,
	SIM_PUNCH,
	SIM_SYNC,
	SIM_REMOVE,
	SIM_DB_CREATE,
	SIM_DB_WRITE,
	SIM_DB_TRUNCATE,
	SIM_DB_SYNC,
	SIM_DB_REMOVE,
	SIM_CALLS, /* of the disk; those of S3 follow: SIM_CALLS + enum os_op */
};

/* What becomes of the unsynced part. */
enum sim_loss {
	SIM_KEEP,     /* kill -9: the page cache lives */
	SIM_DROP,     /* power loss: nothing of it was on the disk */
	SIM_PREFIX,   /* of each file the first changes */
	SIM_SUBSET,   /* any of them */
	SIM_TORN_512, /* any, cut at a sector */
	SIM_TORN_4K,  /* any, cut at a block */
	SIM_LOSSES,
};

struct sim_disk {
	struct disk disk;
	struct executor *executor;
	/* Before each call that changes something: a place for a crash. Non-zero: it fails with
	 * that errno instead. */
	int (*before)(void *context, enum sim_call call);
	void *context;
	uint64_t sync_time; /* ns, of data files */
	struct sim_file **files;
	size_t count, capacity;
	unsigned opens;
};

/* Files of the journal have names beyond those of data files. */
enum { SIM_NAME_DATABASE = 1, SIM_NAME_LOG, SIM_NAME_ROLLBACK };
#define SIM_NAME(file) (UINT64_MAX - (uint64_t)(file))

struct sim_disk *sim_disk_create(struct executor *executor);
void sim_disk_destroy(struct sim_disk *disk);
/* As after the loss; before and context are not set. draw: random numbers. */
struct sim_disk *sim_disk_copy(const struct sim_disk *disk, enum sim_loss loss,
			       uint64_t (*draw)(void *context), void *context);
size_t sim_disk_data_files(const struct sim_disk *disk);

/* For sim_sqlite.c */
struct sim_file *sim_disk_find(struct sim_disk *disk, uint64_t name);
struct sim_file *sim_disk_add(struct sim_disk *disk, uint64_t name);
void sim_disk_unlink(struct sim_disk *disk, struct sim_file *file);
uint64_t sim_file_size(const struct sim_file *file);
size_t sim_file_read(const struct sim_file *file, void *data, size_t len, uint64_t offset);
void sim_file_write(struct sim_file *file, const void *data, size_t len, uint64_t offset);
void sim_file_truncate(struct sim_file *file, uint64_t size);
void sim_file_sync(struct sim_file *file);

#endif

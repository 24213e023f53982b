/* disk_memory.h — data files in memory: a disk that forgets on request what was not synced.
 *
 * Keeps disk.h's contract for one thread. A sync takes sync_time of the executor and then holds
 * what the file was when it began. Out of memory ends the process: it is for tests.
 */
#ifndef TESTS_UNIT_DISK_MEMORY_H
#define TESTS_UNIT_DISK_MEMORY_H

#include <stdbool.h>

#include "common/executor.h"
#include "common/map.h"
#include "fs/cache/disk.h"

struct disk_memory {
	struct disk disk;
	struct executor *executor;
	struct map *files; /* by number */
	/* The test may change these at any time. */
	uint64_t sync_time; /* ns */
	int write_error;    /* of create, write and truncate; 0: none */
	bool write_half;    /* a write that fails has written the first half of its bytes */
	int sync_error;
	unsigned syncs, opens; /* so far; descriptors now */
};

struct disk_memory *disk_memory_create(struct executor *executor);
/* What another process finds after this one died, or (power_loss) after the machine did. */
struct disk_memory *disk_memory_clone(const struct disk_memory *disk, bool power_loss);
void disk_memory_destroy(struct disk_memory *disk);
size_t disk_memory_files(const struct disk_memory *disk);

#endif

/* sim_programs.h — what happens on several nodes at once: mounts, and the programs that change the
 * same files in them; internal to sim_nodes.c and sim_programs.c.
 *
 * Threads: one; everything that works in a mount runs in a fiber of its own pool.
 */
#ifndef TESTS_SIM_SIM_PROGRAMS_H
#define TESTS_SIM_SIM_PROGRAMS_H

#include "tests/sim/sim_check.h"
#include "tests/sim/sim_stamps.h"
#include "tests/sim/sim_world.h"

enum {
	SHARED_FILES = 3,
	MOUNTS_MAX = 12, /* one after each crash, and those that are left of the dead */
	LANDINGS_MAX = 64,
	SHARED_DATA_MAX = STAMPS_MAX * STAMP_LINE_MAX,
};

/* One process of s3mount. After a crash it goes on as a ghost, on a disk that nobody looks at and
 * cut off from the bucket, until it has come to rest. */
struct mount {
	struct sim_node node;
	struct run *run;
	struct fiber_pool *fibers;
	int slot; /* which node */
	bool dead, recovered, ended;
	unsigned programs;
	bool busy[SHARED_FILES]; /* programs of one node take turns, as with flock(2) */
};

struct run {
	struct sim_world *world;
	struct mount mounts[MOUNTS_MAX];
	unsigned mount_count;
	struct mount *nodes[SIM_NODES]; /* the living */
	int node_count;
	bool client, client_ended;	     /* another S3 client writes as well */
	bool large;			     /* files go in parts, and are not here whole */
	unsigned steps;			     /* left, of all programs together */
	unsigned crash_chance, fault_chance; /* of 1,000 */
	bool power, power_lost;
	bool calm; /* nothing fails any more */
	struct sim_stamps stamps;
	struct sim_landing landings[LANDINGS_MAX];
	unsigned landing_count;
	struct sim_verdict verdict;
	bool verbose;
};

bool run_chance(struct run *run, unsigned of_thousand);

/* As open(2); makes the file, and its directory, unless it is only to be read. */
int program_open(struct mount *mount, const char *path, int flags, struct vfs_handle **handle);
/* All of it into data (SHARED_DATA_MAX); returns how much, or an error. */
ssize_t program_read(struct vfs_handle *handle, char *data);

/* Fibers. Of a mount: recovers, then starts its programs, which work while there are steps left. */
void mount_work(void *mount);
/* Of a run: another S3 client, which keeps the metadata of others at times. */
void client_work(void *run);

#endif

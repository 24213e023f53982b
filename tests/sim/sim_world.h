/* sim_world.h — the whole core in one thread, on virtual time: a bucket, and nodes that mount it,
 * each with a simulated disk, network and journal.
 *
 * Threads: one. One world is used for many runs: the executor, the fibers' stacks and the journal's
 * first database stay. Functions that start or end nodes run in a fiber. Out of memory ends the
 * process.
 */
#ifndef TESTS_SIM_SIM_WORLD_H
#define TESTS_SIM_SIM_WORLD_H

#include "fs/vfs/vfs.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_sqlite.h"
#include "tests/sim/sim_store.h"
#include "tests/unit/executor_virtual.h"

enum { SIM_NODES = 3 };

struct sim_node {
	struct sim_world *world;
	const char *name;
	struct vfs_config config; /* as the next sim_node_start takes it */
	struct sim_disk *disk;	  /* owned; NULL: none yet */
	struct sim_store store;
	struct fiber_pool *fibers; /* NULL: the world's */
	uint64_t boots;		   /* another kernel each time this changes */
	uint64_t journal_pause;	   /* ns, journal_host.pause */
	struct env env;
	struct vfs *vfs; /* NULL: not running */
	struct journal_info info;
	char directory[SIM_DIRECTORY_MAX];
};

struct sim_world {
	struct executor_virtual *virtual;
	struct executor *executor;
	struct fiber_pool *fibers;
	struct objstore_memory *memory;
	const struct sizes *sizes;
	struct sim_node nodes[SIM_NODES];
	uint64_t random;
	/* Before each change of a disk or of the bucket (call: enum sim_call, or SIM_CALLS + enum
	 * os_op). Returns an errno to make it fail; fate tells how, for requests. */
	int (*before)(struct sim_node *node, unsigned call, enum sim_fate *fate);
	void *context;		/* of the one who set it */
	bool trace;		/* each call is printed */
	struct sim_disk *blank; /* with a new journal */
};

struct sim_world *sim_world_create(void);
void sim_world_destroy(struct sim_world *world);
uint64_t sim_draw(struct sim_world *world, uint64_t below);
uint64_t sim_random(void *world); /* for callbacks */

/* Runs body(argument) in a fiber until it returns; false: it hangs (something waits for ever). */
bool sim_run(struct sim_world *world, void (*body)(void *argument), void *argument);
void sim_sleep(struct sim_world *world, uint64_t ns);
void sim_set_wall(struct sim_world *world, int64_t wall);

/* Files of some KiB are what those of some MiB are to the product; tiny: of some hundred bytes. */
extern const struct sizes sim_sizes_small, sim_sizes_tiny;
/* Empties the bucket; every node gets an empty disk and the options that are usual. */
void sim_reset(struct sim_world *world, uint64_t seed, const struct sizes *sizes);
/* Journal and vfs on what the disk holds. Errors: theirs, with a message. */
int sim_node_load(struct sim_node *node, struct error *error);
/* Until nothing is owed. false: it does not get there within limit ns. */
bool sim_node_drain(struct sim_node *node, uint64_t limit);
void sim_evict(struct sim_node *node); /* all that is clean */
/* Until every fiber but those of the caller (own) has ended. */
bool sim_wind_down(struct sim_world *world, unsigned own);
/* Quiet before; the disk stays. */
void sim_node_end(struct sim_node *node, bool clean);

#endif

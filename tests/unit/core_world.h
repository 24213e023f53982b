/* core_world.h — the whole core (vfs, cache, upload, journal) on virtual time: one bucket in memory
 * and up to two nodes that mount it, each with a disk in memory and a real journal. For tests.
 *
 * A test is a function that runs in a fiber, to its end, in virtual time; it calls vfs.h and
 * core_files.h directly. Threads: one, beside those of the journals.
 */
#ifndef TESTS_UNIT_CORE_WORLD_H
#define TESTS_UNIT_CORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/vfs/vfs.h"
#include "tests/unit/disk_memory.h"
#include "tests/unit/executor_virtual.h"
#include "tests/unit/objstore_memory.h"

enum { CORE_NODES = 2, CORE_HANDLES = 32 };

#define MIB (UINT64_C(1) << 20)

struct core_node {
	struct core_world *world;
	const char *name;
	struct vfs_config config; /* as the next core_start takes it */
	bool no_conditions;	  /* the server was found to ignore them */
	struct env env;
	struct vfs *vfs; /* NULL: not running */
	struct disk_memory *disk;
	struct journal_info info;
	unsigned count[MEMORY_OPS]; /* requests of this node by kind; the test may zero them */
	/* private from here on */
	struct objstore store;
	struct list calls;
	bool dead; /* cut off from the bucket */
	unsigned incarnation, spawned;
	char directory[96];
	uint64_t random;
	struct vfs_handle *handles[CORE_HANDLES];
};

struct core_world {
	struct executor_virtual *virtual;
	struct executor *executor;
	struct objstore_memory *memory;
	struct core_node nodes[CORE_NODES];
	struct core_node *node; /* the first one; started by most tests alone */
	/* private from here on */
	struct fiber_pool *fibers;
	void (*body)(struct core_world *world);
	bool ended;
	char directory[64];
	int hold_op, before_op;
	const char *hold_key;
	void (*interfere)(struct core_world *world);
};

int core_setup(void **state);
int core_teardown(void **state);
void core_test(void **state);
/* body: void name(struct core_world *world), with world->node started. */
#define CORE_TEST(name)                                                                            \
	{                                                                                          \
#name, core_test, core_setup, core_teardown, (void *)(name)                        \
	}

/* Opens journal and vfs as config says, on what the node's disk and journal hold; recovers. */
void core_start(struct core_node *node);
/* The same without vfs_recover. */
void core_load(struct core_node *node);
/* A clean end. Nothing may be dirty, no handle open. */
void core_stop(struct core_node *node);
/* Kill -9, in effect at once; then the node runs again. Requests that have not taken effect never
 * will. What the journal was given counts as committed, unless core_stop_journal came before. */
void core_crash(struct core_node *node);
void core_crash_only(struct core_node *node); /* down, until core_start */
void core_power_loss(struct core_node *node);
/* From now on nothing reaches the node's journal (until the node crashes). */
void core_stop_journal(struct core_node *node);

void core_sleep(struct core_world *world, uint64_t ns);
/* Runs entry(argument) in a fiber of the node. */
void core_spawn(struct core_node *node, void (*entry)(void *argument), void *argument);
/* Until nothing is dirty and nothing under way on the node; fails the test after limit. */
void core_drain(struct core_node *node);

/* Requests of a kind (op -1: any) for the key (NULL: any) are held from now on. */
void core_hold(struct core_world *world, int op, const char *key);
void core_await_held(struct core_world *world); /* until one is held; fails after a virtual hour */
void core_hold_no_more(struct core_world *world); /* what is held stays held */
void core_release(struct core_world *world);
/* Called once, when the next request of that kind is about to take effect. */
void core_interfere(struct core_world *world, int op, void (*interfere)(struct core_world *world));

unsigned core_requests(const struct core_node *node); /* sum of count */
void core_zero(struct core_node *node);		      /* sets count to 0 */

#endif

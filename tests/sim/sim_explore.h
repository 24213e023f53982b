/* sim_explore.h — runs a history, and from each of its moments recovers what a crash would leave.
 */
#ifndef TESTS_SIM_SIM_EXPLORE_H
#define TESTS_SIM_SIM_EXPLORE_H

#include "tests/sim/sim_check.h"
#include "tests/sim/sim_world.h"

/* After which kind of crash, and what became of requests under way. */
enum sim_image {
	IMAGE_KILL_NONE, /* no request under way took effect */
	IMAGE_KILL_ALL,	 /* each did */
	IMAGE_KILL_LATE, /* each does while the next mount recovers */
	IMAGE_DROP,
	IMAGE_PREFIX,
	IMAGE_SUBSET,
	IMAGE_TORN_512,
	IMAGE_TORN_4K,
	IMAGES,
};

struct sim_options {
	enum publish_mode close, fsync;
	uint64_t seed;
	uint64_t journal_pause;	    /* ns between a record and its commit */
	unsigned stride;	    /* every how many-th moment; from a random one on */
	int only_crash, only_image; /* -1: all */
	const char *label;	    /* what reproduces the history */
	bool verbose;
};

struct sim_counts {
	uint64_t histories, moments, states, recrashed, violations;
};

/* base: what is in the bucket before, trees[0] of the history. */
void sim_explore(struct sim_world *world, struct sim_history *history,
		 const struct sim_options *options, struct sim_counts *counts);

#endif

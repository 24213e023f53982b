/* sim_nodes.h — one to three nodes and another S3 client that change the same files, while nodes
 * are killed or lose power, and requests fail or take effect late: by seed.
 */
#ifndef TESTS_SIM_SIM_NODES_H
#define TESTS_SIM_SIM_NODES_H

#include "tests/sim/sim_explore.h"

/* One run for each seed first, first + step, .. below first + count. large: a file of some hundred
 * bytes goes in parts, and is changed without being here whole. A violation is printed as the
 * arguments that repeat it. */
void sim_nodes(struct sim_world *world, uint64_t first, unsigned count, unsigned part,
	       unsigned parts, bool large, bool verbose, struct sim_counts *counts);

#endif

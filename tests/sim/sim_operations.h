/* sim_operations.h — the operations that histories are made of: each a few steps, on names of
 * sim_tree.h. */
#ifndef TESTS_SIM_SIM_OPERATIONS_H
#define TESTS_SIM_SIM_OPERATIONS_H

#include "tests/sim/sim_history.h"

/* The first are of small files; large: those of files that go in parts as well. */
int sim_operation_count(bool large);
const char *sim_operation_name(int operation);
int sim_operation_find(const char *name); /* -1: none */

/* What there is before: f (5,000 bytes), e, d/x; large: b (30,000) as well. */
void sim_operations_base(struct sim_history *history, bool large);
/* handle: which of the two it uses. stay_open: its close is left to the caller. */
void sim_operation_add(struct sim_history *history, int operation, int handle, bool stay_open);

#endif

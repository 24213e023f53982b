/* sim_errors.h — a history in which the calls of the environment fail, and what comes of it. */
#ifndef TESTS_SIM_SIM_ERRORS_H
#define TESTS_SIM_SIM_ERRORS_H

#include "tests/sim/sim_explore.h"

enum sim_fault {
	FAULT_DISK_IO,	  /* data files: EIO */
	FAULT_DISK_FULL,  /* data files: ENOSPC */
	FAULT_JOURNAL_IO, /* the journal's files */
	FAULT_JOURNAL_FULL,
	FAULT_REQUEST_REFUSED, /* 5xx to the end: no effect */
	FAULT_REQUEST_DENIED,  /* 403 */
	FAULT_REQUEST_BUSY,    /* 409 */
	FAULT_REQUEST_LOST,    /* nobody knows; it had no effect */
	FAULT_REPLY_LOST,      /* nobody knows; it had one */
	FAULT_REQUEST_LATE,    /* nobody knows; it has one later */
	FAULT_MEMORY,	       /* an allocation; only in the program made for it */
	FAULTS,
};
const char *sim_fault_name(enum sim_fault fault);
/* What a call that fails so returns, and what becomes of it if it is a request. */
int sim_fault_apply(enum sim_fault fault, enum sim_fate *fate);

/* Runs the history again and again; in the nth run the nth call of that kind fails, once or until
 * the history has ended. only: one n; 0: all. */
void sim_errors(struct sim_world *world, struct sim_history *history,
		const struct sim_options *options, enum sim_fault fault, bool lasting, int only,
		struct sim_counts *counts);

#endif

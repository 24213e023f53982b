/* executor_virtual.h — an executor whose time moves only when nothing else is left to do.
 *
 * Tasks run in the order in which they were posted, timers by deadline and then in the order in
 * which they were set, so that one input gives one course of events. Threads: posting as executor.h
 * says; everything else is the owner thread's. Where other threads take part (the journal's), tell
 * through executor_virtual_expect when one of them owes a post: then the executor waits for it in
 * real time before it moves its own.
 */
#ifndef TESTS_UNIT_EXECUTOR_VIRTUAL_H
#define TESTS_UNIT_EXECUTOR_VIRTUAL_H

#include <stdbool.h>

#include "common/executor.h"

struct executor_virtual;

/* wall: ns since the epoch at the beginning. NULL: out of memory. */
struct executor_virtual *executor_virtual_create(int64_t wall);
/* Tasks and timers that are left are forgotten, not run. */
void executor_virtual_destroy(struct executor_virtual *virtual);
struct executor *executor_virtual_executor(struct executor_virtual *virtual);

/* owes: returns true while another thread will post for certain. At most 8 of them. */
void executor_virtual_expect(struct executor_virtual *virtual, bool (*owes)(void *context),
			     void *context);

/* Runs what is ready; time stands still. */
void executor_virtual_run_ready(struct executor_virtual *virtual);
/* Runs all tasks, and timers until none is left. */
void executor_virtual_run(struct executor_virtual *virtual);
/* The same until done returns true, looked at after each task and timer; false when nothing was
 * left to run, or the next timer is later than limit ns from now. */
bool executor_virtual_run_until(struct executor_virtual *virtual, bool (*done)(void *context),
				void *context, uint64_t limit);
/* Runs everything that is due in the next ns nanoseconds, then it is that late. */
void executor_virtual_advance(struct executor_virtual *virtual, uint64_t ns);
/* The wall clock jumps; monotonic time does not. */
void executor_virtual_shift_wall(struct executor_virtual *virtual, int64_t ns);
/* Timers that are set. */
size_t executor_virtual_timers(const struct executor_virtual *virtual);

#endif

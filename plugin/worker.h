/* worker.h — a few threads for calls that may block on a disk, so that the loop never does.
 *
 * Get must be answered from memory within milliseconds while another volume's state file waits for
 * a busy disk; so files and mount points are touched here and nowhere else once the loop runs.
 * worker_run belongs to fibers of the executor's owner thread.
 */
#ifndef PLUGIN_WORKER_H
#define PLUGIN_WORKER_H

#include "common/executor.h"

struct worker;

/* Errors: -errno of pthread_create, -ENOMEM. */
int worker_create(struct worker **out, struct executor *executor, unsigned threads);
/* No call may be under way. */
void worker_destroy(struct worker *worker);

/* Runs call(argument) on one of the threads and gives up the fiber until it has returned; what it
 * returned. argument belongs to the call meanwhile. */
int worker_run(struct worker *worker, int (*call)(void *argument), void *argument);

#endif

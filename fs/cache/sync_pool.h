/* sync_pool.h — waiting for the device, elsewhere: a few threads that call fdatasync while the
 * fiber that asked for it is parked.
 *
 * Threads: create, destroy and run belong to the owner thread of the executor; run in a fiber.
 */
#ifndef FS_CACHE_SYNC_POOL_H
#define FS_CACHE_SYNC_POOL_H

#include "common/executor.h"

struct sync_pool;

/* Errors: -ENOMEM, -errno of pthread_create. */
int sync_pool_create(struct sync_pool **out, struct executor *executor);
/* NULL allowed. No fiber may wait in sync_pool_run. Ends when the threads have. */
void sync_pool_destroy(struct sync_pool *pool);
/* fdatasync of fd, then, unless directory is -1, fsync of directory. Both descriptors must stay
 * open until it returns. Not interruptible, and as long as the device takes: what a process in D
 * state waits for has no deadline. Errors: -errno of either. */
int sync_pool_run(struct sync_pool *pool, int fd, int directory);

#endif

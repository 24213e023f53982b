/* disk_posix.h — the cache file system of a real machine: DIRECTORY/xx/ID, ID in 16 hexadecimal
 * digits, xx its last two.
 *
 * Keeps one descriptor per xx (256) for as long as it lives, so that nothing which is renamed or
 * linked later leads elsewhere and a sync needs no descriptor that might not be had. Data files are
 * 0600 and directories 0700. How many data files are open at once is the caller's affair. Threads:
 * two of its own wait for the device in sync; all signals are blocked there. disk.h says who may
 * call what.
 * Limits: one process uses a directory at a time; the caller sees to that.
 */
#ifndef FS_CACHE_DISK_POSIX_H
#define FS_CACHE_DISK_POSIX_H

#include "common/error.h"
#include "common/executor.h"
#include "fs/cache/disk.h"

/* Makes the directory and what is below it where missing, not what is above it. Fibers that sync
 * must run on executor, which outlives the disk. destroy: no file may be open. Errors, each with a
 * message: -errno of mkdir, open, pthread_create; -ENOTDIR; -EPERM when it belongs to someone else
 * or others may write to it; -ENOMEM. */
int disk_posix_create(struct disk **out, struct executor *executor, const char *directory,
		      struct error *error);

#endif

/* mounter.h — one s3mount process for each mounted volume, from its start to its end.
 *
 * Keys reach s3mount by an anonymous file in AWS's format, which it finds as /proc/self/fd/N: they
 * are in no argument, environment or file that others can read. It says by a descriptor when the
 * mount is ready. Owner thread; the calls that say so belong to fibers.
 */
#ifndef PLUGIN_MOUNTER_H
#define PLUGIN_MOUNTER_H

#include <stdbool.h>

#include "common/error.h"
#include "plugin/children.h"
#include "plugin/settings.h"
#include "plugin/worker.h"

/* Exit status of s3mount when changes are left in its cache, for the next mount to upload. */
enum { MOUNTER_EXIT_LEFT = 3 };

struct mounter_config {
	struct executor *executor;
	struct fiber_pool *pool;
	struct worker *worker;
	struct children *children;
	const struct settings *settings; /* outlives all mounts */
};

struct mount_plan {
	const char *volume; /* for the log; lives as long as the process */
	const struct definition *definition;
	const char *directory; /* is made */
	const char *cache;     /* is made */
	/* The process has ended by itself, or after mount_unmount or mount_end. Not after a failed
	 * start. It must not free the process. */
	void (*ended)(void *context, int status);
	void *context;
};

struct mount_process;

/* Starts s3mount and waits until the directory shows the bucket. After a failure, at the deadline
 * too, nothing of it is left. Errors: message set, mostly s3mount's own. Fiber. */
int mount_start(const struct mounter_config *config, const struct mount_plan *plan,
		uint64_t deadline, struct mount_process **out, struct error *error);
/* Unmounts and waits until the process has ended, which uploads what is left before. -ETIMEDOUT at
 * the deadline: it goes on. Fiber. */
int mount_unmount(struct mount_process *process, uint64_t deadline);
/* SIGTERM, which makes s3mount unmount and end within some seconds; SIGKILL at the deadline, which
 * loses nothing: its successor finds the journal. Fiber. */
void mount_end(struct mount_process *process, uint64_t deadline);
bool mount_is_running(const struct mount_process *process);
/* What `s3mount status --json` says, for the caller to free; NULL: nothing within 3 s. Fiber. */
char *mount_status(struct mount_process *process);
/* Of one that has ended. NULL is fine. */
void mount_free(struct mount_process *process);

/* Is nothing lost when the cache goes? Starting a mount takes that back until mount_mark_clean, for
 * a process that ended with status 0, or until the start fails. Both block on the disk; any thread.
 */
bool mount_cache_is_clean(const char *cache);
int mount_mark_clean(const char *cache);

/* Takes what is mounted there away, whatever state it is in; absent is success. Fiber. */
void mount_detach(const struct mounter_config *config, const char *directory);

#endif

/* interruption.h — signals of a program that waits for the reply to a request; internal to
 * fs/front.
 *
 * The kernel says that the caller has a signal (FUSE_INTERRUPT), once for each request and not
 * which. No program expects EINTR from fsync, close or read of a file, so only a signal that ends
 * the caller ends the request's interruptible waits: it has a SIGKILL pending, which is what the
 * kernel makes of every signal that kills, or closes its files because of one. A caller that
 * survived is looked at again every INTERRUPTION_POLL, as the kernel will not tell of what comes
 * later. Of one that cannot be seen, in a PID namespace that is not below ours, nobody knows; its
 * wait ends INTERRUPTION_GRACE after the signal.
 *
 * Threads: owner thread. An interruption lives as long as its request, in whose fiber it begins and
 * ends.
 */
#ifndef FS_FRONT_INTERRUPTION_H
#define FS_FRONT_INTERRUPTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/executor.h"
#include "common/fiber.h"

#define INTERRUPTION_POLL  (NSEC_PER_SEC / 2)
#define INTERRUPTION_GRACE (10 * NSEC_PER_SEC)

struct interruption {
	struct executor *executor;
	struct fiber *fiber;
	struct timer timer;
	pid_t caller;	/* the thread; 0: not to be seen */
	uint64_t grace; /* when the wait of one that cannot be seen ends; 0: no signal yet */
	bool any; /* every signal ends the wait: of a request that is made to be interrupted */
};

enum caller_state { CALLER_LIVES, CALLER_IS_KILLED, CALLER_UNKNOWN };

void interruption_begin(struct interruption *interruption, struct executor *executor);
void interruption_end(struct interruption *interruption);
/* The caller has a signal. */
void interruption_signal(struct interruption *interruption);

/* What the text of its /proc/PID/stat says of a thread. Pure. */
enum caller_state caller_state(const char *stat);

#endif

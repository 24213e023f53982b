/* children.h — the processes that the plugin starts, and the orphans that the kernel gives it as
 * PID 1.
 *
 * Owner thread; the calls that wait belong to fibers. Children get only the environment and the
 * descriptors that they are given, no signal blocked or ignored.
 */
#ifndef PLUGIN_CHILDREN_H
#define PLUGIN_CHILDREN_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/loop.h"

enum {
	CHILD_FD_FIRST = 3, /* where child_config.fds begin in the child */
	CHILD_FDS_MAX = 4,
	CHILD_LINE_BYTES_MAX = 2048, /* longer lines are cut */
};

struct children;
struct child;

struct child_config {
	const char *const *arguments;	/* [0] is the path of the program; NULL-terminated */
	const char *const *environment; /* NULL-terminated */
	const int *fds;			/* become CHILD_FD_FIRST and up; stay the caller's */
	unsigned fd_count;
	struct buf *output; /* what it writes to stdout, up to the limit of the buffer; NULL: as
			       stderr */
	/* Each line that it writes to stderr, without the newline. May be NULL. */
	void (*line)(void *context, const char *line);
	/* It has ended; status as of waitpid(2). After its last line, before child_wait returns.
	 * May be NULL. Not called from within child_start. */
	void (*ended)(void *context, int status);
	void *context;
};

/* Errors: -ENOMEM. */
int children_create(struct children **out, struct loop *loop);
/* Every child must have been freed. */
void children_destroy(struct children *children);
/* To be called on SIGCHLD. */
void children_reap(struct children *children);
/* To each that runs. Returns how many there are. */
unsigned children_signal_all(struct children *children, int number);
/* For descriptors beside stdout and stderr: the loop's watch for EPOLLIN. Errors: -errno. */
int children_watch(struct children *children, struct loop_watch *watch);
void children_unwatch(struct children *children, struct loop_watch *watch);

/* Errors: -errno of pipe or spawn, message set. The strings of config are needed during the call
 * only. */
int child_start(struct children *children, const struct child_config *config, struct child **out,
		struct error *error);
bool child_is_running(const struct child *child);
int child_status(const struct child *child);	    /* of one that has ended */
void child_signal(struct child *child, int number); /* no-op when it has ended */
/* 0, or -ETIMEDOUT at the deadline. Fiber. */
int child_wait(struct child *child, uint64_t deadline);
/* No callback comes any more. One that runs still is killed and reaped later. NULL is fine. */
void child_free(struct child *child);

/* "ended with exit status 1", "ended with signal 9 (Killed)". */
const char *child_describe_status(int status, char *out, size_t size);

#endif

/* proc.h — other programs: started without a shell, waited for with a deadline, ended for certain.
 *
 * A child gets the argument list, the environment and the descriptors that its specification names,
 * default signal dispositions, an empty signal mask, and nothing else of the parent. Everything but
 * proc_spawn and proc_watch blocks: not for the thread of an event loop, which watches the
 * descriptor of proc_watch instead.
 * Deadlines and durations are of CLOCK_MONOTONIC, in ns. Any thread. A process is waited for by one
 * owner.
 */
#ifndef COMMON_PROC_H
#define COMMON_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"

enum { PROC_TARGET_MAX = 63 };

/* The child sees fd under the number target, at most PROC_TARGET_MAX. */
struct proc_fd {
	int fd, target;
};

struct proc_spec {
	const char *program;	   /* a path; no search in PATH */
	char *const *arguments;	   /* NULL-terminated, with the name of the program */
	char *const *environment;  /* NULL-terminated; the whole of it */
	const struct proc_fd *fds; /* 0, 1 and 2 are /dev/null unless they are among them */
	size_t fd_count;
	bool new_session; /* setsid: signals to the parent's group or terminal do not reach it */
};

struct proc_status {
	bool exited; /* else ended by a signal */
	int code;    /* exit code or signal number */
};

/* Errors: -errno of posix_spawn (so -ENOENT for a missing program), -EINVAL for a bad target. */
int proc_spawn(const struct proc_spec *spec, pid_t *out);

/* A descriptor that becomes readable when the process ends, for loop_watch; the caller closes it.
 * Errors: -ENOSYS before Linux 5.3; -errno. */
int proc_watch(pid_t pid);

/* Takes the status of an ended child. Errors: -ETIMEDOUT (it lives on; a deadline of 0 only asks),
 * -ECHILD. */
int proc_wait(pid_t pid, uint64_t deadline, struct proc_status *status);

/* SIGTERM, and SIGKILL when it has not ended after grace. Errors: -ETIMEDOUT when even that does
 * not help within a few seconds (a process in the kernel's hands); -ECHILD. */
int proc_terminate(pid_t pid, uint64_t grace, struct proc_status *status);

/* Runs to the end. What it writes to its standard output and error is appended to out and errors
 * (NULL: /dev/null) up to their limits, which must be set; the rest is read and dropped, and that a
 * limit was reached is no failure. spec->fds may not have 1 or 2 where these are given. What
 * children of the child write after it has ended is not waited for. Errors: as proc_spawn;
 * -ETIMEDOUT: it was terminated, *status is valid. */
int proc_run(const struct proc_spec *spec, uint64_t deadline, struct buf *out, struct buf *errors,
	     struct proc_status *status);

/* "exit status 3", "signal 9 (Killed)". */
void proc_status_put(const struct proc_status *status, struct buf *out);

/* deadline for the functions above */
uint64_t proc_deadline(uint64_t from_now);

#endif

#include "common/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/executor.h"

enum {
	POLL_WITHOUT_PIDFD_MS = 20,
	KILL_SECONDS_MAX = 5,
	READ_CHUNK_BYTES = 4096,
	CHUNKS_PER_TURN =
		32, /* more than a pipe holds by default (pipe(7)): the last turn gets all of it */
	CAPTURES = 2,
	PROC_FDS_MAX = 16,
};
#define GRACE_AFTER_DEADLINE (2 * NSEC_PER_SEC)

uint64_t proc_deadline(uint64_t from_now)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec + from_now;
}

static int milliseconds_until(uint64_t deadline)
{
	const uint64_t now = proc_deadline(0);
	uint64_t ms;

	if (deadline <= now)
		return 0;
	ms = (deadline - now - 1) / NSEC_PER_MSEC + 1;
	return ms > 60 * 1000 ? 60 * 1000 : (int)ms;
}

/* Sources are copied above all targets first, so that no dup2 overwrites a source that is still
 * needed; the copies close themselves at execve. */
static int add_descriptors(posix_spawn_file_actions_t *actions, const struct proc_spec *spec,
			   int copies[PROC_FDS_MAX])
{
	bool taken[PROC_TARGET_MAX + 1] = {false};
	int err = 0;

	for (size_t i = 0; i < spec->fd_count; i++) {
		const int target = spec->fds[i].target;

		if (target < 0 || target > PROC_TARGET_MAX || taken[target])
			return -EINVAL;
		taken[target] = true;
		copies[i] = fcntl(spec->fds[i].fd, F_DUPFD_CLOEXEC, PROC_TARGET_MAX + 1);
		if (copies[i] < 0)
			return -errno;
		err = posix_spawn_file_actions_adddup2(actions, copies[i], target);
		if (err)
			return -err;
	}
	for (int fd = 0; !err && fd <= PROC_TARGET_MAX; fd++) {
		if (taken[fd])
			continue;
		/* Libraries may have opened descriptors without O_CLOEXEC. */
		err = fd <= 2 ? posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR,
								 0)
			      : posix_spawn_file_actions_addclose(actions, fd);
	}
	if (!err)
		err = posix_spawn_file_actions_addclosefrom_np(actions, PROC_TARGET_MAX + 1);
	return -err;
}

static int set_attributes(posix_spawnattr_t *attributes, bool new_session)
{
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	if (new_session)
		flags |= POSIX_SPAWN_SETSID;
	err = posix_spawnattr_setsigmask(attributes, &none);
	if (!err)
		err = posix_spawnattr_setsigdefault(attributes, &all);
	if (!err)
		err = posix_spawnattr_setflags(attributes, flags);
	return -err;
}

int proc_spawn(const struct proc_spec *spec, pid_t *out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int copies[PROC_FDS_MAX];
	int err;

	if (spec->fd_count > PROC_FDS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < PROC_FDS_MAX; i++)
		copies[i] = -1;
	err = posix_spawn_file_actions_init(&actions);
	if (err)
		return -err;
	err = posix_spawnattr_init(&attributes);
	if (err) {
		posix_spawn_file_actions_destroy(&actions);
		return -err;
	}
	err = add_descriptors(&actions, spec, copies);
	if (!err)
		err = set_attributes(&attributes, spec->new_session);
	if (!err)
		err = -posix_spawn(out, spec->program, &actions, &attributes, spec->arguments,
				   spec->environment);
	for (size_t i = 0; i < PROC_FDS_MAX; i++)
		if (copies[i] >= 0)
			close(copies[i]);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return err;
}

int proc_watch(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

/* 1: ended and taken, 0: lives. */
static int try_wait(pid_t pid, struct proc_status *status)
{
	pid_t got;
	int word;

	do
		got = waitpid(pid, &word, WNOHANG);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got < 0 ? -errno : 0;
	status->exited = WIFEXITED(word);
	status->code = status->exited ? WEXITSTATUS(word) : WTERMSIG(word);
	return 1;
}

int proc_wait(pid_t pid, uint64_t deadline, struct proc_status *status)
{
	int fd = -1, result = try_wait(pid, status);
	struct pollfd watched;

	if (result == 0)
		fd = proc_watch(pid);
	while (result == 0) {
		int ms = milliseconds_until(deadline);

		if (ms == 0) {
			result = -ETIMEDOUT;
			break;
		}
		if (fd < 0 && ms > POLL_WITHOUT_PIDFD_MS)
			ms = POLL_WITHOUT_PIDFD_MS;
		watched = (struct pollfd){.fd = fd, .events = POLLIN};
		poll(&watched, 1, ms);
		result = try_wait(pid, status);
	}
	if (fd >= 0)
		close(fd);
	return result < 0 ? result : 0;
}

int proc_terminate(pid_t pid, uint64_t grace, struct proc_status *status)
{
	int err = proc_wait(pid, 0, status);

	/* While it has not been waited for its number cannot be another's. */
	if (err == -ETIMEDOUT && kill(pid, SIGTERM) == 0)
		err = proc_wait(pid, proc_deadline(grace), status);
	if (err == -ETIMEDOUT && kill(pid, SIGKILL) == 0)
		err = proc_wait(pid, proc_deadline(KILL_SECONDS_MAX * NSEC_PER_SEC), status);
	return err;
}

/* One stream of the child. */
struct capture {
	struct buf *out;
	int fd; /* our end of the pipe; -1: at its end */
};

/* Reads what is there; not for ever, if the child writes as fast as this reads. */
static void drain(struct capture *capture)
{
	char chunk[READ_CHUNK_BYTES];
	ssize_t n;

	for (int i = 0; i < CHUNKS_PER_TURN && capture->fd >= 0; i++) {
		size_t room = capture->out->limit - capture->out->len;

		n = read(capture->fd, chunk, sizeof(chunk));
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			close(capture->fd);
			capture->fd = -1;
			return;
		}
		buf_append(capture->out, chunk, (size_t)n < room ? (size_t)n : room);
	}
}

/* Until the child has ended or the deadline. As proc_wait. */
static int follow(pid_t pid, uint64_t deadline, struct capture captures[CAPTURES],
		  struct proc_status *status)
{
	const int watch = proc_watch(pid);
	int result;

	for (;;) {
		struct pollfd watched[CAPTURES + 1] = {{.fd = captures[0].fd, .events = POLLIN},
						       {.fd = captures[1].fd, .events = POLLIN},
						       {.fd = watch, .events = POLLIN}};
		int ms = milliseconds_until(deadline);

		result = try_wait(pid, status);
		/* After the end, so that what it wrote last is in the pipe. */
		for (int i = 0; i < CAPTURES; i++)
			drain(&captures[i]);
		if (result == 0 && ms == 0)
			result = -ETIMEDOUT;
		if (result != 0)
			break;
		if (watch < 0 && ms > POLL_WITHOUT_PIDFD_MS)
			ms = POLL_WITHOUT_PIDFD_MS;
		poll(watched, CAPTURES + 1, ms);
	}
	if (watch >= 0)
		close(watch);
	return result < 0 ? result : 0;
}

static int open_captures(struct capture captures[CAPTURES], int theirs[CAPTURES])
{
	for (int i = 0; i < CAPTURES; i++) {
		int ends[2];

		if (!captures[i].out)
			continue;
		CHECK(captures[i].out->limit >= captures[i].out->len);
		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		captures[i].fd = ends[0];
		theirs[i] = ends[1];
		/* Only our end: the child's must block. */
		if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
			return -errno;
	}
	return 0;
}

int proc_run(const struct proc_spec *spec, uint64_t deadline, struct buf *out, struct buf *errors,
	     struct proc_status *status)
{
	struct capture captures[CAPTURES] = {{out, -1}, {errors, -1}};
	int theirs[CAPTURES] = {-1, -1};
	struct proc_fd fds[PROC_FDS_MAX];
	struct proc_spec extended = *spec;
	pid_t pid;
	int err;

	*status = (struct proc_status){false, SIGKILL};
	if (spec->fd_count > PROC_FDS_MAX - CAPTURES)
		return -EINVAL;
	err = open_captures(captures, theirs);
	if (spec->fd_count)
		memcpy(fds, spec->fds, spec->fd_count * sizeof(*fds));
	extended.fds = fds;
	for (int i = 0; i < CAPTURES; i++)
		if (theirs[i] >= 0)
			fds[extended.fd_count++] = (struct proc_fd){theirs[i], i + 1};
	if (!err)
		err = proc_spawn(&extended, &pid);
	for (int i = 0; i < CAPTURES; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	if (!err) {
		err = follow(pid, deadline, captures, status);
		if (err == -ETIMEDOUT)
			proc_terminate(pid, GRACE_AFTER_DEADLINE, status);
	}
	for (int i = 0; i < CAPTURES; i++)
		if (captures[i].fd >= 0)
			close(captures[i].fd);
	return err;
}

void proc_status_put(const struct proc_status *status, struct buf *out)
{
	if (status->exited)
		buf_printf(out, "exit status %d", status->code);
	else
		buf_printf(out, "signal %d (%s)", status->code, strsignal(status->code));
}

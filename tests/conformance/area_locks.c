/* area_locks.c — flock(2), fcntl(2) locks of a process and of an open file, between descriptors and
 * between processes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

/* An attempt in another process: 0 or errno. The child has its own open file. */
static int in_child(int (*attempt)(int fd))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		int fd = open("file", O_RDWR | O_CLOEXEC);

		_exit(attempt(fd) < 0 ? errno : 0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -1;
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static int lock(int fd, int command, short type, off_t start, off_t len)
{
	struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	return fcntl(fd, command, &range);
}

static int flock_exclusive(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB);
}

static int flock_shared(int fd)
{
	return flock(fd, LOCK_SH | LOCK_NB);
}

static int write_lock_head(int fd)
{
	return lock(fd, F_SETLK, F_WRLCK, 0, 10);
}

static int read_lock_head(int fd)
{
	return lock(fd, F_SETLK, F_RDLCK, 0, 10);
}

static int write_lock_tail(int fd)
{
	return lock(fd, F_SETLK, F_WRLCK, 10, 0);
}

static int write_lock_open_file(int fd)
{
	return lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10);
}

static void whole_files(const struct run *run)
{
	int one = fixture_open(run, "file", FILE_CONTENT), two;

	two = (int)need(run, open("file", O_RDWR), "open");
	record(run, flock(one, LOCK_SH | LOCK_NB), "shared");
	record(run, flock(two, LOCK_SH | LOCK_NB), "shared by another");
	record(run, flock(one, LOCK_EX | LOCK_NB), "upgrade while shared");
	record(run, flock(two, LOCK_UN), "unlock the other");
	record(run, flock(one, LOCK_EX | LOCK_NB), "exclusive");
	record(run, flock(two, LOCK_SH | LOCK_NB), "shared against exclusive");
	record(run, in_child(flock_exclusive), "exclusive in a child");
	record(run, in_child(flock_shared), "shared in a child");
	record(run, flock(dup(one), LOCK_EX | LOCK_NB), "by a copy of the descriptor");
	record(run, flock(one, LOCK_UN), "unlock");
	record(run, in_child(flock_exclusive), "exclusive in a child then");
	record(run, flock(one, LOCK_UN), "unlock again");
	record(run, flock(one, 0), "no operation");
	record(run, flock(999, LOCK_SH), "a bad descriptor");
	record(run, flock(open("file", O_PATH), LOCK_SH), "O_PATH");
	record(run, flock(open("file", O_RDONLY), LOCK_EX | LOCK_NB), "exclusive by a reader");
	record(run, flock(open(".", O_RDONLY), LOCK_EX | LOCK_NB), "a directory");
	close(one);
	record(run, flock(two, LOCK_EX | LOCK_NB), "after close of the other");
}

static void ranges(const struct run *run)
{
	int fd = fixture_open(run, "file", FILE_CONTENT), second;

	record(run, lock(fd, F_SETLK, F_WRLCK, 0, 10), "write lock");
	record(run, in_child(write_lock_head), "write lock in a child");
	record(run, in_child(read_lock_head), "read lock in a child");
	record(run, in_child(write_lock_tail), "another range in a child");
	record(run, lock(fd, F_SETLK, F_RDLCK, 0, 10), "downgrade");
	record(run, in_child(read_lock_head), "read lock in a child then");
	record(run, in_child(write_lock_head), "write lock in a child then");
	record(run, lock(fd, F_SETLK, F_UNLCK, 0, 5), "unlock half");
	record(run, in_child(write_lock_head), "write lock over the other half");
	record(run, lock(fd, F_SETLK, F_UNLCK, 0, 0), "unlock all");
	record(run, in_child(write_lock_head), "write lock after that");
	record(run, lock(fd, F_SETLK, F_WRLCK, -1, 5), "at -1");
	record(run, lock(fd, F_SETLK, F_WRLCK, 5, -5), "backwards");
	record(run, lock(fd, F_SETLK, F_WRLCK, 5, -6), "before the start");
	record(run, lock(fd, F_SETLK, 99, 0, 1), "unknown type");
	record(run, lock(fd, F_SETLKW, F_WRLCK, 0, 1), "waiting, free");
	record(run, lock(fd, F_SETLK, F_WRLCK, 0, 10), "write lock again");
	second = (int)need(run, open("file", O_RDWR), "open");
	record(run, close(second), "close of another descriptor");
	record(run, in_child(write_lock_head), "which gave all locks up");
	record(run, lock(open("file", O_RDONLY), F_SETLK, F_WRLCK, 0, 1), "write lock by a reader");
	record(run, lock(open("file", O_WRONLY), F_SETLK, F_RDLCK, 0, 1), "read lock by a writer");
	record(run, lock(999, F_SETLK, F_WRLCK, 0, 1), "a bad descriptor");
}

static void queries(const struct run *run)
{
	struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 4};
	int one = fixture_open(run, "file", FILE_CONTENT), two;

	two = (int)need(run, open("file", O_RDWR), "open");
	record(run, lock(one, F_OFD_SETLK, F_RDLCK, 2, 6), "read lock");
	record(run, fcntl(two, F_OFD_GETLK, &range), "F_OFD_GETLK");
	record_value(run, range.l_type, "type");
	record_value(run, range.l_start, "start");
	record_value(run, range.l_len, "length");
	record_value(run, range.l_pid, "pid");
	range = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 4};
	record(run, fcntl(two, F_OFD_GETLK, &range), "F_OFD_GETLK for a read lock");
	record_value(run, range.l_type, "type for a read lock");
	range = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -2, .l_len = 1};
	record(run, fcntl(two, F_GETLK, &range), "F_GETLK from the end");
	record_value(run, range.l_type, "type from the end");
	range = (struct flock){.l_type = F_WRLCK, .l_pid = 1};
	record(run, fcntl(two, F_OFD_GETLK, &range), "F_OFD_GETLK with a pid");
}

static void open_files(const struct run *run)
{
	int one = fixture_open(run, "file", FILE_CONTENT), two;

	two = (int)need(run, open("file", O_RDWR), "open");
	record(run, lock(one, F_OFD_SETLK, F_WRLCK, 0, 10), "write lock");
	record(run, lock(two, F_OFD_SETLK, F_WRLCK, 0, 10), "by another open file");
	record(run, lock(two, F_OFD_SETLK, F_WRLCK, 10, 10), "of another range");
	record(run, lock(dup(one), F_OFD_SETLK, F_WRLCK, 0, 10), "by a copy");
	record(run, lock(two, F_SETLK, F_WRLCK, 0, 10), "of the process against it");
	record(run, in_child(write_lock_open_file), "in a child");
	record(run, close(open("file", O_RDONLY)), "close of another");
	record(run, in_child(write_lock_open_file), "which keeps it");
	record(run, lock(one, F_OFD_SETLK, F_UNLCK, 0, 0), "unlock");
	record(run, in_child(write_lock_open_file), "in a child then");
	record(run, flock(one, LOCK_EX | LOCK_NB), "flock");
	record(run, lock(two, F_OFD_SETLK, F_WRLCK, 0, 10), "which is another kind of lock");
}

static void leases(const struct run *run)
{
	int fd;

	fixture_file(run, "file", 0644, "");
	need(run, chown("file", run->actor->uid, run->actor->gid), "chown");
	fd = (int)need(run, open("file", O_RDONLY), "open");
	record(run, fcntl(fd, F_SETLEASE, F_RDLCK), "read lease");
	record_count(run, fcntl(fd, F_GETLEASE), "which it is");
	record(run, fcntl(fd, F_SETLEASE, F_UNLCK), "give it up");
}

static const struct conformance_case cases[] = {
	{"flock", whole_files, PASS_BOTH}, {"fcntl", ranges, PASS_BOTH},
	{"queries", queries, PASS_BOTH},   {"open-files", open_files, PASS_BOTH},
	{"leases", leases, PASS_BOTH},
};
const struct area area_locks = {"locks", cases, COUNT(cases)};

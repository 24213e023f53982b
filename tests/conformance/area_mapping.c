/* area_mapping.c — mmap(2), shared and private, and what reads and writes see of it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

enum { PAGE = 4096 };

static long map(int fd, int protection, int flags, off_t offset, char **out)
{
	void *at = mmap(NULL, PAGE, protection, flags, fd, offset);

	*out = at == MAP_FAILED ? NULL : at;
	return *out ? 0 : -1;
}

static void rights(const struct run *run)
{
	static const struct {
		const char *name;
		int mode;
	} modes[] = {
		{"O_RDONLY", O_RDONLY}, {"O_WRONLY", O_WRONLY},
		{"O_RDWR", O_RDWR},	{"O_RDWR+O_APPEND", O_RDWR | O_APPEND},
		{"O_PATH", O_PATH},
	};
	static const struct {
		const char *name;
		int flag;
	} kinds[] = {{"shared", MAP_SHARED},
		     {"private", MAP_PRIVATE},
		     {"validated", MAP_SHARED_VALIDATE}};

	fixture_file(run, "file", 0644, FILE_CONTENT);
	for (size_t i = 0; i < COUNT(modes); i++) {
		int fd = (int)need(run, open("file", modes[i].mode), "open");

		for (size_t j = 0; j < COUNT(kinds); j++) {
			char *at;

			record(run, map(fd, PROT_READ, kinds[j].flag, 0, &at), "%s %s read",
			       modes[i].name, kinds[j].name);
			record(run, map(fd, PROT_READ | PROT_WRITE, kinds[j].flag, 0, &at),
			       "%s %s write", modes[i].name, kinds[j].name);
			record(run, map(fd, PROT_READ | PROT_EXEC, kinds[j].flag, 0, &at),
			       "%s %s execute", modes[i].name, kinds[j].name);
			record(run, map(fd, PROT_NONE, kinds[j].flag, 0, &at), "%s %s nothing",
			       modes[i].name, kinds[j].name);
			record(run, map(fd, PROT_READ, kinds[j].flag, 1, &at), "%s %s at 1",
			       modes[i].name, kinds[j].name);
		}
		close(fd);
	}
}

static void shared(const struct run *run)
{
	int fd = fixture_open(run, "file", "0123456789"), other;
	char *at, *second, text[16];

	other = (int)need(run, open("file", O_RDWR), "open");
	record(run, map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &at), "map");
	record(run, map(other, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &second), "map again");
	if (!at || !second)
		return;
	record_bytes(run, at, 12, "content and what follows it");
	at[0] = 'M';
	record_bytes(run, second, 4, "seen in the other");
	record_bytes(run, text, pread(other, text, 4, 0), "seen by read");
	record_count(run, pwrite(other, "W", 1, 1), "write");
	record_bytes(run, at, 4, "seen in the map");
	record(run, msync(at, PAGE, MS_SYNC), "msync");
	record(run, msync(at, PAGE, MS_ASYNC), "msync MS_ASYNC");
	record(run, msync(at, PAGE, MS_INVALIDATE), "msync MS_INVALIDATE");
	at[11] = '!'; /* behind the end: not part of the file */
	record(run, msync(at, PAGE, MS_SYNC), "msync of what is behind the end");
	record_value(run, fixture_stat(run, "file").st_size, "size");
	record(run, ftruncate(fd, 20), "lengthen");
	record_bytes(run, text, pread(other, text, 16, 8), "what was behind the end");
	record(run, close(fd), "close");
	at[2] = 'C';
	record_bytes(run, text, pread(other, text, 4, 0), "written after close");
	record(run, munmap(at, PAGE), "munmap");
	record(run, unlink("file"), "unlink");
	second[3] = 'U';
	record(run, msync(second, PAGE, MS_SYNC), "msync after unlink");
	record_bytes(run, text, pread(other, text, 4, 0), "written after unlink");
}

static void private_map(const struct run *run)
{
	int fd = fixture_open(run, "file", "0123456789");
	char *at, text[16];

	record(run, map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, &at), "map");
	if (!at)
		return;
	at[0] = 'P';
	record_bytes(run, text, pread(fd, text, 4, 0), "not seen by read");
	record_count(run, pwrite(fd, "WW", 2, 0), "write");
	record_bytes(run, at, 2, "the private page stays");
	record(run, munmap(at, PAGE), "munmap");
	record_bytes(run, text, pread(fd, text, 4, 0), "content");
}

/* Signal of a child that reads one byte there, or 0. */
static int touch(const char *at)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		*(volatile const char *)at;
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -1;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void behind_the_end(const struct run *run)
{
	int fd = fixture_open(run, "file", FILE_CONTENT);
	char *at = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return;
	record_truth(run, touch(at) == 0, "the first page can be read");
	record_truth(run, touch(at + PAGE) == SIGBUS, "the page behind the end is SIGBUS");
	record(run, ftruncate(fd, 2 * PAGE), "lengthen");
	record_truth(run, touch(at + PAGE) == 0, "now it can be read");
	record_truth(run, touch(at + 2 * PAGE) == SIGBUS, "the next cannot");
	record(run, ftruncate(fd, 0), "empty");
	record_truth(run, touch(at) == SIGBUS, "the first page cannot be read then");
}

/* Pages that were written by a mapping are what the next open reads. */
static void kept(const struct run *run)
{
	int fd = fixture_open(run, "file", "");
	char text[8], *at;

	need(run, ftruncate(fd, PAGE), "ftruncate");
	record(run, map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &at), "map");
	if (!at)
		return;
	memcpy(at + 100, "mapped", sizeof("mapped"));
	record(run, munmap(at, PAGE), "munmap");
	record(run, close(fd), "close");
	fd = (int)need(run, open("file", O_RDONLY), "open");
	record_bytes(run, text, pread(fd, text, 6, 100), "content");
	record_value(run, fixture_stat(run, "file").st_size, "size");
}

/* Through a file that is open for appending: what a mapping holds has its place all the same. */
static void appender(const struct run *run)
{
	int fd = fixture_open(run, "file", "0123456789"), other = fd;
	char *at, text[16];

	fd = (int)need(run, open("file", O_RDWR | O_APPEND), "open");
	record(run, map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &at), "map");
	if (!at)
		return;
	at[1] = 'M';
	record(run, msync(at, PAGE, MS_SYNC), "msync");
	record_bytes(run, text, pread(other, text, 16, 0), "by another");
	record_count(run, write(fd, "end", 3), "append");
	record_bytes(run, at, 14, "in the mapping after that");
	at[2] = 'N';
	record_bytes(run, text, pread(fd, text, 16, 0), "by the same");
	record_count(run, pwrite(other, "X", 1, 3), "write by another");
	record_bytes(run, at, 14, "in the mapping then");
	record(run, munmap(at, PAGE), "munmap");
	record_bytes(run, text, pread(other, text, 16, 0), "content");
}

static void execution(const struct run *run)
{
	int fd = fixture_open(run, "program", "#!/bin/true\n"), status;
	pid_t child;

	need(run, fchmod(fd, 0755), "fchmod");
	child = fork();
	if (child == 0) {
		execl("./program", "program", (char *)NULL);
		_exit(errno == ETXTBSY ? 100 : 101);
	}
	need(run, waitpid(child, &status, 0), "waitpid");
	record_value(run, WEXITSTATUS(status), "while it is open for writing");
	close(fd);
	child = fork();
	if (child == 0) {
		execl("./program", "program", (char *)NULL);
		_exit(101);
	}
	need(run, waitpid(child, &status, 0), "waitpid");
	record_value(run, WEXITSTATUS(status), "when nobody writes");
}

static const struct conformance_case cases[] = {
	{"rights", rights, PASS_BOTH},	     {"shared", shared, PASS_BOTH},
	{"private", private_map, PASS_BOTH}, {"behind-the-end", behind_the_end, PASS_BOTH},
	{"kept", kept, PASS_BOTH},	     {"appender", appender, PASS_BOTH},
	{"execution", execution, PASS_BOTH},
};
const struct area area_mapping = {"mapping", cases, COUNT(cases)};

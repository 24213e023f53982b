/* area_directory.c — readdir(3), its positions, and entries that come and go meanwhile. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

enum { MANY = 150, SMALL_BUFFER = 512 };

static int compare(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Names and types, sorted, as one text. */
static void record_entries(const struct run *run, const char *path, const char *step)
{
	struct dirent **entries;
	char text[1024];
	size_t used = 0;
	int count = scandir(path, &entries, NULL, compare);

	for (int i = 0; i < count; i++) {
		if (used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s:%d ",
						 entries[i]->d_name, entries[i]->d_type);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	record_bytes(run, text, count < 0 ? -1 : (long)used, "%s", step);
}

static void types(const struct run *run)
{
	char name[32];

	fixture_directory(run, "d", 0755);
	record_entries(run, "d", "empty");
	need(run, chdir("d"), "chdir");
	for (enum kind kind = KIND_FILE; kind < KIND_COUNT; kind++) {
		snprintf(name, sizeof(name), "%s", kind_name(kind));
		fixture_make(run, kind, name);
	}
	need(run, chdir(".."), "chdir");
	record_entries(run, "d", "of all kinds");
	record_entries(run, "d/file", "of a file");
	record_entries(run, "d/link-to-directory", "through a link");
	record_entries(run, "missing", "of nothing");
	need(run, rename("d/file", "d/renamed"), "rename");
	need(run, unlink("d/fifo"), "unlink");
	record_entries(run, "d", "after a rename and an unlink");
}

static void numbers(const struct run *run)
{
	struct dirent *entry;
	struct stat st;
	DIR *directory;

	fixture_directory(run, "d", 0755);
	fixture_file(run, "d/file", 0644, "");
	fixture_directory(run, "d/sub", 0755);
	directory = opendir("d");
	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		need(run, fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW),
		     "stat");
		record_truth(run, st.st_ino == entry->d_ino, "inode of %s", entry->d_name);
	}
	closedir(directory);
}

static void fill(const struct run *run, int from, int to)
{
	char path[32];

	for (int i = from; i < to; i++) {
		snprintf(path, sizeof(path), "d/%04d", i);
		need(run, mknod(path, S_IFREG | 0644, 0), "mknod");
	}
}

static void note(const char *name, int *seen)
{
	long number = strtol(name, NULL, 10);

	if (name[0] != '.' && number >= 0 && number < 2 * MANY)
		seen[number]++;
}

/* Reads on, in small pieces, so that nothing is read ahead here; how many entries there were. */
static int read_some(int fd, int *seen, int most)
{
	char buffer[SMALL_BUFFER] __attribute__((aligned(8)));
	int count = 0;
	long got = 1;

	while (count < most && (got = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < got; count++) {
			const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);

			note(entry->d_name, seen);
			at += entry->d_reclen;
		}
	}
	return got < 0 ? -1 : count;
}

static int open_directory(const struct run *run, const char *path)
{
	return (int)need(run, open(path, O_RDONLY | O_DIRECTORY), "open");
}

static void record_seen(const struct run *run, const int *seen, int from, int to, const char *step)
{
	int once = 0, more = 0;

	for (int i = from; i < to; i++) {
		once += seen[i] == 1;
		more += seen[i] > 1;
	}
	record_truth(run, once == to - from, "%s: each once", step);
	record_value(run, more, "%s: more than once", step);
}

static void while_entries_go(const struct run *run)
{
	int seen[2 * MANY] = {0}, second[2 * MANY] = {0}, fd;
	char path[32];

	fixture_directory(run, "d", 0755);
	fill(run, 0, MANY);
	fd = open_directory(run, "d");
	read_some(fd, seen, 20);
	/* What is removed may or may not be seen; what stays must be. */
	for (int i = 0; i < MANY; i += 3) {
		snprintf(path, sizeof(path), "d/%04d", i);
		need(run, unlink(path), "unlink");
	}
	fill(run, MANY, MANY + 50);
	read_some(fd, seen, 10 * MANY);
	for (int i = 0; i < MANY; i += 3)
		seen[i] = 1;
	record_seen(run, seen, 0, MANY, "what stayed");
	need(run, lseek(fd, 0, SEEK_SET), "lseek");
	record_value(run, read_some(fd, second, 10 * MANY), "entries from the start");
	record_seen(run, second, MANY, MANY + 50, "what came");
	record_truth(run, second[0] == 0 && second[3] == 0, "what went is not there");
}

static int read_on(DIR *directory, int *seen)
{
	struct dirent *entry;
	int count = 0;

	for (; (entry = readdir(directory)); count++)
		note(entry->d_name, seen);
	return count;
}

static void positions(const struct run *run)
{
	int seen[2 * MANY] = {0}, again[2 * MANY] = {0};
	DIR *directory;
	long here;

	fixture_directory(run, "d", 0755);
	fill(run, 0, 50);
	directory = opendir("d");
	if (!directory)
		return;
	record_truth(run, telldir(directory) == 0, "the first position is 0");
	for (int i = 0; i < 20; i++)
		(void)readdir(directory);
	here = telldir(directory);
	record_value(run, read_on(directory, seen), "entries behind it");
	seekdir(directory, here);
	record_value(run, read_on(directory, again), "entries behind it again");
	record_truth(run, memcmp(seen, again, sizeof(seen)) == 0, "the same ones");
	seekdir(directory, 0);
	memset(again, 0, sizeof(again));
	record_value(run, read_on(directory, again), "entries from the start");
	record_seen(run, again, 0, 50, "from the start");
	record_value(run, read_on(directory, again), "entries at the end");
	rewinddir(directory);
	record_value(run, read_on(directory, again), "entries after rewinddir");
	closedir(directory);
}

/* rm -rf: reads, removes what it has read, reads on. */
static void removing_while_reading(const struct run *run)
{
	int fd, removed = 0, before;

	fixture_directory(run, "d", 0755);
	fill(run, 0, MANY);
	fd = open_directory(run, "d");
	do {
		int seen[2 * MANY] = {0};

		before = removed;
		read_some(fd, seen, 1);
		for (int i = 0; i < MANY; i++) {
			char name[16];

			snprintf(name, sizeof(name), "%04d", i);
			removed += seen[i] && unlinkat(fd, name, 0) == 0;
		}
	} while (removed > before);
	record_value(run, removed, "removed");
	record(run, rmdir("d"), "rmdir");
}

static void descriptors(const struct run *run)
{
	int fd = (int)need(run, open(".", O_RDONLY | O_DIRECTORY), "open"), file;
	char text[64];

	file = fixture_open(run, "file", FILE_CONTENT);
	record(run, read(fd, text, 1), "read a directory");
	record(run, pread(fd, text, 1, 0), "pread a directory");
	record(run, write(fd, "x", 1), "write a directory");
	record(run, lseek(fd, 0, SEEK_SET), "lseek to the start");
	record(run, lseek(fd, -1, SEEK_SET), "lseek to -1");
	record(run, syscall(SYS_getdents64, fd, text, 1), "getdents64 of 1 byte");
	record(run, syscall(SYS_getdents64, fd, bad_address(), 4096),
	       "getdents64 to a bad address");
	record(run, syscall(SYS_getdents64, file, text, sizeof(text)), "getdents64 of a file");
	record(run, syscall(SYS_getdents64, 999, text, sizeof(text)),
	       "getdents64 of a bad descriptor");
	record(run, fdopendir(file) ? 0 : -1, "fdopendir of a file");
	record(run, fchdir(file), "fchdir to a file");
	record(run, fchdir(fd), "fchdir");
	record(run, fchdir(999), "fchdir to a bad descriptor");
}

static void of_removed(const struct run *run)
{
	int seen[2 * MANY] = {0}, fd;

	fixture_directory(run, "d", 0755);
	fill(run, 0, 3);
	fd = open_directory(run, "d");
	for (int i = 0; i < 3; i++) {
		char path[32];

		snprintf(path, sizeof(path), "d/%04d", i);
		need(run, unlink(path), "unlink");
	}
	need(run, rmdir("d"), "rmdir");
	record_value(run, read_some(fd, seen, 10), "entries of a removed directory");
	need(run, lseek(fd, 0, SEEK_SET), "lseek");
	record_value(run, read_some(fd, seen, 10), "entries from the start");
}

static const struct conformance_case cases[] = {
	{"types", types, PASS_BOTH},
	{"numbers", numbers, PASS_BOTH},
	{"while-entries-go", while_entries_go, PASS_BOTH},
	{"positions", positions, PASS_BOTH},
	{"removing", removing_while_reading, PASS_BOTH},
	{"descriptors", descriptors, PASS_BOTH},
	{"of-removed", of_removed, PASS_BOTH},
};
const struct area area_directory = {"directory", cases, COUNT(cases)};

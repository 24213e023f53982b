/* area_descriptors.c — the calls that begin at a descriptor, with one of each kind. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static long do_openat(int fd, const char *path)
{
	return openat(fd, path, O_RDONLY | O_CLOEXEC);
}

static long do_createat(int fd, const char *path)
{
	return openat(fd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
}

static long do_mkdirat(int fd, const char *path)
{
	return mkdirat(fd, path, 0755);
}

static long do_mknodat(int fd, const char *path)
{
	return mknodat(fd, path, S_IFIFO | 0644, 0);
}

static long do_symlinkat(int fd, const char *path)
{
	return symlinkat("anything", fd, path);
}

static long do_linkat(int fd, const char *path)
{
	return linkat(fd, path, AT_FDCWD, "linked", 0);
}

static long do_unlinkat(int fd, const char *path)
{
	return unlinkat(fd, path, 0);
}

static long do_rmdirat(int fd, const char *path)
{
	return unlinkat(fd, path, AT_REMOVEDIR);
}

static long do_renameat(int fd, const char *path)
{
	return renameat(fd, path, AT_FDCWD, "renamed");
}

static long do_renameat_to(int fd, const char *path)
{
	return renameat(AT_FDCWD, "spare", fd, path);
}

static long do_fchmodat(int fd, const char *path)
{
	return fchmodat(fd, path, 0755, 0);
}

static long do_fchownat(int fd, const char *path)
{
	return fchownat(fd, path, (uid_t)-1, (gid_t)-1, 0);
}

static long do_fchownat_empty(int fd, const char *path)
{
	return fchownat(fd, path, (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH);
}

static long do_fstatat(int fd, const char *path)
{
	struct stat st;

	return fstatat(fd, path, &st, 0);
}

static long do_fstatat_empty(int fd, const char *path)
{
	struct stat st;

	return fstatat(fd, path, &st, AT_EMPTY_PATH);
}

static long do_statx(int fd, const char *path)
{
	struct statx st;

	return statx(fd, path, 0, STATX_BASIC_STATS, &st);
}

static long do_faccessat(int fd, const char *path)
{
	return faccessat(fd, path, R_OK, 0);
}

static long do_utimensat(int fd, const char *path)
{
	return utimensat(fd, path, NULL, 0);
}

static long do_readlinkat(int fd, const char *path)
{
	char text[64];

	return readlinkat(fd, path, text, sizeof(text));
}

static long do_handle(int fd, const char *path)
{
	struct {
		struct file_handle handle;
		unsigned char bytes[MAX_HANDLE_SZ];
	} room = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
	int mount;

	return name_to_handle_at(fd, path, &room.handle, &mount, 0);
}

static const struct {
	const char *name;
	long (*call)(int fd, const char *path);
} calls[] = {
	{"openat", do_openat},
	{"openat O_CREAT", do_createat},
	{"mkdirat", do_mkdirat},
	{"mknodat", do_mknodat},
	{"symlinkat", do_symlinkat},
	{"linkat", do_linkat},
	{"unlinkat", do_unlinkat},
	{"unlinkat AT_REMOVEDIR", do_rmdirat},
	{"renameat", do_renameat},
	{"renameat to", do_renameat_to},
	{"fchmodat", do_fchmodat},
	{"fchownat", do_fchownat},
	{"fchownat AT_EMPTY_PATH", do_fchownat_empty},
	{"fstatat", do_fstatat},
	{"fstatat AT_EMPTY_PATH", do_fstatat_empty},
	{"statx", do_statx},
	{"faccessat", do_faccessat},
	{"utimensat", do_utimensat},
	{"readlinkat", do_readlinkat},
	{"name_to_handle_at", do_handle},
};

static void all_calls(const struct run *run)
{
	static const char *const paths[] = {"entry", "missing", "", ".", "/absolute/missing"};

	fixture_file(run, "file", 0644, FILE_CONTENT);
	for (size_t i = 0; i < COUNT(calls); i++) {
		for (size_t j = 0; j < COUNT(paths); j++) {
			struct {
				const char *name;
				int fd;
			} descriptors[] = {{"bad", 999},      {"negative", -5},
					   {"file", -1},      {"O_PATH file", -1},
					   {"directory", -1}, {"O_PATH directory", -1}};

			if (access("d/entry", F_OK) < 0) {
				fixture_remove("d");
				fixture_make(run, KIND_FULL_DIRECTORY, "d");
			}
			descriptors[2].fd = open("file", O_RDWR | O_CLOEXEC);
			descriptors[3].fd = open("file", O_PATH | O_CLOEXEC);
			descriptors[4].fd = open("d", O_RDONLY | O_CLOEXEC);
			descriptors[5].fd = open("d", O_PATH | O_CLOEXEC);
			for (size_t k = 0; k < COUNT(descriptors); k++) {
				if (access("spare", F_OK) < 0)
					fixture_file(run, "spare", 0644, "");
				record(run, calls[i].call(descriptors[k].fd, paths[j]),
				       "%s %s '%s'", calls[i].name, descriptors[k].name, paths[j]);
				fixture_remove("linked");
				fixture_remove("renamed");
			}
			for (size_t k = 2; k < COUNT(descriptors); k++)
				close(descriptors[k].fd);
			fixture_remove("d/missing");
		}
	}
}

/* A handle opens what it was made for, whatever its name is now. */
static void handles(const struct run *run)
{
	struct {
		struct file_handle handle;
		unsigned char bytes[MAX_HANDLE_SZ];
	} room = {.handle = {.handle_bytes = 0}};
	int mount, fd, here;
	char text[16];

	fixture_file(run, "file", 0644, FILE_CONTENT);
	here = (int)need(run, open(".", O_RDONLY), "open");
	record(run, name_to_handle_at(AT_FDCWD, "file", &room.handle, &mount, 0), "without room");
	room.handle.handle_bytes = MAX_HANDLE_SZ;
	record(run, name_to_handle_at(AT_FDCWD, "file", &room.handle, &mount, 0), "with room");
	record(run, name_to_handle_at(AT_FDCWD, "missing", &room.handle, &mount, 0), "of nothing");
	room.handle.handle_bytes = MAX_HANDLE_SZ;
	need(run, name_to_handle_at(AT_FDCWD, "file", &room.handle, &mount, 0),
	     "name_to_handle_at");
	fd = (int)record(run, open_by_handle_at(here, &room.handle, O_RDONLY), "open");
	if (fd >= 0)
		record_bytes(run, text, read(fd, text, sizeof(text)), "content");
	need(run, rename("file", "moved"), "rename");
	fd = (int)record(run, open_by_handle_at(here, &room.handle, O_RDONLY), "open after rename");
	if (fd >= 0)
		record_bytes(run, text, read(fd, text, sizeof(text)), "content after rename");
	need(run, unlink("moved"), "unlink");
	if (fd >= 0)
		close(fd);
	record(run, open_by_handle_at(here, &room.handle, O_RDONLY), "open after unlink");
	record(run, open_by_handle_at(999, &room.handle, O_RDONLY), "a bad descriptor");
}

static void control(const struct run *run)
{
	int fd = fixture_open(run, "file", FILE_CONTENT);

	record_octal(run, (unsigned long)fcntl(fd, F_GETFL) & O_ACCMODE, "F_GETFL");
	record_value(run, fcntl(fd, F_GETFD), "F_GETFD");
	record(run, fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND), "F_SETFL");
	record(run, fcntl(fd, F_SETFL, O_NOATIME), "F_SETFL O_NOATIME");
	record(run, fcntl(fd, 9999), "an unknown command");
	record(run, fcntl(999, F_GETFL), "a bad descriptor");
	record_count(run, fcntl(fd, F_GETPIPE_SZ), "F_GETPIPE_SZ of a file");
	record(run, close_range(500, 600, 0), "close_range of nothing");
	record(run, close(999), "close a bad descriptor");
	record(run, syscall(SYS_dup3, fd, fd, 0), "dup3 to itself");
}

static const struct conformance_case cases[] = {
	{"calls", all_calls, PASS_BOTH},
	{"handles", handles, PASS_BOTH},
	{"control", control, PASS_BOTH},
};
const struct area area_descriptors = {"descriptors", cases, COUNT(cases)};

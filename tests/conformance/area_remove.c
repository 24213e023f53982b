/* area_remove.c — unlink(2) and rmdir(2), of what is open as well. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static void kinds(const struct run *run)
{
	for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
		const char *name = kind_name(kind);

		fixture_make(run, kind, "it");
		record(run, unlink("it"), "unlink %s", name);
		record(run, unlink("it"), "unlink again %s", name);
		fixture_remove("it");
		fixture_make(run, kind, "it");
		record(run, rmdir("it"), "rmdir %s", name);
		record(run, rmdir("it"), "rmdir again %s", name);
		fixture_remove("it");
		fixture_make(run, kind, "it");
		record(run, unlinkat(AT_FDCWD, "it", AT_REMOVEDIR), "AT_REMOVEDIR %s", name);
		record(run, unlinkat(AT_FDCWD, "it", 0), "unlinkat %s", name);
		record(run, unlinkat(AT_FDCWD, "it", 0x10), "unknown flag %s", name);
		record(run, remove("it"), "remove %s", name);
		fixture_remove("it");
	}
	record_kind(run, "target-file", "what links led to is there");
}

static void paths(const struct run *run)
{
	fixture_directory(run, "directory", 0755);
	fixture_file(run, "file", 0644, "");
	record(run, rmdir("."), "rmdir dot");
	record(run, rmdir("directory/."), "rmdir of its dot");
	record(run, rmdir("directory/.."), "rmdir of its dots");
	record(run, rmdir(".."), "rmdir of the parent");
	record(run, rmdir("/"), "rmdir of the root");
	record(run, unlink("."), "unlink dot");
	record(run, unlink(".."), "unlink dots");
	record(run, unlink("/"), "unlink the root");
	record(run, unlink("file/"), "unlink with a slash");
	record(run, unlink("directory/"), "unlink a directory with a slash");
	record(run, rmdir("directory/"), "rmdir with a slash");
	record(run, unlink("file/below"), "unlink below a file");
	record(run, unlinkat(999, "file", 0), "unlinkat a bad descriptor");
}

static void open_file(const struct run *run)
{
	int fd = fixture_open(run, "file", FILE_CONTENT), second;
	char text[32], path[64];
	struct stat st;

	second = (int)need(run, open("file", O_RDONLY), "open");
	record(run, unlink("file"), "unlink");
	record_kind(run, "file", "its name");
	need(run, fstat(fd, &st), "fstat");
	record_value(run, (long long)st.st_nlink, "links");
	record_value(run, st.st_size, "size");
	record_bytes(run, text, pread(fd, text, sizeof(text), 0), "read");
	record_count(run, pwrite(fd, "more", 4, st.st_size), "write");
	record_bytes(run, text, pread(second, text, sizeof(text), 0), "read by the other");
	record(run, fchmod(fd, 0600), "fchmod");
	record(run, fchown(fd, (uid_t)-1, run->actor->gid), "fchown");
	record(run, futimens(fd, NULL), "futimens");
	record(run, ftruncate(fd, 2), "ftruncate");
	record(run, fsync(fd), "fsync");
	record(run, fdatasync(fd), "fdatasync");
	need(run, fstat(second, &st), "fstat");
	record_value(run, st.st_size, "size by the other");
	record_octal(run, st.st_mode, "mode by the other");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	record(run, linkat(AT_FDCWD, path, AT_FDCWD, "again", AT_SYMLINK_FOLLOW), "linkat");
	fixture_file(run, "file", 0644, "another");
	record_bytes(run, text, pread(fd, text, sizeof(text), 0), "read beside a new one");
	record(run, close(fd), "close");
	record_bytes(run, text, pread(second, text, sizeof(text), 0), "read after that");
	record(run, close(second), "close the other");
	second = (int)need(run, open("file", O_RDONLY), "open");
	record_bytes(run, text, read(second, text, sizeof(text)), "the new one");
}

static void open_directory(const struct run *run)
{
	struct stat st;
	int fd;

	fixture_directory(run, "directory", 0755);
	fd = (int)need(run, open("directory", O_RDONLY | O_DIRECTORY), "open");
	record(run, rmdir("directory"), "rmdir");
	need(run, fstat(fd, &st), "fstat");
	record_value(run, (long long)st.st_nlink, "links");
	record(run, openat(fd, "new", O_RDWR | O_CREAT, 0644), "create");
	record(run, openat(fd, ".", O_RDONLY), "open dot");
	record(run, openat(fd, "..", O_RDONLY), "open dots");
	record(run, mkdirat(fd, "new", 0755), "mkdir");
	record(run, mknodat(fd, "new", S_IFIFO | 0644, 0), "mknod");
	record(run, symlinkat("x", fd, "new"), "symlink");
	record(run, unlinkat(fd, "new", 0), "unlink");
	record(run, fchmod(fd, 0700), "fchmod");
	record(run, fsync(fd), "fsync");
	fixture_file(run, "file", 0644, "");
	record(run, renameat(AT_FDCWD, "file", fd, "file"), "rename into it");
	record(run, mkdir("directory", 0755), "mkdir of its name");
	record(run, openat(fd, "new", O_RDWR | O_CREAT, 0644), "create beside a new one");
}

static void current_directory(const struct run *run)
{
	char path[4096];

	fixture_directory(run, "directory", 0755);
	need(run, chdir("directory"), "chdir");
	record(run, rmdir("../directory"), "rmdir");
	record(run, getcwd(path, sizeof(path)) ? 0 : -1, "getcwd");
	record(run, open(".", O_RDONLY), "open dot");
	record(run, open("file", O_RDWR | O_CREAT, 0644), "create");
	record(run, mkdir("new", 0755), "mkdir");
	record(run, chdir(".."), "chdir to the parent");
	record_kind(run, "directory", "its name");
}

static void full(const struct run *run)
{
	static const enum kind kinds[] = {KIND_FILE, KIND_DIRECTORY, KIND_DANGLING_LINK, KIND_FIFO};

	for (size_t i = 0; i < COUNT(kinds); i++) {
		fixture_directory(run, "directory", 0755);
		fixture_make(run, kinds[i], "directory/entry");
		record(run, rmdir("directory"), "rmdir with a %s", kind_name(kinds[i]));
		fixture_remove("directory/entry");
		record(run, rmdir("directory"), "rmdir without the %s", kind_name(kinds[i]));
	}
}

static const struct conformance_case cases[] = {
	{"kinds", kinds, PASS_BOTH},
	{"paths", paths, PASS_BOTH},
	{"open-file", open_file, PASS_BOTH},
	{"open-directory", open_directory, PASS_BOTH},
	{"current-directory", current_directory, PASS_BOTH},
	{"full", full, PASS_BOTH},
};
const struct area area_remove = {"remove", cases, COUNT(cases)};

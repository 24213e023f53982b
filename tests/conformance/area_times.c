/* area_times.c — which call changes which time of which file, and utimensat(2). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static bool is_same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static const char *compare(struct timespec after, struct timespec before)
{
	return is_same(after, before) ? "same" : is_later(after, before) ? "later" : "earlier";
}

static void record_changes(const struct run *run, const char *call, const char *path,
			   const struct stat *before, const struct stat *after)
{
	const char *text = compare(after->st_atim, before->st_atim);

	record_bytes(run, text, (long)strlen(text), "%s: %s atime", call, path);
	text = compare(after->st_mtim, before->st_mtim);
	record_bytes(run, text, (long)strlen(text), "%s: %s mtime", call, path);
	text = compare(after->st_ctim, before->st_ctim);
	record_bytes(run, text, (long)strlen(text), "%s: %s ctime", call, path);
}

/* The descriptor that calls on an open file use is for "d/file". */
static long do_read(int fd)
{
	char text[8];

	return pread(fd, text, sizeof(text), 0);
}

static long do_read_nothing(int fd)
{
	char text[8];

	return read(fd, text, 0);
}

static long do_write(int fd)
{
	return pwrite(fd, "text", 4, 0);
}

static long do_write_nothing(int fd)
{
	return pwrite(fd, "", 0, 0);
}

static long do_shorten(int fd)
{
	return ftruncate(fd, 3);
}

static long do_lengthen(int fd)
{
	return ftruncate(fd, 100);
}

static long do_same_length(int fd)
{
	return ftruncate(fd, 7);
}

static long do_truncate_same(int fd)
{
	(void)fd;
	return truncate("d/file", 7);
}

static long do_truncate(int fd)
{
	(void)fd;
	return truncate("d/file", 2);
}

static long do_open_truncate(int fd)
{
	(void)fd;
	return close(open("d/file", O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static long do_open(int fd)
{
	(void)fd;
	return close(open("d/file", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
}

static long do_fchmod(int fd)
{
	return fchmod(fd, 0600);
}

static long do_fchmod_same(int fd)
{
	return fchmod(fd, 0644);
}

static long do_fchown(int fd)
{
	return fchown(fd, (uid_t)-1, OTHER_GROUP);
}

static long do_fchown_nothing(int fd)
{
	return fchown(fd, (uid_t)-1, (gid_t)-1);
}

static long do_rename(int fd)
{
	(void)fd;
	return rename("d/file", "d/renamed") + rename("d/renamed", "d/file");
}

static long do_rename_away(int fd)
{
	(void)fd;
	return rename("d/file", "e/file");
}

static long do_rename_over(int fd)
{
	(void)fd;
	return rename("e/other", "d/file");
}

static long do_unlink(int fd)
{
	(void)fd;
	return unlink("d/file");
}

static long do_create(int fd)
{
	(void)fd;
	return close(open("d/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static long do_mkdir(int fd)
{
	(void)fd;
	return mkdir("d/sub", 0755);
}

static long do_rmdir(int fd)
{
	(void)fd;
	return rmdir("d/empty");
}

static long do_symlink(int fd)
{
	(void)fd;
	return symlink("x", "d/link");
}

static long do_mkfifo(int fd)
{
	(void)fd;
	return mkfifo("d/fifo", 0644);
}

static long do_move_directory(int fd)
{
	(void)fd;
	return rename("d/empty", "e/empty");
}

static long do_fsync(int fd)
{
	return fsync(fd);
}

static long do_stat(int fd)
{
	struct stat st;

	return fstat(fd, &st);
}

static long do_setxattr(int fd)
{
	return fsetxattr(fd, "user.name", "value", 5, 0);
}

static long do_getxattr(int fd)
{
	char value[8];

	fgetxattr(fd, "user.name", value, sizeof(value));
	return 0;
}

static long do_allocate(int fd)
{
	return fallocate(fd, 0, 0, 100);
}

static long do_allocate_inside(int fd)
{
	return fallocate(fd, 0, 0, 3);
}

static long do_punch(int fd)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2);
}

static long do_seek(int fd)
{
	return lseek(fd, 0, SEEK_END);
}

static long do_list(int fd)
{
	DIR *directory = opendir("d");
	int count = 0;

	(void)fd;
	while (directory && readdir(directory))
		count++;
	return directory ? closedir(directory) : -1;
}

static long do_chmod_directory(int fd)
{
	(void)fd;
	return chmod("d", 0700);
}

static long do_write_mapping(int fd)
{
	char *map = mmap(NULL, 7, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -1;
	map[0] = 'm';
	return msync(map, 7, MS_SYNC) + munmap(map, 7);
}

static long do_copy_to(int fd)
{
	int from = open("e/other", O_RDONLY | O_CLOEXEC);

	return copy_file_range(from, NULL, fd, NULL, 5, 0) + close(from);
}

static long do_failed_open(int fd)
{
	(void)fd;
	return open("d/file", O_WRONLY | O_CREAT | O_EXCL, 0644) < 0 ? 0 : -1;
}

static long do_failed_unlink(int fd)
{
	(void)fd;
	return unlink("d/missing") < 0 ? 0 : -1;
}

static const struct {
	const char *name;
	long (*call)(int fd);
} calls[] = {
	{"read", do_read},
	{"read of nothing", do_read_nothing},
	{"write", do_write},
	{"write of nothing", do_write_nothing},
	{"ftruncate shorter", do_shorten},
	{"ftruncate longer", do_lengthen},
	{"ftruncate to the same", do_same_length},
	{"truncate to the same", do_truncate_same},
	{"truncate", do_truncate},
	{"O_TRUNC", do_open_truncate},
	{"open", do_open},
	{"fchmod", do_fchmod},
	{"fchmod to the same", do_fchmod_same},
	{"fchown", do_fchown},
	{"fchown of nothing", do_fchown_nothing},
	{"rename", do_rename},
	{"rename away", do_rename_away},
	{"rename over", do_rename_over},
	{"unlink", do_unlink},
	{"create", do_create},
	{"mkdir", do_mkdir},
	{"rmdir", do_rmdir},
	{"symlink", do_symlink},
	{"mkfifo", do_mkfifo},
	{"move a directory", do_move_directory},
	{"fsync", do_fsync},
	{"stat", do_stat},
	{"setxattr", do_setxattr},
	{"getxattr", do_getxattr},
	{"fallocate", do_allocate},
	{"fallocate inside", do_allocate_inside},
	{"punch", do_punch},
	{"lseek", do_seek},
	{"readdir", do_list},
	{"chmod of the directory", do_chmod_directory},
	{"write to a mapping", do_write_mapping},
	{"copy_file_range", do_copy_to},
	{"failed create", do_failed_open},
	{"failed unlink", do_failed_unlink},
};

static void make_tree(const struct run *run, int *fd)
{
	fixture_remove("d");
	fixture_remove("e");
	fixture_directory(run, "d", 0755);
	fixture_directory(run, "e", 0755);
	fixture_directory(run, "d/empty", 0755);
	fixture_file(run, "d/file", 0644, FILE_CONTENT);
	fixture_file(run, "e/other", 0644, "other");
	*fd = (int)need(run, open("d/file", O_RDWR | O_CLOEXEC), "open");
}

static void by_call(const struct run *run)
{
	for (size_t i = 0; i < COUNT(calls); i++) {
		struct stat file[2], directory[2], other[2];
		int fd;

		make_tree(run, &fd);
		need(run, fstat(fd, &file[0]), "fstat");
		directory[0] = fixture_stat(run, "d");
		other[0] = fixture_stat(run, "e");
		wait_for_clock();
		record(run, calls[i].call(fd), "%s", calls[i].name);
		need(run, fstat(fd, &file[1]), "fstat");
		directory[1] = fixture_stat(run, "d");
		other[1] = fixture_stat(run, "e");
		record_changes(run, calls[i].name, "file", &file[0], &file[1]);
		record_changes(run, calls[i].name, "directory", &directory[0], &directory[1]);
		record_changes(run, calls[i].name, "other directory", &other[0], &other[1]);
		close(fd);
	}
}

/* Times of what is new: one moment, not before that of its directory. */
static void of_new_files(const struct run *run)
{
	for (enum kind kind = KIND_FILE; kind < KIND_COUNT; kind++) {
		struct stat before = fixture_stat(run, "."), st;

		wait_for_clock();
		fixture_make(run, kind, "it");
		st = fixture_stat(run, "it");
		record_truth(run, is_later(st.st_mtim, before.st_mtim), "%s is later than before",
			     kind_name(kind));
		if (kind == KIND_FIFO || kind == KIND_SOCKET || kind == KIND_DANGLING_LINK)
			record_truth(run,
				     is_same(st.st_atim, st.st_mtim) &&
					     is_same(st.st_mtim, st.st_ctim),
				     "%s has three equal times", kind_name(kind));
		fixture_remove("it");
	}
}

static void record_time(const struct run *run, struct timespec time, const char *step)
{
	char text[48];
	int len = snprintf(text, sizeof(text), "%lld.%09ld", (long long)time.tv_sec, time.tv_nsec);

	record_bytes(run, text, len, "%s", step);
}

static void set(const struct run *run)
{
	static const struct timespec values[] = {
		{0, 0},
		{1, 1},
		{1234567890, 123456789},
		{-1, 0},
		{-1, 999999999},
		{-2147483648, 0},
		{2147483647, 999999999},
		{2147483648, 5},
		{4294967296, 500},
		{15032385535, 0},
		{15032385536, 0},
		{-2147483649, 0},
		{253402300799, 1},
	};
	static const char *const paths[] = {"file", "directory", "link", "fifo"};

	fixture_file(run, "file", 0644, "");
	fixture_directory(run, "directory", 0755);
	need(run, symlink("file", "link"), "symlink");
	need(run, mkfifo("fifo", 0644), "mkfifo");
	for (size_t i = 0; i < COUNT(paths); i++) {
		for (size_t j = 0; j < COUNT(values); j++) {
			struct timespec times[2] = {values[j], values[COUNT(values) - 1 - j]};
			struct stat st;
			char step[48];

			record(run, utimensat(AT_FDCWD, paths[i], times, AT_SYMLINK_NOFOLLOW),
			       "%s %zu", paths[i], j);
			st = fixture_stat(run, paths[i]);
			snprintf(step, sizeof(step), "atime of %s %zu", paths[i], j);
			record_time(run, st.st_atim, step);
			snprintf(step, sizeof(step), "mtime of %s %zu", paths[i], j);
			record_time(run, st.st_mtim, step);
		}
	}
}

static void special_values(const struct run *run)
{
	static const long values[] = {5, UTIME_NOW, UTIME_OMIT, 1000000000, -1, 999999999};

	fixture_file(run, "file", 0644, "");
	for (size_t i = 0; i < COUNT(values); i++) {
		for (size_t j = 0; j < COUNT(values); j++) {
			struct timespec old[2] = {{100, 7}, {200, 8}};
			struct timespec times[2] = {{300, values[i]}, {400, values[j]}};
			struct stat before, after;
			char step[48];

			need(run, utimensat(AT_FDCWD, "file", old, 0), "utimensat");
			before = fixture_stat(run, "file");
			wait_for_clock();
			snprintf(step, sizeof(step), "%ld %ld", values[i], values[j]);
			record(run, utimensat(AT_FDCWD, "file", times, 0), "%s", step);
			after = fixture_stat(run, "file");
			record_changes(run, step, "file", &before, &after);
			record_truth(run, is_same(after.st_atim, after.st_mtim),
				     "%s: both are the same", step);
		}
	}
}

static void wrong(const struct run *run)
{
	struct timespec times[2] = {{1, 0}, {2, 0}};

	fixture_file(run, "file", 0644, "");
	need(run, symlink("file", "link"), "symlink");
	record(run, utimensat(AT_FDCWD, "missing", times, 0), "what is not there");
	record(run, utimensat(AT_FDCWD, "", times, 0), "empty path");
	record(run, utimensat(AT_FDCWD, "", times, AT_EMPTY_PATH),
	       "AT_EMPTY_PATH of the directory");
	record(run, utimensat(AT_FDCWD, "file", times, 0x10), "unknown flag");
	record(run, utimensat(AT_FDCWD, "file", bad_address(), 0), "bad address");
	record(run, futimens(999, times), "bad descriptor");
	record(run, futimens(open("file", O_PATH), times), "O_PATH");
	record(run, futimens(open("file", O_RDONLY), times), "a reader");
	record(run, utimensat(AT_FDCWD, "link", times, 0), "through a link");
	record_value(run, fixture_stat(run, "file").st_mtim.tv_sec, "mtime of the file");
	record_truth(run, fixture_stat(run, "link").st_mtim.tv_sec == 2, "the link got it");
}

/* relatime: a read changes atime when it is not later than mtime or ctime, and then not again. */
static void reading(const struct run *run)
{
	struct timespec old[2] = {{100, 7}, {200, 8}},
			young[2] = {{.tv_nsec = UTIME_NOW}, {100, 0}};
	struct stat before, after;
	int fd = fixture_open(run, "file", FILE_CONTENT);
	char text[16];

	need(run, futimens(fd, old), "futimens");
	before = fixture_stat(run, "file");
	wait_for_clock();
	need(run, pread(fd, text, sizeof(text), 0), "pread");
	after = fixture_stat(run, "file");
	record_changes(run, "first read", "file", &before, &after);
	before = after;
	wait_for_clock();
	need(run, pread(fd, text, sizeof(text), 0), "pread");
	after = fixture_stat(run, "file");
	record_changes(run, "second read", "file", &before, &after);
	need(run, futimens(fd, young), "futimens");
	before = fixture_stat(run, "file");
	wait_for_clock();
	fd = (int)need(run, open("file", O_RDONLY | O_NOATIME), "open");
	need(run, pread(fd, text, sizeof(text), 0), "pread");
	after = fixture_stat(run, "file");
	record_changes(run, "read with O_NOATIME", "file", &before, &after);
}

static void kept(const struct run *run)
{
	struct timespec times[2] = {{1000000001, 123456789}, {1000000002, 987654321}};
	struct stat st;

	fixture_file(run, "file", 0644, FILE_CONTENT);
	need(run, utimensat(AT_FDCWD, "file", times, 0), "utimensat");
	need(run, chmod("file", 0600), "chmod");
	need(run, rename("file", "moved"), "rename");
	st = fixture_stat(run, "moved");
	record_time(run, st.st_atim, "atime after chmod and rename");
	record_time(run, st.st_mtim, "mtime after chmod and rename");
	record_truth(run, is_later(st.st_ctim, st.st_mtim), "ctime is now");
}

static const struct conformance_case cases[] = {
	{"by-call", by_call, PASS_BOTH}, {"of-new-files", of_new_files, PASS_BOTH},
	{"set", set, PASS_BOTH},	 {"special-values", special_values, PASS_BOTH},
	{"wrong", wrong, PASS_BOTH},	 {"reading", reading, PASS_BOTH},
	{"kept", kept, PASS_BOTH},
};
const struct area area_times = {"times", cases, COUNT(cases)};

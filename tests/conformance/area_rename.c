/* area_rename.c — renameat2(2): every kind over every kind, and what is open or above itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static const struct {
	unsigned flags;
	const char *name;
} flag_sets[] = {
	{0, "plain"},
	{RENAME_NOREPLACE, "NOREPLACE"},
	{RENAME_EXCHANGE, "EXCHANGE"},
};

static void one_pair(const struct run *run, enum kind from, enum kind to, size_t set)
{
	char step[96];
	long result;

	snprintf(step, sizeof(step), "%s over %s %s", kind_name(from), kind_name(to),
		 flag_sets[set].name);
	fixture_make(run, from, "from");
	fixture_make(run, to, "to");
	result = record(run, renameat2(AT_FDCWD, "from", AT_FDCWD, "to", flag_sets[set].flags),
			"%s", step);
	if (result == 0) {
		char where[112];

		snprintf(where, sizeof(where), "%s from", step);
		record_kind(run, "from", where);
		snprintf(where, sizeof(where), "%s to", step);
		record_kind(run, "to", where);
	}
	fixture_remove("from");
	fixture_remove("to");
}

static void kinds(const struct run *run)
{
	static const enum kind kinds[] = {
		KIND_MISSING,	     KIND_FILE,		KIND_DIRECTORY,
		KIND_FULL_DIRECTORY, KIND_LINK_TO_FILE, KIND_LINK_TO_DIRECTORY,
		KIND_DANGLING_LINK,  KIND_FIFO,
	};

	for (size_t set = 0; set < COUNT(flag_sets); set++)
		for (size_t i = 0; i < COUNT(kinds); i++)
			for (size_t j = 0; j < COUNT(kinds); j++)
				one_pair(run, kinds[i], kinds[j], set);
}

static void wrong_flags(const struct run *run)
{
	fixture_file(run, "from", 0644, "");
	fixture_file(run, "to", 0644, "");
	record(run, renameat2(AT_FDCWD, "from", AT_FDCWD, "to", RENAME_NOREPLACE | RENAME_EXCHANGE),
	       "NOREPLACE and EXCHANGE");
	record(run, renameat2(AT_FDCWD, "from", AT_FDCWD, "to", RENAME_WHITEOUT | RENAME_EXCHANGE),
	       "WHITEOUT and EXCHANGE");
	record(run, renameat2(AT_FDCWD, "from", AT_FDCWD, "to", 1u << 10), "unknown");
}

static void into_itself(const struct run *run)
{
	fixture_directory(run, "a", 0755);
	fixture_directory(run, "a/b", 0755);
	fixture_directory(run, "a/b/c", 0755);
	for (size_t set = 0; set < COUNT(flag_sets); set++) {
		const char *flags = flag_sets[set].name;
		unsigned value = flag_sets[set].flags;

		record(run, renameat2(AT_FDCWD, "a", AT_FDCWD, "a", value), "to itself %s", flags);
		record(run, renameat2(AT_FDCWD, "a", AT_FDCWD, "a/new", value), "below itself %s",
		       flags);
		record(run, renameat2(AT_FDCWD, "a", AT_FDCWD, "a/b/new", value),
		       "deep below itself %s", flags);
		record(run, renameat2(AT_FDCWD, "a", AT_FDCWD, "a/b", value), "over its child %s",
		       flags);
		record(run, renameat2(AT_FDCWD, "a/b/c", AT_FDCWD, "a", value),
		       "over its grandparent %s", flags);
		record(run, renameat2(AT_FDCWD, "a/b", AT_FDCWD, "a", value), "over its parent %s",
		       flags);
		record(run, renameat2(AT_FDCWD, "a/.", AT_FDCWD, "new", value), "dot %s", flags);
		record(run, renameat2(AT_FDCWD, "a/b/..", AT_FDCWD, "new", value), "dots %s",
		       flags);
		record(run, renameat2(AT_FDCWD, "a", AT_FDCWD, ".", value), "over dot %s", flags);
		record(run, renameat2(AT_FDCWD, "a", AT_FDCWD, "..", value), "over dots %s", flags);
	}
	record_kind(run, "a/b/c", "all is where it was");
}

static void read_back(const struct run *run, int fd, const char *step)
{
	char text[32];

	record_bytes(run, text, pread(fd, text, sizeof(text), 0), "%s", step);
}

static void open_files(const struct run *run)
{
	int from = fixture_open(run, "from", "from"), to = fixture_open(run, "to", "to");
	ino_t moved = fixture_stat(run, "from").st_ino;
	struct stat st;

	record(run, rename("from", "to"), "over an open file");
	record_truth(run, fixture_stat(run, "to").st_ino == moved, "keeps its inode");
	read_back(run, from, "the moved one");
	read_back(run, to, "the replaced one");
	need(run, fstat(to, &st), "fstat");
	record_value(run, (long long)st.st_nlink, "links of the replaced one");
	record_count(run, pwrite(from, "new", 3, 0), "write to the moved one");
	record_count(run, pwrite(to, "gone", 4, 0), "write to the replaced one");
	read_back(run, to, "the replaced one after the write");
	record(run, fchmod(to, 0600), "fchmod of the replaced one");
	record(run, ftruncate(to, 1), "ftruncate of the replaced one");
	record(run, fsync(to), "fsync of the replaced one");
	record(run, close(to), "close the replaced one");
	record(run, unlink("to"), "unlink");
	need(run, fstat(from, &st), "fstat");
	record_value(run, (long long)st.st_nlink, "links of the unlinked one");
	record_count(run, pwrite(from, "more", 4, 3), "write to the unlinked one");
	read_back(run, from, "the unlinked one");
	record(run, rename("to", "again"), "rename what is gone");
	fixture_file(run, "to", 0644, "second");
	read_back(run, from, "the unlinked one beside a new one of its name");
}

static void open_directories(const struct run *run)
{
	int directory, empty;

	fixture_directory(run, "from", 0755);
	fixture_directory(run, "to", 0755);
	directory = (int)need(run, open("from", O_RDONLY | O_DIRECTORY), "open");
	empty = (int)need(run, open("to", O_RDONLY | O_DIRECTORY), "open");
	record(run, rename("from", "to"), "over an open directory");
	record(run, openat(directory, "file", O_RDWR | O_CREAT, 0644), "create in the moved one");
	record_kind(run, "to/file", "it is there");
	record(run, openat(empty, "file", O_RDWR | O_CREAT, 0644), "create in the replaced one");
	record(run, mkdirat(empty, "below", 0755), "mkdir in the replaced one");
	record(run, symlinkat("x", empty, "below"), "symlink in the replaced one");
	record(run, fstatat(empty, "file", &(struct stat){0}, 0), "stat in the replaced one");
}

static void with_content(const struct run *run)
{
	char text[32];
	int fd;

	fixture_directory(run, "tree", 0755);
	fixture_directory(run, "tree/sub", 0700);
	fixture_file(run, "tree/sub/file", 0600, "deep content");
	need(run, symlink("sub/file", "tree/link"), "symlink");
	fixture_directory(run, "other", 0755);
	record(run, rename("tree", "other/moved"), "move a tree");
	record_octal(run, fixture_stat(run, "other/moved/sub").st_mode, "mode of the directory");
	record_octal(run, fixture_stat(run, "other/moved/sub/file").st_mode, "mode of the file");
	fd = (int)need(run, open("other/moved/link", O_RDONLY), "open");
	record_bytes(run, text, read(fd, text, sizeof(text)), "content through the link");
	record_kind(run, "tree", "the old name");
	record(run, rename("other/moved/sub/file", "file"), "move a file out");
	record(run, rename("file", "other/moved/file"), "and in again");
	record(run, rename("other/moved", "tree"), "move it back");
	record_kind(run, "tree/file", "what was moved meanwhile");
}

static void paths(const struct run *run)
{
	fixture_file(run, "file", 0644, "");
	fixture_directory(run, "directory", 0755);
	record(run, rename("file", "file"), "file to itself");
	record(run, rename("file", "./file"), "file to itself by another path");
	record(run, rename("file", "new/"), "file to a name with a slash");
	record(run, rename("file/", "new"), "file with a slash");
	record(run, rename("directory", "new/"), "directory to a name with a slash");
	record(run, rename("new/", "directory"), "directory with a slash");
	record(run, rename("file", "missing/new"), "to a directory that is not there");
	record(run, rename("missing/file", "new"), "from a directory that is not there");
	record(run, rename("file", "file/new"), "below a file");
	record(run, rename("file", "/proc/new"), "to another file system");
	record(run, rename("/proc/self/status", "new"), "from another file system");
	record(run, rename("file", ""), "to an empty path");
	record(run, rename("", "new"), "from an empty path");
	record(run, rename("file", bad_address()), "to a bad address");
	record(run, renameat(999, "file", AT_FDCWD, "new"), "from a bad descriptor");
	record(run, renameat(AT_FDCWD, "file", 999, "new"), "to a bad descriptor");
}

static void many_times(const struct run *run)
{
	char text[16];
	int fd;

	fixture_file(run, "a", 0644, "first");
	for (int turn = 0; turn < 10; turn++) {
		record(run, rename("a", "b"), "there %d", turn);
		record(run, rename("b", "a"), "back %d", turn);
	}
	fixture_file(run, "b", 0644, "second");
	record(run, rename("b", "a"), "over it");
	fd = (int)need(run, open("a", O_RDONLY), "open");
	record_bytes(run, text, read(fd, text, sizeof(text)), "content");
}

static const struct conformance_case cases[] = {
	{"kinds", kinds, PASS_BOTH},
	{"wrong-flags", wrong_flags, PASS_BOTH},
	{"into-itself", into_itself, PASS_BOTH},
	{"open-files", open_files, PASS_BOTH},
	{"open-directories", open_directories, PASS_BOTH},
	{"with-content", with_content, PASS_BOTH},
	{"paths", paths, PASS_BOTH},
	{"many-times", many_times, PASS_BOTH},
};
const struct area area_rename = {"rename", cases, COUNT(cases)};

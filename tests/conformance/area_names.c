/* area_names.c — paths: lengths, slashes, links on the way, and bytes of every value. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

/* Calls that take one path; what they make or change is taken away again. */
static long do_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd;
}

static long do_create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return -1;
	close(fd);
	unlink(path);
	return 0;
}

static long do_stat(const char *path)
{
	struct stat st;

	return stat(path, &st);
}

static long do_lstat(const char *path)
{
	struct stat st;

	return lstat(path, &st);
}

static long do_mkdir(const char *path)
{
	int result = mkdir(path, 0755);

	if (result == 0)
		rmdir(path);
	return result;
}

static long do_mkfifo(const char *path)
{
	int result = mkfifo(path, 0644);

	if (result == 0)
		unlink(path);
	return result;
}

static long do_symlink(const char *path)
{
	int result = symlink("anything", path);

	if (result == 0)
		unlink(path);
	return result;
}

static long do_link(const char *path)
{
	return link(path, "other-name");
}

static long do_unlink(const char *path)
{
	return unlink(path);
}

static long do_rmdir(const char *path)
{
	return rmdir(path);
}

static long do_rename(const char *path)
{
	int result = rename(path, "renamed");

	if (result == 0)
		rename("renamed", path);
	return result;
}

static long do_rename_to(const char *path)
{
	int fd = open("source", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), result;

	close(fd);
	result = rename("source", path);
	unlink("source");
	return result;
}

static long do_readlink(const char *path)
{
	char text[PATH_MAX];

	return readlink(path, text, sizeof(text));
}

static long do_truncate(const char *path)
{
	return truncate(path, 7);
}

static long do_chmod(const char *path)
{
	return chmod(path, 0755);
}

static long do_chown(const char *path)
{
	return chown(path, (uid_t)-1, (gid_t)-1);
}

static long do_lchown(const char *path)
{
	return lchown(path, (uid_t)-1, (gid_t)-1);
}

static long do_utimens(const char *path)
{
	return utimensat(AT_FDCWD, path, NULL, 0);
}

static long do_access(const char *path)
{
	return access(path, F_OK);
}

static long do_chdir(const char *path)
{
	int here = open(".", O_PATH | O_CLOEXEC), result = chdir(path), number = errno;

	if (fchdir(here) < 0)
		return -1;
	close(here);
	errno = number;
	return result;
}

static long do_statfs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs);
}

static const struct {
	const char *name;
	long (*call)(const char *path);
	bool removes; /* what it is given, when it succeeds */
} calls[] = {
	{"open", do_open, false},	   {"create", do_create, false},
	{"stat", do_stat, false},	   {"lstat", do_lstat, false},
	{"mkdir", do_mkdir, false},	   {"mkfifo", do_mkfifo, false},
	{"symlink", do_symlink, false},	   {"link", do_link, false},
	{"rename", do_rename, false},	   {"readlink", do_readlink, false},
	{"truncate", do_truncate, false},  {"chmod", do_chmod, false},
	{"chown", do_chown, false},	   {"lchown", do_lchown, false},
	{"utimensat", do_utimens, false},  {"access", do_access, false},
	{"chdir", do_chdir, false},	   {"statfs", do_statfs, false},
	{"unlink", do_unlink, true},	   {"rmdir", do_rmdir, true},
	{"rename to", do_rename_to, true},
};

/* Every call on every kind, by its name and with what can stand behind it. */
static void calls_on_kinds(const struct run *run)
{
	static const char *const endings[] = {"", "/", "/.", "/below", "/..", "//"};

	for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
		fixture_make(run, kind, "it");
		for (size_t i = 0; i < COUNT(endings); i++) {
			for (size_t j = 0; j < COUNT(calls); j++) {
				char path[32];
				long result;

				snprintf(path, sizeof(path), "it%s", endings[i]);
				result = record(run, calls[j].call(path), "%s %s %s", calls[j].name,
						kind_name(kind), path);
				fixture_remove("other-name");
				fixture_remove("renamed");
				if (calls[j].removes && result >= 0) {
					fixture_remove("it");
					fixture_make(run, kind, "it");
				}
			}
		}
		fixture_remove("it");
	}
}

static void lengths(const struct run *run)
{
	static const size_t lens[] = {1, 254, 255, 256, 300};
	char name[400];

	for (size_t i = 0; i < COUNT(lens); i++) {
		memset(name, 'n', sizeof(name));
		name[lens[i]] = '\0';
		for (size_t j = 0; j < COUNT(calls); j++)
			record(run, calls[j].call(name), "%s a name of %zu bytes", calls[j].name,
			       lens[i]);
		fixture_remove(name);
	}
}

static void empty(const struct run *run)
{
	for (size_t j = 0; j < COUNT(calls); j++) {
		record(run, calls[j].call(""), "%s an empty path", calls[j].name);
		record(run, calls[j].call(bad_address()), "%s a bad address", calls[j].name);
	}
}

/* PATH_MAX counts the NUL: 4095 bytes of "./././.." are fine. */
static void long_paths(const struct run *run)
{
	static const size_t lens[] = {4094, 4095, 4096};
	char path[4200];

	for (size_t i = 0; i < COUNT(lens); i++) {
		for (size_t at = 0; at < lens[i]; at++)
			path[at] = at % 2 ? '/' : '.';
		path[lens[i] - 1] = 'x';
		path[lens[i] - 2] = '/';
		path[lens[i] - 3] = '/';
		path[lens[i]] = '\0';
		for (size_t j = 0; j < COUNT(calls); j++)
			record(run, calls[j].call(path), "%s a path of %zu bytes", calls[j].name,
			       lens[i]);
		fixture_remove("x");
	}
}

/* Directories in each other, until the whole is longer than a key can be. */
static void deep(const struct run *run)
{
	enum { NAME = 200, LEVELS = 8 };
	char name[NAME + 1];

	memset(name, 'd', NAME);
	name[NAME] = '\0';
	for (int level = 1; level <= LEVELS; level++) {
		if (record(run, mkdir(name, 0755), "mkdir of %d bytes", level * NAME) < 0)
			return;
		need(run, chdir(name), "chdir");
	}
	record(run, do_create("file"), "create at the end");
}

static void chains(const struct run *run)
{
	char name[16], to[16];

	fixture_file(run, "link0", 0644, FILE_CONTENT);
	for (int i = 1; i <= 42; i++) {
		snprintf(name, sizeof(name), "link%d", i);
		snprintf(to, sizeof(to), "link%d", i - 1);
		need(run, symlink(to, name), "symlink");
	}
	record(run, do_open("link39"), "39 links");
	record(run, do_open("link40"), "40 links");
	record(run, do_open("link41"), "41 links");
	record(run, do_lstat("link41"), "lstat of 41 links");
}

static void symlink_targets(const struct run *run)
{
	static const char *const targets[] = {
		" leading",
		"trailing ",
		"\ttab",
		"new\nline",
		"a//b///c/",
		"../..",
		"/absolute/path",
		"\xff\xfe",
		"\x01\x02",
		"%41%00",
		"\\",
		"'\"`$",
		" ",
		"caf\xc3\xa9",
		"trailing\n",
		"a\r",
		".",
		"..",
		"/",
	};

	for (size_t i = 0; i < COUNT(targets); i++) {
		char text[PATH_MAX];
		struct stat st;
		long got;

		record(run, symlink(targets[i], "link"), "symlink %zu", i);
		got = readlink("link", text, sizeof(text));
		record_bytes(run, text, got, "readlink %zu", i);
		need(run, lstat("link", &st), "lstat");
		record_value(run, st.st_size, "size %zu", i);
		record_octal(run, st.st_mode, "mode %zu", i);
		need(run, unlink("link"), "unlink");
	}
	record(run, symlink("", "link"), "empty target");
	need(run, symlink("12345678", "link"), "symlink");
	{
		char text[8];

		record_bytes(run, text, readlink("link", text, 4), "readlink to 4 bytes");
		record(run, readlink("link", text, 0), "readlink to 0 bytes");
		record(run, readlink(".", text, sizeof(text)), "readlink of a directory");
	}
}

static void long_targets(const struct run *run)
{
	static const size_t lens[] = {59, 60, 255, 1024, 4094, 4095, 4096};
	char target[4200], text[4200], name[32];

	for (size_t i = 0; i < COUNT(lens); i++) {
		memset(target, 't', sizeof(target));
		target[lens[i]] = '\0';
		snprintf(name, sizeof(name), "link%zu", lens[i]);
		record(run, symlink(target, name), "target of %zu bytes", lens[i]);
		record_count(run, readlink(name, text, sizeof(text)), "readlink of %zu bytes",
			     lens[i]);
	}
}

/* Each byte that a name can have. */
static void bytes(const struct run *run)
{
	for (int byte = 1; byte < 256; byte++) {
		char name[] = {'n', (char)byte, 'e', '\0'};
		struct stat st;

		if (byte == '/')
			continue;
		fixture_file(run, name, 0644, "");
		record(run, stat(name, &st), "byte %02x", byte);
	}
}

static void odd_names(const struct run *run)
{
	static const char *const names[] = {
		" ",	" a", "a ",   "...", "..a",	 ".hidden",   "-",     "~",
		"*",	"?",  "a\\b", "%2F", "a%",	 "a+b",	      "a&b=c", "a;b",
		"a#b",	"#",  "A",    "a",   "\xc3\xa9", "e\xcc\x81", "\xff",  "\n",
		"\r\n", "\"", "<x>",  "a:b", "|",	 "^",	      "{}",    "[]",
	};

	for (size_t i = 0; i < COUNT(names); i++) {
		record(run, mkdir(names[i], 0755), "mkdir %zu", i);
		record(run, rmdir(names[i]), "rmdir %zu", i);
		record(run, do_create(names[i]), "create %zu", i);
		fixture_file(run, names[i], 0644, names[i]);
	}
	for (size_t i = 0; i < COUNT(names); i++) {
		char text[32];
		int fd = (int)need(run, open(names[i], O_RDONLY), "open");

		record_bytes(run, text, read(fd, text, sizeof(text)), "content %zu", i);
		close(fd);
	}
}

static const struct conformance_case cases[] = {
	{"kinds", calls_on_kinds, PASS_BOTH},
	{"lengths", lengths, PASS_BOTH},
	{"empty", empty, PASS_BOTH},
	{"long-paths", long_paths, PASS_BOTH},
	{"deep", deep, PASS_BOTH},
	{"chains", chains, PASS_BOTH},
	{"symlink-targets", symlink_targets, PASS_BOTH},
	{"long-targets", long_targets, PASS_BOTH},
	{"bytes", bytes, PASS_BOTH},
	{"odd", odd_names, PASS_BOTH},
};
const struct area area_names = {"names", cases, COUNT(cases)};

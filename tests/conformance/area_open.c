/* area_open.c — open(2): every combination of flags on every kind of file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static const struct {
	int flag;
	const char *name;
} access_modes[] = {{O_RDONLY, "O_RDONLY"}, {O_WRONLY, "O_WRONLY"}, {O_RDWR, "O_RDWR"}},
  flags[] = {
	  {O_CREAT, "O_CREAT"},		{O_EXCL, "O_EXCL"},	    {O_TRUNC, "O_TRUNC"},
	  {O_DIRECTORY, "O_DIRECTORY"}, {O_NOFOLLOW, "O_NOFOLLOW"}, {O_APPEND, "O_APPEND"},
};

/* The words of the flags whose bits are set in chosen. */
static int join(size_t access, unsigned chosen, char *text, size_t size)
{
	int value = access_modes[access].flag;
	size_t used = (size_t)snprintf(text, size, "%s", access_modes[access].name);

	for (size_t i = 0; i < COUNT(flags); i++) {
		if (!(chosen & 1u << i))
			continue;
		value |= flags[i].flag;
		used += (size_t)snprintf(text + used, size - used, "+%s", flags[i].name);
	}
	return value;
}

/* One open of what is at "it", and what it changed. */
static void open_one(const struct run *run, enum kind kind, size_t access, unsigned chosen)
{
	char words[96];
	int value = join(access, chosen, words, sizeof(words)) | O_NONBLOCK | O_CLOEXEC;
	struct stat st;
	int fd = (int)record(run, open("it", value, 0640), "%s %s", kind_name(kind), words);

	if (fd < 0)
		return;
	need(run, fstat(fd, &st), "fstat");
	if (S_ISREG(st.st_mode))
		record_value(run, st.st_size, "%s %s size", kind_name(kind), words);
	close(fd);
	/* As it was before, for the next combination. */
	if (kind == KIND_MISSING)
		need(run, unlink("it"), "unlink");
	else if (kind == KIND_DANGLING_LINK && S_ISREG(st.st_mode))
		need(run, unlink("target-missing"), "unlink");
	else if (S_ISREG(st.st_mode) && st.st_size == 0)
		fixture_file(run, "it", 0644, FILE_CONTENT);
}

static void open_all(const struct run *run, enum kind kind)
{
	fixture_make(run, kind, "it");
	for (size_t access = 0; access < COUNT(access_modes); access++)
		for (unsigned chosen = 0; chosen < 1u << COUNT(flags); chosen++)
			open_one(run, kind, access, chosen);
}

#define OPEN_ALL(name, kind)                                                                       \
	static void open_##name(const struct run *run)                                             \
	{                                                                                          \
		open_all(run, kind);                                                               \
	}
OPEN_ALL(missing, KIND_MISSING)
OPEN_ALL(file, KIND_FILE)
OPEN_ALL(directory, KIND_DIRECTORY)
OPEN_ALL(link_to_file, KIND_LINK_TO_FILE)
OPEN_ALL(link_to_directory, KIND_LINK_TO_DIRECTORY)
OPEN_ALL(dangling_link, KIND_DANGLING_LINK)
OPEN_ALL(link_loop, KIND_LINK_LOOP)
OPEN_ALL(fifo, KIND_FIFO)
OPEN_ALL(socket, KIND_SOCKET)

/* O_PATH ignores most flags, and gives a descriptor that does little. */
static void path_descriptors(const struct run *run)
{
	for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
		const char *name = kind_name(kind);
		struct stat st;
		char byte;
		int fd;

		fixture_make(run, kind, "it");
		record(run, open("it", O_PATH | O_DIRECTORY), "%s O_DIRECTORY", name);
		record(run, open("it", O_PATH | O_CREAT | O_EXCL, 0644), "%s O_CREAT+O_EXCL", name);
		record(run, open("it", O_PATH), "%s", name);
		fd = (int)record(run, open("it", O_PATH | O_NOFOLLOW), "%s O_NOFOLLOW", name);
		if (fd >= 0) {
			record(run, fstat(fd, &st), "%s fstat", name);
			record(run, read(fd, &byte, 1), "%s read", name);
			record(run, write(fd, "x", 1), "%s write", name);
			record(run, fchmod(fd, 0600), "%s fchmod", name);
			record(run, fchown(fd, 0, 0), "%s fchown", name);
			record(run, ftruncate(fd, 0), "%s ftruncate", name);
			record(run, fsync(fd), "%s fsync", name);
			record(run, fallocate(fd, 0, 0, 1), "%s fallocate", name);
			record(run, lseek(fd, 0, SEEK_SET), "%s lseek", name);
			record(run, fchdir(fd), "%s fchdir", name);
			if (S_ISDIR(st.st_mode))
				need(run, chdir(".."), "chdir");
			record_octal(run, (unsigned long)fcntl(fd, F_GETFL) & O_PATH, "%s F_GETFL",
				     name);
			close(fd);
		}
		fixture_remove("it");
	}
}

/* Opens again through /proc what an O_PATH descriptor shows. */
static void reopen(const struct run *run)
{
	char path[64];
	int fd;

	fixture_file(run, "file", 0644, FILE_CONTENT);
	fd = (int)need(run, open("file", O_PATH), "open");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	record(run, open(path, O_RDWR), "by descriptor");
	need(run, unlink("file"), "unlink");
	record(run, open(path, O_RDWR), "after unlink");
}

static void direct(const struct run *run)
{
	void *block = aligned_alloc(4096, 8192);
	int fd = (int)record(run, open("file", O_RDWR | O_CREAT | O_DIRECT, 0644), "create");

	if (fd < 0)
		return;
	memset(block, 'd', 8192);
	record_count(run, pwrite(fd, block, 4096, 0), "write a block");
	record_count(run, pwrite(fd, block, 4096, 4096), "write the next");
	record_count(run, pread(fd, block, 8192, 0), "read both");
	record_count(run, pread(fd, block, 4096, 8192), "read at the end");
	record_truth(run, fcntl(fd, F_GETFL) & O_DIRECT, "F_GETFL tells O_DIRECT");
	record(run, fcntl(fd, F_SETFL, 0), "F_SETFL without");
	record_count(run, pread(fd, block, 100, 50), "read anything without it");
	record(run, fcntl(fd, F_SETFL, O_DIRECT), "F_SETFL with");
	record_count(run, pread(fd, (char *)block + 1, 100, 50), "read what is not aligned");
	record_count(run, pwrite(fd, (char *)block + 1, 100, 50), "write what is not aligned");
	free(block);
}

static void temporary(const struct run *run)
{
	char path[64];
	struct stat st;
	int fd;

	record(run, open(".", O_TMPFILE | O_RDONLY, 0600), "for reading");
	record(run, open("missing", O_TMPFILE | O_RDWR, 0600), "where nothing is");
	fixture_file(run, "file", 0644, "");
	record(run, open("file", O_TMPFILE | O_RDWR, 0600), "in a file");
	record(run, open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600), "O_EXCL");
	fd = (int)record(run, open(".", O_TMPFILE | O_RDWR, 0640), "for writing");
	if (fd < 0)
		return;
	need(run, fstat(fd, &st), "fstat");
	record_octal(run, st.st_mode, "mode");
	record_value(run, (long long)st.st_nlink, "links");
	record_count(run, write(fd, "text", 4), "write");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	record(run, linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), "linkat");
	record_kind(run, "named", "named");
}

static void modes_and_umask(const struct run *run)
{
	static const mode_t modes[] = {0, 0400, 0644, 0666, 0777, 01777, 02777, 04777, 07777};
	static const mode_t masks[] = {0, 022, 027, 077, 0777};

	for (size_t i = 0; i < COUNT(modes); i++) {
		for (size_t j = 0; j < COUNT(masks); j++) {
			char name[32];
			int fd;

			snprintf(name, sizeof(name), "%o-%o", modes[i], masks[j]);
			umask(masks[j]);
			fd = (int)record(run, open(name, O_RDWR | O_CREAT, modes[i]), "open %s",
					 name);
			record_octal(run, fixture_stat(run, name).st_mode, "mode %s", name);
			/* Whoever creates may write, whatever the mode. */
			record_count(run, write(fd, "x", 1), "write %s", name);
			close(fd);
		}
	}
}

static void wrong(const struct run *run)
{
	int fd = (int)need(run, open("file", O_RDWR | O_CREAT, 0644), "open");
	char byte;

	record(run, open("", O_RDONLY), "empty path");
	record(run, open(bad_address(), O_RDONLY), "bad address");
	record(run, open("file", O_RDONLY | O_CREAT | O_EXCL, 0644), "O_EXCL on what is there");
	record(run, open("file/below", O_RDONLY), "below a file");
	record(run, open("file/below", O_RDWR | O_CREAT, 0644), "create below a file");
	record(run, open("missing/below", O_RDWR | O_CREAT, 0644), "create below nothing");
	record(run, open("file/", O_RDONLY), "a file with a slash");
	record(run, open("new/", O_RDWR | O_CREAT, 0644), "create with a slash");
	record(run, open("file/", O_RDWR | O_CREAT, 0644), "O_CREAT on a file with a slash");
	record(run, open(".", O_RDWR), "a directory for writing");
	record(run, open(".", O_RDONLY | O_CREAT, 0644), "O_CREAT on a directory");
	record(run, open("..", O_RDONLY | O_CREAT, 0644), "O_CREAT on the parent");
	close(fd);
	fd = (int)need(run, open("file", O_RDONLY), "open");
	record(run, write(fd, "x", 1), "write what is open for reading");
	record(run, ftruncate(fd, 0), "ftruncate what is open for reading");
	record(run, fallocate(fd, 0, 0, 1), "fallocate what is open for reading");
	fd = (int)need(run, open("file", O_WRONLY), "open");
	record(run, read(fd, &byte, 1), "read what is open for writing");
	record(run, read(fd, bad_address(), 1), "read to a bad address");
	/* 3 is neither reading nor writing: for ioctl alone. */
	fd = (int)record(run, open("file", 3), "access mode 3");
	if (fd >= 0) {
		record(run, read(fd, &byte, 1), "read with mode 3");
		record(run, write(fd, "x", 1), "write with mode 3");
	}
}

static const struct conformance_case cases[] = {
	{"missing", open_missing, PASS_BOTH},
	{"file", open_file, PASS_BOTH},
	{"directory", open_directory, PASS_BOTH},
	{"link-to-file", open_link_to_file, PASS_BOTH},
	{"link-to-directory", open_link_to_directory, PASS_BOTH},
	{"dangling-link", open_dangling_link, PASS_BOTH},
	{"link-loop", open_link_loop, PASS_BOTH},
	{"fifo", open_fifo, PASS_BOTH},
	{"socket", open_socket, PASS_BOTH},
	{"path", path_descriptors, PASS_BOTH},
	{"reopen", reopen, PASS_BOTH},
	{"direct", direct, PASS_BOTH},
	{"temporary", temporary, PASS_BOTH},
	{"umask", modes_and_umask, PASS_BOTH},
	{"wrong", wrong, PASS_BOTH},
};
const struct area area_open = {"open", cases, COUNT(cases)};

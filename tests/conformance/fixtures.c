/* fixtures.c — identities, and what cases find there. Part of conformance.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

const struct identity identity_root = {"root", 0, 0, {0}, 0};
const struct identity identity_actor = {"user", 65534, 65534, {OTHER_GROUP}, 1};
const struct identity identity_member = {"member", 7101, 65534, {0}, 0};
const struct identity identity_supplementary = {"supplementary", 7102, 7102, {65534}, 1};
const struct identity identity_stranger = {"stranger", 7103, 7103, {0}, 0};

static void demand(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "conformance: %s: %s\n", what, strerror(errno));
	exit(2);
}

void become(const struct identity *identity)
{
	demand(setresuid(0, 0, 0), "setresuid");
	demand(setgroups(identity->group_count, identity->groups), "setgroups");
	demand(setresgid(identity->gid, identity->gid, 0), "setresgid");
	/* The saved id is the way back; capabilities are not effective without the other two. */
	demand(setresuid(identity->uid, identity->uid, 0), "setresuid");
}

const char *kind_name(enum kind kind)
{
	static const char *const names[KIND_COUNT] = {
		[KIND_MISSING] = "missing",
		[KIND_FILE] = "file",
		[KIND_DIRECTORY] = "directory",
		[KIND_FULL_DIRECTORY] = "full-directory",
		[KIND_LINK_TO_FILE] = "link-to-file",
		[KIND_LINK_TO_DIRECTORY] = "link-to-directory",
		[KIND_DANGLING_LINK] = "dangling-link",
		[KIND_LINK_LOOP] = "link-loop",
		[KIND_FIFO] = "fifo",
		[KIND_SOCKET] = "socket",
	};

	return names[kind];
}

static int make_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int result, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	result = bind(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return result;
}

static int make_once(const char *path)
{
	int result = mkdir(path, 0755);

	return result < 0 && errno == EEXIST ? 0 : result;
}

void fixture_make(const struct run *run, enum kind kind, const char *path)
{
	char entry[64];
	int result = 0;

	switch (kind) {
	case KIND_FILE: fixture_file(run, path, 0644, FILE_CONTENT); break;
	case KIND_DIRECTORY: result = mkdir(path, 0755); break;
	case KIND_FULL_DIRECTORY:
		fixture_directory(run, path, 0755);
		snprintf(entry, sizeof(entry), "%s/entry", path);
		fixture_file(run, entry, 0644, "");
		break;
	case KIND_LINK_TO_FILE:
		fixture_file(run, "target-file", 0644, FILE_CONTENT);
		result = symlink("target-file", path);
		break;
	case KIND_LINK_TO_DIRECTORY:
		need(run, make_once("target-directory"), "mkdir");
		result = symlink("target-directory", path);
		break;
	case KIND_DANGLING_LINK: result = symlink("target-missing", path); break;
	case KIND_LINK_LOOP: result = symlink(path, path); break;
	case KIND_FIFO: result = mkfifo(path, 0644); break;
	case KIND_SOCKET: result = make_socket(path); break;
	case KIND_MISSING: break;
	}
	need(run, result, kind_name(kind));
}

void fixture_remove(const char *path)
{
	struct dirent *entry;
	char below[512];
	DIR *directory;

	if (unlink(path) == 0 || errno == ENOENT)
		return;
	directory = opendir(path);
	while (directory && (entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		fixture_remove(below);
	}
	if (directory)
		closedir(directory);
	rmdir(path);
}

void fixture_file(const struct run *run, const char *path, mode_t mode, const char *content)
{
	int fd = fixture_open(run, path, content);

	need(run, fchmod(fd, mode), "fchmod");
	close(fd);
}

int fixture_open(const struct run *run, const char *path, const char *content)
{
	int fd = (int)need(run, open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), path);
	size_t len = strlen(content);

	if (len > 0)
		need(run, pwrite(fd, content, len, 0), "pwrite");
	return fd;
}

void fixture_directory(const struct run *run, const char *path, mode_t mode)
{
	need(run, mkdir(path, 0755), "mkdir");
	need(run, chmod(path, mode), "chmod");
}

struct stat fixture_stat(const struct run *run, const char *path)
{
	struct stat st;

	need(run, lstat(path, &st), path);
	return st;
}

void record_kind(const struct run *run, const char *path, const char *step)
{
	static const struct {
		mode_t type;
		const char *word;
	} words[] = {
		{S_IFREG, "file"},    {S_IFDIR, "directory"}, {S_IFLNK, "link"},  {S_IFIFO, "fifo"},
		{S_IFSOCK, "socket"}, {S_IFCHR, "character"}, {S_IFBLK, "block"},
	};
	struct stat st;
	int result = lstat(path, &st);

	for (size_t i = 0; result == 0 && i < COUNT(words); i++)
		if (words[i].type == (st.st_mode & S_IFMT))
			record_bytes(run, words[i].word, (long)strlen(words[i].word), "%s", step);
	if (result < 0)
		record_bytes(run, NULL, -1, "%s", step);
}

void *bad_address(void)
{
	return mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void wait_for_clock(void)
{
	struct timespec begun, now, pause = {.tv_nsec = 1000000};

	/* A time that was asked for may be finer than the clock's ticks, and ahead of them. */
	clock_gettime(CLOCK_REALTIME, &begun);
	do {
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (now.tv_sec < begun.tv_sec ||
		 (now.tv_sec == begun.tv_sec && now.tv_nsec <= begun.tv_nsec));
}

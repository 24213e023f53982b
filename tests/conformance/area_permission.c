/* area_permission.c — who may do what: modes, classes, supplementary groups, sticky directories. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static const struct identity *const identities[] = {
	&identity_root,		 &identity_actor,    &identity_member,
	&identity_supplementary, &identity_stranger,
};

/* One bit of each class, what a class lacks although others have it, and usual modes. */
static const mode_t modes[] = {
	0,    0400, 0200, 0100, 0040, 0020, 0010, 0004, 0002, 0001, 0077,
	0707, 0770, 0644, 0755, 0600, 0640, 0664, 0711, 0750, 0751, 0777,
};

static long do_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd;
}

/* Exit status of a program that is started: 126 when it may not be. */
static long do_execute(const char *path)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		execl(path, path, (char *)NULL);
		_exit(errno == EACCES ? 126 : 125);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -1;
	errno = WEXITSTATUS(status) == 126 ? EACCES : EIO;
	return WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* The actor's, whatever the identity that made it. */
static void give_to_actor(const struct run *run, const char *path, mode_t mode)
{
	become(&identity_root);
	need(run, chown(path, identity_actor.uid, identity_actor.gid), "chown");
	need(run, chmod(path, mode), "chmod");
}

static void files(const struct run *run)
{
	fixture_file(run, "file", 0644, "#!/bin/true\n");
	for (size_t i = 0; i < COUNT(modes); i++) {
		for (size_t j = 0; j < COUNT(identities); j++) {
			const char *who = identities[j]->name;

			give_to_actor(run, "file", modes[i]);
			become(identities[j]);
			record(run, do_open("file", O_RDONLY), "%o %s read", modes[i], who);
			record(run, do_open("file", O_WRONLY), "%o %s write", modes[i], who);
			record(run, do_open("file", O_RDWR), "%o %s both", modes[i], who);
			record(run, access("file", R_OK), "%o %s R_OK", modes[i], who);
			record(run, access("file", W_OK), "%o %s W_OK", modes[i], who);
			record(run, access("file", X_OK), "%o %s X_OK", modes[i], who);
			record(run, truncate("file", 12), "%o %s truncate", modes[i], who);
		}
	}
}

static void programs(const struct run *run)
{
	fixture_file(run, "file", 0644, "#!/bin/true\n");
	for (size_t i = 0; i < COUNT(modes); i++) {
		for (size_t j = 0; j < COUNT(identities); j++) {
			give_to_actor(run, "file", modes[i]);
			become(identities[j]);
			record(run, do_execute("./file"), "%o %s", modes[i], identities[j]->name);
		}
	}
}

static long list(const char *path)
{
	return do_open(path, O_RDONLY | O_DIRECTORY);
}

static long add(const char *path)
{
	char below[32];
	int result;

	snprintf(below, sizeof(below), "%s/new", path);
	result = mknod(below, S_IFREG | 0644, 0);
	if (result == 0)
		unlink(below);
	return result;
}

static void directories(const struct run *run)
{
	fixture_directory(run, "directory", 0755);
	fixture_file(run, "directory/file", 0666, FILE_CONTENT);
	for (size_t i = 0; i < COUNT(modes); i++) {
		for (size_t j = 0; j < COUNT(identities); j++) {
			const char *who = identities[j]->name;
			struct stat st;

			give_to_actor(run, "directory", modes[i]);
			become(identities[j]);
			record(run, list("directory"), "%o %s list", modes[i], who);
			record(run, add("directory"), "%o %s add", modes[i], who);
			record(run, stat("directory/file", &st), "%o %s stat below", modes[i], who);
			record(run, do_open("directory/file", O_RDWR), "%o %s open below", modes[i],
			       who);
			record(run, stat("directory/missing", &st), "%o %s stat of nothing",
			       modes[i], who);
			record(run, stat("directory/.", &st), "%o %s stat dot", modes[i], who);
			record(run, rename("directory/file", "directory/file"), "%o %s rename",
			       modes[i], who);
		}
	}
}

/* Removing and renaming of a file of each owner in directories of each, sticky or not. */
static void sticky(const struct run *run)
{
	static const mode_t directory_modes[] = {0777, 01777, 01770, 0755, 01755};
	static const struct identity *const owners[] = {&identity_root, &identity_actor,
							&identity_member};

	fixture_directory(run, "directory", 0777);
	for (size_t i = 0; i < COUNT(directory_modes); i++) {
		for (size_t j = 0; j < COUNT(owners); j++) {
			for (size_t k = 0; k < COUNT(identities); k++) {
				char step[64];

				snprintf(step, sizeof(step), "%o file of %s by %s",
					 directory_modes[i], owners[j]->name, identities[k]->name);
				give_to_actor(run, "directory", directory_modes[i]);
				fixture_file(run, "directory/file", 0666, "");
				fixture_directory(run, "directory/sub", 0777);
				need(run, chown("directory/file", owners[j]->uid, owners[j]->gid),
				     "chown");
				need(run, chown("directory/sub", owners[j]->uid, owners[j]->gid),
				     "chown");
				become(identities[k]);
				record(run, rename("directory/file", "directory/renamed"),
				       "rename %s", step);
				record(run, rename("directory/sub", "directory/renamed-sub"),
				       "rename directory %s", step);
				record(run, unlink("directory/file"), "unlink %s", step);
				record(run, rmdir("directory/sub"), "rmdir %s", step);
				become(&identity_root);
				fixture_remove("directory/renamed");
				fixture_remove("directory/renamed-sub");
				fixture_remove("directory/file");
				fixture_remove("directory/sub");
			}
		}
	}
}

static void change_of_mode(const struct run *run)
{
	fixture_file(run, "file", 0644, "");
	for (size_t j = 0; j < COUNT(identities); j++) {
		const char *who = identities[j]->name;
		struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 2}};
		struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
		struct timespec omit[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
		struct timespec half[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};

		for (mode_t mode = 0644; mode <= 0666; mode += 022) {
			give_to_actor(run, "file", mode);
			become(identities[j]);
			record(run, utimensat(AT_FDCWD, "file", times, 0), "%o %s set times", mode,
			       who);
			record(run, utimensat(AT_FDCWD, "file", now, 0), "%o %s times to now", mode,
			       who);
			record(run, utimensat(AT_FDCWD, "file", half, 0), "%o %s one time to now",
			       mode, who);
			record(run, utimensat(AT_FDCWD, "file", omit, 0), "%o %s omit times", mode,
			       who);
			record(run, utimensat(AT_FDCWD, "file", NULL, 0), "%o %s no times", mode,
			       who);
		}
		record(run, chmod("file", 0600), "%s chmod", who);
		record(run, chmod("file", 04700), "%s chmod set-uid", who);
		record_octal(run, fixture_stat(run, "file").st_mode, "%s mode then", who);
	}
}

/* chmod takes set-gid away where the caller is not of the group. */
static void set_gid_of_others(const struct run *run)
{
	static const gid_t groups[] = {65534, OTHER_GROUP, FOREIGN_GROUP};

	fixture_file(run, "file", 0644, "");
	fixture_directory(run, "directory", 0755);
	for (size_t i = 0; i < COUNT(groups); i++) {
		static const char *const paths[] = {"file", "directory"};

		for (size_t j = 0; j < COUNT(paths); j++) {
			become(&identity_root);
			need(run, chown(paths[j], identity_actor.uid, groups[i]), "chown");
			become(&identity_actor);
			record(run, chmod(paths[j], 02775), "%s of group %u", paths[j], groups[i]);
			record_octal(run, fixture_stat(run, paths[j]).st_mode,
				     "mode of %s of group %u", paths[j], groups[i]);
		}
	}
}

static void effective_access(const struct run *run)
{
	fixture_file(run, "file", 0640, "");
	for (size_t i = 0; i < COUNT(identities); i++) {
		const char *who = identities[i]->name;

		give_to_actor(run, "file", 0640);
		become(identities[i]);
		for (int mode = 0; mode <= 7; mode++) {
			record(run, faccessat(AT_FDCWD, "file", mode, 0), "%s real %d", who, mode);
			record(run, faccessat(AT_FDCWD, "file", mode, AT_EACCESS),
			       "%s effective %d", who, mode);
		}
		record(run, access("file", 8), "%s unknown mode", who);
		record(run, access("missing", F_OK), "%s nothing", who);
	}
}

/* Through a directory that may not be searched, by every call. */
static void closed_path(const struct run *run)
{
	struct stat st;
	char text[8];

	fixture_directory(run, "closed", 0755);
	fixture_file(run, "closed/file", 0666, "");
	fixture_directory(run, "closed/directory", 0777);
	need(run, chmod("closed", 0600), "chmod");
	become(&identity_stranger);
	record(run, open("closed/file", O_RDONLY), "open");
	record(run, open("closed/new", O_RDWR | O_CREAT, 0644), "create");
	record(run, stat("closed/file", &st), "stat");
	record(run, lstat("closed/file", &st), "lstat");
	record(run, mkdir("closed/new", 0755), "mkdir");
	record(run, mkfifo("closed/new", 0644), "mkfifo");
	record(run, symlink("x", "closed/new"), "symlink");
	record(run, link("closed/file", "new"), "link from");
	record(run, unlink("closed/file"), "unlink");
	record(run, rmdir("closed/directory"), "rmdir");
	record(run, rename("closed/file", "new"), "rename from");
	record(run, rename("new", "closed/new"), "rename to");
	record(run, truncate("closed/file", 0), "truncate");
	record(run, chmod("closed/file", 0600), "chmod");
	record(run, chown("closed/file", 1, 1), "chown");
	record(run, utimensat(AT_FDCWD, "closed/file", NULL, 0), "utimensat");
	record(run, access("closed/file", F_OK), "access");
	record(run, readlink("closed/file", text, sizeof(text)), "readlink");
	record(run, chdir("closed"), "chdir");
	record(run, chdir("closed/directory"), "chdir below");
	record(run, stat("closed/directory/../file", &st), "stat by dots");
	record(run, open("closed/missing/file", O_RDONLY), "open below nothing");
}

static void append_only_rights(const struct run *run)
{
	fixture_file(run, "file", 0222, "");
	need(run, chown("file", identity_actor.uid, identity_actor.gid), "chown");
	for (size_t i = 0; i < COUNT(identities); i++) {
		const char *who = identities[i]->name;

		become(identities[i]);
		record(run, do_open("file", O_WRONLY | O_APPEND), "%s append", who);
		record(run, do_open("file", O_RDONLY | O_TRUNC), "%s truncate while reading", who);
		record(run, do_open("file", O_WRONLY | O_TRUNC), "%s truncate", who);
		record(run, do_open("file", O_RDONLY | O_NOATIME), "%s O_NOATIME", who);
		record(run, do_open("file", O_WRONLY | O_NOATIME), "%s O_NOATIME write", who);
		record(run, do_open("file", O_PATH), "%s O_PATH", who);
		record(run, do_open("file", 3), "%s mode 3", who);
	}
}

static const struct conformance_case cases[] = {
	{"files", files, PASS_ONCE},
	{"programs", programs, PASS_ONCE},
	{"directories", directories, PASS_ONCE},
	{"sticky", sticky, PASS_ONCE},
	{"change-of-mode", change_of_mode, PASS_ONCE},
	{"set-gid-of-others", set_gid_of_others, PASS_ONCE},
	{"access", effective_access, PASS_ONCE},
	{"closed-path", closed_path, PASS_ONCE},
	{"append", append_only_rights, PASS_ONCE},
};
const struct area area_permission = {"permission", cases, COUNT(cases)};

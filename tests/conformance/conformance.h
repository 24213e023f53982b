/* conformance.h — system calls on a directory, and a line for each result, so that two file systems
 * can be compared line by line.
 *
 * A line is "area/case step: result". Lines are the same on each run: times, inode numbers and the
 * like are told as relations ("mtime later: yes"). Each case runs in a process of its own, in an
 * empty directory of its own that is its working directory and belongs to the actor, with umask 022
 * and nothing open but the standard descriptors; so a case ends without undoing anything. What a
 * case needs and does not get ends it with a line "stopped".
 */
#ifndef TESTS_CONFORMANCE_CONFORMANCE_H
#define TESTS_CONFORMANCE_CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { GROUPS_MAX = 2 };

struct identity {
	const char *name;
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX]; /* supplementary */
	size_t group_count;
};

/* actor: the ordinary user; member shares the actor's group, supplementary has it among the others;
 * stranger shares nothing. The actor is in OTHER_GROUP as well, and not in FOREIGN_GROUP. */
extern const struct identity identity_root, identity_actor, identity_member, identity_supplementary,
	identity_stranger;
enum { OTHER_GROUP = 7001, FOREIGN_GROUP = 7009 };

/* Of this process: ids, groups and, from those, capabilities. Any can be taken after any other. */
void become(const struct identity *identity);

struct run {
	const char *area, *name;
	const struct identity *actor; /* who runs the case when it begins */
};

enum pass {
	PASS_BOTH,	/* once as root, once as the actor */
	PASS_ONCE,	/* as root, which takes other identities itself */
	PASS_READ_ONLY, /* on a file system that was mounted so, with the tree of fixture_tree */
};

struct conformance_case {
	const char *name;
	void (*run)(const struct run *run);
	enum pass pass;
};

struct area {
	const char *name;
	const struct conformance_case *cases;
	size_t count;
};

extern const struct area area_acl, area_data, area_descriptors, area_directory, area_links,
	area_locks, area_mapping, area_names, area_notify, area_open, area_owner, area_permission,
	area_privileges, area_read_only, area_remove, area_rename, area_space, area_status,
	area_times, area_types, area_xattr;

/* A system call: "ok", or the name of errno as it is now when result is negative. Returns result.
 */
__attribute__((format(printf, 3, 4))) long record(const struct run *run, long result,
						  const char *step, ...);
/* The same, with the number that it returned. */
__attribute__((format(printf, 3, 4))) long record_count(const struct run *run, long result,
							const char *step, ...);
__attribute__((format(printf, 3, 4))) void record_value(const struct run *run, long long value,
							const char *step, ...);
__attribute__((format(printf, 3, 4))) void record_octal(const struct run *run, unsigned long value,
							const char *step, ...);
__attribute__((format(printf, 3, 4))) void record_truth(const struct run *run, bool truth,
							const char *step, ...);
/* len bytes; what does not print is escaped. len negative: errno. */
__attribute__((format(printf, 4, 5))) void record_bytes(const struct run *run, const void *bytes,
							long len, const char *step, ...);

/* Ends the case when result is negative: without it nothing that follows means anything. */
long need(const struct run *run, long result, const char *what);

/* Kinds of what a name can lead to. */
enum kind {
	KIND_MISSING,
	KIND_FILE, /* 0644, "content" */
	KIND_DIRECTORY,
	KIND_FULL_DIRECTORY, /* with a file "entry" */
	KIND_LINK_TO_FILE,
	KIND_LINK_TO_DIRECTORY,
	KIND_DANGLING_LINK,
	KIND_LINK_LOOP,
	KIND_FIFO,
	KIND_SOCKET,
};
#define KIND_COUNT   (KIND_SOCKET + 1)
#define FILE_CONTENT "content"

const char *kind_name(enum kind kind);
/* What it leads to ("target-file", "target-directory") is made as well. */
void fixture_make(const struct run *run, enum kind kind, const char *path);
/* Whatever is there, and what is in it; nothing is fine. */
void fixture_remove(const char *path);
void fixture_file(const struct run *run, const char *path, mode_t mode, const char *content);
/* Descriptor of a new file with that content, open for reading and writing. */
int fixture_open(const struct run *run, const char *path, const char *content);
void fixture_directory(const struct run *run, const char *path, mode_t mode);
struct stat fixture_stat(const struct run *run, const char *path); /* lstat */
/* Type of what is there by a word, as record_bytes. */
void record_kind(const struct run *run, const char *path, const char *step);

/* One that no call can read or write. */
void *bad_address(void);
/* Until the clock by which file systems take times has gone on. */
void wait_for_clock(void);

#endif

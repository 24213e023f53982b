/* area_privileges.c — set-uid, set-gid and security.capability go when a file changes content or
 * hands: which call takes them, by whom. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static long with_open(int flags, long (*call)(int fd))
{
	int fd = open("file", flags | O_CLOEXEC);
	long result;

	if (fd < 0)
		return -1;
	result = call(fd);
	close(fd);
	return result;
}

static long call_write(int fd)
{
	return write(fd, "new", 3);
}

static long call_nothing(int fd)
{
	return write(fd, "", 0);
}

static long call_writev(int fd)
{
	const struct iovec part = {"new", 3};

	return writev(fd, &part, 1);
}

static long call_map(int fd)
{
	char *map = mmap(NULL, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -1;
	map[0] = 'm';
	return msync(map, 3, MS_SYNC) + munmap(map, 3);
}

static long call_shorten(int fd)
{
	return ftruncate(fd, 2);
}

static long call_keep_length(int fd)
{
	return ftruncate(fd, 7);
}

static long call_allocate(int fd)
{
	return fallocate(fd, 0, 0, 100);
}

static long call_punch(int fd)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1);
}

static long call_copy(int fd)
{
	int from = open("source", O_RDONLY | O_CLOEXEC);
	long result = copy_file_range(from, NULL, fd, NULL, 3, 0);

	close(from);
	return result;
}

static long call_send(int fd)
{
	int from = open("source", O_RDONLY | O_CLOEXEC);
	long result = sendfile(fd, from, NULL, 3);

	close(from);
	return result;
}

static long call_fchmod(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? -1 : fchmod(fd, st.st_mode & 07777);
}

static long call_fsync(int fd)
{
	return fsync(fd);
}

static long do_write(void)
{
	return with_open(O_WRONLY, call_write);
}

static long do_append(void)
{
	return with_open(O_WRONLY | O_APPEND, call_write);
}

static long do_write_nothing(void)
{
	return with_open(O_WRONLY, call_nothing);
}

static long do_writev(void)
{
	return with_open(O_WRONLY, call_writev);
}

static long do_map(void)
{
	return with_open(O_RDWR, call_map);
}

static long do_ftruncate(void)
{
	return with_open(O_WRONLY, call_shorten);
}

static long do_ftruncate_same(void)
{
	return with_open(O_WRONLY, call_keep_length);
}

static long do_allocate(void)
{
	return with_open(O_WRONLY, call_allocate);
}

static long do_punch(void)
{
	return with_open(O_WRONLY, call_punch);
}

static long do_copy(void)
{
	return with_open(O_WRONLY, call_copy);
}

static long do_send(void)
{
	return with_open(O_WRONLY, call_send);
}

static long do_chmod(void)
{
	return with_open(O_RDONLY, call_fchmod);
}

static long do_fsync(void)
{
	return with_open(O_WRONLY, call_fsync);
}

static long do_open_for_writing(void)
{
	return with_open(O_WRONLY, call_fsync);
}

static long do_open_truncate(void)
{
	return with_open(O_WRONLY | O_TRUNC, call_fsync);
}

static long do_read_truncate(void)
{
	return with_open(O_RDONLY | O_TRUNC, call_fsync);
}

static long do_truncate(void)
{
	return truncate("file", 1);
}

static long do_truncate_same(void)
{
	return truncate("file", 7);
}

static long do_chown_nothing(void)
{
	return chown("file", (uid_t)-1, (gid_t)-1);
}

static long do_chown_group(void)
{
	return chown("file", (uid_t)-1, OTHER_GROUP);
}

static long do_chown_same(void)
{
	return chown("file", identity_actor.uid, identity_actor.gid);
}

static long do_rename(void)
{
	int result = rename("file", "moved");

	return result < 0 ? -1 : rename("moved", "file");
}

static long do_utimens(void)
{
	return utimensat(AT_FDCWD, "file", NULL, 0);
}

static long do_setxattr(void)
{
	return setxattr("file", "user.name", "value", 5, 0);
}

static const struct {
	const char *name;
	long (*call)(void);
} calls[] = {
	{"write", do_write},
	{"append", do_append},
	{"write of nothing", do_write_nothing},
	{"writev", do_writev},
	{"mmap", do_map},
	{"ftruncate", do_ftruncate},
	{"ftruncate to the same", do_ftruncate_same},
	{"truncate", do_truncate},
	{"truncate to the same", do_truncate_same},
	{"fallocate", do_allocate},
	{"punch", do_punch},
	{"copy_file_range", do_copy},
	{"sendfile", do_send},
	{"open", do_open_for_writing},
	{"O_TRUNC", do_open_truncate},
	{"O_TRUNC while reading", do_read_truncate},
	{"fsync", do_fsync},
	{"fchmod", do_chmod},
	{"chown of nothing", do_chown_nothing},
	{"chown to the same", do_chown_same},
	{"chown of the group", do_chown_group},
	{"rename", do_rename},
	{"utimensat", do_utimens},
	{"setxattr", do_setxattr},
};

static void bits(const struct run *run)
{
	static const mode_t modes[] = {06777, 04777, 02777, 02767, 04666, 01777};
	static const struct identity *const identities[] = {&identity_root, &identity_actor,
							    &identity_member, &identity_stranger};

	fixture_file(run, "source", 0666, FILE_CONTENT);
	need(run, chmod(".", 0777), "chmod");
	for (size_t i = 0; i < COUNT(modes); i++) {
		for (size_t j = 0; j < COUNT(identities); j++) {
			for (size_t k = 0; k < COUNT(calls); k++) {
				become(&identity_root);
				fixture_file(run, "file", 0666, FILE_CONTENT);
				need(run, chown("file", identity_actor.uid, identity_actor.gid),
				     "chown");
				need(run, chmod("file", modes[i]), "chmod");
				become(identities[j]);
				record(run, calls[k].call(), "%s %o by %s", calls[k].name, modes[i],
				       identities[j]->name);
				record_octal(run, fixture_stat(run, "file").st_mode & 07777,
					     "mode after %s %o by %s", calls[k].name, modes[i],
					     identities[j]->name);
			}
		}
	}
}

static void capability(const struct run *run)
{
	/* struct vfs_cap_data (linux/capability.h), revision 2: CAP_NET_RAW permitted */
	static const unsigned char value[20] = {0, 0, 0, 2, 0, 0x20};
	unsigned char back[32];

	fixture_file(run, "source", 0666, FILE_CONTENT);
	for (size_t k = 0; k < COUNT(calls); k++) {
		fixture_file(run, "file", 0666, FILE_CONTENT);
		record(run, setxattr("file", "security.capability", value, sizeof(value), 0),
		       "set before %s", calls[k].name);
		record(run, calls[k].call(), "%s", calls[k].name);
		record_count(run, getxattr("file", "security.capability", back, sizeof(back)),
			     "after %s", calls[k].name);
	}
}

static void of_directories(const struct run *run)
{
	fixture_directory(run, "directory", 0755);
	need(run, chown("directory", identity_actor.uid, identity_actor.gid), "chown");
	need(run, chmod("directory", 06777), "chmod");
	become(&identity_actor);
	record(run, chown("directory", (uid_t)-1, OTHER_GROUP), "chown by the owner");
	record_octal(run, fixture_stat(run, "directory").st_mode, "mode then");
	become(&identity_root);
	record(run, chown("directory", 0, 0), "chown by root");
	record_octal(run, fixture_stat(run, "directory").st_mode, "mode after that");
}

static const struct conformance_case cases[] = {
	{"bits", bits, PASS_ONCE},
	{"capability", capability, PASS_ONCE},
	{"directories", of_directories, PASS_ONCE},
};
const struct area area_privileges = {"privileges", cases, COUNT(cases)};

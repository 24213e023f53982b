/* area_read_only.c — on a file system that is mounted read-only: all that would change it. The tree
 * is there already: "file" and "program" (0644 and 0755), "directory" with "below" in it, "link"
 * to "file", "fifo". */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static void changes_by(const struct run *run, const struct identity *identity)
{
	const char *who = identity->name;

	become(identity);
	record(run, open("new", O_RDWR | O_CREAT, 0644), "%s create", who);
	record(run, open("file", O_WRONLY), "%s open for writing", who);
	record(run, open("file", O_RDWR), "%s open for both", who);
	record(run, open("file", O_RDONLY | O_TRUNC), "%s O_TRUNC", who);
	record(run, open("file", O_RDONLY | O_CREAT, 0644), "%s O_CREAT of what is there", who);
	record(run, open("file", O_RDONLY | O_CREAT | O_EXCL, 0644), "%s O_EXCL of what is there",
	       who);
	record(run, open(".", O_RDWR | O_TMPFILE, 0644), "%s O_TMPFILE", who);
	record(run, open("fifo", O_RDWR | O_NONBLOCK), "%s fifo for writing", who);
	record(run, open("link", O_WRONLY), "%s link for writing", who);
	record(run, mkdir("new", 0755), "%s mkdir", who);
	record(run, mkdir("directory", 0755), "%s mkdir of what is there", who);
	record(run, mknod("new", S_IFIFO | 0644, 0), "%s mknod", who);
	record(run, mknod("file", S_IFIFO | 0644, 0), "%s mknod of what is there", who);
	record(run, symlink("x", "new"), "%s symlink", who);
	record(run, symlink("x", "file"), "%s symlink of what is there", who);
	record(run, link("file", "new"), "%s link", who);
	record(run, unlink("file"), "%s unlink", who);
	record(run, unlink("missing"), "%s unlink of nothing", who);
	record(run, unlink("directory"), "%s unlink of a directory", who);
	record(run, rmdir("directory"), "%s rmdir", who);
	record(run, rmdir("missing"), "%s rmdir of nothing", who);
	record(run, rename("file", "new"), "%s rename", who);
	record(run, rename("missing", "new"), "%s rename of nothing", who);
	record(run, rename("file", "file"), "%s rename to itself", who);
	record(run, truncate("file", 0), "%s truncate", who);
	record(run, chmod("file", 0600), "%s chmod", who);
	record(run, chmod("missing", 0600), "%s chmod of nothing", who);
	record(run, chown("file", (uid_t)-1, (gid_t)-1), "%s chown", who);
	record(run, lchown("link", 0, 0), "%s lchown", who);
	record(run, utimensat(AT_FDCWD, "file", NULL, 0), "%s utimensat", who);
	record(run, setxattr("file", "user.a", "1", 1, 0), "%s setxattr", who);
	record(run, removexattr("file", "user.a"), "%s removexattr", who);
	record(run, access("file", W_OK), "%s W_OK", who);
	record(run, access("fifo", W_OK), "%s W_OK of a fifo", who);
	record(run, access("directory", W_OK), "%s W_OK of a directory", who);
}

static void changes(const struct run *run)
{
	changes_by(run, &identity_root);
	changes_by(run, &identity_stranger);
}

static void reading(const struct run *run)
{
	struct statvfs fs;
	char text[32];
	int fd = (int)record(run, open("file", O_RDONLY), "open");

	record_bytes(run, text, read(fd, text, sizeof(text)), "read");
	record(run, fchmod(fd, 0600), "fchmod");
	record(run, futimens(fd, NULL), "futimens");
	record(run, fsync(fd), "fsync");
	record(run, fsetxattr(fd, "user.a", "1", 1, 0), "fsetxattr");
	record_bytes(run, text, readlink("link", text, sizeof(text)), "readlink");
	record(run, statvfs("file", &fs), "statvfs");
	record_truth(run, fs.f_flag & ST_RDONLY, "read-only");
	record(run, access("program", X_OK), "X_OK");
	record(run, open("directory", O_RDONLY | O_DIRECTORY), "open a directory");
	record(run, syncfs(fd), "syncfs");
}

static const struct conformance_case cases[] = {
	{"changes", changes, PASS_READ_ONLY},
	{"reading", reading, PASS_READ_ONLY},
};
const struct area area_read_only = {"read-only", cases, COUNT(cases)};

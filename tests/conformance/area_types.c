/* area_types.c — mknod(2) and its kin, and what stat(2) tells of each type. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static void record_stat(const struct run *run, const char *path, const char *what)
{
	struct stat st;

	if (record(run, lstat(path, &st), "lstat %s", what) < 0)
		return;
	record_octal(run, st.st_mode, "mode %s", what);
	record_value(run, (long long)st.st_nlink, "links %s", what);
	record_value(run, st.st_uid, "uid %s", what);
	record_value(run, st.st_gid, "gid %s", what);
	record_value(run, major(st.st_rdev), "major %s", what);
	record_value(run, minor(st.st_rdev), "minor %s", what);
	if (!S_ISDIR(st.st_mode)) {
		record_value(run, st.st_size, "size %s", what);
		record_value(run, st.st_blksize, "blksize %s", what);
	}
}

static void nodes(const struct run *run)
{
	static const struct {
		const char *name;
		mode_t type;
		unsigned major, minor;
	} nodes[] = {
		{"no-type", 0, 0, 0},
		{"regular", S_IFREG, 0, 0},
		{"regular-with-device", S_IFREG, 1, 3},
		{"fifo", S_IFIFO, 0, 0},
		{"fifo-with-device", S_IFIFO, 1, 3},
		{"socket", S_IFSOCK, 0, 0},
		{"character-0-0", S_IFCHR, 0, 0},
		{"character-1-3", S_IFCHR, 1, 3},
		{"character-255-255", S_IFCHR, 255, 255},
		{"character-large", S_IFCHR, 4095, 1048575},
		{"block-7-0", S_IFBLK, 7, 0},
		{"block-large", S_IFBLK, 259, 65536},
		{"directory", S_IFDIR, 0, 0},
		{"symlink", S_IFLNK, 0, 0},
		{"nonsense", 0150000, 0, 0},
	};

	for (size_t i = 0; i < COUNT(nodes); i++) {
		const char *name = nodes[i].name;

		record(run,
		       mknod(name, nodes[i].type | 0640, makedev(nodes[i].major, nodes[i].minor)),
		       "mknod %s", name);
		record_stat(run, name, name);
		record(run, open(name, O_RDONLY | O_NONBLOCK), "open %s", name);
		record(run, mknod(name, nodes[i].type | 0640, 0), "mknod again %s", name);
		record(run, chmod(name, 0600), "chmod %s", name);
		record(run, truncate(name, 0), "truncate %s", name);
		record(run, rename(name, "moved"), "rename %s", name);
		record_kind(run, "moved", name);
		record(run, unlink("moved"), "unlink %s", name);
	}
}

static void modes(const struct run *run)
{
	static const mode_t modes[] = {0, 0777, 01777, 02755, 04755, 07777};

	for (size_t i = 0; i < COUNT(modes); i++) {
		umask(0);
		record(run, mknod("fifo", S_IFIFO | modes[i], 0), "fifo %o", modes[i]);
		record_octal(run, fixture_stat(run, "fifo").st_mode, "mode of fifo %o", modes[i]);
		record(run, mkdir("directory", modes[i]), "directory %o", modes[i]);
		record_octal(run, fixture_stat(run, "directory").st_mode, "mode of directory %o",
			     modes[i]);
		umask(027);
		record(run, mknod("masked", S_IFREG | modes[i], 0), "masked %o", modes[i]);
		record_octal(run, fixture_stat(run, "masked").st_mode, "mode of masked %o",
			     modes[i]);
		record(run, mkdir("masked-directory", modes[i]), "masked directory %o", modes[i]);
		record_octal(run, fixture_stat(run, "masked-directory").st_mode,
			     "mode of masked directory %o", modes[i]);
		fixture_remove("fifo");
		fixture_remove("directory");
		fixture_remove("masked");
		fixture_remove("masked-directory");
	}
}

static void fifo(const struct run *run)
{
	char text[8];
	int reader, writer;

	need(run, mkfifo("fifo", 0644), "mkfifo");
	record(run, open("fifo", O_WRONLY | O_NONBLOCK), "writer without reader");
	reader = (int)record(run, open("fifo", O_RDONLY | O_NONBLOCK), "reader");
	record_count(run, read(reader, text, sizeof(text)), "read without writer");
	writer = (int)record(run, open("fifo", O_WRONLY | O_NONBLOCK), "writer");
	record_count(run, read(reader, text, sizeof(text)), "read of nothing");
	record_count(run, write(writer, "through", 7), "write");
	record_bytes(run, text, read(reader, text, sizeof(text)), "read");
	record(run, lseek(reader, 0, SEEK_SET), "lseek");
	record(run, unlink("fifo"), "unlink");
	record_count(run, write(writer, "on", 2), "write after unlink");
	record_bytes(run, text, read(reader, text, sizeof(text)), "read after unlink");
}

static void sockets(const struct run *run)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr *plain = (struct sockaddr *)&address;
	char text[8];
	int served;

	record(run, connect(client, plain, sizeof(address)), "connect to nothing");
	record(run, bind(listener, plain, sizeof(address)), "bind");
	record_stat(run, "socket", "socket");
	record(run, bind(client, plain, sizeof(address)), "bind again");
	record(run, connect(client, plain, sizeof(address)), "connect before listen");
	record(run, listen(listener, 1), "listen");
	record(run, connect(client, plain, sizeof(address)), "connect");
	served = (int)record(run, accept(listener, NULL, NULL), "accept");
	record_count(run, write(client, "through", 7), "write");
	record_bytes(run, text, read(served, text, sizeof(text)), "read");
	record(run, chmod("socket", 0), "chmod");
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	record(run, connect(client, plain, sizeof(address)), "connect without permission");
	need(run, chmod("socket", 0777), "chmod");
	record(run, rename("socket", "moved"), "rename");
	snprintf(address.sun_path, sizeof(address.sun_path), "moved");
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	record(run, connect(client, plain, sizeof(address)), "connect to the new name");
	record(run, unlink("moved"), "unlink");
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	record(run, connect(client, plain, sizeof(address)), "connect after unlink");
}

static void directories(const struct run *run)
{
	struct stat st;

	record(run, mkdir("one", 0755), "mkdir");
	record_stat(run, "one", "empty");
	record(run, mkdir("one", 0755), "mkdir again");
	record(run, mkdir("one/two", 0755), "mkdir below");
	record(run, mkdir("one/three", 0755), "another");
	record_value(run, (long long)fixture_stat(run, "one").st_nlink, "links with two below");
	fixture_file(run, "one/file", 0644, "");
	record_value(run, (long long)fixture_stat(run, "one").st_nlink,
		     "links with a file besides");
	record(run, rename("one/two", "two"), "move one away");
	record_value(run, (long long)fixture_stat(run, "one").st_nlink, "links with one below");
	record_value(run, (long long)fixture_stat(run, "two").st_nlink, "links of what moved");
	record(run, rmdir("one/three"), "rmdir");
	record_value(run, (long long)fixture_stat(run, "one").st_nlink, "links with none below");
	record_value(run, fixture_stat(run, "one").st_size % 4096, "size is of whole blocks");
	need(run, stat("two/..", &st), "stat");
	record_truth(run, st.st_ino == fixture_stat(run, ".").st_ino, "parent of what moved");
}

static const struct conformance_case cases[] = {
	{"nodes", nodes, PASS_BOTH},
	{"modes", modes, PASS_BOTH},
	{"fifo", fifo, PASS_BOTH},
	{"sockets", sockets, PASS_BOTH},
	{"directories", directories, PASS_BOTH},
};
const struct area area_types = {"types", cases, COUNT(cases)};

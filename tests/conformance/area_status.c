/* area_status.c — statx(2), statfs(2), and inode numbers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static void masks(const struct run *run)
{
	static const struct {
		const char *name;
		unsigned bit;
	} bits[] = {
		{"TYPE", STATX_TYPE},	{"MODE", STATX_MODE},	  {"NLINK", STATX_NLINK},
		{"UID", STATX_UID},	{"GID", STATX_GID},	  {"ATIME", STATX_ATIME},
		{"MTIME", STATX_MTIME}, {"CTIME", STATX_CTIME},	  {"INO", STATX_INO},
		{"SIZE", STATX_SIZE},	{"BLOCKS", STATX_BLOCKS}, {"BTIME", STATX_BTIME},
	};
	static const int kinds_of_sync[] = {AT_STATX_SYNC_AS_STAT, AT_STATX_FORCE_SYNC,
					    AT_STATX_DONT_SYNC};

	fixture_file(run, "file", 0644, FILE_CONTENT);
	for (size_t i = 0; i < COUNT(bits); i++) {
		for (size_t j = 0; j < COUNT(kinds_of_sync); j++) {
			struct statx st = {0};

			record(run, statx(AT_FDCWD, "file", kinds_of_sync[j], bits[i].bit, &st),
			       "%s %zu", bits[i].name, j);
			record_truth(run, st.stx_mask & bits[i].bit, "told %s %zu", bits[i].name,
				     j);
		}
	}
}

static void values(const struct run *run)
{
	struct statx st = {0};
	struct stat plain;

	fixture_file(run, "file", 0640, FILE_CONTENT);
	plain = fixture_stat(run, "file");
	record(run, statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS | STATX_BTIME, &st), "statx");
	record_truth(run, st.stx_ino == plain.st_ino, "inode as stat");
	record_octal(run, st.stx_mode, "mode");
	record_value(run, st.stx_size, "size");
	record_value(run, st.stx_nlink, "links");
	record_value(run, st.stx_blksize, "blksize");
	record_truth(run, st.stx_mtime.tv_sec == plain.st_mtim.tv_sec, "mtime as stat");
	record_truth(run, st.stx_attributes & STATX_ATTR_IMMUTABLE, "immutable");
	record_truth(run, st.stx_attributes & STATX_ATTR_MOUNT_ROOT, "root of a mount");
	record(run, statx(AT_FDCWD, "file", 0, STATX__RESERVED, &st), "reserved bit");
	record(run, statx(AT_FDCWD, "file", 0x20000000, 0, &st), "unknown flag");
	record(run, statx(AT_FDCWD, "file", AT_STATX_SYNC_TYPE, 0, &st), "two kinds of sync");
	record(run, statx(AT_FDCWD, "missing", 0, 0, &st), "nothing");
	record(run, statx(AT_FDCWD, "", AT_EMPTY_PATH, 0, &st), "AT_EMPTY_PATH");
	record(run, statx(999, "", AT_EMPTY_PATH, 0, &st), "a bad descriptor");
	record(run, statx(AT_FDCWD, "file", 0, 0, bad_address()), "a bad address");
}

static void blocks(const struct run *run)
{
	static const size_t lens[] = {0, 1, 512, 4096, 10000};
	static char bytes[10000];

	for (size_t i = 0; i < COUNT(lens); i++) {
		int fd = fixture_open(run, "file", "");

		memset(bytes, 'b', sizeof(bytes));
		need(run, write(fd, bytes, lens[i]), "write");
		need(run, fsync(fd), "fsync");
		record_truth(run, fixture_stat(run, "file").st_blocks * 512 >= (off_t)lens[i],
			     "enough for %zu", lens[i]);
		record_truth(run,
			     fixture_stat(run, "file").st_blocks * 512 <= (off_t)lens[i] + 4096,
			     "not more for %zu", lens[i]);
		close(fd);
	}
}

static void file_systems(const struct run *run)
{
	struct statfs fs, by_descriptor;
	struct statvfs vfs;
	int fd = fixture_open(run, "file", "");

	record(run, statfs("file", &fs), "statfs");
	record(run, fstatfs(fd, &by_descriptor), "fstatfs");
	record_truth(run, fs.f_type == by_descriptor.f_type, "same type");
	record_value(run, fs.f_bsize, "block size");
	record_value(run, fs.f_frsize, "fragment size");
	record_value(run, fs.f_namelen, "length of names");
	record_truth(run, fs.f_blocks >= fs.f_bfree, "blocks are not less than free ones");
	record_truth(run, fs.f_bfree >= fs.f_bavail, "free ones not less than available ones");
	record_truth(run, fs.f_bavail > 0, "some are available");
	record_truth(run, fs.f_files >= fs.f_ffree, "inodes are not less than free ones");
	record_truth(run, fs.f_ffree > 0, "some inodes are free");
	record(run, statvfs("file", &vfs), "statvfs");
	record_truth(run, vfs.f_flag & ST_NOSUID, "nosuid");
	record_truth(run, vfs.f_flag & ST_NODEV, "nodev");
	record_truth(run, vfs.f_flag & ST_RDONLY, "read-only");
	record_truth(run, vfs.f_flag & ST_RELATIME, "relatime");
	record_truth(run, vfs.f_flag & ST_NOEXEC, "noexec");
	record(run, statfs("missing", &fs), "of nothing");
	record(run, fstatfs(999, &fs), "a bad descriptor");
	record(run, fstatfs(open("file", O_PATH), &fs), "O_PATH");
	record(run, statfs("file", bad_address()), "a bad address");
	record_value(run, pathconf("file", _PC_NAME_MAX), "_PC_NAME_MAX");
	record_value(run, pathconf("file", _PC_PATH_MAX), "_PC_PATH_MAX");
	record_value(run, pathconf("file", _PC_PIPE_BUF), "_PC_PIPE_BUF");
	record_value(run, pathconf("file", _PC_NO_TRUNC), "_PC_NO_TRUNC");
}

static void identities_of_files(const struct run *run)
{
	struct stat a, b, before;

	fixture_file(run, "a", 0644, "");
	fixture_file(run, "b", 0644, "");
	fixture_directory(run, "d", 0755);
	a = fixture_stat(run, "a");
	b = fixture_stat(run, "b");
	record_truth(run, a.st_ino != b.st_ino, "two files have two numbers");
	record_truth(run, a.st_dev == b.st_dev, "and one device");
	record_truth(run, a.st_ino == fixture_stat(run, "a").st_ino, "it stays");
	need(run, chmod("a", 0600), "chmod");
	need(run, truncate("a", 100), "truncate");
	record_truth(run, a.st_ino == fixture_stat(run, "a").st_ino, "through changes");
	need(run, rename("a", "d/c"), "rename");
	record_truth(run, a.st_ino == fixture_stat(run, "d/c").st_ino, "through a rename");
	before = fixture_stat(run, "d");
	need(run, rename("d", "e"), "rename");
	record_truth(run, before.st_ino == fixture_stat(run, "e").st_ino, "of a directory");
	record_truth(run, a.st_ino == fixture_stat(run, "e/c").st_ino, "of what is below it");
	need(run, stat("e/.", &b), "stat");
	record_truth(run, before.st_ino == b.st_ino, "by its dot");
	need(run, stat("e/..", &b), "stat");
	record_truth(run, b.st_ino == fixture_stat(run, ".").st_ino, "by its dots");
}

static const struct conformance_case cases[] = {
	{"masks", masks, PASS_BOTH},
	{"values", values, PASS_BOTH},
	{"blocks", blocks, PASS_BOTH},
	{"file-systems", file_systems, PASS_BOTH},
	{"identities", identities_of_files, PASS_BOTH},
};
const struct area area_status = {"status", cases, COUNT(cases)};

/* area_data.c — reading and writing: positions, vectors, appending, lengths, syncing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static void record_content(const struct run *run, const char *path, const char *step)
{
	char text[256];
	int fd = (int)need(run, open(path, O_RDONLY | O_CLOEXEC), path);

	record_bytes(run, text, read(fd, text, sizeof(text)), "%s", step);
	close(fd);
}

static void positions(const struct run *run)
{
	char text[16];
	int fd = fixture_open(run, "file", "0123456789");

	record_count(run, read(fd, text, 4), "read 4");
	record_count(run, lseek(fd, 0, SEEK_CUR), "position after read");
	record_count(run, write(fd, "AB", 2), "write 2");
	record_count(run, lseek(fd, 0, SEEK_CUR), "position after write");
	record_count(run, pread(fd, text, 4, 8), "pread at 8");
	record_count(run, pwrite(fd, "CD", 2, 8), "pwrite at 8");
	record_count(run, lseek(fd, 0, SEEK_CUR), "position after pwrite");
	record_count(run, lseek(fd, -1, SEEK_END), "seek from the end");
	record_count(run, read(fd, text, 4), "read across the end");
	record_count(run, read(fd, text, 4), "read at the end");
	record_count(run, lseek(fd, 5, SEEK_END), "seek behind the end");
	record_count(run, read(fd, text, 4), "read behind the end");
	record_count(run, write(fd, "Z", 1), "write behind the end");
	record_content(run, "file", "content");
	record(run, lseek(fd, -1, SEEK_SET), "seek before the start");
	record(run, lseek(fd, 0, 99), "seek by an unknown rule");
	record(run, lseek(fd, LLONG_MAX, SEEK_SET), "seek to the largest");
	record(run, pread(fd, text, 1, -1), "pread at -1");
	record(run, pwrite(fd, text, 1, -1), "pwrite at -1");
	record_count(run, read(fd, text, 0), "read 0");
	record_count(run, pread(fd, text, 0, 0), "pread 0");
	record_count(run, pread(fd, text, 1, LLONG_MAX - 1), "pread at the largest");
	record(run, pwrite(fd, text, 1, LLONG_MAX - 1), "pwrite at the largest");
	record(run, pread(fd, bad_address(), 4, 0), "pread to a bad address");
	record(run, pwrite(fd, bad_address(), 4, 0), "pwrite from a bad address");
	record(run, read(999, text, 1), "read a bad descriptor");
	record(run, write(999, text, 1), "write a bad descriptor");
}

static void vectors(const struct run *run)
{
	char a[4], b[4];
	int fd = fixture_open(run, "file", "");
	struct iovec out[3] = {{"one", 3}, {"", 0}, {"three", 5}};
	struct iovec in[2] = {{a, sizeof(a)}, {b, sizeof(b)}};
	struct iovec broken[2] = {{a, 1}, {bad_address(), 4}};

	record_count(run, writev(fd, out, 3), "writev");
	record_count(run, pwritev(fd, out, 3, 20), "pwritev behind a hole");
	record_content(run, "file", "content");
	record_count(run, preadv(fd, in, 2, 1), "preadv");
	record_bytes(run, a, 4, "first part");
	record_bytes(run, b, 4, "second part");
	record_count(run, preadv(fd, in, 2, 26), "preadv across the end");
	record_count(run, readv(fd, in, 0), "readv of no parts");
	record(run, syscall(SYS_readv, fd, in, -1), "readv of -1 parts");
	record(run, syscall(SYS_readv, fd, in, IOV_MAX + 1), "readv of too many parts");
	record(run, pwritev(fd, out, 3, -5), "pwritev at -5");
	record_count(run, pwritev(fd, broken, 2, 0), "pwritev of a bad part");
	record_count(run, preadv(fd, broken, 2, 0), "preadv to a bad part");
}

static void flags(const struct run *run)
{
	static const struct {
		const char *name;
		int flag;
	} known[] = {
		{"none", 0},
		{"RWF_HIPRI", RWF_HIPRI},
		{"RWF_DSYNC", RWF_DSYNC},
		{"RWF_SYNC", RWF_SYNC},
		{"RWF_NOWAIT", RWF_NOWAIT},
		{"RWF_APPEND", RWF_APPEND},
		{"unknown", 1 << 20},
	};
	int fd = fixture_open(run, "file", "0123456789");

	for (size_t i = 0; i < COUNT(known); i++) {
		char text[4];
		struct iovec out = {"ab", 2}, in = {text, sizeof(text)};

		/* Whether it would wait is up to what is cached. */
		if (known[i].flag != RWF_NOWAIT) {
			record_count(run, pwritev2(fd, &out, 1, 2, known[i].flag), "pwritev2 %s",
				     known[i].name);
			record_count(run, pwritev2(fd, &out, 1, -1, known[i].flag),
				     "pwritev2 at the position %s", known[i].name);
			record_count(run, lseek(fd, 0, SEEK_CUR), "position after %s",
				     known[i].name);
			record_count(run, preadv2(fd, &in, 1, 0, known[i].flag), "preadv2 %s",
				     known[i].name);
		}
		record_content(run, "file", known[i].name);
	}
}

static void append(const struct run *run)
{
	int one = fixture_open(run, "file", "start."), two, plain = one;
	char text[16];

	one = (int)need(run, open("file", O_RDWR | O_APPEND), "open");
	two = (int)need(run, open("file", O_WRONLY | O_APPEND), "open");
	record_count(run, write(one, "1", 1), "first");
	record_count(run, write(two, "2", 1), "second");
	record_count(run, write(one, "3", 1), "first again");
	record_count(run, lseek(one, 0, SEEK_CUR), "its position");
	record_count(run, lseek(two, 0, SEEK_SET), "second to the start");
	record_count(run, write(two, "4", 1), "second appends all the same");
	record_count(run, pwrite(one, "5", 1, 0), "pwrite appends, too");
	record_count(run, pwrite(plain, "S", 1, 0), "plain write at the start");
	record_count(run, pread(one, text, 4, 0), "pread of an appender");
	record_count(run, pwrite(plain, "!", 1, 30), "plain write behind the end");
	record_count(run, write(two, "6", 1), "second after that");
	record_content(run, "file", "content");
	record(run, ftruncate(plain, 3), "cut");
	record_count(run, write(one, "7", 1), "first after the cut");
	record(run, fcntl(one, F_SETFL, 0), "without O_APPEND");
	record_count(run, pwrite(one, "x", 1, 1), "then it writes where it is told");
	record(run, fcntl(plain, F_SETFL, O_APPEND), "with O_APPEND");
	record_count(run, pwrite(plain, "8", 1, 0), "then it appends");
	record_content(run, "file", "content after all");
}

static void lengths(const struct run *run)
{
	static const off_t lens[] = {0, 1, 5, 10, 11, 4095, 4096, 4097, 100000, 3, -1, LLONG_MAX};
	int fd = fixture_open(run, "file", "0123456789");
	char text[16];
	struct stat st;

	for (size_t i = 0; i < COUNT(lens); i++) {
		record(run, ftruncate(fd, lens[i]), "ftruncate %zu", i);
		need(run, fstat(fd, &st), "fstat");
		record_value(run, st.st_size, "size %zu", i);
		record_bytes(run, text, pread(fd, text, sizeof(text), 0), "content %zu", i);
		record(run, truncate("file", lens[i]), "truncate %zu", i);
		record_value(run, fixture_stat(run, "file").st_size, "size by name %zu", i);
	}
	record(run, truncate(".", 0), "truncate a directory");
	record(run, truncate("missing", 0), "truncate nothing");
	record(run, ftruncate(999, 0), "ftruncate a bad descriptor");
	record(run, ftruncate(open(".", O_RDONLY), 0), "ftruncate a directory");
}

/* What a shorter file loses is zeros when it grows again. */
static void zeros(const struct run *run)
{
	int fd = fixture_open(run, "file", "0123456789");
	char text[32];

	record(run, ftruncate(fd, 4), "cut");
	record_count(run, pwrite(fd, "X", 1, 8), "write behind the end");
	record_bytes(run, text, pread(fd, text, sizeof(text), 0), "content");
	record(run, ftruncate(fd, 2), "cut again");
	record(run, ftruncate(fd, 6), "lengthen");
	record_bytes(run, text, pread(fd, text, sizeof(text), 0), "content then");
	record_count(run, pwrite(fd, "end", 3, 70000), "write far behind");
	record_bytes(run, text, pread(fd, text, 16, 69990), "around it");
	record_bytes(run, text, pread(fd, text, 16, 4090), "in the hole");
}

static void sizes(const struct run *run)
{
	static const size_t lens[] = {1,    511,   512,	   4095,    4096,
				      4097, 65536, 131072, 1048576, 1048577};
	char *out = malloc(1 << 21), *in = malloc(1 << 21);

	for (size_t i = 0; i < 1 << 21; i++)
		out[i] = (char)(i * 7 + i / 251);
	for (size_t i = 0; i < COUNT(lens); i++) {
		int fd = fixture_open(run, "file", "");

		record_count(run, pwrite(fd, out, lens[i], 13), "write %zu", lens[i]);
		record_count(run, pread(fd, in, 1 << 21, 13), "read %zu", lens[i]);
		record_truth(run, memcmp(in, out, lens[i]) == 0, "same %zu", lens[i]);
		record_count(run, pread(fd, in, 1 << 21, (off_t)lens[i]), "read the end of %zu",
			     lens[i]);
		close(fd);
		fd = (int)need(run, open("file", O_RDONLY), "open");
		record_count(run, pread(fd, in, 1 << 21, 13), "read again %zu", lens[i]);
		record_truth(run, memcmp(in, out, lens[i]) == 0, "same again %zu", lens[i]);
		close(fd);
	}
	free(out);
	free(in);
}

static void limit_of_size(const struct run *run)
{
	const struct rlimit limit = {100, 100};
	int fd = fixture_open(run, "file", "");
	char text[200];

	memset(text, 'l', sizeof(text));
	signal(SIGXFSZ, SIG_IGN);
	need(run, setrlimit(RLIMIT_FSIZE, &limit), "setrlimit");
	record_count(run, pwrite(fd, text, sizeof(text), 0), "write across the limit");
	record(run, pwrite(fd, text, 1, 100), "write at the limit");
	record(run, pwrite(fd, text, 1, 5000), "write behind the limit");
	record(run, ftruncate(fd, 101), "ftruncate behind the limit");
	record(run, ftruncate(fd, 100), "ftruncate to the limit");
	record(run, truncate("file", 101), "truncate behind the limit");
	record(run, fallocate(fd, 0, 50, 100), "fallocate across the limit");
}

static void syncing(const struct run *run)
{
	static const char *const names[] = {"O_SYNC", "O_DSYNC"};
	static const int modes[] = {O_SYNC, O_DSYNC};
	int fd = fixture_open(run, "file", FILE_CONTENT), directory;

	record(run, fsync(fd), "fsync");
	record(run, fdatasync(fd), "fdatasync");
	record(run, syncfs(fd), "syncfs");
	record(run, sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), "sync_file_range");
	record(run, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), "posix_fadvise");
	record_count(run, readahead(fd, 0, 4096), "readahead");
	fd = (int)need(run, open("file", O_RDONLY), "open");
	record(run, fsync(fd), "fsync of a reader");
	record(run, fdatasync(fd), "fdatasync of a reader");
	directory = (int)need(run, open(".", O_RDONLY), "open");
	record(run, fsync(directory), "fsync of a directory");
	record(run, fdatasync(directory), "fdatasync of a directory");
	record(run, syncfs(directory), "syncfs of a directory");
	record(run, fsync(999), "fsync of a bad descriptor");
	record(run, syncfs(999), "syncfs of a bad descriptor");
	record(run, fsync(open("file", O_PATH)), "fsync of O_PATH");
	record(run, syncfs(open("file", O_PATH)), "syncfs of O_PATH");
	for (size_t i = 0; i < COUNT(modes); i++) {
		fd = (int)record(run, open("file", O_RDWR | modes[i]), "open %s", names[i]);
		record_count(run, write(fd, "synced", 6), "write %s", names[i]);
		close(fd);
	}
	record_content(run, "file", "content");
}

static void duplicates(const struct run *run)
{
	int fd = fixture_open(run, "file", "0123456789"), copy = dup(fd);
	char text[8];

	record_count(run, read(fd, text, 3), "read");
	record_count(run, lseek(copy, 0, SEEK_CUR), "position of the copy");
	record(run, close(fd), "close");
	record_count(run, pwrite(copy, "AB", 2, 0), "write by the copy");
	record_count(run, pread(copy, text, 4, 0), "read by the copy");
	record(run, close(copy), "close the copy");
	record(run, close(copy), "close again");
	record_content(run, "file", "content");
}

static const struct conformance_case cases[] = {
	{"positions", positions, PASS_BOTH}, {"vectors", vectors, PASS_BOTH},
	{"flags", flags, PASS_BOTH},	     {"append", append, PASS_BOTH},
	{"lengths", lengths, PASS_BOTH},     {"zeros", zeros, PASS_BOTH},
	{"sizes", sizes, PASS_BOTH},	     {"limit-of-size", limit_of_size, PASS_BOTH},
	{"syncing", syncing, PASS_BOTH},     {"duplicates", duplicates, PASS_BOTH},
};
const struct area area_data = {"data", cases, COUNT(cases)};

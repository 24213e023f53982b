/* area_space.c — fallocate(2), holes, copy_file_range(2), sendfile(2), splice(2). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

enum { PAGE = 4096, PAGES = 4 };

static const struct {
	const char *name;
	int mode;
} modes[] = {
	{"allocate", 0},
	{"KEEP_SIZE", FALLOC_FL_KEEP_SIZE},
	{"PUNCH_HOLE", FALLOC_FL_PUNCH_HOLE},
	{"PUNCH_HOLE+KEEP_SIZE", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
	{"ZERO_RANGE", FALLOC_FL_ZERO_RANGE},
	{"ZERO_RANGE+KEEP_SIZE", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE},
	{"PUNCH_HOLE+ZERO_RANGE",
	 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE},
	{"unknown", 1 << 20},
};

/* A small sum of what the file holds: position and value of each byte count. */
static long long sum(int fd)
{
	static char bytes[16 * PAGE];
	ssize_t got = pread(fd, bytes, sizeof(bytes), 0);
	long long total = got;

	for (ssize_t i = 0; i < got; i++)
		total += (long long)(i + 1) * (unsigned char)bytes[i];
	return total;
}

static int make_pages(const struct run *run)
{
	static char page[PAGE];
	int fd = fixture_open(run, "file", "");

	for (int i = 0; i < PAGES; i++) {
		memset(page, 'a' + i, PAGE);
		need(run, pwrite(fd, page, PAGE, (off_t)i * PAGE), "pwrite");
	}
	return fd;
}

static void ranges(const struct run *run)
{
	static const struct {
		off_t offset, len;
	} areas[] = {
		{0, PAGE},	  {PAGE, PAGE},	 {100, 200}, {PAGE - 10, 20}, {3 * PAGE, 2 * PAGE},
		{5 * PAGE, PAGE}, {0, 4 * PAGE}, {0, 0},     {-1, 10},	      {0, -1},
	};

	for (size_t i = 0; i < COUNT(modes); i++) {
		for (size_t j = 0; j < COUNT(areas); j++) {
			int fd = make_pages(run);
			struct stat st;

			record(run, fallocate(fd, modes[i].mode, areas[j].offset, areas[j].len),
			       "%s %lld+%lld", modes[i].name, (long long)areas[j].offset,
			       (long long)areas[j].len);
			need(run, fstat(fd, &st), "fstat");
			record_value(run, st.st_size, "size after %s %lld+%lld", modes[i].name,
				     (long long)areas[j].offset, (long long)areas[j].len);
			record_value(run, sum(fd), "sum after %s %lld+%lld", modes[i].name,
				     (long long)areas[j].offset, (long long)areas[j].len);
			close(fd);
		}
	}
}

static void moving_modes(const struct run *run)
{
	int fd = make_pages(run);

	record(run, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, PAGE, PAGE), "collapse");
	record_value(run, sum(fd), "sum after collapse");
	record(run, fallocate(fd, FALLOC_FL_INSERT_RANGE, PAGE, PAGE), "insert");
	record_value(run, sum(fd), "sum after insert");
	record(run, fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, PAGE), "unshare");
}

static void wrong_files(const struct run *run)
{
	int pipes[2];

	fixture_file(run, "file", 0644, FILE_CONTENT);
	need(run, mkfifo("fifo", 0644), "mkfifo");
	need(run, pipe(pipes), "pipe");
	record(run, fallocate(open("file", O_RDONLY), 0, 0, 1), "a reader");
	record(run, fallocate(open(".", O_RDONLY), 0, 0, 1), "a directory");
	record(run, fallocate(open("fifo", O_RDWR), 0, 0, 1), "a fifo");
	record(run, fallocate(pipes[1], 0, 0, 1), "a pipe");
	record(run, fallocate(999, 0, 0, 1), "a bad descriptor");
	record(run, fallocate(open("file", O_RDWR | O_APPEND), 0, 0, 100), "an appender");
	record(run, fallocate(open("file", O_RDWR), 0, 0, (1LL << 62) + 1),
	       "more than a file can be");
	record(run, posix_fallocate(open("file", O_RDWR), 0, 200), "posix_fallocate");
	record_value(run, fixture_stat(run, "file").st_size, "size");
}

static void too_much(const struct run *run)
{
	int fd = fixture_open(run, "file", FILE_CONTENT);

	record(run, fallocate(fd, 0, 0, 1LL << 42), "allocate");
	record(run, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1LL << 42), "KEEP_SIZE");
	/* ext4 keeps what it could get. */
	need(run, ftruncate(fd, 0), "ftruncate");
}

static void seeking(const struct run *run)
{
	int fd = fixture_open(run, "file", "");
	off_t last = 16 * PAGE;

	need(run, pwrite(fd, "data", 4, 4 * PAGE), "pwrite");
	need(run, ftruncate(fd, last), "ftruncate");
	record_count(run, lseek(fd, 0, SEEK_DATA), "data from the start");
	record_count(run, lseek(fd, 0, SEEK_HOLE), "hole from the start");
	record_count(run, lseek(fd, 4 * PAGE, SEEK_DATA), "data from the data");
	record_count(run, lseek(fd, 4 * PAGE, SEEK_HOLE), "hole from the data");
	record_count(run, lseek(fd, 4 * PAGE + 2, SEEK_DATA), "data inside the data");
	record_count(run, lseek(fd, 5 * PAGE, SEEK_DATA), "data behind the data");
	record_count(run, lseek(fd, 5 * PAGE, SEEK_HOLE), "hole behind the data");
	record_count(run, lseek(fd, last - 1, SEEK_HOLE), "hole at the last byte");
	record_count(run, lseek(fd, last, SEEK_DATA), "data at the end");
	record_count(run, lseek(fd, last, SEEK_HOLE), "hole at the end");
	record_count(run, lseek(fd, last + 1, SEEK_HOLE), "hole behind the end");
	record_count(run, lseek(fd, -1, SEEK_DATA), "data at -1");
	fd = fixture_open(run, "empty", "");
	record_count(run, lseek(fd, 0, SEEK_DATA), "data of an empty file");
	record_count(run, lseek(fd, 0, SEEK_HOLE), "hole of an empty file");
	fd = fixture_open(run, "full", FILE_CONTENT);
	record_count(run, lseek(fd, 2, SEEK_DATA), "data of a full file");
	record_count(run, lseek(fd, 2, SEEK_HOLE), "hole of a full file");
}

static void record_text(const struct run *run, const char *path, const char *step)
{
	char text[128];
	int fd = (int)need(run, open(path, O_RDONLY), "open");

	record_bytes(run, text, read(fd, text, sizeof(text)), "%s", step);
	close(fd);
}

static void copying(const struct run *run)
{
	int from = fixture_open(run, "from", "0123456789"), to = fixture_open(run, "to", "abc");
	int appender, reader, writer;
	off_t in = 2, out = 1;

	record_count(run, copy_file_range(from, &in, to, &out, 4, 0), "with offsets");
	record_value(run, in, "offset of the source");
	record_value(run, out, "offset of the target");
	record_text(run, "to", "content");
	record_count(run, copy_file_range(from, NULL, to, NULL, 3, 0), "with positions");
	record_count(run, lseek(from, 0, SEEK_CUR), "position of the source");
	record_count(run, lseek(to, 0, SEEK_CUR), "position of the target");
	in = 8;
	record_count(run, copy_file_range(from, &in, to, &out, 100, 0), "across the end");
	in = 10;
	record_count(run, copy_file_range(from, &in, to, &out, 100, 0), "at the end");
	in = 50;
	record_count(run, copy_file_range(from, &in, to, &out, 100, 0), "behind the end");
	in = 0;
	out = 20;
	record_count(run, copy_file_range(from, &in, to, &out, 2, 0), "behind the target's end");
	record_count(run, copy_file_range(from, &in, to, &out, 0, 0), "nothing");
	record_text(run, "to", "content then");
	in = 0;
	out = 5;
	record_count(run, copy_file_range(from, &in, from, &out, 5, 0), "within the file");
	out = 2;
	in = 0;
	record_count(run, copy_file_range(from, &in, from, &out, 5, 0), "over itself");
	record(run, copy_file_range(from, NULL, to, NULL, 1, 1), "unknown flag");
	in = -1;
	record(run, copy_file_range(from, &in, to, NULL, 1, 0), "a negative offset");
	appender = (int)need(run, open("to", O_WRONLY | O_APPEND), "open");
	reader = (int)need(run, open("to", O_RDONLY), "open");
	writer = (int)need(run, open("from", O_WRONLY), "open");
	record(run, copy_file_range(from, NULL, appender, NULL, 1, 0), "to an appender");
	record(run, copy_file_range(from, NULL, reader, NULL, 1, 0), "to a reader");
	record(run, copy_file_range(writer, NULL, to, NULL, 1, 0), "from a writer");
	record(run, copy_file_range(open(".", O_RDONLY), NULL, to, NULL, 1, 0), "from a directory");
	record(run, copy_file_range(from, NULL, 999, NULL, 1, 0), "to a bad descriptor");
	record_text(run, "from", "source at the end");
}

static void sending(const struct run *run)
{
	int from = fixture_open(run, "from", "0123456789"), to = fixture_open(run, "to", "");
	int pipes[2];
	off_t offset = 3;
	char text[16];

	record_count(run, sendfile(to, from, &offset, 4), "with an offset");
	record_value(run, offset, "the offset");
	record_count(run, sendfile(to, from, NULL, 100), "with positions");
	record_count(run, sendfile(to, from, NULL, 100), "at the end");
	record_text(run, "to", "content");
	record(run, sendfile(open("to", O_WRONLY | O_APPEND), from, NULL, 1), "to an appender");
	record(run, sendfile(open("to", O_RDONLY), from, NULL, 1), "to a reader");
	record(run, sendfile(to, open(".", O_RDONLY), NULL, 1), "from a directory");
	need(run, pipe(pipes), "pipe");
	offset = 0;
	record_count(run, splice(from, &offset, pipes[1], NULL, 6, 0), "splice to a pipe");
	offset = 20;
	record_count(run, splice(pipes[0], NULL, to, &offset, 6, 0), "splice from a pipe");
	record_text(run, "to", "content after splice");
	offset = 0;
	record_count(run, sendfile(pipes[1], from, &offset, 5), "sendfile to a pipe");
	record_bytes(run, text, read(pipes[0], text, sizeof(text)), "what came through");
}

static const struct conformance_case cases[] = {
	{"ranges", ranges, PASS_BOTH},		 {"moving", moving_modes, PASS_BOTH},
	{"wrong-files", wrong_files, PASS_BOTH}, {"seeking", seeking, PASS_BOTH},
	{"too-much", too_much, PASS_BOTH},	 {"copying", copying, PASS_BOTH},
	{"sending", sending, PASS_BOTH},
};
const struct area area_space = {"space", cases, COUNT(cases)};

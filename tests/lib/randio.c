/* randio.c — the same random operations on two files, which must stay equal.
 *
 * randio FILE MODEL SEED FIRST COUNT MAX_SIZE: operations FIRST .. FIRST+COUNT-1 of the sequence
 * that SEED names, on FILE (under test) and MODEL (a plain local file). Each operation depends on
 * SEED and its number alone, so that a sequence goes on after a remount. Every read is compared,
 * and both files as a whole at the end. Exit status 0: equal; 1: they differ, or a call failed: the
 * seed and the operation are printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IO_BYTES_MAX = 256 * 1024 };

struct pair {
	const char *path[2];
	int fd[2];
	uint64_t seed, number; /* of the operation under way */
	uint64_t size_max;
	const char *operation;
};

static const char *const side_name[2] = {"the file under test", "the model"};

__attribute__((format(printf, 2, 3))) static void fail(const struct pair *pair, const char *format,
						       ...)
{
	va_list arguments;

	fprintf(stderr, "randio: seed %llu, operation %llu (%s): ", (unsigned long long)pair->seed,
		(unsigned long long)pair->number, pair->operation);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators) */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t *state, uint64_t limit)
{
	return limit ? next_random(state) % limit : 0;
}

/* Lengths over all magnitudes: small ones are as likely as large ones. */
static size_t random_length(uint64_t *state)
{
	uint64_t magnitude = 1 + below(state, 18);

	return 1 + below(state, UINT64_C(1) << magnitude) % IO_BYTES_MAX;
}

static uint64_t file_size(const struct pair *pair, int side)
{
	struct stat st;

	if (fstat(pair->fd[side], &st) != 0)
		fail(pair, "fstat of %s: %s", side_name[side], strerror(errno));
	return (uint64_t)st.st_size;
}

static void open_both(struct pair *pair, int flags)
{
	for (int side = 0; side < 2; side++) {
		pair->fd[side] = open(pair->path[side], O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);
		if (pair->fd[side] < 0)
			fail(pair, "open of %s: %s", side_name[side], strerror(errno));
	}
}

static void close_both(struct pair *pair)
{
	for (int side = 0; side < 2; side++)
		if (close(pair->fd[side]) != 0)
			fail(pair, "close of %s: %s", side_name[side], strerror(errno));
}

static void write_both(struct pair *pair, uint64_t *state, uint64_t offset, size_t length)
{
	static char bytes[IO_BYTES_MAX];

	for (size_t i = 0; i < length; i += sizeof(uint64_t)) {
		uint64_t word = next_random(state);

		memcpy(bytes + i, &word, length - i < sizeof(word) ? length - i : sizeof(word));
	}
	for (int side = 0; side < 2; side++) {
		size_t done = 0;

		while (done < length) {
			ssize_t n = pwrite(pair->fd[side], bytes + done, length - done,
					   (off_t)(offset + done));

			if (n <= 0)
				fail(pair, "write of %zu bytes at %llu to %s: %s", length,
				     (unsigned long long)offset, side_name[side], strerror(errno));
			done += (size_t)n;
		}
	}
}

static size_t read_side(const struct pair *pair, int side, char *bytes, uint64_t offset,
			size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = pread(pair->fd[side], bytes + done, length - done,
				  (off_t)(offset + done));

		if (n < 0)
			fail(pair, "read of %zu bytes at %llu from %s: %s", length,
			     (unsigned long long)offset, side_name[side], strerror(errno));
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static void compare(const struct pair *pair, uint64_t offset, size_t length)
{
	static char bytes[2][IO_BYTES_MAX];
	size_t got = read_side(pair, 0, bytes[0], offset, length);
	size_t expected = read_side(pair, 1, bytes[1], offset, length);

	if (got != expected)
		fail(pair, "read of %zu bytes at %llu gave %zu, not %zu", length,
		     (unsigned long long)offset, got, expected);
	for (size_t i = 0; i < got; i++)
		if (bytes[0][i] != bytes[1][i])
			fail(pair, "byte %llu is %02x, not %02x", (unsigned long long)offset + i,
			     (unsigned char)bytes[0][i], (unsigned char)bytes[1][i]);
}

static void compare_sizes(const struct pair *pair)
{
	uint64_t got = file_size(pair, 0), expected = file_size(pair, 1);

	if (got != expected)
		fail(pair, "the size is %llu, not %llu", (unsigned long long)got,
		     (unsigned long long)expected);
}

static void compare_all(struct pair *pair)
{
	uint64_t size = file_size(pair, 1);

	pair->operation = "comparison of all";
	compare_sizes(pair);
	for (uint64_t offset = 0; offset <= size; offset += IO_BYTES_MAX)
		compare(pair, offset, IO_BYTES_MAX);
}

static void truncate_both(struct pair *pair, uint64_t size)
{
	for (int side = 0; side < 2; side++)
		if (ftruncate(pair->fd[side], (off_t)size) != 0)
			fail(pair, "truncate of %s to %llu: %s", side_name[side],
			     (unsigned long long)size, strerror(errno));
}

static void operate(struct pair *pair)
{
	uint64_t state = pair->seed * 0x2545f4914f6cdd1du ^ (pair->number << 20);
	uint64_t size = file_size(pair, 1), die = below(&state, 1000);
	size_t length = random_length(&state);

	if (die < 400) {
		pair->operation = "write";
		write_both(pair, &state, below(&state, size + 1), length);
	} else if (die < 470) {
		pair->operation = "append";
		write_both(pair, &state, size, length);
	} else if (die < 490) {
		pair->operation = "sparse write";
		write_both(pair, &state, below(&state, pair->size_max), length);
	} else if (die < 530) {
		pair->operation = "truncate";
		truncate_both(pair, below(&state, size + 1));
	} else if (die < 540) {
		pair->operation = "extend";
		truncate_both(pair, size + below(&state, pair->size_max / 8));
	} else if (die < 546) {
		pair->operation = "fsync";
		if (fsync(pair->fd[0]) != 0)
			fail(pair, "%s", strerror(errno));
	} else if (die < 552) {
		pair->operation = "close and open";
		close_both(pair);
		open_both(pair, die == 551 ? O_TRUNC : 0);
	} else {
		pair->operation = "read";
		compare(pair, below(&state, size + 1), length);
	}
	if (file_size(pair, 1) > pair->size_max + IO_BYTES_MAX)
		truncate_both(pair, pair->size_max / 2);
	compare_sizes(pair);
}

int main(int argc, char **argv)
{
	struct pair pair = {.operation = "open"};
	uint64_t first, count;

	if (argc != 7) {
		fprintf(stderr, "usage: randio FILE MODEL SEED FIRST COUNT MAX_SIZE\n");
		return 2;
	}
	pair.path[0] = argv[1];
	pair.path[1] = argv[2];
	pair.seed = strtoull(argv[3], NULL, 10);
	first = strtoull(argv[4], NULL, 10);
	count = strtoull(argv[5], NULL, 10);
	pair.size_max = strtoull(argv[6], NULL, 10);
	open_both(&pair, 0);
	compare_all(&pair);
	for (pair.number = first; pair.number < first + count; pair.number++)
		operate(&pair);
	compare_all(&pair);
	pair.operation = "close";
	close_both(&pair);
	return 0;
}

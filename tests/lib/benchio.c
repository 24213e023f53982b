/* benchio.c — the inner loops of the benchmark, so that the interpreter around them costs nothing.
 *
 * benchio create DIR COUNT SIZE THREADS    files f00000 .. of SIZE bytes, each created, written,
 * closed benchio read   DIR COUNT SIZE THREADS    the same files, each opened, read as a whole,
 * closed benchio tree   DIR COUNT SIZE THREADS    COUNT directories of FILES_PER_DIRECTORY such
 * files benchio random FILE COUNT                COUNT reads of 4 KiB at random blocks benchio
 * touch  MIB                       touches memory: its first use is slow on some virtual machines
 * Exit status 0: all was done and every read gave what it should.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_PER_DIRECTORY = 50, THREADS_MAX = 64, SIZE_MAX_BYTES = 1 << 20, BLOCK = 4096 };

struct job {
	const char *directory;
	long count, size, threads;
	void (*each)(const struct job *job, long number);
	long index; /* of this thread */
};

static char bytes[SIZE_MAX_BYTES];

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "benchio: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void create_file(const char *path, long size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, bytes, (size_t)size) != size || close(fd) != 0)
		die(path);
}

static void create_one(const struct job *job, long number)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/f%05ld", job->directory, number);
	create_file(path, job->size);
}

static void read_one(const struct job *job, long number)
{
	static __thread char into[SIZE_MAX_BYTES + 1];
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/f%05ld", job->directory, number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, into, (size_t)job->size + 1) != job->size || close(fd) != 0)
		die(path);
}

static void create_directory(const struct job *job, long number)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/d%03ld", job->directory, number);
	if (mkdir(path, 0755) != 0)
		die(path);
	for (int i = 0; i < FILES_PER_DIRECTORY; i++) {
		snprintf(path, sizeof(path), "%s/d%03ld/f%02d", job->directory, number, i);
		create_file(path, job->size);
	}
}

static void *run_thread(void *argument)
{
	const struct job *job = argument;

	for (long number = job->index; number < job->count; number += job->threads)
		job->each(job, number);
	return NULL;
}

static void run(const struct job *job)
{
	struct job jobs[THREADS_MAX];
	pthread_t threads[THREADS_MAX];

	for (long i = 0; i < job->threads; i++) {
		jobs[i] = *job;
		jobs[i].index = i;
		errno = pthread_create(&threads[i], NULL, run_thread, &jobs[i]);
		if (errno)
			die("pthread_create");
	}
	for (long i = 0; i < job->threads; i++)
		pthread_join(threads[i], NULL);
}

static void read_random(const char *path, long count)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t state = 1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size < BLOCK)
		die(path);
	for (long i = 0; i < count; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		if (pread(fd, bytes, BLOCK,
			  (off_t)((state >> 20) % (uint64_t)(st.st_size / BLOCK)) * BLOCK) != BLOCK)
			die(path);
	}
	close(fd);
}

static void touch_memory(long mib)
{
	size_t len = (size_t)mib << 20;
	char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	for (size_t at = 0; at < len; at += BLOCK)
		memory[at] = 1;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	long numbers[3] = {0};

	for (int i = 3; i < argc && i < 6; i++)
		numbers[i - 3] = strtol(argv[i], NULL, 10);
	memset(bytes, 'b', sizeof(bytes));
	if (argc == 3 && strcmp(verb, "touch") == 0) {
		touch_memory(strtol(argv[2], NULL, 10));
	} else if (argc == 4 && strcmp(verb, "random") == 0) {
		read_random(argv[2], numbers[0]);
	} else if (argc == 6 && numbers[1] <= SIZE_MAX_BYTES && numbers[2] > 0 &&
		   numbers[2] <= THREADS_MAX) {
		struct job job = {.directory = argv[2],
				  .count = numbers[0],
				  .size = numbers[1],
				  .threads = numbers[2],
				  .each = strcmp(verb, "create") == 0 ? create_one
					  : strcmp(verb, "read") == 0 ? read_one
								      : create_directory};

		run(&job);
	} else {
		fprintf(stderr, "usage: benchio create|read|tree DIR COUNT SIZE THREADS | random "
				"FILE COUNT | "
				"touch MIB\n");
		return 2;
	}
	return 0;
}

/* journal_bench.c — how long the core waits for the journal: one change and the wait for it, one
 * after the other, and many at once. Usage: journal_bench DIRECTORY (on the disk to measure). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fiber.h"
#include "common/list.h"
#include "common/loop.h"
#include "fs/journal/journal.h"

enum { PAIRS = 20000, DURABLE_PAIRS = 1000, CROWD = 64, BURST = 200000, INOS = 5000 };

struct bench {
	struct loop *loop;
	struct executor *executor;
	struct fiber_pool *fibers;
	struct journal *journal;
	struct task start;
	unsigned left, alive;
	enum journal_level level;
	uint64_t pause; /* ns of other work between a change and its wait */
	struct fiber *main;
};

static uint64_t put(struct bench *bench, uint64_t number)
{
	struct journal_node node = {
		.ino = 2 + number % INOS,
		.parent = 1,
		.name = "a file name of usual length.txt",
		.size = number,
		.etag = "\"d41d8cd98f00b204e9800998ecf8427e\"",
		.put_id = "0123456789abcdef0123456789abcdef",
		.content_type = "application/octet-stream",
	};

	return journal_put_node(bench->journal, &node);
}

static int compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static void work_elsewhere(struct bench *bench)
{
	uint64_t until = executor_monotonic(bench->executor) + bench->pause;

	while (bench->pause && executor_monotonic(bench->executor) < until)
		;
}

static void report(const char *title, uint64_t *times, unsigned count, uint64_t total,
		   unsigned at_once)
{
	unsigned middle = count / 2, late = count - 1 - count / 100;

	qsort(times, count, sizeof(*times), compare);
	printf("%-34s %8.0f/s  median %6.1f us  p99 %7.1f us  max %8.1f us  no wait %2.0f %%\n",
	       title, count * 1e9 / (double)total, (double)times[middle] / 1e3,
	       (double)times[late] / 1e3, (double)times[count - 1] / 1e3, 100.0 * at_once / count);
}

static void pairs(struct bench *bench, const char *title, unsigned count)
{
	uint64_t *times = calloc(count, sizeof(*times));
	uint64_t begin = executor_monotonic(bench->executor);
	unsigned at_once = 0;

	if (!times)
		abort();
	for (unsigned i = 0; i < count; i++) {
		uint64_t start = executor_monotonic(bench->executor);
		uint64_t sequence = put(bench, i);

		work_elsewhere(bench);
		if (bench->level == JOURNAL_COMMITTED &&
		    journal_is_committed(bench->journal, sequence))
			at_once++;
		else if (journal_wait(bench->journal, sequence, bench->level))
			abort();
		times[i] = executor_monotonic(bench->executor) - start - bench->pause;
	}
	begin = executor_monotonic(bench->executor) - begin;
	report(title, times, count, begin, at_once);
	free(times);
}

static void member(void *argument)
{
	struct bench *bench = argument;

	while (bench->left > 0) {
		uint64_t sequence = put(bench, bench->left--);

		if (journal_wait(bench->journal, sequence, bench->level))
			abort();
	}
	if (--bench->alive == 0)
		fiber_wake(bench->main);
}

static void crowd(struct bench *bench, const char *title, unsigned count)
{
	uint64_t begin = executor_monotonic(bench->executor);

	bench->left = count;
	bench->alive = CROWD;
	bench->main = fiber_self();
	for (int i = 0; i < CROWD; i++) {
		if (fiber_start(bench->fibers, member, bench))
			abort();
	}
	while (bench->alive > 0)
		fiber_park();
	begin = executor_monotonic(bench->executor) - begin;
	printf("%-34s %8.0f/s\n", title, count * 1e9 / (double)begin);
}

static void burst(struct bench *bench)
{
	uint64_t begin = executor_monotonic(bench->executor), queued, sequence = 0;

	for (unsigned i = 0; i < BURST; i++)
		sequence = put(bench, i);
	queued = executor_monotonic(bench->executor) - begin;
	if (journal_wait(bench->journal, sequence, JOURNAL_COMMITTED))
		abort();
	begin = executor_monotonic(bench->executor) - begin;
	printf("%-34s %8.0f/s  queued at %.0f/s\n", "burst, one wait at the end",
	       BURST * 1e9 / (double)begin, BURST * 1e9 / (double)queued);
}

static void body(void *argument)
{
	struct bench *bench = argument;

	bench->level = JOURNAL_COMMITTED;
	pairs(bench, "committed, one after the other", PAIRS);
	bench->pause = 30000;
	pairs(bench, "  with 30 us of work in between", PAIRS);
	bench->pause = 0;
	crowd(bench, "committed, 64 fibers", PAIRS * 5);
	burst(bench);
	bench->level = JOURNAL_DURABLE;
	pairs(bench, "durable, one after the other", DURABLE_PAIRS);
	crowd(bench, "durable, 64 fibers", DURABLE_PAIRS * 20);
	loop_stop(bench->loop);
}

static void start(struct task *task)
{
	struct bench *bench = container_of(task, struct bench, start);

	if (fiber_start(bench->fibers, body, bench))
		abort();
}

int main(int argc, char **argv)
{
	struct bench bench = {.start = {.run = start}};
	struct error error = ERROR_INIT;
	struct journal_info info;
	char dir[4096], path[4200];

	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	snprintf(dir, sizeof(dir), "%s/journal_bench.XXXXXX", argv[1]);
	if (!mkdtemp(dir) || loop_create(&bench.loop))
		return 1;
	bench.executor = loop_executor(bench.loop);
	bench.fibers = fiber_pool_create(bench.executor, CROWD + 1, 64 << 10);
	if (journal_open(&bench.journal, bench.executor, dir, "bench", &info, &error)) {
		fprintf(stderr, "%s\n", error.message);
		return 1;
	}
	executor_post(bench.executor, &bench.start);
	loop_run(bench.loop);
	journal_close(bench.journal, true);
	fiber_pool_destroy(bench.fibers);
	loop_destroy(bench.loop);
	snprintf(path, sizeof(path), "%s/journal.db", dir);
	unlink(path);
	rmdir(dir);
	return 0;
}

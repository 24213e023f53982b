#include "tests/unit/executor_virtual.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/check.h"
#include "common/list.h"

enum {
	OWES_MAX = 8,
	PATIENCE_SECONDS = 30, /* of real time, for a post that another thread owes */
};

struct executor_virtual {
	struct executor executor;
	uint64_t now;
	int64_t wall_offset;

	pthread_mutex_t lock;
	pthread_cond_t posted;
	struct task *head, **tail; /* under lock */

	struct timer **timers; /* sorted by deadline; of equal ones the first set is first */
	size_t timer_count, timer_capacity;

	struct {
		bool (*owes)(void *context);
		void *context;
	} owing[OWES_MAX];
	unsigned owing_count;
};

static struct executor_virtual *virtual_of(struct executor *executor)
{
	return container_of(executor, struct executor_virtual, executor);
}

static void post(struct executor *executor, struct task *task)
{
	struct executor_virtual *virtual = virtual_of(executor);

	pthread_mutex_lock(&virtual->lock);
	for (struct task *queued = virtual->head; queued; queued = queued->next)
		CHECK(queued != task);
	task->next = NULL;
	*virtual->tail = task;
	virtual->tail = &task->next;
	pthread_cond_signal(&virtual->posted);
	pthread_mutex_unlock(&virtual->lock);
}

static void renumber(struct executor_virtual *virtual, size_t from)
{
	for (size_t i = from; i < virtual->timer_count; i++)
		virtual->timers[i]->position = i;
}

static void cancel_timer(struct executor *executor, struct timer *timer)
{
	struct executor_virtual *virtual = virtual_of(executor);
	size_t at = timer->position;

	if (!timer_is_set(timer))
		return;
	CHECK(at < virtual->timer_count && virtual->timers[at] == timer);
	virtual->timer_count--;
	memmove(virtual->timers + at, virtual->timers + at + 1,
		(virtual->timer_count - at) * sizeof(struct timer *));
	renumber(virtual, at);
	timer->position = SIZE_MAX;
}

static void set_timer(struct executor *executor, struct timer *timer, uint64_t deadline)
{
	struct executor_virtual *virtual = virtual_of(executor);
	size_t at;

	cancel_timer(executor, timer);
	if (virtual->timer_count == virtual->timer_capacity) {
		virtual->timer_capacity = 2 * virtual->timer_capacity + 16;
		virtual->timers = reallocarray(virtual->timers, virtual->timer_capacity,
					       sizeof(struct timer *));
		CHECK(virtual->timers != NULL);
	}
	at = virtual->timer_count;
	while (at > 0 && virtual->timers[at - 1]->deadline > deadline)
		at--;
	memmove(virtual->timers + at + 1, virtual->timers + at,
		(virtual->timer_count - at) * sizeof(struct timer *));
	virtual->timers[at] = timer;
	virtual->timer_count++;
	timer->deadline = deadline;
	renumber(virtual, at);
}

static uint64_t monotonic(struct executor *executor)
{
	return virtual_of(executor)->now;
}

static int64_t wall(struct executor *executor)
{
	struct executor_virtual *virtual = virtual_of(executor);

	return virtual->wall_offset + (int64_t) virtual->now;
}

static const struct executor_ops virtual_ops = {
	.post = post,
	.timer_set = set_timer,
	.timer_cancel = cancel_timer,
	.monotonic = monotonic,
	.wall = wall,
};

struct executor_virtual *executor_virtual_create(int64_t wall_start)
{
	struct executor_virtual *virtual = calloc(1, sizeof(*virtual));

	if (!virtual)
		return NULL;
	virtual->executor.ops = &virtual_ops;
	virtual->now = NSEC_PER_SEC; /* not 0, which code may take for "never" */
	virtual->wall_offset = wall_start - (int64_t) virtual->now;
	virtual->tail = &virtual->head;
	pthread_mutex_init(&virtual->lock, NULL);
	pthread_cond_init(&virtual->posted, NULL);
	return virtual;
}

void executor_virtual_destroy(struct executor_virtual *virtual)
{
	pthread_cond_destroy(&virtual->posted);
	pthread_mutex_destroy(&virtual->lock);
	free(virtual->timers);
	free(virtual);
}

struct executor *executor_virtual_executor(struct executor_virtual *virtual)
{
	return &virtual->executor;
}

void executor_virtual_expect(struct executor_virtual *virtual, bool (*owes)(void *context),
			     void *context)
{
	CHECK(virtual->owing_count < OWES_MAX);
	virtual->owing[virtual->owing_count].owes = owes;
	virtual->owing[virtual->owing_count].context = context;
	virtual->owing_count++;
}

static struct task *take_task(struct executor_virtual *virtual)
{
	struct task *task;

	pthread_mutex_lock(&virtual->lock);
	task = virtual->head;
	if (task) {
		virtual->head = task->next;
		if (!virtual->head)
			virtual->tail = &virtual->head;
		task->next = NULL;
	}
	pthread_mutex_unlock(&virtual->lock);
	return task;
}

static bool is_owed(const struct executor_virtual *virtual)
{
	for (unsigned i = 0; i < virtual->owing_count; i++) {
		if (virtual->owing[i].owes(virtual->owing[i].context))
			return true;
	}
	return false;
}

static void await_post(struct executor_virtual *virtual)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_SECONDS;
	pthread_mutex_lock(&virtual->lock);
	while (!virtual->head && err == 0)
		err = pthread_cond_timedwait(&virtual->posted, &virtual->lock, &until);
	pthread_mutex_unlock(&virtual->lock);
	CHECK(err == 0); /* else what was owed never came */
}

/* Runs one task, or else one timer that is due until the given time. */
static bool step(struct executor_virtual *virtual, uint64_t until)
{
	struct task *task = take_task(virtual);
	struct timer *timer;

	if (!task && is_owed(virtual)) {
		await_post(virtual);
		task = take_task(virtual);
	}
	if (task) {
		task->run(task);
		return true;
	}
	if (virtual->timer_count == 0 || virtual->timers[0]->deadline > until)
		return false;
	timer = virtual->timers[0];
	if (timer->deadline > virtual->now)
		virtual->now = timer->deadline;
	cancel_timer(&virtual->executor, timer);
	timer->fire(timer);
	return true;
}

void executor_virtual_run_ready(struct executor_virtual *virtual)
{
	while (step(virtual, virtual->now))
		;
}

/* DEADLINE_NONE is no time that comes. */
void executor_virtual_run(struct executor_virtual *virtual)
{
	while (step(virtual, DEADLINE_NONE - 1))
		;
}

static uint64_t later(uint64_t now, uint64_t ns)
{
	return ns < DEADLINE_NONE - 1 - now ? now + ns : DEADLINE_NONE - 1;
}

bool executor_virtual_run_until(struct executor_virtual *virtual, bool (*done)(void *context),
				void *context, uint64_t limit)
{
	uint64_t until = later(virtual->now, limit);

	while (!done(context)) {
		if (!step(virtual, until))
			return false;
	}
	return true;
}

void executor_virtual_advance(struct executor_virtual *virtual, uint64_t ns)
{
	uint64_t until = later(virtual->now, ns);

	while (step(virtual, until))
		;
	virtual->now = until;
}

void executor_virtual_shift_wall(struct executor_virtual *virtual, int64_t ns)
{
	virtual->wall_offset += ns;
}

size_t executor_virtual_timers(const struct executor_virtual *virtual)
{
	return virtual->timer_count;
}

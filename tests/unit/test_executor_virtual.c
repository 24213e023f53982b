#include "tests/unit/executor_virtual.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fiber.h"
#include "common/list.h"

/* Everything that runs appends its name and the time in ms here. */
struct trace {
	struct executor_virtual *virtual;
	struct executor *executor;
	uint64_t begin;
	char text[512];
};

struct named_task {
	struct task task;
	struct trace *trace;
	const char *name;
	struct named_task *then; /* posted from within run; may be the task itself, once */
};

struct named_timer {
	struct timer timer;
	struct trace *trace;
	const char *name;
	struct named_task *then;
	uint64_t again; /* ns until it is set again, once; 0: not */
};

static void note(struct trace *trace, const char *name)
{
	uint64_t ms = (executor_monotonic(trace->executor) - trace->begin) / NSEC_PER_MSEC;
	size_t len = strlen(trace->text);

	snprintf(trace->text + len, sizeof(trace->text) - len, "%s%llu ", name,
		 (unsigned long long)ms);
}

static void run_named(struct task *task)
{
	struct named_task *named = container_of(task, struct named_task, task);
	struct named_task *then = named->then;

	note(named->trace, named->name);
	named->then = NULL;
	if (then)
		executor_post(named->trace->executor, &then->task);
}

static void fire_named(struct timer *timer)
{
	struct named_timer *named = container_of(timer, struct named_timer, timer);
	uint64_t again = named->again;

	note(named->trace, named->name);
	named->again = 0;
	if (named->then)
		executor_post(named->trace->executor, &named->then->task);
	if (again)
		timer_set(named->trace->executor, timer,
			  executor_monotonic(named->trace->executor) + again);
}

static void trace_begin(struct trace *trace)
{
	*trace = (struct trace){.virtual = executor_virtual_create(1700000000 * NSEC_PER_SEC)};
	assert_non_null(trace->virtual);
	trace->executor = executor_virtual_executor(trace->virtual);
	trace->begin = executor_monotonic(trace->executor);
}

static struct named_task make_task(struct trace *trace, const char *name)
{
	return (struct named_task){.task.run = run_named, .trace = trace, .name = name};
}

static struct named_timer make_timer(struct trace *trace, const char *name, uint64_t ms)
{
	struct named_timer named = {.trace = trace, .name = name};

	timer_init(&named.timer, fire_named);
	named.timer.deadline = trace->begin + ms * NSEC_PER_MSEC;
	return named;
}

static void arm(struct named_timer *named)
{
	timer_set(named->trace->executor, &named->timer, named->timer.deadline);
}

static void tasks_run_before_timers_and_timers_by_deadline(void **state)
{
	struct trace trace;
	struct named_task a, b;
	struct named_timer late, early, early2;

	(void)state;
	trace_begin(&trace);
	a = make_task(&trace, "a");
	b = make_task(&trace, "b");
	late = make_timer(&trace, "late", 30);
	early = make_timer(&trace, "early", 10);
	early2 = make_timer(&trace, "second", 10);
	early.then = &b;
	a.then = &a; /* again from within */
	late.again = 5 * NSEC_PER_MSEC;
	arm(&late);
	arm(&early);
	arm(&early2);
	executor_post(trace.executor, &a.task);
	assert_string_equal(trace.text, ""); /* nothing runs inside post */
	executor_virtual_run(trace.virtual);
	assert_string_equal(trace.text, "a0 a0 early10 b10 second10 late30 late35 ");
	assert_false(timer_is_set(&late.timer));
	executor_virtual_destroy(trace.virtual);
}

static void a_cancelled_timer_does_not_fire_and_one_can_be_moved(void **state)
{
	struct trace trace;
	struct named_timer a, b, c;

	(void)state;
	trace_begin(&trace);
	a = make_timer(&trace, "a", 10);
	b = make_timer(&trace, "b", 20);
	c = make_timer(&trace, "c", 30);
	arm(&a);
	arm(&b);
	arm(&c);
	timer_cancel(trace.executor, &b.timer);
	timer_cancel(trace.executor, &b.timer);
	assert_false(timer_is_set(&b.timer));
	timer_set(trace.executor, &c.timer, trace.begin + 5 * NSEC_PER_MSEC);
	assert_int_equal(executor_virtual_timers(trace.virtual), 2);
	executor_virtual_run(trace.virtual);
	assert_string_equal(trace.text, "c5 a10 ");
	executor_virtual_destroy(trace.virtual);
}

static bool has_b(void *context)
{
	struct trace *trace = context;

	return strchr(trace->text, 'b') != NULL;
}

static void time_moves_as_far_as_it_is_told(void **state)
{
	struct trace trace;
	struct named_timer a, b, c;
	int64_t wall;

	(void)state;
	trace_begin(&trace);
	wall = executor_wall(trace.executor);
	assert_int_equal(wall, 1700000000 * NSEC_PER_SEC);
	a = make_timer(&trace, "a", 10);
	b = make_timer(&trace, "b", 20);
	c = make_timer(&trace, "c", 30);
	arm(&a);
	arm(&b);
	arm(&c);
	executor_virtual_run_ready(trace.virtual);
	assert_string_equal(trace.text, "");
	executor_virtual_advance(trace.virtual, 15 * NSEC_PER_MSEC);
	assert_string_equal(trace.text, "a10 ");
	assert_int_equal(executor_monotonic(trace.executor), trace.begin + 15 * NSEC_PER_MSEC);
	assert_false(executor_virtual_run_until(trace.virtual, has_b, &trace, NSEC_PER_MSEC));
	assert_true(executor_virtual_run_until(trace.virtual, has_b, &trace, NSEC_PER_SEC));
	assert_string_equal(trace.text, "a10 b20 ");
	executor_virtual_shift_wall(trace.virtual, -(int64_t)NSEC_PER_SEC);
	assert_int_equal(executor_wall(trace.executor),
			 wall + 20 * (int64_t)NSEC_PER_MSEC - (int64_t)NSEC_PER_SEC);
	assert_int_equal(executor_monotonic(trace.executor), trace.begin + 20 * NSEC_PER_MSEC);
	timer_cancel(trace.executor, &c.timer);
	assert_false(executor_virtual_run_until(trace.virtual, has_b, &(struct trace){.text = ""},
						DEADLINE_NONE));
	executor_virtual_destroy(trace.virtual);
}

struct helper { /* a thread that posts after a while of real time */
	struct named_task *task;
};

static void *post_later(void *argument)
{
	struct helper *helper = argument;

	usleep(30000);
	executor_post(helper->task->trace->executor, &helper->task->task);
	return NULL;
}

static bool helper_owes(void *context)
{
	struct helper *helper = context;

	return strstr(helper->task->trace->text, "posted") == NULL;
}

static void time_waits_for_a_post_that_another_thread_owes(void **state)
{
	struct trace trace;
	struct named_timer timer;
	struct named_task task;
	struct helper helper = {&task};
	pthread_t thread;

	(void)state;
	trace_begin(&trace);
	timer = make_timer(&trace, "timer", 1);
	task = make_task(&trace, "posted");
	arm(&timer);
	executor_virtual_expect(trace.virtual, helper_owes, &helper);
	assert_int_equal(pthread_create(&thread, NULL, post_later, &helper), 0);
	executor_virtual_run(trace.virtual);
	pthread_join(thread, NULL);
	assert_string_equal(trace.text, "posted0 timer1 ");
	executor_virtual_destroy(trace.virtual);
}

struct sleeper {
	struct trace *trace;
	const char *name;
	uint64_t ms;
};

static void sleep_twice(void *argument)
{
	struct sleeper *sleeper = argument;

	for (unsigned i = 1; i <= 2; i++) {
		fiber_sleep_until(sleeper->trace->begin + i * sleeper->ms * NSEC_PER_MSEC,
				  WAIT_PLAIN);
		note(sleeper->trace, sleeper->name);
	}
}

static void fibers_run_on_it(void **state)
{
	struct trace trace;
	struct sleeper slow = {&trace, "slow", 3600000}, fast = {&trace, "fast", 7};
	struct fiber_pool *fibers;

	(void)state;
	trace_begin(&trace);
	fibers = fiber_pool_create(trace.executor, 4, 64 << 10);
	assert_non_null(fibers);
	assert_int_equal(fiber_start(fibers, sleep_twice, &slow), 0);
	assert_int_equal(fiber_start(fibers, sleep_twice, &fast), 0);
	executor_virtual_run(trace.virtual);
	assert_string_equal(trace.text, "fast7 fast14 slow3600000 slow7200000 ");
	assert_int_equal(fiber_pool_alive(fibers), 0);
	fiber_pool_destroy(fibers);
	executor_virtual_destroy(trace.virtual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tasks_run_before_timers_and_timers_by_deadline),
		cmocka_unit_test(a_cancelled_timer_does_not_fire_and_one_can_be_moved),
		cmocka_unit_test(time_moves_as_far_as_it_is_told),
		cmocka_unit_test(time_waits_for_a_post_that_another_thread_owes),
		cmocka_unit_test(fibers_run_on_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

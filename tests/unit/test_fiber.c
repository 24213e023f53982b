#include "common/fiber.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/loop.h"

enum { STACK_BYTES = 64 * 1024 };

/* A loop, a pool, and a trace of what happened in which order. */
struct world {
	struct loop *loop;
	struct executor *executor;
	struct fiber_pool *pool;
	struct wait_queue queue;
	struct buf trace;
	struct fiber *fiber; /* the last one that ran remember_self */
	int result;
	int left; /* fibers that have not ended */
	struct timer stop;
};

static struct world *world_of_stop; /* for the safety timer only */

static void too_late(struct timer *timer)
{
	(void)timer;
	buf_puts(&world_of_stop->trace, " TIMEOUT");
	loop_stop(world_of_stop->loop);
}

static void world_open(struct world *world, unsigned max)
{
	memset(world, 0, sizeof(*world));
	assert_int_equal(loop_create(&world->loop), 0);
	world->executor = loop_executor(world->loop);
	world->pool = fiber_pool_create(world->executor, max, STACK_BYTES);
	assert_non_null(world->pool);
	wait_queue_init(&world->queue);
	world_of_stop = world;
	timer_init(&world->stop, too_late);
}

static void world_close(struct world *world)
{
	timer_cancel(world->executor, &world->stop);
	assert_int_equal(fiber_pool_alive(world->pool), 0);
	fiber_pool_destroy(world->pool);
	loop_destroy(world->loop);
	buf_free(&world->trace);
}

static uint64_t soon(struct world *world, unsigned ms)
{
	return executor_monotonic(world->executor) + ms * NSEC_PER_MSEC;
}

static void start(struct world *world, void (*entry)(void *))
{
	world->left++;
	assert_int_equal(fiber_start(world->pool, entry, world), 0);
}

/* Last call of each entry that a test runs the loop for. */
static void ended(struct world *world)
{
	if (--world->left == 0)
		loop_stop(world->loop);
}

static void run(struct world *world)
{
	timer_set(world->executor, &world->stop, soon(world, 10 * 1000));
	if (world->left)
		loop_run(world->loop);
}

static void enter_and_park(void *arg)
{
	struct world *world = arg;

	world->fiber = fiber_self();
	buf_puts(&world->trace, " parks");
	fiber_park();
	buf_puts(&world->trace, " woken");
	ended(world);
}

static void a_fiber_runs_at_once_until_it_parks_and_a_wake_never_resumes_inline(void **state)
{
	struct world world;

	(void)state;
	world_open(&world, 4);
	assert_null(fiber_self());
	start(&world, enter_and_park);
	assert_null(fiber_self());
	buf_puts(&world.trace, " started");
	fiber_wake(world.fiber);
	fiber_wake(world.fiber);
	buf_puts(&world.trace, " posted");
	run(&world);
	assert_string_equal(buf_str(&world.trace), " parks started posted woken");
	world_close(&world);
}

static void wake_itself_then_park(void *arg)
{
	struct world *world = arg;

	fiber_wake(fiber_self());
	fiber_wake(fiber_self());
	fiber_park();
	buf_puts(&world->trace, " passed");
	enter_and_park(arg);
}

static void one_wake_before_the_park_is_remembered_and_only_one(void **state)
{
	struct world world;

	(void)state;
	world_open(&world, 4);
	start(&world, wake_itself_then_park);
	assert_string_equal(buf_str(&world.trace), " passed parks");
	fiber_wake(world.fiber);
	run(&world);
	assert_string_equal(buf_str(&world.trace), " passed parks woken");
	world_close(&world);
}

static void start_another(void *arg)
{
	struct world *world = arg;
	struct fiber *self = fiber_self();

	start(world, enter_and_park);
	assert_ptr_equal(fiber_self(), self);
	assert_ptr_not_equal(world->fiber, self);
	buf_puts(&world->trace, " back");
	fiber_wake(world->fiber);
	ended(world);
}

static void a_fiber_may_start_a_fiber_and_goes_on_when_that_parks(void **state)
{
	struct world world;

	(void)state;
	world_open(&world, 4);
	start(&world, start_another);
	assert_string_equal(buf_str(&world.trace), " parks back");
	run(&world);
	assert_string_equal(buf_str(&world.trace), " parks back woken");
	world_close(&world);
}

struct waiter {
	struct world *world;
	const char *name;
	uint64_t deadline;
	enum wait_mode mode;
	struct fiber *fiber;
	int result;
};

static void wait_by_name(void *arg)
{
	struct waiter *waiter = arg;
	struct world *world = waiter->world;

	waiter->fiber = fiber_self();
	waiter->result = fiber_wait(&world->queue, waiter->deadline, waiter->mode);
	buf_puts(&world->trace, waiter->name);
	ended(world);
}

static void start_waiter(struct world *world, struct waiter *waiter, const char *name,
			 uint64_t deadline, enum wait_mode mode)
{
	*waiter = (struct waiter){world, name, deadline, mode, NULL, 1};
	world->left++;
	assert_int_equal(fiber_start(world->pool, wait_by_name, waiter), 0);
}

static void waiters_are_woken_in_the_order_in_which_they_came(void **state)
{
	struct waiter waiters[3];
	struct world world;

	(void)state;
	world_open(&world, 4);
	start_waiter(&world, &waiters[0], "a", DEADLINE_NONE, WAIT_PLAIN);
	start_waiter(&world, &waiters[1], "b", DEADLINE_NONE, WAIT_PLAIN);
	start_waiter(&world, &waiters[2], "c", DEADLINE_NONE, WAIT_PLAIN);
	wait_wake_one(&world.queue);
	wait_wake_all(&world.queue);
	assert_true(list_empty(&world.queue.waiters));
	wait_wake_one(&world.queue);
	run(&world);
	assert_string_equal(buf_str(&world.trace), "abc");
	for (int i = 0; i < 3; i++)
		assert_int_equal(waiters[i].result, 0);
	world_close(&world);
}

static void a_wait_ends_at_its_deadline_and_leaves_the_queue(void **state)
{
	struct waiter late, patient;
	struct world world;
	uint64_t deadline;

	(void)state;
	world_open(&world, 4);
	deadline = soon(&world, 20);
	start_waiter(&world, &late, "late", deadline, WAIT_PLAIN);
	run(&world);
	assert_int_equal(late.result, -ETIMEDOUT);
	assert_true(executor_monotonic(world.executor) >= deadline);
	assert_true(list_empty(&world.queue.waiters));
	/* What is woken before its deadline leaves no timer behind. */
	start_waiter(&world, &patient, " patient", soon(&world, 5000), WAIT_PLAIN);
	wait_wake_all(&world.queue);
	run(&world);
	assert_int_equal(patient.result, 0);
	assert_string_equal(buf_str(&world.trace), "late patient");
	world_close(&world);
}

static void a_deadline_in_the_past_still_lets_others_run_first(void **state)
{
	struct waiter late;
	struct world world;

	(void)state;
	world_open(&world, 4);
	start_waiter(&world, &late, "late", 1, WAIT_PLAIN);
	assert_string_equal(buf_str(&world.trace), "");
	run(&world);
	assert_int_equal(late.result, -ETIMEDOUT);
	world_close(&world);
}

static void an_interrupt_ends_an_interruptible_wait_and_leaves_the_queue(void **state)
{
	struct waiter first, second;
	struct world world;

	(void)state;
	world_open(&world, 4);
	start_waiter(&world, &first, "first", soon(&world, 5000), WAIT_INTERRUPTIBLE);
	start_waiter(&world, &second, " second", soon(&world, 5000), WAIT_INTERRUPTIBLE);
	fiber_interrupt(first.fiber);
	fiber_interrupt(first.fiber);
	wait_wake_one(&world.queue);
	assert_true(list_empty(&world.queue.waiters));
	run(&world);
	assert_string_equal(buf_str(&world.trace), "first second");
	assert_int_equal(first.result, -EINTR);
	assert_int_equal(second.result, 0);
	world_close(&world);
}

static void wait_plain_then_interruptible(void *arg)
{
	struct waiter *waiter = arg;

	waiter->mode = WAIT_INTERRUPTIBLE;
	waiter->fiber = fiber_self();
	assert_int_equal(fiber_wait(&waiter->world->queue, DEADLINE_NONE, WAIT_PLAIN), 0);
	buf_puts(&waiter->world->trace, "plain ");
	wait_by_name(waiter);
}

static void an_interrupt_passes_a_plain_wait_and_ends_the_next_interruptible_one(void **state)
{
	struct world world;
	struct waiter waiter;

	(void)state;
	world_open(&world, 4);
	waiter = (struct waiter){&world, "interruptible", DEADLINE_NONE, WAIT_PLAIN, NULL, 1};
	world.left++;
	assert_int_equal(fiber_start(world.pool, wait_plain_then_interruptible, &waiter), 0);
	fiber_interrupt(waiter.fiber);
	wait_wake_all(&world.queue);
	run(&world);
	assert_int_equal(waiter.result, -EINTR);
	assert_string_equal(buf_str(&world.trace), "plain interruptible");
	world_close(&world);
}

static void the_next_user_of_a_stack_inherits_neither_wake_nor_interrupt(void **state)
{
	struct waiter waiter;
	struct world world;

	(void)state;
	world_open(&world, 1);
	start_waiter(&world, &waiter, "1", DEADLINE_NONE, WAIT_PLAIN);
	fiber_interrupt(waiter.fiber);
	fiber_wake(waiter.fiber);
	wait_wake_all(&world.queue);
	run(&world);
	start_waiter(&world, &waiter, "2", DEADLINE_NONE, WAIT_INTERRUPTIBLE);
	assert_false(list_empty(&world.queue.waiters));
	wait_wake_all(&world.queue);
	run(&world);
	assert_int_equal(waiter.result, 0);
	start(&world, enter_and_park);
	fiber_wake(world.fiber);
	run(&world);
	assert_string_equal(buf_str(&world.trace), "12 parks woken");
	world_close(&world);
}

static void wait_then_park(void *arg)
{
	struct world *world = arg;

	world->fiber = fiber_self();
	world->result = fiber_wait(&world->queue, soon(world, 5000), WAIT_PLAIN);
	buf_puts(&world->trace, "waited ");
	fiber_park();
	buf_puts(&world->trace, "parked");
	ended(world);
}

static void a_wake_during_a_wait_is_kept_for_the_next_park(void **state)
{
	struct world world;

	(void)state;
	world_open(&world, 4);
	start(&world, wait_then_park);
	fiber_wake(world.fiber);
	assert_false(list_empty(&world.queue.waiters));
	wait_wake_one(&world.queue);
	run(&world);
	assert_int_equal(world.result, 0);
	assert_string_equal(buf_str(&world.trace), "waited parked");
	world_close(&world);
}

static void sleep_twice(void *arg)
{
	struct world *world = arg;

	world->fiber = fiber_self();
	world->result = fiber_sleep_until(soon(world, 10), WAIT_PLAIN);
	if (world->result == 0)
		world->result = fiber_sleep_until(soon(world, 5000), WAIT_INTERRUPTIBLE);
	ended(world);
}

static void a_sleep_ends_at_its_deadline_or_by_an_interrupt(void **state)
{
	struct world world;

	(void)state;
	world_open(&world, 4);
	start(&world, sleep_twice);
	fiber_interrupt(world.fiber);
	run(&world);
	assert_int_equal(world.result, -EINTR);
	assert_string_equal(buf_str(&world.trace), "");
	world_close(&world);
}

static void yield_three_times(void *arg)
{
	struct waiter *waiter = arg;

	for (int i = 0; i < 3; i++) {
		buf_puts(&waiter->world->trace, waiter->name);
		fiber_yield();
	}
	ended(waiter->world);
}

static void fibers_that_yield_take_turns(void **state)
{
	struct waiter a, b;
	struct world world;

	(void)state;
	world_open(&world, 4);
	a = (struct waiter){.world = &world, .name = "a"};
	b = (struct waiter){.world = &world, .name = "b"};
	world.left = 2;
	assert_int_equal(fiber_start(world.pool, yield_three_times, &a), 0);
	assert_int_equal(fiber_start(world.pool, yield_three_times, &b), 0);
	run(&world);
	assert_string_equal(buf_str(&world.trace), "ababab");
	world_close(&world);
}

static void wait_once(void *arg)
{
	struct world *world = arg;

	world->result += fiber_wait(&world->queue, DEADLINE_NONE, WAIT_PLAIN) == 0;
	ended(world);
}

static void the_limit_of_the_pool_holds_and_is_free_again_after_an_end(void **state)
{
	struct world world;

	(void)state;
	world_open(&world, 3);
	for (int i = 0; i < 3; i++)
		start(&world, wait_once);
	assert_int_equal(fiber_pool_alive(world.pool), 3);
	assert_int_equal(fiber_start(world.pool, wait_once, &world), -EAGAIN);
	wait_wake_all(&world.queue);
	run(&world);
	start(&world, wait_once);
	wait_wake_all(&world.queue);
	run(&world);
	assert_int_equal(world.result, 4);
	world_close(&world);
}

/* Fills most of a stack and looks whether it is still its own after others ran. */
static void keep_a_pattern(void *arg)
{
	struct world *world = arg;
	const int mark = world->left & 0xff;
	volatile unsigned char pattern[STACK_BYTES / 4];

	for (size_t i = 0; i < sizeof(pattern); i += 64)
		pattern[i] = (unsigned char)mark;
	fiber_yield();
	if (world->left % 3 == 0)
		(void)fiber_sleep_until(soon(world, 1), WAIT_PLAIN);
	for (size_t i = 0; i < sizeof(pattern); i += 64)
		world->result += pattern[i] != mark;
	ended(world);
}

static void thousands_of_fibers_live_at_once_and_their_stacks_are_used_again(void **state)
{
	struct world world;

	(void)state;
	world_open(&world, 2000);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 2000; i++)
			start(&world, keep_a_pattern);
		run(&world);
		assert_int_equal(world.left, 0);
	}
	assert_int_equal(world.result, 0);
	assert_string_equal(buf_str(&world.trace), "");
	world_close(&world);
}

static void do_nothing(void *arg)
{
	(*(unsigned *)arg)++;
}

static void a_fiber_that_never_waits_ends_inside_of_start(void **state)
{
	struct world world;
	unsigned count = 0;

	(void)state;
	world_open(&world, 1);
	for (int i = 0; i < 100 * 1000; i++)
		assert_int_equal(fiber_start(world.pool, do_nothing, &count), 0);
	assert_int_equal(count, 100 * 1000);
	world_close(&world);
}

static int deepen(int depth)
{
	volatile char frame[256];

	frame[0] = (char)depth;
	return depth == 0 ? frame[0] : deepen(depth - 1) + frame[0];
}

static void use_half_of_the_stack(void *arg)
{
	struct world *world = arg;

	world->result = deepen(STACK_BYTES / 2 / 512);
	fiber_yield();
	world->result = fiber_self() != NULL;
	ended(world);
}

static void the_promised_stack_is_there(void **state)
{
	struct world world;

	(void)state;
	world_open(&world, 1);
	start(&world, use_half_of_the_stack);
	run(&world);
	assert_int_equal(world.result, 1);
	world_close(&world);
}

static void overflow_the_stack(void *arg)
{
	struct world *world = arg;

	world->result = deepen(1000 * 1000 * 1000);
}

static void what_overflows_its_stack_dies_at_the_guard_page(void **state)
{
	struct world world;
	int status;
	pid_t child;

	(void)state;
	world_open(&world, 2);
	child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		fiber_start(world.pool, overflow_the_stack, &world);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_fiber_runs_at_once_until_it_parks_and_a_wake_never_resumes_inline),
		cmocka_unit_test(one_wake_before_the_park_is_remembered_and_only_one),
		cmocka_unit_test(a_fiber_may_start_a_fiber_and_goes_on_when_that_parks),
		cmocka_unit_test(waiters_are_woken_in_the_order_in_which_they_came),
		cmocka_unit_test(a_wait_ends_at_its_deadline_and_leaves_the_queue),
		cmocka_unit_test(a_deadline_in_the_past_still_lets_others_run_first),
		cmocka_unit_test(an_interrupt_ends_an_interruptible_wait_and_leaves_the_queue),
		cmocka_unit_test(
			an_interrupt_passes_a_plain_wait_and_ends_the_next_interruptible_one),
		cmocka_unit_test(the_next_user_of_a_stack_inherits_neither_wake_nor_interrupt),
		cmocka_unit_test(a_wake_during_a_wait_is_kept_for_the_next_park),
		cmocka_unit_test(a_sleep_ends_at_its_deadline_or_by_an_interrupt),
		cmocka_unit_test(fibers_that_yield_take_turns),
		cmocka_unit_test(the_limit_of_the_pool_holds_and_is_free_again_after_an_end),
		cmocka_unit_test(thousands_of_fibers_live_at_once_and_their_stacks_are_used_again),
		cmocka_unit_test(a_fiber_that_never_waits_ends_inside_of_start),
		cmocka_unit_test(the_promised_stack_is_there),
		cmocka_unit_test(what_overflows_its_stack_dies_at_the_guard_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which signals of a caller end its wait. */
#include "fs/front/interruption.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/executor_virtual.h"

struct world {
	struct executor_virtual *virtual;
	struct executor *executor;
	struct fiber_pool *pool;
	struct interruption interruption;
	pid_t caller;
	bool any;
	int result, next; /* of the wait of the request, and of the request that follows */
	uint64_t begun, waited;
};

static void serve_two(void *argument)
{
	struct world *world = argument;
	uint64_t deadline = executor_monotonic(world->executor) + 300 * NSEC_PER_SEC;

	interruption_begin(&world->interruption, world->executor);
	world->interruption.caller = world->caller;
	world->interruption.any = world->any;
	world->result = fiber_sleep_until(deadline, WAIT_INTERRUPTIBLE);
	world->waited = executor_monotonic(world->executor) - world->begun;
	/* It comes when the request has no more waits. */
	fiber_interrupt(fiber_self());
	interruption_end(&world->interruption);
	world->next = fiber_sleep_until(executor_monotonic(world->executor) + 1,
					WAIT_INTERRUPTIBLE);
}

/* A request of the caller that waits for 300 s, and a signal at once. */
static struct world signalled(pid_t caller, bool any)
{
	struct world world = {.caller = caller, .any = any, .result = 1, .next = 1};

	world.virtual = executor_virtual_create(0);
	world.executor = executor_virtual_executor(world.virtual);
	world.begun = executor_monotonic(world.executor);
	world.pool = fiber_pool_create(world.executor, 2, 64 * 1024);
	assert_int_equal(fiber_start(world.pool, serve_two, &world), 0);
	interruption_signal(&world.interruption);
	executor_virtual_run(world.virtual);
	assert_int_equal(fiber_pool_alive(world.pool), 0);
	assert_int_equal(executor_virtual_timers(world.virtual), 0);
	fiber_pool_destroy(world.pool);
	executor_virtual_destroy(world.virtual);
	return world;
}

static void a_signal_that_the_caller_survives_ends_no_wait(void **state)
{
	struct world world = signalled(getpid(), false);

	(void)state;
	assert_int_equal(world.result, 0);
}

static void a_request_may_ask_for_any_signal(void **state)
{
	struct world world = signalled(getpid(), true);

	(void)state;
	assert_int_equal(world.result, -EINTR);
	assert_int_equal(world.waited, 0);
}

static void a_caller_that_is_not_to_be_seen_gets_away_after_a_grace(void **state)
{
	struct world world = signalled(0, false);

	(void)state;
	assert_int_equal(world.result, -EINTR);
	assert_in_range(world.waited, INTERRUPTION_GRACE, INTERRUPTION_GRACE + INTERRUPTION_POLL);
}

static void the_next_request_of_the_fiber_is_not_interrupted(void **state)
{
	struct world world = signalled(getpid(), true);

	(void)state;
	assert_int_equal(world.next, 0);
}

/* The first fields of a real one, with flags and pending signals of the test's choice. */
static enum caller_state state_of(const char *name, const char *flags, const char *pending)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "4711 (%s) S 1 2 3 0 -1 %s 5 0 0 0 7 8 0 0 20 0 1 0 9 10 11 12 0 0 0 0 0 %s 0 0",
		 name, flags, pending);
	return caller_state(text);
}

static void the_state_is_that_of_the_thread(void **state)
{
	(void)state;
	assert_int_equal(state_of("cat", "4194304", "0"), CALLER_LIVES);
	assert_int_equal(state_of("cat", "4194304", "256"), CALLER_IS_KILLED);
	assert_int_equal(state_of("cat", "4194304", "16384"), CALLER_LIVES);
	assert_int_equal(state_of("cat", "4194308", "0"), CALLER_IS_KILLED);
	assert_int_equal(state_of("a b) S 1", "4194304", "0"), CALLER_LIVES);
	assert_int_equal(state_of("a b) S 1", "4194304", "256"), CALLER_IS_KILLED);
}

static void what_is_no_such_text_says_nothing(void **state)
{
	(void)state;
	assert_int_equal(caller_state(""), CALLER_UNKNOWN);
	assert_int_equal(caller_state("4711 (cat) S 1 2 3 0 -1 4194304"), CALLER_UNKNOWN);
	assert_int_equal(caller_state("4711 (cat)"), CALLER_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signal_that_the_caller_survives_ends_no_wait),
		cmocka_unit_test(a_request_may_ask_for_any_signal),
		cmocka_unit_test(a_caller_that_is_not_to_be_seen_gets_away_after_a_grace),
		cmocka_unit_test(the_next_request_of_the_fiber_is_not_interrupted),
		cmocka_unit_test(the_state_is_that_of_the_thread),
		cmocka_unit_test(what_is_no_such_text_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

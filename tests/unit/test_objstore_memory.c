#include "tests/unit/objstore_memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/memory_world.h"

static const struct os_condition always = {NULL, false, NULL};

static void the_nth_request_fails_as_told(void **state)
{
	struct memory_world *world = *state;
	struct os_memory bytes = {"new", 3};
	struct os_request request = {.op = OS_PUT, .key = "k"};

	request.body = os_source_memory(&bytes);
	objstore_memory_put(world->memory, "k", "old", NULL);
	objstore_memory_fail(world->memory, OS_PUT, 2, -EIO, FAULT_BEFORE);
	objstore_memory_fail(world->memory, -1, 4, -ETIMEDOUT, FAULT_AFTER);
	objstore_memory_fail(world->memory, OS_HEAD, 1, -ETIMEDOUT, FAULT_UNDECIDED);
	assert_int_equal(objstore_memory_faults_left(world->memory), 3);

	assert_int_equal(world_put(world, "other", "1", always, NULL), 0);
	assert_int_equal(world_call(world, &request), -EIO);
	assert_false(request.result.ambiguous);
	assert_memory_equal(objstore_memory_find(world->memory, "k")->data, "old", 3);
	assert_int_equal(world_put(world, "other", "3", always, NULL), 0);
	assert_int_equal(world_call(world, &request), -ETIMEDOUT);
	assert_true(request.result.ambiguous);
	assert_memory_equal(objstore_memory_find(world->memory, "k")->data, "new", 3);
	os_request_free_result(&request);

	request = (struct os_request){.op = OS_HEAD, .key = "k"};
	assert_int_equal(world_call(world, &request), -ETIMEDOUT);
	assert_true(request.result.ambiguous);
	assert_int_equal(world_call(world, &request), 0);
	os_request_free_result(&request);
	assert_int_equal(objstore_memory_faults_left(world->memory), 0);
}

static void another_writer(struct objstore_memory *memory, const struct os_request *request)
{
	if (request->op == OS_PUT)
		objstore_memory_put(memory, request->key, "theirs", NULL);
}

static bool hold_puts(struct objstore_memory *memory, const struct os_request *request)
{
	(void)memory;
	return request->op == OS_PUT;
}

static void another_writer_can_step_in(void **state)
{
	struct memory_world *world = *state;
	struct os_condition create = {NULL, true, NULL};

	world->memory->before = another_writer;
	assert_int_equal(world_put(world, "k", "ours", create, NULL), -ESTALE);
	assert_memory_equal(objstore_memory_find(world->memory, "k")->data, "theirs", 6);
}

static void requests_can_be_held_and_cancelled(void **state)
{
	struct memory_world *world = *state;
	struct os_memory bytes = {"x", 1};
	struct os_request requests[3] = {
		{.op = OS_PUT, .key = "a"}, {.op = OS_PUT, .key = "b"}, {.op = OS_PUT, .key = "c"}};

	world->memory->hold = hold_puts;
	for (int i = 0; i < 3; i++) {
		requests[i].body = os_source_memory(&bytes);
		world_submit(world, &requests[i]);
	}
	executor_virtual_run(world->virtual);
	assert_int_equal(world->done, 0);
	assert_int_equal(world->memory->unfinished, 3);
	assert_null(objstore_memory_find(world->memory, "a"));
	objstore_cancel(&world->memory->store, &requests[1]);
	assert_int_equal(world->done, 0); /* nor inside cancel */
	executor_virtual_run(world->virtual);
	assert_int_equal(world->done, 1);
	assert_int_equal(requests[1].result.err, -ECANCELED);
	objstore_memory_release(world->memory);
	objstore_cancel(&world->memory->store, &requests[2]);
	objstore_cancel(&world->memory->store, &requests[2]);
	executor_virtual_run(world->virtual);
	assert_int_equal(world->done, 3);
	assert_int_equal(requests[0].result.err, 0);
	assert_int_equal(requests[2].result.err, -ECANCELED);
	assert_non_null(objstore_memory_find(world->memory, "a"));
	assert_null(objstore_memory_find(world->memory, "b"));
	assert_null(objstore_memory_find(world->memory, "c"));
	objstore_cancel(&world->memory->store, &requests[0]); /* too late: nothing happens */
	executor_virtual_run(world->virtual);
	assert_int_equal(world->done, 3);
	for (int i = 0; i < 3; i++)
		os_request_free_result(&requests[i]);
}

static void a_later_request_can_overtake_a_slow_one(void **state)
{
	struct memory_world *world = *state;
	struct os_memory slow_bytes = {"slow", 4}, fast_bytes = {"fast", 4};
	struct os_request slow = {.op = OS_PUT, .key = "k"}, fast = {.op = OS_PUT, .key = "k"};
	uint64_t begin = executor_monotonic(world->executor);

	slow.body = os_source_memory(&slow_bytes);
	fast.body = os_source_memory(&fast_bytes);
	world->memory->latency = 5 * NSEC_PER_SEC;
	world_submit(world, &slow);
	world->memory->latency = NSEC_PER_SEC;
	world_submit(world, &fast);
	executor_virtual_run(world->virtual);
	assert_memory_equal(objstore_memory_find(world->memory, "k")->data, "slow", 4);
	assert_int_equal(executor_monotonic(world->executor) - begin, 5 * NSEC_PER_SEC);
	assert_int_equal(slow.result.err, 0);
	world_submit(world, &slow);
	objstore_cancel(&world->memory->store, &slow);
	executor_virtual_run(world->virtual);
	assert_int_equal(slow.result.err, -ECANCELED);
	assert_int_equal(executor_virtual_timers(world->virtual), 0);
	os_request_free_result(&slow);
	os_request_free_result(&fast);
}

static void while_away_requests_wait_until_their_deadline(void **state)
{
	struct memory_world *world = *state;
	uint64_t begin = executor_monotonic(world->executor);
	struct os_request impatient = {.op = OS_HEAD, .key = "k", .deadline = begin + NSEC_PER_SEC};
	struct os_request patient = {
		.op = OS_HEAD, .key = "k", .deadline = begin + 9 * NSEC_PER_SEC};

	objstore_memory_put(world->memory, "k", "x", NULL);
	objstore_memory_set_away(world->memory, true);
	world_submit(world, &impatient);
	world_submit(world, &patient);
	executor_virtual_advance(world->virtual, 2 * NSEC_PER_SEC);
	assert_int_equal(world->done, 1);
	assert_int_equal(impatient.result.err, -EHOSTUNREACH);
	objstore_memory_set_away(world->memory, false);
	executor_virtual_run(world->virtual);
	assert_int_equal(world->done, 2);
	assert_int_equal(patient.result.err, 0);
	assert_int_equal(world->memory->count[OS_HEAD], 1);
	os_request_free_result(&impatient);
	os_request_free_result(&patient);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEMORY_TEST(the_nth_request_fails_as_told),
		MEMORY_TEST(another_writer_can_step_in),
		MEMORY_TEST(requests_can_be_held_and_cancelled),
		MEMORY_TEST(a_later_request_can_overtake_a_slow_one),
		MEMORY_TEST(while_away_requests_wait_until_their_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/unit/memory_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int memory_world_setup(void **state)
{
	struct memory_world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->virtual = executor_virtual_create(1700000000 * (int64_t)NSEC_PER_SEC + 123456789);
	assert_non_null(world->virtual);
	world->executor = executor_virtual_executor(world->virtual);
	world->memory = objstore_memory_create(world->executor);
	world->memory->part_size_min = 4;
	world->memory->chunk = 3;
	*state = world;
	return 0;
}

int memory_world_teardown(void **state)
{
	struct memory_world *world = *state;

	objstore_destroy(&world->memory->store);
	executor_virtual_destroy(world->virtual);
	free(world);
	return 0;
}

static void count_done(struct os_request *request)
{
	struct memory_world *world = request->user;

	world->done++;
}

void world_submit(struct memory_world *world, struct os_request *request)
{
	request->done = count_done;
	request->user = world;
	if (request->deadline == 0)
		request->deadline = executor_monotonic(world->executor) + 10 * NSEC_PER_SEC;
	objstore_submit(&world->memory->store, request);
}

int world_call(struct memory_world *world, struct os_request *request)
{
	unsigned before = world->done;

	os_request_free_result(request);
	world_submit(world, request);
	assert_int_equal(world->done, before); /* never inside submit */
	executor_virtual_run(world->virtual);
	assert_int_equal(world->done, before + 1);
	return request->result.err;
}

int world_quick(struct memory_world *world, struct os_request request, char etag[OS_ETAG_MAX])
{
	int err = world_call(world, &request);

	if (etag)
		memcpy(etag, request.result.etag, OS_ETAG_MAX);
	os_request_free_result(&request);
	return err;
}

int world_put(struct memory_world *world, const char *key, const char *text,
	      struct os_condition condition, char etag[OS_ETAG_MAX])
{
	struct os_memory bytes = {text, strlen(text)};
	struct os_request request = {.op = OS_PUT, .key = key, .condition = condition};

	request.body = os_source_memory(&bytes);
	return world_quick(world, request, etag);
}

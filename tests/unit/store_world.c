#include "tests/unit/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

char store_world_pattern[BODY];
struct store_world store_world;

void store_world_open(const struct script_step *steps, size_t count, unsigned connections,
		      const char *host)
{
	struct error error = ERROR_INIT;

	memset(&store_world, 0, sizeof(store_world));
	for (size_t i = 0; i < BODY; i++)
		store_world_pattern[i] = (char)(i * 31 + i / 251);
	store_world.received = calloc(1, BODY);
	store_world.server = script_server_start(steps, count);
	assert_int_equal(loop_create(&store_world.loop), 0);
	snprintf(store_world.endpoint, sizeof(store_world.endpoint), "http://%s:%u", host,
		 script_server_port(store_world.server));
	store_world.credentials.access_key = (char *)"AK";
	store_world.credentials.secret_key = (char *)"SK";
	store_world.config.bucket = "bkt";
	store_world.config.endpoint = store_world.endpoint;
	store_world.config.connections = connections;
	store_world.config.credentials = &store_world.credentials;
	assert_int_equal(s3_create(&store_world.store, loop_executor(store_world.loop),
				   &store_world.config, &error),
			 0);
}

void store_world_close(size_t requests)
{
	objstore_destroy(store_world.store);
	loop_destroy(store_world.loop);
	free(store_world.received);
	assert_int_equal(script_server_requests(store_world.server), requests);
	script_server_stop(store_world.server);
}

static void on_done(struct os_request *request)
{
	(void)request;
	if (--store_world.running == 0)
		loop_stop(store_world.loop);
}

void store_world_submit(struct os_request *request, uint64_t timeout)
{
	request->deadline = executor_monotonic(loop_executor(store_world.loop)) + timeout;
	request->done = on_done;
	store_world.running++;
	objstore_submit(store_world.store, request);
}

int store_world_run(struct os_request *request)
{
	store_world_submit(request, SECONDS(10));
	loop_run(store_world.loop);
	return request->result.err;
}

static int take(void *context, const void *data, size_t len, uint64_t offset)
{
	(void)context;
	assert_true(offset + len <= BODY);
	memcpy(store_world.received + offset, data, len);
	store_world.received_end = offset + len;
	store_world.writes++;
	return store_world.sink_err;
}

struct os_request store_world_get(void)
{
	return (struct os_request){.op = OS_GET, .key = "k", .sink.write = take};
}

static int give(void *context, void *data, size_t len, uint64_t offset)
{
	int *err = context;

	if (*err)
		return *err;
	assert_true(offset + len <= BODY);
	memcpy(data, store_world_pattern + offset, len);
	return 0;
}

struct os_request store_world_put(int *err, uint64_t len)
{
	return (struct os_request){.op = OS_PUT, .key = "k", .body = {give, err, len}};
}

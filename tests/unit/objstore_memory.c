#include "tests/unit/objstore_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/list.h"
#include "tests/unit/memory_operations.h"

enum { PART_SIZE_MIN = 5 << 20, CHUNK = 64 << 10, LIST_MAX = 1000 };

struct memory_fault {
	struct memory_fault *next;
	int op; /* -1: any */
	unsigned left;
	int err;
	enum fault_moment moment;
};

enum call_state {
	CALL_DELAYED, /* its timer is set */
	CALL_POSTED,  /* its request's task is queued */
	CALL_HELD,    /* on memory->held */
};

struct memory_call { /* one submitted request */
	struct objstore_memory *memory;
	struct os_request *request;
	struct memory_call *next; /* while held */
	struct timer timer;	  /* delayed: the latency; away: the deadline */
	enum call_state state;
	bool cancelled, released;
	bool away; /* held because S3 is away */
};

static struct objstore_memory *memory_of(struct objstore *store)
{
	return container_of(store, struct objstore_memory, store);
}

static void finish(struct memory_call *call)
{
	struct os_request *request = call->request;

	call->memory->unfinished--;
	request->implementation = NULL;
	free(call);
	request->done(request);
}

/* Counts the request against every fault; the first that is due strikes. */
static bool take_fault(struct objstore_memory *memory, enum os_op op, struct memory_fault *out)
{
	struct memory_fault **at = &memory->faults;
	bool struck = false;

	while (*at) {
		struct memory_fault *fault = *at;

		if (fault->op >= 0 && fault->op != (int)op) {
			at = &fault->next;
			continue;
		}
		if (fault->left > 1)
			fault->left--;
		else if (!struck) {
			*out = *fault;
			struck = true;
			*at = fault->next;
			free(fault);
			continue;
		}
		at = &fault->next;
	}
	return struck;
}

static void execute(struct objstore_memory *memory, struct os_request *request)
{
	struct memory_fault fault;
	bool struck = take_fault(memory, request->op, &fault);

	if (struck && fault.moment == FAULT_TWICE) {
		memory_execute(memory, request);
		os_request_free_result(request);
		memory_execute(memory, request);
		request->result.repeated = request->result.err == 0;
		return;
	}
	if (!struck || fault.moment == FAULT_AFTER)
		memory_execute(memory, request);
	/* What failed by itself fails for its own reason. */
	if (!struck || request->result.err)
		return;
	os_request_free_result(request);
	memory_fail(request, fault.err, 0, "fault of the test");
	request->result.code[0] = '\0';
	request->result.ambiguous = fault.moment != FAULT_BEFORE;
}

static void hold(struct memory_call *call, bool away)
{
	struct objstore_memory *memory = call->memory;

	call->state = CALL_HELD;
	call->away = away;
	call->next = NULL;
	*memory->held_tail = call;
	memory->held_tail = &call->next;
	if (away && call->request->deadline != DEADLINE_NONE)
		timer_set(memory->executor, &call->timer, call->request->deadline);
}

static void unhold(struct memory_call *call)
{
	struct objstore_memory *memory = call->memory;
	struct memory_call **at = &memory->held;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	if (memory->held_tail == &call->next)
		memory->held_tail = at;
	timer_cancel(memory->executor, &call->timer);
}

static void run(struct memory_call *call)
{
	struct objstore_memory *memory = call->memory;
	struct os_request *request = call->request;

	if (call->cancelled) {
		memory_fail(request, -ECANCELED, 0, "");
		finish(call);
		return;
	}
	if (memory->away) {
		hold(call, true);
		return;
	}
	if (!call->released && memory->hold && memory->hold(memory, request)) {
		hold(call, false);
		return;
	}
	if (memory->before)
		memory->before(memory, request);
	memory->count[request->op]++;
	execute(memory, request);
	finish(call);
}

static void task_run(struct task *task)
{
	struct os_request *request = container_of(task, struct os_request, task);

	run(request->implementation);
}

static void post(struct memory_call *call)
{
	call->state = CALL_POSTED;
	call->request->task.run = task_run;
	executor_post(call->memory->executor, &call->request->task);
}

static void timer_fired(struct timer *timer)
{
	struct memory_call *call = container_of(timer, struct memory_call, timer);

	if (call->state == CALL_DELAYED) {
		run(call);
		return;
	}
	unhold(call);
	memory_fail(call->request, -EHOSTUNREACH, 0, "");
	finish(call);
}

static void submit(struct objstore *store, struct os_request *request)
{
	struct objstore_memory *memory = memory_of(store);
	struct memory_call *call = calloc(1, sizeof(*call));

	CHECK(call != NULL && request->done != NULL);
	memset(&request->result, 0, sizeof(request->result));
	call->memory = memory;
	call->request = request;
	timer_init(&call->timer, timer_fired);
	request->implementation = call;
	memory->unfinished++;
	if (memory->latency == 0) {
		post(call);
		return;
	}
	call->state = CALL_DELAYED;
	timer_set(memory->executor, &call->timer,
		  executor_monotonic(memory->executor) + memory->latency);
}

static void cancel(struct objstore *store, struct os_request *request)
{
	struct memory_call *call = request->implementation;

	(void)store;
	if (!call || call->cancelled)
		return;
	call->cancelled = true;
	if (call->state == CALL_POSTED)
		return;
	if (call->state == CALL_HELD)
		unhold(call);
	else
		timer_cancel(call->memory->executor, &call->timer);
	post(call);
}

static void destroy(struct objstore *store)
{
	struct objstore_memory *memory = memory_of(store);

	CHECK(memory->unfinished == 0);
	while (memory->faults) {
		struct memory_fault *fault = memory->faults;

		memory->faults = fault->next;
		free(fault);
	}
	memory_bucket_free(&memory->bucket);
	free(memory);
}

static const struct objstore_ops memory_ops = {
	.submit = submit,
	.cancel = cancel,
	.destroy = destroy,
};

struct objstore_memory *objstore_memory_create(struct executor *executor)
{
	struct objstore_memory *memory = calloc(1, sizeof(*memory));

	CHECK(memory != NULL);
	memory->store.ops = &memory_ops;
	memory->executor = executor;
	memory->bucket_name = "bucket";
	memory->part_size_min = PART_SIZE_MIN;
	memory->chunk = CHUNK;
	memory->list_max = LIST_MAX;
	memory->held_tail = &memory->held;
	return memory;
}

void objstore_memory_fail(struct objstore_memory *memory, int op, unsigned nth, int err,
			  enum fault_moment moment)
{
	struct memory_fault *fault = calloc(1, sizeof(*fault)), **at = &memory->faults;

	CHECK(fault != NULL && nth > 0 && err < 0);
	*fault = (struct memory_fault){NULL, op, nth, err, moment};
	while (*at)
		at = &(*at)->next;
	*at = fault;
}

unsigned objstore_memory_faults_left(const struct objstore_memory *memory)
{
	unsigned count = 0;

	for (const struct memory_fault *fault = memory->faults; fault; fault = fault->next)
		count++;
	return count;
}

static void release(struct objstore_memory *memory, bool away)
{
	struct memory_call *call = memory->held, *next;

	for (; call; call = next) {
		next = call->next;
		if (call->away != away)
			continue;
		unhold(call);
		call->released = call->released || !away;
		post(call);
	}
}

void objstore_memory_release(struct objstore_memory *memory)
{
	release(memory, false);
}

void objstore_memory_set_away(struct objstore_memory *memory, bool away)
{
	memory->away = away;
	if (!away)
		release(memory, true);
}

void objstore_memory_put(struct objstore_memory *memory, const char *key, const char *text,
			 const char *const *meta)
{
	struct os_meta set = OS_META_INIT;
	struct os_request request = {.op = OS_PUT, .key = key, .meta = &set};
	struct os_memory bytes = {text, strlen(text)};

	for (; meta && meta[0]; meta += 2)
		CHECK(os_meta_set(&set, meta[0], meta[1]) == 0);
	request.body = os_source_memory(&bytes);
	memory_execute(memory, &request);
	CHECK(request.result.err == 0);
	os_request_free_result(&request);
	os_meta_free(&set);
}

bool objstore_memory_remove(struct objstore_memory *memory, const char *key)
{
	return memory_bucket_remove(&memory->bucket, key);
}

const struct memory_object *objstore_memory_find(const struct objstore_memory *memory,
						 const char *key)
{
	return memory_bucket_find(&memory->bucket, key);
}

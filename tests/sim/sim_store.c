#include "tests/sim/sim_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "tests/sim/sim_memory.h"
#include "tests/unit/memory_operations.h"

#define LATE (10 * NSEC_PER_SEC)

struct call {
	struct sim_store *store;
	struct os_request *request;
	struct list link;
	struct timer timer;
	bool arrived, cancelled;
	struct sim_flight *late; /* takes effect when the timer fires again */
};

static char *copy_string(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	CHECK(!text == !copy);
	return copy;
}

static struct os_meta *copy_meta(const struct os_meta *meta)
{
	struct os_meta *copy = calloc(1, sizeof(*copy));

	CHECK(copy != NULL);
	if (meta)
		CHECK(os_meta_copy(copy, meta) == 0);
	return copy;
}

static bool changes_something(enum os_op op)
{
	switch (op) {
	case OS_HEAD:
	case OS_GET:
	case OS_LIST:
	case OS_MPU_LIST:
	case OS_MPU_LIST_PARTS:
	case OS_BUCKETS:
	case OS_BUCKET_HEAD: return false;
	default: return true;
	}
}

static void copy_lists(struct os_request *copy, const struct os_request *request)
{
	struct os_part *parts = calloc(request->part_count + 1, sizeof(*parts));
	char **keys = calloc(request->delete_count + 1, sizeof(*keys));

	CHECK(parts && keys);
	if (request->part_count > 0)
		memcpy(parts, request->parts, request->part_count * sizeof(*parts));
	for (size_t i = 0; i < request->delete_count; i++)
		keys[i] = copy_string(request->delete_keys[i]);
	copy->parts = parts;
	copy->delete_keys = (const char *const *)keys;
}

struct sim_flight *sim_flight_copy(const struct os_request *request)
{
	struct sim_flight *flight = calloc(1, sizeof(*flight));
	struct os_request *copy = &flight->request;
	char *body = malloc(request->body.len + 1);

	CHECK(flight && body);
	*copy = *request;
	memset(&copy->result, 0, sizeof(copy->result));
	copy->key = copy_string(request->key);
	copy->source_key = copy_string(request->source_key);
	copy->source_if_match = copy_string(request->source_if_match);
	copy->condition.if_match = copy_string(request->condition.if_match);
	copy->condition.if_none_match = NULL;
	copy->content_type = copy_string(request->content_type);
	copy->upload_id = copy_string(request->upload_id);
	copy->meta = copy_meta(request->meta);
	copy->headers = copy_meta(request->headers);
	if (request->body.len > 0)
		CHECK(request->body.read(request->body.context, body, request->body.len, 0) == 0);
	flight->body = (struct os_memory){body, request->body.len};
	copy->body = os_source_memory(&flight->body);
	copy_lists(copy, request);
	return flight;
}

static void free_meta(const struct os_meta *meta)
{
	os_meta_free((struct os_meta *)(uintptr_t)meta);
	free((void *)(uintptr_t)meta);
}

void sim_flight_free(struct sim_flight *flight)
{
	struct os_request *request = &flight->request;

	os_request_free_result(request);
	free((char *)(uintptr_t)request->key);
	free((char *)(uintptr_t)request->source_key);
	free((char *)(uintptr_t)request->source_if_match);
	free((char *)(uintptr_t)request->condition.if_match);
	free((char *)(uintptr_t)request->content_type);
	free((char *)(uintptr_t)request->upload_id);
	free_meta(request->meta);
	free_meta(request->headers);
	for (size_t i = 0; i < request->delete_count; i++)
		free((char *)(uintptr_t)request->delete_keys[i]);
	free((void *)(uintptr_t)request->delete_keys);
	free((void *)(uintptr_t)request->parts);
	free((void *)(uintptr_t)flight->body.data);
	free(flight);
}

void sim_flight_land(struct sim_flight *flight, struct objstore_memory *memory)
{
	memory_execute(memory, &flight->request);
	os_request_free_result(&flight->request);
	memset(&flight->request.result, 0, sizeof(flight->request.result));
}

static void land(struct timer *timer)
{
	struct sim_landing *landing = container_of(timer, struct sim_landing, timer);

	sim_flight_land(landing->flight, landing->memory);
	landing->arrived = true;
}

void sim_landing_set(struct sim_landing *landing, struct sim_flight *flight,
		     struct objstore_memory *memory, struct executor *executor,
		     uint64_t (*draw)(void *context), void *context)
{
	uint64_t within = draw(context) % SIM_LATE_MAX;

	*landing = (struct sim_landing){.flight = flight, .memory = memory};
	timer_init(&landing->timer, land);
	timer_set(executor, &landing->timer,
		  executor_monotonic(executor) + within / (1 + draw(context) % 2000));
}

struct sim_flight *sim_store_flights(const struct sim_store *store)
{
	struct sim_flight *first = NULL, **at = &first;

	for (const struct list *node = store->flights.next; node != &store->flights;
	     node = node->next) {
		const struct call *call = container_of(node, struct call, link);

		if (call->late || !changes_something(call->request->op) || call->cancelled)
			continue;
		*at = sim_flight_copy(call->request);
		at = &(*at)->next;
	}
	return first;
}

static void finish(struct call *call)
{
	struct os_request *request = call->request;

	list_remove(&call->link);
	call->store->unfinished--;
	request->implementation = NULL;
	free(call);
	request->done(request);
}

static void fail(struct os_request *request, int err, bool ambiguous)
{
	os_request_free_result(request);
	memset(&request->result, 0, sizeof(request->result));
	memory_fail(request, err, 0, "the simulation's fault");
	request->result.code[0] = '\0';
	request->result.ambiguous = ambiguous && changes_something(request->op);
}

static void set_timer(struct call *call, uint64_t ns)
{
	struct executor *executor = call->store->memory->executor;

	timer_set(executor, &call->timer, executor_monotonic(executor) + ns);
}

static uint64_t travel(struct sim_store *store)
{
	return 1 + store->draw(store->context) % (store->delay + 1);
}

/* Whoever waited has been told something else already. */
static void come_late(struct timer *timer)
{
	struct call *call = container_of(timer, struct call, timer);

	sim_flight_land(call->late, call->store->memory);
	sim_flight_free(call->late);
	list_remove(&call->link);
	call->store->unfinished--;
	free(call);
}

static void be_late(struct call *call)
{
	struct call *late = calloc(1, sizeof(*late));

	CHECK(late != NULL);
	late->store = call->store;
	late->late = sim_flight_copy(call->request);
	timer_init(&late->timer, come_late);
	list_init(&late->link);
	call->store->unfinished++;
	set_timer(late, call->store->draw(call->store->context) % LATE);
}

static void arrive(struct call *call)
{
	struct sim_store *store = call->store;
	struct os_request *request = call->request;
	int err = -EIO;
	enum sim_fate fate = store->fate ? store->fate(store->context, request, &err) : SIM_ARRIVES;

	call->arrived = true;
	list_remove(&call->link); /* from here on it is decided */
	if (sim_memory_pause)
		sim_memory_pause(true);
	if (fate == SIM_ARRIVES || fate == SIM_REPLY_LOST)
		memory_execute(store->memory, request);
	if (fate == SIM_LATE && changes_something(request->op))
		be_late(call);
	if (fate == SIM_REFUSED || (fate != SIM_ARRIVES && request->result.err == 0))
		fail(request, err, fate != SIM_REFUSED);
	if (sim_memory_pause)
		sim_memory_pause(false);
	set_timer(call, travel(store));
}

static void fired(struct timer *timer)
{
	struct call *call = container_of(timer, struct call, timer);

	if (call->arrived)
		finish(call);
	else
		arrive(call);
}

static void submit(struct objstore *objstore, struct os_request *request)
{
	struct sim_store *store = container_of(objstore, struct sim_store, store);
	struct call *call = calloc(1, sizeof(*call));

	CHECK(call != NULL);
	memset(&request->result, 0, sizeof(request->result));
	call->store = store;
	call->request = request;
	request->implementation = call;
	timer_init(&call->timer, fired);
	list_append(&store->flights, &call->link);
	store->unfinished++;
	set_timer(call, travel(store));
}

static void cancel(struct objstore *objstore, struct os_request *request)
{
	struct call *call = request->implementation;

	(void)objstore;
	if (!call || call->arrived || call->cancelled)
		return;
	call->cancelled = call->arrived = true;
	list_remove(&call->link);
	fail(request, -ECANCELED, true);
	set_timer(call, 0);
}

static const struct objstore_ops ops = {.submit = submit, .cancel = cancel};

void sim_store_init(struct sim_store *store, struct objstore_memory *memory,
		    uint64_t (*draw)(void *context), void *context)
{
	*store = (struct sim_store){
		.memory = memory, .draw = draw, .context = context, .delay = NSEC_PER_MSEC};
	store->store.ops = &ops;
	list_init(&store->flights);
}

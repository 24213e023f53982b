#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/s3/store.h"

enum { SWEEP_SECONDS = 1 };

/* ns: who has less until its deadline is not sent again. */
#define ATTEMPT_LEAST (100 * NSEC_PER_MSEC)

/* splitmix64 (Steele, Lea, Flood 2014): jitter needs no more. */
static void stir(struct s3_store *store)
{
	uint64_t z = store->scratch_random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	store->random = z ^ (z >> 31);
}

/* One line for each request, over all its attempts and the time that it waited for a connection. */
static void log_end(const struct s3_call *call)
{
	const struct os_request *request = call->request;
	const struct os_result *result = &request->result;
	unsigned long long ms = (http_now() - call->submitted) / NSEC_PER_MSEC;
	const char *name = request->key ? request->key : request->prefix ? request->prefix : "";

	if (!result->err)
		log_debug("s3: %s %s: HTTP %d, %llu ms, %u attempts", os_op_name(request->op), name,
			  result->http_status, ms, call->retry.attempts);
	else
		log_debug("s3: %s %s: %s%s%s (HTTP %d, %llu ms, %u attempts, request id %s)",
			  os_op_name(request->op), name, result->code, result->code[0] ? ": " : "",
			  result->message, result->http_status, ms, call->retry.attempts,
			  result->request_id[0] ? result->request_id : "none");
}

static void finish(struct s3_call *call)
{
	struct os_request *request = call->request;

	list_remove(&call->node);
	call->state = CALL_FINISHED;
	request->result.ambiguous = request->result.err != 0 && call->retry.ambiguous;
	request->result.repeated = request->result.err == 0 && call->retry.repeated;
	if (log_enabled(LOG_LEVEL_DEBUG))
		log_end(call);
	executor_post(call->store->executor, &request->task);
}

static void finish_with(struct s3_call *call, int err)
{
	call->request->result.err = err;
	finish(call);
}

static void queue(struct s3_call *call)
{
	struct s3_store *store = call->store;

	list_remove(&call->node);
	if (call_needs_hash(call)) {
		call->state = CALL_HASHING;
		list_append(&store->hashing, &call->node);
		return;
	}
	call->state = CALL_QUEUED;
	list_append(call->request->urgent ? &store->urgent : &store->bulk, &call->node);
}

static void release_slot(struct s3_call *call)
{
	struct s3_store *store = call->store;

	store->active_count--;
	if (!call->request->urgent)
		store->active_bulk--;
}

static void delay(struct s3_call *call)
{
	struct s3_store *store = call->store;

	/* An attempt that is cut off by the deadline says less than the one before it. */
	if (call->due + ATTEMPT_LEAST > call->request->deadline) {
		finish(call);
		return;
	}
	list_remove(&call->node);
	call->state = CALL_DELAYED;
	list_append(&store->delayed, &call->node);
	if (call->due < store->next_due)
		store->next_due = call->due;
	call->request->result.err = 0;
}

/* The answer in the other style says less than the first did: people should see the first. */
static void switch_style(struct s3_call *call)
{
	struct s3_store *store = call->store;
	const struct os_result *result = &call->request->result;

	call->has_first_failure = true;
	call->first_err = result->err;
	call->first_status = result->http_status;
	memcpy(call->first_code, result->code, sizeof(call->first_code));
	memcpy(call->first_message, result->message, sizeof(call->first_message));
	call->retry.style_changed = true;
	store->style = call->style == STYLE_PATH ? STYLE_VIRTUAL_HOST : STYLE_PATH;
	log_debug("s3: trying %s style", store->style == STYLE_PATH ? "path" : "virtual-host");
	queue(call);
}

static void settle_style(struct s3_call *call)
{
	struct s3_store *store = call->store;
	struct os_result *result = &call->request->result;

	if (call->request->op != OS_BUCKET_HEAD)
		return;
	if (result->err == 0) {
		store->may_switch_style = false;
	} else if (call->has_first_failure) {
		store->style = call->style == STYLE_PATH ? STYLE_VIRTUAL_HOST : STYLE_PATH;
		result->err = call->first_err;
		result->http_status = call->first_status;
		memcpy(result->code, call->first_code, sizeof(result->code));
		memcpy(result->message, call->first_message, sizeof(result->message));
	}
}

/* On the thread that signs. Takes over what new owns. */
static void set_credentials(struct s3_store *store, const struct credentials *new)
{
	credentials_free(&store->credentials);
	store->credentials = *new;
	sigv4_signer_wipe(&store->signer);
	store->signer.access_key = store->credentials.access_key;
	store->signer.secret_key = store->credentials.secret_key;
	store->credentials_version++;
	store->said_old_keys = false;
}

/* A call that may still be under way must not see its credentials change: they are swapped here, on
 * the thread that signs. */
static bool take_credentials(struct s3_store *store)
{
	struct credentials *new;

	pthread_mutex_lock(&store->lock);
	new = store->new_credentials;
	store->new_credentials = NULL;
	pthread_mutex_unlock(&store->lock);
	if (!new)
		return false;
	set_credentials(store, new);
	free(new);
	return true;
}

/* Somebody may have written newer ones to where they came from. */
static bool reload_credentials(struct s3_store *store)
{
	uint64_t now = http_now();
	struct credentials new;

	if (!store->reload || (store->reloaded && now - store->reloaded < NSEC_PER_SEC))
		return false;
	store->reloaded = now;
	if (store->reload(store->reload_context, &new))
		return false;
	if (credentials_equal(&new, &store->credentials)) {
		credentials_free(&new);
		return false;
	}
	set_credentials(store, &new);
	log_info("s3: newer keys from %s", store->credentials.source);
	return true;
}

static bool renew_credentials(struct s3_call *call)
{
	struct s3_store *store = call->store;

	return take_credentials(store) || call->credentials_version != store->credentials_version ||
	       reload_credentials(store);
}

static void say_that_keys_are_old(struct s3_call *call)
{
	char said[sizeof(call->request->result.message)];

	const char *code = call->request->result.code;

	/* Without a code it may be about anything. */
	if (!*code)
		return;
	if (!call->store->said_old_keys)
		log_error(
			"s3: the server does not take the keys any more (%s); they were read again "
			"(%s) and are the same: newer ones are looked for whenever it says so",
			code, call->store->credentials.source);
	call->store->said_old_keys = true;
	memcpy(said, call->request->result.message, sizeof(said));
	call_message(call, "%s (keys: %s, read again without finding newer ones)", said,
		     call->store->credentials.source);
}

/* Several requests may find out at once: it is said once. */
static void set_clock(struct s3_store *store, int64_t offset)
{
	long long size = llabs((long long)offset), change = llabs(offset - store->clock_offset);

	store->clock_offset = offset;
	if (change < RETRY_SKEW_SECONDS)
		return;
	if (size < RETRY_SKEW_SECONDS)
		log_info("s3: the clocks of this machine and of the server agree again");
	else
		log_warning("s3: the clock of this machine is %lld s %s; signing with the server's "
			    "time",
			    size, offset > 0 ? "slow" : "fast");
}

static void act(struct s3_call *call, const struct retry_decision *decision)
{
	struct s3_store *store = call->store;

	call->fresh_connection = call->exchange.outcome != HTTP_ANSWERED;
	switch (decision->action) {
	case RETRY_FINISH:
		settle_style(call);
		finish(call);
		break;
	case RETRY_LATER: delay(call); break;
	case RETRY_NOW: queue(call); break;
	case RETRY_REGION:
		log_info("s3: the bucket is in region %s", decision->region);
		memcpy(store->region, decision->region, sizeof(store->region));
		queue(call);
		break;
	case RETRY_CLOCK:
		set_clock(store, decision->clock_offset);
		queue(call);
		break;
	case RETRY_CREDENTIALS:
		if (renew_credentials(call)) {
			queue(call);
		} else {
			say_that_keys_are_old(call);
			finish(call);
		}
		break;
	case RETRY_STYLE: switch_style(call); break;
	}
}

void store_exchange_done(struct http_exchange *exchange)
{
	struct s3_call *call = container_of(exchange, struct s3_call, exchange);
	struct retry_decision decision;

	release_slot(call);
	stir(call->store);
	decision = call_end_attempt(call);
	if (decision.action != RETRY_FINISH && decision.action != RETRY_LATER &&
	    http_now() >= call->request->deadline)
		decision.action = RETRY_FINISH;
	act(call, &decision);
}

static void expire(struct s3_call *call)
{
	if (!call->request->result.message[0])
		call_message(call, "no time was left to send the request");
	finish_with(call, -ETIMEDOUT);
}

static void start(struct s3_call *call)
{
	struct s3_store *store = call->store;
	int err;

	if (http_now() >= call->request->deadline) {
		expire(call);
		return;
	}
	list_remove(&call->node);
	list_append(&store->active, &call->node);
	call->state = CALL_ACTIVE;
	store->active_count++;
	if (!call->request->urgent)
		store->active_bulk++;
	err = call_start_attempt(call);
	if (err) {
		release_slot(call);
		finish_with(call, err);
	}
}

static void start_ready(struct s3_store *store)
{
	while (store->active_count < store->connections && !list_empty(&store->urgent))
		start(container_of(store->urgent.next, struct s3_call, node));
	while (store->active_count < store->connections &&
	       store->active_bulk < store->bulk_connections && !list_empty(&store->bulk))
		start(container_of(store->bulk.next, struct s3_call, node));
}

static void run_delayed(struct s3_store *store, uint64_t now)
{
	if (now < store->next_due)
		return;
	store->next_due = UINT64_MAX;
	LIST_FOREACH (node, &store->delayed) {
		struct s3_call *call = container_of(node, struct s3_call, node);

		if (call->due <= now)
			queue(call);
		else if (call->due < store->next_due)
			store->next_due = call->due;
	}
}

static void expire_list(struct list *list, uint64_t now)
{
	LIST_FOREACH (node, list) {
		struct s3_call *call = container_of(node, struct s3_call, node);

		if (now >= call->request->deadline)
			expire(call);
	}
}

/* Those that wait for a connection: nothing else looks at their deadline. */
static void sweep(struct s3_store *store, uint64_t now)
{
	if (now < store->next_sweep)
		return;
	store->next_sweep = now + SWEEP_SECONDS * NSEC_PER_SEC;
	expire_list(&store->urgent, now);
	expire_list(&store->bulk, now);
	expire_list(&store->hashing, now);
}

static void hash_step(struct s3_store *store)
{
	struct s3_call *call;
	int err;

	if (list_empty(&store->hashing))
		return;
	call = container_of(store->hashing.next, struct s3_call, node);
	err = call_hash_step(call);
	if (err == 1)
		queue(call);
	else if (err)
		finish_with(call, err);
}

static void cancel_call(struct s3_call *call)
{
	if (call->state == CALL_FINISHED)
		return;
	if (call->state == CALL_ACTIVE) {
		if (call->exchange.begun > 0 && !os_op_is_read(call->request->op))
			call->retry.ambiguous = true;
		http_abort(call->store->http, &call->exchange);
		release_slot(call);
	}
	os_request_free_result(call->request);
	call_message(call, "canceled");
	finish_with(call, -ECANCELED);
}

/* Returns false when the thread shall end. */
static bool take_inbox(struct s3_store *store)
{
	struct list *node;
	bool stop;

	if (!atomic_load(&store->called))
		return true;
	pthread_mutex_lock(&store->lock);
	atomic_store(&store->called, false);
	while ((node = list_pop(&store->inbox)))
		queue(container_of(node, struct s3_call, node));
	/* Under the lock: run_done takes a call off this list before it is used again. */
	while ((node = list_pop(&store->cancels)))
		cancel_call(container_of(node, struct s3_call, cancel_node));
	stop = store->stop;
	pthread_mutex_unlock(&store->lock);
	return !stop;
}

static bool has_work(void *context)
{
	struct s3_store *store = context;

	return atomic_load(&store->called);
}

static uint64_t wait_until(const struct s3_store *store, uint64_t now)
{
	if (!list_empty(&store->hashing))
		return now;
	if (list_empty(&store->urgent) && list_empty(&store->bulk))
		return store->next_due;
	return store->next_due < store->next_sweep ? store->next_due : store->next_sweep;
}

void *store_network_thread(void *context)
{
	struct s3_store *store = context;
	uint64_t now;

	while (take_inbox(store)) {
		now = http_now();
		run_delayed(store, now);
		sweep(store, now);
		hash_step(store);
		start_ready(store);
		http_turn(store->http, wait_until(store, now), has_work, store);
	}
	return NULL;
}

#include "fs/env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The last digits of a put-id count the publications of a file. */
enum { COUNT_DIGITS = 8 };
#define COUNT_MAX 0xffffffffUL
#define LEAP_MIN  0x100000UL

struct s3_wait {
	struct fiber *fiber;
	bool done;
};

static void wake_waiter(struct os_request *request)
{
	struct s3_wait *wait = request->user;

	wait->done = true;
	fiber_wake(wait->fiber);
}

static bool found_nobody(int err)
{
	return err == -EHOSTUNREACH || err == -ETIMEDOUT || err == -EKEYREJECTED || err == -EIO;
}

bool env_is_away(struct env *env)
{
	return env->away_at && env_now(env) - env->away_at < AWAY_PAUSE;
}

int env_s3(struct env *env, struct os_request *request)
{
	struct s3_wait wait = {fiber_self(), false};

	if (request->deadline == 0)
		request->deadline = env_after(env, DEADLINE_SMALL);
	request->done = wake_waiter;
	request->user = &wait;
	objstore_submit(env->store, request);
	while (!wait.done)
		fiber_park();
	env->away_at = found_nobody(request->result.err) ? env_now(env) : 0;
	return request->result.err;
}

void s3_batch_init(struct s3_batch *batch, struct env *env, unsigned width)
{
	batch->env = env;
	batch->width = width;
	batch->running = 0;
	wait_queue_init(&batch->changed);
}

static void batch_item_done(struct os_request *request)
{
	struct s3_batch_item *item = request->user;
	struct s3_batch *batch = item->batch;

	batch->running--;
	if (item->finished)
		item->finished(item);
	wait_wake_all(&batch->changed);
}

void s3_batch_submit(struct s3_batch *batch, struct s3_batch_item *item)
{
	while (batch->running >= batch->width)
		fiber_wait(&batch->changed, DEADLINE_NONE, WAIT_PLAIN);
	batch->running++;
	item->batch = batch;
	item->request.done = batch_item_done;
	item->request.user = item;
	if (item->request.deadline == 0)
		item->request.deadline = env_after(batch->env, DEADLINE_SMALL);
	objstore_submit(batch->env->store, &item->request);
}

void s3_batch_wait(struct s3_batch *batch)
{
	while (batch->running > 0)
		fiber_wait(&batch->changed, DEADLINE_NONE, WAIT_PLAIN);
}

bool env_s3_heals(int err)
{
	return err == -ETIMEDOUT || err == -EHOSTUNREACH || err == -EIO || err == -EBUSY ||
	       err == -EPROTO;
}

bool env_next_page(struct os_request *list, char **token)
{
	free(*token);
	*token = list->result.next_token;
	list->result.next_token = NULL;
	os_request_free_result(list);
	list->token = *token;
	list->deadline = 0;
	return *token != NULL;
}

void env_put_id(struct env *env, char out[PUT_ID_LEN + 1])
{
	uint64_t high = env->random(env->random_context);
	uint64_t low = env->random(env->random_context);

	snprintf(out, PUT_ID_LEN + 1, "%016llx%016llx", (unsigned long long)high,
		 (unsigned long long)low & ~(unsigned long long)COUNT_MAX);
}

static void advance(struct env *env, char id[PUT_ID_LEN + 1], unsigned long step)
{
	char *count = id + PUT_ID_LEN - COUNT_DIGITS;
	unsigned long number = id[0] ? strtoul(count, NULL, 16) : COUNT_MAX;

	if (number >= COUNT_MAX - step)
		env_put_id(env, id);
	else
		snprintf(count, COUNT_DIGITS + 1, "%08x", (unsigned)(number + step));
}

void put_id_next(struct env *env, char id[PUT_ID_LEN + 1])
{
	advance(env, id, 1);
}

void put_id_leap(struct env *env, char id[PUT_ID_LEN + 1])
{
	advance(env, id, LEAP_MIN + env->random(env->random_context) % LEAP_MIN);
}

bool put_id_is_kin(const char *one, const char *other)
{
	return strlen(one) == PUT_ID_LEN && strlen(other) == PUT_ID_LEN &&
	       strncmp(one, other, PUT_ID_LEN - COUNT_DIGITS) == 0;
}

int put_id_order(const char *one, const char *other)
{
	return strcmp(one + PUT_ID_LEN - COUNT_DIGITS, other + PUT_ID_LEN - COUNT_DIGITS);
}

bool put_id_is_attempt(const char *found, const char *newest, const char *base)
{
	return put_id_is_kin(found, newest) && (!base || strcmp(found, base) != 0);
}

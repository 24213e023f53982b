#include "fs/env.h"

#include <errno.h>
#include <stdio.h>

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

void env_put_id(struct env *env, char out[PUT_ID_LEN + 1])
{
	uint64_t high = env->random(env->random_context);
	uint64_t low = env->random(env->random_context);

	snprintf(out, PUT_ID_LEN + 1, "%016llx%016llx", (unsigned long long)high,
		 (unsigned long long)low);
}

#include "fs/cache/sync_pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/check.h"
#include "common/fiber.h"

enum { SYNC_THREADS = 2 };

/* Lives on the stack of the fiber that waits for it. */
struct sync_job {
	struct task task; /* first */
	struct list link; /* in pool->queue */
	struct executor *executor;
	struct fiber *fiber;
	int fd, directory;
	int err;
	bool done; /* owner thread */
};

struct sync_pool {
	struct executor *executor;
	pthread_t threads[SYNC_THREADS];
	unsigned started;
	pthread_mutex_t lock; /* nothing is taken inside */
	pthread_cond_t changed;
	struct list queue; /* protected by lock */
	bool stopping;	   /* protected by lock */
};

static void job_done(struct task *task)
{
	struct sync_job *job = (struct sync_job *)task;

	job->done = true;
	fiber_wake(job->fiber);
}

/* A failed fsync is not tried again: the kernel has forgotten which pages were lost (fsync(2)). */
static int sync_now(const struct sync_job *job)
{
	int result;

	do
		result = fdatasync(job->fd);
	while (result < 0 && errno == EINTR);
	if (result < 0)
		return -errno;
	if (job->directory < 0)
		return 0;
	do
		result = fsync(job->directory);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

static void *work(void *context)
{
	struct sync_pool *pool = context;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct list *first = list_pop(&pool->queue);
		struct sync_job *job;

		if (!first) {
			if (pool->stopping)
				break;
			pthread_cond_wait(&pool->changed, &pool->lock);
			continue;
		}
		pthread_mutex_unlock(&pool->lock);
		job = container_of(first, struct sync_job, link);
		job->err = sync_now(job);
		/* The job may be gone as soon as this is posted. */
		executor_post(job->executor, &job->task);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

int sync_pool_create(struct sync_pool **out, struct executor *executor)
{
	struct sync_pool *pool = calloc(1, sizeof(*pool));
	sigset_t all, before;
	int err = 0;

	if (!pool)
		return -ENOMEM;
	pool->executor = executor;
	list_init(&pool->queue);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->changed, NULL);
	/* Threads inherit the mask; signals are for the owner thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (!err && pool->started < SYNC_THREADS) {
		err = -pthread_create(&pool->threads[pool->started], NULL, work, pool);
		if (!err)
			pthread_setname_np(pool->threads[pool->started++], "s3mount-sync");
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		sync_pool_destroy(pool);
		return err;
	}
	*out = pool;
	return 0;
}

void sync_pool_destroy(struct sync_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	CHECK(list_empty(&pool->queue));
	pool->stopping = true;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->started; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

int sync_pool_run(struct sync_pool *pool, int fd, int directory)
{
	struct sync_job job = {
		.task.run = job_done,
		.executor = pool->executor,
		.fiber = fiber_self(),
		.fd = fd,
		.directory = directory,
	};

	CHECK(job.fiber);
	list_init(&job.link);
	pthread_mutex_lock(&pool->lock);
	list_append(&pool->queue, &job.link);
	pthread_cond_signal(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	/* Others may wake this fiber for reasons of theirs. */
	while (!job.done)
		fiber_park();
	return job.err;
}

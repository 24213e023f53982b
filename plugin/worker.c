#include "plugin/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/fiber.h"
#include "common/list.h"

struct job {
	struct task task; /* must be first: back to the owner thread */
	struct list node;
	struct worker *worker;
	int (*call)(void *argument);
	void *argument;
	int result;
	bool done; /* owner thread */
	struct fiber *fiber;
};

struct worker {
	struct executor *executor;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct list queue; /* of jobs; protected by mutex */
	bool stopping;	   /* protected by mutex */
	unsigned thread_count;
	pthread_t threads[];
};

static void job_done(struct task *task)
{
	struct job *job = (struct job *)task;

	job->done = true;
	fiber_wake(job->fiber);
}

static void *thread_main(void *argument)
{
	struct worker *worker = argument;

	pthread_mutex_lock(&worker->mutex);
	for (;;) {
		struct list *node = list_pop(&worker->queue);
		struct job *job;

		if (!node && worker->stopping)
			break;
		if (!node) {
			pthread_cond_wait(&worker->changed, &worker->mutex);
			continue;
		}
		pthread_mutex_unlock(&worker->mutex);
		job = container_of(node, struct job, node);
		job->result = job->call(job->argument);
		executor_post(worker->executor, &job->task);
		pthread_mutex_lock(&worker->mutex);
	}
	pthread_mutex_unlock(&worker->mutex);
	return NULL;
}

int worker_create(struct worker **out, struct executor *executor, unsigned threads)
{
	struct worker *worker = calloc(1, sizeof(*worker) + threads * sizeof(worker->threads[0]));
	int err = 0;

	if (!worker)
		return -ENOMEM;
	worker->executor = executor;
	pthread_mutex_init(&worker->mutex, NULL);
	pthread_cond_init(&worker->changed, NULL);
	list_init(&worker->queue);
	for (; worker->thread_count < threads && !err; worker->thread_count += err ? 0 : 1)
		err = -pthread_create(&worker->threads[worker->thread_count], NULL, thread_main,
				      worker);
	if (err) {
		worker_destroy(worker);
		return err;
	}
	*out = worker;
	return 0;
}

void worker_destroy(struct worker *worker)
{
	unsigned i;

	pthread_mutex_lock(&worker->mutex);
	worker->stopping = true;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->mutex);
	for (i = 0; i < worker->thread_count; i++)
		pthread_join(worker->threads[i], NULL);
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->mutex);
	free(worker);
}

int worker_run(struct worker *worker, int (*call)(void *argument), void *argument)
{
	struct job job = {
		.worker = worker, .call = call, .argument = argument, .fiber = fiber_self()};

	job.task.run = job_done;
	list_init(&job.node);
	pthread_mutex_lock(&worker->mutex);
	list_append(&worker->queue, &job.node);
	pthread_cond_signal(&worker->changed);
	pthread_mutex_unlock(&worker->mutex);
	while (!job.done)
		fiber_park();
	return job.result;
}

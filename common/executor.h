/* executor.h — where single-threaded code runs: tasks, timers and the clock.
 *
 * Two implementations: loop.h (epoll, real time) and the simulation's (virtual time). Code that
 * knows only this header is deterministic once its executor is.
 *
 * Threads: executor_post may be called from any thread; everything else, and every callback,
 * belongs to the one thread that runs the executor ("the owner thread").
 */
#ifndef COMMON_EXECUTOR_H
#define COMMON_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NSEC_PER_SEC  UINT64_C(1000000000)
#define NSEC_PER_MSEC UINT64_C(1000000)
/* A deadline that never comes. Only for waits that something else bounds. */
#define DEADLINE_NONE UINT64_MAX

/* One call to run later. Owned by the caller and untouched between post and run; may be posted
 * again (or freed) from within run. Posting a task that is already queued is a bug. */
struct task {
	struct task *next;
	void (*run)(struct task *task);
};

/* One-shot timer. Initialise with timer_init. Owned by the caller, which cancels it before freeing.
 */
struct timer {
	uint64_t deadline; /* monotonic, ns */
	size_t position;   /* in the executor's heap; SIZE_MAX: not set */
	void (*fire)(struct timer *timer);
};

struct executor;

struct executor_ops {
	/* Queues the task; FIFO; never runs it inside the call. Any thread. */
	void (*post)(struct executor *executor, struct task *task);
	/* (Re)arms; a deadline in the past fires at the next turn, never inside the call. */
	void (*timer_set)(struct executor *executor, struct timer *timer, uint64_t deadline);
	/* After it returns fire is not called. No-op when not set. */
	void (*timer_cancel)(struct executor *executor, struct timer *timer);
	uint64_t (*monotonic)(struct executor *executor); /* ns; never goes back */
	int64_t (*wall)(struct executor *executor);	  /* ns since the epoch */
};

struct executor {
	const struct executor_ops *ops;
};

static inline void executor_post(struct executor *executor, struct task *task)
{
	executor->ops->post(executor, task);
}

static inline void timer_init(struct timer *timer, void (*fire)(struct timer *))
{
	timer->deadline = 0;
	timer->position = SIZE_MAX;
	timer->fire = fire;
}

static inline bool timer_is_set(const struct timer *timer)
{
	return timer->position != SIZE_MAX;
}

static inline void timer_set(struct executor *executor, struct timer *timer, uint64_t deadline)
{
	executor->ops->timer_set(executor, timer, deadline);
}

static inline void timer_cancel(struct executor *executor, struct timer *timer)
{
	executor->ops->timer_cancel(executor, timer);
}

static inline uint64_t executor_monotonic(struct executor *executor)
{
	return executor->ops->monotonic(executor);
}

static inline int64_t executor_wall(struct executor *executor)
{
	return executor->ops->wall(executor);
}

#endif

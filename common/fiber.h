/* fiber.h — stackful coroutines, so that code which waits for the network, the disk or the journal
 * reads as straight lines and yet one thread runs all of it.
 *
 * Threads: a pool and its fibers belong to the owner thread of the executor. No other thread may
 * call anything here; other threads post a task that does. Rules: a fiber gives up the thread only
 * in fiber_park, fiber_wait and what calls them. So between two waits no other fiber changes
 * anything, and no lock is needed. What must hold across a wait is state that others can see (a
 * flag, a counter), never a hope. The current fiber is kept in a thread-local variable: it is the
 * register that C does not give us.
 */
#ifndef COMMON_FIBER_H
#define COMMON_FIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/executor.h"
#include "common/list.h"

struct fiber;
struct fiber_pool;

/* At most max fibers live at once; each stack has stack_bytes plus a guard page.
 * Errors: NULL when out of memory. */
struct fiber_pool *fiber_pool_create(struct executor *executor, unsigned max, size_t stack_bytes);
/* No fiber of the pool may be alive. */
void fiber_pool_destroy(struct fiber_pool *pool);
unsigned fiber_pool_alive(const struct fiber_pool *pool);
struct executor *fiber_pool_executor(struct fiber_pool *pool);

/* Runs entry(arg) in a new fiber, at once, until it first waits or returns. May be called from a
 * fiber. Errors: -EAGAIN at the limit of the pool, -ENOMEM. */
int fiber_start(struct fiber_pool *pool, void (*entry)(void *), void *arg);

/* The running fiber; NULL outside of one. */
struct fiber *fiber_self(void);

/* Gives up the thread until fiber_wake. A wake that came before the park is remembered (one), also
 * one that met the fiber in a wait, a sleep or a yield, which it does not end. A wake resumes the
 * fiber from a posted task, never inside of the call. */
void fiber_park(void);
void fiber_wake(struct fiber *fiber);

/* An interrupt ends the current or next interruptible wait of the fiber with -EINTR. */
void fiber_interrupt(struct fiber *fiber);
/* Takes back, in the fiber itself, an interrupt that no wait has taken. */
void fiber_forget_interrupt(void);

/* Fibers that wait for a condition. The waker changes the state first, then wakes; the woken looks
 * again. */
struct wait_queue {
	struct list waiters;
};

static inline void wait_queue_init(struct wait_queue *queue)
{
	list_init(&queue->waiters);
}

enum wait_mode { WAIT_PLAIN, WAIT_INTERRUPTIBLE };

/* Returns 0 when woken, -ETIMEDOUT at the deadline (monotonic ns of the executor), -EINTR. */
int fiber_wait(struct wait_queue *queue, uint64_t deadline, enum wait_mode mode);
void wait_wake_all(struct wait_queue *queue);
void wait_wake_one(struct wait_queue *queue);

/* Sleeps until the deadline. Returns 0, or -EINTR when interruptible. */
int fiber_sleep_until(uint64_t deadline, enum wait_mode mode);

/* Lets everything that is ready run once. */
void fiber_yield(void);

#endif

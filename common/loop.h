/* loop.h — the real executor: one thread, epoll, a timer heap and a queue that other threads post
 * to.
 *
 * Owner thread: the one that calls loop_run. loop_post (through executor_post) and loop_stop may be
 * called from any thread; loop_stop also from a signal handler.
 * Order within one turn: posted tasks, timers that are due, descriptors that are ready.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include "common/executor.h"

struct loop;

/* A descriptor that is watched. Owned by the caller; loop_unwatch before freeing or closing. */
struct loop_watch {
	int fd;
	void (*ready)(struct loop_watch *watch, uint32_t epoll_events);
};

/* Errors: -errno of epoll_create1, eventfd; -ENOMEM. */
int loop_create(struct loop **out);
void loop_destroy(struct loop *loop);

/* The executor interface of this loop; lives as long as the loop. */
struct executor *loop_executor(struct loop *loop);

/* Runs until loop_stop. Tasks that are posted after the stop stay queued. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* events: EPOLLIN, EPOLLOUT (level triggered). Calling it again for the same watch changes events.
 * Errors: -errno of epoll_ctl. */
int loop_watch(struct loop *loop, struct loop_watch *watch, uint32_t events);
void loop_unwatch(struct loop *loop, struct loop_watch *watch);

#endif

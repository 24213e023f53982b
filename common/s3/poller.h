/* poller.h — the descriptors that curl waits for, and a wake-up from other threads, on epoll.
 *
 * Descriptors stay registered while their connection is idle, which saves two system calls for each
 * small request: poller_watch(fd, 0) only notes that nobody waits. That is safe for descriptors
 * whose opening and closing are told here; for others (of curl's resolver) 0 unregisters at once.
 *
 * Threads: everything but poller_wake belongs to one thread.
 */
#ifndef COMMON_S3_POLLER_H
#define COMMON_S3_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct poller;

struct poller_event {
	int fd;
	uint32_t events; /* EPOLLIN .. */
};

enum { POLLER_EVENTS = 64 };

/* Errors: -ENOMEM, -errno of epoll_create1 and eventfd. */
int poller_create(struct poller **out);
void poller_destroy(struct poller *poller); /* NULL allowed */

/* events: EPOLLIN, EPOLLOUT; 0: none for now. Errors: -ENOMEM, -errno of epoll_ctl. */
int poller_watch(struct poller *poller, int fd, uint32_t events);
/* Errors: -ENOMEM. */
int poller_opened(struct poller *poller, int fd);
/* Before close(2). */
void poller_closed(struct poller *poller, int fd);

/* Waits until the time (CLOCK_MONOTONIC ns) at most and returns how many events there are. has_work
 * is asked right before sleeping: true means not to. */
int poller_wait(struct poller *poller, uint64_t until, bool (*has_work)(void *context),
		void *context, struct poller_event events[POLLER_EVENTS]);
/* Ends poller_wait. Any thread. A system call only when that thread sleeps. */
void poller_wake(struct poller *poller);

#endif

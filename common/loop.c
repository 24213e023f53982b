/* The post queue is a stack of tasks that any thread pushes to and that the owner takes as a whole
 * and turns round. A post costs one atomic exchange; the system call of the wake-up is made only by
 * the one poster that finds the owner asleep, or about to be. Why no wake-up is lost: the owner
 * says "asleep" and then looks at the queue, a poster pushes and then looks whether the owner is
 * asleep; all four accesses are sequentially consistent, so at least one of the two sees the other.
 *
 * The eventfd is watched edge-triggered: each write gives one event, and nobody has to read it.
 */
#include "common/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/list.h"

enum {
	EVENTS_PER_WAIT = 64,
	/* Tasks that post tasks run this often before descriptors are looked at again. */
	TASK_ROUNDS_MAX = 16,
	TIMERS_FIRST = 64,
};

/* The key may be later than the timer's deadline, see timer_set_in_loop. */
struct heap_node {
	uint64_t key;
	struct timer *timer;
};

struct loop {
	struct executor executor;
	int epoll_fd, wake_fd;

	_Atomic(struct task *) posted; /* newest first; any thread */
	atomic_bool asleep;
	atomic_bool stop;

	/* The rest belongs to the owner thread. */
	struct heap_node *heap; /* binary heap, smallest key first */
	size_t timer_count, timer_capacity;
	uint64_t firing_now; /* while timers fire: the time they are measured by; else 0 */

	struct epoll_event events[EVENTS_PER_WAIT];
	int event_next, event_count; /* not yet handed out: [event_next, event_count) */
};

static struct loop *of_executor(struct executor *executor)
{
	return container_of(executor, struct loop, executor);
}

static uint64_t loop_monotonic(struct executor *executor)
{
	struct timespec now;

	(void)executor;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int64_t loop_wall(struct executor *executor)
{
	struct timespec now;

	(void)executor;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * (int64_t)NSEC_PER_SEC + now.tv_nsec;
}

/* Async-signal-safe. */
static void wake_if_asleep(struct loop *loop)
{
	const uint64_t one = 1;
	int saved_errno = errno;
	ssize_t n;

	if (!atomic_load(&loop->asleep) || !atomic_exchange(&loop->asleep, false))
		return;
	do
		n = write(loop->wake_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
	errno = saved_errno;
}

static void loop_post(struct executor *executor, struct task *task)
{
	struct loop *loop = of_executor(executor);
	struct task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);

	do
		task->next = head;
	while (!atomic_compare_exchange_weak(&loop->posted, &head, task));
	wake_if_asleep(loop);
}

static void heap_place(struct loop *loop, size_t position, struct heap_node node)
{
	loop->heap[position] = node;
	node.timer->position = position;
}

static void heap_up(struct loop *loop, size_t position, struct heap_node node)
{
	while (position > 0) {
		const size_t parent = (position - 1) / 2;

		if (loop->heap[parent].key <= node.key)
			break;
		heap_place(loop, position, loop->heap[parent]);
		position = parent;
	}
	heap_place(loop, position, node);
}

static void heap_down(struct loop *loop, size_t position, struct heap_node node)
{
	for (;;) {
		size_t child = 2 * position + 1;

		if (child >= loop->timer_count)
			break;
		if (child + 1 < loop->timer_count &&
		    loop->heap[child + 1].key < loop->heap[child].key)
			child++;
		if (node.key <= loop->heap[child].key)
			break;
		heap_place(loop, position, loop->heap[child]);
		position = child;
	}
	heap_place(loop, position, node);
}

static void heap_remove(struct loop *loop, struct timer *timer)
{
	const size_t position = timer->position;
	struct heap_node last;

	CHECK(position < loop->timer_count && loop->heap[position].timer == timer);
	timer->position = SIZE_MAX;
	last = loop->heap[--loop->timer_count];
	if (position == loop->timer_count)
		return;
	if (position > 0 && last.key < loop->heap[(position - 1) / 2].key)
		heap_up(loop, position, last);
	else
		heap_down(loop, position, last);
}

static void loop_timer_cancel(struct executor *executor, struct timer *timer)
{
	if (timer_is_set(timer))
		heap_remove(of_executor(executor), timer);
}

static void loop_timer_set(struct executor *executor, struct timer *timer, uint64_t deadline)
{
	struct loop *loop = of_executor(executor);
	struct heap_node node = {deadline, timer};

	loop_timer_cancel(executor, timer);
	if (loop->timer_count == loop->timer_capacity) {
		const size_t capacity = loop->timer_capacity ? loop->timer_capacity * 2
							     : TIMERS_FIRST;

		/* Without a timer a wait would have no end, and arming has no way to fail. */
		loop->heap = reallocarray(loop->heap, capacity, sizeof(*loop->heap));
		CHECK(loop->heap);
		loop->timer_capacity = capacity;
	}
	timer->deadline = deadline;
	/* A timer that arms itself for the past must not keep the turn from ending. */
	if (node.key <= loop->firing_now)
		node.key = loop->firing_now + 1;
	heap_up(loop, loop->timer_count++, node);
}

static const struct executor_ops loop_ops = {
	.post = loop_post,
	.timer_set = loop_timer_set,
	.timer_cancel = loop_timer_cancel,
	.monotonic = loop_monotonic,
	.wall = loop_wall,
};

int loop_create(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int err;

	*out = NULL;
	if (!loop)
		return -ENOMEM;
	loop->executor.ops = &loop_ops;
	event.data.ptr = &loop->wake_fd;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->wake_fd < 0 || loop->epoll_fd < 0 ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
		err = -errno;
		loop_destroy(loop);
		return err;
	}
	*out = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	free(loop->heap);
	free(loop);
}

struct executor *loop_executor(struct loop *loop)
{
	return &loop->executor;
}

/* All that is posted now, oldest first. */
static struct task *take_posted(struct loop *loop)
{
	struct task *task, *oldest = NULL;

	if (!atomic_load_explicit(&loop->posted, memory_order_relaxed))
		return NULL;
	task = atomic_exchange(&loop->posted, NULL);
	while (task) {
		struct task *next = task->next;

		task->next = oldest;
		oldest = task;
		task = next;
	}
	return oldest;
}

static void run_tasks(struct loop *loop)
{
	for (int round = 0; round < TASK_ROUNDS_MAX && !atomic_load(&loop->stop); round++) {
		struct task *task = take_posted(loop);

		if (!task)
			return;
		while (task) {
			/* Read before: run may free the task or post it again. */
			struct task *next = task->next;

			task->run(task);
			task = next;
		}
	}
}

static void fire_timers(struct loop *loop)
{
	if (loop->timer_count == 0)
		return;
	loop->firing_now = loop_monotonic(&loop->executor);
	while (loop->timer_count > 0 && loop->heap[0].key <= loop->firing_now) {
		struct timer *timer = loop->heap[0].timer;

		heap_remove(loop, timer);
		timer->fire(timer);
	}
	loop->firing_now = 0;
}

/* For epoll_wait: rounded up, so that a timer is due when its wait is over. */
static int sleep_milliseconds(struct loop *loop)
{
	uint64_t now, ms;

	if (loop->timer_count == 0 || loop->heap[0].key == DEADLINE_NONE)
		return -1;
	now = loop_monotonic(&loop->executor);
	if (loop->heap[0].key <= now)
		return 0;
	ms = (loop->heap[0].key - now - 1) / NSEC_PER_MSEC + 1;
	return ms > 60 * 1000 ? 60 * 1000 : (int)ms;
}

static void wait_for_events(struct loop *loop)
{
	const int timeout = sleep_milliseconds(loop);
	int n;

	if (timeout == 0) {
		n = epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_WAIT, 0);
	} else {
		bool busy;

		atomic_store(&loop->asleep, true);
		busy = atomic_load(&loop->posted) != NULL || atomic_load(&loop->stop);
		n = epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_WAIT, busy ? 0 : timeout);
		atomic_store(&loop->asleep, false);
	}
	CHECK(n >= 0 || errno == EINTR);
	loop->event_next = 0;
	loop->event_count = n > 0 ? n : 0;
}

static void hand_out_events(struct loop *loop)
{
	while (loop->event_next < loop->event_count) {
		const struct epoll_event *event = &loop->events[loop->event_next++];
		struct loop_watch *watch = event->data.ptr;

		if (watch && event->data.ptr != &loop->wake_fd)
			watch->ready(watch, event->events);
	}
}

void loop_run(struct loop *loop)
{
	while (!atomic_exchange(&loop->stop, false)) {
		run_tasks(loop);
		fire_timers(loop);
		wait_for_events(loop);
		hand_out_events(loop);
	}
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stop, true);
	wake_if_asleep(loop);
}

int loop_watch(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0)
		return 0;
	if (errno == EEXIST && epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0)
		return 0;
	return -errno;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
	struct epoll_event unused = {
		0}; /* Linux before 2.6.9 wanted one, and so do some sanitizers */

	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, &unused);
	/* It may be ready in the batch that is being handed out. */
	for (int i = loop->event_next; i < loop->event_count; i++)
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
}

#include "common/loop.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/list.h"

struct world {
	struct loop *loop;
	struct executor *executor;
	struct buf trace;
};

static struct world the_world; /* callbacks get no context of ours */

static int open_world(void **state)
{
	(void)state;
	memset(&the_world, 0, sizeof(the_world));
	if (loop_create(&the_world.loop))
		return -1;
	the_world.executor = loop_executor(the_world.loop);
	alarm(60);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	alarm(0);
	loop_destroy(the_world.loop);
	buf_free(&the_world.trace);
	return 0;
}

static uint64_t now(void)
{
	return executor_monotonic(the_world.executor);
}

struct named_task {
	struct task task;
	const char *name;
	int again; /* posts itself that often */
};

static void trace_task(struct task *task)
{
	struct named_task *named = container_of(task, struct named_task, task);

	buf_puts(&the_world.trace, named->name);
	if (named->again-- > 0)
		executor_post(the_world.executor, task);
}

static void stop_task(struct task *task)
{
	(void)task;
	loop_stop(the_world.loop);
}

static void tasks_run_in_the_order_of_their_posts_and_never_inside_the_call(void **state)
{
	struct named_task a = {{NULL, trace_task}, "a", 1}, b = {{NULL, trace_task}, "b", 0},
			  c = {{NULL, trace_task}, "c", 0};
	struct task stop = {NULL, stop_task};

	(void)state;
	executor_post(the_world.executor, &a.task);
	executor_post(the_world.executor, &b.task);
	executor_post(the_world.executor, &c.task);
	executor_post(the_world.executor, &stop);
	assert_string_equal(buf_str(&the_world.trace), "");
	loop_run(the_world.loop);
	/* The second run of a was posted after the stop's turn began: it stays queued. */
	assert_string_equal(buf_str(&the_world.trace), "abc");
	executor_post(the_world.executor, &stop);
	loop_run(the_world.loop);
	assert_string_equal(buf_str(&the_world.trace), "abca");
}

struct named_timer {
	struct timer timer;
	const char *name;
	bool stops;
};

static void trace_timer(struct timer *timer)
{
	struct named_timer *named = container_of(timer, struct named_timer, timer);

	assert_true(now() >= timer->deadline);
	assert_false(timer_is_set(timer));
	buf_puts(&the_world.trace, named->name);
	if (named->stops)
		loop_stop(the_world.loop);
}

static void set(struct named_timer *timer, const char *name, uint64_t deadline)
{
	if (!timer->name)
		timer_init(&timer->timer, trace_timer);
	timer->name = name;
	timer_set(the_world.executor, &timer->timer, deadline);
}

static void timers_fire_by_deadline_and_not_when_cancelled_or_moved(void **state)
{
	struct named_timer a = {0}, b = {0}, c = {0}, d = {.stops = true}, never = {0};
	const uint64_t start = now();

	(void)state;
	set(&d, "d", start + 40 * NSEC_PER_MSEC);
	set(&c, "c", start + 5 * NSEC_PER_MSEC);
	set(&a, "a", 0);
	set(&b, "b", start + 10 * NSEC_PER_MSEC);
	set(&never, "never", start + 7 * NSEC_PER_MSEC);
	set(&c, "c", start + 20 * NSEC_PER_MSEC);
	timer_cancel(the_world.executor, &never.timer);
	timer_cancel(the_world.executor, &never.timer);
	assert_false(timer_is_set(&never.timer));
	assert_string_equal(buf_str(&the_world.trace), "");
	loop_run(the_world.loop);
	assert_string_equal(buf_str(&the_world.trace), "abcd");
}

enum { TIMERS = 2000 };

static uint64_t last_deadline;
static int fired;

static void check_order(struct timer *timer)
{
	assert_true(timer->deadline >= last_deadline);
	last_deadline = timer->deadline;
	if (++fired == TIMERS / 2)
		loop_stop(the_world.loop);
}

static void many_timers_fire_in_order_whatever_is_cancelled_between(void **state)
{
	struct timer *timers = calloc(TIMERS, sizeof(*timers));
	const uint64_t start = now();

	(void)state;
	last_deadline = 0;
	fired = 0;
	for (uint64_t i = 0; i < TIMERS; i++) {
		timer_init(&timers[i], check_order);
		timer_set(the_world.executor, &timers[i],
			  start - 1000000 + i * 7919 % TIMERS * 1000);
	}
	for (int i = 0; i < TIMERS; i += 2)
		timer_cancel(the_world.executor, &timers[i]);
	loop_run(the_world.loop);
	assert_int_equal(fired, TIMERS / 2);
	for (int i = 0; i < TIMERS; i++)
		assert_false(timer_is_set(&timers[i]));
	free(timers);
}

static struct named_timer late;

static void set_again_for_the_past(struct timer *timer)
{
	buf_puts(&the_world.trace, "x");
	if (the_world.trace.len < 3)
		timer_set(the_world.executor, timer, 0);
	else
		loop_stop(the_world.loop);
	timer_cancel(the_world.executor, &late.timer);
}

static void a_timer_may_set_itself_for_the_past_and_cancel_one_that_is_due(void **state)
{
	struct timer timer;

	(void)state;
	late = (struct named_timer){0};
	timer_init(&timer, set_again_for_the_past);
	timer_set(the_world.executor, &timer, 1);
	set(&late, "late", 2);
	loop_run(the_world.loop);
	assert_string_equal(buf_str(&the_world.trace), "xxx");
}

struct pipe_watch {
	struct loop_watch watch;
	struct pipe_watch *other;
	int write_end;
};

static void open_pipe(struct pipe_watch *pipe_watch, void (*ready)(struct loop_watch *, uint32_t))
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	*pipe_watch = (struct pipe_watch){{ends[0], ready}, NULL, ends[1]};
}

static void close_pipe(struct pipe_watch *pipe_watch)
{
	close(pipe_watch->watch.fd);
	close(pipe_watch->write_end);
}

static void read_byte(struct loop_watch *watch, uint32_t events)
{
	char byte[2] = "";

	assert_true(events & EPOLLIN);
	assert_int_equal(read(watch->fd, byte, 1), 1);
	buf_puts(&the_world.trace, byte);
	if (byte[0] == '.')
		loop_stop(the_world.loop);
}

static void a_descriptor_is_reported_as_long_as_it_is_ready_and_watched(void **state)
{
	struct pipe_watch a;
	struct task stop = {NULL, stop_task};

	(void)state;
	open_pipe(&a, read_byte);
	assert_int_equal(write(a.write_end, "12.45", 5), 5);
	assert_int_equal(loop_watch(the_world.loop, &a.watch, EPOLLIN), 0);
	loop_run(the_world.loop);
	assert_string_equal(buf_str(&the_world.trace), "12.");
	assert_int_equal(loop_watch(the_world.loop, &a.watch, 0), 0);
	executor_post(the_world.executor, &stop);
	loop_run(the_world.loop);
	assert_string_equal(buf_str(&the_world.trace), "12.");
	loop_unwatch(the_world.loop, &a.watch);
	close_pipe(&a);
	assert_int_equal(loop_watch(the_world.loop, &a.watch, EPOLLIN), -EBADF);
}

static void unwatch_both(struct loop_watch *watch, uint32_t events)
{
	struct pipe_watch *self = container_of(watch, struct pipe_watch, watch);

	(void)events;
	buf_puts(&the_world.trace, "once");
	loop_unwatch(the_world.loop, watch);
	loop_unwatch(the_world.loop, &self->other->watch);
	loop_stop(the_world.loop);
}

static void what_is_unwatched_is_not_called_even_if_it_was_ready_in_the_same_turn(void **state)
{
	struct pipe_watch a, b;
	struct task stop = {NULL, stop_task};

	(void)state;
	open_pipe(&a, unwatch_both);
	open_pipe(&b, unwatch_both);
	a.other = &b;
	b.other = &a;
	assert_int_equal(write(a.write_end, "x", 1), 1);
	assert_int_equal(write(b.write_end, "x", 1), 1);
	assert_int_equal(loop_watch(the_world.loop, &a.watch, EPOLLIN), 0);
	assert_int_equal(loop_watch(the_world.loop, &b.watch, EPOLLIN), 0);
	loop_run(the_world.loop);
	executor_post(the_world.executor, &stop);
	loop_run(the_world.loop);
	assert_string_equal(buf_str(&the_world.trace), "once");
	close_pipe(&a);
	close_pipe(&b);
}

static void tasks_that_post_tasks_do_not_starve_descriptors_or_timers(void **state)
{
	struct named_task busy = {{NULL, trace_task}, "", 1000 * 1000 * 1000};
	struct named_timer timer = {0};
	struct pipe_watch a;

	(void)state;
	open_pipe(&a, read_byte);
	assert_int_equal(loop_watch(the_world.loop, &a.watch, EPOLLIN), 0);
	executor_post(the_world.executor, &busy.task);
	set(&timer, "timer", 1);
	assert_int_equal(write(a.write_end, ".", 1), 1);
	loop_run(the_world.loop);
	assert_string_equal(buf_str(&the_world.trace), "timer.");
	assert_true(busy.again > 0);
	loop_unwatch(the_world.loop, &a.watch);
	close_pipe(&a);
}

enum { POSTERS = 4, POSTS = 5000 };

struct poster {
	pthread_t thread;
	struct poster_task {
		struct task task;
		struct poster *poster;
		int number;
	} tasks[POSTS];
	int next; /* of the owner thread */
};

static int posters_left;

static void check_post(struct task *task)
{
	struct poster_task *posted = container_of(task, struct poster_task, task);

	assert_int_equal(posted->number, posted->poster->next);
	if (++posted->poster->next == POSTS && --posters_left == 0)
		loop_stop(the_world.loop);
}

static void *post_all(void *arg)
{
	struct poster *poster = arg;

	for (int i = 0; i < POSTS; i++) {
		poster->tasks[i] = (struct poster_task){{NULL, check_post}, poster, i};
		executor_post(the_world.executor, &poster->tasks[i].task);
		if (i % 64 == 0) /* lets the loop fall asleep */
			nanosleep(&(struct timespec){0, 20 * 1000}, NULL);
	}
	return NULL;
}

static void posts_of_other_threads_all_arrive_in_the_order_of_each_thread(void **state)
{
	struct poster *posters = calloc(POSTERS, sizeof(*posters));

	(void)state;
	posters_left = POSTERS;
	for (int i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]),
				 0);
	loop_run(the_world.loop);
	for (int i = 0; i < POSTERS; i++) {
		assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
		assert_int_equal(posters[i].next, POSTS);
	}
	free(posters);
}

/* One side of a ball game: each throw must wake the other side. */
struct player {
	struct task task;
	struct loop *loop;
	struct player *other;
	int throws;
};

static void throw_back(struct task *task)
{
	struct player *self = container_of(task, struct player, task);

	if (self->throws-- > 0)
		executor_post(loop_executor(self->other->loop), &self->other->task);
	if (self->throws <= 0)
		loop_stop(self->loop);
}

static void *run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void no_wake_up_is_lost_between_two_loops(void **state)
{
	struct player a = {{NULL, throw_back}, the_world.loop, NULL, 20 * 1000};
	struct player b = {{NULL, throw_back}, NULL, &a, 20 * 1000};
	pthread_t thread;

	(void)state;
	a.other = &b;
	assert_int_equal(loop_create(&b.loop), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_loop, b.loop), 0);
	executor_post(the_world.executor, &a.task);
	loop_run(the_world.loop);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(b.throws, 0);
	loop_destroy(b.loop);
}

static void *stop_soon(void *arg)
{
	nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
	loop_stop(arg);
	return NULL;
}

static void a_stop_from_another_thread_wakes_the_loop_and_one_before_the_run_counts(void **state)
{
	pthread_t thread;

	(void)state;
	loop_stop(the_world.loop);
	loop_run(the_world.loop);
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, the_world.loop), 0);
	loop_run(the_world.loop);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void stop_on_signal(int signal_number)
{
	(void)signal_number;
	loop_stop(the_world.loop); /* NOLINT(bugprone-signal-handler): its contract allows it */
}

static void send_signal(struct timer *timer)
{
	(void)timer;
	raise(SIGUSR1);
}

static void a_signal_handler_may_stop_the_loop(void **state)
{
	struct timer timer;

	(void)state;
	signal(SIGUSR1, stop_on_signal);
	timer_init(&timer, send_signal);
	timer_set(the_world.executor, &timer, now() + 5 * NSEC_PER_MSEC);
	loop_run(the_world.loop);
	signal(SIGUSR1, SIG_DFL);
	assert_false(timer_is_set(&timer));
}

static void the_wall_clock_is_the_system_clock(void **state)
{
	int64_t seconds = executor_wall(the_world.executor) / (int64_t)NSEC_PER_SEC;

	(void)state;
	assert_true(llabs(seconds - (int64_t)time(NULL)) <= 1);
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)
	const struct CMUnitTest tests[] = {
		IN_WORLD(tasks_run_in_the_order_of_their_posts_and_never_inside_the_call),
		IN_WORLD(timers_fire_by_deadline_and_not_when_cancelled_or_moved),
		IN_WORLD(many_timers_fire_in_order_whatever_is_cancelled_between),
		IN_WORLD(a_timer_may_set_itself_for_the_past_and_cancel_one_that_is_due),
		IN_WORLD(a_descriptor_is_reported_as_long_as_it_is_ready_and_watched),
		IN_WORLD(what_is_unwatched_is_not_called_even_if_it_was_ready_in_the_same_turn),
		IN_WORLD(tasks_that_post_tasks_do_not_starve_descriptors_or_timers),
		IN_WORLD(posts_of_other_threads_all_arrive_in_the_order_of_each_thread),
		IN_WORLD(no_wake_up_is_lost_between_two_loops),
		IN_WORLD(a_stop_from_another_thread_wakes_the_loop_and_one_before_the_run_counts),
		IN_WORLD(a_signal_handler_may_stop_the_loop),
		IN_WORLD(the_wall_clock_is_the_system_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

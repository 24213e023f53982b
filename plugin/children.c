#include "plugin/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/fiber.h"
#include "common/proc.h"

struct children {
	struct loop *loop;
	struct list all;
};

/* The reading end of what a child writes. */
struct stream {
	struct loop_watch watch; /* fd -1: closed */
	struct child *child;
	void (*take)(struct child *child, const char *data, size_t len);
};

struct child {
	struct list node;
	struct children *children;
	struct child_config config;
	pid_t pid; /* 0: ended */
	int status;
	bool abandoned;
	struct stream errors, output;
	char line[CHILD_LINE_BYTES_MAX];
	size_t line_len;
	struct wait_queue changed;
};

int children_create(struct children **out, struct loop *loop)
{
	struct children *children = calloc(1, sizeof(*children));

	if (!children)
		return -ENOMEM;
	children->loop = loop;
	list_init(&children->all);
	*out = children;
	return 0;
}

void children_destroy(struct children *children)
{
	CHECK(list_empty(&children->all));
	free(children);
}

static void end_line(struct child *child)
{
	if (child->line_len == 0)
		return;
	child->line[child->line_len] = '\0';
	child->line_len = 0;
	if (child->config.line && !child->abandoned)
		child->config.line(child->config.context, child->line);
}

static void take_lines(struct child *child, const char *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (data[i] == '\n')
			end_line(child);
		else if (child->line_len < sizeof(child->line) - 1)
			child->line[child->line_len++] = data[i];
	}
}

static void take_output(struct child *child, const char *data, size_t len)
{
	if (!child->abandoned)
		buf_append(child->config.output, data, len);
}

static void stream_close(struct stream *stream)
{
	if (stream->watch.fd < 0)
		return;
	loop_unwatch(stream->child->children->loop, &stream->watch);
	close(stream->watch.fd);
	stream->watch.fd = -1;
}

/* Reads what is there; true while more may come. */
static bool stream_read(struct stream *stream)
{
	char data[4096];
	ssize_t count;

	if (stream->watch.fd < 0)
		return false;
	do {
		count = read(stream->watch.fd, data, sizeof(data));
	} while (count < 0 && errno == EINTR);
	if (count > 0) {
		stream->take(stream->child, data, (size_t)count);
		return true;
	}
	if (count == 0 || errno != EAGAIN)
		stream_close(stream);
	return false;
}

static void stream_ready(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	stream_read(container_of(watch, struct stream, watch));
}

/* The writing end is blocking, as programs expect; only ours is not. */
static int stream_open(struct stream *stream, struct child *child, int *write_end)
{
	int fds[2], err;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	stream->watch.fd = fds[0];
	stream->watch.ready = stream_ready;
	stream->child = child;
	err = fcntl(fds[0], F_SETFL, O_NONBLOCK) ? -errno : 0;
	if (!err)
		err = loop_watch(child->children->loop, &stream->watch, EPOLLIN);
	if (err) {
		close(fds[0]);
		close(fds[1]);
		stream->watch.fd = -1;
		return err;
	}
	*write_end = fds[1];
	return 0;
}

static void child_discard(struct child *child)
{
	stream_close(&child->errors);
	stream_close(&child->output);
	list_remove(&child->node);
	free(child);
}

static void child_end(struct child *child, int status)
{
	/* Others may hold the pipe open; what the child itself wrote is there by now. */
	while (stream_read(&child->errors) || stream_read(&child->output))
		;
	end_line(child);
	stream_close(&child->errors);
	stream_close(&child->output);
	child->pid = 0;
	child->status = status;
	if (child->abandoned) {
		child_discard(child);
		return;
	}
	wait_wake_all(&child->changed);
	if (child->config.ended)
		child->config.ended(child->config.context, status);
}

static struct child *find(struct children *children, pid_t pid)
{
	LIST_FOREACH (node, &children->all) {
		struct child *child = container_of(node, struct child, node);

		if (child->pid == pid)
			return child;
	}
	return NULL;
}

void children_reap(struct children *children)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *child = find(children, pid);

		if (child)
			child_end(child, status);
	}
}

unsigned children_signal_all(struct children *children, int number)
{
	unsigned count = 0;

	LIST_FOREACH (node, &children->all) {
		struct child *child = container_of(node, struct child, node);

		if (child->pid > 0) {
			child_signal(child, number);
			count++;
		}
	}
	return count;
}

int children_watch(struct children *children, struct loop_watch *watch)
{
	return loop_watch(children->loop, watch, EPOLLIN);
}

void children_unwatch(struct children *children, struct loop_watch *watch)
{
	loop_unwatch(children->loop, watch);
}

static int spawn(struct child *child, const struct child_config *config, int output, int errors)
{
	struct proc_fd fds[2 + CHILD_FDS_MAX] = {{output, STDOUT_FILENO}, {errors, STDERR_FILENO}};
	const struct proc_spec spec = {
		.program = config->arguments[0],
		.arguments = (char *const *)config->arguments,
		.environment = (char *const *)config->environment,
		.fds = fds,
		.fd_count = 2 + config->fd_count,
	};
	unsigned i;

	for (i = 0; i < config->fd_count; i++)
		fds[2 + i] = (struct proc_fd){config->fds[i], CHILD_FD_FIRST + (int)i};
	return proc_spawn(&spec, &child->pid);
}

int child_start(struct children *children, const struct child_config *config, struct child **out,
		struct error *error)
{
	struct child *child = calloc(1, sizeof(*child));
	int errors = -1, output = -1, err;

	CHECK(config->fd_count <= CHILD_FDS_MAX);
	if (!child)
		return error_set(error, -ENOMEM, "out of memory");
	child->config = *config;
	child->children = children;
	child->errors.watch.fd = child->output.watch.fd = -1;
	child->errors.take = take_lines;
	child->output.take = take_output;
	wait_queue_init(&child->changed);
	list_append(&children->all, &child->node);
	err = stream_open(&child->errors, child, &errors);
	if (!err && config->output)
		err = stream_open(&child->output, child, &output);
	if (!err)
		err = spawn(child, config, config->output ? output : errors, errors);
	if (errors >= 0)
		close(errors);
	if (output >= 0)
		close(output);
	if (err) {
		child_discard(child);
		return error_set(error, err, "cannot run %s: %s", config->arguments[0],
				 strerror(-err));
	}
	*out = child;
	return 0;
}

bool child_is_running(const struct child *child)
{
	return child->pid > 0;
}

int child_status(const struct child *child)
{
	return child->status;
}

void child_signal(struct child *child, int number)
{
	/* The id is ours until children_reap has taken it: no other process can have it. */
	if (child->pid > 0)
		kill(child->pid, number);
}

int child_wait(struct child *child, uint64_t deadline)
{
	while (child->pid > 0) {
		if (fiber_wait(&child->changed, deadline, WAIT_PLAIN) == -ETIMEDOUT &&
		    child->pid > 0)
			return -ETIMEDOUT;
	}
	return 0;
}

void child_free(struct child *child)
{
	if (!child)
		return;
	if (child->pid == 0) {
		child_discard(child);
		return;
	}
	child->abandoned = true;
	child_signal(child, SIGKILL);
}

const char *child_describe_status(int status, char *out, size_t size)
{
	const struct proc_status parts = {WIFEXITED(status), WIFEXITED(status) ? WEXITSTATUS(status)
									       : WTERMSIG(status)};
	struct buf text = BUF_INIT;

	proc_status_put(&parts, &text);
	snprintf(out, size, "ended with %s", buf_str(&text));
	buf_free(&text);
	return out;
}

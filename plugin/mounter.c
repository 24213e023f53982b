#include "plugin/mounter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fiber.h"
#include "common/log.h"
#include "plugin/state.h"

#define KILL_TIMEOUT   (2 * NSEC_PER_SEC)
#define STATUS_TIMEOUT (3 * NSEC_PER_SEC)

enum {
	STATUS_BYTES_MAX = 256 * 1024,
	ARGUMENTS_MAX = 16,
	VARIABLES_MAX = 16,
	READY_FD = CHILD_FD_FIRST,
	KEYS_FD = CHILD_FD_FIRST + 1,
};

/* The file in a cache that holds nothing but copies. s3mount's own names have a '-' in them. */
#define CLEAN_MARK "clean"

struct mount_process {
	struct mounter_config config;
	struct child *child;
	char *directory;
	const char *volume;
	bool up; /* it has been ready: its end is told */
	void (*ended)(void *context, int status);
	void *context;
	char last_line[CHILD_LINE_BYTES_MAX];
	char library_line[256]; /* in parentheses, or "" */

	struct loop_watch ready_watch; /* fd -1: closed */
	bool ready;
	struct wait_queue changed;
};

/* Where the text of a line of s3mount's log begins, "s3mount: info: text" or, while it is debugged,
 * "2026-11-23T22:29:20.123456Z s3mount[7] info: text", and its level; NULL: it is none. */
static const char *log_text(const char *line, enum log_level *level)
{
	static const char *const names[] = {"error: ", "warning: ", "info: ", "debug: "};
	const char *at = strstr(line, "s3mount");
	size_t i;

	if (!at)
		return NULL;
	at += strcspn(at, ":] ");
	at += strspn(at, ":] ");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (string_has_prefix(at, names[i])) {
			*level = (enum log_level)i;
			return at + strlen(names[i]);
		}
	}
	return NULL;
}

/* A line of its log, "s3mount: text" as its last words, or what a library says. */
static void on_line(void *context, const char *line)
{
	struct mount_process *process = context;
	enum log_level level = LOG_LEVEL_INFO;
	const char *text = log_text(line, &level);

	if (!text && string_has_prefix(line, "s3mount: "))
		text = line + strlen("s3mount: ");
	log_write(level, "%s: %s", process->volume, text ? text : line);
	if (text)
		snprintf(process->last_line, sizeof(process->last_line), "%s", text);
	else
		snprintf(process->library_line, sizeof(process->library_line), " (%s)", line);
}

static void on_ended(void *context, int status)
{
	struct mount_process *process = context;

	wait_wake_all(&process->changed);
	if (process->up)
		process->ended(process->context, status);
}

static void close_ready(struct mount_process *process)
{
	if (process->ready_watch.fd < 0)
		return;
	children_unwatch(process->config.children, &process->ready_watch);
	close(process->ready_watch.fd);
	process->ready_watch.fd = -1;
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct mount_process *process = container_of(watch, struct mount_process, ready_watch);
	char word[4];
	ssize_t count = read(watch->fd, word, sizeof(word));

	(void)events;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	process->ready = count == 3 && memcmp(word, "ok\n", 3) == 0;
	close_ready(process);
	wait_wake_all(&process->changed);
}

/* What a mount needs and must be made with calls that may block. */
struct preparation {
	const struct mounter_config *config;
	const struct mount_plan *plan;
	struct options options;
	struct credentials credentials;
	bool has_keys;
	struct buf list; /* for -o */
	bool was_clean;	 /* the cache, before */
	int keys_fd;
	struct error *error;
};

static int make_keys_file(struct preparation *preparation)
{
	const struct credentials *keys = &preparation->credentials;
	struct buf text = BUF_INIT;
	int fd = memfd_create("credentials", MFD_CLOEXEC | MFD_ALLOW_SEALING), err = 0;

	if (fd < 0)
		return error_set(preparation->error, -errno, "memfd_create: %s", strerror(errno));
	buf_printf(&text, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n",
		   keys->access_key, keys->secret_key);
	if (keys->session_token)
		buf_printf(&text, "aws_session_token = %s\n", keys->session_token);
	if (text.failed)
		err = -ENOMEM;
	else if (write(fd, text.data, text.len) != (ssize_t)text.len)
		err = errno ? -errno : -EIO;
	else if (fchmod(fd, 0400) ||
		 fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		err = -errno;
	if (text.data)
		explicit_bzero(text.data, text.len);
	buf_free(&text);
	if (err) {
		close(fd);
		return error_set(preparation->error, err, "the keys cannot be passed on: %s",
				 strerror(-err));
	}
	preparation->keys_fd = fd;
	return 0;
}

static int make_list(struct preparation *preparation)
{
	struct options *options = &preparation->options;
	int err = 0;

	if (preparation->has_keys) {
		/* They are resolved; what named them is nothing to s3mount. */
		free(options->profile);
		free(options->passwd_file);
		options->profile = options->passwd_file = NULL;
		options->anonymous = false;
	}
	err = options_format(options, OPTION_IN_VOLUME, &preparation->list);
	if (err)
		return error_set(preparation->error, err, "out of memory");
	buf_printf(&preparation->list, "%scache=%s", preparation->list.len ? "," : "",
		   preparation->plan->cache);
	return preparation->list.failed ? error_set(preparation->error, -ENOMEM, "out of memory")
					: 0;
}

static int prepare(void *argument)
{
	struct preparation *preparation = argument;
	const struct mount_plan *plan = preparation->plan;
	const struct settings *settings = preparation->config->settings;
	struct error *error = preparation->error;
	int err = settings_for_volume(settings, plan->definition, &preparation->options, error);

	if (err)
		return err;
	err = settings_credentials(settings, plan->definition, &preparation->options,
				   &preparation->credentials, &preparation->has_keys, error);
	if (!err)
		err = make_list(preparation);
	if (!err && preparation->has_keys)
		err = make_keys_file(preparation);
	preparation->was_clean = mount_cache_is_clean(plan->cache);
	if (!err)
		err = state_make_directory(plan->cache, 0700, error);
	if (!err)
		err = state_remove(plan->cache, CLEAN_MARK, error);
	if (!err)
		err = state_make_directory(plan->directory, 0755, error);
	return err;
}

bool mount_cache_is_clean(const char *cache)
{
	char *mark = NULL;
	size_t len;
	int err;

	if (access(cache, F_OK) && errno == ENOENT)
		return true;
	err = state_load(cache, CLEAN_MARK, &mark, &len, NULL);
	if (!err)
		free(mark);
	return err == 0;
}

int mount_mark_clean(const char *cache)
{
	return state_save(cache, CLEAN_MARK, "", NULL);
}

static int mark_clean_again(void *argument)
{
	return mount_mark_clean(argument);
}

static void preparation_free(struct preparation *preparation)
{
	if (preparation->keys_fd >= 0)
		close(preparation->keys_fd);
	options_free(&preparation->options);
	credentials_free(&preparation->credentials);
	buf_free(&preparation->list);
}

/* Nothing of the plugin's own environment but what concerns the way to S3. */
static void put_environment(const struct preparation *preparation, const char **out,
			    struct buf *buffers)
{
	static const char *const passed[] = {"HTTPS_PROXY",   "https_proxy", "HTTP_PROXY",
					     "http_proxy",    "NO_PROXY",    "no_proxy",
					     "SSL_CERT_FILE", "SSL_CERT_DIR"};
	size_t i, count = 0, used = 0;

	out[count++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	out[count++] = "HOME=/root";
	if (preparation->has_keys) {
		buf_printf(&buffers[used], "AWS_SHARED_CREDENTIALS_FILE=/proc/self/fd/%d", KEYS_FD);
		out[count++] = buf_str(&buffers[used++]);
		out[count++] = "AWS_CONFIG_FILE=/nonexistent/config";
		out[count++] = "AWS_PROFILE=default";
	} else {
		buf_printf(&buffers[used], "AWS_SHARED_CREDENTIALS_FILE=%s",
			   getenv("AWS_SHARED_CREDENTIALS_FILE"));
		out[count++] = buf_str(&buffers[used++]);
		buf_printf(&buffers[used], "AWS_CONFIG_FILE=%s", getenv("AWS_CONFIG_FILE"));
		out[count++] = buf_str(&buffers[used++]);
	}
	for (i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		const char *value = getenv(passed[i]);

		if (!value || !*value)
			continue;
		buf_printf(&buffers[used], "%s=%s", passed[i], value);
		out[count++] = buf_str(&buffers[used++]);
	}
	out[count] = NULL;
}

static int open_ready(struct mount_process *process, int *write_end, struct error *error)
{
	int fds[2], err;

	if (pipe2(fds, O_CLOEXEC))
		return error_set(error, -errno, "pipe: %s", strerror(errno));
	process->ready_watch.fd = fds[0];
	process->ready_watch.ready = on_ready;
	err = fcntl(fds[0], F_SETFL, O_NONBLOCK) ? -errno : 0;
	if (!err)
		err = children_watch(process->config.children, &process->ready_watch);
	if (err) {
		close(fds[0]);
		close(fds[1]);
		process->ready_watch.fd = -1;
		return error_set(error, err, "pipe: %s", strerror(-err));
	}
	*write_end = fds[1];
	return 0;
}

static int launch(struct mount_process *process, const struct preparation *preparation,
		  struct error *error)
{
	const struct mount_plan *plan = preparation->plan;
	struct buf buffers[VARIABLES_MAX] = {{0}}, ready_text = BUF_INIT;
	const char *environment[VARIABLES_MAX + 1], *arguments[ARGUMENTS_MAX];
	int fds[] = {-1, preparation->keys_fd};
	struct child_config child = {
		.arguments = arguments,
		.environment = environment,
		.fds = fds,
		.fd_count = preparation->has_keys ? 2 : 1,
		.line = on_line,
		.ended = on_ended,
		.context = process,
	};
	size_t i = 0;
	int err = open_ready(process, &fds[0], error);

	if (err)
		return err;
	buf_printf(&ready_text, "%d", READY_FD);
	arguments[i++] = process->config.settings->program;
	arguments[i++] = "-f";
	arguments[i++] = "--ready-fd";
	arguments[i++] = buf_str(&ready_text);
	arguments[i++] = "-o";
	arguments[i++] = buf_str(&preparation->list);
	arguments[i++] = "--";
	arguments[i++] = plan->definition->bucket;
	arguments[i++] = plan->directory;
	arguments[i] = NULL;
	put_environment(preparation, environment, buffers);
	err = child_start(process->config.children, &child, &process->child, error);
	close(fds[0]);
	buf_free(&ready_text);
	for (i = 0; i < VARIABLES_MAX; i++)
		buf_free(&buffers[i]);
	return err;
}

/* Ready, or the end of the process, or the deadline. */
static int await(struct mount_process *process, uint64_t deadline, struct error *error)
{
	char how[64];

	while (!process->ready && child_is_running(process->child)) {
		if (fiber_wait(&process->changed, deadline, WAIT_PLAIN) == -ETIMEDOUT &&
		    !process->ready)
			return error_set(error, -ETIMEDOUT, "s3mount was not ready in time%s%s",
					 process->last_line[0] ? "; it said last: " : "",
					 process->last_line);
	}
	if (process->ready)
		return 0;
	if (process->last_line[0])
		return error_set(error, -EIO, "%s%s", process->last_line, process->library_line);
	return error_set(error, -EIO, "s3mount %s without a word",
			 child_describe_status(child_status(process->child), how, sizeof(how)));
}

void mount_free(struct mount_process *process)
{
	if (!process)
		return;
	close_ready(process);
	child_free(process->child);
	free(process->directory);
	free(process);
}

static void give_up(struct mount_process *process)
{
	if (process->child && child_is_running(process->child)) {
		child_signal(process->child, SIGKILL);
		child_wait(process->child,
			   executor_monotonic(process->config.executor) + KILL_TIMEOUT);
	}
	mount_detach(&process->config, process->directory);
	mount_free(process);
}

int mount_start(const struct mounter_config *config, const struct mount_plan *plan,
		uint64_t deadline, struct mount_process **out, struct error *error)
{
	struct preparation preparation = {
		.config = config, .plan = plan, .keys_fd = -1, .error = error};
	struct mount_process *process = calloc(1, sizeof(*process));
	int err;

	if (!process)
		return error_set(error, -ENOMEM, "out of memory");
	process->config = *config;
	process->volume = plan->volume;
	process->ended = plan->ended;
	process->context = plan->context;
	process->ready_watch.fd = -1;
	wait_queue_init(&process->changed);
	process->directory = strdup(plan->directory);
	err = process->directory ? worker_run(config->worker, prepare, &preparation)
				 : error_set(error, -ENOMEM, "out of memory");
	if (!err)
		err = launch(process, &preparation, error);
	preparation_free(&preparation);
	if (!err)
		err = await(process, deadline, error);
	if (err && preparation.was_clean) /* what was never ready has accepted nothing */
		worker_run(config->worker, mark_clean_again, (void *)plan->cache);
	if (err) {
		if (process->child)
			give_up(process);
		else
			mount_free(process);
		return err;
	}
	process->up = true;
	if (!child_is_running(process->child)) { /* between its word and now */
		give_up(process);
		return error_set(error, -EIO, "s3mount ended as soon as it was ready");
	}
	*out = process;
	return 0;
}

static int detach_call(void *argument)
{
	umount2(argument, MNT_DETACH | UMOUNT_NOFOLLOW);
	return 0;
}

void mount_detach(const struct mounter_config *config, const char *directory)
{
	worker_run(config->worker, detach_call, (void *)directory);
}

static void detach_fiber(void *argument)
{
	struct mount_process *process = argument;
	struct mounter_config config = process->config;
	char *directory = strdup(process->directory);

	if (directory)
		mount_detach(&config, directory);
	free(directory);
}

int mount_unmount(struct mount_process *process, uint64_t deadline)
{
	/* Beside: the deadline holds even when the kernel keeps umount waiting. */
	if (fiber_start(process->config.pool, detach_fiber, process))
		child_signal(process->child, SIGTERM);
	return child_wait(process->child, deadline);
}

void mount_end(struct mount_process *process, uint64_t deadline)
{
	child_signal(process->child, SIGTERM);
	if (child_wait(process->child, deadline) == 0)
		return;
	child_signal(process->child, SIGKILL);
	if (child_wait(process->child, executor_monotonic(process->config.executor) + KILL_TIMEOUT))
		log_error("%s: s3mount does not end, not even by SIGKILL", process->volume);
}

bool mount_is_running(const struct mount_process *process)
{
	return child_is_running(process->child);
}

char *mount_status(struct mount_process *process)
{
	const char *const arguments[] = {process->config.settings->program, "status", "--json",
					 process->directory, NULL};
	const char *const environment[] = {"PATH=/usr/bin:/bin", NULL};
	struct buf output = BUF_INIT;
	struct child_config config = {
		.arguments = arguments, .environment = environment, .output = &output};
	struct executor *executor = process->config.executor;
	struct child *child;
	char *text = NULL;

	output.limit = STATUS_BYTES_MAX;
	if (child_start(process->config.children, &config, &child, NULL))
		return NULL;
	if (child_wait(child, executor_monotonic(executor) + STATUS_TIMEOUT) == 0 &&
	    child_status(child) == 0 && !output.failed)
		text = buf_steal(&output);
	child_free(child);
	buf_free(&output);
	return text;
}

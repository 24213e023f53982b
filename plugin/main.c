/* main.c — s3mount-plugin: the process, its threads and signals. Mostly it is PID 1 of a container.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/fiber.h"
#include "common/harden.h"
#include "common/log.h"
#include "common/loop.h"
#include "plugin/service.h"

/* The engine kills 10 s after SIGTERM. */
#define STOP_TIMEOUT (7500 * NSEC_PER_MSEC)

enum {
	FIBERS_MAX = 4096,
	FIBER_STACK = 128 * 1024,
	WORKER_THREADS = 8,
};

struct plugin {
	struct settings settings;
	struct loop *loop;
	struct executor *executor;
	struct fiber_pool *pool;
	struct worker *worker;
	struct children *children;
	struct buckets *buckets;
	struct driver *driver;
	struct service service;
	struct server *server;
	struct loop_watch signals;
	bool stopping;
};

static void stop(void *argument)
{
	struct plugin *plugin = argument;

	driver_stop(plugin->driver, executor_monotonic(plugin->executor) + STOP_TIMEOUT);
	loop_stop(plugin->loop);
}

static void on_signal(struct loop_watch *watch, uint32_t events)
{
	struct plugin *plugin = container_of(watch, struct plugin, signals);
	struct signalfd_siginfo info;

	(void)events;
	while (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			children_reap(plugin->children);
		} else if (info.ssi_signo != SIGHUP && !plugin->stopping) {
			plugin->stopping = true;
			log_info("signal %u: unmounting all volumes", info.ssi_signo);
			if (fiber_start(plugin->pool, stop, plugin))
				loop_stop(plugin->loop);
		}
	}
}

/* Before there are threads: they inherit the mask. */
static int open_signals(struct plugin *plugin)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	plugin->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	plugin->signals.ready = on_signal;
	return plugin->signals.fd < 0 ? -errno
				      : loop_watch(plugin->loop, &plugin->signals, EPOLLIN);
}

static int build(struct plugin *plugin, struct error *error)
{
	struct driver_config config;
	int err = loop_create(&plugin->loop);

	if (!err)
		err = open_signals(plugin);
	if (err)
		return error_set(error, err, "cannot start: %s", strerror(-err));
	plugin->executor = loop_executor(plugin->loop);
	plugin->pool = fiber_pool_create(plugin->executor, FIBERS_MAX, FIBER_STACK);
	err = plugin->pool ? worker_create(&plugin->worker, plugin->executor, WORKER_THREADS)
			   : -ENOMEM;
	if (!err)
		err = children_create(&plugin->children, plugin->loop);
	if (err)
		return error_set(error, err, "cannot start: %s", strerror(-err));
	config.mounter = (struct mounter_config){plugin->executor, plugin->pool, plugin->worker,
						 plugin->children, &plugin->settings};
	config.buckets = (struct buckets_config){plugin->executor, plugin->pool, plugin->worker,
						 &plugin->settings};
	err = buckets_create(&plugin->buckets, &config.buckets);
	if (err)
		return error_set(error, err, "out of memory");
	config.list = plugin->buckets;
	return driver_create(&plugin->driver, &config, error);
}

static void start(void *argument)
{
	struct plugin *plugin = argument;

	buckets_start(plugin->buckets);
	driver_start(plugin->driver);
}

static int run(struct plugin *plugin, int listen_fd, struct error *error)
{
	struct server_config server = {listen_fd, NULL, service_handle, &plugin->service};
	int err = build(plugin, error);

	if (err)
		return err;
	server.executor = plugin->executor;
	plugin->service = (struct service){plugin->driver, plugin->pool};
	err = server_start(&plugin->server, &server, error);
	if (err)
		return err;
	if (plugin->settings.problem.code)
		log_error("volumes cannot be used until docker plugin set has put this right: %s",
			  plugin->settings.problem.message);
	if (fiber_start(plugin->pool, start, plugin))
		return error_set(error, -ENOMEM, "out of memory");
	loop_run(plugin->loop);
	return 0;
}

int main(int argc, char *argv[])
{
	static struct plugin plugin;
	struct error error = ERROR_INIT;
	const char *socket = settings_socket();
	int listen_fd;

	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("s3mount-plugin %s\n", S3MOUNT_VERSION);
		return EXIT_SUCCESS;
	}
	log_open("s3mount-plugin", LOG_TARGET_STDERR, NULL, LOG_LEVEL_INFO);
	process_harden();
	/* Before anything else: an engine that finds no socket gives up after some seconds, until
	 * its next start. What connects now waits for server_start. */
	listen_fd = server_listen(socket, &error);
	if (listen_fd < 0 || settings_load(&plugin.settings)) {
		log_error("%s", error.message[0] ? error.message : "out of memory");
		return EXIT_FAILURE;
	}
	log_set_level(plugin.settings.log_level);
	log_info("version %s, listening at %s", S3MOUNT_VERSION, socket);
	if (run(&plugin, listen_fd, &error)) {
		log_error("%s", error.message);
		return EXIT_FAILURE;
	}
	unlink(socket);
	log_info("ended");
	/* Requests may be under way in threads of libraries; there is nothing left that must end in
	 * order. */
	_exit(EXIT_SUCCESS);
}

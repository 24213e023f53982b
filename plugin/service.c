#include "plugin/service.h"

#include <errno.h>
#include <stdlib.h>

#include "common/fiber.h"
#include "common/log.h"
#include "plugin/routes.h"

struct job {
	struct service *service;
	struct server_request *request;
	struct route_call call;
	bool mounted; /* a reference was taken, which the engine must get to know of */
};

static void job_free(struct job *job)
{
	route_call_free(&job->call);
	free(job);
}

static unsigned status_of(int err)
{
	switch (err) {
	case 0: return 200;
	case -ENOENT: return 404;
	case -EINVAL: return 400;
	default: return 500;
	}
}

static void undo_mount(void *argument)
{
	struct job *job = argument;

	log_warning("%s: the engine did not wait for its mount; it is undone", job->call.name);
	driver_unmount(job->service->driver, job->call.name, job->call.id);
	job_free(job);
}

/* The engine sends no Unmount for a Mount whose answer it has not got. */
static void finished(struct server_request *request, bool delivered)
{
	struct job *job = request->user;

	if (job->mounted && !delivered && fiber_start(job->service->pool, undo_mount, job) == 0)
		return;
	job_free(job);
}

static char *run_call(struct job *job, struct error *error)
{
	struct driver *driver = job->service->driver;
	const struct route_call *call = &job->call;
	const char *mountpoint;
	int err = 0;

	switch (call->route) {
	case ROUTE_GET: return driver_get(driver, call->name, error);
	case ROUTE_PATH: return driver_path(driver, call->name, error);
	case ROUTE_LIST: return driver_list(driver, error);
	case ROUTE_CREATE:
		err = driver_volume_create(driver, call->name, call->options, call->option_count,
					   error);
		break;
	case ROUTE_REMOVE: err = driver_remove(driver, call->name, error); break;
	case ROUTE_UNMOUNT: driver_unmount(driver, call->name, call->id); break;
	case ROUTE_MOUNT:
		err = driver_mount(driver, call->name, call->id, &mountpoint, error);
		job->mounted = !err;
		return err ? NULL : routes_format_mountpoint(mountpoint);
	case ROUTE_ACTIVATE:
	case ROUTE_CAPABILITIES: break;
	}
	return err ? NULL : routes_format_done(call->route);
}

static void run(void *argument)
{
	struct job *job = argument;
	struct error error = ERROR_INIT;
	char *body = run_call(job, &error);

	if (!body && error.code)
		body = routes_format_error(error.message);
	/* The engine asks every driver for names that it does not know. */
	if (error.code && job->call.route == ROUTE_GET)
		log_debug("%s: %s", job->request->path, error.message);
	else if (error.code)
		log_info("%s: %s", job->request->path, error.message);
	server_reply(job->request, status_of(error.code), body);
}

void service_handle(void *context, struct server_request *request)
{
	struct job *job = calloc(1, sizeof(*job));
	struct error error = ERROR_INIT;

	if (!job) {
		server_reply(request, 500, NULL);
		return;
	}
	job->service = context;
	job->request = request;
	request->user = job;
	request->finished = finished;
	if (routes_parse(&job->call, request->path, request->body, request->body_len, &error) ==
	    0) {
		if (fiber_start(job->service->pool, run, job) == 0)
			return;
		error_set(&error, -ENOMEM, "too many requests at once, or out of memory");
	}
	log_info("%s: %s", request->path, error.message);
	server_reply(request, status_of(error.code), routes_format_error(error.message));
}

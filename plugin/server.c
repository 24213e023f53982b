#include "plugin/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/list.h"

enum { BACKLOG = 1024 };

/* Who owns it: the thread of the HTTP library until it is posted, the owner thread until
 * server_reply, the library's thread again until it is completed, the owner thread for the end. */
struct exchange {
	struct server_request request; /* must be first */
	struct task task;	       /* to the owner thread */
	struct server *server;
	struct MHD_Connection *connection;
	char *path;
	struct buf body;
	bool dispatched, delivered;
	unsigned status;
	char *reply;
};

struct server {
	struct MHD_Daemon *daemon;
	struct server_config config;
};

static void exchange_free(struct exchange *exchange)
{
	free(exchange->path);
	buf_free(&exchange->body);
	free(exchange->reply);
	free(exchange);
}

static void run_handle(struct task *task)
{
	struct exchange *exchange = container_of(task, struct exchange, task);

	exchange->server->config.handle(exchange->server->config.context, &exchange->request);
}

static void run_finished(struct task *task)
{
	struct exchange *exchange = container_of(task, struct exchange, task);

	if (exchange->request.finished)
		exchange->request.finished(&exchange->request, exchange->delivered);
	exchange_free(exchange);
}

/* The engine ignores the type of replies; this is the one that its own plugin kit sends. */
static enum MHD_Result send_reply(struct MHD_Connection *connection, unsigned status, char *body,
				  enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), body, mode);
	enum MHD_Result result;

	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(body);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type",
				"application/vnd.docker.plugins.v1.1+json");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status,
				 const char *text)
{
	return send_reply(connection, status, (char *)text, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result begin(struct server *server, struct MHD_Connection *connection,
			     const char *url, void **slot)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return MHD_NO;
	exchange->path = strdup(url);
	if (!exchange->path) {
		free(exchange);
		return MHD_NO;
	}
	exchange->server = server;
	exchange->connection = connection;
	exchange->body.limit = SERVER_BODY_BYTES_MAX;
	*slot = exchange;
	return MHD_YES;
}

static enum MHD_Result dispatch(struct exchange *exchange)
{
	exchange->dispatched = true;
	exchange->request.path = exchange->path;
	exchange->request.body = buf_str(&exchange->body);
	exchange->request.body_len = exchange->body.len;
	exchange->task.run = run_handle;
	/* In this order: the answer may come, and resume, before the next line is over. */
	MHD_suspend_connection(exchange->connection);
	executor_post(exchange->server->config.executor, &exchange->task);
	return MHD_YES;
}

/* Called at the head of a request, for each piece of its body, at its end, and once more after
 * resuming. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **slot)
{
	struct exchange *exchange = *slot;
	char *reply;

	(void)version;
	if (!exchange)
		return begin(context, connection, url, slot);
	if (*size > 0) {
		buf_append(&exchange->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (exchange->dispatched) {
		reply = exchange->reply;
		exchange->reply = NULL;
		if (!reply)
			return send_text(connection, 500, "{\"Err\":\"out of memory\"}");
		return send_reply(connection, exchange->status, reply, MHD_RESPMEM_MUST_FREE);
	}
	if (strcmp(method, "POST") != 0)
		return send_text(connection, 405, "{\"Err\":\"only POST is answered\"}");
	if (exchange->body.failed)
		return send_text(connection, 413, "{\"Err\":\"the request is longer than 1 MiB\"}");
	return dispatch(exchange);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **slot,
			 enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *slot;

	(void)context;
	(void)connection;
	*slot = NULL;
	if (!exchange)
		return;
	if (!exchange->dispatched) {
		exchange_free(exchange);
		return;
	}
	exchange->delivered = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
	exchange->task.run = run_finished;
	executor_post(exchange->server->config.executor, &exchange->task);
}

int server_listen(const char *path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(error, -ENAMETOOLONG, "socket '%s': the path is too long", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(error, -errno, "socket '%s': %s", path, strerror(errno));
	/* What a predecessor left. Nobody else listens here: one plugin per directory. */
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || chmod(path, 0600) ||
	    listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return error_set(error, err, "socket '%s': %s", path, strerror(-err));
	}
	return fd;
}

int server_start(struct server **out, const struct server_config *config, struct error *error)
{
	/* The engine of 20.10 sends "Host:" with nothing behind it, and HTTP/1.1 wants one. */
	const int lenient = -1;
	const unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL |
			       MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
	struct server *server = calloc(1, sizeof(*server));

	if (!server) {
		close(config->listen_fd);
		return error_set(error, -ENOMEM, "out of memory");
	}
	server->config = *config;
	/* No idle timeout: a connection that closes while the engine writes makes it try again. */
	server->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET,
		config->listen_fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)SERVER_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_STRICT_FOR_CLIENT, lenient,
		MHD_OPTION_END);
	if (!server->daemon) {
		close(config->listen_fd);
		free(server);
		return error_set(error, -EIO, "the HTTP server did not start: %s", strerror(errno));
	}
	*out = server;
	return 0;
}

void server_reply(struct server_request *request, unsigned status, char *body)
{
	struct exchange *exchange = (struct exchange *)request;

	exchange->status = status;
	exchange->reply = body;
	MHD_resume_connection(exchange->connection);
}

void server_stop(struct server *server)
{
	MHD_stop_daemon(server->daemon);
	free(server);
}

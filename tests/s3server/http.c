#include "tests/s3server/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <microhttpd.h>

#include "common/check.h"
#include "common/list.h"

enum {
	/* Half of it becomes the receive buffer of uploads. Larger ones cost more to clear per
	   request. */
	CONNECTION_MEMORY = 256 * 1024,
	CONNECTION_LIMIT = 4096,
	IDLE_SECONDS = 300,
	STACK_BYTES = 512 * 1024,
	SOURCE_BLOCK = 256 * 1024,
	DISCARD_MAX = 1024 * 1024,
	TLS_FILE_MAX = 1024 * 1024,
	FAULT_STEP_MSEC = 50,
};

struct connection {
	struct list node; /* in http_server.connections */
	int socket;
};

struct http_server {
	struct MHD_Daemon *daemon;
	struct http_service service;
	pthread_mutex_t lock; /* connections */
	struct list connections;
	char *certificate, *key;
};

enum stage { STAGE_NEW, STAGE_BODY, STAGE_DISCARD };

struct http_exchange {
	struct exchange base;
	struct http_server *server;
	struct connection *connection;
	enum stage stage;
	bool begun;
};

const char *http_header(const struct exchange *exchange, const char *name)
{
	return pairs_get_nocase(&exchange->headers, name);
}

void http_reply_header(struct exchange *exchange, const char *name, const char *value)
{
	pairs_add(&exchange->reply.headers, name, value);
}

static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
	struct http_exchange *exchange = xmalloc(sizeof(*exchange));
	size_t path_len = strcspn(target, "?");

	(void)connection;
	exchange->server = context;
	exchange->base.path = strndup(target, path_len);
	exchange->base.query = xstrdup(target[path_len] ? target + path_len + 1 : "");
	CHECK(exchange->base.path);
	exchange->base.implementation = exchange;
	exchange->base.reply.fd = -1;
	exchange->base.reply.truncate_at = exchange->base.reply.stall_at =
		exchange->base.reply.pace = UINT64_MAX;
	return exchange;
}

static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name,
				 const char *value)
{
	struct exchange *exchange = context;

	(void)kind;
	pairs_add(&exchange->headers, name, value ? value : "");
	return MHD_YES;
}

static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	}
	return false;
}

static void set_up(struct http_exchange *exchange, struct MHD_Connection *connection,
		   const char *method)
{
	const union MHD_ConnectionInfo *info;

	exchange->base.method = method;
	MHD_get_connection_values(connection, MHD_HEADER_KIND, on_header, &exchange->base);
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	exchange->base.from_loopback = info && is_loopback(info->client_addr);
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	exchange->connection = info ? info->socket_context : NULL;
}

/* The reply body as one readable thing, whatever holds it; owns it. */
struct body_reader {
	struct buf body;
	int fd;
	uint64_t fd_offset, truncate_at, stall_at, pace;
	struct http_source source;
	int socket;
};

static bool is_open(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};

	return poll(&poll_fd, 1, FAULT_STEP_MSEC) == 0;
}

/* Returns how much of len may go now. */
static size_t slow_down(struct body_reader *reader, uint64_t offset, size_t len)
{
	uint64_t step = reader->pace / (1000 / FAULT_STEP_MSEC) + 1;

	while (offset >= reader->stall_at && is_open(reader->socket))
		;
	if (len > reader->stall_at - offset)
		len = (size_t)(reader->stall_at - offset);
	if (reader->pace == UINT64_MAX)
		return len;
	is_open(reader->socket);
	return len > step ? (size_t)step : len;
}

static ssize_t reader_read(void *context, uint64_t offset, char *data, size_t len)
{
	struct body_reader *reader = context;
	ssize_t got;

	if (offset >= reader->truncate_at)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	len = slow_down(reader, offset, len);
	if (len == 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (len > reader->truncate_at - offset)
		len = (size_t)(reader->truncate_at - offset);
	if (reader->source.read) {
		got = reader->source.read(reader->source.context, offset, data, len);
	} else if (reader->fd >= 0) {
		got = pread(reader->fd, data, len, (off_t)(reader->fd_offset + offset));
	} else {
		if (offset >= reader->body.len)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (len > reader->body.len - offset)
			len = reader->body.len - offset;
		memcpy(data, reader->body.data + offset, len);
		got = (ssize_t)len;
	}
	return got > 0 ? got : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void reader_free(void *context)
{
	struct body_reader *reader = context;

	if (reader->fd >= 0)
		close(reader->fd);
	if (reader->source.free)
		reader->source.free(reader->source.context);
	buf_free(&reader->body);
	free(reader);
}

static struct MHD_Response *response_from_reader(struct exchange *exchange, uint64_t length)
{
	const struct http_exchange *own = exchange->implementation;
	struct http_reply *reply = &exchange->reply;
	struct body_reader *reader = xmalloc(sizeof(*reader));
	struct MHD_Response *response;

	*reader = (struct body_reader){.body = reply->body,
				       .fd = reply->fd,
				       .fd_offset = reply->fd_offset,
				       .truncate_at = reply->truncate_at,
				       .stall_at = reply->stall_at,
				       .pace = reply->pace,
				       .source = reply->source,
				       .socket = own->connection ? own->connection->socket : -1};
	if (reply->length_error > 0 && reader->truncate_at > length)
		reader->truncate_at = length;
	length += (uint64_t)reply->length_error;
	reply->body = (struct buf)BUF_INIT;
	reply->fd = -1;
	reply->source = (struct http_source){NULL, NULL, NULL};
	response = MHD_create_response_from_callback(length, SOURCE_BLOCK, reader_read, reader,
						     reader_free);
	if (!response)
		reader_free(reader);
	return response;
}

static bool has_fault(const struct http_reply *reply)
{
	return reply->truncate_at != UINT64_MAX || reply->stall_at != UINT64_MAX ||
	       reply->pace != UINT64_MAX || reply->length_error != 0;
}

static struct MHD_Response *make_response(struct exchange *exchange)
{
	struct http_reply *reply = &exchange->reply;
	bool is_head = strcmp(exchange->method, "HEAD") == 0;
	bool in_memory = reply->fd < 0 && !reply->source.read;
	struct MHD_Response *response;

	if (is_head && reply->length > 0)
		return response_from_reader(exchange, reply->length);
	if (has_fault(reply))
		return response_from_reader(exchange, in_memory ? reply->body.len : reply->length);
	if (in_memory) {
		size_t len = reply->body.len;
		char *data = buf_steal(&reply->body);

		response = MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
		if (!response)
			free(data);
		return response;
	}
	if (reply->source.read)
		return response_from_reader(exchange, reply->length);
	response = MHD_create_response_from_fd_at_offset64(reply->length, reply->fd,
							   reply->fd_offset);
	if (response)
		reply->fd = -1;
	return response;
}

static enum MHD_Result send_reply(struct http_exchange *exchange, struct MHD_Connection *connection)
{
	struct http_reply *reply = &exchange->base.reply;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (exchange->base.drop)
		return MHD_NO;
	response = make_response(&exchange->base);
	if (!response)
		return MHD_NO;
	for (size_t i = 0; i < reply->headers.count; i++)
		MHD_add_response_header(response, reply->headers.items[i].name,
					reply->headers.items[i].value);
	result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

/* A rejected upload is read to its end when that is cheap: a reply before the end closes the
 * connection, and a client that is still sending would lose the reply to the reset. */
static bool worth_discarding(const struct exchange *exchange)
{
	const char *length = http_header(exchange, "Content-Length");
	const char *expect = http_header(exchange, "Expect");

	if (expect && strcasecmp(expect, "100-continue") == 0)
		return false;
	return length && strtoull(length, NULL, 10) <= DISCARD_MAX;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *len, void **request)
{
	struct http_exchange *exchange = *request;
	const struct http_service *service = &exchange->server->service;

	(void)context;
	(void)url;
	(void)version;
	if (exchange->stage == STAGE_NEW) {
		set_up(exchange, connection, method);
		exchange->begun = true;
		service->begin(&exchange->base, service->context);
		if (exchange->base.drop)
			return MHD_NO;
		if (exchange->base.reject && !worth_discarding(&exchange->base))
			return send_reply(exchange, connection);
		exchange->stage = exchange->base.reject ? STAGE_DISCARD : STAGE_BODY;
		return MHD_YES;
	}
	if (*len > 0) {
		if (exchange->stage == STAGE_BODY)
			service->body(&exchange->base, data, *len);
		*len = 0;
		return exchange->base.drop ? MHD_NO : MHD_YES;
	}
	if (exchange->stage == STAGE_BODY)
		service->finish(&exchange->base);
	return send_reply(exchange, connection);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode code)
{
	struct http_exchange *exchange = *request;
	struct http_reply *reply;

	(void)context;
	(void)connection;
	(void)code;
	if (!exchange)
		return;
	reply = &exchange->base.reply;
	if (exchange->begun)
		exchange->server->service.closed(&exchange->base);
	if (reply->fd >= 0)
		close(reply->fd);
	if (reply->source.free)
		reply->source.free(reply->source.context);
	buf_free(&reply->body);
	pairs_free(&reply->headers);
	pairs_free(&exchange->base.headers);
	free(exchange->base.path);
	free(exchange->base.query);
	free(exchange);
	*request = NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_server *server = context;
	const union MHD_ConnectionInfo *info;
	struct connection *entry = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		entry = xmalloc(sizeof(*entry));
		info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		entry->socket = info ? info->connect_fd : -1;
		*socket_context = entry;
		pthread_mutex_lock(&server->lock);
		list_append(&server->connections, &entry->node);
		pthread_mutex_unlock(&server->lock);
		return;
	}
	if (!entry)
		return;
	pthread_mutex_lock(&server->lock);
	list_remove(&entry->node);
	pthread_mutex_unlock(&server->lock);
	free(entry);
	*socket_context = NULL;
}

static void drop_connections(struct http_server *server, const struct connection *keep)
{
	pthread_mutex_lock(&server->lock);
	LIST_FOREACH (node, &server->connections) {
		struct connection *entry = container_of(node, struct connection, node);

		if (entry != keep)
			shutdown(entry->socket, SHUT_RDWR);
	}
	pthread_mutex_unlock(&server->lock);
}

void http_drop_others(const struct exchange *exchange)
{
	const struct http_exchange *own = exchange->implementation;

	drop_connections(own->server, own->connection);
}

static int read_tls_file(const char *path, char **out, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = xmalloc(TLS_FILE_MAX);
	ssize_t got = fd >= 0 ? read(fd, text, TLS_FILE_MAX - 1) : -1;
	int err = errno;

	if (fd >= 0)
		close(fd);
	if (got < 0) {
		free(text);
		return error_set(error, -err, "cannot read %s: %s", path, strerror(err));
	}
	*out = text;
	return 0;
}

static void server_free(struct http_server *server)
{
	pthread_mutex_destroy(&server->lock);
	free(server->certificate);
	free(server->key);
	free(server);
}

static int listen_on(const struct http_config *config, uint16_t *port, struct error *error)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(config->port)};
	socklen_t len = sizeof(address);
	int fd, one = 1, err;

	if (inet_pton(AF_INET, config->listen, &address.sin_addr) != 1)
		return error_set(error, -EINVAL, "--listen %s is not an IPv4 address",
				 config->listen);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(error, -errno, "cannot make a socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1024) ||
	    getsockname(fd, (struct sockaddr *)&address, &len)) {
		err = errno;
		close(fd);
		return error_set(error, -err, "cannot listen on %s:%u: %s", config->listen,
				 config->port, strerror(err));
	}
	*port = ntohs(address.sin_port);
	return fd;
}

int http_start(struct http_server **out, const struct http_config *config,
	       const struct http_service *service, uint16_t *port, struct error *error)
{
	struct http_server *server = xmalloc(sizeof(*server));
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
			 MHD_USE_POLL | MHD_USE_SUPPRESS_DATE_NO_CLOCK | MHD_USE_ITC;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}};
	int err = 0, fd;

	server->service = *service;
	pthread_mutex_init(&server->lock, NULL);
	list_init(&server->connections);
	if (config->tls_certificate) {
		err = read_tls_file(config->tls_certificate, &server->certificate, error);
		if (!err)
			err = read_tls_file(config->tls_key, &server->key, error);
		tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, server->certificate};
		tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, server->key};
		flags |= MHD_USE_TLS;
	}
	fd = err ? err : listen_on(config, port, error);
	if (fd < 0) {
		server_free(server);
		return fd;
	}
	server->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_URI_LOG_CALLBACK, on_target, server, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)CONNECTION_MEMORY / 4,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTION_LIMIT,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_THREAD_STACK_SIZE,
		(size_t)STACK_BYTES, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (!server->daemon) {
		close(fd);
		server_free(server);
		return error_set(error, -EIO, "cannot start the HTTP server%s",
				 config->tls_certificate ? " (are certificate and key right?)"
							 : "");
	}
	*out = server;
	return 0;
}

void http_stop(struct http_server *server)
{
	drop_connections(server, NULL);
	MHD_stop_daemon(server->daemon);
	server_free(server);
}

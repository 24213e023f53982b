#include "tests/unit/script_server.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { CONNECTIONS_MAX = 64, HEAD_MAX = 64 << 10 };

struct connection {
	struct script_server *server;
	int fd;
	pthread_t thread;
};

struct script_server {
	const struct script_step *steps;
	size_t step_count;
	int listener;
	unsigned port;
	pthread_t thread;
	pthread_mutex_t lock; /* what follows */
	size_t requests, connection_count;
	char problem[1024];
	struct connection connections[CONNECTIONS_MAX];
};

static void note_problem(struct script_server *server, const char *what, size_t step,
			 const char *head)
{
	if (!server->problem[0])
		snprintf(server->problem, sizeof(server->problem), "step %zu: %s\n%.700s", step,
			 what, head);
}

/* The head of the next request, NUL-terminated; *rest is what came after it. */
static bool read_head(int fd, char *head, size_t *rest)
{
	size_t len = 0;
	char *end;

	for (;;) {
		ssize_t got = recv(fd, head + len, HEAD_MAX - 1 - len, 0);

		if (got <= 0)
			return false;
		len += (size_t)got;
		head[len] = '\0';
		end = strstr(head, "\r\n\r\n");
		if (end) {
			*rest = len - (size_t)(end + 4 - head);
			end[2] = '\0';
			return true;
		}
		if (len == HEAD_MAX - 1)
			return false;
	}
}

static void skip_body(int fd, const char *head, size_t rest, bool silent)
{
	const char *length = strcasestr(head, "\r\ncontent-length:");
	size_t left = length ? strtoull(length + 17, NULL, 10) : 0;
	char data[65536];

	if (!silent && left > rest && strcasestr(head, "expect: 100-continue"))
		send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
	while (left > rest) {
		ssize_t got = recv(fd, data, sizeof(data), 0);

		if (got <= 0)
			return;
		rest += (size_t)got;
	}
}

static const struct script_step *next_step(struct script_server *server, const char *head)
{
	const struct script_step *step = NULL;
	size_t number;

	pthread_mutex_lock(&server->lock);
	number = server->requests++;
	if (number >= server->step_count) {
		note_problem(server, "one request too many", number, head);
	} else {
		step = &server->steps[number];
		if ((step->expect && !strcasestr(head, step->expect)) ||
		    (step->expect2 && !strcasestr(head, step->expect2)) ||
		    (step->absent && strcasestr(head, step->absent)))
			note_problem(server, "not the request that was expected", number, head);
	}
	pthread_mutex_unlock(&server->lock);
	return step;
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		data += sent;
		len -= (size_t)sent;
	}
}

/* Returns whether the connection goes on. */
static bool answer(int fd, const struct script_step *step, const char *head)
{
	struct timespec delay = {step->delay_ms / 1000, step->delay_ms % 1000 * 1000000L};
	size_t len = step->body_len ? step->body_len : step->body ? strlen(step->body) : 0;
	bool no_length = step->status == 204 || step->status == 304;
	char text[2048];
	int n;

	nanosleep(&delay, NULL);
	if (step->raw) {
		send_all(fd, step->raw, strlen(step->raw));
		return false;
	}
	if (!step->status)
		return false;
	n = snprintf(text, sizeof(text), "HTTP/1.1 %d Scripted\r\n%s", step->status,
		     step->headers ? step->headers : "");
	if (!no_length)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "Content-Length: %zu\r\n", len);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
	send_all(fd, text, (size_t)n);
	if (strncmp(head, "HEAD ", 5) != 0)
		send_all(fd, step->body, step->sent ? step->sent : len);
	return !step->close && !step->sent && !step->unread;
}

static void *serve(void *context)
{
	struct connection *connection = context;
	char *head = malloc(HEAD_MAX);
	size_t rest;

	while (read_head(connection->fd, head, &rest)) {
		const struct script_step *step = next_step(connection->server, head);

		if (!step)
			break;
		if (!step->unread)
			skip_body(connection->fd, head, rest, step->silent);
		if (!answer(connection->fd, step, head))
			break;
	}
	free(head);
	shutdown(connection->fd, SHUT_RDWR);
	return NULL;
}

static void *accept_all(void *context)
{
	struct script_server *server = context;
	int fd;

	while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
		struct connection *connection;

		pthread_mutex_lock(&server->lock);
		if (server->connection_count == CONNECTIONS_MAX) {
			pthread_mutex_unlock(&server->lock);
			close(fd);
			continue;
		}
		connection = &server->connections[server->connection_count++];
		connection->server = server;
		connection->fd = fd;
		pthread_create(&connection->thread, NULL, serve, connection);
		pthread_mutex_unlock(&server->lock);
	}
	return NULL;
}

struct script_server *script_server_start(const struct script_step *steps, size_t count)
{
	struct script_server *server = calloc(1, sizeof(*server));
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);

	assert_non_null(server);
	server->steps = steps;
	server->step_count = count;
	pthread_mutex_init(&server->lock, NULL);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(server->listener, 64), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
	server->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&server->thread, NULL, accept_all, server), 0);
	return server;
}

unsigned script_server_port(const struct script_server *server)
{
	return server->port;
}

size_t script_server_requests(struct script_server *server)
{
	size_t requests;

	pthread_mutex_lock(&server->lock);
	requests = server->requests;
	pthread_mutex_unlock(&server->lock);
	return requests;
}

size_t script_server_connections(struct script_server *server)
{
	size_t count;

	pthread_mutex_lock(&server->lock);
	count = server->connection_count;
	pthread_mutex_unlock(&server->lock);
	return count;
}

void script_server_stop(struct script_server *server)
{
	char problem[1024];

	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
	for (size_t i = 0; i < server->connection_count; i++)
		shutdown(server->connections[i].fd, SHUT_RDWR);
	for (size_t i = 0; i < server->connection_count; i++) {
		pthread_join(server->connections[i].thread, NULL);
		close(server->connections[i].fd);
	}
	memcpy(problem, server->problem, sizeof(problem));
	pthread_mutex_destroy(&server->lock);
	free(server);
	assert_string_equal(problem, "");
}

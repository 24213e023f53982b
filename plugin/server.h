/* server.h — HTTP on a unix socket: whole requests in, whole replies out.
 *
 * The only user of libmicrohttpd, whose own thread moves the bytes. Each request is handed to the
 * owner thread of an executor and may be answered there at any later time; others go on meanwhile,
 * on connections of their own. A connection is never closed by us: the engine would send the
 * request again with an empty body (see routes.h).
 */
#ifndef PLUGIN_SERVER_H
#define PLUGIN_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/executor.h"

enum {
	SERVER_BODY_BYTES_MAX = 1024 * 1024,
	SERVER_CONNECTIONS_MAX = 512,
};

struct server;

/* Valid from handle until finished. */
struct server_request {
	const char *path;
	const char *body; /* NUL-terminated */
	size_t body_len;
	/* Set by the handler before server_reply, may be NULL. Owner thread, once: the reply has
	 * left (or the peer is gone, or the server ends: delivered is false). The request ends with
	 * it. */
	void (*finished)(struct server_request *request, bool delivered);
	void *user;
};

struct server_config {
	int listen_fd; /* becomes the server's */
	struct executor *executor;
	/* Owner thread; must lead to exactly one server_reply. Only POST requests with a body
	 * within the limit come here; others are answered by the server. */
	void (*handle)(void *context, struct server_request *request);
	void *context;
};

/* Binds and listens at path, in place of what is there. From now on the engine can connect; it
 * waits for server_start. Returns the descriptor. Errors: -errno, message set. */
int server_listen(const char *path, struct error *error);

/* Errors: -EIO, -ENOMEM, message set; listen_fd is closed then. */
int server_start(struct server **out, const struct server_config *config, struct error *error);

/* Answers. body: JSON, becomes the server's; NULL: out of memory, answered as such. Owner thread.
 */
void server_reply(struct server_request *request, unsigned status, char *body);

/* Every request must have been answered. No finished is called after it. */
void server_stop(struct server *server);

#endif

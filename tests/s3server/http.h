/* http.h — HTTP as the S3 side sees it: plain structs, no libmicrohttpd.
 *
 * Threads: one per connection; an exchange belongs to the thread of its connection, and every
 * callback of the service runs there. Blocking in a callback delays that connection only. Order of
 * callbacks per exchange: begin, body*, finish, closed. After begin has set reject, body is not
 * called, and finish neither: the reply is what begin left. closed always runs.
 */
#ifndef TESTS_S3SERVER_HTTP_H
#define TESTS_S3SERVER_HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"
#include "tests/s3server/text.h"

/* A reply body that is read piece by piece while it is sent. read returns the bytes it gave (> 0)
 * or a negative errno, which ends the connection. free runs once, when the last byte is out or the
 * client gone. */
struct http_source {
	ssize_t (*read)(void *context, uint64_t offset, char *data, size_t len);
	void (*free)(void *context);
	void *context;
};

struct http_reply {
	unsigned status;
	struct pairs headers;
	struct buf body; /* used when fd < 0 and source.read is NULL */
	int fd;		 /* sent by sendfile from fd_offset on; closed by http.c */
	uint64_t fd_offset;
	struct http_source source;
	uint64_t length; /* of fd or source; of a HEAD: what a GET would give */
	/* Faults. The first three: body bytes, UINT64_MAX: none. */
	uint64_t truncate_at; /* the connection ends */
	uint64_t stall_at;    /* nothing more comes, until the connection is dropped */
	uint64_t pace;	      /* per second */
	int64_t length_error; /* what the Content-Length says too much or too little */
};

struct exchange {
	const char *method;
	char *path, *query; /* as sent, still encoded; query without '?', "" when none */
	struct pairs headers;
	bool from_loopback;
	bool reject; /* set in begin: reply at once (or after a small body is discarded) */
	bool drop;   /* close the connection without a reply */
	struct http_reply reply;
	void *user; /* of the service */
	void *implementation;
};

struct http_service {
	void (*begin)(struct exchange *exchange, void *context);
	void (*body)(struct exchange *exchange, const char *data, size_t len);
	void (*finish)(struct exchange *exchange);
	void (*closed)(struct exchange *exchange);
	void *context;
};

struct http_config {
	const char *listen;		       /* address */
	uint16_t port;			       /* 0: any */
	const char *tls_certificate, *tls_key; /* files; both or none */
};

struct http_server;

/* Errors: -EADDRINUSE, -EACCES .. with a message. *port gets the real port. */
int http_start(struct http_server **out, const struct http_config *config,
	       const struct http_service *service, uint16_t *port, struct error *error);
/* Ends every connection, waits for their threads. */
void http_stop(struct http_server *server);
/* Shuts every connection down except that of the exchange, on whose thread it is called. */
void http_drop_others(const struct exchange *exchange);

const char *http_header(const struct exchange *exchange, const char *name); /* NULL: absent */
void http_reply_header(struct exchange *exchange, const char *name, const char *value);

#endif

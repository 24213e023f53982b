/* http.h — HTTP exchanges, many at once, on one thread. The only user of libcurl.
 *
 * Threads: everything but http_wake belongs to the thread that calls http_turn.
 * Redirects are never followed and nothing is repeated on purpose. libcurl itself sends a request
 * again when a kept connection turns out to be dead before any answer; begun tells how often it was
 * sent. Memory: connections are kept and reused, and so are curl's handles. Limits: 64 KiB of
 * answer headers; connecting takes 5 s at most; a transfer that moves no byte for stall_seconds
 * ends; the standard proxy variables (http_proxy, https_proxy, no_proxy) are honoured.
 */
#ifndef COMMON_S3_HTTP_H
#define COMMON_S3_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/s3/headers.h"

enum {
	HTTP_HEADERS_MAX = 64 << 10,
	HTTP_SMALL_BODY = 64 << 10, /* what is sent from memory, together with the headers */
};

enum http_outcome {
	HTTP_ANSWERED,	    /* a whole answer, or as much of it as was wanted */
	HTTP_NO_HOST,	    /* the name does not resolve */
	HTTP_NO_CONNECTION, /* refused, unreachable, or no answer in time to connect */
	HTTP_TLS,	    /* certificate or handshake */
	HTTP_BROKEN,	    /* the connection ended before the answer did */
	HTTP_STALLED,	    /* no byte for stall_seconds, or the deadline of the exchange */
	HTTP_NOT_HTTP,	    /* not HTTP, or over a limit */
	HTTP_SOURCE_FAILED, /* err is what the source returned */
	HTTP_SINK_FAILED,   /* err is what the body callback returned */
	HTTP_FAILED,	    /* out of memory and the like; err says */
};

struct http_exchange {
	/* Set by the caller, unchanged until done. */
	const char *method, *url;
	const struct header_list *headers;
	const char *authorization; /* whole header line, NULL: none; apart, because it is a secret
				      of sorts */
	bool has_body;
	const void *data; /* the body when source_read is NULL */
	uint64_t body_len;
	int (*source_read)(void *context, void *data, size_t len, uint64_t offset);
	void *source_context;
	uint64_t deadline; /* CLOCK_MONOTONIC ns */
	unsigned stall_seconds;
	bool large;	/* big buffers for a bulk transfer */
	bool no_expect; /* send a big body at once, without asking first (RFC 9110, 10.1.1) */
	bool fresh_connection; /* after a failure: new connection, and the name is looked up again
				*/

	/* Called with the body as it comes, and with status and answer_headers complete. Returns 0,
	 * 1 (enough: ends the exchange as answered) or a negative errno. */
	int (*body)(struct http_exchange *exchange, const char *data, size_t len);
	/* Last call. The exchange may be started again from it. */
	void (*done)(struct http_exchange *exchange);

	/* The answer. */
	enum http_outcome outcome;
	int err;
	int status;
	struct buf answer_headers; /* lines of the last header block, status line first, CRLF
				      between */
	char detail[256];	   /* what curl says about a failure */
	bool expected, continued;  /* the server was asked whether to send the body, and said so */
	unsigned begun; /* how often sending the request began; more than 1: curl repeated it */
	uint64_t sent;	/* bytes of the body that curl took */

	/* For the implementation. */
	struct http_handle *handle;
};

struct http_config {
	const char *ca_file; /* NULL: the system's */
	const char *user_agent;
	unsigned connections; /* kept at most */
};

struct http;

/* Errors: -ENOMEM, -errno of epoll_create1 and eventfd. */
int http_create(struct http **out, const struct http_config *config);
/* No exchange may be under way. */
void http_destroy(struct http *http);

/* done is called from a later http_turn. Errors: -ENOMEM: it did not start. */
int http_start(struct http *http, struct http_exchange *exchange);
/* Ends it without done. */
void http_abort(struct http *http, struct http_exchange *exchange);

/* Moves what can be moved, and waits for that until the time (CLOCK_MONOTONIC ns) at most. has_work
 * is asked right before sleeping: true means not to. */
void http_turn(struct http *http, uint64_t until, bool (*has_work)(void *context), void *context);
/* Ends the wait of http_turn. Any thread. Costs a system call only when the other thread sleeps. */
void http_wake(struct http *http);

uint64_t http_now(void); /* CLOCK_MONOTONIC, ns */

#endif

/* script_server.h — an HTTP server on loopback that says what a script tells it to, for tests of
 * the S3 client: answers that no real server gives on command.
 *
 * Requests are taken in the order of their arrival, over all connections; the n-th gets the n-th
 * step. One thread per connection.
 */
#ifndef TESTS_UNIT_SCRIPT_SERVER_H
#define TESTS_UNIT_SCRIPT_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct script_step {
	const char *expect;  /* must be in the request's head (any case); NULL: anything */
	const char *expect2; /* and this */
	const char *absent;  /* must not be there */
	bool silent;	     /* does not say "100 Continue" */
	int status;	     /* 0: the connection ends without an answer */
	const char *headers; /* lines with CRLF; NULL: none */
	const char *body;    /* NULL: none */
	size_t body_len;     /* 0: strlen(body) */
	size_t sent;	     /* bytes of the body that go out before the connection ends; 0: all */
	bool close;	     /* the connection ends after the answer, without a word about it */
	bool unread;	     /* answers without reading the request's body */
	unsigned delay_ms;   /* before the answer */
	const char *raw;     /* sent instead of all this */
};

struct script_server;

/* steps must outlive it. Fails the test when it cannot listen. */
struct script_server *script_server_start(const struct script_step *steps, size_t count);
unsigned script_server_port(const struct script_server *server);
/* How many requests came. */
size_t script_server_requests(struct script_server *server);
size_t script_server_connections(struct script_server *server);
/* Ends it. Fails the test when a request was not what its step expects, or when there were too
 * many. */
void script_server_stop(struct script_server *server);

#endif

/* store_world.h — the real S3 client on a scripted server, for its tests. One at a time. */
#ifndef TESTS_UNIT_STORE_WORLD_H
#define TESTS_UNIT_STORE_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/s3/s3.h"
#include "tests/unit/script_server.h"

#define COUNT(array)	 (sizeof(array) / sizeof((array)[0]))
#define ERROR_BODY(code) "<Error><Code>" code "</Code><Message>m</Message></Error>"
#define SECONDS(n)	 ((n)*NSEC_PER_SEC)

enum { BODY = 600 << 10, CUT = 400 << 10 };

/* What the client is made of, and what came out of it. */
struct store_world {
	struct script_server *server;
	struct loop *loop;
	struct objstore *store;
	struct s3_config config;
	char endpoint[64];
	struct credentials credentials;
	unsigned running;
	char *received;
	uint64_t received_end;
	unsigned writes;
	int sink_err;
	struct timer timer;
	struct os_request *to_cancel, *later;
};

extern struct store_world store_world;
extern char store_world_pattern[BODY]; /* what bodies hold */

void store_world_open(const struct script_step *steps, size_t count, unsigned connections,
		      const char *host);
#define OPEN(steps) store_world_open(steps, COUNT(steps), 4, "127.0.0.1")
/* Fails the test unless so many requests came, each as its step expects. */
void store_world_close(size_t requests);

/* The loop ends when all that was submitted is done. */
void store_world_submit(struct os_request *request, uint64_t timeout);
/* Submits, waits and returns the error. */
int store_world_run(struct os_request *request);

/* A GET of "k" into store_world.received. */
struct os_request store_world_get(void);
/* A PUT of len bytes of the pattern as "k"; the source returns *err unless it is 0. */
struct os_request store_world_put(int *err, uint64_t len);

#endif

/* server.h — the server's settings and shared state. */
#ifndef TESTS_S3SERVER_SERVER_H
#define TESTS_S3SERVER_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/s3server/fault.h"
#include "tests/s3server/http.h"
#include "tests/s3server/signature.h"
#include "tests/s3server/store.h"

enum conditions_mode {
	CONDITIONS_ON,
	CONDITIONS_IGNORE,	/* as old servers: writes happen whatever the headers say */
	CONDITIONS_UNSUPPORTED, /* 501 NotImplemented */
	CONDITIONS_RACY,	/* looked at, and some time later the write happens */
};

/* What real S3 limits, scalable so that tests reach the limits with little data. */
struct limits {
	uint64_t put_size, part_size, part_size_min, copy_size;
	unsigned list_keys;
};

struct server_config {
	struct access_keys keys;
	const char *region; /* reported */
	bool region_strict; /* other regions in signatures are wrong */
	const char *domain; /* hosts below it are bucket names */
	enum conditions_mode conditions;
	bool fast_etag; /* unique ids instead of MD5 */
	bool anonymous; /* unsigned requests are allowed */
	bool verbose;
	struct limits limits;
};

/* config and store do not change after start; the rest is safe for any thread. */
struct server {
	struct server_config config;
	struct store *store;
	struct faults faults;
	atomic_int_fast64_t clock_offset; /* ms, by the control interface */
	atomic_int conditions;		  /* enum conditions_mode, as configured or by the same */
	atomic_bool fast_etag;		  /* the same */
	atomic_bool down;		  /* every connection is dropped */
	atomic_uint_fast64_t next_request;
};

int64_t server_now(struct server *server); /* ms since the epoch, with the offset */

#endif

/* store.h — inside of s3.h: the store and its calls. For s3.c and call.c.
 *
 * A call is one os_request under way, over all its attempts. It is on exactly one list:
 *   inbox -> hashing? -> urgent or bulk -> active -> (delayed -> urgent or bulk ..) -> finished ->
 * pool Lock: store->lock protects inbox, cancels, pool, stop and the new credentials, and is never
 * held over anything that waits. All else belongs to the network thread, except what is marked.
 */
#ifndef COMMON_S3_STORE_H
#define COMMON_S3_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/list.h"
#include "common/s3/http.h"
#include "common/s3/request.h"
#include "common/s3/retry.h"
#include "common/s3/s3.h"
#include "common/s3/sigv4.h"

enum {
	CALL_POOL_MAX = 64,
	CALL_KEEP_BYTES = 64 << 10, /* of each buffer of a pooled call */
	CALL_CHUNK = 128 << 10,	    /* what is written to a sink at once */
	CALL_ERROR_MAX = 256 << 10, /* of an error document */
	HASH_STEP = 512 << 10,	    /* hashed in one go; others are served in between */
};

enum call_state { CALL_QUEUED, CALL_HASHING, CALL_ACTIVE, CALL_DELAYED, CALL_FINISHED };

struct s3_call {
	struct list node;
	struct list cancel_node; /* lock */
	struct s3_store *store;
	struct os_request *request;
	enum call_state state;

	/* the attempt */
	struct http_exchange exchange;
	struct s3_message message;
	struct buf authorization;
	struct buf body; /* of the answer, when it is not streamed */
	char region[REGION_MAX];
	enum endpoint_style style;
	unsigned credentials_version;
	int64_t clock_offset;

	/* body to send: read once when small; hashed once when the connection is not private */
	struct buf content;
	bool content_read, hashed;
	uint64_t hash_position;
	char payload_hash[2 * SHA256_BYTES + 1];

	/* GET: what of the object went to the sink (or the chunk) so far */
	bool streaming;
	uint64_t wanted_first, wanted_end; /* end UINT64_MAX: all of it */
	uint64_t position;		   /* offset of the next byte that comes */
	uint64_t delivered;		   /* offset of the next byte for the sink */
	char *chunk;
	size_t chunk_len, chunk_capacity;
	char etag[OS_ETAG_MAX]; /* of what was delivered; "" before */

	struct retry_state retry;
	uint64_t submitted;
	uint64_t due; /* CALL_DELAYED */
	bool fresh_connection;
	/* the failure in the style that was tried first */
	bool has_first_failure;
	int first_err, first_status;
	char first_code[64], first_message[256];
};

struct s3_store {
	struct objstore base;
	struct executor *executor;
	/* constant */
	struct endpoint endpoint;
	char *bucket;
	unsigned connections, bulk_connections;

	pthread_mutex_t lock;
	struct list inbox, cancels, pool;
	unsigned pool_count;
	bool stop;
	struct credentials *new_credentials;
	atomic_bool called; /* something is in inbox, cancels or stop: set with the lock held */
	atomic_bool unquoted_etags;

	pthread_t thread;
	struct http *http;
	struct digest *digest, *payload_digest;
	struct sigv4_signer signer;
	struct buf scratch;
	struct credentials credentials;
	unsigned credentials_version;
	int (*reload)(void *context, struct credentials *out);
	void *reload_context;
	uint64_t reloaded;  /* monotonic; 0: never */
	bool said_old_keys; /* once, until there are newer ones */
	char region[REGION_MAX];
	enum endpoint_style style;
	bool may_switch_style;
	bool no_expect; /* the server does not answer "Expect: 100-continue" */
	int64_t clock_offset;
	uint64_t scratch_random, random; /* state and last value of the generator */
	struct list urgent, bulk, hashing, delayed, active;
	unsigned active_count, active_bulk;
	uint64_t next_due, next_sweep;
};

/* call.c. err != 0: the call cannot start and must be finished with it; request->result.message is
 * set. */
int call_start_attempt(struct s3_call *call);
/* Reads and hashes a step. 0: go on, 1: done, else an errno. */
int call_hash_step(struct s3_call *call);
bool call_needs_hash(const struct s3_call *call);
/* The attempt ended: fills request->result and says what to do. */
struct retry_decision call_end_attempt(struct s3_call *call);
/* A fresh call for the request; buffers are kept from the last one. */
void call_reset(struct s3_call *call, struct os_request *request);
void call_free(struct s3_call *call);
/* Lets go of what a pooled call should not hold on to. */
void call_shrink(struct s3_call *call);
void call_message(struct s3_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* call_body.c: the answer's body goes to the sink in chunks, or is kept for parsing. */
int call_on_body(struct http_exchange *exchange, const char *data, size_t len);
/* Writes the rest of the chunk. Errors: of the sink. */
int call_flush(struct s3_call *call);
void call_reply(const struct s3_call *call, struct s3_reply *reply);

/* schedule.c: the network thread, which moves calls from list to list. */
void *store_network_thread(void *store);
void store_exchange_done(struct http_exchange *exchange);

#endif

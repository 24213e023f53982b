/* env.h — everything outside of itself that the core touches: fibers, clock, disk, object store,
 * journal and randomness, and the sizes that it goes by. Real in s3mount,
 * simulated in tests.
 *
 * Threads: owner thread of the executor. Owns none of the members.
 */
#ifndef FS_ENV_H
#define FS_ENV_H

#include "common/executor.h"
#include "common/fiber.h"
#include "common/s3/objstore.h"
#include "fs/cache/disk.h"
#include "fs/journal/journal.h"
#include "fs/sizes.h"
#include "fs/vfs/attributes.h"

struct env {
	struct executor *executor;
	struct fiber_pool *fibers;
	struct disk *disk;
	struct objstore *store;
	struct journal *journal;
	const struct sizes *sizes;
	uint64_t (*random)(void *context);
	void *random_context;
	uint64_t away_at; /* monotonic; the newest request that found no server, 0 since one found
			     it again */
};

/* S3 did not answer a moment ago: what is known is good enough, and nobody waits to hear it again.
 */
#define AWAY_PAUSE (5 * NSEC_PER_SEC)
bool env_is_away(struct env *env);

/* How long the core lets one request of each kind go on, retries included. */
#define DEADLINE_SMALL	 (30 * NSEC_PER_SEC)  /* HEAD, LIST, DELETE: a caller waits */
#define DEADLINE_REFRESH (5 * NSEC_PER_SEC)   /* where an older answer can be given instead */
#define DEADLINE_BULK	 (120 * NSEC_PER_SEC) /* bodies and copies */

/* Bodies get time for their size as well: at 64 KiB/s the slowest uplink still gets through. */
#define SLOWEST_BYTES_PER_SEC (UINT64_C(64) << 10)

static inline uint64_t env_now(struct env *env)
{
	return executor_monotonic(env->executor);
}

static inline uint64_t env_after(struct env *env, uint64_t ns)
{
	return executor_monotonic(env->executor) + ns;
}

/* For a request that moves len bytes. */
static inline uint64_t env_bulk_deadline(struct env *env, uint64_t len)
{
	return env_after(env, DEADLINE_BULK + len / SLOWEST_BYTES_PER_SEC * NSEC_PER_SEC);
}

/* Submits and waits; must run in a fiber. request->done and user are taken. A deadline of 0 becomes
 * DEADLINE_SMALL from now. Returns result.err; the caller frees the result. */
int env_s3(struct env *env, struct os_request *request);
/* Of a server that is away, slow or broken for a while; not: our key has not the right, or the
 * server cannot. */
bool env_s3_heals(int err);

/* Turns a listing that has ended into the request for its next page. The result is freed; *token,
 * NULL before the first page, keeps what the request needs of it. False: there is none, and nothing
 * is left to free. */
bool env_next_page(struct os_request *list, char **token);

/* A batch of requests that run side by side, at most width at once. */
struct s3_batch {
	struct env *env;
	unsigned width, running;
	struct wait_queue changed;
};
void s3_batch_init(struct s3_batch *batch, struct env *env, unsigned width);
/* Waits until there is room, then submits. user is taken; when the request ends, finished (may be
 * NULL) is called with context. The request must live until then. */
struct s3_batch_item {
	struct os_request request;
	struct s3_batch *batch;
	void (*finished)(struct s3_batch_item *item);
};
void s3_batch_submit(struct s3_batch *batch, struct s3_batch_item *item);
void s3_batch_wait(struct s3_batch *batch); /* for all of them */

/* PUT_ID_LEN random hex digits and a NUL. */
void env_put_id(struct env *env, char out[PUT_ID_LEN + 1]);
/* The next publication of the same file: kin of those before, and later. An attempt whose end
 * nobody saw may take effect at any time after, and a power loss may bring an old row back: both
 * must be known for what they are. "" becomes the first of its kind. */
void put_id_next(struct env *env, char id[PUT_ID_LEN + 1]);
/* The same where a power loss may have taken back rows with later ones: those must not be used for
 * other bytes. */
void put_id_leap(struct env *env, char id[PUT_ID_LEN + 1]);
bool put_id_is_kin(const char *one, const char *other); /* of the same file, by the same node */
int put_id_order(const char *one, const char *other);	/* of kin: as strcmp */
/* Does an object that bears found come from an attempt to publish the file whose newest put-id is
 * newest? An object with base's, the put-id of the version that the change is based on (NULL: not
 * known), and another ETag does not: programs that keep metadata when they write, s3fs for one,
 * keep the put-id as well. */
bool put_id_is_attempt(const char *found, const char *newest, const char *base);

#endif

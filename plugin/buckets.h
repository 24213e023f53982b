/* buckets.h — which buckets the account has, known without asking.
 *
 * The engine asks for volumes that nobody created, and every answer other than "here it is" makes
 * it forget what it knew of the volume. So the list lives in memory, beside it on disk for the next
 * start, and is refreshed in the background. Where keys may not list buckets (IAM without
 * s3:ListAllMyBuckets), a name is looked up by itself.
 *
 * Owner thread; the calls that say so belong to fibers.
 */
#ifndef PLUGIN_BUCKETS_H
#define PLUGIN_BUCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/fiber.h"
#include "plugin/settings.h"
#include "plugin/worker.h"

struct buckets;

struct buckets_config {
	struct executor *executor;
	struct fiber_pool *pool;
	struct worker *worker;
	const struct settings *settings; /* outlives it */
};

struct bucket {
	char *name;
	int64_t created_at; /* ns since the epoch, 0: not told */
};

/* Reads the list of last time from the state directory; sends nothing. Errors: -ENOMEM. */
int buckets_create(struct buckets **out, const struct buckets_config *config);
/* Starts refreshing, now and again every 30 s. Without keys it does nothing. */
void buckets_start(struct buckets *buckets);

/* The list, valid until the fiber waits. */
const struct bucket *buckets_list(const struct buckets *buckets, size_t *count);
const struct bucket *buckets_get(const struct buckets *buckets, const char *name);
/* Is there such a bucket? Answers from the list when it is there; otherwise waits for news, at
 * most 1.5 s, unless S3 has failed within the last 2 s: for a name that nobody knows the engine
 * silently makes a local volume, so a bucket that is a second old must not be missed. Fiber. */
bool buckets_find(struct buckets *buckets, const char *name);
/* Why the last refresh failed; "" when it did not. */
const char *buckets_problem(const struct buckets *buckets);

/* Can a volume with these options use its bucket? One question to S3, at most until the deadline; a
 * failure says which option or key is wrong. Fiber. */
int buckets_check(const struct buckets_config *config, const struct definition *definition,
		  uint64_t deadline, struct error *error);

#endif

/* objstore_memory.h — an object store in memory, for tests of what is above it.
 *
 * Keeps objstore.h's contract to the letter: done is posted to the executor and never runs inside
 * submit. A request takes effect, reads its source and writes its sink at one moment, when that
 * task runs: after the latency, if one is set, so that requests of different latency overtake each
 * other. Semantics are S3's as its API pages describe them; sizes, counts and names are checked as
 * S3 does. Threads: the executor's owner thread. Out of memory ends the process.
 */
#ifndef TESTS_UNIT_OBJSTORE_MEMORY_H
#define TESTS_UNIT_OBJSTORE_MEMORY_H

#include <stdbool.h>

#include "common/s3/objstore.h"
#include "tests/unit/memory_bucket.h"

/* What a server does with conditions of one kind of request. */
enum condition_support { CONDITIONS_HONOURED, CONDITIONS_IGNORED, CONDITIONS_NOT_IMPLEMENTED };

enum fault_moment {
	FAULT_BEFORE,	 /* nothing happened */
	FAULT_AFTER,	 /* it took effect, but the reply is lost: result.ambiguous */
	FAULT_TWICE,	 /* the same, and the store has repeated it with success: err is not used */
	FAULT_UNDECIDED, /* it did not take effect, but the store cannot tell: result.ambiguous */
};

enum { MEMORY_OPS = OS_BUCKET_HEAD + 1 };

struct objstore_memory {
	struct objstore store;
	struct executor *executor;
	struct memory_bucket bucket;
	const char *bucket_name;

	/* The test may change these at any time. */
	struct {
		enum condition_support put, copy, complete, delete;
	} conditions;
	uint64_t latency;	/* ns of the executor, for requests submitted from now on */
	uint64_t part_size_min; /* of all parts but the last; S3's 5 MiB unless changed */
	size_t chunk;		/* bytes per call of a source or sink */
	unsigned list_max;	/* entries per listing at most; S3's 1000 unless changed */
	/* Called when a request is about to take effect; true: it is held until
	 * objstore_memory_release. */
	bool (*hold)(struct objstore_memory *memory, const struct os_request *request);
	/* Called at that moment as well, if not held: another writer may step in here. */
	void (*before)(struct objstore_memory *memory, const struct os_request *request);
	void *context; /* of both */

	/* Requests that were answered or held, by kind; the test may zero them. */
	unsigned count[MEMORY_OPS];
	unsigned unfinished; /* submitted and not done */

	struct memory_fault *faults; /* private from here on */
	struct memory_call *held, **held_tail;
	bool away;
};

/* Lives until objstore_destroy(&memory->store). */
struct objstore_memory *objstore_memory_create(struct executor *executor);

/* The nth request (from 1) of a kind from now on fails once with err. op -1: of any kind. */
void objstore_memory_fail(struct objstore_memory *memory, int op, unsigned nth, int err,
			  enum fault_moment moment);
/* Faults that have not struck yet. */
unsigned objstore_memory_faults_left(const struct objstore_memory *memory);
/* Requests that are held go on, in the order in which they came. */
void objstore_memory_release(struct objstore_memory *memory);
/* As if S3 could not be reached: while away requests wait, and fail with -EHOSTUNREACH at their
 * deadline. */
void objstore_memory_set_away(struct objstore_memory *memory, bool away);

/* What another client of the bucket does; takes effect at once and is not counted. text is
 * NUL-terminated; names and values alternate in meta, up to NULL (may be NULL itself). */
void objstore_memory_put(struct objstore_memory *memory, const char *key, const char *text,
			 const char *const *meta);
bool objstore_memory_remove(struct objstore_memory *memory, const char *key);
const struct memory_object *objstore_memory_find(const struct objstore_memory *memory,
						 const char *key);

#endif

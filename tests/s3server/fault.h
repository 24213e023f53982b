/* fault.h — scripted faults: a table that every request consults by operation and key, and counters
 * of what was asked for.
 *
 * Threads: any; one lock, taken only while the table is not empty.
 */
#ifndef TESTS_S3SERVER_FAULT_H
#define TESTS_S3SERVER_FAULT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

enum fault_action {
	FAULT_NONE,
	FAULT_STATUS,	    /* argument: status, code: S3 error code; nothing is applied */
	FAULT_DROP_BEFORE,  /* the connection ends, nothing is applied */
	FAULT_DROP_AFTER,   /* applied, then the connection ends without a reply */
	FAULT_STALL,	    /* argument: ms before the request is looked at */
	FAULT_STALL_AFTER,  /* argument: ms between applying and the reply */
	FAULT_TRUNCATE,	    /* argument: body bytes of the reply before the connection ends */
	FAULT_DROP_BODY,    /* argument: bytes of the request's body that are read before the
			       connection    ends, nothing is applied */
	FAULT_LENGTH,	    /* argument: is added to the reply's Content-Length, body as it is */
	FAULT_SLOW,	    /* argument: bytes of the reply's body per second */
	FAULT_STALL_BODY,   /* argument: bytes of the reply's body before it stops for ever */
	FAULT_ERROR_IN_200, /* code; status 200 with an error document, nothing is applied */
};

enum { FAULTS_MAX = 64, FAULT_OPERATION_MAX = 64, FAULT_TEXT_MAX = 1025, OPERATIONS_MAX = 64 };

struct fault {
	char operation[FAULT_OPERATION_MAX]; /* "" or "*": any */
	char key_prefix[FAULT_TEXT_MAX];
	char access_key[FAULT_OPERATION_MAX]; /* of who asks; "": anybody */
	unsigned after;			      /* so many matching requests pass first */
	unsigned count;			      /* so many are hit; 0: all */
	enum fault_action action;
	uint64_t argument;
	char code[64];
	unsigned seen, hit;
};

struct faults {
	pthread_mutex_t lock; /* items, count */
	struct fault items[FAULTS_MAX];
	unsigned count;
	atomic_bool any;
	atomic_uint_fast64_t requests[OPERATIONS_MAX]; /* by number of the operation */
};

void faults_init(struct faults *faults);
void faults_destroy(struct faults *faults);
/* "status:503:SlowDown", "drop_before", "drop_after", "stall:MS", "stall_after:MS", "truncate:N",
 * "drop_body:N", "length:N" (may be negative), "slow:BYTES", "stall_body:N",
 * "error_in_200[:CODE]". Errors: -EINVAL. */
int fault_parse_action(struct fault *fault, const char *text);
int faults_add(struct faults *faults, const struct fault *fault); /* -ENOSPC */
void faults_clear(struct faults *faults);
/* Counts the request against the table; the first entry that hits wins. authorization: the header,
 * may be NULL. */
enum fault_action faults_match(struct faults *faults, const char *operation, const char *key,
			       const char *authorization, struct fault *out);

#endif

/* retry.h — what to do after an attempt. Pure: time and randomness are given.
 *
 * Sources: AWS SDKs reference, "Retry behavior" (full jitter); Amazon S3 user guide, "Making
 * requests using the REST API: request redirection" and "Error best practices".
 */
#ifndef COMMON_S3_RETRY_H
#define COMMON_S3_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/s3/http.h"
#include "common/s3/response.h"

enum {
	RETRY_BASE_MS = 50,
	RETRY_MAX_MS = 10000,
	RETRY_TLS_MAX = 2, /* a handshake may break by accident, a certificate does not */
	RETRY_REGION_MAX = 2,
	RETRY_PROTOCOL_MAX = 3, /* answers that make no sense */
	RETRY_PROBE_MAX = 3,	/* of HeadBucket when nobody answers: a person is waiting */
};

/* How far apart the clocks must be before a 403 without a code (HEAD) is taken for a skew. S3
 * itself refuses at 15 minutes; what is sent is corrected by what the server said, so less is
 * enough. */
enum { RETRY_SKEW_SECONDS = 300 };

/* Of one request, over its attempts. Zero at the start. */
struct retry_state {
	unsigned attempts; /* that ended */
	unsigned tls_failures, protocol_failures, unanswered, region_changes;
	bool clock_corrected, credentials_renewed, style_changed;
	bool ambiguous; /* some attempt may have been applied without our knowing */
	bool repeated;	/* so it was before the one that succeeded */
};

enum retry_action {
	RETRY_FINISH,	   /* the result stands */
	RETRY_LATER,	   /* after retry_delay */
	RETRY_NOW,	   /* a kept connection was dead: nothing is overloaded */
	RETRY_REGION,	   /* at once, with the region of the decision */
	RETRY_CLOCK,	   /* at once, with the clock offset of the decision */
	RETRY_CREDENTIALS, /* at once if there are newer ones, else it stands */
	RETRY_STYLE,	   /* at once with the other style, if that is allowed; else it stands */
};

struct retry_input {
	const struct os_request *request;
	enum http_outcome outcome;
	unsigned begun;			/* of the exchange */
	const struct os_result *result; /* of the answer; err 0: success */
	const struct s3_hints *hints;
	const char *region;    /* that was signed for */
	int64_t now;	       /* wall clock, seconds, without the offset */
	int64_t clock_offset;  /* what was added to it */
	bool may_switch_style; /* only ever for HeadBucket */
	bool virtual_host;     /* the style of the attempt */
};

struct retry_decision {
	enum retry_action action;
	int err; /* of the result when there was no answer; else result->err */
	char region[REGION_MAX];
	int64_t clock_offset;
};

/* Updates state for the attempt that ended. */
struct retry_decision retry_decide(struct retry_state *state, const struct retry_input *input);

/* Full jitter: uniform in [0, min(RETRY_MAX_MS, RETRY_BASE_MS * 2^(attempts-1))], and retry_after
 * seconds at least. random: any 64 bits. Returns ns. */
uint64_t retry_delay(unsigned attempts, unsigned retry_after, uint64_t random);

#endif

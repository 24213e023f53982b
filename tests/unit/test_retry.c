#include "common/s3/retry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { NOW = 1000000 };

/* One attempt, in the words of the table. */
struct attempt {
	enum os_op op;
	enum http_outcome outcome;
	unsigned begun;
	int err, status;
	const char *code, *region;
	int64_t date; /* 0: none */
	bool may_switch, virtual_host, wrong_bucket;
};

static struct retry_decision decide(struct retry_state *state, const struct attempt *attempt)
{
	struct os_request request = {.op = attempt->op};
	struct os_result result = {.err = attempt->err, .http_status = attempt->status};
	struct s3_hints hints = {.status = attempt->status,
				 .has_date = attempt->date != 0,
				 .date = attempt->date,
				 .wrong_bucket = attempt->wrong_bucket};
	struct retry_input input = {
		.request = &request,
		.outcome = attempt->outcome,
		.begun = attempt->begun,
		.result = &result,
		.hints = &hints,
		.region = "us-east-1",
		.now = NOW,
		.may_switch_style = attempt->may_switch,
		.virtual_host = attempt->virtual_host,
	};

	if (attempt->code)
		snprintf(result.code, sizeof(result.code), "%s", attempt->code);
	if (attempt->region)
		snprintf(hints.region, sizeof(hints.region), "%s", attempt->region);
	return retry_decide(state, &input);
}

static const struct {
	struct attempt attempt;
	enum retry_action action;
	int err;
	bool ambiguous;
} remedies[] = {
	/* answers that stand */
	{{OS_PUT, HTTP_ANSWERED, 1, 0, 200, .code = ""}, RETRY_FINISH, 0, false},
	{{OS_PUT, HTTP_ANSWERED, 2, 0, 200, .code = ""}, RETRY_FINISH, 0, false},
	{{OS_GET, HTTP_ANSWERED, 1, -ENOENT, 404, .code = "NoSuchKey"},
	 RETRY_FINISH,
	 -ENOENT,
	 false},
	{{OS_PUT, HTTP_ANSWERED, 1, -ESTALE, 412, .code = "PreconditionFailed"},
	 RETRY_FINISH,
	 -ESTALE,
	 false},
	{{OS_PUT, HTTP_ANSWERED, 1, -EBUSY, 409, .code = "ConditionalRequestConflict"},
	 RETRY_FINISH,
	 -EBUSY,
	 false},
	{{OS_GET, HTTP_ANSWERED, 1, -EACCES, 403, .code = "AccessDenied"},
	 RETRY_FINISH,
	 -EACCES,
	 false},
	{{OS_PUT, HTTP_ANSWERED, 1, -EINVAL, 400, .code = "InvalidDigest"},
	 RETRY_FINISH,
	 -EINVAL,
	 false},
	{{OS_PUT, HTTP_ANSWERED, 1, -EOPNOTSUPP, 501, .code = "NotImplemented"},
	 RETRY_FINISH,
	 -EOPNOTSUPP,
	 false},
	{{OS_GET, HTTP_ANSWERED, 1, -ERANGE, 416, .code = "InvalidRange"},
	 RETRY_FINISH,
	 -ERANGE,
	 false},
	/* curl sent it twice: the 412 may be our own success */
	{{OS_PUT, HTTP_ANSWERED, 2, -ESTALE, 412, .code = "PreconditionFailed"},
	 RETRY_FINISH,
	 -ESTALE,
	 true},
	{{OS_GET, HTTP_ANSWERED, 2, -ESTALE, 412, .code = "PreconditionFailed"},
	 RETRY_FINISH,
	 -ESTALE,
	 false},
	/* answers that pass */
	{{OS_PUT, HTTP_ANSWERED, 1, -EIO, 503, .code = "SlowDown"}, RETRY_LATER, -EIO, false},
	{{OS_PUT, HTTP_ANSWERED, 1, -EIO, 503, .code = "ServiceUnavailable"},
	 RETRY_LATER,
	 -EIO,
	 false},
	{{OS_PUT, HTTP_ANSWERED, 1, -EIO, 500, .code = "InternalError"}, RETRY_LATER, -EIO, true},
	{{OS_MPU_COMPLETE, HTTP_ANSWERED, 1, -EIO, 500, .code = "InternalError"},
	 RETRY_LATER,
	 -EIO,
	 true},
	{{OS_GET, HTTP_ANSWERED, 1, -EIO, 500, .code = "InternalError"}, RETRY_LATER, -EIO, false},
	{{OS_PUT, HTTP_ANSWERED, 1, -EIO, 502, .code = ""}, RETRY_LATER, -EIO, true},
	{{OS_PUT, HTTP_ANSWERED, 1, -EIO, 504, .code = ""}, RETRY_LATER, -EIO, true},
	{{OS_GET, HTTP_ANSWERED, 1, -EIO, 429, .code = ""}, RETRY_LATER, -EIO, false},
	{{OS_PUT, HTTP_ANSWERED, 1, -EIO, 400, .code = "RequestTimeout"}, RETRY_LATER, -EIO, false},
	{{OS_PUT, HTTP_ANSWERED, 1, -EBUSY, 409, .code = "OperationAborted"},
	 RETRY_LATER,
	 -EBUSY,
	 false},
	{{OS_MPU_COMPLETE, HTTP_ANSWERED, 1, -EPROTO, 200, .code = ""}, RETRY_LATER, -EPROTO, true},
	/* no answer */
	{{OS_PUT, HTTP_NO_CONNECTION, 0, .code = ""}, RETRY_LATER, -EHOSTUNREACH, false},
	{{OS_PUT, HTTP_NO_HOST, 0, .code = ""}, RETRY_LATER, -EHOSTUNREACH, false},
	{{OS_PUT, HTTP_BROKEN, 1, .code = ""}, RETRY_NOW, -EIO, true},
	{{OS_GET, HTTP_BROKEN, 1, .code = ""}, RETRY_NOW, -EIO, false},
	{{OS_PUT, HTTP_STALLED, 1, .code = ""}, RETRY_LATER, -ETIMEDOUT, true},
	{{OS_GET, HTTP_NOT_HTTP, 1, .code = ""}, RETRY_LATER, -EPROTO, false},
	{{OS_GET, HTTP_TLS, 0, .code = ""}, RETRY_LATER, -EKEYREJECTED, false},
	{{OS_GET, HTTP_FAILED, 0, .code = ""}, RETRY_FINISH, -EIO, false},
	/* region */
	{{OS_GET, HTTP_ANSWERED, 1, -EINVAL, 400, .code = "AuthorizationHeaderMalformed",
	  .region = "eu-west-1"},
	 RETRY_REGION,
	 -EINVAL,
	 false},
	{{OS_GET, HTTP_ANSWERED, 1, -EPROTO, 301, .code = "PermanentRedirect",
	  .region = "eu-west-1"},
	 RETRY_REGION,
	 -EPROTO,
	 false},
	{{OS_PUT, HTTP_ANSWERED, 1, -EPROTO, 307, .code = "TemporaryRedirect",
	  .region = "eu-west-1"},
	 RETRY_REGION,
	 -EPROTO,
	 false},
	{{OS_HEAD, HTTP_ANSWERED, 1, -EINVAL, 400, .code = "", .region = "eu-west-1"},
	 RETRY_REGION,
	 -EINVAL,
	 false},
	{{OS_HEAD, HTTP_ANSWERED, 1, -EACCES, 403, .code = "", .region = "eu-west-1"},
	 RETRY_REGION,
	 -EACCES,
	 false},
	{{OS_GET, HTTP_ANSWERED, 1, -EACCES, 403, .code = "AccessDenied", .region = "eu-west-1"},
	 RETRY_FINISH,
	 -EACCES,
	 false},
	/* a redirect that names no other region is not followed */
	{{OS_GET, HTTP_ANSWERED, 1, -EPROTO, 301, .code = "PermanentRedirect",
	  .region = "us-east-1"},
	 RETRY_FINISH,
	 -EPROTO,
	 false},
	{{OS_GET, HTTP_ANSWERED, 1, -EPROTO, 302, .code = ""}, RETRY_FINISH, -EPROTO, false},
	{{OS_GET, HTTP_ANSWERED, 1, -EPROTO, 307, .code = "TemporaryRedirect"},
	 RETRY_LATER,
	 -EPROTO,
	 false},
	/* clock */
	{{OS_GET, HTTP_ANSWERED, 1, -EACCES, 403, .code = "RequestTimeTooSkewed",
	  .date = NOW + 1200},
	 RETRY_CLOCK,
	 -EACCES,
	 false},
	{{OS_HEAD, HTTP_ANSWERED, 1, -EACCES, 403, .code = "", .date = NOW - 1200},
	 RETRY_CLOCK,
	 -EACCES,
	 false},
	/* No clock, no region: perhaps the keys have expired. */
	{{OS_HEAD, HTTP_ANSWERED, 1, -EACCES, 403, .code = "", .date = NOW - 10},
	 RETRY_CREDENTIALS,
	 -EACCES,
	 false},
	{{OS_HEAD, HTTP_ANSWERED, 1, -EINVAL, 400, .code = ""}, RETRY_CREDENTIALS, -EINVAL, false},
	{{OS_HEAD, HTTP_ANSWERED, 1, -ENOENT, 404, .code = ""}, RETRY_FINISH, -ENOENT, false},
	{{OS_GET, HTTP_ANSWERED, 1, -EACCES, 403, .code = ""}, RETRY_FINISH, -EACCES, false},
	{{OS_GET, HTTP_ANSWERED, 1, -EACCES, 403, .code = "RequestTimeTooSkewed"},
	 RETRY_FINISH,
	 -EACCES,
	 false},
	/* credentials */
	{{OS_GET, HTTP_ANSWERED, 1, -EACCES, 400, .code = "ExpiredToken"},
	 RETRY_CREDENTIALS,
	 -EACCES,
	 false},
	/* style */
	{{OS_BUCKET_HEAD, HTTP_ANSWERED, 1, -ENXIO, 404, .code = "NoSuchBucket",
	  .may_switch = true},
	 RETRY_STYLE,
	 -ENXIO,
	 false},
	{{OS_BUCKET_HEAD, HTTP_ANSWERED, 1, -ENXIO, 404, .code = "NoSuchBucket"},
	 RETRY_FINISH,
	 -ENXIO,
	 false},
	{{OS_BUCKET_HEAD, HTTP_ANSWERED, 1, -EPROTO, 200, .code = "", .may_switch = true,
	  .wrong_bucket = true},
	 RETRY_STYLE,
	 -EPROTO,
	 false},
	{{OS_BUCKET_HEAD, HTTP_NO_HOST, 0, .code = "", .may_switch = true, .virtual_host = true},
	 RETRY_STYLE,
	 -EHOSTUNREACH,
	 false},
	{{OS_BUCKET_HEAD, HTTP_NO_HOST, 0, .code = "", .may_switch = true},
	 RETRY_LATER,
	 -EHOSTUNREACH,
	 false},
	{{OS_BUCKET_HEAD, HTTP_TLS, 0, .code = "", .may_switch = true, .virtual_host = true},
	 RETRY_STYLE,
	 -EKEYREJECTED,
	 false},
};

static void each_first_failure_has_its_remedy(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(remedies); i++) {
		struct retry_state retry = {0};
		struct retry_decision decision = decide(&retry, &remedies[i].attempt);

		if (decision.action != remedies[i].action)
			print_error("case %zu\n", i);
		assert_int_equal(decision.action, remedies[i].action);
		assert_int_equal(decision.err, remedies[i].err);
		assert_int_equal(retry.ambiguous, remedies[i].ambiguous);
		assert_int_equal(retry.attempts, 1);
	}
}

static void remedies_are_not_tried_for_ever(void **state)
{
	static const struct {
		struct attempt attempt;
		unsigned attempts; /* the one that is the last */
	} cases[] = {
		{{OS_GET, HTTP_TLS, 0, .code = ""}, RETRY_TLS_MAX},
		{{OS_GET, HTTP_NOT_HTTP, 1, .code = ""}, RETRY_PROTOCOL_MAX},
		{{OS_LIST, HTTP_ANSWERED, 1, -EPROTO, 200, .code = ""}, RETRY_PROTOCOL_MAX},
		{{OS_GET, HTTP_ANSWERED, 1, -EPROTO, 301, .code = "PermanentRedirect",
		  .region = "eu-west-1"},
		 RETRY_REGION_MAX + 1},
		{{OS_GET, HTTP_ANSWERED, 1, -EACCES, 403, .code = "RequestTimeTooSkewed",
		  .date = NOW + 1200},
		 2},
		{{OS_GET, HTTP_ANSWERED, 1, -EACCES, 400, .code = "ExpiredToken"}, 2},
		/* somebody waits for the mount */
		{{OS_BUCKET_HEAD, HTTP_NO_CONNECTION, 0, .code = ""}, RETRY_PROBE_MAX},
		{{OS_BUCKET_HEAD, HTTP_STALLED, 1, .code = ""}, RETRY_PROBE_MAX},
		/* an outage is waited out until the deadline, which is not decided here */
		{{OS_PUT, HTTP_NO_CONNECTION, 0, .code = ""}, 0},
		{{OS_PUT, HTTP_BROKEN, 1, .code = ""}, 0},
		{{OS_PUT, HTTP_ANSWERED, 1, -EIO, 503, .code = "SlowDown"}, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct retry_state retry = {0};
		unsigned last = 0;

		for (unsigned n = 1; n <= 50 && !last; n++) {
			if (decide(&retry, &cases[i].attempt).action == RETRY_FINISH)
				last = n;
		}
		assert_int_equal(last, cases[i].attempts);
	}
}

static void what_may_have_been_applied_stays_in_doubt(void **state)
{
	static const struct attempt lost = {OS_PUT, HTTP_BROKEN, 1, .code = ""};
	static const struct attempt refused = {
		OS_PUT, HTTP_ANSWERED, 1, -ESTALE, 412, .code = "PreconditionFailed"};
	static const struct attempt done = {OS_PUT, HTTP_ANSWERED, 1, 0, 200, .code = ""};
	struct retry_state retry = {0};

	(void)state;
	decide(&retry, &lost);
	assert_true(retry.ambiguous);
	assert_int_equal(decide(&retry, &refused).action, RETRY_FINISH);
	assert_true(retry.ambiguous);

	memset(&retry, 0, sizeof(retry));
	decide(&retry, &lost);
	decide(&retry, &done);
	assert_false(retry.ambiguous);
}

static void the_corrections_say_what_to_correct(void **state)
{
	static const struct attempt moved = {OS_GET,
					     HTTP_ANSWERED,
					     1,
					     -EPROTO,
					     301,
					     .code = "PermanentRedirect",
					     .region = "eu-west-1"};
	static const struct attempt skewed = {OS_GET,
					      HTTP_ANSWERED,
					      1,
					      -EACCES,
					      403,
					      .code = "RequestTimeTooSkewed",
					      .date = NOW - 1200};
	struct retry_state retry = {0};

	(void)state;
	assert_string_equal(decide(&retry, &moved).region, "eu-west-1");
	assert_true(decide(&retry, &skewed).clock_offset == -1200);
}

static void delays_grow_are_spread_and_bounded(void **state)
{
	uint64_t highest[20] = {0}, random = 1;

	(void)state;
	for (unsigned attempts = 1; attempts < COUNT(highest); attempts++) {
		uint64_t limit = attempts < 9 ? (uint64_t)RETRY_BASE_MS << (attempts - 1)
					      : RETRY_MAX_MS;

		if (limit > RETRY_MAX_MS)
			limit = RETRY_MAX_MS;
		limit *= NSEC_PER_MSEC;
		for (int i = 0; i < 1000; i++) {
			uint64_t delay;

			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			delay = retry_delay(attempts, 0, random);
			assert_true(delay <= limit);
			if (delay > highest[attempts])
				highest[attempts] = delay;
		}
		assert_true(highest[attempts] > limit / 2);
	}
	assert_int_equal(retry_delay(1, 0, 0), 0);
	assert_true(retry_delay(1, 7, 0) == 7 * NSEC_PER_SEC);
	assert_true(retry_delay(1000000, 0, UINT64_MAX) <= RETRY_MAX_MS * NSEC_PER_MSEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_first_failure_has_its_remedy),
		cmocka_unit_test(remedies_are_not_tried_for_ever),
		cmocka_unit_test(what_may_have_been_applied_stays_in_doubt),
		cmocka_unit_test(the_corrections_say_what_to_correct),
		cmocka_unit_test(delays_grow_are_spread_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

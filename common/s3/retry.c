#include "common/s3/retry.h"

#include <errno.h>
#include <string.h>

#include "common/executor.h"
#include "common/s3/request.h"

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

uint64_t retry_delay(unsigned attempts, unsigned retry_after, uint64_t random)
{
	unsigned shift = attempts > 0 ? attempts - 1 : 0;
	uint64_t limit = RETRY_MAX_MS * NSEC_PER_MSEC, delay;

	if (shift < 16 && (RETRY_BASE_MS * NSEC_PER_MSEC) << shift < limit)
		limit = (RETRY_BASE_MS * NSEC_PER_MSEC) << shift;
	delay = random % (limit + 1);
	if (delay < retry_after * NSEC_PER_SEC)
		delay = retry_after * NSEC_PER_SEC;
	return delay;
}

static bool finish(struct retry_decision *decision, int err)
{
	decision->action = RETRY_FINISH;
	decision->err = err;
	return true;
}

/* The request may have reached the server, and no answer says what became of it. */
static void note_unanswered(struct retry_state *state, const struct retry_input *input)
{
	if (input->begun > 0 && !os_op_is_read(input->request->op))
		state->ambiguous = true;
}

/* "bucket.host" may have no address and no certificate where "host" has. */
static bool may_fall_back(const struct retry_state *state, const struct retry_input *input)
{
	return input->may_switch_style && input->virtual_host && !state->style_changed;
}

static struct retry_decision decide_unanswered(struct retry_state *state,
					       const struct retry_input *input)
{
	struct retry_decision decision = {.action = RETRY_LATER};
	bool probe = input->request->op == OS_BUCKET_HEAD;

	state->unanswered++;
	note_unanswered(state, input);
	switch (input->outcome) {
	case HTTP_NO_HOST:
		decision.err = -EHOSTUNREACH;
		if (may_fall_back(state, input))
			decision.action = RETRY_STYLE;
		break;
	case HTTP_NO_CONNECTION: decision.err = -EHOSTUNREACH; break;
	case HTTP_TLS:
		decision.err = -EKEYREJECTED;
		if (may_fall_back(state, input))
			decision.action = RETRY_STYLE;
		else if (++state->tls_failures >= RETRY_TLS_MAX)
			finish(&decision, -EKEYREJECTED);
		break;
	case HTTP_BROKEN:
		decision.err = -EIO;
		if (state->unanswered == 1)
			decision.action = RETRY_NOW;
		break;
	case HTTP_STALLED: decision.err = -ETIMEDOUT; break;
	case HTTP_NOT_HTTP:
		decision.err = -EPROTO;
		if (++state->protocol_failures >= RETRY_PROTOCOL_MAX)
			finish(&decision, -EPROTO);
		break;
	default: finish(&decision, -EIO); break;
	}
	if (probe && state->unanswered >= RETRY_PROBE_MAX && decision.action != RETRY_STYLE)
		finish(&decision, decision.err);
	return decision;
}

static bool is_redirect(const struct retry_input *input)
{
	int status = input->hints->status;
	const char *code = input->result->code;

	if (status == 301 || status == 302 || status == 307 || status == 308)
		return true;
	return is(code, "AuthorizationHeaderMalformed") || is(code, "PermanentRedirect") ||
	       is(code, "TemporaryRedirect") || is(code, "IllegalLocationConstraintException");
}

/* HEAD of a bucket in another region answers 400 or 403 without a body, but with the region. */
static bool tells_other_region(const struct retry_input *input)
{
	const char *region = input->hints->region;

	if (!region[0] || is(region, input->region))
		return false;
	return is_redirect(input) || (!input->result->code[0] &&
				      (input->hints->status == 400 || input->hints->status == 403));
}

static bool decide_redirect(struct retry_state *state, const struct retry_input *input,
			    struct retry_decision *decision)
{
	if (tells_other_region(input) && state->region_changes < RETRY_REGION_MAX) {
		state->region_changes++;
		decision->action = RETRY_REGION;
		memcpy(decision->region, input->hints->region, sizeof(decision->region));
		return true;
	}
	if (!is_redirect(input))
		return false;
	if (input->may_switch_style && !state->style_changed) {
		decision->action = RETRY_STYLE;
		return true;
	}
	/* A new bucket of AWS answers 307 until its name has spread. */
	if (input->hints->status == 307 && is(input->result->code, "TemporaryRedirect")) {
		decision->action = RETRY_LATER;
		return true;
	}
	return finish(decision, input->result->err);
}

static bool decide_clock(struct retry_state *state, const struct retry_input *input,
			 struct retry_decision *decision)
{
	const struct s3_hints *hints = input->hints;
	const char *code = input->result->code;
	int64_t offset = hints->date - input->now, change = offset - input->clock_offset;

	if (state->clock_corrected || !hints->has_date || hints->status != 403)
		return false;
	if (change < 0)
		change = -change;
	/* Ceph before 17 reports a skew as a plain AccessDenied or RequestTimeTooSkewed. */
	if (!is(code, "RequestTimeTooSkewed") && change < RETRY_SKEW_SECONDS)
		return false;
	state->clock_corrected = true;
	decision->action = RETRY_CLOCK;
	decision->clock_offset = offset;
	return true;
}

/* The answer to a HEAD has no code. */
static bool may_be_expired_head(const struct retry_input *input)
{
	return input->request->op == OS_HEAD && !input->result->code[0] &&
	       (input->hints->status == 400 || input->hints->status == 403);
}

static bool decide_access(struct retry_state *state, const struct retry_input *input,
			  struct retry_decision *decision)
{
	const char *code = input->result->code;

	if (!is(code, "ExpiredToken") && !is(code, "InvalidToken") &&
	    !is(code, "InvalidAccessKeyId") && !may_be_expired_head(input))
		return false;
	if (state->credentials_renewed)
		return finish(decision, input->result->err);
	state->credentials_renewed = true;
	decision->action = RETRY_CREDENTIALS;
	return true;
}

/* The bucket is not where we looked, or what answers does not know virtual hosts. */
static bool decide_style(struct retry_state *state, const struct retry_input *input,
			 struct retry_decision *decision)
{
	const struct os_result *result = input->result;

	if (input->request->op != OS_BUCKET_HEAD || !input->may_switch_style ||
	    state->style_changed)
		return false;
	if (!is(result->code, "NoSuchBucket") && !is(result->code, "SecondLevelDomainForbidden") &&
	    !input->hints->wrong_bucket && result->err != -EPROTO && result->err != -ENOENT &&
	    result->err != -EINVAL)
		return false;
	decision->action = RETRY_STYLE;
	return true;
}

static bool is_transient(const struct retry_input *input)
{
	static const char *const codes[] = {"RequestTimeout",	"RequestTimeoutException",
					    "InternalError",	"SlowDown",
					    "OperationAborted", "TooManyRequests"};
	int status = input->hints->status;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (is(codes[i], input->result->code))
			return true;
	}
	return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 ||
	       status == 503 || status == 504;
}

/* S3 throttles before it works; any other 5xx, and what a proxy says, may come after the work was
 * done. */
static bool is_clearly_not_applied(const struct retry_input *input)
{
	const char *code = input->result->code;

	return input->hints->status < 500 || input->hints->status == 501 || is(code, "SlowDown") ||
	       is(code, "ServiceUnavailable");
}

static struct retry_decision decide_answered(struct retry_state *state,
					     const struct retry_input *input)
{
	const struct os_result *result = input->result;
	struct retry_decision decision = {.action = RETRY_LATER, .err = result->err};

	/* A success that says nothing sensible may be one. */
	if (!is_clearly_not_applied(input) ||
	    (result->err == -EPROTO && input->hints->status < 300))
		note_unanswered(state, input);
	/* curl sent it twice: the first time may be the cause of this answer. */
	if (input->begun > 1)
		note_unanswered(state, input);
	if (result->err == 0) {
		state->repeated = state->ambiguous;
		state->ambiguous = false;
		finish(&decision, 0);
		return decision;
	}
	if (decide_redirect(state, input, &decision) || decide_clock(state, input, &decision) ||
	    decide_access(state, input, &decision) || decide_style(state, input, &decision))
		return decision;
	if (result->err == -EPROTO && ++state->protocol_failures >= RETRY_PROTOCOL_MAX)
		finish(&decision, result->err);
	else if (result->err != -EPROTO && !is_transient(input))
		finish(&decision, result->err);
	return decision;
}

struct retry_decision retry_decide(struct retry_state *state, const struct retry_input *input)
{
	state->attempts++;
	if (input->outcome == HTTP_ANSWERED)
		return decide_answered(state, input);
	return decide_unanswered(state, input);
}

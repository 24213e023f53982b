#include "fs/upload/upload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* Who publishes tries again by itself, and tells meanwhile that it has failed. */
#define DEADLINE_SMALL_PUT (15 * NSEC_PER_SEC)

enum {
	SMALL_BODY = 128 * 1024,
	INTENT_STEP = 256,
	ATTEMPTS_MAX = 4, /* each after a HEAD that told what has become of the one before */
};

void uploader_init(struct uploader *uploader, struct env *env, uint64_t part_size, unsigned width,
		   uint64_t next_intent)
{
	*uploader = (struct uploader){
		.env = env,
		.part_size = part_size,
		.width = width,
		.next_intent = next_intent,
		.reserved_intents = next_intent,
	};
	wait_queue_init(&uploader->part_ended);
	list_init(&uploader->uploads);
}

uint64_t uploader_intent_id(struct uploader *uploader)
{
	if (uploader->next_intent == uploader->reserved_intents) {
		uploader->reserved_intents += INTENT_STEP;
		journal_put_counters(uploader->env->journal, 0, 0, uploader->reserved_intents);
	}
	return uploader->next_intent++;
}

bool os_meta_equal(const struct os_meta *a, const struct os_meta *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const char *other = os_meta_get(b, a->items[i].name);

		if (!other || strcmp(other, a->items[i].value) != 0)
			return false;
	}
	return true;
}

void upload_outcome_from(struct upload_outcome *outcome, const struct os_result *result)
{
	outcome->err = result->err;
	outcome->ambiguous = result->ambiguous;
	outcome->haunted |= result->ambiguous;
	snprintf(outcome->etag, sizeof(outcome->etag), "%s", result->etag);
	snprintf(outcome->code, sizeof(outcome->code), "%s", result->code);
	snprintf(outcome->message, sizeof(outcome->message), "%s", result->message);
}

struct os_condition upload_condition(const struct upload_job *job, bool supported_match,
				     bool supported_none)
{
	struct os_condition condition = {NULL, false, NULL};

	if (job->unconditional)
		return condition;
	if (job->base_etag[0] && supported_match)
		condition.if_match = job->base_etag;
	if (!job->base_etag[0] && supported_none)
		condition.if_none_match_any = true;
	return condition;
}

int upload_plan(const struct uploader *uploader, uint64_t size, uint64_t base_len,
		const struct extent_set *changed, struct plan *plan)
{
	if (size > uploader->env->sizes->put_max)
		return plan_create(plan, uploader->env->sizes, size, base_len, changed,
				   uploader->part_size);
	plan->count = 1;
	plan->parts = calloc(1, sizeof(*plan->parts));
	if (!plan->parts)
		return -ENOMEM;
	plan->parts[0].end = size;
	return 0;
}

static enum remote_state judge(const struct upload_job *job, const struct os_result *found,
			       const char *put_id)
{
	if (strcmp(put_id, job->put_id) == 0)
		return found->size == job->body.len ? REMOTE_OURS : REMOTE_FOREIGN;
	if (strcmp(found->etag, job->base_etag) == 0)
		return REMOTE_BASE;
	return put_id_is_attempt(put_id, job->put_id, job->base_put_id) ? REMOTE_EARLIER
									: REMOTE_FOREIGN;
}

enum remote_state upload_look(struct uploader *uploader, const struct upload_job *job,
			      struct upload_outcome *outcome)
{
	struct os_request head = {.op = OS_HEAD, .key = job->key, .urgent = true};
	enum remote_state state;
	int err = env_s3(uploader->env, &head);

	if (err == -ENOENT) {
		state = job->base_etag[0] ? REMOTE_GONE : REMOTE_BASE;
	} else if (err) {
		upload_outcome_from(outcome, &head.result);
		state = REMOTE_UNKNOWN;
	} else {
		const char *put_id = os_meta_get(&head.result.meta, META_PUT_ID);

		snprintf(outcome->etag, sizeof(outcome->etag), "%s", head.result.etag);
		snprintf(outcome->put_id, sizeof(outcome->put_id), "%s", put_id ? put_id : "");
		state = judge(job, &head.result, outcome->put_id);
	}
	os_request_free_result(&head);
	return state;
}

static void put(struct uploader *uploader, const struct upload_job *job,
		struct upload_outcome *outcome, bool *ambiguous)
{
	struct os_request request = {
		.op = OS_PUT,
		.key = job->key,
		.condition = upload_condition(job, uploader->can.put_if_match,
					      uploader->can.put_if_none_match),
		.meta = job->meta,
		.headers = job->headers,
		.content_type = job->content_type,
		.body = job->body,
		.deadline = job->body.len <= SMALL_BODY
				    ? env_after(uploader->env, DEADLINE_SMALL_PUT)
				    : env_bulk_deadline(uploader->env, job->body.len),
		.urgent = job->body.len <= SMALL_BODY,
	};

	struct os_meta own = OS_META_INIT;

	if (upload_add_tags(uploader, job->key, &request.headers, &own, outcome) == 0) {
		late_run(uploader, &request);
		upload_outcome_from(outcome, &request.result);
		*ambiguous = request.result.ambiguous;
		os_request_free_result(&request);
	}
	os_meta_free(&own);
}

/* Where the server has no conditions a HEAD just before is the best there is; the mount's log has
 * said so. That of a multipart upload comes after its parts: see multipart_upload. */
static bool must_look_first(const struct uploader *uploader, const struct upload_job *job,
			    bool single)
{
	if (job->unconditional || !single)
		return false;
	return job->base_etag[0] ? !uploader->can.put_if_match : !uploader->can.put_if_none_match;
}

/* One attempt. Returns true when outcome is final. */
static bool attempt(struct uploader *uploader, struct upload_job *job, const struct plan *plan,
		    struct upload_outcome *outcome, bool look_first)
{
	bool single = job->body.len <= uploader->env->sizes->put_max &&
		      (job->body.len == 0 || !late_meets_body(uploader, job->key, &job->body));
	bool ambiguous = false;
	enum remote_state state = REMOTE_BASE;

	if (look_first || must_look_first(uploader, job, single))
		state = upload_look(uploader, job, outcome);
	if (state == REMOTE_BASE || (state == REMOTE_GONE && !job->base_etag[0])) {
		if (single)
			put(uploader, job, outcome, &ambiguous);
		else
			multipart_upload(uploader, job, plan, outcome, &ambiguous);
		if (outcome->err != -ESTALE && !ambiguous)
			return outcome->err != -EBUSY;
		outcome->haunted |= ambiguous;
		state = upload_look(uploader, job, outcome);
		look_first = true;
	}
	outcome->ambiguous = state == REMOTE_UNKNOWN && look_first;
	switch (state) {
	case REMOTE_OURS: outcome->err = 0; return true;
	case REMOTE_FOREIGN: outcome->err = -ESTALE; return true;
	case REMOTE_EARLIER:
		/* Outside of what we have changed it is the same as the base. */
		snprintf(job->own_base, sizeof(job->own_base), "%s", outcome->etag);
		job->base_etag = job->own_base;
		memcpy(job->own_base_put_id, outcome->put_id, sizeof(job->own_base_put_id));
		job->base_put_id = job->own_base_put_id;
		return false;
	case REMOTE_GONE:
		/* Others deleted it while we changed it: our bytes win, as a new object. */
		job->base_etag = "";
		job->base_len = 0;
		return false;
	case REMOTE_UNKNOWN: return true;
	case REMOTE_BASE: break;
	}
	return false;
}

void upload_run(struct uploader *uploader, const struct upload_job *job,
		struct upload_outcome *outcome)
{
	struct upload_job now = *job;
	struct plan plan = {NULL, 0};
	int err;

	memset(outcome, 0, sizeof(*outcome));
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		plan_free(&plan);
		err = upload_plan(uploader, now.body.len, now.base_len, now.changed, &plan);
		if (err) {
			outcome->err = err;
			snprintf(outcome->message, sizeof(outcome->message),
				 "%llu bytes do not fit into one object",
				 (unsigned long long)now.body.len);
			break;
		}
		outcome->err = -EBUSY;
		if (attempt(uploader, &now, &plan, outcome, i > 0))
			break;
		/* The copied ranges have gone with the base; the caller must make them ready first.
		 */
		if (job->base_len > 0 && now.base_len == 0 &&
		    job->body.len > uploader->env->sizes->put_max) {
			outcome->err = -ENOENT;
			break;
		}
		fiber_sleep_until(env_after(uploader->env, 50 * NSEC_PER_MSEC), WAIT_PLAIN);
	}
	plan_free(&plan);
}

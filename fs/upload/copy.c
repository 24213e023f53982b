/* copy.c — server-side copies; part of upload.h. */
#include <errno.h>
#include <string.h>

#include "fs/upload/multipart.h"
#include "fs/upload/upload.h"

enum { COPIES_MAX = 4 };

static struct os_condition target_condition(const struct copy_job *job, bool supported)
{
	struct os_condition condition = {NULL, false, NULL};

	if (!supported || !job->target_etag)
		return condition;
	if (job->target_etag[0])
		condition.if_match = job->target_etag;
	else
		condition.if_none_match_any = true;
	return condition;
}

static void copy_single(struct uploader *uploader, const struct copy_job *job,
			struct upload_outcome *outcome)
{
	struct os_request request = {
		.op = OS_COPY,
		.key = job->target,
		.source_key = job->source,
		.source_if_match = job->source_etag[0] ? job->source_etag : NULL,
		.condition = target_condition(job, uploader->can.copy),
		.replace_meta = job->replace_meta,
		.meta = job->replace_meta ? job->meta : NULL,
		.headers = job->headers,
		.content_type = job->content_type,
		.deadline = env_after(uploader->env, DEADLINE_BULK),
	};

	late_run(uploader, &request);
	upload_outcome_from(outcome, &request.result);
	os_request_free_result(&request);
}

static uint64_t part_size(const struct uploader *uploader, uint64_t size)
{
	uint64_t least = size / OS_PART_COUNT_MAX + 1, usual = uploader->env->sizes->copy_part;

	return least > usual ? least : usual;
}

/* Returns how many parts it has, all of them copied unless outcome or multipart->failure says
 * otherwise. */
static size_t send_parts(struct multipart *multipart, const struct copy_job *job,
			 struct upload_outcome *outcome)
{
	struct uploader *uploader = multipart->uploader;
	uint64_t step = part_size(uploader, job->size);
	size_t count = 0;

	for (uint64_t start = 0; start < job->size && !outcome->err && !multipart->failure.err;
	     start += step) {
		uint64_t end = job->size - start < step ? job->size : start + step;

		while (uploader->parts_running >= uploader->width)
			fiber_wait(&uploader->part_ended, DEADLINE_NONE, WAIT_PLAIN);
		outcome->err = multipart_send_copy(multipart, count++, start, end, job->source,
						   job->source_etag);
	}
	multipart_wait(multipart);
	if (multipart->failure.err)
		*outcome = multipart->failure;
	return count;
}

static void copy_parts(struct uploader *uploader, const struct copy_job *job,
		       struct upload_outcome *outcome)
{
	const struct os_meta *headers = job->headers;
	struct os_meta own = OS_META_INIT;
	struct multipart *multipart;
	bool ambiguous = false;
	size_t count;
	int err = upload_add_tags(uploader, job->source, &headers, &own, outcome);

	if (!err)
		err = multipart_begin(uploader, job->target, job->meta, headers, job->content_type,
				      outcome, &multipart);
	os_meta_free(&own);
	if (err)
		return;
	count = send_parts(multipart, job, outcome);
	if (!outcome->err)
		multipart_complete(multipart, count, target_condition(job, uploader->can.complete),
				   outcome, &ambiguous);
	outcome->ambiguous = ambiguous;
	multipart_end(multipart, outcome->err == 0);
}

/* Above the limit of CopyObject: a multipart upload that consists of copied parts. It does not take
 * over the source's metadata by itself, and its parts must be of one version. */
static void copy_large(struct uploader *uploader, const struct copy_job *job,
		       struct upload_outcome *outcome)
{
	struct os_request head = {.op = OS_HEAD, .key = job->source};
	struct copy_job now = *job;

	if (job->replace_meta && job->source_etag[0]) {
		copy_parts(uploader, job, outcome);
		return;
	}
	env_s3(uploader->env, &head);
	upload_outcome_from(outcome, &head.result);
	if (!outcome->err && job->source_etag[0] && strcmp(job->source_etag, head.result.etag) != 0)
		outcome->err = -ESTALE;
	if (!outcome->err) {
		now.source_etag = head.result.etag;
		now.size = head.result.size;
		if (!job->replace_meta) {
			now.meta = &head.result.meta;
			now.headers = &head.result.headers;
			now.content_type = head.result.content_type;
		}
		copy_parts(uploader, &now, outcome);
	}
	os_request_free_result(&head);
}

/* A lost reply, and a retry that met what the first attempt had made, are told by the put-id. */
static void look_again(struct uploader *uploader, const struct copy_job *job,
		       struct upload_outcome *outcome)
{
	const char *ours = job->replace_meta ? os_meta_get(job->meta, META_PUT_ID) : NULL;
	struct os_request head = {.op = OS_HEAD, .key = job->target, .urgent = true};
	const char *there;

	if (!ours || (outcome->err != -ESTALE && !outcome->ambiguous))
		return;
	if (env_s3(uploader->env, &head) == 0) {
		there = os_meta_get(&head.result.meta, META_PUT_ID);
		if (there && strcmp(there, ours) == 0)
			upload_outcome_from(outcome, &head.result);
	}
	os_request_free_result(&head);
}

/* A directory's marker has no bytes, only metadata; some servers (versitygw) refuse to copy one. */
static bool is_marker(const struct copy_job *job)
{
	size_t len = strlen(job->source);

	return job->size == 0 && len > 0 && job->source[len - 1] == '/';
}

static void make_marker(struct uploader *uploader, const struct copy_job *job,
			struct upload_outcome *outcome)
{
	struct os_request head = {.op = OS_HEAD, .key = job->source, .urgent = true};
	struct os_memory nothing = {"", 0};
	struct os_meta own = OS_META_INIT;
	struct os_request put = {
		.op = OS_PUT,
		.key = job->target,
		.body = os_source_memory(&nothing),
		.deadline = env_after(uploader->env, DEADLINE_BULK),
	};
	bool can = job->target_etag && job->target_etag[0] ? uploader->can.put_if_match
							   : uploader->can.put_if_none_match;

	env_s3(uploader->env, &head);
	upload_outcome_from(outcome, &head.result);
	put.headers = job->replace_meta ? job->headers : &head.result.headers;
	if (!outcome->err)
		upload_add_tags(uploader, job->source, &put.headers, &own, outcome);
	if (!outcome->err) {
		put.condition = target_condition(job, can);
		put.meta = job->replace_meta ? job->meta : &head.result.meta;
		put.content_type = job->replace_meta ? job->content_type : head.result.content_type;
		env_s3(uploader->env, &put);
		upload_outcome_from(outcome, &put.result);
		os_request_free_result(&put);
	}
	os_meta_free(&own);
	os_request_free_result(&head);
}

void copy_run(struct uploader *uploader, const struct copy_job *job, struct upload_outcome *outcome)
{
	bool in_parts = job->size > uploader->env->sizes->copy_max ||
			(job->size > 0 && late_meets_copy(uploader, job->target, job->source_etag));

	for (int i = 0; i < COPIES_MAX; i++) {
		memset(outcome, 0, sizeof(*outcome));
		if (in_parts)
			copy_large(uploader, job, outcome);
		else
			copy_single(uploader, job, outcome);
		/* 409: another request on the same key was in the way. */
		if (outcome->err != -EBUSY || outcome->ambiguous)
			break;
		fiber_sleep_until(env_after(uploader->env, 50 * NSEC_PER_MSEC), WAIT_PLAIN);
	}
	if (outcome->err == -EINVAL && is_marker(job))
		make_marker(uploader, job, outcome);
	if (outcome->err)
		look_again(uploader, job, outcome);
}

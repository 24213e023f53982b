/* copy.c — server-side copies; part of upload.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/upload/upload.h"

/* CopyObject API page: objects up to 5 GB. */
#define COPY_SINGLE_MAX PART_MAX

static void copy_single(struct uploader *uploader, const struct copy_job *job,
                        struct upload_outcome *outcome)
{
	struct os_request request = {
	        .op = OS_COPY,
	        .key = job->target,
	        .source_key = job->source,
	        .source_if_match = job->source_etag[0] ? job->source_etag : NULL,
	        .replace_meta = job->replace_meta,
	        .meta = job->replace_meta ? job->meta : NULL,
	        .headers = job->headers,
	        .content_type = job->content_type,
	        .deadline = env_after(uploader->env, DEADLINE_BULK),
	};

	if (uploader->can.copy && job->target_etag) {
		if (job->target_etag[0])
			request.condition.if_match = job->target_etag;
		else
			request.condition.if_none_match_any = true;
	}
	env_s3(uploader->env, &request);
	upload_outcome_from(outcome, &request.result);
	os_request_free_result(&request);
}

/* Above the limit of CopyObject: a multipart upload that consists of copied parts. */
static void copy_parts(struct uploader *uploader, const struct copy_job *job,
                       struct upload_outcome *outcome)
{
	static const struct extent_set nothing = EXTENT_SET_INIT;
	struct os_request create = {
	        .op = OS_MPU_CREATE,
	        .key = job->target,
	        .meta = job->meta,
	        .headers = job->headers,
	        .content_type = job->content_type,
	};
	struct os_part *parts = NULL;
	struct plan plan = {NULL, 0};
	int err = plan_create(&plan, job->size, job->size, &nothing, uploader->part_size);

	if (!err)
		parts = calloc(plan.count, sizeof(*parts));
	if (!err && !parts)
		err = -ENOMEM;
	if (err) {
		outcome->err = err;
		plan_free(&plan);
		return;
	}
	outcome->err = env_s3(uploader->env, &create);
	upload_outcome_from(outcome, &create.result);
	for (size_t i = 0; i < plan.count && !outcome->err; i++) {
		struct os_request part = {
		        .op = OS_MPU_PART_COPY,
		        .key = job->target,
		        .source_key = job->source,
		        .source_if_match = job->source_etag[0] ? job->source_etag : NULL,
		        .upload_id = create.result.upload_id,
		        .part_number = (unsigned)i + 1,
		        .has_range = true,
		        .range_first = plan.parts[i].start,
		        .range_len = plan.parts[i].end - plan.parts[i].start,
		        .deadline = env_after(uploader->env, DEADLINE_BULK),
		};

		env_s3(uploader->env, &part);
		upload_outcome_from(outcome, &part.result);
		parts[i].number = (unsigned)i + 1;
		memcpy(parts[i].etag, part.result.etag, OS_ETAG_MAX);
		os_request_free_result(&part);
	}
	if (!outcome->err) {
		struct os_request complete = {
		        .op = OS_MPU_COMPLETE,
		        .key = job->target,
		        .upload_id = create.result.upload_id,
		        .parts = parts,
		        .part_count = plan.count,
		        .deadline = env_after(uploader->env, DEADLINE_BULK),
		};

		env_s3(uploader->env, &complete);
		upload_outcome_from(outcome, &complete.result);
		os_request_free_result(&complete);
	}
	if (outcome->err && create.result.upload_id[0]) {
		struct os_request abort_request = {
		        .op = OS_MPU_ABORT,
		        .key = job->target,
		        .upload_id = create.result.upload_id,
		};

		env_s3(uploader->env, &abort_request);
		os_request_free_result(&abort_request);
	}
	os_request_free_result(&create);
	free(parts);
	plan_free(&plan);
}

void copy_run(struct uploader *uploader, const struct copy_job *job, struct upload_outcome *outcome)
{
	memset(outcome, 0, sizeof(*outcome));
	if (job->size <= COPY_SINGLE_MAX)
		copy_single(uploader, job, outcome);
	else
		copy_parts(uploader, job, outcome);
}

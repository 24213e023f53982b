/* multipart.c — a multipart upload by plan, parts side by side; part of upload.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "fs/upload/upload.h"

struct part_job {
	struct s3_batch_item item;
	struct multipart *multipart;
	struct os_source whole;
	uint64_t start;
	size_t index;
};

struct multipart {
	struct uploader *uploader;
	const struct upload_job *job;
	char upload_id[OS_UPLOAD_ID_MAX];
	uint64_t intent;
	struct os_part *parts;
	struct upload_outcome *outcome;
	int err; /* the first failure of a part */
};

static int read_part(void *context, void *data, size_t len, uint64_t offset)
{
	struct part_job *part = context;

	return part->whole.read(part->whole.context, data, len, part->start + offset);
}

static void part_finished(struct s3_batch_item *item)
{
	struct part_job *part = container_of(item, struct part_job, item);
	struct multipart *multipart = part->multipart;

	if (item->request.result.err && !multipart->err) {
		multipart->err = item->request.result.err;
		upload_outcome_from(multipart->outcome, &item->request.result);
	}
	memcpy(multipart->parts[part->index].etag, item->request.result.etag, OS_ETAG_MAX);
	os_request_free_result(&item->request);
	free(part);
}

static int start_part(struct multipart *multipart, struct s3_batch *batch,
                      const struct plan_part *planned, size_t index)
{
	const struct upload_job *job = multipart->job;
	struct part_job *part = calloc(1, sizeof(*part));

	if (!part)
		return -ENOMEM;
	part->multipart = multipart;
	part->whole = job->body;
	part->start = planned->start;
	part->index = index;
	multipart->parts[index].number = (unsigned)index + 1;
	part->item.finished = part_finished;
	part->item.request = (struct os_request){
	        .op = planned->copy ? OS_MPU_PART_COPY : OS_MPU_PART,
	        .key = job->key,
	        .upload_id = multipart->upload_id,
	        .part_number = (unsigned)index + 1,
	        .deadline = env_after(multipart->uploader->env, DEADLINE_BULK),
	};
	if (planned->copy) {
		part->item.request.source_key = job->key;
		part->item.request.source_if_match = job->base_etag;
		part->item.request.has_range = true;
		part->item.request.range_first = planned->start;
		part->item.request.range_len = planned->end - planned->start;
	} else {
		part->item.request.body = (struct os_source){read_part, part,
		                                             planned->end - planned->start};
	}
	s3_batch_submit(batch, &part->item);
	return 0;
}

static int create(struct multipart *multipart)
{
	struct uploader *uploader = multipart->uploader;
	const struct upload_job *job = multipart->job;
	struct os_request request = {
	        .op = OS_MPU_CREATE,
	        .key = job->key,
	        .meta = job->meta,
	        .headers = job->headers,
	        .content_type = job->content_type,
	};
	struct journal_intent intent;
	uint64_t sequence;
	int err = env_s3(uploader->env, &request);

	if (err) {
		upload_outcome_from(multipart->outcome, &request.result);
		os_request_free_result(&request);
		return err;
	}
	memcpy(multipart->upload_id, request.result.upload_id, OS_UPLOAD_ID_MAX);
	os_request_free_result(&request);
	multipart->intent = uploader_intent_id(uploader);
	intent = (struct journal_intent){multipart->intent, INTENT_MPU, job->key,
	                                 multipart->upload_id, ""};
	sequence = journal_put_intent(uploader->env->journal, &intent);
	err = journal_wait(uploader->env->journal, sequence, JOURNAL_COMMITTED);
	if (err) {
		multipart->outcome->err = err;
		snprintf(multipart->outcome->message, sizeof(multipart->outcome->message),
		         "the journal failed: %s", strerror(-err));
	}
	return err;
}

static void abort_upload(struct multipart *multipart)
{
	struct os_request request = {
	        .op = OS_MPU_ABORT,
	        .key = multipart->job->key,
	        .upload_id = multipart->upload_id,
	};
	int err = env_s3(multipart->uploader->env, &request);

	/* The intent stays when the abort failed: the next mount tries again. */
	if (err == 0)
		journal_drop_intent(multipart->uploader->env->journal, multipart->intent);
	else
		log_warning("cannot abort the multipart upload of %s: %s; the next mount will",
		            multipart->job->key, request.result.message);
	os_request_free_result(&request);
}

static void complete(struct multipart *multipart, size_t count, bool *ambiguous)
{
	struct uploader *uploader = multipart->uploader;
	bool can = uploader->can.complete;
	struct os_request request = {
	        .op = OS_MPU_COMPLETE,
	        .key = multipart->job->key,
	        .upload_id = multipart->upload_id,
	        .parts = multipart->parts,
	        .part_count = count,
	        .condition = upload_condition(multipart->job, can, can),
	        .deadline = env_after(uploader->env, DEADLINE_BULK),
	};
	int err = env_s3(uploader->env, &request);

	upload_outcome_from(multipart->outcome, &request.result);
	/* A retry of a Complete that took effect finds the upload gone: as good as a lost reply. */
	*ambiguous = request.result.ambiguous || err == -ENOENT;
	os_request_free_result(&request);
	if (err == 0)
		journal_drop_intent(uploader->env->journal, multipart->intent);
}

void multipart_upload(struct uploader *uploader, const struct upload_job *job, const struct plan *plan,
                      struct upload_outcome *outcome, bool *ambiguous)
{
	struct multipart multipart = {.uploader = uploader, .job = job, .outcome = outcome};
	struct s3_batch batch;
	int err;

	*ambiguous = false;
	multipart.parts = calloc(plan->count, sizeof(*multipart.parts));
	if (!multipart.parts) {
		outcome->err = -ENOMEM;
		return;
	}
	err = create(&multipart);
	if (!err) {
		s3_batch_init(&batch, uploader->env, uploader->width);
		for (size_t i = 0; i < plan->count && !multipart.err && !err; i++)
			err = start_part(&multipart, &batch, &plan->parts[i], i);
		s3_batch_wait(&batch);
		if (!multipart.err && !err)
			complete(&multipart, plan->count, ambiguous);
		else
			outcome->err = multipart.err ? multipart.err : err;
	}
	/* An upload id completes at most once, so an abort after a lost reply undoes nothing. */
	if (outcome->err && multipart.upload_id[0])
		abort_upload(&multipart);
	free(multipart.parts);
}

#include "fs/upload/multipart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/s3/digest.h"
#include "fs/upload/orphan.h"

enum { VERIFY_STEP = 256 << 10 }; /* bytes that are hashed before others are served */

struct part_job {
	struct os_request request;
	struct multipart *multipart;
	struct os_source whole;
	struct blob *blob; /* reference or NULL */
	char *source, *etag;
	size_t index;
};

static void part_free(struct part_job *part)
{
	os_request_free_result(&part->request);
	blob_unref(part->blob);
	free(part->source);
	free(part->etag);
	free(part);
}

static int read_part(void *context, void *data, size_t len, uint64_t offset)
{
	struct part_job *job = context;

	return job->whole.read(job->whole.context, data, len,
			       job->multipart->parts[job->index].start + offset);
}

static bool is_gone(const struct os_request *request)
{
	return request->result.err == -ENOENT &&
	       (request->op == OS_MPU_PART || strcmp(request->result.code, "NoSuchUpload") == 0);
}

static void part_done(struct os_request *request)
{
	struct part_job *job = request->user;
	struct multipart *multipart = job->multipart;
	struct multipart_part *part = &multipart->parts[job->index];

	part->running = false;
	part->done = request->result.err == 0;
	if (request->result.err && !multipart->failure.err) {
		upload_outcome_from(&multipart->failure, &request->result);
		/* Somebody ended the upload: that says nothing about the object. */
		if (is_gone(request))
			multipart->failure.err = -EBUSY;
	}
	memcpy(part->etag, request->result.etag, OS_ETAG_MAX);
	multipart->running--;
	multipart->uploader->parts_running--;
	wait_wake_all(&multipart->uploader->part_ended);
	wait_wake_all(&multipart->changed);
	part_free(job);
}

static struct part_job *part_new(struct multipart *multipart, size_t index, uint64_t start,
				 uint64_t end)
{
	struct part_job *job = index < OS_PART_COUNT_MAX ? calloc(1, sizeof(*job)) : NULL;
	struct multipart_part *part = job ? &multipart->parts[index] : NULL;

	if (!job)
		return NULL;
	job->multipart = multipart;
	job->index = index;
	*part = (struct multipart_part){.start = start, .end = end, .running = true};
	if (index >= multipart->count)
		multipart->count = index + 1;
	multipart->running++;
	multipart->uploader->parts_running++;
	job->request = (struct os_request){
		.key = multipart->key,
		.upload_id = multipart->upload_id,
		.part_number = (unsigned)index + 1,
		.deadline = env_bulk_deadline(multipart->uploader->env, end - start),
		.done = part_done,
		.user = job,
	};
	return job;
}

int multipart_send(struct multipart *multipart, size_t index, uint64_t start, uint64_t end,
		   const struct os_source *body, struct blob *blob)
{
	struct part_job *job = part_new(multipart, index, start, end);

	if (!job)
		return -ENOMEM;
	job->whole = *body;
	job->blob = blob ? blob_ref(blob) : NULL;
	job->request.op = OS_MPU_PART;
	job->request.body = (struct os_source){read_part, job, end - start};
	objstore_submit(multipart->uploader->env->store, &job->request);
	return 0;
}

int multipart_send_copy(struct multipart *multipart, size_t index, uint64_t start, uint64_t end,
			const char *source, const char *etag)
{
	char *own_source = string_copy(source), *own_etag = string_copy(etag);
	struct part_job *job = own_source && own_etag ? part_new(multipart, index, start, end)
						      : NULL;

	if (!job) {
		free(own_source);
		free(own_etag);
		return -ENOMEM;
	}
	job->source = own_source;
	job->etag = own_etag;
	job->request.op = OS_MPU_PART_COPY;
	job->request.source_key = job->source;
	job->request.source_if_match = job->etag;
	job->request.has_range = true;
	job->request.range_first = start;
	job->request.range_len = end - start;
	objstore_submit(multipart->uploader->env->store, &job->request);
	return 0;
}

void multipart_touch(struct multipart *multipart, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < multipart->count; i++) {
		struct multipart_part *part = &multipart->parts[i];

		if ((part->running || part->done) && part->start < end && part->end > start)
			part->stale = true;
	}
}

bool multipart_has(const struct multipart *multipart, size_t index, uint64_t start, uint64_t end)
{
	const struct multipart_part *part = &multipart->parts[index];

	return index < multipart->count && part->done && !part->stale && part->start == start &&
	       part->end == end;
}

void multipart_wait(struct multipart *multipart)
{
	while (multipart->running > 0)
		fiber_wait(&multipart->changed, DEADLINE_NONE, WAIT_PLAIN);
}

/* What the journal says of it: see orphan.h. One that has failed for good records nothing any more;
 * then S3 is the safer place (await_record in fs/vfs/publication.c). */
static int note_intent(struct multipart *multipart, const char *upload_id, const char *etag)
{
	struct journal *journal = multipart->uploader->env->journal;
	struct journal_intent intent = {multipart->intent, INTENT_MPU, multipart->key, upload_id,
					etag};
	int err = journal_wait(journal, journal_put_intent(journal, &intent), JOURNAL_DURABLE);

	return journal_error(journal) ? 0 : err;
}

static void journal_failed(struct upload_outcome *outcome, int err)
{
	outcome->err = err;
	snprintf(outcome->message, sizeof(outcome->message), "the journal failed: %s",
		 strerror(-err));
}

const char *multipart_put_id(const struct multipart *multipart)
{
	const char *put_id = os_meta_get(&multipart->meta, META_PUT_ID);

	return put_id ? put_id : "";
}

int multipart_seal(struct multipart *multipart)
{
	return note_intent(multipart, multipart->upload_id, "");
}

/* An upload whose id nobody has heard may be there. Where this one goes on it has an intent of its
 * own. */
static void look_for_another(struct multipart *multipart, int64_t since, bool goes_on)
{
	struct uploader *uploader = multipart->uploader;
	uint64_t intent = goes_on ? uploader_intent_id(uploader) : multipart->intent;
	char text[24];
	struct journal_intent row = {intent, INTENT_MPU, multipart->key, "", text};

	snprintf(text, sizeof(text), "%lld", (long long)since);
	if (goes_on)
		journal_put_intent(uploader->env->journal, &row);
	orphan_find_later(uploader, multipart->key, since, intent);
}

static int create(struct multipart *multipart, const struct os_meta *headers,
		  const char *content_type, struct upload_outcome *outcome)
{
	struct uploader *uploader = multipart->uploader;
	int64_t since = executor_wall(uploader->env->executor);
	struct os_request request = {
		.op = OS_MPU_CREATE,
		.key = multipart->key,
		.meta = &multipart->meta,
		.headers = headers,
		.content_type = content_type,
	};
	char text[24];
	int err;

	multipart->intent = uploader_intent_id(uploader);
	snprintf(text, sizeof(text), "%lld", (long long)since);
	err = note_intent(multipart, "", text);
	if (err) {
		journal_failed(outcome, err);
		return err;
	}
	err = env_s3(uploader->env, &request);
	upload_outcome_from(outcome, &request.result);
	/* Nothing can have become of the object. */
	outcome->ambiguous = false;
	if (!err) {
		memcpy(multipart->upload_id, request.result.upload_id, OS_UPLOAD_ID_MAX);
		if (request.result.repeated)
			look_for_another(multipart, since, true);
		err = note_intent(multipart, multipart->upload_id, multipart_put_id(multipart));
		if (err)
			journal_failed(outcome, err);
	} else if (request.result.ambiguous) {
		look_for_another(multipart, since, false);
	} else {
		journal_drop_intent(uploader->env->journal, multipart->intent);
	}
	os_request_free_result(&request);
	return err;
}

static struct multipart *multipart_new(struct uploader *uploader, const char *key)
{
	struct multipart *multipart = calloc(1, sizeof(*multipart));

	if (!multipart)
		return NULL;
	multipart->uploader = uploader;
	wait_queue_init(&multipart->changed);
	list_append(&uploader->uploads, &multipart->link);
	multipart->key = string_copy(key);
	multipart->parts = calloc(OS_PART_COUNT_MAX, sizeof(*multipart->parts));
	if (multipart->key && multipart->parts)
		return multipart;
	multipart_forget(multipart);
	return NULL;
}

int multipart_begin(struct uploader *uploader, const char *key, const struct os_meta *meta,
		    const struct os_meta *headers, const char *content_type,
		    struct upload_outcome *outcome, struct multipart **out)
{
	struct multipart *multipart = multipart_new(uploader, key);
	int err = multipart ? 0 : -ENOMEM;

	struct os_meta own = OS_META_INIT;

	if (!err && meta)
		err = os_meta_copy(&multipart->meta, meta);
	outcome->err = err;
	if (!err)
		err = upload_add_tags(uploader, key, &headers, &own, outcome);
	if (!err)
		err = create(multipart, headers, content_type, outcome);
	os_meta_free(&own);
	if (err && multipart) {
		multipart_end(multipart, false);
		return err;
	}
	*out = multipart;
	return err;
}

/* Returns 0 or what the server said. */
static int list_parts(struct multipart *multipart)
{
	struct os_request list = {
		.op = OS_MPU_LIST_PARTS, .key = multipart->key, .upload_id = multipart->upload_id};
	char *token = NULL;
	int err;

	do {
		err = env_s3(multipart->uploader->env, &list);
		for (size_t i = 0; !err && i < list.result.entry_count; i++) {
			const struct os_entry *entry = &list.result.entries[i];
			struct multipart_part *part = &multipart->parts[entry->part_number - 1];

			part->found = true;
			part->found_size = entry->size;
			memcpy(part->etag, entry->etag, OS_ETAG_MAX);
			if (entry->part_number > multipart->count)
				multipart->count = entry->part_number;
		}
	} while (env_next_page(&list, &token));
	return err;
}

int multipart_adopt(struct uploader *uploader, const struct journal_intent *intent,
		    struct multipart **out)
{
	struct multipart *multipart = multipart_new(uploader, intent->source);
	int err = multipart ? 0 : -ENOMEM;

	if (!err) {
		snprintf(multipart->upload_id, OS_UPLOAD_ID_MAX, "%s", intent->target);
		multipart->intent = intent->id;
		err = os_meta_set(&multipart->meta, META_PUT_ID, intent->etag);
	}
	if (!err)
		err = list_parts(multipart);
	if (err && multipart) {
		multipart_forget(multipart);
		return err;
	}
	*out = multipart;
	return err;
}

/* Compares the MD5 of the range with what the ETag says. */
static bool has_md5(const struct os_source *body, uint64_t start, uint64_t end, const char *etag)
{
	struct md5 *md5 = md5_start();
	char *data = malloc(VERIFY_STEP);
	unsigned char hash[MD5_BYTES];
	struct buf text = BUF_INIT;
	int err = md5 && data ? 0 : -ENOMEM;
	bool same;

	while (!err && start < end) {
		size_t len = end - start < VERIFY_STEP ? (size_t)(end - start) : VERIFY_STEP;

		err = body->read(body->context, data, len, start);
		if (!err)
			md5_update(md5, data, len);
		start += len;
		fiber_yield();
	}
	if (md5)
		md5_finish(md5, hash);
	buf_putc(&text, '"');
	if (!err)
		buf_put_hex(&text, hash, sizeof(hash));
	buf_putc(&text, '"');
	same = !err && strcmp(buf_str(&text), etag) == 0;
	buf_free(&text);
	free(data);
	return same;
}

bool multipart_verify(struct multipart *multipart, size_t index, uint64_t start, uint64_t end,
		      const struct os_source *body)
{
	struct multipart_part *part = &multipart->parts[index];

	if (index >= multipart->count || !part->found || part->found_size != end - start ||
	    !has_md5(body, start, end, part->etag))
		return false;
	part->start = start;
	part->end = end;
	part->found = false;
	part->done = true;
	return true;
}

void multipart_forget(struct multipart *multipart)
{
	list_remove(&multipart->link);
	os_meta_free(&multipart->meta);
	free(multipart->parts);
	free(multipart->key);
	free(multipart);
}

/* The intent stays until the upload is gone for certain. */
static void abort_upload(struct multipart *multipart)
{
	struct uploader *uploader = multipart->uploader;
	int err = orphan_abort(uploader, multipart->key, multipart->upload_id);

	if (err)
		orphan_abort_later(uploader, multipart->key, multipart->upload_id,
				   multipart->intent);
	else
		journal_drop_intent(uploader->env->journal, multipart->intent);
}

void multipart_end(struct multipart *multipart, bool completed)
{
	multipart_wait(multipart);
	if (completed)
		journal_drop_intent(multipart->uploader->env->journal, multipart->intent);
	else if (multipart->upload_id[0])
		abort_upload(multipart);
	multipart_forget(multipart);
}

void multipart_complete(struct multipart *multipart, size_t count, struct os_condition condition,
			struct upload_outcome *outcome, bool *ambiguous)
{
	struct os_part *parts = calloc(count + 1, sizeof(*parts));
	struct os_request request = {
		.op = OS_MPU_COMPLETE,
		.key = multipart->key,
		.upload_id = multipart->upload_id,
		.parts = parts,
		.part_count = count,
		.condition = condition,
		.deadline = env_after(multipart->uploader->env, DEADLINE_BULK),
	};
	int err = parts ? multipart_seal(multipart) : -ENOMEM;

	if (err) {
		journal_failed(outcome, err);
		free(parts);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		parts[i].number = (unsigned)i + 1;
		memcpy(parts[i].etag, multipart->parts[i].etag, OS_ETAG_MAX);
	}
	err = late_run(multipart->uploader, &request);
	upload_outcome_from(outcome, &request.result);
	/* A retry of a Complete that took effect finds the upload gone: as good as a lost reply. */
	*ambiguous = request.result.ambiguous || err == -ENOENT;
	/* A part has gone: all of it again. */
	if (strcmp(outcome->code, "InvalidPart") == 0)
		outcome->err = -EBUSY;
	os_request_free_result(&request);
	free(parts);
}

/* Where the server ignores conditions of Complete, a HEAD at the last moment must do: parts can
 * take hours, in which others write. */
static int check_before_complete(struct multipart *multipart, const struct upload_job *job,
				 struct upload_outcome *outcome)
{
	struct uploader *uploader = multipart->uploader;

	if (uploader->can.complete || job->unconditional)
		return 0;
	switch (upload_look(uploader, job, outcome)) {
	case REMOTE_BASE: return 0;
	case REMOTE_UNKNOWN: return outcome->err;
	case REMOTE_OURS:
	case REMOTE_EARLIER:
	case REMOTE_FOREIGN:
	case REMOTE_GONE: break;
	}
	return -ESTALE;
}

static int send_planned(struct multipart *multipart, const struct upload_job *job,
			const struct plan_part *part, size_t index)
{
	if (part->copy)
		return multipart_send_copy(multipart, index, part->start, part->end, job->key,
					   job->base_etag);
	return multipart_send(multipart, index, part->start, part->end, &job->body, NULL);
}

void multipart_upload(struct uploader *uploader, const struct upload_job *job,
		      const struct plan *plan, struct upload_outcome *outcome, bool *ambiguous)
{
	struct multipart *multipart = job->early ? *job->early : NULL;
	bool can = uploader->can.complete;
	int err = 0;

	*ambiguous = false;
	if (job->early)
		*job->early = NULL; /* ours now */
	if (!multipart && multipart_begin(uploader, job->key, job->meta, job->headers,
					  job->content_type, outcome, &multipart))
		return;
	multipart_wait(multipart);
	for (size_t i = 0; i < plan->count && !multipart->failure.err && !err; i++) {
		const struct plan_part *part = &plan->parts[i];

		if (multipart_has(multipart, i, part->start, part->end) ||
		    (!part->copy &&
		     multipart_verify(multipart, i, part->start, part->end, &job->body)))
			continue;
		/* Parts queued beyond what the connections take would only use up their deadlines.
		 */
		while (uploader->parts_running >= uploader->width)
			fiber_wait(&uploader->part_ended, DEADLINE_NONE, WAIT_PLAIN);
		err = send_planned(multipart, job, part, i);
	}
	multipart_wait(multipart);
	outcome->err = err;
	if (multipart->failure.err)
		*outcome = multipart->failure;
	if (!outcome->err)
		outcome->err = check_before_complete(multipart, job, outcome);
	if (!outcome->err)
		multipart_complete(multipart, plan->count, upload_condition(job, can, can), outcome,
				   ambiguous);
	outcome->meta_differs = !outcome->err && !os_meta_equal(&multipart->meta, job->meta);
	/* An upload id completes at most once, so an abort after a lost reply undoes nothing. */
	multipart_end(multipart, outcome->err == 0);
}

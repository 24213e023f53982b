#include "fs/vfs/tree_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "fs/vfs/tree_identity.h"

enum {
	COPY_WIDTH = 32,
	ATTEMPTS_MAX = 4, /* of one copy, while source or destination change under it */
};

/* How long what may heal is tried again while the directory cannot be changed. */
#define PATIENCE    (60 * NSEC_PER_SEC)
#define PAUSE_FIRST (NSEC_PER_SEC / 2)

struct os_entry *tree_run_source(const struct tree_run *run, const struct tree_item *item)
{
	return run->sources.entries[item - run->items];
}

const char *tree_run_relative(const struct tree_run *run, const struct tree_item *item)
{
	return tree_keys_relative(&run->sources, (size_t)(item - run->items));
}

void tree_run_fail(struct tree_run *run, int err, const char *what, const char *key,
		   const char *text)
{
	if (run->err)
		return;
	run->err = err;
	snprintf(run->message, run->message_size, "%s %s: %s", what, key, text);
}

void tree_refresh(struct os_entry *entry, const struct os_result *result)
{
	memcpy(entry->etag, result->etag, sizeof(entry->etag));
	entry->size = result->size;
	entry->last_modified = result->last_modified;
}

/* A copy gets the bucket's storage class and encryption unless it is told others. The former is in
 * the listing; the latter is not, but an ETag that changes gives it away: see keep_encryption. */
static int take_class(const struct os_entry *source, struct copy_job *job, struct os_meta *own)
{
	if (!source->storage_class[0])
		return 0;
	job->headers = own;
	return os_meta_set(own, "x-amz-storage-class", source->storage_class);
}

/* The ETag of an object of one part depends on how it is encrypted (S3 user guide, "Object ETags").
 * Here the copy has another one and nobody had asked how the source is: if it says so, the copy is
 * made again. From now on all sources are asked first. */
static void keep_encryption(struct tree_run *run, struct tree_item *item,
			    const struct copy_job *job)
{
	struct copy_job again = *job;
	struct os_request head = {.op = OS_HEAD, .key = job->source};
	struct upload_outcome outcome = {0};
	int err = env_s3(run->env, &head);

	run->etags_change = true;
	if (err && err != -ENOENT) {
		tree_run_fail(run, err, "HEAD of", job->source, head.result.message);
	} else if (!err && os_meta_get(&head.result.headers, "x-amz-server-side-encryption")) {
		again.headers = &head.result.headers;
		again.target_etag = item->etag;
		copy_run(run->uploader, &again, &outcome);
		if (outcome.err) {
			tree_run_fail(run, outcome.err, "copy of", job->source, outcome.message);
		} else {
			free(item->etag);
			item->etag = string_copy(outcome.etag);
		}
	}
	os_request_free_result(&head);
}

/* Where the copy's ETag will be another one, its metadata must tell it. */
static bool identify(struct tree_run *run, struct tree_item *item, struct copy_job *job,
		     struct os_request *head)
{
	struct os_entry *source = tree_run_source(run, item);
	int err;

	if (!strchr(source->etag, '-') && !run->etags_change)
		return true;
	err = env_s3(run->env, head);
	if (err == -ENOENT)
		item->fate = TREE_GONE;
	else if (err)
		tree_run_fail(run, err, "HEAD of", source->key, head->result.message);
	if (err)
		return false;
	tree_refresh(source, &head->result);
	job->size = source->size;
	job->headers = &head->result.headers;
	if (os_meta_get(&head->result.meta, META_PUT_ID))
		return true;
	err = tree_add_put_id(&head->result.meta, source->etag);
	if (err) {
		tree_run_fail(run, err, "copy of", source->key, "out of memory");
		return false;
	}
	if (os_meta_bytes(&head->result.meta) > OS_META_BYTES_MAX)
		return true; /* then a crash leaves it under both names */
	job->replace_meta = true;
	job->meta = &head->result.meta;
	job->content_type = head->result.content_type;
	return true;
}

/* Returns whether the item is decided, or the run has failed. */
static bool try_copy(struct tree_run *run, struct tree_item *item, const char *target)
{
	struct os_entry *source = tree_run_source(run, item);
	struct os_request head = {.op = OS_HEAD, .key = source->key};
	struct upload_outcome outcome = {0};
	struct copy_job job = {.source = source->key,
			       .target = target,
			       .size = source->size,
			       .source_etag = source->etag,
			       .target_etag = item->over ? item->over : ""};
	struct os_meta own = OS_META_INIT;
	bool go = identify(run, item, &job, &head), asked = go && job.headers;

	if (go && !asked && take_class(source, &job, &own)) {
		tree_run_fail(run, -ENOMEM, "copy of", source->key, "out of memory");
		go = false;
	}
	if (go) {
		item->tried = true;
		copy_run(run->uploader, &job, &outcome);
		run->ambiguous |= outcome.err && outcome.ambiguous;
	}
	if (go && !outcome.err) {
		item->fate = TREE_MADE;
		item->etag = string_copy(outcome.etag);
		if (!asked && strcmp(outcome.etag, source->etag) != 0)
			keep_encryption(run, item, &job);
	}
	os_meta_free(&own);
	os_request_free_result(&head);
	if (!go || !outcome.err)
		return true;
	/* One of the two is another version, or the reply was lost, perhaps of an earlier attempt.
	 */
	if (outcome.err == -ESTALE || outcome.err == -ENOENT || outcome.err == -EBUSY ||
	    outcome.ambiguous)
		return run->judge(run, item, target) || run->err;
	tree_run_fail(run, outcome.err, "copy of", source->key, outcome.message);
	return true;
}

void tree_run_copy(struct tree_run *run, struct tree_item *item, const char *target)
{
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		if (try_copy(run, item, target))
			return;
		fiber_sleep_until(env_after(run->env, 50 * NSEC_PER_MSEC), WAIT_PLAIN);
	}
	tree_run_fail(run, -EBUSY, "copy of", tree_run_source(run, item)->key,
		      "it changes all the time");
}

static void item_fiber(void *argument)
{
	struct tree_item *item = argument;
	struct tree_run *run = item->run;
	struct buf target = BUF_INIT;

	buf_puts(&target, run->target);
	buf_puts(&target, tree_run_relative(run, item));
	if (target.failed)
		tree_run_fail(run, -ENOMEM, "copy of", tree_run_source(run, item)->key,
			      "out of memory");
	else if (!run->err)
		run->work(run, item, buf_str(&target));
	buf_free(&target);
	run->running--;
	wait_wake_all(&run->changed);
}

/* Side by side; ends early when one fails. */
int tree_run_each(struct tree_run *run, tree_work *work)
{
	struct fiber_pool *fibers = run->env->fibers;

	run->work = work;
	for (size_t i = 0; i < run->sources.count && !run->err; i++) {
		int err;

		while (run->running >= COPY_WIDTH)
			fiber_wait(&run->changed, DEADLINE_NONE, WAIT_PLAIN);
		run->running++;
		while ((err = fiber_start(fibers, item_fiber, &run->items[i])) == -EAGAIN)
			fiber_sleep_until(env_after(run->env, 10 * NSEC_PER_MSEC), WAIT_PLAIN);
		if (err) {
			run->running--;
			tree_run_fail(run, err, "copy of", run->sources.entries[i]->key,
				      "out of memory");
		}
	}
	while (run->running > 0)
		fiber_wait(&run->changed, DEADLINE_NONE, WAIT_PLAIN);
	return run->err;
}

int tree_patiently(struct env *env, int (*step)(void *context), void *context)
{
	uint64_t deadline = env_after(env, PATIENCE), pause = PAUSE_FIRST;

	for (;; pause *= 2) {
		int err = step(context);
		bool heals = env_s3_heals(err) || err == -ENOMEM;

		if (!heals || env_after(env, pause) > deadline)
			return err;
		fiber_sleep_until(env_after(env, pause), WAIT_PLAIN);
	}
}

int tree_run_items(struct tree_run *run)
{
	run->items = calloc(run->sources.count + 1, sizeof(*run->items));
	if (!run->items)
		return -ENOMEM;
	for (size_t i = 0; i < run->sources.count; i++)
		run->items[i].run = run;
	return 0;
}

static int check_lengths(struct tree_run *run)
{
	size_t growth = strlen(run->target);

	for (size_t i = 0; i < run->sources.count && !run->err; i++)
		if (growth + strlen(tree_keys_relative(&run->sources, i)) > OS_KEY_MAX)
			tree_run_fail(run, -ENAMETOOLONG, "copy of", run->sources.entries[i]->key,
				      "the new key is too long");
	return run->err;
}

int tree_run_load(struct tree_run *run, const char *source)
{
	int err;

	wait_queue_init(&run->changed);
	err = tree_keys_load(run->env, source, &run->sources, run->message, run->message_size);
	if (!err)
		err = tree_keys_load(run->env, run->target, &run->targets, run->message,
				     run->message_size);
	if (!err)
		err = tree_run_items(run);
	return err ? err : check_lengths(run);
}

void tree_run_free(struct tree_run *run)
{
	for (size_t i = 0; i < run->sources.count && run->items; i++) {
		free(run->items[i].etag);
		free(run->items[i].over);
	}
	free(run->items);
	run->items = NULL;
	tree_keys_free(&run->sources);
	tree_keys_free(&run->targets);
}

#include "fs/vfs/tree_copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/vfs/tree_identity.h"
#include "fs/vfs/tree_keys.h"
#include "fs/vfs/tree_note.h"

enum {
	COPY_WIDTH = 32,
	ATTEMPTS_MAX = 4, /* of one copy, while source or destination change under it */
	LOGGED_MAX = 20,
};

/* How long deletions are tried again while the directory cannot be changed. */
#define PATIENCE    (60 * NSEC_PER_SEC)
#define PAUSE_FIRST (NSEC_PER_SEC / 2)

enum fate {
	FATE_OPEN,    /* not known, or nothing was made */
	FATE_MADE,    /* the copy is ours */
	FATE_THERE,   /* the copy was there before */
	FATE_FOREIGN, /* the source stays */
	FATE_GONE,    /* the source has vanished */
};

struct tree_run;

struct item { /* one per source */
	struct tree_run *run;
	enum fate fate;
	bool tried; /* a copy was asked for */
	char *etag; /* of the copy */
	char *over; /* of what the copy replaces; NULL: there is nothing */
};

struct tree_run {
	struct tree_copy *copy;
	struct env *env;
	struct tree_keys sources, targets; /* as they were at the beginning */
	struct item *items;
	void (*work)(struct tree_run *run, struct item *item, const char *target);
	struct wait_queue changed;
	unsigned running;
	bool etags_change; /* also where an object is not made of parts */
	int err;
	char *message;
	size_t message_size;
};

static struct os_entry *source_of(const struct tree_run *run, const struct item *item)
{
	return run->sources.entries[item - run->items];
}

static void fail(struct tree_run *run, int err, const char *what, const char *key, const char *text)
{
	if (run->err)
		return;
	run->err = err;
	snprintf(run->message, run->message_size, "%s %s: %s", what, key, text);
}

static void refresh(struct os_entry *entry, const struct os_result *result)
{
	memcpy(entry->etag, result->etag, sizeof(entry->etag));
	entry->size = result->size;
	entry->last_modified = result->last_modified;
}

/* Asks for both objects. Returns whether the item's fate is decided; not when there is no target.
 */
static bool compare(struct tree_run *run, struct item *item, const char *target)
{
	struct os_entry *source = source_of(run, item);
	struct os_request from = {.op = OS_HEAD, .key = source->key};
	struct os_request to = {.op = OS_HEAD, .key = target};
	int from_err = env_s3(run->env, &from), to_err = env_s3(run->env, &to);
	bool decided = true;

	if (from_err == -ENOENT) {
		item->fate = FATE_GONE;
	} else if (from_err) {
		fail(run, from_err, "HEAD of", source->key, from.result.message);
	} else if (to_err && to_err != -ENOENT) {
		fail(run, to_err, "HEAD of", target, to.result.message);
	} else {
		refresh(source, &from.result);
		decided = to_err == 0;
		if (decided && (item->over ? tree_is_copied_marker(&from.result, &to.result)
					   : tree_is_copy(&from.result, &to.result))) {
			item->fate = item->tried ? FATE_MADE : FATE_THERE;
			item->etag = string_copy(to.result.etag);
		} else if (decided && item->over && strcmp(item->over, to.result.etag) == 0) {
			decided = false; /* not replaced yet */
		} else if (decided) {
			item->fate = FATE_FOREIGN;
		}
	}
	os_request_free_result(&from);
	os_request_free_result(&to);
	return decided;
}

/* The same, as far as possible from what the listings have told. */
static bool compare_listed(struct tree_run *run, struct item *item, const char *target)
{
	const struct os_entry *source = source_of(run, item), *there;
	size_t index = tree_keys_find(&run->targets, source->key + run->sources.prefix_len);

	if (index == TREE_KEYS_NONE)
		return false;
	there = run->targets.entries[index];
	if (there->size != source->size) {
		item->fate = FATE_FOREIGN;
		return true;
	}
	if (strcmp(there->etag, source->etag) != 0)
		return compare(run, item, target);
	item->fate = FATE_THERE;
	item->etag = string_copy(there->etag);
	return true;
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
static void keep_encryption(struct tree_run *run, struct item *item, const struct copy_job *job)
{
	struct copy_job again = *job;
	struct os_request head = {.op = OS_HEAD, .key = job->source};
	struct upload_outcome outcome = {0};
	int err = env_s3(run->env, &head);

	run->etags_change = true;
	if (err && err != -ENOENT) {
		fail(run, err, "HEAD of", job->source, head.result.message);
	} else if (!err && os_meta_get(&head.result.headers, "x-amz-server-side-encryption")) {
		again.headers = &head.result.headers;
		again.target_etag = item->etag;
		copy_run(run->copy->uploader, &again, &outcome);
		if (outcome.err) {
			fail(run, outcome.err, "copy of", job->source, outcome.message);
		} else {
			free(item->etag);
			item->etag = string_copy(outcome.etag);
		}
	}
	os_request_free_result(&head);
}

/* Where the copy's ETag will be another one, its metadata must tell it. */
static bool identify(struct tree_run *run, struct item *item, struct copy_job *job,
		     struct os_request *head)
{
	struct os_entry *source = source_of(run, item);
	int err;

	if (!strchr(source->etag, '-') && !run->etags_change)
		return true;
	err = env_s3(run->env, head);
	if (err == -ENOENT)
		item->fate = FATE_GONE;
	else if (err)
		fail(run, err, "HEAD of", source->key, head->result.message);
	if (err)
		return false;
	refresh(source, &head->result);
	job->size = source->size;
	job->headers = &head->result.headers;
	if (os_meta_get(&head->result.meta, META_PUT_ID))
		return true;
	err = tree_add_put_id(&head->result.meta, source->etag);
	if (err) {
		fail(run, err, "copy of", source->key, "out of memory");
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
static bool try_copy(struct tree_run *run, struct item *item, const char *target)
{
	struct os_entry *source = source_of(run, item);
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
		fail(run, -ENOMEM, "copy of", source->key, "out of memory");
		go = false;
	}
	if (go) {
		item->tried = true;
		copy_run(run->copy->uploader, &job, &outcome);
	}
	if (go && !outcome.err) {
		item->fate = FATE_MADE;
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
		return compare(run, item, target) || run->err;
	fail(run, outcome.err, "copy of", source->key, outcome.message);
	return true;
}

/* The object of the empty directory that this one is to replace may be there: a crash has left it,
 * or it was made again. It has no bytes either, but is not the copy. */
static void look_at_marker(struct tree_run *run, struct item *item, const char *target)
{
	struct os_entry *source = source_of(run, item);
	struct os_request from = {.op = OS_HEAD, .key = source->key};
	struct os_request to = {.op = OS_HEAD, .key = target}, *asked;
	int err;

	if (source->key[run->sources.prefix_len] || source->size > 0 ||
	    tree_keys_find(&run->targets, "") == TREE_KEYS_NONE)
		return;
	asked = &from;
	err = env_s3(run->env, asked);
	if (!err) {
		asked = &to;
		err = env_s3(run->env, asked);
	}
	if (err && err != -ENOENT) {
		fail(run, err, "HEAD of", asked->key, asked->result.message);
	} else if (!err && to.result.size == 0 &&
		   !tree_is_copied_marker(&from.result, &to.result)) {
		refresh(source, &from.result);
		item->over = string_copy(to.result.etag);
		if (!item->over)
			fail(run, -ENOMEM, "copy of", source->key, "out of memory");
		memcpy(run->copy->replaced, to.result.etag, OS_ETAG_MAX);
	}
	os_request_free_result(&from);
	os_request_free_result(&to);
}

static void move_key(struct tree_run *run, struct item *item, const char *target)
{
	look_at_marker(run, item, target);
	if (run->err || (!item->over && (compare_listed(run, item, target) || run->err)))
		return;
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		if (try_copy(run, item, target))
			return;
		fiber_sleep_until(env_after(run->env, 50 * NSEC_PER_MSEC), WAIT_PLAIN);
	}
	fail(run, -EBUSY, "copy of", source_of(run, item)->key, "it changes all the time");
}

/* For a run that goes on deleting: what was among the sources then, and has its copy? */
static void judge_source(struct tree_run *run, struct item *item, const char *target)
{
	const struct os_entry *source = source_of(run, item);

	if (source->last_modified > run->copy->newest)
		item->fate = FATE_FOREIGN;
	else if (source->last_modified < run->copy->newest && run->copy->kept == 0)
		item->fate = FATE_THERE;
	else
		compare_listed(run, item, target);
}

/* For a run that goes on taking back: which of them are copies? */
static void judge_target(struct tree_run *run, struct item *item, const char *target)
{
	look_at_marker(run, item, target);
	if (!run->err && !item->over && compare_listed(run, item, target) &&
	    item->fate == FATE_THERE)
		item->fate = FATE_MADE;
}

static void item_fiber(void *argument)
{
	struct item *item = argument;
	struct tree_run *run = item->run;
	struct buf target = BUF_INIT;

	buf_puts(&target, run->copy->target);
	buf_puts(&target, source_of(run, item)->key + run->sources.prefix_len);
	if (target.failed)
		fail(run, -ENOMEM, "copy of", source_of(run, item)->key, "out of memory");
	else if (!run->err)
		run->work(run, item, buf_str(&target));
	buf_free(&target);
	run->running--;
	wait_wake_all(&run->changed);
}

/* Side by side; ends early when one fails. */
static int for_each_item(struct tree_run *run,
			 void (*work)(struct tree_run *run, struct item *item, const char *target))
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
			fail(run, err, "copy of", run->sources.entries[i]->key, "out of memory");
		}
	}
	while (run->running > 0)
		fiber_wait(&run->changed, DEADLINE_NONE, WAIT_PLAIN);
	return run->err;
}

static bool is_source_owed(const struct tree_run *run, const struct os_entry *entry)
{
	size_t index = tree_keys_find(&run->sources, entry->key + run->sources.prefix_len);
	enum fate fate = index == TREE_KEYS_NONE ? FATE_OPEN : run->items[index].fate;

	return (fate == FATE_MADE || fate == FATE_THERE) &&
	       strcmp(run->sources.entries[index]->etag, entry->etag) == 0;
}

/* The sources as they are now, without those that are not what was copied. */
static int delete_sources_once(struct tree_run *run)
{
	struct tree_copy *copy = run->copy;
	struct tree_keys now;
	const char **names;
	size_t count = 0;
	int err = tree_keys_load(run->env, copy->source, &now, run->message, run->message_size);

	if (err)
		return err;
	copy->kept = 0;
	names = calloc(now.count + 1, sizeof(*names));
	for (size_t i = 0; i < now.count && names; i++) {
		if (is_source_owed(run, now.entries[i]))
			names[count++] = now.entries[i]->key;
		else if (copy->kept++ < LOGGED_MAX)
			log_warning("%s stays, although %s became %s: others have written it or "
				    "its new place",
				    now.entries[i]->key, copy->source, copy->target);
	}
	err = names ? tree_keys_delete(run->env, names, count, run->message, run->message_size)
		    : -ENOMEM;
	free(names);
	tree_keys_free(&now);
	return err;
}

static bool is_target_ours(struct tree_run *run, const struct os_entry *entry)
{
	size_t index = tree_keys_find(&run->sources, entry->key + run->targets.prefix_len);
	struct item *item = index == TREE_KEYS_NONE ? NULL : &run->items[index];

	if (!item || (item->fate == FATE_OPEN && !item->tried))
		return false;
	/* The directory was there before. */
	if (run->copy->replaced[0] && !entry->key[run->targets.prefix_len])
		return false;
	/* A reply was lost, and then it could not be found out what had happened. */
	if (item->fate == FATE_OPEN && !compare(run, item, entry->key))
		return false;
	return item->fate == FATE_MADE && item->etag && strcmp(item->etag, entry->etag) == 0;
}

static int take_back_once(struct tree_run *run)
{
	struct tree_keys now;
	const char **names;
	size_t count = 0;
	int err = tree_keys_load(run->env, run->copy->target, &now, run->message,
				 run->message_size);

	if (err)
		return err;
	run->err = 0; /* compare may fail */
	names = calloc(now.count + 1, sizeof(*names));
	for (size_t i = 0; i < now.count && names && !run->err; i++)
		if (is_target_ours(run, now.entries[i]))
			names[count++] = now.entries[i]->key;
	err = !names ? -ENOMEM
	      : run->err
		      ? run->err
		      : tree_keys_delete(run->env, names, count, run->message, run->message_size);
	free(names);
	tree_keys_free(&now);
	return err;
}

static int with_patience(struct tree_run *run, int (*step)(struct tree_run *run))
{
	uint64_t deadline = env_after(run->env, PATIENCE), pause = PAUSE_FIRST;

	for (;; pause *= 2) {
		int err = step(run);
		bool heals = env_s3_heals(err) || err == -ENOMEM;

		if (!heals || env_after(run->env, pause) > deadline)
			return err;
		fiber_sleep_until(env_after(run->env, pause), WAIT_PLAIN);
	}
}

/* The first failure is what the caller is told, not what came of it. */
static void take_back(struct tree_run *run)
{
	char *message = run->message, scratch[300] = "";
	size_t message_size = run->message_size;
	int first = run->err, err;

	run->message = scratch;
	run->message_size = sizeof(scratch);
	err = with_patience(run, take_back_once);
	if (err)
		log_warning("copies are left below %s: %s", run->copy->target, scratch);
	else
		run->copy->state = TREE_AS_BEFORE;
	run->message = message;
	run->message_size = message_size;
	run->err = first;
}

static void tell_copied(const struct tree_run *run)
{
	const struct tree_copy *copy = run->copy;

	for (size_t i = 0; i < run->sources.count && copy->copied; i++) {
		const struct item *item = &run->items[i];
		bool ours = item->fate == FATE_MADE || item->fate == FATE_THERE;

		copy->copied(copy->context, tree_keys_relative(&run->sources, i),
			     run->sources.entries[i]->etag, ours ? item->etag : NULL);
	}
}

static int load(struct tree_run *run)
{
	struct tree_copy *copy = run->copy;
	size_t growth = strlen(copy->target), prefix = strlen(copy->source);
	int err = tree_keys_load(run->env, copy->source, &run->sources, run->message,
				 run->message_size);

	if (!err)
		err = tree_keys_load(run->env, copy->target, &run->targets, run->message,
				     run->message_size);
	if (!err) {
		run->items = calloc(run->sources.count + 1, sizeof(*run->items));
		err = run->items ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < run->sources.count && !err; i++) {
		const char *key = run->sources.entries[i]->key;

		run->items[i].run = run;
		if (strlen(key) - prefix + growth > OS_KEY_MAX) {
			fail(run, -ENAMETOOLONG, "copy of", key, "the new key is too long");
			err = run->err;
		}
	}
	return err;
}

static int move(struct tree_run *run)
{
	struct tree_copy *copy = run->copy;
	int err;

	copy->state = TREE_BETWEEN;
	copy->newest = INT64_MIN;
	copy->kept = 0;
	err = for_each_item(run, move_key);
	if (err && copy->take_back)
		take_back(run);
	if (err)
		return err;
	copy->state = TREE_MOVED;
	for (size_t i = 0; i < run->sources.count; i++) {
		if (run->sources.entries[i]->last_modified > copy->newest)
			copy->newest = run->sources.entries[i]->last_modified;
		copy->kept += run->items[i].fate == FATE_FOREIGN;
	}
	tell_copied(run);
	return with_patience(run, delete_sources_once);
}

static int go_on_deleting(struct tree_run *run)
{
	int err;

	run->copy->state = TREE_MOVED;
	err = for_each_item(run, judge_source);
	return err ? err : with_patience(run, delete_sources_once);
}

static int go_on_taking_back(struct tree_run *run)
{
	int err;

	run->copy->state = TREE_BETWEEN;
	err = for_each_item(run, judge_target);
	if (!err)
		err = with_patience(run, take_back_once);
	if (!err)
		run->copy->state = TREE_AS_BEFORE;
	return err;
}

int tree_copy_run(struct tree_copy *copy, char *message, size_t message_size)
{
	struct tree_run run = {.copy = copy,
			       .env = copy->uploader->env,
			       .message = message,
			       .message_size = message_size};
	enum tree_note_kind kind = tree_note_read(copy, copy->note ? copy->note : "");
	int err;

	wait_queue_init(&run.changed);
	copy->state = TREE_AS_BEFORE;
	err = load(&run);
	if (!err && kind == TREE_NOTE_TAKE_BACK)
		err = go_on_taking_back(&run);
	else if (!err && kind == TREE_NOTE_DELETE)
		err = go_on_deleting(&run);
	else if (!err)
		err = move(&run);
	for (size_t i = 0; i < run.sources.count && run.items; i++) {
		free(run.items[i].etag);
		free(run.items[i].over);
	}
	free(run.items);
	tree_keys_free(&run.sources);
	tree_keys_free(&run.targets);
	return err;
}

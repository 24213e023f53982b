#include "fs/vfs/tree_copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/log.h"

enum { COPY_WIDTH = 32 };

/* All keys below a prefix, in pages of the listing. */
struct keys {
	struct os_result *pages;
	size_t page_count, total;
};

static void keys_free(struct keys *keys)
{
	for (size_t i = 0; i < keys->page_count; i++) {
		struct os_request holder = {.op = OS_LIST, .result = keys->pages[i]};

		os_request_free_result(&holder);
	}
	free(keys->pages);
	*keys = (struct keys){NULL, 0, 0};
}

static int keys_load(struct env *env, const char *prefix, struct keys *keys)
{
	const char *token = NULL;
	int err;

	*keys = (struct keys){NULL, 0, 0};
	do {
		struct os_request request = {
		        .op = OS_LIST, .prefix = prefix, .token = token, .max_keys = 1000};
		struct os_result *pages =
		        realloc(keys->pages, (keys->page_count + 1) * sizeof(*pages));

		if (!pages) {
			err = -ENOMEM;
			break;
		}
		keys->pages = pages;
		err = env_s3(env, &request);
		keys->pages[keys->page_count++] = request.result;
		keys->total += request.result.entry_count;
		token = request.result.next_token;
	} while (!err && token);
	if (err)
		keys_free(keys);
	return err;
}

static const struct os_entry *keys_find(const struct keys *keys, const char *prefix,
                                        const char *relative)
{
	size_t skip = strlen(prefix);

	/* Pages are sorted by key, and so are the entries within. */
	for (size_t i = 0; i < keys->page_count; i++) {
		const struct os_result *page = &keys->pages[i];
		size_t low = 0, high = page->entry_count;

		if (high == 0 || strcmp(page->entries[high - 1].key + skip, relative) < 0)
			continue;
		while (low < high) {
			size_t middle = (low + high) / 2;
			int order = strcmp(page->entries[middle].key + skip, relative);

			if (order == 0)
				return &page->entries[middle];
			if (order < 0)
				low = middle + 1;
			else
				high = middle;
		}
	}
	return NULL;
}

struct key_copy {
	struct tree_copy *copy;
	struct tree_run *run;
	char *target;
	const struct os_entry *entry;
};

struct tree_run {
	struct tree_copy *copy;
	struct wait_queue changed;
	unsigned running;
	int err;
	char *message;
	size_t message_size;
};

static void copy_fiber(void *argument)
{
	struct key_copy *one = argument;
	struct tree_run *run = one->run;
	struct upload_outcome outcome;
	struct copy_job job = {
	        .source = one->entry->key,
	        .target = one->target,
	        .size = one->entry->size,
	        .source_etag = one->entry->etag,
	        .target_etag = NULL,
	};

	copy_run(run->copy->uploader, &job, &outcome);
	if (outcome.err && !run->err) {
		run->err = outcome.err == -ESTALE ? -EBUSY : outcome.err;
		snprintf(run->message, run->message_size, "copy of %s: %s", job.source,
		         outcome.message);
	}
	if (!outcome.err && run->copy->copied)
		run->copy->copied(run->copy->context, job.source + strlen(run->copy->source),
		                  outcome.etag);
	free(one->target);
	free(one);
	run->running--;
	wait_wake_all(&run->changed);
}

static int copy_one(struct tree_run *run, const struct os_entry *entry)
{
	struct fiber_pool *fibers = run->copy->uploader->env->fibers;
	struct key_copy *one = calloc(1, sizeof(*one));
	struct buf target = BUF_INIT;
	int err;

	if (!one)
		return -ENOMEM;
	target.limit = OS_KEY_MAX;
	buf_puts(&target, run->copy->target);
	buf_puts(&target, entry->key + strlen(run->copy->source));
	*one = (struct key_copy){run->copy, run, buf_steal(&target), entry};
	if (!one->target) {
		free(one);
		return -ENAMETOOLONG;
	}
	while (run->running >= COPY_WIDTH)
		fiber_wait(&run->changed, DEADLINE_NONE, WAIT_PLAIN);
	run->running++;
	while ((err = fiber_start(fibers, copy_fiber, one)) == -EAGAIN)
		fiber_sleep_until(env_after(run->copy->uploader->env, 10 * NSEC_PER_MSEC),
		                  WAIT_PLAIN);
	if (err) {
		run->running--;
		free(one->target);
		free(one);
	}
	return err;
}

static int copy_all(struct tree_copy *copy, const struct keys *sources, const struct keys *targets,
                    bool *foreign, char *message, size_t message_size)
{
	struct tree_run run = {.copy = copy, .message = message, .message_size = message_size};
	size_t skip = strlen(copy->source), index = 0;

	wait_queue_init(&run.changed);
	for (size_t i = 0; i < sources->page_count; i++) {
		for (size_t k = 0; k < sources->pages[i].entry_count && !run.err; k++, index++) {
			const struct os_entry *entry = &sources->pages[i].entries[k];
			const struct os_entry *there =
			        keys_find(targets, copy->target, entry->key + skip);
			int err;

			foreign[index] = there && strcmp(there->etag, entry->etag) != 0;
			if (there)
				continue;
			err = copy_one(&run, entry);
			if (err && !run.err)
				run.err = err;
		}
	}
	while (run.running > 0)
		fiber_wait(&run.changed, DEADLINE_NONE, WAIT_PLAIN);
	return run.err;
}

static int delete_batch(struct env *env, const char *const *names, size_t count, char *message,
                        size_t message_size)
{
	struct os_request request = {.op = OS_DELETE_MANY,
	                             .delete_keys = names,
	                             .delete_count = count,
	                             .deadline = env_after(env, DEADLINE_BULK)};
	int err = count ? env_s3(env, &request) : 0;

	for (size_t i = 0; i < count && !err && request.result.delete_errors; i++)
		if (request.result.delete_errors[i] != -ENOENT)
			err = request.result.delete_errors[i];
	if (err && message)
		snprintf(message, message_size, "deleting what was copied: %s",
		         request.result.message);
	os_request_free_result(&request);
	return err;
}

static int delete_sources(struct tree_copy *copy, const struct keys *sources, const bool *foreign,
                          char *message, size_t message_size)
{
	const char **names = calloc(OS_DELETE_MANY_MAX, sizeof(*names));
	size_t count = 0, index = 0;
	int err = names ? 0 : -ENOMEM;

	for (size_t i = 0; i < sources->page_count && !err; i++) {
		for (size_t k = 0; k < sources->pages[i].entry_count && !err; k++, index++) {
			const char *key = sources->pages[i].entries[k].key;

			if (foreign[index]) {
				log_warning("%s stays: its new place was written by somebody else",
				            key);
				continue;
			}
			names[count++] = key;
			if (count == OS_DELETE_MANY_MAX) {
				err = delete_batch(copy->uploader->env, names, count, message,
				                   message_size);
				count = 0;
			}
		}
	}
	if (!err)
		err = delete_batch(copy->uploader->env, names, count, message, message_size);
	free(names);
	return err;
}

int tree_copy_run(struct tree_copy *copy, char *message, size_t message_size)
{
	struct env *env = copy->uploader->env;
	struct keys sources, targets = {NULL, 0, 0};
	bool *foreign = NULL;
	int err = keys_load(env, copy->source, &sources);

	if (err)
		return err;
	err = keys_load(env, copy->target, &targets);
	if (!err) {
		foreign = calloc(sources.total + 1, sizeof(*foreign));
		err = foreign ? 0 : -ENOMEM;
	}
	if (!err)
		err = copy_all(copy, &sources, &targets, foreign, message, message_size);
	if (!err)
		err = delete_sources(copy, &sources, foreign, message, message_size);
	free(foreign);
	keys_free(&targets);
	keys_free(&sources);
	return err;
}

int tree_copy_undo(struct tree_copy *copy)
{
	struct tree_copy back = *copy;
	struct keys sources, targets;
	const char **names;
	size_t count = 0, skip = strlen(copy->target);
	struct env *env = copy->uploader->env;
	int err = keys_load(env, back.source, &sources);

	if (err)
		return err;
	err = keys_load(env, back.target, &targets);
	if (err) {
		keys_free(&sources);
		return err;
	}
	names = calloc(OS_DELETE_MANY_MAX, sizeof(*names));
	if (!names)
		err = -ENOMEM;
	for (size_t i = 0; i < targets.page_count && !err; i++) {
		for (size_t k = 0; k < targets.pages[i].entry_count && !err; k++) {
			const struct os_entry *entry = &targets.pages[i].entries[k];
			const struct os_entry *from =
			        keys_find(&sources, back.source, entry->key + skip);

			if (!from || strcmp(from->etag, entry->etag) != 0)
				continue;
			names[count++] = entry->key;
			if (count == OS_DELETE_MANY_MAX) {
				err = delete_batch(env, names, count, NULL, 0);
				count = 0;
			}
		}
	}
	if (!err)
		err = delete_batch(env, names, count, NULL, 0);
	free(names);
	keys_free(&targets);
	keys_free(&sources);
	return err;
}

#include "fs/vfs/tree_copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/vfs/tree_identity.h"
#include "fs/vfs/tree_note.h"
#include "fs/vfs/tree_run.h"

enum { LOGGED_MAX = 20 };

static struct tree_copy *copy_of(const struct tree_run *run)
{
	return run->owner;
}

/* Asks for both objects. Returns whether the item's fate is decided; not when there is no target.
 */
static bool compare(struct tree_run *run, struct tree_item *item, const char *target)
{
	struct os_entry *source = tree_run_source(run, item);
	struct os_request from = {.op = OS_HEAD, .key = source->key};
	struct os_request to = {.op = OS_HEAD, .key = target};
	int from_err = env_s3(run->env, &from), to_err = env_s3(run->env, &to);
	bool decided = true;

	if (from_err == -ENOENT) {
		item->fate = TREE_GONE;
	} else if (from_err) {
		tree_run_fail(run, from_err, "HEAD of", source->key, from.result.message);
	} else if (to_err && to_err != -ENOENT) {
		tree_run_fail(run, to_err, "HEAD of", target, to.result.message);
	} else {
		tree_refresh(source, &from.result);
		decided = to_err == 0;
		if (decided && (item->over ? tree_is_copied_marker(&from.result, &to.result)
					   : tree_is_copy(&from.result, &to.result))) {
			item->fate = item->tried ? TREE_MADE : TREE_THERE;
			item->etag = string_copy(to.result.etag);
		} else if (decided && item->over && strcmp(item->over, to.result.etag) == 0) {
			decided = false; /* not replaced yet */
		} else if (decided) {
			item->fate = TREE_FOREIGN;
		}
	}
	os_request_free_result(&from);
	os_request_free_result(&to);
	return decided;
}

/* The same, as far as possible from what the listings have told. */
static bool compare_listed(struct tree_run *run, struct tree_item *item, const char *target)
{
	const struct os_entry *source = tree_run_source(run, item), *there;
	size_t index = tree_keys_find(&run->targets, tree_run_relative(run, item));

	if (index == TREE_KEYS_NONE)
		return false;
	there = run->targets.entries[index];
	if (there->size != source->size) {
		item->fate = TREE_FOREIGN;
		return true;
	}
	if (strcmp(there->etag, source->etag) != 0)
		return compare(run, item, target);
	item->fate = TREE_THERE;
	item->etag = string_copy(there->etag);
	return true;
}

/* The object of the empty directory that this one is to replace may be there: a crash has left it,
 * or it was made again. It has no bytes either, but is not the copy. */
static void look_at_marker(struct tree_run *run, struct tree_item *item, const char *target)
{
	struct os_entry *source = tree_run_source(run, item);
	struct os_request from = {.op = OS_HEAD, .key = source->key};
	struct os_request to = {.op = OS_HEAD, .key = target}, *asked;
	int err;

	if (tree_run_relative(run, item)[0] || source->size > 0 ||
	    tree_keys_find(&run->targets, "") == TREE_KEYS_NONE)
		return;
	asked = &from;
	err = env_s3(run->env, asked);
	if (!err) {
		asked = &to;
		err = env_s3(run->env, asked);
	}
	if (err && err != -ENOENT) {
		tree_run_fail(run, err, "HEAD of", asked->key, asked->result.message);
	} else if (!err && to.result.size == 0 &&
		   !tree_is_copied_marker(&from.result, &to.result)) {
		tree_refresh(source, &from.result);
		item->over = string_copy(to.result.etag);
		if (!item->over)
			tree_run_fail(run, -ENOMEM, "copy of", source->key, "out of memory");
		memcpy(copy_of(run)->replaced, to.result.etag, OS_ETAG_MAX);
	}
	os_request_free_result(&from);
	os_request_free_result(&to);
}

static void move_key(struct tree_run *run, struct tree_item *item, const char *target)
{
	look_at_marker(run, item, target);
	if (!run->err && (item->over || !compare_listed(run, item, target)) && !run->err)
		tree_run_copy(run, item, target);
}

/* For a run that goes on deleting: what was among the sources then, and has its copy? */
static void judge_source(struct tree_run *run, struct tree_item *item, const char *target)
{
	const struct os_entry *source = tree_run_source(run, item);

	if (source->last_modified > copy_of(run)->newest)
		item->fate = TREE_FOREIGN;
	else if (source->last_modified < copy_of(run)->newest && copy_of(run)->kept == 0)
		item->fate = TREE_THERE;
	else
		compare_listed(run, item, target);
}

/* For a run that goes on taking back: which of them are copies? */
static void judge_target(struct tree_run *run, struct tree_item *item, const char *target)
{
	look_at_marker(run, item, target);
	if (!run->err && !item->over && compare_listed(run, item, target) &&
	    item->fate == TREE_THERE)
		item->fate = TREE_MADE;
}

static bool is_source_owed(const struct tree_run *run, const struct os_entry *entry)
{
	size_t index = tree_keys_find(&run->sources, entry->key + run->sources.prefix_len);
	enum tree_fate fate = index == TREE_KEYS_NONE ? TREE_OPEN : run->items[index].fate;

	return (fate == TREE_MADE || fate == TREE_THERE) &&
	       strcmp(run->sources.entries[index]->etag, entry->etag) == 0;
}

/* The sources as they are now, without those that are not what was copied. */
static int delete_sources_once(void *context)
{
	struct tree_run *run = context;
	struct tree_copy *copy = run->owner;
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
	struct tree_item *item = index == TREE_KEYS_NONE ? NULL : &run->items[index];

	if (!item || (item->fate == TREE_OPEN && !item->tried))
		return false;
	/* The directory was there before. */
	if (copy_of(run)->replaced[0] && !entry->key[run->targets.prefix_len])
		return false;
	/* A reply was lost, and then it could not be found out what had happened. */
	if (item->fate == TREE_OPEN && !compare(run, item, entry->key))
		return false;
	return item->fate == TREE_MADE && item->etag && strcmp(item->etag, entry->etag) == 0;
}

static int take_back_once(void *context)
{
	struct tree_run *run = context;
	struct tree_keys now;
	const char **names;
	size_t count = 0;
	int err = tree_keys_load(run->env, copy_of(run)->target, &now, run->message,
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

/* The first failure is what the caller is told, not what came of it. */
static void take_back(struct tree_run *run)
{
	char *message = run->message, scratch[300] = "";
	size_t message_size = run->message_size;
	int first = run->err, err;

	run->message = scratch;
	run->message_size = sizeof(scratch);
	err = tree_patiently(run->env, take_back_once, run);
	if (err)
		log_warning("copies are left below %s: %s", copy_of(run)->target, scratch);
	else
		copy_of(run)->state = TREE_AS_BEFORE;
	run->message = message;
	run->message_size = message_size;
	run->err = first;
}

static void tell_copied(const struct tree_run *run)
{
	const struct tree_copy *copy = run->owner;

	for (size_t i = 0; i < run->sources.count && copy->copied; i++) {
		const struct tree_item *item = &run->items[i];
		bool ours = item->fate == TREE_MADE || item->fate == TREE_THERE;

		copy->copied(copy->context, tree_keys_relative(&run->sources, i),
			     run->sources.entries[i]->etag, ours ? item->etag : NULL);
	}
}

static int move(struct tree_run *run)
{
	struct tree_copy *copy = run->owner;
	int err;

	copy->state = TREE_BETWEEN;
	copy->newest = INT64_MIN;
	copy->kept = 0;
	err = tree_run_each(run, move_key);
	if (err && copy->take_back)
		take_back(run);
	if (err)
		return err;
	copy->state = TREE_MOVED;
	for (size_t i = 0; i < run->sources.count; i++) {
		if (run->sources.entries[i]->last_modified > copy->newest)
			copy->newest = run->sources.entries[i]->last_modified;
		copy->kept += run->items[i].fate == TREE_FOREIGN;
	}
	tell_copied(run);
	return copy->keep_sources ? 0 : tree_patiently(run->env, delete_sources_once, run);
}

static int go_on_deleting(struct tree_run *run)
{
	int err;

	copy_of(run)->state = TREE_MOVED;
	err = tree_run_each(run, judge_source);
	return err ? err : tree_patiently(run->env, delete_sources_once, run);
}

static int go_on_taking_back(struct tree_run *run)
{
	int err;

	copy_of(run)->state = TREE_BETWEEN;
	err = tree_run_each(run, judge_target);
	if (!err)
		err = tree_patiently(run->env, take_back_once, run);
	if (!err)
		copy_of(run)->state = TREE_AS_BEFORE;
	return err;
}

int tree_copy_run(struct tree_copy *copy, char *message, size_t message_size)
{
	struct tree_run run = {.uploader = copy->uploader,
			       .env = copy->uploader->env,
			       .owner = copy,
			       .target = copy->target,
			       .judge = compare,
			       .message = message,
			       .message_size = message_size};
	enum tree_note_kind kind = tree_note_read(copy, copy->note ? copy->note : "");
	int err;

	copy->state = TREE_AS_BEFORE;
	err = tree_run_load(&run, copy->source);
	if (!err && kind == TREE_NOTE_TAKE_BACK)
		err = go_on_taking_back(&run);
	else if (!err && kind == TREE_NOTE_DELETE)
		err = go_on_deleting(&run);
	else if (!err)
		err = move(&run);
	copy->ambiguous = run.ambiguous;
	tree_run_free(&run);
	return err;
}

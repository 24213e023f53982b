#include "fs/vfs/tree_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/map.h"
#include "fs/vfs/tree_identity.h"

struct place {
	struct tree_swap *swap;
	struct swap_side *what;
	const struct swap_side *where;
	const char *backup;	    /* below it is what where->prefix held, if it is known */
	const struct map *expected; /* ETags of it, where nothing has been replaced yet; or NULL */
	const struct tree_keys *wanted; /* those of what->aside */
};

int tree_etags_put(struct map *etags, const char *relative, const char *etag)
{
	char *copy = string_copy(etag);
	void *old = NULL;
	int err = copy ? map_put(etags, relative, copy, &old) : -ENOMEM;

	if (err)
		free(copy);
	free(old);
	return err;
}

void tree_etags_free(struct map *etags)
{
	size_t position = 0;
	void *etag;

	while (etags && map_next(etags, &position, NULL, NULL, &etag))
		free(etag);
	map_destroy(etags);
}

/* 0, also where there is nothing: head->result.err says so. */
static int ask(struct tree_run *run, struct os_request *head, const char *key)
{
	int err;

	*head = (struct os_request){.op = OS_HEAD, .key = key};
	err = env_s3(run->env, head);
	if (err && err != -ENOENT)
		tree_run_fail(run, err, "HEAD of", key, head->result.message);
	return err == -ENOENT ? 0 : err;
}

static int ask_below(struct tree_run *run, struct os_request *head, const char *prefix,
		     const char *relative)
{
	struct buf key = BUF_INIT;
	int err;

	buf_puts(&key, prefix);
	buf_puts(&key, relative);
	if (key.failed) {
		*head = (struct os_request){.op = OS_HEAD};
		tree_run_fail(run, -ENOMEM, "HEAD of", relative, "out of memory");
		err = -ENOMEM;
	} else {
		err = ask(run, head, buf_str(&key));
		head->key = NULL;
	}
	buf_free(&key);
	return err;
}

static bool is_version_of(const struct os_result *one, const struct os_result *other)
{
	return !one->err && !other->err && (tree_is_same(one, other) || tree_is_same(other, one));
}

static void set_over(struct tree_run *run, struct tree_item *item, const char *etag)
{
	free(item->over);
	item->over = etag ? string_copy(etag) : NULL;
	if (etag && !item->over)
		tree_run_fail(run, -ENOMEM, "copy of", tree_run_relative(run, item),
			      "out of memory");
}

static bool judge_found(struct tree_run *run, struct tree_item *item, const struct os_result *from,
			const struct os_result *to, const struct os_result *backup)
{
	if (from->err) {
		item->fate = TREE_GONE;
		return true;
	}
	tree_refresh(tree_run_source(run, item), from);
	if (to->err) {
		set_over(run, item, NULL);
		return false;
	}
	if (is_version_of(from, to)) { /* also what was never replaced */
		item->fate = TREE_MADE;
		free(item->etag);
		item->etag = string_copy(to->etag);
		return true;
	}
	if (is_version_of(to, backup)) {
		set_over(run, item, to->etag);
		return false;
	}
	item->fate = TREE_FOREIGN;
	return true;
}

/* What is at the target: the copy, what it is to replace, or somebody else's? */
static bool judge(struct tree_run *run, struct tree_item *item, const char *target)
{
	const struct place *place = run->owner;
	struct os_request from, to = {.op = OS_HEAD}, backup = {.op = OS_HEAD};
	int err = ask(run, &from, tree_run_source(run, item)->key);

	if (!err)
		err = ask(run, &to, target);
	if (!err)
		err = ask_below(run, &backup, place->backup, tree_run_relative(run, item));
	if (!err)
		err = judge_found(run, item, &from.result, &to.result, &backup.result) ? 1 : 0;
	os_request_free_result(&from);
	os_request_free_result(&to);
	os_request_free_result(&backup);
	return err == 1;
}

/* Others have written to its place. A directory's own object has nothing to lose. */
static void keep(struct tree_run *run, struct tree_item *item, const char *target)
{
	const struct place *place = run->owner;
	const struct os_entry *source = tree_run_source(run, item);
	char conflict[NAME_BYTES_MAX + 1], text[NAME_BYTES_MAX + 200];
	struct upload_outcome outcome = {0};
	struct copy_job job = {.source = source->key,
			       .size = source->size,
			       .source_etag = source->etag,
			       .target_etag = ""};

	char *key;

	if (*target && target[strlen(target) - 1] == '/') {
		log_warning("%s stays as others have written it, although it changed places",
			    target);
		return;
	}
	/* The same name at each attempt, which finds what another one has made. */
	key_conflict_name(conflict, key_name(target), place->swap->vfs->config.node,
			  place->swap->began, place->what->put_id);
	job.target = key = key_beside(target, conflict);
	outcome.err = !key ? -ENOMEM : strlen(key) > OS_KEY_MAX ? -ENAMETOOLONG : 0;
	if (!outcome.err)
		copy_run(run->uploader, &job, &outcome);
	snprintf(text, sizeof(text),
		 "others wrote to it while its directory changed places: what belongs there is "
		 "kept as %s",
		 conflict);
	if (!outcome.err)
		vfs_report(place->swap->vfs, inode_at_key(place->swap->vfs, target), -ESTALE, text);
	else if (outcome.err != -ESTALE)
		tree_run_fail(run, outcome.err, "copy of", source->key, outcome.message);
	free(key);
}

static void place_key(struct tree_run *run, struct tree_item *item, const char *target)
{
	const struct place *place = run->owner;
	const char *relative = tree_run_relative(run, item);

	if (place->expected)
		set_over(run, item, map_get(place->expected, relative));
	else
		judge(run, item, target);
	if (!run->err && item->fate == TREE_OPEN)
		tree_run_copy(run, item, target);
	if (!run->err && item->fate == TREE_FOREIGN)
		keep(run, item, target);
	if (!run->err && item->fate == TREE_MADE &&
	    tree_etags_put(place->what->placed, relative, item->etag))
		tree_run_fail(run, -ENOMEM, "copy of", relative, "out of memory");
}

/* For what is below the place: what has no counterpart goes, in the version that was set aside. */
static void clear_key(struct tree_run *run, struct tree_item *item, const char *backup_key)
{
	const struct place *place = run->owner;
	const char *key = tree_run_source(run, item)->key, *relative = tree_run_relative(run, item);
	struct os_request there = {.op = OS_HEAD}, backup = {.op = OS_HEAD};
	const char *etag = NULL;
	int err = 0;

	if (tree_keys_find(place->wanted, relative) != TREE_KEYS_NONE)
		return;
	if (place->expected) {
		etag = map_get(place->expected, relative);
	} else {
		err = ask(run, &there, key);
		if (!err)
			err = ask(run, &backup, backup_key);
		if (!err && is_version_of(&there.result, &backup.result))
			etag = there.result.etag;
	}
	if (!err && etag)
		err = rename_delete_version(place->swap->vfs, key, etag);
	if (err)
		tree_run_fail(run, err, "deletion of", key, strerror(-err));
	os_request_free_result(&there);
	os_request_free_result(&backup);
}

static int clear_rest(struct tree_run *placed, struct place *place)
{
	struct tree_run run = {.uploader = placed->uploader,
			       .env = placed->env,
			       .owner = place,
			       .target = place->backup,
			       .sources = placed->targets,
			       .message = placed->message,
			       .message_size = placed->message_size};
	int err;

	placed->targets = (struct tree_keys){0};
	wait_queue_init(&run.changed);
	err = tree_run_items(&run);
	if (!err)
		err = tree_run_each(&run, clear_key);
	tree_run_free(&run);
	return err;
}

int tree_place(struct tree_swap *swap, struct swap_side *what, const struct swap_side *where)
{
	struct place place = {.swap = swap, .what = what, .where = where};
	struct tree_run run = {.uploader = &swap->vfs->uploader,
			       .env = swap->vfs->env,
			       .owner = &place,
			       .target = where->prefix,
			       .judge = judge,
			       .message = swap->message,
			       .message_size = sizeof(swap->message)};
	int err = tree_run_load(&run, what->aside);

	place.backup = what == &swap->one ? swap->other.aside : swap->one.aside;
	place.expected = swap->looked ? where->originals : NULL;
	place.wanted = &run.sources;
	if (!err)
		err = tree_run_each(&run, place_key);
	if (!err)
		err = clear_rest(&run, &place);
	tree_run_free(&run);
	return err;
}

/* rename_exchange.c — two names change places (RENAME_EXCHANGE). Part of rename.h.
 *
 * What neither has in S3 changes places in the journal, by one record. Else both are published
 * first, and the server copies (exchange.h; of two directories tree_swap.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/vfs/exchange.h"
#include "fs/vfs/rename.h"
#include "fs/vfs/tree_swap.h"

enum { TURNS_MAX = 8 };

/* S3 has nothing of it, and nothing is on its way there. */
static bool is_only_local(const struct inode *inode)
{
	return inode->remote != REMOTE_PRESENT && !inode->etag && !inode->resolve_first &&
	       !inode->haunted_at && !inode->conflicted && !inode->directory;
}

/* Both rows at once: a crash between two records would leave one name for both. */
uint64_t rename_exchange_names(struct inode *one, struct inode *other)
{
	struct journal *journal = one->vfs->env->journal;
	bool rows = one->persisted && other->persisted;

	janitor_expect(one);
	janitor_expect(other);
	inode_touch(one, false);
	inode_touch(other, false);
	inode_touch(one->parent, true);
	inode_touch(other->parent, true);
	if (rows) { /* what else is new of them */
		change_journal(one);
		change_journal(other);
	}
	inode_exchange(one, other);
	if (rows)
		return one->dirty_sequence = other->dirty_sequence = journal_exchange_nodes(
			       journal,
			       &(struct journal_name){one->ino, one->parent->ino, one->name},
			       &(struct journal_name){other->ino, other->parent->ino, other->name});
	if (one->persisted)
		change_journal(one);
	if (other->persisted)
		change_journal(other);
	return journal_newest(journal);
}

void rename_loaded(struct inode *inode, const char *key)
{
	char name[OS_KEY_MAX + 1];
	size_t len = strlen(key);

	if (len > 0 && key[len - 1] == '/')
		len--;
	snprintf(name, sizeof(name), "%.*s", (int)len, key);
	inode_get(inode);
	inode_move_to_key(inode, name);
	if (inode->parent && inode->persisted)
		change_journal(inode);
	inode_put(inode);
}

int publish_whole(struct inode *inode)
{
	struct upload_outcome outcome = {0};
	int err = inode->resolve_first ? publish_resolve(inode, &outcome) : 0;

	if (!err && inode_is_dirty(inode)) {
		publish_release(inode);
		err = publish_wait(inode, env_after(inode->vfs->env, PUBLISH_WAIT), WAIT_PLAIN);
		publish_acquire(inode);
	}
	return err;
}

/* Nothing is owed of either. Who writes all the time is not waited for. */
static int publish_both(struct inode *one, struct inode *other)
{
	int err = 0;

	for (int turn = 0; !err && (inode_is_dirty(one) || inode_is_dirty(other)); turn++) {
		err = turn < TURNS_MAX ? publish_whole(one) : -EBUSY;
		if (!err)
			err = publish_whole(other);
	}
	if (!err && (one->remote != REMOTE_PRESENT || other->remote != REMOTE_PRESENT))
		err = -ENOENT;
	if (!err)
		err = change_confirm(one);
	return err ? err : change_confirm(other);
}

void rename_take_copy(struct inode *inode, const char *etag, const char *put_id)
{
	inode_set_etag(inode, etag);
	inode->remote_modified = 0;
	inode->confirmed_at = env_now(inode->vfs->env);
	os_meta_set(&inode->meta, META_PUT_ID, put_id);
	os_meta_set(&inode->meta, META_CONFLICT, NULL);
}

/* Others have put something at the first name when the first file was at the second already. */
static int move_apart(struct rename *rename, const struct exchange *exchange)
{
	struct inode *one = rename->source, *other = rename->target;
	int err;

	rename_take_copy(one, exchange->new_one_etag, exchange->one.put_id);
	inode_set_etag(other, NULL); /* of the conflict copy S3 is asked */
	err = inode_child(rename->to, exchange->kept_name)
		      ? -EEXIST
		      : inode_move(other, rename->to, exchange->kept_name);
	if (!err)
		err = inode_move(one, rename->to, rename->new_name);
	conflict_show_theirs(rename->from);
	conflict_show_theirs(rename->to);
	other->confirmed_at = 0;
	if (!err && one->persisted)
		change_journal(one);
	if (!err && other->persisted)
		change_journal(other);
	return err ? err : -EBUSY;
}

static int copy_both(struct rename *rename, struct exchange *exchange)
{
	struct vfs *vfs = rename->vfs;
	struct inode *one = rename->source, *other = rename->target;
	enum exchange_step end;
	int err = exchange_put_intent(exchange);

	if (err)
		return err;
	err = exchange_run(exchange, env_after(vfs->env, PUBLISH_WAIT), &end);
	if (err)
		vfs_report(vfs, one, err, exchange->message);
	if (!err && end == EXCHANGE_DONE) {
		rename_take_copy(one, exchange->new_one_etag, exchange->one.put_id);
		rename_take_copy(other, exchange->new_other_etag, exchange->other.put_id);
		rename_exchange_names(one, other);
	} else if (!err && end == EXCHANGE_KEEP) {
		err = move_apart(rename, exchange);
	} else if (end != EXCHANGE_UNDONE) {
		exchange_leave(exchange);
		return err;
	}
	exchange_close(exchange, end);
	return err;
}

static int exchange_files(struct rename *rename)
{
	struct inode *one = rename->source, *other = rename->target;
	struct exchange exchange;
	int err;

	if (is_only_local(one) && is_only_local(other)) {
		uint64_t sequence = rename_exchange_names(one, other);

		err = rename_await_record(one, sequence);
		return err ? rename_await_record(other, sequence) : 0;
	}
	err = publish_both(one, other);
	if (err)
		return err;
	err = exchange_init(&exchange, rename->vfs, rename->source_key, rename->target_key);
	if (!err && (strcmp(exchange.one.etag, one->etag ? one->etag : "") != 0 ||
		     strcmp(exchange.other.etag, other->etag ? other->etag : "") != 0))
		err = -ESTALE;
	/* Names are held, so that only a conflict can have taken one away. */
	if (!err && (one->parent != rename->from || other->parent != rename->to))
		err = -ESTALE;
	if (!err)
		err = copy_both(rename, &exchange);
	exchange_free(&exchange);
	return err;
}

static int swap_trees(struct rename *rename)
{
	struct vfs *vfs = rename->vfs;
	struct inode *one = rename->source, *other = rename->target;
	struct tree_swap swap;
	int err = tree_swap_init(&swap, vfs, one, other);

	if (!err) {
		err = tree_swap_run(&swap);
		tree_swap_tell(&swap, one, other); /* also of what was put back */
		if (err)
			vfs_report(vfs, one, err, swap.message);
	}
	if (!err) {
		janitor_moved(vfs, swap.one.prefix, swap.other.prefix);
		janitor_moved(vfs, swap.other.prefix, swap.one.prefix);
		rename_exchange_names(one, other);
		tree_swap_close(&swap);
	}
	tree_swap_free(&swap);
	return err;
}

/* In the order of their numbers: another exchange of the same two waits for the first. */
static int exchange_directories(struct rename *rename)
{
	bool ordered = rename->source->ino < rename->target->ino;
	struct inode *first = ordered ? rename->source : rename->target;
	struct inode *second = ordered ? rename->target : rename->source;
	int err = rename_freeze(first);

	if (err)
		return err;
	err = rename_freeze(second);
	if (!err) {
		err = rename_check_keys(rename);
		if (!err)
			err = swap_trees(rename);
		rename_thaw(second);
	}
	rename_thaw(first);
	return err;
}

int rename_exchange(struct rename *rename)
{
	struct inode *one = rename->source, *other = rename->target;
	int err;

	if (one->directory && other->directory)
		return exchange_directories(rename);
	if (one->directory || other->directory)
		return rename_exchange_mixed(rename);
	publish_acquire(one);
	publish_acquire(other);
	err = one->parent == rename->from && other->parent == rename->to ? 0 : -ENOENT;
	if (!err)
		err = exchange_files(rename);
	publish_release(other);
	publish_release(one);
	if (err == -ESTALE) { /* others have replaced one since we looked */
		one->confirmed_at = other->confirmed_at = 0;
		err = -EBUSY;
	}
	return err;
}

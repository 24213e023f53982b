/* recover.c — what a crash has left half-way is finished: uploads, renames, deletions. Part of
 * inode.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/upload/multipart.h"
#include "fs/upload/orphan.h"
#include "fs/vfs/exchange.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/tree_copy.h"
#include "fs/vfs/tree_swap.h"

enum { RECOVERED_LATER = 1 }; /* the intent stays, for who looks after it */

static bool is_transient(int err)
{
	return env_s3_heals(err) || err == -EKEYREJECTED;
}

static int recover_upload(struct vfs *vfs, const struct found_intent *found)
{
	const struct journal_intent *intent = &found->intent;
	struct uploader *uploader = &vfs->uploader;
	int64_t since;
	int err;

	if (!intent->target[0]) {
		if (parse_int(intent->etag, 0, INT64_MAX, &since))
			return 0;
		orphan_find_later(uploader, intent->source, since, intent->id);
		return RECOVERED_LATER;
	}
	/* With two, one of them may still become the object that bears the put-id of both. */
	err = found->shared ? -ESTALE : stream_resume(vfs, intent);
	if (!err)
		return RECOVERED_LATER;
	if (!is_transient(err) && err != -ENOENT)
		err = orphan_abort(uploader, intent->source, intent->target);
	if (!err || err == -ENOENT)
		return 0;
	orphan_abort_later(uploader, intent->source, intent->target, intent->id);
	return RECOVERED_LATER;
}

/* The version that was moved, or that with other attributes of ours: put-ids of one file are kin.
 * Another file may have the same bytes, and so the same ETag. ids: a line with the put-id that it
 * had, or an empty one, and a line with one of its file. */
static bool is_moved_version(const char *put_id, const char *ids)
{
	const char *line_end = strchr(ids, '\n');
	size_t len = line_end ? (size_t)(line_end - ids) : strlen(ids);

	if (strlen(put_id) == len && memcmp(put_id, ids, len) == 0)
		return true;
	return line_end && put_id_is_kin(put_id, line_end + 1);
}

int rename_delete_version(struct vfs *vfs, const char *key, const char *ids)
{
	struct os_request head = {.op = OS_HEAD, .key = key, .urgent = true};
	struct os_request delete = {.op = OS_DELETE, .key = key, .urgent = true};
	const char *line_end = strchr(ids, '\n'), *put_id;
	char etag[OS_ETAG_MAX];
	int err = env_s3(vfs->env, &head);

	snprintf(etag, sizeof(etag), "%.*s", (int)(line_end ? line_end - ids : (long)strlen(ids)),
		 ids);
	if (vfs->uploader.can.delete)
		delete.condition.if_match = etag;
	put_id = err ? NULL : os_meta_get(&head.result.meta, META_PUT_ID);
	if (!err && strcmp(head.result.etag, etag) == 0 &&
	    (!line_end || is_moved_version(put_id ? put_id : "", line_end + 1)))
		err = late_run(&vfs->uploader, &delete);
	os_request_free_result(&delete);
	os_request_free_result(&head);
	return err == -ESTALE || err == -ENOENT ? 0 : err;
}

/* What the target's name held here before, and was never uploaded, has been replaced by the copy.
 */
static void forget_replaced(struct vfs *vfs, const char *key)
{
	struct inode *inode = inode_at_key(vfs, key);

	if (!inode || !inode->untouched || !inode_is_dirty(inode) || inode->publishing)
		return;
	inode_get(inode);
	inode_unlink(inode);
	inode_orphan(inode);
	inode_put(inode);
}

/* Attributes that were owed under the old name are in the copy. */
static void forget_source(struct vfs *vfs, const char *key)
{
	struct inode *inode = inode_at_key(vfs, key);

	if (!inode || (inode->dirty & NODE_DIRTY_DATA))
		return;
	inode_get(inode);
	change_forget(inode);
	inode_vanish(inode);
	inode_put(inode);
}

/* The copy carries the put-id that the intent begins with: then it was made, and the source, whose
 * ETag follows, is what is left. 1: so it is; 0: there is no such copy, or not yet. */
int rename_finish(struct vfs *vfs, const struct journal_intent *intent)
{
	struct os_request head = {.op = OS_HEAD, .key = intent->target};
	const char *put_id;
	bool copied = !intent->target[0]; /* the copy was seen; only the source is left */
	int err;

	if (copied) {
		err = rename_delete_version(vfs, intent->source, intent->etag + PUT_ID_LEN);
		return err ? err : 1;
	}
	err = env_s3(vfs->env, &head);
	if (!err) {
		put_id = os_meta_get(&head.result.meta, META_PUT_ID);
		copied = put_id && strlen(put_id) == PUT_ID_LEN &&
			 strncmp(put_id, intent->etag, PUT_ID_LEN) == 0;
		if (copied) {
			forget_replaced(vfs, intent->target);
			err = rename_delete_version(vfs, intent->source, intent->etag + PUT_ID_LEN);
			if (!err)
				forget_source(vfs, intent->source);
		}
	}
	os_request_free_result(&head);
	return err == -ENOENT ? copied : err ? err : copied;
}

/* A copy that nobody waits for may be made later: then the rename is finished then. */
static int recover_rename(struct vfs *vfs, const struct journal_intent *intent)
{
	int settled = rename_finish(vfs, intent);
	struct found_intent *found;

	if (settled != 0)
		return settled < 0 ? settled : 0;
	found = found_intent_new(intent);
	if (!found)
		return -ENOMEM;
	if (janitor_follow(vfs, found, rename_finish))
		return RECOVERED_LATER;
	found_intent_free(found);
	return -EAGAIN;
}

/* What is left after another failure is written down: below the old name others may work meanwhile.
 */
static int recover_tree(struct vfs *vfs, const struct journal_intent *intent)
{
	struct tree_copy copy = {.uploader = &vfs->uploader,
				 .source = intent->source,
				 .target = intent->target,
				 .note = intent->etag};
	struct journal_intent left = *intent;
	char message[300] = "", note[TREE_NOTE_MAX];
	int err;

	log_info("%s: finishing the rename of %s to %s", vfs->config.volume, intent->source,
		 intent->target);
	err = tree_copy_run(&copy, message, sizeof(message));
	if (!err)
		return 0;
	vfs_report(vfs, NULL, err, message[0] ? message : "the rename is not finished");
	if (copy.state == TREE_MOVED) {
		tree_copy_note(&copy, note);
		left.etag = note;
		journal_put_intent(vfs->env->journal, &left);
	}
	return err;
}

static int recover_exchange(struct vfs *vfs, const struct journal_intent *intent)
{
	int settled = tree_swap_is(intent)	  ? tree_swap_finish(vfs, intent)
		      : exchange_is_mixed(intent) ? exchange_finish_mixed(vfs, intent)
						  : exchange_finish(vfs, intent);

	return settled < 0 ? settled : 0;
}

static bool is_rename(const struct journal_intent *intent)
{
	return intent->kind == INTENT_RENAME_FILE || intent->kind == INTENT_RENAME_DIR ||
	       intent->kind == INTENT_EXCHANGE;
}

static int recover_intent(struct vfs *vfs, const struct found_intent *found)
{
	const struct journal_intent *intent = &found->intent;

	switch (intent->kind) {
	case INTENT_MPU: return recover_upload(vfs, found);
	case INTENT_RENAME_FILE: return recover_rename(vfs, intent);
	case INTENT_RENAME_DIR: return recover_tree(vfs, intent);
	case INTENT_DELETE: return janitor_look(vfs, intent) < 0 ? -EAGAIN : 0;
	case INTENT_EXCHANGE: return recover_exchange(vfs, intent);
	}
	return 0;
}

/* One kind of what was found; what fails stays on the list. */
static int recover_intents(struct vfs *vfs, bool renames)
{
	struct found_intent **place = &vfs->found_intents, *found;
	int first = 0;

	while ((found = *place)) {
		int err = 0;

		if (is_rename(&found->intent) != renames) {
			place = &found->next;
			continue;
		}
		if (!vfs->config.read_only)
			err = recover_intent(vfs, found);
		if (err < 0) {
			log_warning("%s: what was left of %s waits for the next mount: %s",
				    vfs->config.volume, found->intent.source, strerror(-err));
			first = first ? first : err;
			place = &found->next;
			continue;
		}
		if (!vfs->config.read_only && err != RECOVERED_LATER)
			journal_drop_intent(vfs->env->journal, found->intent.id);
		*place = found->next;
		found_intent_free(found);
	}
	return first;
}

int vfs_recover(struct vfs *vfs)
{
	int err, other;

	park_settle(vfs);
	err = recover_intents(vfs, true);
	vfs->names_known = true;
	wait_wake_all(&vfs->settled);
	other = recover_intents(vfs, false);
	vfs->recovering = false;
	wait_wake_all(&vfs->settled);
	if (!vfs->config.read_only) {
		publish_pump(vfs);
		durable_expect(vfs);
	}
	return err ? err : other;
}

void vfs_await_names(struct vfs *vfs, uint64_t deadline)
{
	while (!vfs->names_known)
		if (fiber_wait(&vfs->settled, deadline, WAIT_PLAIN))
			return;
}

/* rename.c — rename of files; directories are in rename_directory.c. Part of vfs.h.
 *
 * S3 has no rename: the object is copied by the server and the source goes only after its
 * destination is there. The intent is in the journal before the first copy, so that a crash leaves
 * work to finish, never a half that nobody knows of. What has never been uploaded is renamed for
 * nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/rename.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif
#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

#define SETTLE_WAIT (30 * NSEC_PER_SEC)

int rename_move_inode(struct rename *rename)
{
	struct inode *source = rename->source;
	struct vfs *vfs = rename->vfs;
	struct inode *shown = inode_child(rename->to, rename->new_name);
	int err;

	/* A listing has met the copy before we came to say what it is. */
	if (shown && shown != source) {
		inode_vanish(shown);
	}
	inode_get(rename->from);
	janitor_expect(source);
	err = inode_move(source, rename->to, rename->new_name);
	if (err) { /* S3 tells which of the names there is */
		conflict_show_theirs(rename->to);
		conflict_show_theirs(rename->from);
		inode_put(rename->from);
		return err;
	}
	inode_touch(source, false);
	inode_touch(rename->from, true);
	inode_touch(rename->to, true);
	source->changed = rename->from->changed = rename->to->changed = ++vfs->change;
	if (source->persisted) {
		if (!rename->to->persisted)
			change_journal(source);
		else
			journal_move_node(vfs->env->journal, source->ino, rename->to->ino,
					  rename->new_name);
	}
	inode_put(rename->from);
	return 0;
}

/* The target's object, if there is one, is replaced by the copy: only its inode has to go. */
static void replace_target(struct rename *rename)
{
	struct inode *target = rename->target;

	if (!target || !target->parent)
		return;
	inode_unlink(target);
	inode_touch(target, false);
	target->remote = REMOTE_ABSENT;
	target->changed = ++rename->vfs->change;
	inode_orphan(target);
}

int rename_put_intent(struct rename *rename, enum journal_intent_kind kind, const char *etag,
		      uint64_t *id)
{
	struct journal *journal = rename->vfs->env->journal;
	struct journal_intent intent = {
		.id = uploader_intent_id(&rename->vfs->uploader),
		.kind = kind,
		.source = rename->source_key,
		.target = rename->target_key,
		.etag = etag,
	};
	int err;

	*id = intent.id;
	/* What is owed of the target may be durable: then that it was replaced has to be, too. */
	err = journal_wait(journal, journal_put_intent(journal, &intent),
			   rename->target && inode_is_dirty(rename->target) ? JOURNAL_DURABLE
									    : JOURNAL_COMMITTED);
	if (err) /* on a full disk it may be written later, and nothing of it was done */
		journal_drop_intent(journal, intent.id);
	return err;
}

void rename_ids(const struct inode *source, const char *put_id, const char *etag,
		char ids[RENAME_IDS_MAX])
{
	const char *source_put_id = os_meta_get(&source->meta, META_PUT_ID);

	snprintf(ids, RENAME_IDS_MAX, "%s%s\n%.32s\n%s", put_id, etag,
		 source_put_id ? source_put_id : "", source->put_id);
}

/* The version that was copied; a newer one is somebody's work, and stays under the old name. */
static int delete_source(struct rename *rename, const char *etag)
{
	struct os_request request = {.op = OS_DELETE, .key = rename->source_key, .urgent = true};
	int err;

	if (rename->vfs->uploader.can.delete &&etag[0])
		request.condition.if_match = etag;
	err = late_run(&rename->vfs->uploader, &request);
	if (err == -ESTALE || err == -ENOENT)
		err = 0;
	if (err)
		vfs_report(rename->vfs, rename->source, err, request.result.message);
	rename->source->may_vanish |= err && request.result.ambiguous;
	os_request_free_result(&request);
	return err;
}

/* The copy has been made: there is no way back, so that a server that is away for a while is waited
 * for.
 */
static int delete_source_patiently(struct rename *rename, const char *etag)
{
	struct env *env = rename->vfs->env;
	uint64_t deadline = env_after(env, PUBLISH_WAIT), pause = NSEC_PER_SEC / 2;
	int err = delete_source(rename, etag);

	while (err && publish_heals(err) && env_now(env) + pause < deadline) {
		fiber_sleep_until(env_after(env, pause), WAIT_PLAIN);
		pause *= 2;
		err = delete_source(rename, etag);
	}
	return err;
}

/* A copy that may come late: where it would be a new name it is removed then, else the rename is
 * finished, because what it has replaced is gone. True: the intent stays for that. */
static bool follow_copy(struct rename *rename, uint64_t id, const char *ids)
{
	char put_id[PUT_ID_LEN + 1];
	struct journal_intent intent = {.id = id,
					.kind = INTENT_RENAME_FILE,
					.source = rename->source_key,
					.target = rename->target_key,
					.etag = ids};
	struct found_intent *found;

	if (!rename->target || !rename->target->etag) {
		memcpy(put_id, ids, PUT_ID_LEN);
		put_id[PUT_ID_LEN] = 0;
		janitor_watch(rename->vfs, rename->target_key, put_id);
		return false;
	}
	found = found_intent_new(&intent);
	if (found && janitor_follow(rename->vfs, found, rename_finish))
		return true;
	if (found)
		found_intent_free(found);
	return false;
}

/* The source may not be deleted: the copy goes, if it may. */
static void take_back(struct rename *rename, const char *etag, const char *put_id)
{
	struct os_request request = {.op = OS_DELETE, .key = rename->target_key, .urgent = true};

	if (rename->vfs->uploader.can.delete)
		request.condition.if_match = etag;
	if (late_run(&rename->vfs->uploader, &request))
		janitor_watch(rename->vfs, rename->target_key, put_id);
	os_request_free_result(&request);
}

/* The copy is there, and what was at the target before is not: it only goes forward. */
static int delete_later(struct rename *rename, uint64_t id, const char *ids)
{
	struct journal *journal = rename->vfs->env->journal;
	struct journal_intent intent = {.id = id,
					.kind = INTENT_RENAME_FILE,
					.source = rename->source_key,
					.target = "",
					.etag = ids};
	struct found_intent *found = found_intent_new(&intent);
	int err = found ? journal_wait(journal, journal_put_intent(journal, &intent),
				       JOURNAL_COMMITTED)
			: -ENOMEM;

	if (!err && janitor_follow(rename->vfs, found, rename_finish))
		return 0;
	if (found)
		found_intent_free(found);
	return err ? err : -EAGAIN;
}

/* A type that the old name tells changes with the name; one that somebody chose stays. */
static const char *type_under_new_name(const struct rename *rename)
{
	const struct media_types *types = rename->vfs->config.media_types;
	const char *type = publish_content_type(rename->source);

	return S_ISREG(rename->source->attributes.mode) &&
			       strcmp(type, media_type_of(types, rename->source->name)) == 0
		       ? media_type_of(types, rename->new_name)
		       : type;
}

/* What the new object is besides its bytes. A copy of it, as a HEAD may replace the inode's while
 * the request is under way. */
struct description {
	struct os_meta meta, headers;
	char *content_type;
};

static int describe(const struct rename *rename, const char *put_id, struct description *out)
{
	struct inode *source = rename->source;
	int err;

	/* Who renames a conflict copy has decided what it is. */
	os_meta_set(&source->meta, META_CONFLICT, NULL);
	err = os_meta_copy(&out->meta, &source->meta);
	if (!err)
		err = os_meta_set(&out->meta, META_PUT_ID, put_id);
	if (!err)
		err = attributes_encode(&source->attributes, &out->meta);
	if (!err)
		err = os_meta_copy(&out->headers, &source->headers);
	out->content_type = string_copy(type_under_new_name(rename));
	return !err && !out->content_type ? -ENOMEM : err;
}

static void description_free(struct description *description)
{
	os_meta_free(&description->meta);
	os_meta_free(&description->headers);
	free(description->content_type);
	description->content_type = NULL;
}

/* A file that is in S3: copy, then delete. Pending attributes go along in the copy. */
static int copy_file(struct rename *rename)
{
	struct vfs *vfs = rename->vfs;
	struct inode *source = rename->source;
	struct inode *target = rename->target;
	struct description description = {.content_type = NULL};
	struct upload_outcome outcome = {0};
	struct copy_job job = {.source = rename->source_key,
			       .target = rename->target_key,
			       .size = source->remote_size,
			       .source_etag = source->etag ? source->etag : "",
			       .replace_meta = true,
			       .meta = &description.meta,
			       .headers = &description.headers};
	char put_id[PUT_ID_LEN + 1], ids[RENAME_IDS_MAX];
	uint64_t intent;
	int err;

	env_put_id(vfs->env, put_id);
	rename_ids(source, put_id, job.source_etag, ids);
	job.target_etag = target && target->etag ? target->etag : "";
	err = describe(rename, put_id, &description);
	if (!err)
		err = rename_put_intent(rename, INTENT_RENAME_FILE, ids, &intent);
	if (err) {
		description_free(&description);
		return err;
	}
	job.content_type = description.content_type;
	copy_run(&vfs->uploader, &job, &outcome);
	err = outcome.err;
	if (err)
		vfs_report(vfs, source, err, outcome.message);
	else
		err = delete_source_patiently(rename, job.source_etag);
	/* It may still be made, after we said that it was not. */
	if (err && outcome.ambiguous && follow_copy(rename, intent, ids)) {
		description_free(&description);
		return err;
	}
	/* Who is told that it failed may go on with the source: only a crash leaves the intent
	 * behind, and a source that cannot be deleted now. */
	if (!outcome.err && err && !publish_heals(err) && !job.target_etag[0])
		take_back(rename, outcome.etag, put_id);
	if (!outcome.err && publish_heals(err) && delete_later(rename, intent, ids) == 0)
		err = 0;
	else
		journal_drop_intent(vfs->env->journal, intent);
	if (!err) {
		rename_take_copy(source, outcome.etag, put_id);
		free(source->content_type);
		source->content_type = description.content_type;
		description.content_type = NULL;
	}
	description_free(&description);
	return err == -ESTALE || err == -ENOENT ? -EBUSY : err;
}

int rename_await_record(struct inode *inode, uint64_t sequence)
{
	int err = change_wait(inode, sequence);

	if (err && journal_error(inode->vfs->env->journal))
		inode->misplaced = true;
	return err;
}

/* Never uploaded: the name moves, and what the target held becomes the base. */
static int rename_local(struct rename *rename)
{
	struct inode *source = rename->source;
	char base[OS_ETAG_MAX];
	int err;

	snprintf(base, sizeof(base), "%s", source->etag ? source->etag : "");
	if (rename->target && rename->target->etag) {
		inode_set_etag(source, rename->target->etag);
		if (source->content)
			source->content->base_len = 0;
	}
	os_meta_set(&source->meta, META_CONFLICT, NULL);
	replace_target(rename);
	err = rename_move_inode(rename);
	if (err) {
		inode_set_etag(source, base);
		return err;
	}
	return rename_await_record(source, change_journal(source));
}

static int rename_remote(struct rename *rename)
{
	struct inode *source = rename->source;
	struct journal *journal = rename->vfs->env->journal;
	bool attributes = inode_is_dirty(source);
	bool owed = rename->target && inode_is_dirty(rename->target);
	uint64_t generation = source->generation;
	int err = rename->target ? inode_keep_for_readers(rename->target) : 0;

	if (!err && rename->from != rename->to)
		err = keep_directory(rename->from, source);
	if (!err)
		err = change_confirm(source);
	if (!err && rename->target)
		err = change_confirm(rename->target);
	if (!err && source->parent != rename->from)
		err = -ENOENT;
	if (!err)
		err = copy_file(rename);
	if (err)
		return err;
	replace_target(rename);
	err = rename_move_inode(rename);
	if (err) { /* in S3 it has moved */
		change_forget(source);
		inode_vanish(source);
	}
	/* The pending attributes went along with the copy. */
	if (!err && attributes && source->generation == generation && inode_is_dirty(source)) {
		source->dirty = 0;
		source->published_generation = generation;
		change_settle(source);
	}
	if (!err && owed)
		err = journal_wait(journal, journal_newest(journal), JOURNAL_DURABLE);
	return err;
}

/* What the target owes is in S3 before the copy takes its place: after a crash its row must not
 * look like a change that somebody else's version got in the way of. If it cannot go there, it is
 * replaced all the same. */
static void settle_target(struct inode *target)
{
	uint64_t deadline = env_after(target->vfs->env, SETTLE_WAIT);

	/* Attributes may follow the data. */
	for (int turn = 0; turn < 2 && inode_is_dirty(target); turn++)
		if (publish_wait(target, deadline, WAIT_PLAIN))
			return;
}

/* Data on its way out goes under the old name first; attributes ride on the copy. */
static int publish_source(struct inode *source)
{
	struct upload_outcome outcome = {0};
	int err = source->resolve_first ? publish_resolve(source, &outcome) : 0;

	while (!err && !source->conflicted && (source->remote == REMOTE_PRESENT || source->etag) &&
	       (source->dirty & NODE_DIRTY_DATA)) {
		publish_release(source);
		err = publish_wait(source, env_after(source->vfs->env, PUBLISH_WAIT), WAIT_PLAIN);
		publish_acquire(source);
	}
	return err;
}

static int rename_file(struct rename *rename)
{
	struct inode *source = rename->source, *target = rename->target;
	int err;

	publish_acquire(source);
	err = publish_source(source);
	if (!err && target && source->remote == REMOTE_PRESENT && inode_is_dirty(target)) {
		settle_target(target);
		err = publish_source(source); /* it may have been written to meanwhile */
	}
	if (target)
		publish_acquire(target);
	if (!err && source->parent != rename->from)
		err = -ENOENT;
	if (!err && source->conflicted)
		err = conflict_take_away(source);
	if (!err && source->remote != REMOTE_PRESENT)
		err = rename_local(rename);
	else if (!err)
		err = rename_remote(rename);
	if (target)
		publish_release(target);
	publish_release(source);
	return err;
}

static int check(struct rename *rename, unsigned flags)
{
	struct inode *source = rename->source, *target = rename->target;

	if (target && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (source->directory && inode_is_ancestor(source, rename->to))
		return -EINVAL;
	if (flags & RENAME_EXCHANGE)
		return !target							      ? -ENOENT
		       : target->directory && inode_is_ancestor(target, rename->from) ? -EINVAL
										      : 0;
	if (target && target->directory && !source->directory)
		return -EISDIR;
	if (target && !target->directory && source->directory)
		return -ENOTDIR;
	return 0;
}

static int prepare(struct rename *rename, const char *name, unsigned flags)
{
	int err = vfs_find(rename->from, name, &rename->source);

	if (!err) {
		err = vfs_find(rename->to, rename->new_name, &rename->target);
		if (err == -ENOENT) {
			rename->target = NULL;
			err = 0;
		}
	}
	if (!err)
		err = check(rename, flags);
	if (!err)
		err = inode_key(rename->source, &rename->source_key);
	if (!err)
		err = flags & RENAME_EXCHANGE ? inode_key(rename->target, &rename->target_key)
					      : inode_child_key(rename->to, rename->new_name,
								rename->source->directory != NULL,
								&rename->target_key);
	return err;
}

static int rename_entered(struct rename *rename, const char *name, unsigned flags)
{
	int err;

	inode_enter_two(rename->from, rename->to);
	err = prepare(rename, name, flags);
	if (!err && rename->source != rename->target)
		err = flags & RENAME_EXCHANGE	  ? rename_exchange(rename)
		      : rename->source->directory ? rename_directory(rename)
						  : rename_file(rename);
	inode_leave(rename->from);
	if (rename->to != rename->from)
		inode_leave(rename->to);
	return err;
}

int vfs_rename(struct vfs *vfs, uint64_t parent, const char *name, uint64_t new_parent,
	       const char *new_name, unsigned flags)
{
	struct rename rename = {.vfs = vfs, .new_name = new_name};
	int err = 0;

	if (vfs->config.read_only)
		return -EROFS;
	if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	rename.from = inode_find(vfs, parent);
	rename.to = inode_find(vfs, new_parent);
	if (!rename.from || !rename.to)
		err = -ESTALE;
	else if (!rename.from->directory || !rename.to->directory)
		err = -ENOTDIR;
	if (!err)
		err = rename_entered(&rename, name, flags);
	if (rename.source)
		inode_put(rename.source);
	if (rename.target)
		inode_put(rename.target);
	if (rename.from)
		inode_put(rename.from);
	if (rename.to)
		inode_put(rename.to);
	free(rename.source_key);
	free(rename.target_key);
	return err;
}

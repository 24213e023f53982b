/* publication.c — one publication: what of an inode goes to S3, and what its answer means. Part of
 * inode.h.
 *
 * The publication is the caller's (inode->publishing) while any of this runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/log.h"
#include "fs/upload/multipart.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/xattr_codec.h"

int publish_metadata(struct inode *inode, struct os_meta *meta)
{
	int err = os_meta_copy(meta, &inode->meta);

	if (!err)
		err = os_meta_set(meta, META_PUT_ID, inode->put_id);
	if (!err)
		err = attributes_encode(&inode->attributes, meta);
	return err;
}

const char *publish_content_type(const struct inode *inode)
{
	if (inode->content_type && inode->content_type[0])
		return inode->content_type;
	return S_ISREG(inode->attributes.mode) && inode->name
		       ? media_type_of(inode->vfs->config.media_types, inode->name)
		       : attributes_content_type(inode->attributes.mode);
}

/* Everything that the upload will read is brought here first. */
static int make_ready(struct inode *inode, const char *key)
{
	struct content *content = inode->content;
	struct content_origin origin = {key, inode->etag};
	int err;

	for (;;) {
		bool waited = false;
		struct plan plan = {NULL, 0};

		err = upload_plan(&inode->vfs->uploader, content->size, content->base_len,
				  &content->changed, &plan);
		for (size_t i = 0; i < plan.count && !err; i++) {
			const struct plan_part *part = &plan.parts[i];

			if (part->copy || extent_contains(&content->valid, part->start, part->end))
				continue;
			waited = true;
			err = content_hydrate(content, &origin, part->start, part->end);
		}
		plan_free(&plan);
		/* After a wait the file may be another one: look again. */
		if (err || !waited)
			return err;
	}
}

/* The frozen view of a file, or the small body of anything else. */
struct body {
	struct snapshot *snapshot;
	struct os_memory memory;
	struct content *content; /* reference */
};

static int freeze(struct inode *inode, const char *key, struct upload_job *job, struct body *body)
{
	int err;

	if (S_ISREG(inode->attributes.mode)) {
		err = inode_open_content(inode);
		if (!err)
			err = make_ready(inode, key);
		if (!err)
			err = content_freeze(inode->content, &body->snapshot);
		if (err)
			return err;
		body->content = content_ref(inode->content);
		job->body = (struct os_source){snapshot_read, body->snapshot, body->snapshot->size};
		job->base_len = inode->etag ? inode->content->base_len : 0;
		job->changed = &inode->content->frozen;
	} else {
		const char *text = S_ISLNK(inode->attributes.mode) && inode->target ? inode->target
										    : "";

		body->memory = (struct os_memory){text, strlen(text)};
		job->body = os_source_memory(&body->memory);
	}
	inode->frozen_generation = inode->generation;
	inode->dirty_frozen |= inode->dirty;
	inode->dirty = 0;
	return 0;
}

static void thaw(struct inode *inode, struct body *body, bool published)
{
	if (body->snapshot) {
		content_thaw(body->content, body->snapshot, published);
		content_unref(body->content);
	}
	if (!published)
		inode->dirty |= inode->dirty_frozen;
	inode->dirty_frozen = 0;
}

static void take_published(struct inode *inode, const struct upload_outcome *outcome, uint64_t size)
{
	struct vfs *vfs = inode->vfs;

	inode_set_etag(inode, outcome->etag);
	os_meta_set(&inode->meta, META_PUT_ID, inode->put_id);
	inode->remote = REMOTE_PRESENT;
	inode->remote_size = size;
	inode->remote_modified = 0;
	inode->attributes_known = true;
	inode->confirmed_at = env_now(vfs->env);
	inode->changed = ++vfs->change;
	inode->published_generation = inode->frozen_generation;
	inode->retries = 0;
	inode->resolve_first = false;
	inode->conflicted = false;
	vfs->published++;
}

/* The put-id is on the disk before it is sent. A journal that has failed for good records nothing
 * any more: then S3 is the safer place, and should the process die now, the next mount may take our
 * own object for another writer's, and keep both. */
static int await_record(struct inode *inode)
{
	int err = change_wait(inode, inode->dirty_sequence);

	return journal_error(inode->vfs->env->journal) ? 0 : err;
}

static void publish_body(struct inode *inode, const char *key, struct upload_outcome *outcome)
{
	struct vfs *vfs = inode->vfs;
	struct os_meta meta = OS_META_INIT;
	struct body body = {NULL, {NULL, 0}, NULL};
	struct upload_job job = {.key = key,
				 .unconditional = vfs->config.conflict == CONFLICT_OVERWRITE,
				 .put_id = inode->put_id,
				 .meta = &meta,
				 .headers = &inode->headers};
	struct multipart *early = stream_take(inode, key);
	const char *put_id = os_meta_get(&inode->meta, META_PUT_ID);
	char base_put_id[PUT_ID_LEN + 1], *base, *type;

	snprintf(base_put_id, sizeof(base_put_id), "%s", put_id ? put_id : "");
	if (early && strcmp(multipart_put_id(early), inode->put_id) != 0) {
		multipart_end(early, false);
		early = NULL;
	}
	job.early = &early;
	outcome->err = freeze(inode, key, &job, &body);
	/* The object will come from a PUT: a late one must not meet an upload that goes on. */
	if (!outcome->err && early && job.body.len <= vfs->env->sizes->put_max)
		outcome->err = multipart_seal(early);
	if (outcome->err) {
		if (early)
			multipart_end(early, false);
		if (body.content)
			thaw(inode, &body, false);
		return;
	}
	base = string_copy(inode->etag ? inode->etag : "");
	type = string_copy(publish_content_type(inode));
	job.base_etag = base;
	job.base_put_id = base_put_id;
	job.content_type = type;
	outcome->err = base && type ? publish_metadata(inode, &meta) : -ENOMEM;
	if (!outcome->err)
		outcome->err = await_record(inode);
	if (!outcome->err)
		upload_run(&vfs->uploader, &job, outcome);
	else
		snprintf(outcome->message, sizeof(outcome->message), "cannot prepare the upload");
	if (!outcome->err)
		take_published(inode, outcome, job.body.len);
	thaw(inode, &body, outcome->err == 0);
	if (!outcome->err &&
	    outcome->meta_differs) { /* its times, as a rule: they follow by a copy */
		inode->dirty |= NODE_DIRTY_ATTR;
		inode->generation++;
	}
	if (early)
		multipart_end(early, false);
	os_meta_free(&meta);
	free(base);
	free(type);
}

/* What the inode is goes to its key by a copy of the server, with the attributes that it has here.
 */
static void publish_copied(struct inode *inode, const struct copy_job *what,
			   struct upload_outcome *outcome)
{
	struct copy_job job = *what;
	struct os_meta meta = OS_META_INIT;
	struct body none = {NULL, {NULL, 0}, NULL};

	job.replace_meta = true;
	job.meta = &meta;
	job.headers = &inode->headers;
	inode->frozen_generation = inode->generation;
	inode->dirty_frozen |= inode->dirty;
	inode->dirty = 0;
	outcome->err = job.source_etag ? publish_metadata(inode, &meta) : -ENOMEM;
	if (!outcome->err)
		outcome->err = await_record(inode);
	if (!outcome->err)
		copy_run(&inode->vfs->uploader, &job, outcome);
	if (!outcome->err)
		take_published(inode, outcome, job.size);
	thaw(inode, &none, outcome->err == 0);
	os_meta_free(&meta);
}

/* chmod and its kind on an object that is there: a copy onto itself with new metadata. */
static void publish_attributes(struct inode *inode, const char *key, struct upload_outcome *outcome)
{
	char *etag = string_copy(inode->etag ? inode->etag : "");
	char *type = string_copy(publish_content_type(inode));
	struct copy_job job = {.source = key,
			       .target = key,
			       .size = inode->remote_size,
			       .source_etag = etag,
			       .target_etag = etag,
			       .content_type = type};

	publish_copied(inode, &job, outcome);
	free(etag);
	free(type);
}

/* Where the server does not look at the condition of a copy, we do, just before. */
static int check_base(struct inode *inode, const char *key, const char *etag)
{
	struct os_request head = {.op = OS_HEAD, .key = key, .urgent = true};
	int err = env_s3(inode->vfs->env, &head);

	if (err == -ENOENT)
		err = etag[0] ? -ESTALE : 0;
	else if (!err)
		err = strcmp(head.result.etag, etag) == 0 ? 0 : -ESTALE;
	os_request_free_result(&head);
	return err;
}

int publish_copy_of(struct inode *inode, const struct inode *source, struct upload_outcome *outcome)
{
	struct vfs *vfs = inode->vfs;
	char *key = NULL, *source_key = NULL;
	char *etag = string_copy(inode->etag ? inode->etag : "");
	char *source_etag = string_copy(source->etag);
	char *type = string_copy(publish_content_type(inode));
	struct copy_job job = {.size = source->remote_size,
			       .source_etag = source_etag,
			       .target_etag = etag,
			       .content_type = type};

	memset(outcome, 0, sizeof(*outcome));
	outcome->err = etag && source_etag && type ? inode_key(inode, &key) : -ENOMEM;
	if (!outcome->err)
		outcome->err = inode_key(source, &source_key);
	if (!outcome->err && !vfs->uploader.can.copy)
		outcome->err = check_base(inode, key, etag);
	job.source = source_key;
	job.target = key;
	if (!outcome->err)
		publish_copied(inode, &job, outcome);
	if (outcome->err && outcome->ambiguous)
		inode->resolve_first = true;
	free(key);
	free(source_key);
	free(etag);
	free(source_etag);
	free(type);
	return outcome->err;
}

/* Attributes as we have them, extended ones as well, on top of that version. */
static void rebase_on(struct inode *inode, const struct os_result *head)
{
	const char *ours = os_meta_get(&inode->meta, META_XATTR);
	struct attributes wanted = inode->attributes;
	char *xattr = string_copy(ours);

	if (ours && !xattr)
		return; /* the next attempt may find memory */
	remote_apply(inode, head);
	inode->attributes = wanted;
	os_meta_set(&inode->meta, META_XATTR, xattr);
	free(xattr);
	change_journal(inode);
}

/* The version that we based on is not there any more, and we only meant to change attributes: they
 * are put on top of the version that is. */
static int rebase_attributes(struct inode *inode, const char *key, struct upload_outcome *outcome)
{
	struct vfs *vfs = inode->vfs;
	struct os_request head = {.op = OS_HEAD, .key = key, .urgent = true};
	const char *put_id;
	int err = env_s3(vfs->env, &head);

	if (err == -ENOENT) {
		change_forget(inode); /* deleted by others: there is nothing left to change */
	} else if (!err) {
		put_id = os_meta_get(&head.result.meta, META_PUT_ID);
		if (put_id && strcmp(put_id, inode->put_id) == 0) {
			snprintf(outcome->etag, sizeof(outcome->etag), "%s", head.result.etag);
			inode->dirty_frozen = 0;
			inode->dirty &= ~(unsigned)NODE_DIRTY_ATTR;
			take_published(inode, outcome, head.result.size);
		} else if (!(inode->dirty & NODE_DIRTY_DATA)) {
			rebase_on(inode, &head.result);
		}
	}
	os_request_free_result(&head);
	return err == -ENOENT ? 0 : err ? err : inode_is_dirty(inode) ? -EAGAIN : 0;
}

/* S3 got all that the row owes. */
static bool is_done(const struct inode *inode, const char *put_id)
{
	return put_id_order(put_id, inode->put_id) == 0 && !inode->later;
}

/* The object is of a later attempt than the row, so it has all that the row owes: the journal
 * failed before it could record that attempt (see await_record), or a power loss took the record,
 * and then the data file may be older than the object even if the row is not. The row's ranges are
 * of the version before: on top of that object they would be a mixture of two. */
static bool is_superseded(const struct inode *inode, const char *put_id)
{
	return put_id_order(put_id, inode->put_id) > 0 ||
	       (inode->reloaded && is_done(inode, put_id));
}

static void take_theirs(struct inode *inode, const struct os_result *result)
{
	/* Numbers after the row's have been used, and the row that is written now is not old. */
	put_id_leap(inode->vfs->env, inode->put_id);
	inode->dirty = 0;
	inode->published_generation = inode->generation;
	inode_drop_content(inode);
	inode->version++; /* who has read the old one must not write into this one */
	remote_apply(inode, result);
	change_settle(inode);
}

/* What S3 has at the inode's key, if it is an attempt of ours, becomes the base. *ours: so it was.
 * Errors besides those of HEAD: -ESTALE with outcome's ETag, see publish_resolve. */
static int adopt_attempt(struct inode *inode, const char *key, struct upload_outcome *outcome,
			 bool *ours)
{
	struct os_request head = {.op = OS_HEAD, .key = key, .urgent = true};
	const char *put_id;
	int err = env_s3(inode->vfs->env, &head);

	put_id = err ? NULL : os_meta_get(&head.result.meta, META_PUT_ID);
	*ours = put_id &&
		put_id_is_attempt(put_id, inode->put_id, os_meta_get(&inode->meta, META_PUT_ID));
	if (*ours && is_superseded(inode, put_id) && !inode->untouched) {
		memcpy(outcome->etag, head.result.etag, sizeof(outcome->etag));
		err = -ESTALE;
	} else if (*ours) {
		inode_set_etag(inode, head.result.etag);
		os_meta_set(&inode->meta, META_PUT_ID, put_id);
		inode->remote = REMOTE_PRESENT;
		inode->remote_size = head.result.size;
		if (is_superseded(inode, put_id))
			take_theirs(inode, &head.result);
		/* What was synced is in that object, and perhaps not all that is in it was synced:
		 * a loss of power must not leave the former alone. */
		else if (is_done(inode, put_id) && inode->content)
			content_settle_sync(inode->content);
	}
	if (!err || err == -ENOENT)
		inode->reloaded = false;
	os_request_free_result(&head);
	return err;
}

int publish_resolve(struct inode *inode, struct upload_outcome *outcome)
{
	bool ours, reloaded = inode->reloaded;
	char *key;
	int err = inode_key(inode, &key);

	if (err)
		return err;
	err = adopt_attempt(inode, key, outcome, &ours);
	if ((!err || err == -ENOENT) && !ours && stream_is_resumed(inode)) {
		inode->resolve_first = false;
		free(key);
		return 0;
	}
	if (err == -ENOENT) /* the server may still carry it out */
		inode->haunted_at = env_now(inode->vfs->env);
	free(key);
	if (err && err != -ENOENT)
		return err;
	inode->resolve_first = false;
	if (!inode_is_dirty(inode))
		return 0;
	if (reloaded)
		put_id_leap(inode->vfs->env, inode->put_id);
	else
		put_id_next(inode->vfs->env, inode->put_id);
	change_journal(inode);
	return 0;
}

/* Nothing that is there is overwritten, and nothing of ours is lost: the caller is told. */
static int refuse_conflict(struct inode *inode, struct upload_outcome *outcome)
{
	snprintf(outcome->message, sizeof(outcome->message),
		 "another writer's version is there (ETag %.40s, ours was based on %.40s); ours "
		 "stays "
		 "on this node: remove or rename the file to settle it",
		 outcome->etag[0] ? outcome->etag : "unknown",
		 inode->etag ? inode->etag : "no object");
	if (!inode->conflicted) {
		inode->conflicted = true;
		change_journal(inode);
	}
	return -ESTALE;
}

static bool has_everything(const struct inode *inode)
{
	return !inode->content || content_is_complete(inode->content);
}

/* The version that ranges were to be copied from was deleted by others: from now on it is a new
 * object. */
static int lose_base(struct inode *inode)
{
	int err;

	if (!has_everything(inode) && inode->vfs->config.conflict != CONFLICT_FAIL)
		return conflict_keep_both(inode, "");
	err = inode_keep_fetched(inode);
	if (err)
		return err;
	inode_set_etag(inode, NULL);
	inode->remote = REMOTE_ABSENT;
	if (inode->content)
		inode->content->base_len = 0;
	change_journal(inode);
	return -EAGAIN;
}

static int settle_conflict(struct inode *inode, struct upload_outcome *outcome)
{
	switch (inode->vfs->config.conflict) {
	case CONFLICT_FAIL: return refuse_conflict(inode, outcome);
	case CONFLICT_OVERWRITE:
		/* Only ranges that were to be copied from the old version can fail: all is sent. */
		if (has_everything(inode))
			return lose_base(inode);
		break;
	case CONFLICT_KEEP_BOTH: break;
	}
	return conflict_keep_both(inode, outcome->etag);
}

/* Why nothing of it may go to S3 after a failure of the local disk; NULL: it may. */
static const char *held_back(const struct inode *inode)
{
	if (inode->suspect && (inode->dirty & NODE_DIRTY_DATA))
		return "an fsync of its data failed on the local disk, so it is not uploaded; "
		       "write it anew, or remove it";
	if (inode->misplaced)
		return "the journal failed when it was renamed, so it is not uploaded under its "
		       "new name; mounted again it has its old one";
	return NULL;
}

void publish_once(struct inode *inode, struct upload_outcome *outcome)
{
	const char *reason;
	char *key = NULL;

	memset(outcome, 0, sizeof(*outcome));
	outcome->err = inode_key(inode, &key);
	if (outcome->err == -ENOENT && !inode->parent) { /* unlinked meanwhile */
		outcome->err = 0;
		change_forget(inode);
		return;
	}
	if (!outcome->err && (reason = held_back(inode))) {
		outcome->err = -EIO;
		snprintf(outcome->message, sizeof(outcome->message), "%s", reason);
	}
	if (!outcome->err && inode->resolve_first) {
		outcome->err = publish_resolve(inode, outcome);
		if (outcome->err == -ESTALE) {
			inode->reloaded = inode->resolve_first = false;
			outcome->err = settle_conflict(inode, outcome);
			free(key); /* it has another one now; the next attempt is for that */
			return;
		}
	}
	if (!outcome->err && inode_is_dirty(inode)) {
		/* A copy keeps bytes that we may not know, of a link or in a directory's object. */
		bool body = (inode->dirty & NODE_DIRTY_DATA) || inode->remote != REMOTE_PRESENT ||
			    (!S_ISREG(inode->attributes.mode) && inode->remote_size == 0);

		if (body)
			publish_body(inode, key, outcome);
		else
			publish_attributes(inode, key, outcome);
		if (outcome->err == -ENOENT && body)
			outcome->err = lose_base(inode);
		else if (outcome->err == -ESTALE && body && !inode->etag &&
			 janitor_clear(inode->vfs, key))
			outcome->err = -EAGAIN;
		else if (outcome->err == -ESTALE && body)
			outcome->err = settle_conflict(inode, outcome);
		else if ((outcome->err == -ESTALE || outcome->err == -ENOENT) && !body)
			outcome->err = rebase_attributes(inode, key, outcome);
	}
	free(key);
}

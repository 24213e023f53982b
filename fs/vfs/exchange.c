#include "fs/vfs/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/vfs/rename.h"

enum { INTENT_TEXT_MAX = 2 * PUT_ID_LEN + 2 * OS_ETAG_MAX };
#define PAUSE_FIRST (NSEC_PER_SEC / 2)
#define FINISH_WAIT (30 * NSEC_PER_SEC)

enum exchange_step exchange_next(const struct exchange_view *view)
{
	if (view->one == EXCHANGE_NEW)
		return EXCHANGE_DONE;
	if (view->other == EXCHANGE_NEW) {
		if (!view->other_aside)
			return EXCHANGE_DONE; /* and others have changed one of them since */
		return view->one == EXCHANGE_OTHER ? EXCHANGE_KEEP : EXCHANGE_RETURN;
	}
	if (view->one == EXCHANGE_OLD && view->other == EXCHANGE_OLD && !view->given_up)
		return !view->other_aside ? EXCHANGE_ASIDE_OTHER
		       : !view->one_aside ? EXCHANGE_ASIDE_ONE
					  : EXCHANGE_REPLACE;
	if (view->other_aside && view->in_doubt && view->other != EXCHANGE_OLD)
		return EXCHANGE_KEEP;
	return EXCHANGE_UNDONE;
}

static int set_keys(struct exchange_side *side, const char *key)
{
	side->aside = key_aside(key, side->put_id);
	side->key = string_copy(key);
	if (!side->key || !side->aside)
		return -ENOMEM;
	return strlen(side->aside) > OS_KEY_MAX ? -ENAMETOOLONG : 0;
}

/* Errors besides that there is nothing. */
static int ask(struct vfs *vfs, struct os_request *head, const char *key)
{
	int err;

	os_request_free_result(head);
	*head = (struct os_request){.op = OS_HEAD, .key = key, .urgent = true};
	err = env_s3(vfs->env, head);
	return err == -ENOENT ? 0 : err;
}

/* What is at the key of side, where the copy of the other one is to be. */
static enum exchange_object judge(const struct exchange_side *side,
				  const struct exchange_side *copied)
{
	const struct os_result *found = &side->head.result;
	const char *put_id = os_meta_get(&found->meta, META_PUT_ID);

	if (found->err)
		return EXCHANGE_GONE;
	if (put_id && strcmp(put_id, copied->put_id) == 0)
		return EXCHANGE_NEW;
	return strcmp(found->etag, side->etag) == 0 ? EXCHANGE_OLD : EXCHANGE_OTHER;
}

/* At all the keys. */
static int look(struct exchange *exchange)
{
	struct exchange_side *sides[] = {&exchange->one, &exchange->other};
	struct exchange_view *view = &exchange->view;
	int err = 0;

	for (int i = 0; i < 2 && !err; i++) {
		err = ask(exchange->vfs, &sides[i]->head, sides[i]->key);
		if (!err)
			err = ask(exchange->vfs, &sides[i]->aside_head, sides[i]->aside);
	}
	if (err)
		return err;
	view->one_aside = !exchange->one.aside_head.result.err;
	view->other_aside = !exchange->other.aside_head.result.err;
	view->one = judge(&exchange->one, &exchange->other);
	view->other = judge(&exchange->other, &exchange->one);
	memcpy(exchange->new_one_etag, exchange->other.head.result.etag, OS_ETAG_MAX);
	memcpy(exchange->new_other_etag, exchange->one.head.result.etag, OS_ETAG_MAX);
	return 0;
}

static int begin(struct exchange *exchange, struct exchange_side *side, const char *key)
{
	struct vfs *vfs = exchange->vfs;
	int err;

	env_put_id(vfs->env, side->put_id);
	err = set_keys(side, key);
	if (!err)
		err = ask(vfs, &side->head, side->key);
	if (!err)
		err = side->head.result.err;
	memcpy(side->etag, side->head.result.etag, OS_ETAG_MAX);
	return err;
}

int exchange_init(struct exchange *exchange, struct vfs *vfs, const char *one, const char *other)
{
	int err;

	memset(exchange, 0, sizeof(*exchange));
	exchange->vfs = vfs;
	err = begin(exchange, &exchange->one, one);
	return err ? err : begin(exchange, &exchange->other, other);
}

static void side_free(struct exchange_side *side)
{
	os_request_free_result(&side->head);
	os_request_free_result(&side->aside_head);
	free(side->key);
	free(side->aside);
}

void exchange_free(struct exchange *exchange)
{
	side_free(&exchange->one);
	side_free(&exchange->other);
}

static void describe_intent(const struct exchange *exchange, char text[INTENT_TEXT_MAX],
			    struct journal_intent *intent)
{
	snprintf(text, INTENT_TEXT_MAX, "%s%s%s\n%s", exchange->one.put_id, exchange->other.put_id,
		 exchange->one.etag, exchange->other.etag);
	*intent = (struct journal_intent){.id = exchange->intent,
					  .kind = INTENT_EXCHANGE,
					  .source = exchange->one.key,
					  .target = exchange->other.key,
					  .etag = text};
}

int exchange_put_intent(struct exchange *exchange)
{
	struct journal *journal = exchange->vfs->env->journal;
	struct journal_intent intent;
	char text[INTENT_TEXT_MAX];
	int err;

	exchange->intent = uploader_intent_id(&exchange->vfs->uploader);
	describe_intent(exchange, text, &intent);
	err = journal_wait(journal, journal_put_intent(journal, &intent), JOURNAL_DURABLE);
	if (err) /* on a full disk it may be written later, and nothing of it was done */
		journal_drop_intent(journal, intent.id);
	return err;
}

void exchange_leave(struct exchange *exchange)
{
	char text[INTENT_TEXT_MAX];
	struct journal_intent intent;
	struct found_intent *found;

	describe_intent(exchange, text, &intent);
	found = found_intent_new(&intent);
	if (found && !janitor_follow(exchange->vfs, found, exchange_finish))
		found_intent_free(found);
}

/* The metadata under the new key. What had none gets what it is shown with, so that its times stay.
 */
static int describe(const struct exchange *exchange, const struct os_result *head,
		    const char *put_id, struct os_meta *meta)
{
	struct attributes attributes;
	int err = os_meta_copy(meta, &head->meta);

	attributes_decode(&attributes, &head->meta, head->content_type, head->last_modified, false,
			  &exchange->vfs->config.defaults);
	if (!err)
		err = attributes_encode(&attributes, meta);
	if (!err)
		err = os_meta_set(meta, META_PUT_ID, put_id);
	/* Who renames a conflict copy has decided what it is. */
	if (!err)
		err = os_meta_set(meta, META_CONFLICT, NULL);
	return err ? err : os_meta_bytes(meta) > OS_META_BYTES_MAX ? -E2BIG : 0;
}

static void copy(struct exchange *exchange, const struct os_request *head, const char *target,
		 const char *target_etag, const char *put_id, struct upload_outcome *outcome)
{
	struct os_meta meta = OS_META_INIT;
	struct copy_job job = {.source = head->key,
			       .target = target,
			       .size = head->result.size,
			       .source_etag = head->result.etag,
			       .target_etag = target_etag,
			       .replace_meta = true,
			       .meta = &meta,
			       .headers = &head->result.headers,
			       .content_type = head->result.content_type};

	memset(outcome, 0, sizeof(*outcome));
	outcome->err = describe(exchange, &head->result, put_id, &meta);
	if (!outcome->err)
		copy_run(&exchange->vfs->uploader, &job, outcome);
	os_meta_free(&meta);
}

/* Its object is read from there from now on. */
static void take_aside(struct exchange_side *side, const char *etag)
{
	os_request_free_result(&side->aside_head);
	side->aside_head = side->head;
	side->aside_head.key = side->aside;
	memcpy(side->aside_head.result.etag, etag, OS_ETAG_MAX);
	side->head = (struct os_request){.op = OS_HEAD};
}

static bool set_aside(struct exchange *exchange, struct exchange_side *side,
		      struct upload_outcome *outcome)
{
	copy(exchange, &side->head, side->aside, "", side->put_id, outcome);
	side->late |= outcome->err && outcome->ambiguous;
	if (!outcome->err)
		take_aside(side, outcome->etag);
	return !outcome->err;
}

static void keep(struct exchange *exchange, struct upload_outcome *outcome)
{
	struct vfs *vfs = exchange->vfs;
	const struct exchange_side *other = &exchange->other;
	char text[NAME_BYTES_MAX + 200], *key;

	if (!exchange->kept_name[0]) /* the same name at each attempt */
		key_conflict_name(exchange->kept_name, key_name(other->key), vfs->config.node,
				  executor_wall(vfs->env->executor), other->put_id);
	key = key_beside(other->key, exchange->kept_name);
	memset(outcome, 0, sizeof(*outcome));
	outcome->err = !key ? -ENOMEM : strlen(key) > OS_KEY_MAX ? -ENAMETOOLONG : 0;
	if (!outcome->err)
		copy(exchange, &other->aside_head, key, "", other->put_id, outcome);
	free(key);
	if (outcome->err)
		return;
	snprintf(text, sizeof(text),
		 "others wrote to it while it changed places with another file: what it held "
		 "before is kept as %s",
		 exchange->kept_name);
	vfs_report(vfs, inode_at_key(vfs, other->key), -ESTALE, text);
}

static void take_step(struct exchange *exchange, enum exchange_step step,
		      struct upload_outcome *outcome)
{
	struct exchange_view *view = &exchange->view;
	struct exchange_side *one = &exchange->one, *other = &exchange->other;

	memset(outcome, 0, sizeof(*outcome));
	switch (step) {
	case EXCHANGE_ASIDE_OTHER: view->other_aside = set_aside(exchange, other, outcome); break;
	case EXCHANGE_ASIDE_ONE: view->one_aside = set_aside(exchange, one, outcome); break;
	case EXCHANGE_REPLACE:
		copy(exchange, &one->aside_head, other->key, other->etag, one->put_id, outcome);
		view->in_doubt |= outcome->err && outcome->ambiguous;
		if (!outcome->err)
			view->other = EXCHANGE_NEW;
		memcpy(exchange->new_one_etag, outcome->etag, OS_ETAG_MAX);
		break;
	case EXCHANGE_RETURN:
		copy(exchange, &other->aside_head, one->key,
		     view->one == EXCHANGE_GONE ? "" : one->etag, other->put_id, outcome);
		if (!outcome->err)
			view->one = EXCHANGE_NEW;
		memcpy(exchange->new_other_etag, outcome->etag, OS_ETAG_MAX);
		break;
	case EXCHANGE_KEEP: keep(exchange, outcome); break;
	case EXCHANGE_DONE:
	case EXCHANGE_UNDONE: break;
	}
}

static bool is_end(enum exchange_step step)
{
	return step == EXCHANGE_DONE || step == EXCHANGE_UNDONE || step == EXCHANGE_KEEP;
}

/* After a step that came too late, for somebody else's, or whose end nobody saw. */
static int look_patiently(struct exchange *exchange, uint64_t deadline, uint64_t *pause)
{
	struct env *env = exchange->vfs->env;
	int err;

	do {
		if (env_now(env) + *pause > deadline)
			return -ETIMEDOUT;
		fiber_sleep_until(env_after(env, *pause), WAIT_PLAIN);
		*pause *= 2;
		err = look(exchange);
	} while (err);
	return 0;
}

int exchange_run(struct exchange *exchange, uint64_t deadline, enum exchange_step *end)
{
	struct exchange_view *view = &exchange->view;
	uint64_t pause = PAUSE_FIRST;
	struct upload_outcome outcome;
	int first = 0;

	for (;;) {
		*end = exchange_next(view);
		take_step(exchange, *end, &outcome);
		if (!outcome.err && is_end(*end))
			return *end == EXCHANGE_UNDONE ? first : 0;
		if (!outcome.err)
			continue;
		if (!first) {
			first = outcome.err;
			snprintf(exchange->message, sizeof(exchange->message), "%s",
				 outcome.message[0] ? outcome.message : "a copy failed");
		}
		if (view->other == EXCHANGE_OLD && !view->in_doubt)
			view->given_up = true; /* nothing has been replaced yet */
		else if (look_patiently(exchange, deadline, &pause))
			return first;
	}
}

static void remove_aside(struct exchange *exchange, const struct exchange_side *side, bool there)
{
	struct vfs *vfs = exchange->vfs;
	struct os_request remove = {.op = OS_DELETE, .key = side->aside, .urgent = true};
	int err = there ? env_s3(vfs->env, &remove) : 0;

	os_request_free_result(&remove);
	if ((err && err != -ENOENT) || side->late)
		janitor_watch(vfs, side->aside, side->put_id);
}

void exchange_close(struct exchange *exchange, enum exchange_step end)
{
	const struct exchange_side *one = &exchange->one, *other = &exchange->other;
	const struct exchange_view *view = &exchange->view;
	struct vfs *vfs = exchange->vfs;
	struct journal *journal = vfs->env->journal;
	struct janitor_key left[2];
	size_t count = 0;

	if (end == EXCHANGE_UNDONE) {
		if (view->one_aside || one->late)
			left[count++] = (struct janitor_key){one->aside, one->put_id};
		if (view->other_aside || other->late)
			left[count++] = (struct janitor_key){other->aside, other->put_id};
		janitor_replace(vfs, exchange->intent, left, count);
		return;
	}
	remove_aside(exchange, one, view->one_aside);
	remove_aside(exchange, other, view->other_aside);
	journal_wait(journal, journal_drop_intent(journal, exchange->intent), JOURNAL_COMMITTED);
}

/* Of what exchange_put_intent wrote. */
static int read_intent(struct exchange *exchange, struct vfs *vfs,
		       const struct journal_intent *intent)
{
	const char *etags = intent->etag + 2 * (size_t)PUT_ID_LEN, *line;
	int err;

	memset(exchange, 0, sizeof(*exchange));
	exchange->vfs = vfs;
	exchange->intent = intent->id;
	if (strlen(intent->etag) < 2 * (size_t)PUT_ID_LEN || !(line = strchr(etags, '\n')))
		return -EINVAL;
	memcpy(exchange->one.put_id, intent->etag, PUT_ID_LEN);
	memcpy(exchange->other.put_id, intent->etag + PUT_ID_LEN, PUT_ID_LEN);
	snprintf(exchange->one.etag, OS_ETAG_MAX, "%.*s", (int)(line - etags), etags);
	snprintf(exchange->other.etag, OS_ETAG_MAX, "%s", line + 1);
	err = set_keys(&exchange->one, intent->source);
	return err ? err : set_keys(&exchange->other, intent->target);
}

static bool has_put_id(const struct inode *inode, const char *put_id)
{
	const char *own = inode ? os_meta_get(&inode->meta, META_PUT_ID) : NULL;

	return own && strcmp(own, put_id) == 0;
}

static void rebase(struct inode *inode, const char *old, const char *etag, const char *put_id)
{
	if (!inode->etag || strcmp(inode->etag, old) != 0)
		return;
	inode_set_etag(inode, etag);
	os_meta_set(&inode->meta, META_PUT_ID, put_id);
	inode->remote_modified = 0;
}

/* What the journal brought back has the names of before, unless the crash came after the last step.
 */
static void exchange_loaded(struct exchange *exchange)
{
	struct exchange_side *one_side = &exchange->one, *other_side = &exchange->other;
	struct inode *one = inode_at_key(exchange->vfs, one_side->key);
	struct inode *other = inode_at_key(exchange->vfs, other_side->key);
	struct inode *alone = one ? one : other;

	if (!alone || has_put_id(one, other_side->put_id) || has_put_id(other, one_side->put_id))
		return;
	if (one)
		rebase(one, one_side->etag, exchange->new_one_etag, one_side->put_id);
	if (other)
		rebase(other, other_side->etag, exchange->new_other_etag, other_side->put_id);
	if (one && other)
		rename_exchange_names(one, other);
	else
		rename_loaded(alone, one ? other_side->key : one_side->key);
}

/* Where not both were set aside nothing has been replaced, and it is not gone on with. */
static int resume(struct exchange *exchange, enum exchange_step *end)
{
	struct exchange_view *view = &exchange->view;
	int err = look(exchange);

	if (err)
		return err;
	view->in_doubt = view->one_aside && view->other_aside;
	view->given_up = !view->in_doubt;
	exchange->one.late = view->given_up && !view->one_aside;
	exchange->other.late = view->given_up && !view->other_aside;
	err = exchange_run(exchange, env_after(exchange->vfs->env, FINISH_WAIT), end);
	if (err)
		vfs_report(exchange->vfs, NULL, err, exchange->message);
	return err;
}

int exchange_finish(struct vfs *vfs, const struct journal_intent *intent)
{
	struct exchange exchange;
	enum exchange_step end = EXCHANGE_REPLACE;
	int err = read_intent(&exchange, vfs, intent);

	if (!err)
		err = resume(&exchange, &end);
	if (end == EXCHANGE_UNDONE)
		err = 0;
	if (!err && end == EXCHANGE_DONE && !vfs->names_known)
		exchange_loaded(&exchange);
	if (!err)
		exchange_close(&exchange, end);
	exchange_free(&exchange);
	return err ? err : 1;
}

/* janitor.c — uploads that may take effect after everybody has stopped to wait for them. Part of
 * inode.h.
 *
 * A request whose reply never came can be carried out by the server later, even after a HEAD has
 * said that nothing is there. Where its file was renamed or removed meanwhile, that would bring an
 * old name back. So the key is looked at for a while, and what bears the put-id of that attempt is
 * deleted. The intent in the journal makes the next mount look once more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/log.h"
#include "fs/vfs/inode.h"

/* Seconds between the looks; servers give a request up long before the last. The last is repeated
 * while S3 is away, for two hours; then it is left to the next mount. */
static const unsigned pauses[] = {1, 2, 5, 15, 60, 300};
enum { LOOKS_MAX = 5 + 24 };

/* At once; a cache full of files that a crash left needs no more watching than this. */
enum { WATCHES_MAX = 256 };

struct watch {
	struct list link; /* of vfs->watches */
	struct vfs *vfs;
	struct found_intent *found;
	int (*look)(struct vfs *vfs, const struct journal_intent *intent);
	uint64_t after; /* the record that has to be durable first; 0: none */
};

/* The file has the name again: what bears its put-ids there is its object, even when an attempt
 * that came late has put the same bytes there once more. */
static bool is_at_home(struct vfs *vfs, const char *key, const char *put_id)
{
	const struct inode *inode = inode_at_key(vfs, key);

	return inode && put_id_is_kin(inode->put_id, put_id);
}

/* What HEAD has found at the key goes if it is that attempt, or one before it. 1: it has gone; 0:
 * it is at home, or somebody else's, whose end the attempt may still outwait. */
static int remove_attempt(struct vfs *vfs, const char *key, const char *put_id,
			  const struct os_result *head)
{
	struct os_request remove = {.op = OS_DELETE, .key = key};
	const char *found = os_meta_get(&head->meta, META_PUT_ID);
	int err;

	if (is_at_home(vfs, key, put_id) || !found || !put_id_is_kin(found, put_id) ||
	    put_id_order(found, put_id) > 0)
		return 0;
	if (vfs->uploader.can.delete)
		remove.condition.if_match = head->etag;
	err = late_run(&vfs->uploader, &remove);
	if (!err)
		log_info("%s: %s came late and was removed: its file has another name or none",
			 vfs->config.volume, key);
	os_request_free_result(&remove);
	return err ? err : 1;
}

/* 1: it was there and is gone now; 0: it is not there (yet). */
int janitor_look(struct vfs *vfs, const struct journal_intent *intent)
{
	struct os_request head = {.op = OS_HEAD, .key = intent->source};
	int err = env_s3(vfs->env, &head);

	if (!err)
		err = remove_attempt(vfs, intent->source, intent->etag, &head.result);
	os_request_free_result(&head);
	return err == -ENOENT ? 0 : err;
}

/* An attempt on that key which counts as failed; put_id NULL: any. */
static bool is_watched(const struct vfs *vfs, const char *key, const char *put_id)
{
	LIST_FOREACH (node, &vfs->watches) {
		const struct watch *watch = container_of(node, struct watch, link);
		const struct journal_intent *intent = &watch->found->intent;

		if (intent->kind == INTENT_DELETE && strcmp(intent->source, key) == 0 &&
		    (!put_id || strcmp(intent->etag, put_id) == 0))
			return true;
	}
	return false;
}

/* What a rename has copied away and could not delete yet; the caller frees it. */
static struct found_intent *left_behind(const struct vfs *vfs, const char *key)
{
	LIST_FOREACH (node, &vfs->watches) {
		const struct watch *watch = container_of(node, struct watch, link);
		const struct journal_intent *intent = &watch->found->intent;

		if (intent->kind == INTENT_RENAME_FILE && !intent->target[0] &&
		    strcmp(intent->source, key) == 0)
			return found_intent_new(intent);
	}
	return NULL;
}

bool janitor_clear(struct vfs *vfs, const char *key)
{
	struct os_request head = {.op = OS_HEAD, .key = key, .urgent = true};
	struct found_intent *left = left_behind(vfs, key);
	const char *put_id;
	bool cleared = false;

	if (left) {
		cleared = rename_finish(vfs, &left->intent) == 1;
		found_intent_free(left);
		return cleared;
	}
	if (!is_watched(vfs, key, NULL))
		return false;
	if (env_s3(vfs->env, &head) == 0) {
		put_id = os_meta_get(&head.result.meta, META_PUT_ID);
		cleared = put_id && is_watched(vfs, key, put_id) &&
			  remove_attempt(vfs, key, put_id, &head.result) == 1;
	}
	os_request_free_result(&head);
	return cleared;
}

static bool has_room(const struct vfs *vfs)
{
	unsigned count = 0;

	LIST_FOREACH (node, &vfs->watches)
		count++;
	return count < WATCHES_MAX;
}

static void watch_free(struct watch *watch)
{
	list_remove(&watch->link);
	free(watch);
}

static void watch_key(void *argument)
{
	struct watch *watch = argument;
	struct vfs *vfs = watch->vfs;
	size_t count = sizeof(pauses) / sizeof(pauses[0]), next = 0;
	int found = 0;

	for (int i = 0; i < LOOKS_MAX && next < count && found <= 0; i++) {
		fiber_sleep_until(env_after(vfs->env, pauses[next] * NSEC_PER_SEC), WAIT_PLAIN);
		found = watch->after && journal_wait(vfs->env->journal, watch->after,
						     JOURNAL_DURABLE)
				? -EAGAIN /* full, for now */
				: watch->look(vfs, &watch->found->intent);
		if (found >= 0 || next + 1 < count)
			next++;
	}
	if (found >= 0)
		journal_drop_intent(vfs->env->journal, watch->found->intent.id);
	found_intent_free(watch->found);
	watch_free(watch);
}

static bool follow(struct vfs *vfs, struct found_intent *found,
		   int (*look)(struct vfs *vfs, const struct journal_intent *intent),
		   uint64_t after)
{
	struct watch *watch;

	if (!has_room(vfs))
		return false;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return false;
	*watch = (struct watch){.vfs = vfs, .found = found, .look = look, .after = after};
	list_append(&vfs->watches, &watch->link);
	if (fiber_start(vfs->env->fibers, watch_key, watch) == 0)
		return true;
	watch_free(watch);
	return false;
}

bool janitor_follow(struct vfs *vfs, struct found_intent *found,
		    int (*look)(struct vfs *vfs, const struct journal_intent *intent))
{
	return follow(vfs, found, look, 0);
}

void janitor_expect(struct inode *inode)
{
	struct vfs *vfs = inode->vfs;
	size_t position = 0;
	void *child;
	char *key;

	while (inode->directory &&
	       map_next(inode->directory->children, &position, NULL, NULL, &child))
		janitor_expect(child);
	if ((!inode->haunted_at && !inode->resolve_first) ||
	    (inode->haunted_at && env_now(vfs->env) > inode->haunted_at + LATE_LIFE) ||
	    inode_key(inode, &key))
		return;
	janitor_watch(vfs, key, inode->put_id);
	free(key);
}

/* In the journal; the intent that says so. */
static struct journal_intent put_watch(struct vfs *vfs, const char *key, const char *put_id)
{
	struct journal_intent intent = {
		.kind = INTENT_DELETE, .source = key, .target = "", .etag = put_id};

	intent.id = uploader_intent_id(&vfs->uploader);
	journal_put_intent(vfs->env->journal, &intent);
	return intent;
}

/* Where there is no memory for it, the next mount looks. */
static void watch_intent(struct vfs *vfs, const struct journal_intent *intent, uint64_t after)
{
	struct found_intent *found = found_intent_new(intent);

	if (found && !follow(vfs, found, janitor_look, after))
		found_intent_free(found);
}

void janitor_watch(struct vfs *vfs, const char *key, const char *put_id)
{
	struct journal_intent intent;

	if (!has_room(vfs))
		return;
	intent = put_watch(vfs, key, put_id);
	watch_intent(vfs, &intent, 0);
}

void janitor_moved(struct vfs *vfs, const char *from, const char *to)
{
	size_t len = strlen(from);

	LIST_FOREACH (node, &vfs->watches) {
		const struct journal_intent *intent =
			&container_of(node, struct watch, link)->found->intent;
		struct buf key = BUF_INIT;

		if (intent->kind != INTENT_DELETE || strncmp(intent->source, from, len) != 0)
			continue;
		buf_puts(&key, to);
		buf_puts(&key, intent->source + len);
		if (!key.failed)
			janitor_watch(vfs, buf_str(&key), intent->etag);
		buf_free(&key);
	}
}

void janitor_replace(struct vfs *vfs, uint64_t id, const struct janitor_key keys[], size_t count)
{
	struct journal *journal = vfs->env->journal;
	struct journal_intent intents[JANITOR_KEYS_MAX];
	uint64_t dropped;

	CHECK(count <= JANITOR_KEYS_MAX);
	for (size_t i = 0; i < count; i++)
		intents[i] = put_watch(vfs, keys[i].key, keys[i].put_id);
	dropped = journal_drop_intent(journal, id);
	for (size_t i = 0; i < count; i++)
		watch_intent(vfs, &intents[i], dropped);
	journal_wait(journal, dropped, JOURNAL_DURABLE);
}

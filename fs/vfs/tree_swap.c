#include "fs/vfs/tree_swap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/map.h"
#include "fs/vfs/rename.h"
#include "fs/vfs/tree_copy.h"
#include "fs/vfs/tree_place.h"

enum { INTENT_TEXT_MAX = 2 * PUT_ID_LEN + 120 };

static int set_prefixes(struct swap_side *side, const char *prefix)
{
	side->aside = key_aside(prefix, side->put_id);
	side->prefix = string_copy(prefix);
	side->originals = map_create();
	side->placed = map_create();
	if (!side->prefix || !side->aside || !side->originals || !side->placed)
		return -ENOMEM;
	return strlen(side->aside) > OS_KEY_MAX ? -ENAMETOOLONG : 0;
}

static int side_init(struct swap_side *side, const struct inode *directory)
{
	char *prefix = NULL;
	int err = inode_key(directory, &prefix);

	env_put_id(directory->vfs->env, side->put_id);
	side->ino = directory->ino;
	if (!err)
		err = set_prefixes(side, prefix);
	free(prefix);
	return err;
}

int tree_swap_init(struct tree_swap *swap, struct vfs *vfs, const struct inode *one,
		   const struct inode *other)
{
	int err;

	*swap = (struct tree_swap){.vfs = vfs,
				   .phase = SWAP_ASIDE,
				   .began = executor_wall(vfs->env->executor),
				   .looked = true};
	swap->intent = uploader_intent_id(&vfs->uploader);
	err = side_init(&swap->one, one);
	return err ? err : side_init(&swap->other, other);
}

static void side_free(struct swap_side *side)
{
	tree_etags_free(side->originals);
	tree_etags_free(side->placed);
	free(side->prefix);
	free(side->aside);
}

void tree_swap_free(struct tree_swap *swap)
{
	side_free(&swap->one);
	side_free(&swap->other);
}

static void describe_intent(const struct tree_swap *swap, char text[INTENT_TEXT_MAX],
			    struct journal_intent *intent)
{
	snprintf(text, INTENT_TEXT_MAX,
		 "%s%s%c %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64,
		 swap->one.put_id, swap->other.put_id, swap->phase, swap->one.ino, swap->one.count,
		 swap->other.ino, swap->other.count, swap->began);
	*intent = (struct journal_intent){.id = swap->intent,
					  .kind = INTENT_EXCHANGE,
					  .source = swap->one.prefix,
					  .target = swap->other.prefix,
					  .etag = text};
}

static int enter_phase(struct tree_swap *swap, enum swap_phase phase)
{
	struct journal *journal = swap->vfs->env->journal;
	struct journal_intent intent;
	char text[INTENT_TEXT_MAX];

	swap->phase = phase;
	describe_intent(swap, text, &intent);
	return journal_wait(journal, journal_put_intent(journal, &intent), JOURNAL_DURABLE);
}

static void drop_intent(struct tree_swap *swap)
{
	struct journal *journal = swap->vfs->env->journal;

	journal_wait(journal, journal_drop_intent(journal, swap->intent), JOURNAL_COMMITTED);
}

/* Somebody looks after what is left; if not, the next mount does. */
static void leave(const struct tree_swap *swap,
		  int (*look)(struct vfs *vfs, const struct journal_intent *intent))
{
	char text[INTENT_TEXT_MAX];
	struct journal_intent intent;
	struct found_intent *found;

	describe_intent(swap, text, &intent);
	found = found_intent_new(&intent);
	if (found && !janitor_follow(swap->vfs, found, look))
		found_intent_free(found);
}

/* Each behind a space. */
static bool read_numbers(const char *text, uint64_t numbers[], int count)
{
	for (int i = 0; i < count; i++) {
		char *end;

		numbers[i] = strtoull(text, &end, 10);
		if (*text != ' ' || end == text)
			return false;
		text = end;
	}
	return true;
}

/* Of what describe_intent wrote. */
static int read_intent(struct tree_swap *swap, struct vfs *vfs, const struct journal_intent *intent)
{
	enum { NUMBERS = 5 };
	const char *text = intent->etag + 2 * (size_t)PUT_ID_LEN;
	uint64_t numbers[NUMBERS];
	int err;

	*swap = (struct tree_swap){.vfs = vfs, .intent = intent->id};
	if (strlen(intent->etag) <= 2 * (size_t)PUT_ID_LEN ||
	    !read_numbers(text + 1, numbers, NUMBERS))
		return -EINVAL;
	memcpy(swap->one.put_id, intent->etag, PUT_ID_LEN);
	memcpy(swap->other.put_id, intent->etag + PUT_ID_LEN, PUT_ID_LEN);
	swap->phase = (enum swap_phase) * text;
	swap->one.ino = numbers[0];
	swap->one.count = numbers[1];
	swap->other.ino = numbers[2];
	swap->other.count = numbers[3];
	swap->began = (int64_t)numbers[4];
	err = set_prefixes(&swap->one, intent->source);
	return err ? err : set_prefixes(&swap->other, intent->target);
}

bool tree_swap_is(const struct journal_intent *intent)
{
	size_t len = strlen(intent->source);

	return len > 0 && intent->source[len - 1] == '/';
}

struct asides {
	struct tree_swap *swap;
	struct swap_side *side;
};

/* What cannot be told here the objects are asked. */
static void set_aside(void *context, const char *relative, const char *etag, const char *copy)
{
	const struct asides *asides = context;

	if (copy)
		asides->side->count++;
	if (!copy || tree_etags_put(asides->side->originals, relative, etag))
		asides->swap->looked = false;
}

static int copy_aside(struct tree_swap *swap, struct swap_side *side)
{
	struct asides asides = {swap, side};
	struct tree_copy copy = {.uploader = &swap->vfs->uploader,
				 .source = side->prefix,
				 .target = side->aside,
				 .copied = set_aside,
				 .context = &asides,
				 .keep_sources = true};
	int err = tree_copy_run(&copy, swap->message, sizeof(swap->message));

	swap->ambiguous |= copy.ambiguous;
	if (!err && side->count == 0)
		err = -ENOENT;
	return err;
}

static int remove_below(struct tree_swap *swap, const char *prefix)
{
	struct env *env = swap->vfs->env;
	char message[300];
	struct tree_keys keys;
	const char **names;
	int err = tree_keys_load(env, prefix, &keys, message, sizeof(message));

	if (err)
		return err;
	names = calloc(keys.count + 1, sizeof(*names));
	for (size_t i = 0; i < keys.count && names; i++)
		names[i] = keys.entries[i]->key;
	err = names ? tree_keys_delete(env, names, keys.count, message, sizeof(message)) : -ENOMEM;
	free(names);
	tree_keys_free(&keys);
	return err;
}

static int remove_asides(void *context)
{
	struct tree_swap *swap = context;
	int err = remove_below(swap, swap->one.aside);

	return err ? err : remove_below(swap, swap->other.aside);
}

/* For janitor_follow: looks again even when there is nothing any more, as long as it looks. */
static int look_aside(struct vfs *vfs, const struct journal_intent *intent)
{
	struct tree_swap swap;
	int err = read_intent(&swap, vfs, intent);

	if (!err) /* it may not have been written yet: the disk was full */
		err = enter_phase(&swap, SWAP_ASIDE);
	if (!err)
		err = remove_asides(&swap);
	tree_swap_free(&swap);
	return err;
}

/* Nothing is removed of what was set aside before it is certain that no crash goes on with it. */
static void clear(struct tree_swap *swap)
{
	int err = enter_phase(swap, SWAP_ASIDE);

	if (!err)
		err = remove_asides(swap);
	if (err || swap->ambiguous)
		leave(swap, look_aside);
	else
		drop_intent(swap);
}

static int forward(void *context)
{
	struct tree_swap *swap = context;
	int err = tree_place(swap, &swap->other, &swap->one);

	if (!err)
		err = tree_place(swap, &swap->one, &swap->other);
	swap->looked = false;
	return err;
}

static int back(void *context)
{
	struct tree_swap *swap = context;
	int err = tree_place(swap, &swap->other, &swap->other);

	return err ? err : tree_place(swap, &swap->one, &swap->one);
}

/* The first failure is what the caller is told, not what came of it. */
static void go_back(struct tree_swap *swap)
{
	char first[sizeof(swap->message)];
	int err;

	memcpy(first, swap->message, sizeof(first));
	swap->looked = false;
	err = enter_phase(swap, SWAP_BACK);
	if (!err)
		err = tree_patiently(swap->vfs->env, back, swap);
	if (err)
		leave(swap, tree_swap_finish);
	else
		clear(swap);
	memcpy(swap->message, first, sizeof(first));
}

int tree_swap_run(struct tree_swap *swap)
{
	struct env *env = swap->vfs->env;
	int err = enter_phase(swap, SWAP_ASIDE);

	if (err) { /* on a full disk it may be written later, and nothing of it was done */
		drop_intent(swap);
		return err;
	}
	err = copy_aside(swap, &swap->one);
	if (!err)
		err = copy_aside(swap, &swap->other);
	if (!err)
		err = enter_phase(swap, SWAP_FORWARD);
	if (err) {
		clear(swap);
		if (journal_error(env->journal))
			remove_below(swap, swap->other.aside);
		return err;
	}
	err = tree_patiently(env, forward, swap);
	if (err)
		go_back(swap);
	return err;
}

static void tell(struct swap_side *side, struct inode *directory)
{
	size_t position = 0;
	const char *relative;
	void *etag;

	while (map_next(side->originals, &position, &relative, NULL, &etag))
		rename_copied(directory, relative, etag, map_get(side->placed, relative));
}

void tree_swap_tell(struct tree_swap *swap, struct inode *one, struct inode *other)
{
	tell(&swap->one, one);
	tell(&swap->other, other);
}

void tree_swap_close(struct tree_swap *swap)
{
	clear(swap);
	if (journal_error(swap->vfs->env->journal))
		remove_asides(swap);
}

static struct inode *loaded(struct vfs *vfs, const struct swap_side *side)
{
	struct inode *inode = inode_at_key(vfs, side->prefix);

	return inode && inode->ino == side->ino ? inode : NULL;
}

/* What the journal brought back has the names of before, unless the crash came after the last step.
 */
static void exchange_loaded(struct tree_swap *swap)
{
	struct inode *one = loaded(swap->vfs, &swap->one);
	struct inode *other = loaded(swap->vfs, &swap->other);

	if (one && other)
		rename_exchange_names(one, other);
	else if (one)
		rename_loaded(one, swap->other.prefix);
	else if (other)
		rename_loaded(other, swap->one.prefix);
}

/* The phase that the caller's intent names is over: what is still to be removed has its own. */
static void hand_over(struct tree_swap *swap)
{
	swap->intent = uploader_intent_id(&swap->vfs->uploader);
	if (enter_phase(swap, SWAP_ASIDE) == 0)
		leave(swap, look_aside);
}

static int count_below(struct tree_swap *swap, const char *prefix, uint64_t *count)
{
	struct tree_keys keys;
	int err = tree_keys_load(swap->vfs->env, prefix, &keys, swap->message,
				 sizeof(swap->message));

	if (err)
		return err;
	*count = keys.count;
	tree_keys_free(&keys);
	return 0;
}

/* *forward_done: names are to change places, too. */
static int go_on(struct tree_swap *swap, bool *forward_done)
{
	uint64_t one = 0, other = 0;
	int err = count_below(swap, swap->one.aside, &one);

	log_info("%s: finishing the exchange of %s and %s", swap->vfs->config.volume,
		 swap->one.prefix, swap->other.prefix);
	if (!err)
		err = count_below(swap, swap->other.aside, &other);
	if (!err && one >= swap->one.count && other >= swap->other.count)
		err = swap->phase == SWAP_FORWARD ? forward(swap) : back(swap);
	*forward_done = swap->phase == SWAP_FORWARD &&
			(one < swap->one.count || other >= swap->other.count);
	return err;
}

static int finish(struct tree_swap *swap)
{
	bool forward_done;
	int err;

	if (swap->phase == SWAP_ASIDE) {
		err = remove_asides(swap);
		if (!err) /* copies that were under way may come yet */
			hand_over(swap);
		return err;
	}
	err = go_on(swap, &forward_done);
	if (err) {
		vfs_report(swap->vfs, NULL, err, swap->message);
		return err;
	}
	if (forward_done && !swap->vfs->names_known)
		exchange_loaded(swap);
	err = enter_phase(swap, SWAP_ASIDE);
	if (!err && remove_asides(swap))
		hand_over(swap);
	return err;
}

int tree_swap_finish(struct vfs *vfs, const struct journal_intent *intent)
{
	struct tree_swap swap;
	int err = read_intent(&swap, vfs, intent);

	if (!err)
		err = finish(&swap);
	tree_swap_free(&swap);
	return err ? err : 1;
}

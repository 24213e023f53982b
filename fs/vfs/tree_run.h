/* tree_run.h — something is done for each key below a prefix, side by side: most of all copies.
 * Internal to tree_copy.c and tree_swap.c.
 *
 * Threads: owner thread; the items' work is done in fibers of its own, of which the caller's waits
 * for all. The first failure ends a run early, and is what it returns.
 */
#ifndef FS_VFS_TREE_RUN_H
#define FS_VFS_TREE_RUN_H

#include "fs/upload/upload.h"
#include "fs/vfs/tree_keys.h"

enum tree_fate {
	TREE_OPEN,    /* not known, or nothing was made */
	TREE_MADE,    /* the copy is ours */
	TREE_THERE,   /* the copy was there before */
	TREE_FOREIGN, /* somebody else's is where the copy belongs */
	TREE_GONE,    /* the source has vanished */
};

struct tree_run;

struct tree_item { /* one per source */
	struct tree_run *run;
	enum tree_fate fate;
	bool tried; /* a copy was asked for */
	char *etag; /* of the copy */
	char *over; /* of what the copy replaces; NULL: there is nothing */
};

typedef void tree_work(struct tree_run *run, struct tree_item *item, const char *target);

struct tree_run {
	struct uploader *uploader;
	struct env *env;
	void *owner;
	const char *target; /* the prefix that targets have in place of the source's */
	struct tree_keys sources, targets; /* as they were at the beginning */
	struct tree_item *items;
	/* After a copy that one of the versions was in the way of, or whose answer was lost: asks
	 * for the objects. True: the fate is decided; else it is tried again, over item->over. */
	bool (*judge)(struct tree_run *run, struct tree_item *item, const char *target);
	bool ambiguous; /* a copy may be made late */
	int err;
	char *message;
	size_t message_size;
	/* private */
	tree_work *work;
	struct wait_queue changed;
	unsigned running;
	bool etags_change; /* also where an object is not made of parts */
};

/* uploader, target, judge, owner, message are set. Errors: of listing; -ENAMETOOLONG a target's
 * key; -ENOMEM. In any case tree_run_free. */
int tree_run_load(struct tree_run *run, const char *source);
void tree_run_free(struct tree_run *run);
/* Items of sources that are there already. Errors: -ENOMEM. */
int tree_run_items(struct tree_run *run);
/* Does work for each of the sources; returns run->err. */
int tree_run_each(struct tree_run *run, tree_work *work);
/* Notes the first failure. */
void tree_run_fail(struct tree_run *run, int err, const char *what, const char *key,
		   const char *text);
/* Again and again for a minute, while what it fails with may heal. */
int tree_patiently(struct env *env, int (*step)(void *context), void *context);
/* The entry of an item, which HEAD may renew. */
struct os_entry *tree_run_source(const struct tree_run *run, const struct tree_item *item);
/* What follows the prefix of its key. */
const char *tree_run_relative(const struct tree_run *run, const struct tree_item *item);
void tree_refresh(struct os_entry *entry, const struct os_result *result);
/* Work: the copy of one key, over what item->over names. */
void tree_run_copy(struct tree_run *run, struct tree_item *item, const char *target);

#endif

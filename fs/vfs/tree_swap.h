/* tree_swap.h — what is below two prefixes changes places; internal to fs/vfs.
 *
 * All keys of both are copied aside first, below prefixes that no mount shows (KEY_EXCHANGE), and
 * are put from there over each other: first what the other one holds below the one, then the
 * reverse. What has no counterpart goes once the copies are there.
 *
 *   phase          one     other   aside
 *   SWAP_ASIDE     1       2       being copied, or being removed: nothing else is owed
 *   SWAP_FORWARD   1..2    2..1    1, 2: from here on a crash leaves work that goes forward
 *   SWAP_BACK      1..2    2..1    1, 2: it failed: everything gets its old place again
 *
 * So each object is somewhere at any time, and both phases can be run again from their beginning:
 * what has been done is seen, not remembered. A copy replaces a version, and a deletion takes one,
 * only if it is that which was set aside. What belongs to a place where others have written
 * meanwhile becomes a conflict copy beside it. A copy that the server makes late comes from a
 * prefix that is used once, and finds nothing, or goes to one, and is removed.
 *
 * The phase is durable before anything of it is done (INTENT_EXCHANGE; source and target are the
 * prefixes; etag: both put-ids, the phase, and numbers). In the last two it also says how many keys
 * were set aside: where fewer are left nothing is to be done, because all was (fewer of the one),
 * or because it was given up before it began (of the other): the journal could not say so any more.
 *
 * Threads: owner thread, in a fiber. What is below both is the caller's meanwhile.
 */
#ifndef FS_VFS_TREE_SWAP_H
#define FS_VFS_TREE_SWAP_H

#include "fs/vfs/inode.h"
#include "fs/vfs/key.h"

enum swap_phase { SWAP_ASIDE = 'a', SWAP_FORWARD = 'f', SWAP_BACK = 'b' };

struct swap_side {
	char *prefix;		     /* ends in '/' */
	char *aside;		     /* so does it; used once */
	char put_id[PUT_ID_LEN + 1]; /* in the name of aside */
	uint64_t ino;		     /* of the directory, while it has this prefix */
	uint64_t count;		     /* of the keys below aside */
	/* ETags by what follows the prefix; owned. Those that were copied aside, and those where it
	 * is now. */
	struct map *originals, *placed;
};

struct tree_swap {
	struct vfs *vfs;
	uint64_t intent;
	enum swap_phase phase;
	int64_t began; /* ns since the epoch: conflict copies bear it */
	struct swap_side one, other;
	bool looked;	   /* nothing has been done yet but what this run has seen */
	bool ambiguous;	   /* a copy aside may be made late */
	char message[300]; /* of the first failure */
};

/* Both directories are frozen. In any case tree_swap_free. Errors: -ENAMETOOLONG, -ENOMEM. */
int tree_swap_init(struct tree_swap *swap, struct vfs *vfs, const struct inode *one,
		   const struct inode *other);
void tree_swap_free(struct tree_swap *swap);
/* 0: they have changed places, and the phase is SWAP_FORWARD until tree_swap_close. Else the first
 * failure: everything is where it was, or will be, for which the intent stays. */
int tree_swap_run(struct tree_swap *swap);
/* What inodes below have learned to know under another ETag; after tree_swap_run. */
void tree_swap_tell(struct tree_swap *swap, struct inode *one, struct inode *other);
/* After names have changed places, too: what was set aside goes. Does not fail: what the server or
 * a full disk does not let be done now is tried later, and a crash meanwhile goes forward. */
void tree_swap_close(struct tree_swap *swap);
/* Is it one of two directories? */
bool tree_swap_is(const struct journal_intent *intent);
/* What a crash or an outage has left. 1: it is finished; or an error. For janitor_follow too. */
int tree_swap_finish(struct vfs *vfs, const struct journal_intent *intent);

#endif

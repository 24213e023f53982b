/* exchange.h — two objects change places by copies of the server; internal to fs/vfs.
 *
 * S3 has no swap. Both are copied aside first, to keys that no mount shows (KEY_EXCHANGE), and from
 * there over each other:
 *
 *   one    other   aside
 *   1      2                  nothing has happened
 *   1      2       2, 1       from here on a crash leaves work that goes forward
 *   1      1       2, 1
 *   2      1       2, 1
 *   2      1                  done
 *
 * At each moment both objects are somewhere. Each copy is conditional on the version that it
 * replaces, and comes from or goes to a key that is used once: one that the server carries out
 * late, when both names have the versions of before again, finds nothing. A copy is known by its
 * put-id: which of them have been made is asked, never guessed. Where others have written to the
 * names meanwhile, what was set aside becomes a conflict copy unless it is where it was.
 *
 * The intent (INTENT_EXCHANGE) is durable before the first copy: source and target are the two
 * keys; etag: put-id of the first object under its new key, that of the second, the ETag of the
 * first, a line end, the ETag of the second.
 *
 * A file and a directory change places with less, because "a" and "a/" are two: the file
 * is copied, then the directory moves (tree_copy.h), then the file goes. Source is the file's key,
 * target the directory's; etag: put-id of the copy, ETag of the file, a line end, what
 * tree_copy_note said. It is durable before the first copy as well, because the directory hides the
 * file.
 *
 * Threads: owner thread, in a fiber. The names are the caller's meanwhile.
 */
#ifndef FS_VFS_EXCHANGE_H
#define FS_VFS_EXCHANGE_H

#include "fs/vfs/inode.h"
#include "fs/vfs/key.h"

enum exchange_object {
	EXCHANGE_OLD,	/* the version that the intent names */
	EXCHANGE_NEW,	/* our copy */
	EXCHANGE_OTHER, /* somebody else's */
	EXCHANGE_GONE,
};

enum exchange_step {
	EXCHANGE_ASIDE_OTHER,
	EXCHANGE_ASIDE_ONE,
	EXCHANGE_REPLACE, /* other by one */
	EXCHANGE_RETURN,  /* other in the place of one */
	EXCHANGE_DONE,
	EXCHANGE_UNDONE, /* both are what they were, or what others made of them */
	EXCHANGE_KEEP,	 /* other belongs nowhere any more: it becomes a conflict copy */
};

struct exchange_view {
	enum exchange_object one, other;
	bool one_aside, other_aside;
	bool in_doubt; /* other may have been replaced, or still be by a late request */
	bool given_up; /* a failure before anything was replaced */
};

/* Pure. */
enum exchange_step exchange_next(const struct exchange_view *view);

/* One of the two. */
struct exchange_side {
	char *key;
	char *aside;		     /* the key that is used once */
	char put_id[PUT_ID_LEN + 1]; /* of its copies */
	char etag[OS_ETAG_MAX];	     /* of the version that changes places */
	struct os_request head;	     /* what is at its key */
	struct os_request aside_head;
	bool late; /* the copy aside may come yet */
};

struct exchange {
	struct vfs *vfs;
	uint64_t intent;
	struct exchange_side one, other;
	struct exchange_view view;
	/* Told by exchange_run: */
	char new_one_etag[OS_ETAG_MAX]; /* of the first object, which is at the second key */
	char new_other_etag[OS_ETAG_MAX];
	char kept_name[NAME_BYTES_MAX + 1]; /* of the conflict copy, beside the second key */
	char message[300];		    /* of a failure */
};

/* Looks at both objects. Errors: -ENOENT one is gone; of HEAD; -ENAMETOOLONG, -ENOMEM. In any case
 * exchange_free. */
int exchange_init(struct exchange *exchange, struct vfs *vfs, const char *one, const char *other);
void exchange_free(struct exchange *exchange);
/* The intent is durable when it returns 0. */
int exchange_put_intent(struct exchange *exchange);
/* Until they have changed places or are as before (*end: EXCHANGE_DONE, _UNDONE or _KEEP), or
 * deadline (monotonic): then *end is the step that failed, and the intent is owed. Returns the
 * first failure: with _UNDONE the reason. */
int exchange_run(struct exchange *exchange, uint64_t deadline, enum exchange_step *end);
/* After an end: what was set aside goes, and the intent with it. Does not fail: what the server
 * does not do now is tried later. */
void exchange_close(struct exchange *exchange, enum exchange_step end);
/* Instead, when there is no end: it is gone on with when S3 can be reached, or at the next mount.
 */
void exchange_leave(struct exchange *exchange);
/* What a crash or an outage has left: as far as S3 lets it be finished. 1: it is; or an error. For
 * janitor_follow as well. */
int exchange_finish(struct vfs *vfs, const struct journal_intent *intent);
/* exchange_mixed.c: the same for a file and a directory. */
int exchange_finish_mixed(struct vfs *vfs, const struct journal_intent *intent);
/* Is it one of a file and a directory? */
bool exchange_is_mixed(const struct journal_intent *intent);

#endif

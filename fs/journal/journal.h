/* journal.h — the durable record of every intent: what the cache holds that S3 does not have yet,
 * what the cache may serve without asking, and which changes of the name space are under way.
 *
 * One implementation: a queue and a runner (journal.c) over tables (store.c) in SQLite's WAL mode
 * (journal_sqlite.c). The runner is a thread; where everything is to happen in one thread, as in
 * the simulation, it is the executor.
 *
 * Order: records take effect in the order of the calls, all or a prefix of them. Each call returns
 * a sequence number at once; journal_wait returns when everything up to it is committed (survives
 * the death of the process) or durable (survives power loss). Commits are grouped. Threads: calls
 * come from the executor's owner thread; the runner alone touches the database. Errors: the
 * first failure of the disk is kept; from then on every wait returns it and nothing is written any
 * more (a failed fsync is never retried: what the kernel still holds is unknown). A full disk is no
 * such failure: records stay in the queue, in their order, and are tried again. Who waits for one
 * meanwhile is told -ENOSPC; it may still be committed later, so who then takes back what it
 * recorded records that as well.
 */
#ifndef FS_JOURNAL_JOURNAL_H
#define FS_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/executor.h"
#include "common/s3/objstore.h"
#include "fs/cache/extent.h"
#include "fs/vfs/attributes.h"

enum { JOURNAL_PUT_ID_BYTES = 33 };

/* Bits of journal_node.flags. */
enum {
	NODE_DIRTY_DATA = 1, /* the data file holds bytes that S3 has not */
	NODE_DIRTY_ATTR = 2, /* attributes are newer than the object's */
	NODE_COMPLETE = 4,   /* the data file holds every byte of the file */
	NODE_UNLINKED = 8,   /* no name any more; kept while something is under way */
	NODE_CONFLICT = 16,  /* lost a race; S3 has a version of others in its place */
	NODE_REMOTE = 32,    /* the object exists in S3 as etag says */
	NODE_SUSPECT = 64,   /* a sync of the data file failed: what it holds is not known */
	NODE_SYNCED = 128,   /* the first size bytes of the data file are durable, and none of them
				changed since */
	NODE_UNSURE = 256,   /* set by the journal alone: the kernel has restarted, and the data
				file was not synced: nobody knows what it holds */
	NODE_OLD = 512,	     /* set by the journal alone: the kernel has restarted since the row was
				written, so that newer ones may be lost */
	NODE_LATER = 1024,   /* changed since the publication of put_id began */
};

/* One inode as the journal knows it. Directories have a row when something below them has one. */
struct journal_node {
	uint64_t ino, parent;
	const char *name; /* "" for the root and for unlinked nodes */
	uint32_t flags;
	struct attributes attributes;
	uint64_t size;
	uint64_t generation;	 /* of the data file's content */
	uint64_t file_id;	 /* name of the data file; 0: none */
	uint64_t base_size;	 /* size of the object version that etag names */
	const char *etag;	 /* version the change is based on; "" : there was none */
	int64_t remote_modified; /* its Last-Modified, ns */
	const char *put_id;	 /* of the publication under way or last done; "" */
	const char *target;	 /* of a symlink that is not in S3 yet; "" */
	const char *content_type;
	const struct os_meta
		*meta; /* the object's other user metadata, kept on rewrite; may be NULL */
	const struct os_meta *headers; /* os_result.headers, kept on rewrite; may be NULL */
};

enum journal_intent_kind {
	INTENT_DELETE = 1,
	INTENT_RENAME_FILE,
	INTENT_RENAME_DIR,
	INTENT_MPU,
	INTENT_EXCHANGE, /* fs/vfs/exchange.h */
};

struct journal_intent {
	uint64_t id; /* set by the caller, unique, not 0 */
	enum journal_intent_kind kind;
	const char *source, *target; /* keys; RENAME_DIR: prefixes that end in '/'; INTENT_MPU: see
					fs/upload/orphan.h */
	const char *etag;	     /* of the source when the intent was made; "" */
};

struct journal;

/* What open found. Pointers live during the call only. Return non-zero to stop with that error. */
struct journal_loader {
	int (*node)(void *context, const struct journal_node *node, const struct extent_set *dirty);
	int (*intent)(void *context, const struct journal_intent *intent);
	void *context;
};

struct journal_info {
	bool created;	/* there was none before */
	bool clean;	/* the last user closed it */
	bool same_boot; /* the kernel has not restarted since: the page cache survived. Else every
			   row is NODE_OLD, and NODE_UNSURE where it has a data file that is not
			   NODE_SYNCED, until it is replaced */
	uint64_t next_ino, next_file_id, next_intent;
};

/* dir: an existing directory on the cache file system; the database is dir/journal.db. volume names
 * the bucket, prefix and endpoint: a journal of another volume is refused. Errors (message set):
 * -EUCLEAN damaged (it is left as it is), -EXDEV other volume, -EPROTO newer schema, -EBUSY in
 * use by another process, and errnos of the disk.
 * Its thread and the lock of the file belong to the process: open after the last fork. */
int journal_open(struct journal **out, struct executor *executor, const char *dir,
		 const char *volume, struct journal_info *info, struct error *error);

/* What the journal stands on, where that is not the process, its kernel and its files. */
struct journal_host {
	const char *file_layer; /* name of a registered SQLite VFS; NULL: SQLite's own. The database
				   must be there already: it is created in real files alone */
	const char *boot_id;	/* of the kernel; NULL: this one's */
	bool turns;		/* no thread: rounds are timers of the executor */
	uint64_t pause;		/* ns from the first record to its round; with turns alone */
};
int journal_open_on(struct journal **out, struct executor *executor,
		    const struct journal_host *host, const char *dir, const char *volume,
		    struct journal_info *info, struct error *error);

/* Reads everything in it; parents before children. Before the first write. After a failure nothing
 * can be written, so that what could not be read stays. */
int journal_load(struct journal *journal, const struct journal_loader *loader);
/* Waits for everything queued; marks it clean when asked. Blocks; called after the executor has
 * ended. */
void journal_close(struct journal *journal, bool clean);

/* Each returns a sequence number, never 0. Strings are copied. A node's row is replaced as a whole.
 */
uint64_t journal_put_node(struct journal *journal, const struct journal_node *node);
uint64_t journal_drop_node(struct journal *journal, uint64_t ino); /* with its extents */
uint64_t journal_move_node(struct journal *journal, uint64_t ino, uint64_t parent,
			   const char *name);
/* Two rows take each other's name. */
struct journal_name {
	uint64_t ino, parent;
	const char *name; /* the new one */
};
uint64_t journal_exchange_nodes(struct journal *journal, const struct journal_name *one,
				const struct journal_name *other);
/* Dirty ranges; only for data files that are not complete. */
uint64_t journal_add_extent(struct journal *journal, uint64_t ino, uint64_t start, uint64_t end);
uint64_t journal_truncate_extents(struct journal *journal, uint64_t ino,
				  uint64_t size); /* drops what is at or beyond size */
uint64_t journal_put_intent(struct journal *journal, const struct journal_intent *intent);
uint64_t journal_drop_intent(struct journal *journal, uint64_t id);
/* Counters that must never be reused after a crash; written when passed (in steps). */
uint64_t journal_put_counters(struct journal *journal, uint64_t next_ino, uint64_t next_file_id,
			      uint64_t next_intent);

/* Has everything up to sequence been committed, or is it durable? No waiting. */
bool journal_is_committed(const struct journal *journal, uint64_t sequence);
bool journal_is_durable(const struct journal *journal, uint64_t sequence);
uint64_t journal_newest(const struct journal *journal); /* the number that was given last */

enum journal_level { JOURNAL_COMMITTED, JOURNAL_DURABLE };
/* Must be called in a fiber. 0, the journal's error, or -ENOSPC (see above). */
int journal_wait(struct journal *journal, uint64_t sequence, enum journal_level level);
/* A fiber waits: the journal thread will post to the executor for certain. For executors whose time
 * is virtual. */
bool journal_is_awaited(const struct journal *journal);
/* The error that stopped it, 0 while healthy. */
int journal_error(const struct journal *journal);
/* The disk is full. The journal has space set aside, so that what is under way can end: nothing new
 * should be begun. Ends by itself. */
bool journal_is_full(const struct journal *journal);

#endif

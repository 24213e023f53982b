/* content.h — the bytes of one file: which of them are on the local disk, which are newer than
 * S3's.
 *
 * One sparse data file (blob) of the file's full size at fixed offsets; what is missing is fetched
 * from the origin, the object version the file is based on, by ranges side by side, and readers are
 * answered as the bytes arrive.
 *
 * Threads: owner thread. The network thread writes fetched bytes into the blob, only into ranges
 * that are neither valid nor written by anyone else: a writer first ends the fetches that overlap
 * it. Invariants: (C1) valid holds exactly the ranges whose bytes in the blob are the file's. (C2)
 * changed and frozen are inside valid and inside [0, size). (C3) bytes outside of changed, frozen
 * and below base_len are those of the origin. (C4) the blob's length is size, so that it could be
 * served as it is (FUSE passthrough).
 */
#ifndef FS_CACHE_CONTENT_H
#define FS_CACHE_CONTENT_H

#include "fs/cache/cache.h"
#include "fs/cache/extent.h"
#include "fs/cache/snapshot.h"
#include "fs/cache/window.h"

/* Where missing bytes come from. */
struct content_origin {
	const char *key;
	const char *etag; /* every range is asked for with If-Match */
};

struct content {
	struct cache *cache;
	void *owner;	      /* for cache.evict */
	struct list lru;      /* in cache->lru */
	struct blob *blob;    /* reference */
	struct blob *retired; /* what content_reset replaced: a committed row may still name it */
	uint64_t size;
	uint64_t base_len; /* how much of the origin is still part of the file, from its start */
	bool original;	   /* made for a version of this size, and never changed */
	struct extent_set valid, changed;
	struct extent_set inflight; /* being fetched */
	struct list fetches;
	unsigned stopping; /* fetches are being stopped: none may begin, or that would never end */
	struct wait_queue progress; /* bytes arrived, a fetch ended */
	uint64_t last_read;	    /* offset; what lies around it is kept when room is made */
	unsigned failures;	    /* of fetches, ever; with the newest error */
	int failure;
	/* While a publication is under way: */
	struct snapshot *snapshot; /* NULL also when the file was reset since the freeze */
	bool frozen_active, reset_since_freeze;
	struct extent_set frozen; /* what was changed at the freeze */
	uint64_t frozen_base_len, next_base_len;
	unsigned refs;	/* owner, fetches, operations under way */
	unsigned pins;	/* open handles and operations under way: not to be evicted */
	bool keep_file; /* leave the data file behind when the last reference goes */
	uint64_t accounted_used, accounted_dirty;
	/* What of the data file is durable: the first synced_size bytes, while epoch is
	 * synced_epoch. epoch counts changes but for those that append to a complete file. */
	uint64_t epoch, synced_epoch, synced_size;
	bool synced_whole; /* all of those were here when they were synced */
	/* Somebody was told that it is durable, and it has not been published since: whatever
	 * happens to it now, this file counts. */
	bool promised;
	/* Freezes so far, the newest one that is in S3, and the newest one when the last sync
	 * began. What was synced before a freeze that is in S3 does not count any more: after a
	 * power loss it must not replace that. */
	uint64_t freezes, published, synced_freezes;
};

/* A file of size bytes with nothing of it here; base_len = size. For a new file: size 0.
 * Errors: -ENOMEM, -ENOSPC and other errnos of the disk. */
int content_create(struct cache *cache, uint64_t size, void *owner, struct content **out);
/* From the data file that a former process left. complete: all of it is valid. */
int content_adopt(struct cache *cache, uint64_t file_id, bool complete, uint64_t base_len,
		  const struct extent_set *dirty, void *owner, struct content **out);
struct content *content_ref(struct content *content);
/* The last one destroys it and, unless keep_file is set, removes the data file. NULL allowed. */
void content_unref(struct content *content);
/* The owner gives it up: fetches are cancelled, nothing is waited for; readers under way finish
 * with what they find. Drops the owner's reference. */
void content_abandon(struct content *content, bool keep_file);

bool content_is_complete(const struct content *content);
bool content_is_dirty(const struct content *content);
/* The first synced_size bytes are durable, and have not changed since unless promised. */
bool content_is_synced(const struct content *content);
/* fdatasync of the data file. promise: somebody will be told. In a fiber. Errors: of the disk;
 * never to be tried again. */
int content_sync(struct content *content, bool promise);
/* All that was synced until now is in S3, perhaps with more. */
void content_settle_sync(struct content *content);
bool content_is_evictable(const struct content *content);
void content_touch(struct content *content); /* most recently used */
/* Nobody has it open: its descriptor is given back when nothing is under way. */
void content_idle(struct content *content);

/* Up to len bytes at offset, fewer only at the end of the file. window may be NULL. In a fiber.
 * Errors: -ESTALE the origin is gone, replaced or not of that size, errnos of os_result, -EINTR,
 * -ETIMEDOUT. */
ssize_t content_read(struct content *content, const struct content_origin *origin,
		     struct read_window *window, void *data, size_t len, uint64_t offset);
/* The origin is gone for good: what of the file is not here reads as zeros from now on, and there
 * is no base any more. No snapshot is active. Errors: -errno of the disk, -ENOMEM; then nothing was
 * changed that matters. */
int content_lose_origin(struct content *content);
/* Waits until all of [start, end) is valid. Same errors. */
int content_hydrate(struct content *content, const struct content_origin *origin, uint64_t start,
		    uint64_t end);
/* In a fiber (waits for overlapping fetches to end). Errors: of the disk. */
int content_write(struct content *content, const void *data, size_t len, uint64_t offset);
/* The same with zeros, which take no space. Not past the end of the file. */
int content_zero(struct content *content, uint64_t start, uint64_t end);
/* Where the next data or hole begins, from an offset inside the file. A hole is known as such only
 * in a complete content; what is missing is data. Errors: -ENXIO no data follows; of the disk. */
int content_seek(struct content *content, uint64_t offset, bool hole, uint64_t *out);
/* All bytes of the origin at once: a clean content without fetches becomes complete. Does not wait.
 */
int content_fill(struct content *content, const void *data, size_t len);
int content_truncate(struct content *content, uint64_t size);
/* The same within its data file, also when nothing of it is left: no number is used up, which the
 * journal would have to note. */
int content_resize(struct content *content, uint64_t size);
/* Empties the file by giving it a new data file; an upload under way keeps reading the old one. */
int content_reset(struct content *content);
/* The row that names the new data file is committed: the old file may go. */
void content_drop_retired(struct content *content);
/* Ends the fetches of that range, and lets none begin until they have ended; in a fiber. */
void content_stop_fetches(struct content *content, uint64_t start, uint64_t end);

/* Makes the immutable view that a publication reads. Not while one is active. Does not wait. */
int content_freeze(struct content *content, struct snapshot **out);
/* Ends it and destroys the snapshot. published: the view is the origin now; else what was frozen is
 * changed. */
void content_thaw(struct content *content, struct snapshot *snapshot, bool published);

/* Gives back what is far from the newest read of a clean file that is in use. */
void content_trim(struct content *content);

/* internal to fs/cache */
void content_cancel_fetches(struct content *content);
void content_account(struct content *content);
void content_fetch(struct content *content, const struct content_origin *origin, uint64_t start,
		   uint64_t end);

#endif

/* snapshot.h — an immutable view of a data file while it goes on changing: what an upload reads.
 *
 * Before a writer overwrites bytes that the view shows, it copies the old ones aside
 * (snapshot_preserve). A reader takes the bytes of the data file first and then replaces what has
 * been preserved meanwhile; as the writer preserves before it overwrites, it never sees a mix.
 *
 * Threads: snapshot_read from the network thread, the rest from the owner thread.
 */
#ifndef FS_CACHE_SNAPSHOT_H
#define FS_CACHE_SNAPSHOT_H

#include <pthread.h>

#include "fs/cache/blob.h"
#include "fs/cache/extent.h"

struct snapshot {
	struct blob *blob;  /* reference; replaced by nobody */
	struct blob *aside; /* reference; NULL until something was preserved */
	uint64_t size;	    /* of the view */
	uint64_t aside_id;  /* number to use for it */
	/* Protects preserved and the pointer aside; nothing is taken inside. */
	pthread_mutex_t lock;
	struct extent_set preserved; /* ranges whose bytes are in aside */
};

int snapshot_create(struct blob *blob, uint64_t size, uint64_t aside_id, struct snapshot **out);
void snapshot_destroy(struct snapshot *snapshot); /* NULL allowed; no reader may be left */
/* Call before bytes [start, end) of the data file change or are cut off. Errors: -errno of the
 * disk. */
int snapshot_preserve(struct snapshot *snapshot, uint64_t start, uint64_t end);
/* os_source.read: exactly len bytes at offset. */
int snapshot_read(void *snapshot, void *data, size_t len, uint64_t offset);

#endif

/* tree_copy.h — moves every key below one prefix to another: copies side by side, then the sources go.
 *
 * Idempotent: run again after a crash it finishes what was begun. A destination that is there already with
 * the source's ETag is not copied again; one with other content was written by somebody since and is kept,
 * as is its source.
 * Threads: owner thread, in a fiber.
 */
#ifndef FS_VFS_TREE_COPY_H
#define FS_VFS_TREE_COPY_H

#include "fs/upload/upload.h"

struct tree_copy {
	struct uploader *uploader;
	const char *source, *target; /* prefixes that end in '/' */
	/* Called for each copied key with what follows the prefix, and the copy's ETag; may be NULL. */
	void (*copied)(void *context, const char *relative, const char *etag);
	void *context;
};

/* 0, or the first failure (message filled); then no source has been deleted, unless it was a delete that failed. */
int tree_copy_run(struct tree_copy *copy, char *message, size_t message_size);
/* After a failed run: removes the copies whose sources are still there. 0 when nothing is left behind. */
int tree_copy_undo(struct tree_copy *copy);

#endif

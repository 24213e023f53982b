/* tree_copy.h — moves every key below one prefix to another: copies side by side, then the sources
 * go.
 *
 * Until the last copy is there nothing is deleted, so that all can be taken back. From then on it
 * only goes forward: the destination is the truth, and the sources are owed a deletion.
 *
 * Nothing of others is lost. What is at a destination and not our copy stays, and its source does
 * as well; a source is deleted only in the version that was copied. A copy is known again, also
 * after a crash, by its ETag, or, where copying changes that (multipart uploads, encryption by
 * KMS), by the metadata, which then must hold a put-id; a source without one gets one on the way.
 * The directory's own object has no bytes, so that its metadata tells it; it is copied over that of
 * an empty directory which is there.
 *
 * Idempotent: run again after a crash it finishes what was begun. Keys need not be names of files.
 * Threads: owner thread, in a fiber.
 */
#ifndef FS_VFS_TREE_COPY_H
#define FS_VFS_TREE_COPY_H

#include "fs/upload/upload.h"

enum tree_state {
	TREE_AS_BEFORE, /* nothing of ours is at the destination */
	TREE_BETWEEN,	/* sources are all there, copies are left at the destination */
	TREE_MOVED,	/* the destination has everything; sources may be left */
};

enum { TREE_NOTE_MAX = 64 };

struct tree_copy {
	struct uploader *uploader;
	const char *source, *target; /* prefixes that end in '/' */
	/* Called once all copies are there, for each source: what follows the prefix, the ETag of
	 * the version that was copied, and that of the copy; copy NULL: what is there now is
	 * something else. May be NULL. */
	void (*copied)(void *context, const char *relative, const char *etag, const char *copy);
	void *context;
	const char *note;  /* what tree_copy_note said of a former run; NULL or "": nothing */
	bool take_back;	   /* copies are removed again when one fails */
	bool keep_sources; /* they are only copied */
	/* told by tree_copy_run */
	enum tree_state state;
	bool ambiguous; /* a copy may be made late */
	size_t kept; /* sources that stay, as their destination is somebody else's or they changed
		      */
	int64_t newest; /* Last-Modified of the newest source */
	/* ETag of an empty directory's own object that the source's replaces; or "". It stays when
	 * copies are taken back. */
	char replaced[OS_ETAG_MAX];
};

/* 0: state is TREE_MOVED (of a run that takes back for its note: TREE_AS_BEFORE), nothing is owed.
 * Else the first failure, message filled: what is owed is told by state, and tree_copy_note puts
 * that into words for the journal. Deletions are tried again for a minute. */
int tree_copy_run(struct tree_copy *copy, char *message, size_t message_size);
/* After a failed run: what a later run with this note has to do. */
void tree_copy_note(const struct tree_copy *copy, char note[TREE_NOTE_MAX]);
/* A note of TREE_MOVED. */
bool tree_copy_has_moved(const char *note);

#endif

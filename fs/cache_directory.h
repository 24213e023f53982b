/* cache_directory.h — the place on the local disk that belongs to one mount.
 *
 * CACHE/BUCKET-HASH/ holds LOCK (flock, with the pid of its holder), journal.db, data/ and probe
 * (what the server can do). HASH is of endpoint, bucket and prefix, so that every volume has its
 * own. Threads: one, at start.
 */
#ifndef FS_CACHE_DIRECTORY_H
#define FS_CACHE_DIRECTORY_H

#include <stdint.h>

#include "common/error.h"
#include "fs/upload/upload.h"

struct cache_directory {
	char *path; /* of this volume */
	char *data_path;
	char *aside; /* the path, when it was set aside; NULL: it was not */
	int lock_fd;
	uint64_t total, available; /* bytes of the file system */
};

/* What may be put there. */
enum cache_use {
	CACHE_FOR_READS,  /* copies alone */
	CACHE_FOR_WRITES, /* what is nowhere else: the file system must be a local disk's */
	CACHE_FORCED,	  /* the same on any file system, because the user said so */
};

/* Creates what is missing (0700) and takes the lock; waits up to 10 s for a former mount that is
 * still uploading. Errors (message set): not usable, on a file system that does not keep what
 * CACHE_FOR_WRITES promises (-EOPNOTSUPP), in use by another mount (-EBUSY, with its pid). */
int cache_directory_open(struct cache_directory *directory, const char *cache, enum cache_use use,
			 const char *bucket, const char *volume, struct error *error);
/* What is in it is left as it is, and a new, empty cache for reads takes its place, in "reads"
 * below it. */
int cache_directory_set_aside(struct cache_directory *directory, struct error *error);
void cache_directory_close(struct cache_directory *directory);

/* What a probe found out, for a week. false: not known. */
bool cache_directory_load_probe(const struct cache_directory *directory, int64_t wall,
				struct upload_capabilities *can, bool *unquoted);
void cache_directory_save_probe(const struct cache_directory *directory,
				const struct upload_capabilities *can, bool unquoted);

#endif

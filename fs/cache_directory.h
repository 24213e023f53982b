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
	int lock_fd;
	uint64_t total, available; /* bytes of the file system */
};

/* Creates what is missing (0700) and takes the lock; waits up to 10 s for a former mount that is
 * still uploading. Errors (message set): not usable, in use by another mount (-EBUSY, with its
 * pid). */
int cache_directory_open(struct cache_directory *directory, const char *cache, const char *bucket,
			 const char *volume, struct error *error);
void cache_directory_close(struct cache_directory *directory);

/* What a probe found out, for a week. false: not known. */
bool cache_directory_load_probe(const struct cache_directory *directory, int64_t wall,
				struct upload_capabilities *can, bool *unquoted);
void cache_directory_save_probe(const struct cache_directory *directory,
				const struct upload_capabilities *can, bool unquoted);

#endif

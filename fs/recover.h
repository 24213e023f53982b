/* recover.h — s3mount recover: saves what a cache directory holds that is not in S3 yet, when no
 * mount can or shall do it. The cache directory is only read, unless files are to be forgotten.
 *
 * Threads: one; blocks.
 */
#ifndef FS_RECOVER_H
#define FS_RECOVER_H

#include <stdbool.h>

#include "common/options.h"

/* path: a cache directory, or the directory of cache directories when there is one in it. to: a
 * directory that is empty or not there; NULL: only tells what there is. options: to ask the bucket
 * with; may be changed. forget: the files that a power loss left in doubt leave the cache directory
 * once all has been saved. Prints, also errors; returns the exit status. */
int recover_run(const char *path, const char *to, bool forget, struct options *options, bool json);

#endif

/* mount.h — puts the rooms together: one mounted bucket from its start to its end.
 *
 * Threads: the caller's becomes the owner thread of the loop; returns when the mount has ended.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include "common/error.h"
#include "fs/cli.h"

/* It has ended, and changes that are not in S3 are left in its cache; the log says which. */
enum { MOUNT_LEFT = 1 };

/* Mounts and serves until unmounted. ready(context, notice) is called once it can be used; notice
 * is what the user must know about how it was mounted, or NULL. cli stays the caller's. A damaged
 * journal is not touched: then the bucket is mounted read-only, the notice says so, and the end is
 * MOUNT_LEFT. Returns 0, MOUNT_LEFT, or the negative errno of a mount that failed (message set,
 * ready not called). */
int mount_run(struct cli *cli, void (*ready)(void *context, const char *notice), void *context,
	      struct error *error);

#endif

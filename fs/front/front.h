/* front.h — FUSE: reads requests from the kernel and answers them from the vfs. The only room that
 * includes FUSE's headers.
 *
 * Threads: owner thread. Every request runs in a fiber of its own from the read of /dev/fuse to the
 * reply, so that one that waits delays no other. At most FRONT_REQUESTS at once; then the kernel
 * waits.
 */
#ifndef FS_FRONT_FRONT_H
#define FS_FRONT_FRONT_H

#include <stdbool.h>

#include "common/error.h"
#include "common/loop.h"
#include "fs/vfs/vfs.h"

enum { FRONT_REQUESTS = 1024 };

struct front;

struct front_config {
	const char *directory; /* absolute; becomes the mount point */
	const char *source;    /* shown as the device: the bucket */
	bool allow_other, read_only;
	uint64_t attr_timeout; /* ns; also for names */
};

/* /dev/fuse is there, and we may use it. Opens it; changes nothing. Errors (message set): -ENODEV
 * no device, or the kernel's module is missing; else -errno of open. */
int front_check_device(struct error *error);
/* Mounts. ended(context) is called once, on the loop, when the file system was unmounted by
 * whomever. Errors (message set): -EPERM, -EBUSY .. */
int front_create(struct loop *loop, struct vfs *vfs, struct fiber_pool *fibers,
		 const struct front_config *config, void (*ended)(void *context), void *context,
		 struct front **out, struct error *error);
/* Unmounts, lazily when it is busy. ended follows. */
void front_unmount(struct front *front);
/* After ended; no request may be under way. */
void front_destroy(struct front *front);
unsigned front_requests(const struct front *front);

/* The control calls of `s3mount status` and `s3mount sync`, by ioctl(2) on a directory of the
 * mount. */
enum { FRONT_STATUS_BYTES = 16000 };
struct front_status {
	char json[FRONT_STATUS_BYTES]; /* NUL-terminated */
};
#define FRONT_IOCTL_SYNC   _IO('s', 0x52)
#define FRONT_IOCTL_STATUS _IOR('s', 0x51, struct front_status)

#endif

/* driver.h — the volumes of this node, and what the engine can ask for.
 *
 * Get, List and Path are answered from memory. Mount, Unmount, Create and Remove wait for what they
 * cause, in a fiber of their own, and never for what another volume is busy with.
 *
 * Each volume has at most one keeper: a fiber that does what volume_next says, one thing after the
 * other, and ends when there is nothing to do. Everybody else changes the state, wakes the keeper,
 * and waits to see.
 *
 * Owner thread; the calls that say so belong to fibers.
 */
#ifndef PLUGIN_DRIVER_H
#define PLUGIN_DRIVER_H

#include "plugin/buckets.h"
#include "plugin/mounter.h"
#include "plugin/routes.h"

struct driver;

struct driver_config {
	struct mounter_config mounter;
	struct buckets_config buckets;
	struct buckets *list; /* outlives the driver */
};

/* Reads definitions; takes dead mounts away. May block: to be called before the loop runs.
 * Errors: the state directory is not usable; message set. */
int driver_create(struct driver **out, const struct driver_config *config, struct error *error);
/* Uploads what processes of former plugins have left in their caches. Fiber. */
void driver_start(struct driver *driver);
/* Ends all mounts, at most until the deadline. Fiber. */
void driver_stop(struct driver *driver, uint64_t deadline);

/* Errors: -EEXIST (there already, with other options), and what keeps the bucket from being used.
 * Fiber. */
int driver_volume_create(struct driver *driver, const char *name,
			 const struct definition_option *options, size_t count,
			 struct error *error);
/* Takes the volume away from this node; never an object from the bucket.
 * Errors: -ENOENT, -EBUSY (changes that are not in S3 yet). Fiber. */
int driver_remove(struct driver *driver, const char *name, struct error *error);
/* *mountpoint is valid until the fiber waits. Every success needs its driver_unmount. Fiber. */
int driver_mount(struct driver *driver, const char *name, const char *id, const char **mountpoint,
		 struct error *error);
/* An unknown volume or ID is no error. Returns within 20 s, then it goes on by itself. Fiber. */
void driver_unmount(struct driver *driver, const char *name, const char *id);

/* The answer to Get, Path and List, for the caller to free; NULL with error set. Fiber. */
char *driver_get(struct driver *driver, const char *name, struct error *error);
char *driver_path(struct driver *driver, const char *name, struct error *error);
char *driver_list(struct driver *driver, struct error *error);

#endif

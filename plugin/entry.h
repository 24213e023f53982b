/* entry.h — one volume of the driver: its definition, its state, its process. Internal to driver
 * and keeper.
 *
 * An entry lives in the driver's map from its first use to its removal, and beyond that while a
 * fiber holds it. Owner thread.
 */
#ifndef PLUGIN_ENTRY_H
#define PLUGIN_ENTRY_H

#include "common/fiber.h"
#include "common/map.h"
#include "plugin/driver.h"
#include "plugin/volume.h"

struct driver {
	struct driver_config config;
	struct executor *executor;
	struct map *entries; /* name -> struct entry */
	char *definitions;   /* directories */
	char *caches;
	bool stopping;
};

struct entry {
	struct driver *driver;
	struct definition definition;
	char *file_name; /* of the volume's name */
	char *directory; /* mount point */
	char *cache;
	struct volume volume;
	struct mount_process *process; /* NULL: none */

	unsigned holders; /* fibers that use the entry */
	bool gone;	  /* not in the map any more */
	bool kept;	  /* a keeper runs */
	struct timer retry;
	struct wait_queue changed; /* anything above or below */

	unsigned attempts;	    /* mounts that ended, well or not */
	struct error attempt_error; /* of the last one */
	struct error last_error;    /* stays until a mount succeeds */
	char last_crash[160];	    /* for people; "": none since the plugin began */
	bool ended_clean;	    /* the process has ended with everything in S3 */

	char *status; /* JSON of the process, may be NULL */
	uint64_t status_at;
	bool asking; /* for the status */

	bool owes; /* at the start: its cache may hold changes that are not in S3 */
};

/* In no map yet. definition becomes the entry's, also on failure. NULL: out of memory. */
struct entry *entry_create(struct driver *driver, struct definition *definition);
struct entry *entry_find(struct driver *driver, const char *name);
void entry_hold(struct entry *entry);
void entry_release(struct entry *entry); /* may free it */

/* The mount is gone under the containers that use it: a new one does not reach them. how: a verb.
 */
void entry_note_crash(struct entry *entry, const char *who, const char *how);

/* Writes the definition. Fiber. */
int entry_save(struct entry *entry, struct error *error);

/* Waits until the volume is mounted, or an attempt that ends meanwhile has failed, whoever began
 * it. Errors: -ETIMEDOUT, -EBUSY (being removed), that of the attempt; message set. Fiber. */
int entry_wait_mounted(struct entry *entry, uint64_t deadline, struct error *error);
/* Mounts and unmounts, by which s3mount uploads what a former process has left in the cache; the
 * unmount is not waited for. Errors as above. Fiber. */
int entry_recover(struct entry *entry, uint64_t deadline, struct error *error);
/* One use less, and lets the keeper look. */
void entry_unreference(struct entry *entry, const char *id);

/* Lets the keeper look at the volume, now. */
void entry_wake(struct entry *entry);
/* Fetches the status in the background unless it is fresh. */
void entry_refresh_status(struct entry *entry);

#endif

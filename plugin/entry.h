/* entry.h — one volume of the driver: its definition, its state, its process. Internal to driver and keeper.
 *
 * An entry lives in the driver's map from its first use to its removal, and beyond that while a fiber holds
 * it. Owner thread.
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
	char *references;
	char *caches;
	char boot_id[64]; /* references are of one boot of the machine */
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
	bool gone;        /* not in the map any more */
	bool kept;        /* a keeper runs */
	bool saving_references, references_changed;
	struct timer retry;
	struct wait_queue changed; /* anything above or below */

	unsigned attempts;          /* mounts that ended, well or not */
	struct error attempt_error; /* of the last one */
	struct error last_error;    /* stays until a mount succeeds */
	bool ended_clean;           /* the process has ended with everything in S3 */

	char *status; /* JSON of the process, may be NULL */
	uint64_t status_at;
	bool asking; /* for the status */
};

/* In no map yet. definition becomes the entry's, also on failure. NULL: out of memory. */
struct entry *entry_create(struct driver *driver, struct definition *definition);
struct entry *entry_find(struct driver *driver, const char *name);
void entry_hold(struct entry *entry);
void entry_release(struct entry *entry); /* may free it */

/* Files. Fibers. */
int entry_save(struct entry *entry, struct error *error);
void entry_references_changed(struct entry *entry); /* written in the background */

/* At the end of the plugin: in memory and on disk. Blocks. */
void driver_forget_references(struct driver *driver);

/* Lets the keeper look at the volume, now. */
void entry_wake(struct entry *entry);
/* Fetches the status in the background unless it is fresh. */
void entry_refresh_status(struct entry *entry);

#endif

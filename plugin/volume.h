/* volume.h — who uses a volume, in which phase its mount is, and what must happen next. Pure.
 *
 * References are a count per mount ID, not a set: `docker cp` mounts and unmounts with the ID of
 *the running container, and a set would unmount the volume under it. A volume has to be mounted
 *while any count is above zero. Nobody gives commands: events change the state, and volume_next
 *says what the state asks for.
 *
 * Phases, and the action during which each lasts:
 *
 *	IDLE ──mount──> MOUNTING ──ok──> MOUNTED ──unmount──> UNMOUNTING ──gone──> IDLE
 *	  ^               │ failed          │ process died        │ unmounted, still uploading
 *	  └───────────────┘               DEAD ──detach──>     DRAINING ──process ends──> IDLE
 *	  └──────────────────────────── DETACHING                 │ wanted again
 *	  └────────────────────────────────────────────────── ENDING
 *
 * Threads: the caller serialises. Time: monotonic ns that the caller passes in.
 */
#ifndef PLUGIN_VOLUME_H
#define PLUGIN_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	VOLUME_ID_BYTES_MAX = 255, /* Docker's are 64 hexadecimal digits */
	VOLUME_IDS_MAX = 4096,
};

enum volume_phase {
	VOLUME_IDLE,	 /* no process, nothing mounted */
	VOLUME_MOUNTING, /* the process was started and is not ready yet */
	VOLUME_MOUNTED,
	VOLUME_UNMOUNTING,
	VOLUME_DRAINING, /* nothing mounted any more; the process uploads what is left */
	VOLUME_ENDING,	 /* the draining process is being ended: its successor goes on from the
			    journal */
	VOLUME_DEAD,	 /* the process is gone and has left its mount behind */
	VOLUME_DETACHING,
	VOLUME_PHASES
};

enum volume_event {
	VOLUME_EVENT_MOUNTED,
	VOLUME_EVENT_MOUNT_FAILED,
	VOLUME_EVENT_PROCESS_ENDED, /* by itself, expected or not */
	VOLUME_EVENT_UNMOUNTED,	    /* and the process is gone */
	VOLUME_EVENT_DRAINING,	    /* unmounted, the process goes on */
	VOLUME_EVENT_DETACHED,
	VOLUME_EVENTS
};

enum volume_action {
	VOLUME_NOTHING,
	VOLUME_START_MOUNT,   /* then MOUNTED or MOUNT_FAILED */
	VOLUME_START_UNMOUNT, /* then UNMOUNTED or DRAINING */
	VOLUME_START_DETACH,  /* then DETACHED */
	VOLUME_START_ENDING,  /* then PROCESS_ENDED */
	VOLUME_FORGET,	      /* it was removed and nothing of it is left running */
};

struct volume_reference {
	char *id;
	unsigned count; /* > 0 */
};

struct volume {
	enum volume_phase phase;
	struct volume_reference *references;
	size_t reference_count;
	bool removing;
	unsigned failures; /* mounts that failed in a row */
	uint64_t retry_at; /* no mount before, unless somebody asks for one */
};

#define VOLUME_INIT                                                                                \
	{                                                                                          \
		VOLUME_IDLE, NULL, 0, false, 0, 0                                                  \
	}

void volume_free(struct volume *volume);

/* One more use by id. A person waits, so that a mount which failed before is tried again at once.
 * Errors: -EINVAL (empty or too long), -EBUSY (being removed), -EMFILE (too many IDs), -ENOMEM. */
int volume_reference(struct volume *volume, const char *id);
/* One less. Returns false when the ID is not known, which is no error: routes.h says why. */
bool volume_unreference(struct volume *volume, const char *id);
void volume_unreference_all(struct volume *volume);
unsigned volume_references(const struct volume *volume); /* sum of all counts */

/* Errors: -EINVAL: the event is impossible in this phase; nothing changes. */
int volume_event(struct volume *volume, enum volume_event event, uint64_t now);

/* What has to be done now. The phase moves to that of the action, so that each is returned once.
 * *wake_at is when to ask again without an event, UINT64_MAX: never. */
enum volume_action volume_next(struct volume *volume, uint64_t now, uint64_t *wake_at);

const char *volume_phase_name(enum volume_phase phase);

#endif

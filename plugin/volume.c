#include "plugin/volume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

enum { RETRY_SECONDS_MAX = 60 };

static struct volume_reference *find(const struct volume *volume, const char *id)
{
	size_t i;

	for (i = 0; i < volume->reference_count; i++) {
		if (strcmp(volume->references[i].id, id) == 0)
			return &volume->references[i];
	}
	return NULL;
}

void volume_free(struct volume *volume)
{
	volume_unreference_all(volume);
	free(volume->references);
	memset(volume, 0, sizeof(*volume));
}

static int add(struct volume *volume, const char *id)
{
	struct volume_reference *grown;
	size_t len = strlen(id);
	char *copy;

	if (len == 0 || len > VOLUME_ID_BYTES_MAX)
		return -EINVAL;
	if (volume->reference_count == VOLUME_IDS_MAX)
		return -EMFILE;
	copy = strdup(id);
	grown = realloc(volume->references, (volume->reference_count + 1) * sizeof(*grown));
	if (grown)
		volume->references = grown;
	if (!copy || !grown) {
		free(copy);
		return -ENOMEM;
	}
	grown[volume->reference_count++] = (struct volume_reference){copy, 1};
	return 0;
}

int volume_reference(struct volume *volume, const char *id)
{
	struct volume_reference *reference = find(volume, id);
	int err = 0;

	if (volume->removing)
		return -EBUSY;
	if (reference)
		reference->count++;
	else
		err = add(volume, id);
	if (!err)
		volume->retry_at = 0;
	return err;
}

bool volume_unreference(struct volume *volume, const char *id)
{
	struct volume_reference *reference = find(volume, id);

	if (!reference)
		return false;
	if (--reference->count > 0)
		return true;
	free(reference->id);
	*reference = volume->references[--volume->reference_count];
	return true;
}

void volume_unreference_all(struct volume *volume)
{
	while (volume->reference_count > 0)
		free(volume->references[--volume->reference_count].id);
}

unsigned volume_references(const struct volume *volume)
{
	unsigned sum = 0;
	size_t i;

	for (i = 0; i < volume->reference_count; i++)
		sum += volume->references[i].count;
	return sum;
}

/* The phase after an event; 0 (IDLE + 1 is stored) where it cannot happen. */
#define TO(phase) ((phase) + 1)

static const unsigned char transitions[VOLUME_PHASES][VOLUME_EVENTS] = {
	[VOLUME_MOUNTING] = {[VOLUME_EVENT_MOUNTED] = TO(VOLUME_MOUNTED),
			     [VOLUME_EVENT_MOUNT_FAILED] = TO(VOLUME_IDLE)},
	[VOLUME_MOUNTED] = {[VOLUME_EVENT_PROCESS_ENDED] = TO(VOLUME_DEAD)},
	[VOLUME_UNMOUNTING] = {[VOLUME_EVENT_UNMOUNTED] = TO(VOLUME_IDLE),
			       [VOLUME_EVENT_DRAINING] = TO(VOLUME_DRAINING)},
	[VOLUME_DRAINING] = {[VOLUME_EVENT_PROCESS_ENDED] = TO(VOLUME_IDLE)},
	[VOLUME_ENDING] = {[VOLUME_EVENT_PROCESS_ENDED] = TO(VOLUME_IDLE)},
	[VOLUME_DETACHING] = {[VOLUME_EVENT_DETACHED] = TO(VOLUME_IDLE)},
};

static uint64_t retry_delay(unsigned failures)
{
	unsigned seconds = failures > 6 ? RETRY_SECONDS_MAX : 1U << (failures - 1);

	return (seconds > RETRY_SECONDS_MAX ? RETRY_SECONDS_MAX : seconds) * SECOND;
}

int volume_event(struct volume *volume, enum volume_event event, uint64_t now)
{
	unsigned to = transitions[volume->phase][event];

	if (to == 0)
		return -EINVAL;
	volume->phase = (enum volume_phase)(to - 1);
	if (event == VOLUME_EVENT_MOUNTED) {
		volume->failures = 0;
		volume->retry_at = 0;
	} else if (event == VOLUME_EVENT_MOUNT_FAILED) {
		volume->failures++;
		volume->retry_at = now + retry_delay(volume->failures);
	}
	return 0;
}

static enum volume_action begin(struct volume *volume, enum volume_phase phase,
				enum volume_action action)
{
	volume->phase = phase;
	return action;
}

enum volume_action volume_next(struct volume *volume, uint64_t now, uint64_t *wake_at)
{
	bool wanted = volume->reference_count > 0 && !volume->removing;

	*wake_at = UINT64_MAX;
	switch (volume->phase) {
	case VOLUME_IDLE:
		if (volume->removing)
			return VOLUME_FORGET;
		if (!wanted)
			return VOLUME_NOTHING;
		if (now >= volume->retry_at)
			return begin(volume, VOLUME_MOUNTING, VOLUME_START_MOUNT);
		*wake_at = volume->retry_at;
		return VOLUME_NOTHING;
	case VOLUME_MOUNTED:
		if (wanted)
			return VOLUME_NOTHING;
		return begin(volume, VOLUME_UNMOUNTING, VOLUME_START_UNMOUNT);
	case VOLUME_DRAINING:
		if (!wanted)
			return VOLUME_NOTHING;
		return begin(volume, VOLUME_ENDING, VOLUME_START_ENDING);
	case VOLUME_DEAD: return begin(volume, VOLUME_DETACHING, VOLUME_START_DETACH);
	default: return VOLUME_NOTHING;
	}
}

const char *volume_phase_name(enum volume_phase phase)
{
	static const char *const names[VOLUME_PHASES] = {
		[VOLUME_IDLE] = "not mounted",
		[VOLUME_MOUNTING] = "mounting",
		[VOLUME_MOUNTED] = "mounted",
		[VOLUME_UNMOUNTING] = "unmounting",
		[VOLUME_DRAINING] = "uploading what is left",
		[VOLUME_ENDING] = "restarting",
		[VOLUME_DEAD] = "died",
		[VOLUME_DETACHING] = "died",
	};

	return names[phase];
}

#include "plugin/entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "plugin/state.h"

#define STATUS_FRESH_FOR (2 * NSEC_PER_SEC)

static char *join(const char *directory, const char *name)
{
	struct buf path = BUF_INIT;

	buf_printf(&path, "%s/%s", directory, name);
	return buf_steal(&path);
}

static void retry_fired(struct timer *timer)
{
	entry_wake(container_of(timer, struct entry, retry));
}

static void entry_free(struct entry *entry)
{
	timer_cancel(entry->driver->executor, &entry->retry);
	mount_free(entry->process);
	definition_free(&entry->definition);
	volume_free(&entry->volume);
	free(entry->file_name);
	free(entry->directory);
	free(entry->cache);
	free(entry->status);
	free(entry);
}

void entry_note_crash(struct entry *entry, const char *who, const char *how)
{
	time_t now = executor_wall(entry->driver->executor) / (int64_t)NSEC_PER_SEC;
	struct tm utc;
	char when[32] = "";

	if (gmtime_r(&now, &utc))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
	snprintf(entry->last_crash, sizeof(entry->last_crash),
		 "%s: %s %s; containers that used the volume then have to be restarted", when, who,
		 how);
	log_error("%s: %s", entry->definition.name, entry->last_crash);
}

struct entry *entry_create(struct driver *driver, struct definition *definition)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	struct buf file_name = BUF_INIT;

	if (!entry) {
		definition_free(definition);
		return NULL;
	}
	entry->driver = driver;
	entry->definition = *definition;
	memset(definition, 0, sizeof(*definition));
	timer_init(&entry->retry, retry_fired);
	wait_queue_init(&entry->changed);
	definition_put_file_name(entry->definition.name, &file_name);
	entry->file_name = buf_steal(&file_name);
	if (entry->file_name) {
		entry->directory = join(driver->config.mounter.settings->volumes, entry->file_name);
		entry->cache = join(driver->caches, entry->file_name);
	}
	if (!entry->directory || !entry->cache) {
		entry_free(entry);
		return NULL;
	}
	return entry;
}

struct entry *entry_find(struct driver *driver, const char *name)
{
	return map_get(driver->entries, name);
}

void entry_hold(struct entry *entry)
{
	entry->holders++;
}

void entry_release(struct entry *entry)
{
	if (--entry->holders == 0 && entry->gone)
		entry_free(entry);
}

struct save_call {
	const char *directory, *name;
	char *text;
	struct error *error;
};

static int save(void *argument)
{
	struct save_call *call = argument;

	return state_save(call->directory, call->name, call->text, call->error);
}

int entry_save(struct entry *entry, struct error *error)
{
	struct save_call call = {entry->driver->definitions, entry->file_name,
				 definition_format(&entry->definition), error};
	int err;

	if (!call.text)
		return error_set(error, -ENOMEM, "out of memory");
	err = worker_run(entry->driver->config.mounter.worker, save, &call);
	free(call.text);
	return err;
}

int entry_wait_mounted(struct entry *entry, uint64_t deadline, struct error *error)
{
	unsigned seen = entry->attempts;

	while (entry->volume.phase != VOLUME_MOUNTED) {
		if (entry->gone || entry->volume.removing)
			return error_set(error, -EBUSY, "volume '%s' is being removed",
					 entry->definition.name);
		if (entry->attempts != seen && entry->attempt_error.code)
			return error_set(error, entry->attempt_error.code, "%s",
					 entry->attempt_error.message);
		seen = entry->attempts;
		if (fiber_wait(&entry->changed, deadline, WAIT_PLAIN) == -ETIMEDOUT)
			return error_set(error, -ETIMEDOUT, "volume '%s' is not ready: %s",
					 entry->definition.name,
					 volume_phase_name(entry->volume.phase));
	}
	return 0;
}

int entry_recover(struct entry *entry, uint64_t deadline, struct error *error)
{
	static const char id[] = "upload of what is left";
	int err = volume_reference(&entry->volume, id);

	if (err)
		return error_set(error, err, "volume '%s': %s", entry->definition.name,
				 strerror(-err));
	entry_hold(entry);
	entry_wake(entry);
	err = entry_wait_mounted(entry, deadline, error);
	entry_unreference(entry, id);
	entry_release(entry);
	return err;
}

void entry_unreference(struct entry *entry, const char *id)
{
	volume_unreference(&entry->volume, id);
	entry_wake(entry);
}

static void ask_status(void *argument)
{
	struct entry *entry = argument;
	char *text = entry->process ? mount_status(entry->process) : NULL;

	free(entry->status);
	entry->status = text;
	entry->status_at = executor_monotonic(entry->driver->executor);
	entry->asking = false;
	wait_wake_all(&entry->changed);
	entry_release(entry);
}

void entry_refresh_status(struct entry *entry)
{
	uint64_t now = executor_monotonic(entry->driver->executor);

	if (entry->volume.phase != VOLUME_MOUNTED) {
		free(entry->status);
		entry->status = NULL;
		return;
	}
	if (entry->asking || (entry->status_at && now - entry->status_at < STATUS_FRESH_FOR))
		return;
	entry->asking = true;
	entry_hold(entry);
	if (fiber_start(entry->driver->config.mounter.pool, ask_status, entry)) {
		entry->asking = false;
		entry_release(entry);
	}
}

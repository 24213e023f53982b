#include "plugin/entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
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
	char *text; /* NULL: remove */
	struct error *error;
};

static int save(void *argument)
{
	struct save_call *call = argument;

	if (!call->text)
		return state_remove(call->directory, call->name, call->error);
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

static char *format_references(const struct entry *entry)
{
	struct buf out = BUF_INIT;
	struct json_writer writer = JSON_WRITER_INIT(&out);
	size_t i;

	json_begin_object(&writer, NULL);
	json_put_string(&writer, "name", entry->definition.name);
	json_put_string(&writer, "boot", entry->driver->boot_id);
	json_begin_object(&writer, "references");
	for (i = 0; i < entry->volume.reference_count; i++)
		json_put_integer(&writer, entry->volume.references[i].id, entry->volume.references[i].count);
	json_end_object(&writer);
	json_end_object(&writer);
	return buf_steal(&out);
}

/* A crash of the plugin in the moment before a write makes a count wrong by one use of a container that
 * has lost its mount anyway. */
static void save_references(void *argument)
{
	struct entry *entry = argument;
	struct error error = ERROR_INIT;

	while (entry->references_changed && !entry->driver->stopping) {
		struct save_call call = {entry->driver->references, entry->file_name, NULL,
		                         &error};

		entry->references_changed = false;
		if (entry->volume.reference_count > 0)
			call.text = format_references(entry);
		if (worker_run(entry->driver->config.mounter.worker, save, &call))
			log_warning("%s: who uses it is not kept: %s", entry->definition.name, error.message);
		free(call.text);
	}
	entry->saving_references = false;
	entry_release(entry);
}

void entry_references_changed(struct entry *entry)
{
	entry->references_changed = true;
	if (entry->saving_references || entry->driver->stopping)
		return;
	entry->saving_references = true;
	entry_hold(entry);
	if (fiber_start(entry->driver->config.mounter.pool, save_references, entry)) {
		entry->saving_references = false;
		entry_release(entry);
	}
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

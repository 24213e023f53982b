/* keeper.c — carries out what a volume asks for. See driver.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "common/fileio.h"
#include "common/log.h"
#include "plugin/entry.h"
#include "plugin/state.h"

/* The engine gives up after 30 s when a plugin was enabled by the client, and then never says
 * Unmount. */
#define MOUNT_TIMEOUT	(22 * NSEC_PER_SEC)
#define UNMOUNT_TIMEOUT (18 * NSEC_PER_SEC)
#define END_TIMEOUT	(5 * NSEC_PER_SEC) /* of the predecessor, out of the 24 s of a Mount */

static uint64_t after(const struct entry *entry, uint64_t nanoseconds)
{
	return executor_monotonic(entry->driver->executor) + nanoseconds;
}

static void event(struct entry *entry, enum volume_event what)
{
	if (volume_event(&entry->volume, what, after(entry, 0)))
		log_error("%s: event %d in phase '%s'", entry->definition.name, what,
			  volume_phase_name(entry->volume.phase));
	wait_wake_all(&entry->changed);
}

static int mark_clean(void *argument)
{
	struct entry *entry = argument;

	return mount_mark_clean(entry->cache);
}

/* Only who has seen the process end well may say that its cache can be thrown away. */
static void process_gone(struct entry *entry)
{
	if (!entry->process)
		return;
	mount_free(entry->process);
	entry->process = NULL;
	free(entry->status);
	entry->status = NULL;
	if (entry->ended_clean &&
	    worker_run(entry->driver->config.mounter.worker, mark_clean, entry))
		log_debug("%s: its cache is not marked as clean", entry->definition.name);
	entry->ended_clean = false;
}

/* By itself only while it is mounted or draining; what the keeper waits for, the keeper sees. */
static void on_ended(void *context, int status)
{
	struct entry *entry = context;
	char how[64];

	entry->ended_clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (entry->driver->stopping) {
		wait_wake_all(&entry->changed);
	} else if (entry->volume.phase == VOLUME_MOUNTED) {
		child_describe_status(status, how, sizeof(how));
		entry_note_crash(entry, "s3mount", how);
		entry->last_error = (struct error)ERROR_INIT;
		error_set(&entry->last_error, -EIO, "s3mount %s", how);
		event(entry, VOLUME_EVENT_PROCESS_ENDED);
		entry_wake(entry);
	} else if (entry->volume.phase == VOLUME_DRAINING) {
		event(entry, VOLUME_EVENT_PROCESS_ENDED);
		entry_wake(entry);
	}
}

static void do_mount(struct entry *entry)
{
	struct mount_plan plan = {
		.volume = entry->definition.name,
		.definition = &entry->definition,
		.directory = entry->directory,
		.cache = entry->cache,
		.ended = on_ended,
		.context = entry,
	};
	struct error error = ERROR_INIT;
	int err;

	process_gone(entry);
	err = mount_start(&entry->driver->config.mounter, &plan, after(entry, MOUNT_TIMEOUT),
			  &entry->process, &error);
	entry->attempts++;
	entry->attempt_error = error;
	if (err) {
		entry->last_error = error;
		log_error("%s: not mounted: %s", entry->definition.name, error.message);
		event(entry, VOLUME_EVENT_MOUNT_FAILED);
		return;
	}
	entry->last_error = (struct error)ERROR_INIT;
	log_info("%s: mounted, bucket %s", entry->definition.name, entry->definition.bucket);
	event(entry, VOLUME_EVENT_MOUNTED);
	entry_refresh_status(entry);
}

static void do_unmount(struct entry *entry)
{
	int err = mount_unmount(entry->process, after(entry, UNMOUNT_TIMEOUT));

	if (!err || !mount_is_running(entry->process)) {
		process_gone(entry);
		log_info("%s: unmounted", entry->definition.name);
		event(entry, VOLUME_EVENT_UNMOUNTED);
		return;
	}
	log_warning("%s: unmounted; what is not in S3 yet goes on in the background",
		    entry->definition.name);
	event(entry, VOLUME_EVENT_DRAINING);
}

static void do_end(struct entry *entry)
{
	mount_end(entry->process, after(entry, END_TIMEOUT));
	process_gone(entry);
	event(entry, VOLUME_EVENT_PROCESS_ENDED);
}

static void do_detach(struct entry *entry)
{
	mount_detach(&entry->driver->config.mounter, entry->directory);
	process_gone(entry);
	event(entry, VOLUME_EVENT_DETACHED);
}

struct forget_call {
	struct entry *entry;
	struct error error;
};

/* -EBUSY: nothing was removed, for the cache holds what is nowhere else. */
static int remove_files(void *argument)
{
	struct forget_call *call = argument;
	struct entry *entry = call->entry;
	int err;

	if (!mount_cache_is_clean(entry->cache))
		return -EBUSY;
	err = state_remove(entry->driver->definitions, entry->file_name, &call->error);
	if (!err)
		directory_remove(entry->cache);
	return err;
}

static void do_forget(struct entry *entry)
{
	struct forget_call call = {entry, ERROR_INIT};
	struct driver *driver = entry->driver;
	int err;

	process_gone(entry);
	err = worker_run(driver->config.mounter.worker, remove_files, &call);
	if (err) {
		/* As if nobody had asked; who did is told. */
		entry->volume.removing = false;
		entry->last_error = call.error;
		wait_wake_all(&entry->changed);
		return;
	}
	/* Not before: a new volume of the name must not lose its file to the end of the old one. */
	if (entry_find(driver, entry->definition.name) == entry)
		map_remove(driver->entries, entry->definition.name);
	entry->gone = true;
	wait_wake_all(&entry->changed);
}

/* One step; false: nothing to do, found out without a wait: who wakes the keeper now starts a new
 * one. */
static bool step(struct entry *entry)
{
	uint64_t wake_at;

	if (entry->driver->stopping)
		return false;
	switch (volume_next(&entry->volume, after(entry, 0), &wake_at)) {
	case VOLUME_START_MOUNT: do_mount(entry); return true;
	case VOLUME_START_UNMOUNT: do_unmount(entry); return true;
	case VOLUME_START_DETACH: do_detach(entry); return true;
	case VOLUME_START_ENDING: do_end(entry); return true;
	case VOLUME_FORGET: do_forget(entry); return true;
	case VOLUME_NOTHING: break;
	}
	if (wake_at != UINT64_MAX)
		timer_set(entry->driver->executor, &entry->retry, wake_at);
	return false;
}

static void keeper(void *argument)
{
	struct entry *entry = argument;

	do {
		if (entry->volume.phase == VOLUME_IDLE)
			process_gone(entry); /* one that drained and has ended */
	} while (!entry->gone && step(entry));
	entry->kept = false;
	entry_release(entry);
}

void entry_wake(struct entry *entry)
{
	if (entry->kept || entry->gone)
		return;
	entry->kept = true;
	entry_hold(entry);
	if (fiber_start(entry->driver->config.mounter.pool, keeper, entry) == 0)
		return;
	entry->kept = false;
	entry_release(entry);
	timer_set(entry->driver->executor, &entry->retry, after(entry, NSEC_PER_SEC));
}

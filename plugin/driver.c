#include "plugin/driver.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bucket_name.h"
#include "common/json.h"
#include "common/log.h"
#include "plugin/entry.h"
#include "plugin/state.h"

#define MOUNT_WAIT   (24 * NSEC_PER_SEC)
#define UNMOUNT_WAIT (19 * NSEC_PER_SEC)
#define REMOVE_WAIT  (24 * NSEC_PER_SEC)
#define CHECK_WAIT   (10 * NSEC_PER_SEC)

static uint64_t after(const struct driver *driver, uint64_t nanoseconds)
{
	return executor_monotonic(driver->executor) + nanoseconds;
}

static int out_of_memory(struct error *error)
{
	return error_set(error, -ENOMEM, "out of memory");
}

static int no_such_volume(const struct driver *driver, const char *name, struct error *error)
{
	const char *problem = buckets_problem(driver->config.list);

	return error_set(
		error, -ENOENT,
		"no such volume: %.100s (neither created on this node, nor a bucket of the "
		"account)%s%.300s",
		name, *problem ? "; buckets cannot be listed: " : "", problem);
}

/* The volume, or the bucket of that name as one. NULL: there is none, error set. Fiber. */
static struct entry *find_or_imply(struct driver *driver, const char *name, struct error *error)
{
	struct entry *entry = entry_find(driver, name);
	struct definition definition;
	const struct bucket *bucket;

	if (entry)
		return entry;
	if (definition_check_name(name, error))
		return NULL;
	if (!buckets_find(driver->config.list, name)) {
		no_such_volume(driver, name, error);
		return NULL;
	}
	entry = entry_find(driver, name); /* it may have been created meanwhile */
	if (entry || definition_imply(&definition, name, error))
		return entry;
	bucket = buckets_get(driver->config.list, name);
	definition.created_at = bucket ? bucket->created_at : 0;
	entry = entry_create(driver, &definition);
	if (!entry || map_put(driver->entries, name, entry, NULL)) {
		out_of_memory(error);
		return NULL;
	}
	return entry;
}

/* Could any mount with these options work? */
static int check_options(struct driver *driver, const struct definition *definition,
			 struct error *error)
{
	struct options options;
	int err = settings_for_volume(driver->config.mounter.settings, definition, &options, error);

	if (!err)
		options_free(&options);
	return err;
}

static int check_bucket(struct driver *driver, const struct definition *definition, bool named,
			struct error *error)
{
	struct error inner = ERROR_INIT;
	int err = buckets_check(&driver->config.buckets, definition, after(driver, CHECK_WAIT),
				&inner);

	if (!err)
		return 0;
	if (err == -ENXIO && !named)
		return error_set(error, err,
				 "volume '%s' was given no option bucket, and there is no bucket "
				 "of that name; "
				 "give -o bucket=BUCKET (%s)",
				 definition->name, inner.message);
	return error_set(error, err, "%s", inner.message);
}

static bool names_bucket(const struct definition_option *options, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (strcmp(options[i].name, "bucket") == 0)
			return true;
	}
	return false;
}

/* What is there already: the same again is no error, and a bucket that was in use by its name may
 * get options while nobody uses it. */
static int redefine(struct entry *entry, struct definition *definition, struct error *error)
{
	int err;

	if (definition_equal(&entry->definition, definition)) {
		definition_free(definition);
		return 0;
	}
	if (!entry->definition.implied || entry->volume.phase != VOLUME_IDLE ||
	    entry->volume.removing) {
		definition_free(definition);
		return error_set(
			error, -EEXIST,
			"volume '%s' is there already, with other options; remove it first "
			"(docker volume rm; that keeps the objects)",
			entry->definition.name);
	}
	definition_free(&entry->definition);
	entry->definition = *definition;
	memset(definition, 0, sizeof(*definition));
	entry_hold(entry);
	err = entry_save(entry, error);
	entry_release(entry);
	return err;
}

int driver_volume_create(struct driver *driver, const char *name,
			 const struct definition_option *options, size_t count, struct error *error)
{
	struct definition definition;
	struct entry *entry;
	int err = definition_create(&definition, name, options, count, error);

	if (err)
		return err;
	definition.created_at = executor_wall(driver->executor);
	entry = entry_find(driver, name);
	if (entry && definition_equal(&entry->definition, &definition)) {
		definition_free(&definition);
		return 0;
	}
	err = check_options(driver, &definition, error);
	if (!err)
		err = check_bucket(driver, &definition, names_bucket(options, count), error);
	if (err) {
		definition_free(&definition);
		return err;
	}
	entry = entry_find(driver, name); /* somebody else may have been faster */
	if (entry)
		return redefine(entry, &definition, error);
	entry = entry_create(driver, &definition);
	if (!entry)
		return out_of_memory(error);
	entry_hold(entry);
	err = map_put(driver->entries, name, entry, NULL) ? out_of_memory(error)
							  : entry_save(entry, error);
	if (err) {
		map_remove(driver->entries, name);
		entry->gone = true;
	} else {
		log_info("%s: created, bucket %s", name, entry->definition.bucket);
	}
	entry_release(entry);
	return err;
}

int driver_mount(struct driver *driver, const char *name, const char *id, const char **mountpoint,
		 struct error *error)
{
	uint64_t deadline = after(driver, MOUNT_WAIT);
	struct entry *entry = find_or_imply(driver, name, error);
	int err;

	if (!entry)
		return error->code;
	if (driver->stopping)
		return error_set(error, -ESHUTDOWN, "the plugin is being stopped");
	err = volume_reference(&entry->volume, id);
	if (err)
		return error_set(error, err, "volume '%s' cannot be used: %s", name,
				 err == -EBUSY ? "it is being removed" : strerror(-err));
	entry_hold(entry);
	entry_wake(entry);
	err = entry_wait_mounted(entry, deadline, error);
	if (err)
		entry_unreference(entry, id);
	else
		*mountpoint = entry->directory;
	entry_release(entry);
	return err;
}

void driver_unmount(struct driver *driver, const char *name, const char *id)
{
	uint64_t deadline = after(driver, UNMOUNT_WAIT);
	struct entry *entry = entry_find(driver, name);

	if (!entry)
		return;
	entry_hold(entry);
	entry_unreference(entry, id);
	while (!entry->gone && entry->volume.reference_count == 0 &&
	       (entry->volume.phase == VOLUME_MOUNTED ||
		entry->volume.phase == VOLUME_UNMOUNTING)) {
		if (fiber_wait(&entry->changed, deadline, WAIT_PLAIN) == -ETIMEDOUT)
			break;
	}
	entry_release(entry);
}

static int ask_clean(void *argument)
{
	const struct entry *entry = argument;

	return mount_cache_is_clean(entry->cache) ? 0 : -EBUSY;
}

/* What a former process has left in the cache goes to S3 first, by one more mount. */
static int upload_what_is_left(struct entry *entry, uint64_t deadline, struct error *error)
{
	struct driver *driver = entry->driver;
	struct error inner = ERROR_INIT;
	int err;

	if (entry->volume.phase != VOLUME_IDLE ||
	    worker_run(driver->config.mounter.worker, ask_clean, entry) == 0)
		return 0;
	err = entry_recover(entry, deadline, &inner);
	if (!err)
		return 0;
	return error_set(
		error, -EBUSY,
		"volume '%s' may have changes that are not in S3, and they cannot be uploaded now: "
		"%s; to give them up, remove %s on this node",
		entry->definition.name, inner.message, entry->cache);
}

static int wait_removed(struct entry *entry, uint64_t deadline, struct error *error)
{
	int waited = 0;

	while (!entry->gone && entry->volume.removing && waited != -ETIMEDOUT)
		waited = fiber_wait(&entry->changed, deadline, WAIT_PLAIN);
	if (entry->gone)
		return 0;
	entry->volume.removing = false;
	if (entry->last_error.code)
		return error_set(error, entry->last_error.code, "volume '%s' is not removed: %s",
				 entry->definition.name, entry->last_error.message);
	return error_set(error, -EBUSY,
			 "volume '%s' has changes that are not in S3 yet (%s); try again later, or "
			 "remove %s on "
			 "this node to give them up",
			 entry->definition.name, volume_phase_name(entry->volume.phase),
			 entry->cache);
}

int driver_remove(struct driver *driver, const char *name, struct error *error)
{
	uint64_t deadline = after(driver, REMOVE_WAIT);
	struct entry *entry = entry_find(driver, name);
	int err;

	if (!entry) /* a bucket that was never used here: nothing of it is on this node */
		return buckets_find(driver->config.list, name)
			       ? 0
			       : no_such_volume(driver, name, error);
	entry_hold(entry);
	/* The engine asks only when no container refers to it. */
	volume_unreference_all(&entry->volume);
	err = upload_what_is_left(entry, deadline, error);
	if (!err && !entry->gone) {
		entry->volume.removing = true;
		entry_wake(entry);
		err = wait_removed(entry, deadline, error);
	}
	if (!err)
		log_info("%s: removed; its objects stay", name);
	entry_release(entry);
	return err;
}

static char *effective_options(const struct entry *entry, struct error *error)
{
	struct options options;
	struct buf list = BUF_INIT;
	char *text = NULL;

	if (settings_for_volume(entry->driver->config.mounter.settings, &entry->definition,
				&options, error))
		return NULL;
	if (options_format(&options, OPTION_IN_VOLUME, &list) == 0)
		text = buf_steal(&list);
	buf_free(&list);
	options_free(&options);
	return text;
}

static const char *mountpoint_of(const struct entry *entry)
{
	return entry->volume.phase == VOLUME_MOUNTED ? entry->directory : "";
}

static char *format_entry(struct entry *entry)
{
	struct error error = ERROR_INIT;
	char *options = effective_options(entry, &error), *text;
	const struct route_status status = {
		.state = volume_phase_name(entry->volume.phase),
		.references = volume_references(&entry->volume),
		.bucket = entry->definition.bucket,
		.options = options,
		.credentials = entry->definition.credentials,
		.last_error = entry->last_error.message,
		.last_crash = entry->last_crash,
		.warning = error.message,
		.mount = entry->status,
	};
	const struct route_volume volume = {entry->definition.name, mountpoint_of(entry),
					    entry->definition.created_at, &status};

	entry_refresh_status(entry);
	text = routes_format_volume(&volume);
	free(options);
	return text;
}

char *driver_get(struct driver *driver, const char *name, struct error *error)
{
	struct entry *entry = entry_find(driver, name);
	const struct route_status status = {.state = volume_phase_name(VOLUME_IDLE),
					    .bucket = name};
	struct route_volume volume = {name, "", 0, &status};
	const struct bucket *bucket;
	char *text;

	if (!entry &&
	    (definition_check_name(name, error) || !buckets_find(driver->config.list, name))) {
		no_such_volume(driver, name, error);
		return NULL;
	}
	entry = entry_find(driver, name);
	if (entry) {
		text = format_entry(entry);
	} else {
		bucket = buckets_get(driver->config.list, name);
		volume.created_at = bucket ? bucket->created_at : 0;
		text = routes_format_volume(&volume);
	}
	if (!text)
		out_of_memory(error);
	return text;
}

char *driver_path(struct driver *driver, const char *name, struct error *error)
{
	struct entry *entry = entry_find(driver, name);
	char *text;

	if (!entry && !buckets_find(driver->config.list, name)) {
		no_such_volume(driver, name, error);
		return NULL;
	}
	text = routes_format_mountpoint(entry ? mountpoint_of(entry) : "");
	if (!text)
		out_of_memory(error);
	return text;
}

char *driver_list(struct driver *driver, struct error *error)
{
	size_t bucket_count, count = 0, position = 0, i;
	const struct bucket *list = buckets_list(driver->config.list, &bucket_count);
	struct route_volume *volumes;
	char *text = NULL;
	void *value;

	volumes = calloc(map_count(driver->entries) + bucket_count + 1, sizeof(*volumes));
	while (volumes && map_next(driver->entries, &position, NULL, NULL, &value)) {
		struct entry *entry = value;

		volumes[count++] = (struct route_volume){entry->definition.name,
							 mountpoint_of(entry),
							 entry->definition.created_at, NULL};
	}
	for (i = 0; volumes && i < bucket_count; i++) {
		if (!entry_find(driver, list[i].name))
			volumes[count++] = (struct route_volume){list[i].name, "",
								 list[i].created_at, NULL};
	}
	if (volumes)
		text = routes_format_list(volumes, count);
	free(volumes);
	if (!text)
		out_of_memory(error);
	return text;
}

/* Blocks, but nobody is answered any more. */
static void mark_clean_caches(const struct driver *driver)
{
	size_t position = 0;
	void *value;

	while (map_next(driver->entries, &position, NULL, NULL, &value)) {
		const struct entry *entry = value;

		if (entry->process && entry->ended_clean)
			mount_mark_clean(entry->cache);
	}
}

void driver_stop(struct driver *driver, uint64_t deadline)
{
	struct children *children = driver->config.mounter.children;
	const uint64_t pause = 20 * NSEC_PER_MSEC;

	driver->stopping = true;
	children_signal_all(children, SIGTERM);
	while (children_signal_all(children, 0) > 0 && after(driver, pause) < deadline)
		fiber_sleep_until(after(driver, pause), WAIT_PLAIN);
	mark_clean_caches(driver);
	if (children_signal_all(children, SIGKILL) > 0)
		log_warning("mounts that did not end in time were killed; what they had accepted "
			    "is in their "
			    "caches");
}

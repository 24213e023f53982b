/* driver_load.c — what a former plugin has left: definitions, caches, dead mounts. See driver.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "common/log.h"
#include "common/mount_table.h"
#include "plugin/entry.h"
#include "plugin/state.h"

#define RECOVER_TIMEOUT (60 * NSEC_PER_SEC)
#define RECOVER_PAUSE	(15 * NSEC_PER_SEC)

static char *below(const char *directory, const char *name)
{
	struct buf path = BUF_INIT;

	buf_printf(&path, "%s/%s", directory, name);
	return buf_steal(&path);
}

static void set_aside(const char *directory, const char *name, const char *why)
{
	log_error("%s/%s.json cannot be used and is kept as .bad: %s", directory, name, why);
	state_set_aside(directory, name);
}

static int load_definition(void *context, const char *name)
{
	struct driver *driver = context;
	struct error error = ERROR_INIT;
	struct definition definition;
	struct entry *entry;
	char *text;
	size_t len;
	int err = state_load(driver->definitions, name, &text, &len, &error);

	if (!err) {
		err = definition_parse(&definition, text, len, &error);
		free(text);
	}
	if (err == -ENOMEM)
		return err;
	if (err) {
		set_aside(driver->definitions, name, error.message);
		return 0;
	}
	entry = entry_create(driver, &definition);
	return entry && !map_put(driver->entries, entry->definition.name, entry, NULL) ? 0
										       : -ENOMEM;
}

/* A bucket that was in use by its name has no definition, but it has a cache. */
static struct entry *entry_for(struct driver *driver, const char *name)
{
	struct entry *entry = entry_find(driver, name);
	struct definition definition;

	if (entry || definition_imply(&definition, name, NULL))
		return entry;
	entry = entry_create(driver, &definition);
	if (entry && map_put(driver->entries, name, entry, NULL))
		return NULL;
	return entry;
}

/* What the last process of a volume could not upload goes on waiting for nobody but us. */
static int load_caches(struct driver *driver)
{
	DIR *stream = opendir(driver->caches);
	struct dirent *item;

	if (!stream)
		return -errno;
	while ((item = readdir(stream))) {
		struct entry *entry;
		char *name = strdup(item->d_name);

		if (!name)
			break;
		uri_decode(name);
		entry = item->d_name[0] == '.' ? NULL : entry_for(driver, name);
		if (entry)
			entry->owes = !mount_cache_is_clean(entry->cache);
		else if (item->d_name[0] != '.')
			log_warning("%s/%s belongs to no volume", driver->caches, item->d_name);
		free(name);
	}
	closedir(stream);
	return item ? -ENOMEM : 0;
}

static int make_directories(struct driver *driver, struct error *error)
{
	const struct settings *settings = driver->config.mounter.settings;
	const char *const paths[] = {driver->definitions, driver->caches};
	struct buf credentials = BUF_INIT;
	size_t i;
	int err = state_make_directory(settings->volumes, 0755, error);

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]) && !err; i++)
		err = state_make_directory(paths[i], 0700, error);
	buf_printf(&credentials, "%s/credentials", settings->state);
	if (!err)
		err = state_make_directory(buf_str(&credentials), 0700, error);
	buf_free(&credentials);
	return err;
}

static struct entry *entry_at(const struct driver *driver, const char *directory)
{
	size_t position = 0;
	void *value;

	while (map_next(driver->entries, &position, NULL, NULL, &value))
		if (strcmp(((struct entry *)value)->directory, directory) == 0)
			return value;
	return NULL;
}

/* No process of ours can be alive: with the plugin's first process all others of it end. */
static void detach_dead_mounts(const struct driver *driver)
{
	struct buf below_volumes = BUF_INIT;
	struct mount_table table;
	struct mount_entry found;

	buf_printf(&below_volumes, "%s/", driver->config.mounter.settings->volumes);
	if (below_volumes.failed || mount_table_load(&table)) {
		buf_free(&below_volumes);
		return;
	}
	while (mount_table_next(&table, &found)) {
		struct entry *entry;

		if (!string_has_prefix(found.point, buf_str(&below_volumes)) ||
		    umount2(found.point, MNT_DETACH | UMOUNT_NOFOLLOW))
			continue;
		log_info("%s: took the mount of a former process away", found.point);
		entry = entry_at(driver, found.point);
		if (entry)
			entry_note_crash(entry, "the plugin", "ended without being stopped");
	}
	mount_table_free(&table);
	buf_free(&below_volumes);
}

static int load(struct driver *driver, struct error *error)
{
	int err = make_directories(driver, error);

	if (err)
		return err;
	err = state_each(driver->definitions, load_definition, driver);
	if (!err)
		err = load_caches(driver);
	if (err)
		return error_set(error, err, "cannot read %s: %s", driver->definitions,
				 strerror(-err));
	log_info("%zu volumes are known in %s", map_count(driver->entries), driver->definitions);
	return 0;
}

int driver_create(struct driver **out, const struct driver_config *config, struct error *error)
{
	struct driver *driver = calloc(1, sizeof(*driver));
	const char *state = config->mounter.settings->state;
	int err;

	if (!driver)
		return error_set(error, -ENOMEM, "out of memory");
	*out = driver; /* the caller's, also when the rest fails */
	driver->config = *config;
	driver->executor = config->mounter.executor;
	driver->entries = map_create();
	driver->definitions = below(state, "volumes");
	driver->caches = below(state, "cache");
	if (!driver->entries || !driver->definitions || !driver->caches)
		return error_set(error, -ENOMEM, "out of memory");
	err = load(driver, error);
	detach_dead_mounts(driver);
	return err;
}

/* Tries until it has succeeded or somebody uses the volume. */
static void recover(void *argument)
{
	struct entry *entry = argument;
	struct error error;
	int err;

	do {
		error = (struct error)ERROR_INIT;
		err = entry_recover(entry,
				    executor_monotonic(entry->driver->executor) + RECOVER_TIMEOUT,
				    &error);
		if (err && !entry->gone)
			fiber_sleep_until(executor_monotonic(entry->driver->executor) +
						  RECOVER_PAUSE,
					  WAIT_PLAIN);
	} while (err && !entry->gone && !entry->volume.removing && !entry->driver->stopping);
	entry_release(entry);
}

void driver_start(struct driver *driver)
{
	size_t position = 0;
	void *value;

	while (map_next(driver->entries, &position, NULL, NULL, &value)) {
		struct entry *entry = value;

		if (!entry->owes)
			continue;
		entry_hold(entry);
		if (fiber_start(driver->config.mounter.pool, recover, entry))
			entry_release(entry);
	}
}

/* driver_load.c — what a former plugin has left: definitions, references, dead mounts. See driver.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mount_table.h"
#include "plugin/entry.h"
#include "plugin/state.h"

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
	return entry && !map_put(driver->entries, entry->definition.name, entry, NULL) ? 0 : -ENOMEM;
}

static void add_references(struct entry *entry, const struct json *references)
{
	const struct json *item;
	int64_t count;

	for (item = json_first(references); item; item = json_next(item)) {
		if (json_integer(item, &count) || count < 1 || count > 1000000)
			continue;
		while (count-- > 0) {
			if (volume_reference(&entry->volume, json_name(item)))
				return;
		}
	}
}

/* A bucket that was in use by its name has no definition. */
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

static int load_references(void *context, const char *name)
{
	struct driver *driver = context;
	struct json *root = NULL;
	const char *volume, *boot;
	struct entry *entry;
	char *text;
	size_t len;

	if (state_load(driver->references, name, &text, &len, NULL) == 0) {
		root = json_parse(text, len);
		free(text);
	}
	volume = json_string(json_member(root, "name"));
	boot = json_string(json_member(root, "boot"));
	if (volume && boot && strcmp(boot, driver->boot_id) == 0) {
		entry = entry_for(driver, volume);
		if (entry)
			add_references(entry, json_member(root, "references"));
	} else {
		state_remove(driver->references, name, NULL);
	}
	json_free(root);
	return 0;
}

/* Containers of another boot are gone, and with them who used a volume. */
static void read_boot_id(struct driver *driver)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, driver->boot_id, sizeof(driver->boot_id) - 1);

	if (fd >= 0)
		close(fd);
	driver->boot_id[len > 0 ? len : 0] = '\0';
	driver->boot_id[strcspn(driver->boot_id, "\n")] = '\0';
}

static int make_directories(struct driver *driver, struct error *error)
{
	const struct settings *settings = driver->config.mounter.settings;
	const char *const paths[] = {driver->definitions, driver->references, driver->caches};
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

/* No process of ours can be alive: with the plugin's first process all others of it end. */
static void detach_dead_mounts(const struct driver *driver)
{
	struct buf below_volumes = BUF_INIT;
	struct mount_table table;
	struct mount_entry entry;

	buf_printf(&below_volumes, "%s/", driver->config.mounter.settings->volumes);
	if (below_volumes.failed || mount_table_load(&table)) {
		buf_free(&below_volumes);
		return;
	}
	while (mount_table_next(&table, &entry)) {
		if (string_has_prefix(entry.point, buf_str(&below_volumes)) &&
		    umount2(entry.point, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			log_info("%s: took the mount of a former process away", entry.point);
	}
	mount_table_free(&table);
	buf_free(&below_volumes);
}

static int load(struct driver *driver, struct error *error)
{
	int err = make_directories(driver, error);

	if (err)
		return err;
	read_boot_id(driver);
	err = state_each(driver->definitions, load_definition, driver);
	if (!err)
		err = state_each(driver->references, load_references, driver);
	if (err)
		return error_set(error, err, "cannot read %s: %s", driver->definitions, strerror(-err));
	log_info("%zu volumes are known in %s", map_count(driver->entries), driver->definitions);
	return 0;
}

int driver_create(struct driver **out, const struct driver_config *config, struct error *error)
{
	struct driver *driver = calloc(1, sizeof(*driver));
	const char *state = config->mounter.settings->state;

	if (!driver)
		return error_set(error, -ENOMEM, "out of memory");
	driver->config = *config;
	driver->executor = config->mounter.executor;
	driver->entries = map_create();
	driver->definitions = below(state, "volumes");
	driver->references = below(state, "references");
	driver->caches = below(state, "cache");
	if (!driver->entries || !driver->definitions || !driver->references || !driver->caches)
		return error_set(error, -ENOMEM, "out of memory");
	detach_dead_mounts(driver);
	*out = driver;
	return load(driver, error);
}

void driver_start(struct driver *driver)
{
	size_t position = 0;
	void *value;

	while (map_next(driver->entries, &position, NULL, NULL, &value)) {
		struct entry *entry = value;

		if (entry->volume.reference_count > 0)
			entry_wake(entry);
	}
}

void driver_forget_references(struct driver *driver)
{
	size_t position = 0;
	void *value;

	while (map_next(driver->entries, &position, NULL, NULL, &value)) {
		struct entry *entry = value;

		if (entry->volume.reference_count == 0)
			continue;
		volume_unreference_all(&entry->volume);
		state_remove(driver->references, entry->file_name, NULL);
	}
}

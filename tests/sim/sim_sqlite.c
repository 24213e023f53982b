#include "tests/sim/sim_sqlite.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

enum { DISKS_MAX = 16, PATH_BYTES = 128 };

static struct sim_disk *disks[DISKS_MAX];

struct opened {
	sqlite3_file base;
	struct sim_disk *disk;
	struct sim_file *file;
};

static struct opened *opened_of(sqlite3_file *file)
{
	return (struct opened *)(void *)file;
}

/* "/sim/NUMBER/journal.db" and its like; 0: no such name. */
static uint64_t find_name(const char *path, struct sim_disk **disk)
{
	static const char *const names[] = {
		[SIM_NAME_DATABASE] = "journal.db",
		[SIM_NAME_LOG] = "journal.db-wal",
		[SIM_NAME_ROLLBACK] = "journal.db-journal",
	};
	char *end;
	unsigned long number = strncmp(path, "/sim/", 5) == 0 ? strtoul(path + 5, &end, 10)
							      : DISKS_MAX;

	if (number >= DISKS_MAX || *end != '/')
		return 0;
	*disk = disks[number];
	CHECK(*disk != NULL);
	for (uint64_t i = SIM_NAME_DATABASE; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(end + 1, names[i]) == 0)
			return SIM_NAME(i);
	return 0;
}

static int before(struct sim_disk *disk, enum sim_call call, int failure)
{
	int err = disk->before ? disk->before(disk->context, call) : 0;

	return err == 0 ? SQLITE_OK : err == -ENOSPC ? SQLITE_FULL : failure;
}

static int file_close(sqlite3_file *file)
{
	opened_of(file)->disk->opens--;
	return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *data, int len, sqlite3_int64 offset)
{
	size_t got = sim_file_read(opened_of(file)->file, data, (size_t)len, (uint64_t)offset);

	if (got == (size_t)len)
		return SQLITE_OK;
	memset((char *)data + got, 0, (size_t)len - got);
	return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
	int rc = before(opened_of(file)->disk, SIM_DB_WRITE, SQLITE_IOERR_WRITE);

	if (rc == SQLITE_OK)
		sim_file_write(opened_of(file)->file, data, (size_t)len, (uint64_t)offset);
	return rc;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int rc = before(opened_of(file)->disk, SIM_DB_TRUNCATE, SQLITE_IOERR_TRUNCATE);

	if (rc == SQLITE_OK)
		sim_file_truncate(opened_of(file)->file, (uint64_t)size);
	return rc;
}

static int file_sync(sqlite3_file *file, int flags)
{
	int rc = before(opened_of(file)->disk, SIM_DB_SYNC, SQLITE_IOERR_FSYNC);

	(void)flags;
	if (rc == SQLITE_OK)
		sim_file_sync(opened_of(file)->file);
	return rc;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	*size = (sqlite3_int64)sim_file_size(opened_of(file)->file);
	return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level)
{
	(void)file;
	(void)level;
	return SQLITE_OK;
}

static int file_check_lock(sqlite3_file *file, int *out)
{
	(void)file;
	*out = 0;
	return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
	(void)file;
	(void)op;
	(void)argument;
	return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *file)
{
	(void)file;
	return 4096;
}

static int file_device(sqlite3_file *file)
{
	(void)file;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* Version 1: without shared memory, which an exclusive connection does not need. */
static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_lock,
	.xCheckReservedLock = file_check_lock,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_device,
};

static int last_error;

static int layer_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out)
{
	struct opened *opened = opened_of(file);
	uint64_t name = path ? find_name(path, &opened->disk) : 0;

	(void)vfs;
	file->pMethods = NULL;
	last_error = ENOENT;
	if (!name)
		return SQLITE_CANTOPEN;
	opened->file = sim_disk_find(opened->disk, name);
	if (!opened->file && (flags & SQLITE_OPEN_CREATE)) {
		int rc = before(opened->disk, SIM_DB_CREATE, SQLITE_CANTOPEN);

		last_error = EIO;
		if (rc != SQLITE_OK)
			return rc;
		opened->file = sim_disk_add(opened->disk, name);
	}
	if (!opened->file)
		return SQLITE_CANTOPEN;
	opened->disk->opens++;
	file->pMethods = &methods;
	if (out)
		*out = flags;
	return SQLITE_OK;
}

/* sync_directory: its removal must be durable. */
static int layer_delete(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
	struct sim_disk *disk;
	uint64_t name = find_name(path, &disk);
	struct sim_file *file = name ? sim_disk_find(disk, name) : NULL;
	int rc;

	(void)vfs;
	(void)sync_directory; /* it may come back all the same: that must do no harm */
	if (!file)
		return SQLITE_IOERR_DELETE_NOENT;
	rc = before(disk, SIM_DB_REMOVE, SQLITE_IOERR_DELETE);
	if (rc == SQLITE_OK)
		sim_disk_unlink(disk, file);
	return rc;
}

static int layer_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
	struct sim_disk *disk;
	uint64_t name = find_name(path, &disk);

	(void)vfs;
	(void)flags;
	*out = name && sim_disk_find(disk, name);
	return SQLITE_OK;
}

static int layer_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
	(void)vfs;
	snprintf(out, (size_t)size, "%s", path);
	return SQLITE_OK;
}

static int layer_randomness(sqlite3_vfs *vfs, int size, char *out)
{
	(void)vfs;
	memset(out, 42, (size_t)size);
	return size;
}

static int layer_sleep(sqlite3_vfs *vfs, int us)
{
	(void)vfs;
	return us;
}

static int layer_time(sqlite3_vfs *vfs, double *out)
{
	(void)vfs;
	*out = 2460000.5;
	return SQLITE_OK;
}

static int layer_last_error(sqlite3_vfs *vfs, int size, char *out)
{
	(void)vfs;
	(void)size;
	(void)out;
	return last_error;
}

void sim_sqlite_install(void)
{
	static sqlite3_vfs layer = {
		.iVersion = 1,
		.szOsFile = sizeof(struct opened),
		.mxPathname = PATH_BYTES,
		.zName = "sim",
		.xOpen = layer_open,
		.xDelete = layer_delete,
		.xAccess = layer_access,
		.xFullPathname = layer_full_path,
		.xRandomness = layer_randomness,
		.xSleep = layer_sleep,
		.xCurrentTime = layer_time,
		.xGetLastError = layer_last_error,
	};

	/* The default too, for the random numbers that SQLite takes from that one. */
	sqlite3_vfs_register(&layer, 0);
	sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, 1, NULL);
}

void sim_sqlite_attach(struct sim_disk *disk, char directory[SIM_DIRECTORY_MAX])
{
	int number = 0;

	while (disks[number])
		CHECK(++number < DISKS_MAX);
	disks[number] = disk;
	snprintf(directory, SIM_DIRECTORY_MAX, "/sim/%d", number);
}

void sim_sqlite_detach(const char *directory)
{
	disks[strtoul(directory + 5, NULL, 10)] = NULL;
}

#include "tests/unit/sqlite_shim.h"

#include <sqlite3.h>
#include <unistd.h>

static struct sqlite_shim shim;

struct shim_file {
	sqlite3_file base;
	int flags;
	sqlite3_file *real; /* behind this struct, in the same memory */
};

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct shim_file *)file)->real;
}

static int error_of(int fault)
{
	return fault == SHIM_FULL ? SQLITE_FULL : fault == SHIM_IO_ERROR ? SQLITE_IOERR : SQLITE_OK;
}

static int shim_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int shim_read(sqlite3_file *file, void *data, int len, sqlite3_int64 offset)
{
	return real_of(file)->pMethods->xRead(real_of(file), data, len, offset);
}

static int shim_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
	if (((struct shim_file *)file)->flags & SQLITE_OPEN_WAL) {
		int left = atomic_load(&shim.log_writes_left);

		atomic_fetch_add(&shim.log_writes, 1);
		if (left == 0)
			return error_of(atomic_load(&shim.write_error));
		if (left > 0)
			atomic_store(&shim.log_writes_left, left - 1);
	}
	return real_of(file)->pMethods->xWrite(real_of(file), data, len, offset);
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int shim_sync(sqlite3_file *file, int flags)
{
	if (((struct shim_file *)file)->flags & SQLITE_OPEN_WAL) {
		atomic_fetch_add(&shim.log_syncs, 1);
		usleep((useconds_t)atomic_load(&shim.sync_delay_us));
		if (atomic_load(&shim.sync_error))
			return error_of(atomic_load(&shim.sync_error));
	} else {
		atomic_fetch_add(&shim.database_syncs, 1);
	}
	return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int shim_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int shim_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int shim_check_reserved(sqlite3_file *file, int *out)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int shim_control(sqlite3_file *file, int op, void *argument)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}

static int shim_sector_size(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int shim_device(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

/* Version 1: without shared memory, which an exclusive connection does not need. */
static const sqlite3_io_methods shim_methods = {
	.iVersion = 1,
	.xClose = shim_close,
	.xRead = shim_read,
	.xWrite = shim_write,
	.xTruncate = shim_truncate,
	.xSync = shim_sync,
	.xFileSize = shim_size,
	.xLock = shim_lock,
	.xUnlock = shim_unlock,
	.xCheckReservedLock = shim_check_reserved,
	.xFileControl = shim_control,
	.xSectorSize = shim_sector_size,
	.xDeviceCharacteristics = shim_device,
};

static sqlite3_vfs *real_vfs;

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	struct shim_file *opened = (struct shim_file *)file;
	int rc;

	(void)vfs;
	opened->flags = flags;
	opened->real = (sqlite3_file *)(opened + 1);
	rc = real_vfs->xOpen(real_vfs, name, opened->real, flags, out);
	file->pMethods = opened->real->pMethods ? &shim_methods : NULL;
	return rc;
}

struct sqlite_shim *sqlite_shim_install(void)
{
	static sqlite3_vfs vfs;

	if (!real_vfs) {
		real_vfs = sqlite3_vfs_find(NULL);
		vfs = *real_vfs;
		vfs.pNext = NULL;
		vfs.zName = "shim";
		vfs.szOsFile = (int)sizeof(struct shim_file) + real_vfs->szOsFile;
		vfs.xOpen = shim_open;
		sqlite3_vfs_register(&vfs, 1);
	}
	atomic_store(&shim.log_syncs, 0);
	atomic_store(&shim.database_syncs, 0);
	atomic_store(&shim.log_writes, 0);
	atomic_store(&shim.log_writes_left, -1);
	atomic_store(&shim.write_error, 0);
	atomic_store(&shim.sync_error, 0);
	atomic_store(&shim.sync_delay_us, 0);
	return &shim;
}

int sqlite_shim_execute(const char *path, const char *text)
{
	sqlite3 *db;
	int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, text, NULL, NULL, NULL);
	sqlite3_close(db);
	return rc;
}

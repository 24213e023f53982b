#include "fs/journal/sql.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct sql {
	sqlite3 *db;
	unsigned log_frames;
};

/* struct sql_statement is the library's statement plus the state of binding. */
struct sql_statement {
	sqlite3_stmt *statement;
	sqlite3 *db;
	int bound; /* parameters so far */
	int rc;	   /* first failure of binding */
};

static int to_errno(sqlite3 *db, int rc)
{
	int system;

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return 0;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
	case SQLITE_ERROR: /* a table or column that is not there */
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH: return -EUCLEAN;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH: return -EACCES;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		if (rc == SQLITE_IOERR_NOMEM)
			return -ENOMEM;
		system = db ? sqlite3_system_errno(db) : 0;
		if (rc == SQLITE_IOERR_WRITE && system == EDQUOT)
			return -ENOSPC;
		/* A write without space is SQLITE_FULL: this was a sync, and what it lost is
		 * unknown. */
		return system > 0 && system != ENOSPC ? -system : -EIO;
	default: return -EIO;
	}
}

static int count_frames(void *context, sqlite3 *db, const char *name, int frames)
{
	struct sql *sql = context;

	(void)db;
	(void)name;
	sql->log_frames = (unsigned)frames;
	return SQLITE_OK;
}

struct file {
	sqlite3_file *file;
	const char *name; /* lives as long as the file: SQLite's own layer keeps the pointer */
};

static void close_file(struct file *opened)
{
	if (opened->file && opened->file->pMethods)
		opened->file->pMethods->xClose(opened->file);
	free(opened->file);
	sqlite3_free_filename((char *)(uintptr_t)opened->name);
}

/* Names have to be SQLite's (sqlite.org/c3ref/create_filename.html). */
static int open_file(const char *layer, const char *path, struct file *out)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(layer);
	int rc, system, err, flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB;

	if (!vfs)
		return -EINVAL;
	out->name = sqlite3_create_filename(path, "", "", 0, NULL);
	out->file = calloc(1, (size_t)vfs->szOsFile);
	rc = out->name && out->file ? vfs->xOpen(vfs, out->name, out->file, flags, NULL)
				    : SQLITE_NOMEM;
	if (rc == SQLITE_OK)
		return 0;
	system = rc == SQLITE_CANTOPEN ? vfs->xGetLastError(vfs, 0, NULL) : 0;
	close_file(out);
	*out = (struct file){NULL, NULL};
	err = system > 0 ? -system : to_errno(NULL, rc);
	return err ? err : -EIO;
}

int sql_file_exists(const char *layer, const char *path, bool *exists)
{
	struct file opened;
	int err = open_file(layer, path, &opened);

	*exists = err == 0;
	if (err)
		return err == -ENOENT ? 0 : err;
	close_file(&opened);
	return 0;
}

int sql_file_read(const char *layer, const char *path, void *data, size_t len)
{
	struct file opened;
	int rc, err = open_file(layer, path, &opened);

	if (err)
		return err;
	rc = opened.file->pMethods->xRead(opened.file, data, (int)len, 0);
	close_file(&opened);
	return rc == SQLITE_IOERR_SHORT_READ ? -EUCLEAN : to_errno(NULL, rc);
}

void sql_file_remove_empty(const char *layer, const char *path)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(layer);
	sqlite3_int64 size = 1;
	struct file opened;

	if (open_file(layer, path, &opened))
		return;
	opened.file->pMethods->xFileSize(opened.file, &size);
	close_file(&opened);
	if (size == 0)
		vfs->xDelete(vfs, path, 0);
}

int sql_open(struct sql **out, const char *layer, const char *path)
{
	struct sql *sql = calloc(1, sizeof(*sql));
	int rc;

	if (!sql)
		return -ENOMEM;
	rc = sqlite3_open_v2(path, &sql->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			     layer);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(sql->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(sql->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc != SQLITE_OK) {
		int err = to_errno(sql->db, rc);

		sql_close(sql, false);
		return err;
	}
	/* This also replaces the hook that checkpoints by itself within a commit. */
	sqlite3_wal_hook(sql->db, count_frames, sql);
	*out = sql;
	return 0;
}

void sql_close(struct sql *sql, bool checkpoint)
{
	if (checkpoint)
		sqlite3_db_config(sql->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	sqlite3_close_v2(sql->db);
	free(sql);
}

const char *sql_message(const struct sql *sql)
{
	return sqlite3_errmsg(sql->db);
}

int sql_execute(struct sql *sql, const char *text)
{
	return to_errno(sql->db, sqlite3_exec(sql->db, text, NULL, NULL, NULL));
}

int sql_prepare(struct sql *sql, const char *text, struct sql_statement **out)
{
	struct sql_statement *statement = calloc(1, sizeof(*statement));
	int rc;

	if (!statement)
		return -ENOMEM;
	statement->db = sql->db;
	rc = sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement->statement,
				NULL);
	if (rc != SQLITE_OK) {
		free(statement);
		return to_errno(sql->db, rc);
	}
	*out = statement;
	return 0;
}

void sql_finalize(struct sql_statement *statement)
{
	if (!statement)
		return;
	sqlite3_finalize(statement->statement);
	free(statement);
}

static void bound(struct sql_statement *statement, int rc)
{
	if (statement->rc == SQLITE_OK)
		statement->rc = rc;
}

void sql_put_int(struct sql_statement *statement, int64_t value)
{
	bound(statement, sqlite3_bind_int64(statement->statement, ++statement->bound, value));
}

void sql_put_u64(struct sql_statement *statement, uint64_t value)
{
	sql_put_int(statement, (int64_t)value);
}

void sql_put_string(struct sql_statement *statement, const char *text)
{
	sql_put_bytes(statement, text, strlen(text));
}

void sql_put_bytes(struct sql_statement *statement, const void *data, size_t len)
{
	bound(statement, sqlite3_bind_blob64(statement->statement, ++statement->bound, data, len,
					     SQLITE_STATIC));
}

int sql_step(struct sql_statement *statement)
{
	int rc = statement->rc;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement->statement);
	if (rc == SQLITE_ROW)
		return 1;
	sql_reset(statement);
	return to_errno(statement->db, rc);
}

/* The bindings stay: each use binds all parameters anew. */
void sql_reset(struct sql_statement *statement)
{
	sqlite3_reset(statement->statement);
	statement->bound = 0;
	statement->rc = SQLITE_OK;
}

int sql_run(struct sql_statement *statement)
{
	int err = sql_step(statement);

	if (err > 0) {
		sql_reset(statement);
		err = 0;
	}
	return err;
}

int64_t sql_int(struct sql_statement *statement, int column)
{
	return sqlite3_column_int64(statement->statement, column);
}

uint64_t sql_u64(struct sql_statement *statement, int column)
{
	return (uint64_t)sql_int(statement, column);
}

const char *sql_string(struct sql_statement *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement->statement, column);

	return text ? (const char *)text : "";
}

const void *sql_bytes(struct sql_statement *statement, int column, size_t *len)
{
	if (sqlite3_column_type(statement->statement, column) == SQLITE_NULL)
		return NULL;
	*len = (size_t)sqlite3_column_bytes(statement->statement, column);
	return *len > 0 ? sqlite3_column_blob(statement->statement, column) : "";
}

unsigned sql_log_frames(const struct sql *sql)
{
	return sql->log_frames;
}

/* With synchronous=NORMAL a commit writes its frames to the log and does not sync. Syncing the log
 * is all that synchronous=FULL does beyond that (sqlite.org/pragma.html#pragma_synchronous: "the
 * WAL file is synced after each transaction commit"; no padding of frames where the file system has
 * the power-safe overwrite property, which SQLite assumes on Linux). One sync of the file covers
 * every commit before it; what was already checkpointed is durable because a checkpoint syncs the
 * database before the log is reused (sqlite.org/wal.html, section 3.1). */
int sql_sync_log(struct sql *sql)
{
	sqlite3_file *file = NULL;
	int rc = sqlite3_file_control(sql->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);

	if (rc == SQLITE_OK && (!file || !file->pMethods))
		rc = SQLITE_IOERR_FSYNC;
	if (rc == SQLITE_OK)
		rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
	return to_errno(NULL, rc);
}

int sql_checkpoint(struct sql *sql)
{
	int frames, moved;
	int rc = sqlite3_wal_checkpoint_v2(sql->db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames,
					   &moved);

	return to_errno(sql->db, rc);
}

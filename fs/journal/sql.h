/* sql.h — the little of SQLite that the journal's database needs; internal to fs/journal.
 *
 * journal_sqlite.c alone includes sqlite3.h; store.c, which knows the tables, uses this.
 * Threads: a connection and its statements are used by one thread at a time.
 * Errors: negative errnos: -EUCLEAN damaged, -EBUSY in use by another process, -ENOSPC, -EROFS,
 * -ENOMEM, -EIO or what the kernel said.
 */
#ifndef FS_JOURNAL_SQL_H
#define FS_JOURNAL_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sql;
struct sql_statement;

/* Files go through SQLite's VFS of that name (sqlite.org/vfs.html); NULL: its own. */
int sql_file_exists(const char *layer, const char *path, bool *exists);
/* The first len bytes. Errors: -EUCLEAN it is shorter. */
int sql_file_read(const char *layer, const char *path, void *data, size_t len);
void sql_file_remove_empty(const char *layer, const char *path); /* if it is, and exists */

/* Opens a file that exists. Nothing of it is read yet; closing does not write until sql_close is
 * told so. */
int sql_open(struct sql **out, const char *layer, const char *path);
/* checkpoint: what the log holds is moved to the database, and the log is deleted. */
void sql_close(struct sql *sql, bool checkpoint);
/* What the last failure was, for a message. */
const char *sql_message(const struct sql *sql);

int sql_execute(struct sql *sql, const char *text);
int sql_prepare(struct sql *sql, const char *text, struct sql_statement **out);
void sql_finalize(struct sql_statement *statement); /* NULL allowed */

/* Parameters from left to right; a failure is kept and returned by the next step. Bytes are
 * borrowed until sql_reset. */
void sql_put_int(struct sql_statement *statement, int64_t value);
void sql_put_u64(struct sql_statement *statement, uint64_t value);
void sql_put_string(struct sql_statement *statement, const char *text);
void sql_put_bytes(struct sql_statement *statement, const void *data,
		   size_t len); /* NULL data: SQL NULL */
/* 1: a row; 0: the end (the statement is reset then); or an error (reset as well). */
int sql_step(struct sql_statement *statement);
void sql_reset(struct sql_statement *statement);
/* Runs a statement that gives no rows. */
int sql_run(struct sql_statement *statement);

/* Columns of the current row. Pointers live until the next step or reset. */
int64_t sql_int(struct sql_statement *statement, int column);
uint64_t sql_u64(struct sql_statement *statement, int column);
const char *sql_string(struct sql_statement *statement, int column); /* never NULL */
const void *sql_bytes(struct sql_statement *statement, int column,
		      size_t *len); /* NULL: SQL NULL */

/* The write-ahead log: frames that it holds as of the last commit. */
unsigned sql_log_frames(const struct sql *sql);
/* Makes the log durable with all that was committed before. */
int sql_sync_log(struct sql *sql);
int sql_checkpoint(struct sql *sql);

#endif

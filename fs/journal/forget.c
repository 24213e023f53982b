#include "fs/journal/forget.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "fs/journal/sql.h"

static int delete_rows(struct sql *sql, const char *text, const uint64_t *inos, size_t count)
{
	struct sql_statement *drop = NULL;
	int err = sql_prepare(sql, text, &drop);

	for (size_t i = 0; i < count && !err; i++) {
		sql_put_u64(drop, inos[i]);
		err = sql_run(drop);
	}
	sql_finalize(drop);
	return err;
}

int journal_forget(const char *dir, const uint64_t *inos, size_t count, struct error *error)
{
	char path[PATH_MAX + 16];
	struct sql *sql = NULL;
	int err;

	snprintf(path, sizeof(path), "%s/journal.db", dir);
	err = sql_open(&sql, NULL, path);
	if (!err)
		err = sql_execute(sql, "PRAGMA synchronous = FULL");
	if (!err)
		err = sql_execute(sql, "BEGIN IMMEDIATE");
	if (!err)
		err = delete_rows(sql, "DELETE FROM extent WHERE ino = ?", inos, count);
	if (!err)
		err = delete_rows(sql, "DELETE FROM node WHERE ino = ?", inos, count);
	if (!err)
		err = sql_execute(sql, "COMMIT");
	if (err)
		error_set(error, err, "cannot change %s: %s", path,
			  sql ? sql_message(sql) : strerror(-err));
	if (sql)
		sql_close(sql, !err);
	return err;
}

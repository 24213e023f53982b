#include "fs/journal/store_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/journal/schema.h"

/* Numbers given out after the last counters record that reached the disk are lost with a crash.
 * They are fewer than this: their own records fill less than one log (store.h) between two syncs.
 */
#define COUNTER_SAFETY_STEP (UINT64_C(1) << 24)

/* For the text of a statement. */
#define SYNCED_BIT "128"
#define UNSURE_BIT "256"
#define OLD_BIT	   "512"
#define OWED_BIT   "1"
/* After another boot. A file that was synced may have been changed since, in blocks that reached
 * the disk while the row that said so did not: where data is owed that may be so for what no fsync
 * has promised, where none is owed it must not pass for S3's version. */
#define MARK_ROWS(crashed)                                                                         \
	"UPDATE node SET flags = flags | " OLD_BIT                                                 \
	" | CASE WHEN file_id <> 0 AND (flags & " SYNCED_BIT " = 0 OR (" crashed                   \
	" AND flags & " OWED_BIT " = 0)) THEN " UNSURE_BIT " ELSE 0 END"
_Static_assert(NODE_DIRTY_DATA == 1 && NODE_SYNCED == 128 && NODE_UNSURE == 256 && NODE_OLD == 512,
	       "as in the statement");

enum { BOOT_ID_MAX = 64, FIRST_INO = 2, SQLITE_HEADER_BYTES = 100 };

struct paths {
	char dir[PATH_MAX], database[PATH_MAX], log[PATH_MAX], fresh[PATH_MAX];
};

static int paths_set(struct paths *paths, const char *dir)
{
	/* Room for the longest suffix. */
	if (strlen(dir) > PATH_MAX - 64)
		return -ENAMETOOLONG;
	snprintf(paths->dir, PATH_MAX, "%s", dir);
	snprintf(paths->database, PATH_MAX, "%s/journal.db", dir);
	snprintf(paths->log, PATH_MAX, "%s/journal.db-wal", dir);
	snprintf(paths->fresh, PATH_MAX, "%s/journal.new", dir);
	return 0;
}

/* "" when the kernel does not tell: then it is never the same. */
static void read_boot_id(const struct journal_host *host, char out[BOOT_ID_MAX])
{
	int fd;
	ssize_t len;

	if (host->boot_id) {
		snprintf(out, BOOT_ID_MAX, "%s", host->boot_id);
		return;
	}
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, out, BOOT_ID_MAX - 1);
	if (fd >= 0)
		close(fd);
	out[len > 0 ? len : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static int sync_path(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}

static int insert_state(struct sql *sql, const char *volume)
{
	struct sql_statement *insert;
	int err = sql_prepare(sql, "INSERT INTO state VALUES (1, ?, '', 1, ?, 1, 1, 0)", &insert);

	if (err)
		return err;
	sql_put_string(insert, volume);
	sql_put_int(insert, FIRST_INO);
	err = sql_run(insert);
	sql_finalize(insert);
	return err;
}

#define TEXT_OF_(number) #number
#define TEXT_OF(number)	 TEXT_OF_(number)

static int fill_fresh(struct sql *sql, const char *volume)
{
	int err = sql_execute(sql, "PRAGMA page_size = 4096; PRAGMA locking_mode = EXCLUSIVE;"
				   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
				   "BEGIN;" SCHEMA_TABLES "PRAGMA application_id = " TEXT_OF(
					   SCHEMA_APPLICATION_ID) ";"
								  "PRAGMA user_version = " TEXT_OF(
									  SCHEMA_VERSION));

	if (err == 0)
		err = insert_state(sql, volume);
	return err ? err : sql_execute(sql, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
}

static void remove_fresh(const struct paths *paths)
{
	static const char *const suffixes[] = {"", "-wal", "-journal"};

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char path[PATH_MAX + 16];

		snprintf(path, sizeof(path), "%s%s", paths->fresh, suffixes[i]);
		unlink(path);
	}
}

/* Made under another name, so that journal.db is either complete or absent. */
static int create(const struct paths *paths, const char *volume)
{
	struct sql *sql;
	int fd, err;

	remove_fresh(paths);
	fd = open(paths->fresh, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	err = sql_open(&sql, NULL, paths->fresh);
	if (err == 0) {
		err = fill_fresh(sql, volume);
		sql_close(sql, true);
	}
	if (err == 0)
		err = sync_path(paths->fresh, O_RDWR);
	if (err == 0 && rename(paths->fresh, paths->database))
		err = -errno;
	if (err == 0)
		err = sync_path(paths->dir, O_RDONLY | O_DIRECTORY);
	if (err)
		remove_fresh(paths);
	return err;
}

/* Before SQLite sees the file: it repairs what it takes for its own, and creates a log beside it.
 * Offsets: SQLite file format, section 1.3. Errors: -EUCLEAN, and of open and read. */
static int check_header(const char *layer, const char *path)
{
	static const unsigned char format[] = {0x10, 0x00, 2,
					       2}; /* page size 4096, write-ahead log */
	static const unsigned char application[] = {
		SCHEMA_APPLICATION_ID >> 24, SCHEMA_APPLICATION_ID >> 16 & 0xff,
		SCHEMA_APPLICATION_ID >> 8 & 0xff, SCHEMA_APPLICATION_ID & 0xff};
	unsigned char header[SQLITE_HEADER_BYTES];
	int err = sql_file_read(layer, path, header, sizeof(header));

	if (err)
		return err;
	if (memcmp(header, "SQLite format 3", 16) != 0 ||
	    memcmp(header + 16, format, sizeof(format)) != 0 ||
	    memcmp(header + 68, application, sizeof(application)) != 0)
		return -EUCLEAN;
	return 0;
}

/* The first column of the only row. */
static int query(struct sql *sql, const char *text, int64_t *number, char *string, size_t size)
{
	struct sql_statement *statement;
	int err = sql_prepare(sql, text, &statement);

	if (err)
		return err;
	err = sql_step(statement);
	if (err > 0) {
		if (number)
			*number = sql_int(statement, 0);
		if (string)
			snprintf(string, size, "%s", sql_string(statement, 0));
	}
	sql_finalize(statement);
	return err < 0 ? err : err > 0 ? 0 : -EUCLEAN;
}

static int check_version(struct sql *sql, struct error *error)
{
	int64_t version = 0;
	int err = query(sql, "PRAGMA user_version", &version, NULL, 0);

	if (err)
		return err;
	if (version > SCHEMA_VERSION)
		return error_set(error, -EPROTO,
				 "the journal was written by a newer s3mount (its format is %lld, "
				 "this program knows %d); use that version, or another cache "
				 "directory",
				 (long long)version, SCHEMA_VERSION);
	return version < 1 ? -EUCLEAN : 0;
}

static int check_volume(struct sql *sql, const char *volume, struct error *error)
{
	char found[512];
	int err = query(sql, "SELECT volume FROM state", NULL, found, sizeof(found));
	struct sql_statement *same;

	if (err)
		return err;
	err = sql_prepare(sql, "SELECT 1 FROM state WHERE volume = ?", &same);
	if (err)
		return err;
	sql_put_string(same, volume);
	err = sql_step(same);
	sql_finalize(same);
	if (err == 0)
		return error_set(error, -EXDEV,
				 "the cache directory belongs to another volume (%s, not %s): give "
				 "this one its own with -o cache=DIR",
				 found, volume);
	return err < 0 ? err : 0;
}

static int read_state(struct sql *sql, const struct journal_host *host, struct journal_info *info)
{
	char boot_id[BOOT_ID_MAX];
	struct sql_statement *state;
	int err = sql_prepare(
		sql, "SELECT clean, boot_id, next_ino, next_file_id, next_intent FROM state",
		&state);

	if (err)
		return err;
	err = sql_step(state);
	if (err > 0) {
		read_boot_id(host, boot_id);
		info->clean = sql_int(state, 0) == 1;
		info->same_boot = info->created ||
				  (boot_id[0] && strcmp(boot_id, sql_string(state, 1)) == 0);
		info->next_ino = sql_u64(state, 2);
		info->next_file_id = sql_u64(state, 3);
		info->next_intent = sql_u64(state, 4);
	}
	sql_finalize(state);
	return err < 0 ? err : err > 0 ? 0 : -EUCLEAN;
}

static int quick_check(struct sql *sql, struct error *error)
{
	char found[300];
	int err = query(sql, "PRAGMA quick_check(1)", NULL, found, sizeof(found));

	if (err || strcmp(found, "ok") == 0)
		return err;
	return error_set(error, -EUCLEAN, "the journal is damaged and was left as it is: %s",
			 found);
}

static uint64_t beyond(uint64_t next, int64_t used)
{
	if ((uint64_t)used >= next)
		next = (uint64_t)used + 1;
	return next + COUNTER_SAFETY_STEP;
}

static int skip_numbers(struct sql *sql, struct journal_info *info)
{
	int64_t ino = 0, file_id = 0, intent = 0;
	int err = query(sql, "SELECT coalesce(max(ino), 0) FROM node", &ino, NULL, 0);

	if (err == 0)
		err = query(sql, "SELECT coalesce(max(file_id), 0) FROM node", &file_id, NULL, 0);
	if (err == 0)
		err = query(sql, "SELECT coalesce(max(id), 0) FROM intent", &intent, NULL, 0);
	info->next_ino = beyond(info->next_ino, ino);
	info->next_file_id = beyond(info->next_file_id, file_id);
	info->next_intent = beyond(info->next_intent, intent);
	return err;
}

static int check(struct sql *sql, const struct journal_host *host, const char *volume,
		 struct journal_info *info, struct error *error)
{
	/* Exclusive before the first access: no file of shared memory, and one process only. */
	int err = sql_execute(sql,
			      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = NORMAL;"
			      "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
			      "PRAGMA cache_size = -4096; PRAGMA journal_size_limit = 8388608");

	if (err == 0)
		err = check_version(sql, error);
	if (err == 0)
		err = check_volume(sql, volume, error);
	if (err == 0)
		err = read_state(sql, host, info);
	if (err == 0 && !info->clean)
		err = quick_check(sql, error);
	if (err == 0 && !info->clean)
		err = skip_numbers(sql, info);
	return err;
}

/* From here on it is in use: what happens until the clean mark is set again counts as a crash. */
static int update_state(struct sql *sql, const struct journal_host *host,
			const struct journal_info *info)
{
	char boot_id[BOOT_ID_MAX];
	struct sql_statement *mark;
	int err = sql_prepare(sql,
			      "UPDATE state SET clean = 0, boot_id = ?, next_ino = ?, "
			      "next_file_id = ?, next_intent = ?",
			      &mark);

	if (err)
		return err;
	read_boot_id(host, boot_id);
	sql_put_string(mark, boot_id);
	sql_put_u64(mark, info->next_ino);
	sql_put_u64(mark, info->next_file_id);
	sql_put_u64(mark, info->next_intent);
	err = sql_run(mark);
	sql_finalize(mark);
	return err;
}

/* Which data files are in doubt is written with the new boot id, as one: else a crash right after
 * it would make them pass for files of this boot. */
static int mark_open(struct sql *sql, const struct journal_host *host,
		     const struct journal_info *info)
{
	int err = sql_execute(sql, "BEGIN IMMEDIATE");

	if (err)
		return err;
	if (!info->same_boot)
		err = sql_execute(sql, info->clean ? MARK_ROWS("0") : MARK_ROWS("1"));
	if (err == 0)
		err = update_state(sql, host, info);
	if (err == 0)
		err = sql_execute(sql, "COMMIT");
	return err;
}

static int explain(struct error *error, int err, const struct paths *paths, const char *detail)
{
	switch (err) {
	case -EUCLEAN:
		return error_set(error, err, "%s is damaged and was left as it is (%s)",
				 paths->database, detail);
	case -EBUSY:
		return error_set(error, err, "the cache directory %s is in use by another mount",
				 paths->dir);
	default: return error_set(error, err, "%s: %s", paths->database, strerror(-err));
	}
}

static int open_existing(struct sql **out, const struct journal_host *host,
			 const struct paths *paths, const char *volume, struct journal_info *info,
			 struct error *error)
{
	bool had_log;
	struct sql *sql;
	int err = check_header(host->file_layer, paths->database);

	if (err == 0)
		err = sql_file_exists(host->file_layer, paths->log, &had_log);
	if (err)
		return explain(error, err, paths, "not a journal of s3mount");
	err = sql_open(&sql, host->file_layer, paths->database);
	if (err)
		return explain(error, err, paths, "cannot be opened");
	err = check(sql, host, volume, info, error);
	if (err) {
		explain(error, err, paths, sql_message(sql));
		/* SQLite made an empty one when it looked for a log. */
		if (!had_log && err != -EBUSY)
			sql_file_remove_empty(host->file_layer, paths->log);
		sql_close(sql, false);
		return err;
	}
	err = mark_open(sql, host, info);
	if (err) {
		explain(error, err, paths, sql_message(sql));
		sql_close(sql, false);
		return err;
	}
	*out = sql;
	return 0;
}

int store_open_database(struct sql **out, const struct journal_host *host, const char *dir,
			const char *volume, struct journal_info *info, struct error *error)
{
	struct paths paths;
	bool there, log;
	int err = paths_set(&paths, dir);

	*info = (struct journal_info){.created = false};
	if (err)
		return error_set(error, err, "the path of the cache directory is too long");
	err = sql_file_exists(host->file_layer, paths.database, &there);
	if (err == 0 && !there)
		err = sql_file_exists(host->file_layer, paths.log, &log);
	if (err)
		return explain(error, err, &paths, "");
	if (!there) {
		if (log)
			return explain(error, -EUCLEAN, &paths,
				       "it is missing, but its log is there");
		err = host->file_layer ? -ENOENT : create(&paths, volume);
		if (err)
			return explain(error, err, &paths, "cannot be created");
		info->created = true;
	}
	return open_existing(out, host, &paths, volume, info, error);
}

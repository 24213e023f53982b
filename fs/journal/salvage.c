#include "fs/journal/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fileio.h"
#include "fs/journal/schema.h"
#include "fs/journal/sql.h"
#include "fs/journal/store_load.h"

/* Ranges that are looked at, of both sides of what could not be read. Each costs two searches. */
enum { RANGES_MAX = 4096, PAGE = 4096, HEADER_BYTES = 24 };

struct range { /* of numbers of nodes, as SQLite orders them */
	int64_t first, last;
};

struct reader {
	struct sql *sql;
	struct sql_statement *up, *down, *extents;
	struct range *ranges; /* a queue */
	size_t begun, queued;
	struct salvage *out;
	int (*node)(void *context, const struct journal_node *node, const struct extent_set *dirty);
	void *context;
};

static void found_damage(struct salvage *out, const char *what)
{
	if (out->whole)
		snprintf(out->problem, sizeof(out->problem), "%s", what);
	out->whole = false;
}

/* -ENOENT, or an error of the copy; a page that cannot be read becomes zeros. */
static int copy_file(const char *from, const char *to, struct salvage *out)
{
	struct stat st = {.st_size = 0};
	char page[PAGE];
	int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), copy, err = 0;

	if (in < 0)
		return -errno;
	copy = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (copy < 0 || fstat(in, &st) < 0)
		err = -errno;
	for (off_t at = 0; !err && at < st.st_size; at += PAGE) {
		size_t want = st.st_size - at < PAGE ? (size_t)(st.st_size - at) : PAGE;
		ssize_t got = pread_all(in, page, want, at);

		if (got != (ssize_t)want) {
			memset(page, 0, want);
			found_damage(out, got < 0 ? strerror((int)-got) : "it shrank");
		}
		err = pwrite_all(copy, page, want, at);
	}
	if (copy >= 0)
		close(copy);
	close(in);
	return err;
}

/* What every database of ours begins with (SQLite file format, section 1.3): written anew, in the
 * copy, where it is damaged. */
static int repair_header(const char *path, struct salvage *out)
{
	static const unsigned char wanted[HEADER_BYTES] = {'S',	 'Q', 'L', 'i', 't', 'e', ' ', 'f',
							   'o',	 'r', 'm', 'a', 't', ' ', '3', 0,
							   0x10, 0,   2,   2,	0,   64,  32,  32};
	unsigned char found[HEADER_BYTES];
	int fd = open(path, O_RDWR | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (pread_all(fd, found, sizeof(found), 0) != (ssize_t)sizeof(found) ||
	    memcmp(found, wanted, sizeof(wanted)) != 0) {
		found_damage(out, "its header is damaged");
		err = pwrite_all(fd, wanted, sizeof(wanted), 0);
	}
	close(fd);
	return err;
}

static void read_extents(struct reader *reader, uint64_t ino, struct extent_set *dirty)
{
	int err;

	sql_put_u64(reader->extents, ino);
	while ((err = sql_step(reader->extents)) > 0) {
		uint64_t start = sql_u64(reader->extents, 0), end = sql_u64(reader->extents, 1);

		/* Without memory there is one range less, as if it could not be read. */
		if (start < end && end <= INT64_MAX && extent_add(dirty, start, end))
			found_damage(reader->out, strerror(ENOMEM));
	}
	if (err < 0)
		found_damage(reader->out, sql_message(reader->sql));
}

static int tell(struct reader *reader, struct sql_statement *row)
{
	struct extent_set dirty = EXTENT_SET_INIT;
	struct journal_node node = {.ino = 0};
	int err;

	load_columns(row, &node);
	reader->out->rows++;
	if (node.flags & NODE_DIRTY_DATA && !(node.flags & NODE_COMPLETE))
		read_extents(reader, node.ino, &dirty);
	err = reader->node(reader->context, &node, &dirty);
	extent_set_free(&dirty);
	return err;
}

/* From one end of the range until it ends or a page is damaged. Narrows it to what is left; 0:
 * there is nothing. Returns 1, 0, or what tell returned. */
static int read_from(struct reader *reader, struct sql_statement *rows, struct range *range,
		     bool up)
{
	int result, err;

	sql_put_int(rows, range->first);
	sql_put_int(rows, range->last);
	while ((result = sql_step(rows)) > 0) {
		int64_t ino = sql_int(rows, 0);

		/* Only in a damaged page. */
		if (ino < range->first || ino > range->last)
			continue;
		err = tell(reader, rows);
		if (err || ino == (up ? range->last : range->first)) {
			sql_reset(rows);
			return err;
		}
		if (up)
			range->first = ino + 1;
		else
			range->last = ino - 1;
	}
	if (result == 0)
		return 0;
	found_damage(reader->out, sql_message(reader->sql));
	return 1;
}

static void queue(struct reader *reader, int64_t first, int64_t last)
{
	if (first <= last && reader->queued < RANGES_MAX)
		reader->ranges[reader->queued++] = (struct range){first, last};
}

/* What cannot be reached from either end lies between two damaged pages, or is one: it is halved
 * until the queue is full, the larger pieces first. */
static int read_nodes(struct reader *reader)
{
	queue(reader, INT64_MIN, INT64_MAX);
	while (reader->begun < reader->queued) {
		struct range range = reader->ranges[reader->begun++];
		int result = read_from(reader, reader->up, &range, true);
		int64_t middle;

		if (result > 0)
			result = read_from(reader, reader->down, &range, false);
		if (result < 0)
			return result;
		if (result == 0 || range.first >= range.last)
			continue;
		middle = (int64_t)((uint64_t)range.first +
				   ((uint64_t)range.last - (uint64_t)range.first) / 2);
		queue(reader, range.first, middle);
		queue(reader, middle + 1, range.last);
	}
	return 0;
}

static void check(struct sql *sql, struct salvage *out)
{
	struct sql_statement *statement = NULL;
	int err = sql_prepare(sql, "PRAGMA quick_check(1)", &statement);

	if (!err && (err = sql_step(statement)) > 0 && strcmp(sql_string(statement, 0), "ok") != 0)
		found_damage(out, sql_string(statement, 0));
	if (err < 0)
		found_damage(out, sql_message(sql));
	sql_finalize(statement);
	statement = NULL;
	if (sql_prepare(sql, "PRAGMA user_version", &statement) == 0 && sql_step(statement) > 0 &&
	    sql_int(statement, 0) > SCHEMA_VERSION)
		found_damage(out, "it was written by a newer s3mount, which should read it");
	sql_finalize(statement);
	statement = NULL;
	err = sql_prepare(sql, "SELECT volume FROM state", &statement);
	if (!err && (err = sql_step(statement)) > 0)
		snprintf(out->volume, sizeof(out->volume), "%s", sql_string(statement, 0));
	if (err < 0)
		found_damage(out, sql_message(sql));
	sql_finalize(statement);
}

static int read_copy(const char *path, struct reader *reader)
{
	int err = sql_open(&reader->sql, NULL, path);

	if (err) {
		found_damage(reader->out, strerror(-err));
		return err == -ENOMEM ? err : 0;
	}
	sql_execute(reader->sql, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY");
	check(reader->sql, reader->out);
	err = sql_prepare(reader->sql,
			  "SELECT " NODE_COLUMNS
			  " FROM node WHERE ino BETWEEN ? AND ? ORDER BY ino",
			  &reader->up);
	if (!err)
		err = sql_prepare(reader->sql,
				  "SELECT " NODE_COLUMNS
				  " FROM node WHERE ino BETWEEN ? AND ? ORDER BY ino DESC",
				  &reader->down);
	if (!err)
		err = sql_prepare(reader->sql,
				  "SELECT start, end FROM extent WHERE ino = ? ORDER BY start",
				  &reader->extents);
	if (err) {
		found_damage(reader->out, sql_message(reader->sql));
		err = 0;
	} else {
		err = read_nodes(reader);
	}
	sql_finalize(reader->up);
	sql_finalize(reader->down);
	sql_finalize(reader->extents);
	sql_close(reader->sql, false);
	return err;
}

/* Frames that nothing can be made of are no error to SQLite: it takes the log for an empty one. */
static void check_log(const char *path, struct salvage *out)
{
	static const unsigned char magic[] = {0x37, 0x7f,
					      0x06}; /* SQLite file format, section 4.1 */
	unsigned char found[sizeof(magic)];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (pread_all(fd, found, sizeof(found), 0) == (ssize_t)sizeof(found) &&
	    memcmp(found, magic, sizeof(magic)) != 0)
		found_damage(out, "its log is damaged");
	close(fd);
}

int salvage_read(const char *dir, const char *scratch,
		 int (*node)(void *context, const struct journal_node *node,
			     const struct extent_set *dirty),
		 void *context, struct salvage *out, struct error *error)
{
	struct reader reader = {.out = out, .node = node, .context = context};
	char from[PATH_MAX + 32], to[PATH_MAX + 32], log[PATH_MAX + 32];
	int err;

	*out = (struct salvage){.whole = true};
	snprintf(from, sizeof(from), "%s/journal.db-wal", dir);
	snprintf(log, sizeof(log), "%s/journal.db-wal", scratch);
	snprintf(to, sizeof(to), "%s/journal.db", scratch);
	err = copy_file(from, log, out);
	if (err && err != -ENOENT)
		return error_set(error, err, "cannot copy %s to %s: %s", from, log, strerror(-err));
	check_log(log, out);
	snprintf(from, sizeof(from), "%s/journal.db", dir);
	err = copy_file(from, to, out);
	if (err == -ENOENT) {
		found_damage(out, "it is missing");
		return 0;
	}
	if (!err)
		err = repair_header(to, out);
	if (err)
		return error_set(error, err, "cannot copy %s to %s: %s", from, to, strerror(-err));
	out->is_there = true;
	reader.ranges = calloc(RANGES_MAX, sizeof(*reader.ranges));
	if (!reader.ranges)
		return error_set(error, -ENOMEM, "out of memory");
	err = read_copy(to, &reader);
	free(reader.ranges);
	return err ? error_set(error, err, "cannot read the journal: %s", strerror(-err)) : 0;
}

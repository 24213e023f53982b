/* schema.h — what the journal's database looks like; internal to fs/journal.
 *
 * Text is stored as blobs: names and keys are bytes, not UTF-8. Unsigned 64-bit numbers are stored
 * as the signed ones with the same bits. A change of the schema raises SCHEMA_VERSION; who finds a
 * newer one refuses. Row of state: next_* are numbers that nobody has used yet; boot_id is the
 * kernel's of the last open. Rows of extent: of one ino they neither overlap nor touch (kept by
 * journal_sqlite.c).
 */
#ifndef FS_JOURNAL_SCHEMA_H
#define FS_JOURNAL_SCHEMA_H

#define SCHEMA_VERSION	      1
#define SCHEMA_APPLICATION_ID 0x73336d6a /* "s3mj" */

#define SCHEMA_TABLES                                                                              \
	"CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), volume BLOB NOT NULL,"         \
	"  boot_id BLOB NOT NULL, clean INTEGER NOT NULL, next_ino INTEGER NOT NULL,"              \
	"  next_file_id INTEGER NOT NULL, next_intent INTEGER NOT NULL, touched INTEGER NOT "      \
	"NULL);"                                                                                   \
	"CREATE TABLE node (ino INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name BLOB NOT NULL," \
	"  flags INTEGER NOT NULL, mode INTEGER NOT NULL, uid INTEGER NOT NULL,"                   \
	"  gid INTEGER NOT NULL, rdev INTEGER NOT NULL, atime INTEGER NOT NULL,"                   \
	"  mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, size INTEGER NOT NULL,"                 \
	"  generation INTEGER NOT NULL, file_id INTEGER NOT NULL, base_size INTEGER NOT NULL,"     \
	"  etag BLOB NOT NULL, remote_modified INTEGER NOT NULL, put_id BLOB NOT NULL,"            \
	"  target BLOB NOT NULL, content_type BLOB NOT NULL,"                                      \
	"  meta BLOB, headers BLOB);"                                                              \
	"CREATE TABLE extent (ino INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL," \
	"  PRIMARY KEY (ino, start)) WITHOUT ROWID;"                                               \
	"CREATE TABLE intent (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, source BLOB NOT "     \
	"NULL,"                                                                                    \
	"  target BLOB NOT NULL, etag BLOB NOT NULL);"

/* Of table node, in the order in which they are written and read. */
#define NODE_COLUMNS                                                                               \
	"ino, parent, name, flags, mode, uid, gid, rdev, atime, mtime, ctime, size, generation, "  \
	"file_id, base_size, etag, remote_modified, put_id, target, content_type, "                \
	"meta, headers"

#endif

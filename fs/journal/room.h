/* room.h — space on the disk that the journal has for certain: blocks allocated ahead of what it
 * writes (fallocate(2), FALLOC_FL_KEEP_SIZE), so that on a full disk it can still record how work
 * under way ends; internal to fs/journal.
 *
 * Threads: used by one thread at a time. Where the file system cannot allocate ahead there is no
 * such space, and a full disk shows in the transaction itself.
 */
#ifndef FS_JOURNAL_ROOM_H
#define FS_JOURNAL_ROOM_H

#include <stdbool.h>

struct room {
	int database, log; /* descriptors; -1: none */
};

/* The database and its log in dir, which SQLite has open. */
void room_open(struct room *room, const char *dir);
/* After SQLite has closed them: a process loses all of its POSIX locks on a file with any
 * descriptor that it closes (fcntl(2)). */
void room_close(struct room *room);
/* Takes what is missing. false: the disk has no space for it. */
bool room_keep(const struct room *room);

#endif

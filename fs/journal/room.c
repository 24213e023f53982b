#include "fs/journal/room.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The log is moved into the database before it outgrows this; the database grows by less than that
 * meanwhile. */
#define LOG_ROOM      (INT64_C(8) << 20)
#define DATABASE_ROOM (INT64_C(4) << 20)

static int open_in(const char *dir, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -1;
	return open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
}

void room_open(struct room *room, const char *dir)
{
	room->database = open_in(dir, "journal.db");
	room->log = open_in(dir, "journal.db-wal");
}

void room_close(struct room *room)
{
	if (room->database >= 0)
		close(room->database);
	if (room->log >= 0)
		close(room->log);
	room->database = room->log = -1;
}

static bool allocate(int fd, off_t len)
{
	int result;

	if (fd < 0)
		return true;
	do
		result = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, len);
	while (result < 0 && errno == EINTR);
	return result == 0 || (errno != ENOSPC && errno != EDQUOT);
}

bool room_keep(const struct room *room)
{
	struct stat st;

	if (!allocate(room->log, LOG_ROOM))
		return false;
	if (room->database < 0 || fstat(room->database, &st) < 0)
		return true;
	return allocate(room->database, st.st_size + DATABASE_ROOM);
}

/* fileio.h — small files as a whole, complete reads and writes, directories, lock files.
 *
 * Everything here blocks on the disk: not for the thread of an event loop, except before and after
 * it runs. Any thread. Errors are -errno of the call that failed; the caller knows the path and
 * says it.
 */
#ifndef COMMON_FILEIO_H
#define COMMON_FILEIO_H

#include <stddef.h>
#include <sys/types.h>

#include "common/buf.h"

/* Until everything is written. A descriptor that takes no more is -EIO, a non-blocking one -EAGAIN.
 */
int write_all(int fd, const void *data, size_t len);
int pwrite_all(int fd, const void *data, size_t len, off_t offset);
/* Returns what was read: less than len only at the end of the file. */
ssize_t pread_all(int fd, void *data, size_t len, off_t offset);

/* Appends the whole file, also one of /proc whose size says 0. More than limit bytes: -EFBIG. Not
 * for secrets: the buffer's memory is not wiped. -ENOMEM. */
int file_read(const char *path, size_t limit, struct buf *out);

/* The file holds either its old content or all of the new one, and survives a power loss once this
 * has returned. The temporary name is path with ".tmp": one writer at a time. mode counts, not the
 * umask. A symbolic link at path is replaced, not followed. */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode);
/* What was created, renamed or removed in it survives a power loss. */
int directory_sync(const char *path);
/* All parts that are missing, like mkdir -p. -ENOTDIR when a part is something else. */
int directory_make(const char *path, mode_t mode);
/* With all that is in it, as far as it can be removed; neither links nor mounts are entered. */
void directory_remove(const char *path);

/* Takes the exclusive flock(2) of the file, which it creates (0600) and never removes, and writes
 * the process's number into it. Returns the descriptor, which holds the lock until it and all that
 * were inherited from it by fork are closed. Errors: -EWOULDBLOCK when another one holds it;
 * *holder (may be NULL) is then its process number, 0 when not known. */
int lock_file_take(const char *path, pid_t *holder);
/* After a fork: the child, which holds the lock too, is from now on the one that it is known by. */
int lock_file_note(int fd);

#endif

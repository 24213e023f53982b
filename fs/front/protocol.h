/* protocol.h — what libfuse does not say of requests and replies, read from the raw bytes; internal
 * to fs/front.
 *
 * Pure: no I/O, no libfuse. Structures and names are those of include/uapi/linux/fuse.h of Linux;
 * what the kernel sent is only trusted as far as len goes.
 *
 * FUSE_HANDLE_KILLPRIV_V2 (Linux 5.11): the kernel leaves it to the file system to take set-id bits
 * and security.capability away when a file changes, says in the request when that must be, and asks
 * no more for security.capability before every write. libfuse can ask for it only from 3.17 on, and
 * no version passes on what the kernel says then.
 *
 * FUSE_DIRECT_IO_ALLOW_MMAP (Linux 6.6): what is open for appending, which goes past the page
 * cache, can be mapped all the same.
 */
#ifndef FS_FRONT_PROTOCOL_H
#define FS_FRONT_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The FUSE_INIT that is being answered. */
struct protocol_init {
	uint64_t unique;  /* of the request */
	uint64_t offered; /* by the kernel: FUSE_ASYNC_READ and so on, those of flags2 above */
	bool seen;
};

/* Is this FUSE_INIT? Then out says what it offers. */
bool protocol_read_init(const void *request, size_t len, struct protocol_init *out);
/* Completes libfuse's reply to that request (header, then body, apart as in an iovec). False, and
 * nothing is changed: it is another reply, or an error. */
bool protocol_complete_init(const struct protocol_init *init, const void *header, size_t header_len,
			    void *body, size_t body_len);
/* Does the kernel say when privileges go? Older ones see to it themselves, but for an open that
 * truncates (FUSE_ATOMIC_O_TRUNC). */
bool protocol_tells_kills(const struct protocol_init *init);
/* Whether what the request changes takes set-id bits and security.capability from the file: a
 * write, a truncation, an open that truncates, by somebody without CAP_FSETID, or a chown. */
bool protocol_kills_privileges(const void *request, size_t len);

/* An open(2) with O_TMPFILE (FUSE_TMPFILE, Linux 6.2), which libfuse knows from 3.17 on: it becomes
 * a FUSE_CREATE, whose arguments and reply it has. The name in it says nothing. False: it is
 * another request, and is left as it is. */
bool protocol_take_tmpfile(void *request, size_t len);

#endif

/* trace.h — one line about a request of the kernel, for the debug log; internal to fs/front.
 *
 * Pure. Names of files are shown, data never.
 */
#ifndef FS_FRONT_TRACE_H
#define FS_FRONT_TRACE_H

#include <stddef.h>

enum { TRACE_BYTES = 400 }; /* room for a description */

/* request: as read from /dev/fuse, in whole or its first len bytes. out gets the operation, the
 * inode and what of its arguments says which part of it: a name, a range. NUL-terminated. */
void trace_describe(const void *request, size_t len, char out[TRACE_BYTES]);

#endif

/* window.h — how far to read ahead of a reader. Pure.
 *
 * Sequential readers double their window from WINDOW_FIRST up to the limit, each time that they
 * have read as much as it holds, so that what is fetched in vain stays in proportion to what was
 * read. A jump within the tolerance keeps the window (the kernel sends its own read-ahead out of
 * order), any other jump resets it; readers that keep jumping before they have read a window full
 * get small ranges. After many jumps in one file the places read lie so close to each other that
 * what is between two of them will be wanted as well: then that much is fetched.
 */
#ifndef FS_CACHE_WINDOW_H
#define FS_CACHE_WINDOW_H

#include <stdint.h>

enum {
	WINDOW_RANDOM = 128 * 1024,
	WINDOW_RANDOM_NEAR = 32 * 1024, /* where a round trip costs hardly more than that */
	WINDOW_FIRST = 1024 * 1024,
	WINDOW_FORWARD_TOLERANCE = 8 * 1024 * 1024,
	WINDOW_BACKWARD_TOLERANCE = 1024 * 1024,
	WINDOW_RANDOM_AFTER = 3,	/* jumps in a row */
	WINDOW_DENSE = 8 * 1024 * 1024, /* places read are this close to each other, on average */
};

struct read_window {	   /* per open file; zero-initialised */
	uint64_t expected; /* where a sequential reader would go on */
	uint64_t size;	   /* current window in bytes; 0: nothing read yet */
	uint64_t consumed; /* bytes read since the window was set or grew */
	unsigned jumps;	   /* in a row; forgotten when the window grows */
};

/* Notes a read of [offset, offset+len) and returns until where (exclusive, <= file_size) data
 * should be fetched, at least offset+len clipped to the file. limit: bytes. worth: bytes that
 * arrive in the time of one round trip; 0: not known. */
uint64_t read_window_advance(struct read_window *window, uint64_t offset, uint64_t len,
			     uint64_t file_size, uint64_t limit, uint64_t worth);

#endif

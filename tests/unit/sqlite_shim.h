/* sqlite_shim.h — SQLite's file layer with counters and faults, for tests of the journal.
 *
 * Once installed it is the default for every connection of the process; it passes everything on to
 * the real one. Threads: fields are atomic.
 */
#ifndef TESTS_UNIT_SQLITE_SHIM_H
#define TESTS_UNIT_SQLITE_SHIM_H

#include <stdatomic.h>

struct sqlite_shim {
	atomic_int log_syncs, database_syncs;
	atomic_int log_writes;
	/* Writes to the log that still succeed; -1: all. Then each fails with write_error. */
	atomic_int log_writes_left;
	atomic_int write_error;
	atomic_int sync_error;	  /* of the log; 0: none */
	atomic_int sync_delay_us; /* a slow disk */
};

enum { SHIM_FULL = 1, SHIM_IO_ERROR = 2 };

/* Idempotent; also sets all counters and faults back. */
struct sqlite_shim *sqlite_shim_install(void);

/* Runs statements on a database that nobody has open. Returns 0, or SQLite's code. */
int sqlite_shim_execute(const char *path, const char *text);

#endif

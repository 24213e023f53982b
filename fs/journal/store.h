/* store.h — the database under the journal: schema, transactions, syncs; internal to fs/journal.
 *
 * Threads: used by one thread at a time (the opener, then the journal thread, then the closer).
 * Errors: negative errnos. After the first failed write or sync the caller must only call
 * store_abandon. What survives: store_apply survives the death of the process; after store_sync
 * everything applied before survives power loss.
 */
#ifndef FS_JOURNAL_STORE_H
#define FS_JOURNAL_STORE_H

#include "fs/journal/journal.h"
#include "fs/journal/record.h"

struct store;

/* Arguments and errors as journal_open_on. When it fails a database that was there is as it was.
 * Else the clean mark is off, durably, and the counters are past every number that may have been
 * given out. */
int store_open(struct store **out, const struct journal_host *host, const char *dir,
	       const char *volume, struct journal_info *info, struct error *error);
/* As journal_load. */
int store_load(struct store *store, const struct journal_loader *loader);
/* Applies the list, in order, as one transaction: all or nothing. */
int store_apply(struct store *store, const struct record *first);
int store_sync(struct store *store);
/* Bytes in the write-ahead log that the database has not taken over. */
uint64_t store_log_bytes(const struct store *store);
/* Moves the log into the database (durably) and starts the log afresh, so that the next store_apply
 * need not. */
int store_checkpoint(struct store *store);
/* Checkpoints, sets the clean mark (durably, last) when asked, frees. */
int store_close(struct store *store, bool clean);
/* Frees; writes nothing. */
void store_abandon(struct store *store);

#endif

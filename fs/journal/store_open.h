/* store_open.h — creating, checking and opening the journal's database; internal to fs/journal. */
#ifndef FS_JOURNAL_STORE_OPEN_H
#define FS_JOURNAL_STORE_OPEN_H

#include "fs/journal/journal.h"
#include "fs/journal/sql.h"

/* As store_open, but the clean mark is off in the log only, and not durably yet. */
int store_open_database(struct sql **out, const struct journal_host *host, const char *dir,
			const char *volume, struct journal_info *info, struct error *error);

#endif

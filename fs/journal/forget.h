/* forget.h — takes rows out of a journal that no process has open. Threads: one; blocks. */
#ifndef FS_JOURNAL_FORGET_H
#define FS_JOURNAL_FORGET_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* All of them or none; durable when it returns. Their data files go at the next mount. dir: as for
 * journal_open, whose lock the caller holds. Errors (message set): as in sql.h. */
int journal_forget(const char *dir, const uint64_t *inos, size_t count, struct error *error);

#endif

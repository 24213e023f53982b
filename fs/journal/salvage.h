/* salvage.h — reads what can be read of a journal, whole or damaged, and never changes it.
 *
 * The database and its log are copied, bad sectors as zeros; what SQLite then refuses is skipped,
 * row by row. Rows are not protected by checksums: what a callback gets may be nonsense, and has
 * only the shape of a row. Threads: one.
 */
#ifndef FS_JOURNAL_SALVAGE_H
#define FS_JOURNAL_SALVAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "fs/journal/journal.h"

struct salvage {
	bool whole;	   /* nothing had to be skipped */
	char problem[300]; /* the first thing that was wrong; "" */
	char volume[1200]; /* as journal_open was told; "" when it cannot be read */
	uint64_t rows;	   /* of nodes */
	bool is_there;	   /* there was a database at all */
};

/* scratch: an empty directory, in which the copies are made and left. node is told each row once,
 * in no order, with the dirty ranges that could be read (meta and headers are NULL); non-zero from
 * it ends the reading. Damage is no error. Errors (message set): of the scratch directory, -ENOMEM.
 */
int salvage_read(const char *dir, const char *scratch,
		 int (*node)(void *context, const struct journal_node *node,
			     const struct extent_set *dirty),
		 void *context, struct salvage *out, struct error *error);

#endif

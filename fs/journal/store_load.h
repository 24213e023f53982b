/* store_load.h — reading everything out of the journal's database; internal to fs/journal. */
#ifndef FS_JOURNAL_STORE_LOAD_H
#define FS_JOURNAL_STORE_LOAD_H

#include "fs/journal/journal.h"
#include "fs/journal/sql.h"

/* As journal_load. */
int load_database(struct sql *sql, const struct journal_loader *loader);
/* A row of NODE_COLUMNS, but for meta and headers. Strings live until the next step. Returns the
 * column after the last that it reads. */
int load_columns(struct sql_statement *row, struct journal_node *node);

#endif

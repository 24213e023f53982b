/* meta_blob.h — struct os_meta as bytes for one column of the journal. Pure; no I/O.
 *
 * Format: one byte 1 (version), the number of items, then name and value of each; every number and
 * every length is 32 bits, little endian. Bytes are taken as they are, so that names and values
 * need no escapes.
 */
#ifndef FS_JOURNAL_META_BLOB_H
#define FS_JOURNAL_META_BLOB_H

#include <stddef.h>

#include "common/s3/objstore.h"

/* More than any server accepts (OS_META_BYTES_MAX); a bound for what a damaged database may ask
 * for. */
enum { META_BLOB_MAX = 1 << 20 };

size_t meta_blob_size(const struct os_meta *meta);
/* out has meta_blob_size bytes. */
void meta_blob_encode(const struct os_meta *meta, void *out);
/* meta must be empty and stays so on failure. Errors: -EUCLEAN (not such a blob), -ENOMEM. */
int meta_blob_decode(const void *data, size_t len, struct os_meta *meta);

#endif

/* orphan.h — multipart uploads that nobody will finish. They are invisible, and their parts are
 * billed, so they are ended for certain.
 *
 * Each upload of ours has an intent in the journal (INTENT_MPU; source: the key) from before it is
 * asked for until it was completed or aborted, on the disk, so that a power loss leaves none
 * behind:
 *
 *   target      etag
 *   ""          wall clock, ns, decimal   CreateMultipartUpload may be under way since then
 *   upload id   put-id of its object      parts are sent; the next mount can go on with it
 *   upload id   ""                        its end has begun: the next mount aborts it
 *
 * Threads: owner thread.
 */
#ifndef FS_UPLOAD_ORPHAN_H
#define FS_UPLOAD_ORPHAN_H

#include "fs/upload/upload.h"

/* Aborts, and looks whether parts that were under way have landed behind the abort
 * (AbortMultipartUpload API page). In a fiber. Errors: as os_result; gone already is success. */
int orphan_abort(struct uploader *uploader, const char *key, const char *upload_id);
/* Tries again for an hour, in a fiber of its own, then drops the intent. What is left after that is
 * for the next mount. */
void orphan_abort_later(struct uploader *uploader, const char *key, const char *upload_id,
			uint64_t intent);

/* A CreateMultipartUpload whose reply was lost may have made an upload whose id nobody has heard.
 * Aborts those of exactly this key that began since then (wall clock here; the server's may differ)
 * and no later than such a request lives, that have no parts and that no one here works on. One of
 * another node that fits by chance begins again there (NoSuchUpload). In a fiber of its own, at
 * once and for some minutes: the server may carry the request out late, and one that was found may
 * be that of another such request. intent says so in the journal, and is dropped in the end. */
void orphan_find_later(struct uploader *uploader, const char *key, int64_t since, uint64_t intent);

#endif

/* multipart.h — a multipart upload whose parts may go before the file is finished.
 *
 * A part holds what its range was when it was read. Who changes a range calls multipart_touch, and
 * that part is sent again before the upload is completed: what is published is one state of the
 * file, never a mix.
 *
 * Threads: owner thread. The upload id is in the journal (INTENT_MPU) from before the first part
 * until the upload was completed or aborted.
 */
#ifndef FS_UPLOAD_MULTIPART_H
#define FS_UPLOAD_MULTIPART_H

#include "fs/upload/upload.h"

struct multipart_part {
	uint64_t start, end;
	bool running, done, stale;
	char etag[OS_ETAG_MAX];
};

struct multipart {
	struct uploader *uploader;
	char *key;
	char upload_id[OS_UPLOAD_ID_MAX];
	uint64_t intent;
	struct os_meta meta; /* as sent */
	struct multipart_part *parts;
	size_t count;
	unsigned running;
	struct wait_queue changed;     /* a part ended */
	struct upload_outcome failure; /* err: the first failure of a part */
};

/* Creates the upload. In a fiber. Errors: as os_result or of the journal, outcome filled. */
int multipart_begin(struct uploader *uploader, const char *key, const struct os_meta *meta,
		    const struct os_meta *headers, const char *content_type,
		    struct upload_outcome *outcome, struct multipart **out);
/* Starts to send part index (0-based, [start, end) of body). Does not wait. blob: kept open
 * meanwhile; may be NULL. Errors: -ENOMEM, -EFBIG. */
int multipart_send(struct multipart *multipart, size_t index, uint64_t start, uint64_t end,
		   const struct os_source *body, struct blob *blob);
/* Starts the copy of the same range of source (its version etag). */
int multipart_send_copy(struct multipart *multipart, size_t index, uint64_t start, uint64_t end,
			const char *source, const char *etag);
void multipart_touch(struct multipart *multipart, uint64_t start, uint64_t end);
bool multipart_has(const struct multipart *multipart, size_t index, uint64_t start, uint64_t end);
void multipart_wait(struct multipart *multipart); /* until no part is under way */
/* Makes the object of the first count parts, all of them done. *ambiguous: it may have been made
 * although outcome says that it failed. In a fiber. */
void multipart_complete(struct multipart *multipart, size_t count, struct os_condition condition,
			struct upload_outcome *outcome, bool *ambiguous);
/* Aborts unless completed, waits, frees. In a fiber. */
void multipart_end(struct multipart *multipart, bool completed);

#endif

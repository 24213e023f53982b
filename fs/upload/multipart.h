/* multipart.h — a multipart upload whose parts may go before the file is finished.
 *
 * A part holds what its range was when it was read. Who changes a range calls multipart_touch, and
 * that part is sent again before the upload is completed: what is published is one state of the
 * file, never a mix.
 *
 * An upload that a crash cut off goes on (multipart_adopt): each part that the server has is
 * compared with the bytes that it would be sent with, and only what differs, or cannot be compared,
 * is sent.
 *
 * Threads: owner thread. Intents in the journal: orphan.h.
 */
#ifndef FS_UPLOAD_MULTIPART_H
#define FS_UPLOAD_MULTIPART_H

#include "fs/upload/upload.h"

struct multipart_part {
	uint64_t start, end;
	bool running, done, stale;
	bool found;	     /* the server has it from before a crash; not compared yet */
	uint64_t found_size; /* of what it has */
	char etag[OS_ETAG_MAX];
};

struct multipart {
	struct uploader *uploader;
	struct list link; /* uploader->uploads */
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
/* Goes on with an upload that the journal knows of; the intent is the multipart's then. In a fiber.
 * Errors: as os_result; -ENOENT: it is gone. */
int multipart_adopt(struct uploader *uploader, const struct journal_intent *intent,
		    struct multipart **out);
/* That its object will bear; "" when there is none. */
const char *multipart_put_id(const struct multipart *multipart);
/* From now on the next mount must not go on with it: something else may become the object that
 * bears its put-id. In a fiber. Errors: of the journal. */
int multipart_seal(struct multipart *multipart);
/* Is what the server has of part index what body has in [start, end)? Then it counts as done. In a
 * fiber. */
bool multipart_verify(struct multipart *multipart, size_t index, uint64_t start, uint64_t end,
		      const struct os_source *body);
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
/* Frees it alone: the journal has it. No part is under way. */
void multipart_forget(struct multipart *multipart);

#endif

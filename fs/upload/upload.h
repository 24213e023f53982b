/* upload.h — one publication: an immutable view of a file becomes an object, or we learn why not.
 *
 * The order that makes it safe: the caller journals the put-id before it calls; a multipart
 * upload's id is journalled before the first part is sent; a lost reply and a failed condition are
 * resolved by HEAD and the put-id, never by guessing.
 *
 * Threads: owner thread, in a fiber. No lock is held.
 */
#ifndef FS_UPLOAD_UPLOAD_H
#define FS_UPLOAD_UPLOAD_H

#include "fs/cache/snapshot.h"
#include "fs/env.h"
#include "fs/upload/late.h"
#include "fs/upload/plan.h"

/* What the server does with conditional requests; found out by upload_probe. */
struct upload_capabilities {
	bool put_if_none_match, put_if_match; /* PutObject */
	bool complete;			      /* CompleteMultipartUpload, both conditions */
	bool copy;			      /* CopyObject, conditions on the destination */
	bool delete;			      /* DeleteObject, If-Match */
	bool racy;   /* it looks at conditions of PutObject, but two writers at once both win: then
			they count as missing */
	bool unsure; /* some answers did not come: this is not for keeps */
};

struct multipart;

struct uploader {
	struct env *env;
	struct upload_capabilities can;
	uint64_t part_size;
	unsigned width; /* parts of all uploads side by side */
	unsigned parts_running;
	struct wait_queue part_ended;
	uint64_t next_intent, reserved_intents;
	struct list uploads; /* struct multipart.link: those that this process works on */
	unsigned cleaning;   /* fibers of orphan.h that have not ended what they were started for */
	struct late_request late[LATE_REQUESTS]; /* of late.h: a ring */
	unsigned late_next;
};

void uploader_init(struct uploader *uploader, struct env *env, uint64_t part_size, unsigned width,
		   uint64_t next_intent);
uint64_t uploader_intent_id(struct uploader *uploader);

struct upload_job {
	const char *key;
	struct os_source body;	 /* the whole view */
	const char *base_etag;	 /* the version that is replaced; "" : there must be none */
	const char *base_put_id; /* that it bears; NULL or "": none, or not known */
	bool unconditional;	 /* conflict=overwrite */
	const char *put_id;	 /* also in meta */
	const struct os_meta *meta, *headers;
	const char *content_type;
	uint64_t base_len; /* bytes from the start that equal base_etag's outside of changed; 0: all
			      is new */
	const struct extent_set *changed;
	struct multipart **
		early; /* an upload that has begun already, taken over; NULL or *early NULL: none */
	/* private: those of an earlier attempt that came late, which is the base now */
	char own_base[OS_ETAG_MAX], own_base_put_id[PUT_ID_LEN + 1];
};

struct upload_outcome {
	int err; /* 0 published; -ESTALE a foreign version is there; -EFBIG; else as os_result */
	char etag[OS_ETAG_MAX]; /* of the published object; with -ESTALE: of the foreign one */
	char code[64], message[256];
	char put_id[PUT_ID_LEN + 1]; /* private: that the object at the key bears; "" */
	bool ambiguous;		     /* with err: the write may have been applied nevertheless */
	bool haunted;		     /* the end of some attempt was not seen: it may come late */
	bool meta_differs; /* published with the metadata of an upload that began earlier */
};

void upload_run(struct uploader *uploader, const struct upload_job *job,
		struct upload_outcome *outcome);

/* Which ranges upload_run will read, so that the caller can have them ready; as a plan the caller
 * frees. One part of the whole file when it goes by one PUT. Errors: -EFBIG, -ENOMEM. */
int upload_plan(const struct uploader *uploader, uint64_t size, uint64_t base_len,
		const struct extent_set *changed, struct plan *plan);

/* Server-side copy of a whole object, in parts above what one CopyObject takes (5 GiB). With a
 * put-id in meta a copy whose reply was lost is found again; without one, outcome.ambiguous tells.
 * -ESTALE: the source or the target is another version. */
struct copy_job {
	const char *source, *target;
	uint64_t size;
	const char *source_etag; /* "" : any */
	const char *target_etag; /* NULL: any; "" : must not exist; used where the server can */
	bool replace_meta;	 /* else the three below are those of the source */
	const struct os_meta *meta, *headers;
	const char *content_type;
};
void copy_run(struct uploader *uploader, const struct copy_job *job,
	      struct upload_outcome *outcome);

/* Tries conditional requests with scratch objects below prefix, those of PutObject in a race, and
 * removes them again. Sets can. Errors: the first request's failure (no permission to write, ..).
 */
int upload_probe(struct uploader *uploader, const char *prefix, struct os_result *failure,
		 void (*set_unquoted)(void *context, bool unquoted), void *context);

/* internal to fs/upload */
/* For a request that writes an object anew in the place of the one at key, or makes a copy of that
 * one without CopyObject: its tags would be lost. When *headers tell that it has any, *headers
 * becomes own, which has them in place of their number; the caller frees own in any case. Fails
 * with what GetObjectTagging said, outcome has it; an object that is gone has no tags. */
int upload_add_tags(struct uploader *uploader, const char *key, const struct os_meta **headers,
		    struct os_meta *own, struct upload_outcome *outcome);
bool os_meta_equal(const struct os_meta *a, const struct os_meta *b);
void upload_outcome_from(struct upload_outcome *outcome, const struct os_result *result);
void multipart_upload(struct uploader *uploader, const struct upload_job *job,
		      const struct plan *plan, struct upload_outcome *outcome, bool *ambiguous);
/* What is at the job's key now: OURS (its put-id and size), EARLIER (of an earlier attempt: it
 * takes the base's place), BASE (still what it is based on), FOREIGN, GONE, or UNKNOWN: the HEAD
 * failed. outcome gets ETag and put-id, or the failure. */
enum remote_state {
	REMOTE_OURS,
	REMOTE_EARLIER,
	REMOTE_BASE,
	REMOTE_FOREIGN,
	REMOTE_GONE,
	REMOTE_UNKNOWN,
};
enum remote_state upload_look(struct uploader *uploader, const struct upload_job *job,
			      struct upload_outcome *outcome);
struct os_condition upload_condition(const struct upload_job *job, bool supported_match,
				     bool supported_none);

#endif

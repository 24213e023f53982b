/* s3.h — the real object store: S3 over libcurl's multi interface.
 *
 * Threads: one network thread of its own runs curl_multi, signs and streams. Requests are handed
 * over by a queue; done is posted to the executor that was given. curl's header is included by
 * http.c alone.
 */
#ifndef COMMON_S3_S3_H
#define COMMON_S3_S3_H

#include "common/error.h"
#include "common/executor.h"
#include "common/options.h"
#include "common/s3/credentials.h"
#include "common/s3/objstore.h"

struct s3_config {
	const char *bucket;   /* NULL: only OS_BUCKETS */
	const char *endpoint; /* URL; NULL: AWS of the region */
	const char *region;   /* NULL: us-east-1 until the server says otherwise */
	enum path_style_mode path_style;
	const char *ca_file;		       /* NULL: the system's */
	unsigned connections;		       /* at most at once */
	const struct credentials *credentials; /* copied */
	/* Where the server says that the keys are not good any more: reads them again, at most once
	 * a second. On the network thread; out is the store's. NULL: they cannot be. */
	int (*reload)(void *context, struct credentials *out);
	void *reload_context;
	const char *user_agent; /* "s3mount/VERSION" */
};

/* Starts the network thread; no request is sent yet. Errors: malformed endpoint (-EINVAL), -ENOMEM.
 */
int s3_create(struct objstore **out, struct executor *executor, const struct s3_config *config,
	      struct error *error);

/* Old Ceph (before 17) compares If-Match of writes with the bare ETag. Any thread. */
void s3_set_unquoted_etags(struct objstore *store, bool unquoted);

/* Newer keys, copied; a request that failed for expired ones is repeated with them. Any thread.
 * Errors: -ENOMEM. */
int s3_set_credentials(struct objstore *store, const struct credentials *credentials);

/* Turns the failure of a first request into one clear sentence for a person: no such bucket, wrong
 * key or secret, clock skew (with by how much), wrong region (with the right one), unreachable, not
 * S3, TLS. Returns request->result.err, error filled. */
int s3_explain(const struct s3_config *config, const struct os_request *request,
	       struct error *error);

#endif

/* tags.c — tags of objects that are written anew; part of upload.h.
 *
 * CopyObject takes them along by itself. PutObject and multipart uploads do not, and no answer
 * tells more of them than their number: they cost a request, which only tagged objects need.
 */
#include <errno.h>
#include <stdio.h>

#include "common/s3/objstore.h"
#include "fs/upload/upload.h"

static int set_tags(struct os_meta *own, const struct os_meta *headers, const char *tags)
{
	int err = os_meta_copy(own, headers);

	if (!err)
		err = os_meta_set(own, OS_TAG_COUNT, NULL);
	return err ? err : os_meta_set(own, OS_TAGGING, tags);
}

int upload_add_tags(struct uploader *uploader, const char *key, const struct os_meta **headers,
		    struct os_meta *own, struct upload_outcome *outcome)
{
	struct os_request request = {.op = OS_TAGS, .key = key, .urgent = true};
	int err;

	if (!*headers || !os_meta_get(*headers, OS_TAG_COUNT))
		return 0;
	err = env_s3(uploader->env, &request);
	if (err && err != -ENOENT) {
		upload_outcome_from(outcome, &request.result);
		snprintf(outcome->message, sizeof(outcome->message),
			 "its tags, which would be lost: GetObjectTagging: %.180s",
			 request.result.message);
	} else {
		outcome->err = err = set_tags(own, *headers,
					      os_meta_get(&request.result.headers, OS_TAGGING));
	}
	os_request_free_result(&request);
	*headers = own;
	return err;
}

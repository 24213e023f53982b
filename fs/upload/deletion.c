#include "fs/upload/deletion.h"

#include <stdio.h>
#include <string.h>

#include "fs/upload/upload.h"

/* Servers give a request up long before. */
#define LATE (400 * NSEC_PER_SEC)

int deletion_run(struct uploader *uploader, struct os_request *request)
{
	int err = env_s3(uploader->env, request);
	const char *etag = request->condition.if_match;
	struct late_deletion *late;

	if (!etag || (!request->result.ambiguous && !request->result.repeated))
		return err;
	late = &uploader->late[uploader->late_next++ % LATE_DELETIONS];
	snprintf(late->key, sizeof(late->key), "%s", request->key);
	late->in_parts = strchr(etag, '-');
	late->until = env_after(uploader->env, LATE);
	return err;
}

bool deletion_wants_parts(const struct uploader *uploader, const char *key, uint64_t size)
{
	uint64_t now = env_now(uploader->env);

	for (unsigned i = 0; i < LATE_DELETIONS && size > 0; i++) {
		const struct late_deletion *late =
			&uploader->late[(uploader->late_next - 1 - i) % LATE_DELETIONS];

		if (late->until > now && strcmp(late->key, key) == 0)
			return !late->in_parts;
	}
	return false;
}

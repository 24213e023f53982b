#include "fs/upload/late.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/s3/digest.h"
#include "fs/upload/upload.h"

enum { READ_SIZE = 64 << 10 };

int late_run(struct uploader *uploader, struct os_request *request)
{
	int err = env_s3(uploader->env, request);
	const char *etag = request->condition.if_match;
	struct late_request *late;

	if (!etag || (!request->result.ambiguous && !request->result.repeated))
		return err;
	late = &uploader->late[uploader->late_next++ % LATE_REQUESTS];
	snprintf(late->key, sizeof(late->key), "%s", request->key);
	snprintf(late->etag, sizeof(late->etag), "%s", etag);
	late->until = env_after(uploader->env, LATE_LIFE);
	return err;
}

static bool has_parts(const char *etag)
{
	return strchr(etag, '-') != NULL;
}

/* etag NULL: of any object that goes by one request. */
static bool is_expected(const struct uploader *uploader, const char *key, const char *etag)
{
	uint64_t now = env_now(uploader->env);

	for (int i = 0; i < LATE_REQUESTS; i++) {
		const struct late_request *late = &uploader->late[i];

		if (late->until > now && strcmp(late->key, key) == 0 && !has_parts(late->etag) &&
		    (!etag || strcmp(late->etag, etag) == 0))
			return true;
	}
	return false;
}

bool late_meets_copy(const struct uploader *uploader, const char *key, const char *source_etag)
{
	bool known = source_etag[0] && !has_parts(source_etag);

	return is_expected(uploader, key, known ? source_etag : NULL);
}

/* As S3 tells it of an object without encryption; false: it could not be computed. */
static bool etag_of(const struct os_source *body, char etag[OS_ETAG_MAX])
{
	unsigned char hash[MD5_BYTES], *data = malloc(READ_SIZE);
	struct md5 *md5 = data ? md5_start() : NULL;
	struct buf text = BUF_INIT;
	uint64_t at = 0;
	bool ok = md5;

	while (ok && at < body->len) {
		size_t len = body->len - at < READ_SIZE ? (size_t)(body->len - at) : READ_SIZE;

		ok = body->read(body->context, data, len, at) == 0;
		if (ok)
			md5_update(md5, data, len);
		at += len;
	}
	if (md5)
		md5_finish(md5, hash);
	if (ok) {
		buf_putc(&text, '"');
		buf_put_hex(&text, hash, sizeof(hash));
		buf_putc(&text, '"');
		ok = !text.failed;
	}
	if (ok)
		snprintf(etag, OS_ETAG_MAX, "%s", buf_str(&text));
	buf_free(&text);
	free(data);
	return ok;
}

bool late_meets_body(const struct uploader *uploader, const char *key, const struct os_source *body)
{
	char etag[OS_ETAG_MAX];

	if (!is_expected(uploader, key, NULL))
		return false;
	return !etag_of(body, etag) || is_expected(uploader, key, etag);
}

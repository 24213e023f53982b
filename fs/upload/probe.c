/* probe.c — does this server honour conditional requests? Part of upload.h.
 *
 * Asking is the only way to know: some servers ignore conditions without a word. Each kind is tried
 * with a condition that must fail; only an answer of 412 (or 404 for If-Match on nothing) counts as
 * support.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/upload/upload.h"

struct probe {
	struct uploader *uploader;
	char key[OS_KEY_MAX + 64], other[OS_KEY_MAX + 64];
	char etag[OS_ETAG_MAX];
};

static const char wrong_etag[] = "\"00000000000000000000000000000000\"";

static int try_put(struct probe *probe, const char *key, struct os_condition condition,
		   struct os_result *failure)
{
	static const char text[] = "s3mount looks whether conditional requests work here\n";
	struct os_memory memory = {text, sizeof(text) - 1};
	struct os_request request = {
		.op = OS_PUT,
		.key = key,
		.condition = condition,
		.body = os_source_memory(&memory),
		.content_type = "text/plain",
		.urgent = true,
		.deadline = env_after(probe->uploader->env, 10 * NSEC_PER_SEC),
	};
	int err = env_s3(probe->uploader->env, &request);

	if (err == 0)
		memcpy(probe->etag, request.result.etag, OS_ETAG_MAX);
	if (failure)
		*failure = request.result; /* its strings are arrays; what it owns is freed below */
	os_request_free_result(&request);
	return err;
}

static bool try_copy(struct probe *probe)
{
	struct os_request request = {
		.op = OS_COPY,
		.key = probe->key,
		.source_key = probe->key,
		.condition.if_match = wrong_etag,
		.replace_meta = true,
	};
	int err = env_s3(probe->uploader->env, &request);

	os_request_free_result(&request);
	return err == -ESTALE;
}

static bool try_complete(struct probe *probe)
{
	static const char text[] = "part\n";
	struct os_memory memory = {text, sizeof(text) - 1};
	struct os_request create = {.op = OS_MPU_CREATE, .key = probe->other};
	struct os_part part = {.number = 1};
	struct os_request upload, complete, end;
	int err = env_s3(probe->uploader->env, &create);

	if (err) {
		os_request_free_result(&create);
		return false;
	}
	upload = (struct os_request){.op = OS_MPU_PART,
				     .key = probe->other,
				     .upload_id = create.result.upload_id,
				     .part_number = 1,
				     .body = os_source_memory(&memory)};
	err = env_s3(probe->uploader->env, &upload);
	memcpy(part.etag, upload.result.etag, OS_ETAG_MAX);
	os_request_free_result(&upload);
	complete = (struct os_request){.op = OS_MPU_COMPLETE,
				       .key = probe->other,
				       .upload_id = create.result.upload_id,
				       .parts = &part,
				       .part_count = 1,
				       .condition.if_match = wrong_etag};
	if (!err)
		err = env_s3(probe->uploader->env, &complete);
	os_request_free_result(&complete);
	end = (struct os_request){.op = err ? OS_MPU_ABORT : OS_DELETE,
				  .key = probe->other,
				  .upload_id = create.result.upload_id};
	env_s3(probe->uploader->env, &end);
	os_request_free_result(&end);
	os_request_free_result(&create);
	return err == -ESTALE;
}

static bool try_delete(struct probe *probe)
{
	struct os_request request = {
		.op = OS_DELETE, .key = probe->key, .condition.if_match = wrong_etag};
	int err = env_s3(probe->uploader->env, &request);

	os_request_free_result(&request);
	return err == -ESTALE;
}

/* If-Match with the right ETag must pass and with a wrong one must fail. */
static bool try_if_match(struct probe *probe)
{
	char etag[OS_ETAG_MAX];
	struct os_condition right = {.if_match = etag}, wrong = {.if_match = wrong_etag};

	memcpy(etag, probe->etag, sizeof(etag));
	return try_put(probe, probe->key, wrong, NULL) == -ESTALE &&
	       try_put(probe, probe->key, right, NULL) == 0;
}

int upload_probe(struct uploader *uploader, const char *prefix, struct os_result *failure,
		 void (*set_unquoted)(void *context, bool unquoted), void *context)
{
	struct probe probe = {.uploader = uploader};
	struct os_condition none = {NULL, false, NULL}, absent = {.if_none_match_any = true};
	struct upload_capabilities *can = &uploader->can;
	struct os_request cleanup;
	char id[PUT_ID_LEN + 1];
	int err;

	env_put_id(uploader->env, id);
	snprintf(probe.key, sizeof(probe.key), "%s.s3mount-probe-%s", prefix, id);
	snprintf(probe.other, sizeof(probe.other), "%s.s3mount-probe-%s-parts", prefix, id);
	err = try_put(&probe, probe.key, none, failure);
	if (err)
		return err;
	can->put_if_none_match = try_put(&probe, probe.key, absent, NULL) == -ESTALE;
	can->put_if_match = try_if_match(&probe);
	if (!can->put_if_match) {
		set_unquoted(context, true);
		can->put_if_match = try_if_match(&probe);
		if (!can->put_if_match)
			set_unquoted(context, false);
	}
	can->complete = try_complete(&probe);
	can->copy = try_copy(&probe);
	can->delete = try_delete(&probe);
	cleanup = (struct os_request){.op = OS_DELETE, .key = probe.key};
	env_s3(uploader->env, &cleanup);
	os_request_free_result(&cleanup);
	return 0;
}

#include "fs/upload/orphan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/upload/multipart.h"

enum { ABORTS_MAX = 3 };

/* Seconds before each attempt. */
static const unsigned abort_pauses[] = {1, 2, 5, 15, 60, 300, 900, 3600};
static const unsigned find_pauses[] = {0, 2, 15, 60, 300};

/* How long after its intent a CreateMultipartUpload may still be sent, and how exact the clocks
 * are: that of the Date header counts seconds. */
#define CREATE_LIFE (int64_t)(DEADLINE_SMALL + 60 * NSEC_PER_SEC)
#define CLOCK_STEPS (int64_t)(5 * NSEC_PER_SEC)

struct orphan {
	struct uploader *uploader;
	char *key, *upload_id; /* NULL: to be found */
	int64_t since;
	uint64_t intent;
	bool counted; /* in uploader->cleaning */
};

/* Our key has not the right to list, or the server cannot. */
static bool is_hopeless(int err)
{
	return err == -EACCES || err == -EOPNOTSUPP || err == -EINVAL;
}

/* -ENOENT: the upload is gone. 1: it has parts; 0: none. */
static int has_parts(struct uploader *uploader, const char *key, const char *upload_id)
{
	struct os_request list = {
		.op = OS_MPU_LIST_PARTS, .key = key, .upload_id = upload_id, .max_keys = 1};
	int err = env_s3(uploader->env, &list);
	int found = err ? err : list.result.entry_count > 0;

	os_request_free_result(&list);
	return found;
}

int orphan_abort(struct uploader *uploader, const char *key, const char *upload_id)
{
	int found = 1;

	for (int i = 0; i < ABORTS_MAX && found == 1; i++) {
		struct os_request request = {
			.op = OS_MPU_ABORT, .key = key, .upload_id = upload_id};
		int err = env_s3(uploader->env, &request);

		if (err && err != -ENOENT) {
			log_debug("cannot abort the multipart upload of %s: %s", key,
				  request.result.message);
			os_request_free_result(&request);
			return err;
		}
		os_request_free_result(&request);
		found = has_parts(uploader, key, upload_id);
	}
	if (found == 1)
		return -EBUSY;
	/* Who may not list parts has aborted all the same. */
	return found == 0 || found == -ENOENT || is_hopeless(found) ? 0 : found;
}

static void orphan_end(struct orphan *orphan)
{
	if (orphan->counted)
		orphan->uploader->cleaning--;
	free(orphan->key);
	free(orphan->upload_id);
	free(orphan);
}

static void orphan_settled(struct orphan *orphan)
{
	journal_drop_intent(orphan->uploader->env->journal, orphan->intent);
}

/* Without memory the intent stays, and the next mount sees to it. */
static void orphan_start(struct orphan orphan, const char *key, const char *upload_id,
			 void (*entry)(void *argument))
{
	struct orphan *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return;
	*copy = orphan;
	copy->counted = true;
	copy->uploader->cleaning++;
	copy->key = string_copy(key);
	copy->upload_id = upload_id ? string_copy(upload_id) : NULL;
	if (!copy->key || (upload_id && !copy->upload_id) ||
	    fiber_start(copy->uploader->env->fibers, entry, copy))
		orphan_end(copy);
}

static void keep_aborting(void *argument)
{
	struct orphan *orphan = argument;
	struct env *env = orphan->uploader->env;
	size_t count = sizeof(abort_pauses) / sizeof(abort_pauses[0]);
	int err = -EAGAIN;

	for (size_t i = 0; i < count && err; i++) {
		fiber_sleep_until(env_after(env, abort_pauses[i] * NSEC_PER_SEC), WAIT_PLAIN);
		err = orphan_abort(orphan->uploader, orphan->key, orphan->upload_id);
	}
	if (err)
		log_warning("cannot abort the multipart upload of %s: %s; the next mount will",
			    orphan->key, strerror(-err));
	else
		orphan_settled(orphan);
	orphan_end(orphan);
}

void orphan_abort_later(struct uploader *uploader, const char *key, const char *upload_id,
			uint64_t intent)
{
	orphan_start((struct orphan){.uploader = uploader, .intent = intent}, key, upload_id,
		     keep_aborting);
}

static bool is_known(const struct uploader *uploader, const char *upload_id)
{
	LIST_FOREACH (node, &uploader->uploads) {
		if (strcmp(container_of(node, struct multipart, link)->upload_id, upload_id) == 0)
			return true;
	}
	return false;
}

/* Clocks may differ: what is compared are ages. */
static bool fits(struct uploader *uploader, const struct os_entry *entry, const char *key,
		 int64_t since, int64_t server_now)
{
	int64_t now = executor_wall(uploader->env->executor);
	int64_t age = (server_now ? server_now : now) - entry->last_modified, wanted = now - since;

	return entry->upload_id && strcmp(entry->key, key) == 0 && entry->last_modified &&
	       age <= wanted + CLOCK_STEPS && age >= wanted - CREATE_LIFE &&
	       !is_known(uploader, entry->upload_id);
}

/* Returns how many of this page have gone. */
static int end_page(struct uploader *uploader, const struct os_result *page, const char *key,
		    int64_t since)
{
	int count = 0;

	for (size_t i = 0; i < page->entry_count; i++) {
		const struct os_entry *entry = &page->entries[i];

		if (!fits(uploader, entry, key, since, page->date) ||
		    has_parts(uploader, key, entry->upload_id) != 0 ||
		    orphan_abort(uploader, key, entry->upload_id))
			continue;
		log_info("a multipart upload of %s whose beginning was never answered was aborted",
			 key);
		count++;
	}
	return count;
}

/* Once. Returns how many there were, or an error as os_result. */
static int find(struct uploader *uploader, const char *key, int64_t since)
{
	struct os_request list = {.op = OS_MPU_LIST, .prefix = key};
	char *token = NULL;
	int count = 0, err;

	do {
		err = env_s3(uploader->env, &list);
		if (!err)
			count += end_page(uploader, &list.result, key, since);
	} while (env_next_page(&list, &token));
	return err ? err : count;
}

static void keep_looking(void *argument)
{
	struct orphan *orphan = argument;
	struct env *env = orphan->uploader->env;
	size_t count = sizeof(find_pauses) / sizeof(find_pauses[0]);
	int found = 0;

	for (size_t i = 0; i < count && !is_hopeless(found); i++) {
		fiber_sleep_until(env_after(env, find_pauses[i] * NSEC_PER_SEC), WAIT_PLAIN);
		found = find(orphan->uploader, orphan->key, orphan->since);
		/* What has been looked for once keeps nobody from unmounting. */
		if (found >= 0 && orphan->counted) {
			orphan->counted = false;
			orphan->uploader->cleaning--;
		}
	}
	if (found >= 0 || is_hopeless(found))
		orphan_settled(orphan);
	orphan_end(orphan);
}

void orphan_find_later(struct uploader *uploader, const char *key, int64_t since, uint64_t intent)
{
	orphan_start((struct orphan){.uploader = uploader, .since = since, .intent = intent}, key,
		     NULL, keep_looking);
}

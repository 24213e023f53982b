/* status.c — what is not in S3 yet, as JSON and as log lines. Part of vfs.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/log.h"
#include "fs/vfs/inode.h"

/* front.h bounds the whole; the last file of the list may take some thousand bytes. */
enum { STATUS_FILES = 20, STATUS_BYTES = 6000, ERROR_BYTES = 200 };

enum state {
	STATE_UPLOADING,
	STATE_WAITING, /* for its turn */
	STATE_OPEN,    /* somebody writes it: it goes when it is closed or synced */
	STATE_BLOCKED, /* an attempt failed, or something else must end first */
	STATES,
};

static const char *const state_names[] = {"uploading", "waiting", "open", "blocked"};

static enum state state_of(const struct inode *inode)
{
	if (inode->publishing)
		return STATE_UPLOADING;
	if (inode->retries > 0 || inode_is_frozen(inode))
		return STATE_BLOCKED;
	return inode->due == DEADLINE_NONE ? STATE_OPEN : STATE_WAITING;
}

static int64_t age_of(const struct inode *inode)
{
	return (executor_wall(inode->vfs->env->executor) - (int64_t)inode->dirty_since) /
	       (int64_t)NSEC_PER_SEC;
}

static void put_file(struct json_writer *json, const struct inode *inode, const char *key)
{
	uint64_t now = env_now(inode->vfs->env);
	char error[ERROR_BYTES];

	json_begin_object(json, NULL);
	json_put_string(json, "key", key);
	json_put_integer(json, "bytes", (int64_t)inode_size(inode));
	json_put_integer(json, "age", age_of(inode));
	json_put_string(json, "state", state_names[state_of(inode)]);
	json_put_bool(json, "publishing", inode->publishing);
	json_put_integer(json, "attempts_failed", inode->retries);
	if (inode->retries > 0) {
		snprintf(error, sizeof(error), "%s",
			 inode->failure_text ? inode->failure_text : "");
		json_put_string(json, "error", error);
	} else {
		json_put_string(json, "error",
				inode_is_frozen(inode) ? "a directory above is being renamed"
						       : NULL);
	}
	if (inode->retries > 0 && !inode->publishing && inode->due != DEADLINE_NONE)
		json_put_integer(json, "retry_in",
				 inode->due > now ? (int64_t)((inode->due - now) / NSEC_PER_SEC)
						  : 0);
	else
		json_put_null(json, "retry_in");
	json_end_object(json);
}

/* Those that are blocked first: what is wrong must not be cut off. */
static void put_pending(const struct vfs *vfs, struct json_writer *json)
{
	static const enum state order[] = {STATE_BLOCKED, STATE_UPLOADING, STATE_WAITING,
					   STATE_OPEN};
	unsigned count = 0;

	json_begin_array(json, "pending");
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		LIST_FOREACH (node, &vfs->dirty) {
			struct inode *inode = container_of(node, struct inode, dirty_link);
			char *key = NULL;

			if (count == STATUS_FILES || json->out->len > STATUS_BYTES)
				break;
			if (state_of(inode) != order[i] || inode_key(inode, &key))
				continue;
			put_file(json, inode, key);
			count++;
			free(key);
		}
	}
	json_end_array(json);
}

static void put_queue(const struct vfs *vfs, struct json_writer *json)
{
	int64_t counts[STATES] = {0}, oldest = 0;

	LIST_FOREACH (node, &vfs->dirty) {
		struct inode *inode = container_of(node, struct inode, dirty_link);

		if (!inode->parent)
			continue;
		counts[state_of(inode)]++;
		if (age_of(inode) > oldest)
			oldest = age_of(inode);
	}
	for (int i = 0; i < STATES; i++)
		json_put_integer(json, state_names[i], counts[i]);
	json_put_integer(json, "oldest_dirty_age", oldest);
}

static const char *writes_refused_because(const struct vfs *vfs)
{
	if (vfs->config.read_only)
		return vfs->config.read_only_because ? vfs->config.read_only_because
						     : "it is mounted read-only";
	if (vfs->write_stopped)
		return "the local disk of the cache failed; see the log, replace it, mount again";
	if (journal_is_full(vfs->env->journal))
		return "the disk of the cache is full; it goes on by itself when there is room";
	return NULL;
}

void vfs_status(struct vfs *vfs, struct buf *out)
{
	struct vfs_pending pending = vfs_pending(vfs);
	struct json_writer json = JSON_WRITER_INIT(out);
	const char *refused = writes_refused_because(vfs);

	json_begin_object(&json, NULL);
	json_put_string(&json, "volume", vfs->config.volume);
	json_put_string(&json, "cache_directory", vfs->config.cache_directory);
	json_put_integer(&json, "dirty_files", (int64_t)pending.files);
	json_put_integer(&json, "dirty_bytes", (int64_t)pending.bytes);
	json_put_integer(&json, "publishing", vfs->publishing);
	put_queue(vfs, &json);
	json_put_integer(&json, "cache_used", (int64_t)vfs->cache.used);
	json_put_integer(&json, "cache_limit", (int64_t)vfs->cache.limit);
	json_put_integer(&json, "dirty_limit", (int64_t)vfs->cache.dirty_limit);
	json_put_integer(&json, "published", (int64_t)vfs->published);
	json_put_integer(&json, "conflicts", (int64_t)vfs->conflicts);
	json_put_integer(&json, "failures", (int64_t)vfs->failures);
	json_put_integer(&json, "parked", (int64_t)vfs->parked);
	json_put_integer(&json, "hidden_keys", (int64_t)vfs->hidden);
	json_put_bool(&json, "recovering", vfs->recovering);
	json_put_bool(&json, "read_only", vfs->config.read_only);
	json_put_bool(&json, "damaged", vfs->config.read_only_because != NULL);
	json_put_bool(&json, "accepts_writes", !refused);
	json_put_string(&json, "writes_refused_because", refused);
	json_put_string(&json, "last_error", vfs->last_error_at ? vfs->last_error : NULL);
	json_put_integer(&json, "last_error_at", vfs->last_error_at / (int64_t)NSEC_PER_SEC);
	put_pending(vfs, &json);
	json_end_object(&json);
}

void vfs_log_pending(const struct vfs *vfs, unsigned max)
{
	LIST_FOREACH (node, &vfs->dirty) {
		struct inode *inode = container_of(node, struct inode, dirty_link);
		char *key = NULL;

		if (max-- == 0)
			return;
		if (inode_key(inode, &key) == 0)
			log_warning("not in S3 yet: %s (%llu bytes)", key,
				    (unsigned long long)inode_size(inode));
		free(key);
	}
}

/* status.c — what is not in S3 yet, as JSON and as log lines. Part of vfs.h. */
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/log.h"
#include "fs/vfs/inode.h"

enum { STATUS_FILES = 20, STATUS_BYTES = 8000 };

static void put_pending(const struct vfs *vfs, struct json_writer *json)
{
	int64_t now = executor_wall(vfs->env->executor);
	unsigned count = 0;

	json_begin_array(json, "pending");
	LIST_FOREACH (node, &vfs->dirty) {
		struct inode *inode = container_of(node, struct inode, dirty_link);
		char *key = NULL;

		if (count++ == STATUS_FILES || json->out->len > STATUS_BYTES)
			break;
		if (inode_key(inode, &key))
			continue;
		json_begin_object(json, NULL);
		json_put_string(json, "key", key);
		json_put_integer(json, "bytes", (int64_t)inode_size(inode));
		json_put_integer(json, "age",
				 (now - (int64_t)inode->dirty_since) / (int64_t)NSEC_PER_SEC);
		json_put_bool(json, "publishing", inode->publishing);
		json_put_integer(json, "attempts_failed", inode->retries);
		json_end_object(json);
		free(key);
	}
	json_end_array(json);
}

void vfs_status(struct vfs *vfs, struct buf *out)
{
	struct vfs_pending pending = vfs_pending(vfs);
	struct json_writer json = JSON_WRITER_INIT(out);

	json_begin_object(&json, NULL);
	json_put_string(&json, "volume", vfs->config.volume);
	json_put_integer(&json, "dirty_files", (int64_t)pending.files);
	json_put_integer(&json, "dirty_bytes", (int64_t)pending.bytes);
	json_put_integer(&json, "publishing", vfs->publishing);
	json_put_integer(&json, "cache_used", (int64_t)vfs->cache.used);
	json_put_integer(&json, "cache_limit", (int64_t)vfs->cache.limit);
	json_put_integer(&json, "dirty_limit", (int64_t)vfs->cache.dirty_limit);
	json_put_integer(&json, "published", (int64_t)vfs->published);
	json_put_integer(&json, "conflicts", (int64_t)vfs->conflicts);
	json_put_integer(&json, "failures", (int64_t)vfs->failures);
	json_put_integer(&json, "parked", (int64_t)vfs->parked);
	json_put_integer(&json, "hidden_keys", (int64_t)vfs->hidden);
	json_put_bool(&json, "accepts_writes", !vfs->write_stopped && !vfs->config.read_only);
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

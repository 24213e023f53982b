/* status.c — what is not in S3 yet, as JSON and as log lines. Part of vfs.h. */
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/vfs/inode.h"

enum { STATUS_FILES = 20 };

/* RFC 8259, section 7. Bytes that are not UTF-8 go through as they are: names are bytes. */
static void put_string(struct buf *json, const char *text)
{
	buf_putc(json, '"');
	for (; text && *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			buf_printf(json, "\\%c", c);
		else if (c < 0x20)
			buf_printf(json, "\\u%04x", c);
		else
			buf_putc(json, (char)c);
	}
	buf_putc(json, '"');
}

static void put_pending(const struct vfs *vfs, struct buf *json)
{
	int64_t now = executor_wall(vfs->env->executor);
	unsigned count = 0;

	buf_puts(json, ",\"pending\":[");
	LIST_FOREACH(node, &vfs->dirty)
	{
		struct inode *inode = container_of(node, struct inode, dirty_link);
		char *key = NULL;

		if (count == STATUS_FILES || json->len > 8000)
			break;
		if (inode_key(inode, &key))
			continue;
		buf_puts(json, count++ ? ",{\"key\":" : "{\"key\":");
		put_string(json, key);
		buf_printf(json, ",\"bytes\":%llu,\"age\":%.1f,\"publishing\":%s,\"attempts_failed\":%u}",
		           (unsigned long long)inode_size(inode),
		           (double)(now - (int64_t)inode->dirty_since) / (double)NSEC_PER_SEC,
		           inode->publishing ? "true" : "false", inode->retries);
		free(key);
	}
	buf_putc(json, ']');
}

void vfs_status(struct vfs *vfs, struct buf *json)
{
	struct vfs_pending pending = vfs_pending(vfs);

	buf_puts(json, "{\"volume\":");
	put_string(json, vfs->config.volume);
	buf_printf(json, ",\"dirty_files\":%llu,\"dirty_bytes\":%llu,\"publishing\":%u",
	           (unsigned long long)pending.files, (unsigned long long)pending.bytes,
	           vfs->publishing);
	buf_printf(json, ",\"cache_used\":%llu,\"cache_limit\":%llu,\"dirty_limit\":%llu",
	           (unsigned long long)vfs->cache.used, (unsigned long long)vfs->cache.limit,
	           (unsigned long long)vfs->cache.dirty_limit);
	buf_printf(json, ",\"published\":%llu,\"conflicts\":%llu,\"failures\":%llu,\"hidden_keys\":%llu",
	           (unsigned long long)vfs->published, (unsigned long long)vfs->conflicts,
	           (unsigned long long)vfs->failures, (unsigned long long)vfs->hidden);
	buf_printf(json, ",\"accepts_writes\":%s",
	           vfs->write_stopped || vfs->config.read_only ? "false" : "true");
	buf_puts(json, ",\"last_error\":");
	if (vfs->last_error_at)
		put_string(json, vfs->last_error);
	else
		buf_puts(json, "null");
	buf_printf(json, ",\"last_error_at\":%lld",
	           (long long)(vfs->last_error_at / (int64_t)NSEC_PER_SEC));
	put_pending(vfs, json);
	buf_puts(json, "}");
}

void vfs_log_pending(const struct vfs *vfs, unsigned max)
{
	LIST_FOREACH(node, &vfs->dirty)
	{
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

/* state.c — what became of one file, for people and scripts: user.s3mount.* attributes, and the
 * mark of conflict copies. Part of inode.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/vfs/inode.h"

/* An object's ETag without its quotes. */
static void put_etag(struct buf *out, const char *etag)
{
	size_t len = strlen(etag);

	if (len >= 2 && etag[0] == '"' && etag[len - 1] == '"')
		buf_append(out, etag + 1, len - 2);
	else
		buf_append(out, etag, len);
}

static int get_state(const struct inode *inode, struct buf *out)
{
	const char *state = "clean";

	if (inode_is_dirty(inode) && inode->retries > 0)
		state = inode->failure == -ESTALE ? "conflict" : "error";
	else if (inode->dirty_frozen && inode->publishing)
		state = "uploading";
	else if (inode_is_dirty(inode))
		state = "dirty";
	else if (os_meta_get(&inode->meta, META_CONFLICT))
		state = "conflict";
	buf_puts(out, state);
	return 0;
}

static int get_error(const struct inode *inode, struct buf *out)
{
	if (!inode_is_dirty(inode) || inode->retries == 0)
		return -ENODATA;
	buf_printf(out, "%s (%s), failed attempts: %u",
		   inode->failure_text ? inode->failure_text : "cannot upload",
		   strerror(-inode->failure), inode->retries);
	return 0;
}

static int get_etag(const struct inode *inode, struct buf *out)
{
	if (!inode->etag || !inode->etag[0])
		return -ENODATA;
	put_etag(out, inode->etag);
	return 0;
}

static int get_pending(const struct inode *inode, struct buf *out)
{
	const struct content *content = inode->content;
	uint64_t bytes = 0;

	/* What is frozen may be changed again: it will be sent again. */
	if (content && inode_is_dirty(inode))
		bytes = extent_total(&content->changed) + extent_total(&content->frozen);
	buf_printf(out, "%llu", (unsigned long long)bytes);
	return 0;
}

static int get_conflict(const struct inode *inode, struct buf *out)
{
	const char *mark = os_meta_get(&inode->meta, META_CONFLICT);

	if (!mark)
		return -ENODATA;
	buf_puts(out, mark);
	return 0;
}

int state_get(const struct inode *inode, const char *name, struct buf *out)
{
	static const struct {
		const char *name;
		int (*get)(const struct inode *inode, struct buf *out);
	} table[] = {
		{STATE_PREFIX "state", get_state},	 {STATE_PREFIX "error", get_error},
		{STATE_PREFIX "etag", get_etag},	 {STATE_PREFIX "pending", get_pending},
		{STATE_PREFIX "conflict", get_conflict},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].get(inode, out);
	return -ENODATA;
}

void state_note_failure(struct inode *inode, int err, const char *text)
{
	inode->failure = err;
	free(inode->failure_text);
	inode->failure_text = string_copy(text);
}

/* Host names are ASCII as a rule; a header's value has to be. */
static void put_word(struct buf *out, const char *word, size_t max)
{
	for (; *word && max; word++, max--)
		buf_putc(out, *word > ' ' && *word < 0x7f ? *word : '_');
}

void state_mark_conflict(struct inode *inode)
{
	enum { NODE_MAX = 48, ETAG_MAX = 48 };
	time_t now = (time_t)(executor_wall(inode->vfs->env->executor) / (int64_t)NSEC_PER_SEC);
	struct buf mark = BUF_INIT, base = BUF_INIT;
	struct os_meta whole = OS_META_INIT;
	char when[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	put_etag(&base, inode->etag && inode->etag[0] ? inode->etag : "none");
	buf_puts(&mark, "node=");
	put_word(&mark, inode->vfs->config.node, NODE_MAX);
	buf_printf(&mark, " time=%s base=", when);
	put_word(&mark, buf_str(&base), ETAG_MAX);
	/* Metadata of others may leave no room: better no mark than no copy. The log has it all. */
	if (base.failed || mark.failed ||
	    os_meta_set(&inode->meta, META_CONFLICT, buf_str(&mark)) ||
	    publish_metadata(inode, &whole))
		os_meta_set(&inode->meta, META_CONFLICT, NULL);
	os_meta_free(&whole);
	buf_free(&base);
	buf_free(&mark);
}

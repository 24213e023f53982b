/* durable.c — what is dirty, on this node's disk such that it survives power loss. Part of inode.h.
 *
 * Who calls fsync waits for it. Besides, what has been dirty for a while is made durable without
 * anybody waiting, so that a power loss costs the last seconds and not the hours that S3 was away:
 * after it, recovery publishes nothing that a row does not say to be whole (load.c). Where an
 * upload is done within that time nothing is synced at all.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "fs/vfs/inode.h"

/* Who closes without waiting for S3 has been promised less, so he gets it sooner. */
#define KEEP_AFTER	 (5 * NSEC_PER_SEC)
#define KEEP_AFTER_LOCAL NSEC_PER_SEC

static uint64_t keep_after(const struct vfs *vfs)
{
	return vfs->config.close == PUBLISH_LOCAL ? KEEP_AFTER_LOCAL : KEEP_AFTER;
}

/* Before the row that says so. */
int inode_sync_data(struct inode *inode, bool promise)
{
	int err = inode->content ? content_sync(inode->content, promise) : 0;

	if (err) {
		inode->suspect = true;
		change_journal(inode);
		local_disk_failed(
			inode, err,
			"fsync of the cache failed; no more writes are accepted, and this "
			"file is not uploaded until it is written anew");
	}
	return err;
}

int inode_make_durable(struct inode *inode, enum journal_level level)
{
	int err = 0;

	if (level == JOURNAL_DURABLE && inode->content && inode_is_dirty(inode))
		err = inode_sync_data(inode, true);
	if (err)
		return err;
	if (inode_is_dirty(inode))
		change_journal(inode);
	if (!inode->dirty_sequence)
		return 0;
	return journal_wait(inode->vfs->env->journal, inode->dirty_sequence, level);
}

int inode_keep_fetched(struct inode *inode)
{
	const struct content *content = inode->content;

	return content && content->promised && !content->synced_whole ? inode_sync_data(inode, true)
								      : 0;
}

static bool is_owed(const struct inode *inode)
{
	const struct content *content = inode->content;

	return ((inode->dirty | inode->dirty_frozen) & NODE_DIRTY_DATA) && inode->parent &&
	       content &&
	       !(inode->row_synced && content_is_synced(content) &&
		 content->synced_size == content->size);
}

/* One that has waited long enough; NULL: there is none now. later: there will be. */
static struct inode *next_to_keep(struct vfs *vfs, bool *later)
{
	uint64_t now = env_now(vfs->env);

	*later = false;
	LIST_FOREACH (node, &vfs->dirty) {
		struct inode *inode = container_of(node, struct inode, dirty_link);

		if (!is_owed(inode))
			continue;
		if (now >= inode->kept_at + keep_after(vfs))
			return inode;
		*later = true;
	}
	return NULL;
}

static void keep(void *argument)
{
	struct vfs *vfs = argument;
	struct inode *inode;
	uint64_t sequence = 0;
	bool later = false;
	int err = 0;

	while (!err && !vfs->write_stopped && (inode = next_to_keep(vfs, &later))) {
		inode_get(inode);
		inode->kept_at = env_now(vfs->env); /* a writer may be faster: not again at once */
		err = inode_sync_data(inode, false);
		if (!err && inode_is_dirty(inode))
			change_journal(inode);
		sequence = inode->dirty_sequence;
		inode_put(inode);
	}
	if (!err && sequence)
		err = journal_wait(vfs->env->journal, sequence, JOURNAL_DURABLE);
	vfs->keeping = false;
	if (!err && later)
		durable_expect(vfs);
}

void durable_fired(struct timer *timer)
{
	struct vfs *vfs = container_of(timer, struct vfs, keeper);

	vfs->keeping = true;
	if (fiber_start(vfs->env->fibers, keep, vfs)) {
		vfs->keeping = false;
		durable_expect(vfs);
	}
}

void durable_expect(struct vfs *vfs)
{
	if (!vfs->keeping && !vfs->write_stopped && !timer_is_set(&vfs->keeper))
		timer_set(vfs->env->executor, &vfs->keeper, env_after(vfs->env, keep_after(vfs)));
}

int vfs_make_durable(struct vfs *vfs)
{
	bool later;
	int err = 0;

	LIST_FOREACH (node, &vfs->dirty) {
		container_of(node, struct inode, dirty_link)->kept_at = 0;
	}
	while (vfs->keeping)
		fiber_sleep_until(env_after(vfs->env, 10 * NSEC_PER_MSEC), WAIT_PLAIN);
	timer_cancel(vfs->env->executor, &vfs->keeper);
	vfs->keeping = true;
	keep(vfs);
	timer_cancel(vfs->env->executor, &vfs->keeper);
	if (vfs->write_stopped || next_to_keep(vfs, &later) || later)
		err = -EIO;
	return err ? err : journal_error(vfs->env->journal);
}

/* publish.c — when an inode goes to S3, and what follows from how that ended. Part of inode.h.
 *
 * dirty --(due, a place is free)--> frozen + publishing --> clean, or dirty again when it was
 * changed meanwhile, or after a failure. A failure that time heals is tried again; one that does
 * not is kept for the caller of the next fsync or close, and tried again slowly.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "fs/vfs/inode.h"

enum { PUBLISH_PARALLEL = 16, SCAN_MAX = 64 };
#define ATTRIBUTES_LATER (NSEC_PER_SEC / 2)
#define RETRY_FIRST	 (NSEC_PER_SEC / 2)
#define RETRY_MAX	 (30 * NSEC_PER_SEC)
#define RETRY_HOPELESS	 (60 * NSEC_PER_SEC)

bool publish_heals(int err)
{
	switch (err) {
	case -ECANCELED:
	case -ENOMEM:
	case -ENOSPC: /* of the local disk */
	case -EAGAIN: return true;
	default: return env_s3_heals(err);
	}
}

void vfs_report(struct vfs *vfs, const struct inode *inode, int err, const char *text)
{
	char *key = NULL;

	if (inode && inode_key(inode, &key))
		key = NULL;
	snprintf(vfs->last_error, sizeof(vfs->last_error), "%s%s%s (%s)", key ? key : "",
		 key ? ": " : "", text, strerror(-err));
	vfs->last_error_at = executor_wall(vfs->env->executor);
	log_error("%s: %s", vfs->config.volume, vfs->last_error);
	free(key);
}

int inode_take_error(struct inode *inode)
{
	int err = inode->error;

	inode->error = 0;
	return err;
}

static void note_failure(struct inode *inode, const struct upload_outcome *outcome)
{
	struct vfs *vfs = inode->vfs;
	uint64_t delay = RETRY_FIRST << (inode->retries < 6 ? inode->retries : 6);
	const char *text = outcome->message[0] ? outcome->message : "cannot upload";
	bool heals = publish_heals(outcome->err) && !inode->suspect && !inode->misplaced;

	if (delay > RETRY_MAX)
		delay = RETRY_MAX;
	vfs->failures++;
	/* The file may change before the next attempt, and what this one made must not pass for
	 * that. */
	if (outcome->ambiguous)
		inode->resolve_first = true;
	if (inode->retries == 0 || !heals)
		vfs_report(vfs, inode, outcome->err, text);
	if (inode->retries < 100)
		inode->retries++;
	state_note_failure(inode, outcome->err, text);
	if (!heals) {
		inode->error = outcome->err;
		/* Keys are renewed, and rights given back. */
		if (outcome->err != -EACCES)
			delay = RETRY_HOPELESS;
	}
	inode->due = env_after(vfs->env, delay);
}

/* After a success: nothing more to do, or what was changed meanwhile under a new put-id. */
static void note_success(struct inode *inode)
{
	if (!inode_is_dirty(inode)) {
		change_settle(inode);
		return;
	}
	inode->retries = 0; /* also where it was a conflict that ended the attempt */
	put_id_next(inode->vfs->env, inode->put_id);
	change_journal(inode);
	/* What is open for writing goes when it is closed or synced. */
	if (inode->dirty & NODE_DIRTY_DATA)
		inode->due = inode->writers > 0 ? DEADLINE_NONE : 0;
	else
		inode->due = env_after(inode->vfs->env, ATTRIBUTES_LATER);
}

/* An attempt that succeeded after one whose end nobody saw leaves that one behind. */
static void note_haunted(struct inode *inode, const struct upload_outcome *outcome)
{
	if (outcome->haunted || outcome->ambiguous)
		inode->haunted_at = env_now(inode->vfs->env);
}

static void publisher(void *argument)
{
	struct inode *inode = argument;
	struct vfs *vfs = inode->vfs;
	struct upload_outcome outcome;

	publish_once(inode, &outcome);
	note_haunted(inode, &outcome);
	inode->publishing = false;
	vfs->publishing--;
	if (outcome.err)
		note_failure(inode, &outcome);
	else
		note_success(inode);
	wait_wake_all(&inode->published);
	wait_wake_all(&vfs->settled);
	publish_pump(vfs);
	inode_put(inode);
}

/* The first inode that is due; else NULL, and when the next will be. */
static struct inode *next_due(struct vfs *vfs, uint64_t *next)
{
	uint64_t now = env_now(vfs->env);
	unsigned scanned = 0;

	*next = DEADLINE_NONE;
	LIST_FOREACH (node, &vfs->dirty) {
		struct inode *inode = container_of(node, struct inode, dirty_link);

		/* Below a directory that is being renamed nothing may start: its key is in doubt.
		 */
		if (inode->publishing || inode_is_frozen(inode))
			continue;
		if (inode->due <= now)
			return inode;
		if (inode->due < *next)
			*next = inode->due;
		if (++scanned > SCAN_MAX) {
			if (*next > now + NSEC_PER_SEC)
				*next = now + NSEC_PER_SEC;
			break;
		}
	}
	return NULL;
}

void publish_pump(struct vfs *vfs)
{
	struct inode *inode;
	uint64_t next;

	/* A started publisher runs at once and may change the list, so each search begins anew. */
	while (vfs->publishing < PUBLISH_PARALLEL && (inode = next_due(vfs, &next))) {
		inode->publishing = true;
		vfs->publishing++;
		inode_get(inode);
		if (fiber_start(vfs->env->fibers, publisher, inode)) {
			inode->publishing = false;
			vfs->publishing--;
			inode_put(inode);
			next = env_after(vfs->env, 10 * NSEC_PER_MSEC);
			break;
		}
	}
	if (vfs->publishing < PUBLISH_PARALLEL && next != DEADLINE_NONE)
		timer_set(vfs->env->executor, &vfs->pump, next);
}

void publish_soon(struct inode *inode, uint64_t delay)
{
	uint64_t due = delay ? env_after(inode->vfs->env, delay) : 0;

	if (list_empty(&inode->dirty_link) || inode->retries > 0)
		return;
	if (due < inode->due)
		inode->due = due;
	if (due == 0) { /* somebody waits: to the front */
		list_remove(&inode->dirty_link);
		list_append(inode->vfs->dirty.next, &inode->dirty_link);
	}
	publish_pump(inode->vfs);
}

int publish_wait(struct inode *inode, uint64_t deadline, enum wait_mode mode)
{
	uint64_t target = inode->generation;
	int err = 0;

	while (inode_is_dirty(inode) && inode->published_generation < target && !inode->error) {
		publish_soon(inode, 0);
		if (!inode_is_dirty(inode) || inode->published_generation >= target)
			break;
		err = fiber_wait(&inode->published, deadline, mode);
		if (err)
			return err;
	}
	return inode_take_error(inode);
}

void publish_quiesce(struct inode *inode)
{
	while (inode->publishing)
		fiber_wait(&inode->published, DEADLINE_NONE, WAIT_PLAIN);
}

void publish_acquire(struct inode *inode)
{
	publish_quiesce(inode);
	inode->publishing = true;
}

void publish_release(struct inode *inode)
{
	inode->publishing = false;
	wait_wake_all(&inode->published);
	publish_pump(inode->vfs);
}

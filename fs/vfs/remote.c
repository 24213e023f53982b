/* remote.c — what S3 says about one name. Part of inode.h.
 *
 * An outage is never taken for a deletion: a name is gone only when the server answered 404 for the
 * object and an empty list for what could lie below it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/vfs/inode.h"

/* Takes strings that the result owned. */
static void take_meta(struct os_meta *to, const struct os_meta *from)
{
	os_meta_free(to);
	if (os_meta_copy(to, from))
		os_meta_free(to);
}

/* S3 tells Last-Modified in whole seconds: a version this young may be followed by another one with
 * the same time (as git minds with its index). */
#define RACY (2 * (int64_t)NSEC_PER_SEC)

void remote_apply(struct inode *inode, const struct os_result *result)
{
	bool same = inode->remote == REMOTE_PRESENT && inode->etag &&
		    strcmp(inode->etag, result->etag) == 0 && inode->remote_size == result->size;
	uint32_t type = inode->attributes.mode & S_IFMT;
	int64_t read_at = inode->attributes.atime;

	if (!same && !inode->directory) {
		if (inode->content)
			inode_drop_content(inode);
		inode->version++;
		free(inode->target);
		inode->target = NULL;
	}
	attributes_decode(&inode->attributes, &result->meta, result->content_type,
			  result->last_modified, inode->directory != NULL,
			  &inode->vfs->config.defaults);
	/* Reads are known here alone. */
	if (same && read_at > inode->attributes.atime)
		inode->attributes.atime = read_at;
	/* A type never changes under an inode number; a plain object that says it is a directory is
	 * one only where it is met first. */
	if ((inode->directory != NULL) != S_ISDIR(inode->attributes.mode))
		inode->attributes.mode = (inode->attributes.mode & 07777) | type;
	take_meta(&inode->meta, &result->meta);
	take_meta(&inode->headers, &result->headers);
	free(inode->content_type);
	inode->content_type = string_copy(result->content_type);
	inode_set_etag(inode, result->etag);
	inode->remote = REMOTE_PRESENT;
	inode->remote_size = inode->size = result->size;
	inode->remote_modified = 0;
	if (executor_wall(inode->vfs->env->executor) - result->last_modified > RACY)
		inode->remote_modified = result->last_modified;
	inode->attributes_known = true;
}

/* Is there any key below the prefix key ("a/b/")? 1, 0 or an error. */
static int exists_below(struct vfs *vfs, const char *key)
{
	struct os_request list = {.op = OS_LIST, .prefix = key, .max_keys = 1, .urgent = true};
	int err = env_s3(vfs->env, &list);
	int found = err ? err : list.result.entry_count > 0;

	os_request_free_result(&list);
	return found;
}

static void imply(struct inode *directory)
{
	struct os_meta none = OS_META_INIT;

	directory->remote = REMOTE_IMPLIED;
	inode_set_etag(directory, NULL);
	if (!directory->attributes_known)
		attributes_decode(&directory->attributes, &none, "", 0, true,
				  &directory->vfs->config.defaults);
	directory->attributes_known = true;
}

/* Files this small come whole instead of their HEAD: who looks a file up mostly reads it next. */
enum { WHOLE_MAX = 32 * 1024 };

struct whole {
	size_t len, capacity;
	char data[];
};

static int take_whole(void *context, const void *data, size_t len, uint64_t offset)
{
	struct whole *whole = context;

	if (offset + len > whole->capacity)
		return -EFBIG;
	memcpy(whole->data + offset, data, len);
	if (offset + len > whole->len)
		whole->len = offset + len;
	return 0;
}

static bool comes_whole(const struct inode *inode)
{
	return S_ISREG(inode->attributes.mode) && inode->remote == REMOTE_PRESENT &&
	       !inode->content && inode->remote_size > 0 && inode->remote_size <= WHOLE_MAX;
}

/* The bytes that came along become the content; failing that they are fetched when they are read.
 */
static void keep_whole(struct inode *inode, const struct whole *whole)
{
	if (inode->content || whole->len != inode->remote_size || !S_ISREG(inode->attributes.mode))
		return;
	if (inode_open_content(inode))
		return;
	if (content_fill(inode->content, whole->data, whole->len))
		inode_drop_content(inode);
	else if (inode->opens == 0)
		content_idle(inode->content);
}

/* The inode's own key by HEAD, or by GET. -ENOENT: gone. */
static int refresh_now(struct inode *inode, const char *key)
{
	struct vfs *vfs = inode->vfs;
	uint64_t started = env_now(vfs->env), change = vfs->change;
	struct whole *whole = comes_whole(inode) ? malloc(sizeof(*whole) + WHOLE_MAX) : NULL;
	struct os_request head = {.op = OS_HEAD, .key = key, .urgent = true};
	int err;

	if (whole) {
		whole->len = 0;
		whole->capacity = WHOLE_MAX;
		head.op = OS_GET;
		head.sink = (struct os_sink){take_whole, whole};
	}
	if (inode->attributes_known)
		head.deadline = env_after(vfs->env, DEADLINE_REFRESH);
	err = env_s3(vfs->env, &head);
	if (err == -EFBIG) { /* it has grown */
		os_request_free_result(&head);
		head = (struct os_request){.op = OS_HEAD, .key = key, .urgent = true};
		err = env_s3(vfs->env, &head);
	}
	if (err == 0 && inode->changed <= change && !inode_is_local(inode) &&
	    !inode_has_moved(inode, key)) {
		remote_apply(inode, &head.result);
		if (whole && head.op == OS_GET)
			keep_whole(inode, whole);
	}
	free(whole);
	if (err == -ENOENT && inode->directory) {
		int below = exists_below(vfs, key);

		err = below < 0 ? below : below || inode_holds_local(inode) ? 0 : -ENOENT;
		if (err == 0 && inode->changed <= change && !inode_is_local(inode) &&
		    !inode_has_moved(inode, key))
			imply(inode);
	}
	if ((err == 0 || err == -ENOENT) && inode_has_moved(inode, key))
		err = 0; /* what was found, or not, is not this; it is as it was before the move */
	else if (err == 0)
		inode->confirmed_at = started;
	if (err && err != -ENOENT)
		log_debug("HEAD %s: %s", key, head.result.message);
	os_request_free_result(&head);
	return err;
}

int remote_refresh(struct inode *inode)
{
	char *key;
	int err;

	if (inode == inode->vfs->root) {
		inode->confirmed_at = env_now(inode->vfs->env);
		return 0;
	}
	if (inode->attributes_known && env_is_away(inode->vfs->env))
		return 0;
	err = inode_key(inode, &key);
	if (err)
		return err == -ENOENT ? -ESTALE : err;
	err = refresh_now(inode, key);
	free(key);
	/* P6: what is cached stays readable while S3 is away. */
	if (err && err != -ENOENT && inode->attributes_known) {
		log_debug("serving what is known of inode %llu: %s", (unsigned long long)inode->ino,
			  strerror(-err));
		return 0;
	}
	return err;
}

struct resolve {
	struct s3_batch_item file, below;
	struct s3_batch_item marker;
};

/* HEAD of the object and a list of one key below it go out together: most names are one of the two.
 */
static int ask(struct inode *parent, const char *file_key, const char *dir_key,
	       struct resolve *resolve)
{
	struct env *env = parent->vfs->env;
	struct s3_batch batch;

	s3_batch_init(&batch, env, 3);
	resolve->file.request = (struct os_request){.op = OS_HEAD, .key = file_key, .urgent = true};
	resolve->below.request = (struct os_request){
		.op = OS_LIST, .prefix = dir_key, .max_keys = 1, .urgent = true};
	s3_batch_submit(&batch, &resolve->file);
	s3_batch_submit(&batch, &resolve->below);
	s3_batch_wait(&batch);
	if (resolve->below.request.result.err)
		return resolve->below.request.result.err;
	if (resolve->below.request.result.entry_count > 0) {
		resolve->marker.request = (struct os_request){
			.op = OS_HEAD, .key = dir_key, .urgent = true};
		env_s3(env, &resolve->marker.request);
		return 0;
	}
	return resolve->file.request.result.err;
}

static int link_found(struct inode *parent, const char *name, const struct resolve *resolve,
		      uint64_t started, struct inode **out)
{
	bool directory = resolve->below.request.result.entry_count > 0;
	const struct os_result *head = directory ? &resolve->marker.request.result
						 : &resolve->file.request.result;
	struct inode *child = inode_child(parent, name);

	if (directory && head->err && head->err != -ENOENT)
		return head->err;
	if (child) { /* somebody else was faster */
		*out = inode_get(child);
		return 0;
	}
	child = inode_new(parent, name, directory ? S_IFDIR : S_IFREG);
	if (!child)
		return -ENOMEM;
	if (head->err == 0)
		remote_apply(child, head);
	else
		imply(child);
	child->confirmed_at = started;
	if (inode_link(child, parent, name)) {
		inode_put(child);
		return -ENOMEM;
	}
	*out = child;
	return 0;
}

static int resolve_once(struct inode *parent, const char *name, struct inode **out)
{
	uint64_t started = env_now(parent->vfs->env), change = parent->vfs->change;
	struct resolve *resolve = calloc(1, sizeof(*resolve));
	char *parent_key = NULL, *file_key = NULL, *dir_key = NULL;
	int err = resolve ? 0 : -ENOMEM;

	if (!err)
		err = inode_key(parent, &parent_key);
	if (!err)
		err = inode_child_key(parent, name, false, &file_key);
	if (!err)
		err = inode_child_key(parent, name, true, &dir_key);
	if (!err)
		err = ask(parent, file_key, dir_key, resolve);
	if ((!err || err == -ENOENT) && dir_key && inode_has_moved(parent, parent_key))
		err = -EAGAIN;
	if (!err)
		err = parent->changed > change && !inode_child(parent, name)
			      ? -EAGAIN
			      : link_found(parent, name, resolve, started, out);
	if (resolve) {
		os_request_free_result(&resolve->file.request);
		os_request_free_result(&resolve->below.request);
		os_request_free_result(&resolve->marker.request);
	}
	free(resolve);
	free(parent_key);
	free(file_key);
	free(dir_key);
	return err;
}

/* The answer is from before a name was removed or moved here while it was on its way, or about a
 * key that is not the name's any more: it is asked for again. */
int remote_resolve(struct inode *parent, const char *name, struct inode **out)
{
	enum { TURNS = 4 };
	int err = -EAGAIN;

	for (int turn = 0; err == -EAGAIN && turn < TURNS; turn++) {
		if (turn > 0)
			inode_wait_thawed(parent);
		err = resolve_once(parent, name, out);
	}
	return err;
}

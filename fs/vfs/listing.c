/* listing.c — what S3 says about a directory: one ListObjectsV2 per 1,000 names, attributes by
 * HEADs side by side when somebody asks for them in order. Part of inode.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/key.h"

enum { LIST_PAGE = 1000 };

struct listing {
	struct inode *directory;
	uint64_t started, change;
	struct inode **order;
	size_t count, capacity;
	bool marker;   /* the directory's own object was among the keys */
	bool shadowed; /* a file had the name of a directory */
	size_t hidden;
	char *unseen; /* as in struct directory */
};

static int note_child(struct listing *listing, struct inode *child)
{
	if (listing->count > 0 && listing->order[listing->count - 1] == child)
		return 0;
	if (listing->count == listing->capacity) {
		size_t capacity = listing->capacity ? listing->capacity * 2 : 64;
		struct inode **order = realloc(listing->order, capacity * sizeof(struct inode *));

		if (!order)
			return -ENOMEM;
		listing->order = order;
		listing->capacity = capacity;
	}
	listing->order[listing->count++] = child;
	return 0;
}

/* Its place in the order goes with it, as order holds no reference. */
static void forget_child(struct listing *listing, struct inode *child)
{
	size_t kept = 0;

	for (size_t i = 0; i < listing->count; i++)
		if (listing->order[i] != child)
			listing->order[kept++] = listing->order[i];
	listing->count = kept;
	inode_vanish(child);
}

/* What a listing tells of a file that we know: the same version, or another. Attributes that
 * changed leave ETag and size as they are, and only move Last-Modified. */
static void confirm_file(struct listing *listing, struct inode *child, const struct os_entry *entry)
{
	bool same = child->remote == REMOTE_PRESENT && child->etag &&
		    strcmp(child->etag, entry->etag) == 0 && child->remote_size == entry->size;

	if (same) {
		/* HEAD tells whole seconds, LIST may tell more. */
		if (!child->attributes_known ||
		    child->remote_modified / (int64_t)NSEC_PER_SEC ==
			    entry->last_modified / (int64_t)NSEC_PER_SEC)
			child->confirmed_at = listing->started;
		return;
	}
	/* Who has it open goes on with what HEAD said. */
	if (child->opens > 0) {
		child->confirmed_at = 0;
		return;
	}
	if (child->content)
		inode_drop_content(child);
	child->version++;
	free(child->target);
	child->target = NULL;
	inode_set_etag(child, entry->etag);
	child->remote = REMOTE_PRESENT;
	child->remote_size = child->size = entry->size;
	child->remote_modified = 0;
	child->attributes.mtime = child->attributes.ctime = entry->last_modified;
	child->attributes_known = false;
	child->confirmed_at = listing->started;
}

static struct inode *add_child(struct listing *listing, const char *name, bool directory)
{
	struct vfs *vfs = listing->directory->vfs;
	struct inode *child = inode_new(listing->directory, name, directory ? S_IFDIR : S_IFREG);

	if (!child)
		return NULL;
	child->attributes.mode |= directory ? vfs->config.defaults.dir_mode
					    : vfs->config.defaults.file_mode;
	child->attributes.uid = vfs->config.defaults.uid;
	child->attributes.gid = vfs->config.defaults.gid;
	child->remote = directory ? REMOTE_IMPLIED : REMOTE_PRESENT;
	if (inode_link(child, listing->directory, name)) {
		inode_put(child);
		return NULL;
	}
	child->confirmed_at = listing->started;
	inode_put(child);
	return child;
}

static int apply_entry(struct listing *listing, const char *prefix, const struct os_entry *entry)
{
	struct key_component component;
	char name[NAME_BYTES_MAX + 1];
	struct inode *child;
	bool hidden = false;

	if (strcmp(entry->key, prefix) == 0) {
		listing->marker = true;
		return 0;
	}
	if (!key_component(prefix, entry->key, &component, &hidden)) {
		listing->hidden += hidden;
		if (!listing->unseen)
			listing->unseen = string_copy(entry->key);
		return listing->unseen ? 0 : -ENOMEM;
	}
	memcpy(name, component.name, component.len);
	name[component.len] = '\0';
	child = inode_child(listing->directory, name);
	if (!child && listing->directory->directory->removed &&
	    map_get(listing->directory->directory->removed, name))
		return 0; /* it went while this was on its way */
	/* The type changed while others worked: the old inode is gone. "a" beside "a/": the
	 * directory wins. */
	if (child && (child->directory != NULL) != component.is_directory &&
	    child->changed <= listing->change && !inode_is_local(child)) {
		if (child->directory) {
			listing->shadowed = true;
			return 0;
		}
		forget_child(listing, child);
		child = NULL;
	}
	if (!child)
		child = add_child(listing, name, component.is_directory);
	if (!child)
		return -ENOMEM;
	if (child->changed <= listing->change && !inode_is_local(child)) {
		if (child->directory)
			child->attributes_known = child->attributes_known &&
						  vfs_is_fresh(child->vfs, child->confirmed_at);
		else
			confirm_file(listing, child, entry);
	}
	return note_child(listing, child);
}

/* Keys and common prefixes come as two sorted lists; the order of names is that of their merge. */
static int apply_page(struct listing *listing, const char *prefix, const struct os_result *page)
{
	int err = 0;

	for (size_t i = 0; i < page->entry_count && !err; i++)
		err = apply_entry(listing, prefix, &page->entries[i]);
	return err;
}

static int compare_names(const void *a, const void *b)
{
	const struct inode *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

/* Children that the listing did not show, and that nobody changed here since it began, are gone. */
static void drop_missing(struct listing *listing, bool *directory_gone)
{
	struct directory *directory = listing->directory->directory;
	size_t position = 0, gone_count = 0;
	struct inode **gone = calloc(map_count(directory->children) + 1, sizeof(struct inode *));
	void *value;

	if (!gone)
		return;
	while (map_next(directory->children, &position, NULL, NULL, &value)) {
		struct inode *child = value;

		if (child->changed <= listing->change && !inode_is_local(child) &&
		    child->confirmed_at < listing->started && child->order_index == SIZE_MAX &&
		    !inode_holds_local(child))
			gone[gone_count++] = inode_get(child);
	}
	for (size_t i = 0; i < gone_count; i++) {
		*directory_gone = *directory_gone || gone[i]->directory;
		inode_vanish(gone[i]);
		inode_put(gone[i]);
	}
	free(gone);
}

/* "a" and "a/" are one child. */
static size_t drop_duplicates(struct inode **order, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (kept == 0 || order[kept - 1] != order[i])
			order[kept++] = order[i];
	return kept;
}

static void adopt_order(struct listing *listing)
{
	struct directory *directory = listing->directory->directory;
	size_t kept = 0;

	for (size_t i = 0; i < directory->order_count; i++)
		if (directory->order[i])
			directory->order[i]->order_index = SIZE_MAX;
	free(directory->order);
	/* Between the pages others may have unlinked what an early page named: order holds no
	 * reference. */
	for (size_t i = 0; i < listing->count; i++)
		if (listing->order[i]->parent == listing->directory)
			listing->order[kept++] = listing->order[i];
	if (kept > 0)
		qsort(listing->order, kept, sizeof(struct inode *), compare_names);
	kept = drop_duplicates(listing->order, kept);
	for (size_t i = 0; i < kept; i++)
		listing->order[i]->order_index = i;
	directory->order = listing->order;
	directory->order_count = kept;
	listing->order = NULL;
}

/* Errors: -EAGAIN: the directory has another key since, and the answer is not about it. */
static int list_pages(struct listing *listing, const char *prefix)
{
	struct vfs *vfs = listing->directory->vfs;
	struct os_result *pages = NULL;
	char *token = NULL;
	size_t page_count = 0;
	int err = 0;

	/* All pages first, then one change of the tree without a wait in it. */
	do {
		struct os_request request = {.op = OS_LIST,
					     .prefix = prefix,
					     .delimiter = '/',
					     .token = token,
					     .max_keys = LIST_PAGE,
					     .urgent = true};
		struct os_result *more = realloc(pages, (page_count + 1) * sizeof(*pages));

		if (listing->directory->directory->listed_at)
			request.deadline = env_after(vfs->env, DEADLINE_REFRESH);

		if (!more) {
			err = -ENOMEM;
			break;
		}
		pages = more;
		err = env_s3(vfs->env, &request);
		if (err)
			log_debug("LIST %s: %s", prefix, request.result.message);
		pages[page_count++] = request.result;
		token = request.result.next_token;
	} while (!err && token);
	if (!err && inode_has_moved(listing->directory, prefix))
		err = -EAGAIN;
	for (size_t i = 0; i < page_count; i++) {
		struct os_request holder = {.op = OS_LIST, .result = pages[i]};

		if (!err)
			err = apply_page(listing, prefix, &pages[i]);
		os_request_free_result(&holder);
	}
	free(pages);
	return err;
}

/* *again: a file may have been passed over for a directory of its name which has turned out to be
 * gone. */
static int refresh(struct inode *inode, const char *prefix, bool *again)
{
	struct vfs *vfs = inode->vfs;
	struct directory *directory = inode->directory;
	struct listing listing = {
		.directory = inode, .started = env_now(vfs->env), .change = vfs->change};
	int err = list_pages(&listing, prefix);

	if (!err) {
		adopt_order(&listing);
		drop_missing(&listing, again);
		*again = *again && listing.shadowed;
		directory->listed_at = listing.started;
		directory->listed_count = listing.count;
		directory->misses = 0;
		vfs->hidden += listing.hidden - directory->hidden;
		if (listing.hidden > directory->hidden)
			log_warning("%zu keys below \"%s\" have no file name and are not shown, "
				    "\"%s\" among them",
				    listing.hidden, prefix, listing.unseen);
		directory->hidden = listing.hidden;
		free(directory->unseen);
		directory->unseen = listing.unseen;
		listing.unseen = NULL;
	}
	free(listing.unseen);
	free(listing.order);
	return err;
}

/* Until the answer is about the directory as it is now. While one above is being renamed, nobody
 * can say what S3 has of it under which key: then what is known stays. */
static int refresh_in_turns(struct inode *inode)
{
	enum { TURNS = 4 };
	struct directory *directory = inode->directory;
	bool again = true;
	int err = 0;

	for (int turn = 0; again && turn < TURNS; turn++) {
		char *prefix;

		err = inode_key(inode, &prefix);
		if (err)
			return err;
		again = false;
		map_destroy(directory->removed);
		directory->removed = NULL;
		err = refresh(inode, prefix, &again);
		free(prefix);
		if (err != -EAGAIN)
			continue;
		if (directory->listed_at && inode_is_frozen(inode))
			return 0;
		inode_wait_thawed(inode);
		again = true;
	}
	return err;
}

int listing_refresh(struct inode *inode)
{
	struct directory *directory = inode->directory;
	uint64_t asked = env_now(inode->vfs->env);
	int err;

	inodes_reclaim(inode->vfs);
	while (directory->listing) {
		fiber_wait(&directory->listed, DEADLINE_NONE, WAIT_PLAIN);
		if (!directory->listing && directory->listed_at >= asked)
			return 0;
	}
	if (directory->listed_at && env_is_away(inode->vfs->env))
		return 0;
	/* A directory that only exists here is what it is. */
	if (inode_is_only_here(inode)) {
		directory->listed_at = asked;
		return 0;
	}
	directory->listing = true;
	inode_get(inode);
	err = refresh_in_turns(inode);
	directory->listing = false;
	map_destroy(directory->removed);
	directory->removed = NULL;
	wait_wake_all(&directory->listed);
	inode_put(inode);
	/* Where it, or a directory above, was removed it has no names. */
	if (err && directory->listed_at && inode_is_ancestor(inode->vfs->root, inode)) {
		log_warning("cannot list directory: %s; showing what is known", strerror(-err));
		return 0;
	}
	return err;
}

struct attribute_request {
	struct os_request request;
	struct inode *inode;
	char *key;
	uint64_t started, change;
};

static void attributes_arrived(struct os_request *request)
{
	struct attribute_request *ask = request->user;
	struct inode *inode = ask->inode;

	inode->attributes_asked = false;
	if (inode->changed <= ask->change && !inode_is_local(inode) &&
	    !inode_has_moved(inode, ask->key)) {
		if (request->result.err == 0) {
			remote_apply(inode, &request->result);
			inode->confirmed_at = ask->started;
		} else if (request->result.err == -ENOENT && inode->directory) {
			inode->remote =
				REMOTE_IMPLIED; /* the listing has just shown that it exists */
			inode->attributes_known = true;
		}
	}
	wait_wake_all(&inode->published);
	os_request_free_result(request);
	inode_put(inode);
	free(ask->key);
	free(ask);
}

static void ask_attributes(struct inode *inode)
{
	struct vfs *vfs = inode->vfs;
	struct attribute_request *ask = calloc(1, sizeof(*ask));

	if (!ask || inode_key(inode, &ask->key)) {
		free(ask);
		return;
	}
	ask->inode = inode_get(inode);
	ask->started = env_now(vfs->env);
	ask->change = vfs->change;
	ask->request = (struct os_request){
		.op = OS_HEAD,
		.key = ask->key,
		.urgent = true,
		.deadline = env_after(vfs->env, DEADLINE_SMALL),
		.done = attributes_arrived,
		.user = ask,
	};
	inode->attributes_asked = true;
	objstore_submit(vfs->env->store, &ask->request);
}

/* No listing has shown another version since. */
static bool is_told(const struct inode *inode)
{
	return inode->attributes_known && (inode->directory || inode->confirmed_at > 0);
}

void listing_prefetch(struct inode *inode, size_t from, size_t count)
{
	struct directory *directory = inode->directory;

	for (size_t i = from; i < directory->order_count && count > 0; i++, count--) {
		struct inode *child = directory->order[i];

		if (child && !is_told(child) && !child->attributes_asked && !inode_is_local(child))
			ask_attributes(child);
	}
}

int listing_await_attributes(struct inode *inode)
{
	uint64_t deadline = env_after(inode->vfs->env, DEADLINE_SMALL + NSEC_PER_SEC);

	while (inode->attributes_asked) {
		int err = fiber_wait(&inode->published, deadline, WAIT_PLAIN);

		if (err)
			return err;
	}
	return is_told(inode) || inode_is_local(inode) ? 0 : remote_refresh(inode);
}

int listing_is_empty(struct inode *inode)
{
	size_t position = 0;
	void *value;
	int err = listing_refresh(inode);

	if (err)
		return err;
	if (map_next(inode->directory->children, &position, NULL, NULL, &value))
		return 0;
	if (inode->directory->unseen)
		log_warning("\"%s\" looks empty and is not: it holds the key \"%s\", which has no "
			    "file name; remove it with another client, or rename the directory",
			    inode->name, inode->directory->unseen);
	return inode->directory->unseen ? 0 : 1;
}

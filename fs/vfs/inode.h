/* inode.h — the inode table and the tree of names; internal to fs/vfs.
 *
 * Everything is keyed by inode: names hang between parent and child only, so that a rename touches
 * neither content, nor queue, nor handles.
 *
 * Threads: owner thread; fields change only between waits.
 * References: the kernel (nlookup), fibers and handles (busy), the tree (parent). An inode without
 * parent, nlookup and busy is freed by inode_put. Invariants: (N1)
 * inode->parent->directory->children[inode->name] == inode, for all but the root and the unlinked.
 *  (N2) content only for regular files; directory only for directories.
 *  (N3) dirty | dirty_frozen != 0  <=>  on vfs->dirty.
 *  (N4) a dirty inode is never replaced by what a listing or a HEAD says; only a publication
 * settles it.
 */
#ifndef FS_VFS_INODE_H
#define FS_VFS_INODE_H

#include "common/list.h"
#include "common/map.h"
#include "fs/cache/content.h"
#include "fs/vfs/vfs.h"

/* The last lookup of a thread that asked S3: an open that follows at once is part of the same
 * open(2). */
struct recent_lookup {
	int32_t pid;
	uint64_t ino;
	uint64_t replied; /* monotonic */
};
enum { RECENT_LOOKUPS = 64 };

struct vfs {
	struct env *env;
	struct vfs_config config;
	struct cache cache;
	struct uploader uploader;
	struct map *inodes; /* ino -> struct inode */
	struct inode *root;
	uint64_t change;			     /* counts local changes of the name space */
	struct recent_lookup recent[RECENT_LOOKUPS]; /* by pid */
	uint64_t walked_at;   /* monotonic; when a directory was last listed for somebody */
	unsigned walked;      /* directories in a row, each soon after the one before */
	uint64_t walked_in;   /* the last of them */
	uint64_t walk_pause;  /* ns between the last two */
	unsigned walk_asking; /* directories that are being asked for ahead */
	uint64_t hidden;      /* keys that have no POSIX name, as of the listings */
	struct list dirty;    /* inodes in the order in which they became dirty */
	unsigned publishing;
	struct list watches; /* of janitor.c */
	struct timer pump;   /* when the next dirty inode is due */
	struct timer keeper; /* when what is dirty is made durable */
	bool keeping;
	uint64_t parked;		    /* files whose data a power loss has left in doubt */
	struct parked_file *doubtful;	    /* those that S3 has not been asked about yet */
	struct wait_queue settled;	    /* a publication ended */
	struct wait_queue thawed;	    /* a directory rename ended */
	bool recovering;		    /* what a crash left half-way is being finished */
	struct found_intent *found_intents; /* from the journal, until vfs_recover */
	bool names_known;		    /* no rename of theirs is half-way any more */
	uint64_t published, conflicts, failures; /* counters for status */
	char last_error[400];
	int64_t last_error_at; /* wall, ns */
	uint64_t copy_least;   /* bytes of a file that is worth a copy of the server */
	bool write_stopped;    /* a local fsync or the journal failed: no writes any more */
};

enum remote {
	REMOTE_ABSENT,	/* S3 has nothing under this name, as far as we know */
	REMOTE_PRESENT, /* an object; etag names its version */
	REMOTE_IMPLIED, /* a directory that exists by the keys below it */
};

struct directory {
	struct map *children; /* name -> inode */
	uint64_t listed_at;   /* monotonic; when the last complete listing began; 0: never */
	size_t listed_count;
	char *absent; /* the name that was last asked for and not there, as of absent_at */
	uint64_t absent_at;
	unsigned misses; /* lookups that cost a request since then */
	bool listing;	 /* one is under way */
	/* Names that went while it was: what it says of them is old. NULL: none. */
	struct map *removed;
	size_t hidden; /* keys without a file name, as of the last listing */
	char *unseen;  /* one key that it did not show, scratch objects as well; NULL: there is none
			*/
	struct wait_queue listed;
	struct inode **order; /* as listed, sorted; entries that went are NULL */
	size_t order_count;
	unsigned frozen;  /* a rename of this directory is under way: nothing below may change */
	unsigned entered; /* removals and renames of names in it that are under way */
};

struct inode {
	uint64_t ino;
	struct vfs *vfs;
	struct inode *parent;
	char *name;
	uint64_t nlookup;
	unsigned busy;
	unsigned opens, writers; /* handles */
	struct attributes attributes;
	uint64_t size; /* regular files: truth is content->size when there is content */
	char *target;  /* symlink; NULL: not read yet */

	enum remote remote;
	char *etag;	     /* of the version that we know or are based on; NULL: none */
	char usual_etag[48]; /* private: it, when it has an MD5 and a count of parts at most: no
				lack of memory may make a version out of none */
	uint64_t remote_size;
	/* Last-Modified of the version whose attributes these are, once no later one can have the
	 * same; 0: not known. */
	int64_t remote_modified;
	char *content_type;
	struct os_meta meta, headers;	  /* of others, kept on rewrite */
	bool attributes_known;		  /* read from the object, not only listed */
	bool attributes_asked;		  /* a prefetch is under way */
	uint64_t confirmed_at;		  /* monotonic; 0: never */
	uint64_t changed;		  /* vfs->change of the last local change */
	uint64_t version, opened_version; /* counts replacements of the content by others */
	size_t order_index;		  /* in parent->directory->order */

	struct content *content;
	struct directory *directory;

	unsigned dirty, dirty_frozen; /* NODE_DIRTY_DATA, NODE_DIRTY_ATTR */
	uint64_t generation, published_generation, frozen_generation;
	bool publishing;
	bool conflicted; /* conflict=fail: S3 has a version of others in its place */
	uint64_t due;	 /* monotonic: not published before */
	unsigned retries;
	struct list dirty_link;
	struct wait_queue published;
	char put_id[PUT_ID_LEN + 1];
	bool suspect;	/* a sync failed: what its data file holds is not known (NODE_SUSPECT) */
	bool misplaced; /* its new name was not recorded: the next mount has the old one */
	bool resolve_first; /* a former attempt's fate is unknown: HEAD decides before the next */
	uint64_t dirty_sequence; /* of the journal: the record that makes writes survive */
	uint64_t dirty_since;	 /* wall */
	bool persisted;		 /* has a row in the journal */
	bool may_vanish;	 /* its deletion was not answered, and may still be carried out */
	bool serves;	   /* a committed row may still say that the data file is S3's version */
	bool row_complete; /* which says that the data file holds everything */
	bool was_owed;	   /* a row that owes data may be durable; */
	uint64_t settled_sequence; /* the newest record of it; the one that ends that, when clean */
	bool unnamed;		   /* made without a name, which it may still get */
	bool later;		   /* NODE_LATER of the row that it comes from */
	uint64_t haunted_at;	   /* monotonic: the newest attempt whose end nobody saw; 0: none */
	bool untouched;		   /* dirty as it was loaded: nobody has changed it since */
	bool reloaded;		   /* from a row of before the kernel restarted: S3 may know more */
	uint64_t kept_at; /* monotonic: when it became dirty, or the newest sync of it began */
	bool row_synced;  /* and that it is durable, at least up to the row's size */
	struct multipart *stream; /* of a large file that goes while it is written */
	bool stream_pumping, stream_closing, stream_failed;
	uint64_t stream_reach; /* where the newest write began: what is below is probably final */
	int error;	       /* returned at the next fsync or close, once */
	/* Of the newest attempt to publish, while retries > 0; text may be NULL. */
	int failure;
	char *failure_text;
};

/* inode.c */
/* For a name that is about to be linked. Its number comes from the path, so that it is the same at
 * the next mount and on every node (git, rsync and backup programs compare it). NULL: out of
 * memory. */
struct inode *inode_new(struct inode *parent, const char *name, uint32_t mode);
struct inode *inode_new_numbered(struct vfs *vfs, uint64_t ino, uint32_t mode);
struct inode *inode_find(struct vfs *vfs, uint64_t ino); /* takes a busy reference; NULL: unknown */
struct inode *inode_get(struct inode *inode);
void inode_put(struct inode *inode);
int inode_link(struct inode *inode, struct inode *parent, const char *name);
/* Another name, which nobody has. -ENOMEM: it keeps the one that it has. */
int inode_move(struct inode *inode, struct inode *parent, const char *name);
/* The name of that key, of a file; where it is taken or its directory is not known, none: it
 * vanishes. */
void inode_move_to_key(struct inode *inode, const char *key);
/* Each gets the other's name. Neither is above the other. */
void inode_exchange(struct inode *one, struct inode *other);
void inode_unlink(struct inode *inode); /* out of the tree; the caller holds a reference */
/* Others took the name away: out of the tree and, unless something is owed, out of the journal. */
void inode_vanish(struct inode *inode);
struct inode *inode_child(const struct inode *parent, const char *name);
/* What a key, without the prefix that ends at the directory, stands for; NULL: it is not known, or
 * no name of a file. */
struct inode *inode_below(struct inode *directory, const char *relative);
/* The same for a whole key. */
struct inode *inode_at_key(struct vfs *vfs, const char *key);
/* The object key (directories end in '/'). Errors: -ENAMETOOLONG, -ENOMEM, -ENOENT when it has no
 * name. */
int inode_key(const struct inode *inode, char **key);
int inode_child_key(const struct inode *parent, const char *name, bool directory, char **key);
void inode_stat(const struct inode *inode, struct stat *out);
uint64_t inode_size(const struct inode *inode);
bool inode_is_dirty(const struct inode *inode);
bool inode_is_local(const struct inode *inode); /* what we have is newer than what S3 can say */
/* S3 cannot have anything below it: it was made here, and no crash or lost reply leaves that in
 * doubt. */
bool inode_is_only_here(const struct inode *directory);
/* The same, of the inode or of anything below it: then it exists whatever a listing shows. */
bool inode_holds_local(const struct inode *inode);
void inode_set_etag(struct inode *inode, const char *etag);
void inode_drop_content(struct inode *inode);	   /* clean content only */
void inode_touch(struct inode *inode, bool mtime); /* ctime (and mtime) are now */
bool vfs_is_fresh(const struct vfs *vfs, uint64_t when);
/* Forgets names that nobody uses when there are too many (P5: memory has a bound); they can be
 * asked for again. */
void inodes_reclaim(struct vfs *vfs);
bool inode_is_ancestor(const struct inode *ancestor, const struct inode *inode);
/* Waits while a rename holds the inode or a directory above it. */
void inode_wait_thawed(struct inode *inode);
/* Between the two the keys of names in the directory stay what they are: a rename of it, or of what
 * is above, waits. Whoever has entered one must not wait for a thaw. inode_leave only wakes. */
void inode_enter(struct inode *directory);
void inode_enter_two(struct inode *one, struct inode *two);
void inode_leave(struct inode *directory);
bool inode_is_frozen(const struct inode *inode);
/* What S3 says of that key, which was the inode's, is not about it, or need not be: it or a
 * directory above has been renamed since, or is being renamed. */
bool inode_has_moved(const struct inode *inode, const char *key);

/* remote.c: what S3 says about one name */
int remote_refresh(struct inode *inode);
/* Looks a name up in S3; -ENOENT or the linked child (busy reference). */
int remote_resolve(struct inode *parent, const char *name, struct inode **out);
void remote_apply(struct inode *inode, const struct os_result *result);
/* lookup.c: a child by name, confirmed within the attribute time; takes a busy reference */
int vfs_find(struct inode *parent, const char *name, struct inode **out);
/* The same for who needs its version, not its attributes, which may be unknown: a request less
 * where the directory has been listed. */
int vfs_find_named(struct inode *parent, const char *name, struct inode **out);
/* listing.c: what S3 says about a directory */
int listing_refresh(struct inode *directory);
void listing_prefetch(struct inode *directory, size_t from, size_t count);
int listing_await_attributes(struct inode *inode);
int listing_is_empty(struct inode *directory);

/* walk.c: a directory is being looked through; then the next ones are asked for, in fibers */
void walk_note(struct inode *directory, bool read); /* else a name in it was asked for */
bool walk_is_on(const struct vfs *vfs);

/* change.c: local changes and their journal rows */
int change_begin(struct inode *inode, unsigned what); /* before the first change; may wait */
void change_note(struct inode *inode, unsigned what); /* after each */
void change_settle(struct inode *inode);	      /* clean again */
uint64_t change_journal(struct inode *inode);
int change_wait(struct inode *inode, uint64_t sequence);
/* Its object is about to go, or to be replaced. When no data is owed, a power loss must not bring a
 * row back that does owe some, because the file would come back with it. In a fiber. */
int change_confirm(struct inode *inode);
/* The file is gone: nothing is owed. Returns the record that says so; 0: there was no row. */
uint64_t change_forget(struct inode *inode);
int inode_open_content(struct inode *inode);

/* namespace.c: a directory that has a name; takes a busy reference. Errors: -ESTALE, -ENOTDIR,
 * -ENOENT. */
int vfs_find_directory(struct vfs *vfs, uint64_t ino, struct inode **out);
/* Errors: -EEXIST, -EROFS, -ENAMETOOLONG (also of the key, with the slash that a directory needs)
 * and others that tell that nothing can be made under the name. In a fiber. */
int name_check_free(struct inode *parent, const char *name, bool directory);
/* The owner, permissions, times and state of what is made in parent. Errors: of xattr_inherit. */
int inode_begin(struct inode *inode, struct vfs_caller caller, const struct inode *parent);
/* A symlink's target, read unless it is known. */
int inode_read_target(struct inode *inode);
/* What is open stays readable when its object goes: brings the rest of it here. */
int inode_keep_for_readers(struct inode *inode);
/* The last of what an unlinked inode owes: nothing. Its row says so, or goes; returns that record,
 * or 0. */
uint64_t inode_orphan(struct inode *inode);
/* A directory that exists only by what is below it would vanish with the last of it, which is about
 * to go: it gets a marker first. Its names must be entered. */
int keep_directory(struct inode *parent, const struct inode *leaving);
/* It has an object of its own when this returns 0. */
int directory_mark(struct inode *directory);
/* Takes the name away, in S3 first. */
int name_remove(struct inode *inode);
/* The same where something else is about to take its object's place. */
int name_give_way(struct inode *inode);
/* xattr.c: of what the attributes say, when they change; change_begin came before */
bool xattr_grants_capability(const struct inode *inode);
void xattr_drop_capability(struct inode *inode);
void xattr_follow_mode(struct inode *inode); /* the ACL says what the mode says */
/* What is new in a directory, with the mode that was asked for: its default ACL decides, or where
 * it has none the umask. Errors: -ENOSPC (too large beside all else), -ENOMEM. */
int xattr_inherit(struct inode *child, const struct inode *parent, uint32_t umask);
/* state.c: what became of a file */
#define STATE_PREFIX  "user.s3mount."
#define META_CONFLICT "s3mount-conflict" /* in the metadata of a conflict copy: who, when, base */
/* The value of an attribute that begins with STATE_PREFIX. Errors: -ENODATA. */
int state_get(const struct inode *inode, const char *name, struct buf *out);
void state_note_failure(struct inode *inode, int err, const char *text);
/* The file is about to become the copy of what lost against another writer; etag is still that of
 * the version that it was based on. */
void state_mark_conflict(struct inode *inode);
/* setattr.c: after a change of attributes that change_begin allowed: journals it, and publishes it
 * soon. */
int change_attributes_end(struct inode *inode);
/* file.c */
/* Asks S3 what the file is now, unless the lookup of pid's open has just done so (-1: nobody's). */
int file_revalidate(struct inode *inode, int32_t pid);
/* What is owed reaches the place that mode names. Errors: also the one that was kept for it. */
int file_settle(struct inode *inode, enum publish_mode mode, enum journal_level level);
void handle_attach(struct inode *inode, int flags,
		   struct vfs_handle **out); /* NULL: out of memory */
int file_truncate(struct inode *inode, uint64_t size);
struct inode *handle_inode(const struct vfs_handle *handle);
/* Others have not replaced the file since it was opened. */
bool handle_is_current(const struct vfs_handle *handle);

/* durable.c */
/* What is owed of it is committed, or durable, on this node's disk: data first, then the journal.
 */
int inode_make_durable(struct inode *inode, enum journal_level level);
/* The version that the rest of it was fetched from is about to go: what was promised of it must not
 * depend on that. In a fiber. Errors: of the disk. */
int inode_keep_fetched(struct inode *inode);
/* fdatasync of its data file; promise: somebody will be told. The row that says so is the caller's.
 * In a fiber. Errors: of the disk. */
int inode_sync_data(struct inode *inode, bool promise);
/* Something has become dirty: it is made durable soon, without anybody waiting. */
void durable_expect(struct vfs *vfs);
void durable_fired(struct timer *timer); /* of vfs->keeper */

/* publication.c: one attempt; outcome says how it ended */
void publish_once(struct inode *inode, struct upload_outcome *outcome);
/* The empty file becomes what the source's object is, by a copy of the server: its content here has
 * to follow. The publication is the caller's, and both stay under their names. After an error it is
 * what it was: -ESTALE also where one of the keys has another version. */
int publish_copy_of(struct inode *inode, const struct inode *source,
		    struct upload_outcome *outcome);
/* publish.c */
void publish_pump(struct vfs *vfs);
bool publish_heals(int err); /* a failure that time heals */
void publish_soon(struct inode *inode, uint64_t delay);
int publish_wait(struct inode *inode, uint64_t deadline, enum wait_mode mode);
void publish_quiesce(struct inode *inode); /* until no publication of it is under way */
/* The same, and none begins until publish_release. */
void publish_acquire(struct inode *inode);
void publish_release(struct inode *inode);
/* What became of an attempt whose end nobody saw (resolve_first)? Its object, if it is there,
 * becomes the base, or the file when a power loss has brought an older one back. The publication is
 * the caller's. -ESTALE: that older one was changed already; outcome has the ETag of the newer. */
int publish_resolve(struct inode *inode, struct upload_outcome *outcome);
int inode_take_error(struct inode *inode);
void vfs_report(struct vfs *vfs, const struct inode *inode, int err, const char *text);
/* the timer of vfs->pump is set up by vfs_create_instance */
/* The metadata that goes with the object. Errors: -E2BIG, -ENOMEM. */
int publish_metadata(struct inode *inode, struct os_meta *meta);
/* The content type of its object, or what its name or kind tells where it has none yet. */
const char *publish_content_type(const struct inode *inode);
/* janitor.c: the key of an attempt whose end nobody saw, which our file does not have any more */
/* The inode is about to lose its name: should an attempt to publish it, or anything below it, be on
 * its way still, the key is watched. */
void janitor_expect(struct inode *inode);
void janitor_watch(struct vfs *vfs, const char *key, const char *put_id);
/* All below "from/" was copied below "to/": so may have been what is watched there. */
void janitor_moved(struct vfs *vfs, const char *from, const char *to);
/* The same of several keys, in place of an intent that would go on with what is there: before
 * anything is deleted it is certain that no crash brings that back. */
struct janitor_key {
	const char *key, *put_id;
};
enum { JANITOR_KEYS_MAX = 2 };
void janitor_replace(struct vfs *vfs, uint64_t id, const struct janitor_key keys[], size_t count);
int janitor_look(struct vfs *vfs, const struct journal_intent *intent);
/* What is in the way at the key of a new file: true if it was a failed attempt that is watched, or
 * what a rename has not been able to delete yet, and is gone now. In a fiber. */
bool janitor_clear(struct vfs *vfs, const char *key);
/* Looks again and again, for some minutes in which S3 answers, until look says 1; then the intent
 * goes. True: found is taken over. */
struct found_intent;
bool janitor_follow(struct vfs *vfs, struct found_intent *found,
		    int (*look)(struct vfs *vfs, const struct journal_intent *intent));
/* stream.c */
void stream_note(struct inode *inode, uint64_t start,
		 uint64_t end); /* after a change of [start, end) */
/* The upload that has begun, its parts at rest, or NULL; the caller owns it. No wait between its
 * return and the freeze may let the file change unnoticed. In a fiber. */
struct multipart *stream_take(struct inode *inode, const char *key);
/* An upload that a crash cut off goes on with the next publication of its file. In a fiber.
 * -ESTALE: it is of no use for it; else as multipart_adopt. */
int stream_resume(struct vfs *vfs, const struct journal_intent *intent);
/* There is one, and no other attempt with the inode's put-id can be under way. */
bool stream_is_resumed(const struct inode *inode);
void stream_drop(struct inode *inode);
/* local_disk.c: the disk below the cache is full, or fails */
bool local_disk_is_full(int err);	  /* is that what err says? */
void local_disk_relieve(struct vfs *vfs); /* all that is dirty goes now */
/* Evicts or waits a little; 0: it is worth trying again, and if that fails as well the next turn
 * waits longer (turn: 0, 1, ..). -ENOSPC once the deadline has passed, -EINTR. In a fiber. */
int local_disk_make_room(struct vfs *vfs, unsigned turn, uint64_t deadline);
/* After an error of a write or sync that no time heals: no more writes are accepted. */
void local_disk_failed(struct inode *inode, int err, const char *what);
/* What a full disk has no place for, straight from S3; only of a file that is as it is there. */
ssize_t local_disk_read_past(struct inode *inode, void *data, size_t len, uint64_t offset);
/* conflict.c */
int conflict_keep_both(struct inode *inode, const char *foreign_etag);
/* A conflicted inode is about to get another name: there it is a file of ours alone. -ESTALE: parts
 * of it are gone. */
int conflict_take_away(struct inode *inode);
/* Ours goes away from a name in this directory, and what others have put there is to be seen. */
void conflict_show_theirs(struct inode *parent);

/* load.c: the tree as the journal has it */
struct found_intent {
	struct found_intent *next;
	bool shared;		      /* another multipart upload of the same key was found */
	struct journal_intent intent; /* owns its strings */
};
int load_journal(struct vfs *vfs, struct error *error);
/* park.c: what a power loss left in doubt */
int park_file(struct vfs *vfs, const struct journal_node *node, struct inode *parent);
void park_settle(struct vfs *vfs); /* S3 may have it already. In a fiber */
void park_free(struct vfs *vfs);
/* recover.c: an INTENT_RENAME_FILE, as far as S3 lets it be finished. 1: it is; 0: its copy is not
 * there, or not yet; or an error. An intent without target: the copy is certain. */
int rename_finish(struct vfs *vfs, const struct journal_intent *intent);
/* Deletes the version of a key that was copied; a newer one is somebody's work, and 0 as well. ids:
 * its ETag; behind a line end the put-id that it had, or nothing, and on a further line one of its
 * file, where another file may have got the key since. */
int rename_delete_version(struct vfs *vfs, const char *key, const char *ids);
struct found_intent *found_intent_new(const struct journal_intent *intent); /* NULL: no memory */
void found_intent_free(struct found_intent *found);

#endif

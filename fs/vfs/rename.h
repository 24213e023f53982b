/* rename.h — one rename under way; internal to rename.c and rename_directory.c.
 *
 * In a fiber; both directories are entered (inode_enter). */
#ifndef FS_VFS_RENAME_H
#define FS_VFS_RENAME_H

#include "fs/vfs/inode.h"

#define PUBLISH_WAIT (300 * NSEC_PER_SEC)

struct rename {
	struct vfs *vfs;
	struct inode *from, *to;       /* directories */
	struct inode *source, *target; /* target may be NULL */
	const char *new_name;
	char *source_key, *target_key;
};

/* The tree follows what S3 has done. */
int rename_move_inode(struct rename *rename);
/* The intent is committed when it returns 0. */
int rename_put_intent(struct rename *rename, enum journal_intent_kind kind, const char *etag,
		      uint64_t *id);
int rename_directory(struct rename *rename);
/* For tree_copy.copied; context: the directory's inode. */
void rename_copied(void *context, const char *relative, const char *etag, const char *copy);
/* All below the directory is in S3 and stays as it is until rename_thaw. */
int rename_freeze(struct inode *directory);
void rename_thaw(struct inode *directory);
/* -EBUSY: what is above either name was renamed meanwhile. */
int rename_check_keys(const struct rename *rename);

/* Waits for the record of its new name. A journal that has failed for good will not have it: then
 * the inode goes nowhere until the next mount. */
int rename_await_record(struct inode *inode, uint64_t sequence);
/* What INTENT_RENAME_FILE knows the versions by: the copy's put-id, the source's ETag, its put-id
 * and one of its file. */
enum { RENAME_IDS_MAX = 3 * PUT_ID_LEN + OS_ETAG_MAX + 2 };
void rename_ids(const struct inode *source, const char *put_id, const char *etag,
		char ids[RENAME_IDS_MAX]);
/* rename_exchange.c; target is there */
int rename_exchange(struct rename *rename);
int rename_exchange_mixed(struct rename *rename); /* one of them is a directory */
/* Their names, here and in the journal; returns the record. */
uint64_t rename_exchange_names(struct inode *one, struct inode *other);
/* What the journal brought back under its old name gets that of the key, here and in the journal;
 * or none, as inode_move_to_key says. key: of a directory with its '/'. */
void rename_loaded(struct inode *inode, const char *key);
void rename_take_copy(struct inode *inode, const char *etag, const char *put_id);
/* Nothing is owed of it. The publication is the caller's, and is so again when it returns. */
int publish_whole(struct inode *inode);

#endif

/* recover_tree.h — what a cache directory holds, as `s3mount recover` sees it: a list of files,
 * each with the name that it had, the data file that holds its bytes and how much of it is to be
 * trusted.
 *
 * Rows of a damaged journal may be nonsense: no name leaves the directory that it is saved to, no
 * chain of parents is endless. Threads: one; blocks.
 */
#ifndef FS_RECOVER_TREE_H
#define FS_RECOVER_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/map.h"
#include "common/options.h"
#include "fs/cache/extent.h"
#include "fs/journal/salvage.h"
#include "fs/vfs/attributes.h"

enum recover_kind {
	RECOVER_COMPLETE,   /* every byte of it is here */
	RECOVER_PARTIAL,    /* valid has what is; the rest is, or was, in the bucket */
	RECOVER_SYMLINK,    /* target */
	RECOVER_ATTRIBUTES, /* its bytes are in the bucket, changed attributes are not */
	RECOVER_UNNAMED,    /* a data file without a row; name is its number */
	RECOVER_LOST,	    /* a row without its data file */
	RECOVER_COPY,	    /* a directory, or what the bucket has as well */
};

/* What the bucket has under its name. */
enum recover_remote {
	REMOTE_NOT_ASKED,
	REMOTE_IS_ABSENT,
	REMOTE_IS_BASE,	 /* the version that the change was based on */
	REMOTE_IS_OURS,	 /* the upload took place: this, or what it was a little before */
	REMOTE_IS_OTHER, /* somebody else's, or a later one of ours */
};

struct recover_file {
	uint64_t ino, parent;
	char *name; /* the last part; "" when there is none */
	char *path; /* below the directory that it is saved to; NULL: there is nothing to save */
	uint32_t flags;
	enum recover_kind kind;
	struct attributes attributes;
	uint64_t size, file_id;
	struct extent_set valid;
	char *target, *etag; /* etag: of the version that it is based on; "" */
	char put_id[JOURNAL_PUT_ID_BYTES];
	bool placed; /* path is the one that it had */
	enum recover_remote remote;
	char remote_etag[OS_ETAG_MAX];
	uint64_t remote_size;
	int err; /* of saving it; 0 */
};

struct recover_tree {
	struct salvage journal;
	struct recover_file *files; /* by path; those without one first */
	size_t count, capacity;
	uint64_t copies; /* files of kind RECOVER_COPY that have data here */
	/* while it is read: */
	struct map *by_ino; /* index + 1 */
	struct map *data;   /* numbers of data files that a row names */
};

/* Reads the cache directory. scratch: as salvage_read. Errors (message set, nothing to free). */
int recover_tree_read(struct recover_tree *tree, const char *directory, const char *scratch,
		      struct error *error);
void recover_tree_free(struct recover_tree *tree);
/* "CACHE/data/xx/NUMBER"; out has PATH_MAX bytes. */
void recover_data_path(const char *directory, uint64_t file_id, char *out);

/* recover_bucket.c: asks the bucket that the journal names; options as for a mount of it. Errors
 * (message set): those that have been answered until then are. */
int recover_ask_bucket(struct recover_tree *tree, struct options *options, struct error *error);
/* recover_save.c: writes it below to, a directory that exists; never over anything. What of its
 * data cannot be read leaves valid, and its kind is partial then. Errors: -errno, also in
 * file->err. */
int recover_save(struct recover_file *file, const char *directory, int to);

#endif

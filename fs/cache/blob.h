/* blob.h — a data file with a reference count: the bytes of one version of one file.
 *
 * Threads: owner thread; the disk_file inside may be read and written by the network thread while a
 * reference is held for it.
 * The file is removed from disk when the last reference goes and blob_discard was called, else it
 * stays for the next mount.
 */
#ifndef FS_CACHE_BLOB_H
#define FS_CACHE_BLOB_H

#include <stdbool.h>

#include "fs/env.h"

struct blob {
	struct env *env;
	uint64_t id;
	struct disk_file *file; /* NULL while idle */
	unsigned refs;
	bool discard;
};

/* id: a number that no file has, or (open) one that exists. Errors: -errno of the disk, -ENOMEM. */
int blob_create(struct env *env, uint64_t id, struct blob **out);
int blob_open(struct env *env, uint64_t id, struct blob **out);
struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob *blob); /* NULL allowed */
void blob_discard(struct blob *blob);
/* Descriptors are few: an idle blob gives its own back, blob_ensure opens it again. Nobody else may
 * hold a reference for another thread when it goes idle. */
void blob_idle(struct blob *blob);
int blob_ensure(struct blob *blob);

static inline ssize_t blob_read(struct blob *blob, void *data, size_t len, uint64_t offset)
{
	return blob->env->disk->ops->read(blob->file, data, len, offset);
}

static inline int blob_write(struct blob *blob, const void *data, size_t len, uint64_t offset)
{
	return blob->env->disk->ops->write(blob->file, data, len, offset);
}

static inline int blob_truncate(struct blob *blob, uint64_t size)
{
	return blob->env->disk->ops->truncate(blob->file, size);
}

#endif

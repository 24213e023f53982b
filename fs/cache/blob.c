#include "fs/cache/blob.h"

#include <errno.h>
#include <stdlib.h>

static int blob_make(struct env *env, uint64_t id, bool create, struct blob **out)
{
	struct blob *blob = calloc(1, sizeof(*blob));
	int err;

	if (!blob)
		return -ENOMEM;
	blob->env = env;
	blob->id = id;
	blob->refs = 1;
	err = create ? env->disk->ops->create(env->disk, id, &blob->file)
		     : env->disk->ops->open(env->disk, id, &blob->file);
	if (err) {
		free(blob);
		return err;
	}
	*out = blob;
	return 0;
}

int blob_create(struct env *env, uint64_t id, struct blob **out)
{
	return blob_make(env, id, true, out);
}

int blob_open(struct env *env, uint64_t id, struct blob **out)
{
	return blob_make(env, id, false, out);
}

struct blob *blob_ref(struct blob *blob)
{
	blob->refs++;
	return blob;
}

void blob_unref(struct blob *blob)
{
	if (!blob || --blob->refs > 0)
		return;
	blob_idle(blob);
	/* When the journal has failed, the last row may be one that names this file. What no row
	 * names is removed by the next mount. */
	if (blob->discard && !(blob->env->journal && journal_error(blob->env->journal)))
		blob->env->disk->ops->remove(blob->env->disk, blob->id);
	free(blob);
}

void blob_discard(struct blob *blob)
{
	blob->discard = true;
}

void blob_idle(struct blob *blob)
{
	if (blob->file)
		blob->env->disk->ops->close(blob->file);
	blob->file = NULL;
}

int blob_ensure(struct blob *blob)
{
	struct disk *disk = blob->env->disk;

	return blob->file ? 0 : disk->ops->open(disk, blob->id, &blob->file);
}

/* park.c — files whose data nobody can vouch for: row and data file stay as they are, the log and
 * the status tell of them, and nothing of them is published. Part of inode.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "fs/vfs/inode.h"

struct parked_file {
	struct parked_file *next;
	uint64_t ino, file_id;
	char *key;
	char put_id[PUT_ID_LEN + 1];
	bool later;
};

static void report(struct vfs *vfs, const char *name, uint64_t file_id, const char *why)
{
	vfs->parked++;
	log_error("%s: \"%s\" %s; its data stays in file %llx of the cache, and "
		  "`s3mount recover` exports it",
		  vfs->config.volume, name, why, (unsigned long long)file_id);
}

static void parked_free(struct parked_file *file)
{
	free(file->key);
	free(file);
}

/* No other file may get the number: its row would replace this one. */
static int reserve_number(struct vfs *vfs, const struct journal_node *node)
{
	if (map_get_u64(vfs->inodes, node->ino))
		return 0;
	return inode_new_numbered(vfs, node->ino, node->attributes.mode) ? 0 : -ENOMEM;
}

int park_file(struct vfs *vfs, const struct journal_node *node, struct inode *parent)
{
	struct parked_file *file;
	int err = reserve_number(vfs, node);

	if (err)
		return err;
	if (!parent) {
		report(vfs, node->name, node->file_id, "has no place in the tree");
		return 0;
	}
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	err = inode_child_key(parent, node->name, false, &file->key);
	if (err) {
		free(file);
		report(vfs, node->name, node->file_id, "has no place in the tree");
		return err == -ENOMEM ? err : 0;
	}
	file->ino = node->ino;
	file->file_id = node->file_id;
	file->later = node->flags & NODE_LATER;
	memcpy(file->put_id, node->put_id, strnlen(node->put_id, PUT_ID_LEN));
	file->next = vfs->doubtful;
	vfs->doubtful = file;
	return 0;
}

/* Its publication took place, and only the journal lost that. */
static bool is_published(struct vfs *vfs, const struct parked_file *file)
{
	struct os_request head = {.op = OS_HEAD, .key = file->key, .urgent = true};
	const char *put_id;
	bool published = false;

	if (env_s3(vfs->env, &head) == 0) {
		put_id = os_meta_get(&head.result.meta, META_PUT_ID);
		if (put_id && put_id_is_kin(put_id, file->put_id)) {
			int order = put_id_order(put_id, file->put_id);

			published = order > 0 || (order == 0 && !file->later);
		}
	}
	os_request_free_result(&head);
	return published;
}

void park_settle(struct vfs *vfs)
{
	struct parked_file *file;

	while ((file = vfs->doubtful)) {
		struct disk *disk = vfs->env->disk;

		vfs->doubtful = file->next;
		if (is_published(vfs, file)) {
			journal_drop_node(vfs->env->journal, file->ino);
			disk->ops->remove(disk, file->file_id);
		} else {
			report(vfs, file->key, file->file_id,
			       "was not synced when the machine lost power, and is not uploaded: "
			       "blocks of it may be missing");
		}
		parked_free(file);
	}
}

void park_free(struct vfs *vfs)
{
	struct parked_file *file;

	while ((file = vfs->doubtful)) {
		vfs->doubtful = file->next;
		parked_free(file);
	}
}

/* operations_dir.c — FUSE callbacks for directories and the control calls. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/fiber.h"
#include "fs/front/front.h"
#include "fs/front/operations.h"

/* fsync of a directory, and `s3mount sync`: everything below it. */
#define SYNC_WAIT (3600 * NSEC_PER_SEC)

static struct vfs_directory *to_directory(const struct fuse_file_info *info)
{
	return (struct vfs_directory *)(uintptr_t)info->fh;
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct operations_context *context = operation_begin(req);
	struct vfs_directory *directory;
	int err = vfs_opendir(context->vfs, ino, &directory);

	if (err) {
		operation_error(req, err);
		return;
	}
	info->fh = (uintptr_t)directory;
	if (fuse_reply_open(req, info))
		vfs_releasedir(directory);
}

static size_t add(fuse_req_t req, char *to, size_t room, const struct vfs_dirent *entry, off_t next,
		  bool plus)
{
	struct operations_context *context = fuse_req_userdata(req);
	struct fuse_entry_param parameters;

	if (!plus)
		return fuse_add_direntry(req, to, room, entry->name, &entry->attributes, next);
	operation_entry(context, &entry->attributes, &parameters);
	if (!entry->counted)
		parameters.ino = 0; /* a name alone: the kernel looks it up when it needs more */
	return fuse_add_direntry_plus(req, to, room, entry->name, &parameters, next);
}

static void fill(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *info, bool plus)
{
	struct operations_context *context = operation_begin(req);
	struct vfs_directory *directory = to_directory(info);
	char *page = malloc(size);
	size_t used = 0;
	int err = page ? 0 : -ENOMEM;

	for (uint64_t position = (uint64_t)offset; !err; position++) {
		struct vfs_dirent entry;
		bool more;
		size_t len;

		err = vfs_readdir(directory, position, plus, &entry, &more);
		if (err || !more)
			break;
		if (entry.attributes.st_ino == 0)
			continue;
		len = add(req, page + used, size - used, &entry, (off_t)position + 1, plus);
		if (len > size - used) {
			if (entry.counted)
				vfs_forget(context->vfs, entry.attributes.st_ino, 1);
			break;
		}
		used += len;
	}
	if (err && used == 0)
		operation_error(req, err);
	else
		fuse_reply_buf(req, page, used);
	free(page);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		struct fuse_file_info *info)
{
	(void)ino;
	fill(req, size, offset, info, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *info)
{
	(void)ino;
	fill(req, size, offset, info, true);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	vfs_releasedir(to_directory(info));
	fuse_reply_err(req, 0);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info)
{
	struct operations_context *context = operation_begin(req);

	(void)datasync;
	(void)info;
	operation_error(req,
			vfs_fsyncdir(context->vfs, ino,
				     executor_monotonic(vfs_executor(context->vfs)) + SYNC_WAIT));
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned command, void *argument,
	      struct fuse_file_info *info, unsigned flags, const void *input, size_t input_size,
	      size_t output_size)
{
	struct operations_context *context = operation_begin_interruptible(req);
	struct buf json = BUF_INIT;

	(void)argument;
	(void)info;
	(void)flags;
	(void)input;
	(void)input_size;
	if (command == FRONT_IOCTL_SYNC) {
		int err = vfs_sync(context->vfs, ino,
				   executor_monotonic(vfs_executor(context->vfs)) + SYNC_WAIT);

		if (err)
			operation_error(req, err);
		else
			fuse_reply_ioctl(req, 0, NULL, 0);
		return;
	}
	if (command != FRONT_IOCTL_STATUS || output_size < FRONT_STATUS_BYTES) {
		operation_error(req, -ENOTTY);
		return;
	}
	vfs_status(context->vfs, &json);
	if (json.failed || json.len >= FRONT_STATUS_BYTES)
		operation_error(req, -EOVERFLOW);
	else
		fuse_reply_ioctl(req, 0, buf_str(&json), json.len + 1);
	buf_free(&json);
}

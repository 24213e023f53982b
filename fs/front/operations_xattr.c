/* operations_xattr.c — FUSE callbacks for extended attributes. */
#include <errno.h>
#include <stdlib.h>

#include "fs/front/operations.h"

/* size 0 asks for the count of bytes alone. */
static void reply(fuse_req_t req, const void *bytes, ssize_t got, size_t size)
{
	if (got < 0)
		operation_error(req, (int)got);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)got);
	else
		fuse_reply_buf(req, bytes, (size_t)got);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct operations_context *context = operation_begin(req);
	void *value = size ? malloc(size) : NULL;
	ssize_t got = size && !value ? -ENOMEM : vfs_getxattr(context->vfs, ino, name, value, size);

	reply(req, value, got, size);
	free(value);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct operations_context *context = operation_begin(req);
	char *list = size ? malloc(size) : NULL;
	ssize_t got = size && !list
			      ? -ENOMEM
			      : vfs_listxattr(context->vfs, operation_caller(req), ino, list, size);

	reply(req, list, got, size);
	free(list);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags)
{
	operation_error(req,
			vfs_setxattr(operation_begin(req)->vfs, ino, name, value, size, flags));
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	operation_error(req, vfs_removexattr(operation_begin(req)->vfs, ino, name));
}

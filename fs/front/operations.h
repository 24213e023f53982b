/* operations.h — the table of FUSE callbacks; internal to fs/front. */
#ifndef FS_FRONT_OPERATIONS_H
#define FS_FRONT_OPERATIONS_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "fs/front/interruption.h"
#include "fs/front/protocol.h"
#include "fs/vfs/vfs.h"

/* What every callback gets as its user data. */
struct operations_context {
	struct vfs *vfs;
	struct fuse_session *session;
	double timeout; /* s, of attributes and names */
	/* Of the largest read. Shared by all: filled after the last wait of a read and sent before
	 * the next. */
	char *read_buffer;
	size_t read_size;
	struct protocol_init init;
	struct interruption *interruption; /* of the request that begins */
	bool kills_privileges; /* of the request that begins: protocol_kills_privileges */
	bool tmpfile;	       /* the same: protocol_take_tmpfile */
	int result; /* of a reply that was an error, until it is in the debug log; else 0 */
};

enum { OPERATIONS_MAX_IO = 1024 * 1024 };

extern const struct fuse_lowlevel_ops operations;

/* internal: operations_dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		struct fuse_file_info *info);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *info);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info);
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned command, void *argument,
	      struct fuse_file_info *info, unsigned flags, const void *input, size_t input_size,
	      size_t output_size);

/* internal: operations_xattr.c */
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

struct vfs_caller operation_caller(fuse_req_t req);
/* Lets the signal that kills the caller end this fiber's interruptible waits. */
struct operations_context *operation_begin(fuse_req_t req);
/* Lets any signal do so. */
struct operations_context *operation_begin_interruptible(fuse_req_t req);
void operation_error(fuse_req_t req, int err); /* replies; err: 0 or a negative errno */
void operation_entry(const struct operations_context *context, const struct stat *attributes,
		     struct fuse_entry_param *entry);

#endif

#include "fs/front/trace.h"

#include <linux/fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum argument_kind { ARGUMENT_NONE, ARGUMENT_NAME, ARGUMENT_RANGE };

/* Requests as in include/uapi/linux/fuse.h of Linux. */
static const struct {
	const char *name;
	enum argument_kind kind;
	size_t offset; /* of the name, behind the fixed part */
} table[] = {
	[FUSE_LOOKUP] = {"lookup", ARGUMENT_NAME, 0},
	[FUSE_FORGET] = {"forget", ARGUMENT_NONE, 0},
	[FUSE_GETATTR] = {"getattr", ARGUMENT_NONE, 0},
	[FUSE_SETATTR] = {"setattr", ARGUMENT_NONE, 0},
	[FUSE_READLINK] = {"readlink", ARGUMENT_NONE, 0},
	[FUSE_SYMLINK] = {"symlink", ARGUMENT_NAME, 0},
	[FUSE_MKNOD] = {"mknod", ARGUMENT_NAME, sizeof(struct fuse_mknod_in)},
	[FUSE_MKDIR] = {"mkdir", ARGUMENT_NAME, sizeof(struct fuse_mkdir_in)},
	[FUSE_UNLINK] = {"unlink", ARGUMENT_NAME, 0},
	[FUSE_RMDIR] = {"rmdir", ARGUMENT_NAME, 0},
	[FUSE_RENAME] = {"rename", ARGUMENT_NAME, sizeof(struct fuse_rename_in)},
	[FUSE_LINK] = {"link", ARGUMENT_NAME, sizeof(struct fuse_link_in)},
	[FUSE_OPEN] = {"open", ARGUMENT_NONE, 0},
	[FUSE_READ] = {"read", ARGUMENT_RANGE, 0},
	[FUSE_WRITE] = {"write", ARGUMENT_RANGE, 0},
	[FUSE_STATFS] = {"statfs", ARGUMENT_NONE, 0},
	[FUSE_RELEASE] = {"release", ARGUMENT_NONE, 0},
	[FUSE_FSYNC] = {"fsync", ARGUMENT_NONE, 0},
	[FUSE_SETXATTR] = {"setxattr", ARGUMENT_NONE, 0},
	[FUSE_GETXATTR] = {"getxattr", ARGUMENT_NAME, sizeof(struct fuse_getxattr_in)},
	[FUSE_LISTXATTR] = {"listxattr", ARGUMENT_NONE, 0},
	[FUSE_REMOVEXATTR] = {"removexattr", ARGUMENT_NAME, 0},
	[FUSE_FLUSH] = {"flush", ARGUMENT_NONE, 0},
	[FUSE_INIT] = {"init", ARGUMENT_NONE, 0},
	[FUSE_OPENDIR] = {"opendir", ARGUMENT_NONE, 0},
	[FUSE_READDIR] = {"readdir", ARGUMENT_RANGE, 0},
	[FUSE_RELEASEDIR] = {"releasedir", ARGUMENT_NONE, 0},
	[FUSE_FSYNCDIR] = {"fsyncdir", ARGUMENT_NONE, 0},
	[FUSE_GETLK] = {"getlk", ARGUMENT_NONE, 0},
	[FUSE_SETLK] = {"setlk", ARGUMENT_NONE, 0},
	[FUSE_SETLKW] = {"setlkw", ARGUMENT_NONE, 0},
	[FUSE_ACCESS] = {"access", ARGUMENT_NONE, 0},
	[FUSE_CREATE] = {"create", ARGUMENT_NAME, sizeof(struct fuse_create_in)},
	[FUSE_INTERRUPT] = {"interrupt", ARGUMENT_NONE, 0},
	[FUSE_BMAP] = {"bmap", ARGUMENT_NONE, 0},
	[FUSE_DESTROY] = {"destroy", ARGUMENT_NONE, 0},
	[FUSE_IOCTL] = {"ioctl", ARGUMENT_NONE, 0},
	[FUSE_POLL] = {"poll", ARGUMENT_NONE, 0},
	[FUSE_BATCH_FORGET] = {"batch_forget", ARGUMENT_NONE, 0},
	[FUSE_FALLOCATE] = {"fallocate", ARGUMENT_NONE, 0},
	[FUSE_READDIRPLUS] = {"readdirplus", ARGUMENT_RANGE, 0},
	[FUSE_RENAME2] = {"rename2", ARGUMENT_NAME, sizeof(struct fuse_rename2_in)},
	[FUSE_LSEEK] = {"lseek", ARGUMENT_NONE, 0},
	[FUSE_COPY_FILE_RANGE] = {"copy_file_range", ARGUMENT_NONE, 0},
};

static void put_name(const char *arguments, size_t len, size_t offset, char *out, size_t size)
{
	if (offset >= len)
		return;
	snprintf(out, size, " \"%.*s\"", (int)strnlen(arguments + offset, len - offset),
		 arguments + offset);
}

/* fuse_read_in and fuse_write_in begin with the same fields: handle, offset, size. */
static void put_range(const char *arguments, size_t len, char *out, size_t size)
{
	struct fuse_read_in range;

	if (len < sizeof(range))
		return;
	memcpy(&range, arguments, sizeof(range));
	snprintf(out, size, " %u at %llu", range.size, (unsigned long long)range.offset);
}

void trace_describe(const void *request, size_t len, char out[TRACE_BYTES])
{
	const char *arguments = (const char *)request + sizeof(struct fuse_in_header);
	struct fuse_in_header header;
	bool known;
	int put;

	if (len < sizeof(header)) {
		snprintf(out, TRACE_BYTES, "a request of %zu bytes", len);
		return;
	}
	memcpy(&header, request, sizeof(header));
	len -= sizeof(header);
	known = header.opcode < sizeof(table) / sizeof(table[0]) && table[header.opcode].name;
	if (known)
		put = snprintf(out, TRACE_BYTES, "%s inode %llu", table[header.opcode].name,
			       (unsigned long long)header.nodeid);
	else
		put = snprintf(out, TRACE_BYTES, "operation %u inode %llu", header.opcode,
			       (unsigned long long)header.nodeid);
	if (known && table[header.opcode].kind == ARGUMENT_NAME)
		put_name(arguments, len, table[header.opcode].offset, out + put,
			 TRACE_BYTES - (size_t)put);
	else if (known && table[header.opcode].kind == ARGUMENT_RANGE)
		put_range(arguments, len, out + put, TRACE_BYTES - (size_t)put);
}

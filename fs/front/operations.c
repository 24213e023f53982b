/* operations.c — FUSE callbacks for names, attributes and files. */
#include "fs/front/operations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

static void op_init(void *user, struct fuse_conn_info *connection)
{
	static const unsigned wanted = FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_PARALLEL_DIROPS |
				       FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
				       FUSE_CAP_ASYNC_READ | FUSE_CAP_IOCTL_DIR;
	/* The umask does not count where a directory has a default ACL. */
	static const unsigned with_acl = FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK;
	/* Never the kernel's write-back cache: it ignores that others change a file's size. Nor its
	 * cache of links, whose targets it keeps whatever else of them changes.
	 * Splicing costs more than it saves at the sizes FUSE uses. */
	static const unsigned unwanted = FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ |
					 FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
					 FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS |
					 FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_CACHE_SYMLINKS;

	const struct operations_context *context = user;

	connection->want |= connection->capable & wanted;
	connection->want &= ~(unwanted | with_acl);
	if (vfs_has_acl(context->vfs))
		connection->want |= connection->capable & with_acl;
	connection->max_write = OPERATIONS_MAX_IO;
	connection->max_readahead = OPERATIONS_MAX_IO;
	connection->max_background = 64;
	connection->congestion_threshold = 48;
	connection->time_gran = 1;
	log_debug("FUSE %u.%u, capabilities %#x, in use %#x", connection->proto_major,
		  connection->proto_minor, connection->capable, connection->want);
}

static void interrupted(fuse_req_t req, void *interruption)
{
	(void)req;
	interruption_signal(interruption);
}

struct operations_context *operation_begin(fuse_req_t req)
{
	struct operations_context *context = fuse_req_userdata(req);

	context->interruption->caller = fuse_req_ctx(req)->pid;
	fuse_req_interrupt_func(req, interrupted, context->interruption);
	return context;
}

struct operations_context *operation_begin_interruptible(fuse_req_t req)
{
	struct operations_context *context = fuse_req_userdata(req);

	context->interruption->any = true;
	return operation_begin(req);
}

/* What programs know: errors of the network and of the protocol are EIO to them; the log has the
 * rest. */
void operation_error(fuse_req_t req, int err)
{
	struct operations_context *context = fuse_req_userdata(req);

	context->result = err;
	switch (-err) {
	case EHOSTUNREACH:
	case EPROTO:
	case EKEYREJECTED:
	case ENXIO:
	case EALREADY:
	case ECANCELED: fuse_reply_err(req, EIO); break;
	default: fuse_reply_err(req, -err); break;
	}
}

void operation_entry(const struct operations_context *context, const struct stat *attributes,
		     struct fuse_entry_param *entry)
{
	*entry = (struct fuse_entry_param){
		.ino = attributes->st_ino,
		.attr = *attributes,
		.attr_timeout = context->timeout,
		.entry_timeout = context->timeout,
	};
}

struct vfs_caller operation_caller(fuse_req_t req)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);

	return (struct vfs_caller){context->uid, context->gid, context->pid, context->umask};
}

static void reply_entry(fuse_req_t req, const struct operations_context *context, int err,
			const struct stat *attributes)
{
	struct fuse_entry_param entry;

	if (err) {
		operation_error(req, err);
		return;
	}
	operation_entry(context, attributes, &entry);
	if (fuse_reply_entry(req, &entry)) /* the caller has gone: the kernel never counted it */
		vfs_forget(context->vfs, attributes->st_ino, 1);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct operations_context *context = operation_begin(req);
	struct fuse_entry_param none = {.entry_timeout = context->timeout};
	struct stat attributes;
	int err = vfs_lookup(context->vfs, operation_caller(req), parent, name, &attributes);

	context->result = err;
	if (err == -ENOENT)
		fuse_reply_entry(req, &none); /* the kernel may remember that there is nothing */
	else
		reply_entry(req, context, err, &attributes);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	struct operations_context *context = fuse_req_userdata(req);

	vfs_forget(context->vfs, ino, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct operations_context *context = fuse_req_userdata(req);

	for (size_t i = 0; i < count; i++)
		vfs_forget(context->vfs, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct operations_context *context = operation_begin(req);
	struct stat attributes;
	int err = vfs_getattr(context->vfs, ino, &attributes);

	(void)info;
	if (err)
		operation_error(req, err);
	else
		fuse_reply_attr(req, &attributes, context->timeout);
}

/* FUSE_SET_ATTR_* (fuse_lowlevel.h) to ours. */
static unsigned to_which(int to_set)
{
	static const struct {
		int theirs;
		unsigned ours;
	} table[] = {
		{FUSE_SET_ATTR_MODE, VFS_SET_MODE},
		{FUSE_SET_ATTR_UID, VFS_SET_UID},
		{FUSE_SET_ATTR_GID, VFS_SET_GID},
		{FUSE_SET_ATTR_SIZE, VFS_SET_SIZE},
		{FUSE_SET_ATTR_ATIME, VFS_SET_ATIME},
		{FUSE_SET_ATTR_MTIME, VFS_SET_MTIME},
		{FUSE_SET_ATTR_ATIME_NOW, VFS_SET_ATIME_NOW},
		{FUSE_SET_ATTR_MTIME_NOW, VFS_SET_MTIME_NOW},
	};
	unsigned which = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (to_set & table[i].theirs)
			which |= table[i].ours;
	return which;
}

/* Nothing to set: a chown(2) with -1 twice, or that a write is about to take set-id bits away,
 * which the write itself says again. What the kernel has not checked of the first is whether the
 * caller may take them (fuse_setattr, fs/fuse/dir.c of Linux). */
static unsigned which_of_nothing(fuse_req_t req, struct vfs *vfs, fuse_ino_t ino)
{
	uid_t caller = fuse_req_ctx(req)->uid;
	struct stat st;

	if (vfs_getattr(vfs, ino, &st) || (caller != 0 && caller != st.st_uid))
		return 0;
	return VFS_SET_CTIME | VFS_CLEAR_SUID;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *values, int to_set,
		       struct fuse_file_info *info)
{
	struct operations_context *context = operation_begin(req);
	struct vfs_handle *handle = info ? (struct vfs_handle *)(uintptr_t)info->fh : NULL;
	unsigned which = to_which(to_set) | (context->kills_privileges ? VFS_CLEAR_SUID : 0);
	struct stat attributes;
	int err;

	if (to_set == 0)
		which = which_of_nothing(req, context->vfs, ino);
	err = vfs_setattr(context->vfs, ino, handle, values, which, &attributes);

	if (err)
		operation_error(req, err);
	else
		fuse_reply_attr(req, &attributes, context->timeout);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct operations_context *context = operation_begin(req);
	char *target;
	int err = vfs_readlink(context->vfs, ino, &target);

	if (err) {
		operation_error(req, err);
		return;
	}
	fuse_reply_readlink(req, target);
	free(target);
}

static void make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev,
		 const char *target)
{
	struct operations_context *context = operation_begin(req);
	struct stat attributes;
	int err = vfs_make(context->vfs, operation_caller(req), parent, name, mode, rdev, target,
			   &attributes);

	reply_entry(req, context, err, &attributes);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make(req, parent, name, mode, rdev, NULL);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make(req, parent, name, (mode & 07777) | S_IFDIR, 0, NULL);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	make(req, parent, name, S_IFLNK | 0777, 0, target);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	operation_error(req, vfs_unlink(operation_begin(req)->vfs, parent, name));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	operation_error(req, vfs_rmdir(operation_begin(req)->vfs, parent, name));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned flags)
{
	operation_error(req, vfs_rename(operation_begin(req)->vfs, parent, name, new_parent,
					new_name, flags));
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	struct operations_context *context = operation_begin(req);
	struct stat attributes;
	int err = vfs_link(context->vfs, ino, new_parent, new_name, &attributes);

	reply_entry(req, context, err, &attributes);
}

static struct vfs_handle *to_handle(const struct fuse_file_info *info)
{
	return (struct vfs_handle *)(uintptr_t)info->fh;
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *info)
{
	struct operations_context *context = operation_begin(req);
	struct fuse_entry_param entry;
	struct vfs_handle *handle;
	struct stat attributes;
	int err = context->tmpfile ? vfs_tmpfile(context->vfs, operation_caller(req), parent, mode,
						 info->flags, &handle, &attributes)
				   : vfs_create(context->vfs, operation_caller(req), parent, name,
						mode, info->flags, &handle, &attributes);

	if (err) {
		operation_error(req, err);
		return;
	}
	info->fh = (uintptr_t)handle;
	info->direct_io = (info->flags & O_APPEND) != 0;
	operation_entry(context, &attributes, &entry);
	if (fuse_reply_create(req, &entry, info)) {
		vfs_release(handle);
		vfs_forget(context->vfs, attributes.st_ino, 1);
	}
}

/* Where the kernel does not tell, root alone keeps them. */
static bool truncation_kills(fuse_req_t req, const struct operations_context *context, int flags)
{
	return context->kills_privileges ||
	       ((flags & O_TRUNC) && !protocol_tells_kills(&context->init) &&
		fuse_req_ctx(req)->uid != 0);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct operations_context *context = operation_begin(req);
	bool keep_cache, kills = truncation_kills(req, context, info->flags);
	struct vfs_handle *handle;
	int err = vfs_open(context->vfs, operation_caller(req), ino, info->flags, &handle,
			   &keep_cache);

	if (!err && kills) {
		err = vfs_drop_privileges(context->vfs, ino);
		if (err)
			vfs_release(handle);
	}
	if (err) {
		operation_error(req, err);
		return;
	}
	info->fh = (uintptr_t)handle;
	info->keep_cache = keep_cache;
	/* Where an append goes is decided here: the kernel must not keep it at the place that it
	 * guessed. */
	info->direct_io = (info->flags & O_APPEND) != 0;
	/* The reply cannot carry the new size. Without a range only attributes are dropped, which
	 * takes no lock that a request under way could hold (fuse_reverse_inval_inode,
	 * fs/fuse/inode.c of Linux). */
	if (!keep_cache)
		fuse_lowlevel_notify_inval_inode(context->session, ino, -1, 0);
	/* Where there is nothing to publish. */
	info->noflush = (info->flags & O_ACCMODE) == O_RDONLY && !(info->flags & O_TRUNC);
	if (fuse_reply_open(req, info))
		vfs_release(handle);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *info)
{
	struct operations_context *context = operation_begin(req);
	ssize_t got;

	(void)ino;
	if (size > context->read_size)
		size = context->read_size;
	got = vfs_read(to_handle(info), context->read_buffer, size, (uint64_t)offset);
	if (got < 0)
		operation_error(req, (int)got);
	else
		fuse_reply_buf(req, context->read_buffer, (size_t)got);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *info)
{
	struct operations_context *context = operation_begin(req);
	/* As F_SETFL left it, which only a write tells; what a mapping held has its place. The
	 * kernel's idea of the end may be older than ours. */
	bool append = (info->flags & O_APPEND) && !info->writepage;
	/* First the privileges, then the bytes: a crash must not leave both. */
	ssize_t written = context->kills_privileges ? vfs_drop_privileges(context->vfs, ino) : 0;

	if (!written)
		written = vfs_write(to_handle(info), data, size,
				    append ? VFS_AT_END : (uint64_t)offset);
	if (written < 0)
		operation_error(req, (int)written);
	else
		fuse_reply_write(req, (size_t)written);
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t from_ino, off_t from_offset,
			       struct fuse_file_info *from, fuse_ino_t to_ino, off_t to_offset,
			       struct fuse_file_info *to, size_t len, int flags)
{
	struct operations_context *context = operation_begin(req);
	/* As for fallocate. */
	ssize_t done = fuse_req_ctx(req)->uid ? vfs_drop_privileges(context->vfs, to_ino) : 0;

	(void)from_ino;
	(void)flags;
	if (!done)
		done = vfs_copy_range(to_handle(from), (uint64_t)from_offset, to_handle(to),
				      (uint64_t)to_offset, len);
	if (done < 0)
		operation_error(req, (int)done);
	else
		fuse_reply_write(req, (size_t)done);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len,
			 struct fuse_file_info *info)
{
	struct operations_context *context = operation_begin(req);
	/* The request does not say whether the caller may keep set-id bits. */
	int err = fuse_req_ctx(req)->uid ? vfs_drop_privileges(context->vfs, ino) : 0;

	if (!err)
		err = vfs_fallocate(to_handle(info), mode, (uint64_t)offset, (uint64_t)len);
	operation_error(req, err);
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     struct fuse_file_info *info)
{
	uint64_t found = 0;
	int err;

	(void)ino;
	operation_begin(req);
	err = whence == SEEK_HOLE || whence == SEEK_DATA
		      ? vfs_seek(to_handle(info), (uint64_t)offset, whence == SEEK_HOLE, &found)
		      : -EINVAL;
	/* Not operation_error, to which ENXIO is an error of the network. */
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_lseek(req, (off_t)found);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	operation_begin(req);
	operation_error(req, vfs_flush(to_handle(info)));
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info)
{
	(void)ino;
	(void)datasync;
	operation_begin(req);
	operation_error(req, vfs_fsync(to_handle(info)));
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	vfs_release(to_handle(info));
	fuse_reply_err(req, 0);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct operations_context *context = operation_begin(req);
	struct statvfs out = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};
	uint64_t blocks, blocks_free, files;
	int err = vfs_statfs(context->vfs, &blocks, &blocks_free, &files);

	(void)ino;
	out.f_blocks = blocks;
	out.f_bfree = out.f_bavail = blocks_free;
	out.f_files = files + (UINT64_C(1) << 32);
	out.f_ffree = out.f_favail = UINT64_C(1) << 32;
	if (err)
		operation_error(req, err);
	else
		fuse_reply_statfs(req, &out);
}

const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.create = op_create,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.copy_file_range = op_copy_file_range,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.fsync = op_fsync,
	.release = op_release,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.ioctl = op_ioctl,
};

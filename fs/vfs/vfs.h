/* vfs.h — the file system: what the front (FUSE) asks and what it is told. No FUSE in it.
 *
 * Threads: owner thread. Every function that may ask S3, the disk or the journal must run in a
 * fiber; it returns 0 (or a count) or a negative errno for the caller of the system call. A
 * successful vfs_lookup, vfs_make, vfs_create or plus-entry of vfs_readdir counts one kernel
 * reference, which vfs_forget gives back.
 */
#ifndef FS_VFS_VFS_H
#define FS_VFS_VFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/options.h"
#include "fs/env.h"
#include "fs/upload/upload.h"
#include "fs/vfs/media_type.h"

#define VFS_ROOT UINT64_C(1)

struct vfs;
struct vfs_handle;    /* an open file */
struct vfs_directory; /* an open directory */

struct vfs_config {
	const char *volume; /* "bucket:prefix at endpoint", for messages and the journal */
	const char *prefix; /* "" or "a/b/" */
	const char *node;   /* host name, for conflict copies */
	struct attribute_defaults defaults;
	enum publish_mode close, fsync;
	enum conflict_mode conflict;
	uint64_t attr_timeout; /* ns */
	uint64_t cache_limit, dirty_limit, part_size;
	unsigned parallel;
	bool read_only, noatime;
	bool acl; /* POSIX ACLs are there; else -EOPNOTSUPP, and none shows */
	const struct media_types *media_types; /* borrowed; NULL: names tell no type */
	/* For status alone: */
	const char *read_only_because; /* NULL: somebody wanted it so */
	const char *cache_directory;
};

/* Takes what the journal holds; nothing is sent yet. config is copied, its strings too.
 * Errors: of the journal and the disk, with a message. */
int vfs_create_instance(struct env *env, const struct vfs_config *config,
			const struct journal_info *info, struct vfs **out, struct error *error);
/* After the probe: aborts multipart uploads and finishes renames that a crash left, starts the
 * uploads. In a fiber. */
int vfs_recover(struct vfs *vfs);
/* Until the renames among that are finished, or deadline (monotonic): before it, names can be seen
 * at two places, or go away while somebody looks. In a fiber. */
void vfs_await_names(struct vfs *vfs, uint64_t deadline);
/* Everything must be quiet. Leaves journal and data files such that the next mount finds what is
 * not in S3. */
void vfs_destroy_instance(struct vfs *vfs);
struct uploader *vfs_uploader(struct vfs *vfs);
struct executor *vfs_executor(struct vfs *vfs);
bool vfs_has_acl(const struct vfs *vfs);

struct vfs_caller {
	uint32_t uid, gid;
	int32_t pid;	/* of the thread */
	uint32_t umask; /* for what it makes */
};

int vfs_lookup(struct vfs *vfs, struct vfs_caller caller, uint64_t parent, const char *name,
	       struct stat *out);
void vfs_forget(struct vfs *vfs, uint64_t ino, uint64_t count);
int vfs_getattr(struct vfs *vfs, uint64_t ino, struct stat *out);

enum {
	VFS_SET_MODE = 1,
	VFS_SET_UID = 2,
	VFS_SET_GID = 4,
	VFS_SET_SIZE = 8,
	VFS_SET_ATIME = 16,
	VFS_SET_MTIME = 32,
	VFS_SET_ATIME_NOW = 64,
	VFS_SET_MTIME_NOW = 128,
	/* With a chown, or a truncation by somebody without the right: vfs_drop_privileges. */
	VFS_CLEAR_SUID = 256,
	VFS_SET_CTIME = 512, /* to now, as each of the others does */
};
/* handle: the open file the call came through, or NULL. */
int vfs_setattr(struct vfs *vfs, uint64_t ino, struct vfs_handle *handle, const struct stat *values,
		unsigned which, struct stat *out);
/* Before a write by somebody without the right to keep them: takes away set-uid, and set-gid where
 * the group may execute (should_remove_suid, fs/inode.c of Linux). Costs nothing where there is
 * neither. security.capability goes with every change of content or owner, unasked. */
int vfs_drop_privileges(struct vfs *vfs, uint64_t ino);

/* Extended attributes (xattr(7)). Counts of bytes, also with size 0, which asks for the count
 * alone. Names that begin with user.s3mount. say what became of a file; they are not listed, and
 * cannot be set (-EPERM). Errors besides: -ENODATA, -ERANGE, -EEXIST and -ENODATA by flags; -ENOSPC
 * when an object's metadata cannot hold it beside all else; -EIO when somebody else's cannot be
 * read and would be lost; -EOPNOTSUPP for names that Linux does not know, and for
 * the label of a file that has none. */
ssize_t vfs_getxattr(struct vfs *vfs, uint64_t ino, const char *name, void *value, size_t size);
ssize_t vfs_listxattr(struct vfs *vfs, struct vfs_caller caller, uint64_t ino, char *list,
		      size_t size); /* names, each with its NUL */
int vfs_setxattr(struct vfs *vfs, uint64_t ino, const char *name, const void *value, size_t len,
		 int flags); /* flags: setxattr(2) */
int vfs_removexattr(struct vfs *vfs, uint64_t ino, const char *name);

/* Directories, symlinks (target), special files, and files that are not opened. */
int vfs_make(struct vfs *vfs, struct vfs_caller caller, uint64_t parent, const char *name,
	     mode_t mode, dev_t rdev, const char *target, struct stat *out);
int vfs_readlink(struct vfs *vfs, uint64_t ino, char **target); /* caller frees */
int vfs_unlink(struct vfs *vfs, uint64_t parent, const char *name);
int vfs_rmdir(struct vfs *vfs, uint64_t parent, const char *name);
/* flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE; others -EINVAL. */
int vfs_rename(struct vfs *vfs, uint64_t parent, const char *name, uint64_t new_parent,
	       const char *new_name, unsigned flags);

/* Opens what others have made meanwhile, unless flags has O_EXCL or the caller may not (-EEXIST).
 */
int vfs_create(struct vfs *vfs, struct vfs_caller caller, uint64_t parent, const char *name,
	       mode_t mode, int flags, struct vfs_handle **handle, struct stat *out);
/* unnamed.c: a file without a name (O_TMPFILE), as one that was unlinked: it is never published and
 * goes with its last handle, unless vfs_link gives it a name. */
int vfs_tmpfile(struct vfs *vfs, struct vfs_caller caller, uint64_t parent, mode_t mode, int flags,
		struct vfs_handle **handle, struct stat *out);
/* link(2), of such a file alone, and once: -EPERM for all others, as objects have one name. */
int vfs_link(struct vfs *vfs, uint64_t ino, uint64_t parent, const char *name, struct stat *out);
/* *keep_cache: the file is still the version that the kernel's page cache and attributes may hold.
 */
int vfs_open(struct vfs *vfs, struct vfs_caller caller, uint64_t ino, int flags,
	     struct vfs_handle **handle, bool *keep_cache);
/* data is filled after the last wait, at once: one buffer serves all readers. */
ssize_t vfs_read(struct vfs_handle *handle, void *data, size_t len, uint64_t offset);
#define VFS_AT_END UINT64_MAX
/* offset VFS_AT_END: where the file ends now. data NULL: zeros, without space for them; then not
 * past the end (-EINVAL). */
ssize_t vfs_write(struct vfs_handle *handle, const void *data, size_t len, uint64_t offset);
/* fallocate(2). Without PUNCH_HOLE: -ENOSPC when the cache's disk has no room for what the file
 * would grow by; it is not held. Errors besides: -EOPNOTSUPP other modes than KEEP_SIZE,
 * PUNCH_HOLE, ZERO_RANGE. */
int vfs_fallocate(struct vfs_handle *handle, int mode, uint64_t offset, uint64_t len);
/* copy_file_range(2). A whole file that is in S3, into an empty one: by the server, which publishes
 * the new one. Else some MiB at once at most; 0: the source ends there. */
ssize_t vfs_copy_range(struct vfs_handle *from, uint64_t from_offset, struct vfs_handle *to,
		       uint64_t to_offset, size_t len);
/* SEEK_HOLE or SEEK_DATA of lseek(2). -ENXIO: nothing of it follows. */
int vfs_seek(struct vfs_handle *handle, uint64_t offset, bool hole, uint64_t *out);
int vfs_flush(struct vfs_handle *handle); /* close(2): P3 */
int vfs_fsync(struct vfs_handle *handle); /* P2 */
void vfs_release(struct vfs_handle *handle);

int vfs_opendir(struct vfs *vfs, uint64_t ino, struct vfs_directory **out);
struct vfs_dirent {
	const char *name;
	bool counted; /* plus: attributes are known and a reference was counted */
	/* Without plus only st_ino and the type bits of st_mode (0: unknown). */
	struct stat attributes;
};
/* Entry number position (0 "."; 1 ".."); false in *more at the end. With plus the entry counts a
 * kernel reference, except "." and "..", unless it vanished. What is gone has st_ino 0: the caller
 * skips it. */
int vfs_readdir(struct vfs_directory *directory, uint64_t position, bool plus,
		struct vfs_dirent *out, bool *more);
void vfs_releasedir(struct vfs_directory *directory);
/* Everything below the directory is in S3 when it returns 0. */
int vfs_sync(struct vfs *vfs, uint64_t ino, uint64_t deadline);
/* fsync(2) of a directory: the same with fsync=s3; with fsync=local all that is below it is on this
 * disk. */
int vfs_fsyncdir(struct vfs *vfs, uint64_t ino, uint64_t deadline);

/* Everything that is dirty survives power loss when it returns 0: before the end of a mount that
 * could not upload all. In a fiber. */
int vfs_make_durable(struct vfs *vfs);

/* In blocks of 4 KiB: what may wait for its upload, as a bucket has no end, and what of that is
 * free now, also on the local disk. */
int vfs_statfs(struct vfs *vfs, uint64_t *blocks, uint64_t *blocks_free, uint64_t *files);
/* The state as one JSON object, for `s3mount status`. */
void vfs_status(struct vfs *vfs, struct buf *out);
struct vfs_pending {
	uint64_t files, bytes;
};
struct vfs_pending vfs_pending(const struct vfs *vfs);
/* One line per file that is not in S3 yet, at most max, to the log. */
void vfs_log_pending(const struct vfs *vfs, unsigned max);

#endif

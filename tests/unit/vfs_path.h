/* vfs_path.h — paths of a vfs, for tests: each component is looked up as a kernel would that keeps
 * no names. In a fiber. Errors: as vfs.h.
 */
#ifndef TESTS_UNIT_VFS_PATH_H
#define TESTS_UNIT_VFS_PATH_H

#include "fs/vfs/vfs.h"

/* One component. Gives the reference back at once, as nothing is kept of what is not open. */
int vfs_path_look(struct vfs *vfs, struct vfs_caller caller, uint64_t parent, const char *name,
		  struct stat *out);
/* The directory of path; *name: the last component, within path. */
int vfs_path_parent(struct vfs *vfs, struct vfs_caller caller, const char *path, uint64_t *parent,
		    const char **name);

#endif

#include "tests/unit/vfs_path.h"

#include <stdio.h>
#include <string.h>

int vfs_path_look(struct vfs *vfs, struct vfs_caller caller, uint64_t parent, const char *name,
		  struct stat *out)
{
	int err = vfs_lookup(vfs, caller, parent, name, out);

	if (!err)
		vfs_forget(vfs, out->st_ino, 1);
	return err;
}

int vfs_path_parent(struct vfs *vfs, struct vfs_caller caller, const char *path, uint64_t *parent,
		    const char **name)
{
	char component[256];
	struct stat found;
	const char *slash;

	*parent = VFS_ROOT;
	for (; (slash = strchr(path, '/')); path = slash + 1) {
		int err;

		snprintf(component, sizeof(component), "%.*s", (int)(slash - path), path);
		err = vfs_path_look(vfs, caller, *parent, component, &found);
		if (err)
			return err;
		*parent = found.st_ino;
	}
	*name = path;
	return 0;
}

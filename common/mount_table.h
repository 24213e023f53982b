/* mount_table.h — what is mounted where, from /proc/self/mountinfo (proc(5); Linux:
 * fs/proc_namespace.c).
 *
 * The table is read from the kernel's memory: unlike stat or statfs on the path it never waits for
 * a file system that does not answer. Paths are compared as text: absolute, without "..", "//" or
 * links. Any thread.
 */
#ifndef COMMON_MOUNT_TABLE_H
#define COMMON_MOUNT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Points into the table; lives as long as it. */
struct mount_entry {
	unsigned device_major, device_minor;
	const char *root;  /* what of the file system is mounted; "/" unless it is a bind mount of a
			      part */
	const char *point; /* relative to the process's root */
	const char *type;  /* "ext4", "fuse.s3mount" .. */
	const char *source;
	const char *options;	   /* of the mount */
	const char *super_options; /* of the file system */
};

struct mount_table {
	char *text; /* owned; entries are cut into strings in place */
	size_t len;
	size_t position;
};

/* Errors: -errno of open and read; -EFBIG; -ENOMEM. */
int mount_table_load(struct mount_table *table);
/* From text as the kernel prints it, which is copied. -ENOMEM. */
int mount_table_parse(struct mount_table *table, const char *text, size_t len);
void mount_table_free(struct mount_table *table);

/* In the order of the kernel: a mount on top of another one comes after it. Each entry once; lines
 * that cannot be understood are left out. false at the end. */
bool mount_table_next(struct mount_table *table, struct mount_entry *entry);
/* Uses up the table. The last mount whose point is exactly path, so the one that is seen there. */
bool mount_table_find(struct mount_table *table, const char *path, struct mount_entry *entry);

/* One question to the kernel: 1 when path is a mount point whose file system's type is type (NULL:
 * any), 0 when not; errors as mount_table_load. */
int mount_point_check(const char *path, const char *type);

#endif

/* core_files.h — what a program does with files, by path, on a node of core_world.h; and what the
 * bucket holds then. For tests; in a fiber.
 *
 * Each call looks every component up again, as a kernel would that keeps no names. Errors: as
 * vfs.h.
 */
#ifndef TESTS_UNIT_CORE_FILES_H
#define TESTS_UNIT_CORE_FILES_H

#include <fcntl.h>

#include "tests/unit/core_world.h"

int core_stat(struct core_node *node, const char *path, struct stat *out);
uint64_t core_ino(struct core_node *node,
		  const char *path); /* fails the test when it is not there */
int core_open(struct core_node *node, const char *path, int flags, struct vfs_handle **out);
void core_release_handle(struct core_node *node, struct vfs_handle *handle);
/* flush (its result) and release */
int core_close(struct core_node *node, struct vfs_handle *handle);
/* open for writing with O_CREAT and O_TRUNC, write, close; the first error */
int core_put_bytes(struct core_node *node, const char *path, const void *data, size_t len);
int core_put(struct core_node *node, const char *path, const char *text);
int core_write(struct vfs_handle *handle, const char *text, uint64_t offset); /* 0 when complete */
int core_append(struct core_node *node, const char *path, const char *text);  /* open .. close */
ssize_t core_read(struct core_node *node, const char *path, void *data, size_t len,
		  uint64_t offset);
int core_truncate(struct core_node *node, const char *path, uint64_t size);
int core_chmod(struct core_node *node, const char *path, mode_t mode);
int core_mkdir(struct core_node *node, const char *path);
int core_symlink(struct core_node *node, const char *target, const char *path);
int core_unlink(struct core_node *node, const char *path);
int core_rmdir(struct core_node *node, const char *path);
int core_rename(struct core_node *node, const char *from, const char *to);
int core_exchange(struct core_node *node, const char *one, const char *other);
/* Names of a directory, sorted, with a space after each; or "error ERRNO". Static storage. */
const char *core_list(struct core_node *node, const char *path);
bool core_exists(struct core_node *node, const char *path); /* fails the test on other errors */

/* The file has these bytes through the node. */
#define core_assert_file(node, path, text) core_check_file(node, path, text, __FILE__, __LINE__)
/* The bucket has it; NULL: it has not. */
#define core_assert_object(world, key, text) core_check_object(world, key, text, __FILE__, __LINE__)
void core_check_file(struct core_node *node, const char *path, const char *text, const char *file,
		     int line);
void core_check_object(struct core_world *world, const char *key, const char *text,
		       const char *file, int line);
/* The only key with that beginning; NULL when there is none or more than one. */
const char *core_key_like(struct core_world *world, const char *start);

/* Bytes that differ at every offset and with every seed. */
void core_pattern(void *data, size_t len, uint64_t offset, uint64_t seed);
/* Writes [start, end) of them in pieces of 1 MiB, as the kernel does. */
void core_write_pattern(struct vfs_handle *handle, uint64_t start, uint64_t end, uint64_t seed);
/* The object has them there; it may be longer. */
void core_assert_pattern(struct core_world *world, const char *key, uint64_t start, uint64_t end,
			 uint64_t seed);
/* Puts an object of such bytes into the bucket, as another client does. */
void core_put_pattern(struct core_world *world, const char *key, size_t len, uint64_t seed);

#endif

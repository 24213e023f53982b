#include "tests/unit/core_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "tests/unit/vfs_path.h"

static const struct vfs_caller caller = {1000, 1000, 42, 0};

int core_stat(struct core_node *node, const char *path, struct stat *out)
{
	const char *name;
	uint64_t parent;
	int err = vfs_path_parent(node->vfs, caller, path, &parent, &name);

	if (err)
		return err;
	return *name ? vfs_path_look(node->vfs, caller, parent, name, out)
		     : vfs_getattr(node->vfs, parent, out);
}

uint64_t core_ino(struct core_node *node, const char *path)
{
	struct stat found = {0};
	int err = core_stat(node, path, &found);

	if (err)
		fail_msg("%s: %s", path, strerror(-err));
	return found.st_ino;
}

static void remember(struct core_node *node, struct vfs_handle *handle)
{
	for (int i = 0; i < CORE_HANDLES; i++) {
		if (!node->handles[i]) {
			node->handles[i] = handle;
			return;
		}
	}
	fail_msg("too many open files in a test");
}

int core_open(struct core_node *node, const char *path, int flags, struct vfs_handle **out)
{
	struct stat found;
	const char *name;
	uint64_t parent;
	bool keep;
	int err = vfs_path_parent(node->vfs, caller, path, &parent, &name);

	if (err)
		return err;
	err = vfs_path_look(node->vfs, caller, parent, name, &found);
	if (err == -ENOENT && (flags & O_CREAT)) {
		err = vfs_create(node->vfs, caller, parent, name, 0644, flags, out, &found);
		if (!err)
			vfs_forget(node->vfs, found.st_ino, 1);
	} else if (!err) {
		err = vfs_open(node->vfs, caller, found.st_ino, flags, out, &keep);
	}
	if (!err)
		remember(node, *out);
	return err;
}

void core_release_handle(struct core_node *node, struct vfs_handle *handle)
{
	for (int i = 0; i < CORE_HANDLES; i++)
		if (node->handles[i] == handle)
			node->handles[i] = NULL;
	vfs_release(handle);
}

int core_close(struct core_node *node, struct vfs_handle *handle)
{
	int err = vfs_flush(handle);

	core_release_handle(node, handle);
	return err;
}

int core_put_bytes(struct core_node *node, const char *path, const void *data, size_t len)
{
	struct vfs_handle *handle;
	int err = core_open(node, path, O_WRONLY | O_CREAT | O_TRUNC, &handle), close_err;
	ssize_t got;

	if (err)
		return err;
	got = len > 0 ? vfs_write(handle, data, len, 0) : 0;
	err = got < 0 ? (int)got : got == (ssize_t)len ? 0 : -EIO;
	close_err = core_close(node, handle);
	return err ? err : close_err;
}

int core_put(struct core_node *node, const char *path, const char *text)
{
	return core_put_bytes(node, path, text, strlen(text));
}

int core_write(struct vfs_handle *handle, const char *text, uint64_t offset)
{
	ssize_t got = vfs_write(handle, text, strlen(text), offset);

	return got < 0 ? (int)got : got == (ssize_t)strlen(text) ? 0 : -EIO;
}

int core_append(struct core_node *node, const char *path, const char *text)
{
	struct vfs_handle *handle;
	int err = core_open(node, path, O_WRONLY | O_APPEND, &handle), close_err;

	if (err)
		return err;
	err = core_write(handle, text, VFS_AT_END);
	close_err = core_close(node, handle);
	return err ? err : close_err;
}

ssize_t core_read(struct core_node *node, const char *path, void *data, size_t len, uint64_t offset)
{
	struct vfs_handle *handle;
	ssize_t got = core_open(node, path, O_RDONLY, &handle);

	if (got)
		return got;
	got = vfs_read(handle, data, len, offset);
	core_close(node, handle);
	return got;
}

static int set(struct core_node *node, const char *path, const struct stat *values, unsigned which)
{
	struct stat found;
	int err = core_stat(node, path, &found);

	return err ? err : vfs_setattr(node->vfs, found.st_ino, NULL, values, which, &found);
}

int core_truncate(struct core_node *node, const char *path, uint64_t size)
{
	struct stat values = {.st_size = (off_t)size};

	return set(node, path, &values, VFS_SET_SIZE);
}

int core_chmod(struct core_node *node, const char *path, mode_t mode)
{
	struct stat values = {.st_mode = mode};

	return set(node, path, &values, VFS_SET_MODE);
}

static int make(struct core_node *node, const char *path, mode_t mode, const char *target)
{
	struct stat made;
	const char *name;
	uint64_t parent;
	int err = vfs_path_parent(node->vfs, caller, path, &parent, &name);

	if (!err)
		err = vfs_make(node->vfs, caller, parent, name, mode, 0, target, &made);
	if (!err)
		vfs_forget(node->vfs, made.st_ino, 1);
	return err;
}

int core_mkdir(struct core_node *node, const char *path)
{
	return make(node, path, S_IFDIR | 0755, NULL);
}

int core_symlink(struct core_node *node, const char *target, const char *path)
{
	return make(node, path, S_IFLNK | 0777, target);
}

int core_unlink(struct core_node *node, const char *path)
{
	const char *name;
	uint64_t parent;
	int err = vfs_path_parent(node->vfs, caller, path, &parent, &name);

	return err ? err : vfs_unlink(node->vfs, parent, name);
}

int core_rmdir(struct core_node *node, const char *path)
{
	const char *name;
	uint64_t parent;
	int err = vfs_path_parent(node->vfs, caller, path, &parent, &name);

	return err ? err : vfs_rmdir(node->vfs, parent, name);
}

static int rename_with(struct core_node *node, const char *from, const char *to, unsigned flags)
{
	const char *from_name, *to_name;
	uint64_t from_parent, to_parent;
	int err = vfs_path_parent(node->vfs, caller, from, &from_parent, &from_name);

	if (!err)
		err = vfs_path_parent(node->vfs, caller, to, &to_parent, &to_name);
	return err ? err : vfs_rename(node->vfs, from_parent, from_name, to_parent, to_name, flags);
}

int core_rename(struct core_node *node, const char *from, const char *to)
{
	return rename_with(node, from, to, 0);
}

int core_exchange(struct core_node *node, const char *one, const char *other)
{
	return rename_with(node, one, other, RENAME_EXCHANGE);
}

const char *core_list(struct core_node *node, const char *path)
{
	static char text[8192];
	struct vfs_directory *directory = NULL;
	struct vfs_dirent entry;
	struct stat found = {.st_ino = VFS_ROOT};
	size_t len = 0;
	bool more = true;
	int err = *path ? core_stat(node, path, &found) : 0;

	if (!err)
		err = vfs_opendir(node->vfs, found.st_ino, &directory);
	text[0] = '\0';
	for (uint64_t position = 2; !err && more; position++) {
		err = vfs_readdir(directory, position, true, &entry, &more);
		if (err || !more || entry.attributes.st_ino == 0)
			continue;
		CHECK(len + strlen(entry.name) + 2 < sizeof(text));
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s ", entry.name);
		vfs_forget(node->vfs, entry.attributes.st_ino, 1);
	}
	if (directory)
		vfs_releasedir(directory);
	if (err)
		snprintf(text, sizeof(text), "error %d", -err);
	return text;
}

bool core_exists(struct core_node *node, const char *path)
{
	struct stat found;
	int err = core_stat(node, path, &found);

	if (err && err != -ENOENT)
		fail_msg("%s: %s", path, strerror(-err));
	return err == 0;
}

void core_check_file(struct core_node *node, const char *path, const char *text, const char *file,
		     int line)
{
	char data[4096];
	ssize_t got = core_read(node, path, data, sizeof(data) - 1, 0);

	if (got < 0) {
		print_error("%s:%d: %s: %s\n", file, line, path, strerror((int)-got));
		_fail(file, line);
	}
	data[got] = '\0';
	_assert_string_equal(data, text, file, line);
}

void core_check_object(struct core_world *world, const char *key, const char *text,
		       const char *file, int line)
{
	const struct memory_object *object = objstore_memory_find(world->memory, key);

	if (!object != !text) {
		print_error("%s:%d: key %s is %s\n", file, line, key,
			    object ? "in the bucket" : "not in the bucket");
		_fail(file, line);
	}
	if (!object || !text)
		return;
	_assert_int_equal(object->size, strlen(text), file, line);
	_assert_memory_equal(object->data, text, object->size, file, line);
}

const char *core_key_like(struct core_world *world, const char *start)
{
	const struct memory_bucket *bucket = &world->memory->bucket;
	const char *found = NULL;

	for (size_t i = 0; i < bucket->object_count; i++) {
		const char *key = bucket->objects[i]->key;

		if (strncmp(key, start, strlen(start)) != 0)
			continue;
		if (found)
			return NULL;
		found = key;
	}
	return found;
}

void core_pattern(void *data, size_t len, uint64_t offset, uint64_t seed)
{
	unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++) {
		uint64_t value = (offset + i + 1 + (seed << 48)) * UINT64_C(0x9e3779b97f4a7c15);

		value ^= seed * UINT64_C(0x2545f4914f6cdd1d);

		bytes[i] = (unsigned char)(value >> 56);
	}
}

void core_write_pattern(struct vfs_handle *handle, uint64_t start, uint64_t end, uint64_t seed)
{
	char *data = malloc(MIB);

	assert_non_null(data);
	while (start < end) {
		size_t len = end - start < MIB ? (size_t)(end - start) : MIB;

		core_pattern(data, len, start, seed);
		assert_int_equal(vfs_write(handle, data, len, start), len);
		start += len;
	}
	free(data);
}

void core_assert_pattern(struct core_world *world, const char *key, uint64_t start, uint64_t end,
			 uint64_t seed)
{
	const struct memory_object *object = objstore_memory_find(world->memory, key);
	char *data = malloc(MIB);

	assert_non_null(data);
	assert_non_null(object);
	assert_true(object->size >= end);
	while (start < end) {
		size_t len = end - start < MIB ? (size_t)(end - start) : MIB;

		core_pattern(data, len, start, seed);
		assert_memory_equal(object->data + start, data, len);
		start += len;
	}
	free(data);
}

void core_put_pattern(struct core_world *world, const char *key, size_t len, uint64_t seed)
{
	struct os_request request = {.op = OS_PUT, .key = key};
	struct memory_object *object = memory_object_new(&request);
	unsigned char *data = malloc(len ? len : 1);
	int64_t wall = executor_wall(world->executor);

	CHECK(data != NULL);
	core_pattern(data, len, 0, seed);
	memory_object_fill(object, data, len);
	object->last_modified = wall - wall % (int64_t)NSEC_PER_SEC;
	memory_bucket_insert(&world->memory->bucket, object);
}

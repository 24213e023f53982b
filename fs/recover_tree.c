#include "fs/recover_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"

enum { ROOT_INO = 1, DEPTH_MAX = 256, DATA_DIRECTORIES = 256, NUMBER_DIGITS = 16 };

void recover_data_path(const char *directory, uint64_t file_id, char *out)
{
	snprintf(out, PATH_MAX, "%s/data/%02x/%016" PRIx64, directory,
		 (unsigned)(file_id % DATA_DIRECTORIES), file_id);
}

static struct recover_file *add_file(struct recover_tree *tree)
{
	if (tree->count == tree->capacity) {
		size_t capacity = tree->capacity ? 2 * tree->capacity : 256;
		struct recover_file *more = reallocarray(tree->files, capacity, sizeof(*more));

		if (!more)
			return NULL;
		tree->files = more;
		tree->capacity = capacity;
	}
	tree->files[tree->count] = (struct recover_file){.valid = EXTENT_SET_INIT};
	return &tree->files[tree->count++];
}

static int take_node(void *context, const struct journal_node *node, const struct extent_set *dirty)
{
	struct recover_tree *tree = context;
	struct recover_file *file;

	if (map_get_u64(tree->by_ino, node->ino)) /* two damaged pages may tell the same row */
		return 0;
	file = add_file(tree);
	if (!file)
		return -ENOMEM;
	file->ino = node->ino;
	file->parent = node->parent;
	file->flags = node->flags;
	file->attributes = node->attributes;
	file->size = node->size;
	file->file_id = node->file_id;
	snprintf(file->put_id, sizeof(file->put_id), "%s", node->put_id);
	file->name = string_copy(node->name);
	file->target = string_copy(node->target);
	file->etag = string_copy(node->etag);
	if (!file->name || !file->target || !file->etag)
		return -ENOMEM;
	if (node->file_id && map_put_u64(tree->data, node->file_id, tree, NULL))
		return -ENOMEM;
	if (extent_set_copy(&file->valid, dirty))
		return -ENOMEM;
	return map_put_u64(tree->by_ino, node->ino, (void *)(uintptr_t)tree->count, NULL);
}

static struct recover_file *find(const struct recover_tree *tree, uint64_t ino)
{
	uintptr_t index = (uintptr_t)map_get_u64(tree->by_ino, ino);

	return index ? &tree->files[index - 1] : NULL;
}

static bool is_safe_name(const char *name)
{
	return name[0] && strlen(name) <= NAME_MAX && !strchr(name, '/') &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* What has lost a directory above it goes into one that says so. */
static int place(const struct recover_tree *tree, struct recover_file *file)
{
	const char *parts[DEPTH_MAX];
	const struct recover_file *at = file, *top = NULL;
	struct buf path = BUF_INIT;
	size_t depth = 0;

	while (at && at->ino != ROOT_INO && depth < DEPTH_MAX && is_safe_name(at->name)) {
		parts[depth++] = at->name;
		top = at;
		at = find(tree, at->parent);
	}
	/* The root is there even when its row is lost. */
	file->placed = top && (at ? at->ino == ROOT_INO : top->parent == ROOT_INO);
	if (!file->placed)
		buf_printf(&path, "unplaced/%016" PRIx64 "/", top ? top->parent : file->ino);
	if (!top)
		buf_puts(&path, "data");
	while (depth > 0) {
		buf_puts(&path, parts[--depth]);
		if (depth > 0)
			buf_putc(&path, '/');
	}
	file->path = buf_steal(&path);
	return file->path ? 0 : -ENOMEM;
}

/* What can be read in the data file, by the holes that it has. */
static int find_data(const char *path, struct extent_set *out, uint64_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), err = 0;
	struct stat st;
	off_t at = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	*size = err ? 0 : (uint64_t)st.st_size;
	while (!err && at < st.st_size) {
		off_t start = lseek(fd, at, SEEK_DATA), end;

		if (start < 0)
			break;
		end = lseek(fd, start, SEEK_HOLE);
		if (end < 0)
			end = st.st_size;
		err = extent_add(out, (uint64_t)start, (uint64_t)end);
		at = end;
	}
	close(fd);
	return err;
}

static bool cut_at(struct extent_set *set, uint64_t size)
{
	return extent_remove(set, size, UINT64_MAX) == 0;
}

static int judge(const char *directory, struct recover_file *file)
{
	char path[PATH_MAX];
	struct stat st;

	if (S_ISLNK(file->attributes.mode) && file->target[0]) {
		file->kind = RECOVER_SYMLINK;
		return 0;
	}
	if (!(file->flags & NODE_DIRTY_DATA) || !S_ISREG(file->attributes.mode)) {
		file->kind = RECOVER_ATTRIBUTES;
		return 0;
	}
	recover_data_path(directory, file->file_id, path);
	if (file->file_id == 0 || lstat(path, &st) < 0 || !S_ISREG(st.st_mode)) {
		file->kind = RECOVER_LOST;
		return 0;
	}
	/* Writes to a complete file are in no row: its size is that of the data file. */
	file->size = (uint64_t)st.st_size;
	file->kind = file->flags & NODE_COMPLETE ? RECOVER_COMPLETE : RECOVER_PARTIAL;
	if (file->kind == RECOVER_COMPLETE) {
		extent_set_free(&file->valid);
		return extent_add(&file->valid, 0, file->size);
	}
	return cut_at(&file->valid, file->size) ? 0 : -ENOMEM;
}

static bool is_owed(const struct recover_file *file)
{
	return (file->flags & (NODE_DIRTY_DATA | NODE_DIRTY_ATTR)) &&
	       !(file->flags & NODE_UNLINKED);
}

static int judge_all(struct recover_tree *tree, const char *directory)
{
	int err = 0;

	for (size_t i = 0; i < tree->count && !err; i++) {
		struct recover_file *file = &tree->files[i];

		if (S_ISDIR(file->attributes.mode) || !is_owed(file)) {
			file->kind = RECOVER_COPY;
			tree->copies += S_ISREG(file->attributes.mode) && file->file_id != 0;
			continue;
		}
		err = judge(directory, file);
		if (!err)
			err = place(tree, file);
	}
	return err;
}

static int take_unnamed(struct recover_tree *tree, const char *directory, uint64_t id)
{
	char path[PATH_MAX], name[NUMBER_DIGITS + 1];
	struct recover_file *file = add_file(tree);
	struct buf placed = BUF_INIT;
	int err;

	if (!file)
		return -ENOMEM;
	file->file_id = id;
	file->kind = RECOVER_UNNAMED;
	file->attributes.mode = S_IFREG | 0600;
	snprintf(name, sizeof(name), "%016" PRIx64, id);
	buf_printf(&placed, "unnamed/%s", name);
	file->name = string_copy(name);
	file->target = string_copy("");
	file->etag = string_copy("");
	file->path = buf_steal(&placed);
	if (!file->name || !file->target || !file->etag || !file->path)
		return -ENOMEM;
	recover_data_path(directory, id, path);
	err = find_data(path, &file->valid, &file->size);
	if (err && err != -ENOMEM) { /* told with the file */
		file->err = err;
		err = 0;
	}
	return err;
}

static int scan_one(struct recover_tree *tree, const char *directory, unsigned index)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *stream;
	int err = 0;

	snprintf(path, sizeof(path), "%s/data/%02x", directory, index);
	stream = opendir(path);
	if (!stream)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(stream))) {
		uint64_t id;

		if (strlen(entry->d_name) != NUMBER_DIGITS ||
		    strspn(entry->d_name, "0123456789abcdef") != NUMBER_DIGITS)
			continue;
		id = strtoull(entry->d_name, NULL, 16);
		if (id % DATA_DIRECTORIES == index && !map_get_u64(tree->data, id))
			err = take_unnamed(tree, directory, id);
	}
	closedir(stream);
	return err;
}

static int by_path(const void *a, const void *b)
{
	const struct recover_file *one = a, *other = b;

	if (!one->path || !other->path)
		return !other->path - !one->path;
	return strcmp(one->path, other->path);
}

int recover_tree_read(struct recover_tree *tree, const char *directory, const char *scratch,
		      struct error *error)
{
	int err;

	*tree = (struct recover_tree){.by_ino = map_create(), .data = map_create()};
	if (!tree->by_ino || !tree->data) {
		recover_tree_free(tree);
		return error_set(error, -ENOMEM, "out of memory");
	}
	err = salvage_read(directory, scratch, take_node, tree, &tree->journal, error);
	if (!err)
		err = judge_all(tree, directory);
	for (unsigned i = 0; i < DATA_DIRECTORIES && !err; i++)
		err = scan_one(tree, directory, i);
	if (err) {
		recover_tree_free(tree);
		return error_set(error, err, "cannot read %s: %s", directory, strerror(-err));
	}
	qsort(tree->files, tree->count, sizeof(*tree->files), by_path);
	return 0;
}

void recover_tree_free(struct recover_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct recover_file *file = &tree->files[i];

		free(file->name);
		free(file->path);
		free(file->target);
		free(file->etag);
		extent_set_free(&file->valid);
	}
	free(tree->files);
	map_destroy(tree->by_ino);
	map_destroy(tree->data);
	*tree = (struct recover_tree){.files = NULL};
}

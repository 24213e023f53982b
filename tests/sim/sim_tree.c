#include "tests/sim/sim_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/check.h"

const char *const sim_paths[SIM_PATHS] = {"f", "e",   "n",   "m",   "d", "d/x", "d/y", "d/s",
					  "k", "k/x", "k/y", "k/s", "s", "d/n", "k/n", "b"};

struct sim_bytes *sim_bytes_new(struct sim_arena *arena, const void *data, size_t size)
{
	struct sim_bytes *bytes = malloc(sizeof(*bytes) + size);

	CHECK(bytes != NULL);
	bytes->size = size;
	if (size > 0 && data)
		memcpy(bytes->data, data, size);
	else
		memset(bytes->data, 0, size);
	bytes->next = arena->first;
	arena->first = bytes;
	return bytes;
}

void sim_arena_free(struct sim_arena *arena)
{
	while (arena->first) {
		struct sim_bytes *bytes = arena->first;

		arena->first = bytes->next;
		free(bytes);
	}
}

bool sim_bytes_equal(const struct sim_bytes *a, const struct sim_bytes *b)
{
	return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

int sim_path(const char *name)
{
	for (int i = 0; i < SIM_PATHS; i++)
		if (strcmp(sim_paths[i], name) == 0)
			return i;
	return -1;
}

int sim_path_parent(int path)
{
	char parent[64];
	const char *slash = strrchr(sim_paths[path], '/');

	if (!slash)
		return -1;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - sim_paths[path]), sim_paths[path]);
	return sim_path(parent);
}

bool sim_path_is_below(int path, int directory)
{
	size_t len = strlen(sim_paths[directory]);

	return strncmp(sim_paths[path], sim_paths[directory], len) == 0 &&
	       sim_paths[path][len] == '/';
}

int sim_path_moved(int path, int directory, int renamed)
{
	char moved[64];

	snprintf(moved, sizeof(moved), "%s%s", sim_paths[renamed],
		 sim_paths[path] + strlen(sim_paths[directory]));
	return sim_path(moved);
}

bool sim_tree_has_children(const struct sim_tree *tree, int directory)
{
	for (int i = 0; i < SIM_PATHS; i++)
		if (tree->entries[i].kind != SIM_ABSENT && sim_path_is_below(i, directory))
			return true;
	return false;
}

static unsigned mode_of(const struct memory_object *object, unsigned otherwise)
{
	const char *mode = os_meta_get(&object->meta, "mode");

	return mode ? (unsigned)strtoul(mode, NULL, 10) & 07777 : otherwise;
}

static enum sim_kind kind_of(const struct memory_object *object)
{
	const char *mode = os_meta_get(&object->meta, "mode");

	return mode && S_ISLNK(strtoul(mode, NULL, 10)) ? SIM_LINK : SIM_FILE;
}

static void imply_parents(struct sim_tree *tree, int path)
{
	for (int parent = sim_path_parent(path); parent >= 0; parent = sim_path_parent(parent))
		if (tree->entries[parent].kind == SIM_ABSENT)
			tree->entries[parent] = (struct sim_entry){SIM_DIRECTORY, 0, 0755, NULL};
}

const char *sim_tree_from_bucket(struct sim_tree *tree, const struct memory_bucket *bucket,
				 struct sim_arena *arena)
{
	memset(tree, 0, sizeof(*tree));
	for (size_t i = 0; i < bucket->object_count; i++) {
		const struct memory_object *object = bucket->objects[i];
		size_t len = strlen(object->key);
		bool directory = len > 0 && object->key[len - 1] == '/';
		char name[64];
		int path;

		if (len >= sizeof(name))
			return object->key;
		snprintf(name, sizeof(name), "%.*s", (int)(len - directory), object->key);
		path = sim_path(name);
		if (path < 0)
			return object->key;
		if (directory)
			tree->entries[path] = (struct sim_entry){SIM_DIRECTORY, 0,
								 mode_of(object, 0755), NULL};
		else
			tree->entries[path] = (struct sim_entry){
				kind_of(object), 0, mode_of(object, 0644),
				sim_bytes_new(arena, object->data, object->size)};
		imply_parents(tree, path);
	}
	return NULL;
}

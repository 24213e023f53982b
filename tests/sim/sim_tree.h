/* sim_tree.h — what the files must be: a small tree of names as it is after each step, and what a
 * bucket holds, in the same form.
 *
 * Names come from a fixed list, so that a tree is an array. Bytes are shared and live as long as
 * their arena. Pure but for the arena.
 */
#ifndef TESTS_SIM_SIM_TREE_H
#define TESTS_SIM_SIM_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/memory_bucket.h"

enum { SIM_PATHS = 16, SIM_FILE_MAX = 60000 };
extern const char *const sim_paths[SIM_PATHS];

enum sim_kind { SIM_ABSENT, SIM_FILE, SIM_LINK, SIM_DIRECTORY };
#define SIM_LINK_TARGET "target/of the link"

struct sim_bytes {
	struct sim_bytes *next; /* in the arena */
	size_t size;
	unsigned char data[];
};

struct sim_entry {
	enum sim_kind kind;
	unsigned inode;		       /* files alone: the same file under whatever name */
	unsigned mode;		       /* permission bits */
	const struct sim_bytes *bytes; /* of a link its target */
};

struct sim_tree {
	struct sim_entry entries[SIM_PATHS];
};

struct sim_arena {
	struct sim_bytes *first;
};

struct sim_bytes *sim_bytes_new(struct sim_arena *arena, const void *data, size_t size);
void sim_arena_free(struct sim_arena *arena);
bool sim_bytes_equal(const struct sim_bytes *a, const struct sim_bytes *b);

int sim_path(const char *name);			 /* its number; -1: not on the list */
int sim_path_parent(int path);			 /* -1: the root */
bool sim_path_is_below(int path, int directory); /* not the directory itself */
/* The name of path once the directory above it is called otherwise; -1: not on the list. */
int sim_path_moved(int path, int directory, int renamed);
bool sim_tree_has_children(const struct sim_tree *tree, int directory);

/* Returns NULL, or the first key that is not on the list (another client would see it). */
const char *sim_tree_from_bucket(struct sim_tree *tree, const struct memory_bucket *bucket,
				 struct sim_arena *arena);

#endif

#include "tests/s3server/index.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/s3server/text.h"

enum { LEVELS_MAX = 16 }; /* one node in four rises: good for 4^16 keys */

struct index_node {
	char *key; /* in the same allocation, after next[] */
	void *value;
	struct index_node *next[];
};

struct index {
	size_t count;
	unsigned levels;
	uint64_t random;
	struct index_node *head[LEVELS_MAX];
};

struct index *index_create(void)
{
	struct index *index = xmalloc(sizeof(*index));

	index->levels = 1;
	index->random = UINT64_C(0x9e3779b97f4a7c15);
	return index;
}

void index_destroy(struct index *index)
{
	struct index_node *node = index->head[0];

	while (node) {
		struct index_node *next = node->next[0];

		free(node);
		node = next;
	}
	free(index);
}

size_t index_count(const struct index *index)
{
	return index->count;
}

/* How a key stands to a target: by order, or by prefix order, where a key that starts with the
 * target counts as less (so that the search ends behind all of them). */
enum target_mode { TARGET_AT, TARGET_AFTER, TARGET_PAST_PREFIX };

static int is_before(const char *key, const char *target, size_t len, enum target_mode mode)
{
	int order;

	if (mode == TARGET_PAST_PREFIX)
		return strncmp(key, target, len) <= 0;
	order = strcmp(key, target);
	return mode == TARGET_AT ? order < 0 : order <= 0;
}

/* Fills path (unless NULL) with the link to follow at each level: what points to the found node. */
static struct index_node *search(const struct index *index, const char *target,
				 enum target_mode mode, struct index_node ***path)
{
	struct index_node **links = (struct index_node **)(uintptr_t)index->head;
	size_t len = mode == TARGET_PAST_PREFIX ? strlen(target) : 0;

	for (unsigned level = index->levels; level-- > 0;) {
		while (links[level] && is_before(links[level]->key, target, len, mode))
			links = links[level]->next;
		if (path)
			path[level] = &links[level];
	}
	return links[0];
}

struct index_node *index_find(const struct index *index, const char *key)
{
	struct index_node *node = search(index, key, TARGET_AT, NULL);

	return node && strcmp(node->key, key) == 0 ? node : NULL;
}

struct index_node *index_seek(const struct index *index, const char *key, int after)
{
	return search(index, key, after ? TARGET_AFTER : TARGET_AT, NULL);
}

struct index_node *index_seek_past(const struct index *index, const char *prefix)
{
	return search(index, prefix, TARGET_PAST_PREFIX, NULL);
}

struct index_node *index_next(const struct index_node *node)
{
	return node->next[0];
}

static unsigned random_levels(struct index *index)
{
	unsigned levels = 1;
	uint64_t bits;

	index->random ^= index->random << 13;
	index->random ^= index->random >> 7;
	index->random ^= index->random << 17;
	for (bits = index->random; (bits & 3) == 0 && levels < LEVELS_MAX; bits >>= 2)
		levels++;
	return levels;
}

struct index_node *index_insert(struct index *index, const char *key)
{
	struct index_node **path[LEVELS_MAX];
	struct index_node *node = search(index, key, TARGET_AT, path);
	size_t links, key_size = strlen(key) + 1;
	unsigned levels;

	if (node && strcmp(node->key, key) == 0)
		return node;
	levels = random_levels(index);
	for (; index->levels < levels; index->levels++)
		path[index->levels] = &index->head[index->levels];
	links = levels * sizeof(void *);
	node = xmalloc(sizeof(*node) + links + key_size);
	node->key = (char *)node->next + links;
	memcpy(node->key, key, key_size);
	for (unsigned level = 0; level < levels; level++) {
		node->next[level] = *path[level];
		*path[level] = node;
	}
	index->count++;
	return node;
}

void *index_remove(struct index *index, const char *key)
{
	struct index_node **path[LEVELS_MAX];
	struct index_node *node = search(index, key, TARGET_AT, path);
	void *value;

	if (!node || strcmp(node->key, key) != 0)
		return NULL;
	for (unsigned level = 0; level < index->levels && *path[level] == node; level++)
		*path[level] = node->next[level];
	value = node->value;
	free(node);
	index->count--;
	return value;
}

const char *index_key(const struct index_node *node)
{
	return node->key;
}

void *index_value(const struct index_node *node)
{
	return node->value;
}

void index_set_value(struct index_node *node, void *value)
{
	node->value = value;
}

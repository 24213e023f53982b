/* tree_keys.h — all keys below a prefix, as one listing showed them.
 *
 * Threads: owner thread. Owns what it points to, until tree_keys_free. Entries may be changed by
 * who learns newer things of them, but for their keys.
 */
#ifndef FS_VFS_TREE_KEYS_H
#define FS_VFS_TREE_KEYS_H

#include "fs/env.h"

struct tree_keys {
	size_t prefix_len;
	struct os_entry **entries; /* sorted by the bytes of the key */
	size_t count;
	struct os_result *pages;
	size_t page_count;
};
#define TREE_KEYS_NONE SIZE_MAX

/* In a fiber. Errors: as os_result (message filled), -ENOMEM; then there is nothing to free. */
int tree_keys_load(struct env *env, const char *prefix, struct tree_keys *keys, char *message,
		   size_t message_size);
void tree_keys_free(struct tree_keys *keys);
/* Index of the entry whose key is the prefix and then relative; or TREE_KEYS_NONE. */
size_t tree_keys_find(const struct tree_keys *keys, const char *relative);

static inline const char *tree_keys_relative(const struct tree_keys *keys, size_t index)
{
	return keys->entries[index]->key + keys->prefix_len;
}

/* Deletes all of them that it can, and says the first error. Puts those that many fit into one
 * request of first. */
int tree_keys_delete(struct env *env, const char **names, size_t count, char *message,
		     size_t message_size);

#endif

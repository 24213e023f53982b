/* map.h — hash map from byte strings or 64-bit integers to pointers. Open addressing, grows by
 * itself.
 *
 * Keys of the string map are copied and owned by the map; values are the caller's.
 * Iteration order is unspecified but the same for the same sequence of operations and seed.
 */
#ifndef COMMON_MAP_H
#define COMMON_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map; /* opaque; one type serves both kinds of keys, never mix them in one map */

struct map *map_create(void);	   /* NULL: out of memory */
void map_destroy(struct map *map); /* NULL allowed; values are not touched */
size_t map_count(const struct map *map);

void *map_get(const struct map *map, const char *key);
/* Replaces. Returns 0 or -ENOMEM. *old (if not NULL) gets the replaced value or NULL. */
int map_put(struct map *map, const char *key, void *value, void **old);
void *map_remove(struct map *map, const char *key); /* the value, or NULL */

void *map_get_u64(const struct map *map, uint64_t key);
int map_put_u64(struct map *map, uint64_t key, void *value, void **old);
void *map_remove_u64(struct map *map, uint64_t key);

/* Iterates: start with *position = 0; false at the end. Removing the current entry is allowed,
 * inserting is not. */
bool map_next(const struct map *map, size_t *position, const char **key, uint64_t *key_u64,
	      void **value);

#endif

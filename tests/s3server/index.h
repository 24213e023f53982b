/* index.h — ordered map from keys to pointers: a skip list in the order of strcmp, which is S3's
 * order of keys (UTF-8 binary). Seeking costs O(log n), so a listing can jump over a common prefix.
 *
 * Threads: none of its own; readers may share, a writer needs it alone. Values are the caller's.
 */
#ifndef TESTS_S3SERVER_INDEX_H
#define TESTS_S3SERVER_INDEX_H

#include <stddef.h>

struct index;
struct index_node; /* valid until it is removed */

struct index *index_create(void);
void index_destroy(struct index *index); /* values are not touched */
size_t index_count(const struct index *index);

struct index_node *index_find(const struct index *index, const char *key);
/* The first node with a key >= key (or > key when after is not 0); NULL at the end. */
struct index_node *index_seek(const struct index *index, const char *key, int after);
/* The first node whose key is greater than all keys that start with prefix. */
struct index_node *index_seek_past(const struct index *index, const char *prefix);
struct index_node *index_next(const struct index_node *node);
/* The node of the key, new (value NULL) or as it was. */
struct index_node *index_insert(struct index *index, const char *key);
void *index_remove(struct index *index, const char *key); /* the value; NULL when absent */

const char *index_key(const struct index_node *node);
void *index_value(const struct index_node *node);
void index_set_value(struct index_node *node, void *value);

#endif

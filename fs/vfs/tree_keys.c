#include "fs/vfs/tree_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_PAGE = 1000 };

void tree_keys_free(struct tree_keys *keys)
{
	for (size_t i = 0; i < keys->page_count; i++) {
		struct os_request holder = {.op = OS_LIST, .result = keys->pages[i]};

		os_request_free_result(&holder);
	}
	free(keys->pages);
	free(keys->entries);
	*keys = (struct tree_keys){0};
}

static int compare(const void *a, const void *b)
{
	const struct os_entry *const *left = a, *const *right = b;

	return strcmp((*left)->key, (*right)->key);
}

static int load_pages(struct env *env, const char *prefix, struct tree_keys *keys, char *message,
		      size_t message_size)
{
	const char *token = NULL;
	int err;

	do {
		struct os_request request = {
			.op = OS_LIST, .prefix = prefix, .token = token, .max_keys = LIST_PAGE};
		struct os_result *pages = realloc(keys->pages,
						  (keys->page_count + 1) * sizeof(*pages));

		if (!pages)
			return -ENOMEM;
		keys->pages = pages;
		err = env_s3(env, &request);
		keys->pages[keys->page_count++] = request.result;
		keys->count += request.result.entry_count;
		token = request.result.next_token;
		if (err)
			snprintf(message, message_size, "listing %s: %s", prefix,
				 request.result.message);
	} while (!err && token);
	return err;
}

int tree_keys_load(struct env *env, const char *prefix, struct tree_keys *keys, char *message,
		   size_t message_size)
{
	size_t index = 0;
	int err;

	*keys = (struct tree_keys){.prefix_len = strlen(prefix)};
	err = load_pages(env, prefix, keys, message, message_size);
	if (!err) {
		keys->entries = calloc(keys->count + 1, sizeof(void *));
		err = keys->entries ? 0 : -ENOMEM;
	}
	if (err) {
		tree_keys_free(keys);
		return err;
	}
	for (size_t i = 0; i < keys->page_count; i++)
		for (size_t k = 0; k < keys->pages[i].entry_count; k++)
			keys->entries[index++] = &keys->pages[i].entries[k];
	/* S3 lists in this order, but not every server that speaks its language does. */
	qsort(keys->entries, keys->count, sizeof(void *), compare);
	return 0;
}

size_t tree_keys_find(const struct tree_keys *keys, const char *relative)
{
	size_t low = 0, high = keys->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(tree_keys_relative(keys, middle), relative);

		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return TREE_KEYS_NONE;
}

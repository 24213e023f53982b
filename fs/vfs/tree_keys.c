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

static int delete_batch(struct env *env, const char *const *names, size_t count, char *message,
			size_t message_size)
{
	struct os_request request = {.op = OS_DELETE_MANY,
				     .delete_keys = names,
				     .delete_count = count,
				     .deadline = env_after(env, DEADLINE_BULK)};
	int err = env_s3(env, &request);

	if (err)
		snprintf(message, message_size, "deleting %s and others: %s", names[0],
			 request.result.message);
	for (size_t i = 0; i < count && !err && request.result.delete_errors; i++) {
		err = request.result.delete_errors[i];
		if (err == -ENOENT)
			err = 0;
		if (err)
			snprintf(message, message_size, "%s cannot be deleted", names[i]);
	}
	os_request_free_result(&request);
	return err;
}

static int delete_one(struct env *env, const char *name, char *message, size_t message_size)
{
	struct os_request request = {
		.op = OS_DELETE, .key = name, .deadline = env_after(env, DEADLINE_BULK)};
	int err = env_s3(env, &request);

	if (err)
		snprintf(message, message_size, "deleting %s: %s", name, request.result.message);
	os_request_free_result(&request);
	return err;
}

/* Those that many fit into one request of come first; returns how many. */
static size_t sort_by_fit(const char **names, size_t count)
{
	size_t fit = 0;

	for (size_t i = 0; i < count; i++) {
		const char *name = names[i];

		if (os_fits_xml(name)) {
			names[i] = names[fit];
			names[fit++] = name;
		}
	}
	return fit;
}

int tree_keys_delete(struct env *env, const char **names, size_t count, char *message,
		     size_t message_size)
{
	size_t fit = sort_by_fit(names, count);
	int first = 0;

	for (size_t at = 0; at < fit; at += OS_DELETE_MANY_MAX) {
		size_t rest = fit - at;
		int err = delete_batch(env, names + at,
				       rest < OS_DELETE_MANY_MAX ? rest : OS_DELETE_MANY_MAX,
				       message, message_size);

		first = first ? first : err;
	}
	for (size_t at = fit; at < count; at++) {
		int err = delete_one(env, names[at], message, message_size);

		first = first ? first : err;
	}
	return first;
}

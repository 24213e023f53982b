#include "tests/unit/memory_operations.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "tests/unit/memory_world.h"

struct list_case {
	const char *prefix, *start_after;
	char delimiter;
	unsigned max_keys;
	const char *expected; /* pages end in '|'; prefixes are in brackets */
};

static const struct list_case list_cases[] = {
	{NULL, NULL, 0, 0, "a a/1 a/2 a/b/3 a0 b/ b/1 z |"},
	{"a/", NULL, 0, 0, "a/1 a/2 a/b/3 |"},
	{NULL, NULL, '/', 0, "a a0 z [a/] [b/] |"},
	{"a/", NULL, '/', 0, "a/1 a/2 [a/b/] |"},
	{"b/", NULL, '/', 0, "b/ b/1 |"},
	{"none", NULL, '/', 0, "|"},
	{NULL, "a/2", 0, 0, "a/b/3 a0 b/ b/1 z |"},
	{NULL, NULL, 0, 3, "a a/1 a/2 |a/b/3 a0 b/ |b/1 z |"},
	{NULL, NULL, '/', 2, "a [a/] |a0 [b/] |z |"},
	{NULL, NULL, '/', 1, "a |[a/] |a0 |[b/] |z |"},
	{"a/", "a/1", '/', 1, "a/2 |[a/b/] |"},
	{NULL, NULL, 0, 8, "a a/1 a/2 a/b/3 a0 b/ b/1 z |"},
};

static void list_pages(struct memory_world *world, struct os_request *request, struct buf *text)
{
	char *token = NULL;

	do {
		request->token = token;
		assert_int_equal(world_call(world, request), 0);
		for (size_t i = 0; i < request->result.entry_count; i++) {
			const struct os_entry *entry = &request->result.entries[i];

			buf_printf(text, entry->is_prefix ? "[%s] " : "%s ", entry->key);
			assert_true(entry->is_prefix || entry->etag[0] == '"');
		}
		buf_putc(text, '|');
		free(token);
		token = string_copy(request->result.next_token);
		os_request_free_result(request);
	} while (token);
}

static void listings_have_prefixes_delimiters_and_pages(void **state)
{
	struct memory_world *world = *state;
	static const char *const keys[] = {"z", "a/b/3", "a", "a/2", "b/", "a/1", "b/1", "a0"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		objstore_memory_put(world->memory, keys[i], "x", NULL);
	for (size_t i = 0; i < sizeof(list_cases) / sizeof(list_cases[0]); i++) {
		const struct list_case *test = &list_cases[i];
		struct os_request request = {.op = OS_LIST,
					     .prefix = test->prefix,
					     .start_after = test->start_after,
					     .delimiter = test->delimiter,
					     .max_keys = test->max_keys};
		struct buf text = BUF_INIT;

		list_pages(world, &request, &text);
		if (strcmp(buf_str(&text), test->expected) != 0)
			fail_msg("case %zu: %s, not %s", i, buf_str(&text), test->expected);
		buf_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEMORY_TEST(listings_have_prefixes_delimiters_and_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

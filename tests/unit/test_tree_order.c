#include "fs/journal/tree_order.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct order_case {
	const char *title;
	size_t count;
	struct tree_entry entries[6];
	int expected;
	uint64_t order[6];
};

static const struct order_case cases[] = {
	{"nothing", 0, {{0, 0, 0}}, 0, {0}},
	{"a root", 1, {{1, 0, 0}}, 0, {1}},
	{"a root that is its own parent", 2, {{2, 1, 0}, {1, 1, 0}}, 0, {1, 2}},
	{"a chain against the order of ids", 3, {{1, 2, 0}, {2, 3, 0}, {3, 0, 0}}, 0, {3, 2, 1}},
	{"two trees", 4, {{4, 2, 0}, {3, 1, 0}, {2, 9, 0}, {1, 0, 0}}, 0, {1, 2, 3, 4}},
	{"an id twice", 2, {{5, 0, 0}, {5, 0, 0}}, -EUCLEAN, {0}},
	{"a cycle of two", 3, {{1, 2, 0}, {2, 1, 0}, {3, 0, 0}}, -EUCLEAN, {0}},
	{"below a cycle", 4, {{1, 2, 0}, {2, 3, 0}, {3, 4, 0}, {4, 2, 0}}, -EUCLEAN, {0}},
	{"the greatest id", 2, {{1, UINT64_MAX, 0}, {UINT64_MAX, 0, 0}}, 0, {UINT64_MAX, 1}},
};

static void parents_come_first_and_cycles_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct order_case test = cases[i];

		if (tree_order(test.entries, test.count) != test.expected)
			fail_msg("%s", test.title);
		for (size_t at = 0; test.expected == 0 && at < test.count; at++) {
			if (test.entries[at].id != test.order[at])
				fail_msg("%s: entry %zu", test.title, at);
		}
	}
}

static void a_long_chain_takes_no_quadratic_time(void **state)
{
	enum { COUNT = 200000 };
	struct tree_entry *entries = calloc(COUNT, sizeof(*entries));

	(void)state;
	assert_non_null(entries);
	for (uint64_t i = 0; i < COUNT; i++)
		entries[i] = (struct tree_entry){i + 1, i + 2, 0};
	assert_int_equal(tree_order(entries, COUNT), 0);
	assert_int_equal(entries[0].id, COUNT);
	assert_int_equal(entries[COUNT - 1].id, 1);
	assert_int_equal(entries[COUNT - 1].depth, COUNT - 1);
	free(entries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parents_come_first_and_cycles_are_refused),
		cmocka_unit_test(a_long_chain_takes_no_quadratic_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "fs/cache/space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void shares_add_up_and_go_back_to_nothing(void **state)
{
	struct cache_space space = {.limit = 100, .dirty_limit = 50};
	struct cache_share first = {0, 0}, second = {0, 0};

	(void)state;
	cache_space_account(&space, &first, (struct cache_share){30, 10});
	cache_space_account(&space, &second, (struct cache_share){50, 0});
	assert_int_equal(space.used, 80);
	assert_int_equal(space.dirty, 10);
	cache_space_account(&space, &first, (struct cache_share){40, 40});
	assert_int_equal(space.used, 90);
	assert_int_equal(space.dirty, 40);
	assert_int_equal(first.used, 40);
	cache_space_account(&space, &second, (struct cache_share){0, 0});
	cache_space_account(&space, &first, (struct cache_share){0, 0});
	assert_int_equal(space.used, 0);
	assert_int_equal(space.dirty, 0);
}

static void limits_hold_to_the_byte(void **state)
{
	static const struct {
		struct cache_space space;
		uint64_t len, excess;
		bool dirty_fits;
	} cases[] = {
		{{.limit = 100, .used = 60, .dirty_limit = 50, .dirty = 20}, 0, 0, true},
		{{.limit = 100, .used = 60, .dirty_limit = 50, .dirty = 20}, 30, 0, true},
		{{.limit = 100, .used = 60, .dirty_limit = 50, .dirty = 20}, 31, 0, false},
		{{.limit = 100, .used = 60, .dirty_limit = 50, .dirty = 20}, 40, 0, false},
		{{.limit = 100, .used = 60, .dirty_limit = 50, .dirty = 20}, 41, 1, false},
		{{.limit = 100, .used = 130, .dirty_limit = 50, .dirty = 60}, 0, 30, false},
		{{.limit = 100, .used = 130, .dirty_limit = 50, .dirty = 0}, 5, 35, true},
		{{.limit = 100, .used = 60, .dirty_limit = 50, .dirty = 20},
		 UINT64_MAX,
		 UINT64_MAX - 100,
		 false},
		{{.limit = 0, .used = 0, .dirty_limit = 0, .dirty = 0}, 1, 1, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_true(cache_space_excess(&cases[i].space, cases[i].len) == cases[i].excess);
		assert_int_equal(cache_space_dirty_fits(&cases[i].space, cases[i].len),
				 cases[i].dirty_fits);
	}
}

static void the_least_recently_used_go_first_and_no_more_than_needed(void **state)
{
	static const struct evict_candidate candidates[] = {
		{.file_id = 1, .bytes = 10, .last_used = 50},
		{.file_id = 2, .bytes = 10, .last_used = -5},
		{.file_id = 3, .bytes = 10, .last_used = 20},
		{.file_id = 4, .bytes = 99, .last_used = 1, .pinned = true},
		{.file_id = 5, .bytes = 99, .last_used = 2, .dirty = true},
		{.file_id = 6, .bytes = 0, .last_used = 3},
		{.file_id = 7, .bytes = 30, .last_used = 60},
		{.file_id = 9, .bytes = 10, .last_used = 30},
		{.file_id = 8, .bytes = 10, .last_used = 30},
	};
	static const struct {
		uint64_t excess;
		uint64_t chosen[7];
	} cases[] = {
		{0, {0}},
		{1, {2}},
		{10, {2}},
		{11, {2, 3}},
		{21, {2, 3, 8}},
		{31, {2, 3, 8, 9}},
		{50, {2, 3, 8, 9, 1}},
		{51, {2, 3, 8, 9, 1, 7}},
		{80, {2, 3, 8, 9, 1, 7}},
		{UINT64_MAX, {2, 3, 8, 9, 1, 7}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct evict_candidate copy[COUNT(candidates)];
		size_t expected = 0, chosen;

		memcpy(copy, candidates, sizeof(candidates));
		while (cases[i].chosen[expected])
			expected++;
		chosen = cache_space_choose(copy, COUNT(copy), cases[i].excess);
		assert_int_equal(chosen, expected);
		for (size_t j = 0; j < chosen; j++)
			assert_int_equal(copy[j].file_id, cases[i].chosen[j]);
	}
}

static void nothing_is_chosen_where_nothing_may_go(void **state)
{
	struct evict_candidate kept[] = {
		{.file_id = 1, .bytes = 10, .pinned = true},
		{.file_id = 2, .bytes = 10, .dirty = true},
		{.file_id = 3, .bytes = 10, .pinned = true, .dirty = true},
	};

	(void)state;
	assert_int_equal(cache_space_choose(kept, COUNT(kept), 1), 0);
	assert_int_equal(cache_space_choose(NULL, 0, 1), 0);
}

static void sums_of_huge_files_do_not_wrap(void **state)
{
	struct evict_candidate huge[] = {
		{.file_id = 1, .bytes = UINT64_MAX - 1, .last_used = 1},
		{.file_id = 2, .bytes = 10, .last_used = 2},
		{.file_id = 3, .bytes = 10, .last_used = 3},
	};

	(void)state;
	assert_int_equal(cache_space_choose(huge, COUNT(huge), UINT64_MAX), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_add_up_and_go_back_to_nothing),
		cmocka_unit_test(limits_hold_to_the_byte),
		cmocka_unit_test(the_least_recently_used_go_first_and_no_more_than_needed),
		cmocka_unit_test(nothing_is_chosen_where_nothing_may_go),
		cmocka_unit_test(sums_of_huge_files_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

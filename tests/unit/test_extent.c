#include "fs/cache/extent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS_MAX = 6 };

struct step {
	char what; /* '+' add, '-' remove */
	uint64_t start, end;
};

static void run_steps(struct extent_set *set, const struct step *steps)
{
	for (const struct step *step = steps; step->what; step++) {
		if (step->what == '+')
			assert_int_equal(extent_add(set, step->start, step->end), 0);
		else
			assert_int_equal(extent_remove(set, step->start, step->end), 0);
	}
}

static void describe(const struct extent_set *set, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < set->count; i++)
		used += (size_t)snprintf(out + used, size - used, "%llu-%llu ",
					 (unsigned long long)set->items[i].start,
					 (unsigned long long)set->items[i].end);
}

static void adding_and_removing_keeps_ranges_joined_and_sorted(void **state)
{
	static const struct {
		struct step steps[STEPS_MAX + 1];
		const char *ranges;
		uint64_t total;
	} cases[] = {
		{{{0}}, "", 0},
		{{{'+', 5, 5}, {'+', 9, 3}}, "", 0},
		{{{'+', 0, 10}}, "0-10 ", 10},
		{{{'+', 20, 30}, {'+', 0, 10}}, "0-10 20-30 ", 20},
		{{{'+', 0, 10}, {'+', 10, 20}}, "0-20 ", 20},
		{{{'+', 10, 20}, {'+', 0, 10}}, "0-20 ", 20},
		{{{'+', 0, 10}, {'+', 11, 20}}, "0-10 11-20 ", 19},
		{{{'+', 0, 10}, {'+', 20, 30}, {'+', 10, 20}}, "0-30 ", 30},
		{{{'+', 0, 10}, {'+', 20, 30}, {'+', 40, 50}, {'+', 5, 45}}, "0-50 ", 50},
		{{{'+', 10, 40}, {'+', 20, 30}}, "10-40 ", 30},
		{{{'+', 20, 30}, {'+', 10, 40}}, "10-40 ", 30},
		{{{'+', 0, 10}, {'-', 3, 6}}, "0-3 6-10 ", 7},
		{{{'+', 0, 10}, {'-', 0, 10}}, "", 0},
		{{{'+', 0, 10}, {'-', 0, 4}}, "4-10 ", 6},
		{{{'+', 0, 10}, {'-', 4, 10}}, "0-4 ", 4},
		{{{'+', 10, 20}, {'-', 0, 10}, {'-', 20, 30}}, "10-20 ", 10},
		{{{'+', 0, 10}, {'+', 20, 30}, {'+', 40, 50}, {'-', 5, 45}}, "0-5 45-50 ", 10},
		{{{'+', 0, 10}, {'+', 20, 30}, {'-', 0, UINT64_MAX}}, "", 0},
		{{{'+', 0, 10}, {'-', 7, 7}, {'-', 8, 3}}, "0-10 ", 10},
		{{{'+', 0, UINT64_MAX}}, "0-18446744073709551615 ", UINT64_MAX},
		{{{'+', 0, UINT64_MAX}, {'-', 1, UINT64_MAX}}, "0-1 ", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct extent_set set = EXTENT_SET_INIT;
		char ranges[256];

		run_steps(&set, cases[i].steps);
		describe(&set, ranges, sizeof(ranges));
		assert_string_equal(ranges, cases[i].ranges);
		assert_true(extent_total(&set) == cases[i].total);
		extent_set_free(&set);
		assert_int_equal(set.count, 0);
		assert_true(extent_total(&set) == 0);
	}
}

static void questions_about_ranges_are_answered(void **state)
{
	/* The set is 10-20, 30-40. A gap or first range of 0-0 stands for none. */
	static const struct {
		uint64_t start, end;
		bool contains, intersects;
		struct extent gap, first;
	} cases[] = {
		{0, 0, true, false, {0, 0}, {0, 0}},
		{15, 15, true, false, {0, 0}, {0, 0}},
		{25, 3, true, false, {0, 0}, {0, 0}},
		{0, 5, false, false, {0, 5}, {0, 0}},
		{0, 10, false, false, {0, 10}, {0, 0}},
		{0, 11, false, true, {0, 10}, {10, 11}},
		{10, 20, true, true, {0, 0}, {10, 20}},
		{12, 18, true, true, {0, 0}, {12, 18}},
		{10, 21, false, true, {20, 21}, {10, 20}},
		{19, 31, false, true, {20, 30}, {19, 20}},
		{20, 30, false, false, {20, 30}, {0, 0}},
		{20, 35, false, true, {20, 30}, {30, 35}},
		{39, 50, false, true, {40, 50}, {39, 40}},
		{40, UINT64_MAX, false, false, {40, UINT64_MAX}, {0, 0}},
		{0, UINT64_MAX, false, true, {0, 10}, {10, 20}},
	};
	struct extent_set set = EXTENT_SET_INIT;

	(void)state;
	assert_int_equal(extent_add(&set, 10, 20), 0);
	assert_int_equal(extent_add(&set, 30, 40), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t start = cases[i].start, end = cases[i].end;
		struct extent gap = {0, 0}, first = {0, 0};

		assert_int_equal(extent_contains(&set, start, end), cases[i].contains);
		assert_int_equal(extent_intersects(&set, start, end), cases[i].intersects);
		assert_int_equal(extent_first_gap(&set, start, end, &gap), cases[i].gap.end > 0);
		assert_memory_equal(&gap, &cases[i].gap, sizeof(gap));
		assert_int_equal(extent_first(&set, start, end, &first), cases[i].first.end > 0);
		assert_memory_equal(&first, &cases[i].first, sizeof(first));
	}
	extent_set_free(&set);
}

static void a_run_ends_where_its_range_does(void **state)
{
	struct extent_set set = EXTENT_SET_INIT;

	(void)state;
	assert_int_equal(extent_run_end(&set, 7), 7);
	assert_int_equal(extent_add(&set, 10, 20), 0);
	assert_int_equal(extent_run_end(&set, 9), 9);
	assert_int_equal(extent_run_end(&set, 10), 20);
	assert_int_equal(extent_run_end(&set, 19), 20);
	assert_int_equal(extent_run_end(&set, 20), 20);
	extent_set_free(&set);
}

static void a_copy_is_independent_of_its_source(void **state)
{
	struct extent_set from = EXTENT_SET_INIT, to = EXTENT_SET_INIT;

	(void)state;
	assert_int_equal(extent_add(&from, 1, 5), 0);
	assert_int_equal(extent_add(&from, 8, 9), 0);
	assert_int_equal(extent_add(&to, 100, 200), 0);
	assert_int_equal(extent_set_copy(&to, &from), 0);
	assert_int_equal(extent_set_copy(&to, &to), 0);
	assert_int_equal(extent_remove(&from, 0, 100), 0);
	assert_int_equal(from.count, 0);
	assert_int_equal(to.count, 2);
	assert_int_equal(extent_total(&to), 5);
	assert_int_equal(extent_add(&to, 20, 30), 0);
	assert_true(extent_contains(&to, 1, 5) && extent_contains(&to, 20, 30));
	assert_int_equal(extent_set_copy(&to, &from), 0);
	assert_int_equal(to.count, 0);
	assert_int_equal(extent_total(&to), 0);
	extent_set_free(&from);
	extent_set_free(&to);
}

enum { MODEL_BYTES = 96, MODEL_STEPS = 4000, MODEL_SEEDS = 8 };

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void compare_shape(const struct extent_set *set, const bool *model)
{
	size_t total = 0;

	for (size_t i = 0; i < set->count; i++) {
		assert_true(set->items[i].start < set->items[i].end);
		assert_true(i == 0 || set->items[i - 1].end < set->items[i].start);
	}
	for (size_t i = 0; i < MODEL_BYTES; i++) {
		total += model[i];
		assert_int_equal(extent_contains(set, i, i + 1), model[i]);
	}
	assert_int_equal(extent_total(set), total);
}

/* The answers for [start, end), found by looking at each byte. */
static void compare_answers(const struct extent_set *set, const bool *model, size_t start,
			    size_t end)
{
	size_t set_from = start, gap_from = start, set_to, gap_to, run;
	struct extent found;

	while (set_from < end && !model[set_from])
		set_from++;
	for (set_to = set_from; set_to < end && model[set_to]; set_to++)
		;
	while (gap_from < end && model[gap_from])
		gap_from++;
	for (gap_to = gap_from; gap_to < end && !model[gap_to]; gap_to++)
		;
	for (run = start; run < MODEL_BYTES && model[run]; run++)
		;
	assert_int_equal(extent_intersects(set, start, end), set_from < end);
	assert_int_equal(extent_contains(set, start, end), gap_from >= end);
	assert_int_equal(extent_run_end(set, start), run);
	assert_int_equal(extent_first(set, start, end, &found), set_from < end);
	if (set_from < end) {
		assert_int_equal(found.start, set_from);
		assert_int_equal(found.end, set_to);
	}
	assert_int_equal(extent_first_gap(set, start, end, &found), gap_from < end);
	if (gap_from < end) {
		assert_int_equal(found.start, gap_from);
		assert_int_equal(found.end, gap_to);
	}
}

static void random_changes_agree_with_a_bitmap(void **state)
{
	(void)state;
	for (uint32_t first_seed = 1; first_seed <= MODEL_SEEDS; first_seed++) {
		struct extent_set set = EXTENT_SET_INIT;
		bool model[MODEL_BYTES] = {false};
		uint32_t seed = first_seed;

		for (int step = 0; step < MODEL_STEPS; step++) {
			/* Mostly short ranges, or else the set is one range most of the time. */
			size_t span = next_random(&seed) % 8 ? 6 : MODEL_BYTES;
			size_t start = next_random(&seed) % MODEL_BYTES;
			size_t end = start + next_random(&seed) % span;
			bool add = next_random(&seed) % 2;

			end = end > MODEL_BYTES ? MODEL_BYTES : end;
			if (add)
				assert_int_equal(extent_add(&set, start, end), 0);
			else
				assert_int_equal(extent_remove(&set, start, end), 0);
			memset(model + start, add, end - start);
			compare_shape(&set, model);
			start = next_random(&seed) % MODEL_BYTES;
			end = start + next_random(&seed) % (MODEL_BYTES - start + 1);
			compare_answers(&set, model, start, end);
		}
		extent_set_free(&set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adding_and_removing_keeps_ranges_joined_and_sorted),
		cmocka_unit_test(questions_about_ranges_are_answered),
		cmocka_unit_test(a_run_ends_where_its_range_does),
		cmocka_unit_test(a_copy_is_independent_of_its_source),
		cmocka_unit_test(random_changes_agree_with_a_bitmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "fs/upload/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KIB	     UINT64_C(1024)
#define MIB	     (1024 * KIB)
#define GIB	     (1024 * MIB)
#define TIB	     (1024 * GIB)

enum { PARTS_MAX = 10000 };

/* What must hold for every plan. */
static void check_plan(const struct plan *plan, uint64_t size, uint64_t base_size,
		       const struct extent_set *changed)
{
	uint64_t position = 0;

	assert_true(plan->count <= PARTS_MAX);
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_part *part = &plan->parts[i];
		uint64_t len = part->end - part->start;

		assert_true(part->start == position && part->end > part->start);
		assert_true(len <= PART_MAX);
		assert_true(len >= sizes_usual.part_min || (i + 1 == plan->count && !part->copy));
		if (part->copy) {
			assert_true(part->end <= base_size);
			assert_false(extent_intersects(changed, part->start, part->end));
		}
		position = part->end;
	}
	assert_true(position == size);
}

static void part_sizes_grow_so_that_ten_thousand_hold_the_file(void **state)
{
	static const struct {
		uint64_t size, part_size, expected;
	} cases[] = {
		{0, 8 * MIB, 8 * MIB},
		{1, 0, 5 * MIB},
		{1, 1, 5 * MIB},
		{1, 5 * MIB, 5 * MIB},
		{1, UINT64_MAX, 5 * GIB},
		{80000 * MIB, 8 * MIB, 8 * MIB},
		{80000 * MIB + 1, 8 * MIB, 9 * MIB},
		{TIB, 8 * MIB, 105 * MIB},
		{TIB, 128 * MIB, 128 * MIB},
		{5 * TIB, 8 * MIB, 525 * MIB},
		{UINT64_MAX, 8 * MIB, 5 * GIB},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_true(plan_part_size(&sizes_usual, cases[i].size, cases[i].part_size) ==
			    cases[i].expected);
}

static void new_files_are_cut_into_equal_parts(void **state)
{
	static const struct {
		uint64_t size;
		size_t count;
		uint64_t last;
	} cases[] = {
		{0, 0, 0},
		{1, 1, 1},
		{8 * MIB - 1, 1, 8 * MIB - 1},
		{8 * MIB, 1, 8 * MIB},
		{8 * MIB + 1, 2, 1},
		{16 * MIB, 2, 8 * MIB},
		{GIB + 5, 129, 5},
		{80000 * MIB, 10000, 8 * MIB},
		{80000 * MIB + 1, 8889, 8 * MIB + 1},
		{TIB, 9987, 46 * MIB},
		{5 * TIB, 9987, 230 * MIB},
	};
	const struct extent_set nothing = EXTENT_SET_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct plan plan;

		assert_int_equal(
			plan_create(&plan, &sizes_usual, cases[i].size, 0, &nothing, 8 * MIB), 0);
		check_plan(&plan, cases[i].size, 0, &nothing);
		assert_int_equal(plan.count, cases[i].count);
		for (size_t part = 0; part + 1 < plan.count; part++)
			assert_true(plan.parts[part].end - plan.parts[part].start ==
				    plan.parts[0].end);
		if (plan.count)
			assert_int_equal(plan.parts[plan.count - 1].end -
						 plan.parts[plan.count - 1].start,
					 cases[i].last);
		assert_true(plan_upload_bytes(&plan) == cases[i].size);
		plan_free(&plan);
	}
}

static void describe(const struct plan *plan, char *out, size_t room)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < plan->count && used < room; i++)
		used += (size_t)snprintf(out + used, room - used, "%c%.4g-%.4g ",
					 plan->parts[i].copy ? 'c' : 'u',
					 (double)plan->parts[i].start / (double)MIB,
					 (double)plan->parts[i].end / (double)MIB);
}

static void what_did_not_change_is_copied(void **state)
{
	/* In MiB; parts of 8 MiB. c: copied, u: uploaded. */
	static const struct {
		double size, base_size, changed[3][2];
		const char *plan;
	} cases[] = {
		{100, 100, {{0}}, "c0-100 "},
		{100, 0, {{0, 100}}, NULL},
		/* append */
		{101, 100, {{100, 101}}, "c0-100 u100-101 "},
		{120, 100, {{100, 120}}, "c0-100 u100-108 u108-116 u116-120 "},
		{120, 100, {{0}}, "c0-100 u100-108 u108-116 u116-120 "},
		/* truncate */
		{50, 100, {{0}}, "c0-50 "},
		{4, 100, {{0}}, "u0-4 "},
		/* a short change at the start, in the middle, near the end */
		{100, 100, {{0, 1}}, "u0-5 c5-100 "},
		{100, 100, {{50, 51}}, "c0-50 u50-55 c55-100 "},
		{100, 100, {{99, 100}}, "c0-99 u99-100 "},
		{100, 100, {{94, 95}}, "c0-94 u94-100 "},
		{100, 100, {{90, 91}}, "c0-90 u90-95 c95-100 "},
		{100, 100, {{4, 5}}, "u0-5 c5-100 "},
		{100, 100, {{5, 6}}, "c0-5 u5-10 c10-100 "},
		/* a copy beside it that would be too small */
		{100, 100, {{3, 4}, {12, 13}}, "u0-5 c5-12 u12-17 c17-100 "},
		{100, 100, {{3, 4}, {9.5, 10}}, "u0-10 c10-100 "},
		{100, 100, {{50, 51}, {59.5, 60}}, "c0-50 u50-60 c60-100 "},
		/* what is left over at a cut joins the part before */
		{100, 100, {{40, 50}}, "c0-40 u40-50 c50-100 "},
		{100, 100, {{40, 53}}, "c0-40 u40-48 u48-53 c53-100 "},
		{100, 100, {{40, 52}}, "c0-40 u40-52 c52-100 "},
		/* server-side copies are cut too */
		{1200, 1200, {{0}}, "c0-512 c512-1024 c1024-1200 "},
		{1026, 1026, {{0}}, "c0-512 c512-1026 "},
		/* small bases have nothing to copy */
		{6, 4, {{0}}, "u0-6 "},
		{6, 5, {{0}}, "c0-5 u5-6 "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t size = (uint64_t)(cases[i].size * (double)MIB);
		uint64_t base_size = (uint64_t)(cases[i].base_size * (double)MIB);
		struct extent_set changed = EXTENT_SET_INIT;
		struct plan plan;
		char text[512];

		for (size_t j = 0; j < COUNT(cases[i].changed); j++)
			assert_int_equal(
				extent_add(&changed,
					   (uint64_t)(cases[i].changed[j][0] * (double)MIB),
					   (uint64_t)(cases[i].changed[j][1] * (double)MIB)),
				0);
		assert_int_equal(
			plan_create(&plan, &sizes_usual, size, base_size, &changed, 8 * MIB), 0);
		check_plan(&plan, size, base_size, &changed);
		describe(&plan, text, sizeof(text));
		if (cases[i].plan)
			assert_string_equal(text, cases[i].plan);
		else
			assert_true(plan_upload_bytes(&plan) == size);
		plan_free(&plan);
		extent_set_free(&changed);
	}
}

static void files_over_the_limit_of_s3_are_refused(void **state)
{
	const struct extent_set nothing = EXTENT_SET_INIT;
	struct plan plan;

	(void)state;
	assert_int_equal(plan_create(&plan, &sizes_usual, 5 * TIB + 1, 0, &nothing, 8 * MIB),
			 -EFBIG);
	assert_null(plan.parts);
	assert_int_equal(plan_create(&plan, &sizes_usual, 5 * TIB, 5 * TIB, &nothing, 8 * MIB), 0);
	check_plan(&plan, 5 * TIB, 5 * TIB, &nothing);
	assert_true(plan_upload_bytes(&plan) == 0);
	plan_free(&plan);
}

/* A byte changed in each stretch of a file: with so many of them not everything can be copied. */
static void scattered_changes_fit_in_ten_thousand_parts(void **state)
{
	static const struct {
		uint64_t size, stretch, upload_max;
	} cases[] = {
		{TIB, 250 * MIB, 4195 * 6 * MIB},
		{TIB, 100 * MIB, TIB},
		{TIB, 11 * MIB, TIB},
		{80000 * MIB, 16 * MIB, 80000 * MIB},
		{10 * GIB, 64 * KIB, 10 * GIB},
		{5 * TIB, 2 * GIB, 2560 * 6 * MIB},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t size = cases[i].size;
		struct extent_set changed = EXTENT_SET_INIT;
		struct plan plan;

		for (uint64_t at = cases[i].stretch / 2; at < size; at += cases[i].stretch)
			assert_int_equal(extent_add(&changed, at, at + 1), 0);
		assert_int_equal(plan_create(&plan, &sizes_usual, size, size, &changed, 8 * MIB),
				 0);
		check_plan(&plan, size, size, &changed);
		assert_true(plan_upload_bytes(&plan) <= cases[i].upload_max);
		plan_free(&plan);
		extent_set_free(&changed);
	}
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 20;
}

/* Of all magnitudes alike: most bugs are in the small numbers. */
static uint64_t random_below(uint64_t *seed, uint64_t limit)
{
	return (next_random(seed) >> next_random(seed) % 40) % (limit + 1);
}

static void random_plans_hold_every_limit(void **state)
{
	uint64_t seed = 20260102;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		uint64_t size = random_below(&seed, TIB), base_size = random_below(&seed, TIB);
		uint64_t part_size = random_below(&seed, 64 * MIB), dirty, joined;
		unsigned changes = (unsigned)random_below(&seed, 200);
		struct extent_set changed = EXTENT_SET_INIT;
		struct plan plan;

		for (unsigned i = 0; i < changes && size > 0; i++) {
			uint64_t start = next_random(&seed) % size;
			uint64_t len = 1 + random_below(&seed, size - start - 1);

			assert_int_equal(extent_add(&changed, start, start + len), 0);
		}
		assert_int_equal(
			plan_create(&plan, &sizes_usual, size, base_size, &changed, part_size), 0);
		check_plan(&plan, size, base_size, &changed);
		/* Beside what changed each range costs at most a part and a copy that are too
		 * small. */
		dirty = extent_total(&changed);
		if (base_size < size)
			dirty += size - base_size;
		joined = (changed.count + 2) * 2 * sizes_usual.part_min;
		assert_true(plan_upload_bytes(&plan) <= dirty + joined);
		plan_free(&plan);
		extent_set_free(&changed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(part_sizes_grow_so_that_ten_thousand_hold_the_file),
		cmocka_unit_test(new_files_are_cut_into_equal_parts),
		cmocka_unit_test(what_did_not_change_is_copied),
		cmocka_unit_test(files_over_the_limit_of_s3_are_refused),
		cmocka_unit_test(scattered_changes_fit_in_ten_thousand_parts),
		cmocka_unit_test(random_plans_hold_every_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

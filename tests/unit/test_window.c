#include "fs/cache/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define KIB   UINT64_C(1024)
#define MIB   (1024 * KIB)
#define GIB   (1024 * MIB)
#define LIMIT (64 * MIB)
#define FAR   (16 * MIB) /* a round trip costs more than any range */

/* Reads [offset, offset + len) of a file of 100 GiB; returns how far ahead of it to fetch. */
static uint64_t ahead(struct read_window *window, uint64_t offset, uint64_t len)
{
	return read_window_advance(window, offset, len, 100 * GIB, LIMIT, FAR) - offset - len;
}

static void a_sequential_reader_doubles_its_window_up_to_the_limit(void **state)
{
	static const struct {
		uint64_t offset, window; /* in MiB */
	} cases[] = {{0, 1},   {1, 2},	 {2, 2},   {3, 4},   {6, 4},	{7, 8},	    {14, 8},
		     {15, 16}, {31, 32}, {62, 32}, {63, 64}, {127, 64}, {1000, 64}, {9000, 64}};
	struct read_window window = {0};
	uint64_t offset = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (; offset < cases[i].offset * MIB; offset += 128 * KIB)
			ahead(&window, offset, 128 * KIB);
		assert_int_equal(ahead(&window, offset, 128 * KIB) / MIB, cases[i].window);
		offset += 128 * KIB;
	}
}

static void reads_out_of_order_within_the_tolerance_keep_the_window(void **state)
{
	static const int64_t jumps[] = {0, WINDOW_FORWARD_TOLERANCE, -WINDOW_BACKWARD_TOLERANCE, 1,
					-1};
	struct read_window window = {0};

	(void)state;
	for (uint64_t offset = 0; offset < 200 * MIB; offset += MIB)
		ahead(&window, offset, MIB);
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		uint64_t offset = window.expected + (uint64_t)jumps[i];

		assert_int_equal(ahead(&window, offset, 4 * KIB), LIMIT);
		assert_true(window.expected >= offset + 4 * KIB);
	}
}

static void a_jump_beyond_the_tolerance_starts_anew(void **state)
{
	static const int64_t jumps[] = {WINDOW_FORWARD_TOLERANCE + 1, 1000 * (int64_t)MIB,
					-WINDOW_BACKWARD_TOLERANCE - 1};

	(void)state;
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		struct read_window window = {0};

		for (uint64_t offset = 0; offset < 200 * MIB; offset += MIB)
			ahead(&window, offset, MIB);
		assert_int_equal(ahead(&window, 200 * MIB + (uint64_t)jumps[i], 4 * KIB),
				 WINDOW_FIRST);
	}
}

static void a_reader_that_keeps_jumping_gets_small_ranges(void **state)
{
	struct read_window window = {0};

	(void)state;
	assert_int_equal(ahead(&window, 5 * GIB, 4 * KIB), WINDOW_FIRST);
	assert_int_equal(ahead(&window, 1 * GIB, 4 * KIB), WINDOW_FIRST);
	assert_int_equal(ahead(&window, 9 * GIB, 4 * KIB), WINDOW_RANDOM);
	assert_int_equal(ahead(&window, 2 * GIB, 4 * KIB), WINDOW_RANDOM);
	/* Records of several reads each are still jumps. */
	for (uint64_t record = 3; record < 90; record += 7) {
		for (uint64_t offset = record * GIB; offset < record * GIB + 64 * KIB;
		     offset += 16 * KIB)
			assert_int_equal(ahead(&window, offset, 16 * KIB), WINDOW_RANDOM);
	}
}

/* What a reader at jump number JUMPS is given in a file of size bytes. */
static uint64_t range_at(unsigned jumps, uint64_t size, uint64_t worth)
{
	struct read_window window = {0};
	uint64_t until = 0, offset = 0;

	for (unsigned jump = 1; jump <= jumps; jump++) {
		offset = jump % 2 ? size / 2 : size / 8;
		until = read_window_advance(&window, offset, 4 * KIB, size, LIMIT, worth);
	}
	return until - offset - 4 * KIB;
}

static void who_jumps_about_for_long_gets_what_lies_between(void **state)
{
	static const struct {
		unsigned jumps;
		uint64_t size, worth, range;
	} cases[] = {
		{3, 512 * MIB, FAR, WINDOW_RANDOM},
		{63, 512 * MIB, FAR, WINDOW_RANDOM},
		{64, 512 * MIB, FAR, 8 * MIB},
		{128, 512 * MIB, FAR, 4 * MIB},
		{9999, 512 * MIB, FAR, WINDOW_FIRST},
		{999, 100 * GIB, FAR, WINDOW_RANDOM},
		{12800, 100 * GIB, FAR, 8 * MIB},
		/* 20 ms away: not more than what one request costs in time */
		{255, 512 * MIB, 2 * MIB, WINDOW_RANDOM},
		{256, 512 * MIB, 2 * MIB, 2 * MIB},
		/* beside us */
		{1, 512 * MIB, 1, WINDOW_FIRST},
		{64, 512 * MIB, 1, WINDOW_RANDOM_NEAR},
		{9999, 512 * MIB, 50 * KIB, 50 * KIB},
		{99999, 512 * MIB, 50 * KIB, 50 * KIB},
		{64, 512 * MIB, 0, WINDOW_RANDOM},
		{600, 512 * MIB, 0, WINDOW_FIRST},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(range_at(cases[i].jumps, cases[i].size, cases[i].worth),
				 cases[i].range);
}

static void a_reader_that_stops_jumping_is_sequential_again(void **state)
{
	struct read_window window = {0};
	uint64_t offset;

	(void)state;
	for (uint64_t jump = 1; jump < 50; jump++)
		ahead(&window, jump % 2 ? jump * GIB : 90 * GIB, 4 * KIB);
	for (offset = 95 * GIB; offset < 95 * GIB + 140 * MIB; offset += 128 * KIB)
		ahead(&window, offset, 128 * KIB);
	assert_int_equal(ahead(&window, offset, 128 * KIB), LIMIT);
	assert_int_equal(ahead(&window, 1 * GIB, 4 * KIB), WINDOW_FIRST);
}

static void the_answer_covers_the_read_and_stays_within_the_file(void **state)
{
	static const struct {
		uint64_t offset, len, size, limit, until;
	} cases[] = {
		{0, 10, 100, LIMIT, 100},
		{0, 10, 0, LIMIT, 0},
		{100, 10, 100, LIMIT, 100},
		{500, 10, 100, LIMIT, 100},
		{99, 10, 100, LIMIT, 100},
		{0, 0, 100 * MIB, LIMIT, 0},
		{0, 4 * KIB, 100 * MIB, 0, 4 * KIB},
		{0, 4 * KIB, 100 * MIB, 10, 4 * KIB + 10},
		{0, 4 * KIB, 100 * MIB, UINT64_MAX, 4 * KIB + WINDOW_FIRST},
		{0, 50 * MIB, 100 * MIB, LIMIT, 52 * MIB},
		{UINT64_MAX - 1, 10, UINT64_MAX, UINT64_MAX, UINT64_MAX},
		{1, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct read_window window = {0};

		assert_true(read_window_advance(&window, cases[i].offset, cases[i].len,
						cases[i].size, cases[i].limit,
						FAR) == cases[i].until);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sequential_reader_doubles_its_window_up_to_the_limit),
		cmocka_unit_test(reads_out_of_order_within_the_tolerance_keep_the_window),
		cmocka_unit_test(a_jump_beyond_the_tolerance_starts_anew),
		cmocka_unit_test(a_reader_that_keeps_jumping_gets_small_ranges),
		cmocka_unit_test(who_jumps_about_for_long_gets_what_lies_between),
		cmocka_unit_test(a_reader_that_stops_jumping_is_sequential_again),
		cmocka_unit_test(the_answer_covers_the_read_and_stays_within_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "fs/cache/window.h"

#include <limits.h>
#include <stdbool.h>

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static bool within_tolerance(const struct read_window *window, uint64_t offset)
{
	if (offset >= window->expected)
		return offset - window->expected <= WINDOW_FORWARD_TOLERANCE;
	return window->expected - offset <= WINDOW_BACKWARD_TOLERANCE;
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
	return value < low ? low : value > high ? high : value;
}

/* As many jumps as there were are expected to come: each range of that average distance is hit once
 * more. */
static uint64_t range_after(unsigned jumps, uint64_t file_size, uint64_t worth)
{
	uint64_t small = worth ? clamp(worth, WINDOW_RANDOM_NEAR, WINDOW_RANDOM) : WINDOW_RANDOM;
	uint64_t most = worth ? clamp(worth, small, WINDOW_DENSE) : WINDOW_FIRST;
	uint64_t distance;

	if (jumps < WINDOW_RANDOM_AFTER)
		return WINDOW_FIRST;
	distance = file_size / jumps;
	if (distance > most)
		return small;
	return distance > WINDOW_FIRST ? distance : least(most, WINDOW_FIRST);
}

static void start_anew(struct read_window *window, uint64_t offset, uint64_t file_size,
		       uint64_t worth)
{
	bool at_start = window->size == 0 && offset == 0;

	if (!at_start && window->jumps < UINT_MAX)
		window->jumps++;
	window->size = range_after(window->jumps, file_size, worth);
	window->consumed = 0;
	window->expected = offset;
}

uint64_t read_window_advance(struct read_window *window, uint64_t offset, uint64_t len,
			     uint64_t file_size, uint64_t limit, uint64_t worth)
{
	uint64_t end = least(add_saturated(offset, len), file_size);

	if (offset >= end)
		return end;
	if (window->size == 0 || !within_tolerance(window, offset))
		start_anew(window, offset, file_size, worth);
	if (end > window->expected)
		window->expected = end;
	window->consumed += end - offset;
	if (window->consumed >= window->size) {
		window->size = least(add_saturated(window->size, window->size), limit);
		window->consumed = 0;
		window->jumps = 0;
	}
	return least(add_saturated(end, least(window->size, limit)), file_size);
}

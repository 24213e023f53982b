/* alloc.c — the allocator of the core that fails on request; linked into build/bin/sim-alloc alone.
 */
#include <stdbool.h>

#include "tests/sim/sim_memory.h"

/* After the other headers: here the names must be the library's. */
#include "tests/sim/alloc.h"
#undef malloc
#undef calloc
#undef realloc
#undef reallocarray
#undef strdup

static unsigned long count, fails_at;
static bool fails_on, paused;

static bool fails(void)
{
	if (paused)
		return false;
	count++;
	return fails_at && (count == fails_at || (fails_on && count > fails_at));
}

void *sim_malloc(size_t size)
{
	return fails() ? NULL : malloc(size);
}

void *sim_calloc(size_t number, size_t size)
{
	return fails() ? NULL : calloc(number, size);
}

void *sim_realloc(void *old, size_t size)
{
	return fails() ? NULL : realloc(old, size);
}

void *sim_reallocarray(void *old, size_t number, size_t size)
{
	return fails() ? NULL : reallocarray(old, number, size);
}

char *sim_strdup(const char *text)
{
	return fails() ? NULL : strdup(text);
}

static void start(unsigned long nth, bool lasting)
{
	count = 0;
	fails_at = nth;
	fails_on = lasting;
}

static unsigned long allocations(void)
{
	return count;
}

static void set_paused(bool on)
{
	paused = on;
}

static __attribute__((constructor)) void install(void)
{
	sim_memory_start = start;
	sim_memory_count = allocations;
	sim_memory_pause = set_paused;
}

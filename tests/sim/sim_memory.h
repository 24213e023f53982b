/* sim_memory.h — allocations of the core that fail on request. NULL in the program whose cannot:
 * only build/bin/sim-alloc has alloc/alloc.c, which sets them at its start.
 */
#ifndef TESTS_SIM_SIM_MEMORY_H
#define TESTS_SIM_SIM_MEMORY_H

#include <stdbool.h>

/* Allocations since the last start; the nth fails, and all after it if
 * lasting. 0: none. */
extern void (*sim_memory_start)(unsigned long nth, bool lasting);
extern unsigned long (*sim_memory_count)(void);
/* While S3 and the disk do their part, which is not ours, none fails and none counts. */
extern void (*sim_memory_pause)(bool paused);

#endif

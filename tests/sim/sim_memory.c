#include "tests/sim/sim_memory.h"

void (*sim_memory_start)(unsigned long nth, bool lasting);
unsigned long (*sim_memory_count)(void);
void (*sim_memory_pause)(bool paused);

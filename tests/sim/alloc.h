/* alloc.h — put before each source of the core in the program that lets allocations fail: they go
 * through alloc.c. */
#ifndef TESTS_SIM_ALLOC_H
#define TESTS_SIM_ALLOC_H

#include <stdlib.h>
#include <string.h>

void *sim_malloc(size_t size);
void *sim_calloc(size_t count, size_t size);
void *sim_realloc(void *old, size_t size);
void *sim_reallocarray(void *old, size_t count, size_t size);
char *sim_strdup(const char *text);

#undef malloc
#undef calloc
#undef realloc
#undef reallocarray
#undef strdup
#define malloc	     sim_malloc
#define calloc	     sim_calloc
#define realloc	     sim_realloc
#define reallocarray sim_reallocarray
#define strdup	     sim_strdup

#endif

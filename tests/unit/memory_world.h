/* memory_world.h — an object store in memory on an executor with virtual time; for its own tests.
 *
 * Parts may be 4 bytes small, and bodies go in pieces of 3. memory_world_setup and _teardown are
 * cmocka's; *state is the struct memory_world.
 */
#ifndef TESTS_UNIT_MEMORY_WORLD_H
#define TESTS_UNIT_MEMORY_WORLD_H

#include "tests/unit/executor_virtual.h"
#include "tests/unit/objstore_memory.h"

struct memory_world {
	struct executor_virtual *virtual;
	struct executor *executor;
	struct objstore_memory *memory;
	unsigned done; /* requests so far */
};

int memory_world_setup(void **state);
int memory_world_teardown(void **state);
#define MEMORY_TEST(name)                                                                          \
	cmocka_unit_test_setup_teardown(name, memory_world_setup, memory_world_teardown)

void world_submit(struct memory_world *world, struct os_request *request);
/* Runs one request to its end; the result stays in it, for the caller to free. */
int world_call(struct memory_world *world, struct os_request *request);
/* The same for one of whose result only err and the ETag (unless NULL) are of interest. */
int world_quick(struct memory_world *world, struct os_request request, char etag[OS_ETAG_MAX]);
int world_put(struct memory_world *world, const char *key, const char *text,
	      struct os_condition condition, char etag[OS_ETAG_MAX]);

#endif

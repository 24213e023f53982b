/* memory_operations.h — what each request does to the bucket; under objstore_memory.c.
 *
 * Fills request->result as objstore.h says, at once.
 */
#ifndef TESTS_UNIT_MEMORY_OPERATIONS_H
#define TESTS_UNIT_MEMORY_OPERATIONS_H

#include "tests/unit/objstore_memory.h"

void memory_execute(struct objstore_memory *memory, struct os_request *request);
/* memory_list.c: LIST, MPU_LIST, MPU_LIST_PARTS, BUCKETS */
void memory_list(struct objstore_memory *memory, struct os_request *request);
void memory_list_uploads(struct objstore_memory *memory, struct os_request *request);
void memory_list_parts(struct objstore_memory *memory, struct os_request *request);
void memory_list_buckets(struct objstore_memory *memory, struct os_request *request);
/* Sets the failure of a result; returns err. */
int memory_fail(struct os_request *request, int err, int status, const char *code);

#endif

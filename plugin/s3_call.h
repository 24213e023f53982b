/* s3_call.h — one object store request as a call that a fiber waits for. */
#ifndef PLUGIN_S3_CALL_H
#define PLUGIN_S3_CALL_H

#include "common/s3/objstore.h"

/* Submits, gives up the fiber until done, returns request->result.err. request->deadline bounds it;
 * user and done are set here. The caller frees the result. */
int s3_call(struct objstore *store, struct os_request *request);

#endif

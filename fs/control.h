/* control.h — s3mount sync and s3mount status: talk to a mount through its own directory. */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

/* Each prints what there is to say and returns the exit status. timeout: ns, -1: none. */
int control_sync(const char *directory, int64_t timeout);
int control_status(const char *directory, bool json);

#endif

/* bucket_name.h — which names a bucket may have. Pure.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html: 3 to 63 of a-z,
 * 0-9, '-' and
 * '.'. Older buckets of us-east-1 and other servers also have upper-case letters, '_' and up to 255
 * bytes; they are accepted, and only reachable in path style.
 */
#ifndef COMMON_BUCKET_NAME_H
#define COMMON_BUCKET_NAME_H

#include <stdbool.h>

#include "common/error.h"

enum { BUCKET_NAME_BYTES_MIN = 3, BUCKET_NAME_BYTES_MAX = 255 };

/* 0, or -EINVAL with the message. */
int bucket_name_check(const char *name, struct error *error);
/* Can it be part of a host name whose certificate says *.s3.example.com: the rule of today, without
 * '.'? */
bool bucket_name_fits_host(const char *name);

#endif

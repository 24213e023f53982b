/* passwd_file.h — key pairs in s3fs's format.
 *
 * Lines "KEY:SECRET", for all buckets, or "BUCKET:KEY:SECRET"; empty lines and those that begin
 * with '#' do not count. The line of the bucket goes before the general one. (s3fs(1),
 * AUTHENTICATION.) Messages name file and line, never what stands there. Any thread. Pure.
 */
#ifndef COMMON_S3_PASSWD_FILE_H
#define COMMON_S3_PASSWD_FILE_H

#include "common/error.h"

/* The pair for bucket (NULL: only the general line); the caller ends both with secret_free.
 * Errors: -ENOENT no line for it (message set), -EINVAL malformed, -ENOMEM. */
int passwd_file_parse(const char *text, const char *file, const char *bucket, char **access_key,
		      char **secret_key, struct error *error);

#endif

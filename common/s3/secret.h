/* secret.h — strings that are wiped before their memory goes back, and files that hold them. Any
 * thread. */
#ifndef COMMON_S3_SECRET_H
#define COMMON_S3_SECRET_H

#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

enum { SECRET_FILE_BYTES_MAX = 1024 * 1024 };

/* NULL when out of memory or text is NULL. */
char *secret_copy(const char *text, size_t len);
/* Wipes and frees; NULL is fine. */
void secret_free(char *text);

/* A whole regular file, NUL-terminated; the caller ends it with secret_free. forbidden: permission
 * bits that must not be set. Errors: -errno of open and read without a message for -ENOENT,
 * -ENOTDIR and -EACCES of open, which callers may take for "not there"; -EPERM for a file with
 * forbidden permissions, -EINVAL for one that is no regular file, is too big or holds NUL bytes;
 * -ENOMEM. */
int secret_file_read(const char *path, mode_t forbidden, char **out, struct error *error);

#endif

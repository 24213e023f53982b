#include "common/bucket_name.h"

#include <errno.h>
#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

int bucket_name_check(const char *name, struct error *error)
{
	size_t len = strlen(name);

	if (strncmp(name, "s3://", 5) == 0)
		return error_set(
			error, -EINVAL,
			"bucket name '%.64s': write BUCKET or BUCKET:PREFIX, without s3://", name);
	if (strchr(name, '/'))
		return error_set(error, -EINVAL,
				 "bucket name '%.64s' has a '/' in it; a path inside of the bucket "
				 "is written "
				 "BUCKET:PREFIX",
				 name);
	if (len < BUCKET_NAME_BYTES_MIN || len > BUCKET_NAME_BYTES_MAX)
		return error_set(error, -EINVAL,
				 "bucket name '%.64s' has %zu bytes; accepted: %d to %d", name, len,
				 BUCKET_NAME_BYTES_MIN, BUCKET_NAME_BYTES_MAX);
	if (strspn(name, LOWER UPPER DIGITS ".-_") != len)
		return error_set(
			error, -EINVAL,
			"bucket name '%.64s': accepted are letters, digits, '.', '-' and '_'",
			name);
	if (strspn(name, LOWER UPPER DIGITS) == 0)
		return error_set(error, -EINVAL,
				 "bucket name '%.64s' has to begin with a letter or digit", name);
	return 0;
}

bool bucket_name_fits_host(const char *name)
{
	size_t len = strlen(name);

	return len >= BUCKET_NAME_BYTES_MIN && len <= 63 && strspn(name, LOWER DIGITS "-") == len &&
	       name[0] != '-' && name[len - 1] != '-';
}

/* credentials.h — where the keys come from, in the AWS CLI's order.
 *
 * 1. passwd_file (s3fs format: "KEY:SECRET" or "bucket:KEY:SECRET" lines; refused when group or
 * others may read it)
 * 2. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *    (skipped when the option profile was given, as with the CLI's --profile)
 * 3. ~/.aws/credentials and ~/.aws/config (AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE), profile
 * by option, AWS_PROFILE or "default"; region and endpoint_url (also of services sections) are read
 * here too
 * 4. ~/.passwd-s3fs, /etc/passwd-s3fs
 * 5. anonymous, only when asked for
 *
 * Secrets are wiped when freed. They are never logged, and error messages name sources, not values.
 */
#ifndef COMMON_S3_CREDENTIALS_H
#define COMMON_S3_CREDENTIALS_H

#include <stdbool.h>

#include "common/error.h"
#include "common/options.h"

struct credentials {
	bool anonymous;
	char *access_key, *secret_key, *session_token; /* token may be NULL */
	char source[128]; /* for messages: "environment", "profile prod" .. */
};

/* Fills credentials and, where options has none, region, endpoint, ca_file and path_style of
 * options from the profile. bucket may be NULL: of a passwd file, only lines without a bucket count
 * then. Errors: -ENOENT none found, -EACCES file readable by others, -EINVAL malformed; message
 * set. */
int credentials_load(struct credentials *credentials, struct options *options, const char *bucket,
		     struct error *error);
/* The keys again, from wherever they are now; nothing else of options is set. Any thread. Errors:
 * as above. */
int credentials_reload(struct credentials *credentials, const struct options *options,
		       const char *bucket, struct error *error);
bool credentials_equal(const struct credentials *a, const struct credentials *b);
void credentials_free(struct credentials *credentials);

#endif

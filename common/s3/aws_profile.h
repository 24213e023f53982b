/* aws_profile.h — one profile out of the files that the AWS CLI and SDKs share.
 *
 * Format: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
 * Names: "[name]" in the credentials file; "[default]" and "[profile name]" in the config file,
 * which has endpoints by service in sections "[services name]". Later settings replace earlier
 * ones, and those of the credentials file replace those of the config file.
 *
 * Messages name file and line, never what stands there: it may be a secret. Any thread.
 */
#ifndef COMMON_S3_AWS_PROFILE_H
#define COMMON_S3_AWS_PROFILE_H

#include <stdbool.h>

#include "common/error.h"

enum aws_file { AWS_CONFIG, AWS_CREDENTIALS };

enum {
	AWS_LINE_BYTES_MAX = 8192,
	AWS_NAME_BYTES_MAX = 256,
};

enum aws_value {
	AWS_ACCESS_KEY,
	AWS_SECRET_KEY,
	AWS_SESSION_TOKEN,
	AWS_REGION,
	AWS_ENDPOINT_URL,	 /* for all services */
	AWS_S3_ENDPOINT_URL,	 /* of "s3 =" in the services section, or the profile itself */
	AWS_S3_ADDRESSING_STYLE, /* of "s3 =" in the profile: auto, path, virtual */
	AWS_SERVICES,		 /* name of the services section */
	AWS_CA_BUNDLE,
	AWS_IGNORE_ENDPOINT_URLS,
	AWS_ROLE_ARN, /* these three only to say that they are not supported */
	AWS_CREDENTIAL_PROCESS,
	AWS_SSO,
	AWS_VALUE_COUNT
};

struct aws_profile {
	bool found;		       /* its section is there, maybe empty */
	char *values[AWS_VALUE_COUNT]; /* NULL: not set */
};

#define AWS_PROFILE_INIT                                                                           \
	{                                                                                          \
		.found = false                                                                     \
	}

/* Adds what text says about the profile. file is for messages. For AWS_CONFIG the endpoints of the
 * services section that the profile names are added, too. Pure. Errors: -EINVAL, -ENOMEM. */
int aws_profile_parse(struct aws_profile *profile, enum aws_file kind, const char *name,
		      const char *text, const char *file, struct error *error);
/* Wipes. */
void aws_profile_free(struct aws_profile *profile);

#endif

#include "common/s3/aws_profile.h"
#include "common/s3/passwd_file.h"
#include "common/s3/secret.h"
#include "tests/fuzz/fuzz.h"

static void parse_profile(enum aws_file kind, const char *text)
{
	struct aws_profile profile = AWS_PROFILE_INIT;
	struct error error = ERROR_INIT;
	int err = aws_profile_parse(&profile, kind, "default", text, "file", &error);

	EXPECT(!err || error.message[0]);
	aws_profile_free(&profile);
}

static void parse_passwd(const char *bucket, const char *text)
{
	struct error error = ERROR_INIT;
	char *access_key = NULL, *secret_key = NULL;
	int err = passwd_file_parse(text, "file", bucket, &access_key, &secret_key, &error);

	EXPECT(!err == (access_key && secret_key));
	EXPECT(!err || error.message[0]);
	secret_free(access_key);
	secret_free(secret_key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = fuzz_text(data, len);

	parse_profile(AWS_CONFIG, text);
	parse_profile(AWS_CREDENTIALS, text);
	parse_passwd(NULL, text);
	parse_passwd("bucket", text);
	free(text);
	return 0;
}

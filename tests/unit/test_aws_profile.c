#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "common/s3/aws_profile.h"

struct value_case {
	enum aws_file kind;
	const char *name, *text;
	enum aws_value value;
	const char *expected; /* NULL: not set */
};

static const struct value_case values[] = {
	{AWS_CREDENTIALS, "default", "[default]\naws_access_key_id=AK\n", AWS_ACCESS_KEY, "AK"},
	{AWS_CREDENTIALS, "default", "[default]\r\naws_access_key_id = AK\r\n", AWS_ACCESS_KEY,
	 "AK"},
	{AWS_CREDENTIALS, "default", "\xef\xbb\xbf[default]\naws_access_key_id=AK", AWS_ACCESS_KEY,
	 "AK"},
	{AWS_CREDENTIALS, "default", "[ default ]  # mine\n\n AWS_Access_Key_ID\t=\tAK  \n",
	 AWS_ACCESS_KEY, "AK"},
	{AWS_CREDENTIALS, "default",
	 "[default]\n  aws_access_key_id=A\n  aws_secret_access_key=S\n", AWS_SECRET_KEY, "S"},
	{AWS_CREDENTIALS, "default",
	 "# x\n; y\n[default]\n# aws_access_key_id=A\naws_access_key_id=B\n", AWS_ACCESS_KEY, "B"},
	{AWS_CREDENTIALS, "default", "[default]\naws_secret_access_key=a+/b=c#d;e\n",
	 AWS_SECRET_KEY, "a+/b=c#d;e"},
	{AWS_CREDENTIALS, "default", "[default]\naws_secret_access_key=abc # a comment\n",
	 AWS_SECRET_KEY, "abc"},
	{AWS_CREDENTIALS, "default", "[default]\nregion = # none\n", AWS_REGION, NULL},
	{AWS_CREDENTIALS, "default", "[default]\nregion=\n", AWS_REGION, NULL},
	{AWS_CREDENTIALS, "default", "[default]\nregion=a\nregion=b\n", AWS_REGION, "b"},
	{AWS_CREDENTIALS, "default", "[default]\nregion=a\n[x]\nregion=c\n[default]\nregion=b\n",
	 AWS_REGION, "b"},
	{AWS_CREDENTIALS, "b", "[a]\nregion=1\n[b]\nregion=2\n[c]\nregion=3\n", AWS_REGION, "2"},
	{AWS_CREDENTIALS, "B", "[b]\nregion=2\n", AWS_REGION, NULL},
	{AWS_CREDENTIALS, "b", "[profile b]\nregion=2\n", AWS_REGION, NULL},
	{AWS_CREDENTIALS, "b", "[other]\nthis is no setting\n[b]\nregion=2\n", AWS_REGION, "2"},
	{AWS_CREDENTIALS, "b", "[b]\naws_session_token=T\n", AWS_SESSION_TOKEN, "T"},
	{AWS_CONFIG, "default", "[default]\nregion=r\n", AWS_REGION, "r"},
	{AWS_CONFIG, "default", "[profile default]\nregion=r\n", AWS_REGION, "r"},
	{AWS_CONFIG, "b", "[profile b]\nregion=r\n", AWS_REGION, "r"},
	{AWS_CONFIG, "b", "[profile   b ]\nregion=r\n", AWS_REGION, "r"},
	{AWS_CONFIG, "b c", "[profile \"b c\"]\nregion=r\n", AWS_REGION, "r"},
	{AWS_CONFIG, "b", "[b]\nregion=r\n", AWS_REGION, NULL},
	{AWS_CONFIG, "b", "[profileb]\nregion=r\n", AWS_REGION, NULL},
	{AWS_CONFIG, "b", "[sso-session b]\nregion=r\n", AWS_REGION, NULL},
	{AWS_CONFIG, "b", "[profile b]\nendpoint_url=http://x\n", AWS_ENDPOINT_URL, "http://x"},
	{AWS_CONFIG, "b", "[profile b]\ns3 =\n  endpoint_url=http://y\nendpoint_url=http://x\n",
	 AWS_ENDPOINT_URL, "http://x"},
	{AWS_CONFIG, "b", "[profile b]\ns3 =\n  endpoint_url=http://y\n", AWS_ENDPOINT_URL, NULL},
	{AWS_CONFIG, "b", "[profile b]\ns3 =\n  endpoint_url=http://y\n", AWS_S3_ENDPOINT_URL,
	 "http://y"},
	{AWS_CONFIG, "b", "[profile b]\ns3=\n\taddressing_style = path\nregion=r\n",
	 AWS_S3_ADDRESSING_STYLE, "path"},
	{AWS_CONFIG, "b", "[profile b]\ns3=\n\taddressing_style = path\nregion=r\n", AWS_REGION,
	 "r"},
	{AWS_CONFIG, "b", "[profile b]\nec2 =\n  endpoint_url=http://y\n", AWS_S3_ENDPOINT_URL,
	 NULL},
	{AWS_CONFIG, "b", "[profile b]\ns3 =\n  region=x\n", AWS_REGION, NULL},
	{AWS_CONFIG, "b",
	 "[profile b]\nservices=v\n[services v]\nec2 =\n  endpoint_url=http://e\ns3 =\n  "
	 "endpoint_url=http://s\n",
	 AWS_S3_ENDPOINT_URL, "http://s"},
	{AWS_CONFIG, "b",
	 "[services v]\ns3 =\n  endpoint_url = http://s\n[profile b]\nservices = v\n",
	 AWS_S3_ENDPOINT_URL, "http://s"},
	{AWS_CONFIG, "b",
	 "[services w]\ns3 =\n  endpoint_url = http://s\n[profile b]\nservices = v\n",
	 AWS_S3_ENDPOINT_URL, NULL},
	{AWS_CONFIG, "b", "[services v]\ns3 =\n  endpoint_url = http://s\n[profile b]\n",
	 AWS_S3_ENDPOINT_URL, NULL},
	{AWS_CONFIG, "b", "[profile b]\nca_bundle=/x\n", AWS_CA_BUNDLE, "/x"},
	{AWS_CONFIG, "b", "[profile b]\nrole_arn=arn:x\n", AWS_ROLE_ARN, "arn:x"},
	{AWS_CONFIG, "b", "[profile b]\nsso_session=x\n", AWS_SSO, "x"},
	{AWS_CONFIG, "b", "[profile b]\ncredential_process=/bin/x --y=z\n", AWS_CREDENTIAL_PROCESS,
	 "/bin/x --y=z"},
	{AWS_CONFIG, "b", "", AWS_REGION, NULL},
	{AWS_CONFIG, "b", "\n\n   \n#\n", AWS_REGION, NULL},
};

static void settings_of_the_profile_are_found(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const struct value_case *test = &values[i];
		struct aws_profile profile = AWS_PROFILE_INIT;
		struct error error = ERROR_INIT;
		const char *value;

		if (aws_profile_parse(&profile, test->kind, test->name, test->text, "f", &error))
			fail_msg("case %zu: %s", i, error.message);
		value = profile.values[test->value];
		if (!value != !test->expected || (value && strcmp(value, test->expected) != 0))
			fail_msg("case %zu: '%s' instead of '%s'", i, value ? value : "(none)",
				 test->expected ? test->expected : "(none)");
		aws_profile_free(&profile);
	}
}

struct error_case {
	enum aws_file kind;
	const char *text, *message;
};

static const struct error_case errors[] = {
	{AWS_CREDENTIALS, "hunter2=1\n",
	 "/h/f, line 1: a setting stands before the first [section]"},
	{AWS_CREDENTIALS, "\n[default\nregion=x\n", "/h/f, line 2: ']' is missing"},
	{AWS_CREDENTIALS, "[]\n", "/h/f, line 1: the section has no name"},
	{AWS_CREDENTIALS, "[  ]\n", "/h/f, line 1: the section has no name"},
	{AWS_CREDENTIALS, "[default]\n\naws_secret_access_key hunter2\n",
	 "/h/f, line 3: expected \"name ="},
	{AWS_CREDENTIALS, "[default]\n=hunter2\n", "/h/f, line 2: there is no name"},
	{AWS_CREDENTIALS, "[default]\naws_access_key_id=a\n  aws_secret_access_key=hunter2\n",
	 "/h/f, line 3: an indented line continues the value above it"},
	{AWS_CONFIG, "[default]\nservices=v\n[services v]\ns3=\n  hunter2\n",
	 "/h/f, line 5: expected"},
};

static void what_is_malformed_is_named_by_line_and_not_shown(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct aws_profile profile = AWS_PROFILE_INIT;
		struct error error = ERROR_INIT;

		assert_int_equal(aws_profile_parse(&profile, errors[i].kind, "default",
						   errors[i].text, "/h/f", &error),
				 -EINVAL);
		if (!strstr(error.message, errors[i].message))
			fail_msg("case %zu: %s", i, error.message);
		assert_null(strstr(error.message, "hunter2"));
		aws_profile_free(&profile);
	}
}

static void overlong_lines_and_names_are_refused(void **state)
{
	struct aws_profile profile = AWS_PROFILE_INIT;
	struct error error = ERROR_INIT;
	char *text = malloc(AWS_LINE_BYTES_MAX + 64);

	(void)state;
	assert_non_null(text);
	memcpy(text, "[default]\nregion=", 17);
	memset(text + 17, 'x', AWS_LINE_BYTES_MAX);
	text[17 + AWS_LINE_BYTES_MAX] = '\0';
	assert_int_equal(aws_profile_parse(&profile, AWS_CONFIG, "default", text, "f", &error),
			 -EINVAL);
	assert_string_equal(error.message, "f, line 2: the line is too long");
	error = (struct error)ERROR_INIT;
	memset(text + 10, 'x', AWS_NAME_BYTES_MAX);
	memcpy(text + 10 + AWS_NAME_BYTES_MAX, "=1", 3);
	assert_int_equal(aws_profile_parse(&profile, AWS_CONFIG, "default", text, "f", &error),
			 -EINVAL);
	assert_string_equal(error.message, "f, line 2: the name before '=' is too long");
	aws_profile_free(&profile);
	free(text);
}

static void an_empty_profile_is_found_and_a_missing_one_is_not(void **state)
{
	struct aws_profile profile = AWS_PROFILE_INIT;
	struct error error = ERROR_INIT;

	(void)state;
	assert_int_equal(
		aws_profile_parse(&profile, AWS_CREDENTIALS, "b", "[a]\nregion=r\n", "f", &error),
		0);
	assert_false(profile.found);
	assert_int_equal(aws_profile_parse(&profile, AWS_CREDENTIALS, "b", "[b]\n", "f", &error),
			 0);
	assert_true(profile.found);
	aws_profile_free(&profile);
	assert_false(profile.found);
}

static void the_credentials_file_goes_before_the_config_file(void **state)
{
	struct aws_profile profile = AWS_PROFILE_INIT;
	struct error error = ERROR_INIT;

	(void)state;
	assert_int_equal(aws_profile_parse(&profile, AWS_CONFIG, "default",
					   "[default]\nregion=r\naws_access_key_id=old\n", "f",
					   &error),
			 0);
	assert_int_equal(aws_profile_parse(&profile, AWS_CREDENTIALS, "default",
					   "[default]\naws_access_key_id=new\n", "g", &error),
			 0);
	assert_string_equal(profile.values[AWS_ACCESS_KEY], "new");
	assert_string_equal(profile.values[AWS_REGION], "r");
	aws_profile_free(&profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_of_the_profile_are_found),
		cmocka_unit_test(what_is_malformed_is_named_by_line_and_not_shown),
		cmocka_unit_test(overlong_lines_and_names_are_refused),
		cmocka_unit_test(an_empty_profile_is_found_and_a_missing_one_is_not),
		cmocka_unit_test(the_credentials_file_goes_before_the_config_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

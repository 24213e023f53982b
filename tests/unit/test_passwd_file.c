#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "common/s3/passwd_file.h"
#include "common/s3/secret.h"

struct pair_case {
	const char *text, *bucket, *access_key, *secret_key;
};

static const struct pair_case pairs[] = {
	{"AK:secret", "b", "AK", "secret"},
	{"AK:secret\n", NULL, "AK", "secret"},
	{"AK:secret  \r\n", "b", "AK", "secret"},
	{"# comment\n\n  \nAK:secret\n", "b", "AK", "secret"},
	{"AK:a+/=b\n", "b", "AK", "a+/=b"},
	{"b:AK:secret\n", "b", "AK", "secret"},
	{"other:XX:yy\nb:AK:secret\n", "b", "AK", "secret"},
	{"XX:yy\nb:AK:secret\n", "b", "AK", "secret"},
	{"b:AK:secret\nXX:yy\n", "b", "AK", "secret"},
	{"b:AK:secret\nXX:yy\n", "bb", "XX", "yy"},
	{"b:AK:secret\nXX:yy\n", NULL, "XX", "yy"},
};

static void the_line_of_the_bucket_or_the_general_one_is_taken(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct error error = ERROR_INIT;
		char *access_key = NULL, *secret_key = NULL;

		if (passwd_file_parse(pairs[i].text, "f", pairs[i].bucket, &access_key, &secret_key,
				      &error))
			fail_msg("case %zu: %s", i, error.message);
		assert_string_equal(access_key, pairs[i].access_key);
		assert_string_equal(secret_key, pairs[i].secret_key);
		secret_free(access_key);
		secret_free(secret_key);
	}
}

struct error_case {
	const char *text, *bucket;
	int code;
	const char *message;
};

static const struct error_case errors[] = {
	{"", "b", -ENOENT, "f has no keys for bucket 'b'"},
	{"other:AK:hunter2\n", "b", -ENOENT, "f has no keys for bucket 'b'"},
	{"b:AK:hunter2\n", NULL, -ENOENT, "f has no keys"},
	{"\nhunter2\n", "b", -EINVAL, "f, line 2: expected KEY:SECRET"},
	{":hunter2\n", "b", -EINVAL, "f, line 1: expected KEY:SECRET"},
	{"hunter2:\n", "b", -EINVAL, "f, line 1: expected KEY:SECRET"},
	{"b::hunter2\n", "b", -EINVAL, "f, line 1: expected KEY:SECRET"},
	{"b:AK:x:hunter2\n", "b", -EINVAL, "f, line 1: expected KEY:SECRET"},
	{"AK: hunter2\n", "b", -EINVAL, "f, line 1: white space"},
	{"AK:hunter2\nAL:hunter2\n", "b", -EINVAL, "f, line 2: a second line for the same bucket"},
	{"b:A:hunter2\nb:A:hunter2\n", "b", -EINVAL,
	 "f, line 2: a second line for the same bucket"},
	{"[default]\naws_access_key_id=hunter2\n", "b", -EINVAL, "AWS profiles"},
};

static void what_is_malformed_is_named_by_line_and_not_shown(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct error error = ERROR_INIT;
		char *access_key = NULL, *secret_key = NULL;

		assert_int_equal(passwd_file_parse(errors[i].text, "f", errors[i].bucket,
						   &access_key, &secret_key, &error),
				 errors[i].code);
		assert_null(access_key);
		assert_null(secret_key);
		if (!strstr(error.message, errors[i].message))
			fail_msg("case %zu: %s", i, error.message);
		assert_null(strstr(error.message, "hunter2"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_line_of_the_bucket_or_the_general_one_is_taken),
		cmocka_unit_test(what_is_malformed_is_named_by_line_and_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

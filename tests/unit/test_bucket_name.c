#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "common/bucket_name.h"

static const struct {
	const char *name;
	const char *message; /* NULL: accepted */
	bool fits_host;
} cases[] = {
	{"abc", NULL, true},
	{"my-bucket-1", NULL, true},
	{"123", NULL, true},
	{"my.bucket", NULL, false},
	{"My_Bucket", NULL, false},
	{"bucket-", NULL, false},
	{"a23456789012345678901234567890123456789012345678901234567890123", NULL, true},
	{"a234567890123456789012345678901234567890123456789012345678901234", NULL, false},
	{"", "has 0 bytes; accepted: 3 to 255", false},
	{"ab", "has 2 bytes", false},
	{"a/b", "has a '/' in it; a path inside of the bucket is written BUCKET:PREFIX", false},
	{"s3://abc", "without s3://", false},
	{"a b", "accepted are letters, digits", false},
	{"b\xc3\xbc"
	 "cher",
	 "accepted are letters, digits", false},
	{"abc\n", "accepted are letters, digits", false},
	{"...", "has to begin with a letter or digit", false},
	{"-abc", "has to begin with a letter or digit", false},
	{"_abc", "has to begin with a letter or digit", false},
};

static void names_are_judged_by_the_rules_of_today_and_of_old(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error error = ERROR_INIT;
		int code = bucket_name_check(cases[i].name, &error);

		if (code != (cases[i].message ? -EINVAL : 0) ||
		    (code && !strstr(error.message, cases[i].message)))
			fail_msg("'%s': %d, %s", cases[i].name, code, error.message);
		assert_int_equal(bucket_name_fits_host(cases[i].name), cases[i].fits_host);
	}
}

static void the_longest_name_has_255_bytes(void **state)
{
	struct error error = ERROR_INIT;
	char name[BUCKET_NAME_BYTES_MAX + 2];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[BUCKET_NAME_BYTES_MAX + 1] = '\0';
	assert_int_equal(bucket_name_check(name, &error), -EINVAL);
	name[BUCKET_NAME_BYTES_MAX] = '\0';
	assert_int_equal(bucket_name_check(name, &error), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_judged_by_the_rules_of_today_and_of_old),
		cmocka_unit_test(the_longest_name_has_255_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

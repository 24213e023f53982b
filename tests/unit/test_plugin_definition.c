#include "plugin/definition.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void names_are_checked_as_parts_of_paths(void **state)
{
	static const struct {
		const char *name, *file_name; /* NULL: refused */
	} cases[] = {
		{"bucket", "bucket"}, {"st_vol.x-1~", "st_vol.x-1~"},
		{"a b", "a%20b"},     {".", "%2E"},
		{"..", "%2E."},	      {".hidden", "%2Ehidden"},
		{"a%b", "a%25b"},     {"\xc3\xa4", "%C3%A4"},
		{"", NULL},	      {"a/b", NULL},
		{"/", NULL},	      {"a\nb", NULL},
		{"a\x7f", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out = BUF_INIT;
		int err = definition_check_name(cases[i].name, NULL);

		assert_int_equal(err, cases[i].file_name ? 0 : -EINVAL);
		if (!cases[i].file_name)
			continue;
		definition_put_file_name(cases[i].name, &out);
		assert_string_equal(buf_str(&out), cases[i].file_name);
		buf_free(&out);
	}
}

static void long_names_are_refused(void **state)
{
	char name[DEFINITION_NAME_BYTES_MAX + 2];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[DEFINITION_NAME_BYTES_MAX] = '\0';
	assert_int_equal(definition_check_name(name, NULL), 0);
	name[DEFINITION_NAME_BYTES_MAX] = 'n';
	name[DEFINITION_NAME_BYTES_MAX + 1] = '\0';
	assert_int_equal(definition_check_name(name, NULL), -EINVAL);
}

static void a_volume_without_a_bucket_stands_for_the_bucket_of_its_name(void **state)
{
	struct definition definition;
	struct error error = ERROR_INIT;

	(void)state;
	assert_int_equal(definition_create(&definition, "data", NULL, 0, NULL), 0);
	assert_string_equal(definition.bucket, "data");
	assert_false(definition.implied);
	definition_free(&definition);
	assert_int_equal(definition_imply(&definition, "data", NULL), 0);
	assert_true(definition.implied);
	definition_free(&definition);
	assert_int_equal(definition_create(&definition, "a b", NULL, 0, &error), -EINVAL);
	assert_non_null(strstr(error.message, "bucket=BUCKET"));
}

static void options_that_are_wrong_are_named_in_the_message(void **state)
{
	static const struct {
		const char *name, *value, *expected;
	} cases[] = {
		{"secret_key", "x", "credentials=NAME"},
		{"access_key", "x", "credentials=NAME"},
		{"aws_session_token", "x", "credentials=NAME"},
		{"bucket", "no/bucket", "bucket"},
		{"bucket", "", "bucket"},
		{"credentials", "../etc/shadow", "credentials"},
		{"credentials", ".", "credentials"},
		{"credentials", "", "credentials"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct definition_option option = {(char *)cases[i].name,
							 (char *)cases[i].value};
		struct error error = ERROR_INIT;
		struct definition definition;

		assert_int_equal(definition_create(&definition, "v-1", &option, 1, &error),
				 -EINVAL);
		assert_non_null(strstr(error.message, cases[i].expected));
	}
}

static void definitions_survive_being_written_and_read(void **state)
{
	const struct definition_option options[] = {
		{"bucket", "data"}, {"prefix", "a \"b\"/c"}, {"credentials", "team-1"}, {"ro", ""}};
	struct definition definition, read;
	char *text;

	(void)state;
	assert_int_equal(definition_create(&definition, "v", options, COUNT(options), NULL), 0);
	definition.created_at = 1795472993101812131;
	text = definition_format(&definition);
	assert_non_null(text);
	assert_int_equal(definition_parse(&read, text, strlen(text), NULL), 0);
	assert_true(definition_equal(&definition, &read));
	assert_string_equal(read.name, "v");
	assert_string_equal(read.credentials, "team-1");
	assert_true(read.created_at == 1795472993101812131);
	assert_int_equal(read.option_count, 2);
	assert_false(read.implied);
	free(text);
	definition_free(&definition);
	definition_free(&read);
}

static void definitions_with_the_same_options_in_another_order_are_equal(void **state)
{
	const struct definition_option one[] = {{"uid", "1"}, {"gid", "2"}};
	const struct definition_option two[] = {{"gid", "2"}, {"uid", "1"}};
	const struct definition_option three[] = {{"gid", "2"}, {"uid", "2"}};
	struct definition a, b, c;

	(void)state;
	assert_int_equal(definition_create(&a, "vol", one, 2, NULL), 0);
	assert_int_equal(definition_create(&b, "vol", two, 2, NULL), 0);
	assert_int_equal(definition_create(&c, "vol", three, 2, NULL), 0);
	assert_true(definition_equal(&a, &b));
	assert_false(definition_equal(&a, &c));
	definition_free(&a);
	definition_free(&b);
	definition_free(&c);
}

static void files_that_are_no_definition_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"{}",
		"[]",
		"{\"version\":0,\"name\":\"v\",\"bucket\":\"data\"}",
		"{\"version\":2,\"name\":\"v\",\"bucket\":\"data\"}",
		"{\"version\":1,\"bucket\":\"data\"}",
		"{\"version\":1,\"name\":\"v\"}",
		"{\"version\":1,\"name\":\"../v\",\"bucket\":\"data\"}",
		"{\"version\":1,\"name\":\"v\",\"bucket\":\"a/b\"}",
		"{\"version\":1,\"name\":\"v\",\"bucket\":\"data\",\"credentials\":\"../x\"}",
		"{\"version\":1,\"name\":\"v\",\"bucket\":\"data\",\"created_at\":\"x\"}",
		"{\"version\":1,\"name\":\"v\",\"bucket\":\"data\",\"options\":{\"uid\":33}}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct definition definition;
		struct error error = ERROR_INIT;

		assert_int_equal(definition_parse(&definition, texts[i], strlen(texts[i]), &error),
				 -EINVAL);
		assert_true(strlen(error.message) > 0);
	}
}

static void options_of_a_newer_version_are_kept(void **state)
{
	static const char text[] = "{\"version\":1,\"name\":\"v\",\"bucket\":\"data\",\"options\":"
				   "{\"not_yet\":\"1\"}}";
	struct definition definition;

	(void)state;
	assert_int_equal(definition_parse(&definition, text, strlen(text), NULL), 0);
	assert_string_equal(definition.options[0].name, "not_yet");
	definition_free(&definition);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_checked_as_parts_of_paths),
		cmocka_unit_test(long_names_are_refused),
		cmocka_unit_test(a_volume_without_a_bucket_stands_for_the_bucket_of_its_name),
		cmocka_unit_test(options_that_are_wrong_are_named_in_the_message),
		cmocka_unit_test(definitions_survive_being_written_and_read),
		cmocka_unit_test(definitions_with_the_same_options_in_another_order_are_equal),
		cmocka_unit_test(files_that_are_no_definition_are_refused),
		cmocka_unit_test(options_of_a_newer_version_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

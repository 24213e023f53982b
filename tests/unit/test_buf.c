#include "common/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"

static void appending_keeps_a_terminated_string(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	assert_string_equal(buf_str(&buf), "");
	buf_puts(&buf, "ab");
	buf_putc(&buf, 'c');
	buf_append(&buf, "d\0e", 3);
	buf_append(&buf, NULL, 0);
	buf_printf(&buf, "%d-%s", 42, "x");
	assert_int_equal(buf.len, 10);
	assert_memory_equal(buf.data, "abcd\0e42-x", 11);
	buf_reset(&buf);
	assert_string_equal(buf_str(&buf), "");
	for (int i = 0; i < 10000; i++)
		buf_printf(&buf, "%04d", i);
	assert_int_equal(buf.len, 40000);
	assert_memory_equal(buf.data + 4 * 1234, "1234", 4);
	assert_int_equal(strlen(buf.data), 40000);
	buf_free(&buf);
	assert_null(buf.data);
}

static void passing_the_limit_is_a_failure_that_sticks(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	buf.limit = 5;
	buf_puts(&buf, "12345");
	assert_false(buf.failed);
	buf_putc(&buf, '6');
	assert_true(buf.failed);
	assert_string_equal(buf_str(&buf), "12345");
	buf_append(&buf, "", 0);
	buf_printf(&buf, "%s", "");
	assert_true(buf.failed);
	assert_null(buf_steal(&buf));
	assert_false(buf.failed);
	assert_null(buf.data);
}

static void a_length_that_overflows_is_a_failure(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	buf_puts(&buf, "x");
	buf_append(&buf, "y", SIZE_MAX - 1);
	assert_true(buf.failed);
	assert_string_equal(buf_str(&buf), "x");
	buf_free(&buf);
}

static void what_is_stolen_belongs_to_the_caller(void **state)
{
	struct buf buf = BUF_INIT;
	char *text = buf_steal(&buf);

	(void)state;
	assert_string_equal(text, "");
	free(text);
	buf_puts(&buf, "abc");
	text = buf_steal(&buf);
	buf_puts(&buf, "other");
	assert_string_equal(text, "abc");
	free(text);
	buf_free(&buf);
}

static void uris_are_encoded_as_signatures_want_it(void **state)
{
	static const struct {
		const char *text;
		bool keep_slash;
		const char *expected;
	} cases[] = {
		{"AZaz09-._~", false, "AZaz09-._~"},
		{"a/b c", true, "a/b%20c"},
		{"a/b+c", false, "a%2Fb%2Bc"},
		{"\xc3\xa4\x7f%", true, "%C3%A4%7F%25"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf buf = BUF_INIT;

		buf_put_uri(&buf, cases[i].text, strlen(cases[i].text), cases[i].keep_slash);
		assert_string_equal(buf_str(&buf), cases[i].expected);
		buf_free(&buf);
	}
}

static void hexadecimal_is_lower_case(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	buf_put_hex(&buf, "\x00\xff\x1a", 3);
	assert_string_equal(buf_str(&buf), "00ff1a");
	buf_free(&buf);
}

static void bad_escapes_stay_as_they_are(void **state)
{
	static const struct {
		const char *text, *expected;
		size_t len;
	} cases[] = {
		{"", "", 0},	       {"a%20b+", "a b+", 4}, {"%c3%A4", "\xc3\xa4", 2},
		{"a%00b", "a\0b", 3},  {"%", "%", 1},	      {"%2", "%2", 2},
		{"%zz%4", "%zz%4", 5}, {"%%41", "%A", 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = string_copy(cases[i].text);

		assert_int_equal(uri_decode(text), cases[i].len);
		assert_memory_equal(text, cases[i].expected, cases[i].len + 1);
		free(text);
	}
	assert_null(string_copy(NULL));
}

static void prefixes_and_suffixes_are_told(void **state)
{
	(void)state;
	assert_true(string_has_prefix("abc", "ab"));
	assert_true(string_has_prefix("abc", ""));
	assert_false(string_has_prefix("ab", "abc"));
	assert_true(string_has_suffix("abc", "bc"));
	assert_true(string_has_suffix("abc", ""));
	assert_false(string_has_suffix("bc", "abc"));
	assert_false(string_has_suffix("abc", "ab"));
}

static void integers_are_whole_strings_within_their_range(void **state)
{
	static const struct {
		const char *text;
		int64_t min, max;
		int err;
		int64_t value;
	} cases[] = {
		{"0", 0, 10, 0, 0},
		{"10", 0, 10, 0, 10},
		{"007", 0, 10, 0, 7},
		{"-1", -5, 5, 0, -1},
		{"9223372036854775807", INT64_MIN, INT64_MAX, 0, INT64_MAX},
		{"-9223372036854775808", INT64_MIN, INT64_MAX, 0, INT64_MIN},
		{"9223372036854775808", INT64_MIN, INT64_MAX, -ERANGE, 0},
		{"-9223372036854775809", INT64_MIN, INT64_MAX, -ERANGE, 0},
		{"99999999999999999999", INT64_MIN, INT64_MAX, -ERANGE, 0},
		{"11", 0, 10, -ERANGE, 0},
		{"-1", 0, 10, -ERANGE, 0},
		{"", 0, 10, -EINVAL, 0},
		{"-", 0, 10, -EINVAL, 0},
		{"+1", 0, 10, -EINVAL, 0},
		{" 1", 0, 10, -EINVAL, 0},
		{"1 ", 0, 10, -EINVAL, 0},
		{"0x1", 0, 10, -EINVAL, 0},
		{"1.5", 0, 10, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = 0;

		assert_int_equal(parse_int(cases[i].text, cases[i].min, cases[i].max, &value),
				 cases[i].err);
		assert_true(value == cases[i].value);
	}
}

static void sizes_take_binary_units(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"512", 0, 512},
		{"512B", 0, 512},
		{"1K", 0, 1024},
		{"1k", 0, 1024},
		{"8MiB", 0, UINT64_C(8) << 20},
		{"2GB", 0, UINT64_C(2) << 30},
		{"3T", 0, UINT64_C(3) << 40},
		{"16777215T", 0, UINT64_C(16777215) << 40},
		{"16777216T", -ERANGE, 0},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"1 K", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1iB", -EINVAL, 0},
		{"1Ki", -EINVAL, 0},
		{"1KB ", -EINVAL, 0},
		{"1X", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0;

		assert_int_equal(parse_size(cases[i].text, &value), cases[i].err);
		assert_true(value == cases[i].value);
	}
}

static void the_first_message_of_an_error_stays(void **state)
{
	struct error error = ERROR_INIT;

	(void)state;
	assert_int_equal(error_set(&error, -EIO, "bucket %s", "b"), -EIO);
	assert_int_equal(error_set(&error, -EPERM, "later"), -EPERM);
	assert_int_equal(error.code, -EIO);
	assert_string_equal(error.message, "bucket b");
	assert_int_equal(error_set(NULL, -EIO, "nobody listens"), -EIO);
}

static void a_message_is_one_line_and_is_cut_between_characters(void **state)
{
	struct error error = ERROR_INIT;
	char text[2000];

	(void)state;
	error_set(&error, -EIO, "%s", "key a\nb\x7f\x1b[31m");
	assert_string_equal(error.message, "key a b  [31m");
	for (size_t before = 1; before <= 2; before++) {
		struct error cut = ERROR_INIT;
		const size_t room = sizeof(cut.message) - 1;

		memset(text, 'x', before);
		for (size_t i = before; i + 2 < sizeof(text); i += 2)
			memcpy(text + i, "\xc3\xa4", 3);
		error_set(&cut, -EIO, "%s", text);
		assert_int_equal(strlen(cut.message), room - (room - before) % 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appending_keeps_a_terminated_string),
		cmocka_unit_test(passing_the_limit_is_a_failure_that_sticks),
		cmocka_unit_test(a_length_that_overflows_is_a_failure),
		cmocka_unit_test(what_is_stolen_belongs_to_the_caller),
		cmocka_unit_test(uris_are_encoded_as_signatures_want_it),
		cmocka_unit_test(hexadecimal_is_lower_case),
		cmocka_unit_test(bad_escapes_stay_as_they_are),
		cmocka_unit_test(prefixes_and_suffixes_are_told),
		cmocka_unit_test(integers_are_whole_strings_within_their_range),
		cmocka_unit_test(sizes_take_binary_units),
		cmocka_unit_test(the_first_message_of_an_error_stays),
		cmocka_unit_test(a_message_is_one_line_and_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

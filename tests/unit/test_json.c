#include "common/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct json *parse(const char *text)
{
	return json_parse(text, strlen(text));
}

static void what_is_not_one_json_value_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		" ",
		"{",
		"{}x",
		"{} {}",
		"{\"a\":}",
		"{\"a\":1,}",
		"[1,]",
		"nul",
		"'a'",
		"\"a",
		"\"a\\u0000b\"",
		"\"\\",
		"\"\xff\"",
		"\"\xc0\x80\"",
		"\"\xed\xa0\x80\"",
		"\"\xf4\x90\x80\x80\"",
		"{\"a\" 1}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_null(parse(cases[i]));
	assert_null(json_parse("{}\0", 3));
	assert_null(json_parse("\"a\0b\"", 5));
}

static void white_space_around_a_value_and_a_backslash_before_zeros_are_fine(void **state)
{
	struct json *root = parse(" \r\n\t[\"\\\\u0000\", \"\xc3\xa4\"]\n ");

	(void)state;
	assert_non_null(root);
	assert_string_equal(json_string(json_item(root, 0)), "\\u0000");
	assert_string_equal(json_string(json_item(root, 1)), "\xc3\xa4");
	json_free(root);
}

static void members_are_found_with_their_type_and_absence_is_harmless(void **state)
{
	struct json *root = parse(
		"{\"s\":\"x\",\"n\":2.5,\"b\":true,\"z\":null,\"o\":{\"s\":\"y\"},\"S\":1,"
		"\"s\":\"second\"}");

	(void)state;
	assert_non_null(root);
	assert_true(json_is_object(root));
	assert_string_equal(json_string(json_member(root, "s")), "x");
	assert_true(json_number(json_member(root, "n"), 0) == 2.5);
	assert_true(json_bool(json_member(root, "b"), false));
	assert_true(json_is_null(json_member(root, "z")));
	assert_string_equal(json_string(json_member(json_member(root, "o"), "s")), "y");
	assert_null(json_string(json_member(json_member(root, "missing"), "s")));
	assert_null(json_string(json_member(root, "n")));
	assert_true(json_number(json_member(root, "s"), 7) == 7);
	assert_true(json_bool(json_member(root, "n"), true));
	assert_false(json_is_null(NULL));
	assert_int_equal(json_count(root), 7);
	assert_int_equal(json_count(json_member(root, "s")), 0);
	assert_null(json_item(root, 7));
	json_free(root);
}

static void an_object_of_strings_is_walked_in_order(void **state)
{
	struct json *root = parse("{\"bucket\":\"b\",\"uid\":\"1000\",\"ro\":\"\"}");
	struct buf text = BUF_INIT;

	(void)state;
	for (const struct json *item = json_first(root); item; item = json_next(item))
		buf_printf(&text, "%s=%s;", json_name(item), json_string(item));
	assert_string_equal(buf_str(&text), "bucket=b;uid=1000;ro=;");
	assert_null(json_name(root));
	assert_null(json_first(NULL));
	buf_free(&text);
	json_free(root);
}

static void only_exact_whole_numbers_are_integers(void **state)
{
	static const struct {
		const char *text;
		int err;
		int64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"-12", 0, -12},
		{"10737418240", 0, INT64_C(10737418240)},
		{"9007199254740992", 0, INT64_C(9007199254740992)},
		{"1e3", 0, 1000},
		{"1.5", -EINVAL, 0},
		{"1e300", -EINVAL, 0},
		{"18446744073709551616", -EINVAL, 0},
		{"\"1\"", -EINVAL, 0},
		{"null", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json *root = parse(cases[i].text);
		int64_t value = 0;

		assert_non_null(root);
		assert_int_equal(json_integer(root, &value), cases[i].err);
		assert_true(value == cases[i].value);
		json_free(root);
	}
	assert_int_equal(json_integer(NULL, &(int64_t){0}), -EINVAL);
}

static struct json *parse_nested(unsigned depth)
{
	struct buf text = BUF_INIT;
	struct json *root;

	for (unsigned i = 0; i < depth; i++)
		buf_putc(&text, '[');
	for (unsigned i = 0; i < depth; i++)
		buf_putc(&text, ']');
	root = json_parse(buf_str(&text), text.len);
	buf_free(&text);
	return root;
}

static void depth_and_size_have_limits(void **state)
{
	struct json *root = parse_nested(JSON_DEPTH_MAX);
	char *big = malloc(JSON_BYTES_MAX + 1);

	(void)state;
	assert_non_null(root);
	json_free(root);
	assert_null(parse_nested(JSON_DEPTH_MAX + 1));
	assert_null(parse_nested(100 * 1000));
	assert_non_null(big);
	memset(big, ' ', JSON_BYTES_MAX + 1);
	big[0] = '1';
	root = json_parse(big, JSON_BYTES_MAX);
	assert_non_null(root);
	json_free(root);
	assert_null(json_parse(big, JSON_BYTES_MAX + 1));
	free(big);
}

static void a_document_is_written_without_white_space(void **state)
{
	struct buf text = BUF_INIT;
	struct json_writer writer = JSON_WRITER_INIT(&text);

	(void)state;
	json_begin_object(&writer, NULL);
	json_put_string(&writer, "Err", "");
	json_begin_array(&writer, "Volumes");
	json_begin_object(&writer, NULL);
	json_put_string(&writer, "Name", "a");
	json_put_string(&writer, "Mountpoint", NULL);
	json_end_object(&writer);
	json_begin_object(&writer, NULL);
	json_end_object(&writer);
	json_put_integer(&writer, NULL, INT64_MIN);
	json_end_array(&writer);
	json_put_bool(&writer, "ok", true);
	json_put_bool(&writer, "bad", false);
	json_put_null(&writer, "none");
	json_end_object(&writer);
	assert_false(text.failed);
	assert_string_equal(buf_str(&text),
			    "{\"Err\":\"\",\"Volumes\":[{\"Name\":\"a\",\"Mountpoint\":null},{},"
			    "-9223372036854775808],\"ok\":true,\"bad\":false,\"none\":null}");
	buf_free(&text);
}

static void strings_come_back_as_they_were_written(void **state)
{
	static const struct {
		const char *value, *back;
	} cases[] = {
		{"", ""},
		{"a\"b\\c/d", "a\"b\\c/d"},
		{"\x01\n\t\x1f\x7f", "\x01\n\t\x1f\x7f"},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"a\xff"
		 "b",
		 "a\xef\xbf\xbd"
		 "b"},
		{"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text = BUF_INIT;
		struct json_writer writer = JSON_WRITER_INIT(&text);
		struct json *root;

		json_put_string(&writer, NULL, cases[i].value);
		root = json_parse(buf_str(&text), text.len);
		assert_non_null(root);
		assert_string_equal(json_string(root), cases[i].back);
		json_free(root);
		buf_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_one_json_value_is_refused),
		cmocka_unit_test(white_space_around_a_value_and_a_backslash_before_zeros_are_fine),
		cmocka_unit_test(members_are_found_with_their_type_and_absence_is_harmless),
		cmocka_unit_test(an_object_of_strings_is_walked_in_order),
		cmocka_unit_test(only_exact_whole_numbers_are_integers),
		cmocka_unit_test(depth_and_size_have_limits),
		cmocka_unit_test(a_document_is_written_without_white_space),
		cmocka_unit_test(strings_come_back_as_they_were_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

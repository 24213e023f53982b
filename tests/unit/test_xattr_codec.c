/* Extended attributes in s3fs's format. */
#include "fs/vfs/xattr_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_value(const struct xattr_set *set, const char *name, const char *value,
			 size_t len)
{
	const struct xattr *found = xattr_set_find(set, name);

	assert_non_null(found);
	assert_int_equal(found->len, len);
	assert_memory_equal(found->value, value, len);
}

static void what_s3fs_writes_is_read(void **state)
{
	struct xattr_set set = {NULL, 0};

	(void)state;
	assert_int_equal(xattr_decode("%7B%22user.a%22%3A%22aGVsbG8%3D%22%2C%22user.empty%22%3A%22"
				      "%22%2C%22user.b%22%3A%22AAEC/w%3D%3D%22%7D",
				      &set),
			 0);
	assert_int_equal(set.count, 3);
	assert_value(&set, "user.a", "hello", 5);
	assert_value(&set, "user.empty", "", 0);
	assert_value(&set, "user.b", "\0\1\2\377", 4);
	assert_null(xattr_set_find(&set, "user"));
	xattr_set_free(&set);
}

static void what_is_written_is_what_s3fs_writes(void **state)
{
	struct xattr_set set = {NULL, 0};
	struct buf text = BUF_INIT;

	(void)state;
	xattr_encode(&set, &text);
	assert_int_equal(text.len, 0);
	assert_int_equal(xattr_set_put(&set, "user.a", "hello", 5), 0);
	assert_int_equal(xattr_set_put(&set, "user.b", "\0\1\2\377", 4), 0);
	xattr_encode(&set, &text);
	assert_string_equal(buf_str(&text), "%7B%22user.a%22%3A%22aGVsbG8%3D%22%2C%22user.b%22%3A"
					    "%22AAEC/w%3D%3D%22%7D");
	buf_free(&text);
	xattr_set_free(&set);
}

static void any_name_and_value_comes_back(void **state)
{
	static const char *const names[] = {"user.\"",	   "user.\\",	    "user.a,b:c{}",
					    "user.\001\n", "user.\xff\xfe", "user.\xc3\xa9 %41"};
	struct xattr_set set = {NULL, 0}, again = {NULL, 0};
	struct buf text = BUF_INIT;
	char value[256];

	(void)state;
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (char)i;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(xattr_set_put(&set, names[i], value, 256 - i), 0);
	xattr_encode(&set, &text);
	assert_int_equal(xattr_decode(buf_str(&text), &again), 0);
	assert_int_equal(again.count, set.count);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_value(&again, names[i], value, 256 - i);
	buf_free(&text);
	xattr_set_free(&set);
	xattr_set_free(&again);
}

static void values_are_replaced_and_removed(void **state)
{
	struct xattr_set set = {NULL, 0};

	(void)state;
	assert_int_equal(xattr_set_put(&set, "a", "1", 1), 0);
	assert_int_equal(xattr_set_put(&set, "b", "2", 1), 0);
	assert_int_equal(xattr_set_put(&set, "a", "33", 2), 0);
	assert_int_equal(set.count, 2);
	assert_value(&set, "a", "33", 2);
	assert_true(xattr_set_remove(&set, "a"));
	assert_false(xattr_set_remove(&set, "a"));
	assert_value(&set, "b", "2", 1);
	xattr_set_free(&set);
}

static void what_is_no_such_text_is_refused_as_a_whole(void **state)
{
	static const char *const bad[] = {
		"x",
		"{",
		"{}x",
		"%7B%22a%22%3A%22AA%22",
		"{\"a\":\"AA\",}",
		"{\"a\"}",
		"{\"a\":1}",
		"{\"a\":\"A\"}",
		"{\"a\":\"A*==\"}",
		"{\"\":\"AA\"}",
		"{\"a\\q\":\"\"}",
		"{\"a\\u12\":\"\"}",
		"{\"a\\u0000\":\"\"}",
		"{\"a%00\":\"\"}",
		"{\"a\\ud800\":\"\"}",
		"{\"a\":\"AA\" \"b\":\"AA\"}",
		"[\"a\"]",
		"{\"a\":\"AA===\"}",
	};
	struct xattr_set set = {NULL, 0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(xattr_decode(bad[i], &set), -EINVAL);
		assert_int_equal(set.count, 0);
	}
}

static void names_and_text_have_limits(void **state)
{
	struct xattr_set set = {NULL, 0};
	struct buf text = BUF_INIT;
	char *spaces = malloc(XATTR_TEXT_BYTES_MAX + 3);

	(void)state;
	assert_non_null(spaces);
	memset(spaces, ' ', XATTR_TEXT_BYTES_MAX);
	memcpy(spaces + XATTR_TEXT_BYTES_MAX, "{}", sizeof("{}"));
	assert_int_equal(xattr_decode(spaces, &set), -EINVAL);
	assert_int_equal(xattr_decode(spaces + 2, &set), 0);
	free(spaces);
	for (int len = XATTR_NAME_BYTES_MAX; len <= XATTR_NAME_BYTES_MAX + 1; len++) {
		buf_reset(&text);
		buf_printf(&text, "{\"%0*d\":\"\"}", len, 0);
		assert_int_equal(xattr_decode(buf_str(&text), &set),
				 len > XATTR_NAME_BYTES_MAX ? -EINVAL : 0);
		xattr_set_free(&set);
	}
	buf_free(&text);
	assert_int_equal(xattr_decode(NULL, &set), 0);
	assert_int_equal(xattr_decode("", &set), 0);
	assert_int_equal(xattr_decode(" { } ", &set), 0);
	assert_int_equal(set.count, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_s3fs_writes_is_read),
		cmocka_unit_test(what_is_written_is_what_s3fs_writes),
		cmocka_unit_test(any_name_and_value_comes_back),
		cmocka_unit_test(values_are_replaced_and_removed),
		cmocka_unit_test(what_is_no_such_text_is_refused_as_a_whole),
		cmocka_unit_test(names_and_text_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

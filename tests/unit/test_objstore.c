#include "common/s3/objstore.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void metadata_is_set_replaced_and_removed(void **state)
{
	struct os_meta meta = OS_META_INIT;

	(void)state;
	assert_null(os_meta_get(&meta, "a"));
	assert_int_equal(os_meta_set(&meta, "a", NULL), 0);
	assert_int_equal(os_meta_set(&meta, "a", "1"), 0);
	assert_int_equal(os_meta_set(&meta, "b", "22"), 0);
	assert_int_equal(os_meta_set(&meta, "c", ""), 0);
	assert_int_equal(os_meta_bytes(&meta), 6);
	assert_int_equal(os_meta_set(&meta, "a", "new"), 0);
	assert_string_equal(os_meta_get(&meta, "a"), "new");
	assert_int_equal(os_meta_set(&meta, "a", NULL), 0);
	assert_null(os_meta_get(&meta, "a"));
	assert_string_equal(os_meta_get(&meta, "b"), "22");
	assert_string_equal(os_meta_get(&meta, "c"), "");
	assert_int_equal(meta.count, 2);
	os_meta_free(&meta);
	assert_int_equal(meta.count, 0);
}

static void a_copy_shares_nothing_with_its_original(void **state)
{
	struct os_meta from = OS_META_INIT, to = OS_META_INIT;

	(void)state;
	os_meta_set(&from, "a", "1");
	assert_int_equal(os_meta_copy(&to, &from), 0);
	os_meta_set(&from, "a", "2");
	assert_string_equal(os_meta_get(&to, "a"), "1");
	os_meta_free(&from);
	os_meta_free(&to);
}

static void a_source_over_memory_gives_exactly_what_is_there(void **state)
{
	struct os_memory memory = {"abcdef", 6};
	struct os_source source = os_source_memory(&memory);
	char data[8] = "";

	(void)state;
	assert_int_equal(source.len, 6);
	assert_int_equal(source.read(source.context, data, 3, 2), 0);
	assert_string_equal(data, "cde");
	assert_int_equal(source.read(source.context, data, 0, 6), 0);
	assert_int_equal(source.read(source.context, data, 1, 6), -EIO);
	assert_int_equal(source.read(source.context, data, 7, 0), -EIO);
	assert_int_equal(source.read(source.context, data, 1, UINT64_MAX), -EIO);
}

static void a_result_is_freed_whole_and_can_be_freed_again(void **state)
{
	struct os_request request = {.op = OS_LIST};
	struct os_result *result = &request.result;

	(void)state;
	os_meta_set(&result->meta, "a", "1");
	os_meta_set(&result->headers, "b", "1");
	result->entries = calloc(1, sizeof(*result->entries));
	result->entries[0].key = strdup("k");
	result->entries[0].upload_id = strdup("u");
	result->entry_count = 1;
	result->next_token = strdup("t");
	result->delete_errors = calloc(1, sizeof(int));
	result->err = -EIO;
	os_request_free_result(&request);
	assert_int_equal(result->err, 0);
	assert_int_equal(result->entry_count, 0);
	assert_null(result->next_token);
	os_request_free_result(&request);
}

static void every_operation_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int a = OS_HEAD; a <= OS_BUCKET_HEAD; a++) {
		assert_string_not_equal(os_op_name((enum os_op)a), "Unknown");
		for (int b = OS_HEAD; b < a; b++)
			assert_string_not_equal(os_op_name((enum os_op)a),
						os_op_name((enum os_op)b));
	}
	assert_string_equal(os_op_name((enum os_op)(OS_BUCKET_HEAD + 1)), "Unknown");
}

static void xml_holds_whole_characters_alone(void **state)
{
	static const char *const fitting[] = {
		"",
		"a/b c\t\n\r~\x7f",
		"\xc3\xbc",
		"\xe2\x82\xac\xef\xbf\xbd",
		"\xf0\x9f\x98\x80",
		"\xf4\x8f\xbf\xbf",
	};
	static const char *const others[] = {
		"a\x01",
		"\x1b[0m",
		"\xff",
		"\xc3",
		"\xc3(",
		"\x80",
		"\xc0\xaf",
		"\xe0\x80\xaf",
		"\xed\xa0\x80" /* surrogate */,
		"\xef\xbf\xbe",
		"\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80",
		"\xf0\x9f\x98",
		"x\xe2\x82",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(fitting) / sizeof(fitting[0]); i++)
		assert_true(os_fits_xml(fitting[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(os_fits_xml(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_is_set_replaced_and_removed),
		cmocka_unit_test(a_copy_shares_nothing_with_its_original),
		cmocka_unit_test(a_source_over_memory_gives_exactly_what_is_there),
		cmocka_unit_test(a_result_is_freed_whole_and_can_be_freed_again),
		cmocka_unit_test(every_operation_has_a_name_of_its_own),
		cmocka_unit_test(xml_holds_whole_characters_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The description of a request in the debug log. */
#include "fs/front/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The numbers are those of the protocol (include/uapi/linux/fuse.h of Linux), on purpose not taken
 * from the header that the code uses. */
enum { HEADER = 40, OPCODE_AT = 4, NODE_AT = 16 };

/* Exactly as large as the request, so that the address sanitizer sees a read behind it. */
static char *make(uint32_t opcode, uint64_t node, const void *arguments, size_t len)
{
	char *request = calloc(1, HEADER + len);

	assert_non_null(request);
	memcpy(request + OPCODE_AT, &opcode, sizeof(opcode));
	memcpy(request + NODE_AT, &node, sizeof(node));
	memcpy(request + HEADER, arguments, len);
	return request;
}

static void check(uint32_t opcode, const void *arguments, size_t len, const char *expected)
{
	char *request = make(opcode, 7, arguments, len), what[TRACE_BYTES];

	trace_describe(request, HEADER + len, what);
	assert_string_equal(what, expected);
	free(request);
}

static void names_are_found_behind_what_comes_before_them(void **state)
{
	static const struct {
		uint32_t opcode;
		size_t before;
		const char *expected;
	} cases[] = {
		{1, 0, "lookup inode 7 \"file\""},    {6, 0, "symlink inode 7 \"file\""},
		{8, 16, "mknod inode 7 \"file\""},    {9, 8, "mkdir inode 7 \"file\""},
		{10, 0, "unlink inode 7 \"file\""},   {11, 0, "rmdir inode 7 \"file\""},
		{12, 8, "rename inode 7 \"file\""},   {35, 16, "create inode 7 \"file\""},
		{45, 16, "rename2 inode 7 \"file\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char arguments[32] = {0};

		memcpy(arguments + cases[i].before, "file", 5);
		check(cases[i].opcode, arguments, cases[i].before + 5, cases[i].expected);
	}
}

static void ranges_are_shown(void **state)
{
	static const struct {
		uint64_t handle, offset;
		uint32_t size, flags;
		uint64_t owner, rest;
	} range = {.offset = UINT64_C(1) << 40, .size = 4096};

	(void)state;
	check(15, &range, sizeof(range), "read inode 7 4096 at 1099511627776");
	check(16, &range, sizeof(range), "write inode 7 4096 at 1099511627776");
}

static void what_has_no_such_arguments_is_named_alone(void **state)
{
	(void)state;
	check(3, "0123456789abcdef", 16, "getattr inode 7");
	check(25, "", 0, "flush inode 7");
}

static void what_is_unknown_has_its_number(void **state)
{
	(void)state;
	check(4711, "", 0, "operation 4711 inode 7");
	check(7, "", 0, "operation 7 inode 7"); /* a gap in the numbers */
	check(UINT32_MAX, "", 0, "operation 4294967295 inode 7");
}

static void what_is_cut_off_is_not_read_behind_its_end(void **state)
{
	char *request = make(1, 7, "abc", 3), what[TRACE_BYTES];

	(void)state;
	trace_describe(request, HEADER + 3, what); /* no NUL */
	assert_string_equal(what, "lookup inode 7 \"abc\"");
	trace_describe(request, HEADER - 1, what);
	assert_string_equal(what, "a request of 39 bytes");
	free(request);
	check(9, "1234", 4, "mkdir inode 7");
	check(15, "1234", 4, "read inode 7");
}

static void a_name_that_is_too_long_is_cut(void **state)
{
	char name[2 * TRACE_BYTES], what[TRACE_BYTES], *request;

	(void)state;
	memset(name, 'n', sizeof(name));
	request = make(1, 7, name, sizeof(name));
	trace_describe(request, HEADER + sizeof(name), what);
	assert_int_equal(strlen(what), TRACE_BYTES - 1);
	free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_behind_what_comes_before_them),
		cmocka_unit_test(ranges_are_shown),
		cmocka_unit_test(what_has_no_such_arguments_is_named_alone),
		cmocka_unit_test(what_is_unknown_has_its_number),
		cmocka_unit_test(what_is_cut_off_is_not_read_behind_its_end),
		cmocka_unit_test(a_name_that_is_too_long_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

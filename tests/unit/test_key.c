#include "fs/vfs/key.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void the_first_component_below_a_directory_is_found(void **state)
{
	static const struct {
		const char *dir, *key;
		const char *name; /* NULL: none */
		bool is_directory, hidden;
	} cases[] = {
		{"", "a", "a", false, false},
		{"", "a/", "a", true, false},
		{"", "a/b/c", "a", true, false},
		{"a/", "a/b", "b", false, false},
		{"a/", "a/b/", "b", true, false},
		{"a/", "a/b/c", "b", true, false},
		{"a/b/", "a/b/c d", "c d", false, false},
		{"a/", "a/...", "...", false, false},
		{"a/", "a/.hidden", ".hidden", false, false},
		{"a/", "a/\xff\n", "\xff\n", false, false},
		{"a/", "a/b//c", "b", true, false},
		/* the directory itself, and what is elsewhere */
		{"a/", "a/", NULL, false, false},
		{"", "", NULL, false, false},
		{"a/", "a", NULL, false, false},
		{"a/", "ab", NULL, false, false},
		{"a/", "b/c", NULL, false, false},
		{"a/b/", "a/", NULL, false, false},
		/* scratch objects of the probe */
		{"a/", "a/.s3mount-probe-0123456789abcdef0123456789abcdef-1", NULL, false, false},
		{"a/", "a/.s3mount-probe-0123456789abcdef0123456789abcdex",
		 ".s3mount-probe-0123456789abcdef0123456789abcdex", false, false},
		/* what is set aside while two files change places */
		{"", ".s3mount-exchange-0123456789abcdef0123456789abcdef", NULL, false, false},
		{"", ".s3mount-exchange-notes", ".s3mount-exchange-notes", false, false},
		/* no POSIX name */
		{"", "/", NULL, false, true},
		{"", "/a", NULL, false, true},
		{"a/", "a//b", NULL, false, true},
		{"a/", "a//", NULL, false, true},
		{"a/", "a/.", NULL, false, true},
		{"a/", "a/..", NULL, false, true},
		{"a/", "a/./b", NULL, false, true},
		{"a/", "a/../b", NULL, false, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct key_component found;
		bool hidden = !cases[i].hidden;

		assert_int_equal(key_component(cases[i].dir, cases[i].key, &found, &hidden),
				 cases[i].name != NULL);
		assert_int_equal(hidden, cases[i].hidden);
		if (!cases[i].name)
			continue;
		assert_int_equal(found.len, strlen(cases[i].name));
		assert_memory_equal(found.name, cases[i].name, found.len);
		assert_int_equal(found.is_directory, cases[i].is_directory);
	}
}

static void names_end_at_255_bytes(void **state)
{
	char key[2 + NAME_BYTES_MAX + 2] = "d/";
	struct key_component found;
	bool hidden;

	(void)state;
	memset(key + 2, 'x', NAME_BYTES_MAX);
	assert_true(key_component("d/", key, &found, &hidden));
	assert_int_equal(found.len, NAME_BYTES_MAX);
	assert_int_equal(key_check_name(key + 2), 0);
	key[2 + NAME_BYTES_MAX] = 'x';
	assert_false(key_component("d/", key, &found, &hidden));
	assert_true(hidden);
	assert_int_equal(key_check_name(key + 2), -ENAMETOOLONG);
}

static void names_that_no_file_can_have_are_refused(void **state)
{
	static const struct {
		const char *name;
		int expected;
	} cases[] = {
		{"a", 0},	{"...", 0},	 {"..a", 0},	  {" ", 0},
		{"a\\b", 0},	{"", -EINVAL},	 {".", -EINVAL},  {"..", -EINVAL},
		{"/", -EINVAL}, {"a/", -EINVAL}, {"/a", -EINVAL}, {"a/b", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(key_check_name(cases[i].name), cases[i].expected);
}

static void prefixes_are_brought_to_one_form(void **state)
{
	static const struct {
		const char *prefix, *expected; /* NULL: refused */
	} cases[] = {
		{"", ""},	   {"/", ""},	    {"a", "a/"},
		{"a/", "a/"},	   {"/a", "a/"},    {"/a/", "a/"},
		{"/a/b/", "a/b/"}, {"a/b", "a/b/"}, {".a/b.", ".a/b./"},
		{"...", ".../"},   {"//", NULL},    {"///", NULL},
		{"//a", NULL},	   {"a//", NULL},   {"a//b", NULL},
		{".", NULL},	   {"..", NULL},    {"a/..", NULL},
		{"a/../b", NULL},  {"./a", NULL},   {"/./", NULL},
		{"a/b//", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *prefix = key_normalise_prefix(cases[i].prefix);

		if (cases[i].expected) {
			assert_non_null(prefix);
			assert_string_equal(prefix, cases[i].expected);
		} else {
			assert_null(prefix);
		}
		free(prefix);
	}
}

static void a_prefix_leaves_room_for_a_name(void **state)
{
	char longest[1024];
	char *prefix;

	(void)state;
	memset(longest, 'p', sizeof(longest));
	longest[1022] = '\0';
	prefix = key_normalise_prefix(longest);
	assert_non_null(prefix);
	assert_int_equal(strlen(prefix), 1023);
	free(prefix);
	memset(longest, 'p', 1023);
	longest[1023] = '\0';
	assert_null(key_normalise_prefix(longest));
}

#define WALL_2026 (INT64_C(1767323045) * 1000000000) /* 2026-01-02T03:04:05Z */

static void conflict_names_say_what_where_and_when(void **state)
{
	static const struct {
		const char *name, *node;
		int64_t wall;
		const char *put_id, *expected;
	} cases[] = {
		{"report.odt", "node1", WALL_2026, "0123456789abcdef0123456789abcdef",
		 "report.odt.conflict-node1-20260102T030405Z-01234567"},
		{"a", "n", WALL_2026 + 999999999, "ab", "a.conflict-n-20260102T030405Z-ab"},
		{"a", "x/../y", 0, "0", "a.conflict-x_.._y-19700101T000000Z-0"},
		{"a", "n", -1, "0", "a.conflict-n-19691231T235959Z-0"},
		{"a", "", -1000000000, "0", "a.conflict--19691231T235959Z-0"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char out[NAME_BYTES_MAX + 1];

		key_conflict_name(out, cases[i].name, cases[i].node, cases[i].wall,
				  cases[i].put_id);
		assert_string_equal(out, cases[i].expected);
		assert_int_equal(key_check_name(out), 0);
	}
}

static void long_names_are_cut_between_characters(void **state)
{
	static const char suffix[] = ".conflict-n-20260102T030405Z-01234567";
	static const struct {
		const char *character;
		size_t kept; /* bytes, of the 218 that fit */
	} cases[] = {
		{"x", 218},    {"\xc3\xa4", 218}, {"\xe2\x82\xac", 216}, {"\xf0\x9f\x98\x80", 216},
		{"\x80", 218}, /* not UTF-8 */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char name[NAME_BYTES_MAX + 1] = "", out[NAME_BYTES_MAX + 1];
		size_t width = strlen(cases[i].character);

		for (size_t at = 0; at + width <= NAME_BYTES_MAX; at += width)
			memcpy(name + at, cases[i].character, width);
		key_conflict_name(out, name, "n", WALL_2026, "0123456789abcdef");
		assert_int_equal(strlen(out), cases[i].kept + strlen(suffix));
		assert_memory_equal(out, name, cases[i].kept);
		assert_string_equal(out + cases[i].kept, suffix);
	}
}

static void a_name_that_just_fits_is_not_cut(void **state)
{
	char name[NAME_BYTES_MAX + 1] = "", out[NAME_BYTES_MAX + 1];

	(void)state;
	memset(name, 'x', 218);
	key_conflict_name(out, name, "n", WALL_2026, "01234567");
	assert_int_equal(strlen(out), NAME_BYTES_MAX);
	assert_memory_equal(out, name, 218);
	assert_int_equal(out[218], '.');
}

static void a_long_node_name_is_cut_too(void **state)
{
	char node[300], out[NAME_BYTES_MAX + 1], expected[NAME_BYTES_MAX + 1];

	(void)state;
	memset(node, 'n', sizeof(node) - 1);
	node[sizeof(node) - 1] = '\0';
	key_conflict_name(out, "file", node, WALL_2026, "01234567");
	snprintf(expected, sizeof(expected), "file.conflict-%.64s-20260102T030405Z-01234567", node);
	assert_string_equal(out, expected);
}

static void what_is_beside_a_key_is_of_its_kind(void **state)
{
	static const struct {
		const char *key, *name, *beside, *aside;
	} cases[] = {
		{"file", "file", "n", ".s3mount-exchange-0123"},
		{"a/b/file", "file", "a/b/n", "a/b/.s3mount-exchange-0123"},
		{"a/b/", "b/", "a/n/", "a/.s3mount-exchange-0123/"},
		{"b/", "b/", "n/", ".s3mount-exchange-0123/"},
		{"a//", "/", "a/n/", "a/.s3mount-exchange-0123/"},
		{"/", "/", "n/", ".s3mount-exchange-0123/"},
		{"", "", "n", ".s3mount-exchange-0123"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *beside = key_beside(cases[i].key, "n"),
		     *aside = key_aside(cases[i].key, "0123");

		assert_string_equal(key_name(cases[i].key), cases[i].name);
		assert_string_equal(beside, cases[i].beside);
		assert_string_equal(aside, cases[i].aside);
		free(beside);
		free(aside);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_component_below_a_directory_is_found),
		cmocka_unit_test(names_end_at_255_bytes),
		cmocka_unit_test(names_that_no_file_can_have_are_refused),
		cmocka_unit_test(prefixes_are_brought_to_one_form),
		cmocka_unit_test(a_prefix_leaves_room_for_a_name),
		cmocka_unit_test(conflict_names_say_what_where_and_when),
		cmocka_unit_test(long_names_are_cut_between_characters),
		cmocka_unit_test(a_name_that_just_fits_is_not_cut),
		cmocka_unit_test(a_long_node_name_is_cut_too),
		cmocka_unit_test(what_is_beside_a_key_is_of_its_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

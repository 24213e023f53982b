#include "fs/vfs/media_type.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char text[] = "# types and their extensions\n"
			   "\n"
			   "text/html\t\t\thtml HTM\n"
			   "text/x-own own # a comment\r\n"
			   "application/x-none\n"
			   "nonsense bad1\n"
			   "text/\x01 bad2\n"
			   "/x bad3\n"
			   "text/ bad4\n"
			   "image/last gz";

static void the_last_extension_tells_the_type(void **state)
{
	static const struct {
		const char *name, *type;
	} cases[] = {
		{"index.html", "text/html"},
		{"INDEX.HTM", "text/html"},
		{"a.b.own", "text/x-own"},
		{"archive.html.gz", "image/last"},
		{"..html", "text/html"},
		{".html", MEDIA_TYPE_NONE},
		{"html", MEDIA_TYPE_NONE},
		{"", MEDIA_TYPE_NONE},
		{"file.", MEDIA_TYPE_NONE},
		{"file.unknown", MEDIA_TYPE_NONE},
		{"file.comment", MEDIA_TYPE_NONE},
		{"file.html ", MEDIA_TYPE_NONE},
		{"file.bad1", MEDIA_TYPE_NONE},
		{"file.bad2", MEDIA_TYPE_NONE},
		{"file.bad3", MEDIA_TYPE_NONE},
		{"file.bad4", MEDIA_TYPE_NONE},
		{"file.htmlhtmlhtmlhtmlhtmlhtmlhtmlhtmlh", MEDIA_TYPE_NONE},
	};
	struct media_types *types = media_types_parse(text);

	(void)state;
	assert_non_null(types);
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(media_type_of(types, cases[i].name), cases[i].type);
	media_types_free(types);
	assert_string_equal(media_type_of(NULL, "index.html"), MEDIA_TYPE_NONE);
}

static void without_a_file_there_is_what_pages_are_made_of(void **state)
{
	static const struct {
		const char *name, *type;
	} cases[] = {
		{"a.html", "text/html"},     {"a.css", "text/css"},
		{"a.js", "text/javascript"}, {"a.jpg", "image/jpeg"},
		{"a.svg", "image/svg+xml"},  {"a.json", "application/json"},
		{"a.md", "text/markdown"},   {"a.webm", "video/webm"},
	};
	struct media_types *types = media_types_parse(NULL);

	(void)state;
	assert_non_null(types);
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(media_type_of(types, cases[i].name), cases[i].type);
	media_types_free(types);
}

static void a_file_that_is_not_there_is_named(void **state)
{
	struct error error = ERROR_INIT;
	struct media_types *types;

	(void)state;
	assert_int_equal(media_types_load("/nowhere/mime.types", &types, &error), -ENOENT);
	assert_non_null(strstr(error.message, "/nowhere/mime.types"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_extension_tells_the_type),
		cmocka_unit_test(without_a_file_there_is_what_pages_are_made_of),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

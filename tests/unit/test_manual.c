#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/manual.h"
#include "common/option_word.h"
#include "common/options.h"

static char *text_of(bool page)
{
	char *text = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);

	assert_non_null(stream);
	if (page)
		manual_print(stream, "1.2.3");
	else
		manual_print_help(stream);
	assert_int_equal(fclose(stream), 0);
	return text;
}

static void help_names_every_option_and_fits_a_terminal(void **state)
{
	char *text = text_of(false), *line, *rest;
	size_t i;

	(void)state;
	for (i = 0; i < option_count; i++) {
		char start[64];

		snprintf(start, sizeof(start), "\n  %s", option_table[i].name);
		if (!strstr(text, start))
			fail_msg("%s is not in --help", option_table[i].name);
	}
	assert_null(strstr(text, "multipart_size"));
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		if (strlen(line) > 84)
			fail_msg("too long: %s", line);
	}
	free(text);
}

static void the_page_has_every_option_variable_and_word(void **state)
{
	char *text = text_of(true);
	char wanted[128];
	size_t i;

	(void)state;
	for (i = 0; i < option_count; i++) {
		snprintf(wanted, sizeof(wanted), "\n.It Cm %s", option_table[i].name);
		assert_non_null(strstr(text, wanted));
		snprintf(wanted, sizeof(wanted), "\n.It Ev %s", option_table[i].environment);
		assert_non_null(strstr(text, wanted));
	}
	for (i = 0; i < option_variable_count; i++)
		assert_non_null(strstr(text, option_variables[i].variable));
	for (i = 0; i < option_word_count; i++) {
		const struct option_word *word = &option_words[i];

		if (word->kind == WORD_REFUSED || word->value || strchr(word->name, '*'))
			continue;
		snprintf(wanted, sizeof(wanted), "Cm %s", word->name);
		if (word->origin != WORD_OF_MOUNT || word->kind != WORD_ALIAS)
			assert_non_null(strstr(text, wanted));
	}
	free(text);
}

/* What groff -ww warns of: lists that do not end, lines that begin with '.' by accident. */
static void the_page_is_well_formed(void **state)
{
	static const char *const macros[] = {"Dd", "Dt", "Os", "Sh", "Nm", "Nd",  "Op", "Ar",
					     "Cm", "Fl", "Bl", "It", "El", "Pp",  "Xr", "Sx",
					     "Dq", "Ql", "Ev", "Pa", "Dl", "\\\""};
	char *text = text_of(true), *line, *rest = text;
	int depth = 0, number = 0;

	(void)state;
	assert_non_null(strstr(text, "\n.Os s3mount 1.2.3\n"));
	while ((line = strsep(&rest, "\n"))) {
		size_t i;

		number++;
		if (*line != '.')
			continue;
		for (i = 0; i < sizeof(macros) / sizeof(macros[0]); i++) {
			if (strncmp(line + 1, macros[i], strlen(macros[i])) == 0)
				break;
		}
		if (i == sizeof(macros) / sizeof(macros[0]))
			fail_msg("line %d: unknown macro: %s", number, line);
		depth += strncmp(line, ".Bl", 3) == 0;
		depth -= strncmp(line, ".El", 3) == 0;
		assert_in_range(depth, 0, 1);
		if (strncmp(line, ".It", 3) == 0)
			assert_int_equal(depth, 1);
		if (strncmp(line, ".Sh", 3) == 0)
			assert_int_equal(depth, 0);
	}
	assert_int_equal(depth, 0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(help_names_every_option_and_fits_a_terminal),
		cmocka_unit_test(the_page_has_every_option_variable_and_word),
		cmocka_unit_test(the_page_is_well_formed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

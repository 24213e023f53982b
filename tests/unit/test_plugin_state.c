#include "plugin/state.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fileio.h"

enum { NAMES_BYTES = 256 };

static char directory[] = "/tmp/test_plugin_state.XXXXXX";

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static bool there(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

static void expect(const char *name, const char *text)
{
	char *found;
	size_t len;

	assert_int_equal(state_load(directory, name, &found, &len, NULL), 0);
	assert_string_equal(found, text);
	assert_int_equal(len, strlen(text));
	free(found);
}

static int set_up(void **state)
{
	(void)state;
	memcpy(strrchr(directory, '.'), ".XXXXXX", sizeof(".XXXXXX"));
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	directory_remove(directory);
	return access(directory, F_OK) == 0 ? -1 : 0;
}

static void what_was_saved_is_loaded_and_replaced_as_a_whole(void **state)
{
	(void)state;
	assert_int_equal(state_save(directory, "v", "a long first text", NULL), 0);
	expect("v", "a long first text");
	assert_int_equal(state_save(directory, "v", "short", NULL), 0);
	expect("v", "short");
	assert_false(there("v.json.tmp"));
}

static void files_are_readable_by_their_owner_alone(void **state)
{
	char path[256];
	struct stat st;

	(void)state;
	assert_int_equal(state_save(directory, "v", "{}", NULL), 0);
	snprintf(path, sizeof(path), "%s/v.json", directory);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_missing_file_is_told_from_an_unreadable_one(void **state)
{
	struct error error = ERROR_INIT;
	char path[256], *text;
	size_t len;

	(void)state;
	assert_int_equal(state_load(directory, "none", &text, &len, &error), -ENOENT);
	assert_int_equal(error.code, 0);
	snprintf(path, sizeof(path), "%s/v.json", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(state_load(directory, "v", &text, &len, &error), -EISDIR);
	assert_non_null(strstr(error.message, "v.json"));
}

static void a_file_above_the_limit_is_not_loaded(void **state)
{
	struct error error = ERROR_INIT;
	char path[256], *text;
	size_t len;

	(void)state;
	put("v.json", "");
	snprintf(path, sizeof(path), "%s/v.json", directory);
	assert_int_equal(truncate(path, STATE_FILE_BYTES_MAX), 0);
	assert_int_equal(state_load(directory, "v", &text, &len, &error), 0);
	free(text);
	assert_int_equal(truncate(path, STATE_FILE_BYTES_MAX + 1), 0);
	assert_int_equal(state_load(directory, "v", &text, &len, &error), -EFBIG);
}

static void an_unreadable_file_is_kept_aside(void **state)
{
	char *text;
	size_t len;

	(void)state;
	put("v.json", "garbage");
	state_set_aside(directory, "v");
	assert_true(there("v.bad"));
	assert_int_equal(state_load(directory, "v", &text, &len, NULL), -ENOENT);
}

static void a_save_that_fails_leaves_the_old_file(void **state)
{
	struct error error = ERROR_INIT;
	char path[256];

	(void)state;
	assert_int_equal(state_save(directory, "v", "old", NULL), 0);
	snprintf(path, sizeof(path), "%s/v.json.tmp", directory);
	assert_int_equal(mkdir(path, 0700), 0); /* what is in the way of the new one */
	assert_int_equal(state_save(directory, "v", "new", &error), -EISDIR);
	assert_non_null(strstr(error.message, "v.json"));
	expect("v", "old");
}

static int count(void *context, const char *name)
{
	char *names = context;
	size_t len = strlen(names);

	snprintf(names + len, NAMES_BYTES - len, "%s ", name);
	return 0;
}

static int stop(void *context, const char *name)
{
	(void)context;
	(void)name;
	return -EINTR;
}

static void each_visits_files_and_removes_what_a_crash_left(void **state)
{
	char names[NAMES_BYTES] = "";

	(void)state;
	put("a%20b.json", "{}");
	put("half.tmp", "{");
	put("old.bad", "x");
	assert_int_equal(state_each(directory, count, names), 0);
	assert_string_equal(names, "a%20b ");
	assert_false(there("half.tmp"));
	assert_true(there("old.bad"));
	assert_int_equal(state_each(directory, stop, NULL), -EINTR);
	assert_int_equal(state_each("/nonexistent/directory", stop, NULL), 0);
}

static void removing_what_is_absent_is_success(void **state)
{
	(void)state;
	put("v.json", "{}");
	assert_int_equal(state_remove(directory, "v", NULL), 0);
	assert_false(there("v.json"));
	assert_int_equal(state_remove(directory, "v", NULL), 0);
}

static void names_that_make_paths_too_long_are_refused(void **state)
{
	char name[5000], *text;
	struct error error = ERROR_INIT;
	size_t len;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(state_save(directory, name, "x", &error), -ENAMETOOLONG);
	assert_int_equal(state_load(directory, name, &text, &len, &error), -ENAMETOOLONG);
	assert_int_equal(state_remove(directory, name, &error), -ENAMETOOLONG);
}

static void directories_are_made_with_their_parents(void **state)
{
	char path[256];
	struct error error = ERROR_INIT;
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/a/b/c", directory);
	assert_int_equal(state_make_directory(path, 0700, NULL), 0);
	assert_int_equal(state_make_directory(path, 0700, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	put("file", "");
	snprintf(path, sizeof(path), "%s/file/x", directory);
	assert_int_equal(state_make_directory(path, 0700, &error), -ENOTDIR);
	assert_non_null(strstr(error.message, "file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_saved_is_loaded_and_replaced_as_a_whole,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_are_readable_by_their_owner_alone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_missing_file_is_told_from_an_unreadable_one,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_above_the_limit_is_not_loaded, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_unreadable_file_is_kept_aside, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_save_that_fails_leaves_the_old_file, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(each_visits_files_and_removes_what_a_crash_left,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(removing_what_is_absent_is_success, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(names_that_make_paths_too_long_are_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(directories_are_made_with_their_parents, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

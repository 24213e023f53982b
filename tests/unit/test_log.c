#include "common/log.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/fileio.h"
#include "common/harden.h"

static char log_path[] = "/tmp/test_log.XXXXXX";

static int open_log(void **state)
{
	(void)state;
	if (truncate(log_path, 0))
		return -1;
	return log_open("prog", LOG_TARGET_FILE, log_path, LOG_LEVEL_INFO);
}

static void assert_log_matches(size_t lines, const char *last_line)
{
	struct buf text = BUF_INIT;
	size_t count = 0;
	const char *last = NULL;

	assert_int_equal(file_read(log_path, 100 * 1000, &text), 0);
	for (const char *c = text.data; c && *c; c = strchr(c, '\n') + 1) {
		last = c;
		count++;
	}
	assert_int_equal(count, lines);
	if (last)
		assert_string_equal(strchr(last, ']'), last_line); /* behind time and process */
	buf_free(&text);
}

static void only_lines_of_the_level_and_above_are_written(void **state)
{
	(void)state;
	log_info("a %d", 1);
	log_debug("not this");
	log_error("b");
	assert_log_matches(2, "] error: b\n");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("c");
	assert_log_matches(3, "] debug: c\n");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("not this");
	assert_false(log_enabled(LOG_LEVEL_WARNING));
	assert_log_matches(3, "] debug: c\n");
}

static void foreign_text_cannot_forge_a_line(void **state)
{
	(void)state;
	log_info("key %s", "a\nb\x1b[2J\xc3\xa4");
	assert_log_matches(1, "] info: key a\\x0ab\\x1b[2J\xc3\xa4\n");
}

static void a_long_line_is_cut_and_still_one_line(void **state)
{
	char big[10000];

	(void)state;
	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("%s", big);
	log_info("next");
	assert_log_matches(2, "] info: next\n");
}

static void opening_again_goes_on_in_the_new_file(void **state)
{
	char other[] = "/tmp/test_log.XXXXXX";
	struct stat st;

	(void)state;
	close(mkstemp(other));
	assert_int_equal(log_open("prog", LOG_TARGET_FILE, other, LOG_LEVEL_INFO), 0);
	log_info("x");
	assert_log_matches(0, NULL);
	assert_int_equal(stat(other, &st), 0);
	assert_true(st.st_size > 0);
	unlink(other);
	assert_int_equal(log_open("prog", LOG_TARGET_FILE, "/dev/null/log", LOG_LEVEL_INFO),
			 -ENOTDIR);
}

static void errno_survives_a_log_line(void **state)
{
	(void)state;
	errno = EXDEV;
	log_info("x");
	assert_int_equal(errno, EXDEV);
}

static void levels_have_names(void **state)
{
	enum log_level level = LOG_LEVEL_ERROR;

	(void)state;
	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("warning", &level), 0);
	assert_int_equal(level, LOG_LEVEL_WARNING);
	assert_int_equal(log_level_parse("Debug", &level), -EINVAL);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_WARNING);
}

/* Runs in a child of its own; the status it ended with. */
static int in_child(int (*call)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(call());
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static int break_an_invariant(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	CHECK(1 + 1 == 3);
	return 0;
}

static void a_broken_invariant_is_logged_and_ends_the_process(void **state)
{
	struct buf text = BUF_INIT;
	int status = in_child(break_an_invariant);

	(void)state;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_int_equal(file_read(log_path, 1000, &text), 0);
	assert_non_null(strstr(buf_str(&text), "\"1 + 1 == 3\""));
	assert_non_null(strstr(buf_str(&text), "test_log.c:"));
	buf_free(&text);
}

static int harden_and_look(void)
{
	struct rlimit limit;

	return process_harden() || prctl(PR_GET_DUMPABLE) != 0 || getrlimit(RLIMIT_CORE, &limit) ||
	       limit.rlim_cur || limit.rlim_max;
}

static void a_hardened_process_leaves_no_core_file_and_is_not_traced(void **state)
{
	(void)state;
	assert_int_equal(in_child(harden_and_look), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(only_lines_of_the_level_and_above_are_written, open_log),
		cmocka_unit_test_setup(foreign_text_cannot_forge_a_line, open_log),
		cmocka_unit_test_setup(a_long_line_is_cut_and_still_one_line, open_log),
		cmocka_unit_test_setup(opening_again_goes_on_in_the_new_file, open_log),
		cmocka_unit_test_setup(errno_survives_a_log_line, open_log),
		cmocka_unit_test(levels_have_names),
		cmocka_unit_test_setup(a_broken_invariant_is_logged_and_ends_the_process, open_log),
		cmocka_unit_test(a_hardened_process_leaves_no_core_file_and_is_not_traced),
	};
	int failed, fd = mkstemp(log_path);

	if (fd < 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	close(fd);
	unlink(log_path);
	return failed;
}

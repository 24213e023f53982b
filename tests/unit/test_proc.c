#include "common/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/executor.h"

static char *const no_environment[] = {NULL};

static struct proc_spec shell(char *const arguments[4])
{
	return (struct proc_spec){
		.program = "/bin/sh", .arguments = arguments, .environment = no_environment};
}

#define SHELL(script) shell((char *const[4]){"sh", "-c", (script), NULL})

static int run_script(char *script, struct buf *out, struct buf *errors, struct proc_status *status)
{
	struct proc_spec spec = SHELL(script);

	return proc_run(&spec, proc_deadline(10 * NSEC_PER_SEC), out, errors, status);
}

static void output_and_errors_are_captured_apart_and_the_status_is_told(void **state)
{
	struct buf out = BUF_INIT, errors = BUF_INIT, text = BUF_INIT;
	struct proc_status status;

	(void)state;
	out.limit = errors.limit = 100;
	assert_int_equal(run_script("echo fine; echo wrong >&2; exit 3", &out, &errors, &status),
			 0);
	assert_string_equal(buf_str(&out), "fine\n");
	assert_string_equal(buf_str(&errors), "wrong\n");
	assert_true(status.exited);
	assert_int_equal(status.code, 3);
	proc_status_put(&status, &text);
	assert_string_equal(buf_str(&text), "exit status 3");
	buf_free(&out);
	buf_free(&errors);
	buf_free(&text);
}

static void what_exceeds_the_limit_is_dropped_and_the_child_does_not_notice(void **state)
{
	struct buf errors = BUF_INIT;
	struct proc_status status;

	(void)state;
	errors.limit = 10;
	assert_int_equal(run_script("i=0; while [ $i -lt 20000 ]; do echo 123456789 >&2 || exit 9; "
				    "i=$((i+1)); done",
				    NULL, &errors, &status),
			 0);
	assert_true(status.exited && status.code == 0);
	assert_string_equal(buf_str(&errors), "123456789\n");
	assert_false(errors.failed);
	buf_free(&errors);
}

static void death_by_a_signal_is_told_apart_from_an_exit(void **state)
{
	struct buf text = BUF_INIT;
	struct proc_status status;

	(void)state;
	assert_int_equal(run_script("kill -9 $$", NULL, NULL, &status), 0);
	assert_false(status.exited);
	assert_int_equal(status.code, SIGKILL);
	proc_status_put(&status, &text);
	assert_string_equal(buf_str(&text), "signal 9 (Killed)");
	buf_free(&text);
}

static void the_environment_is_what_was_given_and_no_more(void **state)
{
	char *const environment[] = {"ONLY=this", NULL};
	char *const arguments[] = {"env", NULL};
	struct proc_spec spec = {"/usr/bin/env", arguments, environment, NULL, 0, false};
	struct buf out = BUF_INIT;
	struct proc_status status;

	(void)state;
	out.limit = 1000;
	setenv("SECRET_OF_PARENT", "x", 1);
	assert_int_equal(proc_run(&spec, proc_deadline(10 * NSEC_PER_SEC), &out, NULL, &status), 0);
	assert_string_equal(buf_str(&out), "ONLY=this\n");
	buf_free(&out);
}

static int file_with(const char *text)
{
	int fd = fileno(tmpfile());

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
	return fd;
}

static void
descriptors_arrive_under_their_numbers_even_when_these_cross_and_others_do_not(void **state)
{
	int a = file_with("a"), b = file_with("b"), leak = dup(file_with("leak"));
	struct proc_fd fds[] = {{a, b}, {b, a}, {a, 40}};
	struct buf out = BUF_INIT, script = BUF_INIT;
	struct proc_status status;
	struct proc_spec spec;

	(void)state;
	out.limit = 1000;
	assert_int_equal(fcntl(leak, F_GETFD) & FD_CLOEXEC, 0);
	buf_printf(&script, "cat /dev/fd/%d /dev/fd/%d /dev/fd/40; ls /proc/self/fd | wc -w; cat",
		   a, b);
	spec = SHELL(buf_steal(&script));
	spec.fds = fds;
	spec.fd_count = 3;
	assert_int_equal(proc_run(&spec, proc_deadline(10 * NSEC_PER_SEC), &out, NULL, &status), 0);
	/* 0, 1, 2, the three, and the directory that ls reads. */
	assert_string_equal(buf_str(&out), "baa7\n");
	free(spec.arguments[2]);
	buf_free(&out);
}

static void bad_targets_and_a_missing_program_fail_at_the_start(void **state)
{
	const struct proc_fd twice[] = {{0, 5}, {0, 5}}, beyond[] = {{0, PROC_TARGET_MAX + 1}};
	struct proc_spec spec = SHELL("exit 0");
	pid_t pid;

	(void)state;
	spec.fds = twice;
	spec.fd_count = 2;
	assert_int_equal(proc_spawn(&spec, &pid), -EINVAL);
	spec.fds = beyond;
	spec.fd_count = 1;
	assert_int_equal(proc_spawn(&spec, &pid), -EINVAL);
	spec.fd_count = 0;
	spec.program = "/nonexistent/program";
	assert_int_equal(proc_spawn(&spec, &pid), -ENOENT);
}

static void a_wait_ends_at_its_deadline_and_the_child_lives_on(void **state)
{
	struct proc_spec spec = SHELL("exec sleep 60");
	uint64_t before = proc_deadline(0);
	struct proc_status status;
	pid_t pid;

	(void)state;
	assert_int_equal(proc_spawn(&spec, &pid), 0);
	assert_int_equal(proc_wait(pid, 0, &status), -ETIMEDOUT);
	assert_int_equal(proc_wait(pid, proc_deadline(50 * NSEC_PER_MSEC), &status), -ETIMEDOUT);
	assert_true(proc_deadline(0) - before >= 50 * NSEC_PER_MSEC);
	assert_int_equal(proc_terminate(pid, 5 * NSEC_PER_SEC, &status), 0);
	assert_true(!status.exited && status.code == SIGTERM);
	assert_int_equal(proc_wait(pid, 0, &status), -ECHILD);
}

static void who_ignores_the_polite_signal_is_killed_after_the_grace(void **state)
{
	char ready = 0;
	int ends[2];
	struct proc_fd fds[1];
	struct proc_spec spec = SHELL("trap '' TERM; echo >&9; while :; do sleep 0.1; done");
	struct proc_status status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	fds[0] = (struct proc_fd){ends[1], 9};
	spec.fds = fds;
	spec.fd_count = 1;
	spec.new_session = true;
	assert_int_equal(proc_spawn(&spec, &pid), 0);
	assert_int_equal(read(ends[0], &ready, 1), 1);
	assert_int_equal(getsid(pid), pid);
	assert_int_equal(proc_terminate(pid, 100 * NSEC_PER_MSEC, &status), 0);
	assert_true(!status.exited && status.code == SIGKILL);
	close(ends[0]);
	close(ends[1]);
}

static void a_run_that_takes_too_long_is_ended(void **state)
{
	struct proc_spec spec = SHELL("echo begun; exec sleep 60");
	struct buf out = BUF_INIT;
	struct proc_status status;

	(void)state;
	out.limit = 100;
	assert_int_equal(proc_run(&spec, proc_deadline(300 * NSEC_PER_MSEC), &out, NULL, &status),
			 -ETIMEDOUT);
	assert_true(!status.exited && status.code == SIGTERM);
	assert_string_equal(buf_str(&out), "begun\n");
	buf_free(&out);
}

static void endless_output_does_not_outrun_the_deadline(void **state)
{
	struct proc_spec spec = SHELL("exec cat /dev/zero");
	struct buf out = BUF_INIT;
	struct proc_status status;

	(void)state;
	out.limit = 100;
	assert_int_equal(proc_run(&spec, proc_deadline(300 * NSEC_PER_MSEC), &out, NULL, &status),
			 -ETIMEDOUT);
	assert_int_equal(out.len, 100);
	buf_free(&out);
}

static void a_child_left_in_the_background_does_not_hold_up_the_run(void **state)
{
	struct buf out = BUF_INIT;
	uint64_t before = proc_deadline(0);
	struct proc_status status;
	int64_t pid;

	(void)state;
	out.limit = 100;
	assert_int_equal(run_script("sleep 20 & echo $!", &out, NULL, &status), 0);
	assert_true(proc_deadline(0) - before < 8 * NSEC_PER_SEC);
	out.data[strcspn(out.data, "\n")] = '\0';
	assert_int_equal(parse_int(out.data, 2, INT32_MAX, &pid), 0);
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
	buf_free(&out);
}

static void an_ignored_signal_of_the_parent_is_at_its_default_in_the_child(void **state)
{
	struct proc_status status;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(run_script("kill -PIPE $$; exit 0", NULL, NULL, &status), 0);
	signal(SIGPIPE, SIG_DFL);
	assert_true(!status.exited && status.code == SIGPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_errors_are_captured_apart_and_the_status_is_told),
		cmocka_unit_test(what_exceeds_the_limit_is_dropped_and_the_child_does_not_notice),
		cmocka_unit_test(death_by_a_signal_is_told_apart_from_an_exit),
		cmocka_unit_test(the_environment_is_what_was_given_and_no_more),
		cmocka_unit_test(
			descriptors_arrive_under_their_numbers_even_when_these_cross_and_others_do_not),
		cmocka_unit_test(bad_targets_and_a_missing_program_fail_at_the_start),
		cmocka_unit_test(a_wait_ends_at_its_deadline_and_the_child_lives_on),
		cmocka_unit_test(who_ignores_the_polite_signal_is_killed_after_the_grace),
		cmocka_unit_test(a_run_that_takes_too_long_is_ended),
		cmocka_unit_test(endless_output_does_not_outrun_the_deadline),
		cmocka_unit_test(a_child_left_in_the_background_does_not_hold_up_the_run),
		cmocka_unit_test(an_ignored_signal_of_the_parent_is_at_its_default_in_the_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

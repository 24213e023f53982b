#include "common/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test works in an empty directory of its own. */
static int enter_directory(void **state)
{
	char path[] = "/tmp/test_fileio.XXXXXX";

	if (!mkdtemp(path) || chdir(path) < 0)
		return -1;
	*state = strdup(path);
	umask(022);
	return *state ? 0 : -1;
}

static int leave_directory(void **state)
{
	char *path = *state;
	static const char *const names[] = {"file", "file.tmp", "link", "victim",
					    "lock", "a/b/c",	"a/b",	"a"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		remove(names[i]);
	if (chdir("/") < 0 || rmdir(path) < 0)
		return -1;
	free(path);
	return 0;
}

static void assert_content(const char *path, const char *expected)
{
	struct buf text = BUF_INIT;

	assert_int_equal(file_read(path, 1000, &text), 0);
	assert_string_equal(buf_str(&text), expected);
	buf_free(&text);
}

static unsigned mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

static void a_file_is_replaced_as_a_whole_with_the_mode_that_was_asked_for(void **state)
{
	(void)state;
	umask(077);
	assert_int_equal(file_write_atomic("file", "first content", 13, 0644), 0);
	assert_content("file", "first content");
	assert_int_equal(mode_of("file") & 07777, 0644);
	assert_int_equal(file_write_atomic("file", "x", 1, 0600), 0);
	assert_content("file", "x");
	assert_int_equal(mode_of("file") & 07777, 0600);
	assert_int_equal(file_write_atomic("file", "", 0, 0600), 0);
	assert_content("file", "");
	assert_int_equal(access("file.tmp", F_OK), -1);
}

static void leftovers_and_links_are_replaced_and_not_written_through(void **state)
{
	(void)state;
	assert_int_equal(file_write_atomic("victim", "untouched", 9, 0600), 0);
	assert_int_equal(symlink("victim", "link"), 0);
	assert_int_equal(symlink("victim", "file.tmp"), 0);
	assert_int_equal(file_write_atomic("link", "a", 1, 0600), 0);
	assert_int_equal(file_write_atomic("file", "b", 1, 0600), 0);
	assert_content("victim", "untouched");
	assert_content("link", "a");
	assert_content("file", "b");
	assert_true(S_ISREG(mode_of("link")));
}

static void a_failed_write_leaves_the_old_file_and_no_other(void **state)
{
	(void)state;
	assert_int_equal(mkdir("a", 0755), 0);
	assert_int_equal(file_write_atomic("a", "x", 1, 0600), -EISDIR);
	assert_int_equal(access("a.tmp", F_OK), -1);
	assert_int_equal(file_write_atomic("missing/file", "x", 1, 0600), -ENOENT);
}

static void reading_has_a_limit_and_works_where_the_size_says_nothing(void **state)
{
	struct buf text = BUF_INIT;

	(void)state;
	assert_int_equal(file_write_atomic("file", "12345", 5, 0600), 0);
	assert_int_equal(file_read("file", 5, &text), 0);
	assert_int_equal(file_read("file", 4, &text), -EFBIG);
	assert_int_equal(file_read("missing", 5, &text), -ENOENT);
	assert_int_equal(file_read(".", 5, &text), -EISDIR);
	buf_reset(&text);
	assert_int_equal(file_read("/proc/self/status", 100 * 1000, &text), 0);
	assert_non_null(strstr(buf_str(&text), "Pid:"));
	buf_free(&text);
}

static void partial_reads_say_how_much_there_was(void **state)
{
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	char data[10];

	(void)state;
	assert_int_equal(write_all(fd, "01234", 5), 0);
	assert_int_equal(pwrite_all(fd, "xy", 2, 3), 0);
	assert_int_equal(pread_all(fd, data, 5, 0), 5);
	assert_memory_equal(data, "012xy", 5);
	assert_int_equal(pread_all(fd, data, 10, 2), 3);
	assert_int_equal(pread_all(fd, data, 10, 9), 0);
	close(fd);
	assert_int_equal(pread_all(-1, data, 1, 0), -EBADF);
	assert_int_equal(write_all(-1, data, 1), -EBADF);
	fd = open("/dev/full", O_WRONLY);
	assert_int_equal(write_all(fd, "x", 1), -ENOSPC);
	close(fd);
}

static void all_missing_directories_are_made(void **state)
{
	char path[200];

	assert_int_equal(directory_make("a//b/./c/", 0750), 0);
	assert_int_equal(mode_of("a/b/c") & 07777, 0750);
	assert_int_equal(directory_make("a/b/c", 0755), 0);
	assert_int_equal(directory_make("/", 0755), 0);
	snprintf(path, sizeof(path), "%s/a/b", (const char *)*state);
	assert_int_equal(directory_make(path, 0755), 0);
	assert_int_equal(directory_make("", 0755), -ENOENT);
	assert_int_equal(file_write_atomic("file", "x", 1, 0600), 0);
	assert_int_equal(directory_make("file", 0755), -ENOTDIR);
	assert_int_equal(directory_make("file/below", 0755), -ENOTDIR);
}

static void a_second_taker_of_a_lock_is_told_who_holds_it(void **state)
{
	int fd = lock_file_take("lock", NULL);
	pid_t holder = -1;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(lock_file_take("lock", &holder), -EWOULDBLOCK);
	assert_int_equal(holder, getpid());
	assert_int_equal(pwrite_all(fd, "junk", 4, 0), 0);
	assert_int_equal(lock_file_take("lock", &holder), -EWOULDBLOCK);
	assert_int_equal(holder, 0);
	close(fd);
	fd = lock_file_take("lock", &holder);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(lock_file_take("missing/lock", &holder), -ENOENT);
}

static void a_child_keeps_the_lock_of_its_parent_and_can_be_named_as_its_holder(void **state)
{
	int fd = lock_file_take("lock", NULL), go[2], ready[2], status;
	pid_t child, holder;
	char byte = 0;

	(void)state;
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		int err = lock_file_note(fd);

		close(go[1]);
		_exit(err || write(ready[1], "x", 1) != 1 || read(go[0], &byte, 1) != 0);
	}
	assert_true(child > 0);
	close(fd);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(lock_file_take("lock", &holder), -EWOULDBLOCK);
	assert_int_equal(holder, child);
	close(go[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(go[0]);
	close(ready[0]);
	close(ready[1]);
	fd = lock_file_take("lock", NULL);
	assert_true(fd >= 0);
	close(fd);
}

int main(void)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(a_file_is_replaced_as_a_whole_with_the_mode_that_was_asked_for),
		IN_DIRECTORY(leftovers_and_links_are_replaced_and_not_written_through),
		IN_DIRECTORY(a_failed_write_leaves_the_old_file_and_no_other),
		IN_DIRECTORY(reading_has_a_limit_and_works_where_the_size_says_nothing),
		IN_DIRECTORY(partial_reads_say_how_much_there_was),
		IN_DIRECTORY(all_missing_directories_are_made),
		IN_DIRECTORY(a_second_taker_of_a_lock_is_told_who_holds_it),
		IN_DIRECTORY(a_child_keeps_the_lock_of_its_parent_and_can_be_named_as_its_holder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "fs/cache/disk_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fiber.h"
#include "common/loop.h"

#define FILE_ID UINT64_C(0x1234)

struct fixture {
	char directory[64];
	struct loop *loop;
	struct fiber_pool *fibers;
	struct disk *disk;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/test_disk_posix.XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	assert_int_equal(loop_create(&fixture->loop), 0);
	fixture->fibers = fiber_pool_create(loop_executor(fixture->loop), 16, 65536);
	assert_non_null(fixture->fibers);
	assert_int_equal(disk_posix_create(&fixture->disk, loop_executor(fixture->loop),
					   fixture->directory, NULL),
			 0);
	*state = fixture;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->disk)
		fixture->disk->ops->destroy(fixture->disk);
	fiber_pool_destroy(fixture->fibers);
	loop_destroy(fixture->loop);
	assert_int_equal(nftw(fixture->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(fixture);
	return 0;
}

static struct disk_file *create(struct fixture *fixture, uint64_t id)
{
	struct disk_file *file = NULL;

	assert_int_equal(fixture->disk->ops->create(fixture->disk, id, &file), 0);
	assert_non_null(file);
	return file;
}

static void a_file_lies_where_its_number_says_and_is_private(void **state)
{
	struct fixture *fixture = *state;
	const struct disk_ops *ops = fixture->disk->ops;
	struct disk_file *file;
	char path[128];
	struct stat st;
	mode_t before = umask(0);

	file = create(fixture, UINT64_C(0xfedcba9876543210));
	umask(before);
	snprintf(path, sizeof(path), "%s/10/fedcba9876543210", fixture->directory);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	ops->close(file);
	file = create(fixture, 1);
	snprintf(path, sizeof(path), "%s/01/0000000000000001", fixture->directory);
	assert_int_equal(lstat(path, &st), 0);
	ops->close(file);
	snprintf(path, sizeof(path), "%s/01", fixture->directory);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
}

static void creating_needs_absence_and_opening_needs_presence(void **state)
{
	struct fixture *fixture = *state;
	const struct disk_ops *ops = fixture->disk->ops;
	struct disk_file *file, *again;

	assert_int_equal(ops->open(fixture->disk, FILE_ID, &file), -ENOENT);
	assert_int_equal(ops->remove(fixture->disk, FILE_ID), -ENOENT);
	file = create(fixture, FILE_ID);
	assert_int_equal(ops->create(fixture->disk, FILE_ID, &again), -EEXIST);
	assert_int_equal(ops->open(fixture->disk, FILE_ID, &again), 0);
	ops->close(again);
	assert_int_equal(ops->remove(fixture->disk, FILE_ID), 0);
	assert_int_equal(ops->open(fixture->disk, FILE_ID, &again), -ENOENT);
	ops->close(file);
}

static void links_are_not_followed(void **state)
{
	struct fixture *fixture = *state;
	struct disk_file *file;
	char path[128];

	snprintf(path, sizeof(path), "%s/34/%016x", fixture->directory, (unsigned)FILE_ID);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(fixture->disk->ops->open(fixture->disk, FILE_ID, &file), -ELOOP);
	assert_int_equal(fixture->disk->ops->create(fixture->disk, FILE_ID, &file), -EEXIST);
}

static void descriptors_do_not_leak_into_programs(void **state)
{
	struct fixture *fixture = *state;
	struct disk_file *file = create(fixture, FILE_ID);
	int seen = 0;

	for (int fd = 3; fd < 1024; fd++) {
		char link[64], target[256] = "";

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, target, sizeof(target) - 1) < 0 ||
		    strncmp(target, fixture->directory, strlen(fixture->directory)) != 0)
			continue;
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		seen++;
	}
	assert_int_equal(seen, 257);
	fixture->disk->ops->close(file);
}

static void bytes_come_back_from_where_they_were_put(void **state)
{
	struct fixture *fixture = *state;
	const struct disk_ops *ops = fixture->disk->ops;
	struct disk_file *file = create(fixture, FILE_ID);
	uint64_t size = 1, far = UINT64_C(5) << 30;
	char data[16];

	assert_int_equal(ops->size(file, &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(ops->read(file, data, sizeof(data), 0), 0);
	assert_int_equal(ops->write(file, "hello", 5, far), 0);
	assert_int_equal(ops->size(file, &size), 0);
	assert_true(size == far + 5);
	assert_int_equal(ops->read(file, data, sizeof(data), far + 1), 4);
	assert_memory_equal(data, "ello", 4);
	assert_int_equal(ops->read(file, data, 3, far - 1), 3);
	assert_memory_equal(data, "\0he", 3);
	assert_int_equal(ops->read(file, data, 3, far + 5), 0);
	assert_int_equal(ops->write(file, "", 0, 0), 0);
	assert_int_equal(ops->truncate(file, far + 2), 0);
	assert_int_equal(ops->truncate(file, far + 4), 0);
	assert_int_equal(ops->read(file, data, sizeof(data), far), 4);
	assert_memory_equal(data, "he\0\0", 4);
	ops->close(file);
}

static void offsets_that_no_file_has_are_refused(void **state)
{
	struct fixture *fixture = *state;
	const struct disk_ops *ops = fixture->disk->ops;
	struct disk_file *file = create(fixture, FILE_ID);
	char data[2] = "x";

	assert_int_equal(ops->read(file, data, 1, UINT64_MAX), -EINVAL);
	assert_int_equal(ops->read(file, data, 2, INT64_MAX - 1), -EINVAL);
	assert_int_equal(ops->write(file, data, 1, UINT64_MAX), -EFBIG);
	assert_int_equal(ops->write(file, data, 2, INT64_MAX - 1), -EFBIG);
	assert_int_equal(ops->truncate(file, UINT64_MAX), -EFBIG);
	ops->close(file);
}

static void a_write_that_cannot_be_complete_fails(void **state)
{
	struct fixture *fixture = *state;
	const struct disk_ops *ops = fixture->disk->ops;
	struct disk_file *file = create(fixture, FILE_ID);
	char data[8192];
	struct rlimit before, limit;
	uint64_t size;

	memset(data, 'x', sizeof(data));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 4096;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	/* The kernel writes the half that fits and says so; the rest must not be forgotten. */
	assert_int_equal(ops->write(file, data, sizeof(data), 0), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(ops->size(file, &size), 0);
	assert_int_equal(size, 4096);
	ops->close(file);
}

static void a_punched_range_reads_as_zeros_and_the_size_stays(void **state)
{
	static const struct {
		uint64_t start, end;
	} cases[] = {{4096, 8192}, {1, 3}, {5000, 5000}, {9000, 3}, {8190, UINT64_MAX}};
	struct fixture *fixture = *state;
	const struct disk_ops *ops = fixture->disk->ops;
	struct disk_file *file = create(fixture, FILE_ID);
	char data[12288], expected[12288];
	uint64_t size;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(data, 'x', sizeof(data));
		assert_int_equal(ops->write(file, data, sizeof(data), 0), 0);
		memset(expected, 'x', sizeof(expected));
		for (uint64_t at = cases[i].start; at < cases[i].end && at < sizeof(expected); at++)
			expected[at] = '\0';
		assert_int_equal(ops->punch(file, cases[i].start, cases[i].end), 0);
		assert_int_equal(ops->size(file, &size), 0);
		assert_int_equal(size, sizeof(data));
		assert_int_equal(ops->read(file, data, sizeof(data), 0), sizeof(data));
		assert_memory_equal(data, expected, sizeof(data));
	}
	ops->close(file);
}

struct found {
	uint64_t sum;
	unsigned count, stop_after;
};

static int visit(void *context, uint64_t id)
{
	struct found *found = context;

	found->sum += id;
	return ++found->count == found->stop_after ? -ECANCELED : 0;
}

static void a_scan_finds_the_data_files_and_nothing_else(void **state)
{
	static const char *const strangers[] = {
		"34/0000000000001235", /* of another directory */
		"34/1234",
		"34/000000000000123G",
		"34/000000000000123A4",
		"34/lost+found",
		"0000000000001200",
	};
	struct fixture *fixture = *state;
	const struct disk_ops *ops = fixture->disk->ops;
	struct found found = {0, 0, 0}, stopped = {0, 0, 2};

	assert_int_equal(ops->scan(fixture->disk, visit, &found), 0);
	assert_int_equal(found.count, 0);
	for (uint64_t id = 0x1200; id < 0x1200 + 300; id++)
		ops->close(create(fixture, id));
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		char path[128];
		int fd;

		snprintf(path, sizeof(path), "%s/%s", fixture->directory, strangers[i]);
		fd = open(path, O_CREAT | O_WRONLY, 0600);
		assert_true(fd >= 0);
		close(fd);
	}
	for (int round = 0; round < 2; round++) {
		memset(&found, 0, sizeof(found));
		assert_int_equal(ops->scan(fixture->disk, visit, &found), 0);
		assert_int_equal(found.count, 300);
		assert_int_equal(found.sum, 300 * 0x1200 + 300 * 299 / 2);
	}
	assert_int_equal(ops->scan(fixture->disk, visit, &stopped), -ECANCELED);
	assert_int_equal(stopped.count, 2);
}

static void free_space_is_that_of_the_file_system(void **state)
{
	struct fixture *fixture = *state;
	struct disk_space space = {0, 0};

	assert_int_equal(fixture->disk->ops->space(fixture->disk, &space), 0);
	assert_true(space.total > 0);
	assert_true(space.available <= space.total);
}

static void files_outlive_the_disk(void **state)
{
	struct fixture *fixture = *state;
	struct disk_file *file = create(fixture, FILE_ID);
	struct disk *disk = NULL;
	char data[4];

	assert_int_equal(fixture->disk->ops->write(file, "kept", 4, 0), 0);
	fixture->disk->ops->close(file);
	fixture->disk->ops->destroy(fixture->disk);
	fixture->disk = NULL;
	assert_int_equal(
		disk_posix_create(&disk, loop_executor(fixture->loop), fixture->directory, NULL),
		0);
	assert_non_null(disk);
	fixture->disk = disk;
	assert_int_equal(disk->ops->open(disk, FILE_ID, &file), 0);
	assert_int_equal(disk->ops->read(file, data, sizeof(data), 0), 4);
	assert_memory_equal(data, "kept", 4);
	disk->ops->close(file);
}

enum { SYNC_FIBERS = 8, SYNC_ROUNDS = 5 };

struct sync_run {
	struct fixture *fixture;
	unsigned started, ended, errors;
};

static void sync_often(void *context)
{
	struct sync_run *run = context;
	const struct disk_ops *ops = run->fixture->disk->ops;
	struct disk_file *file = create(run->fixture, ++run->started);

	for (int round = 0; round < SYNC_ROUNDS; round++) {
		run->errors += ops->write(file, "x", 1, (uint64_t)round) != 0;
		run->errors += ops->sync(file) != 0;
	}
	ops->close(file);
	if (++run->ended == SYNC_FIBERS)
		loop_stop(run->fixture->loop);
}

static void fibers_wait_for_a_sync_while_others_run(void **state)
{
	struct fixture *fixture = *state;
	struct sync_run run = {.fixture = fixture};

	for (int i = 0; i < SYNC_FIBERS; i++)
		assert_int_equal(fiber_start(fixture->fibers, sync_often, &run), 0);
	/* Each has got to its first sync, and no sync has kept the others from running. */
	assert_int_equal(run.started, SYNC_FIBERS);
	assert_int_equal(run.ended, 0);
	loop_run(fixture->loop);
	assert_int_equal(run.ended, SYNC_FIBERS);
	assert_int_equal(run.errors, 0);
	assert_int_equal(fiber_pool_alive(fixture->fibers), 0);
}

static void directories_that_cannot_be_used_are_named(void **state)
{
	struct fixture *fixture = *state;
	struct executor *executor = loop_executor(fixture->loop);
	char below[128], file[128], loose[128], link[128];
	const struct {
		const char *directory;
		int expected;
	} cases[] = {{below, -ENOENT}, {file, -ENOTDIR}, {loose, -EPERM}, {link, -ENOTDIR}};
	char taken[160];
	int fd;

	snprintf(below, sizeof(below), "%s/no/such", fixture->directory);
	snprintf(file, sizeof(file), "%s/file", fixture->directory);
	snprintf(loose, sizeof(loose), "%s/loose", fixture->directory);
	snprintf(link, sizeof(link), "%s/link", fixture->directory);
	fd = open(file, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(mkdir(loose, 0700), 0);
	assert_int_equal(chmod(loose, 0777), 0);
	assert_int_equal(mkdir(link, 0700), 0);
	snprintf(taken, sizeof(taken), "%s/7f", link);
	assert_int_equal(symlink("/tmp", taken), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error error = ERROR_INIT;
		struct disk *disk = NULL;

		assert_int_equal(disk_posix_create(&disk, executor, cases[i].directory, &error),
				 cases[i].expected);
		assert_null(disk);
		assert_int_equal(error.code, cases[i].expected);
		assert_non_null(strstr(error.message, cases[i].directory));
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_file_lies_where_its_number_says_and_is_private),
		TEST(creating_needs_absence_and_opening_needs_presence),
		TEST(links_are_not_followed),
		TEST(descriptors_do_not_leak_into_programs),
		TEST(bytes_come_back_from_where_they_were_put),
		TEST(offsets_that_no_file_has_are_refused),
		TEST(a_write_that_cannot_be_complete_fails),
		TEST(a_punched_range_reads_as_zeros_and_the_size_stays),
		TEST(a_scan_finds_the_data_files_and_nothing_else),
		TEST(free_space_is_that_of_the_file_system),
		TEST(files_outlive_the_disk),
		TEST(fibers_wait_for_a_sync_while_others_run),
		TEST(directories_that_cannot_be_used_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "fs/journal/store_open.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/journal_world.h"
#include "tests/unit/sqlite_shim.h"

static void write_some(struct world *world)
{
	uint64_t last = 0;

	for (uint64_t ino = 1; ino <= 300; ino++) {
		struct journal_node node = world_node(ino, 0, "name");

		last = journal_put_node(world->journal, &node);
	}
	assert_int_equal(journal_wait(world->journal, last, JOURNAL_DURABLE), 0);
}

/* A database with 300 nodes whose last user crashed. */
static void make_crashed(struct world *world)
{
	world_make(world);
	assert_int_equal(world_open(world, "volume"), 0);
	world_run(world, write_some);
	world_close(world, true);
	assert_int_equal(world_crash(world, NULL), 0);
}

/* Opening fails with the error and changes nothing on the disk. */
static void assert_refused(struct world *world, const char *volume, int expected)
{
	size_t before_len = 0, after_len = 0, log_before_len = 0, log_after_len = 0;
	char *before = world_read(world->database, &before_len), *after;
	char *log_before = world_read(world->log, &log_before_len), *log_after;

	assert_int_equal(world_open(world, volume), expected);
	assert_int_equal(world->error.code, expected);
	assert_true(world->error.message[0] != '\0');
	after = world_read(world->database, &after_len);
	log_after = world_read(world->log, &log_after_len);
	assert_int_equal(before != NULL, after != NULL);
	assert_int_equal(log_before != NULL, log_after != NULL);
	assert_int_equal(before_len, after_len);
	assert_int_equal(log_before_len, log_after_len);
	if (before)
		assert_memory_equal(before, after, before_len);
	if (log_before)
		assert_memory_equal(log_before, log_after, log_before_len);
	free(before);
	free(after);
	free(log_before);
	free(log_after);
}

enum { PAGE = 4096 };

static void damage_first_bytes(char *data, size_t *len)
{
	memset(data, 'x', 7);
	(void)len;
}

static void damage_empty(char *data, size_t *len)
{
	(void)data;
	*len = 0;
}

static void damage_short(char *data, size_t *len)
{
	(void)data;
	*len = 50;
}

static void damage_half(char *data, size_t *len)
{
	(void)data;
	*len = *len / PAGE / 2 * PAGE;
}

static void damage_zero_pages(char *data, size_t *len)
{
	memset(data + 2 * PAGE, 0, *len - 2 * PAGE);
}

static void damage_last_page(char *data, size_t *len)
{
	memset(data + *len - PAGE, 0xa5, PAGE);
}

static void damage_other_program(char *data, size_t *len)
{
	memset(data + 68, 0, 4);
	(void)len;
}

static void (*const damages[])(char *data, size_t *len) = {
	damage_first_bytes, damage_empty,     damage_short,	    damage_half,
	damage_zero_pages,  damage_last_page, damage_other_program,
};

static void a_damaged_database_is_refused_and_left_as_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct world world;
		size_t len = 0;
		char *data;

		make_crashed(&world);
		data = world_read(world.database, &len);
		damages[i](data, &len);
		world_write(world.database, data, len);
		free(data);
		assert_refused(&world, "volume", -EUCLEAN);
		/* Without the log, too: none may appear. */
		unlink(world.log);
		assert_refused(&world, "volume", -EUCLEAN);
		world_remove(&world);
	}
}

static void a_log_without_its_database_is_refused(void **state)
{
	struct world world;

	(void)state;
	make_crashed(&world);
	unlink(world.database);
	assert_refused(&world, "volume", -EUCLEAN);
	world_remove(&world);
}

static void another_volume_is_refused(void **state)
{
	struct world world;

	(void)state;
	make_crashed(&world);
	assert_refused(&world, "volume2", -EXDEV);
	assert_non_null(strstr(world.error.message, "volume2"));
	assert_int_equal(world_open(&world, "volume"), 0);
	world_close(&world, true);
	assert_refused(&world, "", -EXDEV);
	world_remove(&world);
}

static void a_newer_format_is_refused(void **state)
{
	struct world world;

	(void)state;
	world_make(&world);
	assert_int_equal(world_open(&world, "volume"), 0);
	world_close(&world, true);
	assert_int_equal(sqlite_shim_execute(world.database, "PRAGMA user_version = 2"), 0);
	assert_refused(&world, "volume", -EPROTO);
	world_remove(&world);
}

static void two_processes_cannot_use_one_journal(void **state)
{
	struct world world, other;
	int ready[2], opened, status;
	char byte = 0;
	pid_t pid;

	(void)state;
	/* The child asks; this process holds it meanwhile. It forks before there are threads. */
	world_make(&world);
	other = world;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (read(ready[0], &byte, 1) != 1)
			_exit(3);
		opened = world_open(&other, "volume");
		_exit(opened == -EBUSY ? 0 : 1);
	}
	assert_int_equal(world_open(&world, "volume"), 0);
	assert_int_equal(write(ready[1], "x", 1), 1);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	world_close(&world, true);
	close(ready[0]);
	close(ready[1]);
	world_remove(&world);
}

static void nothing_is_left_behind_when_creation_fails(void **state)
{
	struct sqlite_shim *shim = sqlite_shim_install();
	struct world world;

	(void)state;
	world_make(&world);
	atomic_store(&shim->write_error, SHIM_FULL);
	atomic_store(&shim->log_writes_left, 2);
	assert_int_equal(world_open(&world, "volume"), -ENOSPC);
	sqlite_shim_install();
	world_remove(&world); /* fails when the directory is not empty */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_damaged_database_is_refused_and_left_as_it_is),
		cmocka_unit_test(a_log_without_its_database_is_refused),
		cmocka_unit_test(another_volume_is_refused),
		cmocka_unit_test(a_newer_format_is_refused),
		cmocka_unit_test(two_processes_cannot_use_one_journal),
		cmocka_unit_test(nothing_is_left_behind_when_creation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

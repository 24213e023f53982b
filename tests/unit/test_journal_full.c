/* A full disk: what the journal tells meanwhile, that it keeps the order, and that it goes on. */
#include "fs/journal/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/journal_world.h"
#include "tests/unit/sqlite_shim.h"

struct names { /* of the nodes that a load told */
	char text[512];
	size_t len;
};

static int add_name(void *context, const struct journal_node *node, const struct extent_set *dirty)
{
	struct names *names = context;

	(void)dirty;
	names->len += (size_t)snprintf(names->text + names->len, sizeof(names->text) - names->len,
				       "'%s' ", node->name);
	assert_true(names->len < sizeof(names->text));
	return 0;
}

static int no_intent(void *context, const struct journal_intent *intent)
{
	(void)context;
	(void)intent;
	return -EINVAL;
}

static void load(struct world *world, struct names *names)
{
	struct journal_loader loader = {add_name, no_intent, names};

	*names = (struct names){.len = 0};
	assert_int_equal(journal_load(world->journal, &loader), 0);
}

static void fill_disk(struct world *world)
{
	struct sqlite_shim *shim = world->user;
	struct journal_node node = world_node(2, 0, "before");
	uint64_t first = journal_put_node(world->journal, &node), second, third;

	world_wait(world, first);
	atomic_store(&shim->write_error, SHIM_FULL);
	atomic_store(&shim->log_writes_left, 0);
	node = world_node(3, 0, "first refused");
	second = journal_put_node(world->journal, &node);
	assert_int_equal(journal_wait(world->journal, second, JOURNAL_COMMITTED), -ENOSPC);
	assert_true(journal_is_full(world->journal));
	assert_false(journal_is_committed(world->journal, second));
	node = world_node(3, 0, "then written");
	third = journal_put_node(world->journal, &node);
	assert_int_equal(journal_wait(world->journal, third, JOURNAL_COMMITTED), -ENOSPC);
	/* What was written before is as good as ever. */
	assert_int_equal(journal_wait(world->journal, first, JOURNAL_COMMITTED), 0);
	assert_int_equal(journal_wait(world->journal, first, JOURNAL_DURABLE), 0);
	assert_int_equal(journal_error(world->journal), 0);
}

/* Nobody asks it to: the disk has room again, and time passes. */
static void heal_disk(struct world *world)
{
	struct sqlite_shim *shim = world->user;
	struct executor *executor = loop_executor(world->loop);
	uint64_t limit = executor_monotonic(executor) + 10 * NSEC_PER_SEC;
	struct journal_node node = world_node(4, 0, "after");

	fill_disk(world);
	atomic_store(&shim->log_writes_left, -1);
	while (journal_is_full(world->journal)) {
		assert_true(executor_monotonic(executor) < limit);
		fiber_sleep_until(executor_monotonic(executor) + 10 * NSEC_PER_MSEC, WAIT_PLAIN);
	}
	world_wait(world, journal_put_node(world->journal, &node));
}

static void a_full_disk_heals_and_loses_no_record(void **state)
{
	struct world world;
	struct names names;

	(void)state;
	world_make(&world);
	world.user = sqlite_shim_install();
	assert_int_equal(world_open(&world, "volume"), 0);
	world_run(&world, heal_disk);
	world_close(&world, true);
	assert_int_equal(world_open(&world, "volume"), 0);
	assert_true(world.info.clean);
	load(&world, &names);
	assert_non_null(strstr(names.text, "'before'"));
	assert_non_null(strstr(names.text, "'then written'"));
	assert_null(strstr(names.text, "'first refused'"));
	assert_non_null(strstr(names.text, "'after'"));
	world_close(&world, true);
	world_remove(&world);
}

static void a_disk_that_stays_full_does_not_hold_up_the_end(void **state)
{
	struct world world;
	struct names names;

	(void)state;
	world_make(&world);
	world.user = sqlite_shim_install();
	assert_int_equal(world_open(&world, "volume"), 0);
	world_run(&world, fill_disk);
	world_close(&world, true); /* cannot be clean any more */
	sqlite_shim_install();
	assert_int_equal(world_open(&world, "volume"), 0);
	assert_false(world.info.clean);
	load(&world, &names);
	assert_non_null(strstr(names.text, "'before'"));
	assert_null(strstr(names.text, "refused"));
	assert_null(strstr(names.text, "then written"));
	world_close(&world, true);
	world_remove(&world);
}

/* What a sync could not write is gone, and no room brings it back: nobody is to wait for that. */
static void fail_sync(struct world *world)
{
	struct sqlite_shim *shim = world->user;
	struct journal_node node = world_node(2, 0, "committed");
	uint64_t sequence = journal_put_node(world->journal, &node);

	world_wait(world, sequence);
	atomic_store(&shim->sync_error, SHIM_FULL);
	assert_int_equal(journal_wait(world->journal, sequence, JOURNAL_DURABLE), -EIO);
	assert_int_equal(journal_error(world->journal), -EIO);
	atomic_store(&shim->sync_error, 0);
	node = world_node(3, 0, "refused");
	sequence = journal_put_node(world->journal, &node);
	assert_int_equal(journal_wait(world->journal, sequence, JOURNAL_COMMITTED), -EIO);
}

static void a_sync_that_lacks_room_has_failed_for_good(void **state)
{
	struct world world;

	(void)state;
	world_make(&world);
	world.user = sqlite_shim_install();
	assert_int_equal(world_open(&world, "volume"), 0);
	world_run(&world, fail_sync);
	world_close(&world, true);
	sqlite_shim_install();
	world_remove(&world);
}

/* What it needs to end what is under way has its blocks already, and takes none from others. */
static void space_is_set_aside(void **state)
{
	struct world world;
	struct stat log;

	(void)state;
	world_make(&world);
	assert_int_equal(world_open(&world, "volume"), 0);
	assert_int_equal(stat(world.log, &log), 0);
	assert_true(log.st_blocks * 512 >= 8 << 20);
	assert_true(log.st_size < 1 << 20);
	assert_false(journal_is_full(world.journal));
	world_close(&world, true);
	world_remove(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_disk_heals_and_loses_no_record),
		cmocka_unit_test(a_disk_that_stays_full_does_not_hold_up_the_end),
		cmocka_unit_test(a_sync_that_lacks_room_has_failed_for_good),
		cmocka_unit_test(space_is_set_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

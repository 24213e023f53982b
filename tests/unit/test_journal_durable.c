/* What journal.c and the log under it promise about the disk: levels, syncs, sizes. */
#include "fs/journal/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/journal_world.h"
#include "tests/unit/sqlite_shim.h"

static void use_both_levels(struct world *world)
{
	struct sqlite_shim *shim = world->user;
	struct journal_node node = world_node(2, 1, "name");
	uint64_t first = journal_put_node(world->journal, &node), second;
	int syncs = atomic_load(&shim->log_syncs);

	world_wait(world, first);
	assert_int_equal(atomic_load(&shim->log_syncs), syncs);
	/* Already committed: nothing more is written, yet the disk must be asked. */
	assert_int_equal(journal_wait(world->journal, first, JOURNAL_DURABLE), 0);
	assert_int_equal(atomic_load(&shim->log_syncs), syncs + 1);
	assert_int_equal(journal_wait(world->journal, first, JOURNAL_DURABLE), 0);
	assert_int_equal(atomic_load(&shim->log_syncs), syncs + 1);
	second = journal_put_node(world->journal, &node);
	assert_int_equal(journal_wait(world->journal, second, JOURNAL_DURABLE), 0);
	assert_int_equal(atomic_load(&shim->log_syncs), syncs + 2);
	assert_true(journal_is_committed(world->journal, second));
}

static void only_a_durable_wait_syncs_the_log(void **state)
{
	struct world world;

	(void)state;
	world_make(&world);
	world.user = sqlite_shim_install();
	assert_int_equal(world_open(&world, "volume"), 0);
	world_run(&world, use_both_levels);
	world_close(&world, true);
	world_remove(&world);
}

struct crowd {
	struct world *world;
	uint64_t sequence;
	unsigned left;
	struct fiber *parent;
};

static void durable_member(void *argument)
{
	struct crowd *crowd = argument;

	assert_int_equal(journal_wait(crowd->world->journal, crowd->sequence++, JOURNAL_DURABLE),
			 0);
	if (--crowd->left == 0)
		fiber_wake(crowd->parent);
}

static void durable_crowd(struct world *world)
{
	struct sqlite_shim *shim = world->user;
	struct journal_node node = world_node(2, 1, "name");
	struct crowd crowd = {world, journal_put_node(world->journal, &node), 50, fiber_self()};
	int syncs;

	for (int i = 1; i < 50; i++)
		journal_put_node(world->journal, &node);
	world_wait(world, crowd.sequence + 49);
	syncs = atomic_load(&shim->log_syncs);
	atomic_store(&shim->sync_delay_us, 100000);
	for (int i = 0; i < 50; i++)
		assert_int_equal(fiber_start(world->fibers, durable_member, &crowd), 0);
	while (crowd.left > 0)
		fiber_park();
	syncs = atomic_load(&shim->log_syncs) - syncs;
	assert_true(syncs >= 1 && syncs <= 5);
}

static void fibers_share_a_sync(void **state)
{
	struct world world;

	(void)state;
	world_make(&world);
	world.user = sqlite_shim_install();
	assert_int_equal(world_open(&world, "volume"), 0);
	world_run(&world, durable_crowd);
	world_close(&world, true);
	world_remove(&world);
}

static void write_much(struct world *world)
{
	struct stat log;
	off_t largest = 0;

	for (uint64_t ino = 1; ino <= 20000; ino++) {
		struct journal_node node = world_node(ino, 0,
						      "a name of some length, for the bytes");
		uint64_t sequence = journal_put_node(world->journal, &node);

		if (ino % 4 == 0)
			world_wait(world, sequence);
		if (ino % 64 == 0 && stat(world->log, &log) == 0 && log.st_size > largest)
			largest = log.st_size;
	}
	assert_true(largest > 1 << 20);
	assert_true(largest < 20 << 20);
}

static void the_log_stays_small(void **state)
{
	struct world world;

	(void)state;
	world_make(&world);
	assert_int_equal(world_open(&world, "volume"), 0);
	world_run(&world, write_much);
	world_close(&world, true);
	world_remove(&world);
}

static void fail_sync(struct world *world)
{
	struct sqlite_shim *shim = world->user;
	struct journal_node node = world_node(2, 0, "name");
	uint64_t sequence = journal_put_node(world->journal, &node);
	int syncs;

	atomic_store(&shim->sync_error, SHIM_IO_ERROR);
	assert_int_equal(journal_wait(world->journal, sequence, JOURNAL_DURABLE), -EIO);
	/* Not tried again, even when it would succeed now. */
	atomic_store(&shim->sync_error, 0);
	syncs = atomic_load(&shim->log_syncs);
	assert_int_equal(journal_wait(world->journal, sequence, JOURNAL_DURABLE), -EIO);
	sequence = journal_put_node(world->journal, &node);
	assert_int_equal(journal_wait(world->journal, sequence, JOURNAL_COMMITTED), -EIO);
	assert_int_equal(atomic_load(&shim->log_syncs), syncs);
}

static void a_failed_sync_is_never_tried_again(void **state)
{
	struct sqlite_shim *shim = sqlite_shim_install();
	struct world world;
	int syncs;

	(void)state;
	world_make(&world);
	world.user = shim;
	assert_int_equal(world_open(&world, "volume"), 0);
	world_run(&world, fail_sync);
	syncs = atomic_load(&shim->log_syncs);
	world_close(&world, true);
	assert_int_equal(atomic_load(&shim->log_syncs), syncs);
	world_remove(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_durable_wait_syncs_the_log),
		cmocka_unit_test(fibers_share_a_sync),
		cmocka_unit_test(the_log_stays_small),
		cmocka_unit_test(a_failed_sync_is_never_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

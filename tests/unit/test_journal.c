#include "fs/journal/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/executor_virtual.h"
#include "tests/unit/journal_world.h"
#include "tests/unit/sqlite_shim.h"

/* What a load told, as text: one line per node, extent and intent. */
struct dump {
	char text[16384];
	size_t len;
	unsigned nodes;
	uint64_t last_ino;
	int stop_with;
};

static void __attribute__((format(printf, 2, 3)))
dump_add(struct dump *dump, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	dump->len += (size_t)vsnprintf(dump->text + dump->len, sizeof(dump->text) - dump->len,
				       format, args);
	va_end(args);
	assert_true(dump->len < sizeof(dump->text));
}

static void dump_meta(struct dump *dump, const char *title, const struct os_meta *meta)
{
	if (!meta)
		return;
	dump_add(dump, " %s:", title);
	for (size_t i = 0; i < meta->count; i++)
		dump_add(dump, "[%s=%s]", meta->items[i].name, meta->items[i].value);
}

static int dump_node(void *context, const struct journal_node *node, const struct extent_set *dirty)
{
	const struct attributes *attributes = &node->attributes;
	struct dump *dump = context;

	dump_add(dump, "%" PRIu64 "<%" PRIu64 " '%s' %x %o %u:%u %" PRIx64, node->ino, node->parent,
		 node->name, node->flags, attributes->mode, attributes->uid, attributes->gid,
		 attributes->rdev);
	dump_add(dump, " %" PRId64 ",%" PRId64 ",%" PRId64, attributes->atime, attributes->mtime,
		 attributes->ctime);
	dump_add(dump, " %" PRIu64 " g%" PRIu64 " f%" PRIu64 " b%" PRIu64, node->size,
		 node->generation, node->file_id, node->base_size);
	dump_add(dump, " %s %" PRId64 " '%s' '%s' '%s'", node->etag, node->remote_modified,
		 node->put_id, node->target, node->content_type);
	dump_meta(dump, "meta", node->meta);
	dump_meta(dump, "headers", node->headers);
	for (size_t i = 0; i < dirty->count; i++)
		dump_add(dump, " %" PRIu64 "-%" PRIu64, dirty->items[i].start, dirty->items[i].end);
	dump_add(dump, "\n");
	return dump->stop_with;
}

static int dump_intent(void *context, const struct journal_intent *intent)
{
	dump_add(context, "intent %" PRIu64 " %d '%s' '%s' '%s'\n", intent->id, (int)intent->kind,
		 intent->source, intent->target, intent->etag);
	return 0;
}

static void load(struct world *world, struct dump *dump)
{
	struct journal_loader loader = {dump_node, dump_intent, dump};

	*dump = (struct dump){.len = 0};
	assert_int_equal(journal_load(world->journal, &loader), 0);
}

/* Only inos, in order; for what has too many nodes for text. */
static int count_node(void *context, const struct journal_node *node,
		      const struct extent_set *dirty)
{
	struct dump *dump = context;

	(void)dirty;
	dump->nodes++;
	if (node->ino > dump->last_ino)
		dump->last_ino = node->ino;
	return 0;
}

/* Opens what body (or a former world) left, compares what it holds, closes. */
static void assert_holds(struct world *world, const char *expected)
{
	struct dump dump;

	assert_int_equal(world_open(world, "volume"), 0);
	load(world, &dump);
	assert_string_equal(dump.text, expected);
	world_close(world, true);
}

static void write_all_kinds(struct world *world)
{
	struct journal_node node = world_node(7, 1, "na\xffme");
	struct os_meta meta = OS_META_INIT, headers = OS_META_INIT;
	struct journal_intent intent = {3, INTENT_RENAME_DIR, "a/", "b/", "\"e\""};
	struct journal_intent dropped = {4, INTENT_DELETE, "gone", "", ""};

	assert_int_equal(os_meta_set(&meta, "mode", "33188"), 0);
	assert_int_equal(os_meta_set(&meta, "empty", ""), 0);
	assert_int_equal(os_meta_set(&headers, "x-amz-storage-class", "STANDARD_IA"), 0);
	node.meta = &meta;
	node.headers = &headers;
	journal_put_node(world->journal, &node);
	os_meta_free(&meta);
	os_meta_free(&headers);
	journal_add_extent(world->journal, 7, 100, 200);
	journal_put_intent(world->journal, &intent);
	journal_put_intent(world->journal, &dropped);
	journal_drop_intent(world->journal, 4);
	world_wait(world, journal_put_counters(world->journal, 50, 0, 70));
}

static const char all_kinds[] =
	"7<1 'na\xffme' 21 100640 1007:4294967294 10000000000 "
	"-5,9223372036854775807,1234567890123456789"
	" 5497558138880 g8 f9 b10 \"etag\" 42 '0123456789abcdef0123456789abcdef'"
	" 'tar\xffget' 'text/plain' meta:[mode=33188][empty=]"
	" headers:[x-amz-storage-class=STANDARD_IA] 100-200\n"
	"intent 3 3 'a/' 'b/' '\"e\"'\n";

static void every_kind_of_record_comes_back(void **state)
{
	struct world world;

	(void)state;
	world_make(&world);
	assert_int_equal(world_open(&world, "volume"), 0);
	assert_true(world.info.created && world.info.clean && world.info.same_boot);
	world_run(&world, write_all_kinds);
	world_close(&world, true);
	assert_int_not_equal(access(world.log, F_OK), 0);

	assert_int_equal(world_open(&world, "volume"), 0);
	assert_true(!world.info.created && world.info.clean && world.info.same_boot);
	assert_int_equal(world.info.next_ino, 50);
	assert_int_equal(world.info.next_file_id, 1);
	assert_int_equal(world.info.next_intent, 70);
	world_close(&world, false);
	assert_int_equal(world_open(&world, "volume"), 0);
	assert_false(world.info.clean);
	world_close(&world, true);
	assert_holds(&world, all_kinds);
	world_remove(&world);
}

static void write_changes_of_nodes(struct world *world)
{
	struct journal_node node = world_node(7, 1, "old");
	struct journal_node other = world_node(8, 1, "other");
	struct journal_node replaced = {
		.ino = 7, .parent = 1, .name = "new", .etag = "", .attributes = {.mode = 1}};

	journal_put_node(world->journal, &node);
	journal_put_node(world->journal, &replaced); /* NULL strings count as empty */
	journal_move_node(world->journal, 7, 2, "moved");
	journal_move_node(world->journal, 99, 2, "nobody");
	node.ino = 9;
	journal_put_node(world->journal, &node);
	node.ino = 10;
	node.name = "there";
	journal_put_node(world->journal, &node);
	journal_exchange_nodes(world->journal, &(struct journal_name){9, 1, "there"},
			       &(struct journal_name){10, 1, "old"});
	journal_put_node(world->journal, &other);
	journal_add_extent(world->journal, 8, 0, 10);
	journal_drop_node(world->journal, 8);
	/* The extents went with it. */
	other.flags = 0;
	world_wait(world, journal_put_node(world->journal, &other));
}

static void a_row_is_replaced_as_a_whole_and_dropped_with_its_extents(void **state)
{
	struct world world;
	struct dump dump;

	(void)state;
	world_make(&world);
	assert_int_equal(world_open(&world, "volume"), 0);
	world_run(&world, write_changes_of_nodes);
	world_close(&world, true);
	assert_int_equal(world_open(&world, "volume"), 0);
	load(&world, &dump);
	assert_non_null(strstr(dump.text, "7<2 'moved' 0 1 0:0 0 0,0,0 0 g0 f0 b0  0 '' '' ''\n"));
	assert_non_null(strstr(dump.text, "8<1 'other' 0 "));
	assert_non_null(strstr(dump.text, "9<1 'there' "));
	assert_non_null(strstr(dump.text, "10<1 'old' "));
	assert_non_null(strstr(dump.text, "'text/plain'\n"));
	assert_null(strstr(dump.text, "nobody"));
	world_close(&world, true);
	world_remove(&world);
}

struct extent_case {
	struct {
		char op; /* a: add start-end; t: truncate to start */
		uint64_t start, end;
	} steps[6];
	const char *expected;
};

static const struct extent_case extent_cases[] = {
	{{{'a', 0, 10}, {'a', 10, 20}}, " 0-20\n"},
	{{{'a', 10, 20}, {'a', 0, 10}}, " 0-20\n"},
	{{{'a', 0, 10}, {'a', 11, 20}}, " 0-10 11-20\n"},
	{{{'a', 0, 10}, {'a', 20, 30}, {'a', 5, 25}}, " 0-30\n"},
	{{{'a', 5, 10}, {'a', 20, 30}, {'a', 0, 40}}, " 0-40\n"},
	{{{'a', 0, 100}, {'a', 20, 30}}, " 0-100\n"},
	{{{'a', 0, 10}, {'a', 20, 30}, {'a', 40, 50}, {'a', 15, 20}}, " 0-10 15-30 40-50\n"},
	{{{'a', 0, 10}, {'a', 20, 30}, {'a', 9, 20}, {'a', 40, 41}}, " 0-30 40-41\n"},
	{{{'a', 5, 5}, {'a', 7, 6}}, "\n"},
	{{{'a', 0, 10}, {'a', 20, 30}, {'t', 25, 0}}, " 0-10 20-25\n"},
	{{{'a', 0, 10}, {'a', 20, 30}, {'t', 20, 0}}, " 0-10\n"},
	{{{'a', 0, 10}, {'a', 20, 30}, {'t', 15, 0}}, " 0-10\n"},
	{{{'a', 0, 10}, {'a', 20, 30}, {'t', 0, 0}}, "\n"},
	{{{'a', 0, 10}, {'t', 10, 0}}, " 0-10\n"},
	{{{'a', 0, 10}, {'t', UINT64_MAX, 0}}, " 0-10\n"},
	{{{'a', 0, INT64_MAX}, {'t', UINT64_C(1) << 62, 0}}, " 0-4611686018427387904\n"},
};

enum { EXTENT_CASES = sizeof(extent_cases) / sizeof(extent_cases[0]) };

static void write_extent_cases(struct world *world)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < EXTENT_CASES; i++) {
		struct journal_node node = {.ino = i + 1, .parent = i + 1, .name = ""};

		journal_put_node(world->journal, &node);
		for (unsigned step = 0; step < 6; step++) {
			uint64_t start = extent_cases[i].steps[step].start;
			uint64_t end = extent_cases[i].steps[step].end;

			if (extent_cases[i].steps[step].op == 'a')
				last = journal_add_extent(world->journal, i + 1, start, end);
			else if (extent_cases[i].steps[step].op == 't')
				last = journal_truncate_extents(world->journal, i + 1, start);
		}
	}
	world_wait(world, last);
}

static void dirty_extents_merge_and_are_cut(void **state)
{
	struct world world;
	struct dump dump;
	char *line, *rest;

	(void)state;
	world_make(&world);
	assert_int_equal(world_open(&world, "volume"), 0);
	world_run(&world, write_extent_cases);
	world_close(&world, true);
	assert_int_equal(world_open(&world, "volume"), 0);
	load(&world, &dump);
	rest = dump.text;
	for (unsigned i = 0; i < EXTENT_CASES; i++) {
		char *end = strchr(rest, '\n');

		assert_non_null(end);
		line = rest;
		rest = end + 1;
		line = strstr(line, "'' '' ''");
		assert_non_null(line);
		line += strlen("'' '' ''");
		assert_int_equal(rest - line, strlen(extent_cases[i].expected));
		assert_memory_equal(line, extent_cases[i].expected, rest - line);
	}
	world_close(&world, true);
	world_remove(&world);
}

static void write_tree_upside_down(struct world *world)
{
	uint64_t last = 0;

	/* 100 is the root, then 99 below it and so on: in the order of numbers children come first.
	 */
	for (uint64_t ino = 1; ino <= 100; ino++) {
		struct journal_node node = {
			.ino = ino, .parent = ino < 100 ? ino + 1 : 0, .name = "n"};

		last = journal_put_node(world->journal, &node);
	}
	world_wait(world, last);
}

static int check_descending(void *context, const struct journal_node *node,
			    const struct extent_set *dirty)
{
	uint64_t *expected = context;

	(void)dirty;
	assert_int_equal(node->ino, (*expected)--);
	return 0;
}

static int stop_at_90(void *context, const struct journal_node *node,
		      const struct extent_set *dirty)
{
	(void)context;
	(void)dirty;
	return node->ino == 90 ? -ECANCELED : 0;
}

static void parents_come_before_children(void **state)
{
	struct world world;
	uint64_t expected = 100;
	struct journal_loader loader = {check_descending, dump_intent, &expected};

	(void)state;
	world_make(&world);
	assert_int_equal(world_open(&world, "volume"), 0);
	world_run(&world, write_tree_upside_down);
	world_close(&world, true);
	assert_int_equal(world_open(&world, "volume"), 0);
	assert_int_equal(journal_load(world.journal, &loader), 0);
	assert_int_equal(expected, 0);
	loader.node = stop_at_90;
	assert_int_equal(journal_load(world.journal, &loader), -ECANCELED);
	world_close(&world, true);
	world_remove(&world);
}

/* Shared with the child that is killed. */
static volatile uint64_t *progress;

static void write_for_ever(struct world *world)
{
	for (uint64_t ino = 1;; ino++) {
		struct journal_node node = world_node(ino, 0, "name");
		uint64_t sequence = journal_put_node(world->journal, &node);

		if (ino % 7 == 0)
			continue;
		if (journal_wait(world->journal, sequence, JOURNAL_COMMITTED))
			_exit(98);
		*progress = ino;
	}
}

/* Also: what is there is a prefix of what was written, without holes. */
static void what_was_committed_survives_a_kill(void **state)
{
	struct world world;
	uint64_t before = 0;

	(void)state;
	progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(progress != MAP_FAILED);
	srandom(1);
	for (int round = 0; round < 12; round++) {
		struct dump dump = {.len = 0};
		struct journal_loader loader = {count_node, dump_intent, &dump};
		pid_t pid;

		world_make(&world);
		*progress = 0;
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			if (world_open(&world, "volume"))
				_exit(99);
			world_run(&world, write_for_ever);
			_exit(97);
		}
		while (*progress == 0)
			usleep(200);
		usleep((useconds_t)(random() % 40000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);

		assert_int_equal(world_open(&world, "volume"), 0);
		assert_false(world.info.clean);
		assert_true(world.info.same_boot);
		assert_int_equal(journal_load(world.journal, &loader), 0);
		assert_true(dump.nodes >= *progress);
		assert_int_equal(dump.nodes, dump.last_ino);
		assert_true(world.info.next_ino > dump.last_ino);
		before += dump.nodes;
		world_close(&world, true);
		world_remove(&world);
	}
	assert_true(before > 100);
}

static void write_counters(struct world *world)
{
	world_wait(world, journal_put_counters(world->journal, 1000, 2000, 3000));
}

static void numbers_are_not_used_again_after_a_crash(void **state)
{
	struct world world;
	uint64_t ino, file_id, intent;

	(void)state;
	world_make(&world);
	assert_int_equal(world_crash(&world, write_counters), 0);
	assert_int_equal(world_open(&world, "volume"), 0);
	ino = world.info.next_ino;
	file_id = world.info.next_file_id;
	intent = world.info.next_intent;
	/* More than what can have been given out since 1000 was recorded. */
	assert_true(ino >= 1000 + 1000000);
	assert_true(file_id >= 2000 + 1000000);
	assert_true(intent >= 3000 + 1000000);
	world_close(&world, true);
	/* Kept though nobody recorded counters in between. */
	assert_int_equal(world_crash(&world, NULL), 0);
	assert_int_equal(world_open(&world, "volume"), 0);
	assert_true(world.info.next_ino > ino);
	world_close(&world, true);
	world_remove(&world);
}

static void another_boot_is_noticed(void **state)
{
	struct world world;

	(void)state;
	world_make(&world);
	assert_int_equal(world_open(&world, "volume"), 0);
	world_close(&world, true);
	assert_int_equal(sqlite_shim_execute(world.database, "UPDATE state SET boot_id = 'x'"), 0);
	assert_int_equal(world_open(&world, "volume"), 0);
	assert_false(world.info.same_boot);
	world_close(&world, true);
	world_remove(&world);
}

static bool journal_owes_post(void *context)
{
	return journal_is_awaited(context);
}

struct sleeper {
	struct journal *journal;
	struct executor *executor;
	uint64_t begin, woken;
	int err;
};

static void put_and_wait(void *argument)
{
	struct sleeper *sleeper = argument;
	struct journal_node node = world_node(2, 0, "name");
	uint64_t sequence = journal_put_node(sleeper->journal, &node);

	sleeper->err = journal_wait(sleeper->journal, sequence, JOURNAL_DURABLE);
	sleeper->woken = executor_monotonic(sleeper->executor);
}

static void do_nothing(struct timer *timer)
{
	(void)timer;
}

/* The disk is real, the clock is not: it stands still while the journal works. */
static void virtual_time_waits_for_the_journal(void **state)
{
	struct executor_virtual *virtual = executor_virtual_create(0);
	struct executor *executor = executor_virtual_executor(virtual);
	struct fiber_pool *fibers = fiber_pool_create(executor, 4, 64 << 10);
	struct sleeper sleeper = {.executor = executor, .err = 1};
	struct world world;
	struct timer timer;

	(void)state;
	world_make(&world);
	assert_int_equal(journal_open(&sleeper.journal, executor, world.dir, "volume", &world.info,
				      &world.error),
			 0);
	executor_virtual_expect(virtual, journal_owes_post, sleeper.journal);
	sleeper.begin = executor_monotonic(executor);
	timer_init(&timer, do_nothing);
	timer_set(executor, &timer, sleeper.begin + 1);
	assert_int_equal(fiber_start(fibers, put_and_wait, &sleeper), 0);
	executor_virtual_run(virtual);
	assert_int_equal(sleeper.err, 0);
	assert_int_equal(sleeper.woken, sleeper.begin);
	journal_close(sleeper.journal, true);
	fiber_pool_destroy(fibers);
	executor_virtual_destroy(virtual);
	world_remove(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_record_comes_back),
		cmocka_unit_test(a_row_is_replaced_as_a_whole_and_dropped_with_its_extents),
		cmocka_unit_test(dirty_extents_merge_and_are_cut),
		cmocka_unit_test(parents_come_before_children),
		cmocka_unit_test(what_was_committed_survives_a_kill),
		cmocka_unit_test(virtual_time_waits_for_the_journal),
		cmocka_unit_test(numbers_are_not_used_again_after_a_crash),
		cmocka_unit_test(another_boot_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/unit/core_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "common/log.h"
#include "tests/unit/sqlite_shim.h"

enum { FIBERS = 256, STACK = 256 << 10 };
#define LIMIT (UINT64_C(1000000) * NSEC_PER_SEC)

/* One request of a node on its way to the bucket. */
struct node_call {
	struct core_node *node;
	struct os_request *outer, inner;
	struct list link;
};

static struct core_node *node_of(struct objstore *store)
{
	return container_of(store, struct core_node, store);
}

static void call_done(struct os_request *inner)
{
	struct node_call *call = inner->user;
	struct os_request *outer = call->outer;

	outer->result = inner->result;
	outer->implementation = NULL;
	list_remove(&call->link);
	free(call);
	outer->done(outer);
}

static void refuse(struct task *task)
{
	struct os_request *request = container_of(task, struct os_request, task);

	request->result.err = -EHOSTUNREACH;
	request->done(request);
}

static void node_submit(struct objstore *store, struct os_request *request)
{
	struct core_node *node = node_of(store);
	struct node_call *call;

	memset(&request->result, 0, sizeof(request->result));
	request->implementation = NULL;
	if (node->dead) {
		request->task.run = refuse;
		executor_post(node->env.executor, &request->task);
		return;
	}
	call = calloc(1, sizeof(*call));
	CHECK(call != NULL);
	call->node = node;
	call->outer = request;
	call->inner = *request;
	call->inner.done = call_done;
	call->inner.user = call;
	request->implementation = call;
	list_append(&node->calls, &call->link);
	node->count[request->op]++;
	objstore_submit(&node->world->memory->store, &call->inner);
}

static void node_cancel(struct objstore *store, struct os_request *request)
{
	struct node_call *call = request->implementation;

	if (call)
		objstore_cancel(&node_of(store)->world->memory->store, &call->inner);
}

static const struct objstore_ops node_ops = {.submit = node_submit, .cancel = node_cancel};

static uint64_t random_number(void *context)
{
	struct core_node *node = context;
	uint64_t value = node->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

static bool journals_owe(void *context)
{
	struct core_world *world = context;

	for (int i = 0; i < CORE_NODES; i++)
		if (world->nodes[i].env.journal && journal_is_awaited(world->nodes[i].env.journal))
			return true;
	return false;
}

static bool matches(int wanted, enum os_op op)
{
	return wanted == (int)op || wanted == -1;
}

static bool hold(struct objstore_memory *memory, const struct os_request *request)
{
	struct core_world *world = memory->context;

	return matches(world->hold_op, request->op) &&
	       (!world->hold_key || (request->key && strcmp(request->key, world->hold_key) == 0));
}

static void before(struct objstore_memory *memory, const struct os_request *request)
{
	struct core_world *world = memory->context;
	void (*interfere)(struct core_world * world) = world->interfere;

	if (!interfere || !matches(world->before_op, request->op))
		return;
	world->interfere = NULL;
	interfere(world);
}

enum { HOLD_NOTHING = -2 };

static void node_init(struct core_world *world, unsigned number, const char *name)
{
	struct core_node *node = &world->nodes[number];

	node->world = world;
	node->name = name;
	node->random = number;
	node->store.ops = &node_ops;
	list_init(&node->calls);
	node->config = (struct vfs_config){
		.volume = "bucket",
		.prefix = "",
		.node = name,
		.defaults = {1000, 1000, 0644, 0755},
		.acl = true,
		.close = PUBLISH_S3,
		.fsync = PUBLISH_S3,
		.conflict = CONFLICT_KEEP_BOTH,
		.attr_timeout = NSEC_PER_SEC,
		.cache_limit = UINT64_C(1) << 30,
		.dirty_limit = UINT64_C(1) << 29,
		.part_size = 5 * MIB,
		.parallel = 32,
	};
	node->disk = disk_memory_create(world->executor);
	snprintf(node->directory, sizeof(node->directory), "%s/%s", world->directory, name);
	assert_int_equal(mkdir(node->directory, 0700), 0);
}

int core_setup(void **state)
{
	struct core_world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	*(void **)&world->body = *state;
	log_set_level(getenv("CORE_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	if (!getenv("CORE_LOG"))
		assert_int_equal(log_open("core", LOG_TARGET_FILE, "/dev/null", LOG_LEVEL_ERROR),
				 0);
	sqlite_shim_install();
	snprintf(world->directory, sizeof(world->directory), "/var/tmp/test_core.XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	world->virtual = executor_virtual_create(1700000000 * (int64_t)NSEC_PER_SEC);
	assert_non_null(world->virtual);
	world->executor = executor_virtual_executor(world->virtual);
	executor_virtual_expect(world->virtual, journals_owe, world);
	world->fibers = fiber_pool_create(world->executor, 2, STACK);
	assert_non_null(world->fibers);
	world->memory = objstore_memory_create(world->executor);
	world->memory->latency = NSEC_PER_MSEC;
	world->memory->hold = hold;
	world->memory->before = before;
	world->memory->context = world;
	world->hold_op = world->before_op = HOLD_NOTHING;
	node_init(world, 0, "one");
	node_init(world, 1, "two");
	world->node = &world->nodes[0];
	*state = world;
	return 0;
}

static void remove_journal(const char *directory)
{
	static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm"};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(directory), 0);
}

static void body_fiber(void *argument)
{
	struct core_world *world = argument;

	core_start(world->node);
	world->body(world);
	for (int i = 0; i < CORE_NODES; i++)
		if (world->nodes[i].vfs)
			core_crash_only(&world->nodes[i]);
	world->ended = true;
}

static bool has_ended(void *context)
{
	return ((struct core_world *)context)->ended;
}

void core_test(void **state)
{
	struct core_world *world = *state;

	assert_int_equal(fiber_start(world->fibers, body_fiber, world), 0);
	if (!executor_virtual_run_until(world->virtual, has_ended, world, LIMIT))
		fail_msg("the test hangs: something waits for ever");
}

int core_teardown(void **state)
{
	struct core_world *world = *state;

	/* After a failure what is under way is left to the end of the process. */
	if (!world->ended)
		return 0;
	executor_virtual_run_ready(world->virtual);
	for (int i = 0; i < CORE_NODES; i++) {
		disk_memory_destroy(world->nodes[i].disk);
		remove_journal(world->nodes[i].directory);
	}
	assert_int_equal(rmdir(world->directory), 0);
	fiber_pool_destroy(world->fibers);
	objstore_destroy(&world->memory->store);
	executor_virtual_destroy(world->virtual);
	free(world);
	return 0;
}

void core_load(struct core_node *node)
{
	struct error error = ERROR_INIT;
	struct upload_capabilities *can;

	CHECK(!node->vfs);
	node->dead = false;
	node->env = (struct env){
		.executor = node->world->executor,
		.disk = &node->disk->disk,
		.store = &node->store,
		.sizes = &sizes_usual,
		.random = random_number,
		.random_context = node,
	};
	node->env.fibers = fiber_pool_create(node->env.executor, FIBERS, STACK);
	assert_non_null(node->env.fibers);
	if (journal_open(&node->env.journal, node->env.executor, node->directory, "volume",
			 &node->info, &error))
		fail_msg("journal: %s", error.message);
	if (vfs_create_instance(&node->env, &node->config, &node->info, &node->vfs, &error))
		fail_msg("vfs: %s", error.message);
	can = &vfs_uploader(node->vfs)->can;
	if (!node->no_conditions)
		*can = (struct upload_capabilities){.put_if_none_match = true,
						    .put_if_match = true,
						    .complete = true,
						    .copy = true,
						    .delete = true};
}

void core_start(struct core_node *node)
{
	core_load(node);
	vfs_recover(node->vfs);
}

/* Until every fiber of the node has ended. */
static void wind_down(struct core_node *node)
{
	unsigned turn = 0;

	while (fiber_pool_alive(node->env.fibers) > 0 || !list_empty(&node->calls)) {
		core_sleep(node->world, turn < 100 ? NSEC_PER_MSEC : 10 * NSEC_PER_SEC);
		if (turn++ > 1000)
			fail_msg("node %s does not come to rest", node->name);
	}
}

static void end_node(struct core_node *node, bool clean)
{
	/* They may use handles to their end. */
	while (node->spawned > 0)
		core_sleep(node->world, 10 * NSEC_PER_MSEC);
	for (int i = 0; i < CORE_HANDLES; i++) {
		if (node->handles[i])
			vfs_release(node->handles[i]);
		node->handles[i] = NULL;
	}
	wind_down(node);
	vfs_destroy_instance(node->vfs);
	node->vfs = NULL;
	journal_close(node->env.journal, clean);
	node->env.journal = NULL;
	fiber_pool_destroy(node->env.fibers);
}

void core_stop(struct core_node *node)
{
	assert_int_equal(vfs_pending(node->vfs).files, 0);
	end_node(node, true);
}

static void copy_file(const char *from_directory, const char *to_directory, const char *name)
{
	char path[128], chunk[4096];
	FILE *from, *to;
	size_t got;

	snprintf(path, sizeof(path), "%s/%s", from_directory, name);
	from = fopen(path, "rb");
	if (!from)
		return;
	snprintf(path, sizeof(path), "%s/%s", to_directory, name);
	to = fopen(path, "wb");
	assert_non_null(to);
	while ((got = fread(chunk, 1, sizeof(chunk), from)) > 0)
		assert_int_equal(fwrite(chunk, 1, got, to), got);
	fclose(from);
	assert_int_equal(fclose(to), 0);
}

/* The log before the database: nobody writes to the log now, but it may be on its way into the
 * database, and then both have it. */
static void clone_journal(struct core_node *node, char directory[96])
{
	uint64_t last = journal_put_counters(node->env.journal, 0, 0, 0);

	while (!journal_is_committed(node->env.journal, last) && !journal_error(node->env.journal))
		usleep(50);
	snprintf(directory, sizeof(node->directory), "%s/%s-%u", node->world->directory, node->name,
		 ++node->incarnation);
	assert_int_equal(mkdir(directory, 0700), 0);
	copy_file(node->directory, directory, "journal.db-wal");
	copy_file(node->directory, directory, "journal.db");
}

/* What is left of the node goes on, cut off from the bucket and on a disk that nobody will look at,
 * until it has come to rest and can be freed. */
static void go_down(struct core_node *node, bool power_loss)
{
	struct disk_memory *disk = disk_memory_clone(node->disk, power_loss);
	char directory[sizeof(node->directory)];

	node->dead = true;
	clone_journal(node, directory);
	sqlite_shim_install();
	LIST_FOREACH (item, &node->calls) {
		struct node_call *call = container_of(item, struct node_call, link);

		objstore_cancel(&node->world->memory->store, &call->inner);
	}
	end_node(node, false);
	remove_journal(node->directory);
	memcpy(node->directory, directory, sizeof(directory));
	disk_memory_destroy(node->disk);
	node->disk = disk;
}

void core_crash_only(struct core_node *node)
{
	go_down(node, false);
}

void core_crash(struct core_node *node)
{
	go_down(node, false);
	core_start(node);
}

void core_power_loss(struct core_node *node)
{
	char path[128];

	go_down(node, true);
	snprintf(path, sizeof(path), "%s/journal.db", node->directory);
	assert_int_equal(sqlite_shim_execute(path, "UPDATE state SET boot_id = 'other'"), 0);
	core_start(node);
}

void core_stop_journal(struct core_node *node)
{
	uint64_t last = journal_put_counters(node->env.journal, 0, 0, 0);
	struct sqlite_shim *shim;

	assert_int_equal(journal_wait(node->env.journal, last, JOURNAL_COMMITTED), 0);
	shim = sqlite_shim_install();
	atomic_store(&shim->write_error, SHIM_IO_ERROR);
	atomic_store(&shim->log_writes_left, 0);
}

void core_sleep(struct core_world *world, uint64_t ns)
{
	fiber_sleep_until(executor_monotonic(world->executor) + ns, WAIT_PLAIN);
}

struct spawn {
	struct core_node *node;
	void (*entry)(void *argument);
	void *argument;
};

static void spawned_fiber(void *argument)
{
	struct spawn spawn = *(struct spawn *)argument;

	free(argument);
	spawn.entry(spawn.argument);
	spawn.node->spawned--;
}

void core_spawn(struct core_node *node, void (*entry)(void *argument), void *argument)
{
	struct spawn *spawn = malloc(sizeof(*spawn));

	assert_non_null(spawn);
	*spawn = (struct spawn){node, entry, argument};
	node->spawned++;
	assert_int_equal(fiber_start(node->env.fibers, spawned_fiber, spawn), 0);
}

void core_drain(struct core_node *node)
{
	for (int turn = 0; vfs_pending(node->vfs).files > 0; turn++) {
		if (turn > 1000)
			fail_msg("node %s has files that do not reach S3", node->name);
		vfs_sync(node->vfs, VFS_ROOT, env_after(&node->env, NSEC_PER_SEC));
		core_sleep(node->world, NSEC_PER_SEC);
	}
	wind_down(node);
}

void core_hold(struct core_world *world, int op, const char *key)
{
	world->hold_op = op;
	world->hold_key = key;
}

void core_await_held(struct core_world *world)
{
	for (int turn = 0; !world->memory->held; turn++) {
		if (turn > 360000)
			fail_msg("no request of kind %d came", world->hold_op);
		core_sleep(world, 10 * NSEC_PER_MSEC);
	}
}

void core_hold_no_more(struct core_world *world)
{
	world->hold_op = HOLD_NOTHING;
}

void core_release(struct core_world *world)
{
	core_hold_no_more(world);
	objstore_memory_release(world->memory);
}

void core_interfere(struct core_world *world, int op, void (*interfere)(struct core_world *world))
{
	world->before_op = op;
	world->interfere = interfere;
}

unsigned core_requests(const struct core_node *node)
{
	unsigned sum = 0;

	for (int i = 0; i < MEMORY_OPS; i++)
		sum += node->count[i];
	return sum;
}

void core_zero(struct core_node *node)
{
	memset(node->count, 0, sizeof(node->count));
}

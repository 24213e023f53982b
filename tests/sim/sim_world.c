#include "tests/sim/sim_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/log.h"
#include "fs/vfs/inode.h"
#include "tests/unit/memory_operations.h"

enum { FIBERS = 512, STACK = 128 << 10, DATABASE_MAX = 1 << 20 };
#define WALL_AT_START (1700000000 * (int64_t)NSEC_PER_SEC)
#define HANGS	      (UINT64_C(100000) * NSEC_PER_SEC)
#define STEPS_LIMIT   100000UL /* of tasks and timers in one run: none needs half of it */

const struct sizes sim_sizes_small = {
	.put_max = 12 << 10,
	.part_min = 4 << 10,
	.part_unit = 256,
	.copy_max = 24 << 10,
	.copy_part = 12 << 10,
	.stream_after = 24 << 10,
	.whole_max = 10 << 10,
	.range = 8 << 10,
	.ahead = 16 << 10,
};

const struct sizes sim_sizes_tiny = {
	.put_max = 400,
	.part_min = 128,
	.part_unit = 16,
	.copy_max = 1000,
	.copy_part = 400,
	.stream_after = 800,
	.whole_max = 300,
	.range = 256,
	.ahead = 512,
};

uint64_t sim_random(void *context)
{
	struct sim_world *world = context;
	uint64_t value = world->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

uint64_t sim_draw(struct sim_world *world, uint64_t below)
{
	return sim_random(world) % below;
}

static void trace(const struct sim_node *node, unsigned call, const char *key)
{
	static const char *const names[SIM_CALLS] = {
		"create",    "write",	 "truncate",	"punch",   "sync",	"remove",
		"db create", "db write", "db truncate", "db sync", "db remove",
	};

	if (!node->world->trace)
		return;
	printf("%10.6f %s: %s %s\n",
	       (double)executor_monotonic(node->world->executor) / (double)NSEC_PER_SEC, node->name,
	       call < SIM_CALLS ? names[call] : os_op_name((enum os_op)(call - SIM_CALLS)),
	       key ? key : "");
}

static int before_disk(void *context, enum sim_call call)
{
	struct sim_node *node = context;
	enum sim_fate fate = SIM_ARRIVES;

	trace(node, call, NULL);
	return node->world->before ? node->world->before(node, call, &fate) : 0;
}

static enum sim_fate before_request(void *context, const struct os_request *request, int *err)
{
	struct sim_node *node = context;
	enum sim_fate fate = SIM_ARRIVES;
	int failure = 0;

	trace(node, SIM_CALLS + (unsigned)request->op,
	      request->key ? request->key : request->prefix);
	if (node->world->before)
		failure = node->world->before(node, SIM_CALLS + (unsigned)request->op, &fate);
	if (failure)
		*err = failure;
	return fate;
}

static uint64_t draw_for_node(void *context)
{
	return sim_random(((struct sim_node *)context)->world);
}

static void use_database(struct sim_disk *disk, const char *path)
{
	static char bytes[DATABASE_MAX];
	struct sim_file *file = sim_disk_add(disk, SIM_NAME(SIM_NAME_DATABASE));
	FILE *stream = fopen(path, "rb");
	size_t len;

	CHECK(stream != NULL);
	len = fread(bytes, 1, sizeof(bytes), stream);
	CHECK(len > 0 && len < sizeof(bytes));
	fclose(stream);
	sim_file_write(file, bytes, len, 0);
	sim_file_sync(file);
}

/* As the product makes it, in a real file: creation has tests of its own. */
static struct sim_disk *make_blank(struct executor *executor)
{
	struct sim_disk *disk = sim_disk_create(executor);
	struct journal_host host = {.turns = true, .boot_id = "none"};
	struct error error = ERROR_INIT;
	struct journal_info info;
	struct journal *journal;
	char directory[] = "/var/tmp/s3mount-sim.XXXXXX", path[64];

	CHECK(mkdtemp(directory) != NULL);
	if (journal_open_on(&journal, executor, &host, directory, "volume", &info, &error)) {
		fprintf(stderr, "sim: %s\n", error.message);
		exit(2);
	}
	journal_close(journal, true);
	snprintf(path, sizeof(path), "%s/journal.db", directory);
	use_database(disk, path);
	unlink(path);
	rmdir(directory);
	return disk;
}

static void node_init(struct sim_world *world, unsigned number)
{
	static const char *const names[SIM_NODES] = {"one", "two", "three"};
	struct sim_node *node = &world->nodes[number];

	node->world = world;
	node->name = names[number];
	node->config = (struct vfs_config){
		.volume = "bucket",
		.prefix = "",
		.node = node->name,
		.defaults = {1000, 1000, 0644, 0755},
		.close = PUBLISH_S3,
		.fsync = PUBLISH_S3,
		.conflict = CONFLICT_KEEP_BOTH,
		.attr_timeout = NSEC_PER_SEC,
		.cache_limit = UINT64_C(1) << 30,
		.dirty_limit = UINT64_C(1) << 29,
		.part_size = world->sizes->part_min + world->sizes->part_min / 4,
		.parallel = 32,
	};
}

struct sim_world *sim_world_create(void)
{
	struct sim_world *world = calloc(1, sizeof(*world));

	CHECK(world != NULL);
	log_set_level(getenv("CORE_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	if (!getenv("CORE_LOG"))
		CHECK(log_open("sim", LOG_TARGET_FILE, "/dev/null", LOG_LEVEL_ERROR) == 0);
	world->virtual = executor_virtual_create(WALL_AT_START);
	CHECK(world->virtual != NULL);
	world->executor = executor_virtual_executor(world->virtual);
	world->fibers = fiber_pool_create(world->executor, FIBERS, STACK);
	CHECK(world->fibers != NULL);
	world->memory = objstore_memory_create(world->executor);
	world->blank = make_blank(world->executor);
	sim_sqlite_install();
	return world;
}

static void drop_disks(struct sim_world *world)
{
	for (unsigned i = 0; i < SIM_NODES; i++) {
		CHECK(!world->nodes[i].vfs);
		if (world->nodes[i].disk)
			sim_disk_destroy(world->nodes[i].disk);
		world->nodes[i].disk = NULL;
	}
}

void sim_world_destroy(struct sim_world *world)
{
	drop_disks(world);
	sim_disk_destroy(world->blank);
	objstore_destroy(&world->memory->store);
	fiber_pool_destroy(world->fibers);
	executor_virtual_destroy(world->virtual);
	free(world);
}

void sim_reset(struct sim_world *world, uint64_t seed, const struct sizes *sizes)
{
	drop_disks(world);
	world->random = seed;
	sim_set_wall(world, WALL_AT_START);
	world->sizes = sizes;
	world->memory->part_size_min = sizes->part_min;
	memory_bucket_free(&world->memory->bucket);
	for (unsigned i = 0; i < SIM_NODES; i++) {
		node_init(world, i);
		world->nodes[i].disk = sim_disk_copy(world->blank, SIM_KEEP, NULL, NULL);
		world->nodes[i].journal_pause = 0;
		world->nodes[i].boots = 1;
	}
}

struct running {
	void (*body)(void *argument);
	void *argument;
	bool ended;
	unsigned long steps;
};

static void run_body(void *argument)
{
	struct running *running = argument;

	running->body(running->argument);
	running->ended = true;
}

static bool has_ended(void *context)
{
	struct running *running = context;

	/* In circles time need not go by. */
	return running->ended || ++running->steps > STEPS_LIMIT;
}

bool sim_run(struct sim_world *world, void (*body)(void *argument), void *argument)
{
	struct running running = {body, argument, false, 0};

	CHECK(fiber_start(world->fibers, run_body, &running) == 0);
	executor_virtual_run_until(world->virtual, has_ended, &running, HANGS);
	return running.ended;
}

void sim_sleep(struct sim_world *world, uint64_t ns)
{
	fiber_sleep_until(executor_monotonic(world->executor) + ns, WAIT_PLAIN);
}

void sim_set_wall(struct sim_world *world, int64_t wall)
{
	executor_virtual_shift_wall(world->virtual, wall - executor_wall(world->executor));
}

int sim_node_load(struct sim_node *node, struct error *error)
{
	char boot_id[32];
	struct journal_host host = {.file_layer = "sim",
				    .boot_id = boot_id,
				    .turns = true,
				    .pause = node->journal_pause};
	int err;

	CHECK(!node->vfs);
	snprintf(boot_id, sizeof(boot_id), "boot-%llu", (unsigned long long)node->boots);
	sim_sqlite_attach(node->disk, node->directory);
	sim_store_init(&node->store, node->world->memory, draw_for_node, node);
	node->store.fate = before_request;
	node->disk->before = before_disk;
	node->disk->context = node;
	node->env = (struct env){
		.executor = node->world->executor,
		.fibers = node->fibers ? node->fibers : node->world->fibers,
		.disk = &node->disk->disk,
		.store = &node->store.store,
		.sizes = node->world->sizes,
		.random = draw_for_node,
		.random_context = node,
	};
	err = journal_open_on(&node->env.journal, node->env.executor, &host, node->directory,
			      "volume", &node->info, error);
	if (!err) {
		err = vfs_create_instance(&node->env, &node->config, &node->info, &node->vfs,
					  error);
		if (err)
			journal_close(node->env.journal, false);
	}
	if (err) {
		sim_sqlite_detach(node->directory);
		return err;
	}
	node->vfs->copy_least = 1; /* files are small here */
	vfs_uploader(node->vfs)->can = (struct upload_capabilities){
		.put_if_none_match = true,
		.put_if_match = true,
		.complete = true,
		.copy = true,
		.delete = true,
	};
	return 0;
}

bool sim_node_drain(struct sim_node *node, uint64_t limit)
{
	uint64_t until = env_after(&node->env, limit);

	while (vfs_pending(node->vfs).files > 0) {
		if (env_now(&node->env) > until)
			return false;
		vfs_sync(node->vfs, VFS_ROOT, env_after(&node->env, NSEC_PER_SEC));
		sim_sleep(node->world, 100 * NSEC_PER_MSEC);
	}
	return true;
}

void sim_evict(struct sim_node *node)
{
	struct cache *cache = &node->vfs->cache;
	uint64_t limit = cache->limit;

	cache->limit = 0;
	cache_make_room(cache, 0);
	cache->limit = limit;
}

bool sim_wind_down(struct sim_world *world, unsigned own)
{
	enum { TURNS = 2000 };
	unsigned turn = 0, unfinished;

	do {
		unfinished = 0;
		for (unsigned i = 0; i < SIM_NODES; i++)
			if (world->nodes[i].vfs)
				unfinished += world->nodes[i].store.unfinished;
		if (fiber_pool_alive(world->fibers) <= own && unfinished == 0)
			return true;
		sim_sleep(world, turn < 20 ? NSEC_PER_MSEC : 10 * NSEC_PER_SEC);
	} while (turn++ < TURNS);
	return false;
}

void sim_node_end(struct sim_node *node, bool clean)
{
	node->disk->before = NULL; /* it has ended: nothing of this can fail or be cut off */
	vfs_destroy_instance(node->vfs);
	node->vfs = NULL;
	journal_close(node->env.journal, clean);
	sim_sqlite_detach(node->directory);
}

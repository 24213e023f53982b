#include "tests/sim/sim_nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "tests/sim/sim_play.h"
#include "tests/sim/sim_stamps.h"
#include "tests/unit/vfs_path.h"

/* Longer than any call may take: two waits for a publication and one for room. */
#define CALL_MAX    (700 * NSEC_PER_SEC)
#define DRAIN_LIMIT (3000 * NSEC_PER_SEC)
#define LATE_MAX    (20 * NSEC_PER_SEC)
enum {
	FILES = 3,
	MOUNTS_MAX = 12, /* one after each crash, and those that are left of the dead */
	PROGRAMS = 2,	 /* on each node */
	LANDINGS_MAX = 64,
	FIBERS = 128,
	STACK = 128 << 10,
	DATA_MAX = STAMPS_MAX * STAMP_LINE_MAX,
};

static const char *const names[FILES] = {"f", "g", "d/h"};
static const struct vfs_caller caller = {1000, 1000, 42};

/* One process of s3mount. After a crash it goes on as a ghost, on a disk that nobody looks at and
 * cut off from the bucket, until it has come to rest. */
struct mount {
	struct sim_node node; /* first */
	struct run *run;
	struct fiber_pool *fibers;
	int slot; /* which node */
	bool dead, recovered, ended;
	unsigned programs;
	bool busy[FILES]; /* programs of one node take turns, as with flock(2) */
};

struct landing {
	struct run *run;
	struct sim_flight *flight; /* NULL: it has landed */
	struct timer timer;
};

struct run {
	struct sim_world *world;
	struct mount mounts[MOUNTS_MAX];
	unsigned mount_count;
	struct mount *nodes[SIM_NODES]; /* the living */
	int node_count;
	bool client, client_ended;	     /* another S3 client writes as well */
	unsigned steps;			     /* left, of all programs together */
	unsigned crash_chance, fault_chance; /* of 1,000 */
	bool power, power_lost;
	bool calm; /* nothing fails any more */
	struct sim_stamps stamps;
	struct landing landings[LANDINGS_MAX];
	unsigned landing_count;
	struct sim_verdict verdict;
	bool verbose;
};

static void say(struct run *run, const char *text)
{
	if (!run->verdict.ok)
		return;
	run->verdict.ok = false;
	snprintf(run->verdict.text, sizeof(run->verdict.text), "%s", text);
}

static bool chance(struct run *run, unsigned of_thousand)
{
	return sim_draw(run->world, 1000) < of_thousand;
}

/* Which lines each object has now. */
static void show(const struct run *run)
{
	const struct memory_bucket *bucket = &run->world->memory->bucket;

	for (size_t i = 0; run->verbose && i < bucket->object_count; i++) {
		const struct memory_object *object = bucket->objects[i];

		printf("   %s:", object->key);
		for (size_t at = 0; at + 6 < object->size; at++)
			if (object->data[at] == 's')
				printf(" %d", atoi((const char *)object->data + at + 1));
		printf("\n");
	}
}

/* ---- what programs do ---- */

static int open_file(struct mount *mount, const char *path, int flags, struct vfs_handle **handle)
{
	struct vfs *vfs = mount->node.vfs;
	struct stat found;
	const char *name;
	uint64_t parent;
	bool keep;
	int err = vfs_path_parent(vfs, caller, path, &parent, &name);

	if (err == -ENOENT) { /* its directory */
		err = vfs_make(vfs, caller, VFS_ROOT, "d", S_IFDIR | 0755, 0, NULL, &found);
		if (!err)
			vfs_forget(vfs, found.st_ino, 1);
		if (!err || err == -EEXIST)
			err = vfs_path_parent(vfs, caller, path, &parent, &name);
	}
	if (err)
		return err;
	err = vfs_path_look(vfs, caller, parent, name, &found);
	if (!err)
		return vfs_open(vfs, caller, found.st_ino, flags, handle, &keep);
	if (err != -ENOENT || (flags & O_ACCMODE) == O_RDONLY)
		return err;
	err = vfs_create(vfs, caller, parent, name, 0644, flags | O_CREAT, handle, &found);
	if (!err)
		vfs_forget(vfs, found.st_ino, 1);
	return err;
}

static ssize_t read_all(struct vfs_handle *handle, char *data)
{
	size_t len = 0;
	ssize_t got;

	while ((got = vfs_read(handle, data + len, DATA_MAX - len, len)) > 0)
		len += (size_t)got;
	return got < 0 ? got : (ssize_t)len;
}

static int write_all(struct vfs_handle *handle, const char *data, size_t len)
{
	ssize_t got = vfs_write(handle, data, len, 0);

	return got < 0 ? (int)got : (size_t)got == len ? 0 : -EIO;
}

/* Adds a line. What was acknowledged before the process died is promised. */
static int change_open(struct mount *mount, struct vfs_handle *handle, bool append, char *data)
{
	struct run *run = mount->run;
	const struct vfs_config *config = &mount->node.config;
	ssize_t len = append ? 0 : read_all(handle, data);
	unsigned number;
	int err;

	if (len < 0)
		return (int)len;
	if (chance(run, 300))
		sim_sleep(run->world, sim_draw(run->world, 100 * NSEC_PER_MSEC));
	if (mount->dead || run->stamps.count == STAMPS_MAX)
		return -ENOTCONN;
	number = sim_stamp_new(&run->stamps, mount->slot);
	len += (ssize_t)sim_stamp_line(number, data + len);
	err = write_all(handle, data, (size_t)len);
	if (run->verbose)
		printf("   line %u by %s: %d\n", number, mount->node.name, err);
	if (err || mount->dead)
		return err;
	sim_stamp_promise(&run->stamps, number, STAMP_WRITTEN);
	if (chance(run, 300) && vfs_fsync(handle) == 0 && !mount->dead)
		sim_stamp_promise(&run->stamps, number,
				  config->fsync == PUBLISH_S3 ? STAMP_IN_S3 : STAMP_SYNCED);
	err = vfs_flush(handle);
	if (!err && !mount->dead && config->close == PUBLISH_S3)
		sim_stamp_promise(&run->stamps, number, STAMP_IN_S3);
	return err;
}

static bool may_return(const struct mount *mount, int err)
{
	const struct run *run = mount->run;

	if (!err || err == -ESTALE || mount->dead)
		return true;
	/* Others may have replaced what it was about to open. */
	if (err == -ENOENT)
		return run->node_count > 1 || run->client || run->fault_chance > 0;
	return run->fault_chance > 0;
}

static void change(struct mount *mount)
{
	struct run *run = mount->run;
	int file = (int)sim_draw(run->world, FILES);
	bool append = chance(run, 500);
	uint64_t begin = env_now(&mount->node.env);
	struct vfs_handle *handle;
	char text[120], *data;
	int err;

	if (mount->busy[file])
		return;
	mount->busy[file] = true;
	data = malloc(DATA_MAX + STAMP_LINE_MAX);
	CHECK(data != NULL);
	err = open_file(mount, names[file], append ? O_WRONLY | O_APPEND : O_RDWR, &handle);
	if (!err) {
		err = change_open(mount, handle, append, data);
		vfs_release(handle);
	}
	free(data);
	mount->busy[file] = false;
	show(run);
	if (!may_return(mount, err)) {
		snprintf(text, sizeof(text), "%s of %s gave %s", append ? "append" : "change",
			 names[file], strerror(-err));
		say(run, text);
	}
	if (!mount->dead && env_now(&mount->node.env) - begin > CALL_MAX * 5)
		say(run, "a program takes too long");
}

static void program(void *argument)
{
	struct mount *mount = argument;
	struct run *run = mount->run;

	while (run->steps > 0 && !mount->dead) {
		run->steps--;
		change(mount);
		sim_sleep(run->world,
			  sim_draw(run->world, (chance(run, 700) ? 30 : 3000) * NSEC_PER_MSEC));
	}
	mount->programs--;
}

static void recover_and_work(void *argument)
{
	struct mount *mount = argument;

	vfs_recover(mount->node.vfs);
	mount->recovered = true;
	for (int i = 0; i < PROGRAMS && !mount->dead; i++) {
		mount->programs++;
		CHECK(fiber_start(mount->fibers, program, mount) == 0);
	}
}

/* ---- another client, which keeps metadata at times ---- */

static int take(void *context, const void *data, size_t len, uint64_t offset)
{
	memcpy((char *)context + offset, data, len);
	return 0;
}

static void client_change(struct run *run, struct env *env, char *data)
{
	const char *key = names[sim_draw(run->world, FILES)];
	struct os_request get = {.op = OS_GET, .key = key, .sink = {take, data}};
	struct os_request put = {.op = OS_PUT, .key = key};
	struct os_memory body;
	unsigned number;
	bool keeps;
	int err = env_s3(env, &get);

	if (err && err != -ENOENT) {
		say(run, "the other client cannot read");
		return;
	}
	sim_sleep(run->world, sim_draw(run->world, 50 * NSEC_PER_MSEC));
	number = sim_stamp_new(&run->stamps, SIM_NODES);
	body.data = data;
	body.len = (err ? 0 : get.result.size);
	body.len += sim_stamp_line(number, data + body.len);
	put.body = os_source_memory(&body);
	put.condition.if_none_match_any = err != 0;
	put.condition.if_match = err ? NULL : get.result.etag;
	/* Not over an attempt whose end its node does not know: docs/reliability.md, where less
	 * holds. */
	keeps = run->crash_chance == 0 && run->fault_chance == 0 && chance(run, 500);
	put.meta = !err && keeps ? &get.result.meta : NULL;
	if (env_s3(env, &put) == 0)
		sim_stamp_promise(&run->stamps, number, STAMP_IN_S3);
	if (run->verbose)
		printf("   line %u of %s by the other client: %d\n", number, key, put.result.err);
	show(run);
	os_request_free_result(&put);
	os_request_free_result(&get);
}

static uint64_t draw_for_client(void *world)
{
	return sim_random(world);
}

static void client(void *argument)
{
	struct run *run = argument;
	struct sim_store store;
	struct env env = {.executor = run->world->executor,
			  .fibers = run->world->fibers,
			  .store = &store.store,
			  .random = sim_random,
			  .random_context = run->world};
	char *data = malloc(DATA_MAX + STAMP_LINE_MAX);

	CHECK(data != NULL);
	sim_store_init(&store, run->world->memory, draw_for_client, run->world);
	while (run->steps > 0 && run->stamps.count < STAMPS_MAX) {
		client_change(run, &env, data);
		sim_sleep(run->world, sim_draw(run->world, 1500 * NSEC_PER_MSEC));
	}
	free(data);
	run->client_ended = true;
}

/* ---- faults and crashes ---- */

static int at_call(struct sim_node *node, unsigned call, enum sim_fate *fate)
{
	static const struct {
		int err;
		enum sim_fate fate;
	} faults[] = {{-EIO, SIM_REFUSED},
		      {-EBUSY, SIM_REFUSED},
		      {-ETIMEDOUT, SIM_LOST},
		      {-ETIMEDOUT, SIM_REPLY_LOST},
		      {-ETIMEDOUT, SIM_LATE}};
	struct mount *mount = (struct mount *)node;
	struct run *run = mount->run;
	size_t which;

	if (call < SIM_CALLS)
		return 0;
	if (mount->dead) {
		*fate = SIM_LOST;
		return -EHOSTUNREACH;
	}
	if (run->calm || !chance(run, run->fault_chance))
		return 0;
	which = sim_draw(run->world, sizeof(faults) / sizeof(faults[0]));
	*fate = faults[which].fate;
	return faults[which].err;
}

static void land(struct timer *timer)
{
	struct landing *landing = container_of(timer, struct landing, timer);

	sim_flight_land(landing->flight, landing->run->world->memory);
	sim_flight_free(landing->flight);
	landing->flight = NULL;
}

/* What was on its way to the bucket gets there at once, later, or never. */
static void place_flights(struct run *run, struct sim_flight *flight)
{
	struct sim_world *world = run->world;

	while (flight) {
		struct sim_flight *next = flight->next;
		uint64_t fate = sim_draw(world, 3);
		struct landing *landing = &run->landings[run->landing_count];

		if (fate == 1)
			sim_flight_land(flight, world->memory);
		if (fate == 2 && run->landing_count < LANDINGS_MAX) {
			landing->run = run;
			landing->flight = flight;
			timer_init(&landing->timer, land);
			timer_set(world->executor, &landing->timer,
				  executor_monotonic(world->executor) +
					  sim_draw(world, LATE_MAX) / (1 + sim_draw(world, 2000)));
			run->landing_count++;
		} else {
			sim_flight_free(flight);
		}
		flight = next;
	}
}

static void start_mount(struct run *run, int slot, struct sim_disk *disk, uint64_t boots)
{
	struct mount *mount = &run->mounts[run->mount_count++];
	struct sim_node *like = &run->world->nodes[slot];
	struct error error = ERROR_INIT;

	mount->node = *like;
	mount->node.disk = disk;
	mount->node.boots = boots;
	mount->node.fibers = mount->fibers;
	mount->run = run;
	mount->slot = slot;
	run->nodes[slot] = mount;
	if (run->verbose)
		printf("-- %s starts\n", mount->node.name);
	if (sim_node_load(&mount->node, &error)) {
		say(run, error.message);
		mount->ended = true;
		return;
	}
	CHECK(fiber_start(mount->fibers, recover_and_work, mount) == 0);
}

static void crash(struct run *run, struct mount *mount)
{
	struct sim_world *world = run->world;
	bool power = run->power && chance(run, 400);
	enum sim_loss loss = power ? SIM_DROP + (enum sim_loss)sim_draw(world, SIM_LOSSES - 1)
				   : SIM_KEEP;
	struct sim_disk *disk = sim_disk_copy(mount->node.disk, loss, sim_random, world);
	struct sim_flight *flights = sim_store_flights(&mount->node.store);

	if (run->verbose)
		printf("-- %s %s\n", mount->node.name, power ? "loses power" : "is killed");
	mount->dead = true;
	if (power) {
		sim_stamps_lose(&run->stamps, mount->slot);
		run->power_lost = true;
	}
	place_flights(run, flights);
	if (chance(run, 500))
		sim_sleep(world, sim_draw(world, 5 * NSEC_PER_SEC));
	start_mount(run, mount->slot, disk, mount->node.boots + power);
}

/* ---- one run ---- */

static void set_up(struct run *run)
{
	struct sim_world *world = run->world;

	run->node_count = 1 + (int)sim_draw(world, SIM_NODES);
	run->client = chance(run, 400);
	run->steps = 20 + (unsigned)sim_draw(world, 100);
	run->crash_chance = chance(run, 600) ? 150 : 0;
	run->fault_chance = chance(run, 600) ? 10 + (unsigned)sim_draw(world, 90) : 0;
	run->power = chance(run, 300);
	for (int i = 0; i < run->node_count; i++) {
		struct sim_node *node = &world->nodes[i];
		struct sim_disk *disk = node->disk;

		node->config.close = chance(run, 500) ? PUBLISH_S3 : PUBLISH_LOCAL;
		node->config.fsync = chance(run, 500) ? PUBLISH_S3 : PUBLISH_LOCAL;
		node->journal_pause = chance(run, 300) ? 700000 : 0;
		node->disk = NULL; /* the mount's */
		start_mount(run, i, disk, 1);
	}
	if (run->client)
		CHECK(fiber_start(world->fibers, client, run) == 0);
}

static bool is_at_rest(const struct mount *mount)
{
	return mount->ended ||
	       (fiber_pool_alive(mount->fibers) == 0 && mount->node.store.unfinished == 0);
}

static void end_mount(struct mount *mount)
{
	if (!mount->ended)
		sim_node_end(&mount->node, false);
	mount->ended = true;
}

/* Ghosts go as soon as they can. True: all of them have gone, and the living are at rest. */
static bool settle(struct run *run)
{
	bool rest = true;

	for (unsigned i = 0; i < run->mount_count; i++) {
		struct mount *mount = &run->mounts[i];

		rest = is_at_rest(mount) && rest;
		if (mount->dead && is_at_rest(mount))
			end_mount(mount);
	}
	for (unsigned i = 0; i < run->landing_count; i++)
		rest = rest && !run->landings[i].flight;
	return rest && (!run->client || run->client_ended);
}

static void come_to_rest(struct run *run)
{
	enum { TURNS = 4000 };
	unsigned turn = 0;

	while (!settle(run) && turn++ < TURNS)
		sim_sleep(run->world, turn < 100 ? 10 * NSEC_PER_MSEC : 2 * NSEC_PER_SEC);
	if (turn >= TURNS)
		say(run, "something does not come to an end");
}

static bool are_working(const struct run *run)
{
	for (int i = 0; i < run->node_count; i++)
		if (!run->nodes[i]->ended &&
		    (!run->nodes[i]->recovered || run->nodes[i]->programs > 0))
			return true;
	return run->client && !run->client_ended;
}

static void work(struct run *run)
{
	while (run->steps > 0 || are_working(run)) {
		sim_sleep(run->world, sim_draw(run->world, 300 * NSEC_PER_MSEC));
		if (run->steps == 0)
			run->calm = true;
		else if (run->mount_count < MOUNTS_MAX && chance(run, run->crash_chance))
			crash(run, run->nodes[sim_draw(run->world, (uint64_t)run->node_count)]);
	}
	run->calm = true;
}

/* ---- what is left ---- */

static const struct memory_object *object_of(const struct run *run, const char *key)
{
	return memory_bucket_find(&run->world->memory->bucket, key);
}

static void look_at(struct run *run, struct mount *mount, const struct memory_object *object,
		    char *data)
{
	struct vfs_handle *handle;
	char text[200];
	ssize_t len;
	int err = open_file(mount, object->key, O_RDONLY, &handle);

	if (err) {
		snprintf(text, sizeof(text), "%s cannot open %.80s: %s", mount->node.name,
			 object->key, strerror(-err));
		say(run, text);
		return;
	}
	len = read_all(handle, data);
	object = object_of(run, object->key);
	if (!object || len != (ssize_t)object->size ||
	    memcmp(data, object->data, (size_t)len) != 0) {
		snprintf(text, sizeof(text), "%s reads %zd bytes, and not the %zu of %.80s",
			 mount->node.name, len, object ? object->size : 0,
			 object ? object->key : "what has gone");
		say(run, text);
	}
	vfs_release(handle);
}

static void judge(struct run *run)
{
	const struct memory_bucket *bucket = &run->world->memory->bucket;
	char text[200], *data = malloc(DATA_MAX + STAMP_LINE_MAX);
	/* What a power loss brings back and is changed while S3 does not answer is kept beside. */
	bool alone = run->node_count == 1 && !run->client &&
		     !(run->power_lost && run->fault_chance > 0);

	CHECK(data != NULL);
	if (sim_stamps_check(&run->stamps, bucket, run->power_lost, text))
		say(run, text);
	if (bucket->upload_count > 0)
		say(run, "a multipart upload is left");
	for (size_t i = 0; i < bucket->object_count; i++) {
		const struct memory_object *object = bucket->objects[i];

		if (alone && strstr(object->key, ".conflict-"))
			say(run, "a conflict copy, and there was nobody else");
		if (object->key[strlen(object->key) - 1] == '/')
			continue;
		for (int slot = 0; slot < run->node_count && run->verdict.ok; slot++)
			look_at(run, run->nodes[slot], object, data);
	}
	free(data);
}

static void body(void *argument)
{
	struct run *run = argument;

	set_up(run);
	work(run);
	for (int i = 0; i < run->node_count; i++)
		if (!run->nodes[i]->ended && !sim_node_drain(&run->nodes[i]->node, DRAIN_LIMIT))
			say(run, "what is dirty does not reach S3");
	come_to_rest(run);
	sim_sleep(run->world,
		  60 * NSEC_PER_SEC); /* no name and no outage is remembered that long */
	if (run->verdict.ok)
		judge(run);
	come_to_rest(run);
	for (int i = 0; i < run->node_count; i++)
		end_mount(run->nodes[i]);
}

static void run_once(struct run *run, uint64_t seed)
{
	struct sim_world *world = run->world;
	char label[80];

	sim_reset(world, seed * 2 + 1);
	world->before = at_call;
	world->trace = run->verbose;
	run->verdict = (struct sim_verdict){true, ""};
	snprintf(label, sizeof(label), "--nodes 1 --seed %llu", (unsigned long long)seed);
	sim_set_where("the program", label);
	if (!sim_run(world, body, run)) {
		sim_violation("it hangs", label);
		exit(1);
	}
	world->before = NULL;
	if (!run->verdict.ok)
		sim_violation(run->verdict.text, label);
	for (unsigned i = 0; i < run->mount_count; i++)
		sim_disk_destroy(run->mounts[i].node.disk);
}

void sim_nodes(struct sim_world *world, uint64_t first, unsigned count, unsigned part,
	       unsigned parts, bool verbose, struct sim_counts *counts)
{
	static struct fiber_pool *pools[MOUNTS_MAX];
	struct run *run = calloc(1, sizeof(*run));

	CHECK(run != NULL);
	for (int i = 0; i < MOUNTS_MAX; i++) {
		pools[i] = fiber_pool_create(world->executor, FIBERS, STACK);
		CHECK(pools[i] != NULL);
	}
	for (unsigned i = part; i < count; i += parts) {
		memset(run, 0, sizeof(*run));
		for (int j = 0; j < MOUNTS_MAX; j++)
			run->mounts[j].fibers = pools[j];
		run->world = world;
		run->verbose = verbose;
		run_once(run, first + i);
		counts->histories++;
		counts->moments += run->mount_count;
		counts->states++;
		counts->violations += !run->verdict.ok;
	}
	for (int i = 0; i < MOUNTS_MAX; i++)
		fiber_pool_destroy(pools[i]);
	free(run);
}

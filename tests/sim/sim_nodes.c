#include "tests/sim/sim_nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "tests/sim/sim_errors.h"
#include "tests/sim/sim_play.h"
#include "tests/sim/sim_programs.h"

#define DRAIN_LIMIT (3000 * NSEC_PER_SEC)
enum { FIBERS = 128, STACK = 128 << 10 };

/* ---- faults and crashes ---- */

static bool is_of_parts(unsigned call)
{
	return call >= SIM_CALLS + OS_MPU_CREATE && call <= SIM_CALLS + OS_MPU_LIST_PARTS;
}

static int at_call(struct sim_node *node, unsigned call, enum sim_fate *fate)
{
	static const enum sim_fault faults[] = {FAULT_REQUEST_REFUSED, FAULT_REQUEST_BUSY,
						FAULT_REQUEST_LOST, FAULT_REPLY_LOST,
						FAULT_REQUEST_LATE};
	struct mount *mount = container_of(node, struct mount, node);
	struct run *run = mount->run;
	size_t which;

	if (call < SIM_CALLS)
		return 0;
	if (mount->dead) {
		*fate = SIM_LOST;
		/* It would look for uploads, and abort them, as long as it lasts: no rest for it.
		 */
		return is_of_parts(call) ? -EACCES : -EHOSTUNREACH;
	}
	if (run->calm || !run_chance(run, run->fault_chance))
		return 0;
	which = sim_draw(run->world, sizeof(faults) / sizeof(faults[0]));
	return sim_fault_apply(faults[which], fate);
}

/* What was on its way to the bucket gets there at once, later, or never. */
static void place_flights(struct run *run, struct sim_flight *flight)
{
	struct sim_world *world = run->world;

	while (flight) {
		struct sim_flight *next = flight->next;
		uint64_t fate = sim_draw(world, 3);

		if (fate == 1)
			sim_flight_land(flight, world->memory);
		if (fate == 2 && run->landing_count < LANDINGS_MAX) {
			sim_landing_set(&run->landings[run->landing_count++], flight, world->memory,
					world->executor, sim_random, world);
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
		sim_verdict_say(&run->verdict, error.message);
		mount->ended = true;
		return;
	}
	CHECK(fiber_start(mount->fibers, mount_work, mount) == 0);
}

static void crash(struct run *run, struct mount *mount)
{
	struct sim_world *world = run->world;
	bool power = run->power && run_chance(run, 400);
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
	if (run_chance(run, 500))
		sim_sleep(world, sim_draw(world, 5 * NSEC_PER_SEC));
	start_mount(run, mount->slot, disk, mount->node.boots + power);
}

/* ---- one run ---- */

static void set_up(struct run *run)
{
	struct sim_world *world = run->world;

	run->node_count = 1 + (int)sim_draw(world, SIM_NODES);
	run->client = run_chance(run, 400);
	run->steps = 20 + (unsigned)sim_draw(world, 100);
	run->crash_chance = run_chance(run, 600) ? 150 : 0;
	run->fault_chance = run_chance(run, 600) ? 10 + (unsigned)sim_draw(world, 90) : 0;
	run->power = run_chance(run, 300);
	for (int i = 0; i < run->node_count; i++) {
		struct sim_node *node = &world->nodes[i];
		struct sim_disk *disk = node->disk;

		node->config.close = run_chance(run, 500) ? PUBLISH_S3 : PUBLISH_LOCAL;
		node->config.fsync = run_chance(run, 500) ? PUBLISH_S3 : PUBLISH_LOCAL;
		node->journal_pause = run_chance(run, 300) ? 700000 : 0;
		node->disk = NULL; /* the mount's */
		start_mount(run, i, disk, 1);
	}
	if (run->client)
		CHECK(fiber_start(world->fibers, client_work, run) == 0);
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
		rest = rest && run->landings[i].arrived;
	return rest && (!run->client || run->client_ended);
}

static void come_to_rest(struct run *run)
{
	enum { TURNS = 4000 };
	unsigned turn = 0;

	while (!settle(run) && turn++ < TURNS)
		sim_sleep(run->world, turn < 100 ? 10 * NSEC_PER_MSEC : 2 * NSEC_PER_SEC);
	if (turn >= TURNS)
		sim_verdict_say(&run->verdict, "something does not come to an end");
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
		else if (run->mount_count < MOUNTS_MAX && run_chance(run, run->crash_chance))
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
	int err = program_open(mount, object->key, O_RDONLY, &handle);

	if (err) {
		snprintf(text, sizeof(text), "%s cannot open %.80s: %s", mount->node.name,
			 object->key, strerror(-err));
		sim_verdict_say(&run->verdict, text);
		return;
	}
	len = program_read(handle, data);
	object = object_of(run, object->key);
	if (!object || len != (ssize_t)object->size ||
	    memcmp(data, object->data, (size_t)len) != 0) {
		snprintf(text, sizeof(text), "%s reads %zd bytes, and not the %zu of %.80s",
			 mount->node.name, len, object ? object->size : 0,
			 object ? object->key : "what has gone");
		sim_verdict_say(&run->verdict, text);
	}
	vfs_release(handle);
}

static void judge(struct run *run)
{
	const struct memory_bucket *bucket = &run->world->memory->bucket;
	char text[200], *data = malloc(SHARED_DATA_MAX + STAMP_LINE_MAX);
	/* What a power loss brings back and is changed while S3 does not answer is kept beside. */
	bool alone = run->node_count == 1 && !run->client &&
		     !(run->power_lost && run->fault_chance > 0);

	CHECK(data != NULL);
	if (sim_stamps_check(&run->stamps, bucket, run->power_lost, text))
		sim_verdict_say(&run->verdict, text);
	if (bucket->upload_count > 0)
		sim_verdict_say(&run->verdict, "a multipart upload is left");
	for (size_t i = 0; i < bucket->object_count; i++) {
		const struct memory_object *object = bucket->objects[i];

		if (alone && strstr(object->key, ".conflict-"))
			sim_verdict_say(&run->verdict,
					"a conflict copy, and there was nobody else");
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
			sim_verdict_say(&run->verdict, "what is dirty does not reach S3");
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

	sim_reset(world, seed * 2 + 1, run->large ? &sim_sizes_tiny : &sim_sizes_small);
	world->before = at_call;
	world->trace = run->verbose;
	run->verdict = (struct sim_verdict){true, ""};
	snprintf(label, sizeof(label), "--nodes 1 --seed %llu%s", (unsigned long long)seed,
		 run->large ? " --large" : "");
	sim_set_where(label);
	if (!sim_run(world, body, run)) {
		sim_violation("it hangs", label);
		exit(1);
	}
	world->before = NULL;
	if (!run->verdict.ok)
		sim_violation(run->verdict.text, label);
	for (unsigned i = 0; i < run->mount_count; i++)
		sim_disk_destroy(run->mounts[i].node.disk);
	for (unsigned i = 0; i < run->landing_count; i++) {
		timer_cancel(world->executor, &run->landings[i].timer);
		sim_flight_free(run->landings[i].flight);
	}
}

void sim_nodes(struct sim_world *world, uint64_t first, unsigned count, unsigned part,
	       unsigned parts, bool large, bool verbose, struct sim_counts *counts)
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
		run->large = large;
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

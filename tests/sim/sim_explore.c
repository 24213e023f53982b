#include "tests/sim/sim_explore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "tests/sim/sim_play.h"

#define DRAIN_LIMIT (2000 * NSEC_PER_SEC)
enum { RECRASH_DEPTH = 2, RECRASH_WITHIN = 24, LANDINGS_MAX = 32 };

/* What is left when the node stops at one moment. */
struct moment {
	struct moment *next;
	int number;
	struct sim_disk *disk;
	struct memory_bucket bucket;
	struct sim_flight *flights;
	struct sim_progress progress;
	int64_t wall;
	bool power_lost; /* once already: less may be expected */
	int depth;
};

struct explorer {
	struct sim_world *world;
	struct sim_node *node;
	struct sim_history *history;
	const struct sim_options *options;
	struct sim_counts *counts;
	struct sim_player player;
	struct moment *moments, **tail;
	int seen; /* moments so far */
	unsigned stride_left;
	/* While recovering: */
	bool recovering, playing;
	const struct moment *from;
	bool power_lost;
	int calls, recrash_at;
	struct moment *recrash;
	int crash, image;		    /* of the state at hand */
	char known[SIM_PATHS][OS_ETAG_MAX]; /* of objects that were looked at */
	struct sim_verdict verdict;
};

static void set_where(const struct explorer *explorer)
{
	char label[360];

	snprintf(label, sizeof(label), "%s --crash %d --image %d", explorer->options->label,
		 explorer->crash, explorer->image);
	sim_set_where(label);
}

static void violation(struct explorer *explorer, const char *what)
{
	set_where(explorer);
	explorer->counts->violations++;
	sim_violation(what, NULL);
}

static struct moment *take_moment(struct explorer *explorer, int number)
{
	struct moment *moment = calloc(1, sizeof(*moment));

	CHECK(moment != NULL);
	moment->number = number;
	moment->disk = sim_disk_copy(explorer->node->disk, SIM_KEEP, NULL, NULL);
	moment->bucket = memory_bucket_copy(&explorer->world->memory->bucket);
	moment->flights = sim_store_flights(&explorer->node->store);
	moment->progress = explorer->player.progress;
	moment->wall = executor_wall(explorer->world->executor);
	return moment;
}

static void free_moment(struct moment *moment)
{
	while (moment->flights) {
		struct sim_flight *flight = moment->flights;

		moment->flights = flight->next;
		sim_flight_free(flight);
	}
	sim_disk_destroy(moment->disk);
	memory_bucket_free(&moment->bucket);
	free(moment);
}

static bool is_read(unsigned call)
{
	return call == SIM_CALLS + OS_HEAD || call == SIM_CALLS + OS_GET ||
	       call == SIM_CALLS + OS_LIST || call == SIM_CALLS + OS_MPU_LIST ||
	       call == SIM_CALLS + OS_MPU_LIST_PARTS;
}

/* At all times each object is the file as it was at one moment, whoever looks at it. Overwrites of
 * a synced file may be lost in part. */
static void look_at_objects(struct explorer *explorer)
{
	const struct memory_bucket *bucket = &explorer->world->memory->bucket;
	char text[100];

	if (explorer->power_lost && explorer->options->fsync == PUBLISH_LOCAL)
		return;
	for (size_t i = 0; i < bucket->object_count && i < SIM_PATHS; i++) {
		const struct memory_object *object = bucket->objects[i];

		if (strcmp(explorer->known[i], object->etag) == 0)
			continue;
		memcpy(explorer->known[i], object->etag, OS_ETAG_MAX);
		if (sim_check_known(explorer->history, object->data, object->size) ||
		    object->size == 0)
			continue;
		snprintf(text, sizeof(text), "the object %.40s is no version of a file",
			 object->key);
		sim_verdict_say(&explorer->verdict, text);
	}
}

/* Between two calls that change something a crash leaves the same: those that only ask are no
 * moments of their own. */
static int at_call(struct sim_node *node, unsigned call, enum sim_fate *fate)
{
	struct explorer *explorer = node->world->context;
	int wanted = explorer->options->only_crash;

	(void)fate;
	look_at_objects(explorer);
	if (is_read(call))
		return 0;
	if (explorer->recovering) {
		if (++explorer->calls == explorer->recrash_at) {
			explorer->recrash = take_moment(explorer, explorer->from->number);
			explorer->recrash->progress = explorer->from->progress;
			explorer->recrash->power_lost = explorer->power_lost;
			explorer->recrash->depth = explorer->from->depth + 1;
		}
		return 0;
	}
	if (!explorer->playing)
		return 0;
	explorer->seen++;
	if (explorer->stride_left-- > 1 && wanted < 0)
		return 0;
	explorer->stride_left = explorer->options->stride;
	if (wanted >= 0 && wanted != explorer->seen)
		return 0;
	*explorer->tail = take_moment(explorer, explorer->seen);
	explorer->tail = &(*explorer->tail)->next;
	explorer->counts->moments++;
	return 0;
}

static enum sim_loss loss_of(int image)
{
	switch (image) {
	case IMAGE_DROP: return SIM_DROP;
	case IMAGE_PREFIX: return SIM_PREFIX;
	case IMAGE_SUBSET: return SIM_SUBSET;
	case IMAGE_TORN_512: return SIM_TORN_512;
	case IMAGE_TORN_4K: return SIM_TORN_4K;
	default: return SIM_KEEP;
	}
}

/* Some take effect while the next mount recovers. */
static unsigned place_flights(struct explorer *explorer, const struct moment *moment, int image,
			      struct sim_landing *landings)
{
	struct sim_world *world = explorer->world;
	unsigned late = 0;

	for (struct sim_flight *flight = moment->flights; flight; flight = flight->next) {
		unsigned fate = image == IMAGE_KILL_NONE   ? 0
				: image == IMAGE_KILL_ALL  ? 1
				: image == IMAGE_KILL_LATE ? 2
							   : (unsigned)sim_draw(world, 3);

		if (fate == 1)
			sim_flight_land(flight, world->memory);
		if (fate != 2 || late == LANDINGS_MAX)
			continue;
		sim_landing_set(&landings[late], flight, world->memory, world->executor, sim_random,
				world);
		late++;
	}
	return late;
}

/* Everything is quiet and clean: what is there? */
static void judge(struct explorer *explorer, const struct sim_progress *progress, bool look_by_node)
{
	struct sim_arena arena = {NULL};
	struct sim_tree bucket, seen;
	const struct sim_options *options = explorer->options;
	const char *stray = sim_tree_from_bucket(&bucket, &explorer->world->memory->bucket, &arena);
	char text[200];

	look_at_objects(explorer);
	if (stray) {
		snprintf(text, sizeof(text), "the bucket has %s", stray);
		sim_verdict_say(&explorer->verdict, text);
	}
	if (explorer->world->memory->bucket.upload_count > 0)
		sim_verdict_say(&explorer->verdict, "a multipart upload is left");
	if (explorer->verdict.ok)
		explorer->verdict = sim_check(explorer->history, progress, &bucket,
					      explorer->power_lost,
					      options->fsync == PUBLISH_LOCAL);
	if (explorer->verdict.ok && look_by_node) {
		int err = sim_play_look(explorer->node, &seen, &arena);

		if (err)
			sim_verdict_say(&explorer->verdict, strerror(-err));
		else
			explorer->verdict = sim_check_same(&seen, &bucket);
	}
	sim_arena_free(&arena);
}

static void recover(struct explorer *explorer, const struct moment *moment)
{
	struct sim_node *node = explorer->node;
	struct error error = ERROR_INIT;

	if (sim_node_load(node, &error)) {
		sim_verdict_say(&explorer->verdict, error.message);
		return;
	}
	vfs_recover(node->vfs);
	if (!sim_node_drain(node, DRAIN_LIMIT))
		sim_verdict_say(&explorer->verdict, "what is dirty does not reach S3");
	/* Late requests are all there by then. */
	if (!sim_wind_down(node->world, 1))
		sim_verdict_say(&explorer->verdict, "something does not come to an end");
	explorer->recrash_at = 0;
	sim_sleep(node->world, SIM_LATE_MAX);
	judge(explorer, &moment->progress, sim_draw(node->world, 4) == 0);
	if (!sim_wind_down(node->world, 1))
		sim_verdict_say(&explorer->verdict, "something does not come to an end");
	sim_node_end(node, false);
}

struct state {
	struct explorer *explorer;
	const struct moment *moment;
	int image;
};

static void body_of_state(void *argument)
{
	struct state *state = argument;
	struct explorer *explorer = state->explorer;
	struct sim_world *world = explorer->world;
	const struct moment *moment = state->moment;
	struct sim_landing landings[LANDINGS_MAX];
	unsigned late;

	sim_disk_destroy(explorer->node->disk);
	explorer->node->disk = sim_disk_copy(moment->disk, loss_of(state->image), sim_random,
					     world);
	explorer->node->boots += loss_of(state->image) != SIM_KEEP;
	explorer->power_lost = moment->power_lost || loss_of(state->image) != SIM_KEEP;
	memory_bucket_free(&world->memory->bucket);
	world->memory->bucket = memory_bucket_copy(&moment->bucket);
	sim_set_wall(world, moment->wall);
	late = place_flights(explorer, moment, state->image, landings);
	recover(explorer, moment);
	for (unsigned i = 0; i < late; i++)
		timer_cancel(world->executor, &landings[i].timer);
}

static void hang(struct explorer *explorer)
{
	violation(explorer, "it hangs");
	exit(1); /* nothing of this world can be used again */
}

static void try_state(struct explorer *explorer, const struct moment *moment, int image)
{
	struct sim_world *world = explorer->world;
	struct state state = {explorer, moment, image};
	struct moment *recrash;
	uint64_t boots = explorer->node->boots;

	if (moment->depth == 0) {
		explorer->crash = moment->number;
		explorer->image = image;
		world->random = explorer->options->seed ^ (uint64_t)moment->number << 32 ^
				(uint64_t)(image + 1) << 56;
	}
	set_where(explorer);
	explorer->verdict = (struct sim_verdict){true, ""};
	explorer->from = moment;
	explorer->calls = 0;
	explorer->recrash = NULL;
	explorer->recrash_at = moment->depth < RECRASH_DEPTH
				       ? 1 + (int)sim_draw(world, RECRASH_WITHIN)
				       : 0;
	world->trace = explorer->options->verbose && explorer->options->only_crash >= 0;
	if (world->trace)
		printf("image %d of moment %d, depth %d, %d..%d\n", image, moment->number,
		       moment->depth, moment->progress.acknowledged, moment->progress.begun);
	if (!sim_run(world, body_of_state, &state))
		hang(explorer);
	explorer->counts->states++;
	if (!explorer->verdict.ok)
		violation(explorer, explorer->verdict.text);
	recrash = explorer->recrash;
	if (recrash) {
		explorer->counts->recrashed++;
		if (explorer->verdict.ok)
			try_state(explorer, recrash, (int)sim_draw(world, IMAGES));
		free_moment(recrash);
	}
	explorer->node->boots = boots;
}

static void body_of_history(void *argument)
{
	struct explorer *explorer = argument;
	struct sim_node *node = explorer->node;
	struct error error = ERROR_INIT;

	if (sim_node_load(node, &error)) {
		sim_verdict_say(&explorer->verdict, error.message);
		return;
	}
	vfs_recover(node->vfs);
	explorer->playing = true;
	for (int i = 0; i < explorer->history->count; i++) {
		int err = sim_play(&explorer->player, i);
		char step[100], text[200];

		if (!err == !explorer->history->fails[i])
			continue;
		sim_step_print(explorer->history, i, step, sizeof(step));
		snprintf(text, sizeof(text), "%s returned %d", step, err);
		sim_verdict_say(&explorer->verdict, text);
	}
	sim_player_end(&explorer->player);
	if (!sim_node_drain(node, DRAIN_LIMIT) || !sim_wind_down(node->world, 1))
		sim_verdict_say(&explorer->verdict, "it does not come to rest");
	explorer->power_lost = false;
	judge(explorer, &explorer->player.progress, true);
	if (!sim_wind_down(node->world, 1))
		sim_verdict_say(&explorer->verdict, "it does not come to rest");
	node->world->before = NULL;
	sim_node_end(node, false);
}

static void print_history(const struct sim_history *history)
{
	for (int i = 0; i < history->count; i++) {
		char step[100];

		sim_step_print(history, i, step, sizeof(step));
		printf("  %2d %s\n", i + 1, step);
	}
}

static void run_history(struct explorer *explorer)
{
	struct sim_world *world = explorer->world;

	sim_reset(world, explorer->options->seed, &sim_sizes_small);
	sim_put_base(world, explorer->history);
	explorer->node->config.close = explorer->options->close;
	explorer->node->config.fsync = explorer->options->fsync;
	explorer->node->journal_pause = explorer->options->journal_pause;
	explorer->stride_left = 1 + (unsigned)sim_draw(world, explorer->options->stride);
	world->before = at_call;
	world->context = explorer;
	explorer->crash = explorer->image = -1;
	explorer->verdict = (struct sim_verdict){true, ""};
	set_where(explorer);
	if (!sim_run(world, body_of_history, explorer))
		hang(explorer);
	if (!explorer->verdict.ok)
		violation(explorer, explorer->verdict.text);
}

void sim_explore(struct sim_world *world, struct sim_history *history,
		 const struct sim_options *options, struct sim_counts *counts)
{
	struct explorer explorer = {.world = world,
				    .node = &world->nodes[0],
				    .history = history,
				    .options = options,
				    .counts = counts};
	struct moment *moment;

	explorer.player = (struct sim_player){
		.node = explorer.node, .history = history, .exact = true};
	explorer.tail = &explorer.moments;
	if (options->verbose)
		print_history(history);
	run_history(&explorer);
	counts->histories++;
	explorer.recovering = true;
	world->before = at_call;
	while ((moment = explorer.moments)) {
		explorer.moments = moment->next;
		for (int image = 0; image < IMAGES; image++)
			if (options->only_image < 0 || options->only_image == image)
				try_state(&explorer, moment, image);
		free_moment(moment);
	}
	world->before = NULL;
}

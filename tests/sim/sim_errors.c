#include "tests/sim/sim_errors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "fs/vfs/inode.h"
#include "tests/sim/sim_memory.h"
#include "tests/sim/sim_play.h"

/* Longer than any call may take: two waits for a publication and one for room. */
#define CALL_MAX    (700 * NSEC_PER_SEC)
#define DRAIN_LIMIT (3000 * NSEC_PER_SEC)
enum { STATES_MAX = 256, RUNS_MAX = 5000 };

static const struct {
	const char *name;
	int err;
	enum sim_fate fate;
} faults[FAULTS] = {
	[FAULT_DISK_IO] = {"disk-io", -EIO, SIM_ARRIVES},
	[FAULT_DISK_FULL] = {"disk-full", -ENOSPC, SIM_ARRIVES},
	[FAULT_JOURNAL_IO] = {"journal-io", -EIO, SIM_ARRIVES},
	[FAULT_JOURNAL_FULL] = {"journal-full", -ENOSPC, SIM_ARRIVES},
	[FAULT_REQUEST_REFUSED] = {"request-refused", -EIO, SIM_REFUSED},
	[FAULT_REQUEST_DENIED] = {"request-denied", -EACCES, SIM_REFUSED},
	[FAULT_REQUEST_BUSY] = {"request-busy", -EBUSY, SIM_REFUSED},
	[FAULT_REQUEST_LOST] = {"request-lost", -ETIMEDOUT, SIM_LOST},
	[FAULT_REPLY_LOST] = {"reply-lost", -ETIMEDOUT, SIM_REPLY_LOST},
	[FAULT_REQUEST_LATE] = {"request-late", -ETIMEDOUT, SIM_LATE},
	[FAULT_MEMORY] = {"memory", -ENOMEM, SIM_ARRIVES},
};

const char *sim_fault_name(enum sim_fault fault)
{
	return faults[fault].name;
}

int sim_fault_apply(enum sim_fault fault, enum sim_fate *fate)
{
	*fate = faults[fault].fate;
	return faults[fault].err;
}

/* Every state that the files may be in: a call that failed may have done its work, or not. */
struct possible {
	struct sim_state states[STATES_MAX];
	int count;
};

struct run {
	struct sim_world *world;
	struct sim_node *node;
	struct sim_history *history;
	const struct sim_options *options;
	struct sim_counts *counts;
	struct sim_player player;
	struct possible possible;
	enum sim_fault fault;
	bool lasting, armed;
	int nth, calls;
	bool failed[STEPS_MAX];
	bool unknown[SIM_PATHS]; /* files whose fsync failed: see give_up_suspects */
	struct sim_verdict verdict;
};

static bool concerns(enum sim_fault fault, unsigned call)
{
	switch (fault) {
	case FAULT_DISK_IO:
	case FAULT_DISK_FULL: return call < SIM_REMOVE;
	case FAULT_JOURNAL_IO:
	case FAULT_JOURNAL_FULL: return call > SIM_REMOVE && call < SIM_CALLS;
	case FAULT_MEMORY: return false;
	default: return call >= SIM_CALLS;
	}
}

static int at_call(struct sim_node *node, unsigned call, enum sim_fate *fate)
{
	struct run *run = node->world->context;

	if (!run->armed || !concerns(run->fault, call))
		return 0;
	run->calls++;
	if (run->calls != run->nth && !(run->lasting && run->calls > run->nth))
		return 0;
	return sim_fault_apply(run->fault, fate);
}

/* The step, and what is wrong with it. */
static void say_of_step(struct run *run, int index, const char *text)
{
	char step[100], line[200];

	sim_step_print(run->history, index, step, sizeof(step));
	snprintf(line, sizeof(line), "%s %s", step, text);
	sim_verdict_say(&run->verdict, line);
}

static bool same_state(const struct sim_state *one, const struct sim_state *other)
{
	for (int i = 0; i < STEP_HANDLES; i++)
		if (one->open[i] != other->open[i])
			return false;
	for (int i = 0; i < SIM_PATHS; i++)
		if (one->tree.entries[i].kind == SIM_FILE &&
		    one->tree.entries[i].inode != other->tree.entries[i].inode)
			return false;
	return sim_check_same(&one->tree, &other->tree).ok;
}

static void add_state(struct possible *possible, const struct sim_state *state)
{
	for (int i = 0; i < possible->count; i++)
		if (same_state(&possible->states[i], state))
			return;
	if (possible->count < STATES_MAX)
		possible->states[possible->count++] = *state;
}

/* What has another name as well is another file there. */
static void keep_beside(struct run *run, struct sim_state *state, const struct sim_state *before,
			int path)
{
	struct sim_entry *entry = &state->tree.entries[path];

	*entry = before->tree.entries[path];
	if (entry->kind == SIM_FILE)
		entry->inode = sim_history_new_inode(run->history);
}

static void follow(struct run *run, int index, int err)
{
	static struct possible before;
	unsigned inodes = run->history->inodes, most = inodes;

	before = run->possible;
	run->possible.count = 0;
	for (int i = 0; i < before.count; i++) {
		struct sim_state applied = before.states[i];
		bool can;

		run->history->inodes = inodes; /* each is a world of its own */
		can = sim_step_apply(run->history, &applied, index);
		if (err && run->history->steps[index].kind == STEP_OPEN)
			applied.open[run->history->steps[index].handle] = 0;
		if (can)
			add_state(&run->possible, &applied);
		/* The source of a rename that went through may stay until S3 lets it go. */
		if (can && run->history->steps[index].kind == STEP_RENAME &&
		    (run->lasting || run->fault == FAULT_REQUEST_DENIED)) {
			int source = run->history->steps[index].path;

			for (int p = 0; p < SIM_PATHS; p++)
				if (p == source || sim_path_is_below(p, source))
					keep_beside(run, &applied, &before.states[i], p);
			add_state(&run->possible, &applied);
		}
		/* A new file that nobody has written or closed may be lost. */
		if (run->history->steps[index].kind == STEP_OPEN)
			add_state(&run->possible, &before.states[i]);
		/* A close gives the handle up whatever it returns. */
		if (err && run->history->steps[index].kind == STEP_CLOSE)
			before.states[i].open[run->history->steps[index].handle] = 0;
		if (err)
			add_state(&run->possible, &before.states[i]);
		if (most < run->history->inodes)
			most = run->history->inodes;
	}
	run->history->inodes = most;
	if (run->possible.count == 0)
		say_of_step(run, index, "succeeded, and should not");
}

static void play_all(struct run *run)
{
	struct env *env = &run->node->env;

	for (int i = 0; i < run->history->count && run->verdict.ok; i++) {
		uint64_t begin = env_now(env);
		int err = sim_play(&run->player, i);
		char step[100];

		if (run->options->verbose) {
			sim_step_print(run->history, i, step, sizeof(step));
			printf("  %2d %s: %d\n", i + 1, step, err);
		}
		if (env_now(env) - begin > CALL_MAX)
			say_of_step(run, i, "takes too long");
		run->failed[i] = err != 0;
		follow(run, i, err);
	}
}

static bool is_stopped(const struct run *run)
{
	return run->node->vfs->write_stopped || journal_error(run->node->env.journal);
}

/* What is needed after a failure of the local disk: another mount. */
static bool mount_again(struct run *run)
{
	struct error error = ERROR_INIT;

	if (!sim_wind_down(run->world, 1)) {
		sim_verdict_say(&run->verdict, "something does not come to an end");
		return false;
	}
	sim_node_end(run->node, false);
	if (sim_node_load(run->node, &error)) {
		sim_verdict_say(&run->verdict, error.message);
		return false;
	}
	vfs_recover(run->node->vfs);
	return true;
}

/* The empty directory that a renamed one was to replace goes first. */
static bool gives_way(const struct run *run, struct sim_state *late, const struct sim_step *step)
{
	struct sim_entry *target = &late->tree.entries[step->other];

	if (run->fault != FAULT_REQUEST_LATE || step->kind != STEP_RENAME ||
	    target->kind != SIM_DIRECTORY || sim_tree_has_children(&late->tree, step->other))
		return false;
	target->kind = SIM_ABSENT;
	return true;
}

/* What was reported as failed may have been done when the handles were open, after all. */
static void allow_late(struct run *run)
{
	for (int index = 0; index < run->history->count; index++) {
		enum sim_step_kind kind = run->history->steps[index].kind;

		if (!run->failed[index] ||
		    (kind != STEP_UNLINK && kind != STEP_RMDIR && kind != STEP_RENAME))
			continue;
		for (int i = run->possible.count - 1; i >= 0; i--) {
			struct sim_state late = run->possible.states[i];

			if (sim_step_apply(run->history, &late, index))
				add_state(&run->possible, &late);
			late = run->possible.states[i];
			if (gives_way(run, &late, &run->history->steps[index]))
				add_state(&run->possible, &late);
		}
	}
}

/* A file whose fsync failed is not uploaded until it is written anew: nobody knows what it holds,
 * and the bucket may have any of its versions. False: something else is still dirty. */
static bool give_up_suspects(struct run *run)
{
	LIST_FOREACH (link, &run->node->vfs->dirty) {
		struct inode *inode = container_of(link, struct inode, dirty_link);
		char *key;
		int path;

		if (!inode->suspect || inode_key(inode, &key))
			return false;
		path = sim_path(key);
		free(key);
		if (path < 0)
			return false;
		run->unknown[path] = true;
	}
	return true;
}

static void take_unknown(const struct run *run, struct sim_tree *tree, const struct sim_tree *from)
{
	for (int path = 0; path < SIM_PATHS; path++)
		if (run->unknown[path])
			tree->entries[path] = from->entries[path];
}

static void judge(struct run *run)
{
	struct sim_arena arena = {NULL};
	struct sim_tree bucket, seen;
	const char *stray = sim_tree_from_bucket(&bucket, &run->world->memory->bucket, &arena);
	struct sim_verdict best = {false, "no state is possible"};
	int err;

	if (stray)
		sim_verdict_say(&run->verdict, "the bucket has a key that nobody made");
	if (run->world->memory->bucket.upload_count > 0)
		sim_verdict_say(&run->verdict, "a multipart upload is left");
	allow_late(run);
	for (int i = 0; i < run->possible.count && !best.ok; i++) {
		take_unknown(run, &run->possible.states[i].tree, &bucket);
		best = sim_check_same(&bucket, &run->possible.states[i].tree);
		if (run->options->verbose && !best.ok)
			printf("  not the state %d of %d: %s\n", i + 1, run->possible.count,
			       best.text);
	}
	if (run->verdict.ok && !best.ok)
		run->verdict = best;
	/* What S3 did by itself shows when the listing before it is not fresh any more. */
	if (run->fault == FAULT_REQUEST_LATE)
		sim_sleep(run->world, 2 * NSEC_PER_SEC);
	err = run->verdict.ok ? sim_play_look(run->node, &seen, &arena) : 0;
	if (err)
		sim_verdict_say(&run->verdict, strerror(-err));
	take_unknown(run, &seen, &bucket);
	if (run->verdict.ok)
		run->verdict = sim_check_same(&seen, &bucket);
	sim_arena_free(&arena);
}

static void heal(struct run *run)
{
	if (run->fault == FAULT_MEMORY)
		sim_memory_start(0, false);
	run->armed = false;
}

static void body(void *argument)
{
	struct run *run = argument;
	struct sim_node *node = run->node;
	struct error error = ERROR_INIT;

	if (sim_node_load(node, &error)) {
		sim_verdict_say(&run->verdict, error.message);
		return;
	}
	vfs_recover(node->vfs);
	run->armed = true;
	if (run->fault == FAULT_MEMORY)
		sim_memory_start((unsigned long)run->nth, run->lasting);
	play_all(run);
	if (run->fault == FAULT_MEMORY)
		run->calls = (int)sim_memory_count();
	heal(run);
	sim_player_end(&run->player);
	if (is_stopped(run) && !mount_again(run))
		return;
	if (!sim_node_drain(node, DRAIN_LIMIT) && !give_up_suspects(run))
		sim_verdict_say(&run->verdict, "what is dirty does not reach S3");
	/* What is left of directory renames that met such faults waits for the next mount. */
	if ((run->lasting || run->fault == FAULT_REQUEST_DENIED) && !mount_again(run))
		return;
	if (!sim_wind_down(run->world, 1))
		sim_verdict_say(&run->verdict, "something does not come to an end");
	judge(run);
	if (!sim_wind_down(run->world, 1))
		sim_verdict_say(&run->verdict, "something does not come to an end");
	sim_node_end(node, false);
}

static bool run_once(struct run *run)
{
	char label[400];

	sim_reset(run->world, run->options->seed, &sim_sizes_small);
	sim_put_base(run->world, run->history);
	run->node->config.close = run->options->close;
	run->node->config.fsync = run->options->fsync;
	run->node->journal_pause = run->options->journal_pause;
	run->player = (struct sim_player){.node = run->node, .history = run->history};
	run->possible.count = 1;
	run->possible.states[0] = (struct sim_state){.tree = run->history->trees[0]};
	run->verdict = (struct sim_verdict){true, ""};
	run->calls = 0;
	memset(run->unknown, 0, sizeof(run->unknown));
	run->world->before = at_call;
	run->world->context = run;
	run->world->trace = run->options->verbose;
	snprintf(label, sizeof(label), "%s --fault %s --nth %d%s", run->options->label,
		 faults[run->fault].name, run->nth, run->lasting ? " --lasting" : "");
	sim_set_where(label);
	if (!sim_run(run->world, body, run)) {
		sim_violation("it hangs", label);
		exit(1);
	}
	run->world->before = NULL;
	run->possible.count = 0;
	run->counts->states++;
	if (!run->verdict.ok) {
		run->counts->violations++;
		sim_violation(run->verdict.text, label);
	}
	return run->calls >= run->nth; /* it has failed */
}

void sim_errors(struct sim_world *world, struct sim_history *history,
		const struct sim_options *options, enum sim_fault fault, bool lasting, int only,
		struct sim_counts *counts)
{
	static struct run run;
	const struct sim_bytes *bytes = history->arena.first;
	unsigned inodes = history->inodes;
	bool more = true;

	run = (struct run){.world = world,
			   .node = &world->nodes[0],
			   .history = history,
			   .options = options,
			   .counts = counts,
			   .fault = fault,
			   .lasting = lasting};
	for (run.nth = only ? only : 1; more && run.nth < RUNS_MAX; run.nth++) {
		more = run_once(&run) && !only;
		/* What the states of this run were made of. */
		history->inodes = inodes;
		while (history->arena.first != bytes) {
			struct sim_bytes *used = history->arena.first;

			history->arena.first = used->next;
			free(used);
		}
	}
	counts->histories++;
}

/* main.c — the simulation's program: enumerates histories, crashes and what is left of them. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/sim_errors.h"
#include "tests/sim/sim_explore.h"
#include "tests/sim/sim_memory.h"
#include "tests/sim/sim_nodes.h"
#include "tests/sim/sim_operations.h"

enum { OPERATIONS_MAX = 8, MODES = 4 };

struct arguments {
	int operations[OPERATIONS_MAX], count; /* one history, by --do */
	int mode, variant;		       /* -1: all */
	int crash, image;
	unsigned stride;
	unsigned part, parts; /* this process's share */
	unsigned sample;      /* one of so many pairs; with errors, of single operations as well */
	bool large;	      /* with files that go in parts */
	bool verbose;
	bool first;  /* end with the first violation */
	bool errors; /* instead of crashes */
	int fault;   /* -1: all */
	bool lasting;
	int nth;
	unsigned nodes;	 /* so many runs of several nodes by seed, instead of all */
	unsigned random; /* so many histories by seed, instead of pairs */
	uint64_t seed;
};

/* How the second operation meets the first. */
enum variant {
	AFTER,	      /* the first is closed */
	WITHIN,	      /* the first still has its file open */
	LATER,	      /* what goes by itself has gone */
	SLOW_JOURNAL, /* commits lag behind */
	VARIANTS,
};

static bool is_large(int operation)
{
	return operation >= sim_operation_count(false);
}

static void build(struct sim_history *history, const int *operations, int count,
		  enum variant variant)
{
	bool large = false;

	for (int i = 0; i < count; i++)
		large = large || is_large(operations[i]);
	sim_history_init(history);
	sim_operations_base(history, large);
	for (int i = 0; i < count; i++) {
		bool open = variant == WITHIN && i + 1 < count && i < STEP_HANDLES;

		sim_operation_add(history, operations[i], i % STEP_HANDLES, open);
		if (variant == LATER)
			sim_history_add(history,
					(struct sim_step){.kind = STEP_PAUSE, .offset = 300});
	}
	for (int handle = 0; handle < STEP_HANDLES; handle++)
		if (history->state.open[handle])
			sim_history_add(history,
					(struct sim_step){.kind = STEP_CLOSE, .handle = handle});
}

/* Where deleting is denied, or there is no memory for it, what is left of a renamed directory stays
 * until the next mount, and what is made below the old name meanwhile stays beside it: no single
 * tree says what must be. */
static int moved_directories(const struct sim_history *history)
{
	int moved = 0;

	for (int i = 0; i < history->count; i++) {
		const struct sim_step *step = &history->steps[i];
		const struct sim_entry *entries = history->trees[i].entries;

		moved += !history->fails[i] &&
			 ((step->kind == STEP_RENAME || step->kind == STEP_EXCHANGE) &&
			  (entries[step->path].kind == SIM_DIRECTORY ||
			   (step->kind == STEP_EXCHANGE &&
			    entries[step->other].kind == SIM_DIRECTORY)));
	}
	return moved;
}

/* An exchange that S3 stops answering in the midst of fails; what is written then under one of the
 * names stays there, and the other file becomes a conflict copy when S3 can be reached again: no
 * tree says that. */
static bool goes_on_after_exchange(const struct sim_history *history)
{
	for (int i = 0; i + 1 < history->count; i++)
		if (history->steps[i].kind == STEP_EXCHANGE)
			return true;
	return false;
}

/* A copy over another file that S3 makes late, when somebody has gone on with the source, leaves
 * both: its conditions cannot tell, and no tree says that. either: or with the other. */
static bool goes_on_after_replacing(const struct sim_history *history, bool either)
{
	for (int i = 0; i < history->count; i++) {
		const struct sim_step *step = &history->steps[i], *later;

		if (step->kind != STEP_RENAME || history->fails[i] ||
		    history->trees[i].entries[step->other].kind != SIM_FILE)
			continue;
		for (int j = i + 1; j < history->count; j++) {
			later = &history->steps[j];
			if (later->path == step->path || later->other == step->path ||
			    (either && later->path == step->other))
				return true;
		}
	}
	return false;
}

/* Each call fails once, and then for good. */
static void fail(struct sim_world *world, const struct arguments *arguments,
		 struct sim_history *history, const struct sim_options *options,
		 struct sim_counts *counts)
{
	for (int fault = 0; fault < FAULTS; fault++)
		for (int lasting = 0; lasting < 2; lasting++) {
			if ((arguments->fault >= 0 &&
			     (arguments->fault != fault || (int)arguments->lasting != lasting)) ||
			    (fault == FAULT_MEMORY) != (sim_memory_start != NULL))
				continue;
			if ((fault == FAULT_REQUEST_DENIED || (fault == FAULT_MEMORY && lasting)) &&
			    moved_directories(history) > 0)
				continue;
			if (fault >= FAULT_REQUEST_REFUSED && fault != FAULT_MEMORY && lasting &&
			    goes_on_after_exchange(history))
				continue;
			/* While every answer is lost nobody can say whether the file has been
			 * replaced. Who goes on with the names then may find both; pairs do not get
			 * that far. */
			if ((fault == FAULT_REQUEST_DENIED || fault == FAULT_REPLY_LOST) &&
			    lasting && arguments->random && goes_on_after_replacing(history, true))
				continue;
			/* DeleteObjects has no conditions: what it does late under a name that a
			 * directory got back cannot be told from what is wanted. */
			if (fault == FAULT_REQUEST_LATE &&
			    (moved_directories(history) > 1 ||
			     goes_on_after_replacing(history, false)))
				continue;
			sim_errors(world, history, options, (enum sim_fault)fault, lasting,
				   arguments->nth, counts);
		}
}

static void explore(struct sim_world *world, const struct arguments *arguments,
		    const int *operations, int count, int mode, enum variant variant,
		    struct sim_counts *counts)
{
	struct sim_history history;
	char label[300];
	size_t len = 0;
	struct sim_options options = {
		.close = mode & 1 ? PUBLISH_LOCAL : PUBLISH_S3,
		.fsync = mode & 2 ? PUBLISH_LOCAL : PUBLISH_S3,
		.journal_pause = variant == SLOW_JOURNAL ? 700000 : 0,
		.stride = arguments->stride,
		.only_crash = arguments->crash,
		.only_image = arguments->image,
		.label = label,
		.verbose = arguments->verbose,
	};

	if (arguments->first && counts->violations > 0)
		return;
	len += (size_t)snprintf(label, sizeof(label), "--mode %d --variant %d --do ", mode,
				(int)variant);
	for (int i = 0; i < count; i++) {
		len += (size_t)snprintf(label + len, sizeof(label) - len, "%s%s", i ? "," : "",
					sim_operation_name(operations[i]));
		options.seed = options.seed * 1000003 + (unsigned)operations[i] + 1;
	}
	options.seed = options.seed * 64 + (unsigned)(mode * VARIANTS) + (unsigned)variant;
	build(&history, operations, count, variant);
	if (arguments->errors && !history.beyond)
		fail(world, arguments, &history, &options, counts);
	else if (!history.beyond)
		sim_explore(world, &history, &options, counts);
	sim_history_free(&history);
}

/* Only pairs are sampled, unless each call of each is to fail. */
static bool wanted(const struct arguments *arguments, unsigned number, bool single)
{
	unsigned mixed = number * 2654435761U >> 8;

	if (single && !arguments->errors)
		return number % arguments->parts == arguments->part;
	return mixed % arguments->sample == 0 &&
	       mixed / arguments->sample % arguments->parts == arguments->part;
}

/* All single operations and all pairs, in each mode and variant. large: those of which one at least
 * is of files that go in parts. */
static void enumerate(struct sim_world *world, const struct arguments *arguments,
		      struct sim_counts *counts)
{
	int operations = sim_operation_count(arguments->large);
	unsigned number = 0;

	for (int i = 0; i < operations; i++)
		for (int j = -1; j < operations; j++)
			for (int k = 0; k < MODES * VARIANTS; k++) {
				const int pair[] = {i, j};
				int mode = k % MODES, variant = k / MODES;

				if ((j < 0 && (variant == WITHIN || variant == LATER)) ||
				    (arguments->large && !is_large(i) && !is_large(j)) ||
				    (arguments->mode >= 0 && arguments->mode != mode) ||
				    (arguments->variant >= 0 && arguments->variant != variant))
					continue;
				if (wanted(arguments, number++, j < 0))
					explore(world, arguments, pair, j < 0 ? 1 : 2, mode,
						(enum variant)variant, counts);
			}
}

/* Longer histories, each from a seed of its own; the line that reproduces one names its operations.
 */
static void draw_histories(struct sim_world *world, const struct arguments *arguments,
			   struct sim_counts *counts)
{
	for (unsigned i = arguments->part; i < arguments->random; i += arguments->parts) {
		int operations[OPERATIONS_MAX], count, mode, variant;

		world->random = arguments->seed + i;
		count = 3 + (int)sim_draw(world, 4);
		for (int j = 0; j < count; j++)
			operations[j] = (int)sim_draw(
				world, (uint64_t)sim_operation_count(arguments->large));
		mode = (int)sim_draw(world, MODES);
		variant = (int)sim_draw(world, VARIANTS);
		explore(world, arguments, operations, count, mode, (enum variant)variant, counts);
	}
}

static int parse_operations(struct arguments *arguments, char *text)
{
	for (char *name = text, *comma; name; name = comma) {
		comma = strchr(name, ',');
		if (comma)
			*comma++ = '\0';
		if (arguments->count == OPERATIONS_MAX)
			return -1;
		arguments->operations[arguments->count] = sim_operation_find(name);
		if (arguments->operations[arguments->count++] < 0) {
			fprintf(stderr, "sim: no operation %s; there are:", name);
			for (int i = 0; i < sim_operation_count(true); i++)
				fprintf(stderr, " %s", sim_operation_name(i));
			fputc('\n', stderr);
			return -1;
		}
	}
	return 0;
}

/* The N of "I/N"; 0: there is none. */
static unsigned parts_of(const char *text)
{
	const char *slash = text ? strchr(text, '/') : NULL;

	return slash ? (unsigned)strtoul(slash + 1, NULL, 10) : 0;
}

static int parse_fault(struct arguments *arguments, const char *name)
{
	arguments->errors = true;
	for (int i = 0; i < FAULTS; i++)
		if (name && strcmp(name, sim_fault_name((enum sim_fault)i)) == 0)
			arguments->fault = i;
	return arguments->fault < 0 ? -1 : 0;
}

static int parse(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{"do", required_argument, NULL, 'd'},
		{"mode", required_argument, NULL, 'm'},
		{"variant", required_argument, NULL, 'v'},
		{"crash", required_argument, NULL, 'c'},
		{"image", required_argument, NULL, 'i'},
		{"stride", required_argument, NULL, 's'},
		{"part", required_argument, NULL, 'p'},
		{"sample", required_argument, NULL, 'n'},
		{"verbose", no_argument, NULL, 'V'},
		{"errors", no_argument, NULL, 'e'},
		{"fault", required_argument, NULL, 'f'},
		{"lasting", no_argument, NULL, 'l'},
		{"nth", required_argument, NULL, 't'},
		{"random", required_argument, NULL, 'r'},
		{"seed", required_argument, NULL, 'S'},
		{"nodes", required_argument, NULL, 'N'},
		{"large", no_argument, NULL, 'L'},
		{"first", no_argument, NULL, '1'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int number = optarg ? (int)strtol(optarg, NULL, 10) : 0;

		switch (option) {
		case 'd':
			if (parse_operations(arguments, optarg))
				return -1;
			break;
		case 'm': arguments->mode = number; break;
		case 'v': arguments->variant = number; break;
		case 'c': arguments->crash = number; break;
		case 'i': arguments->image = number; break;
		case 's': arguments->stride = number > 0 ? (unsigned)number : 1; break;
		case 'n': arguments->sample = number > 0 ? (unsigned)number : 1; break;
		case 'p':
			arguments->part = (unsigned)number;
			arguments->parts = parts_of(optarg);
			if (arguments->part >= arguments->parts)
				return -1;
			break;
		case 'V': arguments->verbose = true; break;
		case 'L': arguments->large = true; break;
		case '1': arguments->first = true; break;
		case 'e': arguments->errors = true; break;
		case 'f':
			if (parse_fault(arguments, optarg))
				return -1;
			break;
		case 'l': arguments->lasting = true; break;
		case 't': arguments->nth = number; break;
		case 'r': arguments->random = (unsigned)number; break;
		case 'N': arguments->nodes = (unsigned)number; break;
		case 'S': arguments->seed = optarg ? strtoull(optarg, NULL, 10) : 0; break;
		default: return -1;
		}
	}
	return 0;
}

static const char usage[] =
	"usage: sim [--do OPERATION,..] [--mode 0-3] [--variant 0-3]  one history, or all pairs\n"
	"           [--random N [--seed N]]                           longer ones, by chance\n"
	"           [--nodes N [--seed N]]                            runs of one to three nodes\n"
	"           [--crash N] [--image N] [--stride N]              after crashes, or\n"
	"           [--errors | --fault NAME [--lasting] [--nth N]]   with failing calls\n"
	"           [--large]                                         with files that go in parts\n"
	"           [--sample N] [--part I/N] [--first] [--verbose]\n";

int main(int argc, char **argv)
{
	struct arguments arguments = {.mode = -1,
				      .variant = -1,
				      .crash = -1,
				      .image = -1,
				      .fault = -1,
				      .stride = 1,
				      .parts = 1,
				      .sample = 1};
	struct sim_counts counts = {0};
	struct sim_world *world;
	struct timespec begin, end;

	if (parse(&arguments, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	world = sim_world_create();
	if (arguments.count > 0)
		explore(world, &arguments, arguments.operations, arguments.count,
			arguments.mode < 0 ? 0 : arguments.mode,
			arguments.variant < 0 ? AFTER : (enum variant)arguments.variant, &counts);
	else if (arguments.nodes > 0)
		sim_nodes(world, arguments.seed, arguments.nodes, arguments.part, arguments.parts,
			  arguments.large, arguments.verbose, &counts);
	else if (arguments.random > 0)
		draw_histories(world, &arguments, &counts);
	else
		enumerate(world, &arguments, &counts);
	sim_world_destroy(world);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("sim: %llu histories, %llu moments, %llu states (%llu crashed again), "
	       "%llu violations, %lld s\n",
	       (unsigned long long)counts.histories, (unsigned long long)counts.moments,
	       (unsigned long long)counts.states, (unsigned long long)counts.recrashed,
	       (unsigned long long)counts.violations, (long long)(end.tv_sec - begin.tv_sec));
	return counts.violations > 0;
}

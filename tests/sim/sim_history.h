/* sim_history.h — a sequence of operations, what the tree must be after each, and how much of it
 * has been promised.
 *
 * A step is one system call, so that a crash falls between steps or into one. Pure.
 */
#ifndef TESTS_SIM_SIM_HISTORY_H
#define TESTS_SIM_SIM_HISTORY_H

#include "tests/sim/sim_tree.h"

enum sim_step_kind {
	STEP_OPEN, /* flags: O_CREAT, O_TRUNC */
	STEP_WRITE,
	STEP_APPEND,
	STEP_COPY,  /* copy_file_range of path, into what is open */
	STEP_PUNCH, /* a hole */
	STEP_FSYNC,
	STEP_CLOSE,
	STEP_TRUNCATE, /* by name, to offset */
	STEP_RENAME,   /* path to other */
	STEP_EXCHANGE, /* path with other */
	STEP_UNLINK,
	STEP_MKDIR,
	STEP_SYMLINK, /* to "target" */
	STEP_RMDIR,
	STEP_CHMOD,    /* to offset */
	STEP_EVICT,    /* all that is clean */
	STEP_SYNC_DIR, /* fsync of the root */
	STEP_PAUSE,    /* offset ms: what goes by itself goes */
	STEP_READ,     /* a part of a file that is not open */
	STEP_KINDS,
};

enum { STEPS_MAX = 80, STEP_HANDLES = 2, INODES_MAX = 64 };

struct sim_step {
	enum sim_step_kind kind;
	int path, other;
	int handle;
	int flags;
	uint64_t offset, len;
};

/* Names, and what is open. */
struct sim_state {
	struct sim_tree tree;
	unsigned open[STEP_HANDLES]; /* inode; 0: closed */
};

struct sim_history {
	struct sim_arena arena;
	struct sim_step steps[STEPS_MAX];
	bool fails[STEPS_MAX];		      /* the step must fail, and change nothing */
	struct sim_tree trees[STEPS_MAX + 1]; /* [n]: after n steps */
	int count;
	unsigned inodes;
	struct sim_state state; /* after the last one */
	bool beyond; /* it has a name that is not on the list of paths: it cannot be played */
};

/* How far it has come, and what of it must survive. */
struct sim_progress {
	int acknowledged;	/* steps that have returned */
	int begun;		/* one more while a step is under way */
	int floor[SIM_PATHS];	/* the tree after that many steps, or a later one, is at the name */
	int synced[INODES_MAX]; /* the same of a file, whatever its name; 0: nothing */
};

/* tree: what is there at the beginning; its bytes must live in the history's arena. */
void sim_history_init(struct sim_history *history);
void sim_history_free(struct sim_history *history);
unsigned sim_history_new_inode(struct sim_history *history);
void sim_history_add(struct sim_history *history, struct sim_step step);
/* What a step makes of a state; false: it must fail, and changes nothing. */
bool sim_step_apply(struct sim_history *history, struct sim_state *state, int index);
/* What the step writes. */
void sim_step_data(const struct sim_history *history, int index, unsigned char *data, size_t len);
/* step number index has returned. in_bucket: the names that S3 had when it began. */
void sim_progress_take(struct sim_progress *progress, const struct sim_history *history, int index,
		       bool close_is_s3, const bool in_bucket[SIM_PATHS]);
/* One line, for people. */
void sim_step_print(const struct sim_history *history, int index, char *out, size_t size);

#endif

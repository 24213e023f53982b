/* sim_play.h — the steps of a history as a program does them on a node.
 *
 * In a fiber.
 */
#ifndef TESTS_SIM_SIM_PLAY_H
#define TESTS_SIM_SIM_PLAY_H

#include "tests/sim/sim_history.h"
#include "tests/sim/sim_world.h"

struct sim_player {
	struct sim_node *node;
	const struct sim_history *history;
	struct sim_progress progress;
	struct vfs_handle *handles[STEP_HANDLES];
	bool exact; /* nothing fails: what is read must be what the history says */
};

/* Returns what the system call returns. */
int sim_play(struct sim_player *player, int index);
void sim_player_end(struct sim_player *player); /* closes what is open, as the kernel does */

/* The tree as the node shows it. Errors: of the calls; -EUCLEAN: a name that is not on the list. */
int sim_play_look(struct sim_node *node, struct sim_tree *tree, struct sim_arena *arena);

/* The bucket holds the files of trees[0]. */
void sim_put_base(struct sim_world *world, const struct sim_history *history);

/* What reproduces the run at hand, which begins: printed should the program crash, or spin. */
void sim_set_where(const char *label);
/* One line: what is wrong, and the command that shows it. label NULL: as set. */
void sim_violation(const char *what, const char *label);

#endif

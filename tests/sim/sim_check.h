/* sim_check.h — is what was found after a crash one of the trees that it may be? Pure. */
#ifndef TESTS_SIM_SIM_CHECK_H
#define TESTS_SIM_SIM_CHECK_H

#include "tests/sim/sim_history.h"

struct sim_verdict {
	bool ok;
	char text[300]; /* what is wrong, for people */
};
void sim_verdict_say(struct sim_verdict *verdict, const char *text); /* the first counts */

/* found was left by a crash at that point of the history. power_loss: what was not promised may
 * have been lost, file by file; else nothing that was acknowledged. overwrites: blocks of a file
 * that was changed after its last fsync may be old or new (fsync=local; docs/semantics.md). */
struct sim_verdict sim_check(const struct sim_history *history, const struct sim_progress *progress,
			     const struct sim_tree *found, bool power_loss, bool overwrites);
/* Are these the bytes of any file at any time of the history? */
bool sim_check_known(const struct sim_history *history, const void *data, size_t size);
/* The same tree, seen in two ways. */
struct sim_verdict sim_check_same(const struct sim_tree *one, const struct sim_tree *other);

#endif

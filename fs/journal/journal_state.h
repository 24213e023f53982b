/* journal_state.h — the journal between its owner thread and the thread that writes; internal to
 * fs/journal.
 */
#ifndef FS_JOURNAL_JOURNAL_STATE_H
#define FS_JOURNAL_JOURNAL_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/list.h"
#include "fs/journal/journal.h"

/*
 * A full disk: full says that the space set aside (room.h) is not whole, stuck that even a
 * transaction found none; then its records are first in the queue again. The thread looks every
 * IDLE_NS whether that has ended.
 *
 * Sequence numbers: durable <= committed <= last. The thread alone raises committed and durable;
 * last belongs to the owner thread. error is set once, by either thread.
 *
 * A waiter can not be missed: it registers (waiting_*) and looks at committed under the lock; the
 * thread raises committed first, then looks at waiting_* under the lock.
 */
struct journal {
	struct executor *executor;
	struct store *store; /* the runner's, once it has a record; else the owner thread's */
	const struct journal_runner *runner;
	pthread_t thread;  /* of the runner by thread */
	struct timer turn; /* of the runner by tasks */
	uint64_t pause;

	uint64_t last;
	struct list waiters; /* owner thread */

	_Atomic uint64_t committed, durable;
	_Atomic int error;
	_Atomic bool full, stuck; /* set by the thread alone */

	pthread_mutex_t lock;
	pthread_cond_t work;
	/* Under lock: */
	struct record *head, **tail;
	uint64_t durable_wanted;
	unsigned waiting_committed, waiting_durable;
	bool asleep, stop;
	bool posted; /* wake is queued, or about to be by the thread that set this */

	struct task wake;
};

/* Who does the rounds: a thread, or tasks of the executor. What a round does is the same. */
struct journal_runner {
	int (*start)(struct journal *journal);
	/* There is work, and asleep was set; lock not held. */
	void (*wake)(struct journal *journal);
	/* stop is set: returns when the last round has ended. */
	void (*finish)(struct journal *journal);
};

/* rounds.c */
extern const struct journal_runner journal_by_thread, journal_by_turns;
void journal_set_full(struct journal *journal, bool full, bool stuck);

/* journal.c; the lock is not held */
/* Wakes who waits for a commit and, with durable, who waits for the disk. */
void journal_wake_for(struct journal *journal, bool durable);
/* The first error stays. Either thread. */
void journal_stop_for_good(struct journal *journal, int err);
void journal_free_records(struct record *first);

#endif

/* rounds.c — what the journal does with its records, round after round, and who does it; part of
 * journal_state.h.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "fs/journal/journal_state.h"
#include "fs/journal/record.h"
#include "fs/journal/store.h"

/* How far the log may grow before it is moved into the database: while nobody waits, and whatever
 * happens. When there is nothing to do, a smaller one is moved as well. */
#define LOG_SOFT_LIMIT (UINT64_C(4) << 20)
#define LOG_HARD_LIMIT (UINT64_C(16) << 20)
#define LOG_IDLE_LIMIT (UINT64_C(64) << 10)
#define IDLE_NS	       (500 * NSEC_PER_MSEC)
/* Records of one transaction: bounds how long a waiter that came too late for it waits. */
enum { BATCH_MAX = 4096 };

/* Lock held. Up to BATCH_MAX records; the rest stays queued. */
static struct record *take_batch(struct journal *journal, uint64_t *last)
{
	struct record *first = journal->head, *end = first;

	if (!first)
		return NULL;
	for (unsigned count = 1; end->next && count < BATCH_MAX; count++)
		end = end->next;
	journal->head = end->next;
	if (!journal->head)
		journal->tail = &journal->head;
	end->next = NULL;
	*last = end->sequence;
	return first;
}

/* Lock held. Who wants more than is committed has got his answer when the disk is full; others
 * still wait for less. */
static bool sync_is_due(const struct journal *journal)
{
	uint64_t wanted = journal->durable_wanted, committed = atomic_load(&journal->committed);

	if (atomic_load(&journal->stuck) && wanted > committed)
		wanted = committed;
	return wanted > atomic_load(&journal->durable) && wanted <= committed;
}

struct round { /* what one turn has to do */
	struct record *batch;
	uint64_t last; /* of the batch */
	bool idle;     /* nothing came for a while */
	bool end;
};

/* Lock held. */
static bool has_work(const struct journal *journal)
{
	return (journal->head && !atomic_load(&journal->stuck)) || journal->stop ||
	       (!journal_error(journal) && sync_is_due(journal));
}

/* Lock held. */
static struct round take_round(struct journal *journal)
{
	struct round round = {.idle = journal->asleep};

	journal->asleep = false;
	round.batch = take_batch(journal, &round.last);
	round.end = journal->stop && !round.batch &&
		    (journal_error(journal) || !sync_is_due(journal));
	return round;
}

void journal_set_full(struct journal *journal, bool full, bool stuck)
{
	bool before = journal_is_full(journal);

	atomic_store(&journal->full, full);
	atomic_store(&journal->stuck, stuck);
	if (before && !full)
		log_warning("journal: there is space on the disk again");
	else if (!before && full)
		log_warning("journal: the disk of the cache is full; new changes are refused");
	if (stuck)
		journal_wake_for(journal, true);
}

/* The batch is first in the queue again. When the journal is being closed there is no later. */
static int put_back(struct journal *journal, struct record *batch)
{
	struct record *end = batch;
	bool stop;

	while (end->next)
		end = end->next;
	pthread_mutex_lock(&journal->lock);
	end->next = journal->head;
	if (!journal->head)
		journal->tail = &end->next;
	journal->head = batch;
	stop = journal->stop;
	pthread_mutex_unlock(&journal->lock);
	journal_set_full(journal, true, true);
	return stop ? -ENOSPC : 0;
}

static int commit_batch(struct journal *journal, const struct round *round)
{
	int err = store_apply(journal->store, round->batch);

	if (err == -ENOSPC)
		return put_back(journal, round->batch);
	journal_free_records(round->batch);
	if (err)
		return err;
	atomic_store(&journal->stuck, false);
	atomic_store(&journal->committed, round->last);
	journal_wake_for(journal, false);
	return 0;
}

static int make_durable(struct journal *journal)
{
	uint64_t committed = atomic_load(&journal->committed);
	int err = store_sync(journal->store);

	/* What a sync could not write is lost, also where only room was missing: that is not what a
	 * full journal is, which goes on when there is room. */
	if (err)
		return err == -ENOSPC || err == -EDQUOT ? -EIO : err;
	atomic_store(&journal->durable, committed);
	journal_wake_for(journal, true);
	return 0;
}

static bool checkpoint_is_due(uint64_t log_bytes, bool busy, bool idle)
{
	if (log_bytes > LOG_HARD_LIMIT)
		return true;
	return !busy && log_bytes > (idle ? LOG_IDLE_LIMIT : LOG_SOFT_LIMIT);
}

static int checkpoint(struct journal *journal)
{
	int err = store_checkpoint(journal->store);

	/* What it could not move stays in the log. */
	if (err && err != -ENOSPC)
		return err;
	journal_set_full(journal, err || !store_keep_room(journal->store),
			 atomic_load(&journal->stuck));
	return 0;
}

static int work(struct journal *journal, const struct round *round)
{
	bool sync, busy, full;
	int err = round->batch ? commit_batch(journal, round) : 0;

	if (err)
		return err;
	full = atomic_load(&journal->full);
	pthread_mutex_lock(&journal->lock);
	sync = sync_is_due(journal);
	busy = journal->head != NULL;
	pthread_mutex_unlock(&journal->lock);
	if (sync)
		err = make_durable(journal);
	if (err == 0 && !atomic_load(&journal->stuck) &&
	    (checkpoint_is_due(store_log_bytes(journal->store), busy && !full, round->idle) ||
	     (full && round->idle)))
		err = checkpoint(journal);
	return err;
}

/* True: there may be something to look after when nothing comes for a while. */
static bool run_round(struct journal *journal, const struct round *round)
{
	int err = journal_error(journal);

	if (err) {
		journal_free_records(round->batch);
		return false;
	}
	err = work(journal, round);
	if (err)
		journal_stop_for_good(journal, err);
	return !round->idle || journal_is_full(journal);
}

/* Waits for something to do; for ever when there is nothing to look after while idle. */
static struct round await_round(struct journal *journal, bool tend)
{
	struct timespec until;
	struct round round;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)IDLE_NS;
	until.tv_sec += until.tv_nsec / (long)NSEC_PER_SEC;
	until.tv_nsec %= (long)NSEC_PER_SEC;
	pthread_mutex_lock(&journal->lock);
	journal->asleep = !has_work(journal);
	while (journal->asleep && err == 0)
		err = tend ? pthread_cond_timedwait(&journal->work, &journal->lock, &until)
			   : pthread_cond_wait(&journal->work, &journal->lock);
	round = take_round(journal);
	pthread_mutex_unlock(&journal->lock);
	return round;
}

static void *run(void *argument)
{
	struct journal *journal = argument;
	/* Not before the first record: until then the owner may be reading the database. */
	bool tend = false;

	for (;;) {
		struct round round = await_round(journal, tend);

		if (round.end)
			return NULL;
		tend = run_round(journal, &round);
	}
}

static int thread_start(struct journal *journal)
{
	sigset_t all, before;
	int err;

	/* Signals are for the owner's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&journal->thread, NULL, run, journal);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -err;
	pthread_setname_np(journal->thread, "journal");
	return 0;
}

static void thread_wake(struct journal *journal)
{
	pthread_cond_signal(&journal->work);
}

static void thread_finish(struct journal *journal)
{
	pthread_cond_signal(&journal->work);
	pthread_join(journal->thread, NULL);
}

const struct journal_runner journal_by_thread = {thread_start, thread_wake, thread_finish};

/* One round at each turn of the timer, which is set when there is work, or to look after the log
 * while idle. */
static void take_turn(struct timer *timer)
{
	struct journal *journal = container_of(timer, struct journal, turn);
	uint64_t now = executor_monotonic(journal->executor);
	struct round round;
	bool tend, more;

	pthread_mutex_lock(&journal->lock);
	round = take_round(journal);
	pthread_mutex_unlock(&journal->lock);
	if (round.end)
		return;
	tend = run_round(journal, &round);
	pthread_mutex_lock(&journal->lock);
	more = has_work(journal);
	journal->asleep = !more;
	pthread_mutex_unlock(&journal->lock);
	if (more)
		timer_set(journal->executor, timer, now + journal->pause);
	else if (tend)
		timer_set(journal->executor, timer, now + IDLE_NS);
}

static int turns_start(struct journal *journal)
{
	timer_init(&journal->turn, take_turn);
	journal->asleep = true;
	return 0;
}

static void turns_wake(struct journal *journal)
{
	timer_set(journal->executor, &journal->turn,
		  executor_monotonic(journal->executor) + journal->pause);
}

static void turns_finish(struct journal *journal)
{
	struct round round = {.end = false};

	timer_cancel(journal->executor, &journal->turn);
	while (!round.end) {
		pthread_mutex_lock(&journal->lock);
		round = take_round(journal);
		pthread_mutex_unlock(&journal->lock);
		if (!round.end)
			run_round(journal, &round);
	}
}

const struct journal_runner journal_by_turns = {turns_start, turns_wake, turns_finish};

#include "fs/journal/journal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/check.h"
#include "common/fiber.h"
#include "common/list.h"
#include "common/log.h"
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

struct waiter { /* on the stack of its fiber */
	struct list link;
	struct fiber *fiber;
	uint64_t sequence;
	enum journal_level level;
	bool done;
};

int journal_error(const struct journal *journal)
{
	return atomic_load(&journal->error);
}

bool journal_is_full(const struct journal *journal)
{
	return atomic_load(&journal->full) || atomic_load(&journal->stuck);
}

bool journal_is_awaited(const struct journal *journal)
{
	return !list_empty(&journal->waiters);
}

static bool reached(const struct journal *journal, uint64_t sequence, enum journal_level level)
{
	if (level == JOURNAL_DURABLE)
		return journal_is_durable(journal, sequence);
	return journal_is_committed(journal, sequence);
}

bool journal_is_durable(const struct journal *journal, uint64_t sequence)
{
	return atomic_load(&journal->durable) >= sequence;
}

uint64_t journal_newest(const struct journal *journal)
{
	return journal->last;
}

bool journal_is_committed(const struct journal *journal, uint64_t sequence)
{
	return atomic_load_explicit(&journal->committed, memory_order_acquire) >= sequence;
}

/* It is not written for now, or never will be. */
static bool is_held_up(const struct journal *journal, uint64_t sequence)
{
	return journal_error(journal) ||
	       (atomic_load(&journal->stuck) && !journal_is_committed(journal, sequence));
}

/* Owner thread: wakes those whose record is where they want it, or all when the journal has failed
 * or the disk is full. */
static void wake_waiters(struct task *task)
{
	struct journal *journal = container_of(task, struct journal, wake);
	unsigned committed = 0, durable = 0;

	pthread_mutex_lock(&journal->lock);
	journal->posted = false;
	pthread_mutex_unlock(&journal->lock);
	/* A woken fiber runs later: it cannot change the list under us. */
	LIST_FOREACH (node, &journal->waiters) {
		struct waiter *waiter = container_of(node, struct waiter, link);

		if (!is_held_up(journal, waiter->sequence) &&
		    !reached(journal, waiter->sequence, waiter->level))
			continue;
		list_remove(&waiter->link);
		waiter->done = true;
		if (waiter->level == JOURNAL_DURABLE)
			durable++;
		else
			committed++;
		fiber_wake(waiter->fiber);
	}
	pthread_mutex_lock(&journal->lock);
	journal->waiting_committed -= committed;
	journal->waiting_durable -= durable;
	pthread_mutex_unlock(&journal->lock);
}

/* Lock not held. durable: also who waits for that. */
static void wake_for(struct journal *journal, bool durable)
{
	bool post;

	pthread_mutex_lock(&journal->lock);
	post = !journal->posted &&
	       journal->waiting_committed + (durable ? journal->waiting_durable : 0) > 0;
	journal->posted |= post;
	pthread_mutex_unlock(&journal->lock);
	if (post)
		executor_post(journal->executor, &journal->wake);
}

static void free_records(struct record *record)
{
	while (record) {
		struct record *next = record->next;

		free(record);
		record = next;
	}
}

/* The first error stays. Either thread; lock not held. */
static void stop_for_good(struct journal *journal, int err)
{
	struct record *dropped;
	int none = 0;

	if (!atomic_compare_exchange_strong(&journal->error, &none, err))
		return;
	log_error("journal: stopped: %s; changes can no longer be recorded", strerror(-err));
	pthread_mutex_lock(&journal->lock);
	dropped = journal->head;
	journal->head = NULL;
	journal->tail = &journal->head;
	pthread_mutex_unlock(&journal->lock);
	free_records(dropped);
	wake_for(journal, true);
}

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

/* Lock held. */
static bool sync_is_due(const struct journal *journal)
{
	return journal->durable_wanted > atomic_load(&journal->durable) &&
	       journal->durable_wanted <= atomic_load(&journal->committed);
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

static void set_full(struct journal *journal, bool full, bool stuck)
{
	bool before = journal_is_full(journal);

	atomic_store(&journal->full, full);
	atomic_store(&journal->stuck, stuck);
	if (before && !full)
		log_warning("journal: there is space on the disk again");
	else if (!before && full)
		log_warning("journal: the disk of the cache is full; new changes are refused");
	if (stuck)
		wake_for(journal, true);
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
	set_full(journal, true, true);
	return stop ? -ENOSPC : 0;
}

static int commit_batch(struct journal *journal, const struct round *round)
{
	int err = store_apply(journal->store, round->batch);

	if (err == -ENOSPC)
		return put_back(journal, round->batch);
	free_records(round->batch);
	if (err)
		return err;
	atomic_store(&journal->stuck, false);
	atomic_store(&journal->committed, round->last);
	wake_for(journal, false);
	return 0;
}

static int make_durable(struct journal *journal)
{
	uint64_t committed = atomic_load(&journal->committed);
	int err = store_sync(journal->store);

	if (err)
		return err;
	atomic_store(&journal->durable, committed);
	wake_for(journal, true);
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
	set_full(journal, err || !store_keep_room(journal->store), atomic_load(&journal->stuck));
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
		free_records(round->batch);
		return false;
	}
	err = work(journal, round);
	if (err)
		stop_for_good(journal, err);
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

static const struct journal_runner by_thread = {thread_start, thread_wake, thread_finish};

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

static const struct journal_runner by_turns = {turns_start, turns_wake, turns_finish};

static struct journal *journal_new(struct executor *executor)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	pthread_condattr_t monotonic;

	if (!journal)
		return NULL;
	journal->executor = executor;
	journal->tail = &journal->head;
	journal->wake.run = wake_waiters;
	list_init(&journal->waiters);
	pthread_mutex_init(&journal->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&journal->work, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return journal;
}

static void journal_free(struct journal *journal)
{
	pthread_cond_destroy(&journal->work);
	pthread_mutex_destroy(&journal->lock);
	free(journal);
}

int journal_open(struct journal **out, struct executor *executor, const char *dir,
		 const char *volume, struct journal_info *info, struct error *error)
{
	static const struct journal_host process = {.file_layer = NULL};

	return journal_open_on(out, executor, &process, dir, volume, info, error);
}

int journal_open_on(struct journal **out, struct executor *executor,
		    const struct journal_host *host, const char *dir, const char *volume,
		    struct journal_info *info, struct error *error)
{
	struct journal *journal = journal_new(executor);
	int err;

	if (!journal)
		return error_set(error, -ENOMEM, "out of memory");
	journal->runner = host->turns ? &by_turns : &by_thread;
	journal->pause = host->pause;
	err = store_open(&journal->store, host, dir, volume, info, error);
	if (err) {
		journal_free(journal);
		return err;
	}
	set_full(journal, !store_keep_room(journal->store), false);
	err = journal->runner->start(journal);
	if (err) {
		store_abandon(journal->store);
		journal_free(journal);
		return error_set(error, err, "cannot start a thread: %s", strerror(-err));
	}
	*out = journal;
	return 0;
}

int journal_load(struct journal *journal, const struct journal_loader *loader)
{
	int err = store_load(journal->store, loader);

	CHECK(journal->last == 0);
	if (err)
		stop_for_good(journal, err);
	return err;
}

void journal_close(struct journal *journal, bool clean)
{
	int err = 0;

	pthread_mutex_lock(&journal->lock);
	journal->stop = true;
	journal->asleep = false;
	pthread_mutex_unlock(&journal->lock);
	journal->runner->finish(journal);
	if (journal_error(journal))
		store_abandon(journal->store);
	else
		err = store_close(journal->store, clean);
	if (err)
		log_error("journal: cannot be closed: %s; the next mount will check it",
			  strerror(-err));
	journal_free(journal);
}

/* Takes the record; NULL: there was no memory for it, and without it nothing after it may be
 * written. */
uint64_t journal_enqueue(struct journal *journal, struct record *record)
{
	bool wake = false;

	journal->last++;
	if (!record) {
		stop_for_good(journal, -ENOMEM);
		return journal->last;
	}
	record->sequence = journal->last;
	record->next = NULL;
	pthread_mutex_lock(&journal->lock);
	if (journal_error(journal) == 0) {
		*journal->tail = record;
		journal->tail = &record->next;
		record = NULL;
		wake = journal->asleep && !atomic_load(&journal->stuck);
		journal->asleep = journal->asleep && !wake;
	}
	pthread_mutex_unlock(&journal->lock);
	if (wake)
		journal->runner->wake(journal);
	free(record);
	return journal->last;
}

/* False: what it waits for has happened already. */
static bool register_waiter(struct journal *journal, struct waiter *waiter)
{
	bool durable = waiter->level == JOURNAL_DURABLE, wake = false, wait;

	pthread_mutex_lock(&journal->lock);
	wait = !is_held_up(journal, waiter->sequence) &&
	       !reached(journal, waiter->sequence, waiter->level);
	if (wait && durable) {
		journal->waiting_durable++;
		if (journal->durable_wanted < waiter->sequence)
			journal->durable_wanted = waiter->sequence;
		wake = journal->asleep;
		journal->asleep = false;
	} else if (wait) {
		journal->waiting_committed++;
	}
	pthread_mutex_unlock(&journal->lock);
	if (wake)
		journal->runner->wake(journal);
	if (wait)
		list_append(&journal->waiters, &waiter->link);
	return wait;
}

/* No deadline: the thread answers when the disk does, and a disk that never answers cannot be
 * abandoned. */
int journal_wait(struct journal *journal, uint64_t sequence, enum journal_level level)
{
	struct waiter waiter = {.sequence = sequence, .level = level};
	int err = journal_error(journal);

	CHECK(sequence <= journal->last);
	if (err || reached(journal, sequence, level))
		return err;
	waiter.fiber = fiber_self();
	CHECK(waiter.fiber != NULL);
	if (register_waiter(journal, &waiter)) {
		while (!waiter.done)
			fiber_park();
	}
	err = journal_error(journal);
	return err || reached(journal, sequence, level) ? err : -ENOSPC;
}

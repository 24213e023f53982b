#include "fs/journal/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/fiber.h"
#include "common/list.h"
#include "common/log.h"
#include "fs/journal/journal_state.h"
#include "fs/journal/record.h"
#include "fs/journal/store.h"

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

void journal_wake_for(struct journal *journal, bool durable)
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

void journal_free_records(struct record *record)
{
	while (record) {
		struct record *next = record->next;

		free(record);
		record = next;
	}
}

void journal_stop_for_good(struct journal *journal, int err)
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
	journal_free_records(dropped);
	journal_wake_for(journal, true);
}

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
	journal->runner = host->turns ? &journal_by_turns : &journal_by_thread;
	journal->pause = host->pause;
	err = store_open(&journal->store, host, dir, volume, info, error);
	if (err) {
		journal_free(journal);
		return err;
	}
	journal_set_full(journal, !store_keep_room(journal->store), false);
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
		journal_stop_for_good(journal, err);
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
		journal_stop_for_good(journal, -ENOMEM);
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

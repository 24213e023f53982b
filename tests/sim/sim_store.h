/* sim_store.h — S3 as one node sees it: requests take time to get there and back, may be lost on
 * either way, and may take effect after everybody has stopped to wait for them.
 *
 * What S3 does with a request is objstore_memory's; this adds the network. Threads: one.
 */
#ifndef TESTS_SIM_SIM_STORE_H
#define TESTS_SIM_SIM_STORE_H

#include "common/list.h"
#include "tests/unit/objstore_memory.h"

/* What happens to one request. */
enum sim_fate {
	SIM_ARRIVES,
	SIM_REFUSED,	/* answered with err, no effect */
	SIM_LOST,	/* no effect, and the sender cannot tell: err, ambiguous */
	SIM_REPLY_LOST, /* effect, then as SIM_LOST */
	SIM_LATE,	/* err, ambiguous; and it takes effect some seconds later */
};

struct sim_store {
	struct objstore store;
	struct objstore_memory *memory;
	struct list flights; /* not yet arrived */
	/* Asked when the request has arrived; sets err for all but SIM_ARRIVES. */
	enum sim_fate (*fate)(void *context, const struct os_request *request, int *err);
	void *context;
	uint64_t (*draw)(void *context);
	uint64_t delay; /* ns, each way, at most */
	unsigned unfinished;
};

void sim_store_init(struct sim_store *store, struct objstore_memory *memory,
		    uint64_t (*draw)(void *context), void *context);

/* A write request that stands by itself: all that it points to is its own. */
struct sim_flight {
	struct sim_flight *next;
	struct os_request request;
	struct os_memory body;
};

/* Copies of the writes that have not arrived yet. */
struct sim_flight *sim_store_flights(const struct sim_store *store);
struct sim_flight *sim_flight_copy(const struct os_request *request);
void sim_flight_free(struct sim_flight *flight); /* this one, not the next */
/* It arrives now; nobody hears of it. */
void sim_flight_land(struct sim_flight *flight, struct objstore_memory *memory);

/* A flight that arrives after its sender has gone. */
struct sim_landing {
	struct sim_flight
		*flight; /* the caller's, until it has arrived or the timer is cancelled */
	struct objstore_memory *memory;
	bool arrived;
	struct timer timer;
};
/* At a time by chance, mostly soon, at most SIM_LATE_MAX from now. */
#define SIM_LATE_MAX (20 * NSEC_PER_SEC)
void sim_landing_set(struct sim_landing *landing, struct sim_flight *flight,
		     struct objstore_memory *memory, struct executor *executor,
		     uint64_t (*draw)(void *context), void *context);

#endif

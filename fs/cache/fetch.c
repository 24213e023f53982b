/* fetch.c — ranges of the origin on their way into the data file; part of content.h. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/check.h"
#include "fs/cache/content.h"

/* One range request. Lives from its submission until both its end and its last progress were
 * handled. */
struct fetch {
	struct os_request request;
	struct list link; /* in content->fetches */
	struct content *content;
	struct blob *blob; /* reference: the network thread writes into it */
	uint64_t start, end;
	uint64_t begun;		  /* monotonic */
	uint64_t marked;	  /* owner thread: up to here it is valid */
	_Atomic uint64_t written; /* network thread: up to here it is in the file */
	_Atomic bool posted;	  /* progress is queued */
	bool done, cancelled;
	struct task progress;
	char *key, *etag;
};

static void fetch_free(struct fetch *fetch)
{
	os_request_free_result(&fetch->request);
	content_unref(fetch->content);
	blob_unref(fetch->blob);
	free(fetch->key);
	free(fetch->etag);
	free(fetch);
}

static void mark_progress(struct fetch *fetch)
{
	uint64_t written = atomic_load(&fetch->written);
	struct content *content = fetch->content;

	if (fetch->cancelled || written <= fetch->marked)
		return;
	content->epoch++;
	if (fetch->marked == fetch->start)
		cache_note_round_trip(content->cache, env_now(fetch->blob->env) - fetch->begun);
	/* Out of memory here only means that the range is fetched again. */
	if (extent_add(&content->valid, fetch->marked, written) == 0) {
		fetch->marked = written;
		content_account(content);
	}
	wait_wake_all(&content->progress);
}

static void run_progress(struct task *task)
{
	struct fetch *fetch = container_of(task, struct fetch, progress);

	atomic_store(&fetch->posted, false);
	if (fetch->done)
		fetch_free(fetch);
	else
		mark_progress(fetch);
}

/* Network thread. */
static int fetch_write(void *context, const void *data, size_t len, uint64_t offset)
{
	struct fetch *fetch = context;
	int err = blob_write(fetch->blob, data, len, offset);

	if (err)
		return err;
	if (offset + len > atomic_load(&fetch->written))
		atomic_store(&fetch->written, offset + len);
	if (!atomic_exchange(&fetch->posted, true))
		executor_post(fetch->blob->env->executor, &fetch->progress);
	return 0;
}

/* Where LIST or HEAD told the ETag of one version and the size of another, as versitygw does while
 * an object is being replaced: cut off or filled up with zeros it would be the file. */
static bool has_other_size(const struct fetch *fetch)
{
	return fetch->request.result.err == 0 && fetch->content->original &&
	       fetch->content->size != fetch->request.result.size;
}

static void take_back(struct content *content)
{
	content->epoch++;
	extent_set_free(&content->valid);
	content_account(content);
}

static void fetch_done(struct os_request *request)
{
	struct fetch *fetch = request->user;
	struct content *content = fetch->content;
	int err = request->result.err;

	mark_progress(fetch);
	if (has_other_size(fetch)) {
		take_back(content);
		err = -ESTALE;
	}
	if (err && err != -ECANCELED) {
		content->failures++;
		/* Ranges lie within the version: some servers look at them before If-Match. */
		content->failure = err == -ERANGE ? -ESTALE : err;
	}
	/* Its range was added as one piece and may only have been merged: splitting it may lack
	 * memory, and then nobody could ever fetch the rest. */
	CHECK(extent_remove(&content->inflight, fetch->start, fetch->end) == 0);
	list_remove(&fetch->link);
	wait_wake_all(&content->progress);
	fetch->done = true;
	if (!atomic_load(&fetch->posted))
		fetch_free(fetch);
}

static int fetch_start(struct content *content, const struct content_origin *origin, uint64_t start,
		       uint64_t end)
{
	struct env *env = content->cache->env;
	struct fetch *fetch = calloc(1, sizeof(*fetch));

	if (!fetch)
		return -ENOMEM;
	fetch->key = string_copy(origin->key);
	fetch->etag = string_copy(origin->etag);
	if (!fetch->key || !fetch->etag || blob_ensure(content->blob) ||
	    extent_add(&content->inflight, start, end)) {
		free(fetch->key);
		free(fetch->etag);
		free(fetch);
		return -ENOMEM;
	}
	fetch->content = content_ref(content);
	fetch->blob = blob_ref(content->blob);
	fetch->begun = env_now(env);
	fetch->start = fetch->marked = start;
	fetch->end = end;
	atomic_init(&fetch->written, start);
	fetch->progress.run = run_progress;
	fetch->request = (struct os_request){
		.op = OS_GET,
		.key = fetch->key,
		.condition.if_match = fetch->etag,
		.has_range = true,
		.range_first = start,
		.range_len = end - start,
		.sink = {fetch_write, fetch},
		.deadline = env_bulk_deadline(env, end - start),
		.urgent = end - start <= WINDOW_FIRST,
		.done = fetch_done,
		.user = fetch,
	};
	list_append(&content->fetches, &fetch->link);
	objstore_submit(env->store, &fetch->request);
	return 0;
}

void content_fetch(struct content *content, const struct content_origin *origin, uint64_t start,
		   uint64_t end)
{
	uint64_t range = content->cache->env->sizes->range;
	struct extent gap, busy;

	if (content->stopping > 0)
		return;
	if (end > content->size)
		end = content->size;
	cache_make_room(content->cache, end - start);
	while (start < end && extent_first_gap(&content->valid, start, end, &gap)) {
		start = gap.end;
		while (gap.start < gap.end) {
			uint64_t stop = gap.end;

			if (extent_first(&content->inflight, gap.start, gap.end, &busy)) {
				if (busy.start == gap.start) {
					gap.start = busy.end;
					continue;
				}
				stop = busy.start;
			}
			if (stop - gap.start > range)
				stop = gap.start + range;
			if (fetch_start(content, origin, gap.start, stop))
				return;
			gap.start = stop;
		}
	}
}

static bool overlapping_fetch(struct content *content, uint64_t start, uint64_t end, bool cancel)
{
	bool found = false;

	LIST_FOREACH (node, &content->fetches) {
		struct fetch *fetch = container_of(node, struct fetch, link);

		if (fetch->start >= end || fetch->end <= start)
			continue;
		found = true;
		if (cancel && !fetch->cancelled) {
			mark_progress(fetch);
			fetch->cancelled = true;
			objstore_cancel(content->cache->env->store, &fetch->request);
		}
	}
	return found;
}

void content_stop_fetches(struct content *content, uint64_t start, uint64_t end)
{
	content->stopping++;
	while (overlapping_fetch(content, start, end, true))
		fiber_wait(&content->progress, DEADLINE_NONE, WAIT_PLAIN);
	content->stopping--;
	wait_wake_all(&content->progress); /* who waits for a range asks anew */
}

void content_cancel_fetches(struct content *content)
{
	overlapping_fetch(content, 0, UINT64_MAX, true);
}

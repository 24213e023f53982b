/* probe.c — does this server honour conditional requests? Part of upload.h.
 *
 * Asking is the only way to know: some servers ignore conditions without a word, and some look at
 * them and write later, so that of two writers at the same moment both win. So each kind is tried
 * with a condition that must fail, where only an answer of 412 (or 404 for If-Match on nothing)
 * counts; and those of PutObject are raced: of many requests at once exactly one must win.
 *
 * Scratch objects have names that no listing of a mount shows (key.h), bear a put-id, and have
 * intents in the journal, so that what a crash leaves goes with the next mount.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/upload/multipart.h"
#include "fs/upload/upload.h"
#include "fs/vfs/key.h"

/* One round could pass by luck. */
enum { RACERS = 32, ROUNDS = 3, PROBE_KEYS = ROUNDS + 2, TEXT_BYTES = 80 };
#define PROBE_DEADLINE (10 * NSEC_PER_SEC) /* of all of it: a mount waits */

static const char wrong_etag[] = "\"00000000000000000000000000000000\"";

struct probe {
	struct uploader *uploader;
	struct os_meta meta; /* the put-id */
	/* The first for one request after the other, the second for the other kinds of request,
	 * the rest for the races. */
	char *keys[PROBE_KEYS];
	uint64_t intents[PROBE_KEYS];
	char etag[OS_ETAG_MAX];
	uint64_t deadline;
	bool others_done;
	bool unsure; /* something may still come */
	struct wait_queue others_ended;
};

enum { KEY_SINGLE, KEY_OTHERS, KEY_RACES };

struct racer {
	struct s3_batch_item item;
	char text[TEXT_BYTES];
	struct os_memory memory;
};

/* What came of a race. */
struct race {
	unsigned won, lost;
	char etag[OS_ETAG_MAX]; /* of a winner */
};

/* Bytes that no other request of the probe has: equal bytes have equal ETags. */
static void fill(struct probe *probe, const char *key, struct racer *racer, unsigned number,
		 struct os_condition condition)
{
	int len = snprintf(racer->text, sizeof(racer->text),
			   "s3mount looks whether conditional requests work here: %u %llu\n",
			   number, (unsigned long long)env_now(probe->uploader->env));

	racer->memory = (struct os_memory){racer->text, (size_t)len};
	racer->item = (struct s3_batch_item){.request = {
						     .op = OS_PUT,
						     .key = key,
						     .condition = condition,
						     .meta = &probe->meta,
						     .body = os_source_memory(&racer->memory),
						     .content_type = "text/plain",
						     .urgent = true,
						     .deadline = probe->deadline,
					     }};
}

static int try_put(struct probe *probe, const char *key, struct os_condition condition,
		   struct os_result *failure)
{
	struct racer racer;
	struct os_request *request = &racer.item.request;
	int err;

	fill(probe, key, &racer, 0, condition);
	err = env_s3(probe->uploader->env, request);
	probe->unsure |= request->result.ambiguous;
	if (err == 0)
		memcpy(probe->etag, request->result.etag, OS_ETAG_MAX);
	if (failure)
		*failure = request->result; /* its strings are arrays; what it owns is freed */
	os_request_free_result(request);
	return err;
}

static void run_race(struct probe *probe, const char *key, struct os_condition condition,
		     struct race *race)
{
	struct racer *racers = calloc(RACERS, sizeof(*racers));
	struct s3_batch batch;

	*race = (struct race){0, 0, ""};
	if (!racers)
		return;
	s3_batch_init(&batch, probe->uploader->env, RACERS);
	for (unsigned i = 0; i < RACERS; i++) {
		fill(probe, key, &racers[i], i + 1, condition);
		s3_batch_submit(&batch, &racers[i].item);
	}
	s3_batch_wait(&batch);
	for (unsigned i = 0; i < RACERS; i++) {
		struct os_result *result = &racers[i].item.request.result;

		race->lost += result->err == -ESTALE || result->err == -EBUSY;
		probe->unsure |= result->ambiguous;
		if (!result->err) {
			race->won++;
			memcpy(race->etag, result->etag, OS_ETAG_MAX);
		}
		os_request_free_result(&racers[i].item.request);
	}
	free(racers);
}

/* Who has got no answers has learnt nothing: the next mount tries again. */
static bool is_fair(struct probe *probe, const struct race *race)
{
	if (race->won + race->lost < RACERS)
		probe->uploader->can.unsure = true;
	return race->won == 1 && race->lost > 0;
}

/* Both conditions, each over all rounds: one that is not raced well is as good as none. */
static void race_puts(struct probe *probe)
{
	struct upload_capabilities *can = &probe->uploader->can;
	struct os_condition absent = {.if_none_match_any = true};
	bool none_match = can->put_if_none_match, match = can->put_if_match;
	struct race race;

	for (int round = 0; round < ROUNDS && (none_match || match); round++) {
		const char *key = probe->keys[KEY_RACES + round];
		struct os_condition base = {.if_match = probe->etag};

		if (none_match) {
			run_race(probe, key, absent, &race);
			none_match = is_fair(probe, &race);
			memcpy(probe->etag, race.etag, OS_ETAG_MAX);
		}
		if (!none_match && match)
			try_put(probe, key, (struct os_condition){NULL, false, NULL}, NULL);
		if (match) {
			run_race(probe, key, base, &race);
			match = is_fair(probe, &race);
		}
	}
	can->racy = !can->unsure &&
		    (none_match != can->put_if_none_match || match != can->put_if_match);
	can->put_if_none_match = none_match;
	can->put_if_match = match;
}

static bool try_copy(struct probe *probe)
{
	struct os_request request = {
		.op = OS_COPY,
		.key = probe->keys[KEY_OTHERS],
		.source_key = probe->keys[KEY_OTHERS],
		.condition.if_match = wrong_etag,
		.meta = &probe->meta,
		.replace_meta = true,
		.deadline = probe->deadline,
	};
	int err = env_s3(probe->uploader->env, &request);

	os_request_free_result(&request);
	return err == -ESTALE;
}

static bool try_complete(struct probe *probe)
{
	static const char text[] = "part\n";
	struct os_memory memory = {text, sizeof(text) - 1};
	struct os_source body = os_source_memory(&memory);
	struct os_condition condition = {.if_match = wrong_etag};
	struct upload_outcome outcome = {0};
	struct multipart *multipart;
	bool ambiguous;

	if (multipart_begin(probe->uploader, probe->keys[KEY_OTHERS], &probe->meta, NULL,
			    "text/plain", &outcome, &multipart))
		return false;
	outcome.err = multipart_send(multipart, 0, 0, memory.len, &body, NULL);
	multipart_wait(multipart);
	if (!outcome.err)
		outcome.err = multipart->failure.err;
	if (!outcome.err)
		multipart_complete(multipart, 1, condition, &outcome, &ambiguous);
	multipart_end(multipart, outcome.err == 0);
	return outcome.err == -ESTALE;
}

static bool try_delete(struct probe *probe)
{
	struct os_request request = {
		.op = OS_DELETE, .key = probe->keys[KEY_OTHERS], .condition.if_match = wrong_etag};
	int err = env_s3(probe->uploader->env, &request);

	os_request_free_result(&request);
	return err == -ESTALE;
}

/* Beside the races. */
static void try_others(void *argument)
{
	struct probe *probe = argument;
	struct upload_capabilities *can = &probe->uploader->can;
	struct racer racer;

	fill(probe, probe->keys[KEY_OTHERS], &racer, 0, (struct os_condition){NULL, false, NULL});
	if (env_s3(probe->uploader->env, &racer.item.request) == 0) {
		can->complete = try_complete(probe);
		can->copy = try_copy(probe);
		can->delete = try_delete(probe);
	}
	probe->unsure |= racer.item.request.result.ambiguous;
	os_request_free_result(&racer.item.request);
	probe->others_done = true;
	wait_wake_all(&probe->others_ended);
}

/* If-Match with the right ETag must pass and with a wrong one must fail. */
static bool try_if_match(struct probe *probe)
{
	char etag[OS_ETAG_MAX];
	struct os_condition right = {.if_match = etag}, wrong = {.if_match = wrong_etag};
	const char *key = probe->keys[KEY_SINGLE];

	memcpy(etag, probe->etag, sizeof(etag));
	return try_put(probe, key, wrong, NULL) == -ESTALE && try_put(probe, key, right, NULL) == 0;
}

static int probe_begin(struct probe *probe, const char *prefix)
{
	struct uploader *uploader = probe->uploader;
	char id[PUT_ID_LEN + 1], key[OS_KEY_MAX + 64];
	uint64_t sequence = 0;
	int err;

	wait_queue_init(&probe->others_ended);
	probe->deadline = env_after(uploader->env, PROBE_DEADLINE);
	env_put_id(uploader->env, id);
	err = os_meta_set(&probe->meta, META_PUT_ID, id);
	for (int i = 0; i < PROBE_KEYS && !err; i++) {
		struct journal_intent intent = {uploader_intent_id(uploader), INTENT_DELETE, key,
						"", id};

		snprintf(key, sizeof(key), "%s%s%s-%d", prefix, KEY_SCRATCH, id, i);
		probe->intents[i] = intent.id;
		probe->keys[i] = strdup(key);
		err = probe->keys[i] ? 0 : -ENOMEM;
		sequence = journal_put_intent(uploader->env->journal, &intent);
	}
	return err ? err : journal_wait(uploader->env->journal, sequence, JOURNAL_COMMITTED);
}

/* What may still come late is looked for at the next mount. */
static void probe_end(struct probe *probe, bool made)
{
	struct env *env = probe->uploader->env;
	struct s3_batch_item items[PROBE_KEYS] = {0};
	struct s3_batch batch;

	s3_batch_init(&batch, env, PROBE_KEYS);
	for (int i = 0; made && i < PROBE_KEYS && probe->keys[i]; i++) {
		items[i].request = (struct os_request){
			.op = OS_DELETE, .key = probe->keys[i], .urgent = true};
		s3_batch_submit(&batch, &items[i]);
	}
	s3_batch_wait(&batch);
	for (int i = 0; i < PROBE_KEYS && probe->keys[i]; i++) {
		if (!probe->unsure && !items[i].request.result.err)
			journal_drop_intent(env->journal, probe->intents[i]);
		os_request_free_result(&items[i].request);
		free(probe->keys[i]);
	}
	os_meta_free(&probe->meta);
}

static void try_all(struct probe *probe, void (*set_unquoted)(void *context, bool unquoted),
		    void *context)
{
	struct os_condition absent = {.if_none_match_any = true};
	struct upload_capabilities *can = &probe->uploader->can;

	if (fiber_start(probe->uploader->env->fibers, try_others, probe))
		probe->others_done = true;
	can->put_if_none_match = try_put(probe, probe->keys[KEY_SINGLE], absent, NULL) == -ESTALE;
	can->put_if_match = try_if_match(probe);
	if (!can->put_if_match) {
		set_unquoted(context, true);
		can->put_if_match = try_if_match(probe);
		if (!can->put_if_match)
			set_unquoted(context, false);
	}
	race_puts(probe);
	while (!probe->others_done)
		fiber_wait(&probe->others_ended, DEADLINE_NONE, WAIT_PLAIN);
}

int upload_probe(struct uploader *uploader, const char *prefix, struct os_result *failure,
		 void (*set_unquoted)(void *context, bool unquoted), void *context)
{
	struct os_condition none = {NULL, false, NULL};
	struct probe probe = {.uploader = uploader};
	int err = probe_begin(&probe, prefix);

	uploader->can = (struct upload_capabilities){.racy = false};
	if (!err)
		err = try_put(&probe, probe.keys[KEY_SINGLE], none, failure);
	if (!err)
		try_all(&probe, set_unquoted, context);
	probe_end(&probe, !err || probe.unsure);
	return err;
}

#include "plugin/buckets.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bucket_name.h"
#include "common/log.h"
#include "common/s3/digest.h"
#include "common/s3/s3.h"
#include "plugin/s3_call.h"
#include "plugin/state.h"

#define FILE_NAME     "buckets"
#define FILE_VERSION  "s3mount-buckets 1"
#define REFRESH_EVERY (30 * NSEC_PER_SEC)
#define LIST_TIMEOUT  (10 * NSEC_PER_SEC)
#define HEAD_TIMEOUT  (1400 * NSEC_PER_MSEC)
#define FAILED_FOR    (2 * NSEC_PER_SEC)
#define WAIT_HEALTHY  (5 * NSEC_PER_SEC)
#define WAIT_FAILING  (1500 * NSEC_PER_MSEC)

enum {
	BUCKETS_MAX = 100000,
	CONNECTIONS = 2,
};

struct list_of_buckets {
	struct bucket *items; /* sorted by name */
	size_t count;
};

struct buckets {
	struct buckets_config config;
	struct objstore *store; /* NULL: no keys, or settings that make no sense */
	char account[2 * SHA256_BYTES + 1];
	struct list_of_buckets list;
	uint64_t tried_at;     /* the end of the last refresh, whatever came of it; 0: none yet */
	uint64_t begun, ended; /* refreshes so far */
	bool may_not_list;
	struct error problem;	     /* of the last refresh */
	struct wait_queue wanted;    /* the refresher sleeps here */
	struct wait_queue refreshed; /* and those who wait for it here */
	bool demanded;
};

static uint64_t now_of(const struct buckets *buckets)
{
	return executor_monotonic(buckets->config.executor);
}

static void list_free(struct list_of_buckets *list)
{
	while (list->count > 0)
		free(list->items[--list->count].name);
	free(list->items);
	*list = (struct list_of_buckets){NULL, 0};
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct bucket *)a)->name, ((const struct bucket *)b)->name);
}

/* Names that no volume can have are left out. */
static int list_add(struct list_of_buckets *list, const char *name, int64_t created_at)
{
	struct bucket *grown;

	if (list->count == BUCKETS_MAX || bucket_name_check(name, NULL))
		return 0;
	grown = realloc(list->items, (list->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->items = grown;
	grown[list->count].name = strdup(name);
	if (!grown[list->count].name)
		return -ENOMEM;
	grown[list->count++].created_at = created_at;
	return 0;
}

static void list_replace(struct buckets *buckets, struct list_of_buckets *list)
{
	if (list->count > 1)
		qsort(list->items, list->count, sizeof(list->items[0]), compare);
	list_free(&buckets->list);
	buckets->list = *list;
	*list = (struct list_of_buckets){NULL, 0};
}

/* The list on disk is of one account; after `docker plugin set` with other keys it says nothing. */
static int name_account(struct buckets *buckets)
{
	const struct settings *settings = buckets->config.settings;
	unsigned char hash[SHA256_BYTES];
	struct buf text = BUF_INIT;
	struct digest *digest = digest_create();
	int err = -ENOMEM;

	buf_printf(&text, "%s\n%s\n", settings->options.endpoint ? settings->options.endpoint : "",
		   settings->credentials.access_key);
	if (digest && !text.failed) {
		digest_sha256(digest, text.data, text.len, hash);
		buf_reset(&text);
		buf_put_hex(&text, hash, sizeof(hash));
		err = text.failed ? -ENOMEM : 0;
	}
	if (!err)
		memcpy(buckets->account, buf_str(&text), sizeof(buckets->account));
	digest_free(digest);
	buf_free(&text);
	return err;
}

/* Lines: the version, the account, then "CREATED NAME" for each bucket. */
static char *format_file(const struct buckets *buckets)
{
	struct buf text = BUF_INIT;
	size_t i;

	buf_printf(&text, FILE_VERSION "\n%s\n", buckets->account);
	for (i = 0; i < buckets->list.count; i++)
		buf_printf(&text, "%" PRId64 " %s\n", buckets->list.items[i].created_at,
			   buckets->list.items[i].name);
	return buf_steal(&text);
}

static void parse_file(struct buckets *buckets, char *text)
{
	struct list_of_buckets list = {NULL, 0};
	char *rest = text, *line = strsep(&rest, "\n");

	if (strcmp(line, FILE_VERSION) != 0 || !rest)
		return;
	line = strsep(&rest, "\n");
	if (strcmp(line, buckets->account) != 0)
		return;
	while ((line = strsep(&rest, "\n"))) {
		char *name;
		int64_t created_at = strtoll(line, &name, 10);

		if (*name != ' ' || list_add(&list, name + 1, created_at))
			break;
	}
	list_replace(buckets, &list);
	list_free(&list);
}

struct save_call {
	const char *directory;
	char *text;
	struct error error;
};

static int save_file(void *argument)
{
	struct save_call *call = argument;

	return state_save(call->directory, FILE_NAME, call->text, &call->error);
}

static void save(struct buckets *buckets)
{
	struct save_call call = {buckets->config.settings->state, format_file(buckets), ERROR_INIT};

	if (!call.text)
		return;
	if (worker_run(buckets->config.worker, save_file, &call))
		log_warning("the list of buckets is not kept: %s", call.error.message);
	free(call.text);
}

static void configure(const struct options *options, const char *bucket,
		      const struct credentials *credentials, struct s3_config *out)
{
	*out = (struct s3_config){
		.bucket = bucket,
		.endpoint = options->endpoint,
		.region = options->region,
		.path_style = (enum path_style_mode)options->path_style,
		.ca_file = options->ca_file,
		.connections = CONNECTIONS,
		.credentials = credentials,
		.user_agent = "s3mount-plugin/" S3MOUNT_VERSION,
	};
}

int buckets_create(struct buckets **out, const struct buckets_config *config)
{
	const struct settings *settings = config->settings;
	struct buckets *buckets = calloc(1, sizeof(*buckets));
	struct s3_config s3;
	char *text;
	size_t len;

	if (!buckets)
		return -ENOMEM;
	buckets->config = *config;
	wait_queue_init(&buckets->wanted);
	wait_queue_init(&buckets->refreshed);
	*out = buckets;
	if (!settings->has_credentials || settings->credentials.anonymous || settings->problem.code)
		return 0;
	configure(&settings->options, NULL, &settings->credentials, &s3);
	if (name_account(buckets) ||
	    s3_create(&buckets->store, config->executor, &s3, &buckets->problem)) {
		buckets->store = NULL;
		return 0;
	}
	if (state_load(settings->state, FILE_NAME, &text, &len, NULL) == 0) {
		parse_file(buckets, text);
		free(text);
	}
	return 0;
}

/* Says so once when it begins, and once when it is over. */
static void set_problem(struct buckets *buckets, const struct error *error)
{
	if (error->code && strcmp(buckets->problem.message, error->message) != 0)
		log_warning("the buckets of the account cannot be listed: %s", error->message);
	else if (!error->code && buckets->problem.code)
		log_info("the buckets of the account are listed again");
	buckets->problem = *error;
}

static bool same_list(const struct list_of_buckets *a, const struct list_of_buckets *b)
{
	size_t i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++) {
		if (strcmp(a->items[i].name, b->items[i].name) != 0)
			return false;
	}
	return true;
}

static bool take_result(struct buckets *buckets, const struct os_result *result)
{
	struct list_of_buckets list = {NULL, 0};
	bool changed;
	size_t i;

	for (i = 0; i < result->entry_count; i++) {
		if (list_add(&list, result->entries[i].key, result->entries[i].last_modified)) {
			list_free(&list);
			return false;
		}
	}
	if (list.count > 1)
		qsort(list.items, list.count, sizeof(list.items[0]), compare);
	changed = !same_list(&list, &buckets->list);
	list_replace(buckets, &list);
	return changed;
}

static void refresh(struct buckets *buckets)
{
	const struct settings *settings = buckets->config.settings;
	struct error error = ERROR_INIT;
	struct os_request request = {.op = OS_BUCKETS, .urgent = true};
	struct s3_config s3;
	bool changed = false;
	int err;

	buckets->begun++;
	request.deadline = now_of(buckets) + LIST_TIMEOUT;
	err = s3_call(buckets->store, &request);
	configure(&settings->options, NULL, &settings->credentials, &s3);
	if (err)
		s3_explain(&s3, &request, &error);
	else
		changed = take_result(buckets, &request.result);
	/* Refused by name, not by signature: the keys are good for something else. */
	buckets->may_not_list = err == -EACCES && strcmp(request.result.code, "AccessDenied") == 0;
	set_problem(buckets, &error);
	log_debug("the account has %zu buckets (request %" PRIu64 ", HTTP %d)", buckets->list.count,
		  buckets->begun, request.result.http_status);
	os_request_free_result(&request);
	buckets->tried_at = now_of(buckets);
	buckets->ended++;
	wait_wake_all(&buckets->refreshed);
	if (changed)
		save(buckets);
}

static void refresher(void *argument)
{
	struct buckets *buckets = argument;

	for (;;) {
		buckets->demanded = false;
		refresh(buckets);
		if (!buckets->demanded)
			fiber_wait(&buckets->wanted, now_of(buckets) + REFRESH_EVERY, WAIT_PLAIN);
	}
}

void buckets_start(struct buckets *buckets)
{
	if (buckets->store && fiber_start(buckets->config.pool, refresher, buckets))
		log_error("the buckets of the account are not listed: out of memory");
}

const struct bucket *buckets_list(const struct buckets *buckets, size_t *count)
{
	*count = buckets->list.count;
	return buckets->list.items;
}

const struct bucket *buckets_get(const struct buckets *buckets, const char *name)
{
	const struct bucket key = {(char *)name, 0};

	if (buckets->list.count == 0)
		return NULL;
	return bsearch(&key, buckets->list.items, buckets->list.count, sizeof(key), compare);
}

const char *buckets_problem(const struct buckets *buckets)
{
	return buckets->problem.message;
}

static int ask(const struct buckets_config *config, const struct options *options,
	       const char *bucket, const struct credentials *credentials, uint64_t deadline,
	       struct error *error)
{
	struct os_request head = {.op = OS_BUCKET_HEAD, .deadline = deadline, .urgent = true};
	struct os_request list = {
		.op = OS_LIST, .deadline = deadline, .max_keys = 1, .urgent = true};
	struct buf prefix = BUF_INIT;
	struct objstore *store;
	struct s3_config s3;
	int err;

	configure(options, bucket, credentials, &s3);
	err = s3_create(&store, config->executor, &s3, error);
	if (err)
		return err;
	err = s3_call(store, &head);
	if (err && err != -EACCES)
		s3_explain(&s3, &head, error);
	if (err == -EACCES) {
		/* A HEAD has no code that tells a wrong secret from a missing right, and keys may
		 * be for one prefix alone: list there. */
		if (options->prefix && *options->prefix)
			buf_printf(&prefix, "%s/", options->prefix);
		list.prefix = buf_str(&prefix);
		err = s3_call(store, &list);
		if (err)
			s3_explain(&s3, &list, error);
		os_request_free_result(&list);
		buf_free(&prefix);
	}
	os_request_free_result(&head);
	objstore_destroy(store);
	return err;
}

/* A refresh that begins from now on: one that is under way may have been answered before the bucket
 * was made. */
static void wait_refreshed(struct buckets *buckets, const char *name)
{
	uint64_t patience = buckets->problem.code ? WAIT_FAILING : WAIT_HEALTHY;
	uint64_t deadline = now_of(buckets) + patience, wanted = buckets->begun + 1;

	buckets->demanded = true;
	wait_wake_all(&buckets->wanted);
	while (buckets->ended < wanted &&
	       fiber_wait(&buckets->refreshed, deadline, WAIT_PLAIN) != -ETIMEDOUT)
		;
	if (buckets->ended < wanted)
		log_warning("%s: it is not known whether there is such a bucket; S3 did not answer "
			    "in time",
			    name);
}

bool buckets_find(struct buckets *buckets, const char *name)
{
	const struct settings *settings = buckets->config.settings;
	bool just_failed = buckets->problem.code && buckets->tried_at &&
			   now_of(buckets) - buckets->tried_at < FAILED_FOR;

	if (buckets_get(buckets, name))
		return true;
	if (!buckets->store || bucket_name_check(name, NULL))
		return false;
	if (!buckets->may_not_list && !just_failed)
		wait_refreshed(buckets, name);
	if (buckets->may_not_list)
		return ask(&buckets->config, &settings->options, name, &settings->credentials,
			   now_of(buckets) + HEAD_TIMEOUT, NULL) == 0;
	return buckets_get(buckets, name) != NULL;
}

struct credentials_call {
	const struct buckets_config *config;
	const struct definition *definition;
	struct options *options;
	struct credentials credentials;
	bool found;
	struct error *error;
};

/* The same keys that s3mount would use. */
static int load_credentials(void *argument)
{
	struct credentials_call *call = argument;
	int err = settings_credentials(call->config->settings, call->definition, call->options,
				       &call->credentials, &call->found, call->error);

	if (!err && !call->found)
		err = credentials_load(&call->credentials, call->options, call->definition->bucket,
				       call->error);
	return err;
}

int buckets_check(const struct buckets_config *config, const struct definition *definition,
		  uint64_t deadline, struct error *error)
{
	struct options options;
	struct credentials_call call = {
		.config = config, .definition = definition, .options = &options};
	int err = settings_for_volume(config->settings, definition, &options, error);

	if (err)
		return err;
	call.error = error;
	err = worker_run(config->worker, load_credentials, &call);
	if (!err)
		err = ask(config, &options, definition->bucket, &call.credentials, deadline, error);
	credentials_free(&call.credentials);
	options_free(&options);
	return err;
}

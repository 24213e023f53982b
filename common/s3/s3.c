#include "common/s3/s3.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/check.h"
#include "common/s3/store.h"

enum { CONNECTIONS_DEFAULT = 32 };

static const char default_region[] = "us-east-1";

static struct s3_store *store_of(struct objstore *base)
{
	return container_of(base, struct s3_store, base);
}

/* On the thread of the executor. */
static void run_done(struct task *task)
{
	struct os_request *request = container_of(task, struct os_request, task);
	struct s3_call *call = request->implementation;
	struct s3_store *store = call->store;
	bool pooled;

	call_shrink(call);
	pthread_mutex_lock(&store->lock);
	list_remove(&call->cancel_node);
	pooled = store->pool_count < CALL_POOL_MAX;
	if (pooled) {
		list_append(&store->pool, &call->node);
		store->pool_count++;
	}
	pthread_mutex_unlock(&store->lock);
	if (!pooled)
		call_free(call);
	request->implementation = NULL;
	request->done(request);
}

static struct s3_call *take_call(struct s3_store *store)
{
	struct list *node;
	struct s3_call *call;

	pthread_mutex_lock(&store->lock);
	node = list_pop(&store->pool);
	if (node)
		store->pool_count--;
	pthread_mutex_unlock(&store->lock);
	if (node)
		return container_of(node, struct s3_call, node);
	call = calloc(1, sizeof(*call));
	if (!call)
		return NULL;
	call->store = store;
	list_init(&call->node);
	list_init(&call->cancel_node);
	return call;
}

static void run_done_without_call(struct task *task)
{
	struct os_request *request = container_of(task, struct os_request, task);

	request->done(request);
}

static void store_submit(struct objstore *base, struct os_request *request)
{
	struct s3_store *store = store_of(base);
	struct s3_call *call = take_call(store);

	memset(&request->result, 0, sizeof(request->result));
	request->implementation = call;
	if (!call) {
		request->result.err = -ENOMEM;
		request->task.run = run_done_without_call;
		executor_post(store->executor, &request->task);
		return;
	}
	request->task.run = run_done;
	call_reset(call, request);
	pthread_mutex_lock(&store->lock);
	list_append(&store->inbox, &call->node);
	atomic_store(&store->called, true);
	pthread_mutex_unlock(&store->lock);
	http_wake(store->http);
}

static void store_cancel(struct objstore *base, struct os_request *request)
{
	struct s3_store *store = store_of(base);
	struct s3_call *call = request->implementation;

	if (!call)
		return;
	pthread_mutex_lock(&store->lock);
	list_remove(&call->cancel_node);
	list_append(&store->cancels, &call->cancel_node);
	atomic_store(&store->called, true);
	pthread_mutex_unlock(&store->lock);
	http_wake(store->http);
}

static void free_store(struct s3_store *store)
{
	struct list *node;

	while ((node = list_pop(&store->pool)))
		call_free(container_of(node, struct s3_call, node));
	if (store->http)
		http_destroy(store->http);
	if (store->new_credentials) {
		credentials_free(store->new_credentials);
		free(store->new_credentials);
	}
	sigv4_signer_wipe(&store->signer);
	credentials_free(&store->credentials);
	digest_free(store->digest);
	digest_free(store->payload_digest);
	buf_free(&store->scratch);
	pthread_mutex_destroy(&store->lock);
	free(store->bucket);
	free(store);
}

static void store_destroy(struct objstore *base)
{
	struct s3_store *store = store_of(base);

	pthread_mutex_lock(&store->lock);
	CHECK(list_empty(&store->inbox));
	store->stop = true;
	atomic_store(&store->called, true);
	pthread_mutex_unlock(&store->lock);
	http_wake(store->http);
	pthread_join(store->thread, NULL);
	CHECK(list_empty(&store->active) && list_empty(&store->urgent) &&
	      list_empty(&store->bulk) && list_empty(&store->delayed) &&
	      list_empty(&store->hashing));
	free_store(store);
}

static const struct objstore_ops store_ops = {store_submit, store_cancel, store_destroy};

void s3_set_unquoted_etags(struct objstore *base, bool unquoted)
{
	atomic_store(&store_of(base)->unquoted_etags, unquoted);
}

static int copy_credentials(struct credentials *to, const struct credentials *from)
{
	memset(to, 0, sizeof(*to));
	to->anonymous = from->anonymous;
	to->access_key = string_copy(from->access_key);
	to->secret_key = string_copy(from->secret_key);
	to->session_token = string_copy(from->session_token);
	memcpy(to->source, from->source, sizeof(to->source));
	if ((from->access_key && !to->access_key) || (from->secret_key && !to->secret_key) ||
	    (from->session_token && !to->session_token)) {
		credentials_free(to);
		return -ENOMEM;
	}
	return 0;
}

int s3_set_credentials(struct objstore *base, const struct credentials *credentials)
{
	struct s3_store *store = store_of(base);
	struct credentials *new = calloc(1, sizeof(*new)), *old;

	if (!new)
		return -ENOMEM;
	if (copy_credentials(new, credentials)) {
		free(new);
		return -ENOMEM;
	}
	pthread_mutex_lock(&store->lock);
	old = store->new_credentials;
	store->new_credentials = new;
	pthread_mutex_unlock(&store->lock);
	if (old) {
		credentials_free(old);
		free(old);
	}
	return 0;
}

static int set_place(struct s3_store *store, const struct s3_config *config, struct error *error)
{
	const char *region = config->region;
	int err = endpoint_parse(&store->endpoint, config->endpoint, error);

	if (err)
		return err;
	if (!region || !*region)
		region = store->endpoint.region[0] ? store->endpoint.region : default_region;
	if (!endpoint_region_is_valid(region))
		return error_set(error, -EINVAL, "region \"%s\" is malformed", region);
	snprintf(store->region, sizeof(store->region), "%s", region);
	store->style = endpoint_style(&store->endpoint, config->bucket, config->path_style,
				      &store->may_switch_style);
	return 0;
}

static int set_resources(struct s3_store *store, const struct s3_config *config)
{
	struct http_config http = {config->ca_file, config->user_agent, store->connections};
	const struct credentials *credentials = config->credentials;

	if (config->bucket) {
		store->bucket = strdup(config->bucket);
		if (!store->bucket)
			return -ENOMEM;
	}
	store->reload = config->reload;
	store->reload_context = config->reload_context;
	if (copy_credentials(&store->credentials, credentials))
		return -ENOMEM;
	if (!credentials->access_key || !credentials->secret_key)
		store->credentials.anonymous = true;
	store->digest = digest_create();
	store->payload_digest = digest_create();
	if (!store->digest || !store->payload_digest)
		return -ENOMEM;
	store->signer = (struct sigv4_signer){
		.digest = store->digest,
		.access_key = store->credentials.access_key,
		.secret_key = store->credentials.secret_key,
		.service = "s3",
	};
	return http_create(&store->http, &http);
}

/* No signal is for this thread: handlers run where the program expects them. */
static int start_thread(struct s3_store *store)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&store->thread, NULL, store_network_thread, store);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_setname_np(store->thread, "s3");
	return -err;
}

static struct s3_store *new_store(const struct s3_config *config, struct executor *executor)
{
	struct s3_store *store = calloc(1, sizeof(*store));
	unsigned reserved;

	if (!store)
		return NULL;
	store->base.ops = &store_ops;
	store->executor = executor;
	store->connections = config->connections ? config->connections : CONNECTIONS_DEFAULT;
	/* Some connections stay free for what somebody waits for. */
	reserved = store->connections / 8 ? store->connections / 8 : 1;
	store->bulk_connections = store->connections > reserved ? store->connections - reserved : 1;
	pthread_mutex_init(&store->lock, NULL);
	atomic_init(&store->called, false);
	atomic_init(&store->unquoted_etags, false);
	store->next_due = UINT64_MAX;
	list_init(&store->inbox);
	list_init(&store->cancels);
	list_init(&store->pool);
	list_init(&store->urgent);
	list_init(&store->bulk);
	list_init(&store->hashing);
	list_init(&store->delayed);
	list_init(&store->active);
	if (getrandom(&store->scratch_random, sizeof(store->scratch_random), GRND_NONBLOCK) < 0)
		store->scratch_random = http_now();
	return store;
}

int s3_create(struct objstore **out, struct executor *executor, const struct s3_config *config,
	      struct error *error)
{
	struct s3_store *store = new_store(config, executor);
	int err;

	*out = NULL;
	if (!store)
		return error_set(error, -ENOMEM, "out of memory");
	err = set_place(store, config, error);
	if (!err)
		err = set_resources(store, config);
	if (!err)
		err = start_thread(store);
	if (err) {
		free_store(store);
		return error_set(error, err, "the S3 client cannot start: %s", strerror(-err));
	}
	*out = &store->base;
	return 0;
}

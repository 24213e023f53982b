/* recover_bucket.c — what the bucket has under the names of what is to be saved. Part of
 * recover_tree.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/fiber.h"
#include "common/loop.h"
#include "common/s3/s3.h"
#include "fs/env.h"
#include "fs/recover_tree.h"
#include "fs/vfs/attributes.h"

enum { ASKED_AT_ONCE = 16, FIBERS = 4, FIBER_STACK = 128 * 1024 };
#define ANSWER_DEADLINE (10 * NSEC_PER_SEC)

struct asking {
	struct recover_tree *tree;
	struct env env;
	struct loop *loop;
	struct s3_config config;
	const char *prefix;
	int err; /* the first failure: nobody is asked any more */
	struct error *error;
};

struct question {
	struct s3_batch_item item; /* first */
	struct asking *asking;
	struct recover_file *file;
	char *key;
};

/* "BUCKET/PREFIX at ENDPOINT", as mount.c writes it. Cuts volume up. */
static int parse_volume(char *volume, const char **bucket, const char **prefix,
			const char **endpoint)
{
	char *slash = strchr(volume, '/'), *at = NULL;

	for (char *found = strstr(volume, " at "); found; found = strstr(found + 1, " at "))
		at = found;
	if (!slash || slash == volume || !at || at < slash)
		return -EINVAL;
	*slash = *at = '\0';
	*bucket = volume;
	*prefix = slash + 1;
	*endpoint = strcmp(at + 4, "AWS") == 0 ? NULL : at + 4;
	return 0;
}

static void note_answer(struct recover_file *file, const struct os_result *result)
{
	const char *put_id = os_meta_get(&result->meta, META_PUT_ID);

	snprintf(file->remote_etag, sizeof(file->remote_etag), "%s", result->etag);
	file->remote_size = result->size;
	if (put_id && file->put_id[0] && strcmp(put_id, file->put_id) == 0)
		file->remote = REMOTE_IS_OURS;
	else if (file->etag[0] && strcmp(result->etag, file->etag) == 0)
		file->remote = REMOTE_IS_BASE;
	else
		file->remote = REMOTE_IS_OTHER;
}

static void answered(struct s3_batch_item *item)
{
	struct question *question = (struct question *)item;
	struct asking *asking = question->asking;
	const struct os_request *request = &item->request;

	if (request->result.err == 0) {
		note_answer(question->file, &request->result);
	} else if (request->result.err == -ENOENT) {
		question->file->remote = REMOTE_IS_ABSENT;
	} else if (asking->err == 0) {
		asking->err = request->result.err;
		s3_explain(&asking->config, request, asking->error);
	}
	os_request_free_result(&item->request);
	free(question->key);
	free(question);
}

static int ask(struct asking *asking, struct s3_batch *batch, struct recover_file *file)
{
	struct question *question = calloc(1, sizeof(*question));
	struct buf key = BUF_INIT;

	buf_printf(&key, "%s%s", asking->prefix, file->path);
	if (question)
		question->key = buf_steal(&key);
	if (!question || !question->key) {
		buf_free(&key);
		free(question);
		return -ENOMEM;
	}
	question->asking = asking;
	question->file = file;
	question->item.finished = answered;
	question->item.request = (struct os_request){
		.op = OS_HEAD,
		.key = question->key,
		.deadline = env_after(&asking->env, ANSWER_DEADLINE)};
	s3_batch_submit(batch, &question->item);
	return 0;
}

static void ask_all(void *argument)
{
	struct asking *asking = argument;
	struct s3_batch batch;

	s3_batch_init(&batch, &asking->env, ASKED_AT_ONCE);
	for (size_t i = 0; i < asking->tree->count && !asking->err; i++) {
		struct recover_file *file = &asking->tree->files[i];
		int err = file->path && file->placed ? ask(asking, &batch, file) : 0;

		/* Others may have failed meanwhile. */
		if (err)
			asking->err = err;
	}
	s3_batch_wait(&batch);
	loop_stop(asking->loop);
}

static int run(struct asking *asking)
{
	int err = loop_create(&asking->loop);

	if (err)
		return err;
	asking->env.executor = loop_executor(asking->loop);
	asking->env.fibers = fiber_pool_create(asking->env.executor, FIBERS, FIBER_STACK);
	err = asking->env.fibers ? s3_create(&asking->env.store, asking->env.executor,
					     &asking->config, asking->error)
				 : -ENOMEM;
	if (!err)
		err = fiber_start(asking->env.fibers, ask_all, asking);
	if (!err) {
		loop_run(asking->loop);
		err = asking->err;
	}
	if (asking->env.store)
		objstore_destroy(asking->env.store);
	if (asking->env.fibers)
		fiber_pool_destroy(asking->env.fibers);
	loop_destroy(asking->loop);
	return err;
}

int recover_ask_bucket(struct recover_tree *tree, struct options *options, struct error *error)
{
	char *volume = string_copy(tree->journal.volume);
	const char *bucket, *prefix, *endpoint;
	struct credentials credentials = {.anonymous = false};
	struct asking asking = {.tree = tree, .error = error};
	int err = volume ? parse_volume(volume, &bucket, &prefix, &endpoint) : -ENOMEM;

	if (err) {
		free(volume);
		return error_set(error, err, "the journal does not tell which bucket it is of");
	}
	if (endpoint && !options->endpoint)
		options->endpoint = string_copy(endpoint);
	err = credentials_load(&credentials, options, bucket, error);
	if (!err) {
		asking.prefix = prefix;
		asking.config = (struct s3_config){
			.bucket = bucket,
			.endpoint = options->endpoint,
			.region = options->region,
			.path_style = (enum path_style_mode)options->path_style,
			.ca_file = options->ca_file,
			.connections = ASKED_AT_ONCE,
			.credentials = &credentials,
			.user_agent = "s3mount/" S3MOUNT_VERSION,
		};
		err = run(&asking);
	}
	credentials_free(&credentials);
	free(volume);
	return err ? error_set(error, err, "%s", strerror(-err)) : 0;
}

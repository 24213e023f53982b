#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/s3/store.h"

enum { CLOSED_STEP_MAX = 6 }; /* of retry_delay: 1.6 s */

/* How long one attempt may take, and how long it may stand still. Servers send nothing for minutes
 * while they copy or assemble a big object. */
static void set_limits(struct s3_call *call)
{
	struct http_exchange *exchange = &call->exchange;
	const struct os_request *request = call->request;
	unsigned seconds = 0;

	exchange->stall_seconds = 30;
	switch (request->op) {
	case OS_BUCKET_HEAD: seconds = 6; break;
	case OS_HEAD:
	case OS_TAGS:
	case OS_DELETE:
	case OS_BUCKETS:
	case OS_MPU_CREATE:
	case OS_MPU_ABORT: seconds = 20; break;
	case OS_LIST:
	case OS_MPU_LIST:
	case OS_MPU_LIST_PARTS:
	case OS_DELETE_MANY: seconds = 60; break;
	case OS_COPY:
	case OS_MPU_PART_COPY:
	case OS_MPU_COMPLETE:
		seconds = 600;
		exchange->stall_seconds = 300;
		break;
	case OS_GET:
	case OS_PUT:
	case OS_MPU_PART: break;
	}
	exchange->deadline = request->deadline;
	if (seconds && http_now() + seconds * NSEC_PER_SEC < exchange->deadline)
		exchange->deadline = http_now() + seconds * NSEC_PER_SEC;
}

void call_message(struct s3_call *call, const char *format, ...)
{
	struct os_result *result = &call->request->result;
	va_list args;

	va_start(args, format);
	vsnprintf(result->message, sizeof(result->message), format, args);
	va_end(args);
}

void call_reset(struct s3_call *call, struct os_request *request)
{
	call->request = request;
	call->state = CALL_QUEUED;
	call->submitted = http_now();
	buf_reset(&call->content);
	call->content_read = call->hashed = false;
	call->hash_position = 0;
	call->streaming = false;
	call->wanted_first = request->has_range ? request->range_first : 0;
	call->wanted_end = request->has_range ? request->range_first + request->range_len
					      : UINT64_MAX;
	call->delivered = call->wanted_first;
	call->chunk_len = 0;
	call->etag[0] = '\0';
	memset(&call->retry, 0, sizeof(call->retry));
	call->fresh_connection = false;
	call->has_first_failure = false;
}

void call_free(struct s3_call *call)
{
	s3_message_free(&call->message);
	buf_free(&call->authorization);
	buf_free(&call->body);
	buf_free(&call->content);
	buf_free(&call->exchange.answer_headers);
	free(call->chunk);
	free(call);
}

static void shrink(struct buf *buf)
{
	if (buf->capacity > CALL_KEEP_BYTES)
		buf_free(buf);
}

void call_shrink(struct s3_call *call)
{
	shrink(&call->message.content);
	shrink(&call->body);
	shrink(&call->content);
	shrink(&call->exchange.answer_headers);
	if (call->chunk_capacity > CALL_KEEP_BYTES) {
		free(call->chunk);
		call->chunk = NULL;
		call->chunk_capacity = 0;
	}
}

/* ---- the body to send ---- */

static bool is_signed(const struct s3_store *store)
{
	return !store->credentials.anonymous;
}

static bool has_source(const struct s3_call *call)
{
	return call->request->op == OS_PUT || call->request->op == OS_MPU_PART;
}

static bool source_is_small(const struct s3_call *call)
{
	return call->request->body.len <= HTTP_SMALL_BODY;
}

/* TLS protects the payload on the way; without it the signature must. */
bool call_needs_hash(const struct s3_call *call)
{
	return has_source(call) && !call->hashed && !source_is_small(call) &&
	       !call->store->endpoint.https && is_signed(call->store);
}

static void finish_hash(struct s3_call *call, const unsigned char hash[SHA256_BYTES])
{
	struct buf text = BUF_INIT;

	buf_put_hex(&text, hash, SHA256_BYTES);
	snprintf(call->payload_hash, sizeof(call->payload_hash), "%s", buf_str(&text));
	call->hashed = !text.failed;
	buf_free(&text);
}

int call_hash_step(struct s3_call *call)
{
	const struct os_source *source = &call->request->body;
	struct digest *digest = call->store->payload_digest;
	unsigned char hash[SHA256_BYTES];
	struct buf *piece = &call->content;
	uint64_t left = source->len - call->hash_position;
	size_t len = left < HASH_STEP ? (size_t)left : HASH_STEP;
	int err;

	if (call->hash_position == 0)
		digest_start(digest);
	buf_reset(piece);
	if (!piece->data || piece->capacity < len) {
		/* Room for a step, to be read into. */
		static const char zero[4096];

		while (piece->len < len)
			buf_append(piece, zero, sizeof(zero));
		if (piece->failed) {
			call_message(call, "out of memory");
			return -ENOMEM;
		}
	}
	err = source->read(source->context, piece->data, len, call->hash_position);
	if (err) {
		call_message(call, "the data to send cannot be read: %s", strerror(-err));
		return err < 0 ? err : -EIO;
	}
	digest_update(digest, piece->data, len);
	call->hash_position += len;
	if (call->hash_position < source->len)
		return 0;
	digest_finish(digest, hash);
	buf_free(piece);
	finish_hash(call, hash);
	return call->hashed ? 1 : -ENOMEM;
}

static int read_small_source(struct s3_call *call)
{
	const struct os_source *source = &call->request->body;
	static const char zero[4096];
	int err;

	if (call->content_read)
		return 0;
	buf_reset(&call->content);
	while (call->content.len < source->len)
		buf_append(&call->content, zero, sizeof(zero));
	if (call->content.failed)
		return -ENOMEM;
	if (source->len > 0) {
		err = source->read(source->context, call->content.data, (size_t)source->len, 0);
		if (err) {
			call_message(call, "the data to send cannot be read: %s", strerror(-err));
			return err < 0 ? err : -EIO;
		}
	}
	call->content.len = (size_t)source->len;
	call->content_read = true;
	return 0;
}

static void hash_memory(struct s3_call *call, const void *data, size_t len)
{
	unsigned char hash[SHA256_BYTES];

	digest_sha256(call->store->digest, data, len, hash);
	finish_hash(call, hash);
}

/* Points the exchange at the body. */
static int set_body(struct s3_call *call)
{
	struct http_exchange *exchange = &call->exchange;
	const struct os_source *source = &call->request->body;
	int err;

	exchange->has_body = call->message.body != S3_BODY_NONE;
	exchange->source_read = NULL;
	exchange->data = NULL;
	exchange->body_len = 0;
	if (call->message.body == S3_BODY_TEXT) {
		exchange->data = buf_str(&call->message.content);
		exchange->body_len = call->message.content.len;
	} else if (call->message.body == S3_BODY_SOURCE && source_is_small(call)) {
		err = read_small_source(call);
		if (err)
			return err;
		exchange->data = buf_str(&call->content);
		exchange->body_len = call->content.len;
	} else if (call->message.body == S3_BODY_SOURCE) {
		exchange->source_read = source->read;
		exchange->source_context = source->context;
		exchange->body_len = source->len;
	}
	exchange->large = exchange->body_len > HTTP_SMALL_BODY ||
			  (call->request->op == OS_GET &&
			   call->wanted_end - call->delivered > HTTP_SMALL_BODY);
	return 0;
}

static const char *payload_hash(struct s3_call *call)
{
	const struct http_exchange *exchange = &call->exchange;

	if (!exchange->has_body || exchange->body_len == 0)
		return SIGV4_EMPTY_SHA256;
	if (call->store->endpoint.https)
		return SIGV4_UNSIGNED_PAYLOAD;
	if (!call->hashed)
		hash_memory(call, exchange->data, (size_t)exchange->body_len);
	return call->payload_hash;
}

/* ---- signing and sending ---- */

static int sign(struct s3_call *call)
{
	struct s3_store *store = call->store;
	struct s3_message *message = &call->message;
	struct sigv4_input input = {
		.method = message->method,
		.headers = &message->headers,
		.region = call->region,
		.time = (int64_t)time(NULL) + store->clock_offset,
	};
	char date[17];

	call->exchange.authorization = NULL;
	call->clock_offset = store->clock_offset;
	call->credentials_version = store->credentials_version;
	if (!is_signed(store))
		return 0;
	sigv4_timestamp(input.time, date);
	input.payload_hash = payload_hash(call);
	header_add(&message->headers, "x-amz-date", date);
	header_add(&message->headers, "x-amz-content-sha256", input.payload_hash);
	if (store->credentials.session_token)
		header_add(&message->headers, "x-amz-security-token",
			   store->credentials.session_token);
	if (message->headers.failed)
		return message->headers.failed;
	input.path = message->url.data + message->path;
	input.path_len = message->path_len;
	input.query = message->url.data + message->query;
	input.query_len = message->query_len;
	buf_reset(&call->authorization);
	buf_puts(&call->authorization, "Authorization: ");
	call->exchange.authorization = NULL;
	if (sigv4_sign(&store->signer, &input, &store->scratch, &call->authorization))
		return -ENOMEM;
	call->exchange.authorization = buf_str(&call->authorization);
	return 0;
}

static int set_target(struct s3_call *call, struct s3_target *target)
{
	struct s3_store *store = call->store;
	const char *bucket = call->request->op == OS_BUCKETS ? NULL : store->bucket;

	memset(target, 0, sizeof(*target));
	target->https = store->endpoint.https;
	target->bucket = store->bucket;
	target->bucket_in_path = call->style == STYLE_PATH;
	target->unquoted_etags = atomic_load_explicit(&store->unquoted_etags, memory_order_relaxed);
	snprintf(target->base_path, sizeof(target->base_path), "%s", store->endpoint.path);
	return endpoint_host(&store->endpoint, call->style, bucket, call->region, target->host,
			     sizeof(target->host));
}

int call_start_attempt(struct s3_call *call)
{
	struct s3_store *store = call->store;
	struct http_exchange *exchange = &call->exchange;
	struct s3_resume resume = {call->delivered, call->etag};
	struct s3_target target;
	char why[128] = "";
	int err;

	os_request_free_result(call->request);
	call->style = store->style;
	memcpy(call->region, store->region, sizeof(call->region));
	call->streaming = false;
	call->chunk_len = 0;
	buf_reset(&call->body);
	err = set_target(call, &target);
	if (!err)
		err = s3_message_build(&call->message, call->request, &target,
				       call->etag[0] ? &resume : NULL, why);
	if (!err)
		err = set_body(call);
	if (!err)
		err = sign(call);
	if (!err) {
		exchange->method = call->message.method;
		exchange->url = buf_str(&call->message.url);
		exchange->headers = &call->message.headers;
		exchange->fresh_connection = call->fresh_connection;
		exchange->no_expect = store->no_expect;
		exchange->body = call_on_body;
		exchange->done = store_exchange_done;
		set_limits(call);
		err = http_start(store->http, exchange);
	}
	if (err && !call->request->result.message[0])
		call_message(call, "the request cannot be made: %s", why[0] ? why : strerror(-err));
	return err;
}

/* ---- the end of an attempt ---- */

/* What came before the break is kept, and the next attempt goes on from there. */
static void note_progress(struct s3_call *call)
{
	struct os_result result = {0};
	struct s3_hints hints = {0};
	struct s3_reply reply;

	if (!call->streaming || call_flush(call) || call->delivered == call->wanted_first)
		return;
	call_reply(call, &reply);
	if (s3_response_headers(&reply, &result, &hints) == 0 && result.etag[0])
		memcpy(call->etag, result.etag, sizeof(call->etag));
	else
		call->delivered = call->wanted_first;
	os_meta_free(&result.meta);
	os_meta_free(&result.headers);
}

static void describe_failure(struct s3_call *call)
{
	const struct http_exchange *exchange = &call->exchange;
	const char *detail = exchange->detail;
	struct buf *url = &call->message.url;
	int host_len = (int)call->message.path;
	const char *host = buf_str(url);

	switch (exchange->outcome) {
	case HTTP_NO_HOST:
	case HTTP_NO_CONNECTION:
		call_message(call, "no connection to %.*s: %s", host_len, host, detail);
		break;
	case HTTP_TLS:
		call_message(call, "no secure connection to %.*s: %s", host_len, host, detail);
		break;
	case HTTP_BROKEN:
	case HTTP_STALLED:
		call_message(call, "the connection to %.*s broke off: %s", host_len, host, detail);
		break;
	case HTTP_NOT_HTTP:
		call_message(call, "%.*s does not answer as S3 does: %s", host_len, host, detail);
		break;
	case HTTP_SOURCE_FAILED:
		call_message(call, "the data to send cannot be read: %s", strerror(-exchange->err));
		break;
	case HTTP_SINK_FAILED:
		call_message(call, "the data received cannot be kept: %s",
			     strerror(-exchange->err));
		break;
	case HTTP_FAILED: call_message(call, "%s", detail); break;
	case HTTP_ANSWERED: break;
	}
}

/* A body that ends early without curl seeing it (no length was told). */
static bool is_short(const struct s3_call *call)
{
	const struct os_result *result = &call->request->result;
	uint64_t end = result->size < call->wanted_end ? result->size : call->wanted_end;

	return call->request->op == OS_GET && result->err == 0 && call->streaming &&
	       call->delivered < end;
}

static void read_answer(struct s3_call *call, struct s3_hints *hints)
{
	struct http_exchange *exchange = &call->exchange;
	struct os_result *result = &call->request->result;
	struct s3_reply reply;
	int err = call->streaming ? call_flush(call) : 0;

	if (err) {
		exchange->outcome = HTTP_SINK_FAILED;
		exchange->err = err;
		return;
	}
	call_reply(call, &reply);
	s3_response_read(call->request, call->store->bucket, &reply, result, hints);
	/* Without a length the position tells it. */
	if (result->err == 0 && call->streaming && result->size == 0)
		result->size = call->position;
	if (is_short(call)) {
		exchange->outcome = HTTP_BROKEN;
		snprintf(exchange->detail, sizeof(exchange->detail), "the body is too short");
		note_progress(call);
		os_request_free_result(call->request);
	}
}

/* The version that the first bytes were of is gone: from the start again, if that is what was
 * asked. */
static bool restart_read(struct s3_call *call)
{
	if (call->request->result.err != -ESTALE || !call->etag[0] ||
	    call->request->condition.if_match)
		return false;
	call->etag[0] = '\0';
	call->delivered = call->wanted_first;
	return true;
}

static void note_skew(struct s3_call *call, const struct s3_hints *hints)
{
	struct os_result *result = &call->request->result;
	int64_t skew = hints->date - (int64_t)time(NULL);
	int64_t size = skew < 0 ? -skew : skew;

	if (result->err != -EACCES || !hints->has_date || size < RETRY_SKEW_SECONDS)
		return;
	call_message(call, "the clock of this machine is %lld s %s that of the server",
		     (long long)size, skew < 0 ? "ahead of" : "behind");
}

/* Knocking at a closed door costs nobody anything, and it should be noticed soon when it opens. */
static unsigned backoff_step(const struct s3_call *call)
{
	bool closed = call->exchange.outcome == HTTP_NO_CONNECTION ||
		      call->exchange.outcome == HTTP_NO_HOST;

	return closed && call->retry.attempts > CLOSED_STEP_MAX ? CLOSED_STEP_MAX
								: call->retry.attempts;
}

/* A server that never says "continue" would cost a second for each big body. */
static void learn_expect(struct s3_call *call)
{
	const struct http_exchange *exchange = &call->exchange;

	if (exchange->expected && !exchange->continued && exchange->status >= 200 &&
	    exchange->status < 300)
		call->store->no_expect = true;
}

struct retry_decision call_end_attempt(struct s3_call *call)
{
	struct s3_store *store = call->store;
	struct os_result *result = &call->request->result;
	struct s3_hints hints = {0};
	struct retry_input input = {
		.request = call->request,
		.begun = call->exchange.begun,
		.result = result,
		.hints = &hints,
		.region = call->region,
		.now = (int64_t)time(NULL),
		.clock_offset = call->clock_offset,
		.may_switch_style = store->may_switch_style && call->request->op == OS_BUCKET_HEAD,
		.virtual_host = call->style == STYLE_VIRTUAL_HOST,
	};
	struct retry_decision decision;

	learn_expect(call);
	if (call->exchange.outcome == HTTP_ANSWERED)
		read_answer(call, &hints);
	else if (call->exchange.outcome != HTTP_SINK_FAILED)
		note_progress(call);
	input.outcome = call->exchange.outcome;
	if (input.outcome != HTTP_ANSWERED) {
		result->http_status = call->exchange.status;
		describe_failure(call);
	} else if (result->err) {
		note_skew(call, &hints);
	}
	decision = retry_decide(&call->retry, &input);
	if (call->exchange.err &&
	    (input.outcome == HTTP_SOURCE_FAILED || input.outcome == HTTP_SINK_FAILED ||
	     input.outcome == HTTP_FAILED))
		decision.err = call->exchange.err;
	if (decision.action == RETRY_FINISH && restart_read(call))
		decision.action = RETRY_NOW;
	if (decision.action == RETRY_LATER)
		call->due = http_now() +
			    retry_delay(backoff_step(call), hints.retry_after, store->random);
	result->err = decision.err;
	return decision;
}

#include "tests/s3server/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/log.h"

enum { DOCUMENT_MAX = 8 * 1024 * 1024, SKEW_MAX_MSEC = 15 * 60 * 1000, RACY_MSEC = 30 };

int64_t server_now(struct server *server)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 +
	       atomic_load(&server->clock_offset);
}

const char *request_header(const struct request *request, const char *name)
{
	return http_header(request->exchange, name);
}

const char *request_query(const struct request *request, const char *name)
{
	return pairs_get(&request->query, name);
}

/* "bucket.DOMAIN[:port]" in Host names the bucket; else it is the path's first segment. */
static char *bucket_of_host(const struct request *request)
{
	const char *host = request_header(request, "Host");
	const char *domain = request->server->config.domain;
	size_t len = host ? strcspn(host, ":") : 0, domain_len = strlen(domain);

	if (len <= domain_len + 1 ||
	    strncasecmp(host + len - domain_len, domain, domain_len) != 0 ||
	    host[len - domain_len - 1] != '.')
		return NULL;
	return strndup(host, len - domain_len - 1);
}

/* Returns the S3 error code when the target is malformed. */
static const char *parse_target(struct request *request, enum level *level)
{
	const char *path = request->exchange->path;
	bool bad_bucket = false, bad_key;

	path += *path == '/';
	request->bucket_name = bucket_of_host(request);
	if (!request->bucket_name) {
		size_t len = strcspn(path, "/");

		request->bucket_name = uri_decoded(path, len, &bad_bucket);
		path += len;
		path += *path == '/';
	}
	request->key = uri_decoded(path, strlen(path), &bad_key);
	pairs_parse_query(&request->query, request->exchange->query);
	if (bad_bucket || bad_key)
		return "InvalidURI";
	if (strlen(request->key) > KEY_MAX_BYTES)
		return "KeyTooLongError";
	*level = !request->bucket_name[0] ? LEVEL_SERVICE
		 : !request->key[0]	  ? LEVEL_BUCKET
					  : LEVEL_OBJECT;
	return NULL;
}

static void sleep_msec(uint64_t msec)
{
	struct timespec time = {(time_t)(msec / 1000), (long)(msec % 1000) * 1000000};

	nanosleep(&time, NULL);
}

/* True: the request ends here. */
static bool fault_before(struct request *request)
{
	const char *name = request->operation ? request->operation->name : "Unknown";
	struct fault *fault = &request->fault;

	switch (faults_match(&request->server->faults, name, request->key,
			     request_header(request, "Authorization"), fault)) {
	case FAULT_STATUS:
		reply_error_details(request, (unsigned)fault->argument, fault->code, NULL, NULL);
		return true;
	case FAULT_ERROR_IN_200:
		reply_error_details(request, 200, fault->code, NULL, NULL);
		return true;
	case FAULT_DROP_BEFORE: request->exchange->drop = true; return true;
	case FAULT_STALL: sleep_msec(fault->argument); return false;
	default: return false;
	}
}

static bool check_authentication(struct request *request)
{
	const struct server_config *config = &request->server->config;
	struct signature_input input = {
		.keys = &config->keys,
		.method = request->exchange->method,
		.path = request->exchange->path,
		.headers = &request->exchange->headers,
		.query = &request->query,
		.now = request->now,
		.region = config->region_strict ? config->region : NULL,
		.skew_max = SKEW_MAX_MSEC,
	};
	const struct signature *signature = &request->signature;

	signature_verify(&input, &request->signature);
	if (signature->error) {
		reply_error_details(request, error_status(signature->error), signature->error,
				    signature->message, &signature->details);
		return false;
	}
	if (signature->anonymous && !config->anonymous) {
		reply_error(request, "AccessDenied", NULL);
		return false;
	}
	return true;
}

static bool start_body(struct request *request)
{
	const struct server_config *config = &request->server->config;
	struct exchange *exchange = request->exchange;
	bool is_data = request->operation->body == BODY_DATA;
	bool is_part = is_data && request_query(request, "uploadId");
	const char *length = http_header(exchange, "x-amz-decoded-content-length");
	struct body_config body = {
		.store = is_data ? request->server->store : NULL,
		.limit = !is_data  ? DOCUMENT_MAX
			 : is_part ? config->limits.part_size
				   : config->limits.put_size,
		.want_md5 = is_data && !request->opaque_etag,
		.signature = &request->signature,
		.headers = &exchange->headers,
	};

	if (!length)
		length = http_header(exchange, "Content-Length");
	if (is_data && !length) {
		reply_error(request, "MissingContentLength", NULL);
		return false;
	}
	if (is_data && strtoull(length, NULL, 10) > body.limit) {
		reply_error(request, "EntityTooLarge", NULL);
		return false;
	}
	body_start(&request->body, &body);
	return true;
}

/* False: replied (or dropped). */
static bool prepare(struct request *request)
{
	enum level level = LEVEL_SERVICE;
	const char *error = parse_target(request, &level);

	if (!error)
		request->operation = route(request, level);
	if (request->operation)
		atomic_fetch_add(&request->server->faults.requests[request->operation - operations],
				 1);
	if (fault_before(request))
		return false;
	if (!error && !check_authentication(request))
		return false;
	if (error) {
		reply_error(request, error, NULL);
		return false;
	}
	if (!request->operation) {
		reply_error(request,
			    route_is_unsupported(&request->query) ? "NotImplemented"
								  : "MethodNotAllowed",
			    NULL);
		return false;
	}
	if (level != LEVEL_SERVICE)
		request->bucket = bucket_find(request->server->store, request->bucket_name);
	if (level != LEVEL_SERVICE && !request->bucket && !request->operation->makes_bucket) {
		reply_error(request, "NoSuchBucket", NULL);
		return false;
	}
	return start_body(request);
}

static bool is_control_path(const char *path)
{
	return strcmp(path, "/_control") == 0 || strncmp(path, "/_control/", 10) == 0;
}

void service_begin(struct exchange *exchange, void *server)
{
	struct request *request = xmalloc(sizeof(*request));
	struct body_config body = {.limit = DOCUMENT_MAX,
				   .signature = &request->signature,
				   .headers = &exchange->headers};

	exchange->user = request;
	request->server = server;
	request->exchange = exchange;
	request->now = server_now(request->server);
	request->opaque_etag = atomic_load(&request->server->fast_etag);
	snprintf(request->id, sizeof(request->id), "%016llX",
		 (unsigned long long)atomic_fetch_add(&request->server->next_request, 1));
	if (is_control_path(exchange->path) && exchange->from_loopback) {
		request->is_control = true;
		body_start(&request->body, &body);
		return;
	}
	if (atomic_load(&request->server->down)) {
		exchange->drop = true;
		return;
	}
	exchange->reject = !prepare(request);
}

void service_body(struct exchange *exchange, const char *data, size_t len)
{
	struct request *request = exchange->user;

	if (atomic_load_explicit(&request->server->down, memory_order_relaxed) &&
	    !request->is_control)
		exchange->drop = true;
	else
		body_feed(&request->body, data, len);
	request->body_bytes += len;
	if (request->fault.action == FAULT_DROP_BODY &&
	    request->body_bytes >= request->fault.argument)
		exchange->drop = true;
}

static void fault_after(struct request *request)
{
	switch (request->fault.action) {
	case FAULT_DROP_AFTER: request->exchange->drop = true; break;
	case FAULT_STALL_AFTER: sleep_msec(request->fault.argument); break;
	case FAULT_TRUNCATE: request->exchange->reply.truncate_at = request->fault.argument; break;
	case FAULT_LENGTH:
		request->exchange->reply.length_error = (int64_t)request->fault.argument;
		break;
	case FAULT_SLOW: request->exchange->reply.pace = request->fault.argument; break;
	case FAULT_STALL_BODY: request->exchange->reply.stall_at = request->fault.argument; break;
	default: break;
	}
}

void service_finish(struct exchange *exchange)
{
	struct request *request = exchange->user;
	const char *error = body_end(&request->body);

	if (request->is_control) {
		control_run(request);
		return;
	}
	if (request->fault.action == FAULT_DROP_BODY) {
		request->exchange->drop = true;
		return;
	}
	if (error)
		reply_error(request, error, NULL);
	else
		request->operation->run(request);
	fault_after(request);
	/* went down meanwhile: applied, but nobody hears of it */
	if (atomic_load(&request->server->down))
		exchange->drop = true;
}

/* The query of a presigned request is as good as a password for a while, so it is left out. */
static void log_request(const struct request *request)
{
	const struct exchange *exchange = request->exchange;
	const char *query = request->signature.presigned ? "(presigned)" : exchange->query;

	log_debug("%s %s%s%s -> %s%u", exchange->method, exchange->path, *query ? "?" : "", query,
		  exchange->drop ? "dropped " : "", exchange->reply.status);
}

void service_closed(struct exchange *exchange)
{
	struct request *request = exchange->user;

	if (request->server->config.verbose)
		log_request(request);
	body_free(&request->body);
	signature_free(&request->signature);
	pairs_free(&request->query);
	free(request->bucket_name);
	free(request->key);
	free(request);
	exchange->user = NULL;
}

static int64_t date_header(const struct request *request, const char *prefix, const char *name)
{
	char full[64];
	const char *text;
	int64_t msec;

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	text = request_header(request, full);
	return text && parse_http_date(text, &msec) ? msec : INT64_MIN;
}

static const char *text_header(const struct request *request, const char *prefix, const char *name)
{
	char full[64];

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	return request_header(request, full);
}

struct condition request_condition(const struct request *request, const char *prefix)
{
	return (struct condition){
		.if_match = text_header(request, prefix, "if-match"),
		.if_none_match = text_header(request, prefix, "if-none-match"),
		.if_modified_since = date_header(request, prefix, "if-modified-since"),
		.if_unmodified_since = date_header(request, prefix, "if-unmodified-since"),
	};
}

/* What a server does that decides first and writes later. False: replied. */
static bool looks_good(struct request *request, const struct condition *condition)
{
	struct object *object = bucket_get(request->bucket, request->key);
	enum verdict verdict = condition_for_write(condition, object ? object->etag : NULL);

	if (object)
		object_unref(object);
	if (verdict == VERDICT_PASS)
		sleep_msec(RACY_MSEC);
	else
		reply_verdict(request, verdict);
	return verdict == VERDICT_PASS;
}

bool request_write_condition(struct request *request, struct condition *condition)
{
	int mode = atomic_load(&request->server->conditions);

	*condition = request_condition(request, "");
	if (!condition->if_match && !condition->if_none_match)
		return true;
	if (mode == CONDITIONS_UNSUPPORTED ||
	    (condition->if_none_match && strcmp(condition->if_none_match, "*") != 0)) {
		reply_error(request, "NotImplemented", NULL);
		return false;
	}
	if (mode == CONDITIONS_RACY && !looks_good(request, condition))
		return false;
	if (mode == CONDITIONS_IGNORE || mode == CONDITIONS_RACY)
		*condition = (struct condition)CONDITION_NONE;
	return true;
}

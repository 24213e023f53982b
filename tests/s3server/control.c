#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/s3server/json_flat.h"
#include "tests/s3server/request.h"

/* POST /_control
 * {"op":"PutObject","key_prefix":"a/","after":1,"count":2,"action":"status:503:SlowDown"}
 *                         {"action":"skew:SECONDS"} | {"action":"down"} | {"action":"up"} |
 *                         {"action":"conditions:on|ignore|unsupported|racy"} |
 *                         {"action":"etags:opaque|md5"}
 * A fault may name an "access_key" as well: of who must ask.
 * DELETE /_control        all that was set is cleared, and the counters
 * GET /_control/requests  {"PutObject":3,..,"total":5}; DELETE sets them to zero */

static void reply_json(struct request *request, unsigned status, const char *text)
{
	buf_reset(&request->exchange->reply.body);
	buf_puts(&request->exchange->reply.body, text);
	reply_header(request, "Content-Type", "application/json");
	reply_status(request, status);
}

static void clear_counters(struct faults *faults)
{
	for (unsigned i = 0; i < operation_count; i++)
		atomic_store(&faults->requests[i], 0);
}

static void show_counters(struct request *request)
{
	struct buf *body = &request->exchange->reply.body;
	uint64_t total = 0;

	buf_putc(body, '{');
	for (unsigned i = 0; i < operation_count; i++) {
		uint64_t count = atomic_load(&request->server->faults.requests[i]);

		total += count;
		if (count > 0)
			buf_printf(body, "\"%s\": %llu, ", operations[i].name,
				   (unsigned long long)count);
	}
	buf_printf(body, "\"total\": %llu}\n", (unsigned long long)total);
	reply_header(request, "Content-Type", "application/json");
	reply_status(request, 200);
}

static void clear(struct request *request)
{
	struct server *server = request->server;

	faults_clear(&server->faults);
	clear_counters(&server->faults);
	atomic_store(&server->clock_offset, 0);
	atomic_store(&server->conditions, (int)server->config.conditions);
	atomic_store(&server->fast_etag, server->config.fast_etag);
	atomic_store(&server->down, false);
	reply_json(request, 200, "{}\n");
}

static bool is_operation(const char *name)
{
	for (unsigned i = 0; i < operation_count; i++)
		if (strcmp(operations[i].name, name) == 0)
			return true;
	return !*name || strcmp(name, "*") == 0 || strcmp(name, "DeleteObjects.Key") == 0;
}

/* Returns what is wrong, or NULL. */
static const char *read_fault(const struct pairs *fields, struct fault *fault)
{
	for (size_t i = 0; i < fields->count; i++) {
		const char *name = fields->items[i].name, *value = fields->items[i].value;
		int64_t number;

		if (strcmp(name, "op") == 0) {
			if (!is_operation(value))
				return "no such operation";
			snprintf(fault->operation, sizeof(fault->operation), "%.63s", value);
		} else if (strcmp(name, "key_prefix") == 0) {
			snprintf(fault->key_prefix, sizeof(fault->key_prefix), "%.1024s", value);
		} else if (strcmp(name, "access_key") == 0) {
			snprintf(fault->access_key, sizeof(fault->access_key), "%.63s", value);
		} else if (strcmp(name, "after") == 0 || strcmp(name, "count") == 0) {
			if (parse_int(value, 0, INT32_MAX, &number))
				return "after and count are numbers";
			*(name[0] == 'a' ? &fault->after : &fault->count) = (unsigned)number;
		} else if (strcmp(name, "action") != 0) {
			return "unknown field";
		}
	}
	return fault_parse_action(fault, pairs_get(fields, "action")) ? "malformed action" : NULL;
}

/* The actions that concern the whole server. False: it is another one. */
static bool act_on_server(struct request *request, const char *action)
{
	static const char *const modes[] = {"on", "ignore", "unsupported", "racy"};
	struct server *server = request->server;

	if (strncmp(action, "skew:", 5) == 0) {
		atomic_store(&server->clock_offset, strtoll(action + 5, NULL, 10) * 1000);
	} else if (strcmp(action, "down") == 0) {
		atomic_store(&server->down, true);
		http_drop_others(request->exchange);
	} else if (strcmp(action, "etags:opaque") == 0 || strcmp(action, "etags:md5") == 0) {
		atomic_store(&server->fast_etag, strcmp(action, "etags:opaque") == 0);
	} else if (strncmp(action, "conditions:", 11) == 0) {
		for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
			if (strcmp(action + 11, modes[i]) == 0)
				atomic_store(&server->conditions, (int)i);
		}
	} else if (strcmp(action, "up") == 0) {
		atomic_store(&server->down, false);
	} else {
		return false;
	}
	return true;
}

static void post(struct request *request)
{
	struct pairs fields = PAIRS_INIT;
	struct fault *fault = xmalloc(sizeof(*fault));
	const char *wrong = NULL, *action;

	if (!json_flat_parse(buf_str(&request->body.memory), &fields))
		wrong = "not a JSON object of strings and numbers";
	action = pairs_get(&fields, "action");
	if (!wrong && !action)
		wrong = "action is missing";
	if (!wrong && !act_on_server(request, action)) {
		wrong = read_fault(&fields, fault);
		if (!wrong && faults_add(&request->server->faults, fault))
			wrong = "too many faults";
	}
	if (wrong) {
		char *text = xasprintf("{\"error\": \"%s\"}\n", wrong);

		reply_json(request, 400, text);
		free(text);
	} else {
		log_info("control: %s", action);
		reply_json(request, 200, "{}\n");
	}
	pairs_free(&fields);
	free(fault);
}

void control_run(struct request *request)
{
	const char *method = request->exchange->method;
	bool requests = strcmp(request->exchange->path, "/_control/requests") == 0;

	if (strcmp(method, "GET") == 0 && requests) {
		show_counters(request);
	} else if (strcmp(method, "DELETE") == 0 && requests) {
		clear_counters(&request->server->faults);
		reply_json(request, 200, "{}\n");
	} else if (strcmp(method, "DELETE") == 0) {
		clear(request);
	} else if (strcmp(method, "POST") == 0) {
		post(request);
	} else {
		reply_json(request, 405,
			   "{\"error\": \"POST, DELETE, or GET /_control/requests\"}\n");
	}
}

#include "common/s3/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "common/check.h"
#include "common/executor.h"
#include "common/s3/poller.h"

enum {
	CONNECT_TIMEOUT_MS = 5000,
	EXPECT_TIMEOUT_MS = 1000,
	EXPECT_FROM = 1 << 20, /* bodies below this are sent without asking first */
	BUFFER_SMALL = 32 << 10,
	BUFFER_LARGE = 512 << 10,
	UPLOAD_BUFFER_SMALL = 64 << 10,
	UPLOAD_BUFFER_LARGE = 1 << 20,
	IDLE_SECONDS = 60, /* servers close idle connections; a dead one costs a round trip */
	IDLE_HANDLES = 64,
	EXTRA_LINES = 4,
};

/* One easy handle and what it needs during an exchange. Small and large ones are kept apart, so
 * that the size of curl's buffers never changes under a handle. */
struct http_handle {
	CURL *easy;
	struct http *http;
	struct http_exchange *exchange;
	struct http_handle *next; /* of the idle ones */
	bool large;
	int callback_err; /* of source or body */
	bool enough;
	bool header_overflow;
	uint64_t position; /* in the body that is sent */
	char error[CURL_ERROR_SIZE];
	struct curl_slist lines[HEADER_COUNT_MAX + EXTRA_LINES];
};

struct http {
	CURLM *multi;
	struct poller *poller;
	uint64_t curl_timer;	     /* UINT64_MAX: none */
	struct http_handle *idle[2]; /* small, large */
	unsigned idle_count;
	unsigned active;
	char *ca_file, *user_agent;
};

uint64_t http_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
	struct http *http = context;
	uint32_t events = 0;

	(void)easy, (void)socket_context;
	if (what != CURL_POLL_REMOVE && (what & CURL_POLL_IN))
		events |= EPOLLIN;
	if (what != CURL_POLL_REMOVE && (what & CURL_POLL_OUT))
		events |= EPOLLOUT;
	return poller_watch(http->poller, fd, events) ? -1 : 0;
}

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http *http = context;
	int fd;

	(void)purpose;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	if (poller_opened(http->poller, fd)) {
		close(fd);
		return CURL_SOCKET_BAD;
	}
	return fd;
}

static int on_close(void *context, curl_socket_t fd)
{
	struct http *http = context;

	poller_closed(http->poller, fd);
	return close(fd);
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct http *http = context;

	(void)multi;
	http->curl_timer = timeout_ms < 0 ? UINT64_MAX
					  : http_now() + (uint64_t)timeout_ms * NSEC_PER_MSEC;
	return 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
	struct http_handle *handle = context;
	struct buf *headers = &handle->exchange->answer_headers;

	size *= count;
	/* A new block: the answer after "100 Continue". */
	if (size >= 5 && memcmp(data, "HTTP/", 5) == 0) {
		if (size >= 12 && memcmp(data + 8, " 100", 4) == 0)
			handle->exchange->continued = true;
		buf_reset(headers);
		handle->exchange->status = 0;
	}
	if (headers->len + size > HTTP_HEADERS_MAX) {
		handle->header_overflow = true;
		return 0;
	}
	buf_append(headers, data, size);
	return headers->failed ? 0 : size;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct http_handle *handle = context;
	struct http_exchange *exchange = handle->exchange;
	long status = 0;
	int err;

	size *= count;
	if (!exchange->status) {
		curl_easy_getinfo(handle->easy, CURLINFO_RESPONSE_CODE, &status);
		exchange->status = (int)status;
	}
	err = exchange->body(exchange, data, size);
	if (err == 0)
		return size;
	if (err > 0)
		handle->enough = true;
	else
		handle->callback_err = err;
	/* Anything but size ends the transfer; 0 could be taken for success when size is 0. */
	return size + 1;
}

static size_t on_read(char *data, size_t size, size_t count, void *context)
{
	struct http_handle *handle = context;
	struct http_exchange *exchange = handle->exchange;
	uint64_t left = exchange->body_len - handle->position;
	int err;

	size *= count;
	if (size > left)
		size = (size_t)left;
	if (size == 0)
		return 0;
	if (exchange->source_read) {
		err = exchange->source_read(exchange->source_context, data, size, handle->position);
		if (err) {
			handle->callback_err = err < 0 ? err : -EIO;
			return CURL_READFUNC_ABORT;
		}
	} else {
		memcpy(data, (const char *)exchange->data + handle->position, size);
	}
	handle->position += size;
	exchange->sent = handle->position;
	return size;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
	struct http_handle *handle = context;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > handle->exchange->body_len)
		return CURL_SEEKFUNC_FAIL;
	handle->position = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int on_begin(void *context, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct http_handle *handle = context;

	(void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
	handle->exchange->begun++;
	return CURL_PREREQFUNC_OK;
}

static void set_callbacks(struct http_handle *handle)
{
	CURL *easy = handle->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, handle);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handle->error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, handle);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, handle);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, handle);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, handle);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_begin);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, handle);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, handle->http);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, handle->http);
}

static CURLcode set_policy(struct http_handle *handle)
{
	struct http *http = handle->http;
	CURL *easy = handle->easy;
	CURLcode code = CURLE_OK;

	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	/* Keys may hold "..": what was signed is what must be sent. */
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, (long)EXPECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE,
			 (long)(handle->large ? BUFFER_LARGE : BUFFER_SMALL));
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE,
			 (long)(handle->large ? UPLOAD_BUFFER_LARGE : UPLOAD_BUFFER_SMALL));
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (http->ca_file)
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, http->ca_file);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_USERAGENT, http->user_agent);
	return code;
}

static struct http_handle *handle_get(struct http *http, bool large)
{
	struct http_handle *handle = http->idle[large];

	if (handle) {
		http->idle[large] = handle->next;
		http->idle_count--;
		return handle;
	}
	handle = calloc(1, sizeof(*handle));
	if (!handle)
		return NULL;
	handle->http = http;
	handle->large = large;
	handle->easy = curl_easy_init();
	if (!handle->easy) {
		free(handle);
		return NULL;
	}
	set_callbacks(handle);
	if (set_policy(handle) != CURLE_OK) {
		curl_easy_cleanup(handle->easy);
		free(handle);
		return NULL;
	}
	return handle;
}

static void handle_put(struct http_handle *handle)
{
	struct http *http = handle->http;

	handle->exchange = NULL;
	if (http->idle_count == IDLE_HANDLES) {
		curl_easy_cleanup(handle->easy);
		free(handle);
		return;
	}
	handle->next = http->idle[handle->large];
	http->idle[handle->large] = handle;
	http->idle_count++;
}

/* Links the lines in place: curl only reads the list. */
static struct curl_slist *link_lines(struct http_handle *handle)
{
	static char no_expect[] = "Expect:", expect[] = "Expect: 100-continue";
	static char no_type[] = "Content-Type:";
	const struct http_exchange *exchange = handle->exchange;
	const struct header_list *headers = exchange->headers;
	struct curl_slist *lines = handle->lines;
	size_t count = 0;

	for (size_t i = 0; i < headers->count; i++)
		lines[count++].data = (char *)header_line(headers, i);
	if (exchange->authorization)
		lines[count++].data = (char *)exchange->authorization;
	if (exchange->has_body)
		lines[count++].data = exchange->expected ? expect : no_expect;
	/* Else curl calls a body in memory a form. */
	if (exchange->has_body && !header_find(headers, "content-type"))
		lines[count++].data = no_type;
	for (size_t i = 0; i < count; i++)
		lines[i].next = i + 1 < count ? &lines[i + 1] : NULL;
	return count ? lines : NULL;
}

static void set_method(struct http_handle *handle)
{
	const struct http_exchange *exchange = handle->exchange;
	CURL *easy = handle->easy;

	/* First back to the plain state: it also ends an earlier upload or NOBODY. */
	curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	if (!exchange->has_body && strcmp(exchange->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
		return;
	}
	if (exchange->has_body && !exchange->source_read) {
		/* A body in memory goes out in one piece with the headers. */
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body_len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, exchange->data ? exchange->data : "");
	} else if (exchange->has_body) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)exchange->body_len);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, exchange->method);
}

static CURLcode set_exchange(struct http_handle *handle)
{
	const struct http_exchange *exchange = handle->exchange;
	CURL *easy = handle->easy;
	uint64_t now = http_now(), left = NSEC_PER_MSEC;

	if (exchange->deadline > now + left)
		left = exchange->deadline - now;
	if (left > 24 * 3600 * NSEC_PER_SEC)
		left = 24 * 3600 * NSEC_PER_SEC;
	set_method(handle);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, link_lines(handle));
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(left / NSEC_PER_MSEC));
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)exchange->stall_seconds);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)exchange->fresh_connection);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, exchange->fresh_connection ? 0L : 60L);
	return curl_easy_setopt(easy, CURLOPT_URL, exchange->url);
}

int http_start(struct http *http, struct http_exchange *exchange)
{
	struct http_handle *handle = handle_get(http, exchange->large);

	if (!handle)
		return -ENOMEM;
	handle->exchange = exchange;
	handle->callback_err = 0;
	handle->enough = false;
	handle->header_overflow = false;
	handle->position = 0;
	handle->error[0] = '\0';
	exchange->handle = handle;
	exchange->outcome = HTTP_FAILED;
	exchange->err = 0;
	exchange->status = 0;
	exchange->begun = 0;
	exchange->expected = exchange->has_body && !exchange->no_expect &&
			     exchange->body_len >= EXPECT_FROM;
	exchange->continued = false;
	exchange->sent = 0;
	exchange->detail[0] = '\0';
	buf_reset(&exchange->answer_headers);
	if (set_exchange(handle) != CURLE_OK ||
	    curl_multi_add_handle(http->multi, handle->easy) != CURLM_OK) {
		exchange->handle = NULL;
		handle_put(handle);
		return -ENOMEM;
	}
	http->active++;
	return 0;
}

static void detach(struct http *http, struct http_exchange *exchange)
{
	struct http_handle *handle = exchange->handle;

	curl_multi_remove_handle(http->multi, handle->easy);
	http->active--;
	exchange->handle = NULL;
	handle_put(handle);
}

void http_abort(struct http *http, struct http_exchange *exchange)
{
	if (exchange->handle)
		detach(http, exchange);
}

static enum http_outcome outcome_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK: return HTTP_ANSWERED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY: return HTTP_NO_HOST;
	case CURLE_COULDNT_CONNECT: return HTTP_NO_CONNECTION;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS: return HTTP_TLS;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_FAIL_REWIND: return HTTP_BROKEN;
	case CURLE_OPERATION_TIMEDOUT: return HTTP_STALLED;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_HTTP2: return HTTP_NOT_HTTP;
	default: return HTTP_FAILED;
	}
}

static void finish(struct http *http, struct http_handle *handle, CURLcode code)
{
	struct http_exchange *exchange = handle->exchange;
	const char *text = handle->error[0] ? handle->error : curl_easy_strerror(code);
	long status = 0;

	curl_easy_getinfo(handle->easy, CURLINFO_RESPONSE_CODE, &status);
	exchange->status = (int)status;
	exchange->outcome = outcome_of(code);
	if (handle->enough)
		exchange->outcome = HTTP_ANSWERED;
	else if (handle->header_overflow)
		exchange->outcome = HTTP_NOT_HTTP;
	else if (handle->callback_err && code == CURLE_ABORTED_BY_CALLBACK)
		exchange->outcome = HTTP_SOURCE_FAILED;
	else if (handle->callback_err)
		exchange->outcome = HTTP_SINK_FAILED;
	else if (exchange->outcome == HTTP_STALLED && exchange->begun == 0)
		exchange->outcome = HTTP_NO_CONNECTION;
	if (exchange->outcome == HTTP_FAILED)
		exchange->err = code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EIO;
	else
		exchange->err = handle->callback_err;
	if (exchange->outcome != HTTP_ANSWERED)
		snprintf(exchange->detail, sizeof(exchange->detail), "%s", text);
	detach(http, exchange);
	exchange->done(exchange);
}

static bool collect(struct http *http)
{
	struct http_handle *handle;
	CURLMsg *message;
	bool any = false;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		CURLcode code = message->data.result;
		CURL *easy = message->easy_handle;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&handle);
		finish(http, handle, code);
		any = true;
	}
	return any;
}

static bool run_timer(struct http *http)
{
	int running;

	if (http->curl_timer == UINT64_MAX || http->curl_timer > http_now())
		return false;
	http->curl_timer = UINT64_MAX;
	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	return collect(http);
}

static void handle_event(struct http *http, const struct poller_event *event)
{
	int flags = 0, running;

	if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
		flags |= CURL_CSELECT_IN;
	if (event->events & EPOLLOUT)
		flags |= CURL_CSELECT_OUT;
	if (event->events & EPOLLERR)
		flags |= CURL_CSELECT_ERR;
	curl_multi_socket_action(http->multi, event->fd, flags, &running);
}

void http_turn(struct http *http, uint64_t until, bool (*has_work)(void *context), void *context)
{
	struct poller_event events[POLLER_EVENTS];
	int count;

	if (run_timer(http))
		until = 0;
	if (http->curl_timer < until)
		until = http->curl_timer;
	count = poller_wait(http->poller, until, has_work, context, events);
	for (int i = 0; i < count; i++)
		handle_event(http, &events[i]);
	collect(http);
}

void http_wake(struct http *http)
{
	poller_wake(http->poller);
}

static int open_multi(struct http *http, const struct http_config *config)
{
	if (config->ca_file)
		http->ca_file = strdup(config->ca_file);
	http->user_agent = strdup(config->user_agent ? config->user_agent : "s3mount");
	http->multi = curl_multi_init();
	if ((config->ca_file && !http->ca_file) || !http->user_agent || !http->multi)
		return -ENOMEM;
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)config->connections + 2);
	return 0;
}

int http_create(struct http **out, const struct http_config *config)
{
	struct http *http = calloc(1, sizeof(*http));
	int err;

	*out = NULL;
	if (!http)
		return -ENOMEM;
	http->curl_timer = UINT64_MAX;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(http);
		return -ENOMEM;
	}
	err = poller_create(&http->poller);
	if (!err)
		err = open_multi(http, config);
	if (err) {
		http_destroy(http);
		return err;
	}
	*out = http;
	return 0;
}

void http_destroy(struct http *http)
{
	struct http_handle *handle;

	CHECK(http->active == 0);
	for (int large = 0; large < 2; large++) {
		while ((handle = http->idle[large])) {
			http->idle[large] = handle->next;
			curl_easy_cleanup(handle->easy);
			free(handle);
		}
	}
	/* Closes the connections, and so still uses the descriptors. */
	if (http->multi)
		curl_multi_cleanup(http->multi);
	poller_destroy(http->poller);
	free(http->ca_file);
	free(http->user_agent);
	free(http);
	curl_global_cleanup();
}

#include "common/s3/s3.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/loop.h"
#include "tests/unit/script_server.h"

#define COUNT(array)	 (sizeof(array) / sizeof((array)[0]))
#define ERROR_BODY(code) "<Error><Code>" code "</Code><Message>m</Message></Error>"
#define SECONDS(n)	 ((n)*NSEC_PER_SEC)

enum { BODY = 600 << 10, CUT = 400 << 10 };

/* A store on a scripted server, and what came out of it. */
struct world {
	struct script_server *server;
	struct loop *loop;
	struct objstore *store;
	struct s3_config config;
	char endpoint[64];
	struct credentials credentials;
	unsigned running;
	char *received;
	uint64_t received_end;
	unsigned writes;
	int sink_err;
	struct timer timer;
	struct os_request *to_cancel, *later;
};

static char pattern[BODY];
static struct world world;

static void open_world(const struct script_step *steps, size_t count, unsigned connections,
		       const char *host)
{
	struct error error = ERROR_INIT;

	memset(&world, 0, sizeof(world));
	for (size_t i = 0; i < BODY; i++)
		pattern[i] = (char)(i * 31 + i / 251);
	world.received = calloc(1, BODY);
	world.server = script_server_start(steps, count);
	assert_int_equal(loop_create(&world.loop), 0);
	snprintf(world.endpoint, sizeof(world.endpoint), "http://%s:%u", host,
		 script_server_port(world.server));
	world.credentials.access_key = (char *)"AK";
	world.credentials.secret_key = (char *)"SK";
	world.config.bucket = "bkt";
	world.config.endpoint = world.endpoint;
	world.config.connections = connections;
	world.config.credentials = &world.credentials;
	assert_int_equal(s3_create(&world.store, loop_executor(world.loop), &world.config, &error),
			 0);
}

static void close_world(size_t requests)
{
	objstore_destroy(world.store);
	loop_destroy(world.loop);
	free(world.received);
	assert_int_equal(script_server_requests(world.server), requests);
	script_server_stop(world.server);
}

#define OPEN(steps) open_world(steps, COUNT(steps), 4, "127.0.0.1")

static void on_done(struct os_request *request)
{
	(void)request;
	if (--world.running == 0)
		loop_stop(world.loop);
}

static void submit(struct os_request *request, uint64_t timeout)
{
	request->deadline = executor_monotonic(loop_executor(world.loop)) + timeout;
	request->done = on_done;
	world.running++;
	objstore_submit(world.store, request);
}

static int run(struct os_request *request)
{
	submit(request, SECONDS(10));
	loop_run(world.loop);
	return request->result.err;
}

static int take(void *context, const void *data, size_t len, uint64_t offset)
{
	(void)context;
	assert_true(offset + len <= BODY);
	memcpy(world.received + offset, data, len);
	world.received_end = offset + len;
	world.writes++;
	return world.sink_err;
}

static struct os_request get_request(void)
{
	return (struct os_request){.op = OS_GET, .key = "k", .sink.write = take};
}

static int give(void *context, void *data, size_t len, uint64_t offset)
{
	int *err = context;

	if (*err)
		return *err;
	assert_true(offset + len <= BODY);
	memcpy(data, pattern + offset, len);
	return 0;
}

static struct os_request put_request(int *err, uint64_t len)
{
	return (struct os_request){.op = OS_PUT, .key = "k", .body = {give, err, len}};
}

/* ---- reads ---- */

static void a_broken_read_goes_on_at_the_offset_that_it_reached(void **state)
{
	static char range[] = "ETag: \"e\"\r\nContent-Range: bytes 393216-614399/614400\r\n";
	static const struct script_step steps[] = {
		{.expect = "GET /bkt/k HTTP",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\nx-amz-meta-a: 1\r\n",
		 .body = pattern,
		 .body_len = BODY,
		 .sent = CUT - 16384},
		{.expect = "range: bytes=393216-\r\n",
		 .expect2 = "if-match: \"e\"",
		 .status = 206,
		 .headers = range,
		 .body = pattern + CUT - 16384,
		 .body_len = BODY - CUT + 16384},
	};
	struct os_request request = get_request();

	(void)state;
	OPEN(steps);
	assert_int_equal(run(&request), 0);
	assert_memory_equal(world.received, pattern, BODY);
	assert_int_equal(request.result.size, BODY);
	assert_string_equal(request.result.etag, "\"e\"");
	os_request_free_result(&request);
	close_world(2);
}

static void a_read_begins_anew_when_the_object_has_changed(void **state)
{
	static const struct script_step steps[] = {
		{.status = 200,
		 .headers = "ETag: \"old\"\r\n",
		 .body = pattern + 1,
		 .body_len = BODY - 1,
		 .sent = CUT},
		{.expect = "if-match: \"old\"",
		 .status = 412,
		 .body = ERROR_BODY("PreconditionFailed")},
		{.expect = "GET /bkt/k",
		 .status = 200,
		 .headers = "ETag: \"new\"\r\n",
		 .body = pattern,
		 .body_len = BODY},
	};
	struct os_request request = get_request();

	(void)state;
	OPEN(steps);
	assert_int_equal(run(&request), 0);
	assert_memory_equal(world.received, pattern, BODY);
	assert_string_equal(request.result.etag, "\"new\"");
	os_request_free_result(&request);
	close_world(3);
}

static void a_conditional_read_of_a_changed_object_is_stale(void **state)
{
	static const struct script_step steps[] = {
		{.expect = "if-match: \"old\"",
		 .status = 200,
		 .headers = "ETag: \"old\"\r\n",
		 .body = pattern,
		 .body_len = BODY,
		 .sent = CUT},
		{.expect = "if-match: \"old\"",
		 .status = 412,
		 .body = ERROR_BODY("PreconditionFailed")},
	};
	struct os_request request = get_request();

	(void)state;
	OPEN(steps);
	request.condition.if_match = "\"old\"";
	assert_int_equal(run(&request), -ESTALE);
	assert_false(request.result.ambiguous);
	os_request_free_result(&request);
	close_world(2);
}

static void only_the_range_reaches_the_sink_whatever_is_sent(void **state)
{
	static const struct script_step steps[] = {
		{.expect = "range: bytes=1000-1099",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\n",
		 .body = pattern,
		 .body_len = BODY},
		{.expect = "range: bytes=614000-624399",
		 .status = 206,
		 .headers = "ETag: \"e\"\r\nContent-Range: bytes 614000-614399/614400\r\n",
		 .body = pattern + 614000,
		 .body_len = 400},
	};
	struct os_request request = get_request();

	(void)state;
	OPEN(steps);
	request.has_range = true;
	request.range_first = 1000;
	request.range_len = 100;
	assert_int_equal(run(&request), 0);
	assert_memory_equal(world.received + 1000, pattern + 1000, 100);
	assert_int_equal(world.received_end, 1100);
	assert_int_equal(request.result.size, BODY);
	os_request_free_result(&request);

	/* A range that reaches beyond the end gives what there is. */
	request.range_first = 614000;
	request.range_len = 10400;
	assert_int_equal(run(&request), 0);
	assert_int_equal(world.received_end, BODY);
	assert_int_equal(request.result.size, BODY);
	os_request_free_result(&request);
	close_world(2);
}

static void a_part_that_was_not_asked_for_is_refused(void **state)
{
	static const struct script_step steps[] = {
		{.status = 206,
		 .headers = "ETag: \"e\"\r\nContent-Range: bytes 2000-2099/614400\r\n",
		 .body = pattern,
		 .body_len = 100},
	};
	struct os_request request = get_request();

	(void)state;
	OPEN(steps);
	request.has_range = true;
	request.range_first = 1000;
	request.range_len = 100;
	assert_int_equal(run(&request), -EPROTO);
	assert_int_equal(world.writes, 0);
	os_request_free_result(&request);
	close_world(1);
}

static void what_the_sink_says_ends_the_read(void **state)
{
	static const struct script_step steps[] = {
		{.status = 200, .headers = "ETag: \"e\"\r\n", .body = pattern, .body_len = BODY}};
	struct os_request request = get_request();

	(void)state;
	OPEN(steps);
	world.sink_err = -ENOSPC;
	assert_int_equal(run(&request), -ENOSPC);
	assert_int_equal(world.writes, 1);
	os_request_free_result(&request);
	close_world(1);
}

static void big_reads_come_in_big_pieces(void **state)
{
	static const struct script_step steps[] = {
		{.status = 200, .headers = "ETag: \"e\"\r\n", .body = pattern, .body_len = BODY}};
	struct os_request request = get_request();

	(void)state;
	OPEN(steps);
	assert_int_equal(run(&request), 0);
	assert_true(world.writes <= BODY / (64 << 10) + 1);
	os_request_free_result(&request);
	close_world(1);
}

/* ---- writes ---- */

static void a_write_whose_answer_is_lost_leaves_a_doubt(void **state)
{
	static const struct {
		struct script_step second;
		int err;
		bool ambiguous;
	} cases[] = {
		{{.status = 412, .body = ERROR_BODY("PreconditionFailed")}, -ESTALE, true},
		{{.status = 200, .headers = "ETag: \"e\"\r\n"}, 0, false},
		{{.status = 403, .body = ERROR_BODY("AccessDenied")}, -EACCES, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct script_step steps[] = {{.status = 0}, cases[i].second};
		int no_error = 0;
		struct os_request request = put_request(&no_error, 100);

		OPEN(steps);
		request.condition.if_none_match_any = true;
		assert_int_equal(run(&request), cases[i].err);
		assert_int_equal(request.result.ambiguous, cases[i].ambiguous);
		os_request_free_result(&request);
		close_world(2);
	}
}

static void curls_own_repetition_leaves_a_doubt_too(void **state)
{
	/* The second request goes over the kept connection, which ends without an answer. */
	static const struct script_step steps[] = {
		{.status = 200, .headers = "ETag: \"e\"\r\n"},
		{.expect = "PUT", .status = 0},
		{.expect = "PUT", .status = 412, .body = ERROR_BODY("PreconditionFailed")},
	};
	int no_error = 0;
	struct os_request head = {.op = OS_HEAD, .key = "k"}, put = put_request(&no_error, 100);

	(void)state;
	OPEN(steps);
	assert_int_equal(run(&head), 0);
	os_request_free_result(&head);
	put.condition.if_none_match_any = true;
	assert_int_equal(run(&put), -ESTALE);
	assert_true(put.result.ambiguous);
	os_request_free_result(&put);
	close_world(3);
}

static void a_kept_connection_that_died_does_no_harm(void **state)
{
	static const struct script_step steps[] = {
		{.status = 200, .headers = "ETag: \"e\"\r\n", .close = true},
		{.expect = "PUT", .status = 200, .headers = "ETag: \"e2\"\r\n"},
	};
	int no_error = 0;
	struct os_request head = {.op = OS_HEAD, .key = "k"}, put = put_request(&no_error, 100);

	(void)state;
	OPEN(steps);
	assert_int_equal(run(&head), 0);
	os_request_free_result(&head);
	assert_int_equal(run(&put), 0);
	assert_string_equal(put.result.etag, "\"e2\"");
	os_request_free_result(&put);
	close_world(2);
}

static void a_refusal_comes_before_a_big_body_is_sent(void **state)
{
	static const struct script_step steps[] = {{.expect = "expect: 100-continue",
						    .status = 412,
						    .body = ERROR_BODY("PreconditionFailed"),
						    .unread = true}};
	struct os_memory memory = {calloc(1, 4 << 20), 4 << 20};
	struct os_request request = {.op = OS_PUT, .key = "k", .body = os_source_memory(&memory)};

	(void)state;
	OPEN(steps);
	request.condition.if_none_match_any = true;
	assert_int_equal(run(&request), -ESTALE);
	assert_false(request.result.ambiguous);
	os_request_free_result(&request);
	free((void *)memory.data);
	close_world(1);
}

static void bodies_of_all_sizes_are_signed_and_sent(void **state)
{
	static const uint64_t sizes[] = {0, 1, 65536, 65537, BODY};
	static const struct script_step steps[] = {
		{.expect = "content-length: 0\r\n",
		 .expect2 = "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb924",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\n"},
		{.expect = "content-length: 1\r\n", .status = 200, .headers = "ETag: \"e\"\r\n"},
		{.expect = "content-length: 65536\r\n",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\n"},
		{.expect = "content-length: 65537\r\n",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\n"},
		{.expect = "content-length: 614400\r\n",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\n"},
	};

	(void)state;
	OPEN(steps);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		int no_error = 0;
		struct os_request request = put_request(&no_error, sizes[i]);

		assert_int_equal(run(&request), 0);
		os_request_free_result(&request);
	}
	close_world(COUNT(sizes));
}

static void what_the_source_says_ends_the_write(void **state)
{
	static const uint64_t sizes[] = {100, BODY};
	static const struct script_step none[] = {{.status = 500}};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		int error = -ENODATA;
		struct os_request request = put_request(&error, sizes[i]);

		OPEN(none);
		assert_int_equal(run(&request), -ENODATA);
		assert_false(request.result.ambiguous);
		os_request_free_result(&request);
		close_world(0);
	}
}

/* ---- what is corrected ---- */

static void a_busy_server_is_asked_again(void **state)
{
	static const struct script_step steps[] = {
		{.status = 503, .body = ERROR_BODY("SlowDown")},
		{.status = 500, .body = ERROR_BODY("InternalError")},
		{.status = 200, .headers = "ETag: \"e\"\r\n"},
	};
	struct os_request request = {.op = OS_HEAD, .key = "k"};

	(void)state;
	OPEN(steps);
	assert_int_equal(run(&request), 0);
	os_request_free_result(&request);
	close_world(3);
}

static void another_region_is_signed_for_from_then_on(void **state)
{
	static const struct script_step steps[] = {
		{.expect = "/us-east-1/s3/aws4_request",
		 .status = 400,
		 .body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</"
			 "Region></Error>"},
		{.expect = "/eu-west-1/s3/aws4_request",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\n"},
		{.expect = "/eu-west-1/s3/aws4_request",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\n"},
	};
	struct os_request request = {.op = OS_DELETE, .key = "k"};

	(void)state;
	OPEN(steps);
	assert_int_equal(run(&request), 0);
	os_request_free_result(&request);
	assert_int_equal(run(&request), 0);
	os_request_free_result(&request);
	close_world(3);
}

static void a_wrong_clock_is_corrected_once(void **state)
{
	static const struct script_step steps[] = {
		{.status = 403,
		 .headers = "Date: Tue, 01 Jan 2030 00:00:00 GMT\r\n",
		 .body = ERROR_BODY("RequestTimeTooSkewed")},
		{.expect = "x-amz-date: 20300101T0000",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\n"},
		{.expect = "x-amz-date: 20300101T0000",
		 .status = 403,
		 .headers = "Date: Wed, 01 Jan 2031 00:00:00 GMT\r\n"},
		{.expect = "x-amz-date: 20310101T0000",
		 .status = 403,
		 .headers = "Date: Thu, 01 Jan 2032 00:00:00 GMT\r\n"},
	};
	struct os_request request = {.op = OS_HEAD, .key = "k"};

	(void)state;
	OPEN(steps);
	request.op = OS_DELETE;
	assert_int_equal(run(&request), 0);
	os_request_free_result(&request);
	request.op = OS_HEAD;
	assert_int_equal(run(&request), -EACCES);
	assert_non_null(strstr(request.result.message, "clock"));
	os_request_free_result(&request);
	close_world(4);
}

static void newer_credentials_repeat_what_the_old_ones_could_not(void **state)
{
	static const struct script_step steps[] = {
		{.expect = "Credential=AK/", .status = 400, .body = ERROR_BODY("ExpiredToken")},
		{.expect = "Credential=NEW/", .expect2 = "x-amz-security-token: T", .status = 204},
		{.expect = "Credential=NEW/", .status = 400, .body = ERROR_BODY("ExpiredToken")},
	};
	struct credentials newer = {.access_key = (char *)"NEW",
				    .secret_key = (char *)"S2",
				    .session_token = (char *)"T"};
	struct os_request request = {.op = OS_DELETE, .key = "k"};

	(void)state;
	OPEN(steps);
	assert_int_equal(s3_set_credentials(world.store, &newer), 0);
	assert_int_equal(run(&request), 0);
	os_request_free_result(&request);
	assert_int_equal(run(&request), -EACCES);
	assert_string_equal(request.result.code, "ExpiredToken");
	os_request_free_result(&request);
	close_world(3);
}

static void a_redirect_elsewhere_is_not_followed(void **state)
{
	static const struct script_step steps[] = {
		{.status = 301, .headers = "Location: http://localhost:1/bkt/k\r\n"},
	};
	struct os_request request = {.op = OS_HEAD, .key = "k"};

	(void)state;
	OPEN(steps);
	assert_int_equal(run(&request), -EPROTO);
	os_request_free_result(&request);
	close_world(1);
}

static void the_other_style_is_tried_and_kept(void **state)
{
	static const struct script_step steps[] = {
		{.expect = "GET /bkt/?",
		 .expect2 = "host: s3.localhost:",
		 .status = 404,
		 .body = ERROR_BODY("NoSuchBucket")},
		{.expect = "GET /?",
		 .expect2 = "host: bkt.s3.localhost:",
		 .status = 200,
		 .body = "<ListBucketResult><Name>bkt</Name></ListBucketResult>"},
		{.expect = "HEAD /k", .expect2 = "host: bkt.s3.localhost:", .status = 200},
	};
	struct os_request request = {.op = OS_BUCKET_HEAD};

	(void)state;
	open_world(steps, COUNT(steps), 4, "s3.localhost");
	assert_int_equal(run(&request), 0);
	os_request_free_result(&request);
	request = (struct os_request){.op = OS_HEAD, .key = "k"};
	assert_int_equal(run(&request), 0);
	os_request_free_result(&request);
	close_world(3);
}

static void when_no_style_works_the_first_failure_is_told(void **state)
{
	static const struct script_step steps[] = {
		{.expect = "GET /bkt/?", .status = 404, .body = ERROR_BODY("NoSuchBucket")},
		{.expect = "GET /?", .status = 200, .body = "<ListAllMyBucketsResult/>"},
		{.expect = "GET /?", .status = 403, .body = ERROR_BODY("AccessDenied")},
	};
	struct os_request request = {.op = OS_BUCKET_HEAD};

	(void)state;
	open_world(steps, COUNT(steps), 4, "s3.localhost");
	assert_int_equal(run(&request), -ENXIO);
	assert_string_equal(request.result.code, "NoSuchBucket");
	os_request_free_result(&request);
	close_world(3);
}

/* ---- limits and order ---- */

static void the_deadline_ends_everything(void **state)
{
	static const struct {
		struct script_step step;
		int err;
	} cases[] = {
		{{.status = 503, .body = ERROR_BODY("SlowDown")}, -EIO},
		{{.status = 200, .delay_ms = 1500}, -ETIMEDOUT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct script_step steps[40];
		struct os_request request = {.op = OS_HEAD, .key = "k"};
		uint64_t start, took;

		for (size_t j = 0; j < COUNT(steps); j++)
			steps[j] = cases[i].step;
		OPEN(steps);
		start = executor_monotonic(loop_executor(world.loop));
		submit(&request, SECONDS(1) / 2);
		loop_run(world.loop);
		took = executor_monotonic(loop_executor(world.loop)) - start;
		assert_int_equal(request.result.err, cases[i].err);
		assert_true(took < SECONDS(1));
		os_request_free_result(&request);
		close_world(script_server_requests(world.server));
	}
}

static void an_attempt_never_starts_after_the_deadline(void **state)
{
	static const struct script_step none[] = {{.status = 500}};
	struct os_request request = {.op = OS_HEAD, .key = "k"};

	(void)state;
	OPEN(none);
	submit(&request, 0);
	loop_run(world.loop);
	assert_int_equal(request.result.err, -ETIMEDOUT);
	assert_true(request.result.message[0] != '\0');
	os_request_free_result(&request);
	close_world(0);
}

static void cancel_it(struct timer *timer)
{
	(void)timer;
	objstore_cancel(world.store, world.to_cancel);
}

static void cancel_ends_a_request_wherever_it_is(void **state)
{
	/* under way, or waiting for a connection */
	static const struct script_step steps[] = {
		{.status = 200, .headers = "ETag: \"e\"\r\n", .delay_ms = 300},
		{.status = 200, .headers = "ETag: \"e\"\r\n", .delay_ms = 300}};
	int no_error = 0;

	(void)state;
	for (int which = 0; which < 2; which++) {
		struct os_request first = put_request(&no_error, 10),
				  second = put_request(&no_error, 10);
		struct os_request *victim = which == 0 ? &first : &second;
		struct executor *executor;

		open_world(steps, 1 + (which == 0), 1, "127.0.0.1");
		executor = loop_executor(world.loop);
		world.to_cancel = victim;
		timer_init(&world.timer, cancel_it);
		timer_set(executor, &world.timer, executor_monotonic(executor) + SECONDS(1) / 10);
		submit(&first, SECONDS(5));
		submit(&second, SECONDS(5));
		loop_run(world.loop);
		assert_int_equal(victim->result.err, -ECANCELED);
		assert_int_equal(victim->result.ambiguous, which == 0);
		os_request_free_result(&first);
		os_request_free_result(&second);
		close_world(which == 0 ? 2 : 1);
	}
}

static void submit_it(struct timer *timer)
{
	(void)timer;
	submit(world.later, SECONDS(5));
}

static void the_urgent_goes_before_the_bulk(void **state)
{
	static const struct script_step steps[] = {
		{.expect = "GET /bkt/k", .status = 200, .delay_ms = 300},
		{.expect = "HEAD /bkt/u", .status = 200},
		{.expect = "GET /bkt/k", .status = 200},
		{.expect = "GET /bkt/k", .status = 200},
	};
	struct os_request bulk[3], urgent = {.op = OS_HEAD, .key = "u", .urgent = true};
	struct executor *executor;

	(void)state;
	open_world(steps, COUNT(steps), 1, "127.0.0.1");
	for (size_t i = 0; i < COUNT(bulk); i++) {
		bulk[i] = get_request();
		submit(&bulk[i], SECONDS(5));
	}
	/* When the first has the only connection and the others wait for it. */
	world.later = &urgent;
	timer_init(&world.timer, submit_it);
	executor = loop_executor(world.loop);
	timer_set(executor, &world.timer, executor_monotonic(executor) + SECONDS(1) / 10);
	loop_run(world.loop);
	assert_int_equal(urgent.result.err, 0);
	os_request_free_result(&urgent);
	for (size_t i = 0; i < COUNT(bulk); i++) {
		assert_int_equal(bulk[i].result.err, 0);
		os_request_free_result(&bulk[i]);
	}
	assert_int_equal(script_server_connections(world.server), 1);
	close_world(4);
}

static void what_is_not_http_is_not_s3(void **state)
{
	static const struct script_step steps[] = {
		{.raw = "SSH-2.0-OpenSSH_9.2\r\n"},
		{.raw = "SSH-2.0-OpenSSH_9.2\r\n"},
		{.raw = "SSH-2.0-OpenSSH_9.2\r\n"},
		{.raw = "SSH-2.0-OpenSSH_9.2\r\n"},
	};
	struct os_request request = {.op = OS_BUCKET_HEAD};
	struct error error = ERROR_INIT;

	(void)state;
	OPEN(steps);
	assert_int_equal(run(&request), -EPROTO);
	assert_int_equal(s3_explain(&world.config, &request, &error), -EPROTO);
	assert_non_null(strstr(error.message, "not as S3 does"));
	os_request_free_result(&request);
	close_world(script_server_requests(world.server));
}

static void endless_headers_are_cut_off(void **state)
{
	char *raw = malloc(300 << 10);
	struct script_step steps[4];
	struct os_request request = {.op = OS_HEAD, .key = "k"};
	size_t len;

	(void)state;
	len = (size_t)sprintf(raw, "HTTP/1.1 200 OK\r\n");
	while (len < 200 << 10)
		len += (size_t)sprintf(raw + len, "x-amz-meta-%zu: %0500d\r\n", len, 1);
	strcpy(raw + len, "\r\n");
	for (size_t i = 0; i < COUNT(steps); i++)
		steps[i] = (struct script_step){.raw = raw};
	OPEN(steps);
	assert_int_equal(run(&request), -EPROTO);
	os_request_free_result(&request);
	close_world(script_server_requests(world.server));
	free(raw);
}

static void failures_are_explained_in_one_sentence(void **state)
{
	static const struct {
		int status;
		const char *body;
		const char *expected;
	} cases[] = {
		{404, ERROR_BODY("NoSuchBucket"), "bucket \"bkt\" does not exist"},
		{403, ERROR_BODY("InvalidAccessKeyId"), "does not know the access key"},
		{403, ERROR_BODY("SignatureDoesNotMatch"), "secret key"},
		{403, ERROR_BODY("AccessDenied"), "denied"},
		{404, "<html>nginx</html>", "not as S3 does"},
		{301, "", "redirect"},
		{400, ERROR_BODY("InvalidBucketName"), "not a valid bucket name"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct script_step steps[4];
		struct os_request request = {.op = OS_BUCKET_HEAD};
		struct error error = ERROR_INIT;

		for (size_t j = 0; j < COUNT(steps); j++)
			steps[j] = (struct script_step){.status = cases[i].status,
							.body = cases[i].body};
		OPEN(steps);
		assert_true(run(&request) < 0);
		s3_explain(&world.config, &request, &error);
		if (!strstr(error.message, cases[i].expected))
			print_error("%s\n", error.message);
		assert_non_null(strstr(error.message, cases[i].expected));
		assert_null(strchr(error.message, '\n'));
		os_request_free_result(&request);
		close_world(script_server_requests(world.server));
	}
}

static void a_closed_port_is_reported_soon(void **state)
{
	static const struct script_step none[] = {{.status = 500}};
	struct os_request request = {.op = OS_BUCKET_HEAD};
	struct error error = ERROR_INIT;
	struct objstore *store;
	struct s3_config config;

	(void)state;
	OPEN(none);
	config = world.config;
	config.endpoint = "http://127.0.0.1:1";
	assert_int_equal(s3_create(&store, loop_executor(world.loop), &config, &error), 0);
	objstore_destroy(world.store);
	world.store = store;
	assert_int_equal(run(&request), -EHOSTUNREACH);
	assert_int_equal(s3_explain(&config, &request, &error), -EHOSTUNREACH);
	assert_non_null(strstr(error.message, "http://127.0.0.1:1"));
	os_request_free_result(&request);
	close_world(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broken_read_goes_on_at_the_offset_that_it_reached),
		cmocka_unit_test(a_read_begins_anew_when_the_object_has_changed),
		cmocka_unit_test(a_conditional_read_of_a_changed_object_is_stale),
		cmocka_unit_test(only_the_range_reaches_the_sink_whatever_is_sent),
		cmocka_unit_test(a_part_that_was_not_asked_for_is_refused),
		cmocka_unit_test(what_the_sink_says_ends_the_read),
		cmocka_unit_test(big_reads_come_in_big_pieces),
		cmocka_unit_test(a_write_whose_answer_is_lost_leaves_a_doubt),
		cmocka_unit_test(curls_own_repetition_leaves_a_doubt_too),
		cmocka_unit_test(a_kept_connection_that_died_does_no_harm),
		cmocka_unit_test(a_refusal_comes_before_a_big_body_is_sent),
		cmocka_unit_test(bodies_of_all_sizes_are_signed_and_sent),
		cmocka_unit_test(what_the_source_says_ends_the_write),
		cmocka_unit_test(a_busy_server_is_asked_again),
		cmocka_unit_test(another_region_is_signed_for_from_then_on),
		cmocka_unit_test(a_wrong_clock_is_corrected_once),
		cmocka_unit_test(newer_credentials_repeat_what_the_old_ones_could_not),
		cmocka_unit_test(a_redirect_elsewhere_is_not_followed),
		cmocka_unit_test(the_other_style_is_tried_and_kept),
		cmocka_unit_test(when_no_style_works_the_first_failure_is_told),
		cmocka_unit_test(the_deadline_ends_everything),
		cmocka_unit_test(an_attempt_never_starts_after_the_deadline),
		cmocka_unit_test(cancel_ends_a_request_wherever_it_is),
		cmocka_unit_test(the_urgent_goes_before_the_bulk),
		cmocka_unit_test(what_is_not_http_is_not_s3),
		cmocka_unit_test(endless_headers_are_cut_off),
		cmocka_unit_test(failures_are_explained_in_one_sentence),
		cmocka_unit_test(a_closed_port_is_reported_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

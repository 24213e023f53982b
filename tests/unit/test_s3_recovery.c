#include "tests/unit/store_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

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
	assert_int_equal(store_world_run(&request), 0);
	os_request_free_result(&request);
	store_world_close(3);
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
	assert_int_equal(store_world_run(&request), 0);
	os_request_free_result(&request);
	assert_int_equal(store_world_run(&request), 0);
	os_request_free_result(&request);
	store_world_close(3);
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
	assert_int_equal(store_world_run(&request), 0);
	os_request_free_result(&request);
	request.op = OS_HEAD;
	assert_int_equal(store_world_run(&request), -EACCES);
	assert_non_null(strstr(request.result.message, "clock"));
	os_request_free_result(&request);
	store_world_close(4);
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
	assert_int_equal(s3_set_credentials(store_world.store, &newer), 0);
	assert_int_equal(store_world_run(&request), 0);
	os_request_free_result(&request);
	assert_int_equal(store_world_run(&request), -EACCES);
	assert_string_equal(request.result.code, "ExpiredToken");
	os_request_free_result(&request);
	store_world_close(3);
}

static unsigned reloads;

static int reload(void *context, struct credentials *out)
{
	*out = (struct credentials){
		.access_key = strdup(context), .secret_key = strdup("S2"), .source = "the file"};
	reloads++;
	return 0;
}

static void keys_are_read_again_once_when_they_have_expired(void **state)
{
	static const struct script_step steps[] = {
		{.expect = "Credential=AK/", .status = 403}, /* a HEAD: no code */
		{.expect = "Credential=NEW/", .status = 200},
		{.expect = "Credential=NEW/", .status = 400, .body = ERROR_BODY("ExpiredToken")},
		{.expect = "Credential=NEW/", .status = 400, .body = ERROR_BODY("ExpiredToken")},
	};
	struct os_request request = {.op = OS_HEAD, .key = "k"};
	struct objstore *store;
	struct s3_config config;
	struct error error = ERROR_INIT;

	(void)state;
	OPEN(steps);
	reloads = 0;
	config = store_world.config;
	config.reload = reload;
	config.reload_context = (void *)"NEW";
	objstore_destroy(store_world.store);
	assert_int_equal(s3_create(&store, loop_executor(store_world.loop), &config, &error), 0);
	store_world.store = store;
	assert_int_equal(store_world_run(&request), 0);
	os_request_free_result(&request);
	request = (struct os_request){.op = OS_DELETE, .key = "k"};
	usleep(1100 * 1000); /* longer than what was read is taken for the newest */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_world_run(&request), -EACCES);
		assert_non_null(strstr(request.result.message, "the file, read again"));
		os_request_free_result(&request);
	}
	assert_int_equal(reloads, 2);
	store_world_close(4);
}

static void a_redirect_elsewhere_is_not_followed(void **state)
{
	static const struct script_step steps[] = {
		{.status = 301, .headers = "Location: http://localhost:1/bkt/k\r\n"},
	};
	struct os_request request = {.op = OS_HEAD, .key = "k"};

	(void)state;
	OPEN(steps);
	assert_int_equal(store_world_run(&request), -EPROTO);
	os_request_free_result(&request);
	store_world_close(1);
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
	store_world_open(steps, COUNT(steps), 4, "s3.localhost");
	assert_int_equal(store_world_run(&request), 0);
	os_request_free_result(&request);
	request = (struct os_request){.op = OS_HEAD, .key = "k"};
	assert_int_equal(store_world_run(&request), 0);
	os_request_free_result(&request);
	store_world_close(3);
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
	store_world_open(steps, COUNT(steps), 4, "s3.localhost");
	assert_int_equal(store_world_run(&request), -ENXIO);
	assert_string_equal(request.result.code, "NoSuchBucket");
	os_request_free_result(&request);
	store_world_close(3);
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
		start = executor_monotonic(loop_executor(store_world.loop));
		store_world_submit(&request, SECONDS(1) / 2);
		loop_run(store_world.loop);
		took = executor_monotonic(loop_executor(store_world.loop)) - start;
		assert_int_equal(request.result.err, cases[i].err);
		assert_true(took < SECONDS(1));
		os_request_free_result(&request);
		store_world_close(script_server_requests(store_world.server));
	}
}

static void an_attempt_never_starts_after_the_deadline(void **state)
{
	static const struct script_step none[] = {{.status = 500}};
	struct os_request request = {.op = OS_HEAD, .key = "k"};

	(void)state;
	OPEN(none);
	store_world_submit(&request, 0);
	loop_run(store_world.loop);
	assert_int_equal(request.result.err, -ETIMEDOUT);
	assert_true(request.result.message[0] != '\0');
	os_request_free_result(&request);
	store_world_close(0);
}

static void no_attempt_is_begun_that_the_deadline_would_cut_off(void **state)
{
	static const struct script_step steps[] = {
		{.status = 503, .body = ERROR_BODY("SlowDown"), .delay_ms = 420},
		{.status = 200, .delay_ms = 1500},
	};
	struct os_request request = {.op = OS_GET, .key = "k"};

	(void)state;
	OPEN(steps);
	store_world_submit(&request, SECONDS(1) / 2);
	loop_run(store_world.loop);
	assert_int_equal(request.result.err, -EIO);
	assert_string_equal(request.result.code, "SlowDown");
	os_request_free_result(&request);
	store_world_close(1);
}

static void cancel_it(struct timer *timer)
{
	(void)timer;
	objstore_cancel(store_world.store, store_world.to_cancel);
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
		struct os_request first = store_world_put(&no_error, 10),
				  second = store_world_put(&no_error, 10);
		struct os_request *victim = which == 0 ? &first : &second;
		struct executor *executor;

		store_world_open(steps, 1 + (which == 0), 1, "127.0.0.1");
		executor = loop_executor(store_world.loop);
		store_world.to_cancel = victim;
		timer_init(&store_world.timer, cancel_it);
		timer_set(executor, &store_world.timer,
			  executor_monotonic(executor) + SECONDS(1) / 10);
		store_world_submit(&first, SECONDS(5));
		store_world_submit(&second, SECONDS(5));
		loop_run(store_world.loop);
		assert_int_equal(victim->result.err, -ECANCELED);
		assert_int_equal(victim->result.ambiguous, which == 0);
		os_request_free_result(&first);
		os_request_free_result(&second);
		store_world_close(which == 0 ? 2 : 1);
	}
}

static void submit_it(struct timer *timer)
{
	(void)timer;
	store_world_submit(store_world.later, SECONDS(5));
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
	store_world_open(steps, COUNT(steps), 1, "127.0.0.1");
	for (size_t i = 0; i < COUNT(bulk); i++) {
		bulk[i] = store_world_get();
		store_world_submit(&bulk[i], SECONDS(5));
	}
	/* When the first has the only connection and the others wait for it. */
	store_world.later = &urgent;
	timer_init(&store_world.timer, submit_it);
	executor = loop_executor(store_world.loop);
	timer_set(executor, &store_world.timer, executor_monotonic(executor) + SECONDS(1) / 10);
	loop_run(store_world.loop);
	assert_int_equal(urgent.result.err, 0);
	os_request_free_result(&urgent);
	for (size_t i = 0; i < COUNT(bulk); i++) {
		assert_int_equal(bulk[i].result.err, 0);
		os_request_free_result(&bulk[i]);
	}
	assert_int_equal(script_server_connections(store_world.server), 1);
	store_world_close(4);
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
	assert_int_equal(store_world_run(&request), -EPROTO);
	assert_int_equal(s3_explain(&store_world.config, &request, &error), -EPROTO);
	assert_non_null(strstr(error.message, "not as S3 does"));
	os_request_free_result(&request);
	store_world_close(script_server_requests(store_world.server));
}

static void endless_headers_are_cut_off(void **state)
{
	const size_t size = 300 << 10;
	char *raw = malloc(size);
	struct script_step steps[4];
	struct os_request request = {.op = OS_HEAD, .key = "k"};
	size_t len;

	(void)state;
	len = (size_t)snprintf(raw, size, "HTTP/1.1 200 OK\r\n");
	while (len < 200 << 10)
		len += (size_t)snprintf(raw + len, size - len, "x-amz-meta-%zu: %0500d\r\n", len,
					1);
	snprintf(raw + len, size - len, "\r\n");
	for (size_t i = 0; i < COUNT(steps); i++)
		steps[i] = (struct script_step){.raw = raw};
	OPEN(steps);
	assert_int_equal(store_world_run(&request), -EPROTO);
	os_request_free_result(&request);
	store_world_close(script_server_requests(store_world.server));
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
		assert_true(store_world_run(&request) < 0);
		s3_explain(&store_world.config, &request, &error);
		if (!strstr(error.message, cases[i].expected))
			print_error("%s\n", error.message);
		assert_non_null(strstr(error.message, cases[i].expected));
		assert_null(strchr(error.message, '\n'));
		os_request_free_result(&request);
		store_world_close(script_server_requests(store_world.server));
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
	config = store_world.config;
	config.endpoint = "http://127.0.0.1:1";
	assert_int_equal(s3_create(&store, loop_executor(store_world.loop), &config, &error), 0);
	objstore_destroy(store_world.store);
	store_world.store = store;
	assert_int_equal(store_world_run(&request), -EHOSTUNREACH);
	assert_int_equal(s3_explain(&config, &request, &error), -EHOSTUNREACH);
	assert_non_null(strstr(error.message, "http://127.0.0.1:1"));
	os_request_free_result(&request);
	store_world_close(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_busy_server_is_asked_again),
		cmocka_unit_test(another_region_is_signed_for_from_then_on),
		cmocka_unit_test(a_wrong_clock_is_corrected_once),
		cmocka_unit_test(newer_credentials_repeat_what_the_old_ones_could_not),
		cmocka_unit_test(keys_are_read_again_once_when_they_have_expired),
		cmocka_unit_test(a_redirect_elsewhere_is_not_followed),
		cmocka_unit_test(the_other_style_is_tried_and_kept),
		cmocka_unit_test(when_no_style_works_the_first_failure_is_told),
		cmocka_unit_test(the_deadline_ends_everything),
		cmocka_unit_test(an_attempt_never_starts_after_the_deadline),
		cmocka_unit_test(no_attempt_is_begun_that_the_deadline_would_cut_off),
		cmocka_unit_test(cancel_ends_a_request_wherever_it_is),
		cmocka_unit_test(the_urgent_goes_before_the_bulk),
		cmocka_unit_test(what_is_not_http_is_not_s3),
		cmocka_unit_test(endless_headers_are_cut_off),
		cmocka_unit_test(failures_are_explained_in_one_sentence),
		cmocka_unit_test(a_closed_port_is_reported_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

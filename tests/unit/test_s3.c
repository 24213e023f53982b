#include "tests/unit/store_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- reads ---- */

static void a_broken_read_goes_on_at_the_offset_that_it_reached(void **state)
{
	static char range[] = "ETag: \"e\"\r\nContent-Range: bytes 393216-614399/614400\r\n";
	static const struct script_step steps[] = {
		{.expect = "GET /bkt/k HTTP",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\nx-amz-meta-a: 1\r\n",
		 .body = store_world_pattern,
		 .body_len = BODY,
		 .sent = CUT - 16384},
		{.expect = "range: bytes=393216-\r\n",
		 .expect2 = "if-match: \"e\"",
		 .status = 206,
		 .headers = range,
		 .body = store_world_pattern + CUT - 16384,
		 .body_len = BODY - CUT + 16384},
	};
	struct os_request request = store_world_get();

	(void)state;
	OPEN(steps);
	assert_int_equal(store_world_run(&request), 0);
	assert_memory_equal(store_world.received, store_world_pattern, BODY);
	assert_int_equal(request.result.size, BODY);
	assert_string_equal(request.result.etag, "\"e\"");
	os_request_free_result(&request);
	store_world_close(2);
}

static void a_read_begins_anew_when_the_object_has_changed(void **state)
{
	static const struct script_step steps[] = {
		{.status = 200,
		 .headers = "ETag: \"old\"\r\n",
		 .body = store_world_pattern + 1,
		 .body_len = BODY - 1,
		 .sent = CUT},
		{.expect = "if-match: \"old\"",
		 .status = 412,
		 .body = ERROR_BODY("PreconditionFailed")},
		{.expect = "GET /bkt/k",
		 .status = 200,
		 .headers = "ETag: \"new\"\r\n",
		 .body = store_world_pattern,
		 .body_len = BODY},
	};
	struct os_request request = store_world_get();

	(void)state;
	OPEN(steps);
	assert_int_equal(store_world_run(&request), 0);
	assert_memory_equal(store_world.received, store_world_pattern, BODY);
	assert_string_equal(request.result.etag, "\"new\"");
	os_request_free_result(&request);
	store_world_close(3);
}

static void a_conditional_read_of_a_changed_object_is_stale(void **state)
{
	static const struct script_step steps[] = {
		{.expect = "if-match: \"old\"",
		 .status = 200,
		 .headers = "ETag: \"old\"\r\n",
		 .body = store_world_pattern,
		 .body_len = BODY,
		 .sent = CUT},
		{.expect = "if-match: \"old\"",
		 .status = 412,
		 .body = ERROR_BODY("PreconditionFailed")},
	};
	struct os_request request = store_world_get();

	(void)state;
	OPEN(steps);
	request.condition.if_match = "\"old\"";
	assert_int_equal(store_world_run(&request), -ESTALE);
	assert_false(request.result.ambiguous);
	os_request_free_result(&request);
	store_world_close(2);
}

static void only_the_range_reaches_the_sink_whatever_is_sent(void **state)
{
	static const struct script_step steps[] = {
		{.expect = "range: bytes=1000-1099",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\n",
		 .body = store_world_pattern,
		 .body_len = BODY},
		{.expect = "range: bytes=614000-624399",
		 .status = 206,
		 .headers = "ETag: \"e\"\r\nContent-Range: bytes 614000-614399/614400\r\n",
		 .body = store_world_pattern + 614000,
		 .body_len = 400},
	};
	struct os_request request = store_world_get();

	(void)state;
	OPEN(steps);
	request.has_range = true;
	request.range_first = 1000;
	request.range_len = 100;
	assert_int_equal(store_world_run(&request), 0);
	assert_memory_equal(store_world.received + 1000, store_world_pattern + 1000, 100);
	assert_int_equal(store_world.received_end, 1100);
	assert_int_equal(request.result.size, BODY);
	os_request_free_result(&request);

	/* A range that reaches beyond the end gives what there is. */
	request.range_first = 614000;
	request.range_len = 10400;
	assert_int_equal(store_world_run(&request), 0);
	assert_int_equal(store_world.received_end, BODY);
	assert_int_equal(request.result.size, BODY);
	os_request_free_result(&request);
	store_world_close(2);
}

static void a_part_that_was_not_asked_for_is_refused(void **state)
{
	static const struct script_step steps[] = {
		{.status = 206,
		 .headers = "ETag: \"e\"\r\nContent-Range: bytes 2000-2099/614400\r\n",
		 .body = store_world_pattern,
		 .body_len = 100},
	};
	struct os_request request = store_world_get();

	(void)state;
	OPEN(steps);
	request.has_range = true;
	request.range_first = 1000;
	request.range_len = 100;
	assert_int_equal(store_world_run(&request), -EPROTO);
	assert_int_equal(store_world.writes, 0);
	os_request_free_result(&request);
	store_world_close(1);
}

static void what_the_sink_says_ends_the_read(void **state)
{
	static const struct script_step steps[] = {{.status = 200,
						    .headers = "ETag: \"e\"\r\n",
						    .body = store_world_pattern,
						    .body_len = BODY}};
	struct os_request request = store_world_get();

	(void)state;
	OPEN(steps);
	store_world.sink_err = -ENOSPC;
	assert_int_equal(store_world_run(&request), -ENOSPC);
	assert_int_equal(store_world.writes, 1);
	os_request_free_result(&request);
	store_world_close(1);
}

static void big_reads_come_in_big_pieces(void **state)
{
	static const struct script_step steps[] = {{.status = 200,
						    .headers = "ETag: \"e\"\r\n",
						    .body = store_world_pattern,
						    .body_len = BODY}};
	struct os_request request = store_world_get();

	(void)state;
	OPEN(steps);
	assert_int_equal(store_world_run(&request), 0);
	assert_true(store_world.writes <= BODY / (64 << 10) + 1);
	os_request_free_result(&request);
	store_world_close(1);
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
		struct os_request request = store_world_put(&no_error, 100);

		OPEN(steps);
		request.condition.if_none_match_any = true;
		assert_int_equal(store_world_run(&request), cases[i].err);
		assert_int_equal(request.result.ambiguous, cases[i].ambiguous);
		os_request_free_result(&request);
		store_world_close(2);
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
	struct os_request head = {.op = OS_HEAD, .key = "k"}, put = store_world_put(&no_error, 100);

	(void)state;
	OPEN(steps);
	assert_int_equal(store_world_run(&head), 0);
	os_request_free_result(&head);
	put.condition.if_none_match_any = true;
	assert_int_equal(store_world_run(&put), -ESTALE);
	assert_true(put.result.ambiguous);
	os_request_free_result(&put);
	store_world_close(3);
}

static void a_kept_connection_that_died_does_no_harm(void **state)
{
	static const struct script_step steps[] = {
		{.status = 200, .headers = "ETag: \"e\"\r\n", .close = true},
		{.expect = "PUT", .status = 200, .headers = "ETag: \"e2\"\r\n"},
	};
	int no_error = 0;
	struct os_request head = {.op = OS_HEAD, .key = "k"}, put = store_world_put(&no_error, 100);

	(void)state;
	OPEN(steps);
	assert_int_equal(store_world_run(&head), 0);
	os_request_free_result(&head);
	assert_int_equal(store_world_run(&put), 0);
	assert_string_equal(put.result.etag, "\"e2\"");
	os_request_free_result(&put);
	store_world_close(2);
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
	assert_int_equal(store_world_run(&request), -ESTALE);
	assert_false(request.result.ambiguous);
	os_request_free_result(&request);
	free((void *)memory.data);
	store_world_close(1);
}

static void a_server_that_does_not_answer_expect_is_not_asked_again(void **state)
{
	static const struct script_step steps[] = {
		{.expect = "expect: 100-continue",
		 .status = 200,
		 .headers = "ETag: \"e\"\r\n",
		 .silent = true},
		{.absent = "expect: 100-continue", .status = 200, .headers = "ETag: \"e\"\r\n"},
	};
	struct os_memory memory = {calloc(1, 2 << 20), 2 << 20};
	struct os_request request = {.op = OS_PUT, .key = "k", .body = os_source_memory(&memory)};

	(void)state;
	OPEN(steps);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_world_run(&request), 0);
		os_request_free_result(&request);
	}
	free((void *)memory.data);
	store_world_close(2);
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
		struct os_request request = store_world_put(&no_error, sizes[i]);

		assert_int_equal(store_world_run(&request), 0);
		os_request_free_result(&request);
	}
	store_world_close(COUNT(sizes));
}

static void what_the_source_says_ends_the_write(void **state)
{
	static const uint64_t sizes[] = {100, BODY};
	static const struct script_step none[] = {{.status = 500}};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		int error = -ENODATA;
		struct os_request request = store_world_put(&error, sizes[i]);

		OPEN(none);
		assert_int_equal(store_world_run(&request), -ENODATA);
		assert_false(request.result.ambiguous);
		os_request_free_result(&request);
		store_world_close(0);
	}
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
		cmocka_unit_test(a_server_that_does_not_answer_expect_is_not_asked_again),
		cmocka_unit_test(bodies_of_all_sizes_are_signed_and_sent),
		cmocka_unit_test(what_the_source_says_ends_the_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

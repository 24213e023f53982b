/* What is read from raw requests, and what is added to the reply to FUSE_INIT. */
#include "fs/front/protocol.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The numbers are those of the protocol (include/uapi/linux/fuse.h of Linux), on purpose not taken
 * from the header that the code uses. */
enum {
	HEADER = 40,
	OPCODE_AT = 4,
	UNIQUE_AT = 8,
	REPLY_HEADER = 16,
	SETATTR = 4,
	OPEN = 14,
	WRITE = 16,
	INIT = 26,
	CREATE = 35,
	KILLPRIV_V2 = 1 << 28,
	ASYNC_READ = 1,
	INIT_FLAGS_AT = 12,  /* in request and reply */
	INIT_FLAGS2_AT = 32, /* in the reply */
	INIT_EXT = 1 << 30,
	ALLOW_MMAP = 1 << 4, /* of flags2 */
};

/* Exactly as large as the request, so that the address sanitizer sees a read behind it. */
static char *make(uint32_t opcode, const void *arguments, size_t len)
{
	uint64_t unique = 77;
	char *request = calloc(1, HEADER + len);

	assert_non_null(request);
	memcpy(request + OPCODE_AT, &opcode, sizeof(opcode));
	memcpy(request + UNIQUE_AT, &unique, sizeof(unique));
	memcpy(request + HEADER, arguments, len);
	return request;
}

static bool kills(uint32_t opcode, size_t len, size_t flag_at, uint32_t flag)
{
	char arguments[128] = {0}, *request;
	bool result;

	memcpy(arguments + flag_at, &flag, sizeof(flag));
	request = make(opcode, arguments, len);
	result = protocol_kills_privileges(request, HEADER + len);
	free(request);
	return result;
}

static void each_request_says_at_its_own_place_that_privileges_go(void **state)
{
	static const struct {
		uint32_t opcode;
		size_t len, flag_at;
		uint32_t flag;
	} cases[] = {
		{WRITE, 40, 20, 1 << 2},
		{SETATTR, 88, 0, 1 << 11},
		{OPEN, 8, 4, 1 << 0},
		{CREATE, 16, 12, 1 << 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t opcode = cases[i].opcode;
		size_t len = cases[i].len;

		assert_true(kills(opcode, len, cases[i].flag_at, cases[i].flag));
		assert_true(kills(opcode, len, cases[i].flag_at, UINT32_MAX));
		assert_false(kills(opcode, len, cases[i].flag_at, ~cases[i].flag));
		assert_false(kills(opcode, len - 1, cases[i].flag_at, cases[i].flag));
		assert_false(kills(INIT, len, cases[i].flag_at, cases[i].flag));
	}
}

static void requests_that_are_cut_say_nothing(void **state)
{
	struct protocol_init init = {0};
	char *request = make(INIT, "", 0);

	(void)state;
	for (size_t len = 0; len <= HEADER; len++) {
		assert_false(protocol_kills_privileges(request, len));
		assert_false(protocol_read_init(request, len, &init));
	}
	assert_false(init.seen);
	free(request);
}

static void read_init(struct protocol_init *init, uint32_t offered)
{
	uint32_t arguments[4] = {7, 45, 131072, offered};
	char *request = make(INIT, arguments, sizeof(arguments));

	assert_true(protocol_read_init(request, HEADER + sizeof(arguments), init));
	free(request);
}

struct reply {
	struct {
		uint32_t len;
		int32_t error;
		uint64_t unique;
	} header;
	uint32_t body[16];
};

static uint32_t completed(const struct protocol_init *init, struct reply reply, bool expected)
{
	assert_int_equal(protocol_complete_init(init, &reply.header, sizeof(reply.header),
						reply.body, sizeof(reply.body)),
			 expected);
	return reply.body[INIT_FLAGS_AT / 4];
}

static void what_the_kernel_offers_is_asked_for(void **state)
{
	struct reply reply = {{80, 0, 77}, {7, 36, 131072, ASYNC_READ}};
	struct protocol_init init = {0};

	(void)state;
	assert_int_equal(completed(&init, reply, false), ASYNC_READ); /* no INIT came yet */
	read_init(&init, KILLPRIV_V2 | 0x8000);
	assert_int_equal(completed(&init, reply, true), KILLPRIV_V2 | ASYNC_READ);
	assert_true(protocol_tells_kills(&init));
	read_init(&init, 0x8000);
	assert_int_equal(completed(&init, reply, true), ASYNC_READ);
	assert_false(protocol_tells_kills(&init));
}

static void what_is_offered_behind_the_32nd_bit_is_asked_for_there(void **state)
{
	static const struct {
		uint32_t flags, flags2, answer, answer2;
	} cases[] = {
		{INIT_EXT, ALLOW_MMAP | 1, INIT_EXT | ASYNC_READ, ALLOW_MMAP},
		{INIT_EXT, 1, ASYNC_READ, 0},
		{0, ALLOW_MMAP, ASYNC_READ, 0}, /* not said to be there */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reply reply = {{80, 0, 77}, {7, 36, 131072, ASYNC_READ}};
		uint32_t arguments[5] = {7, 45, 131072, cases[i].flags, cases[i].flags2};
		char *request = make(INIT, arguments, sizeof(arguments));
		struct protocol_init init = {0};

		assert_true(protocol_read_init(request, HEADER + sizeof(arguments), &init));
		assert_true(protocol_complete_init(&init, &reply.header, sizeof(reply.header),
						   reply.body, sizeof(reply.body)));
		assert_int_equal(reply.body[INIT_FLAGS_AT / 4], cases[i].answer);
		assert_int_equal(reply.body[INIT_FLAGS2_AT / 4], cases[i].answer2);
		free(request);
	}
}

static void other_replies_stay_as_they_are(void **state)
{
	struct reply other = {{80, 0, 78}, {7, 36, 131072, ASYNC_READ}},
		     failed = {{80, -EPROTO, 77}, {7, 36, 131072, ASYNC_READ}};
	struct protocol_init init = {0};

	(void)state;
	read_init(&init, KILLPRIV_V2);
	assert_int_equal(completed(&init, other, false), ASYNC_READ);
	assert_int_equal(completed(&init, failed, false), ASYNC_READ);
	failed.header.error = 0;
	assert_false(protocol_complete_init(&init, &failed.header, sizeof(failed.header),
					    failed.body, sizeof(failed.body) - 1));
	assert_false(protocol_complete_init(&init, &failed.header, REPLY_HEADER - 1, failed.body,
					    sizeof(failed.body)));
}

static void a_file_without_a_name_is_asked_for_as_a_create(void **state)
{
	enum { TMPFILE = 51, CREATE_BYTES = 16 };
	char arguments[CREATE_BYTES + 2] = {0}, *request;
	uint32_t opcode;

	(void)state;
	request = make(TMPFILE, arguments, sizeof(arguments));
	assert_true(protocol_take_tmpfile(request, HEADER + sizeof(arguments)));
	memcpy(&opcode, request + OPCODE_AT, sizeof(opcode));
	assert_int_equal(opcode, CREATE);
	/* once it is one, and where it is too short, it is left alone */
	assert_false(protocol_take_tmpfile(request, HEADER + sizeof(arguments)));
	free(request);
	request = make(TMPFILE, arguments, CREATE_BYTES - 1);
	assert_false(protocol_take_tmpfile(request, HEADER + CREATE_BYTES - 1));
	free(request);
	request = make(CREATE, arguments, sizeof(arguments));
	assert_false(protocol_take_tmpfile(request, HEADER - 1));
	free(request);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_without_a_name_is_asked_for_as_a_create),
		cmocka_unit_test(each_request_says_at_its_own_place_that_privileges_go),
		cmocka_unit_test(requests_that_are_cut_say_nothing),
		cmocka_unit_test(what_the_kernel_offers_is_asked_for),
		cmocka_unit_test(what_is_offered_behind_the_32nd_bit_is_asked_for_there),
		cmocka_unit_test(other_replies_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/s3/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct pair {
	const char *name, *value;
};

static struct digest *digest;

static int set_up(void **state)
{
	(void)state;
	digest = digest_create();
	return digest ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	digest_free(digest);
	return 0;
}

static void sign(struct sigv4_signer *signer, struct sigv4_input *input, const struct pair *pairs,
		 size_t count, char *signature, char *names)
{
	struct header_list headers = {.text = BUF_INIT};
	struct buf scratch = BUF_INIT, authorization = BUF_INIT;
	const char *found;

	for (size_t i = 0; i < count; i++)
		header_add(&headers, pairs[i].name, pairs[i].value);
	assert_int_equal(headers.failed, 0);
	input->headers = &headers;
	input->path_len = strlen(input->path);
	input->query_len = strlen(input->query);
	assert_int_equal(sigv4_sign(signer, input, &scratch, &authorization), 0);
	found = strstr(authorization.data, ", Signature=");
	assert_non_null(found);
	snprintf(signature, 100, "%s", found + strlen(", Signature="));
	found = strstr(authorization.data, "SignedHeaders=") + strlen("SignedHeaders=");
	snprintf(names, 200, "%.*s", (int)strcspn(found, ","), found);
	buf_free(&scratch);
	buf_free(&authorization);
	header_list_free(&headers);
	input->headers = NULL;
}

/* Amazon S3 API reference, "Signature Calculations for the Authorization Header: Transferring
 * Payload in a Single Chunk", the four examples. */
static const struct {
	const char *method, *path, *query, *hash;
	struct pair headers[6];
	size_t count;
	const char *names, *signature;
} examples[] = {
	{"GET",
	 "/test.txt",
	 "",
	 SIGV4_EMPTY_SHA256,
	 {{"host", "examplebucket.s3.amazonaws.com"},
	  {"range", "bytes=0-9"},
	  {"x-amz-content-sha256", SIGV4_EMPTY_SHA256},
	  {"x-amz-date", "20130524T000000Z"}},
	 4,
	 "host;range;x-amz-content-sha256;x-amz-date",
	 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	{"PUT",
	 "/test%24file.text",
	 "",
	 "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
	 {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
	  {"x-amz-date", "20130524T000000Z"},
	  {"x-amz-content-sha256",
	   "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
	  {"host", "examplebucket.s3.amazonaws.com"},
	  {"date", "Fri, 24 May 2013 00:00:00 GMT"}},
	 5,
	 "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	{"GET",
	 "/",
	 "lifecycle=",
	 SIGV4_EMPTY_SHA256,
	 {{"host", "examplebucket.s3.amazonaws.com"},
	  {"x-amz-date", "20130524T000000Z"},
	  {"x-amz-content-sha256", SIGV4_EMPTY_SHA256}},
	 3,
	 "host;x-amz-content-sha256;x-amz-date",
	 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	{"GET",
	 "/",
	 "max-keys=2&prefix=J",
	 SIGV4_EMPTY_SHA256,
	 {{"host", "examplebucket.s3.amazonaws.com"},
	  {"x-amz-date", "20130524T000000Z"},
	  {"x-amz-content-sha256", SIGV4_EMPTY_SHA256}},
	 3,
	 "host;x-amz-content-sha256;x-amz-date",
	 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static void the_examples_of_the_s3_reference_are_met(void **state)
{
	struct sigv4_signer signer = {
		.digest = digest,
		.access_key = "AKIAIOSFODNN7EXAMPLE",
		.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		.service = "s3",
	};
	char signature[100], names[200];

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		struct sigv4_input input = {
			.method = examples[i].method,
			.path = examples[i].path,
			.query = examples[i].query,
			.payload_hash = examples[i].hash,
			.region = "us-east-1",
			.time = 1369353600,
		};

		sign(&signer, &input, examples[i].headers, examples[i].count, signature, names);
		assert_string_equal(names, examples[i].names);
		assert_string_equal(signature, examples[i].signature);
	}
}

/* AWS's Signature Version 4 test suite (aws-sig-v4-test-suite). */
static void the_vectors_of_the_aws_test_suite_are_met(void **state)
{
	static const struct {
		const char *method, *path, *query;
		struct pair headers[4];
		size_t count;
		const char *signature;
	} cases[] = {
		/* get-vanilla */
		{"GET",
		 "/",
		 "",
		 {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}},
		 2,
		 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		/* get-vanilla-query-order-key-case */
		{"GET",
		 "/",
		 "Param1=value1&Param2=value2",
		 {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}},
		 2,
		 "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		/* post-vanilla */
		{"POST",
		 "/",
		 "",
		 {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}},
		 2,
		 "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		/* get-header-value-trim */
		{"GET",
		 "/",
		 "",
		 {{"host", "example.amazonaws.com"},
		  {"my-header1", " value1"},
		  {"my-header2", " \"a   b   c\""},
		  {"x-amz-date", "20150830T123600Z"}},
		 4,
		 "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	};
	struct sigv4_signer signer = {
		.digest = digest,
		.access_key = "AKIDEXAMPLE",
		.secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		.service = "service",
	};
	char signature[100], names[200];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sigv4_input input = {
			.method = cases[i].method,
			.path = cases[i].path,
			.query = cases[i].query,
			.payload_hash = SIGV4_EMPTY_SHA256,
			.region = "us-east-1",
			.time = 1440938160,
		};

		sign(&signer, &input, cases[i].headers, cases[i].count, signature, names);
		assert_string_equal(signature, cases[i].signature);
	}
}

static void values_are_trimmed_and_their_spaces_folded(void **state)
{
	static const struct {
		const char *value, *canonical;
	} cases[] = {
		{"a", "a"},	  {"  a  ", "a"}, {"a  b", "a b"},	   {"a   b  c", "a b c"},
		{"", ""},	  {"   ", ""},	  {"\"a  b\"", "\"a b\""}, {" a b ", "a b"},
		{"a\tb", "a\tb"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct header_list headers = {.text = BUF_INIT};
		struct sigv4_input input = {.method = "GET",
					    .path = "/",
					    .path_len = 1,
					    .query = "",
					    .headers = &headers,
					    .payload_hash = "H"};
		struct buf canonical = BUF_INIT;
		char expected[100];

		header_add(&headers, "x", cases[i].value);
		sigv4_canonical_request(&input, &canonical);
		snprintf(expected, sizeof(expected), "GET\n/\n\nx:%s\n\nx\nH", cases[i].canonical);
		assert_string_equal(canonical.data, expected);
		buf_free(&canonical);
		header_list_free(&headers);
	}
}

static void headers_are_sorted_by_their_whole_name(void **state)
{
	struct header_list headers = {.text = BUF_INIT};
	struct sigv4_input input = {.method = "GET",
				    .path = "/",
				    .path_len = 1,
				    .query = "",
				    .headers = &headers,
				    .payload_hash = "H"};
	struct buf canonical = BUF_INIT;

	(void)state;
	header_add(&headers, "x-amz-meta-b", "2");
	header_add(&headers, "x-amz-meta-a", "1");
	header_add(&headers, "x-amz-meta-a-b", "3");
	header_add(&headers, "host", "h");
	sigv4_canonical_request(&input, &canonical);
	assert_string_equal(canonical.data,
			    "GET\n/\n\nhost:h\nx-amz-meta-a:1\nx-amz-meta-a-b:3\nx-amz-meta-b:2\n\n"
			    "host;x-amz-meta-a;x-amz-meta-a-b;x-amz-meta-b\nH");
	buf_free(&canonical);
	header_list_free(&headers);
}

static void the_key_is_derived_anew_for_another_day_or_region(void **state)
{
	static const struct pair pairs[] = {{"host", "h"}};
	struct sigv4_input input = {
		.method = "GET", .path = "/", .query = "", .payload_hash = SIGV4_EMPTY_SHA256};
	struct sigv4_signer kept = {
		.digest = digest, .access_key = "A", .secret_key = "S", .service = "s3"};
	static const struct {
		const char *region;
		int64_t time;
	} steps[] = {{"us-east-1", 1440938160},
		     {"us-east-1", 1440938160 + 86400},
		     {"eu-west-1", 1440938160 + 86400},
		     {"us-east-1", 1440938160},
		     {"us-east-1", 1440938161}};

	(void)state;
	for (size_t i = 0; i < COUNT(steps); i++) {
		struct sigv4_signer fresh = {
			.digest = digest, .access_key = "A", .secret_key = "S", .service = "s3"};
		char one[100], other[100], names[100];

		input.region = steps[i].region;
		input.time = steps[i].time;
		sign(&kept, &input, pairs, 1, one, names);
		sign(&fresh, &input, pairs, 1, other, names);
		assert_string_equal(one, other);
	}
	sigv4_signer_wipe(&kept);
	for (size_t i = 0; i < sizeof(kept.key); i++)
		assert_int_equal(kept.key[i], 0);
}

/* RFC 4231, test cases 1, 2 and 6 (a key longer than a block). */
static void hmac_meets_the_vectors_of_rfc_4231(void **state)
{
	static const char long_data[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	unsigned char key1[20], key6[131];
	struct {
		const void *key;
		size_t key_len;
		const char *data, *mac;
	} cases[] = {
		{key1, 20, "Hi There",
		 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{"Jefe", 4, "what do ya want for nothing?",
		 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{key6, 131, long_data,
		 "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	};

	(void)state;
	memset(key1, 0x0b, sizeof(key1));
	memset(key6, 0xaa, sizeof(key6));
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned char mac[SHA256_BYTES];
		struct buf text = BUF_INIT;

		digest_hmac_sha256(digest, cases[i].key, cases[i].key_len, cases[i].data,
				   strlen(cases[i].data), mac);
		buf_put_hex(&text, mac, sizeof(mac));
		assert_string_equal(text.data, cases[i].mac);
		buf_free(&text);
	}
}

static void md5_is_written_in_base64(void **state)
{
	char text[25];

	(void)state;
	assert_int_equal(digest_md5_base64("", 0, text), 0);
	assert_string_equal(text, "1B2M2Y8AsgTpgAmY7PhCfg==");
}

static void headers_cannot_smuggle_lines(void **state)
{
	static const struct pair cases[] = {
		{"a", "b\r\nc: d"}, {"a", "b\nc"}, {"a b", "c"},  {"a:", "c"},
		{"", "c"},	    {"a", "\x01"}, {"a", "\x7f"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct header_list headers = {.text = BUF_INIT};

		header_add(&headers, cases[i].name, cases[i].value);
		assert_true(headers.failed != 0);
		header_list_free(&headers);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_s3_reference_are_met),
		cmocka_unit_test(the_vectors_of_the_aws_test_suite_are_met),
		cmocka_unit_test(values_are_trimmed_and_their_spaces_folded),
		cmocka_unit_test(headers_are_sorted_by_their_whole_name),
		cmocka_unit_test(the_key_is_derived_anew_for_another_day_or_region),
		cmocka_unit_test(hmac_meets_the_vectors_of_rfc_4231),
		cmocka_unit_test(md5_is_written_in_base64),
		cmocka_unit_test(headers_cannot_smuggle_lines),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

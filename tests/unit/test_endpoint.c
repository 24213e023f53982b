#include "common/s3/endpoint.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void urls_give_hosts_for_both_styles(void **state)
{
	static const struct {
		const char *url, *region;
		bool https;
		const char *path_host, *virtual_host, *path;
	} cases[] = {
		{NULL, "eu-west-1", true, "s3.eu-west-1.amazonaws.com",
		 "bkt.s3.eu-west-1.amazonaws.com", ""},
		{"", "cn-north-1", true, "s3.cn-north-1.amazonaws.com.cn",
		 "bkt.s3.cn-north-1.amazonaws.com.cn", ""},
		{"http://127.0.0.1:9000", "r", false, "127.0.0.1:9000", "bkt.127.0.0.1:9000", ""},
		{"HTTP://Minio:80/", "r", false, "minio", "bkt.minio", ""},
		{"https://h.example:443", "r", true, "h.example", "bkt.h.example", ""},
		{"https://h.example:80", "r", true, "h.example:80", "bkt.h.example:80", ""},
		{"h.example", "r", true, "h.example", "bkt.h.example", ""},
		{"http://[::1]:9000", "r", false, "[::1]:9000", "bkt.[::1]:9000", ""},
		{"https://h.example/storage/v1/s3/", "r", true, "h.example", "bkt.h.example",
		 "/storage/v1/s3"},
		/* AWS by its own name: the host follows the region */
		{"https://s3.amazonaws.com", "eu-west-1", true, "s3.eu-west-1.amazonaws.com",
		 "bkt.s3.eu-west-1.amazonaws.com", ""},
		{"https://s3.dualstack.us-west-2.amazonaws.com", "us-west-2", true,
		 "s3.dualstack.us-west-2.amazonaws.com", "bkt.s3.dualstack.us-west-2.amazonaws.com",
		 ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct endpoint endpoint;
		char host[600];

		assert_int_equal(endpoint_parse(&endpoint, cases[i].url, NULL), 0);
		assert_int_equal(endpoint.https, cases[i].https);
		assert_string_equal(endpoint.path, cases[i].path);
		assert_int_equal(endpoint_host(&endpoint, STYLE_PATH, "bkt", cases[i].region, host,
					       sizeof(host)),
				 0);
		assert_string_equal(host, cases[i].path_host);
		assert_int_equal(endpoint_host(&endpoint, STYLE_VIRTUAL_HOST, "bkt",
					       cases[i].region, host, sizeof(host)),
				 0);
		assert_string_equal(host, cases[i].virtual_host);
	}
}

static void malformed_urls_are_refused_with_a_message(void **state)
{
	static const char *const cases[] = {
		"ftp://h",	  "http://",	   "https:///path",	   "http://h:0",
		"http://h:65536", "http://h:port", "http://user:secret@h", "http://h?x=y",
		"http://h#x",	  "http://h h",	   "http://h\r\nHost: x",  "http://h:123456789",
		"http://h:-1",	  "http://h%00",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct endpoint endpoint;
		struct error error = ERROR_INIT;

		assert_int_equal(endpoint_parse(&endpoint, cases[i], &error), -EINVAL);
		assert_true(error.message[0] != '\0');
		assert_null(strstr(error.message, "secret@"));
	}
}

static void the_style_follows_from_host_and_bucket(void **state)
{
	static const struct {
		const char *url, *bucket;
		enum path_style_mode mode;
		enum endpoint_style style;
		bool may_switch;
	} cases[] = {
		{NULL, "bkt", PATH_STYLE_AUTO, STYLE_VIRTUAL_HOST, false},
		{NULL, "b.k.t", PATH_STYLE_AUTO, STYLE_PATH, false},
		{NULL, "Upper", PATH_STYLE_AUTO, STYLE_PATH, false},
		{NULL, "bkt", PATH_STYLE_ON, STYLE_PATH, false},
		{"http://127.0.0.1:9000", "bkt", PATH_STYLE_AUTO, STYLE_PATH, false},
		{"http://127.0.0.1:9000", "bkt", PATH_STYLE_OFF, STYLE_VIRTUAL_HOST, false},
		{"http://[::1]:9000", "bkt", PATH_STYLE_AUTO, STYLE_PATH, false},
		{"http://localhost:9000", "bkt", PATH_STYLE_AUTO, STYLE_PATH, false},
		{"http://minio:9000", "bkt", PATH_STYLE_AUTO, STYLE_PATH, false},
		{"https://s3.example.com", "bkt", PATH_STYLE_AUTO, STYLE_PATH, true},
		{"https://s3.example.com/base", "bkt", PATH_STYLE_AUTO, STYLE_PATH, false},
		{"https://s3.example.com", "b.kt", PATH_STYLE_AUTO, STYLE_PATH, false},
		{"http://s3.example.com", "b.kt", PATH_STYLE_AUTO, STYLE_PATH, true},
		{"https://oss-cn-hangzhou.aliyuncs.com", "bkt", PATH_STYLE_AUTO, STYLE_VIRTUAL_HOST,
		 true},
		{"https://s3.example.com", NULL, PATH_STYLE_AUTO, STYLE_PATH, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct endpoint endpoint;
		bool may_switch;

		assert_int_equal(endpoint_parse(&endpoint, cases[i].url, NULL), 0);
		assert_int_equal(
			endpoint_style(&endpoint, cases[i].bucket, cases[i].mode, &may_switch),
			cases[i].style);
		assert_int_equal(may_switch, cases[i].may_switch);
	}
}

static void hosts_of_aws_tell_their_region(void **state)
{
	static const struct {
		const char *host, *region; /* "": none */
	} cases[] = {
		{"s3.eu-west-1.amazonaws.com", "eu-west-1"},
		{"bkt.s3.eu-west-1.amazonaws.com", "eu-west-1"},
		{"bkt.s3-us-west-2.amazonaws.com", "us-west-2"},
		{"s3.us-gov-east-1.amazonaws.com", "us-gov-east-1"},
		{"s3.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		{"s3.amazonaws.com", ""},
		{"bkt.s3.amazonaws.com", ""},
		{"s3.eu-west-1.example.com", ""},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char region[REGION_MAX];

		assert_int_equal(endpoint_region_of_host(cases[i].host, region),
				 cases[i].region[0] != '\0');
		assert_string_equal(region, cases[i].region);
	}
}

static void a_region_cannot_hold_what_a_host_cannot(void **state)
{
	static const struct {
		const char *region;
		bool valid;
	} cases[] = {
		{"us-east-1", true},
		{"default", true},
		{"a.b_c", true},
		{"", false},
		{"a/b", false},
		{"a b", false},
		{"a\n", false},
		{"evil.com/", false},
		{"0123456789012345678901234567890123456789012345678901234567890123", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(endpoint_region_is_valid(cases[i].region), cases[i].valid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_give_hosts_for_both_styles),
		cmocka_unit_test(malformed_urls_are_refused_with_a_message),
		cmocka_unit_test(the_style_follows_from_host_and_bucket),
		cmocka_unit_test(hosts_of_aws_tell_their_region),
		cmocka_unit_test(a_region_cannot_hold_what_a_host_cannot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

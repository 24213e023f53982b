#include "common/s3/request.h"

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

static struct os_meta_item meta_items[] = {{"mode", "33188"}, {"uid", "0"}};
static const struct os_meta meta = {meta_items, 2};
static struct os_meta_item kept_items[] = {{"x-amz-storage-class", "STANDARD_IA"}};
static const struct os_meta kept = {kept_items, 1};
static struct os_meta_item evil_items[] = {{"x", "a\r\nx-amz-acl: public-read"}};
static const struct os_meta evil = {evil_items, 1};
static struct os_meta_item header_items[] = {
	{"cache-control", "no-cache"}, {"x-amz-storage-class", "GLACIER"}, {OS_TAG_COUNT, "2"}};
static const struct os_meta of_object = {header_items, 3};
static const struct os_part parts[] = {{1, "\"aa\""}, {2, "\"bb\""}};
static const char *const doomed[] = {"a&b<c>", "d\n", "\xc3\xbc"};
static const char *const unspeakable[] = {"a\x01"};

static const struct s3_target path_style = {
	.host = "127.0.0.1:9000", .bucket = "bkt", .bucket_in_path = true};
static const struct s3_target virtual_host = {
	.https = true, .host = "bkt.s3.eu-west-1.amazonaws.com", .bucket = "bkt"};
static const struct s3_target old_ceph = {
	.host = "h", .bucket = "bkt", .bucket_in_path = true, .unquoted_etags = true};

/* All headers but host, one per line. */
static void headers_text(const struct s3_message *message, char *out, size_t size)
{
	size_t len = 0;

	*out = '\0';
	for (size_t i = 0; i < message->headers.count; i++) {
		if (strncmp(header_line(&message->headers, i), "host:", 5) == 0)
			continue;
		len += (size_t)snprintf(out + len, size - len, "%s\n",
					header_line(&message->headers, i));
		assert_true(len < size);
	}
}

static const struct {
	const struct s3_target *target;
	struct os_request request;
	const char *method, *url, *headers;
} forms[] = {
	{&path_style, {.op = OS_HEAD, .key = "a/b"}, "HEAD", "http://127.0.0.1:9000/bkt/a/b", ""},
	{&virtual_host,
	 {.op = OS_HEAD, .key = "a/b"},
	 "HEAD",
	 "https://bkt.s3.eu-west-1.amazonaws.com/a/b",
	 ""},
	{&path_style,
	 {.op = OS_GET, .key = "a b+c%?#&=\xc3\xbc~"},
	 "GET",
	 "http://127.0.0.1:9000/bkt/a%20b%2Bc%25%3F%23%26%3D%C3%BC~",
	 ""},
	{&path_style,
	 {.op = OS_GET, .key = "/../a//b/./"},
	 "GET",
	 "http://127.0.0.1:9000/bkt//../a//b/./",
	 ""},
	{&path_style,
	 {.op = OS_GET,
	  .key = "k",
	  .has_range = true,
	  .range_first = 5,
	  .range_len = 10,
	  .condition.if_match = "\"e\""},
	 "GET",
	 "http://127.0.0.1:9000/bkt/k",
	 "range: bytes=5-14\nif-match: \"e\"\n"},
	{&path_style,
	 {.op = OS_GET, .key = "k", .condition.if_none_match = "\"e\""},
	 "GET",
	 "http://127.0.0.1:9000/bkt/k",
	 "if-none-match: \"e\"\n"},
	{&path_style,
	 {.op = OS_PUT,
	  .key = "k",
	  .meta = &meta,
	  .headers = &kept,
	  .condition.if_none_match_any = true},
	 "PUT",
	 "http://127.0.0.1:9000/bkt/k",
	 "content-type: application/octet-stream\nx-amz-meta-mode: 33188\nx-amz-meta-uid: "
	 "0\n"
	 "x-amz-storage-class: STANDARD_IA\nif-none-match: *\n"},
	{&path_style,
	 {.op = OS_PUT, .key = "k", .content_type = "text/plain", .condition.if_match = "\"e\""},
	 "PUT",
	 "http://127.0.0.1:9000/bkt/k",
	 "content-type: text/plain\nif-match: \"e\"\n"},
	{&old_ceph,
	 {.op = OS_PUT, .key = "k", .condition.if_match = "\"e\""},
	 "PUT",
	 "http://h/bkt/k",
	 "content-type: application/octet-stream\nif-match: e\n"},
	{&old_ceph,
	 {.op = OS_GET, .key = "k", .condition.if_match = "\"e\""},
	 "GET",
	 "http://h/bkt/k",
	 "if-match: \"e\"\n"},
	{&path_style,
	 {.op = OS_DELETE, .key = "k", .condition.if_match = "\"e\""},
	 "DELETE",
	 "http://127.0.0.1:9000/bkt/k",
	 "if-match: \"e\"\n"},
	{&path_style,
	 {.op = OS_LIST},
	 "GET",
	 "http://127.0.0.1:9000/bkt/?encoding-type=url&list-type=2&prefix=",
	 ""},
	{&virtual_host,
	 {.op = OS_LIST,
	  .prefix = "a b/",
	  .delimiter = '/',
	  .max_keys = 10,
	  .start_after = "a b/c"},
	 "GET",
	 "https://bkt.s3.eu-west-1.amazonaws.com/"
	 "?delimiter=%2F&encoding-type=url&list-type=2&"
	 "max-keys=10&prefix=a%20b%2F&start-after=a%20b%2Fc",
	 ""},
	{&path_style,
	 {.op = OS_LIST, .prefix = "p", .token = "t/+=", .start_after = "x"},
	 "GET",
	 "http://127.0.0.1:9000/bkt/"
	 "?continuation-token=t%2F%2B%3D&encoding-type=url&list-type=2&"
	 "prefix=p",
	 ""},
	{&path_style,
	 {.op = OS_COPY, .key = "to", .source_key = "fr om/\xc3\xbc+"},
	 "PUT",
	 "http://127.0.0.1:9000/bkt/to",
	 "x-amz-copy-source: /bkt/fr%20om/%C3%BC%2B\nx-amz-metadata-directive: COPY\n"},
	{&path_style,
	 {.op = OS_COPY,
	  .key = "to",
	  .source_key = "from",
	  .source_if_match = "\"e\"",
	  .replace_meta = true,
	  .meta = &meta,
	  .condition.if_none_match_any = true},
	 "PUT",
	 "http://127.0.0.1:9000/bkt/to",
	 "x-amz-copy-source: /bkt/from\nx-amz-copy-source-if-match: \"e\"\n"
	 "x-amz-metadata-directive: REPLACE\ncontent-type: application/octet-stream\n"
	 "x-amz-meta-mode: 33188\nx-amz-meta-uid: 0\nif-none-match: *\n"},
	{&path_style,
	 {.op = OS_MPU_CREATE, .key = "k", .meta = &meta},
	 "POST",
	 "http://127.0.0.1:9000/bkt/k?uploads=",
	 "content-type: application/octet-stream\nx-amz-meta-mode: 33188\nx-amz-meta-uid: "
	 "0\n"},
	{&path_style,
	 {.op = OS_MPU_PART, .key = "k", .upload_id = "u/+", .part_number = 3},
	 "PUT",
	 "http://127.0.0.1:9000/bkt/k?partNumber=3&uploadId=u%2F%2B",
	 "content-type: application/octet-stream\n"},
	{&path_style,
	 {.op = OS_MPU_PART_COPY,
	  .key = "k",
	  .upload_id = "u",
	  .part_number = 1,
	  .source_key = "s",
	  .has_range = true,
	  .range_first = 0,
	  .range_len = 5242880},
	 "PUT",
	 "http://127.0.0.1:9000/bkt/k?partNumber=1&uploadId=u",
	 "x-amz-copy-source: /bkt/s\nx-amz-copy-source-range: bytes=0-5242879\n"},
	{&path_style,
	 {.op = OS_MPU_ABORT, .key = "k", .upload_id = "u"},
	 "DELETE",
	 "http://127.0.0.1:9000/bkt/k?uploadId=u",
	 ""},
	{&path_style,
	 {.op = OS_MPU_LIST, .prefix = "p"},
	 "GET",
	 "http://127.0.0.1:9000/bkt/?encoding-type=url&max-uploads=1000&prefix=p&uploads=",
	 ""},
	{&path_style,
	 {.op = OS_MPU_LIST, .token = "a%20b%2Fc u/1"},
	 "GET",
	 "http://127.0.0.1:9000/bkt/"
	 "?encoding-type=url&key-marker=a%20b%2Fc&max-uploads=1000&"
	 "upload-id-marker=u%2F1&uploads=",
	 ""},
	{&path_style,
	 {.op = OS_MPU_LIST_PARTS, .key = "k", .upload_id = "u/1"},
	 "GET",
	 "http://127.0.0.1:9000/bkt/k?max-parts=1000&uploadId=u%2F1",
	 ""},
	{&path_style,
	 {.op = OS_MPU_LIST_PARTS, .key = "k", .upload_id = "u", .token = "7", .max_keys = 5},
	 "GET",
	 "http://127.0.0.1:9000/bkt/k?max-parts=5&part-number-marker=7&uploadId=u",
	 ""},
	{&path_style,
	 {.op = OS_COPY, .key = "to", .source_key = "from", .headers = &of_object},
	 "PUT",
	 "http://127.0.0.1:9000/bkt/to",
	 "x-amz-copy-source: /bkt/from\nx-amz-metadata-directive: COPY\n"
	 "x-amz-storage-class: GLACIER\n"},
	{&path_style,
	 {.op = OS_PUT, .key = "k", .headers = &of_object},
	 "PUT",
	 "http://127.0.0.1:9000/bkt/k",
	 "content-type: application/octet-stream\ncache-control: no-cache\n"
	 "x-amz-storage-class: GLACIER\n"},
	{&path_style,
	 {.op = OS_TAGS, .key = "k"},
	 "GET",
	 "http://127.0.0.1:9000/bkt/k?tagging=",
	 ""},
	{&path_style, {.op = OS_BUCKETS}, "GET", "http://127.0.0.1:9000/", ""},
	{&path_style,
	 {.op = OS_BUCKET_HEAD},
	 "GET",
	 "http://127.0.0.1:9000/bkt/?encoding-type=url&list-type=2&max-keys=1&prefix=",
	 ""},
};

static void each_operation_has_its_form(void **state)
{
	struct s3_message message = S3_MESSAGE_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(forms); i++) {
		char why[128] = "", headers[1000];

		assert_int_equal(
			s3_message_build(&message, &forms[i].request, forms[i].target, NULL, why),
			0);
		assert_string_equal(message.method, forms[i].method);
		assert_string_equal(message.url.data, forms[i].url);
		headers_text(&message, headers, sizeof(headers));
		assert_string_equal(headers, forms[i].headers);
		assert_string_equal(header_find(&message.headers, "host"), forms[i].target->host);
	}
	s3_message_free(&message);
}

static void what_is_signed_is_part_of_the_url(void **state)
{
	struct s3_message message = S3_MESSAGE_INIT;
	struct os_request request = {.op = OS_LIST, .prefix = "x"};
	struct s3_target target = path_style;
	char why[128];

	(void)state;
	snprintf(target.base_path, sizeof(target.base_path), "/base");
	assert_int_equal(s3_message_build(&message, &request, &target, NULL, why), 0);
	assert_int_equal(
		strncmp(message.url.data + message.path, "/base/bkt/?", message.path_len + 1), 0);
	assert_int_equal(message.path_len, strlen("/base/bkt/"));
	assert_string_equal(message.url.data + message.query,
			    "encoding-type=url&list-type=2&prefix=x");
	assert_int_equal(message.query_len, strlen(message.url.data + message.query));
	s3_message_free(&message);
}

static void bodies_are_xml_with_their_keys_escaped(void **state)
{
	struct s3_message message = S3_MESSAGE_INIT;
	struct os_request many = {.op = OS_DELETE_MANY, .delete_keys = doomed, .delete_count = 3};
	struct os_request complete = {.op = OS_MPU_COMPLETE,
				      .key = "k",
				      .upload_id = "u",
				      .parts = parts,
				      .part_count = 2,
				      .condition.if_none_match_any = true};
	char why[128];

	(void)state;
	assert_int_equal(s3_message_build(&message, &many, &path_style, NULL, why), 0);
	assert_string_equal(message.url.data, "http://127.0.0.1:9000/bkt/?delete=");
	assert_int_equal(message.body, S3_BODY_TEXT);
	assert_non_null(
		strstr(message.content.data,
		       "<Quiet>true</Quiet><Object><Key>a&amp;b&lt;c&gt;</Key></Object>"
		       "<Object><Key>d&#10;</Key></Object><Object><Key>\xc3\xbc</Key></Object>"));
	assert_int_equal(strlen(header_find(&message.headers, "content-md5")), 24);

	assert_int_equal(s3_message_build(&message, &complete, &path_style, NULL, why), 0);
	assert_string_equal(message.url.data, "http://127.0.0.1:9000/bkt/k?uploadId=u");
	assert_non_null(
		strstr(message.content.data,
		       "<Part><PartNumber>1</PartNumber><ETag>&quot;aa&quot;</ETag></Part>"
		       "<Part><PartNumber>2</PartNumber><ETag>&quot;bb&quot;</ETag></Part>"));
	assert_string_equal(header_find(&message.headers, "if-none-match"), "*");
	s3_message_free(&message);
}

static void a_broken_read_goes_on_where_it_was_with_the_same_version(void **state)
{
	static const struct {
		struct os_request request;
		struct s3_resume resume;
		const char *headers;
	} cases[] = {
		{{.op = OS_GET, .key = "k"},
		 {100, "\"e\""},
		 "range: bytes=100-\nif-match: \"e\"\n"},
		{{.op = OS_GET, .key = "k", .has_range = true, .range_first = 50, .range_len = 100},
		 {100, "\"e\""},
		 "range: bytes=100-149\nif-match: \"e\"\n"},
		{{.op = OS_GET, .key = "k", .condition.if_none_match = "\"x\""},
		 {7, "\"e\""},
		 "range: bytes=7-\nif-match: \"e\"\n"},
		/* nothing came yet */
		{{.op = OS_GET, .key = "k", .has_range = true, .range_first = 50, .range_len = 100},
		 {50, ""},
		 "range: bytes=50-149\n"},
	};
	struct s3_message message = S3_MESSAGE_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char why[128], headers[300];

		assert_int_equal(s3_message_build(&message, &cases[i].request, &path_style,
						  &cases[i].resume, why),
				 0);
		headers_text(&message, headers, sizeof(headers));
		assert_string_equal(headers, cases[i].headers);
	}
	s3_message_free(&message);
}

static void what_s3_has_no_form_for_is_refused(void **state)
{
	static char long_key[OS_KEY_MAX + 2];
	const struct s3_target no_bucket = {.host = "h"};
	const struct {
		const struct s3_target *target;
		struct os_request request;
	} cases[] = {
		{&no_bucket, {.op = OS_HEAD, .key = "k"}},
		{&path_style, {.op = OS_HEAD}},
		{&path_style, {.op = OS_HEAD, .key = ""}},
		{&path_style, {.op = OS_HEAD, .key = long_key}},
		{&path_style, {.op = OS_LIST, .key = "k"}},
		{&path_style, {.op = OS_GET, .key = "k", .has_range = true}},
		{&path_style,
		 {.op = OS_GET,
		  .key = "k",
		  .has_range = true,
		  .range_first = UINT64_MAX,
		  .range_len = 2}},
		{&path_style, {.op = OS_COPY, .key = "k"}},
		{&path_style, {.op = OS_MPU_PART, .key = "k", .part_number = 1}},
		{&path_style, {.op = OS_MPU_PART, .key = "k", .upload_id = "u", .part_number = 0}},
		{&path_style,
		 {.op = OS_MPU_PART, .key = "k", .upload_id = "u", .part_number = 10001}},
		{&path_style, {.op = OS_MPU_COMPLETE, .key = "k", .upload_id = "u"}},
		{&path_style, {.op = OS_MPU_ABORT, .key = "k", .upload_id = ""}},
		{&path_style, {.op = OS_MPU_LIST, .token = "nospace"}},
		{&path_style, {.op = OS_MPU_LIST_PARTS, .key = "k"}},
		{&path_style, {.op = OS_DELETE_MANY}},
		{&path_style,
		 {.op = OS_DELETE_MANY, .delete_keys = unspeakable, .delete_count = 1}},
		{&path_style, {.op = OS_PUT, .key = "k", .meta = &evil}},
		{&path_style, {.op = OS_PUT, .key = "k", .condition.if_match = "\"\r\nx: y\""}},
		{&path_style, {.op = OS_PUT, .key = "k", .content_type = "a\nb"}},
	};
	struct s3_message message = S3_MESSAGE_INIT;

	(void)state;
	memset(long_key, 'k', OS_KEY_MAX + 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char why[128] = "";

		assert_int_equal(
			s3_message_build(&message, &cases[i].request, cases[i].target, NULL, why),
			-EINVAL);
		assert_true(why[0] != '\0');
	}
	s3_message_free(&message);
}

static void old_ceph_is_told_the_source_condition_under_its_own_name(void **state)
{
	struct s3_message message = S3_MESSAGE_INIT;
	struct os_request request = {
		.op = OS_COPY, .key = "k", .source_key = "s", .source_if_match = "\"e\""};
	char why[128];

	(void)state;
	assert_int_equal(s3_message_build(&message, &request, &old_ceph, NULL, why), 0);
	assert_string_equal(header_find(&message.headers, "x-amz-copy-if-match"), "\"e\"");
	assert_string_equal(header_find(&message.headers, "x-amz-copy-source-if-match"), "\"e\"");
	s3_message_free(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_operation_has_its_form),
		cmocka_unit_test(what_is_signed_is_part_of_the_url),
		cmocka_unit_test(bodies_are_xml_with_their_keys_escaped),
		cmocka_unit_test(a_broken_read_goes_on_where_it_was_with_the_same_version),
		cmocka_unit_test(what_s3_has_no_form_for_is_refused),
		cmocka_unit_test(old_ceph_is_told_the_source_condition_under_its_own_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

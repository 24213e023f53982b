#include "common/s3/response.h"

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
#define ERROR(code)  "<Error><Code>" code "</Code><Message>m</Message></Error>"

static struct s3_hints hints;

static void read_reply(struct os_request *request, int status, const char *headers,
		       const char *body)
{
	struct s3_reply reply = {status, headers, strlen(headers), body, strlen(body)};

	memset(&request->result, 0, sizeof(request->result));
	s3_response_read(request, "bkt", &reply, &request->result, &hints);
}

static void an_object_is_described_by_its_headers(void **state)
{
	static const char headers[] =
		"HTTP/1.1 200 OK\r\n"
		"ETag: \"abc\"\r\nContent-Length: 1234\r\nContent-Type:  text/plain \r\n"
		"Last-Modified: Wed, 28 Oct 2009 22:32:00 GMT\r\nX-Amz-Request-Id: R1\r\n"
		"X-AMZ-META-Mode: 33188\r\nx-amz-meta-empty:\r\nx-amz-meta-: no name\r\n"
		"x-amz-storage-class: STANDARD_IA\r\nx-amz-server-side-encryption: AES256\r\n"
		"Cache-Control: no-cache\r\nServer: x\r\nno colon here\r\n: no name\r\n"
		"Date: Wed, 28 Oct 2009 22:33:00 GMT\r\n\r\n";
	struct os_request request = {.op = OS_HEAD};
	struct os_result *result = &request.result;

	(void)state;
	read_reply(&request, 200, headers, "");
	assert_int_equal(result->err, 0);
	assert_string_equal(result->etag, "\"abc\"");
	assert_int_equal(result->size, 1234);
	assert_string_equal(result->content_type, "text/plain");
	assert_true(result->last_modified == INT64_C(1256769120000000000));
	assert_string_equal(result->request_id, "R1");
	assert_int_equal(result->meta.count, 2);
	assert_string_equal(os_meta_get(&result->meta, "mode"), "33188");
	assert_string_equal(os_meta_get(&result->meta, "empty"), "");
	assert_int_equal(result->headers.count, 3);
	assert_string_equal(os_meta_get(&result->headers, "x-amz-storage-class"), "STANDARD_IA");
	assert_true(hints.has_date && hints.date == 1256769180);
	os_request_free_result(&request);
}

static void a_range_tells_the_size_of_the_whole(void **state)
{
	static const struct {
		int status;
		const char *headers;
		int err;
		uint64_t size, first;
	} cases[] = {
		{206, "Content-Length: 10\r\nContent-Range: bytes 5-14/100\r\n", 0, 100, 5},
		{206, "content-range: bytes 0-0/1\r\n", 0, 1, 0},
		{200, "Content-Length: 10\r\n", 0, 10, 0},
		{206, "Content-Length: 10\r\n", -EPROTO, 0, 0},
		{206, "Content-Range: bytes 5-14/*\r\n", -EPROTO, 0, 0},
		{206, "Content-Range: bytes 5-4/100\r\n", -EPROTO, 0, 0},
		{206, "Content-Range: bytes 5-100/100\r\n", -EPROTO, 0, 0},
		{206, "Content-Range: bytes 5-14/100x\r\n", -EPROTO, 0, 0},
		{206, "Content-Range: bytes -5-14/100\r\n", -EPROTO, 0, 0},
		{206, "Content-Range: bytes 5-14/99999999999999999999\r\n", -EPROTO, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct os_request request = {.op = OS_GET};
		struct s3_reply reply = {cases[i].status, cases[i].headers,
					 strlen(cases[i].headers), "", 0};
		uint64_t first;

		read_reply(&request, cases[i].status, cases[i].headers, "");
		assert_int_equal(request.result.err, cases[i].err);
		assert_int_equal(s3_response_body_start(&reply, &first), cases[i].err);
		if (!cases[i].err) {
			assert_int_equal(request.result.size, cases[i].size);
			assert_int_equal(first, cases[i].first);
		}
		os_request_free_result(&request);
	}
}

static void failures_become_the_errno_that_is_promised(void **state)
{
	static const struct {
		enum os_op op;
		const char *if_match;
		int status;
		const char *body;
		int err;
	} cases[] = {
		{OS_GET, NULL, 404, ERROR("NoSuchKey"), -ENOENT},
		{OS_HEAD, NULL, 404, "", -ENOENT},
		{OS_GET, NULL, 404, ERROR("NoSuchBucket"), -ENXIO},
		{OS_GET, "\"e\"", 412, ERROR("PreconditionFailed"), -ESTALE},
		{OS_GET, NULL, 304, "", -EALREADY},
		{OS_GET, NULL, 416, ERROR("InvalidRange"), -ERANGE},
		{OS_PUT, NULL, 412, ERROR("PreconditionFailed"), -ESTALE},
		{OS_PUT, "\"e\"", 404, ERROR("NoSuchKey"), -ESTALE},
		{OS_PUT, NULL, 409, ERROR("ConditionalRequestConflict"), -EBUSY},
		/* but no waiting makes room for "a" beside "a/b" where objects are files */
		{OS_PUT, NULL, 409, ERROR("ExistingObjectIsDirectory"), -EINVAL},
		{OS_PUT, NULL, 409, ERROR("ObjectParentIsFile"), -EINVAL},
		{OS_MPU_COMPLETE, "\"e\"", 404, ERROR("NoSuchKey"), -ESTALE},
		{OS_MPU_COMPLETE, "\"e\"", 404, ERROR("NoSuchUpload"), -ENOENT},
		{OS_MPU_PART, NULL, 404, ERROR("NoSuchUpload"), -ENOENT},
		{OS_GET, NULL, 403, ERROR("AccessDenied"), -EACCES},
		{OS_HEAD, NULL, 403, "", -EACCES},
		{OS_GET, NULL, 400, ERROR("ExpiredToken"), -EACCES},
		{OS_PUT, NULL, 400, ERROR("InvalidDigest"), -EINVAL},
		{OS_PUT, NULL, 400, ERROR("RequestTimeout"), -EIO},
		{OS_PUT, NULL, 500, ERROR("InternalError"), -EIO},
		{OS_PUT, NULL, 503, ERROR("SlowDown"), -EIO},
		{OS_PUT, NULL, 503, "<html>busy</html>", -EIO},
		{OS_PUT, NULL, 501, ERROR("NotImplemented"), -EOPNOTSUPP},
		{OS_GET, NULL, 302, "", -EPROTO},
		/* absent is what was asked for */
		{OS_DELETE, NULL, 204, "", 0},
		{OS_DELETE, NULL, 404, ERROR("NoSuchKey"), 0},
		{OS_DELETE, "\"e\"", 412, ERROR("PreconditionFailed"), -ESTALE},
		{OS_MPU_ABORT, NULL, 404, ERROR("NoSuchUpload"), 0},
		{OS_DELETE, NULL, 404, ERROR("NoSuchBucket"), -ENXIO},
		/* nor does a 404 about something else */
		{OS_GET, NULL, 404, ERROR("XAdminUserNotFound"), -EACCES},
		{OS_GET, NULL, 404, ERROR("NoSuchWhatever"), -ENOENT},
		{OS_GET, NULL, 404, ERROR("TenantUnknown"), -EINVAL},
		/* the page of something that is not S3 says nothing about the key */
		{OS_GET, NULL, 404, "<html>not here</html>", -EPROTO},
		{OS_DELETE, NULL, 404, "not here", -EPROTO},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct os_request request = {.op = cases[i].op,
					     .condition.if_match = cases[i].if_match};

		read_reply(&request, cases[i].status, "", cases[i].body);
		assert_int_equal(request.result.err, cases[i].err);
		assert_int_equal(request.result.http_status, cases[i].status);
		os_request_free_result(&request);
	}
}

static void an_error_inside_a_200_is_an_error(void **state)
{
	static const struct {
		enum os_op op;
		const char *body;
		int err, status;
	} cases[] = {
		{OS_MPU_COMPLETE, "  \n" ERROR("InternalError"), -EIO, 500},
		{OS_MPU_COMPLETE, ERROR("InternalError"), -EIO, 500},
		{OS_MPU_COMPLETE, ERROR("PreconditionFailed"), -ESTALE, 412},
		{OS_MPU_COMPLETE, ERROR("NoSuchUpload"), -ENOENT, 404},
		{OS_MPU_COMPLETE, ERROR("InvalidPart"), -EINVAL, 400},
		{OS_COPY, ERROR("SlowDown"), -EIO, 503},
		{OS_COPY, ERROR("ConditionalRequestConflict"), -EBUSY, 409},
		{OS_MPU_PART_COPY, ERROR("InternalError"), -EIO, 500},
		{OS_DELETE_MANY, ERROR("AccessDenied"), -EACCES, 403},
		/* nothing, half of it, or something else is not success either */
		{OS_MPU_COMPLETE, "", -EPROTO, 200},
		{OS_MPU_COMPLETE, "<CompleteMultipartUploadResult><ETag>\"a", -EPROTO, 200},
		{OS_MPU_COMPLETE, "<CompleteMultipartUploadResult/>", -EPROTO, 200},
		{OS_COPY, "<html/>", -EPROTO, 200},
		{OS_COPY, "<CopyObjectResult><ETag></ETag></CopyObjectResult>", -EPROTO, 200},
		{OS_MPU_CREATE, "<InitiateMultipartUploadResult/>", -EPROTO, 200},
		{OS_LIST, "<ListAllMyBucketsResult/>", -EPROTO, 200},
		{OS_LIST, "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
		 -EPROTO, 200},
		{OS_PUT, "", -EPROTO, 200}, /* no ETag */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct os_request request = {.op = cases[i].op, .delete_count = 0};

		read_reply(&request, 200, "", cases[i].body);
		assert_int_equal(request.result.err, cases[i].err);
		assert_int_equal(hints.status, cases[i].status);
		os_request_free_result(&request);
	}
}

static void blanks_that_keep_the_connection_alive_are_skipped(void **state)
{
	static const char body[] = "   \n\n  <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
				   "<CompleteMultipartUploadResult><ETag>\"e-2\"</ETag>"
				   "</CompleteMultipartUploadResult>";
	struct os_request request = {.op = OS_MPU_COMPLETE};

	(void)state;
	read_reply(&request, 200, "", body);
	assert_int_equal(request.result.err, 0);
	assert_string_equal(request.result.etag, "\"e-2\"");
	os_request_free_result(&request);
}

static void results_of_writes_are_taken(void **state)
{
	struct os_request put = {.op = OS_PUT}, create = {.op = OS_MPU_CREATE},
			  copy = {.op = OS_COPY};

	(void)state;
	read_reply(&put, 200, "ETag: \"p\"\r\n", "");
	assert_int_equal(put.result.err, 0);
	assert_string_equal(put.result.etag, "\"p\"");
	read_reply(&create, 200, "",
		   "<InitiateMultipartUploadResult><UploadId>u</UploadId></"
		   "InitiateMultipartUploadResult>");
	assert_int_equal(create.result.err, 0);
	assert_string_equal(create.result.upload_id, "u");
	read_reply(&copy, 200, "",
		   "<CopyObjectResult><ETag>\"c\"</ETag><LastModified>1970-01-01T00:00:01Z</"
		   "LastModified>"
		   "</CopyObjectResult>");
	assert_int_equal(copy.result.err, 0);
	assert_string_equal(copy.result.etag, "\"c\"");
	assert_true(copy.result.last_modified == 1000000000);
}

static void keys_that_could_not_be_deleted_are_told_one_by_one(void **state)
{
	static const char *const keys[] = {"a", "b", "c"};
	struct os_request request = {.op = OS_DELETE_MANY, .delete_keys = keys, .delete_count = 3};

	(void)state;
	read_reply(&request, 200, "",
		   "<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code></Error>"
		   "<Error><Key>c</Key><Code>NoSuchKey</Code></Error></DeleteResult>");
	assert_int_equal(request.result.err, 0);
	assert_int_equal(request.result.delete_errors[0], 0);
	assert_int_equal(request.result.delete_errors[1], -EACCES);
	assert_int_equal(request.result.delete_errors[2], 0);
	os_request_free_result(&request);

	read_reply(&request, 200, "",
		   "<DeleteResult><Error><Key>z</Key><Code>AccessDenied</Code></Error></"
		   "DeleteResult>");
	assert_int_equal(request.result.err, -EPROTO);
	os_request_free_result(&request);
}

static void parts_of_an_upload_are_listed(void **state)
{
	struct os_request request = {.op = OS_MPU_LIST_PARTS};

	(void)state;
	read_reply(&request, 200, "Date: Wed, 28 Oct 2009 22:32:00 GMT\r\n",
		   "<ListPartsResult><Bucket>b</Bucket><PartNumberMarker>2</PartNumberMarker>"
		   "<NextPartNumberMarker>4</NextPartNumberMarker><IsTruncated>true</IsTruncated>"
		   "<Part><PartNumber>3</PartNumber><ETag>\"a\"</ETag><Size>5</Size></Part>"
		   "<Part><PartNumber>4</PartNumber><ETag>b</ETag><Size>6</Size></Part>"
		   "</ListPartsResult>");
	assert_int_equal(request.result.err, 0);
	assert_int_equal(request.result.entry_count, 2);
	assert_int_equal(request.result.entries[0].part_number, 3);
	assert_int_equal(request.result.entries[0].size, 5);
	assert_string_equal(request.result.entries[0].etag, "\"a\"");
	assert_int_equal(request.result.entries[1].part_number, 4);
	assert_string_equal(request.result.entries[1].etag, "\"b\"");
	assert_string_equal(request.result.next_token, "4");
	assert_true(request.result.date == INT64_C(1256769120) * 1000000000);
	os_request_free_result(&request);
	/* Truncated without a way on, a part without a number, and one that no upload has. */
	read_reply(&request, 200, "",
		   "<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>");
	assert_int_equal(request.result.err, -EPROTO);
	read_reply(&request, 200, "",
		   "<ListPartsResult><Part><Size>5</Size></Part></ListPartsResult>");
	assert_int_equal(request.result.err, -EPROTO);
	os_request_free_result(&request);
	read_reply(
		&request, 200, "",
		"<ListPartsResult><Part><PartNumber>10001</PartNumber></Part></ListPartsResult>");
	assert_int_equal(request.result.err, -EPROTO);
	os_request_free_result(&request);
	read_reply(&request, 404, "", "<Error><Code>NoSuchUpload</Code></Error>");
	assert_int_equal(request.result.err, -ENOENT);
	os_request_free_result(&request);
}

static void tags_come_as_a_header_takes_them(void **state)
{
	struct os_request request = {.op = OS_TAGS};

	(void)state;
	read_reply(&request, 200, "",
		   "<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag>"
		   "<Tag><Value/><Key>c/=</Key></Tag></TagSet></Tagging>");
	assert_int_equal(request.result.err, 0);
	assert_string_equal(os_meta_get(&request.result.headers, OS_TAGGING),
			    "a%20b=1%262&c%2F%3D=");
	os_request_free_result(&request);
	read_reply(&request, 200, "", "<Tagging><TagSet/></Tagging>");
	assert_int_equal(request.result.err, 0);
	assert_null(os_meta_get(&request.result.headers, OS_TAGGING));
	read_reply(&request, 200, "",
		   "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>");
	assert_int_equal(request.result.err, -EPROTO);
	os_request_free_result(&request);
}

static void listings_go_on_with_a_token(void **state)
{
	struct os_request list = {.op = OS_LIST}, uploads = {.op = OS_MPU_LIST};

	(void)state;
	read_reply(&list, 200, "",
		   "<ListBucketResult><IsTruncated>true</IsTruncated>"
		   "<NextContinuationToken>t</NextContinuationToken>"
		   "<Contents><Key>k</Key><Size>1</Size></Contents></ListBucketResult>");
	assert_int_equal(list.result.err, 0);
	assert_string_equal(list.result.next_token, "t");
	assert_int_equal(list.result.entry_count, 1);
	os_request_free_result(&list);

	/* The token of the last page of some servers means nothing. */
	read_reply(&list, 200, "",
		   "<ListBucketResult><IsTruncated>false</IsTruncated>"
		   "<NextContinuationToken>t</NextContinuationToken></ListBucketResult>");
	assert_null(list.result.next_token);
	os_request_free_result(&list);

	read_reply(&uploads, 200, "",
		   "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>"
		   "<EncodingType>url</EncodingType><NextKeyMarker>a+b%2Bc</NextKeyMarker>"
		   "<NextUploadIdMarker>u1</NextUploadIdMarker></ListMultipartUploadsResult>");
	assert_int_equal(uploads.result.err, 0);
	assert_string_equal(uploads.result.next_token, "a%20b%2Bc u1");
	os_request_free_result(&uploads);
}

static void the_bucket_must_be_the_one_that_was_meant(void **state)
{
	static const struct {
		const char *body;
		int err;
		bool wrong_bucket;
	} cases[] = {
		{"<ListBucketResult><Name>bkt</Name></ListBucketResult>", 0, false},
		{"<ListBucketResult/>", 0, false},
		{"<ListBucketResult><Name>other</Name></ListBucketResult>", -EPROTO, true},
		{"<ListAllMyBucketsResult/>", -EPROTO, true},
		{"<html/>", -EPROTO, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct os_request request = {.op = OS_BUCKET_HEAD};

		read_reply(&request, 200, "x-amz-bucket-region: eu-west-1\r\n", cases[i].body);
		assert_int_equal(request.result.err, cases[i].err);
		assert_int_equal(hints.wrong_bucket, cases[i].wrong_bucket);
		if (!cases[i].err)
			assert_string_equal(request.result.region, "eu-west-1");
		os_request_free_result(&request);
	}
}

static void the_region_is_found_wherever_it_is_told(void **state)
{
	static const struct {
		int status;
		const char *headers, *body, *region;
	} cases[] = {
		{301, "x-amz-bucket-region: eu-west-1\r\n", "", "eu-west-1"},
		{400, "",
		 "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-2</Region></"
		 "Error>",
		 "eu-west-2"},
		{301, "",
		 "<Error><Code>PermanentRedirect</Code><Endpoint>b.s3.eu-west-3.amazonaws.com</"
		 "Endpoint>"
		 "</Error>",
		 "eu-west-3"},
		{307, "Location: https://b.s3-us-west-2.amazonaws.com/k?x\r\n", "", "us-west-2"},
		{301, "Location: https://evil.example/k\r\n", "", ""},
		{301, "x-amz-bucket-region: evil.example/\r\n", "", ""},
		{301, "Location: /relative\r\n", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct os_request request = {.op = OS_GET};

		read_reply(&request, cases[i].status, cases[i].headers, cases[i].body);
		assert_string_equal(hints.region, cases[i].region);
		os_request_free_result(&request);
	}
}

static void too_many_or_too_long_headers_do_no_harm(void **state)
{
	struct buf headers = BUF_INIT;
	struct os_request request = {.op = OS_HEAD};

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_printf(&headers, "x-amz-meta-n%d: v\r\n", i);
	buf_printf(&headers, "x-amz-meta-%0500d: v\r\nETag: \"%0500d\"\r\n", 1, 1);
	read_reply(&request, 200, headers.data, "");
	assert_true(request.result.meta.count <= 128);
	assert_int_equal(strlen(request.result.etag), OS_ETAG_MAX - 1);
	os_request_free_result(&request);
	buf_free(&headers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_described_by_its_headers),
		cmocka_unit_test(a_range_tells_the_size_of_the_whole),
		cmocka_unit_test(failures_become_the_errno_that_is_promised),
		cmocka_unit_test(an_error_inside_a_200_is_an_error),
		cmocka_unit_test(blanks_that_keep_the_connection_alive_are_skipped),
		cmocka_unit_test(results_of_writes_are_taken),
		cmocka_unit_test(keys_that_could_not_be_deleted_are_told_one_by_one),
		cmocka_unit_test(parts_of_an_upload_are_listed),
		cmocka_unit_test(tags_come_as_a_header_takes_them),
		cmocka_unit_test(listings_go_on_with_a_token),
		cmocka_unit_test(the_bucket_must_be_the_one_that_was_meant),
		cmocka_unit_test(the_region_is_found_wherever_it_is_told),
		cmocka_unit_test(too_many_or_too_long_headers_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

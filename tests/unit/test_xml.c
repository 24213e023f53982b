#include "common/s3/document.h"
#include "common/s3/xml.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAMESPACE    " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static int parse(struct document *document, const char *text)
{
	return document_parse(document, text, strlen(text));
}

static int note(void *context, const char *parent, const char *name, char *text, size_t len,
		unsigned depth)
{
	assert_int_equal(strlen(text), len);
	buf_printf(context, "%u %s/%s=%s;", depth, parent, name, text);
	return 0;
}

static void elements_are_told_with_their_text(void **state)
{
	static const struct xml_events events = {NULL, note};
	static const struct {
		const char *xml, *expected;
	} cases[] = {
		{"<a/>", "1 /a=;"},
		{"<a>x</a>", "1 /a=x;"},
		{"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a" NAMESPACE ">\n <b>1</b>\n</a>\n",
		 "2 a/b=1;1 /a=\n;"},
		{"<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;</a>", "1 /a=<&>\"'AB;"},
		{"<a><![CDATA[<x>&]]></a>", "1 /a=<x>&;"},
		{"<p:a xmlns:p=\"urn:x\"><p:b>1</p:b></p:a>", "2 a/b=1;1 /a=;"},
		{"<a><!-- c --><b>\xc3\xbc</b></a>", "2 a/b=\xc3\xbc;1 /a=;"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf seen = BUF_INIT;

		assert_int_equal(xml_read(cases[i].xml, strlen(cases[i].xml), &events, &seen), 0);
		assert_string_equal(buf_str(&seen), cases[i].expected);
		buf_free(&seen);
	}
}

static void what_is_not_plain_xml_is_refused(void **state)
{
	static const struct xml_events events = {NULL, NULL};
	static const char *const cases[] = {
		"",
		" ",
		"x",
		"<a>",
		"<a></b>",
		"<a/><b/>",
		"<a>&unknown;</a>",
		"<a>\x01</a>",
		"<a>&#0;</a>",
		"<html><br></html>",
		"{\"a\": 1}",
		/* document types, with and without an attack */
		"<!DOCTYPE a><a/>",
		"<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
		"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
		"<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
		"<!DOCTYPE a [<!ENTITY b \"&c;&c;\"><!ENTITY c \"xx\">]><a>&b;</a>",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(xml_read(cases[i], strlen(cases[i]), &events, NULL), -EPROTO);
}

static char *nested(unsigned depth)
{
	struct buf text = BUF_INIT;

	for (unsigned i = 0; i < depth; i++)
		buf_puts(&text, "<a>");
	for (unsigned i = 0; i < depth; i++)
		buf_puts(&text, "</a>");
	return buf_steal(&text);
}

static void depth_text_and_names_have_limits(void **state)
{
	static const struct xml_events events = {NULL, NULL};
	struct buf text = BUF_INIT;
	char *deep = nested(XML_DEPTH_MAX), *deeper = nested(XML_DEPTH_MAX + 1);

	(void)state;
	assert_int_equal(xml_read(deep, strlen(deep), &events, NULL), 0);
	assert_int_equal(xml_read(deeper, strlen(deeper), &events, NULL), -EPROTO);
	free(deep);
	free(deeper);
	for (int extra = 0; extra < 2; extra++) {
		buf_puts(&text, "<a>");
		for (int i = 0; i < XML_TEXT_MAX + extra; i++)
			buf_putc(&text, 'x');
		buf_puts(&text, "</a>");
		assert_int_equal(xml_read(text.data, text.len, &events, NULL), extra ? -EPROTO : 0);
		buf_reset(&text);
	}
	buf_printf(&text, "<a%0100d/>", 0);
	assert_int_equal(xml_read(text.data, text.len, &events, NULL), -EPROTO);
	buf_free(&text);
}

static int stop_at_b(void *context, const char *parent, const char *name, unsigned depth)
{
	(void)context, (void)parent, (void)depth;
	return strcmp(name, "b") == 0 ? -ECANCELED : 0;
}

static void an_event_can_end_the_reading(void **state)
{
	static const struct xml_events events = {stop_at_b, NULL};
	static const char text[] = "<a><b/><c></a>";

	(void)state;
	assert_int_equal(xml_read(text, strlen(text), &events, NULL), -ECANCELED);
}

static void a_listing_is_read_and_decoded(void **state)
{
	static const char text[] =
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<ListBucketResult" NAMESPACE "><Name>bkt</Name><Prefix>a%2F</Prefix>"
		"<KeyCount>3</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>%2F</Delimiter>"
		"<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
		"<NextContinuationToken>1/+=tok</NextContinuationToken>"
		"<Contents><Key>a/b+c%2Bd%0A</Key><LastModified>2009-10-12T17:50:30.250Z</"
		"LastModified>"
		"<ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag><Size>434234</Size>"
		"<Owner><ID>x</ID><DisplayName>y</DisplayName></Owner>"
		"<StorageClass>STANDARD</StorageClass></Contents>"
		"<Contents><Key>a/%C3%BC</Key><LastModified>2009-10-12T17:50:30Z</LastModified>"
		"<ETag>abc-2</ETag><Size>0</Size></Contents>"
		"<CommonPrefixes><Prefix>a/sub+dir/</Prefix></CommonPrefixes>"
		"</ListBucketResult>";
	struct document document;

	(void)state;
	assert_int_equal(parse(&document, text), 0);
	assert_int_equal(document.kind, DOCUMENT_LIST);
	assert_string_equal(document.bucket, "bkt");
	assert_true(document.truncated);
	assert_string_equal(document.next_token, "1/+=tok");
	assert_int_equal(document.entry_count, 3);
	assert_string_equal(document.entries[0].key, "a/b c+d\n");
	assert_string_equal(document.entries[0].etag, "\"fba9dede5f27731c9771645a39863328\"");
	assert_int_equal(document.entries[0].size, 434234);
	assert_true(document.entries[0].last_modified == INT64_C(1255369830250000000));
	assert_false(document.entries[0].is_prefix);
	assert_string_equal(document.entries[1].key, "a/\xc3\xbc");
	assert_string_equal(document.entries[1].etag, "\"abc-2\"");
	assert_true(document.entries[1].last_modified == INT64_C(1255369830000000000));
	assert_string_equal(document.entries[2].key, "a/sub dir/");
	assert_true(document.entries[2].is_prefix);
	document_free(&document);
}

static void without_an_encoding_keys_are_taken_as_they_are(void **state)
{
	static const char text[] =
		"<ListBucketResult><Contents><Key>a+b%20</Key><Size>1</Size></Contents>"
		"</ListBucketResult>";
	struct document document;

	(void)state;
	assert_int_equal(parse(&document, text), 0);
	assert_string_equal(document.entries[0].key, "a+b%20");
	document_free(&document);
}

static void a_listing_that_cannot_be_trusted_is_refused(void **state)
{
	static const char *const cases[] = {
		"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
		"<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></"
		"ListBucketResult>",
		"<ListBucketResult><Contents><Key>a</Key><Size>1x</Size></Contents></"
		"ListBucketResult>",
		"<ListBucketResult><Contents><Key>a</Key><Size>99999999999999999999</Size></"
		"Contents>"
		"</ListBucketResult>",
		"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%00b</Key></"
		"Contents>"
		"</ListBucketResult>",
		"<ListBucketResult><Contents><Key>a</Key></Contents>",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct document document;

		assert_int_equal(parse(&document, cases[i]), -EPROTO);
		document_free(&document);
	}
}

static void an_error_is_read_with_its_region(void **state)
{
	static const char text[] =
		"<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' "
		"is wrong; "
		"expecting 'eu-west-1'</Message><Region>eu-west-1</Region><RequestId>R1</RequestId>"
		"<HostId>x</HostId><Detail><Code>inner</Code></Detail></Error>";
	struct document document;

	(void)state;
	assert_int_equal(parse(&document, text), 0);
	assert_int_equal(document.kind, DOCUMENT_ERROR);
	assert_string_equal(document.code, "AuthorizationHeaderMalformed");
	assert_string_equal(document.region, "eu-west-1");
	assert_string_equal(document.request_id, "R1");
	document_free(&document);
}

static void long_texts_are_cut_not_overrun(void **state)
{
	struct buf text = BUF_INIT;
	struct document document;

	(void)state;
	buf_puts(&text, "<Error><Code>");
	for (int i = 0; i < 5000; i++)
		buf_putc(&text, 'c');
	buf_puts(&text, "</Code><Message>m</Message></Error>");
	assert_int_equal(parse(&document, text.data), 0);
	assert_int_equal(strlen(document.code), sizeof(document.code) - 1);
	assert_string_equal(document.message, "m");
	document_free(&document);
	buf_free(&text);
}

static void results_of_writes_are_read(void **state)
{
	static const struct {
		const char *text;
		enum document_kind kind;
		const char *etag, *upload_id;
	} cases[] = {
		{"<InitiateMultipartUploadResult" NAMESPACE "><Bucket>b</Bucket><Key>k</Key>"
		 "<UploadId>VXBs.b2Fk_-</UploadId></InitiateMultipartUploadResult>",
		 DOCUMENT_UPLOAD_STARTED, "", "VXBs.b2Fk_-"},
		{"<CompleteMultipartUploadResult><Location>http://x</Location><ETag>\"3858-3\"</"
		 "ETag>"
		 "</CompleteMultipartUploadResult>",
		 DOCUMENT_UPLOAD_COMPLETED, "\"3858-3\"", ""},
		{"<CopyObjectResult><LastModified>2009-10-28T22:32:00.000Z</LastModified>"
		 "<ETag>&quot;9b2c&quot;</ETag></CopyObjectResult>",
		 DOCUMENT_COPIED, "\"9b2c\"", ""},
		{"<CopyPartResult><ETag>\"9b\"</ETag></CopyPartResult>", DOCUMENT_COPIED, "\"9b\"",
		 ""},
		{"<Something/>", DOCUMENT_UNKNOWN, "", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct document document;

		assert_int_equal(parse(&document, cases[i].text), 0);
		assert_int_equal(document.kind, cases[i].kind);
		assert_string_equal(document.etag, cases[i].etag);
		assert_string_equal(document.upload_id, cases[i].upload_id);
		document_free(&document);
	}
}

static void buckets_uploads_deletions_and_locations_are_read(void **state)
{
	struct document document;

	(void)state;
	assert_int_equal(
		parse(&document,
		      "<ListAllMyBucketsResult><Owner><ID>i</ID></Owner><Buckets><Bucket><Name>one"
		      "</Name><CreationDate>2019-12-11T23:32:47+00:00</CreationDate></Bucket>"
		      "<Bucket><Name>two</Name></Bucket></Buckets></ListAllMyBucketsResult>"),
		0);
	assert_int_equal(document.kind, DOCUMENT_BUCKETS);
	assert_int_equal(document.entry_count, 2);
	assert_string_equal(document.entries[1].key, "two");
	document_free(&document);

	assert_int_equal(
		parse(&document,
		      "<ListMultipartUploadsResult><Bucket>b</Bucket><KeyMarker/><UploadIdMarker/>"
		      "<NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u2</NextUploadIdMarker>"
		      "<IsTruncated>true</IsTruncated><Upload><Key>a</Key><UploadId>u1</UploadId>"
		      "<Initiator><ID>i</ID></Initiator></Upload></ListMultipartUploadsResult>"),
		0);
	assert_int_equal(document.kind, DOCUMENT_UPLOADS);
	assert_int_equal(document.entry_count, 1);
	assert_string_equal(document.entries[0].upload_id, "u1");
	assert_string_equal(document.key_marker, "k");
	document_free(&document);

	assert_int_equal(
		parse(&document,
		      "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key>"
		      "<Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"),
		0);
	assert_int_equal(document.kind, DOCUMENT_DELETED);
	assert_int_equal(document.error_count, 1);
	assert_string_equal(document.errors[0].key, "b");
	assert_string_equal(document.errors[0].code, "AccessDenied");
	document_free(&document);

	assert_int_equal(parse(&document, "<LocationConstraint>eu-west-1</LocationConstraint>"), 0);
	assert_int_equal(document.kind, DOCUMENT_LOCATION);
	assert_string_equal(document.region, "eu-west-1");
	document_free(&document);
}

static void times_are_read_or_refused(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds; /* -1: refused */
	} http[] = {
		{"Wed, 28 Oct 2009 22:32:00 GMT", 1256769120},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
		{"", -1},
		{"Wed, 28 Oct 2009 22:32:00", -1},
		{"Wed, 28 Xct 2009 22:32:00 GMT", -1},
		{"Wed, 28 Oct 2009 24:32:00 GMT", -1},
		{"28 Oct 2009 22:32:00 GMT", -1},
		{"Wednesday, 28-Oct-09 22:32:00 GMT", -1},
	};
	static const struct {
		const char *text;
		int64_t ns;
	} iso[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:01.5Z", 1500000000},
		{"1970-01-01T00:00:00.123456789Z", 123456789},
		{"1970-01-01T00:00:00.1234567899Z", 123456789},
		{"1970-13-01T00:00:00Z", -1},
		{"2261-12-31T23:59:59Z", INT64_C(9214646399000000000)},
		{"2262-01-01T00:00:00Z", -1},
		{"9999-12-31T23:59:59Z", -1},
		{"1970-01-01 00:00:00Z", -1},
		{"1970-01-01T00:00:00", -1},
		{"1970-01-01T00:00:00+00:00", -1},
		{"", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(http); i++) {
		int64_t seconds = -1;

		assert_int_equal(parse_http_time(http[i].text, &seconds),
				 http[i].seconds < 0 ? -EINVAL : 0);
		assert_true(seconds == http[i].seconds);
	}
	for (size_t i = 0; i < COUNT(iso); i++) {
		int64_t ns = -1;

		assert_int_equal(parse_iso_time(iso[i].text, &ns), iso[i].ns < 0 ? -EINVAL : 0);
		assert_true(ns == iso[i].ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_are_told_with_their_text),
		cmocka_unit_test(what_is_not_plain_xml_is_refused),
		cmocka_unit_test(depth_text_and_names_have_limits),
		cmocka_unit_test(an_event_can_end_the_reading),
		cmocka_unit_test(a_listing_is_read_and_decoded),
		cmocka_unit_test(without_an_encoding_keys_are_taken_as_they_are),
		cmocka_unit_test(a_listing_that_cannot_be_trusted_is_refused),
		cmocka_unit_test(an_error_is_read_with_its_region),
		cmocka_unit_test(long_texts_are_cut_not_overrun),
		cmocka_unit_test(results_of_writes_are_read),
		cmocka_unit_test(buckets_uploads_deletions_and_locations_are_read),
		cmocka_unit_test(times_are_read_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/s3server/request.h"
#include "tests/s3server/xml_scan.h"

void op_list_buckets(struct request *request)
{
	const char *prefix = request_query(request, "prefix");
	struct buf *body = reply_document(request, "ListAllMyBucketsResult");
	struct pairs names = PAIRS_INIT;

	bucket_names(request->server->store, &names);
	buf_puts(body,
		 "<Owner><ID>s3server</ID><DisplayName>s3server</DisplayName></Owner><Buckets>");
	for (size_t i = 0; i < names.count; i++) {
		if (prefix && !string_has_prefix(names.items[i].name, prefix))
			continue;
		buf_puts(body, "<Bucket>");
		put_element(body, "Name", names.items[i].name);
		put_element(body, "CreationDate", names.items[i].value);
		buf_puts(body, "</Bucket>");
	}
	buf_puts(body, "</Buckets></ListAllMyBucketsResult>");
	pairs_free(&names);
	reply_status(request, 200);
}

/* S3 user guide, "General purpose bucket naming rules", the part that matters here. */
static bool is_bucket_name(const char *name)
{
	size_t len = strlen(name);

	if (len < 3 || len > 63 || !isalnum((unsigned char)name[0]) ||
	    !isalnum((unsigned char)name[len - 1]) || strstr(name, ".."))
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len;
}

/* Returns the S3 error code of a CreateBucketConfiguration that is wrong, or NULL. */
static const char *check_location(struct request *request)
{
	struct xml_scan scan;
	enum xml_event event;

	if (request->body.memory.len == 0)
		return NULL;
	xml_scan_start(&scan, request->body.memory.data);
	while ((event = xml_scan_next(&scan)) == XML_OPEN || event == XML_CLOSE)
		;
	return event == XML_BAD ? "MalformedXML" : NULL;
}

void op_create_bucket(struct request *request)
{
	const char *error = check_location(request);
	char *location;
	int err;

	if (!is_bucket_name(request->bucket_name)) {
		reply_error(request, "InvalidBucketName", NULL);
		return;
	}
	if (error) {
		reply_error(request, error, NULL);
		return;
	}
	err = bucket_create(request->server->store, request->bucket_name, request->now);
	if (err) {
		reply_error(request, err == -EEXIST ? "BucketAlreadyOwnedByYou" : "InternalError",
			    NULL);
		return;
	}
	location = xasprintf("/%s", request->bucket_name);
	reply_header(request, "Location", location);
	free(location);
	reply_status(request, 200);
}

void op_delete_bucket(struct request *request)
{
	int err = bucket_delete(request->server->store, request->bucket);

	if (err == -ENOTEMPTY)
		reply_error(request, "BucketNotEmpty", NULL);
	else if (err == -ENOENT)
		reply_error(request, "NoSuchBucket", NULL);
	else if (err)
		reply_error(request, "InternalError", NULL);
	else
		reply_status(request, 204);
}

void op_head_bucket(struct request *request)
{
	reply_header(request, "x-amz-bucket-region", request->server->config.region);
	reply_header(request, "Content-Type", "application/xml");
	reply_status(request, 200);
}

void op_get_bucket_location(struct request *request)
{
	const char *region = request->server->config.region;
	struct buf *body = reply_document(request, "LocationConstraint");

	/* the first region has no name here, for history's sake */
	if (strcmp(region, "us-east-1") != 0)
		buf_put_xml(body, region);
	buf_puts(body, "</LocationConstraint>");
	reply_status(request, 200);
}

void op_get_bucket_versioning(struct request *request)
{
	buf_puts(reply_document(request, "VersioningConfiguration"), "</VersioningConfiguration>");
	reply_status(request, 200);
}

void op_get_bucket_acl(struct request *request)
{
	struct buf *body = reply_document(request, "AccessControlPolicy");

	buf_puts(body, "<Owner><ID>s3server</ID></Owner><AccessControlList><Grant>"
		       "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
		       "xsi:type=\"CanonicalUser\"><ID>s3server</ID></Grantee>"
		       "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList>"
		       "</AccessControlPolicy>");
	reply_status(request, 200);
}

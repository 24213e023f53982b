#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/s3server/request.h"

/* Source: Amazon S3 API reference, "Error responses". */
static const struct {
	const char *code;
	unsigned status;
	const char *message;
} errors[] = {
	{"AccessDenied", 403, "Access Denied"},
	{"AuthorizationHeaderMalformed", 400, "The authorization header is malformed."},
	{"AuthorizationQueryParametersError", 400, "The authorization parameters are malformed."},
	{"BadDigest", 400,
	 "The Content-MD5 or checksum value that you specified did not match what the server "
	 "received."},
	{"BucketAlreadyOwnedByYou", 409,
	 "Your previous request to create the named bucket succeeded and you already own it."},
	{"BucketNotEmpty", 409, "The bucket that you tried to delete is not empty."},
	{"EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed object size."},
	{"EntityTooSmall", 400,
	 "Your proposed upload is smaller than the minimum allowed object size."},
	{"IncompleteBody", 400,
	 "You did not provide the number of bytes specified by the Content-Length HTTP header."},
	{"InternalError", 500, "We encountered an internal error. Please try again."},
	{"InvalidAccessKeyId", 403,
	 "The AWS Access Key Id you provided does not exist in our records."},
	{"InvalidArgument", 400, "Invalid Argument"},
	{"InvalidBucketName", 400, "The specified bucket is not valid."},
	{"InvalidChunkSizeError", 400, "A chunk of the body is malformed."},
	{"InvalidDigest", 400, "The Content-MD5 you specified is not valid."},
	{"InvalidPart", 400,
	 "One or more of the specified parts could not be found. The part may not have been "
	 "uploaded, or the specified entity tag may not match the part's entity tag."},
	{"InvalidPartOrder", 400,
	 "The list of parts was not in ascending order. Parts must be ordered by part number."},
	{"InvalidRange", 416, "The requested range is not satisfiable"},
	{"InvalidRequest", 400, "Invalid Request"},
	{"InvalidToken", 400, "The provided token is malformed or otherwise invalid."},
	{"InvalidURI", 400, "Couldn't parse the specified URI."},
	{"KeyTooLongError", 400, "Your key is too long"},
	{"MalformedTrailerError", 400,
	 "The request contained trailing data that was not "
	 "well-formed or did not conform to our published schema."},
	{"MalformedXML", 400,
	 "The XML you provided was not well-formed or did not validate against our published "
	 "schema"},
	{"MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size"},
	{"MethodNotAllowed", 405, "The specified method is not allowed against this resource."},
	{"MissingContentLength", 411, "You must provide the Content-Length HTTP header."},
	{"NoSuchBucket", 404, "The specified bucket does not exist"},
	{"NoSuchKey", 404, "The specified key does not exist."},
	{"NoSuchUpload", 404,
	 "The specified upload does not exist. The upload ID may be invalid, or the upload may "
	 "have been aborted or completed."},
	{"NotImplemented", 501,
	 "A header or query you provided implies functionality that is not implemented."},
	{"PreconditionFailed", 412,
	 "At least one of the pre-conditions you specified did not hold"},
	{"RequestTimeTooSkewed", 403,
	 "The difference between the request time and the current time is too large."},
	{"SignatureDoesNotMatch", 403,
	 "The request signature we calculated does not match the signature you provided."},
	{"SlowDown", 503, "Please reduce your request rate."},
	{"XAmzContentSHA256Mismatch", 400,
	 "The provided 'x-amz-content-sha256' header does not match what was computed."},
};

static const char *error_message(const char *code)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].code, code) == 0)
			return errors[i].message;
	return code;
}

unsigned error_status(const char *code)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].code, code) == 0)
			return errors[i].status;
	return 500;
}

void put_element_encoded(struct buf *buf, const char *name, const char *text, bool encode)
{
	buf_putc(buf, '<');
	buf_puts(buf, name);
	buf_putc(buf, '>');
	if (encode)
		buf_put_uri(buf, text, strlen(text), true);
	else
		buf_put_xml(buf, text);
	buf_puts(buf, "</");
	buf_puts(buf, name);
	buf_putc(buf, '>');
}

void put_element(struct buf *buf, const char *name, const char *text)
{
	put_element_encoded(buf, name, text, false);
}

void put_element_number(struct buf *buf, const char *name, uint64_t number)
{
	buf_printf(buf, "<%s>%llu</%s>", name, (unsigned long long)number, name);
}

void put_element_date(struct buf *buf, const char *name, int64_t msec)
{
	char date[DATE_TEXT_MAX];

	format_iso_date(date, msec);
	put_element(buf, name, date);
}

void reply_header(struct request *request, const char *name, const char *value)
{
	http_reply_header(request->exchange, name, value);
}

void reply_status(struct request *request, unsigned status)
{
	char date[DATE_TEXT_MAX];
	struct http_reply *reply = &request->exchange->reply;

	reply->status = status;
	format_http_date(date, server_now(request->server));
	reply_header(request, "Date", date);
	reply_header(request, "Server", "s3server");
	reply_header(request, "x-amz-request-id", request->id);
}

struct buf *reply_document(struct request *request, const char *name)
{
	struct buf *body = &request->exchange->reply.body;

	reply_header(request, "Content-Type", "application/xml");
	buf_reset(body);
	buf_puts(body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	buf_printf(body, "<%s xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", name);
	return body;
}

/* A HEAD has no body: the status is all that says what is wrong, as with S3. */
void reply_error_details(struct request *request, unsigned status, const char *code,
			 const char *message, const struct pairs *details)
{
	struct buf *body = &request->exchange->reply.body;

	pairs_free(&request->exchange->reply.headers);
	reply_status(request, status);
	reply_header(request, "Content-Type", "application/xml");
	if (strcmp(code, "AuthorizationHeaderMalformed") == 0)
		reply_header(request, "x-amz-bucket-region", request->server->config.region);
	buf_reset(body);
	if (strcmp(request->exchange->method, "HEAD") == 0)
		return;
	buf_puts(body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
	put_element(body, "Code", code);
	put_element(body, "Message", message ? message : error_message(code));
	for (size_t i = 0; details && i < details->count; i++)
		put_element(body, details->items[i].name, details->items[i].value);
	put_element(body, "Resource", request->exchange->path);
	put_element(body, "RequestId", request->id);
	buf_puts(body, "</Error>");
}

void reply_error(struct request *request, const char *code, const char *message)
{
	struct pairs details = PAIRS_INIT;

	if (strcmp(code, "NoSuchBucket") == 0 && request->bucket_name)
		pairs_add(&details, "BucketName", request->bucket_name);
	if (strcmp(code, "NoSuchKey") == 0 && request->key)
		pairs_add(&details, "Key", request->key);
	reply_error_details(request, error_status(code), code, message, &details);
	pairs_free(&details);
}

void reply_verdict(struct request *request, enum verdict verdict)
{
	if (verdict == VERDICT_ABSENT)
		reply_error(request, "NoSuchKey", NULL);
	else if (verdict == VERDICT_NOT_MODIFIED)
		reply_status(request, 304);
	else
		reply_error(request, "PreconditionFailed", NULL);
}

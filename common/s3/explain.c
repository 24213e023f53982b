#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/s3/s3.h"

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static const char *or_else(const char *text, const char *fallback)
{
	return text && *text ? text : fallback;
}

static int explain_access(const struct s3_config *config, const struct os_result *result,
			  const char *where, struct error *error)
{
	const struct credentials *credentials = config->credentials;
	const char *source = credentials && credentials->source[0] ? credentials->source
								   : "the given source";
	const char *bucket = or_else(config->bucket, "");

	if (strstr(result->message, "clock of this machine"))
		return error_set(error, result->err,
				 "%s refuses the request: %s; set the clock (for example with "
				 "chronyd or timedatectl set-ntp true)",
				 where, result->message);
	if (is(result->code, "RequestTimeTooSkewed"))
		return error_set(
			error, result->err,
			"%s refuses the request because the clock of this machine is wrong "
			"(%s); set the clock",
			where, result->message);
	if (is(result->code, "InvalidAccessKeyId") || is(result->code, "XAdminUserNotFound"))
		return error_set(error, result->err,
				 "%s does not know the access key that comes from %s "
				 "(InvalidAccessKeyId); check the key, and that it belongs to this "
				 "endpoint",
				 where, source);
	if (is(result->code, "SignatureDoesNotMatch"))
		return error_set(
			error, result->err,
			"the secret key that comes from %s does not belong to the access key "
			"(SignatureDoesNotMatch from %s); check the secret",
			source, where);
	if (is(result->code, "ExpiredToken") || is(result->code, "InvalidToken"))
		return error_set(
			error, result->err,
			"the session token that comes from %s is expired or invalid (%s from "
			"%s); get new credentials",
			source, result->code, where);
	if (credentials && credentials->anonymous)
		return error_set(error, result->err,
				 "bucket \"%s\" at %s is not open to anonymous access (%s); give "
				 "credentials",
				 bucket, where, or_else(result->code, "403"));
	return error_set(
		error, result->err,
		"access to bucket \"%s\" at %s is denied (%s%s%s); the key that comes from %s "
		"needs the right to list the bucket",
		bucket, where, or_else(result->code, "403"), result->message[0] ? ": " : "",
		result->message, source);
}

static int explain_protocol(const struct s3_config *config, const struct os_result *result,
			    const char *where, struct error *error)
{
	int status = result->http_status;

	if (status == 301 || status == 302 || status == 307 || status == 308)
		return error_set(
			error, result->err,
			"%s answers with a redirect (HTTP %d), which is not followed; give the "
			"endpoint%s of bucket \"%s\" itself",
			where, status, is(result->code, "PermanentRedirect") ? " or region" : "",
			or_else(config->bucket, ""));
	return error_set(
		error, result->err,
		"%s answers, but not as S3 does (HTTP %d%s%s): check the endpoint, http or "
		"https, and the port",
		where, status, result->message[0] ? ", " : "", result->message);
}

static int explain_request(const struct s3_config *config, const struct os_result *result,
			   const char *where, struct error *error)
{
	if (is(result->code, "AuthorizationHeaderMalformed") ||
	    is(result->code, "IllegalLocationConstraintException"))
		return error_set(error, result->err,
				 "bucket \"%s\" is in another region than \"%s\" (%s: %s)%s%s; set "
				 "region",
				 or_else(config->bucket, ""), or_else(config->region, "us-east-1"),
				 result->code, result->message,
				 result->region[0] ? "; it is in " : "", result->region);
	if (is(result->code, "InvalidBucketName"))
		return error_set(error, result->err, "\"%s\" is not a valid bucket name (%s)",
				 or_else(config->bucket, ""), where);
	if (!result->code[0])
		return explain_protocol(config, result, where, error);
	return error_set(error, result->err, "%s refuses the request (HTTP %d, %s: %s)", where,
			 result->http_status, result->code, result->message);
}

int s3_explain(const struct s3_config *config, const struct os_request *request,
	       struct error *error)
{
	const struct os_result *result = &request->result;
	const char *where = or_else(config->endpoint, "AWS S3");

	switch (result->err) {
	case 0: return 0;
	case -ENXIO:
		return error_set(
			error, result->err,
			"bucket \"%s\" does not exist at %s (NoSuchBucket); check the name, or "
			"create it first",
			or_else(config->bucket, ""), where);
	case -EACCES: return explain_access(config, result, where, error);
	case -EHOSTUNREACH:
		return error_set(error, result->err, "%s; check the endpoint and the network",
				 result->message);
	case -ETIMEDOUT:
		return error_set(error, result->err, "%s does not answer in time (%s)", where,
				 result->message);
	case -EKEYREJECTED:
		if (strstr(result->message, "wrong version number") ||
		    strstr(result->message, "packet length too long"))
			return error_set(error, result->err,
					 "%s; what answers there does not speak TLS: is it http:// "
					 "instead of https://?",
					 result->message);
		return error_set(
			error, result->err,
			"%s; if the server's certificate is signed by an authority of your "
			"own, name it with ca_file",
			result->message);
	case -EPROTO:
	case -ENOENT: return explain_protocol(config, result, where, error);
	case -EINVAL: return explain_request(config, result, where, error);
	case -EIO:
		if (!result->http_status)
			return error_set(error, result->err,
					 "%s; check the endpoint, and whether it is http or https",
					 result->message);
		return error_set(error, result->err,
				 "%s is failing (HTTP %d%s%s, %s); try again later", where,
				 result->http_status, result->code[0] ? " " : "", result->code,
				 result->message);
	default:
		return error_set(error, result->err, "%s %s failed: %s%s%s", where,
				 os_op_name(request->op),
				 or_else(result->code, strerror(-result->err)),
				 result->message[0] ? ": " : "", result->message);
	}
}

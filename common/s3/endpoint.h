/* endpoint.h — which host a request goes to. Pure.
 *
 * The endpoint is what the user gave, or AWS's of the region. A request only ever goes to a host
 * that is derived here: what a redirect says is used to learn a region, never a host.
 */
#ifndef COMMON_S3_ENDPOINT_H
#define COMMON_S3_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/options.h"

enum { ENDPOINT_HOST_MAX = 256, REGION_MAX = 64 };

struct endpoint {
	bool https;
	bool aws; /* *.amazonaws.com: the region is part of the host */
	bool aws_dualstack, aws_fips;
	char host[ENDPOINT_HOST_MAX]; /* as in the URL, IPv6 with brackets; unused when aws */
	char port[8];		      /* ":9000", "" for the scheme's own */
	char path[ENDPOINT_HOST_MAX]; /* "" or "/base", without a slash at the end */
	char region[REGION_MAX];      /* told by an AWS host name, else "" */
};

enum endpoint_style { STYLE_PATH, STYLE_VIRTUAL_HOST };

/* url NULL or "": AWS. Without a scheme: https. Errors: -EINVAL, message set. */
int endpoint_parse(struct endpoint *endpoint, const char *url, struct error *error);

/* The bucket can be a label of a host name (3 to 63 of a-z, 0-9, hyphen, dot). */
bool endpoint_bucket_is_dns(const char *bucket);

/* The style to begin with, and whether the other one may be tried.
 * Virtual host first for AWS and the services known to refuse path style. For every other host path
 * style goes first: all S3-compatible servers that we know speak it, while a server behind a
 * wildcard DNS name which does not know virtual hosts takes the first part of the key for the
 * bucket. */
enum endpoint_style endpoint_style(const struct endpoint *endpoint, const char *bucket,
				   enum path_style_mode mode, bool *may_switch);

/* Host header value: "bucket.s3.eu-west-1.amazonaws.com:443". bucket may be NULL.
 * Errors: -EINVAL: too long. */
int endpoint_host(const struct endpoint *endpoint, enum endpoint_style style, const char *bucket,
		  const char *region, char *out, size_t size);

/* The region that a host name of AWS tells ("s3.eu-west-1.amazonaws.com",
 * "bucket.s3-eu-west-1..."). false: none. */
bool endpoint_region_of_host(const char *host, char region[REGION_MAX]);

/* Letters, digits and hyphens only: what may go into a host name and a signature. */
bool endpoint_region_is_valid(const char *region);

#endif

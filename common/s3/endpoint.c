#include "common/s3/endpoint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"

static const char aws_suffix[] = ".amazonaws.com";
static const char aws_china_suffix[] = ".amazonaws.com.cn";

bool endpoint_region_is_valid(const char *region)
{
	size_t len = strlen(region);

	if (len == 0 || len >= REGION_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)region[i]) && !strchr("-_.", region[i]))
			return false;
	}
	return true;
}

/* AWS's region names: "eu-west-1", "us-gov-east-1". */
static bool is_aws_region(const char *text, size_t len)
{
	return len >= 6 && len < REGION_MAX && memchr(text, '-', len) &&
	       isdigit((unsigned char)text[len - 1]);
}

static bool host_is_aws(const char *host)
{
	return string_has_suffix(host, aws_suffix) || string_has_suffix(host, aws_china_suffix);
}

bool endpoint_region_of_host(const char *host, char region[REGION_MAX])
{
	const char *end = strstr(host, aws_suffix), *start;

	region[0] = '\0';
	if (!end)
		return false;
	/* The label before the suffix is "REGION", or "s3-REGION" in the old form. */
	for (start = end; start > host && start[-1] != '.'; start--)
		;
	if (end - start > 3 && strncmp(start, "s3-", 3) == 0)
		start += 3;
	if (!is_aws_region(start, (size_t)(end - start)))
		return false;
	memcpy(region, start, (size_t)(end - start));
	region[end - start] = '\0';
	return true;
}

static int bad(struct error *error, const char *url, const char *why)
{
	return error_set(error, -EINVAL,
			 "endpoint \"%s\": %s; it must look like https://s3.example.com or "
			 "http://10.0.0.1:9000",
			 url, why);
}

static bool host_is_clean(const char *host, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)host[i]) && !strchr("-._[]:", host[i]))
			return false;
	}
	return len > 0;
}

static int parse_port(struct endpoint *endpoint, const char *port, size_t len)
{
	char digits[8];
	int64_t value;

	if (len == 0)
		return 0;
	if (len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, port, len);
	digits[len] = '\0';
	if (parse_int(digits, 1, 65535, &value))
		return -EINVAL;
	/* The default port is not part of the Host header: curl and servers agree to leave it out.
	 */
	if (value != (endpoint->https ? 443 : 80))
		snprintf(endpoint->port, sizeof(endpoint->port), ":%d", (int)value);
	return 0;
}

/* text: "host[:port][/path]" */
static int parse_authority(struct endpoint *endpoint, const char *text, const char *url,
			   struct error *error)
{
	size_t authority_len = strcspn(text, "/"), host_len,
	       path_len = strlen(text + authority_len);
	const char *bracket = memchr(text, ']', authority_len);
	const char *from = bracket ? bracket : text;
	const char *colon = memchr(from, ':', authority_len - (size_t)(from - text));

	host_len = colon ? (size_t)(colon - text) : authority_len;
	if (memchr(text, '@', authority_len))
		return bad(error, "(hidden)", "it must not hold a user name or a secret");
	if (!host_is_clean(text, host_len) || host_len >= sizeof(endpoint->host))
		return bad(error, url, "the host name is malformed");
	for (size_t i = 0; i < host_len; i++)
		endpoint->host[i] = (char)tolower((unsigned char)text[i]);
	if (colon && parse_port(endpoint, colon + 1, authority_len - host_len - 1))
		return bad(error, url, "the port is not a number from 1 to 65535");

	while (path_len > 0 && text[authority_len + path_len - 1] == '/')
		path_len--;
	if (path_len >= sizeof(endpoint->path))
		return bad(error, url, "the path is too long");
	memcpy(endpoint->path, text + authority_len, path_len);
	return 0;
}

int endpoint_parse(struct endpoint *endpoint, const char *url, struct error *error)
{
	const char *rest = url;
	int err;

	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->https = true;
	if (!url || !*url) {
		endpoint->aws = true;
		return 0;
	}
	for (const unsigned char *p = (const unsigned char *)url; *p; p++) {
		if (*p <= ' ' || *p >= 0x7f || strchr("?#\"<>\\", *p))
			return bad(error, "(not shown)", "it holds a character that URLs have not");
	}
	if (strncasecmp(url, "https://", 8) == 0) {
		rest = url + 8;
	} else if (strncasecmp(url, "http://", 7) == 0) {
		rest = url + 7;
		endpoint->https = false;
	} else if (strstr(url, "://")) {
		return bad(error, url, "only http and https are supported");
	}
	err = parse_authority(endpoint, rest, url, error);
	if (err)
		return err;
	/* Interface endpoints (vpce) are AWS's too, but their names are not derived from the
	 * region. */
	if (host_is_aws(endpoint->host) && !strstr(endpoint->host, ".vpce.")) {
		endpoint->aws = !endpoint->port[0] && !endpoint->path[0];
		endpoint->aws_dualstack = strstr(endpoint->host, ".dualstack.") != NULL;
		endpoint->aws_fips = string_has_prefix(endpoint->host, "s3-fips.");
	}
	endpoint_region_of_host(endpoint->host, endpoint->region);
	return 0;
}

bool endpoint_bucket_is_dns(const char *bucket)
{
	size_t len = strlen(bucket);

	if (len < 3 || len > 63)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = bucket[i];
		bool edge = i == 0 || i == len - 1 || bucket[i - 1] == '.';

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			continue;
		if ((c != '-' && c != '.') || edge)
			return false;
	}
	return true;
}

static bool host_is_name(const char *host)
{
	struct in_addr address;

	/* One label is a host of the local network or a container: no names below it. */
	return host[0] != '[' && strchr(host, '.') && inet_pton(AF_INET, host, &address) != 1;
}

/* Services whose documentation says that they refuse path style. */
static bool host_refuses_path_style(const char *host)
{
	static const char *const suffixes[] = {".aliyuncs.com", ".myqcloud.com", ".volces.com"};

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (string_has_suffix(host, suffixes[i]))
			return true;
	}
	return false;
}

enum endpoint_style endpoint_style(const struct endpoint *endpoint, const char *bucket,
				   enum path_style_mode mode, bool *may_switch)
{
	bool dns = bucket && endpoint_bucket_is_dns(bucket);

	*may_switch = false;
	if (mode == PATH_STYLE_ON || !bucket)
		return STYLE_PATH;
	if (mode == PATH_STYLE_OFF)
		return STYLE_VIRTUAL_HOST;
	/* A wildcard certificate covers one label: RFC 6125, 6.4.3. */
	if (!dns || (endpoint->https && strchr(bucket, '.')))
		return STYLE_PATH;
	if (endpoint->aws)
		return STYLE_VIRTUAL_HOST;
	*may_switch = host_is_name(endpoint->host) && !endpoint->path[0];
	return host_refuses_path_style(endpoint->host) ? STYLE_VIRTUAL_HOST : STYLE_PATH;
}

int endpoint_host(const struct endpoint *endpoint, enum endpoint_style style, const char *bucket,
		  const char *region, char *out, size_t size)
{
	bool label = style == STYLE_VIRTUAL_HOST && bucket;
	int len;

	if (endpoint->aws)
		len = snprintf(out, size, "%s%ss3%s.%s%s%s", label ? bucket : "", label ? "." : "",
			       endpoint->aws_fips ? "-fips" : "",
			       endpoint->aws_dualstack ? "dualstack." : "", region,
			       strncmp(region, "cn-", 3) == 0 ? aws_china_suffix : aws_suffix);
	else
		len = snprintf(out, size, "%s%s%s%s", label ? bucket : "", label ? "." : "",
			       endpoint->host, endpoint->port);
	return len < 0 || (size_t)len >= size ? -EINVAL : 0;
}

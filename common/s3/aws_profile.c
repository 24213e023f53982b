#include "common/s3/aws_profile.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/s3/secret.h"

enum section {
	SECTION_NONE,  /* before the first header */
	SECTION_OTHER, /* of no interest here */
	SECTION_PROFILE,
	SECTION_SERVICES,
};

struct name_value {
	const char *parent; /* property whose block it stands in, or NULL */
	const char *name;
	enum aws_value value;
};

static const struct name_value profile_names[] = {
	{NULL, "aws_access_key_id", AWS_ACCESS_KEY},
	{NULL, "aws_secret_access_key", AWS_SECRET_KEY},
	{NULL, "aws_session_token", AWS_SESSION_TOKEN},
	{NULL, "region", AWS_REGION},
	{NULL, "endpoint_url", AWS_ENDPOINT_URL},
	{"s3", "endpoint_url", AWS_S3_ENDPOINT_URL},
	{"s3", "addressing_style", AWS_S3_ADDRESSING_STYLE},
	{NULL, "services", AWS_SERVICES},
	{NULL, "ca_bundle", AWS_CA_BUNDLE},
	{NULL, "ignore_configured_endpoint_urls", AWS_IGNORE_ENDPOINT_URLS},
	{NULL, "role_arn", AWS_ROLE_ARN},
	{NULL, "credential_process", AWS_CREDENTIAL_PROCESS},
	{NULL, "sso_session", AWS_SSO},
	{NULL, "sso_start_url", AWS_SSO},
	{NULL, NULL, 0},
};

static const struct name_value services_names[] = {
	{"s3", "endpoint_url", AWS_S3_ENDPOINT_URL},
	{NULL, NULL, 0},
};

struct parser {
	struct aws_profile *profile;
	enum aws_file kind;
	const char *name;     /* of the profile */
	const char *services; /* of the services section; NULL while the profile is read */
	const char *file;
	unsigned line;
	enum section section;
	char parent[AWS_NAME_BYTES_MAX]; /* last property that was not indented below another */
	size_t parent_indent;
	bool parent_is_block; /* it had no value of its own */
	struct error *error;
};

static int malformed(const struct parser *parser, const char *what)
{
	return error_set(parser->error, -EINVAL, "%.300s, line %u: %s", parser->file, parser->line,
			 what);
}

static size_t trimmed(const char *text, size_t len)
{
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	return len;
}

static size_t blanks(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && isspace((unsigned char)text[n]))
		n++;
	return n;
}

static bool equals(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* "profile x" with kind word "profile" -> "x", quotes taken off. NULL: another kind of section. */
static const char *section_name(const char *text, size_t *len, const char *word)
{
	size_t n = strlen(word);

	if (*len <= n || memcmp(text, word, n) != 0 || !isspace((unsigned char)text[n]))
		return NULL;
	n += blanks(text + n, *len - n);
	text += n;
	*len -= n;
	if (*len >= 2 && (*text == '"' || *text == '\'') && text[*len - 1] == *text) {
		text++;
		*len -= 2;
	}
	return text;
}

static enum section classify(const struct parser *parser, const char *text, size_t len)
{
	const char *name;
	size_t n = len;

	if (parser->services) {
		name = section_name(text, &n, "services");
		return name && equals(name, n, parser->services) ? SECTION_SERVICES : SECTION_OTHER;
	}
	if (parser->kind == AWS_CREDENTIALS)
		return equals(text, len, parser->name) ? SECTION_PROFILE : SECTION_OTHER;
	name = section_name(text, &n, "profile");
	if (name && equals(name, n, parser->name))
		return SECTION_PROFILE;
	return equals(text, len, "default") && strcmp(parser->name, "default") == 0
		       ? SECTION_PROFILE
		       : SECTION_OTHER;
}

static int parse_header(struct parser *parser, const char *text, size_t len)
{
	const char *end = memchr(text, ']', len);
	size_t blank;

	if (!end)
		return malformed(parser, "']' is missing after the name of the section");
	len = (size_t)(end - text) - 1;
	text++;
	blank = blanks(text, len);
	text += blank;
	len = trimmed(text, len - blank);
	if (len == 0)
		return malformed(parser, "the section has no name");
	parser->section = classify(parser, text, len);
	parser->parent[0] = '\0';
	parser->parent_indent = 0;
	parser->parent_is_block = false;
	if (parser->section == SECTION_PROFILE)
		parser->profile->found = true;
	return 0;
}

static int store(struct parser *parser, const char *parent, const char *name, size_t name_len,
		 const char *value, size_t len)
{
	const struct name_value *at = parser->section == SECTION_SERVICES ? services_names
									  : profile_names;
	char **field;

	for (; at->name; at++) {
		if (strlen(at->name) != name_len || strncasecmp(at->name, name, name_len) != 0)
			continue;
		if (at->parent ? !parent || strcasecmp(at->parent, parent) != 0 : parent != NULL)
			continue;
		field = &parser->profile->values[at->value];
		secret_free(*field);
		*field = len > 0 ? secret_copy(value, len) : NULL;
		if (len > 0 && !*field)
			return error_set(parser->error, -ENOMEM, "out of memory");
		return 0;
	}
	return 0;
}

/* Where a comment begins: '#' or ';' after white space. */
static size_t without_comment(const char *text, size_t len)
{
	size_t i;

	for (i = 1; i < len; i++) {
		if ((text[i] == '#' || text[i] == ';') && isspace((unsigned char)text[i - 1]))
			return trimmed(text, i);
	}
	return len;
}

static int parse_property(struct parser *parser, const char *text, size_t len, size_t indent)
{
	bool nested = parser->parent[0] && indent > parser->parent_indent;
	const char *equal = memchr(text, '=', len), *value;
	size_t name_len, value_len;

	if (nested && !parser->parent_is_block)
		return malformed(parser,
				 "an indented line continues the value above it, which no setting "
				 "used here can have; remove the indentation");
	if (!equal)
		return malformed(parser, "expected \"name = value\" or \"[section]\"");
	name_len = trimmed(text, (size_t)(equal - text));
	if (name_len == 0)
		return malformed(parser, "there is no name before '='");
	if (name_len >= sizeof(parser->parent))
		return malformed(parser, "the name before '=' is too long");
	value = equal + 1;
	value_len = len - (size_t)(value - text);
	value += blanks(value, value_len);
	value_len = without_comment(value, len - (size_t)(value - text));
	/* "name = # comment" */
	if (value_len > 0 && value > equal + 1 && (*value == '#' || *value == ';'))
		value_len = 0;
	if (nested)
		return store(parser, parser->parent, text, name_len, value, value_len);
	memcpy(parser->parent, text, name_len);
	parser->parent[name_len] = '\0';
	parser->parent_indent = indent;
	parser->parent_is_block = value_len == 0;
	return store(parser, NULL, text, name_len, value, value_len);
}

static int parse_line(struct parser *parser, const char *text, size_t len)
{
	size_t indent = blanks(text, len);

	if (len > AWS_LINE_BYTES_MAX)
		return malformed(parser, "the line is too long");
	text += indent;
	len = trimmed(text, len - indent);
	if (len == 0 || *text == '#' || *text == ';')
		return 0;
	if (*text == '[' && !(parser->parent[0] && indent > parser->parent_indent))
		return parse_header(parser, text, len);
	if (parser->section == SECTION_NONE)
		return malformed(parser, "a setting stands before the first [section]");
	if (parser->section == SECTION_OTHER)
		return 0;
	return parse_property(parser, text, len, indent);
}

static int parse_text(struct parser *parser, const char *text)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";

	if (strncmp(text, byte_order_mark, 3) == 0)
		text += 3;
	parser->line = 0;
	parser->section = SECTION_NONE;
	while (*text) {
		size_t len = strcspn(text, "\n");
		int err;

		parser->line++;
		err = parse_line(parser, text, len);
		if (err)
			return err;
		text += len;
		text += *text == '\n';
	}
	return 0;
}

int aws_profile_parse(struct aws_profile *profile, enum aws_file kind, const char *name,
		      const char *text, const char *file, struct error *error)
{
	struct parser parser = {
		.profile = profile, .kind = kind, .name = name, .file = file, .error = error};
	int err = parse_text(&parser, text);

	/* The section may stand before the profile that names it. */
	if (!err && kind == AWS_CONFIG && profile->values[AWS_SERVICES]) {
		parser.services = profile->values[AWS_SERVICES];
		err = parse_text(&parser, text);
	}
	return err;
}

void aws_profile_free(struct aws_profile *profile)
{
	size_t i;

	for (i = 0; i < AWS_VALUE_COUNT; i++)
		secret_free(profile->values[i]);
	*profile = (struct aws_profile)AWS_PROFILE_INIT;
}

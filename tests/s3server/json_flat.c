#include "tests/s3server/json_flat.h"

#include <stdlib.h>
#include <string.h>

static void skip_space(const char **at)
{
	*at += strspn(*at, " \t\r\n");
}

/* Returns the decoded string, or NULL. \u only below 0x80: keys in UTF-8 go in as they are. */
static char *parse_string(const char **at)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	struct buf text = BUF_INIT;
	const char *c = *at + 1, *escape;

	for (; *c && *c != '"'; c++) {
		if (*c != '\\') {
			buf_putc(&text, *c);
			continue;
		}
		c++;
		escape = *c ? strchr(from, *c) : NULL;
		if (escape) {
			buf_putc(&text, to[escape - from]);
		} else if (*c == 'u' && strncmp(c, "u00", 3) == 0 && strlen(c) >= 5) {
			char digits[3] = {c[3], c[4], '\0'};

			buf_putc(&text, (char)strtoul(digits, NULL, 16));
			c += 4;
		} else {
			break;
		}
	}
	if (*c != '"') {
		buf_free(&text);
		return NULL;
	}
	*at = c + 1;
	return buf_steal(&text);
}

static char *parse_value(const char **at)
{
	size_t len;
	char *text;

	if (**at == '"')
		return parse_string(at);
	len = strspn(*at, "-0123456789truefalsn");
	if (len == 0)
		return NULL;
	text = strndup(*at, len);
	*at += len;
	return text;
}

static bool parse_member(const char **at, struct pairs *out)
{
	char *name, *value = NULL;

	skip_space(at);
	name = **at == '"' ? parse_string(at) : NULL;
	skip_space(at);
	if (name && **at == ':') {
		(*at)++;
		skip_space(at);
		value = parse_value(at);
	}
	if (value && strcmp(value, "null") != 0)
		pairs_add(out, name, value);
	free(name);
	free(value);
	skip_space(at);
	return value != NULL;
}

bool json_flat_parse(const char *text, struct pairs *out)
{
	skip_space(&text);
	if (*text++ != '{')
		return false;
	skip_space(&text);
	while (*text != '}') {
		if (!parse_member(&text, out))
			return false;
		if (*text == ',')
			text++;
		else if (*text != '}')
			return false;
	}
	text++;
	skip_space(&text);
	return *text == '\0';
}

#include "tests/s3server/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/check.h"

void *xmalloc(size_t size)
{
	void *memory = calloc(1, size ? size : 1);

	CHECK(memory);
	return memory;
}

char *xstrdup(const char *text)
{
	char *copy = strdup(text);

	CHECK(copy);
	return copy;
}

char *xasprintf(const char *format, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, format);
	CHECK(vasprintf(&text, format, args) >= 0);
	va_end(args);
	return text;
}

void pairs_add(struct pairs *pairs, const char *name, const char *value)
{
	if (pairs->count == pairs->capacity) {
		size_t capacity = pairs->capacity ? pairs->capacity * 2 : 8;
		struct pair *items = reallocarray(pairs->items, capacity, sizeof(*items));

		CHECK(items);
		pairs->items = items;
		pairs->capacity = capacity;
	}
	pairs->items[pairs->count].name = xstrdup(name);
	pairs->items[pairs->count].value = xstrdup(value);
	pairs->count++;
}

void pairs_free(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		free(pairs->items[i].name);
		free(pairs->items[i].value);
	}
	free(pairs->items);
	*pairs = (struct pairs)PAIRS_INIT;
}

const char *pairs_get(const struct pairs *pairs, const char *name)
{
	for (size_t i = 0; i < pairs->count; i++)
		if (strcmp(pairs->items[i].name, name) == 0)
			return pairs->items[i].value;
	return NULL;
}

const char *pairs_get_nocase(const struct pairs *pairs, const char *name)
{
	for (size_t i = 0; i < pairs->count; i++)
		if (strcasecmp(pairs->items[i].name, name) == 0)
			return pairs->items[i].value;
	return NULL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

char *uri_decoded(const char *text, size_t len, bool *had_nul)
{
	char *out = xmalloc(len + 1);
	size_t used = 0;

	*had_nul = false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%' && i + 2 < len && hex_digit(text[i + 1]) >= 0 &&
		    hex_digit(text[i + 2]) >= 0) {
			c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
			i += 2;
			if (c == '\0')
				*had_nul = true;
		}
		out[used++] = c;
	}
	return out;
}

void pairs_parse_query(struct pairs *pairs, const char *query)
{
	while (*query) {
		size_t len = strcspn(query, "&");
		const char *equals = memchr(query, '=', len);
		size_t name_len = equals ? (size_t)(equals - query) : len;
		bool had_nul;

		if (len > 0) {
			char *name = uri_decoded(query, name_len, &had_nul);
			char *value = equals ? uri_decoded(equals + 1, len - name_len - 1, &had_nul)
					     : xstrdup("");

			pairs_add(pairs, name, value);
			free(name);
			free(value);
		}
		query += len;
		query += *query == '&';
	}
}

bool text_equal_secret(const char *a, const char *b)
{
	size_t len = strlen(a);
	unsigned char difference = 0;

	if (strlen(b) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

static void split_time(int64_t msec, struct tm *tm)
{
	time_t seconds = (time_t)(msec / 1000);

	gmtime_r(&seconds, tm);
}

void format_http_date(char out[DATE_TEXT_MAX], int64_t msec)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm tm;

	split_time(msec, &tm);
	snprintf(out, DATE_TEXT_MAX, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
		 tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		 tm.tm_sec);
}

void format_iso_date(char out[DATE_TEXT_MAX], int64_t msec)
{
	struct tm tm;

	split_time(msec, &tm);
	snprintf(out, DATE_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(msec % 1000));
}

void format_amz_date(char out[DATE_TEXT_MAX], int64_t msec)
{
	struct tm tm;

	split_time(msec, &tm);
	snprintf(out, DATE_TEXT_MAX, "%04d%02d%02dT%02d%02d%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static bool parse_date(const char *text, const char *format, int64_t *msec)
{
	struct tm tm = {0};
	const char *end = strptime(text, format, &tm);

	if (!end || *end)
		return false;
	*msec = (int64_t)timegm(&tm) * 1000;
	return true;
}

bool parse_http_date(const char *text, int64_t *msec)
{
	return parse_date(text, "%a, %d %b %Y %H:%M:%S GMT", msec) ||
	       parse_date(text, "%A, %d-%b-%y %H:%M:%S GMT", msec) ||
	       parse_date(text, "%a %b %d %H:%M:%S %Y", msec) ||
	       parse_date(text, "%Y-%m-%dT%H:%M:%SZ", msec);
}

bool parse_amz_date(const char *text, int64_t *msec)
{
	return strlen(text) == 16 && parse_date(text, "%Y%m%dT%H%M%SZ", msec);
}

void buf_put_xml(struct buf *buf, const char *text)
{
	for (;; text++) {
		size_t plain = strcspn(text, "<>&\"'\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\r\x0e"
					     "\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b"
					     "\x1c\x1d\x1e\x1f");

		buf_append(buf, text, plain);
		text += plain;
		switch (*text) {
		case '\0': return;
		case '<': buf_puts(buf, "&lt;"); break;
		case '>': buf_puts(buf, "&gt;"); break;
		case '&': buf_puts(buf, "&amp;"); break;
		case '"': buf_puts(buf, "&quot;"); break;
		case '\'': buf_puts(buf, "&#39;"); break;
		default: buf_printf(buf, "&#x%x;", (unsigned char)*text); break;
		}
	}
}

void buf_put_base64(struct buf *buf, const void *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i += 3) {
		size_t rest = len - i;
		unsigned group = (unsigned)bytes[i] << 16;

		group |= rest > 1 ? (unsigned)bytes[i + 1] << 8 : 0;
		group |= rest > 2 ? bytes[i + 2] : 0;
		buf_putc(buf, digits[group >> 18]);
		buf_putc(buf, digits[group >> 12 & 63]);
		buf_putc(buf, rest > 1 ? digits[group >> 6 & 63] : '=');
		buf_putc(buf, rest > 2 ? digits[group & 63] : '=');
	}
}

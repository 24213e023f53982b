#include "common/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_CAPACITY_FIRST = 64 };

void buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf)BUF_INIT;
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = '\0';
}

/* Makes room for more bytes and the NUL. */
static bool reserve(struct buf *buf, size_t more)
{
	size_t need, capacity;
	char *data;

	if (buf->failed)
		return false;
	if (more > SIZE_MAX / 2 - buf->len - 1 || (buf->limit && buf->len + more > buf->limit)) {
		buf->failed = true;
		return false;
	}
	need = buf->len + more + 1;
	if (need <= buf->capacity)
		return true;
	capacity = buf->capacity ? buf->capacity : BUF_CAPACITY_FIRST;
	while (capacity < need)
		capacity *= 2;
	data = realloc(buf->data, capacity);
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->capacity = capacity;
	return true;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
	if (!reserve(buf, len))
		return;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_puts(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_putc(struct buf *buf, char c)
{
	buf_append(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(buf, format, args);
	va_end(args);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	if (len < 0)
		buf->failed = true;
	else if (reserve(buf, (size_t)len)) {
		vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
		buf->len += (size_t)len;
	}
	va_end(again);
}

char *buf_steal(struct buf *buf)
{
	char *data;

	buf_append(buf, "", 0);
	if (buf->failed) {
		buf_free(buf);
		return NULL;
	}
	data = buf->data;
	*buf = (struct buf)BUF_INIT;
	return data;
}

const char *buf_str(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

/* RFC 3986, section 2.3. */
static bool is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void buf_put_uri(struct buf *buf, const char *text, size_t len, bool keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		const char escape[3] = {'%', digits[c >> 4], digits[c & 15]};

		if (is_unreserved(c) || (keep_slash && c == '/'))
			buf_putc(buf, (char)c);
		else
			buf_append(buf, escape, sizeof(escape));
	}
}

void buf_put_hex(struct buf *buf, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++) {
		const char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};

		buf_append(buf, pair, sizeof(pair));
	}
}

char *string_copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t uri_decode(char *text)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		int high = in[0] == '%' ? hex_value(in[1]) : -1;
		int low = high >= 0 ? hex_value(in[2]) : -1;

		if (low < 0) {
			*out++ = *in;
			continue;
		}
		*out++ = (char)(high << 4 | low);
		in += 2;
	}
	*out = '\0';
	return (size_t)(out - text);
}

bool string_has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool string_has_suffix(const char *text, const char *suffix)
{
	size_t text_len = strlen(text), suffix_len = strlen(suffix);

	return text_len >= suffix_len && strcmp(text + text_len - suffix_len, suffix) == 0;
}

/* Decimal digits only, as many as there are. Returns the first other character; NULL when it does
 * not fit. */
static const char *parse_digits(const char *text, uint64_t *out)
{
	uint64_t value = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return NULL;
	*out = value;
	return text;
}

static bool all_digits(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

int parse_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
	bool negative = *text == '-';
	uint64_t magnitude;
	int64_t value;

	text += negative;
	if (!all_digits(text))
		return -EINVAL;
	if (!parse_digits(text, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
		return -ERANGE;
	value = (int64_t)(negative ? 0 - magnitude : magnitude);
	if (value < min || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

int parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	const size_t digits = strspn(text, "0123456789");
	const char *rest = text + digits, *unit;
	unsigned shift = 0;
	uint64_t value;

	if (digits == 0)
		return -EINVAL;
	unit = *rest & ~0x20 ? strchr(units, *rest & ~0x20) : NULL; /* either case */
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		rest++;
	}
	if (*rest && strcmp(rest, "B") != 0 && !(unit && strcmp(rest, "iB") == 0))
		return -EINVAL;
	if (!parse_digits(text, &value) || value > UINT64_MAX >> shift)
		return -ERANGE;
	*out = value << shift;
	return 0;
}

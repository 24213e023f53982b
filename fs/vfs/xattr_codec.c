#include "fs/vfs/xattr_codec.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void xattr_set_free(struct xattr_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		free(set->items[i].name);
		free(set->items[i].value);
	}
	free(set->items);
	*set = (struct xattr_set){NULL, 0};
}

static struct xattr *find(const struct xattr_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->items[i].name, name) == 0)
			return &set->items[i];
	return NULL;
}

const struct xattr *xattr_set_find(const struct xattr_set *set, const char *name)
{
	return find(set, name);
}

/* Takes value over. */
static int put(struct xattr_set *set, const char *name, void *value, size_t len)
{
	struct xattr *item = find(set, name), *more;
	char *copy;

	if (item) {
		free(item->value);
		item->value = value;
		item->len = len;
		return 0;
	}
	copy = string_copy(name);
	more = copy ? realloc(set->items, (set->count + 1) * sizeof(*more)) : NULL;
	if (!more) {
		free(copy);
		free(value);
		return -ENOMEM;
	}
	set->items = more;
	set->items[set->count++] = (struct xattr){copy, value, len};
	return 0;
}

int xattr_set_put(struct xattr_set *set, const char *name, const void *value, size_t len)
{
	void *copy = malloc(len ? len : 1);

	if (!copy)
		return -ENOMEM;
	if (len)
		memcpy(copy, value, len);
	return put(set, name, copy, len);
}

bool xattr_set_remove(struct xattr_set *set, const char *name)
{
	struct xattr *item = find(set, name);

	if (!item)
		return false;
	free(item->name);
	free(item->value);
	set->count--;
	memmove(item, item + 1, (size_t)(set->items + set->count - item) * sizeof(*item));
	return true;
}

/* What is left of the text to read. */
struct reader {
	const char *at, *end;
};

static void skip_space(struct reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at)
		reader->at++;
}

static bool take(struct reader *reader, char c)
{
	skip_space(reader);
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

static bool take_hex(struct reader *reader, uint32_t *out)
{
	uint32_t value = 0;

	if (reader->end - reader->at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = *reader->at++;

		if (c >= '0' && c <= '9')
			value = value * 16 + (uint32_t)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			value = value * 16 + (uint32_t)((c | 32) - 'a') + 10;
		else
			return false;
	}
	*out = value;
	return true;
}

/* \uXXXX of the basic plane; our own writer needs it for control characters alone. */
static bool take_unicode(struct reader *reader, struct buf *out)
{
	uint32_t code;

	if (!take_hex(reader, &code) || code == 0 || (code >= 0xd800 && code <= 0xdfff))
		return false;
	if (code < 0x80) {
		buf_putc(out, (char)code);
	} else if (code < 0x800) {
		buf_putc(out, (char)(0xc0 | code >> 6));
		buf_putc(out, (char)(0x80 | (code & 0x3f)));
	} else {
		buf_putc(out, (char)(0xe0 | code >> 12));
		buf_putc(out, (char)(0x80 | (code >> 6 & 0x3f)));
		buf_putc(out, (char)(0x80 | (code & 0x3f)));
	}
	return true;
}

static bool take_escape(struct reader *reader, struct buf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;
	char c;

	if (reader->at == reader->end)
		return false;
	c = *reader->at++;
	if (c == 'u')
		return take_unicode(reader, out);
	found = c ? strchr(from, c) : NULL;
	if (!found)
		return false;
	buf_putc(out, to[found - from]);
	return true;
}

static bool take_string(struct reader *reader, struct buf *out)
{
	if (!take(reader, '"'))
		return false;
	while (reader->at < reader->end) {
		char c = *reader->at++;

		if (c == '"')
			return true;
		if (c == '\0' || (c == '\\' && !take_escape(reader, out)))
			return false;
		if (c != '\\')
			buf_putc(out, c);
	}
	return false;
}

static int digit_value(char c)
{
	const char *found = c ? strchr(alphabet, c) : NULL;

	return found ? (int)(found - alphabet) : -1;
}

/* Base64 (RFC 4648) to bytes, in place of text; the padding may be missing. */
static bool decode_base64(char *text, size_t len, size_t *out_len)
{
	uint32_t bits = 0;
	unsigned count = 0;
	size_t put_at = 0;

	for (unsigned pads = 0; len && text[len - 1] == '=' && pads < 2; pads++)
		len--;
	for (size_t i = 0; i < len; i++) {
		int value = digit_value(text[i]);

		if (value < 0)
			return false;
		bits = (bits << 6 | (uint32_t)value) & 0xffffff;
		count += 6;
		if (count >= 8) {
			count -= 8;
			text[put_at++] = (char)(bits >> count);
		}
	}
	*out_len = put_at;
	return len % 4 != 1;
}

static int take_pair(struct reader *reader, struct xattr_set *set)
{
	struct buf name = BUF_INIT, value = BUF_INIT;
	size_t len = 0;
	int err = 0;

	if (!take_string(reader, &name) || !take(reader, ':') || !take_string(reader, &value) ||
	    name.len == 0 || name.len > XATTR_NAME_BYTES_MAX ||
	    (value.len && !decode_base64(value.data, value.len, &len)))
		err = -EINVAL;
	if (name.failed || value.failed)
		err = -ENOMEM;
	if (!err)
		err = xattr_set_put(set, buf_str(&name), buf_str(&value), len);
	buf_free(&name);
	buf_free(&value);
	return err;
}

static int take_object(struct reader *reader, struct xattr_set *set)
{
	int err = take(reader, '{') ? 0 : -EINVAL;

	if (err || take(reader, '}'))
		goto end;
	do
		err = take_pair(reader, set);
	while (!err && take(reader, ','));
	if (!err && !take(reader, '}'))
		err = -EINVAL;
end:
	skip_space(reader);
	return err ? err : reader->at == reader->end ? 0 : -EINVAL;
}

int xattr_decode(const char *text, struct xattr_set *out)
{
	struct reader reader;
	char *json;
	int err;

	if (!text || !*text)
		return 0;
	if (strlen(text) > XATTR_TEXT_BYTES_MAX)
		return -EINVAL;
	json = string_copy(text);
	if (!json)
		return -ENOMEM;
	reader.at = json;
	reader.end = json + uri_decode(json);
	err = take_object(&reader, out);
	if (err)
		xattr_set_free(out);
	free(json);
	return err;
}

static void put_name(const char *name, struct buf *json)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c == '"' || c == '\\')
			buf_putc(json, '\\');
		if (c < 0x20)
			buf_printf(json, "\\u%04x", c);
		else
			buf_putc(json, (char)c);
	}
}

static void put_base64(const unsigned char *bytes, size_t len, struct buf *json)
{
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t bits = (uint32_t)bytes[i] << 16 |
				(left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
				(left > 2 ? bytes[i + 2] : 0);

		buf_putc(json, alphabet[bits >> 18]);
		buf_putc(json, alphabet[bits >> 12 & 63]);
		buf_putc(json, left > 1 ? alphabet[bits >> 6 & 63] : '=');
		buf_putc(json, left > 2 ? alphabet[bits & 63] : '=');
	}
}

void xattr_encode(const struct xattr_set *set, struct buf *out)
{
	struct buf json = BUF_INIT;

	if (set->count == 0)
		return;
	for (size_t i = 0; i < set->count; i++) {
		buf_puts(&json, i ? ",\"" : "{\"");
		put_name(set->items[i].name, &json);
		buf_puts(&json, "\":\"");
		put_base64(set->items[i].value, set->items[i].len, &json);
		buf_putc(&json, '"');
	}
	buf_putc(&json, '}');
	if (json.failed)
		out->failed = true;
	else
		buf_put_uri(out, buf_str(&json), json.len, true);
	buf_free(&json);
}

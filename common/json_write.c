#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/utf8.h"

/* RFC 8259, section 7: what must be escaped. */
static void put_quoted(struct buf *out, const char *text)
{
	size_t len = strlen(text), size;

	buf_putc(out, '"');
	for (size_t i = 0; i < len; i += size) {
		const unsigned char c = (unsigned char)text[i];

		size = utf8_sequence(text + i, len - i);
		if (size == 0) {
			buf_puts(out, "\\ufffd");
			size = 1;
		} else if (c == '"' || c == '\\') {
			buf_printf(out, "\\%c", c);
		} else if (c < 0x20) {
			buf_printf(out, "\\u%04x", c);
		} else {
			buf_append(out, text + i, size);
		}
	}
	buf_putc(out, '"');
}

static void begin_value(struct json_writer *writer, const char *name)
{
	if (writer->comma)
		buf_putc(writer->out, ',');
	writer->comma = true;
	if (name) {
		put_quoted(writer->out, name);
		buf_putc(writer->out, ':');
	}
}

static void begin_group(struct json_writer *writer, const char *name, char bracket)
{
	begin_value(writer, name);
	buf_putc(writer->out, bracket);
	writer->comma = false;
}

static void end_group(struct json_writer *writer, char bracket)
{
	buf_putc(writer->out, bracket);
	writer->comma = true;
}

void json_begin_object(struct json_writer *writer, const char *name)
{
	begin_group(writer, name, '{');
}

void json_end_object(struct json_writer *writer)
{
	end_group(writer, '}');
}

void json_begin_array(struct json_writer *writer, const char *name)
{
	begin_group(writer, name, '[');
}

void json_end_array(struct json_writer *writer)
{
	end_group(writer, ']');
}

void json_put_string(struct json_writer *writer, const char *name, const char *value)
{
	if (!value) {
		json_put_null(writer, name);
		return;
	}
	begin_value(writer, name);
	put_quoted(writer->out, value);
}

void json_put_integer(struct json_writer *writer, const char *name, int64_t value)
{
	begin_value(writer, name);
	buf_printf(writer->out, "%" PRId64, value);
}

void json_put_bool(struct json_writer *writer, const char *name, bool value)
{
	begin_value(writer, name);
	buf_puts(writer->out, value ? "true" : "false");
}

void json_put_null(struct json_writer *writer, const char *name)
{
	begin_value(writer, name);
	buf_puts(writer->out, "null");
}

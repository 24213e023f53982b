#include "common/s3/headers.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void header_list_reset(struct header_list *list)
{
	buf_reset(&list->text);
	list->count = 0;
	list->failed = 0;
}

void header_list_free(struct header_list *list)
{
	buf_free(&list->text);
	list->count = 0;
	list->failed = 0;
}

/* RFC 9110, 5.6.2: token */
static bool is_token(const char *name)
{
	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		if (!isalnum(*p) && !strchr("!#$%&'*+-.^_`|~", *p))
			return false;
	}
	return true;
}

static bool is_value(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

void header_add_prefixed(struct header_list *list, const char *prefix, const char *name,
			 const char *value)
{
	struct header *header;
	size_t len = strlen(value);

	while (len > 0 && (*value == ' ' || *value == '\t')) {
		value++;
		len--;
	}
	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		len--;
	if (list->failed)
		return;
	if (list->count == HEADER_COUNT_MAX || list->text.len + len > HEADER_TEXT_MAX ||
	    !(*prefix || *name) || !is_token(prefix) || !is_token(name) || !is_value(value, len)) {
		list->failed = -EINVAL;
		return;
	}
	header = &list->items[list->count++];
	header->line = (uint32_t)list->text.len;
	header->name_len = (uint32_t)(strlen(prefix) + strlen(name));
	header->value_len = (uint32_t)len;
	buf_puts(&list->text, prefix);
	buf_puts(&list->text, name);
	/* curl's form of a header without a value; "name:" would tell it to leave the header out.
	 */
	buf_puts(&list->text, len ? ": " : ";");
	header->value = (uint32_t)list->text.len;
	buf_append(&list->text, value, len);
	buf_append(&list->text, "", 1);
	if (list->text.failed)
		list->failed = -ENOMEM;
}

void header_add(struct header_list *list, const char *name, const char *value)
{
	header_add_prefixed(list, "", name, value);
}

void header_addf(struct header_list *list, const char *name, const char *format, ...)
{
	char value[256];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(value)) {
		if (!list->failed)
			list->failed = -EINVAL;
		return;
	}
	header_add(list, name, value);
}

const char *header_line(const struct header_list *list, size_t index)
{
	return list->text.data + list->items[index].line;
}

const char *header_value(const struct header_list *list, size_t index)
{
	return list->text.data + list->items[index].value;
}

const char *header_find(const struct header_list *list, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].name_len == len && memcmp(header_line(list, i), name, len) == 0)
			return header_value(list, i);
	}
	return NULL;
}

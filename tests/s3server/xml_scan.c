#include "tests/s3server/xml_scan.h"

#include <stdlib.h>
#include <string.h>

void xml_scan_start(struct xml_scan *scan, char *document)
{
	memset(scan, 0, sizeof(*scan));
	scan->at = document;
	scan->text = "";
}

static size_t put_utf8(char *out, unsigned long code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | (code >> 18 & 7));
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* Decodes one reference at text ("&..;"); never writes more than it reads. Returns what it took, or
 * 0. */
static size_t decode_reference(const char *text, char *out, size_t *put)
{
	static const struct {
		const char *name;
		char c;
	} names[] = {
		{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
	unsigned long code;
	char *end;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i].name);

		if (strncmp(text, names[i].name, len) == 0) {
			*out = names[i].c;
			*put = 1;
			return len;
		}
	}
	if (text[1] != '#')
		return 0;
	code = text[2] == 'x' ? strtoul(text + 3, &end, 16) : strtoul(text + 2, &end, 10);
	if (*end != ';' || code == 0 || code > 0x10ffff)
		return 0;
	*put = put_utf8(out, code);
	return (size_t)(end + 1 - text);
}

static bool decode_text(char *text)
{
	char *out = text;

	while (*text) {
		size_t put, took;

		if (*text != '&') {
			*out++ = *text++;
			continue;
		}
		took = decode_reference(text, out, &put);
		if (!took)
			return false;
		text += took;
		out += put;
	}
	*out = '\0';
	return true;
}

static const char *without_prefix(const char *name)
{
	const char *colon = strchr(name, ':');

	return colon ? colon + 1 : name;
}

static enum xml_event close_element(struct xml_scan *scan, const char *name)
{
	if (scan->depth == 0 || strcmp(scan->open[scan->depth - 1], name) != 0)
		return XML_BAD;
	scan->depth--;
	scan->name = name;
	return XML_CLOSE;
}

/* tag: what stands between the angle brackets, NUL-terminated. */
static enum xml_event open_element(struct xml_scan *scan, char *tag, size_t len)
{
	if (tag[len - 1] == '/') {
		scan->self_closed = true;
		tag[len - 1] = '\0';
	}
	tag[strcspn(tag, " \t\r\n")] = '\0';
	if (scan->depth == XML_DEPTH_MAX)
		return XML_BAD;
	scan->name = without_prefix(tag);
	scan->open[scan->depth++] = scan->name;
	scan->text = "";
	return XML_OPEN;
}

enum xml_event xml_scan_next(struct xml_scan *scan)
{
	if (scan->self_closed) {
		scan->self_closed = false;
		return close_element(scan, scan->open[scan->depth - 1]);
	}
	for (;;) {
		char *text = scan->at, *tag = strchr(text, '<'), *end;

		if (!tag)
			return scan->depth == 0 ? XML_END : XML_BAD;
		end = strchr(tag, '>');
		if (!end || end == tag + 1)
			return XML_BAD;
		*tag++ = '\0';
		*end = '\0';
		scan->at = end + 1;
		if (*tag == '?')
			continue;
		if (*tag == '!') /* no comments, no CDATA, no DTD: nobody sends them */
			return XML_BAD;
		if (*tag != '/')
			return open_element(scan, tag, (size_t)(end - tag));
		if (!decode_text(text))
			return XML_BAD;
		scan->text = text;
		tag[1 + strcspn(tag + 1, " \t\r\n")] = '\0';
		return close_element(scan, without_prefix(tag + 1));
	}
}

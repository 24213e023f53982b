#include "common/s3/xml.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include "common/buf.h"

enum { XML_NAME_MAX = 64 };

struct reader {
	const struct xml_events *events;
	void *context;
	xmlParserCtxtPtr parser;
	struct buf text;
	char names[XML_DEPTH_MAX + 1][XML_NAME_MAX]; /* names[0] is "" */
	unsigned depth;
	int err;
};

static void stop(struct reader *reader, int err)
{
	if (!reader->err)
		reader->err = err;
	xmlStopParser(reader->parser);
}

static void on_start(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
		     int namespace_count, const xmlChar **namespaces, int attribute_count,
		     int defaulted, const xmlChar **attributes)
{
	struct reader *reader = context;
	size_t len = strlen((const char *)name);
	int err;

	(void)prefix, (void)uri, (void)namespace_count, (void)namespaces;
	(void)attribute_count, (void)defaulted, (void)attributes;
	if (reader->err)
		return;
	if (reader->depth == XML_DEPTH_MAX || len >= XML_NAME_MAX) {
		stop(reader, -EPROTO);
		return;
	}
	reader->depth++;
	memcpy(reader->names[reader->depth], name, len + 1);
	buf_reset(&reader->text);
	err = reader->events->enter
		      ? reader->events->enter(reader->context, reader->names[reader->depth - 1],
					      reader->names[reader->depth], reader->depth)
		      : 0;
	if (err)
		stop(reader, err);
}

static void on_end(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct reader *reader = context;
	int err = 0;

	(void)name, (void)prefix, (void)uri;
	if (reader->err || reader->depth == 0)
		return;
	buf_append(&reader->text, "", 0);
	if (reader->text.failed)
		err = -ENOMEM;
	else if (reader->events->leave)
		err = reader->events->leave(reader->context, reader->names[reader->depth - 1],
					    reader->names[reader->depth],
					    reader->text.data ? reader->text.data : (char[]){""},
					    reader->text.len, reader->depth);
	buf_reset(&reader->text);
	reader->depth--;
	if (err)
		stop(reader, err);
}

static void on_text(void *context, const xmlChar *text, int len)
{
	struct reader *reader = context;

	if (reader->err)
		return;
	if (len < 0 || reader->text.len + (size_t)len > XML_TEXT_MAX) {
		stop(reader, -EPROTO);
		return;
	}
	buf_append(&reader->text, text, (size_t)len);
}

/* A document type is never part of an S3 answer, and is where entity attacks begin. */
static void on_document_type(void *context, const xmlChar *name, const xmlChar *external,
			     const xmlChar *system)
{
	(void)name, (void)external, (void)system;
	stop(context, -EPROTO);
}

static void on_problem(void *context, const char *format, ...)
{
	struct reader *reader = context;

	(void)format;
	if (!reader->err)
		reader->err = -EPROTO;
}

static void on_warning(void *context, const char *format, ...)
{
	(void)context, (void)format;
}

int xml_read(const char *data, size_t len, const struct xml_events *events, void *context)
{
	struct reader reader = {.events = events, .context = context, .text = BUF_INIT};
	xmlSAXHandler handler = {
		.initialized = XML_SAX2_MAGIC,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.characters = on_text,
		.cdataBlock = on_text,
		.ignorableWhitespace = on_text,
		.internalSubset = on_document_type,
		.error = on_problem,
		.fatalError = on_problem,
		.warning = on_warning,
	};

	_Static_assert(XML_SIZE_MAX < INT_MAX, "libxml2 takes sizes as int");
	if (len == 0 || len > XML_SIZE_MAX)
		return -EPROTO;
	reader.parser = xmlCreateMemoryParserCtxt(data, (int)len);
	if (!reader.parser)
		return -ENOMEM;
	xmlCtxtUseOptions(reader.parser, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	/* The parser's own handler table stays its own: it is freed with it. */
	*reader.parser->sax = handler;
	reader.parser->userData = &reader;
	xmlParseDocument(reader.parser);
	if (!reader.err && (!reader.parser->wellFormed || reader.depth != 0))
		reader.err = -EPROTO;
	xmlFreeDoc(reader.parser->myDoc);
	reader.parser->myDoc = NULL;
	xmlFreeParserCtxt(reader.parser);
	buf_free(&reader.text);
	return reader.err;
}

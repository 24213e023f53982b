/* xml.h — reads small XML documents from the network, by events. The only user of libxml2.
 *
 * Hard limits, whatever the sender does: 16 MiB, 16 levels, 64 KiB of text in one element, no
 * document type, no entities but the five of XML itself, no network. Namespaces are left out of the
 * names.
 */
#ifndef COMMON_S3_XML_H
#define COMMON_S3_XML_H

#include <stddef.h>

enum { XML_SIZE_MAX = 16 << 20, XML_DEPTH_MAX = 16, XML_TEXT_MAX = 64 << 10 };

struct xml_events {
	/* An element begins. depth 1 is the root. parent is "" for the root. A result other than 0
	 * ends the reading with it. */
	int (*enter)(void *context, const char *parent, const char *name, unsigned depth);
	/* It ends. text: what was directly in it after its last child, NUL-terminated, valid during
	 * the call. */
	int (*leave)(void *context, const char *parent, const char *name, char *text, size_t len,
		     unsigned depth);
};

/* Errors: -EPROTO malformed, over a limit or with a document type; -ENOMEM; what an event returned.
 */
int xml_read(const char *data, size_t len, const struct xml_events *events, void *context);

#endif

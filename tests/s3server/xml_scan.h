/* xml_scan.h — a pull scanner for the small documents that clients send: elements and text, no DTD.
 *
 * Pure. The text is changed in place (entities are decoded), and names and texts point into it.
 */
#ifndef TESTS_S3SERVER_XML_SCAN_H
#define TESTS_S3SERVER_XML_SCAN_H

#include <stdbool.h>
#include <stddef.h>

enum xml_event { XML_OPEN, XML_CLOSE, XML_END, XML_BAD };
enum { XML_DEPTH_MAX = 8 };

struct xml_scan {
	char *at;
	const char *name; /* of the element opened or closed, without its prefix */
	const char *text; /* with XML_CLOSE of an element that holds only text: its text */
	const char *open[XML_DEPTH_MAX];
	unsigned depth;
	bool self_closed;
};

void xml_scan_start(struct xml_scan *scan, char *document);
enum xml_event xml_scan_next(struct xml_scan *scan);

#endif

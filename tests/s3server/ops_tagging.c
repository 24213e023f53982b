/* Tags of objects. They are kept beside the other headers as S3 takes them, "a=1&b=2", under a name
 * that no reader is shown: put_object_headers tells their number alone. */
#include <string.h>

#include "tests/s3server/request.h"
#include "tests/s3server/xml_scan.h"

enum { TAGS_MAX = 10 }; /* S3 user guide, "Categorizing your storage using tags" */

void object_set_tags(struct object *object, const char *tags)
{
	struct pairs kept = PAIRS_INIT;

	for (size_t i = 0; i < object->headers.count; i++)
		if (strcmp(object->headers.items[i].name, TAGS_HEADER) != 0)
			pairs_add(&kept, object->headers.items[i].name,
				  object->headers.items[i].value);
	if (tags && *tags)
		pairs_add(&kept, TAGS_HEADER, tags);
	pairs_free(&object->headers);
	object->headers = kept;
}

size_t object_tag_count(const struct object *object)
{
	const char *tags = pairs_get(&object->headers, TAGS_HEADER);
	size_t count = tags && *tags;

	for (; tags && *tags; tags++)
		count += *tags == '&';
	return count;
}

void op_get_object_tagging(struct request *request)
{
	struct object *object = bucket_get(request->bucket, request->key);
	struct pairs tags = PAIRS_INIT;
	struct buf *body;

	if (!object) {
		reply_error(request, "NoSuchKey", NULL);
		return;
	}
	if (object_tag_count(object) > 0)
		pairs_parse_query(&tags, pairs_get(&object->headers, TAGS_HEADER));
	object_unref(object);
	body = reply_document(request, "Tagging");
	buf_puts(body, "<TagSet>");
	for (size_t i = 0; i < tags.count; i++) {
		buf_puts(body, "<Tag>");
		put_element(body, "Key", tags.items[i].name);
		put_element(body, "Value", tags.items[i].value);
		buf_puts(body, "</Tag>");
	}
	buf_puts(body, "</TagSet></Tagging>");
	pairs_free(&tags);
	reply_status(request, 200);
}

static bool read_tags(struct request *request, struct buf *out)
{
	const char *key = NULL, *value = NULL;
	enum xml_event event;
	struct xml_scan scan;
	size_t count = 0;

	if (request->body.memory.len == 0)
		return false;
	xml_scan_start(&scan, request->body.memory.data);
	while ((event = xml_scan_next(&scan)) == XML_OPEN || event == XML_CLOSE) {
		if (event == XML_OPEN)
			continue;
		if (strcmp(scan.name, "Key") == 0) {
			key = scan.text;
		} else if (strcmp(scan.name, "Value") == 0) {
			value = scan.text;
		} else if (strcmp(scan.name, "Tag") == 0) {
			if (!key || !*key || !value || ++count > TAGS_MAX)
				return false;
			buf_puts(out, count > 1 ? "&" : "");
			buf_put_uri(out, key, strlen(key), false);
			buf_putc(out, '=');
			buf_put_uri(out, value, strlen(value), false);
			key = value = NULL;
		}
	}
	return event == XML_END;
}

/* The object is the same version with other tags: neither ETag nor Last-Modified move. */
static void replace_tags(struct request *request, const char *tags, unsigned status)
{
	static const struct condition none = CONDITION_NONE;
	struct object *old = bucket_get(request->bucket, request->key), *object;
	enum verdict verdict;

	if (!old) {
		reply_error(request, "NoSuchKey", NULL);
		return;
	}
	object = object_create();
	memcpy(object->etag, old->etag, sizeof(object->etag));
	object->modified = old->modified;
	object->parts = old->parts;
	for (size_t i = 0; i < old->headers.count; i++)
		pairs_add(&object->headers, old->headers.items[i].name,
			  old->headers.items[i].value);
	object_set_tags(object, tags);
	object_append_range(object, old, 0, old->size);
	object_unref(old);
	if (bucket_put(request->bucket, request->key, object, &none, NULL, &verdict))
		reply_error(request, "InternalError", NULL);
	else
		reply_status(request, status);
}

void op_put_object_tagging(struct request *request)
{
	struct buf tags = BUF_INIT;

	if (read_tags(request, &tags))
		replace_tags(request, buf_str(&tags), 200);
	else
		reply_error(request, "MalformedXML", NULL);
	buf_free(&tags);
}

void op_delete_object_tagging(struct request *request)
{
	replace_tags(request, NULL, 204);
}

#include <string.h>

#include "tests/s3server/request.h"
#include "tests/s3server/xml_scan.h"

enum { DELETE_MAX = 1000 }; /* DeleteObjects API page */

/* One object of the list; the texts point into the document. */
struct doomed {
	const char *key, *etag;
};

struct doomed_list {
	struct doomed items[DELETE_MAX];
	unsigned count;
	bool quiet;
};

static bool read_list(struct request *request, struct doomed_list *list)
{
	struct doomed item = {NULL, NULL};
	struct xml_scan scan;
	enum xml_event event;

	if (request->body.memory.len == 0)
		return false;
	xml_scan_start(&scan, request->body.memory.data);
	while ((event = xml_scan_next(&scan)) == XML_OPEN || event == XML_CLOSE) {
		if (event == XML_OPEN)
			continue;
		if (strcmp(scan.name, "Key") == 0) {
			item.key = scan.text;
		} else if (strcmp(scan.name, "ETag") == 0) {
			item.etag = scan.text;
		} else if (strcmp(scan.name, "Quiet") == 0) {
			list->quiet = strcmp(scan.text, "true") == 0;
		} else if (strcmp(scan.name, "Object") == 0) {
			if (!item.key || !*item.key || list->count == DELETE_MAX)
				return false;
			list->items[list->count++] = item;
			item = (struct doomed){NULL, NULL};
		}
	}
	return event == XML_END && list->count > 0;
}

static void put_failure(struct buf *body, const char *key, const char *code, const char *message)
{
	buf_puts(body, "<Error>");
	put_element(body, "Key", key);
	put_element(body, "Code", code);
	put_element(body, "Message", message);
	buf_puts(body, "</Error>");
}

static void delete_one(struct request *request, const struct doomed *item, bool quiet,
		       struct buf *body)
{
	struct condition condition = CONDITION_NONE;
	enum verdict verdict;
	struct fault fault;
	bool existed;

	/* faults may name single keys of the list: operation "DeleteObjects.Key" */
	if (faults_match(&request->server->faults, "DeleteObjects.Key", item->key, NULL, &fault) !=
	    FAULT_NONE) {
		put_failure(body, item->key, fault.code, "A scripted fault.");
		return;
	}
	if (atomic_load(&request->server->conditions) == CONDITIONS_ON)
		condition.if_match = item->etag;
	verdict = bucket_remove(request->bucket, item->key, &condition, &existed);
	if (verdict == VERDICT_ABSENT) {
		put_failure(body, item->key, "NoSuchKey", "The specified key does not exist.");
	} else if (verdict != VERDICT_PASS) {
		put_failure(body, item->key, "PreconditionFailed",
			    "At least one of the pre-conditions you specified did not hold");
	} else if (!quiet) {
		buf_puts(body, "<Deleted>");
		put_element(body, "Key", item->key);
		buf_puts(body, "</Deleted>");
	}
}

void op_delete_objects(struct request *request)
{
	struct doomed_list list = {.count = 0};
	struct buf *body;

	if (!request_header(request, "Content-MD5") && !request->body.has_checksum) {
		reply_error(request, "InvalidRequest",
			    "Missing required header for this request: Content-MD5 OR "
			    "x-amz-checksum-*");
		return;
	}
	if (!read_list(request, &list)) {
		reply_error(request, "MalformedXML", NULL);
		return;
	}
	body = reply_document(request, "DeleteResult");
	for (unsigned i = 0; i < list.count; i++)
		delete_one(request, &list.items[i], list.quiet, body);
	buf_puts(body, "</DeleteResult>");
	reply_status(request, 200);
}

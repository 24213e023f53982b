/* document.h — the XML documents of S3: what the bodies of answers say. Pure.
 *
 * Source: Amazon S3 API reference, "Response Syntax" of each operation and "Error responses".
 */
#ifndef COMMON_S3_DOCUMENT_H
#define COMMON_S3_DOCUMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/s3/objstore.h"

enum document_kind {
	DOCUMENT_UNKNOWN,
	DOCUMENT_ERROR,
	DOCUMENT_LIST,
	DOCUMENT_UPLOAD_STARTED,   /* InitiateMultipartUploadResult */
	DOCUMENT_UPLOAD_COMPLETED, /* CompleteMultipartUploadResult */
	DOCUMENT_COPIED,	   /* CopyObjectResult, CopyPartResult */
	DOCUMENT_DELETED,	   /* DeleteResult */
	DOCUMENT_BUCKETS,	   /* ListAllMyBucketsResult */
	DOCUMENT_UPLOADS,	   /* ListMultipartUploadsResult */
	DOCUMENT_PARTS,		   /* ListPartsResult */
	DOCUMENT_LOCATION,	   /* LocationConstraint */
	DOCUMENT_TAGS,		   /* Tagging */
};

struct document_error {
	char *key; /* of a DeleteResult, else NULL */
	char code[64], message[256];
};

/* Owns what it points to. */
struct document {
	enum document_kind kind;
	/* Error */
	char code[64], message[256], request_id[80], region[64], endpoint[256];
	char server_time[40]; /* of RequestTimeTooSkewed */
	/* results of writes */
	char etag[OS_ETAG_MAX];
	char upload_id[OS_UPLOAD_ID_MAX];
	int64_t last_modified;
	/* listings */
	char bucket[256];
	struct os_entry *entries;
	size_t entry_count, entry_capacity;
	char *next_token;
	char *key_marker, *upload_id_marker;
	unsigned part_marker; /* 0: none */
	bool truncated, url_encoded;
	struct buf tags;	   /* as the header OS_TAGGING has them */
	char *tag_key, *tag_value; /* of the tag that is being read */
	struct document_error *errors;
	size_t error_count, error_capacity;
};

/* Fills document, which document_free empties in any case.
 * Errors: -EPROTO: not XML, over a limit; -ENOMEM. A root that is not known gives DOCUMENT_UNKNOWN.
 */
int document_parse(struct document *document, const char *data, size_t len);
void document_free(struct document *document);

/* "2009-10-12T17:50:30.000Z" (ISO 8601, UTC) in ns since the epoch. Errors: -EINVAL. */
int parse_iso_time(const char *text, int64_t *ns);
/* "Wed, 28 Oct 2009 22:32:00 GMT" (RFC 9110, 5.6.7, IMF-fixdate) in seconds. Errors: -EINVAL. */
int parse_http_time(const char *text, int64_t *seconds);

#endif

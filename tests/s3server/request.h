/* request.h — one S3 request: what it asks for, and how it is answered.
 *
 * Threads: that of its connection. Freed by request.c after the reply is queued; what the reply
 * still needs (an object, a descriptor) belongs to the reply.
 */
#ifndef TESTS_S3SERVER_REQUEST_H
#define TESTS_S3SERVER_REQUEST_H

#include "tests/s3server/body.h"
#include "tests/s3server/server.h"

enum level { LEVEL_SERVICE, LEVEL_BUCKET, LEVEL_OBJECT };
enum body_kind { BODY_NONE, BODY_DOCUMENT, BODY_DATA };

struct request;

struct operation {
	const char *name; /* as in the API reference */
	const char *method;
	enum level level;
	const char *query;  /* parameter that must be there; NULL: none */
	const char *header; /* header that must be there; NULL: none */
	enum body_kind body;
	bool makes_bucket; /* the bucket need not exist */
	void (*run)(struct request *request);
};

struct request {
	struct server *server;
	struct exchange *exchange;
	const struct operation *operation;
	char *bucket_name, *key; /* decoded; NULL when not of the level */
	struct bucket *bucket;
	struct pairs query;
	struct signature signature;
	struct body body;
	struct fault fault;
	bool opaque_etag;    /* nobody computed the MD5 of the body */
	uint64_t body_bytes; /* received so far */
	int64_t now;
	bool is_control;
	char id[24];
};

void service_begin(struct exchange *exchange, void *server);
void service_body(struct exchange *exchange, const char *data, size_t len);
void service_finish(struct exchange *exchange);
void service_closed(struct exchange *exchange);

/* operations[]: the routing table, most specific first. */
extern const struct operation operations[];
extern const unsigned operation_count;
/* NULL when none fits. */
const struct operation *route(const struct request *request, enum level level);
/* A subresource that the server knows of but does not have: NotImplemented. */
bool route_is_unsupported(const struct pairs *query);

/* Replies. details may be NULL. */
void reply_error(struct request *request, const char *code, const char *message);
void reply_error_details(struct request *request, unsigned status, const char *code,
			 const char *message, const struct pairs *details);
/* Starts an XML document in the reply's body: declaration and <name xmlns=..>. */
struct buf *reply_document(struct request *request, const char *name);
void reply_status(struct request *request, unsigned status);
void reply_header(struct request *request, const char *name, const char *value);
unsigned error_status(const char *code);

/* Conditions of the request's headers, with the given prefix ("" or "x-amz-copy-source-"). */
struct condition request_condition(const struct request *request, const char *prefix);
/* True: go on. False: the server was told not to support conditions and has replied. Clears
 * *condition when they are to be ignored. */
bool request_write_condition(struct request *request, struct condition *condition);
/* Replies to a verdict other than PASS. */
void reply_verdict(struct request *request, enum verdict verdict);
const char *request_query(const struct request *request, const char *name); /* NULL: absent */
const char *request_header(const struct request *request, const char *name);

/* <name>text</name>, escaped; text percent-encoded when encode. */
void put_element(struct buf *buf, const char *name, const char *text);
void put_element_encoded(struct buf *buf, const char *name, const char *text, bool encode);
void put_element_number(struct buf *buf, const char *name, uint64_t number);
void put_element_date(struct buf *buf, const char *name, int64_t msec);

/* The control interface on the same port, path /_control. */
void control_run(struct request *request);

/* Handlers, one per operation. */
void op_list_buckets(struct request *request);
void op_create_bucket(struct request *request);
void op_delete_bucket(struct request *request);
void op_head_bucket(struct request *request);
void op_get_bucket_location(struct request *request);
void op_get_bucket_versioning(struct request *request);
void op_get_bucket_acl(struct request *request);
void op_list_objects_v1(struct request *request);
void op_list_objects_v2(struct request *request);
void op_head_object(struct request *request);
void op_get_object(struct request *request);
void op_put_object(struct request *request);
void op_copy_object(struct request *request);
void op_delete_object(struct request *request);
void op_delete_objects(struct request *request);
void op_create_multipart_upload(struct request *request);
void op_upload_part(struct request *request);
void op_upload_part_copy(struct request *request);
void op_complete_multipart_upload(struct request *request);
void op_abort_multipart_upload(struct request *request);
void op_list_parts(struct request *request);
void op_list_multipart_uploads(struct request *request);
void op_get_object_tagging(struct request *request);
void op_put_object_tagging(struct request *request);
void op_delete_object_tagging(struct request *request);

/* Shared by the handlers. */
/* What is stored with an object and given back, from the request's headers. False: too much
 * metadata, replied. */
bool request_object_headers(struct request *request, struct pairs *out);
/* The tags of an object, "a=1&b=2" percent-encoded, are kept in headers under this name. */
#define TAGS_HEADER "x-amz-tagging"
void object_set_tags(struct object *object, const char *tags); /* NULL: none */
size_t object_tag_count(const struct object *object);
/* partNumber. False: replied. */
bool request_part_number(struct request *request, unsigned *number);
/* S3 user guide, "Object ETags": with a KMS key they are no MD5, and a copy has another one. */
bool headers_hide_md5(const struct pairs *headers);
void request_opaque_etag(const struct request *request, char etag[ETAG_MAX]);
/* The ETag of the request's body: MD5, or unique with --fast-etag. */
void request_body_etag(const struct request *request, char etag[ETAG_MAX]);
/* The source of a copy, with its conditions checked: a reference, or NULL (replied). */
struct object *request_copy_source(struct request *request, char **bucket, char **key);

/* "bytes=a-b", "bytes=a-", "bytes=-n" within size. 0: no or another unit's or a malformed range
 * (ignored, RFC 9110 14.2), 1: *first, *len are set, -1: cannot be satisfied. */
int parse_range(const char *text, uint64_t size, uint64_t *first, uint64_t *len);

#endif

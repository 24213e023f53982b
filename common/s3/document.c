#include "common/s3/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/executor.h"
#include "common/s3/xml.h"

/* No S3 answers with more entries in one document than this; the XML size limit bounds it as well.
 */
enum { ENTRY_MAX = 1 << 20 };

/* The last whole year that 64 bits of nanoseconds reach. */
enum { YEAR_MAX = 2261 };

static void take(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
}

static enum document_kind kind_of_root(const char *name)
{
	static const struct {
		const char *name;
		enum document_kind kind;
	} roots[] = {
		{"Error", DOCUMENT_ERROR},
		{"ListBucketResult", DOCUMENT_LIST},
		{"InitiateMultipartUploadResult", DOCUMENT_UPLOAD_STARTED},
		{"CompleteMultipartUploadResult", DOCUMENT_UPLOAD_COMPLETED},
		{"CopyObjectResult", DOCUMENT_COPIED},
		{"CopyPartResult", DOCUMENT_COPIED},
		{"DeleteResult", DOCUMENT_DELETED},
		{"ListAllMyBucketsResult", DOCUMENT_BUCKETS},
		{"ListMultipartUploadsResult", DOCUMENT_UPLOADS},
		{"ListPartsResult", DOCUMENT_PARTS},
		{"LocationConstraint", DOCUMENT_LOCATION},
		{"Tagging", DOCUMENT_TAGS},
	};

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		if (strcmp(roots[i].name, name) == 0)
			return roots[i].kind;
	}
	return DOCUMENT_UNKNOWN;
}

static int add_entry(struct document *document)
{
	struct os_entry *entries = document->entries;
	size_t capacity = document->entry_capacity;

	if (document->entry_count == ENTRY_MAX)
		return -EPROTO;
	if (document->entry_count == capacity) {
		capacity = capacity ? 2 * capacity : 64;
		entries = reallocarray(entries, capacity, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		document->entries = entries;
		document->entry_capacity = capacity;
	}
	memset(&entries[document->entry_count++], 0, sizeof(*entries));
	return 0;
}

static int add_error(struct document *document)
{
	struct document_error *errors = document->errors;
	size_t capacity = document->error_capacity;

	if (document->error_count == OS_DELETE_MANY_MAX)
		return -EPROTO;
	if (document->error_count == capacity) {
		capacity = capacity ? 2 * capacity : 16;
		errors = reallocarray(errors, capacity, sizeof(*errors));
		if (!errors)
			return -ENOMEM;
		document->errors = errors;
		document->error_capacity = capacity;
	}
	memset(&errors[document->error_count++], 0, sizeof(*errors));
	return 0;
}

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static int on_enter(void *context, const char *parent, const char *name, unsigned depth)
{
	struct document *document = context;

	(void)parent;
	if (depth == 1) {
		document->kind = kind_of_root(name);
		return 0;
	}
	switch (document->kind) {
	case DOCUMENT_LIST:
		if (depth == 2 && (is(name, "Contents") || is(name, "CommonPrefixes")))
			return add_entry(document);
		return 0;
	case DOCUMENT_BUCKETS: return depth == 3 && is(name, "Bucket") ? add_entry(document) : 0;
	case DOCUMENT_UPLOADS: return depth == 2 && is(name, "Upload") ? add_entry(document) : 0;
	case DOCUMENT_PARTS: return depth == 2 && is(name, "Part") ? add_entry(document) : 0;
	case DOCUMENT_DELETED: return depth == 2 && is(name, "Error") ? add_error(document) : 0;
	default: return 0;
	}
}

static int set_string(char **out, const char *text)
{
	free(*out);
	*out = strdup(text);
	return *out ? 0 : -ENOMEM;
}

static void take_etag(char out[OS_ETAG_MAX], const char *text)
{
	size_t len = strlen(text);

	if (len > 0 && text[0] != '"' && strncmp(text, "W/", 2) != 0 && len + 3 <= OS_ETAG_MAX)
		snprintf(out, OS_ETAG_MAX, "\"%s\"", text);
	else
		take(out, OS_ETAG_MAX, text);
}

static int leave_error(struct document *document, const char *name, const char *text)
{
	if (is(name, "Code"))
		take(document->code, sizeof(document->code), text);
	else if (is(name, "Message"))
		take(document->message, sizeof(document->message), text);
	else if (is(name, "RequestId"))
		take(document->request_id, sizeof(document->request_id), text);
	else if (is(name, "Region"))
		take(document->region, sizeof(document->region), text);
	else if (is(name, "Endpoint"))
		take(document->endpoint, sizeof(document->endpoint), text);
	else if (is(name, "ServerTime"))
		take(document->server_time, sizeof(document->server_time), text);
	return 0;
}

static int take_part_number(unsigned *out, const char *text)
{
	int64_t number;

	if (parse_int(text, 0, OS_PART_COUNT_MAX, &number))
		return -EPROTO;
	*out = (unsigned)number;
	return 0;
}

static int leave_entry(struct os_entry *entry, const char *name, const char *text)
{
	int64_t size;

	if (is(name, "Key") || is(name, "Name"))
		return set_string(&entry->key, text);
	if (is(name, "Prefix")) {
		entry->is_prefix = true;
		return set_string(&entry->key, text);
	}
	if (is(name, "UploadId"))
		return set_string(&entry->upload_id, text);
	if (is(name, "PartNumber"))
		return take_part_number(&entry->part_number, text);
	if (is(name, "ETag"))
		take_etag(entry->etag, text);
	else if (is(name, "StorageClass") && !is(text, "STANDARD"))
		take(entry->storage_class, sizeof(entry->storage_class), text);
	else if (is(name, "LastModified") || is(name, "Initiated") || is(name, "CreationDate"))
		parse_iso_time(text, &entry->last_modified);
	else if (is(name, "Size")) {
		if (parse_int(text, 0, INT64_MAX, &size))
			return -EPROTO;
		entry->size = (uint64_t)size;
	}
	return 0;
}

/* The fields of a listing itself. */
static int leave_listing(struct document *document, const char *name, const char *text)
{
	if (is(name, "Name") || is(name, "Bucket"))
		take(document->bucket, sizeof(document->bucket), text);
	else if (is(name, "IsTruncated"))
		document->truncated = is(text, "true");
	else if (is(name, "EncodingType"))
		document->url_encoded = is(text, "url");
	else if (is(name, "NextContinuationToken"))
		return set_string(&document->next_token, text);
	else if (is(name, "NextKeyMarker"))
		return set_string(&document->key_marker, text);
	else if (is(name, "NextUploadIdMarker"))
		return set_string(&document->upload_id_marker, text);
	else if (is(name, "NextPartNumberMarker"))
		return take_part_number(&document->part_marker, text);
	return 0;
}

static int leave_deleted(struct document_error *error, const char *name, const char *text)
{
	if (is(name, "Key"))
		return set_string(&error->key, text);
	if (is(name, "Code"))
		take(error->code, sizeof(error->code), text);
	else if (is(name, "Message"))
		take(error->message, sizeof(error->message), text);
	return 0;
}

static int leave_result(struct document *document, const char *name, const char *text)
{
	if (is(name, "ETag"))
		take_etag(document->etag, text);
	else if (is(name, "LastModified"))
		parse_iso_time(text, &document->last_modified);
	else if (is(name, "UploadId")) {
		if (strlen(text) >= sizeof(document->upload_id))
			return -EPROTO;
		take(document->upload_id, sizeof(document->upload_id), text);
	}
	return 0;
}

/* <TagSet><Tag><Key>..</Key><Value>..</Value></Tag>..</TagSet> */
static int leave_tag(struct document *document, const char *name, const char *text, unsigned depth)
{
	struct buf *tags = &document->tags;

	if (depth == 4 && is(name, "Key"))
		return set_string(&document->tag_key, text);
	if (depth == 4 && is(name, "Value"))
		return set_string(&document->tag_value, text);
	if (depth != 3 || !is(name, "Tag"))
		return 0;
	if (!document->tag_key || !document->tag_value)
		return -EPROTO;
	if (tags->len)
		buf_putc(tags, '&');
	buf_put_uri(tags, document->tag_key, strlen(document->tag_key), false);
	buf_putc(tags, '=');
	buf_put_uri(tags, document->tag_value, strlen(document->tag_value), false);
	free(document->tag_key);
	free(document->tag_value);
	document->tag_key = document->tag_value = NULL;
	return 0;
}

static bool is_entry(const char *parent)
{
	return is(parent, "Contents") || is(parent, "CommonPrefixes") || is(parent, "Upload") ||
	       is(parent, "Bucket") || is(parent, "Part");
}

static int on_leave(void *context, const char *parent, const char *name, char *text, size_t len,
		    unsigned depth)
{
	struct document *document = context;

	/* A NUL cannot come out of the XML reader, so text is all of it. */
	(void)len;
	switch (document->kind) {
	case DOCUMENT_ERROR: return depth == 2 ? leave_error(document, name, text) : 0;
	case DOCUMENT_LIST:
	case DOCUMENT_UPLOADS:
	case DOCUMENT_PARTS:
		if (depth == 2)
			return leave_listing(document, name, text);
		/* fall through */
	case DOCUMENT_BUCKETS:
		if ((depth == 3 || depth == 4) && is_entry(parent) && document->entry_count > 0)
			return leave_entry(&document->entries[document->entry_count - 1], name,
					   text);
		return 0;
	case DOCUMENT_DELETED:
		if (depth == 3 && is(parent, "Error") && document->error_count > 0)
			return leave_deleted(&document->errors[document->error_count - 1], name,
					     text);
		return 0;
	case DOCUMENT_UPLOAD_STARTED:
	case DOCUMENT_UPLOAD_COMPLETED:
	case DOCUMENT_COPIED: return depth == 2 ? leave_result(document, name, text) : 0;
	case DOCUMENT_TAGS: return leave_tag(document, name, text, depth);
	case DOCUMENT_LOCATION:
		if (depth == 1)
			take(document->region, sizeof(document->region), text);
		return 0;
	case DOCUMENT_UNKNOWN: break;
	}
	return 0;
}

static int finish_listing(struct document *document)
{
	for (size_t i = 0; i < document->entry_count; i++) {
		char *key = document->entries[i].key;

		if (!key)
			return -EPROTO;
		if (!document->url_encoded)
			continue;
		/* encoding-type=url writes a space as '+'; S3 never sends a bare '+' then. */
		for (char *p = key; *p; p++) {
			if (*p == '+')
				*p = ' ';
		}
		if (uri_decode(key) != strlen(key))
			return -EPROTO;
	}
	return 0;
}

int document_parse(struct document *document, const char *data, size_t len)
{
	static const struct xml_events events = {on_enter, on_leave};
	int err;

	memset(document, 0, sizeof(*document));
	/* CompleteMultipartUpload API page: blanks keep the connection alive before the document
	 * comes, and before an XML declaration they would be an error. */
	while (len > 0 && (*data == ' ' || *data == '\n' || *data == '\r' || *data == '\t')) {
		data++;
		len--;
	}
	err = xml_read(data, len, &events, document);
	if (!err && (document->kind == DOCUMENT_LIST || document->kind == DOCUMENT_UPLOADS))
		err = finish_listing(document);
	return err;
}

void document_free(struct document *document)
{
	for (size_t i = 0; i < document->entry_count; i++) {
		free(document->entries[i].key);
		free(document->entries[i].upload_id);
	}
	for (size_t i = 0; i < document->error_count; i++)
		free(document->errors[i].key);
	free(document->entries);
	free(document->errors);
	free(document->next_token);
	free(document->key_marker);
	free(document->upload_id_marker);
	free(document->tag_key);
	free(document->tag_value);
	buf_free(&document->tags);
	memset(document, 0, sizeof(*document));
}

/* Exactly count digits. */
static bool digits(const char **text, int count, int *out)
{
	*out = 0;
	for (int i = 0; i < count; i++) {
		char c = **text;

		if (c < '0' || c > '9')
			return false;
		*out = *out * 10 + (c - '0');
		(*text)++;
	}
	return true;
}

static bool literal(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

static bool in_range(const struct tm *tm)
{
	return tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31 &&
	       tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60 && tm->tm_year >= 70 &&
	       tm->tm_year <= YEAR_MAX - 1900;
}

int parse_iso_time(const char *text, int64_t *ns)
{
	struct tm tm = {0};
	int64_t fraction = 0, unit = (int64_t)NSEC_PER_SEC / 10;

	if (!digits(&text, 4, &tm.tm_year) || !literal(&text, '-') ||
	    !digits(&text, 2, &tm.tm_mon) || !literal(&text, '-') ||
	    !digits(&text, 2, &tm.tm_mday) || !literal(&text, 'T') ||
	    !digits(&text, 2, &tm.tm_hour) || !literal(&text, ':') ||
	    !digits(&text, 2, &tm.tm_min) || !literal(&text, ':') || !digits(&text, 2, &tm.tm_sec))
		return -EINVAL;
	if (literal(&text, '.')) {
		for (; *text >= '0' && *text <= '9'; text++, unit /= 10)
			fraction += (*text - '0') * unit;
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (!literal(&text, 'Z') || *text || !in_range(&tm))
		return -EINVAL;
	*ns = (int64_t)timegm(&tm) * (int64_t)NSEC_PER_SEC + fraction;
	return 0;
}

int parse_http_time(const char *text, int64_t *seconds)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *comma = strchr(text, ',');
	struct tm tm = {0};

	if (!comma || comma - text != 3 || comma[1] != ' ')
		return -EINVAL;
	text = comma + 2;
	if (!digits(&text, 2, &tm.tm_mday) || !literal(&text, ' '))
		return -EINVAL;
	for (tm.tm_mon = 0; tm.tm_mon < 12; tm.tm_mon++) {
		if (strncmp(text, months + 3 * (size_t)tm.tm_mon, 3) == 0)
			break;
	}
	if (tm.tm_mon == 12)
		return -EINVAL;
	text += 3;
	if (!literal(&text, ' ') || !digits(&text, 4, &tm.tm_year) || !literal(&text, ' ') ||
	    !digits(&text, 2, &tm.tm_hour) || !literal(&text, ':') ||
	    !digits(&text, 2, &tm.tm_min) || !literal(&text, ':') ||
	    !digits(&text, 2, &tm.tm_sec) || strcmp(text, " GMT") != 0)
		return -EINVAL;
	tm.tm_year -= 1900;
	if (!in_range(&tm))
		return -EINVAL;
	*seconds = (int64_t)timegm(&tm);
	return 0;
}

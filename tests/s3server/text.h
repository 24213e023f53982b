/* text.h — name/value lists, percent encoding and the three date formats of S3.
 *
 * Pure, any thread. Allocation failure ends the process (CHECK): this is a test server.
 */
#ifndef TESTS_S3SERVER_TEXT_H
#define TESTS_S3SERVER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct pair {
	char *name, *value;
};

/* Owns its strings; order is kept, names may repeat. */
struct pairs {
	struct pair *items;
	size_t count, capacity;
};

#define PAIRS_INIT                                                                                 \
	{                                                                                          \
		NULL, 0, 0                                                                         \
	}

void pairs_add(struct pairs *pairs, const char *name, const char *value);
void pairs_free(struct pairs *pairs);
/* First match; NULL when absent. _nocase compares names as HTTP does. */
const char *pairs_get(const struct pairs *pairs, const char *name);
const char *pairs_get_nocase(const struct pairs *pairs, const char *name);
/* "a=1&b" with percent escapes; a name without '=' gets the value "". */
void pairs_parse_query(struct pairs *pairs, const char *query);

void *xmalloc(size_t size); /* zeroed */
char *xstrdup(const char *text);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Decodes a copy; '+' stays as it is. *had_nul tells of a %00, which no key may hold. */
char *uri_decoded(const char *text, size_t len, bool *had_nul);

/* Constant time for equal lengths. */
bool text_equal_secret(const char *a, const char *b);

enum { DATE_TEXT_MAX = 96 };

/* All times are milliseconds since the epoch, UTC. */
void format_http_date(char out[DATE_TEXT_MAX], int64_t msec); /* RFC 9110, 5.6.7: IMF-fixdate */
void format_iso_date(char out[DATE_TEXT_MAX], int64_t msec);  /* 2026-01-02T03:04:05.678Z */
void format_amz_date(char out[DATE_TEXT_MAX], int64_t msec);  /* 20260102T030405Z */
bool parse_http_date(const char *text, int64_t *msec);
bool parse_amz_date(const char *text, int64_t *msec);

/* XML character data; characters that XML 1.0 cannot hold go out as references, as S3 does. */
void buf_put_xml(struct buf *buf, const char *text);
/* Standard base64 of len bytes. */
void buf_put_base64(struct buf *buf, const void *data, size_t len);

#endif

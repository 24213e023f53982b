/* headers.h — the headers of one request, in one piece of memory.
 *
 * Ownership: the list owns its text; header_line and header_value point into it until the next add.
 * Errors are sticky (failed), like those of buf.h: -ENOMEM, or -EINVAL for a value with control
 * characters, which would let a key or an attribute smuggle further headers in (RFC 9112, 11.1).
 */
#ifndef COMMON_S3_HEADERS_H
#define COMMON_S3_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

enum { HEADER_COUNT_MAX = 160, HEADER_TEXT_MAX = 64 << 10 };

struct header {
	uint32_t line; /* offset of "name: value" (or "name;": no value), NUL-terminated */
	uint32_t name_len, value, value_len;
};

struct header_list {
	struct buf text;
	struct header items[HEADER_COUNT_MAX];
	size_t count;
	int failed; /* 0 or a negative errno */
};

/* The memory is kept for the next request. */
void header_list_reset(struct header_list *list);
void header_list_free(struct header_list *list);

/* name in lower case; leading and trailing blanks of the value go. */
void header_add(struct header_list *list, const char *name, const char *value);
/* Name is prefix followed by name; for x-amz-meta-*. */
void header_add_prefixed(struct header_list *list, const char *prefix, const char *name,
			 const char *value);
void header_addf(struct header_list *list, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

const char *header_line(const struct header_list *list, size_t index);
const char *header_value(const struct header_list *list, size_t index);
/* NULL: absent. */
const char *header_find(const struct header_list *list, const char *name);

#endif

/* json.h — JSON (RFC 8259): a read-only tree of what comes from outside, and a writer into a
 * buffer.
 *
 * Reading takes UTF-8 text of at most JSON_BYTES_MAX bytes and JSON_DEPTH_MAX levels, one
 * value and nothing behind it, no NUL inside of strings (as \u0000), so that every string is a
 * whole C string. Of equal member names the first counts. (cJSON, which does the work, also lets
 * pass control characters inside of strings and zeros before a number.) Looking takes NULL for "not
 * there", so that json_string(json_member(json_member(root, "a"), "b")) needs no checks in between;
 * it copies nothing and what it returns lives as long as the root.
 *
 * Writing is as sticky as buf.h: errors show in buf->failed at the end.
 * Any thread; no state but what the caller owns.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

enum { JSON_BYTES_MAX = 8 * 1024 * 1024, JSON_DEPTH_MAX = 32 };

struct json; /* a value inside of a tree; only what json_parse returned is freed */

/* NULL when text is not JSON, is too big or too deep, and when out of memory. */
struct json *json_parse(const char *text, size_t len);
void json_free(struct json *root); /* NULL allowed */

bool json_is_object(const struct json *value);
bool json_is_array(const struct json *value);
bool json_is_null(const struct json *value); /* the value null; not: a value that is not there */

/* NULL when value is not an object or has no such member. Names are case-sensitive. */
const struct json *json_member(const struct json *value, const char *name);
/* Members of an object, elements of an array; 0 for everything else. */
size_t json_count(const struct json *value);
/* By position, in time that grows with it. NULL past the end. */
const struct json *json_item(const struct json *value, size_t position);

/* Walks over an object or array: for (item = json_first(value); item; item = json_next(item)). */
const struct json *json_first(const struct json *value);
const struct json *json_next(const struct json *item);
const char *json_name(const struct json *item); /* of a member of an object; else NULL */

/* NULL when it is no string. */
const char *json_string(const struct json *value);
/* fallback when it is no number, no boolean. */
double json_number(const struct json *value, double fallback);
bool json_bool(const struct json *value, bool fallback);
/* Whole numbers that a double holds exactly. Errors: -EINVAL: no such number; *out is untouched. */
int json_integer(const struct json *value, int64_t *out);

/* Writes one value, members and elements in the order of the calls, without white space. name is
 * NULL for elements of an array and for the outermost value. Bytes that are not UTF-8 become
 * U+FFFD. */
struct json_writer {
	struct buf *out;
	bool comma; /* a value precedes at this level */
};

#define JSON_WRITER_INIT(buf)                                                                      \
	{                                                                                          \
		(buf), false                                                                       \
	}

void json_begin_object(struct json_writer *writer, const char *name);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer, const char *name);
void json_end_array(struct json_writer *writer);
void json_put_string(struct json_writer *writer, const char *name,
		     const char *value); /* NULL: null */
void json_put_integer(struct json_writer *writer, const char *name, int64_t value);
void json_put_bool(struct json_writer *writer, const char *name, bool value);
void json_put_null(struct json_writer *writer, const char *name);

#endif

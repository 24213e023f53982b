/* buf.h — growable byte buffer that is always NUL-terminated; and small string helpers.
 *
 * Errors are sticky: after an allocation failure or when limit would be passed, failed is set and
 * every append does nothing, so that callers check once at the end.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* NULL while empty and never appended to */
	size_t len, capacity;
	size_t limit; /* bytes without the NUL; 0: none */
	bool failed;
};

#define BUF_INIT                                                                                   \
	{                                                                                          \
		NULL, 0, 0, 0, false                                                               \
	}

void buf_free(struct buf *buf);	 /* also resets it to BUF_INIT */
void buf_reset(struct buf *buf); /* keeps the memory */
void buf_append(struct buf *buf, const void *data, size_t len);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
/* Hands the string over to the caller, who frees it; "" when empty. NULL when failed. Resets the
 * buffer. */
char *buf_steal(struct buf *buf);
/* "" when nothing was appended. */
const char *buf_str(const struct buf *buf);

/* Percent-encodes all but RFC 3986 unreserved characters; keep_slash leaves '/' as it is (S3
 * paths). */
void buf_put_uri(struct buf *buf, const char *text, size_t len, bool keep_slash);
/* Lower-case hexadecimal. */
void buf_put_hex(struct buf *buf, const void *data, size_t len);

/* strdup that takes NULL for NULL. */
char *string_copy(const char *text);
/* In-place percent decoding; returns the new length, which may hold NUL bytes. Bad escapes stay as
 * they are. */
size_t uri_decode(char *text);
bool string_has_prefix(const char *text, const char *prefix);
bool string_has_suffix(const char *text, const char *suffix);
/* Whole-string decimal in [min, max]. Errors: -EINVAL, -ERANGE. */
int parse_int(const char *text, int64_t min, int64_t max, int64_t *out);
/* Decimal with an optional suffix K, M, G, T (powers of 1024, an "iB" or "B" may follow). Errors as
 * above. */
int parse_size(const char *text, uint64_t *out);

#endif

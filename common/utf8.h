/* utf8.h — is it UTF-8 (RFC 3629)? Pure. */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character that text starts with: 1 to 4; 0 when it is no valid sequence or len is 0.
 * Overlong forms, surrogates and what is beyond U+10FFFF are not valid. */
size_t utf8_sequence(const char *text, size_t len);

#endif

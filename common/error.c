#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

/* A cut must not leave half of a UTF-8 sequence: drops the last character if it is incomplete. */
static void trim_partial_character(char *text, size_t len)
{
	size_t start = len;

	while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start > 0 && (unsigned char)text[start - 1] >= 0xc0 &&
	    utf8_sequence(text + start - 1, len - start + 1) == 0)
		text[start - 1] = '\0';
}

int error_set(struct error *error, int code, const char *format, ...)
{
	va_list args;
	int len;

	if (!error || error->code)
		return code;
	error->code = code;
	va_start(args, format);
	len = vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	if (len < 0)
		snprintf(error->message, sizeof(error->message), "%s", strerror(-code));
	else if ((size_t)len >= sizeof(error->message))
		trim_partial_character(error->message, sizeof(error->message) - 1);
	/* Messages quote names and server text; the promise is one line. */
	for (char *c = error->message; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	return code;
}

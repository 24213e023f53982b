/* error.h — a message for a person, carried beside an errno.
 *
 * Functions that fail for reasons which a user must act on take a struct error *. They fill it
 * once, where the failure is known best (what failed, on which bucket, key or option, the S3 code,
 * what to do), and return the negative errno. Callers pass it up unchanged; only main prints it.
 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

struct error {
	int code;	   /* negative errno; 0: none */
	char message[800]; /* one line, no final full stop and no newline */
};

#define ERROR_INIT                                                                                 \
	{                                                                                          \
		0, ""                                                                              \
	}

/* Fills (unless error is NULL) and returns code. An error that is already set keeps its first
 * message. */
int error_set(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif

/* check.h — assertions that stay on in release builds. A broken invariant must not reach the data:
 * the process ends, the journal brings back what was acknowledged. */
#ifndef COMMON_CHECK_H
#define COMMON_CHECK_H

void check_failed(const char *expression, const char *file, int line) __attribute__((noreturn));

#define CHECK(expression)                                                                          \
	do {                                                                                       \
		if (!(expression))                                                                 \
			check_failed(#expression, __FILE__, __LINE__);                             \
	} while (0)

#endif

/* fuzz.h — what the fuzz targets have in common. One target is one fuzz_*.c; tests/fuzz/run.sh runs
 * them.
 *
 * A target checks what must hold for any input, and the sanitizers the rest.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* Called by libFuzzer (llvm.org/docs/LibFuzzer.html). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The input as a string, which ends at its first NUL; the caller frees it. */
static inline char *fuzz_text(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);

	EXPECT(text);
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

#endif

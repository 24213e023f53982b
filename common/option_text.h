/* option_text.h — what messages say about options: the nearest name, what is accepted. Pure. */
#ifndef COMMON_OPTION_TEXT_H
#define COMMON_OPTION_TEXT_H

#include "common/buf.h"
#include "common/options.h"

/* The name in the table, allowed in where, that is nearest to what was typed; NULL when none is
 * near. */
const char *option_hint(const char *typed, enum option_where where);

/* "s3 or local", "bytes from 5M to 5G, ..": never empty. */
void option_put_accepted(const struct option_spec *spec, struct buf *out);

/* Insertions, deletions, substitutions and swaps of neighbours that make b of a; at most limit,
 * which is also the answer for longer texts than it can take (32 bytes). */
unsigned edit_distance(const char *a, const char *b, unsigned limit);

#endif

/* json_flat.h — the little JSON that the control interface takes: one object of strings, whole
 * numbers, true, false and null. Pure. */
#ifndef TESTS_S3SERVER_JSON_FLAT_H
#define TESTS_S3SERVER_JSON_FLAT_H

#include <stdbool.h>

#include "tests/s3server/text.h"

/* Values as text; null is left out. False when text is anything else; out may hold a part then. */
bool json_flat_parse(const char *text, struct pairs *out);

#endif

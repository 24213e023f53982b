/* manual.h — what s3mount says about itself: --help and the page s3mount(8). Any thread. */
#ifndef COMMON_MANUAL_H
#define COMMON_MANUAL_H

#include <stdio.h>

/* --help: usage, flags, all options, where to read on. */
void manual_print_help(FILE *stream);
/* The page s3mount(8) in mdoc, with the options and environment of options_print_man. */
void manual_print(FILE *stream, const char *version);

#endif

/* option_word.h — words that people write after -o and that are not options of ours.
 *
 * mount(8) and fstab pass words that need no action; s3fs spells some options differently, and the
 * options strings of its volume plugin have to go on working. Read only; any thread.
 */
#ifndef COMMON_OPTION_WORD_H
#define COMMON_OPTION_WORD_H

#include <stddef.h>

enum option_word_kind {
	WORD_IGNORED, /* accepted, no effect; with value: only that value is, reason says why */
	WORD_ALIAS,   /* another spelling of target */
	WORD_REFUSED, /* known, and wrong to ignore; reason says why or what to do */
};

enum option_word_origin { WORD_OF_MOUNT, WORD_OF_FUSE, WORD_OF_S3FS, WORD_SECRET };

struct option_word {
	const char *name; /* a trailing '*' stands for any rest */
	enum option_word_origin origin;
	enum option_word_kind kind;
	const char *target; /* WORD_ALIAS: name in option_table */
	const char *value;  /* WORD_ALIAS: instead of what the user gave; WORD_IGNORED: see there */
	const char *suffix; /* WORD_ALIAS: appended to the value (s3fs counts parts in MB) */
	const char *reason; /* WORD_REFUSED */
};

extern const struct option_word option_words[];
extern const size_t option_word_count;

/* NULL when it is none of them. */
const struct option_word *option_word_find(const char *name);

#endif

/* sim_stamps.h — what programs on several nodes wrote, and whether all of it is still there.
 *
 * Each change adds a line of its own to what its program has read through the same open file. So a
 * version holds the lines of all versions that it was based on, and nothing was lost without a word
 * exactly if each line is in one of the objects that are left: under the file's name, or in a copy
 * beside it. Pure.
 */
#ifndef TESTS_SIM_SIM_STAMPS_H
#define TESTS_SIM_SIM_STAMPS_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/unit/memory_bucket.h"

enum { STAMPS_MAX = 400, STAMP_LINE_MAX = 320 };

/* What was promised of a line. */
enum sim_promise {
	STAMP_NOTHING, /* no call that wrote it has succeeded */
	STAMP_WRITTEN, /* it survives the end of processes */
	STAMP_SYNCED,  /* and the loss of power */
	STAMP_IN_S3,
};

struct sim_stamps {
	struct {
		enum sim_promise promise;
		int node; /* that it was written on */
	} stamps[STAMPS_MAX];
	unsigned count;
};

/* The next line; returns its number. */
unsigned sim_stamp_new(struct sim_stamps *stamps, int node);
void sim_stamp_promise(struct sim_stamps *stamps, unsigned number, enum sim_promise promise);
size_t sim_stamp_line(unsigned number, char line[STAMP_LINE_MAX]);
/* The node lost power: what was only written there may be gone. */
void sim_stamps_lose(struct sim_stamps *stamps, int node);

/* Every object has whole lines, none twice, and every line that was promised is in one of them.
 * Returns NULL, or what is wrong, in text. torn: after a loss of power the last line may be cut. */
const char *sim_stamps_check(const struct sim_stamps *stamps, const struct memory_bucket *bucket,
			     bool torn, char text[200]);

#endif

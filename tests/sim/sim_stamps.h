/* sim_stamps.h — what programs on several nodes wrote, and whether all of it is still there.
 *
 * Each change adds a line of its own to what its program has read through the same open file, or
 * raises the level of a line, in place. So a version holds the lines, at their levels or higher, of
 * all versions that it was based on, and nothing was lost without a word exactly if each is in one
 * of the objects that are left: under the file's name, or in a copy beside it. Pure.
 */
#ifndef TESTS_SIM_SIM_STAMPS_H
#define TESTS_SIM_SIM_STAMPS_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/unit/memory_bucket.h"

enum { STAMPS_MAX = 400, STAMP_LINE_MAX = 320, STAMP_LEVELS = 26 };

/* What was promised of a change. */
enum sim_promise {
	STAMP_NOTHING, /* no call that wrote it has succeeded */
	STAMP_WRITTEN, /* it survives the end of processes */
	STAMP_SYNCED,  /* and the loss of power */
	STAMP_IN_S3,
};

struct sim_stamps {
	struct sim_stamp {
		enum sim_promise promise;
		int node;      /* that it was written on */
		unsigned line; /* its number is that of the change that wrote it first */
		unsigned level;
	} stamps[STAMPS_MAX];
	unsigned count;
};

/* A line as it stands in a file. */
struct sim_line {
	unsigned number, level;
	size_t len;
};

/* The next line; returns its number. */
unsigned sim_stamp_new(struct sim_stamps *stamps, int node);
/* The line's next level; returns the number of the change. */
unsigned sim_stamp_raise(struct sim_stamps *stamps, int node, const struct sim_line *line);
void sim_stamp_promise(struct sim_stamps *stamps, unsigned number, enum sim_promise promise);
size_t sim_stamp_line(unsigned number, unsigned level, char line[STAMP_LINE_MAX]);
/* Is there a whole line at the beginning of text? torn: its level may be a mix; the lowest counts.
 */
bool sim_stamp_parse(const struct sim_stamps *stamps, const char *text, size_t len, bool torn,
		     struct sim_line *line);
/* The node lost power: what was only written there may be gone. */
void sim_stamps_lose(struct sim_stamps *stamps, int node);

/* Every object has whole lines, none twice, and every change that was promised is in one of them. A
 * copy of which parts are missing says so in its metadata, and has zeros there. Returns NULL, or
 * what is wrong, in text. torn: after a loss of power the last line may be cut. */
const char *sim_stamps_check(const struct sim_stamps *stamps, const struct memory_bucket *bucket,
			     bool torn, char text[200]);

#endif

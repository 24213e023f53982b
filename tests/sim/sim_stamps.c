#include "tests/sim/sim_stamps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

enum { NUMBER_LEN = 6 }; /* "s00000" */

unsigned sim_stamp_new(struct sim_stamps *stamps, int node)
{
	CHECK(stamps->count < STAMPS_MAX);
	stamps->stamps[stamps->count].promise = STAMP_NOTHING;
	stamps->stamps[stamps->count].node = node;
	return stamps->count++;
}

void sim_stamp_promise(struct sim_stamps *stamps, unsigned number, enum sim_promise promise)
{
	if (stamps->stamps[number].promise < promise)
		stamps->stamps[number].promise = promise;
}

/* Lines of several lengths, so that some cross the blocks of a disk. */
size_t sim_stamp_line(unsigned number, char line[STAMP_LINE_MAX])
{
	static const size_t pads[] = {0, 20, 300};
	size_t pad = pads[number % 7 % 3];

	snprintf(line, STAMP_LINE_MAX, "s%05u", number);
	memset(line + NUMBER_LEN, '.', pad);
	line[NUMBER_LEN + pad] = '\n';
	return NUMBER_LEN + pad + 1;
}

void sim_stamps_lose(struct sim_stamps *stamps, int node)
{
	for (unsigned i = 0; i < stamps->count; i++)
		if (stamps->stamps[i].node == node && stamps->stamps[i].promise == STAMP_WRITTEN)
			stamps->stamps[i].promise = STAMP_NOTHING;
}

/* Marks the lines of one object as found. */
static bool read_lines(const struct sim_stamps *stamps, const struct memory_object *object,
		       bool torn, bool found[STAMPS_MAX], char text[200])
{
	const char *at = (const char *)object->data, *end = at + object->size;
	bool here[STAMPS_MAX] = {false};

	while (at < end) {
		char line[STAMP_LINE_MAX], digits[NUMBER_LEN] = "";
		size_t left = (size_t)(end - at), len;
		unsigned number = STAMPS_MAX;

		if (left >= NUMBER_LEN && *at == 's') {
			memcpy(digits, at + 1, NUMBER_LEN - 1);
			number = (unsigned)strtoul(digits, NULL, 10);
		}
		len = number < stamps->count ? sim_stamp_line(number, line) : 0;
		if (len == 0 || len > left || memcmp(at, line, len) != 0) {
			if (torn)
				return true;
			snprintf(text, 200, "%.80s has a torn line at byte %zu of %zu", object->key,
				 object->size - left, object->size);
			return false;
		}
		if (here[number]) {
			snprintf(text, 200, "%.80s has line %u twice", object->key, number);
			return false;
		}
		here[number] = found[number] = true;
		at += len;
	}
	return true;
}

const char *sim_stamps_check(const struct sim_stamps *stamps, const struct memory_bucket *bucket,
			     bool torn, char text[200])
{
	static const char *const words[] = {"", "written", "synced", "in S3"};
	bool found[STAMPS_MAX] = {false};

	for (size_t i = 0; i < bucket->object_count; i++)
		if (!read_lines(stamps, bucket->objects[i], torn, found, text))
			return text;
	for (unsigned i = 0; i < stamps->count; i++) {
		if (stamps->stamps[i].promise == STAMP_NOTHING || found[i])
			continue;
		snprintf(text, 200, "line %u of node %d was %s and is lost", i,
			 stamps->stamps[i].node + 1, words[stamps->stamps[i].promise]);
		return text;
	}
	return NULL;
}

#include "tests/sim/sim_stamps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

enum { NUMBER_LEN = 6 }; /* "s00000" */

static unsigned add(struct sim_stamps *stamps, struct sim_stamp stamp)
{
	CHECK(stamps->count < STAMPS_MAX);
	stamps->stamps[stamps->count] = stamp;
	return stamps->count++;
}

unsigned sim_stamp_new(struct sim_stamps *stamps, int node)
{
	return add(stamps, (struct sim_stamp){STAMP_NOTHING, node, stamps->count, 0});
}

unsigned sim_stamp_raise(struct sim_stamps *stamps, int node, const struct sim_line *line)
{
	return add(stamps, (struct sim_stamp){STAMP_NOTHING, node, line->number, line->level + 1});
}

void sim_stamp_promise(struct sim_stamps *stamps, unsigned number, enum sim_promise promise)
{
	if (stamps->stamps[number].promise < promise)
		stamps->stamps[number].promise = promise;
}

/* Lines of several lengths, so that some cross the blocks of a disk. The shortest has no level. */
size_t sim_stamp_line(unsigned number, unsigned level, char line[STAMP_LINE_MAX])
{
	static const size_t pads[] = {0, 20, 300};
	size_t pad = pads[number % 7 % 3];

	snprintf(line, STAMP_LINE_MAX, "s%05u", number);
	memset(line + NUMBER_LEN, level ? 'a' + (int)level - 1 : '.', pad);
	line[NUMBER_LEN + pad] = '\n';
	return NUMBER_LEN + pad + 1;
}

static bool level_of(char pad, unsigned *level)
{
	*level = pad == '.' ? 0 : (unsigned)(pad - 'a') + 1;
	return pad == '.' || (pad >= 'a' && pad < 'a' + STAMP_LEVELS);
}

bool sim_stamp_parse(const struct sim_stamps *stamps, const char *text, size_t len, bool torn,
		     struct sim_line *line)
{
	char digits[NUMBER_LEN] = "", like[STAMP_LINE_MAX];
	unsigned level;

	if (len < NUMBER_LEN || *text != 's')
		return false;
	memcpy(digits, text + 1, NUMBER_LEN - 1);
	line->number = (unsigned)strtoul(digits, NULL, 10);
	if (line->number >= stamps->count || stamps->stamps[line->number].line != line->number)
		return false;
	line->len = sim_stamp_line(line->number, 0, like);
	if (line->len > len || memcmp(text, like, NUMBER_LEN) != 0 || text[line->len - 1] != '\n')
		return false;
	line->level = line->len > NUMBER_LEN + 1 ? STAMP_LEVELS : 0;
	for (size_t i = NUMBER_LEN; i < line->len - 1; i++) {
		if (!level_of(text[i], &level) || (!torn && text[i] != text[NUMBER_LEN]))
			return false;
		line->level = level < line->level ? level : line->level;
	}
	return true;
}

void sim_stamps_lose(struct sim_stamps *stamps, int node)
{
	for (unsigned i = 0; i < stamps->count; i++)
		if (stamps->stamps[i].node == node && stamps->stamps[i].promise == STAMP_WRITTEN)
			stamps->stamps[i].promise = STAMP_NOTHING;
}

struct found {
	bool here;	 /* in the object at hand */
	unsigned levels; /* 0: nowhere; else one more than the highest */
};

static bool take(struct found found[STAMPS_MAX], const struct sim_line *line,
		 const struct memory_object *object, char text[200])
{
	struct found *one = &found[line->number];

	if (one->here) {
		snprintf(text, 200, "%.80s has line %u twice", object->key, line->number);
		return false;
	}
	one->here = true;
	if (one->levels < line->level + 1)
		one->levels = line->level + 1;
	return true;
}

/* Marks the lines of one object as found. */
static bool read_lines(const struct sim_stamps *stamps, const struct memory_object *object,
		       bool torn, struct found found[STAMPS_MAX], char text[200])
{
	const char *data = (const char *)object->data;
	struct sim_line line;

	for (size_t at = 0; at < object->size; at += line.len) {
		if (!sim_stamp_parse(stamps, data + at, object->size - at, torn, &line)) {
			if (torn)
				return true;
			snprintf(text, 200, "%.80s has a torn line at byte %zu of %zu", object->key,
				 at, object->size);
			return false;
		}
		if (!take(found, &line, object, text))
			return false;
	}
	return true;
}

/* The same of a copy with gaps: each run of bytes that are no zeros may begin and end within a
 * line.
 */
static bool read_runs(const struct sim_stamps *stamps, const struct memory_object *object,
		      bool torn, struct found found[STAMPS_MAX], char text[200])
{
	const char *data = (const char *)object->data;
	size_t at = 0, end = 0;

	while (at < object->size) {
		struct sim_line line;

		while (end < object->size && (end < at || data[end] != '\0'))
			end++;
		if (sim_stamp_parse(stamps, data + at, end - at, torn, &line)) {
			if (!take(found, &line, object, text))
				return false;
			at += line.len;
		} else { /* what is cut, or zeros */
			while (at < end && data[at] != '\n')
				at++;
			at++;
		}
	}
	return true;
}

/* What its metadata says is here. What was written into it later is not in there. */
static bool has_ranges(const struct memory_object *object, const char *ranges, char text[200])
{
	while (*ranges >= '0' && *ranges <= '9') {
		char *end;
		size_t at = strtoull(ranges, &end, 10), last = strtoull(end + 1, &end, 10);

		for (; at <= last; at++)
			if (at >= object->size || object->data[at] == '\0') {
				snprintf(text, 200, "%.80s says that it has byte %zu, and has not",
					 object->key, at);
				return false;
			}
		ranges = *end == ',' ? end + 1 : end;
	}
	return true;
}

static bool read_object(const struct sim_stamps *stamps, const struct memory_object *object,
			bool torn, struct found found[STAMPS_MAX], char text[200])
{
	const char *valid = os_meta_get(&object->meta, "s3mount-valid");

	for (unsigned i = 0; i < stamps->count; i++)
		found[i].here = false;
	if (!valid)
		return read_lines(stamps, object, torn, found, text);
	return read_runs(stamps, object, torn, found, text) &&
	       (torn || has_ranges(object, valid, text));
}

const char *sim_stamps_check(const struct sim_stamps *stamps, const struct memory_bucket *bucket,
			     bool torn, char text[200])
{
	static const char *const words[] = {"", "written", "synced", "in S3"};
	struct found found[STAMPS_MAX] = {{false, 0}};

	for (size_t i = 0; i < bucket->object_count; i++)
		if (!read_object(stamps, bucket->objects[i], torn, found, text))
			return text;
	for (unsigned i = 0; i < stamps->count; i++) {
		const struct sim_stamp *stamp = &stamps->stamps[i];

		if (stamp->promise == STAMP_NOTHING || found[stamp->line].levels > stamp->level)
			continue;
		snprintf(text, 200, "line %u, level %u, of node %d was %s and is lost", stamp->line,
			 stamp->level, stamp->node + 1, words[stamp->promise]);
		return text;
	}
	return NULL;
}

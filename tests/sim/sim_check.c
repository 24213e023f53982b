#include "tests/sim/sim_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void sim_verdict_say(struct sim_verdict *verdict, const char *text)
{
	if (!verdict->ok)
		return;
	verdict->ok = false;
	snprintf(verdict->text, sizeof(verdict->text), "%s", text);
}

static struct sim_verdict wrong(const char *format, ...)
{
	struct sim_verdict verdict = {false, ""};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(verdict.text, sizeof(verdict.text), format, arguments);
	va_end(arguments);
	return verdict;
}

static bool same(const struct sim_entry *one, const struct sim_entry *other)
{
	if (one->kind != other->kind)
		return false;
	if (one->kind == SIM_ABSENT)
		return true;
	if (one->mode != other->mode)
		return false;
	return one->kind == SIM_DIRECTORY || sim_bytes_equal(one->bytes, other->bytes);
}

static void describe(const struct sim_entry *entry, char *out, size_t size)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	if (entry->kind == SIM_ABSENT || entry->kind == SIM_DIRECTORY) {
		snprintf(out, size, entry->kind == SIM_ABSENT ? "absent" : "directory %o",
			 entry->mode);
		return;
	}
	for (size_t i = 0; i < entry->bytes->size; i++)
		sum = (sum ^ entry->bytes->data[i]) * UINT64_C(0x100000001b3);
	snprintf(out, size, "%s %o of %zu bytes (%04x)", entry->kind == SIM_LINK ? "link" : "file",
		 entry->mode, entry->bytes->size, (unsigned)(sum >> 48));
}

static struct sim_verdict differ(const char *what, int path, const struct sim_entry *found,
				 const struct sim_entry *expected)
{
	char is[80], must[80];

	describe(found, is, sizeof(is));
	describe(expected, must, sizeof(must));
	return wrong("%s: %s is %s, not %s", what, sim_paths[path], is, must);
}

struct sim_verdict sim_check_same(const struct sim_tree *one, const struct sim_tree *other)
{
	for (int i = 0; i < SIM_PATHS; i++)
		if (!same(&one->entries[i], &other->entries[i]))
			return differ("node and bucket differ", i, &one->entries[i],
				      &other->entries[i]);
	return (struct sim_verdict){true, ""};
}

/* A write that a kill cut off, into a file that is here in part: what lies behind the ranges that
 * the row had before may be missing. */
static bool is_cut_write(const struct sim_history *history, int index, const unsigned char *data,
			 size_t size)
{
	if (index < 0 || index >= history->count ||
	    (history->steps[index].kind != STEP_WRITE && history->steps[index].kind != STEP_PUNCH))
		return false;
	for (int path = 0; path < SIM_PATHS; path++) {
		const struct sim_entry *before = &history->trees[index].entries[path];
		const struct sim_entry *after = &history->trees[index + 1].entries[path];
		size_t at = 0;

		if (before->kind != SIM_FILE || after->kind != SIM_FILE ||
		    before->bytes->size != size || after->bytes->size != size)
			continue;
		while (at < size && data[at] == after->bytes->data[at])
			at++;
		if (memcmp(data + at, before->bytes->data + at, size - at) == 0)
			return true;
	}
	return false;
}

bool sim_check_known(const struct sim_history *history, const void *data, size_t size)
{
	for (int i = 0; i < history->count; i++)
		if (is_cut_write(history, i, data, size))
			return true;
	for (int i = 0; i <= history->count; i++)
		for (int path = 0; path < SIM_PATHS; path++) {
			const struct sim_entry *entry = &history->trees[i].entries[path];

			if ((entry->kind == SIM_FILE || entry->kind == SIM_LINK) &&
			    entry->bytes->size == size &&
			    memcmp(entry->bytes->data, data, size) == 0)
				return true;
		}
	return false;
}

static bool same_tree(const struct sim_tree *one, const struct sim_tree *other)
{
	return sim_check_same(one, other).ok;
}

/* Each byte is one that was there at some time since. */
static bool is_mix(const struct sim_history *history, int path, int from, int to,
		   const struct sim_entry *found)
{
	size_t low = SIZE_MAX, high = 0;

	for (int j = from; j <= to; j++) {
		const struct sim_entry *entry = &history->trees[j].entries[path];

		if (entry->kind != SIM_FILE)
			continue;
		low = entry->bytes->size < low ? entry->bytes->size : low;
		high = entry->bytes->size > high ? entry->bytes->size : high;
	}
	if (found->kind != SIM_FILE || found->bytes->size < low || found->bytes->size > high)
		return false;
	for (size_t at = 0; at < found->bytes->size; at++) {
		unsigned char byte = found->bytes->data[at];
		bool known = false;

		for (int j = from; j <= to && !known; j++) {
			const struct sim_entry *entry = &history->trees[j].entries[path];

			if (entry->kind == SIM_FILE)
				known = byte ==
					(at < entry->bytes->size ? entry->bytes->data[at] : 0);
		}
		if (!known)
			return false;
	}
	return true;
}

static bool may_be(const struct sim_history *history, const struct sim_progress *progress, int path,
		   const struct sim_entry *found, bool overwrites)
{
	int from = progress->floor[path];

	for (int j = from; j <= progress->begun; j++) {
		const struct sim_entry *entry = &history->trees[j].entries[path];

		/* A chmod may be lost while a later rename is not. */
		if (same(found, entry) ||
		    (found->kind == SIM_DIRECTORY && entry->kind == SIM_DIRECTORY))
			return true;
	}
	return overwrites && is_mix(history, path, from, progress->begun, found);
}

/* What was synced is somewhere, unless it was removed or replaced since. */
static bool file_survives(const struct sim_history *history, const struct sim_progress *progress,
			  unsigned inode, const struct sim_tree *found, bool overwrites)
{
	bool there = false;

	for (int j = progress->synced[inode]; j <= progress->begun; j++) {
		bool linked = false;

		for (int path = 0; path < SIM_PATHS; path++) {
			const struct sim_entry *entry = &history->trees[j].entries[path];

			if (entry->kind != SIM_FILE || entry->inode != inode)
				continue;
			linked = true;
			there |= same(&found->entries[path], entry) ||
				 (overwrites && found->entries[path].kind == SIM_FILE);
		}
		if (!linked)
			return true;
	}
	return there;
}

static struct sim_verdict check_power_loss(const struct sim_history *history,
					   const struct sim_progress *progress,
					   const struct sim_tree *found, bool overwrites)
{
	for (int i = 0; i < SIM_PATHS; i++)
		if (!may_be(history, progress, i, &found->entries[i], overwrites))
			return differ("was never so since it was made safe", i, &found->entries[i],
				      &history->trees[progress->floor[i]].entries[i]);
	for (unsigned inode = 1; inode <= history->inodes; inode++)
		if (progress->synced[inode] &&
		    !file_survives(history, progress, inode, found, overwrites))
			return wrong("file number %u was synced and is lost", inode);
	return (struct sim_verdict){true, ""};
}

struct sim_verdict sim_check(const struct sim_history *history, const struct sim_progress *progress,
			     const struct sim_tree *found, bool power_loss, bool overwrites)
{
	int from = progress->acknowledged;

	/* A file that nobody has written or closed yet may be gone. */
	while (from > 0 && history->steps[from - 1].kind == STEP_OPEN)
		from--;
	if (power_loss)
		return check_power_loss(history, progress, found, overwrites);
	for (int j = from; j <= progress->begun; j++)
		if (same_tree(found, &history->trees[j]))
			return (struct sim_verdict){true, ""};
	for (int i = 0; i < SIM_PATHS; i++) {
		const struct sim_entry *expected =
			&history->trees[progress->acknowledged].entries[i];
		const struct sim_bytes *bytes = found->entries[i].bytes;

		if (!same(&found->entries[i], expected) &&
		    !(found->entries[i].kind == SIM_FILE && expected->kind == SIM_FILE &&
		      is_cut_write(history, progress->begun - 1, bytes->data, bytes->size)))
			return differ("lost after a kill", i, &found->entries[i], expected);
	}
	return (struct sim_verdict){true, ""};
}

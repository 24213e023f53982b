#include "fs/vfs/tree_note.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char take_back[] = "take back", take_back_below[] = "take back what is below";
static const char newest_is[] = "delete newest=", kept_is[] = " kept=";

bool tree_copy_has_moved(const char *note)
{
	return strncmp(note, newest_is, sizeof(newest_is) - 1) == 0;
}

static bool read_deletion(struct tree_copy *copy, const char *note)
{
	char *end;

	if (!tree_copy_has_moved(note))
		return false;
	copy->newest = strtoll(note + sizeof(newest_is) - 1, &end, 10);
	if (strncmp(end, kept_is, sizeof(kept_is) - 1) != 0)
		return false;
	copy->kept = strtoull(end + sizeof(kept_is) - 1, NULL, 10);
	return true;
}

enum tree_note_kind tree_note_read(struct tree_copy *copy, const char *note)
{
	bool below = strcmp(note, take_back_below) == 0;

	/* The ETag is of no use any more. */
	snprintf(copy->replaced, sizeof(copy->replaced), "%s", below ? "\"\"" : "");
	if (below || strcmp(note, take_back) == 0)
		return TREE_NOTE_TAKE_BACK;
	return read_deletion(copy, note) ? TREE_NOTE_DELETE : TREE_NOTE_NONE;
}

void tree_copy_note(const struct tree_copy *copy, char note[TREE_NOTE_MAX])
{
	note[0] = '\0';
	if (copy->state == TREE_BETWEEN)
		snprintf(note, TREE_NOTE_MAX, "%s",
			 copy->replaced[0] ? take_back_below : take_back);
	else if (copy->state == TREE_MOVED)
		snprintf(note, TREE_NOTE_MAX, "%s%" PRId64 "%s%zu", newest_is, copy->newest,
			 kept_is, copy->kept);
}

/* tree_note.h — what tree_copy_note says, read again; part of tree_copy.h. Pure. */
#ifndef FS_VFS_TREE_NOTE_H
#define FS_VFS_TREE_NOTE_H

#include "fs/vfs/tree_copy.h"

enum tree_note_kind {
	TREE_NOTE_NONE, /* copies are still to be made */
	TREE_NOTE_TAKE_BACK,
	TREE_NOTE_DELETE, /* the sources */
};

/* Fills in what else the note tells. What cannot be read is none. */
enum tree_note_kind tree_note_read(struct tree_copy *copy, const char *note);

#endif

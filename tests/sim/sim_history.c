#include "tests/sim/sim_history.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"

void sim_history_init(struct sim_history *history)
{
	memset(history, 0, sizeof(*history));
}

void sim_history_free(struct sim_history *history)
{
	sim_arena_free(&history->arena);
}

unsigned sim_history_new_inode(struct sim_history *history)
{
	CHECK(history->inodes + 1 < INODES_MAX);
	return ++history->inodes;
}

void sim_step_data(const struct sim_history *history, int index, unsigned char *data, size_t len)
{
	uint64_t offset = history->steps[index].offset;

	for (size_t i = 0; i < len; i++) {
		uint64_t value = (offset + i + 1 + ((uint64_t)(unsigned)index << 40)) *
				 UINT64_C(0x9e3779b97f4a7c15);

		data[i] = (unsigned char)(value >> 56 | 1); /* never a zero */
	}
}

static int path_of(const struct sim_tree *tree, unsigned inode)
{
	for (int i = 0; i < SIM_PATHS; i++)
		if (tree->entries[i].kind == SIM_FILE && tree->entries[i].inode == inode)
			return i;
	return -1;
}

/* The file of this size: what was there, then zeros. */
static struct sim_bytes *resized(struct sim_history *history, const struct sim_bytes *old,
				 size_t size)
{
	struct sim_bytes *bytes = sim_bytes_new(&history->arena, NULL, size);

	memcpy(bytes->data, old->data, old->size < size ? old->size : size);
	return bytes;
}

static bool parent_exists(const struct sim_tree *tree, int path)
{
	int parent = sim_path_parent(path);

	return parent < 0 || tree->entries[parent].kind == SIM_DIRECTORY;
}

static bool apply_open(struct sim_history *history, struct sim_state *state,
		       const struct sim_step *step)
{
	struct sim_tree *tree = &state->tree;
	struct sim_entry *entry = &tree->entries[step->path];

	if (entry->kind == SIM_DIRECTORY || entry->kind == SIM_LINK ||
	    !parent_exists(tree, step->path) ||
	    (entry->kind == SIM_ABSENT && !(step->flags & O_CREAT)))
		return false;
	if (entry->kind == SIM_ABSENT)
		*entry = (struct sim_entry){SIM_FILE, sim_history_new_inode(history), 0644,
					    sim_bytes_new(&history->arena, NULL, 0)};
	if (step->flags & O_TRUNC)
		entry->bytes = sim_bytes_new(&history->arena, NULL, 0);
	state->open[step->handle] = entry->inode;
	return true;
}

static bool apply_write(struct sim_history *history, struct sim_state *state, int index)
{
	struct sim_step *step = &history->steps[index];
	unsigned inode = state->open[step->handle];
	int path = path_of(&state->tree, inode);
	struct sim_bytes *bytes;
	size_t end, size;

	if (!inode)
		return false;
	if (path < 0)
		return true; /* it has no name any more */
	size = state->tree.entries[path].bytes->size;
	if (step->kind == STEP_APPEND && index == history->count)
		step->offset = size; /* as the program sees it, if nothing fails */
	end = (size_t)(step->offset + step->len);
	bytes = resized(history, state->tree.entries[path].bytes, end > size ? end : size);
	sim_step_data(history, index, bytes->data + step->offset, (size_t)step->len);
	state->tree.entries[path].bytes = bytes;
	return true;
}

static bool apply_punch(struct sim_history *history, struct sim_state *state,
			const struct sim_step *step)
{
	unsigned inode = state->open[step->handle];
	int path = path_of(&state->tree, inode);
	struct sim_bytes *bytes;

	if (!inode)
		return false;
	if (path < 0)
		return true;
	bytes = resized(history, state->tree.entries[path].bytes,
			state->tree.entries[path].bytes->size);
	for (size_t i = (size_t)step->offset; i < step->offset + step->len && i < bytes->size; i++)
		bytes->data[i] = 0;
	state->tree.entries[path].bytes = bytes;
	return true;
}

static bool apply_copy(struct sim_history *history, struct sim_state *state,
		       const struct sim_step *step)
{
	const struct sim_entry *source = &state->tree.entries[step->path];
	unsigned inode = state->open[step->handle];
	int path = path_of(&state->tree, inode);
	struct sim_bytes *bytes;
	size_t size;

	if (!inode || source->kind != SIM_FILE)
		return false;
	if (path < 0 || source->inode == inode)
		return true;
	size = state->tree.entries[path].bytes->size;
	bytes = resized(history, state->tree.entries[path].bytes,
			size > source->bytes->size ? size : source->bytes->size);
	memcpy(bytes->data, source->bytes->data, source->bytes->size);
	state->tree.entries[path].bytes = bytes;
	return true;
}

static bool apply_rename(struct sim_tree *tree, int from, int to)
{
	struct sim_entry *source = &tree->entries[from], *target = &tree->entries[to];

	if (source->kind == SIM_ABSENT || !parent_exists(tree, to))
		return false;
	if (source->kind != SIM_DIRECTORY) {
		if (target->kind == SIM_DIRECTORY)
			return false;
		if (from != to) {
			*target = *source;
			*source = (struct sim_entry){.kind = SIM_ABSENT};
		}
		return true;
	}
	if (from == to)
		return true;
	if (target->kind == SIM_FILE || target->kind == SIM_LINK || sim_path_is_below(to, from) ||
	    sim_tree_has_children(tree, to))
		return false;
	for (int i = 0; i < SIM_PATHS; i++)
		if (sim_path_is_below(i, from) && tree->entries[i].kind != SIM_ABSENT) {
			int moved = sim_path_moved(i, from, to);

			CHECK(moved >= 0);
			tree->entries[moved] = tree->entries[i];
			tree->entries[i].kind = SIM_ABSENT;
		}
	*target = *source;
	source->kind = SIM_ABSENT;
	return true;
}

static bool apply_exchange(struct sim_history *history, struct sim_tree *tree, int one, int other)
{
	struct sim_tree before = *tree;

	if (tree->entries[one].kind == SIM_ABSENT || tree->entries[other].kind == SIM_ABSENT ||
	    sim_path_is_below(one, other) || sim_path_is_below(other, one))
		return false;
	if (one == other)
		return true;
	for (int i = 0; i < SIM_PATHS; i++) {
		int moved = sim_path_is_below(i, one)	  ? sim_path_moved(i, one, other)
			    : sim_path_is_below(i, other) ? sim_path_moved(i, other, one)
			    : i == one			  ? other
			    : i == other		  ? one
							  : i;

		if (moved >= 0)
			tree->entries[moved] = before.entries[i];
		else
			history->beyond |= before.entries[i].kind != SIM_ABSENT;
	}
	return true;
}

static bool apply(struct sim_history *history, struct sim_state *state, int index)
{
	struct sim_step *step = &history->steps[index];
	struct sim_tree *tree = &state->tree;
	struct sim_entry *entry = &tree->entries[step->path];

	switch (step->kind) {
	case STEP_OPEN: return apply_open(history, state, step);
	case STEP_WRITE:
	case STEP_APPEND: return apply_write(history, state, index);
	case STEP_COPY: return apply_copy(history, state, step);
	case STEP_PUNCH: return apply_punch(history, state, step);
	case STEP_FSYNC:
	case STEP_CLOSE: return state->open[step->handle] != 0;
	case STEP_TRUNCATE:
		if (entry->kind != SIM_FILE)
			return false;
		entry->bytes = resized(history, entry->bytes, (size_t)step->offset);
		return true;
	case STEP_RENAME: return apply_rename(tree, step->path, step->other);
	case STEP_EXCHANGE: return apply_exchange(history, tree, step->path, step->other);
	case STEP_UNLINK:
		if (entry->kind != SIM_FILE && entry->kind != SIM_LINK)
			return false;
		entry->kind = SIM_ABSENT;
		return true;
	case STEP_MKDIR:
		if (entry->kind != SIM_ABSENT || !parent_exists(tree, step->path))
			return false;
		*entry = (struct sim_entry){SIM_DIRECTORY, 0, 0750, NULL};
		return true;
	case STEP_SYMLINK:
		if (entry->kind != SIM_ABSENT || !parent_exists(tree, step->path))
			return false;
		*entry = (struct sim_entry){
			SIM_LINK, 0, 0777,
			sim_bytes_new(&history->arena, SIM_LINK_TARGET, strlen(SIM_LINK_TARGET))};
		return true;
	case STEP_RMDIR:
		if (entry->kind != SIM_DIRECTORY || sim_tree_has_children(tree, step->path))
			return false;
		entry->kind = SIM_ABSENT;
		return true;
	case STEP_READ: return entry->kind == SIM_FILE;
	case STEP_CHMOD:
		if (entry->kind == SIM_ABSENT)
			return false;
		entry->mode = (unsigned)step->offset;
		return true;
	default: return true;
	}
}

bool sim_step_apply(struct sim_history *history, struct sim_state *state, int index)
{
	const struct sim_step *step = &history->steps[index];
	bool applied = apply(history, state, index);

	if (step->kind == STEP_CLOSE)
		state->open[step->handle] = 0;
	return applied;
}

void sim_history_add(struct sim_history *history, struct sim_step step)
{
	int index = history->count;
	unsigned open;

	CHECK(index < STEPS_MAX);
	if (index == 0)
		history->state.tree = history->trees[0];
	history->steps[index] = step;
	open = history->state.open[step.handle];
	history->fails[index] = !sim_step_apply(history, &history->state, index);
	history->trees[index + 1] = history->state.tree;
	history->count++;
	/* The file behind the handle, for sim_progress_take. */
	if (step.kind == STEP_OPEN)
		open = history->state.open[step.handle];
	if (step.kind != STEP_RENAME && step.kind != STEP_EXCHANGE)
		history->steps[index].other = (int)open;
}

static void raise_all(struct sim_progress *progress, const struct sim_history *history, int after)
{
	for (int i = 0; i < SIM_PATHS; i++) {
		progress->floor[i] = after;
		if (history->trees[after].entries[i].kind == SIM_FILE)
			progress->synced[history->trees[after].entries[i].inode] = after;
	}
}

static void raise_file(struct sim_progress *progress, const struct sim_history *history, int after,
		       unsigned inode)
{
	int path = path_of(&history->trees[after], inode);

	progress->synced[inode] = after;
	if (path >= 0)
		progress->floor[path] = after;
}

static void raise_moved(struct sim_progress *progress, int from, int to, int after,
			const bool in_bucket[SIM_PATHS])
{
	for (int i = 0; i < SIM_PATHS; i++) {
		int moved;

		if (!in_bucket[i] || (i != from && !sim_path_is_below(i, from)))
			continue;
		progress->floor[i] = after;
		moved = to < 0 ? -1 : sim_path_moved(i, from, to);
		if (moved >= 0)
			progress->floor[moved] = after;
	}
}

/* What S3 had is changed there, or the step has not succeeded. */
static void raise_names(struct sim_progress *progress, const struct sim_step *step, int after,
			const bool in_bucket[SIM_PATHS])
{
	bool moves = step->kind == STEP_RENAME || step->kind == STEP_EXCHANGE;

	raise_moved(progress, step->path, moves ? step->other : -1, after, in_bucket);
	if (step->kind == STEP_EXCHANGE)
		raise_moved(progress, step->other, step->path, after, in_bucket);
}

static bool is_open(const struct sim_history *history, int index, unsigned inode)
{
	unsigned open[STEP_HANDLES] = {0};

	for (int i = 0; i < index; i++) {
		const struct sim_step *step = &history->steps[i];

		if (step->kind == STEP_OPEN && !history->fails[i])
			open[step->handle] = (unsigned)step->other;
		else if (step->kind == STEP_CLOSE)
			open[step->handle] = 0;
	}
	for (int i = 0; i < STEP_HANDLES; i++)
		if (open[i] == inode)
			return true;
	return false;
}

void sim_progress_take(struct sim_progress *progress, const struct sim_history *history, int index,
		       bool close_is_s3, const bool in_bucket[SIM_PATHS])
{
	const struct sim_step *step = &history->steps[index];
	int after = index + 1;

	progress->acknowledged = progress->begun = after;
	if (history->fails[index])
		return;
	switch (step->kind) {
	case STEP_FSYNC: raise_file(progress, history, after, (unsigned)step->other); break;
	case STEP_CLOSE:
		if (close_is_s3)
			raise_file(progress, history, after, (unsigned)step->other);
		break;
	case STEP_TRUNCATE:
		/* Else its close publishes it. */
		if (close_is_s3 &&
		    !is_open(history, index, history->trees[after].entries[step->path].inode))
			raise_file(progress, history, after,
				   history->trees[after].entries[step->path].inode);
		break;
	case STEP_MKDIR:
	case STEP_SYMLINK:
		if (close_is_s3)
			progress->floor[step->path] = after;
		break;
	case STEP_SYNC_DIR: raise_all(progress, history, after); break;
	case STEP_RENAME:
	case STEP_EXCHANGE:
	case STEP_UNLINK:
	case STEP_RMDIR: raise_names(progress, step, after, in_bucket); break;
	default: break;
	}
}

void sim_step_print(const struct sim_history *history, int index, char *out, size_t size)
{
	static const char *const names[STEP_KINDS] = {
		"open",	    "write",  "append",	  "copy",   "punch", "fsync",	"close",
		"truncate", "rename", "exchange", "unlink", "mkdir", "symlink", "rmdir",
		"chmod",    "evict",  "sync",	  "pause",  "read"};
	const struct sim_step *step = &history->steps[index];
	bool two = step->kind == STEP_RENAME || step->kind == STEP_EXCHANGE;
	bool by_handle = step->kind >= STEP_WRITE && step->kind <= STEP_CLOSE;

	snprintf(out, size, "%s %s%s%s%s%s +%llu %llu%s", names[step->kind],
		 by_handle ? (step->handle ? "#1" : "#0") : sim_paths[step->path], two ? " " : "",
		 two ? sim_paths[step->other] : "", step->flags & O_CREAT ? " creat" : "",
		 step->flags & O_TRUNC ? " trunc" : "", (unsigned long long)step->offset,
		 (unsigned long long)step->len, history->fails[index] ? " (fails)" : "");
}

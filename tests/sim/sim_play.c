#include "tests/sim/sim_play.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/check.h"
#include "fs/vfs/inode.h"
#include "tests/sim/sim_memory.h"
#include "tests/unit/vfs_path.h"

static const struct vfs_caller caller = {1000, 1000, 42, 0};

static int find(struct sim_node *node, int path, struct stat *out)
{
	const char *name;
	uint64_t parent;
	int err = vfs_path_parent(node->vfs, caller, sim_paths[path], &parent, &name);

	return err ? err : vfs_path_look(node->vfs, caller, parent, name, out);
}

static int play_open(struct sim_player *player, const struct sim_step *step)
{
	struct sim_node *node = player->node;
	struct vfs_handle **handle = &player->handles[step->handle];
	struct stat found;
	const char *name;
	uint64_t parent;
	bool keep;
	int err = vfs_path_parent(node->vfs, caller, sim_paths[step->path], &parent, &name);

	if (err)
		return err;
	err = vfs_path_look(node->vfs, caller, parent, name, &found);
	if (err == -ENOENT && (step->flags & O_CREAT)) {
		err = vfs_create(node->vfs, caller, parent, name, 0644, O_RDWR, handle, &found);
		if (!err)
			vfs_forget(node->vfs, found.st_ino, 1);
	} else if (!err) {
		err = vfs_open(node->vfs, caller, found.st_ino, O_RDWR | (step->flags & O_TRUNC),
			       handle, &keep);
	}
	if (err)
		*handle = NULL;
	return err;
}

static int play_write(struct sim_player *player, int index)
{
	const struct sim_step *step = &player->history->steps[index];
	unsigned char *data = malloc((size_t)step->len);
	ssize_t got;

	CHECK(data != NULL);
	sim_step_data(player->history, index, data, (size_t)step->len);
	got = vfs_write(player->handles[step->handle], data, (size_t)step->len, step->offset);
	free(data);
	return got < 0 ? (int)got : got == (ssize_t)step->len ? 0 : -EIO;
}

static int play_copy(struct sim_player *player, const struct sim_step *step)
{
	enum { MOST = 1 << 20 };
	struct sim_node *node = player->node;
	struct vfs_handle *from;
	struct stat found;
	uint64_t offset = 0;
	bool keep;
	ssize_t got;
	int err = find(node, step->path, &found);

	if (!err)
		err = vfs_open(node->vfs, caller, found.st_ino, O_RDONLY, &from, &keep);
	if (err)
		return err;
	do {
		got = vfs_copy_range(from, offset, player->handles[step->handle], offset, MOST);
		offset += got > 0 ? (uint64_t)got : 0;
	} while (got > 0);
	vfs_release(from);
	return (int)got;
}

static int play_close(struct sim_player *player, int handle)
{
	int err = vfs_flush(player->handles[handle]);

	vfs_release(player->handles[handle]);
	player->handles[handle] = NULL;
	return err;
}

static int set(struct sim_node *node, int path, struct stat values, unsigned which)
{
	struct stat found;
	int err = find(node, path, &found);

	return err ? err : vfs_setattr(node->vfs, found.st_ino, NULL, &values, which, &found);
}

static ssize_t read_range(struct sim_node *node, uint64_t ino, void *data, size_t len,
			  uint64_t offset)
{
	struct vfs_handle *handle;
	bool keep;
	ssize_t got;
	int err = vfs_open(node->vfs, caller, ino, O_RDONLY, &handle, &keep);

	if (err)
		return err;
	got = vfs_read(handle, data, len, offset);
	vfs_release(handle);
	return got;
}

/* -EUCLEAN: these are not the file's bytes. */
static int play_read(struct sim_player *player, int index)
{
	const struct sim_step *step = &player->history->steps[index];
	const struct sim_bytes *bytes = player->history->trees[index].entries[step->path].bytes;
	unsigned char *data = malloc((size_t)step->len);
	struct stat found;
	size_t wanted = 0;
	ssize_t got = find(player->node, step->path, &found);

	CHECK(data != NULL);
	if (got == 0)
		got = read_range(player->node, found.st_ino, data, (size_t)step->len, step->offset);
	if (got >= 0 && player->exact) {
		if (step->offset < bytes->size)
			wanted = bytes->size - (size_t)step->offset;
		if (wanted > step->len)
			wanted = (size_t)step->len;
		if ((size_t)got != wanted || memcmp(data, bytes->data + step->offset, wanted) != 0)
			got = -EUCLEAN;
	}
	free(data);
	return got < 0 ? (int)got : 0;
}

static int play_make(struct sim_node *node, int path, mode_t mode, const char *target)
{
	struct stat made;
	const char *name;
	uint64_t parent;
	int err = vfs_path_parent(node->vfs, caller, sim_paths[path], &parent, &name);

	if (!err)
		err = vfs_make(node->vfs, caller, parent, name, mode, 0, target, &made);
	if (!err)
		vfs_forget(node->vfs, made.st_ino, 1);
	return err;
}

static int play_remove(struct sim_node *node, int path, bool directory)
{
	const char *name;
	uint64_t parent;
	int err = vfs_path_parent(node->vfs, caller, sim_paths[path], &parent, &name);

	if (err)
		return err;
	return directory ? vfs_rmdir(node->vfs, parent, name) : vfs_unlink(node->vfs, parent, name);
}

static int play_rename(struct sim_node *node, int from, int to, unsigned flags)
{
	const char *from_name, *to_name;
	uint64_t from_parent, to_parent;
	int err = vfs_path_parent(node->vfs, caller, sim_paths[from], &from_parent, &from_name);

	if (!err)
		err = vfs_path_parent(node->vfs, caller, sim_paths[to], &to_parent, &to_name);
	return err ? err : vfs_rename(node->vfs, from_parent, from_name, to_parent, to_name, flags);
}

static int play_step(struct sim_player *player, int index)
{
	const struct sim_step *step = &player->history->steps[index];
	struct sim_node *node = player->node;
	struct stat values = {.st_size = (off_t)step->offset, .st_mode = (mode_t)step->offset};

	switch (step->kind) {
	case STEP_OPEN: return play_open(player, step);
	case STEP_WRITE:
	case STEP_APPEND: return play_write(player, index);
	case STEP_COPY: return play_copy(player, step);
	case STEP_PUNCH:
		return vfs_fallocate(player->handles[step->handle],
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, step->offset,
				     step->len);
	case STEP_FSYNC: return vfs_fsync(player->handles[step->handle]);
	case STEP_CLOSE: return play_close(player, step->handle);
	case STEP_TRUNCATE: return set(node, step->path, values, VFS_SET_SIZE);
	case STEP_RENAME: return play_rename(node, step->path, step->other, 0);
	case STEP_EXCHANGE: return play_rename(node, step->path, step->other, RENAME_EXCHANGE);
	case STEP_READ: return play_read(player, index);
	case STEP_UNLINK: return play_remove(node, step->path, false);
	case STEP_MKDIR: return play_make(node, step->path, S_IFDIR | 0750, NULL);
	case STEP_SYMLINK: return play_make(node, step->path, S_IFLNK | 0777, SIM_LINK_TARGET);
	case STEP_RMDIR: return play_remove(node, step->path, true);
	case STEP_CHMOD: return set(node, step->path, values, VFS_SET_MODE);
	case STEP_EVICT: sim_evict(node); return 0;
	case STEP_SYNC_DIR:
		return vfs_fsyncdir(node->vfs, VFS_ROOT, env_after(&node->env, 300 * NSEC_PER_SEC));
	default: sim_sleep(node->world, step->offset * NSEC_PER_MSEC); return 0;
	}
}

static void look_at_bucket(const struct sim_node *node, bool in_bucket[SIM_PATHS])
{
	const struct memory_bucket *bucket = &node->world->memory->bucket;
	char marker[64];

	for (int i = 0; i < SIM_PATHS; i++) {
		snprintf(marker, sizeof(marker), "%s/", sim_paths[i]);
		in_bucket[i] = memory_bucket_find(bucket, sim_paths[i]) ||
			       memory_bucket_find(bucket, marker);
	}
}

int sim_play(struct sim_player *player, int index)
{
	const struct sim_step *step = &player->history->steps[index];
	bool in_bucket[SIM_PATHS];
	int err;

	look_at_bucket(player->node, in_bucket);
	player->progress.begun = index + 1;
	if (step->kind >= STEP_WRITE && step->kind <= STEP_CLOSE && !player->handles[step->handle])
		err = -EBADF;
	else
		err = play_step(player, index);
	if (!err == !player->history->fails[index])
		sim_progress_take(&player->progress, player->history, index,
				  player->node->config.close == PUBLISH_S3, in_bucket);
	return err;
}

void sim_player_end(struct sim_player *player)
{
	for (int i = 0; i < STEP_HANDLES; i++)
		if (player->handles[i])
			play_close(player, i);
}

static int read_file(struct sim_node *node, uint64_t ino, struct sim_entry *entry,
		     struct sim_arena *arena)
{
	unsigned char *data = malloc(SIM_FILE_MAX);
	ssize_t got;

	CHECK(data != NULL);
	got = read_range(node, ino, data, SIM_FILE_MAX, 0);
	if (got >= 0)
		entry->bytes = sim_bytes_new(arena, data, (size_t)got);
	free(data);
	return got < 0 ? (int)got : 0;
}

static int read_link(struct sim_node *node, uint64_t ino, struct sim_entry *entry,
		     struct sim_arena *arena)
{
	char *target = NULL;
	int err = vfs_readlink(node->vfs, ino, &target);

	if (!err)
		entry->bytes = sim_bytes_new(arena, target, strlen(target));
	free(target);
	return err;
}

static int look_into(struct sim_node *node, uint64_t ino, const char *above, struct sim_tree *tree,
		     struct sim_arena *arena)
{
	struct vfs_directory *directory;
	struct vfs_dirent entry;
	bool more = true;
	int err = vfs_opendir(node->vfs, ino, &directory);

	if (err)
		return err;
	for (uint64_t position = 2; !err && more; position++) {
		char name[300];
		struct stat found;
		int path;

		err = vfs_readdir(directory, position, false, &entry, &more);
		if (err || !more || entry.attributes.st_ino == 0)
			continue;
		snprintf(name, sizeof(name), "%s%s", above, entry.name);
		path = sim_path(name);
		if (path < 0) {
			err = -EUCLEAN;
			break;
		}
		err = vfs_path_look(node->vfs, caller, ino, sim_paths[path] + strlen(above),
				    &found);
		if (err)
			break;
		tree->entries[path] = (struct sim_entry){S_ISDIR(found.st_mode)	  ? SIM_DIRECTORY
							 : S_ISLNK(found.st_mode) ? SIM_LINK
										  : SIM_FILE,
							 0, found.st_mode & 07777, NULL};
		if (S_ISDIR(found.st_mode)) {
			snprintf(name, sizeof(name), "%s/", sim_paths[path]);
			err = look_into(node, found.st_ino, name, tree, arena);
		} else if (S_ISLNK(found.st_mode)) {
			err = read_link(node, found.st_ino, &tree->entries[path], arena);
		} else {
			err = read_file(node, found.st_ino, &tree->entries[path], arena);
		}
	}
	vfs_releasedir(directory);
	return err;
}

int sim_play_look(struct sim_node *node, struct sim_tree *tree, struct sim_arena *arena)
{
	memset(tree, 0, sizeof(*tree));
	return look_into(node, VFS_ROOT, "", tree, arena);
}

void sim_put_base(struct sim_world *world, const struct sim_history *history)
{
	for (int i = 0; i < SIM_PATHS; i++) {
		const struct sim_entry *entry = &history->trees[0].entries[i];
		struct os_request request = {.op = OS_PUT, .key = sim_paths[i]};
		struct memory_object *object;
		unsigned char *data;

		if (entry->kind != SIM_FILE)
			continue;
		object = memory_object_new(&request);
		data = malloc(entry->bytes->size + 1);
		CHECK(data != NULL);
		memcpy(data, entry->bytes->data, entry->bytes->size);
		memory_object_fill(object, data, entry->bytes->size);
		memory_bucket_insert(&world->memory->bucket, object);
	}
}

static char where_label[400], where[500];

/* Of user time, for one run: none needs a second. One that spins between two steps cannot be told
 * by counting them. */
static const struct itimerval spins = {.it_value = {.tv_sec = 20}};

static void say_where(int number)
{
	const char *what = number == SIGVTALRM ? "FAILED: it spins" : "FAILED: the program";
	ssize_t written = write(STDOUT_FILENO, what, strlen(what));

	if (written > 0)
		written = write(STDOUT_FILENO, where, strlen(where));
	(void)written;
	signal(number, SIG_DFL);
	raise(number);
}

static const char *program(void)
{
	return sim_memory_start ? "sim-alloc" : "sim";
}

void sim_set_where(const char *label)
{
	snprintf(where_label, sizeof(where_label), "%s", label);
	snprintf(where, sizeof(where), ": build/bin/%s %s\n", program(), where_label);
	signal(SIGABRT, say_where);
	signal(SIGSEGV, say_where);
	signal(SIGVTALRM, say_where);
	CHECK(setitimer(ITIMER_VIRTUAL, &spins, NULL) == 0);
}

void sim_violation(const char *what, const char *label)
{
	if (label)
		snprintf(where_label, sizeof(where_label), "%s", label);
	printf("FAILED: %s: build/bin/%s %s\n", what, program(), where_label);
	fflush(stdout);
}

#include "tests/sim/sim_programs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "tests/unit/vfs_path.h"

/* Longer than any call may take: two waits for a publication and one for room. */
#define CALL_MAX (700 * NSEC_PER_SEC)
enum { PROGRAMS = 2 }; /* on each node */

static const char *const names[SHARED_FILES] = {"f", "g", "d/h"};
static const struct vfs_caller caller = {1000, 1000, 42, 0};

bool run_chance(struct run *run, unsigned of_thousand)
{
	return sim_draw(run->world, 1000) < of_thousand;
}

/* Which lines each object has now, and their levels. */
static void show(const struct run *run)
{
	const struct memory_bucket *bucket = &run->world->memory->bucket;

	for (size_t i = 0; run->verbose && i < bucket->object_count; i++) {
		const struct memory_object *object = bucket->objects[i];
		const char *data = (const char *)object->data;
		struct sim_line line;

		printf("   %s:", object->key);
		for (size_t at = 0; at < object->size; at += line.len) {
			line.len = 1;
			if (sim_stamp_parse(&run->stamps, data + at, object->size - at, true,
					    &line))
				printf(" %u.%u", line.number, line.level);
		}
		printf("\n");
	}
}

/* ---- what programs do ---- */

int program_open(struct mount *mount, const char *path, int flags, struct vfs_handle **handle)
{
	struct vfs *vfs = mount->node.vfs;
	struct stat found;
	const char *name;
	uint64_t parent;
	bool keep;
	int err = vfs_path_parent(vfs, caller, path, &parent, &name);

	if (err == -ENOENT) { /* its directory */
		err = vfs_make(vfs, caller, VFS_ROOT, "d", S_IFDIR | 0755, 0, NULL, &found);
		if (!err)
			vfs_forget(vfs, found.st_ino, 1);
		if (!err || err == -EEXIST)
			err = vfs_path_parent(vfs, caller, path, &parent, &name);
	}
	if (err)
		return err;
	err = vfs_path_look(vfs, caller, parent, name, &found);
	if (!err)
		return vfs_open(vfs, caller, found.st_ino, flags, handle, &keep);
	if (err != -ENOENT || (flags & O_ACCMODE) == O_RDONLY)
		return err;
	err = vfs_create(vfs, caller, parent, name, 0644, flags | O_CREAT, handle, &found);
	if (!err)
		vfs_forget(vfs, found.st_ino, 1);
	return err;
}

ssize_t program_read(struct vfs_handle *handle, char *data)
{
	size_t len = 0;
	ssize_t got;

	while ((got = vfs_read(handle, data + len, SHARED_DATA_MAX - len, len)) > 0)
		len += (size_t)got;
	return got < 0 ? got : (ssize_t)len;
}

static int write_all(struct vfs_handle *handle, const char *data, size_t len, uint64_t offset)
{
	ssize_t got = vfs_write(handle, data, len, offset);

	return got < 0 ? (int)got : (size_t)got == len ? 0 : -EIO;
}

enum change { CHANGE_REWRITE, CHANGE_APPEND, CHANGE_RAISE };

/* What one program does between open and close. */
struct work {
	struct mount *mount;
	struct vfs_handle *handle;
	char *data;
	unsigned numbers[2]; /* of its changes */
	unsigned count;
};

static void promise(const struct work *work, enum sim_promise promised)
{
	for (unsigned i = 0; i < work->count; i++)
		sim_stamp_promise(&work->mount->run->stamps, work->numbers[i], promised);
}

/* What was acknowledged before the process died is promised. */
static int write_change(struct work *work, unsigned number, const char *data, size_t len,
			uint64_t offset)
{
	struct run *run = work->mount->run;
	int err = write_all(work->handle, data, len, offset);

	if (run->verbose)
		printf("   line %u, level %u by %s: %d\n", run->stamps.stamps[number].line,
		       run->stamps.stamps[number].level, work->mount->node.name, err);
	if (err || work->mount->dead)
		return err;
	work->numbers[work->count++] = number;
	promise(work, STAMP_WRITTEN);
	return 0;
}

static bool is_over(const struct mount *mount)
{
	return mount->dead || mount->run->stamps.count == STAMPS_MAX;
}

static int add_line(struct work *work, bool append)
{
	struct mount *mount = work->mount;
	struct run *run = mount->run;
	ssize_t len = append ? 0 : program_read(work->handle, work->data);
	unsigned number;

	if (len < 0)
		return (int)len;
	if (run_chance(run, 300))
		sim_sleep(run->world, sim_draw(run->world, 100 * NSEC_PER_MSEC));
	if (is_over(mount))
		return -ENOTCONN;
	number = sim_stamp_new(&run->stamps, mount->slot);
	len += (ssize_t)sim_stamp_line(number, 0, work->data + len);
	return write_change(work, number, work->data, (size_t)len, append ? VFS_AT_END : 0);
}

/* The first line that has levels, in what a program has read from the middle of a file. */
static bool find_line(const struct run *run, const char *data, size_t len, bool at_start,
		      size_t *at, struct sim_line *line)
{
	for (*at = 0; *at < len; ++*at) {
		if (*at == 0 ? !at_start : data[*at - 1] != '\n')
			continue;
		if (sim_stamp_parse(&run->stamps, data + *at, len - *at, run->power_lost, line) &&
		    sim_stamp_line(line->number, 1, (char[STAMP_LINE_MAX]){0}) > 7 &&
		    line->level + 1 < STAMP_LEVELS)
			return true;
	}
	return false;
}

/* One line somewhere, of which no more than what is around it is read. */
static int raise_line(struct work *work)
{
	struct mount *mount = work->mount;
	struct run *run = mount->run;
	char text[STAMP_LINE_MAX];
	struct sim_line line;
	uint64_t size, offset;
	size_t at;
	ssize_t len;

	if (vfs_seek(work->handle, 0, true, &size))
		return 0; /* it is empty */
	offset = sim_draw(run->world, size);
	len = vfs_read(work->handle, work->data, (size_t)2 * STAMP_LINE_MAX, offset);
	if (len < 0)
		return (int)len;
	if (is_over(mount))
		return -ENOTCONN;
	if (!find_line(run, work->data, (size_t)len, offset == 0, &at, &line))
		return 0;
	sim_stamp_line(line.number, line.level + 1, text);
	return write_change(work, sim_stamp_raise(&run->stamps, mount->slot, &line), text, line.len,
			    offset + at);
}

static int change_open(struct work *work, enum change change)
{
	struct mount *mount = work->mount;
	struct run *run = mount->run;
	const struct vfs_config *config = &mount->node.config;
	int err = change == CHANGE_RAISE ? raise_line(work)
					 : add_line(work, change == CHANGE_APPEND);

	if (!err && change == CHANGE_RAISE && run_chance(run, 500))
		err = raise_line(work);
	if (err || mount->dead)
		return err;
	if (run_chance(run, 300) && vfs_fsync(work->handle) == 0 && !mount->dead)
		promise(work, config->fsync == PUBLISH_S3 ? STAMP_IN_S3 : STAMP_SYNCED);
	err = vfs_flush(work->handle);
	if (!err && !mount->dead && config->close == PUBLISH_S3)
		promise(work, STAMP_IN_S3);
	return err;
}

static bool may_return(const struct mount *mount, int err)
{
	const struct run *run = mount->run;

	if (!err || err == -ESTALE || mount->dead)
		return true;
	/* Others may have replaced what it was about to open. */
	if (err == -ENOENT)
		return run->node_count > 1 || run->client || run->fault_chance > 0;
	return run->fault_chance > 0;
}

static void change(struct mount *mount)
{
	struct run *run = mount->run;
	static const char *const what[] = {"change", "append", "raise"};
	int file = (int)sim_draw(run->world, SHARED_FILES);
	enum change kind = run->large		  ? (enum change)sim_draw(run->world, 3)
			   : run_chance(run, 500) ? CHANGE_APPEND
						  : CHANGE_REWRITE;
	uint64_t begin = env_now(&mount->node.env);
	struct work work = {.mount = mount};
	char text[120];
	int err;

	if (mount->busy[file])
		return;
	mount->busy[file] = true;
	if (run->large && run_chance(run, 300))
		sim_evict(&mount->node);
	work.data = malloc(SHARED_DATA_MAX + STAMP_LINE_MAX);
	CHECK(work.data != NULL);
	err = program_open(mount, names[file], kind == CHANGE_APPEND ? O_WRONLY | O_APPEND : O_RDWR,
			   &work.handle);
	if (!err) {
		err = change_open(&work, kind);
		vfs_release(work.handle);
	}
	free(work.data);
	mount->busy[file] = false;
	show(run);
	if (!may_return(mount, err)) {
		snprintf(text, sizeof(text), "%s of %s gave %s", what[kind], names[file],
			 strerror(-err));
		sim_verdict_say(&run->verdict, text);
	}
	if (!mount->dead && env_now(&mount->node.env) - begin > CALL_MAX * 5)
		sim_verdict_say(&run->verdict, "a program takes too long");
}

static void program(void *argument)
{
	struct mount *mount = argument;
	struct run *run = mount->run;

	while (run->steps > 0 && !mount->dead) {
		run->steps--;
		change(mount);
		sim_sleep(run->world,
			  sim_draw(run->world, (run_chance(run, 700) ? 30 : 3000) * NSEC_PER_MSEC));
	}
	mount->programs--;
}

void mount_work(void *argument)
{
	struct mount *mount = argument;

	vfs_recover(mount->node.vfs);
	mount->recovered = true;
	for (int i = 0; i < PROGRAMS && !mount->dead; i++) {
		mount->programs++;
		CHECK(fiber_start(mount->fibers, program, mount) == 0);
	}
}

/* ---- another client, which keeps metadata at times ---- */

static int take(void *context, const void *data, size_t len, uint64_t offset)
{
	memcpy((char *)context + offset, data, len);
	return 0;
}

static void client_change(struct run *run, struct env *env, char *data)
{
	const char *key = names[sim_draw(run->world, SHARED_FILES)];
	struct os_request get = {.op = OS_GET, .key = key, .sink = {take, data}};
	struct os_request put = {.op = OS_PUT, .key = key};
	struct os_memory body;
	unsigned number;
	bool keeps;
	int err = env_s3(env, &get);

	if (err && err != -ENOENT) {
		sim_verdict_say(&run->verdict, "the other client cannot read");
		return;
	}
	sim_sleep(run->world, sim_draw(run->world, 50 * NSEC_PER_MSEC));
	number = sim_stamp_new(&run->stamps, SIM_NODES);
	body.data = data;
	body.len = (err ? 0 : get.result.size);
	body.len += sim_stamp_line(number, 0, data + body.len);
	put.body = os_source_memory(&body);
	put.condition.if_none_match_any = err != 0;
	put.condition.if_match = err ? NULL : get.result.etag;
	/* Not over an attempt whose end its node does not know: docs/reliability.md, where less
	 * holds. */
	keeps = run->crash_chance == 0 && run->fault_chance == 0 && run_chance(run, 500);
	put.meta = !err && keeps ? &get.result.meta : NULL;
	if (env_s3(env, &put) == 0)
		sim_stamp_promise(&run->stamps, number, STAMP_IN_S3);
	if (run->verbose)
		printf("   line %u of %s by the other client: %d\n", number, key, put.result.err);
	show(run);
	os_request_free_result(&put);
	os_request_free_result(&get);
}

void client_work(void *argument)
{
	struct run *run = argument;
	struct sim_store store;
	struct env env = {.executor = run->world->executor,
			  .fibers = run->world->fibers,
			  .store = &store.store,
			  .random = sim_random,
			  .random_context = run->world};
	char *data = malloc(SHARED_DATA_MAX + STAMP_LINE_MAX);

	CHECK(data != NULL);
	sim_store_init(&store, run->world->memory, sim_random, run->world);
	while (run->steps > 0 && run->stamps.count < STAMPS_MAX) {
		client_change(run, &env, data);
		sim_sleep(run->world, sim_draw(run->world, 1500 * NSEC_PER_MSEC));
	}
	free(data);
	run->client_ended = true;
}

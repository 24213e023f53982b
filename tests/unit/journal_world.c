#include "tests/unit/journal_world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/list.h"

void world_make(struct world *world)
{
	*world = (struct world){.error = ERROR_INIT};
	snprintf(world->dir, sizeof(world->dir), "/tmp/test_journal.XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	snprintf(world->database, sizeof(world->database), "%s/journal.db", world->dir);
	snprintf(world->log, sizeof(world->log), "%s/journal.db-wal", world->dir);
}

void world_remove(struct world *world)
{
	unlink(world->database);
	unlink(world->log);
	assert_int_equal(rmdir(world->dir), 0);
}

int world_open(struct world *world, const char *volume)
{
	int err;

	world->error = (struct error)ERROR_INIT;
	assert_int_equal(loop_create(&world->loop), 0);
	world->fibers = fiber_pool_create(loop_executor(world->loop), 64, 64 << 10);
	assert_non_null(world->fibers);
	err = journal_open(&world->journal, loop_executor(world->loop), world->dir, volume,
			   &world->info, &world->error);
	if (err) {
		world->journal = NULL;
		world_close(world, false);
	}
	return err;
}

void world_close(struct world *world, bool clean)
{
	if (world->journal)
		journal_close(world->journal, clean);
	world->journal = NULL;
	fiber_pool_destroy(world->fibers);
	loop_destroy(world->loop);
}

static void body_fiber(void *argument)
{
	struct world *world = argument;

	world->body(world);
	loop_stop(world->loop);
}

static void start_body(struct task *task)
{
	struct world *world = container_of(task, struct world, start);

	assert_int_equal(fiber_start(world->fibers, body_fiber, world), 0);
}

void world_run(struct world *world, void (*body)(struct world *world))
{
	world->body = body;
	world->start.run = start_body;
	executor_post(loop_executor(world->loop), &world->start);
	loop_run(world->loop);
}

void world_wait(struct world *world, uint64_t sequence)
{
	assert_int_equal(journal_wait(world->journal, sequence, JOURNAL_COMMITTED), 0);
	assert_true(journal_is_committed(world->journal, sequence));
}

int world_crash(struct world *world, void (*body)(struct world *world))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (world_open(world, "volume"))
			_exit(99);
		if (body)
			world_run(world, body);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

struct journal_node world_node(uint64_t ino, uint64_t parent, const char *name)
{
	return (struct journal_node){
		.ino = ino,
		.parent = parent,
		.name = name,
		.flags = NODE_DIRTY_DATA | NODE_REMOTE,
		.attributes = {.mode = S_IFREG | 0640,
			       .uid = 1000 + (uint32_t)ino,
			       .gid = UINT32_MAX - 1,
			       .rdev = UINT64_C(1) << 40,
			       .atime = -5,
			       .mtime = INT64_MAX,
			       .ctime = 1234567890123456789},
		.size = UINT64_C(5) << 40,
		.generation = ino + 1,
		.file_id = ino + 2,
		.base_size = ino + 3,
		.etag = "\"etag\"",
		.remote_modified = 42,
		.put_id = "0123456789abcdef0123456789abcdef",
		.target = "tar\xff"
			  "get",
		.content_type = "text/plain",
	};
}

char *world_read(const char *path, size_t *len)
{
	struct stat stat_buf;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *data;

	if (fd < 0)
		return NULL;
	assert_int_equal(fstat(fd, &stat_buf), 0);
	*len = (size_t)stat_buf.st_size;
	data = calloc(1, *len + 1);
	assert_non_null(data);
	assert_int_equal(read(fd, data, *len), (ssize_t)*len);
	close(fd);
	return data;
}

void world_write(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
}

/* journal_world.h — a journal in a directory of its own, with a loop and fibers to call it from;
 * for tests.
 *
 * The order of use: world_make, then any number of world_open .. world_close, then world_remove.
 */
#ifndef TESTS_UNIT_JOURNAL_WORLD_H
#define TESTS_UNIT_JOURNAL_WORLD_H

#include "common/fiber.h"
#include "common/loop.h"
#include "fs/journal/journal.h"

struct world {
	char dir[64], database[96], log[96];
	struct loop *loop;
	struct fiber_pool *fibers;
	struct journal *journal;
	struct journal_info info;
	struct error error;
	/* for world_run */
	struct task start;
	void (*body)(struct world *world);
	void *user;
};

void world_make(struct world *world);
void world_remove(struct world *world);
/* As journal_open. */
int world_open(struct world *world, const char *volume);
void world_close(struct world *world, bool clean);
/* Runs body in a fiber until it returns. */
void world_run(struct world *world, void (*body)(struct world *world));
/* In a fiber: until the record is committed; fails the test on an error. */
void world_wait(struct world *world, uint64_t sequence);
/* A child process opens the journal, runs body and dies without closing it. Returns the child's
 * status. */
int world_crash(struct world *world, void (*body)(struct world *world));

/* A node with recognisable values in every field; strings are static or the caller's. */
struct journal_node world_node(uint64_t ino, uint64_t parent, const char *name);

/* Bytes of a whole file, NUL-terminated, which the caller frees; NULL when it is not there. */
char *world_read(const char *path, size_t *len);
void world_write(const char *path, const void *data, size_t len);

#endif

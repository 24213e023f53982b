#include "tests/sim/sim_operations.h"

#include <fcntl.h>
#include <string.h>

#include "common/check.h"

enum { STEPS_OF_ONE = 5 };

/* Paths by name; a step that ends the list has kind STEP_KINDS. */
struct named_step {
	enum sim_step_kind kind;
	const char *path, *other;
	int flags;
	uint64_t offset, len;
};

struct operation {
	const char *name;
	struct named_step steps[STEPS_OF_ONE];
};

/* clang-format off */
#define OPEN(path)	    {STEP_OPEN, path, NULL, O_CREAT, 0, 0}
#define OPEN_EMPTY(path)    {STEP_OPEN, path, NULL, O_CREAT | O_TRUNC, 0, 0}
#define WRITE(offset, len)  {STEP_WRITE, NULL, NULL, 0, offset, len}
#define APPEND(len)	    {STEP_APPEND, NULL, NULL, 0, 0, len}
#define PUNCH(offset, len)  {STEP_PUNCH, NULL, NULL, 0, offset, len}
#define FSYNC		    {STEP_FSYNC, NULL, NULL, 0, 0, 0}
#define ON(kind, path)	    {kind, path, NULL, 0, 0, 0}
#define AT(kind, path, to)  {kind, path, NULL, 0, to, 0}
#define RENAME(from, to)    {STEP_RENAME, from, to, 0, 0, 0}
#define READ(path, at, len) {STEP_READ, path, NULL, 0, at, len}
#define EXCHANGE(one, two)  {STEP_EXCHANGE, one, two, 0, 0, 0}

static const struct operation small_operations[] = {
	{"create-n", {OPEN("n")}},
	{"write-f", {OPEN("f"), WRITE(1000, 3000)}},
	{"write-n", {OPEN("n"), WRITE(0, 6000)}},
	{"write-hole-n", {OPEN("n"), WRITE(9000, 10)}},
	{"append-f", {OPEN("f"), APPEND(700)}},
	{"append-n", {OPEN("n"), APPEND(700)}},
	{"rewrite-f", {OPEN_EMPTY("f"), WRITE(0, 2000)}},
	{"rewrite-n", {OPEN_EMPTY("n"), WRITE(0, 100), WRITE(100, 5000)}},
	{"copy-f-n", {OPEN_EMPTY("n"), ON(STEP_COPY, "f")}},
	{"copy-e-f", {OPEN_EMPTY("f"), ON(STEP_COPY, "e")}},
	{"punch-f", {OPEN("f"), PUNCH(1000, 2500)}},
	{"punch-n", {OPEN("n"), WRITE(0, 6000), PUNCH(4000, 5000), WRITE(4500, 20)}},
	{"truncate-f", {AT(STEP_TRUNCATE, "f", 100)}},
	{"empty-f", {AT(STEP_TRUNCATE, "f", 0)}},
	{"grow-f", {AT(STEP_TRUNCATE, "f", 9000)}},
	{"truncate-n", {AT(STEP_TRUNCATE, "n", 50)}},
	{"fsync-f", {OPEN("f"), WRITE(0, 500), FSYNC}},
	{"fsync-n", {OPEN("n"), WRITE(0, 5000), FSYNC}},
	{"fsync-write-n", {OPEN("n"), WRITE(0, 5000), FSYNC, WRITE(4000, 3000)}},
	{"rename-f-n", {RENAME("f", "n")}},
	{"rename-n-m", {RENAME("n", "m")}},
	{"rename-n-f", {RENAME("n", "f")}},
	{"rename-f-e", {RENAME("f", "e")}},
	{"rename-f-d/y", {RENAME("f", "d/y")}},
	{"rename-d/x-m", {RENAME("d/x", "m")}},
	{"exchange-f-e", {EXCHANGE("f", "e")}},
	{"exchange-n-m", {OPEN("m"), WRITE(0, 40), EXCHANGE("n", "m")}},
	{"exchange-n-f", {EXCHANGE("n", "f")}},
	{"exchange-d/x-f", {EXCHANGE("d/x", "f")}},
	{"exchange-k-d", {OPEN("k"), WRITE(0, 40), EXCHANGE("k", "d")}},
	{"exchange-k-n", {EXCHANGE("k", "n")}},
	{"exchange-d-k", {ON(STEP_MKDIR, "k"), OPEN("k/x"), WRITE(0, 40), EXCHANGE("d", "k")}},
	{"unlink-f", {ON(STEP_UNLINK, "f")}},
	{"unlink-n", {ON(STEP_UNLINK, "n")}},
	{"unlink-d/x", {ON(STEP_UNLINK, "d/x")}},
	{"mkdir-k", {ON(STEP_MKDIR, "k")}},
	{"mkdir-d/s", {ON(STEP_MKDIR, "d/s")}},
	{"symlink-s", {ON(STEP_SYMLINK, "s")}},
	{"rename-s-d/y", {RENAME("s", "d/y")}},
	{"unlink-s", {ON(STEP_UNLINK, "s")}},
	{"rmdir-k", {ON(STEP_RMDIR, "k")}},
	{"rmdir-d/s", {ON(STEP_RMDIR, "d/s")}},
	{"rename-d-k", {RENAME("d", "k")}},
	{"write-d/n", {OPEN("d/n"), WRITE(0, 300)}},
	{"write-d/x", {OPEN("d/x"), WRITE(10, 300)}},
	{"chmod-f", {AT(STEP_CHMOD, "f", 0600)}},
	{"chmod-n", {AT(STEP_CHMOD, "n", 0640)}},
	{"chmod-d", {AT(STEP_CHMOD, "d", 0711)}},
	{"evict", {ON(STEP_EVICT, "f")}},
	{"sync", {ON(STEP_SYNC_DIR, "f")}},
	{"pause", {AT(STEP_PAUSE, "f", 20)}},
};

/* Of b only ranges are on the node, if anything. */
static const struct operation large_operations[] = {
	{"write-b", {OPEN("b"), WRITE(17000, 3000)}},
	{"write-b-ends", {OPEN("b"), WRITE(28000, 2500), WRITE(100, 50)}},
	{"fsync-b", {OPEN("b"), WRITE(9000, 500), FSYNC, WRITE(21000, 600)}},
	{"append-b", {OPEN("b"), APPEND(700)}},
	{"write-hole-b", {OPEN("b"), WRITE(36000, 10)}},
	{"rewrite-b", {OPEN_EMPTY("b"), WRITE(0, 15000)}},
	{"punch-b", {OPEN("b"), PUNCH(9000, 9000)}},
	{"truncate-b", {AT(STEP_TRUNCATE, "b", 21000)}},
	{"truncate-b-small", {AT(STEP_TRUNCATE, "b", 3000)}},
	{"empty-b", {AT(STEP_TRUNCATE, "b", 0)}},
	{"grow-b", {AT(STEP_TRUNCATE, "b", 39000)}},
	{"read-b", {READ("b", 12000, 100)}},
	{"read-b-all", {READ("b", 0, 30000)}},
	{"rename-b-n", {RENAME("b", "n")}},
	{"rename-n-b", {RENAME("n", "b")}},
	{"exchange-b-f", {EXCHANGE("b", "f")}},
	{"copy-b-n", {OPEN_EMPTY("n"), ON(STEP_COPY, "b")}},
	{"copy-b-f", {OPEN_EMPTY("f"), ON(STEP_COPY, "b")}},
	{"chmod-b", {AT(STEP_CHMOD, "b", 0600)}},
	{"write-large-n", {OPEN("n"), WRITE(0, 14000)}},
	{"stream-n", {OPEN("n"), WRITE(0, 16000), WRITE(16000, 9000), WRITE(25000, 9000)}},
	{"stream-back-n", {OPEN("n"), WRITE(0, 26000), WRITE(26000, 3000), WRITE(6000, 100)}},
	{"stream-fsync-n", {OPEN("n"), WRITE(0, 26000), WRITE(26000, 300), FSYNC, WRITE(26300, 6000)}},
};
/* clang-format on */

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct operation *operation_at(int number)
{
	return number < COUNT(small_operations)
		       ? &small_operations[number]
		       : &large_operations[number - COUNT(small_operations)];
}

int sim_operation_count(bool large)
{
	return COUNT(small_operations) + (large ? COUNT(large_operations) : 0);
}

const char *sim_operation_name(int operation)
{
	return operation_at(operation)->name;
}

int sim_operation_find(const char *name)
{
	for (int i = 0; i < sim_operation_count(true); i++)
		if (strcmp(sim_operation_name(i), name) == 0)
			return i;
	return -1;
}

static void put_file(struct sim_history *history, const char *name, size_t size, int seed)
{
	unsigned char data[SIM_FILE_MAX];
	struct sim_entry *entry = &history->trees[0].entries[sim_path(name)];

	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)((i * 7 + (size_t)seed * 31 + i / 256) | 1);
	*entry = (struct sim_entry){SIM_FILE, sim_history_new_inode(history), 0644,
				    sim_bytes_new(&history->arena, data, size)};
}

void sim_operations_base(struct sim_history *history, bool large)
{
	put_file(history, "f", 5000, 1);
	put_file(history, "e", 200, 2);
	put_file(history, "d/x", 900, 3);
	if (large)
		put_file(history, "b", 30000, 4);
	history->trees[0].entries[sim_path("d")] = (struct sim_entry){SIM_DIRECTORY, 0, 0755, NULL};
}

static void add_close(struct sim_history *history, int handle)
{
	sim_history_add(history, (struct sim_step){.kind = STEP_CLOSE, .handle = handle});
}

void sim_operation_add(struct sim_history *history, int operation, int handle, bool stay_open)
{
	const struct named_step *steps = operation_at(operation)->steps;
	bool opened = false;

	for (int i = 0; i < STEPS_OF_ONE && (i == 0 || steps[i].path || steps[i].kind); i++) {
		struct sim_step step = {.kind = steps[i].kind,
					.path = steps[i].path ? sim_path(steps[i].path) : 0,
					.other = steps[i].other ? sim_path(steps[i].other) : 0,
					.handle = handle,
					.flags = steps[i].flags,
					.offset = steps[i].offset,
					.len = steps[i].len};

		CHECK(step.path >= 0 && step.other >= 0);
		opened |= step.kind == STEP_OPEN;
		if (step.kind == STEP_OPEN && history->state.open[handle])
			add_close(history, handle); /* what an earlier operation has left */
		sim_history_add(history, step);
	}
	if (opened && !stay_open)
		add_close(history, handle);
}

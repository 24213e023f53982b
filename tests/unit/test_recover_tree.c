/* What `s3mount recover` makes of rows that a damaged journal may have. */
#include "fs/recover_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/journal_world.h"

static const struct {
	uint64_t ino, parent;
	const char *name, *path; /* path NULL: it is a directory */
} rows[] = {
	{10, 1, "dir", NULL},
	{11, 10, "file", "dir/file"},
	{12, 1, "top", "top"},
	{13, 1, "..", "unplaced/000000000000000d/data"},
	{14, 10, "a/b", "unplaced/000000000000000e/data"},
	{15, 1, "", "unplaced/000000000000000f/data"},
	{16, 99, "orphan", "unplaced/0000000000000063/orphan"},
	{17, 1, "..", NULL},
	{18, 17, "file", "unplaced/0000000000000011/file"},
	{20, 21, "one", NULL},
	{21, 20, "other", NULL},
};

static void put_rows(struct world *world)
{
	uint64_t last = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct journal_node node = world_node(rows[i].ino, rows[i].parent, rows[i].name);

		node.attributes.mode = rows[i].path ? S_IFREG | 0644 : S_IFDIR | 0755;
		node.flags = NODE_DIRTY_DATA | NODE_COMPLETE;
		node.file_id = rows[i].path ? rows[i].ino : 0;
		last = journal_put_node(world->journal, &node);
	}
	world_wait(world, last);
}

static void put_data(const char *dir, uint64_t id)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/data", dir);
	mkdir(path, 0700);
	recover_data_path(dir, id, path);
	*strrchr(path, '/') = '\0';
	mkdir(path, 0700);
	recover_data_path(dir, id, path);
	world_write(path, "bytes", 5);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *position)
{
	(void)st;
	(void)type;
	(void)position;
	return remove(path);
}

static void remove_all(const char *dir)
{
	assert_int_equal(nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static const struct recover_file *find_ino(const struct recover_tree *tree, uint64_t ino)
{
	for (size_t i = 0; i < tree->count; i++) {
		if (tree->files[i].ino == ino)
			return &tree->files[i];
	}
	fail_msg("row %d is not there", (int)ino);
	return NULL;
}

/* Also what refers to itself, or wants to be elsewhere. */
static void every_row_has_a_place_below_the_target(void **state)
{
	char scratch[] = "/tmp/test-recover-XXXXXX", target[] = "/tmp/test-target-XXXXXX";
	struct error error = ERROR_INIT;
	struct recover_tree tree;
	struct world world;
	int to;

	(void)state;
	world_make(&world);
	assert_int_equal(world_open(&world, "volume"), 0);
	world_run(&world, put_rows);
	world_close(&world, true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].path)
			put_data(world.dir, rows[i].ino);
	}
	put_data(world.dir, 0x123);
	assert_non_null(mkdtemp(scratch));
	assert_non_null(mkdtemp(target));
	assert_int_equal(recover_tree_read(&tree, world.dir, scratch, &error), 0);
	assert_true(tree.journal.whole);
	assert_string_equal(tree.journal.volume, "volume");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct recover_file *file = find_ino(&tree, rows[i].ino);

		if (!rows[i].path) {
			assert_null(file->path);
			continue;
		}
		assert_string_equal(file->path, rows[i].path);
		assert_int_equal(file->kind, RECOVER_COMPLETE);
		assert_int_equal(file->size, 5);
	}
	to = open(target, O_RDONLY | O_DIRECTORY);
	assert_true(to >= 0);
	for (size_t i = 0; i < tree.count; i++) {
		char path[PATH_MAX];
		size_t len = 0;
		char *data;

		assert_int_equal(recover_save(&tree.files[i], world.dir, to), 0);
		if (!tree.files[i].path)
			continue;
		snprintf(path, sizeof(path), "%s/%s", target, tree.files[i].path);
		data = world_read(path, &len);
		assert_non_null(data);
		assert_string_equal(data, "bytes");
		free(data);
		/* Nothing is ever replaced. */
		assert_int_equal(recover_save(&tree.files[i], world.dir, to), -EEXIST);
	}
	close(to);
	recover_tree_free(&tree);
	remove_all(scratch);
	remove_all(target);
	remove_all(world.dir);
	mkdir(world.dir, 0700);
	world_remove(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_has_a_place_below_the_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

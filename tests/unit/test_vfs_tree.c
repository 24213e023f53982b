/* Trees against a model: random changes of names and contents, and crashes between and within them.
 */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core_files.h"

enum { ENTRIES = 64, PATH_BYTES = 48 };

struct entry {
	char path[PATH_BYTES]; /* "" : unused */
	bool directory;
	char text[24];
};

struct tree {
	struct entry entries[ENTRIES];
};

enum kind { PUT, APPEND, UNLINK, MKDIR, RMDIR, RENAME, KINDS };

struct step {
	struct core_node *node;
	enum kind kind;
	char path[PATH_BYTES], to[PATH_BYTES], text[24];
	int result;
	bool done;
};

static uint64_t draw(uint64_t *random, uint64_t below)
{
	*random ^= *random << 13; /* xorshift64 */
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random % below;
}

static struct entry *find(struct tree *tree, const char *path)
{
	for (int i = 0; i < ENTRIES; i++)
		if (tree->entries[i].path[0] && strcmp(tree->entries[i].path, path) == 0)
			return &tree->entries[i];
	return NULL;
}

static struct entry *add(struct tree *tree, const char *path, bool directory)
{
	for (int i = 0; i < ENTRIES; i++) {
		struct entry *entry = &tree->entries[i];

		if (entry->path[0])
			continue;
		*entry = (struct entry){.directory = directory};
		snprintf(entry->path, sizeof(entry->path), "%s", path);
		return entry;
	}
	fail_msg("the model is full");
	return NULL;
}

static bool is_below(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	return strncmp(path, directory, len) == 0 && path[len] == '/';
}

static bool is_empty(const struct tree *tree, const char *directory)
{
	for (int i = 0; i < ENTRIES; i++)
		if (is_below(tree->entries[i].path, directory))
			return false;
	return true;
}

static bool has_parent(struct tree *tree, const char *path)
{
	char parent[PATH_BYTES];
	const char *slash = strrchr(path, '/');
	struct entry *entry;

	if (!slash)
		return true;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	entry = find(tree, parent);
	return entry && entry->directory;
}

static bool apply_rename(struct tree *tree, const struct step *step)
{
	struct entry *from = find(tree, step->path), *to = find(tree, step->to);
	char rest[PATH_BYTES];

	if (!from || !has_parent(tree, step->to) || is_below(step->to, step->path))
		return false;
	if (from == to)
		return true;
	if (to && (to->directory != from->directory || !is_empty(tree, step->to)))
		return false;
	if (to)
		to->path[0] = '\0';
	for (int i = 0; i < ENTRIES; i++) {
		struct entry *entry = &tree->entries[i];

		if (!entry->path[0] || (entry != from && !is_below(entry->path, step->path)))
			continue;
		snprintf(rest, sizeof(rest), "%s", entry->path + strlen(step->path));
		if (strlen(step->to) + strlen(rest) >= PATH_BYTES)
			fail_msg("a path of the model is too long");
		memcpy(entry->path, step->to, strlen(step->to));
		memcpy(entry->path + strlen(step->to), rest, strlen(rest) + 1);
	}
	return true;
}

/* What the step makes of the tree; false: it must fail and change nothing. */
static bool apply(struct tree *tree, const struct step *step)
{
	struct entry *entry = find(tree, step->path);

	if (!has_parent(tree, step->path))
		return false;
	switch (step->kind) {
	case PUT:
		if (entry && entry->directory)
			return false;
		if (!entry)
			entry = add(tree, step->path, false);
		memcpy(entry->text, step->text, sizeof(entry->text));
		return true;
	case APPEND:
		if (!entry || entry->directory || strlen(entry->text) > 20)
			return false;
		memcpy(entry->text + strlen(entry->text), "+", 2);
		return true;
	case UNLINK:
	case RMDIR:
		if (!entry || entry->directory != (step->kind == RMDIR) ||
		    !is_empty(tree, step->path))
			return false;
		entry->path[0] = '\0';
		return true;
	case MKDIR: return !entry && add(tree, step->path, true);
	default: return apply_rename(tree, step);
	}
}

static int perform(const struct step *step)
{
	struct core_node *node = step->node;

	if (getenv("CORE_LOG"))
		print_message("kind %d %s %s\n", (int)step->kind, step->path, step->to);
	switch (step->kind) {
	case PUT: return core_put(node, step->path, step->text);
	case APPEND: return core_append(node, step->path, "+");
	case UNLINK: return core_unlink(node, step->path);
	case MKDIR: return core_mkdir(node, step->path);
	case RMDIR: return core_rmdir(node, step->path);
	default: return core_rename(node, step->path, step->to);
	}
}

static void make_path(uint64_t *random, char out[PATH_BYTES])
{
	static const char *const names[] = {"a", "b", "c", "a.x"};
	size_t depth = 1 + (size_t)draw(random, 3), len = 0;

	for (size_t i = 0; i < depth; i++)
		len += (size_t)snprintf(out + len, PATH_BYTES - len, "%s%s", i ? "/" : "",
					names[draw(random, 4)]);
}

static struct step make_step(struct core_node *node, struct tree *tree, uint64_t *random)
{
	static const enum kind kinds[] = {PUT,	 PUT,	PUT,	APPEND, UNLINK, MKDIR,
					  MKDIR, RMDIR, RENAME, RENAME, RENAME};
	struct step step = {.node = node, .kind = kinds[draw(random, 11)]};
	struct entry *entry;

	make_path(random, step.path);
	make_path(random, step.to);
	/* Mostly about something that is there. */
	entry = &tree->entries[draw(random, ENTRIES)];
	if (entry->path[0] && step.kind != MKDIR)
		memcpy(step.path, entry->path, sizeof(step.path));
	/* Deep trees would outgrow the model's paths. */
	if (step.kind == RENAME && strlen(step.to) > 5)
		step.to[5] = '\0';
	if (step.to[strlen(step.to) - 1] == '/' || step.to[strlen(step.to) - 1] == '.')
		step.to[strlen(step.to) - 1] = '\0';
	snprintf(step.text, sizeof(step.text), "text %llu",
		 (unsigned long long)draw(random, 100000));
	return step;
}

/* NULL: the bucket holds exactly this; else what differs. */
static const char *compare(struct core_world *world, const struct tree *tree)
{
	static char text[200];
	const struct memory_bucket *bucket = &world->memory->bucket;
	size_t entries = 0;

	for (int i = 0; i < ENTRIES; i++) {
		const struct entry *entry = &tree->entries[i];
		const struct memory_object *object;
		char key[PATH_BYTES + 1];

		if (!entry->path[0])
			continue;
		entries++;
		snprintf(key, sizeof(key), "%s%s", entry->path, entry->directory ? "/" : "");
		object = objstore_memory_find(world->memory, key);
		snprintf(text, sizeof(text), "%s is not \"%s\"", key, entry->text);
		if (!object || object->size != strlen(entry->text) ||
		    memcmp(object->data, entry->text, object->size) != 0)
			return text;
	}
	snprintf(text, sizeof(text), "there are %zu keys", bucket->object_count);
	return entries == bucket->object_count ? NULL : text;
}

/* A node that knows nothing sees every entry. */
static void assert_seen_by_others(struct core_world *world, struct tree *tree)
{
	struct core_node *other = &world->nodes[1];
	struct stat found;

	core_start(other);
	for (int i = 0; i < ENTRIES; i++) {
		const struct entry *entry = &tree->entries[i];

		if (!entry->path[0])
			continue;
		if (core_stat(other, entry->path, &found))
			fail_msg("%s is not seen by the other node", entry->path);
		assert_int_equal(S_ISDIR(found.st_mode), entry->directory);
		if (!entry->directory)
			core_assert_file(other, entry->path, entry->text);
	}
	core_stop(other);
}

static void clear(struct core_world *world)
{
	core_drain(world->node);
	core_stop(world->node);
	while (world->memory->bucket.object_count > 0)
		objstore_memory_remove(world->memory, world->memory->bucket.objects[0]->key);
	core_start(world->node);
}

static void restart(struct core_node *node, uint64_t *random)
{
	switch (draw(random, 8)) {
	case 0: core_crash(node); break;
	case 1:
		core_drain(node);
		core_stop(node);
		core_start(node);
		break;
	case 2: core_sleep(node->world, 3 * NSEC_PER_SEC); break;
	default: break;
	}
}

static void random_changes_give_what_the_model_says(struct core_world *world)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
		struct tree tree = {0};
		const char *difference;

		print_message("seed %llu\n", (unsigned long long)seed);
		world->node->config.close = seed % 2 ? PUBLISH_S3 : PUBLISH_LOCAL;
		clear(world);
		for (int i = 0; i < 120; i++) {
			struct step step = make_step(world->node, &tree, &random);
			struct tree before = tree;
			bool valid = apply(&tree, &step);
			int err;

			if (!valid && step.kind == APPEND)
				continue;
			err = perform(&step);
			if ((err == 0) != valid)
				fail_msg("step %d: kind %d %s %s: %d", i, (int)step.kind, step.path,
					 step.to, err);
			if (!valid)
				tree = before;
			restart(world->node, &random);
		}
		core_drain(world->node);
		difference = compare(world, &tree);
		if (difference)
			fail_msg("%s", difference);
		assert_seen_by_others(world, &tree);
	}
}

static void step_fiber(void *argument)
{
	struct step *step = argument;

	step->result = perform(step);
	step->done = true;
}

/* A file that was to be written may be there with nothing in it yet. */
static bool is_begun(struct core_world *world, const struct tree *before, const struct step *step)
{
	struct tree begun = *before;
	struct step empty = *step;

	if (step->kind != PUT)
		return false;
	empty.text[0] = '\0';
	return apply(&begun, &empty) && !compare(world, &begun);
}

/* The state that the crash has left: that of before or that of after the step. */
static void settle_on(struct core_world *world, const struct tree *before, struct tree *after,
		      const struct step *step)
{
	const char *difference = compare(world, after);

	if (!difference || (step->done && step->result == 0)) {
		if (difference)
			fail_msg("kind %d %s %s was acknowledged, but %s", (int)step->kind,
				 step->path, step->to, difference);
		return;
	}
	if (compare(world, before) == NULL) {
		*after = *before;
		return;
	}
	if (!step->done && is_begun(world, before, step)) {
		struct step empty = *step;

		empty.text[0] = '\0';
		*after = *before;
		apply(after, &empty);
		return;
	}
	fail_msg("kind %d %s %s left neither before nor after: %s; %s", (int)step->kind, step->path,
		 step->to, difference, compare(world, before));
}

static void a_crash_within_a_change_leaves_the_old_or_the_new(struct core_world *world)
{
	world->memory->latency = 2 * NSEC_PER_MSEC;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint64_t random = seed * UINT64_C(0xd1342543de82ef95) + 1;
		struct tree tree = {0};

		print_message("seed %llu\n", (unsigned long long)seed);
		world->node->config.close = seed % 2 ? PUBLISH_S3 : PUBLISH_LOCAL;
		clear(world);
		for (int i = 0; i < 60; i++) {
			struct step step = make_step(world->node, &tree, &random);
			struct tree before = tree;
			bool done;

			if (!apply(&tree, &step)) {
				tree = before;
				continue;
			}
			if (draw(&random, 3) > 0) {
				int err = perform(&step);

				if (err)
					fail_msg("step %d: kind %d %s %s: %d", i, (int)step.kind,
						 step.path, step.to, err);
				continue;
			}
			core_spawn(world->node, step_fiber, &step);
			core_sleep(world, draw(&random, 16) * NSEC_PER_MSEC);
			/* What the dying node still answers counts for nothing. */
			done = step.done;
			core_crash_only(world->node);
			step.done = done;
			core_start(world->node);
			core_drain(world->node);
			settle_on(world, &before, &tree, &step);
		}
		assert_seen_by_others(world, &tree);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(random_changes_give_what_the_model_says),
		CORE_TEST(a_crash_within_a_change_leaves_the_old_or_the_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "fs/recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fileio.h"
#include "common/json.h"
#include "common/mount_table.h"
#include "fs/journal/forget.h"
#include "fs/recover_tree.h"

enum { RANGES_SHOWN = 8, HOLDER_BYTES = 32 };

struct recovery {
	char directory[PATH_MAX]; /* the cache directory */
	const char *to;
	int to_fd, lock_fd;
	char scratch[PATH_MAX];
	struct recover_tree tree;
	struct error unasked;	  /* why the bucket was not, or not for all of them */
	struct error unforgotten; /* why files that were to be forgotten were not */
	unsigned counts[RECOVER_COPY + 1], failed, forgotten;
};

static const char *const kinds[] = {
	[RECOVER_COMPLETE] = "complete", [RECOVER_PARTIAL] = "partial",
	[RECOVER_SYMLINK] = "symlink",	 [RECOVER_ATTRIBUTES] = "attributes",
	[RECOVER_UNNAMED] = "unnamed",	 [RECOVER_LOST] = "lost",
	[RECOVER_COPY] = "copy",
};

static const struct {
	const char *name, *text;
} remotes[] = {
	[REMOTE_NOT_ASKED] = {NULL, ""},
	[REMOTE_IS_ABSENT] = {"absent", "nothing"},
	[REMOTE_IS_BASE] = {"base", "the version before it"},
	[REMOTE_IS_OURS] = {"uploaded", "an upload of it"},
	[REMOTE_IS_OTHER] = {"other", "another version"},
};

static bool is_cache_directory(const char *path)
{
	static const char *const names[] = {"journal.db", "journal.db-wal", "data"};
	char name[PATH_MAX + 16];
	struct stat st;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(name, sizeof(name), "%s/%s", path, names[i]);
		if (lstat(name, &st) == 0)
			return true;
	}
	return false;
}

/* Which of the cache directories below path? */
static int choose(const char *path, char *out, struct error *error)
{
	struct buf found = BUF_INIT;
	struct dirent *entry;
	unsigned count = 0;
	DIR *stream = opendir(path);
	int err = 0;

	if (!stream)
		return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
	while ((entry = readdir(stream))) {
		char below[PATH_MAX];

		if (entry->d_name[0] == '.' ||
		    snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) >=
			    (int)sizeof(below) ||
		    !is_cache_directory(below))
			continue;
		if (count++ == 0)
			memcpy(out, below, sizeof(below));
		buf_printf(&found, "%s%s", found.len ? ", " : "", entry->d_name);
	}
	closedir(stream);
	if (count == 0)
		err = error_set(error, -ENOENT,
				"%s is no cache directory of s3mount, and none is in it", path);
	else if (count > 1)
		err = error_set(error, -EINVAL, "there are several caches in %s, name one: %s",
				path, buf_str(&found));
	buf_free(&found);
	return err;
}

static int find_directory(struct recovery *recovery, const char *path, struct error *error)
{
	char *real = realpath(path, NULL);
	char below[PATH_MAX];
	int err = 0;

	if (!real)
		return error_set(error, -errno, "cannot use %s: %s", path, strerror(errno));
	if (mount_point_check(real, "fuse.s3mount") == 1)
		err = error_set(
			error, -EBUSY,
			"%s is mounted, and its cache is in use: umount it first; then give "
			"the cache directory that `s3mount status %s` names now",
			real, real);
	else if (is_cache_directory(real))
		snprintf(recovery->directory, PATH_MAX, "%s", real);
	else if (!(err = choose(real, below, error)))
		memcpy(recovery->directory, below, PATH_MAX);
	free(real);
	return err;
}

/* Without writing into it: the holder of the lock is left as it is. */
static int take_lock(struct recovery *recovery, struct error *error)
{
	char path[PATH_MAX + 8], holder[HOLDER_BYTES];
	ssize_t len;

	snprintf(path, sizeof(path), "%s/LOCK", recovery->directory);
	recovery->lock_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (recovery->lock_fd < 0 || flock(recovery->lock_fd, LOCK_EX | LOCK_NB) == 0 ||
	    errno != EWOULDBLOCK)
		return 0;
	len = pread_all(recovery->lock_fd, holder, sizeof(holder) - 1, 0);
	holder[len > 0 ? len : 0] = '\0';
	holder[strcspn(holder, "\n")] = '\0';
	return error_set(error, -EBUSY,
			 "the cache directory %s is in use by a mount (process %s): umount that "
			 "first, its own uploads are the better recovery",
			 recovery->directory, holder[0] ? holder : "unknown");
}

static int open_target(struct recovery *recovery, struct error *error)
{
	struct dirent *entry;
	int err = directory_make(recovery->to, 0700);
	DIR *stream;

	if (err)
		return error_set(error, err, "cannot make %s: %s", recovery->to, strerror(-err));
	stream = opendir(recovery->to);
	if (!stream)
		return error_set(error, -errno, "cannot read %s: %s", recovery->to,
				 strerror(errno));
	while (!err && (entry = readdir(stream))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			err = error_set(
				error, -ENOTEMPTY,
				"%s is not empty: give a directory that is, or none that is "
				"there",
				recovery->to);
	}
	closedir(stream);
	if (err)
		return err;
	recovery->to_fd = open(recovery->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return recovery->to_fd < 0 ? error_set(error, -errno, "cannot open %s: %s", recovery->to,
					       strerror(errno))
				   : 0;
}

static int read_tree(struct recovery *recovery, struct error *error)
{
	const char *parent = getenv("TMPDIR");
	int err;

	snprintf(recovery->scratch, PATH_MAX, "%s/s3mount-recover-XXXXXX",
		 parent && *parent ? parent : "/tmp");
	if (!mkdtemp(recovery->scratch))
		return error_set(error, -errno, "cannot make a directory like %s: %s",
				 recovery->scratch, strerror(errno));
	err = recover_tree_read(&recovery->tree, recovery->directory, recovery->scratch, error);
	directory_remove(recovery->scratch);
	return err;
}

static void save(struct recovery *recovery)
{
	for (size_t i = 0; i < recovery->tree.count; i++) {
		struct recover_file *file = &recovery->tree.files[i];

		if (recovery->to && recover_save(file, recovery->directory, recovery->to_fd))
			recovery->failed++;
		recovery->counts[file->kind]++;
	}
	if (recovery->to_fd >= 0)
		fsync(recovery->to_fd);
}

/* No mount publishes it: see fs/vfs/park.c. */
static bool is_parked(const struct recover_file *file)
{
	return file->path && (file->flags & NODE_UNSURE) && (file->flags & NODE_DIRTY_DATA);
}

/* What was saved, of what no mount will ever publish. */
static void forget_parked(struct recovery *recovery)
{
	const struct recover_tree *tree = &recovery->tree;
	struct error *error = &recovery->unforgotten;
	uint64_t *inos = calloc(tree->count + 1, sizeof(*inos));
	size_t count = 0;

	if (!inos) {
		error_set(error, -ENOMEM, "out of memory");
		return;
	}
	for (size_t i = 0; i < tree->count; i++) {
		if (is_parked(&tree->files[i]))
			inos[count++] = tree->files[i].ino;
	}
	if (recovery->failed)
		error_set(error, -EIO, "not all could be saved");
	else if (!tree->journal.whole)
		error_set(error, -EUCLEAN, "the journal is damaged: move %s away instead",
			  recovery->directory);
	else if (count > 0 && !journal_forget(recovery->directory, inos, count, error))
		recovery->forgotten = (unsigned)count;
	free(inos);
}

/* Why nobody knows whether the bytes are the file's. */
static const char *doubt(const struct recover_file *file)
{
	if (file->flags & NODE_SUSPECT)
		return ", an fsync failed";
	return file->flags & NODE_UNSURE ? ", not synced before a power loss" : "";
}

static void print_file(const struct recovery *recovery, const struct recover_file *file)
{
	printf("%-12s %s", kinds[file->kind], file->path);
	if (S_ISREG(file->attributes.mode))
		printf(" (%" PRIu64 " bytes%s", file->size, doubt(file));
	else
		printf(" (%s", file->kind == RECOVER_SYMLINK ? file->target : "not a file");
	if (file->kind == RECOVER_PARTIAL || file->kind == RECOVER_UNNAMED) {
		printf(", valid:");
		for (size_t i = 0; i < file->valid.count && i < RANGES_SHOWN; i++)
			printf(" %" PRIu64 "-%" PRIu64, file->valid.items[i].start,
			       file->valid.items[i].end);
		printf("%s", file->valid.count == 0		? " nothing"
			     : file->valid.count > RANGES_SHOWN ? " .."
								: "");
	}
	printf(")");
	if (file->placed && file->remote != REMOTE_NOT_ASKED)
		printf("; in the bucket: %s", remotes[file->remote].text);
	if (file->remote == REMOTE_IS_OTHER)
		printf(" (%" PRIu64 " bytes, ETag %s)", file->remote_size, file->remote_etag);
	if (file->err)
		printf("; NOT SAVED: %s", strerror(-file->err));
	else if (recovery->to && file->kind == RECOVER_LOST)
		printf("; its data file is missing");
	printf("\n");
}

static void print_text(const struct recovery *recovery)
{
	const struct recover_tree *tree = &recovery->tree;
	const unsigned *counts = recovery->counts;

	printf("cache        %s\n", recovery->directory);
	printf("volume       %s\n", tree->journal.volume[0] ? tree->journal.volume : "not known");
	printf("journal      %s%s, %" PRIu64 " rows read\n",
	       tree->journal.whole ? "whole" : "damaged: ", tree->journal.problem,
	       tree->journal.rows);
	for (size_t i = 0; i < tree->count; i++) {
		if (tree->files[i].path)
			print_file(recovery, &tree->files[i]);
	}
	printf("%s %u complete, %u partial, %u symlinks, %u unnamed; not to be saved: %u with "
	       "changed attributes alone, %u lost, %" PRIu64 " copies of what is in the bucket\n",
	       recovery->to ? "saved       " : "found       ", counts[RECOVER_COMPLETE],
	       counts[RECOVER_PARTIAL], counts[RECOVER_SYMLINK], counts[RECOVER_UNNAMED],
	       counts[RECOVER_ATTRIBUTES], counts[RECOVER_LOST], tree->copies);
	if (recovery->failed)
		printf("failed       %u could not be saved\n", recovery->failed);
	if (recovery->forgotten)
		printf("forgotten    %u that a power loss left in doubt\n", recovery->forgotten);
	if (recovery->unasked.code)
		printf("the bucket   was not asked what it has: %s\n", recovery->unasked.message);
	if (!recovery->to)
		printf("nothing was saved: --to DIRECTORY does that\n");
}

static void put_file(struct json_writer *json, const struct recover_file *file)
{
	json_begin_object(json, NULL);
	json_put_string(json, "path", file->path);
	json_put_string(json, "kind", kinds[file->kind]);
	json_put_integer(json, "bytes", (int64_t)file->size);
	json_begin_array(json, "valid");
	for (size_t i = 0; i < file->valid.count; i++) {
		json_begin_array(json, NULL);
		json_put_integer(json, NULL, (int64_t)file->valid.items[i].start);
		json_put_integer(json, NULL, (int64_t)file->valid.items[i].end);
		json_end_array(json);
	}
	json_end_array(json);
	json_put_string(json, "base_etag", file->flags & NODE_REMOTE ? file->etag : NULL);
	json_put_string(json, "bucket", remotes[file->remote].name);
	json_put_bool(json, "fsync_failed", file->flags & NODE_SUSPECT);
	json_put_bool(json, "power_lost", file->flags & NODE_UNSURE);
	json_put_string(json, "error", file->err ? strerror(-file->err) : NULL);
	json_end_object(json);
}

static void print_json(const struct recovery *recovery)
{
	const struct recover_tree *tree = &recovery->tree;
	struct buf out = BUF_INIT;
	struct json_writer json = JSON_WRITER_INIT(&out);

	json_begin_object(&json, NULL);
	json_put_string(&json, "cache", recovery->directory);
	json_put_string(&json, "volume", tree->journal.volume[0] ? tree->journal.volume : NULL);
	json_put_bool(&json, "journal_whole", tree->journal.whole);
	json_put_string(&json, "journal_problem",
			tree->journal.whole ? NULL : tree->journal.problem);
	json_put_integer(&json, "journal_rows", (int64_t)tree->journal.rows);
	json_put_string(&json, "saved_to", recovery->to);
	json_put_string(&json, "bucket_problem",
			recovery->unasked.code ? recovery->unasked.message : NULL);
	json_put_integer(&json, "failed", recovery->failed);
	json_put_integer(&json, "forgotten", recovery->forgotten);
	json_put_integer(&json, "copies", (int64_t)tree->copies);
	json_begin_array(&json, "files");
	for (size_t i = 0; i < tree->count; i++) {
		if (tree->files[i].path)
			put_file(&json, &tree->files[i]);
	}
	json_end_array(&json);
	json_end_object(&json);
	puts(buf_str(&out));
	buf_free(&out);
}

int recover_run(const char *path, const char *to, bool forget, struct options *options, bool json)
{
	struct recovery *recovery = calloc(1, sizeof(*recovery));
	struct error error = ERROR_INIT;
	int err;

	if (!recovery) {
		fprintf(stderr, "s3mount: out of memory\n");
		return EXIT_FAILURE;
	}
	recovery->to = to;
	recovery->to_fd = recovery->lock_fd = -1;
	err = forget && !to ? error_set(&error, -EINVAL,
					"--forget needs --to DIRECTORY: nothing is forgotten that "
					"has not been saved")
			    : find_directory(recovery, path, &error);
	if (!err)
		err = take_lock(recovery, &error);
	if (!err && to)
		err = open_target(recovery, &error);
	if (!err)
		err = read_tree(recovery, &error);
	if (err) {
		fprintf(stderr, "s3mount: %s\n", error.message);
		free(recovery);
		return EXIT_FAILURE;
	}
	save(recovery);
	if (forget)
		forget_parked(recovery);
	recover_ask_bucket(&recovery->tree, options, &recovery->unasked);
	if (json)
		print_json(recovery);
	else
		print_text(recovery);
	if (recovery->unforgotten.code)
		fprintf(stderr, "s3mount: nothing was forgotten: %s\n",
			recovery->unforgotten.message);
	err = recovery->failed || recovery->unforgotten.code || fflush(stdout) ? EXIT_FAILURE
									       : EXIT_SUCCESS;
	recover_tree_free(&recovery->tree);
	free(recovery);
	return err;
}

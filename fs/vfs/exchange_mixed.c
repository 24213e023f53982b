/* exchange_mixed.c — a file and a directory change places. Part of rename.h and exchange.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "fs/vfs/exchange.h"
#include "fs/vfs/rename.h"
#include "fs/vfs/tree_copy.h"

/* What is done to the keys: those of names, and those that they get. */
struct mixed {
	struct vfs *vfs;
	uint64_t intent;
	char *file, *directory;		/* "a", "b/" */
	char *new_file, *new_directory; /* "b", "a/" */
	char put_id[PUT_ID_LEN + 1];
	char etag[OS_ETAG_MAX]; /* of the file */
	char note[TREE_NOTE_MAX];
	char new_etag[OS_ETAG_MAX];
	char message[300];
};

bool exchange_is_mixed(const struct journal_intent *intent)
{
	size_t len = strlen(intent->target);

	return len > 0 && intent->target[len - 1] == '/';
}

static int set_keys(struct mixed *mixed, const char *file, const char *directory)
{
	struct buf slashed = BUF_INIT;

	buf_puts(&slashed, file);
	buf_putc(&slashed, '/');
	mixed->file = string_copy(file);
	mixed->directory = string_copy(directory);
	mixed->new_file = string_copy(directory);
	mixed->new_directory = buf_steal(&slashed);
	if (!mixed->file || !mixed->directory || !mixed->new_file || !mixed->new_directory)
		return -ENOMEM;
	mixed->new_file[strlen(directory) - 1] = '\0';
	return strlen(mixed->new_directory) > OS_KEY_MAX ? -ENAMETOOLONG : 0;
}

static void mixed_free(struct mixed *mixed)
{
	free(mixed->file);
	free(mixed->directory);
	free(mixed->new_file);
	free(mixed->new_directory);
}

/* follow: somebody is to look after it. */
static int put_intent(const struct mixed *mixed, enum journal_level level, bool follow)
{
	struct found_intent *found;

	struct journal *journal = mixed->vfs->env->journal;
	char text[PUT_ID_LEN + OS_ETAG_MAX + TREE_NOTE_MAX + 1];
	struct journal_intent intent = {.id = mixed->intent,
					.kind = INTENT_EXCHANGE,
					.source = mixed->file,
					.target = mixed->directory,
					.etag = text};

	snprintf(text, sizeof(text), "%s%s\n%s", mixed->put_id, mixed->etag, mixed->note);
	found = follow ? found_intent_new(&intent) : NULL;
	if (found && !janitor_follow(mixed->vfs, found, exchange_finish_mixed))
		found_intent_free(found); /* the next mount does it */
	return journal_wait(journal, journal_put_intent(journal, &intent), level);
}

static int read_intent(struct mixed *mixed, struct vfs *vfs, const struct journal_intent *intent)
{
	const char *line = strchr(intent->etag, '\n');

	memset(mixed, 0, sizeof(*mixed));
	mixed->vfs = vfs;
	mixed->intent = intent->id;
	if (!line || line - intent->etag < PUT_ID_LEN)
		return -EINVAL;
	memcpy(mixed->put_id, intent->etag, PUT_ID_LEN);
	snprintf(mixed->etag, OS_ETAG_MAX, "%.*s", (int)(line - intent->etag) - PUT_ID_LEN,
		 intent->etag + PUT_ID_LEN);
	snprintf(mixed->note, TREE_NOTE_MAX, "%s", line + 1);
	return set_keys(mixed, intent->source, intent->target);
}

static int copy_file(struct mixed *mixed, const struct inode *file, struct upload_outcome *outcome)
{
	/* Copies, as a HEAD may replace the inode's while the request is under way. */
	struct os_meta meta = OS_META_INIT, headers = OS_META_INIT;
	char *type = string_copy(publish_content_type(file));
	struct copy_job job = {.source = mixed->file,
			       .target = mixed->new_file,
			       .size = file->remote_size,
			       .source_etag = mixed->etag,
			       .target_etag = "",
			       .replace_meta = true,
			       .meta = &meta,
			       .headers = &headers,
			       .content_type = type};

	memset(outcome, 0, sizeof(*outcome));
	outcome->err = type ? os_meta_copy(&meta, &file->meta) : -ENOMEM;
	if (!outcome->err)
		outcome->err = os_meta_copy(&headers, &file->headers);
	if (!outcome->err)
		outcome->err = os_meta_set(&meta, META_PUT_ID, mixed->put_id);
	if (!outcome->err)
		outcome->err = attributes_encode(&file->attributes, &meta);
	if (!outcome->err)
		copy_run(&mixed->vfs->uploader, &job, outcome);
	os_meta_free(&meta);
	os_meta_free(&headers);
	free(type);
	memcpy(mixed->new_etag, outcome->etag, OS_ETAG_MAX);
	return outcome->err;
}

/* All below the directory gets the file's name. What is left to do is in the note. */
static int move_tree(struct mixed *mixed, struct tree_copy *tree)
{
	int err;

	tree->uploader = &mixed->vfs->uploader;
	tree->source = mixed->directory;
	tree->target = mixed->new_directory;
	tree->note = mixed->note;
	err = tree_copy_run(tree, mixed->message, sizeof(mixed->message));
	if (err)
		tree_copy_note(tree, mixed->note);
	return err;
}

/* All is where it belongs; only the object that the file had is left. */
static void delete_later(const struct mixed *mixed, const struct inode *file)
{
	struct journal *journal = mixed->vfs->env->journal;
	char ids[RENAME_IDS_MAX];
	struct journal_intent intent = {.id = mixed->intent,
					.kind = INTENT_RENAME_FILE,
					.source = mixed->file,
					.target = "",
					.etag = ids};
	struct found_intent *found;

	rename_ids(file, mixed->put_id, mixed->etag, ids);
	found = found_intent_new(&intent);
	journal_wait(journal, journal_put_intent(journal, &intent), JOURNAL_COMMITTED);
	if (found && !janitor_follow(mixed->vfs, found, rename_finish))
		found_intent_free(found); /* the next mount does it */
}

/* The intent goes, or stays for what is left. */
static void end_intent(struct mixed *mixed, bool left)
{
	struct vfs *vfs = mixed->vfs;
	struct journal *journal = vfs->env->journal;

	if (left)
		put_intent(mixed, JOURNAL_COMMITTED, true);
	else
		journal_wait(journal, journal_drop_intent(journal, mixed->intent),
			     JOURNAL_COMMITTED);
}

/* Nothing else was done, and the copy may come late. */
static void watch_copy(const struct mixed *mixed)
{
	const struct janitor_key copy = {mixed->new_file, mixed->put_id};

	janitor_replace(mixed->vfs, mixed->intent, &copy, 1);
}

/* 0: they have changed places. */
static int move_keys(struct mixed *mixed, struct inode *file, struct inode *directory)
{
	struct vfs *vfs = mixed->vfs;
	struct upload_outcome outcome;
	struct tree_copy tree = {.copied = rename_copied, .context = directory, .take_back = true};
	int err = copy_file(mixed, file, &outcome), left;

	if (err) {
		vfs_report(vfs, file, err, outcome.message);
		if (outcome.ambiguous)
			watch_copy(mixed);
		else
			end_intent(mixed, false);
		return err;
	}
	err = move_tree(mixed, &tree);
	if (err)
		vfs_report(vfs, directory, err, mixed->message);
	if (tree.state == TREE_MOVED) {
		janitor_moved(vfs, mixed->directory, mixed->new_directory);
		if (!err && rename_delete_version(mixed->vfs, mixed->file, mixed->etag))
			delete_later(mixed, file);
		else
			end_intent(mixed, err != 0);
		return 0;
	}
	left = tree.state != TREE_AS_BEFORE;
	tree.state = TREE_BETWEEN; /* it goes back, whoever does that, and is not gone on with */
	tree_copy_note(&tree, mixed->note);
	if (!left)
		left = put_intent(mixed, JOURNAL_DURABLE, false) ||
		       rename_delete_version(mixed->vfs, mixed->new_file, mixed->new_etag);
	end_intent(mixed, left);
	return err;
}

static int prepare(struct mixed *mixed, struct rename *rename, struct inode *file)
{
	bool first = file == rename->source;
	int err = inode_is_dirty(file) ? -EBUSY : 0;

	mixed->vfs = rename->vfs;
	env_put_id(mixed->vfs->env, mixed->put_id);
	if (!err && (file->remote != REMOTE_PRESENT || !file->etag))
		err = -ENOENT;
	if (!err)
		err = change_confirm(file);
	if (!err && !file->attributes_known)
		err = remote_refresh(file);
	if (!err)
		err = set_keys(mixed, first ? rename->source_key : rename->target_key,
			       first ? rename->target_key : rename->source_key);
	if (err)
		return err;
	snprintf(mixed->etag, OS_ETAG_MAX, "%s", file->etag);
	mixed->intent = uploader_intent_id(&mixed->vfs->uploader);
	err = put_intent(mixed, JOURNAL_DURABLE, false);
	if (err)
		journal_drop_intent(mixed->vfs->env->journal, mixed->intent);
	return err;
}

/* Nothing below the directory changes, and the file's publication is ours. */
static int exchange(struct rename *rename, struct inode *file, struct inode *directory)
{
	struct journal *journal = rename->vfs->env->journal;
	struct mixed mixed = {.vfs = rename->vfs};
	int err = rename_check_keys(rename);

	if (!err)
		err = prepare(&mixed, rename, file);
	if (!err)
		err = move_keys(&mixed, file, directory);
	if (!err) {
		rename_take_copy(file, mixed.new_etag, mixed.put_id);
		rename_exchange_names(file, directory);
		/* No row from before may bring anything below back under its old name. */
		err = journal_wait(journal, journal_newest(journal), JOURNAL_DURABLE);
	}
	mixed_free(&mixed);
	return err;
}

int rename_exchange_mixed(struct rename *rename)
{
	bool first = rename->source->directory != NULL;
	struct inode *directory = first ? rename->source : rename->target;
	struct inode *file = first ? rename->target : rename->source;
	int err = rename_freeze(directory);

	if (err)
		return err;
	publish_acquire(file);
	err = publish_whole(file);
	if (!err)
		err = exchange(rename, file, directory);
	publish_release(file);
	rename_thaw(directory);
	return err;
}

/* What the journal brought back has the names of before. */
static void exchange_loaded(const struct mixed *mixed, const char *etag)
{
	struct inode *file = inode_at_key(mixed->vfs, mixed->file);
	struct inode *directory = inode_at_key(mixed->vfs, mixed->directory);

	if (!file)
		return;
	if (file->etag && strcmp(file->etag, mixed->etag) == 0) {
		inode_set_etag(file, etag);
		os_meta_set(&file->meta, META_PUT_ID, mixed->put_id);
	}
	if (directory)
		rename_exchange_names(file, directory);
	else
		rename_loaded(file, mixed->new_file);
}

/* new_etag NULL: the directory has moved, and the file was changed or removed since. */
static int finish(struct mixed *mixed, const char *new_etag)
{
	struct tree_copy tree = {.take_back = false};
	int err = move_tree(mixed, &tree);

	if (err) {
		if (tree.state == TREE_MOVED)
			put_intent(mixed, JOURNAL_COMMITTED, false);
		return err;
	}
	if (tree.state == TREE_AS_BEFORE && mixed->note[0])
		return rename_delete_version(mixed->vfs, mixed->new_file, new_etag);
	err = rename_delete_version(mixed->vfs, mixed->file, mixed->etag);
	if (!err && new_etag && !mixed->vfs->names_known)
		exchange_loaded(mixed, new_etag);
	return err;
}

int exchange_finish_mixed(struct vfs *vfs, const struct journal_intent *intent)
{
	struct os_request head = {.op = OS_HEAD, .urgent = true};
	struct mixed mixed;
	const char *put_id;
	int err = read_intent(&mixed, vfs, intent);
	bool moved = !err && tree_copy_has_moved(mixed.note);

	if (!err) {
		head.key = mixed.new_file;
		err = env_s3(vfs->env, &head);
	}
	if (err == -ENOENT && !moved)
		watch_copy(&mixed);
	put_id = err ? NULL : os_meta_get(&head.result.meta, META_PUT_ID);
	if (put_id && strcmp(put_id, mixed.put_id) == 0)
		err = finish(&mixed, head.result.etag);
	else if (moved && (!err || err == -ENOENT))
		err = finish(&mixed, NULL);
	os_request_free_result(&head);
	mixed_free(&mixed);
	return err && err != -ENOENT ? err : 1;
}

#include "fs/cache/snapshot.h"

#include <errno.h>
#include <stdlib.h>

enum { COPY_CHUNK = 256 * 1024 };

int snapshot_create(struct blob *blob, uint64_t size, uint64_t aside_id, struct snapshot **out)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return -ENOMEM;
	snapshot->blob = blob_ref(blob);
	snapshot->size = size;
	snapshot->aside_id = aside_id;
	pthread_mutex_init(&snapshot->lock, NULL);
	*out = snapshot;
	return 0;
}

void snapshot_destroy(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	if (snapshot->aside)
		blob_discard(snapshot->aside);
	blob_unref(snapshot->aside);
	blob_unref(snapshot->blob);
	extent_set_free(&snapshot->preserved);
	pthread_mutex_destroy(&snapshot->lock);
	free(snapshot);
}

static int copy_range(struct snapshot *snapshot, uint64_t start, uint64_t end)
{
	char *chunk = malloc(COPY_CHUNK);
	int err = chunk ? 0 : -ENOMEM;

	while (!err && start < end) {
		size_t want = end - start < COPY_CHUNK ? (size_t)(end - start) : COPY_CHUNK;
		ssize_t got = blob_read(snapshot->blob, chunk, want, start);

		if (got <= 0)
			err = got < 0 ? (int)got : -EIO;
		else
			err = blob_write(snapshot->aside, chunk, (size_t)got, start);
		if (!err)
			start += (uint64_t)got;
	}
	free(chunk);
	return err;
}

int snapshot_preserve(struct snapshot *snapshot, uint64_t start, uint64_t end)
{
	struct extent gap;
	int err = 0;

	if (end > snapshot->size)
		end = snapshot->size;
	while (!err && start < end && extent_first_gap(&snapshot->preserved, start, end, &gap)) {
		if (!snapshot->aside) {
			struct blob *aside;

			err = blob_create(snapshot->blob->env, snapshot->aside_id, &aside);
			if (err)
				return err;
			pthread_mutex_lock(&snapshot->lock);
			snapshot->aside = aside;
			pthread_mutex_unlock(&snapshot->lock);
		}
		err = copy_range(snapshot, gap.start, gap.end);
		if (!err) {
			pthread_mutex_lock(&snapshot->lock);
			err = extent_add(&snapshot->preserved, gap.start, gap.end);
			pthread_mutex_unlock(&snapshot->lock);
		}
		start = gap.end;
	}
	return err;
}

/* The first preserved range in [start, end); false when there is none. */
static bool next_preserved(struct snapshot *snapshot, uint64_t start, uint64_t end,
			   struct extent *range)
{
	bool found;

	pthread_mutex_lock(&snapshot->lock);
	found = extent_first(&snapshot->preserved, start, end, range);
	pthread_mutex_unlock(&snapshot->lock);
	return found;
}

int snapshot_read(void *context, void *data, size_t len, uint64_t offset)
{
	struct snapshot *snapshot = context;
	struct extent range;
	uint64_t position = offset, end = offset + len;
	ssize_t got = blob_read(snapshot->blob, data, len, offset);

	if (got < 0)
		return (int)got;
	/* A short read is legal only where the writer has cut the file and preserved the rest. */
	if ((size_t)got < len && !next_preserved(snapshot, offset + (uint64_t)got, end, &range))
		return -EIO;
	while (position < end && next_preserved(snapshot, position, end, &range)) {
		ssize_t part = blob_read(snapshot->aside, (char *)data + (range.start - offset),
					 (size_t)(range.end - range.start), range.start);

		if (part != (ssize_t)(range.end - range.start))
			return part < 0 ? (int)part : -EIO;
		position = range.end;
	}
	return 0;
}

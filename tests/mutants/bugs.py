"""Bugs that the tests must find: each is one change of the sources that breaks one promise.

A bug is a place (`old` stands in `file` exactly once) and what stands there instead, and where two guards watch one
promise, a second such place (`also`). The invariant is the one
that it breaks, numbered as in docs/reliability.md. When the code changes, the place is to be changed along: a bug
that cannot be put in counts as a failure.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Bug:
    name: str
    invariant: str
    file: str
    old: str
    new: str
    also: tuple = ()  # (file, old, new)

    def places(self):
        return [(self.file, self.old, self.new), *([self.also] if self.also else [])]


BUGS = (
    Bug("fsync does not wait for the data", "I1", "fs/cache/content.c",
        'err = content->cache->env->disk->ops->sync(blob->file);',
        'err = 0;'),
    Bug("fsync does not wait for the journal's disk", "I1", "fs/vfs/durable.c",
        'journal_wait(inode->vfs->env->journal, inode->dirty_sequence, level)',
        'journal_wait(inode->vfs->env->journal, inode->dirty_sequence, JOURNAL_COMMITTED)'),
    Bug("the journal counts its log as durable unsynced", "I1", "fs/journal/store.c",
        "return sql_sync_log(store->sql);",
        "(void)store;\n\treturn 0;"),
    Bug("a write is answered before it is in the journal", "I3", "fs/vfs/file.c",
        '\tstream_note(inode, offset, end);\n\treturn change_wait(inode, sequence);',
        '\tstream_note(inode, offset, end);\n\treturn sequence == 0;'),
    Bug("a clean row is not taken back before the first change", "I3", "fs/vfs/change.c",
        '\tif (!serves)\n\t\treturn 0;\n',
        '\tif (!serves || inode)\n\t\treturn 0;\n'),
    Bug("ranges of incomplete files are not recorded", "I3", "fs/vfs/file.c",
        'sequence = journal_add_extent(journal, inode->ino, start, end);',
        '(void)start, (void)journal;'),
    Bug("what a truncate adds to an incomplete file is not recorded", "I3", "fs/vfs/file.c",
        "sequence = journal_add_extent(journal, inode->ino, old, size);",
        "sequence = inode->dirty_sequence;"),
    Bug("close returns for an older generation", "I2", "fs/vfs/publication.c",
        'inode->published_generation = inode->frozen_generation;',
        'inode->published_generation = inode->generation;'),
    Bug("what bears the base's put-id passes for a late attempt of ours", "I4", "fs/env.c",
        "return put_id_is_kin(found, newest) && (!base || strcmp(found, base) != 0);",
        "(void)base;\n\treturn put_id_is_kin(found, newest);"),
    Bug("uploads carry no condition", "I4", "fs/upload/upload.c",
        "\tif (job->unconditional)\n\t\treturn condition;\n",
        "\tif (job->unconditional || job)\n\t\treturn condition;\n"),
    Bug("a refused condition is taken for success", "I4", "fs/upload/upload.c",
        "case REMOTE_FOREIGN: outcome->err = -ESTALE; return true;",
        "case REMOTE_FOREIGN: outcome->err = 0; return true;"),
    Bug("any object with a put-id is ours", "I4", "fs/upload/upload.c",
        "if (strcmp(put_id, job->put_id) == 0)\n\t\treturn found->size == job->body.len ?",
        "if (put_id[0])\n\t\treturn found->size || !found->size ?"),
    Bug("an upload whose reply was lost is not known again", "I10", "fs/upload/upload.c",
        "if (strcmp(put_id, job->put_id) == 0)\n\t\treturn found->size",
        "if (!job->put_id)\n\t\treturn found->size"),
    Bug("put-ids are used again after a power loss", "I4", "fs/env.c",
        "advance(env, id, LEAP_MIN + env->random(env->random_context) % LEAP_MIN);",
        "advance(env, id, LEAP_MIN / LEAP_MIN);"),
    Bug("what a power loss brought back is changed unasked", "I3", "fs/vfs/change.c",
        "\tif (inode->reloaded)\n\t\tsettle_reloaded(inode);",
        "\tif (inode->reloaded && vfs->config.read_only)\n\t\tsettle_reloaded(inode);",
        ("fs/vfs/publication.c", "is_superseded(inode, put_id) && !inode->untouched) {",
         "is_superseded(inode, put_id) && inode->vfs->config.read_only) {")),
    Bug("a file that was replaced by the newer one is written as the older", "I5", "fs/vfs/publication.c",
        "inode->version++; /* who has read the old one must not write into this one */",
        "inode->version += 0;"),
    Bug("a directory whose marker lost forgets its row", "I3", "fs/vfs/conflict.c",
        "change_settle(inode); /* rows of what is below need its row */",
        "change_forget(inode);"),
    Bug("a conflict after a failure is never tried again", "I9", "fs/vfs/publish.c",
        "inode->retries = 0; /* also where it was a conflict that ended the attempt */\n",
        "\n"),
    Bug("a changed data file passes for S3's version after a power loss", "I5", "fs/journal/store_open.c",
        'info->clean ? MARK_ROWS("0") : MARK_ROWS("1")',
        'info->clean ? MARK_ROWS("0") : MARK_ROWS("0")'),
    Bug("the janitor takes what has its name again", "I3", "fs/vfs/janitor.c",
        "return inode && put_id_is_kin(inode->put_id, put_id);",
        "return inode && !put_id_is_kin(inode->put_id, put_id) && !vfs;",
        ("fs/vfs/publication.c", "inode->haunted_at = env_now(inode->vfs->env);",
         "janitor_watch(inode->vfs, key, inode->put_id);")),
    Bug("a rename deletes its source whatever the copy did", "I4", "fs/vfs/rename.c",
        '\telse\n\t\terr = delete_source_patiently(rename, job.source_etag);',
        '\tif (rename)\n\t\terr = delete_source_patiently(rename, job.source_etag);'),
    Bug("a rename deletes a source that others changed", "I4", "fs/vfs/rename.c",
        'uploader.can.delete &&etag[0])',
        'uploader.can.delete && etag[0] && !rename)'),
    Bug("an upload reads what is written meanwhile", "I5", "fs/cache/content_change.c",
        "if (!err && content->snapshot)\n\t\terr = snapshot_preserve(content->snapshot, offset, end);",
        "if (!err && content->snapshot && !content->cache)\n"
        "\t\terr = snapshot_preserve(content->snapshot, offset, end);"),
    Bug("an unlinked name is not recorded", "I6", "fs/vfs/namespace.c",
        "\tif (inode->opens == 0)\n\t\treturn change_forget(inode);\n",
        "\tif (inode->opens == 0)\n\t\treturn 0;\n"),
    Bug("an outage is taken for a deletion", "I6", "fs/vfs/remote.c",
        "\terr = env_s3(vfs->env, &head);\n\tif (err == -EFBIG)",
        "\terr = env_s3(vfs->env, &head);\n\tif (err == -EHOSTUNREACH || err == -EIO)\n\t\terr = -ENOENT;\n"
        "\tif (err == -EFBIG)"),
    Bug("recovery repeats uploads without a look", "I7", "fs/vfs/load.c",
        "inode->resolve_first = inode->put_id[0] != '\\0';",
        "inode->resolve_first = false;"),
    Bug("the numbers of data files are used again after a crash", "I7", "fs/journal/store_open.c",
        "return next + COUNTER_SAFETY_STEP;",
        "return 1;"),
    Bug("what a power loss left in doubt is published", "I3", "fs/vfs/load.c",
        "if ((node->flags & NODE_UNSURE) && (node->flags & NODE_DIRTY_DATA) &&",
        "if (!node && (node->flags & NODE_UNSURE) && (node->flags & NODE_DIRTY_DATA) &&"),
    Bug("rows of before a restart of the kernel are trusted", "I3", "fs/journal/store_open.c",
        "if (!info->same_boot)\n\t\terr = sql_execute(",
        "if (!info->same_boot && !info)\n\t\terr = sql_execute("),
    Bug("an append is placed twice when the journal is full", "I5", "fs/vfs/file.c",
        "placed = placed || !err;",
        "placed = false;"),
    Bug("dirty data may be evicted", "I8", "fs/vfs/instance.c",
        "return !inode_is_local(inode) && inode->parent;",
        "return inode->parent != NULL;",
        ("fs/cache/content.c",
         "return content->owner && content->pins == 0 && content->refs == 1 &&\n\t       !content_is_dirty(content);",
         "return content->owner && content->pins == 0 && content->refs == 1;")),
    Bug("the dirty limit is no limit", "I8", "fs/vfs/file.c",
        "err = cache_reserve_dirty(&vfs->cache, len, DIRTY_WAIT);",
        "err = 0;"),
    Bug("a lost race is not reported", "I10", "fs/vfs/conflict.c",
        "\tinode->error = -ESTALE;\n",
        ""),
    Bug("a failure that nobody waited for is forgotten", "I10", "fs/vfs/publish.c",
        "\t\tinode->error = outcome->err;\n",
        ""),
    Bug("abandoned multipart uploads are not aborted", "I11", "fs/upload/multipart.c",
        "else if (multipart->upload_id[0])\n\t\tabort_upload(multipart);",
        "else if (multipart->upload_id[0] && !multipart->uploader)\n\t\tabort_upload(multipart);"),
)

"""Programs that replace a file by a new one, or write over it: vim with its ways to keep a backup, sed -i."""
import os

import pytest

from files import mode_of, read_file, write_file
from programs import cold, run

TEXT = b"".join(b"line %d\n" % number for number in range(2000))
EDITED = TEXT.replace(b"line 7\n", b"seventh line\n")


@pytest.mark.parametrize("backupcopy", ["yes", "no", "auto"])
def test_vim(each_mount, bucket, backupcopy):
    expected = []
    for backup in ("nobackup", "backup"):
        path = each_mount / backup
        write_file(path, TEXT, mode=0o640)
        os.chown(path, 33, 33)
        settings = f"set {backup} writebackup backupcopy={backupcopy} swapfile directory=."
        for _ in range(2):  # the second time there is a backup already
            run("vim.tiny", "-u", "NONE", "-N", "-es", "-c", settings, "-c", "%s/^line 7$/seventh line/e", "-c", "wq",
                path, cwd=each_mount.path)
        expected += [backup, backup + "~"] if backup == "backup" else [backup]
    assert sorted(os.listdir(each_mount.path)) == sorted(expected)
    cold(each_mount)
    for path in (each_mount / "nobackup", each_mount / "backup"):
        assert read_file(path) == bucket.get(os.path.basename(path)) == EDITED
        assert (mode_of(path), os.stat(path).st_uid, os.stat(path).st_gid) == (0o640, 33, 33)


def test_sed_in_place(each_mount, bucket):
    path = each_mount / "text"
    write_file(path, TEXT, mode=0o600)
    run("sed", "-i.old", "s/^line 7$/seventh line/", path)
    run("sed", "-i", "s/nothing/else/", path)
    cold(each_mount)
    assert read_file(path) == bucket.get("text") == EDITED
    assert read_file(each_mount / "text.old") == TEXT
    assert mode_of(path) == 0o600
    assert sorted(bucket.keys()) == ["text", "text.old"]


def test_an_editor_that_saves_while_others_read(each_mount):
    """A reader sees one version or the other, as a whole."""
    path = each_mount / "text"
    write_file(path, TEXT)
    for number in range(40):
        write_file(path + ".new", b"%d\n" % number + TEXT)
        with open(path, "rb") as before:
            os.rename(path + ".new", path)
            first = before.read().partition(b"\n")
        assert first[2] in (TEXT, TEXT.partition(b"\n")[2])
        assert read_file(path) == b"%d\n" % number + TEXT

"""What a power loss leaves in doubt is parked: told, kept, exported, and forgotten when the user says so."""
import json
import os
import pathlib
import sqlite3
import subprocess

import pytest

from files import noise, read_file, write_file

pytestmark = pytest.mark.servers("embedded")  # it is about this machine, not about the server

OURS = noise(5000, 2)


@pytest.fixture
def parked(bucket, make_mount):
    """A mount after what counts as another boot of the kernel; two files were dirty and not synced."""
    bucket.put("there", b"in the bucket")
    mount = make_mount(bucket)
    assert read_file(mount / "there") == b"in the bucket"
    write_file(mount / "published", b"published")
    files = [os.open(mount / name, os.O_WRONLY | os.O_CREAT) for name in ("there", "new")]
    for file in files:
        os.write(file, OURS)
    mount.kill9()
    for file in files:
        with pytest.raises(OSError):
            os.close(file)
    with sqlite3.connect(mount.volume_cache() / "journal.db") as database:
        database.execute("UPDATE state SET boot_id = 'of the boot before'")
        for row in database.execute("SELECT name FROM node WHERE flags & 128"):
            pytest.fail(f"{row[0]} was synced, so this test is about nothing")
    database.close()
    mount.mount()
    return mount


def test_a_parked_file_is_told_and_exported_and_forgotten(parked, bucket, tmp_path):
    assert parked.status()["parked"] == 2
    assert parked.process.output().count("`s3mount recover` exports it") == 2
    assert read_file(parked / "there") == b"in the bucket"
    assert sorted(path.name for path in pathlib.Path(parked.path).iterdir()) == ["published", "there"]
    cache = parked.volume_cache()
    parked.unmount()
    assert not bucket.exists("new")

    code, out, problem = parked.recover(str(cache), "--forget")
    assert code == 1 and "--forget needs --to" in problem
    code, out, problem = parked.recover(str(cache), "--to", str(tmp_path / "saved"), "--json")
    assert (code, problem) == (0, "")
    assert {entry["path"]: entry["power_lost"] for entry in json.loads(out)["files"]} == {"new": True, "there": True}
    assert json.loads(out)["forgotten"] == 0
    assert (tmp_path / "saved/there").read_bytes() == OURS
    assert (tmp_path / "saved/new").read_bytes() == OURS

    code, out, problem = parked.recover(str(cache), "--to", str(tmp_path / "again"), "--forget")
    assert (code, problem) == (0, "")
    assert "forgotten    2 that a power loss left in doubt" in out
    parked.mount()
    assert parked.status()["parked"] == 0
    assert read_file(parked / "there") == b"in the bucket"
    write_file(parked / "new", b"another")
    parked.unmount()
    assert bucket.get("new") == b"another"
    code, out, _ = parked.recover(str(cache), "--json")
    assert code == 0 and json.loads(out)["files"] == []
    kept = sum(path.read_bytes() == OURS for path in (cache / "data").rglob("*") if path.is_file())
    assert kept == 0, "data files of what was forgotten are still there"


def test_nothing_is_forgotten_that_could_not_be_saved(parked, tmp_path):
    cache = parked.volume_cache()
    parked.unmount()
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", small], check=True)
    try:
        code, out, problem = parked.recover(str(cache), "--to", str(small / "saved"), "--forget")
    finally:
        subprocess.run(["umount", small], check=True)
    assert code == 1 and "nothing was forgotten: not all could be saved" in problem
    assert "NOT SAVED: No space left on device" in out and "forgotten  " not in out
    parked.mount()
    assert parked.status()["parked"] == 2

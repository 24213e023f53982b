"""A journal that is damaged is left as it is: the bucket is mounted read-only, and `s3mount recover` saves the rest."""
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import stat
import subprocess

import pytest

from files import MIB, fails_with, noise, read_file, write_file
from processes import BIN

pytestmark = pytest.mark.servers("embedded")  # it is about this machine, not about the server

PAGE = 4096
FILES = {f"dir{n % 7}/file-{n}": noise(100 + 37 * n, n) for n in range(300)}


def snapshot(directory):
    """Names, bytes and times of all that is in a cache directory, but for what a mount reads into "reads"."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_file() and not name.startswith("reads/") and name != "LOCK":
            found[name] = (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


@pytest.fixture
def dirty(bucket, make_mount, server):
    """A mount that died with FILES in its cache, a large file changed in part, and S3 unaware of it."""
    bucket.put("there", b"in the bucket")
    bucket.put("large", noise(20 * MIB, 5))
    mount = make_mount(bucket, ["close=local", "fsync=local", "attr_timeout=600"])
    assert read_file(mount / "there") == b"in the bucket"
    for number in range(7):
        os.mkdir(mount / f"dir{number}")
    assert len(read_file(mount / "large")[:10]) == 10
    mount.remount()
    for number in range(7):
        assert os.listdir(mount / f"dir{number}") == []
    assert sorted(os.listdir(mount.path))[-2:] == ["large", "there"]
    server.go_away()
    try:
        for name, data in FILES.items():
            write_file(mount / name, data)
        os.chmod(mount / "dir3/file-3", 0o640)
        os.utime(mount / "dir3/file-3", (1000000000, 1100000000))
        os.symlink("dir3/file-3", mount / "link")
        mount.kill9()
    finally:
        server.come_back()
    return mount


def damage(cache, kind):
    database, log = cache / "journal.db", cache / "journal.db-wal"
    if kind == "log":
        data = bytearray(log.read_bytes())
        data[:64] = b"x" * 64
        log.write_bytes(data)
        data = bytearray(database.read_bytes())
        data[-PAGE:] = b"\xa5" * PAGE
        database.write_bytes(data)
    elif kind == "header":
        data = bytearray(database.read_bytes())
        data[:16] = b"not a database !"
        database.write_bytes(data)
    elif kind == "pages":
        data = bytearray(database.read_bytes())
        for page in range(8, len(data) // PAGE, 5):
            data[page * PAGE:page * PAGE + PAGE] = b"\xa5" * PAGE
        database.write_bytes(data)
    elif kind == "missing":
        database.unlink()


def settle_log(mount, cache):
    """All of the journal is in the database, not in its log: pages can be damaged one by one."""
    with sqlite3.connect(cache / "journal.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert not mount.process.alive()


def names_below(directory):
    return {str(path.relative_to(directory)) for path in pathlib.Path(directory).rglob("*")
            if path.is_file() or path.is_symlink()}


@pytest.mark.parametrize("kind", ["header", "pages", "missing"])
def test_the_mount_is_read_only_and_nothing_is_touched(dirty, bucket, kind):
    cache = dirty.volume_cache()
    settle_log(dirty, cache)
    if kind == "missing":
        (cache / "journal.db-wal").write_bytes(b"something")
    damage(cache, kind)
    before = snapshot(cache)
    done = dirty.run_background()
    assert done.returncode == 0
    assert "READ-ONLY" in done.stderr
    assert f"s3mount recover {cache}" in done.stderr
    try:
        assert read_file(dirty / "there") == b"in the bucket"
        assert read_file(dirty / "large") == noise(20 * MIB, 5)
        assert not os.path.exists(dirty / "dir3/file-3")
        with fails_with(errno.EROFS):
            write_file(dirty / "new", b"x")
        with fails_with(errno.EROFS):
            os.unlink(dirty / "there")
        status = dirty.status()
        assert status["damaged"] and status["read_only"] and not status["accepts_writes"]
        assert "recover" in status["writes_refused_because"]
        assert status["cache_directory"] == str(cache)
        code, _, problem = dirty.recover(str(cache))
        assert code == 1 and "in use by a mount" in problem
        code, _, problem = dirty.recover(dirty.path)
        assert code == 1 and "umount" in problem
    finally:
        subprocess.run(["umount", dirty.path], check=True)
    wait_for_lock(cache)
    assert snapshot(cache) == before
    assert sorted(key for key in bucket.keys() if not key.endswith("/")) == ["large", "there"]


def wait_for_lock(cache):
    with open(cache / "LOCK", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def test_the_end_of_a_read_only_mount_tells_that_something_is_left(dirty):
    cache = dirty.volume_cache()
    damage(cache, "header")
    dirty.mount()
    assert "READ-ONLY" in dirty.process.output()
    assert dirty.unmount(check=False) == 3


def test_a_whole_journal_is_saved_completely(dirty, bucket, tmp_path):
    cache = dirty.volume_cache()
    bucket.put("dir3/file-3", b"somebody else's")
    before = snapshot(cache)
    target = tmp_path / "saved"
    code, out, problem = dirty.recover(str(cache), "--to", str(target), "--json")
    assert (code, problem) == (0, "")
    told = json.loads(out)
    assert told["journal_whole"] and told["failed"] == 0
    assert snapshot(cache) == before
    for name, data in FILES.items():
        assert (target / name).read_bytes() == data
    info = (target / "dir3/file-3").stat()
    assert stat.S_IMODE(info.st_mode) == 0o640
    assert int(info.st_mtime) == 1100000000
    assert os.readlink(target / "link") == "dir3/file-3"
    kinds = {entry["path"]: (entry["kind"], entry["bucket"]) for entry in told["files"]}
    assert told["bucket_problem"] is None
    assert kinds["dir3/file-3"] == ("complete", "other")
    assert all(kinds[name] == ("complete", "absent") for name in FILES if name != "dir3/file-3")
    # Only listed, and the directory above is enough when there is one cache in it.
    code, out, _ = dirty.recover(dirty.cache)
    assert code == 0 and "--to" in out and "dir3/file-3" in out
    code, _, problem = dirty.recover(str(cache), "--to", str(target))
    assert code == 1 and "not empty" in problem
    bucket.client.delete_object(Bucket=bucket.name, Key="dir3/file-3")
    dirty.mount()
    dirty.wait_clean(60)


@pytest.mark.parametrize("kind", ["header", "pages", "missing", "log"])
def test_what_can_be_saved_of_a_damaged_journal_is(dirty, tmp_path, kind):
    cache = dirty.volume_cache()
    if kind != "log":
        settle_log(dirty, cache)
    damage(cache, kind)
    before = snapshot(cache)
    target = tmp_path / "saved"
    code, out, problem = dirty.recover(str(cache), "--to", str(target), "--json")
    assert (code, problem) == (0, "")
    told = json.loads(out)
    assert not told["journal_whole"] and told["journal_problem"]
    assert snapshot(cache) == before
    saved = [(target / name).read_bytes() for name in names_below(target) if name != "link"]
    for name, data in FILES.items():
        assert data in saved, f"{name} is in none of the files"
    named = [name for name, data in FILES.items() if (target / name).exists() and (target / name).read_bytes() == data]
    if kind == "header":
        assert len(named) == len(FILES)
    elif kind == "pages":
        assert 50 < len(named) < len(FILES)
    elif kind == "missing":
        assert not named


@pytest.mark.limit(300)
def test_a_file_that_is_here_in_part_is_saved_with_its_ranges(bucket, make_mount, server, tmp_path):
    base = noise(40 * MIB, 9)
    bucket.put("large", base)
    mount = make_mount(bucket, ["close=local", "fsync=local"])
    file = os.open(mount / "large", os.O_RDWR)
    os.pwrite(file, b"first", 10 * MIB)
    server.go_away()
    try:
        os.pwrite(file, b"second", 30 * MIB)
        mount.kill9()
    finally:
        server.come_back()
    with pytest.raises(OSError):
        os.close(file)
    cache = mount.volume_cache()
    target = tmp_path / "saved"
    code, out, _ = mount.recover(str(cache), "--to", str(target), "--json")
    assert code == 0
    entry, = [entry for entry in json.loads(out)["files"] if entry["path"] == "large"]
    assert entry["kind"] == "partial"
    assert entry["valid"] == [[10 * MIB, 10 * MIB + 5], [30 * MIB, 30 * MIB + 6]]
    assert entry["base_etag"] == bucket.head("large")["ETag"]
    assert entry["bucket"] == "base"
    with open(target / "large", "rb") as saved:
        assert os.fstat(saved.fileno()).st_size == len(base)
        assert os.pread(saved.fileno(), 6, 30 * MIB) == b"second"
    code, out, _ = mount.recover(str(cache))
    assert f"{30 * MIB}-{30 * MIB + 6}" in out


def test_the_bucket_need_not_answer(dirty, server, tmp_path):
    server.go_away()
    try:
        code, out, problem = dirty.recover(str(dirty.volume_cache()), "--to", str(tmp_path / "saved"))
    finally:
        server.come_back()
    assert (code, problem) == (0, "")
    assert "the bucket   was not asked what it has: no connection" in out
    assert (tmp_path / "saved/dir3/file-3").read_bytes() == FILES["dir3/file-3"]


def test_other_directories_are_refused(mount, tmp_path):
    code, _, problem = mount.recover(str(tmp_path))
    assert code == 1 and "no cache directory" in problem
    code, _, problem = mount.recover(str(tmp_path / "absent"))
    assert code == 1 and "No such file" in problem
    code, _, problem = mount.recover(mount.cache)
    assert code == 1 and "in use by a mount (process" in problem
    shutil.copytree(mount.volume_cache(), tmp_path / "one")
    shutil.copytree(mount.volume_cache(), tmp_path / "other")
    code, _, problem = mount.recover(str(tmp_path))
    assert code == 1 and "several caches" in problem

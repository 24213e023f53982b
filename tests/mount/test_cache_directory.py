"""Cache directories that a mount must not use: each has one clear message, and is left as it is."""
import os
import re
import shutil
import sqlite3

import pytest

from files import read_file, write_file
from processes import is_mounted

pytestmark = pytest.mark.servers("embedded")  # it is about this machine, not about the server


@pytest.fixture
def ended(bucket, make_mount):
    mount = make_mount(bucket)
    write_file(mount / "file", b"data")
    mount.unmount()
    return mount


def assert_refused(mount, *patterns):
    done = mount.run_background()
    assert done.returncode == 1
    assert not is_mounted(mount.path)
    assert len(done.stderr.splitlines()) == 1
    for pattern in patterns:
        assert re.search(pattern, done.stderr), f"no {pattern!r} in: {done.stderr}"


def assert_refused_untouched(mount, *patterns):
    database = mount.volume_cache() / "journal.db"
    before = database.read_bytes()
    assert_refused(mount, *patterns)
    assert database.read_bytes() == before


def test_of_a_newer_version(ended):
    with sqlite3.connect(ended.volume_cache() / "journal.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert_refused_untouched(ended, "newer s3mount", "99", "another cache directory")


def test_of_another_volume(server, ended, make_mount):
    other = server.make_bucket()
    mount = make_mount(other)
    mount.unmount()
    shutil.copy(ended.volume_cache() / "journal.db", mount.volume_cache() / "journal.db")
    assert_refused_untouched(mount, "another volume", ended.source, other.name, "cache=DIR")


def test_of_another_user(ended):
    os.chown(ended.volume_cache() / "data", 65534, 65534)
    assert_refused_untouched(ended, "belongs to uid 65534", "cache=DIR")


def test_that_others_may_write(ended):
    os.chmod(ended.volume_cache() / "data", 0o770)
    assert_refused_untouched(ended, "may be written by others", "chmod go-w")


def test_that_another_mount_uses(bucket, ended, make_mount):
    first = make_mount(bucket, cache=ended.cache)
    assert_refused(ended, "in use by another mount", f"process {first.process.pid}")
    assert read_file(first / "file") == b"data"


def test_on_a_file_system_that_keeps_nothing(bucket, make_mount):
    mount = make_mount(bucket, start=False, cache=f"/dev/shm/s3mount-test.{os.getpid()}")
    try:
        assert_refused(mount, "is on tmpfs", "a restart loses it", "cache=DIR", "force_cache", "-o ro")
        mount.options = ["ro"]
        mount.mount()
        mount.unmount()
        mount.options = ["force_cache"]
        mount.mount()
        assert "is on tmpfs" in mount.process.output()
        write_file(mount / "file", b"data")
        assert bucket.get("file") == b"data"
        mount.unmount()
    finally:
        shutil.rmtree(mount.cache)


def test_on_overlayfs(bucket, make_mount, tmp_path):
    mount = make_mount(bucket, start=False)
    for name in "lower", "upper", "work":
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    script = f'mount -t overlay overlay -o {options} {mount.cache} && exec "$@"'
    command = mount.command
    mount.command = lambda *flags: ["unshare", "--mount", "sh", "-c", script, "sh", *command(*flags)]
    assert_refused(mount, "is on overlayfs", "force_cache")

"""kill -9 of everything that belongs to a mount, at any moment; what was acknowledged is there afterwards."""
import os
import threading
import time

import pytest

from files import MIB, RENAME_EXCHANGE, noise, pwrite_file, read_file, renameat2, write_file
from processes import wait_until


class Writer(threading.Thread):
    """Writes files one after the other until the mount dies; knows which of them were acknowledged.

    By a descriptor of the mounted root: by a path it would go on in what is below the dead mount."""

    def __init__(self, mount, name, size, fsync=False):
        super().__init__(daemon=True)
        self.root = os.open(mount.path, os.O_RDONLY | os.O_DIRECTORY)
        self.name, self.size, self.fsync = name, size, fsync
        self.acknowledged = {}
        self.error = None

    def data(self, number):
        return noise(1 + number * 7919 % self.size, hash((self.name, number)) & 0xffffffff)

    def run(self):
        try:
            for number in range(100_000):
                data = self.data(number)
                name = f"{self.name}-{number:05}"
                fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=self.root)
                try:
                    os.write(fd, data)
                    if self.fsync:
                        os.fsync(fd)
                        self.acknowledged[name] = data
                finally:
                    os.close(fd)
                self.acknowledged[name] = data
        except OSError as error:
            self.error = error
        finally:
            os.close(self.root)


def check_all(mount, bucket, acknowledged):
    for name, data in acknowledged.items():
        assert read_file(mount / name) == data, f"{name} in the mount"
    mount.sync()
    for name, data in acknowledged.items():
        assert bucket.get(name) == data, f"{name} in the bucket"
    assert bucket.uploads() == []


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("options", ["close=s3", "close=local", "close=local,fsync=local"])
def test_files_that_were_closed_survive_kill9_during_writes(bucket, make_mount, options, seconds):
    mount = make_mount(bucket, options.split(","))
    acknowledged = {}
    for turn in range(2):
        writers = [Writer(mount, f"turn{turn}-{kind}", 300_000, kind == "fsync")
                   for kind in ("close", "fsync")]
        for writer in writers:
            writer.start()
        time.sleep(seconds)
        mount.kill9()
        for writer in writers:
            writer.join(30)
            assert not writer.is_alive()
            acknowledged.update(writer.acknowledged)
        mount.mount()
    assert acknowledged or seconds < 1
    check_all(mount, bucket, acknowledged)


@pytest.mark.parametrize("seconds", [0.02, 0.2, 0.6])
def test_a_large_upload_that_was_killed_is_finished_by_the_next_mount(bucket, make_mount, seconds):
    mount = make_mount(bucket, ["close=local"])
    data = noise(64 * MIB, 5)
    write_file(mount / "large", data)
    time.sleep(seconds)
    mount.kill9()
    mount.mount()
    assert read_file(mount / "large") == data
    mount.sync()
    assert bucket.get("large") == data
    assert bucket.uploads() == []


def test_an_acknowledged_change_in_the_middle_survives(bucket, make_mount):
    data = noise(30 * MIB, 6)
    bucket.put("file", data)
    mount = make_mount(bucket, ["close=local"])
    pwrite_file(mount / "file", b"changed", 10 * MIB)
    mount.kill9()
    expected = data[:10 * MIB] + b"changed" + data[10 * MIB + 7:]
    mount.mount()
    assert read_file(mount / "file") == expected
    mount.sync()
    assert bucket.get("file") == expected


def test_written_bytes_survive_without_close_or_fsync(bucket, make_mount):
    mount = make_mount(bucket)
    fd = os.open(mount / "open", os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(fd, b"written, not closed")
    mount.kill9()
    try:
        os.close(fd)
    except OSError:
        pass
    mount.mount()
    assert read_file(mount / "open") == b"written, not closed"
    mount.sync()
    assert bucket.get("open") == b"written, not closed"


def test_renames_removals_and_attributes_survive(bucket, make_mount):
    mount = make_mount(bucket, ["close=local"])
    os.makedirs(mount / "dir/sub")
    for name in ("keep", "moved", "gone", "dir/sub/deep"):
        write_file(mount / name, name.encode())
    mount.sync()
    os.rename(mount / "moved", mount / "there")
    os.unlink(mount / "gone")
    os.chmod(mount / "keep", 0o600)
    os.rename(mount / "dir", mount / "folder")
    write_file(mount / "there", b" and more", flags=os.O_APPEND)
    os.symlink("keep", mount / "link")
    mount.kill9()
    mount.mount()
    assert sorted(os.listdir(mount.path)) == ["folder", "keep", "link", "there"]
    assert read_file(mount / "there") == b"moved and more"
    assert os.stat(mount / "keep").st_mode & 0o777 == 0o600
    mount.sync()
    files = {key: bucket.get(key) for key in bucket.keys() if not key.endswith("/")}
    assert files == {"keep": b"keep", "there": b"moved and more", "link": b"keep",
                     "folder/sub/deep": b"dir/sub/deep"}


def test_a_crash_in_the_middle_of_a_directory_rename_is_finished(bucket, make_mount):
    mount = make_mount(bucket, ["close=local"])
    for number in range(200):
        bucket.put(f"src/file{number:03}", b"%d" % number)
    assert len(os.listdir(mount / "src")) == 200
    renamer = threading.Thread(target=rename_quietly, args=(mount / "src", mount / "dst"), daemon=True)
    renamer.start()
    time.sleep(0.1)
    mount.kill9()
    renamer.join(30)
    mount.mount()
    mount.sync()
    # Whether or not the rename was acknowledged: every file is there once, under one of the two names.
    found = {}
    for key in bucket.keys():
        if not key.endswith("/"):
            assert key.rpartition("/")[2] not in found, f"{key} is there twice"
            found[key.rpartition("/")[2]] = bucket.get(key)
    assert found == {f"file{number:03}": b"%d" % number for number in range(200)}


def exchange_quietly(one, other):
    try:
        renameat2(one, other, RENAME_EXCHANGE)
    except OSError:
        pass


@pytest.mark.parametrize("moment", ["first copies", "first is replaced", "last is replaced"])
def test_a_crash_in_the_middle_of_an_exchange_of_directories_is_finished(bucket, make_mount, moment):
    mount = make_mount(bucket, ["close=local"])
    trees = {name: {f"file{number:03}": b"%s %d" % (name.encode(), number) for number in range(100)}
             for name in ("one", "in/other")}
    for name, files in trees.items():
        for file, data in files.items():
            bucket.put(f"{name}/{file}", data)
        assert len(os.listdir(mount / name)) == 100
    reached = {"first copies": lambda: any("exchange" in key for key in bucket.keys()),
               "first is replaced": lambda: any(bucket.get(f"one/file{number:03}").startswith(b"in/other")
                                                for number in range(0, 100, 10)),
               "last is replaced": lambda: bucket.get("in/other/file099").startswith(b"one")}[moment]
    exchanger = threading.Thread(target=exchange_quietly, args=(mount / "one", mount / "in/other"), daemon=True)
    exchanger.start()
    # A fast server may have done it all between two looks; then there is nothing to go on with, and all must be there.
    wait_until(lambda: reached() or not exchanger.is_alive(), 60, moment)
    mount.kill9()
    exchanger.join(30)
    mount.mount()
    mount.sync()
    found = {name: {file: read_file(mount / f"{name}/{file}") for file in os.listdir(mount / name)} for name in trees}
    assert found in (trees, {"one": trees["in/other"], "in/other": trees["one"]})
    if moment != "first copies":
        assert found != trees
    wait_until(lambda: not any("exchange" in key for key in bucket.keys()), 60, "what was set aside is gone")
    assert {name: {file: bucket.get(f"{name}/{file}") for file in found[name]} for name in trees} == found
    assert len(bucket.keys()) in (200, 201, 202, 203)  # and objects of the directories


def rename_quietly(old, new):
    try:
        os.rename(old, new)
    except OSError:
        pass


def test_what_was_dirty_is_uploaded_even_if_nobody_asks(bucket, make_mount):
    mount = make_mount(bucket, ["close=local"])
    for number in range(20):
        write_file(mount / f"file{number}", b"%d" % number)
    mount.kill9()
    mount.mount()
    mount.wait_clean(30)
    assert {key: bucket.get(key) for key in bucket.keys()} == \
        {f"file{number}": b"%d" % number for number in range(20)}


def test_a_crash_of_the_server_and_of_the_mount_together(bucket, make_mount, server):
    mount = make_mount(bucket, ["close=local"])
    write_file(mount / "before", b"before")
    mount.sync()
    assert os.listdir(mount.path) == ["before"]
    server.go_away()
    try:
        write_file(mount / "during", b"during")
        mount.kill9()
    finally:
        server.come_back()
    mount.mount()
    assert read_file(mount / "during") == b"during"
    mount.sync()
    assert bucket.get("during") == b"during"
    assert bucket.get("before") == b"before"

"""Another client changes the bucket: it shows within the attribute time, whatever has been looked at before."""
import contextlib
import errno
import mmap
import os
import stat
import time

import pytest

from files import MIB, fails_with, mode_of, noise, read_file

ATTRIBUTE_TIME = 0.3
SLACK = 1.5  # of a loaded machine
pytestmark = pytest.mark.servers("embedded")


@pytest.fixture
def mount(bucket, make_mount):
    return make_mount(bucket, [f"attr_timeout={ATTRIBUTE_TIME}"])


def within_the_attribute_time(*checks, seconds=ATTRIBUTE_TIME):
    """All become true, and not by waiting longer than promised."""
    deadline = time.monotonic() + seconds + SLACK
    while not all(check() for check in checks):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def look(mount, *names):
    """Everything that a kernel or we could keep: names that are there and that are not, attributes, bytes, order."""
    for name in names:
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(os.lstat(mount / name).st_mode):
                look(mount, *(f"{name}/{entry}" for entry in os.listdir(mount / name)))
            else:
                read_file(mount / name)
    os.listdir(mount.path)


def kind(path):
    try:
        return stat.S_IFMT(os.lstat(path).st_mode)
    except FileNotFoundError:
        return None


def listed(mount, *names):
    return sorted(os.listdir(mount.path)) == sorted(names)


def test_a_new_file_and_a_new_directory(bucket, make_mount):
    mount = make_mount(bucket)
    look(mount, "file", "dir", "dir/file")
    bucket.put("file", b"x")
    bucket.put("dir/file", b"y")
    within_the_attribute_time(lambda: kind(mount / "file") == stat.S_IFREG, lambda: listed(mount, "file", "dir"),
                              lambda: kind(mount / "dir/file") == stat.S_IFREG, seconds=1)
    assert (read_file(mount / "file"), read_file(mount / "dir/file")) == (b"x", b"y")
    look(mount, "dir")
    bucket.put("dir/more", b"")
    within_the_attribute_time(lambda: sorted(os.listdir(mount / "dir")) == ["file", "more"], seconds=1)


def test_other_bytes(mount, bucket):
    bucket.put("file", b"first")
    look(mount, "file")
    bucket.put("file", b"longer second")
    assert read_file(mount / "file") == b"longer second"  # an open asks
    bucket.put("file", b"third")
    within_the_attribute_time(lambda: os.stat(mount / "file").st_size == 5)
    bucket.put("file", b"THIRD")  # as long as before
    assert read_file(mount / "file") == b"THIRD"


def test_other_attributes(mount, bucket):
    bucket.put("file", b"x", Metadata={"mode": str(0o100644)})
    look(mount, "file")
    bucket.put("file", b"x", Metadata={"mode": str(0o100600), "uid": "7", "mtime": "1000"})
    within_the_attribute_time(lambda: mode_of(mount / "file") == 0o600)
    assert (os.stat(mount / "file").st_uid, os.stat(mount / "file").st_mtime) == (7, 1000)


def test_what_is_deleted(mount, bucket):
    for key in ("file", "dir/file", "dir/below/file", "made/"):
        bucket.put(key, b"")
    look(mount, "file", "dir", "made")
    bucket.delete("file", "dir/file", "dir/below/file", "made/")
    within_the_attribute_time(lambda: kind(mount / "file") is None, lambda: listed(mount),
                              lambda: kind(mount / "dir/below/file") is None, lambda: kind(mount / "made") is None)
    with fails_with(errno.ENOENT):
        os.open(mount / "file", os.O_RDONLY)
    os.mkdir(mount / "dir")  # the names are free
    os.mkdir(mount / "file")


def test_a_file_becomes_a_directory(mount, bucket):
    bucket.put("name", b"file")
    look(mount, "name")
    bucket.delete("name")
    bucket.put("name/below", b"new")
    within_the_attribute_time(lambda: kind(mount / "name") == stat.S_IFDIR)
    assert os.listdir(mount / "name") == ["below"] and read_file(mount / "name/below") == b"new"
    with fails_with(errno.EISDIR):
        os.open(mount / "name", os.O_WRONLY)


def test_a_file_gets_a_directory_of_its_name_beside_it(mount, bucket):
    bucket.put("name", b"file")
    look(mount, "name")
    bucket.put("name/below", b"new")
    # Of a name that is known as a file, a listing alone tells that there is a directory now.
    within_the_attribute_time(lambda: listed(mount, "name"), lambda: kind(mount / "name") == stat.S_IFDIR)
    assert os.listdir(mount / "name") == ["below"]
    bucket.delete("name/below")
    within_the_attribute_time(lambda: kind(mount / "name") == stat.S_IFREG)
    assert read_file(mount / "name") == b"file"


@pytest.mark.parametrize("marker", [True, False])
def test_a_directory_becomes_a_file(mount, bucket, marker):
    keys = ["name/below/file", "name/file"] + ["name/"] * marker
    for key in keys:
        bucket.put(key, b"")
    look(mount, "name")
    bucket.delete(*keys)
    bucket.put("name", b"file")
    within_the_attribute_time(lambda: kind(mount / "name") == stat.S_IFREG, lambda: listed(mount, "name"))
    assert read_file(mount / "name") == b"file"
    with fails_with(errno.ENOTDIR):
        os.listdir(mount / "name")
    with fails_with(errno.ENOTDIR):
        os.stat(mount / "name/below/file")


def test_a_link_gets_another_target_and_becomes_a_file(mount, bucket):
    link = {"mode": str(0o120777)}
    bucket.put("link", b"first", Metadata=link)
    assert os.readlink(mount / "link") == "first"
    bucket.put("link", b"second target", Metadata=link)
    within_the_attribute_time(lambda: os.readlink(mount / "link") == "second target")
    bucket.put("link", b"bytes")
    within_the_attribute_time(lambda: kind(mount / "link") == stat.S_IFREG)
    assert read_file(mount / "link") == b"bytes"
    bucket.put("link", b"third", Metadata=link)
    within_the_attribute_time(lambda: kind(mount / "link") == stat.S_IFLNK)
    assert os.readlink(mount / "link") == "third"


def test_a_file_becomes_a_fifo(mount, bucket):
    bucket.put("name", b"file")
    look(mount, "name")
    bucket.put("name", b"", Metadata={"mode": str(0o10600)})
    within_the_attribute_time(lambda: kind(mount / "name") == stat.S_IFIFO)


def test_an_open_file_keeps_its_version(mount, bucket):
    bucket.put("file", b"first")
    fd = os.open(mount / "file", os.O_RDONLY)
    with mmap.mmap(fd, 5, prot=mmap.PROT_READ) as mapping:
        assert (os.read(fd, 10), mapping[:]) == (b"first", b"first")
        bucket.put("file", b"SECOND")
        bucket.put("other", b"x")
        within_the_attribute_time(lambda: kind(mount / "other"))
        assert (os.pread(fd, 10, 0), mapping[:], os.fstat(fd).st_size) == (b"first", b"first", 5)
    bucket.delete("file")
    within_the_attribute_time(lambda: kind(mount / "file") is None)
    assert os.pread(fd, 10, 0) == b"first"
    os.close(fd)


def test_bytes_of_a_version_that_is_gone_are_estale_and_never_those_of_another(mount, bucket):
    first, second = noise(40 * MIB, 1), noise(40 * MIB, 2)
    bucket.put("large", first)
    fd = os.open(mount / "large", os.O_RDONLY)
    assert os.pread(fd, 4096, 0) == first[:4096]
    bucket.put("large", second)
    with fails_with(errno.ESTALE):
        os.pread(fd, 4096, 36 * MIB)
    assert os.pread(fd, 4096, 0) == first[:4096]
    os.close(fd)
    assert read_file(mount / "large") == second


def test_where_one_stands_goes_away(mount, bucket):
    for key in ("dir/below/file", "dir/file"):
        bucket.put(key, b"x")
    below = os.open(mount / "dir/below", os.O_RDONLY | os.O_DIRECTORY)
    assert os.listdir(below) == ["file"]
    bucket.delete("dir/below/file", "dir/file")
    within_the_attribute_time(lambda: kind(mount / "dir") is None)
    for step in (lambda: os.stat("file", dir_fd=below), lambda: os.open("file", os.O_RDONLY, dir_fd=below),
                 lambda: os.open("new", os.O_WRONLY | os.O_CREAT, dir_fd=below)):
        with pytest.raises(OSError) as caught:
            step()
        assert caught.value.errno in (errno.ENOENT, errno.ESTALE)
    assert os.listdir(below) == []
    os.close(below)
    assert bucket.keys() == []

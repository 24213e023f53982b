"""Set-id bits go when a file changes hands or content: the same calls here and on a local file system.

The kernel leaves this to us (FUSE_HANDLE_KILLPRIV_V2); in exchange it does not ask before each write.
"""
import mmap
import os
import re

import pytest

from files import NOBODY, as_user, mode_of, write_file

BLOCK = bytes(4096)


def write(path):
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"new")
    os.close(fd)


def append(path):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"new")
    os.close(fd)


def write_through_a_mapping(path):
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, 3) as mapping:
        mapping[:] = b"new"
    os.close(fd)


def truncate(path):
    os.truncate(path, 1)


def open_and_truncate(path):
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))


def chown(path):
    os.chown(path, -1, os.stat(path).st_gid)


CALLS = (write, append, write_through_a_mapping, truncate, open_and_truncate, chown)
MODES = (0o6777, 0o6767, 0o4777, 0o2777, 0o2767, 0o1777, 0o777)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("user", [0, NOBODY])
def test_bits_go_as_on_a_local_file_system(bucket, make_mount, user, call):
    mount = make_mount(bucket, ["allow_other"])
    local = os.path.join(mount.base, "local")
    os.mkdir(local)

    def after(directory, mode):
        path = os.path.join(directory, f"{mode:o}")
        write_file(path, b"old data")
        os.chown(path, NOBODY, NOBODY)
        os.chmod(path, mode)
        return as_user(user, lambda: call(path)), f"{mode_of(path):o}"
    assert [after(mount.path, mode) for mode in MODES] == [after(local, mode) for mode in MODES]
    mount.sync()
    for mode in MODES:
        assert int(bucket.head(f"{mode:o}")["Metadata"]["mode"]) == os.stat(mount / f"{mode:o}").st_mode


def test_the_kernel_does_not_ask_before_each_write(bucket, make_mount):
    mount = make_mount(bucket, start=False)
    mount.mount("-d")
    fd = os.open(mount / "file", os.O_WRONLY | os.O_CREAT, 0o644)
    for _ in range(500):
        os.write(fd, BLOCK)
    os.close(fd)
    mount.unmount()
    log = mount.process.output()
    assert len(re.findall(r"fuse: write inode", log)) == 500
    assert len(re.findall(r"fuse: getxattr inode", log)) <= 2

"""What is free, and files with large holes: objects have none."""
import errno
import os

import pytest

from files import MIB, fails_with, read_file, write_file

LIMIT = 64 * MIB


@pytest.fixture
def limited(bucket, make_mount):
    return make_mount(bucket, [f"dirty_limit={LIMIT}", "cache_size=256M"])


def test_statfs_tells_what_may_wait_for_its_upload(limited):
    found = os.statvfs(limited.path)
    assert found.f_blocks * found.f_frsize == LIMIT
    assert found.f_bavail == found.f_bfree == found.f_blocks
    with open(limited / "file", "wb", buffering=0) as file:
        file.write(bytes(4 * MIB))
        assert os.statvfs(limited.path).f_bavail * found.f_frsize == LIMIT - 4 * MIB
    assert os.statvfs(limited.path).f_bavail == found.f_bavail


def test_a_file_that_is_too_sparse_is_refused_and_stays_what_it_was(limited, bucket):
    write_file(limited / "file", b"text")
    with fails_with(errno.EFBIG):
        os.truncate(limited / "file", 1 << 40)
    with open(limited / "file", "r+b", buffering=0) as file:
        with fails_with(errno.EFBIG):
            os.pwrite(file.fileno(), b"x", 1 << 40)
        os.pwrite(file.fileno(), b"end", 8 * MIB)
        assert os.lseek(file.fileno(), 0, os.SEEK_END) == 8 * MIB + 3
    assert bucket.get("file") == b"text" + bytes(8 * MIB - 4) + b"end"
    assert read_file(limited / "file") == b"text" + bytes(8 * MIB - 4) + b"end"


def test_reading_changes_the_access_time(bucket, make_mount):
    bucket.put("theirs", b"text")
    mount = make_mount(bucket)
    before = os.stat(mount / "theirs")
    assert read_file(mount / "theirs") == b"text"
    assert os.stat(mount / "theirs").st_atime > before.st_atime
    other = make_mount(bucket, ["noatime"])
    before = os.stat(other / "theirs")
    assert read_file(other / "theirs") == b"text"
    assert os.stat(other / "theirs").st_atime == before.st_atime

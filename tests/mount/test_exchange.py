"""Two names change places: RENAME_EXCHANGE."""
import errno
import os
import pathlib

import pytest

from files import RENAME_EXCHANGE, drop_caches, fails_with, noise, pwrite_file, read_file, renameat2, write_file

ONE, OTHER = noise(70_000, 1), noise(500, 2)


def test_two_files_change_places(mount, bucket):
    bucket.put("dir/other", OTHER)
    write_file(mount / "one", ONE, mode=0o600)
    number = os.stat(mount / "one").st_ino
    renameat2(mount / "one", mount / "dir/other", RENAME_EXCHANGE)
    assert bucket.get("one") == OTHER and bucket.get("dir/other") == ONE
    assert bucket.keys() == ["dir/other", "one"]
    assert os.stat(mount / "dir/other").st_ino == number
    drop_caches()
    assert read_file(mount / "one") == OTHER and read_file(mount / "dir/other") == ONE
    mount.remount()
    assert read_file(mount / "one") == OTHER and read_file(mount / "dir/other") == ONE


def test_what_is_open_goes_along(mount, bucket):
    write_file(mount / "other", OTHER)
    with open(mount / "one", "w+b", buffering=0) as file:
        file.write(ONE)
        renameat2(mount / "one", mount / "other", RENAME_EXCHANGE)
        file.seek(0)
        assert file.read() == ONE
        file.write(b"end")
    assert bucket.get("other") == ONE + b"end" and bucket.get("one") == OTHER
    pwrite_file(mount / "one", b"begin", 0)
    assert bucket.get("one") == b"begin" + OTHER[5:]


@pytest.mark.servers("embedded", "radosgw")
def test_a_file_and_a_directory_change_places(mount, bucket):
    os.makedirs(mount / "dir/sub")
    write_file(mount / "dir/sub/below", OTHER)
    write_file(mount / "file", ONE)
    renameat2(mount / "dir", mount / "file", RENAME_EXCHANGE)
    assert read_file(mount / "dir") == ONE and read_file(mount / "file/sub/below") == OTHER
    assert bucket.keys() == ["dir", "file/", "file/sub/", "file/sub/below"]
    mount.remount()
    assert read_file(mount / "dir") == ONE and read_file(mount / "file/sub/below") == OTHER


@pytest.mark.servers("versitygw")
def test_they_stay_where_the_server_has_no_place_for_both(mount, bucket):
    """Its objects are files: it takes no object "dir" as long as "dir/" is there."""
    os.makedirs(mount / "dir/sub")
    write_file(mount / "dir/sub/below", OTHER)
    write_file(mount / "file", ONE)
    with fails_with(errno.EINVAL):
        renameat2(mount / "dir", mount / "file", RENAME_EXCHANGE)
    for _ in range(2):
        assert read_file(mount / "file") == ONE and read_file(mount / "dir/sub/below") == OTHER
        assert bucket.keys() == ["dir/", "dir/sub/", "dir/sub/below", "file"]
        mount.remount()
    assert "Existing Object is a directory" in pathlib.Path(mount.log).read_text()


def test_what_cannot_change_places(mount):
    os.makedirs(mount / "dir/sub")
    os.mkdir(mount / "other")
    write_file(mount / "file", ONE)
    for one, two, number in [("file", "absent", errno.ENOENT), ("absent", "file", errno.ENOENT),
                             ("dir", "dir/sub", errno.EINVAL), ("dir/sub", "dir", errno.EINVAL),
                             ("dir", "other", errno.EINVAL)]:
        with fails_with(number):
            renameat2(mount / one, mount / two, RENAME_EXCHANGE)
    assert read_file(mount / "file") == ONE

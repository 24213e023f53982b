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


def test_two_directories_change_places(mount, bucket):
    bucket.put("in/two/sub/of others", OTHER)
    os.mkdir(mount / "one", 0o700)
    write_file(mount / "one/file", ONE, mode=0o600)
    write_file(mount / "in/two/file", OTHER)
    os.symlink("file", mount / "in/two/link")
    os.chmod(mount / "in/two", 0o711)
    numbers = os.stat(mount / "one").st_ino, os.stat(mount / "one/file").st_ino
    with open(mount / "one/file", "r+b", buffering=0) as file:
        file.write(b"dirty")
        renameat2(mount / "one", mount / "in/two", RENAME_EXCHANGE)
        file.write(b" later")
    first = b"dirty later" + ONE[11:]
    for turn in range(2):
        assert sorted(os.listdir(mount / "one")) == ["file", "link", "sub"]
        assert os.listdir(mount / "in/two") == ["file"]
        assert read_file(mount / "in/two/file") == first == bucket.get("in/two/file")
        assert read_file(mount / "one/link") == OTHER == bucket.get("one/file")
        assert read_file(mount / "one/sub/of others") == OTHER
        assert [os.stat(mount / name).st_mode & 0o7777 for name in ("one", "in/two", "in/two/file")] == [
            0o711, 0o700, 0o600]
        if turn == 0:
            assert (os.stat(mount / "in/two").st_ino, os.stat(mount / "in/two/file").st_ino) == numbers
            mount.remount()
    assert not [key for key in bucket.keys() if "exchange" in key]


def test_what_cannot_change_places(mount):
    os.makedirs(mount / "dir/sub")
    write_file(mount / "file", ONE)
    for one, two, number in [("file", "absent", errno.ENOENT), ("absent", "file", errno.ENOENT),
                             ("dir", "dir/sub", errno.EINVAL), ("dir/sub", "dir", errno.EINVAL)]:
        with fails_with(number):
            renameat2(mount / one, mount / two, RENAME_EXCHANGE)
    assert read_file(mount / "file") == ONE

"""Two mounts of one bucket, as on two nodes: close-to-open, and races that nobody may lose silently."""
import contextlib
import errno
import functools
import os
import time

import pytest

from files import MIB, fails_with, noise, pwrite_file, read_file, write_file


@pytest.fixture
def pair(bucket, make_mount):
    return make_mount(bucket, name="node-a"), make_mount(bucket, name="node-b")


def eventually(check, seconds=10):
    """For what is not promised at once: names and attributes that the other node has looked up before."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_open_after_close_sees_what_was_written(pair):
    a, b = pair
    for turn in range(30):
        writer, reader = (a, b) if turn % 2 else (b, a)
        data = noise(1 + turn * 1000, turn)
        write_file(writer / "file", data)
        assert read_file(reader / "file") == data


def test_a_name_that_was_absent_a_moment_ago_is_seen_soon(pair):
    """Absence is taken for granted for attr_timeout (1 s), as attributes are."""
    a, b = pair
    for turn in range(3):
        assert not os.path.exists(b / f"new{turn}")
        write_file(a / f"new{turn}", b"data")
        eventually(functools.partial(os.path.exists, b / f"new{turn}"), 3)
        assert read_file(b / f"new{turn}") == b"data"


def test_a_cached_large_file_is_not_read_stale(pair):
    a, b = pair
    data = noise(12 * MIB, 1)
    write_file(a / "large", data)
    assert read_file(b / "large") == data
    pwrite_file(a / "large", b"changed", 6 * MIB)
    assert read_file(b / "large") == data[:6 * MIB] + b"changed" + data[6 * MIB + 7:]


def test_both_append_in_turn(pair, bucket):
    for turn in range(20):
        write_file(pair[turn % 2] / "log", b"%02d\n" % turn, flags=os.O_APPEND)
    assert bucket.get("log") == b"".join(b"%02d\n" % turn for turn in range(20))


def test_names_made_removed_and_moved_by_one_reach_the_other(pair):
    a, b = pair
    os.mkdir(a / "dir")
    write_file(a / "dir/file", b"x")
    eventually(lambda: os.path.exists(b / "dir") and os.listdir(b / "dir") == ["file"])
    os.rename(a / "dir", a / "moved")
    a.sync()
    eventually(lambda: sorted(os.listdir(b.path)) == ["moved"])
    assert read_file(b / "moved/file") == b"x"
    os.unlink(b / "moved/file")
    b.sync()
    eventually(lambda: os.listdir(a / "moved") == [])


def test_attributes_set_by_one_reach_the_other(pair):
    a, b = pair
    write_file(a / "file", b"x")
    assert os.stat(b / "file").st_size == 1
    os.chmod(a / "file", 0o600)
    a.sync()
    eventually(lambda: os.stat(b / "file").st_mode & 0o777 == 0o600)


def race(a, b, first, second):
    """Both open the same version, then a closes first. Returns the errno of b's close, if any."""
    file_a = os.open(a / "file", os.O_WRONLY | os.O_CREAT)
    file_b = os.open(b / "file", os.O_WRONLY | os.O_CREAT)
    os.pwrite(file_a, first, 0)
    os.pwrite(file_b, second, 0)
    os.close(file_a)
    try:
        os.close(file_b)
    except OSError as error:
        return error.errno
    return None


@pytest.mark.parametrize("start", ["both change one version", "both create"])
@pytest.mark.parametrize("size", [100, 20 * MIB])
def test_a_lost_race_gives_a_conflict_copy(pair, bucket, start, size):
    a, b = pair
    first, second = noise(size, 1), noise(size, 2)
    if start == "both change one version":
        bucket.put("file", noise(size, 3))
        assert read_file(a / "file") == read_file(b / "file")
    race(a, b, first, second)
    with contextlib.suppress(AssertionError):  # sync says that there was a conflict
        b.sync()
    contents = {key: bucket.get(key) for key in bucket.keys()}
    assert contents.pop("file") == first
    assert list(contents.values()) == [second], sorted(contents)
    name = next(iter(contents))
    assert name.startswith("file")
    eventually(lambda: sorted(os.listdir(a.path)) == sorted(["file", name]))
    assert read_file(a / name) == second


def test_a_lost_race_fails_with_conflict_fail(bucket, make_mount):
    a, b = (make_mount(bucket, ["conflict=fail"]) for _ in range(2))
    bucket.put("file", b"base")
    assert race(a, b, b"first", b"second") in (errno.ESTALE, errno.EIO)
    assert bucket.keys() == ["file"]
    assert bucket.get("file") == b"first"
    # The bytes are kept on the node until somebody decides: the mount stays dirty, and drains in vain.
    b.kill9()


@pytest.mark.parametrize("way", ["remove", "rename"])
def test_a_file_that_lost_with_conflict_fail_can_be_removed_and_renamed(bucket, make_mount, way):
    a, b = (make_mount(bucket, ["conflict=fail"]) for _ in range(2))
    bucket.put("file", b"base")
    assert read_file(a / "file") == read_file(b / "file") == b"base"
    assert race(a, b, b"1111", b"2222") == errno.ESTALE
    assert read_file(b / "file") == b"2222"
    if way == "remove":
        os.unlink(b / "file")
        expected = {"file": b"1111"}
    else:
        os.rename(b / "file", b / "ours")
        expected = {"file": b"1111", "ours": b"2222"}
    b.sync()
    eventually(lambda: read_file(b / "file") == b"1111")
    assert b.status()["dirty_files"] == 0
    assert {key: bucket.get(key) for key in bucket.keys()} == expected


def test_a_large_file_of_which_a_part_is_here_loses_to_a_copy_that_says_so(pair, bucket):
    a, b = pair
    bucket.put("file", noise(40 * MIB, 1))
    fd = os.open(b / "file", os.O_WRONLY)
    os.pwrite(fd, b"x" * MIB, 20 * MIB)
    bucket.put("file", b"theirs")
    with pytest.raises(OSError) as caught:
        os.close(fd)
    assert caught.value.errno == errno.ESTALE
    b.wait_clean(60)
    copy, = (key for key in bucket.keys() if key != "file")
    assert copy.startswith("file.conflict-partial-")
    data = bucket.get(copy)
    start, end = map(int, bucket.metadata(copy)["s3mount-valid"].split(",")[0].split("-"))
    assert start <= 20 * MIB and end >= 21 * MIB - 1
    assert data[20 * MIB:21 * MIB] == b"x" * MIB and data[end + 1:].count(0) == len(data) - end - 1
    assert len(data) == 40 * MIB and bucket.get("file") == b"theirs"
    assert copy in b.process.output() and f"{start}-{end}" in b.process.output()
    assert read_file(a / "file") == b"theirs"


def test_the_last_one_wins_with_conflict_overwrite(bucket, make_mount):
    a, b = (make_mount(bucket, ["conflict=overwrite"]) for _ in range(2))
    bucket.put("file", b"base!!")
    assert race(a, b, b"first!", b"second") is None
    assert bucket.keys() == ["file"]
    assert bucket.get("file") == b"second"


def test_a_race_with_a_plain_client_keeps_both(mount, bucket):
    bucket.put("file", b"base")
    fd = os.open(mount / "file", os.O_WRONLY)
    os.pwrite(fd, b"ours", 0)
    bucket.put("file", b"theirs")
    with contextlib.suppress(OSError):
        os.close(fd)
    with contextlib.suppress(AssertionError):
        mount.sync()
    assert bucket.get("file") == b"theirs"
    assert sorted(bucket.get(key) for key in bucket.keys()) == [b"ours", b"theirs"]


def test_a_file_that_others_deleted_meanwhile_is_not_lost(mount, bucket):
    bucket.put("file", b"base")
    fd = os.open(mount / "file", os.O_WRONLY)
    os.pwrite(fd, b"ours", 0)
    bucket.delete("file")
    with contextlib.suppress(OSError):
        os.close(fd)
    with contextlib.suppress(AssertionError):
        mount.sync()
    assert [bucket.get(key) for key in bucket.keys()] == [b"ours"]


def test_each_mount_needs_a_cache_of_its_own_and_a_crash_frees_it(bucket, make_mount):
    a = make_mount(bucket)
    write_file(a / "file", b"x")
    a.kill9()
    b = make_mount(bucket, cache=a.cache)
    assert read_file(b / "file") == b"x"
    with fails_with(errno.ENOENT):
        os.stat(b / "absent")

"""Every operation of a file system, with boto3 looking at the bucket beside it."""
import errno
import mmap
import os
import stat
import time

import pytest

from files import (MIB, NOBODY, RENAME_NOREPLACE, as_user, drop_caches, fails_with, mode_of, noise, pwrite_file,
                   read_file, renameat2, write_file)

DATA = noise(100_000, 1)


def whole_mode(metadata):
    """s3fs writes st_mode in decimal, type bits included."""
    return int(metadata["mode"])


def seconds(text):
    return float(text)


# Files: create, write, read, truncate


def test_a_closed_file_is_a_plain_object(mount, bucket):
    write_file(mount / "file", DATA)
    assert bucket.get("file") == DATA
    assert read_file(mount / "file") == DATA
    assert bucket.keys() == ["file"]


def test_attributes_are_metadata_in_the_format_of_s3fs(mount, bucket):
    before = time.time()
    os.umask(0)
    try:
        write_file(mount / "file", b"x", mode=0o640)
    finally:
        os.umask(0o022)
    head = bucket.head("file")
    metadata = head["Metadata"]
    assert whole_mode(metadata) == stat.S_IFREG | 0o640
    assert (metadata["uid"], metadata["gid"]) == ("0", "0")
    for name in ("mtime", "ctime", "atime"):
        assert before - 2 <= seconds(metadata[name]) <= time.time() + 2
        whole, _, fraction = metadata[name].partition(".")
        assert whole.isdigit() and (fraction == "" or len(fraction) == 9)
    assert "s3mount-putid" in metadata


def test_an_empty_file_is_an_empty_object(mount, bucket):
    write_file(mount / "empty", b"")
    assert bucket.get("empty") == b""
    assert os.stat(mount / "empty").st_size == 0
    assert read_file(mount / "empty") == b""


def test_write_in_the_middle_changes_only_that(mount, bucket):
    write_file(mount / "file", DATA)
    pwrite_file(mount / "file", b"middle", 50_000)
    assert bucket.get("file") == DATA[:50_000] + b"middle" + DATA[50_006:]


def test_write_in_the_middle_of_an_object_of_others(mount, bucket):
    data = noise(3 * MIB, 2)
    bucket.put("theirs", data)
    pwrite_file(mount / "theirs", b"ours", MIB + 1)
    expected = data[:MIB + 1] + b"ours" + data[MIB + 5:]
    assert bucket.get("theirs") == expected
    assert read_file(mount / "theirs") == expected


def test_append(mount, bucket):
    bucket.put("log", b"one\n")
    for line in (b"two\n", b"three\n"):
        write_file(mount / "log", line, flags=os.O_APPEND)
    assert bucket.get("log") == b"one\ntwo\nthree\n"


def test_two_handles_append_without_overwriting_each_other(mount, bucket):
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    first, second = os.open(mount / "log", flags, 0o644), os.open(mount / "log", flags)
    for number in range(50):
        os.write(first if number % 2 else second, b"%04d" % number)
    os.close(first)
    os.close(second)
    assert bucket.get("log") == b"".join(b"%04d" % number for number in range(50))


def test_a_hole_reads_as_zeros(mount, bucket):
    fd = os.open(mount / "sparse", os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(fd, b"end", 5 * MIB)
    assert os.pread(fd, 10, 1000) == bytes(10)
    os.close(fd)
    assert bucket.get("sparse") == bytes(5 * MIB) + b"end"
    assert read_file(mount / "sparse") == bytes(5 * MIB) + b"end"


@pytest.mark.parametrize("size", [0, 1, 4096, 99_999, 100_001, 300_000])
def test_truncate_by_name(mount, bucket, size):
    bucket.put("file", DATA)
    os.truncate(mount / "file", size)
    expected = DATA[:size].ljust(size, b"\0")
    assert os.stat(mount / "file").st_size == size
    assert read_file(mount / "file") == expected
    mount.sync()
    assert bucket.get("file") == expected


def test_truncate_shorter_then_longer_leaves_zeros(mount, bucket):
    write_file(mount / "file", DATA)
    with open(mount / "file", "r+b") as file:
        file.truncate(1000)
        file.truncate(5000)
    assert bucket.get("file") == DATA[:1000] + bytes(4000)


def test_open_with_truncate_replaces_all(mount, bucket):
    bucket.put("file", DATA)
    write_file(mount / "file", b"new", flags=os.O_TRUNC)
    assert bucket.get("file") == b"new"


def test_a_written_file_is_read_back_by_the_same_handle(mount):
    with open(mount / "file", "w+b") as file:
        file.write(DATA)
        file.flush()
        file.seek(1234)
        assert file.read(100) == DATA[1234:1334]
        assert os.fstat(file.fileno()).st_size == len(DATA)


def test_fsync_puts_the_file_into_s3_before_close(mount, bucket):
    with open(mount / "file", "wb") as file:
        file.write(b"first")
        file.flush()
        os.fsync(file.fileno())
        assert bucket.get("file") == b"first"
        file.write(b" second")
    assert bucket.get("file") == b"first second"


def test_close_local_returns_before_s3_and_sync_waits_for_it(bucket, make_mount):
    mount = make_mount(bucket, ["close=local"])
    for number in range(20):
        write_file(mount / f"file{number}", b"%d" % number)
    mount.sync()
    assert {key: bucket.get(key) for key in bucket.keys()} == \
        {f"file{number}": b"%d" % number for number in range(20)}


def test_fsync_local_is_enough_for_this_node(bucket, make_mount):
    mount = make_mount(bucket, ["close=local", "fsync=local"])
    with open(mount / "file", "wb") as file:
        file.write(DATA)
        file.flush()
        os.fsync(file.fileno())
    mount.crash_and_remount()
    assert read_file(mount / "file") == DATA
    mount.sync()
    assert bucket.get("file") == DATA


def test_a_large_file_goes_up_in_parts_and_none_is_left_over(mount, bucket):
    data = noise(40 * MIB + 17, 3)
    write_file(mount / "large", data)
    assert bucket.get("large") == data
    assert "-" in bucket.head("large")["ETag"]
    assert bucket.uploads() == []
    pwrite_file(mount / "large", b"changed", 20 * MIB)
    assert bucket.get("large") == data[:20 * MIB] + b"changed" + data[20 * MIB + 7:]


def test_cold_reads_in_any_order(mount, bucket):
    data = noise(30 * MIB, 4)
    bucket.put("cold", data)
    with open(mount / "cold", "rb", buffering=0) as file:
        for offset in (25 * MIB, 3, 12 * MIB + 1, 30 * MIB - 10, 0):
            file.seek(offset)
            assert file.read(5000) == data[offset:offset + 5000]
    assert read_file(mount / "cold") == data


def test_shared_mapping_is_written_back(mount, bucket):
    write_file(mount / "file", bytes(10_000))
    with open(mount / "file", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[5000:5005] = b"hello"
        mapping.flush()
    mount.sync()
    assert bucket.get("file") == bytes(5000) + b"hello" + bytes(4995)


def test_open_flags_mean_what_they_say(mount):
    write_file(mount / "file", b"x")
    os.mkdir(mount / "dir")
    with fails_with(errno.EEXIST):
        os.open(mount / "file", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    with fails_with(errno.ENOENT):
        os.open(mount / "absent", os.O_RDONLY)
    with fails_with(errno.ENOENT):
        os.open(mount / "absent/below", os.O_CREAT | os.O_WRONLY)
    with fails_with(errno.EISDIR):
        os.open(mount / "dir", os.O_WRONLY)
    with fails_with(errno.ENOTDIR):
        os.open(mount / "file/below", os.O_RDONLY)


# Names


NAMES = ["blank in the middle", " leading", "trailing ", "ünïcödé-日本語", "100%", "%41", "a+b", "q?x=1&y", "#hash",
         "quote'\"", "star*[x]", "back\\slash", "semi;colon:", "tab\there", "new\nline", "~tilde", "..dots", "<xml>&",
         "n" * 255]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_the_same_name_in_the_bucket(mount, bucket, server, name):
    if server.name == "versitygw" and name == "n" * 255:
        name = "n" * 200  # that server stores a key as a file name, and needs room beside it
    write_file(mount / name, b"data")
    assert bucket.keys() == [name]
    assert bucket.get(name) == b"data"
    drop_caches()
    assert os.listdir(mount.path) == [name]
    os.unlink(mount / name)
    assert bucket.keys() == []


def test_a_name_of_more_than_255_bytes_is_refused(mount):
    with fails_with(errno.ENAMETOOLONG):
        write_file(mount / ("n" * 256), b"")


# Directories


def test_a_directory_is_an_object_with_a_slash(mount, bucket):
    os.mkdir(mount / "dir", 0o750)
    head = bucket.head("dir/")
    assert whole_mode(head["Metadata"]) == stat.S_IFDIR | 0o750
    assert head["ContentLength"] == 0
    assert head["ContentType"].startswith("application/x-directory")
    write_file(mount / "dir/file", b"x")
    assert bucket.keys() == ["dir/", "dir/file"]
    assert os.listdir(mount / "dir") == ["file"]


def test_a_directory_is_implied_by_keys_below_it(mount, bucket):
    bucket.put("a/b/c", b"deep")
    assert stat.S_ISDIR(os.stat(mount / "a/b").st_mode)
    assert os.listdir(mount.path) == ["a"]
    assert os.listdir(mount / "a") == ["b"]
    assert read_file(mount / "a/b/c") == b"deep"


def test_rmdir(mount, bucket):
    os.makedirs(mount / "dir/sub")
    with fails_with(errno.ENOTEMPTY):
        os.rmdir(mount / "dir")
    os.rmdir(mount / "dir/sub")
    os.rmdir(mount / "dir")
    assert bucket.keys() == []
    with fails_with(errno.ENOENT):
        os.rmdir(mount / "dir")
    write_file(mount / "file", b"")
    with fails_with(errno.ENOTDIR):
        os.rmdir(mount / "file")
    with fails_with(errno.EISDIR):
        os.unlink(mount / ".")


def test_a_directory_stays_when_its_last_file_goes(mount, bucket):
    bucket.put("implied/only", b"x")
    os.unlink(mount / "implied/only")
    assert stat.S_ISDIR(os.stat(mount / "implied").st_mode)


def test_readdir_gives_types_and_attributes(mount, bucket):
    bucket.put("theirs", b"123")
    bucket.put("below/theirs", b"1")
    write_file(mount / "file", b"12345")
    os.mkdir(mount / "dir")
    os.symlink("file", mount / "link")
    drop_caches()
    entries = {entry.name: entry for entry in os.scandir(mount.path)}
    assert set(entries) == {"file", "dir", "link", "theirs", "below"}
    assert entries["file"].is_file() and entries["file"].stat().st_size == 5
    assert entries["theirs"].is_file() and entries["theirs"].stat().st_size == 3
    assert entries["dir"].is_dir() and entries["below"].is_dir()
    assert entries["link"].is_symlink()


def test_a_directory_can_be_read_again_from_the_start(mount):
    for number in range(300):
        write_file(mount / f"f{number:03}", b"")
    with os.scandir(mount.path) as entries:
        next(entries)
    fd = os.open(mount.path, os.O_RDONLY)
    try:
        assert sorted(os.listdir(fd)) == sorted(os.listdir(fd)) == [f"f{number:03}" for number in range(300)]
    finally:
        os.close(fd)


# Removing and renaming


def test_unlink(mount, bucket):
    write_file(mount / "file", b"x")
    os.unlink(mount / "file")
    assert not bucket.exists("file")
    with fails_with(errno.ENOENT):
        os.unlink(mount / "file")


def test_an_unlinked_file_lives_until_it_is_closed(mount, bucket):
    with open(mount / "file", "w+b") as file:
        file.write(DATA)
        file.flush()
        os.unlink(mount / "file")
        assert os.listdir(mount.path) == []
        file.seek(0)
        assert file.read() == DATA
        file.write(b"more")
    assert bucket.keys() == []


def test_a_name_can_be_taken_again_while_the_unlinked_file_is_open(mount, bucket):
    with open(mount / "file", "w+b") as old:
        old.write(b"old")
        old.flush()
        os.unlink(mount / "file")
        write_file(mount / "file", b"new")
        old.seek(0)
        assert old.read() == b"old"
    assert bucket.get("file") == b"new"


def test_rename_of_a_file_keeps_bytes_and_attributes(mount, bucket):
    write_file(mount / "old", DATA)
    os.chmod(mount / "old", 0o600)
    os.utime(mount / "old", (1000, 2000))
    os.rename(mount / "old", mount / "new")
    mount.sync()
    assert bucket.keys() == ["new"]
    assert bucket.get("new") == DATA
    metadata = bucket.metadata("new")
    assert whole_mode(metadata) == stat.S_IFREG | 0o600
    assert seconds(metadata["mtime"]) == 2000


def test_rename_replaces_a_file(mount, bucket):
    write_file(mount / "old", b"old")
    write_file(mount / "new", b"new")
    os.rename(mount / "old", mount / "new")
    mount.sync()
    assert bucket.keys() == ["new"]
    assert bucket.get("new") == read_file(mount / "new") == b"old"


def test_rename_of_an_open_file_goes_on_under_the_new_name(mount, bucket):
    with open(mount / "old", "wb") as file:
        file.write(b"before ")
        file.flush()
        os.rename(mount / "old", mount / "new")
        file.write(b"after")
    mount.sync()
    assert bucket.keys() == ["new"]
    assert bucket.get("new") == b"before after"


def test_editors_save_by_rename(mount, bucket):
    write_file(mount / "text", b"version 1")
    for version in range(2, 6):
        write_file(mount / "text.tmp", b"version %d" % version)
        os.rename(mount / "text.tmp", mount / "text")
        assert read_file(mount / "text") == b"version %d" % version
    mount.sync()
    assert bucket.keys() == ["text"]
    assert bucket.get("text") == b"version 5"


def test_rename_of_a_directory_moves_all_below_it(mount, bucket):
    bucket.put("src/theirs", b"theirs")
    os.makedirs(mount / "src/sub")
    write_file(mount / "src/file", DATA)
    write_file(mount / "src/sub/file", b"sub")
    os.symlink("file", mount / "src/link")
    os.rename(mount / "src", mount / "dst")
    assert sorted(os.listdir(mount / "dst")) == ["file", "link", "sub", "theirs"]
    mount.sync()
    below = {key: bucket.get(key) for key in bucket.keys() if not key.endswith("/")}
    assert below == {"dst/file": DATA, "dst/sub/file": b"sub", "dst/theirs": b"theirs", "dst/link": b"file"}
    assert not [key for key in bucket.keys() if key.startswith("src")]
    assert read_file(mount / "dst/sub/file") == b"sub"


def test_rename_refuses_what_posix_refuses(mount):
    os.makedirs(mount / "dir/sub")
    os.mkdir(mount / "full")
    write_file(mount / "full/file", b"")
    write_file(mount / "file", b"")
    with fails_with(errno.ENOTEMPTY):
        os.rename(mount / "dir", mount / "full")
    with fails_with(errno.EINVAL):
        os.rename(mount / "dir", mount / "dir/sub/deeper")
    with fails_with(errno.EISDIR):
        os.rename(mount / "file", mount / "dir")
    with fails_with(errno.ENOTDIR):
        os.rename(mount / "dir", mount / "file")
    with fails_with(errno.ENOENT):
        os.rename(mount / "absent", mount / "other")
    with fails_with(errno.EEXIST):
        renameat2(mount / "file", mount / "full/file", RENAME_NOREPLACE)
    renameat2(mount / "file", mount / "full/new", RENAME_NOREPLACE)
    os.mkdir(mount / "hollow")
    os.rename(mount / "dir", mount / "hollow")
    assert os.listdir(mount / "hollow") == ["sub"]


def test_hard_links_are_refused_with_eperm(mount):
    write_file(mount / "file", b"")
    with fails_with(errno.EPERM):
        os.link(mount / "file", mount / "link")


# Symbolic links and attributes


@pytest.mark.parametrize("target", ["file", "../up", "/absolute/path", "dangling ünïcödé", "x" * 1000])
def test_a_symlink_is_an_object_with_the_target_as_body(mount, bucket, target):
    os.symlink(target, mount / "link")
    assert os.readlink(mount / "link") == target
    assert bucket.get("link") == target.encode()
    assert stat.S_IFMT(whole_mode(bucket.metadata("link"))) == stat.S_IFLNK
    assert os.lstat(mount / "link").st_size == len(target.encode())
    mount.remount()
    assert os.readlink(mount / "link") == target


def test_a_symlink_is_followed(mount):
    write_file(mount / "file", b"through the link")
    os.symlink("file", mount / "link")
    assert read_file(mount / "link") == b"through the link"


@pytest.mark.parametrize("name", ["file", "dir"])
def test_chmod_chown_utimens_are_metadata_and_survive(mount, bucket, name):
    if name == "dir":
        os.mkdir(mount / "dir")
        key, kind = "dir/", stat.S_IFDIR
    else:
        write_file(mount / "file", DATA)
        key, kind = "file", stat.S_IFREG
    os.chmod(mount / name, 0o1751)
    os.chown(mount / name, 1234, 5678)
    os.utime(mount / name, ns=(1_500_000_000_123_456_789, 1_600_000_000_987_654_321))
    mount.sync()
    metadata = bucket.metadata(key)
    assert whole_mode(metadata) == kind | 0o1751
    assert (metadata["uid"], metadata["gid"]) == ("1234", "5678")
    assert metadata["mtime"] == "1600000000.987654321"
    assert metadata["atime"] == "1500000000.123456789"
    mount.remount()
    after = os.stat(mount / name)
    assert (mode_of(mount / name), after.st_uid, after.st_gid) == (0o1751, 1234, 5678)
    assert after.st_mtime_ns == 1_600_000_000_987_654_321
    if name == "file":
        assert bucket.get("file") == DATA


def test_attributes_of_objects_of_others_can_be_set(mount, bucket):
    bucket.put("theirs", DATA, Metadata={"colour": "blue"}, ContentType="text/plain")
    os.chmod(mount / "theirs", 0o600)
    mount.sync()
    head = bucket.head("theirs")
    assert whole_mode(head["Metadata"]) == stat.S_IFREG | 0o600
    assert head["Metadata"]["colour"] == "blue"
    assert head["ContentType"] == "text/plain"
    assert bucket.get("theirs") == DATA


def test_metadata_of_others_survives_a_change_of_the_bytes(mount, bucket):
    bucket.put("theirs", DATA, Metadata={"colour": "blue"}, ContentType="text/plain")
    pwrite_file(mount / "theirs", b"x", 0)
    head = bucket.head("theirs")
    assert head["Metadata"]["colour"] == "blue"
    assert head["ContentType"] == "text/plain"


def test_mtime_and_ctime_move_with_writes(mount):
    write_file(mount / "file", b"x")
    os.utime(mount / "file", (1000, 1000))
    before = time.time()
    write_file(mount / "file", b"y", flags=os.O_APPEND)
    after = os.stat(mount / "file")
    assert after.st_mtime >= before - 1 and after.st_ctime >= before - 1


def test_an_object_without_metadata_has_sensible_attributes(bucket, make_mount):
    bucket.put("theirs", b"123")
    bucket.put("dir/theirs", b"1")
    modified = bucket.head("theirs")["LastModified"].timestamp()
    mount = make_mount(bucket, ["uid=1000", "gid=1001", "umask=027"])
    file, directory = os.stat(mount / "theirs"), os.stat(mount / "dir")
    assert (file.st_uid, file.st_gid, mode_of(mount / "theirs")) == (1000, 1001, 0o640)
    assert (directory.st_uid, directory.st_gid, mode_of(mount / "dir")) == (1000, 1001, 0o750)
    assert file.st_mtime == pytest.approx(modified, abs=1)
    assert file.st_nlink == 1


def test_statfs_has_room(mount):
    answer = os.statvfs(mount.path)
    assert answer.f_bsize >= 4096 and answer.f_bavail * answer.f_frsize > 1 << 30
    assert answer.f_namemax == 255


# Who may do what


def test_permissions_are_checked_for_other_users(bucket, make_mount):
    mount = make_mount(bucket, ["allow_other"])
    write_file(mount / "secret", b"x", mode=0o600)
    write_file(mount / "public", b"x", mode=0o644)
    os.mkdir(mount / "theirs")
    os.chown(mount / "theirs", NOBODY, NOBODY)
    assert as_user(NOBODY, lambda: read_file(mount / "public")) is None
    assert as_user(NOBODY, lambda: read_file(mount / "secret")) == errno.EACCES
    assert as_user(NOBODY, lambda: write_file(mount / "public", b"")) == errno.EACCES
    assert as_user(NOBODY, lambda: write_file(mount / "new", b"")) == errno.EACCES
    assert as_user(NOBODY, lambda: os.unlink(mount / "public")) == errno.EACCES
    assert as_user(NOBODY, lambda: os.chmod(mount / "public", 0o666)) == errno.EPERM
    assert as_user(NOBODY, lambda: write_file(mount / "theirs/file", b"mine")) is None
    assert bucket.get("theirs/file") == b"mine"
    assert bucket.metadata("theirs/file")["uid"] == str(NOBODY)


def test_without_allow_other_nobody_else_gets_in(mount):
    write_file(mount / "public", b"x")
    assert as_user(NOBODY, lambda: read_file(mount / "public")) == errno.EACCES


def test_read_only_refuses_every_change(bucket, make_mount):
    bucket.put("file", b"x")
    mount = make_mount(bucket, ["ro"])
    assert read_file(mount / "file") == b"x"
    for change in (lambda: write_file(mount / "new", b""), lambda: os.unlink(mount / "file"),
                   lambda: os.mkdir(mount / "dir"), lambda: os.rename(mount / "file", mount / "other"),
                   lambda: os.chmod(mount / "file", 0o600), lambda: os.truncate(mount / "file", 0),
                   lambda: os.symlink("x", mount / "link")):
        with fails_with(errno.EROFS):
            change()
    assert bucket.keys() == ["file"]


# What the kernel forgets and what others do meanwhile


def test_all_is_found_again_after_the_kernel_forgot_it(mount):
    for number in range(50):
        os.makedirs(mount / f"d{number % 5}/s{number}")
        write_file(mount / f"d{number % 5}/s{number}/f", b"%d" % number)
    drop_caches()
    for number in range(50):
        assert read_file(mount / f"d{number % 5}/s{number}/f") == b"%d" % number


def test_a_change_by_others_is_seen_at_the_next_open(mount, bucket):
    bucket.put("file", b"first")
    assert read_file(mount / "file") == b"first"
    bucket.put("file", b"second, and longer")
    assert read_file(mount / "file") == b"second, and longer"


def test_a_file_deleted_by_others_is_gone_soon(mount, bucket):
    bucket.put("file", b"x")
    assert read_file(mount / "file") == b"x"
    bucket.delete("file")
    deadline = time.monotonic() + 10
    while os.path.exists(mount / "file"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert os.listdir(mount.path) == []


def test_many_handles_at_once(mount, bucket):
    files = [open(mount / f"f{number}", "wb") for number in range(200)]
    for number, file in enumerate(files):
        file.write(b"%d" % number)
    for file in files:
        file.close()
    assert len(bucket.keys()) == 200
    assert bucket.get("f123") == b"123"

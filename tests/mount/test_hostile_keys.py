"""Keys that are no file names, or barely: each has one rule (docs/semantics.md), and none is in the way of others."""
import errno
import os
import shutil

import pytest

from files import fails_with, read_file, write_file
from processes import wait_until

LONG = "n" * 256
HIDDEN = ["/rooted", "//", "empty//x", "empty/", "dot/./x", "dot/.", "up/../x", "up/../../../etc/passwd", "up/..",
          f"long/{LONG}", f"long/{LONG}/x", "./x", "../x", ".", "..", "mixed//x", "mixed/file", "mixed/./y",
          f"scratch/.s3mount-probe-{'0' * 32}"]
SHOWN = {"": {"empty", "dot", "up", "long", "mixed", "scratch"}, "empty": set(), "dot": set(), "up": set(),
         "long": set(), "mixed": {"file"}, "scratch": set()}


@pytest.fixture
def hostile(mount, bucket):
    for key in HIDDEN:
        bucket.put(key, key.encode())
    return mount


def walk(mount):
    """What is seen, as tools see it; a loop would be met at once."""
    seen = {}
    for path, directories, names in os.walk(mount.path):
        seen[os.path.relpath(path, mount.path) if path != mount.path else ""] = set(directories) | set(names)
        assert len(seen) < 1000
    return seen


@pytest.mark.servers("embedded", "radosgw")
def test_what_is_no_name_is_hidden_and_counted(hostile, bucket):
    assert walk(hostile) == SHOWN
    assert hostile.status()["hidden_keys"] >= 10
    log = hostile.process.output()
    for directory, key in (("empty", "empty//"), ("dot", "dot/."), ("up", "up/.."), ("long", f"long/{LONG}")):
        assert f'keys below "{directory}/" have no file name and are not shown, "{key}' in log, directory
    assert sorted(os.listdir(hostile / "up/..")) == sorted(SHOWN[""])  # the kernel's own
    assert not os.path.exists(hostile / "up/etc") and not os.path.exists(hostile / f"scratch/.s3mount-probe-{'0' * 32}")
    assert set(HIDDEN) == set(bucket.keys())


@pytest.mark.servers("embedded", "radosgw")
def test_rmdir_of_what_only_looks_empty_fails_and_names_the_key(hostile, bucket):
    for name, key in (("empty", "empty//"), ("dot", "dot/."), ("up", "up/.."), ("long", f"long/{LONG}"),
                      ("scratch", "scratch/.s3mount-probe-")):
        with fails_with(errno.ENOTEMPTY):
            os.rmdir(hostile / name)
        assert f'"{name}" looks empty and is not: it holds the key "{key}' in hostile.process.output()
    os.mkdir(hostile / "new")
    with fails_with(errno.ENOTEMPTY):
        os.rename(hostile / "new", hostile / "dot")
    with pytest.raises(OSError) as caught:
        shutil.rmtree(hostile / "mixed")
    assert caught.value.errno == errno.ENOTEMPTY and os.listdir(hostile / "mixed") == []
    assert set(bucket.keys()) == set(HIDDEN) - {"mixed/file"} | {"mixed/", "new/"}
    bucket.delete(*[key for key in HIDDEN if key.startswith("dot/")])
    wait_until(lambda: not os.path.exists(hostile / "dot"), 5, "the other client's deletion is seen", 0.1)


@pytest.mark.servers("embedded", "radosgw")
def test_a_directory_takes_its_hidden_keys_along(hostile, bucket):
    for name in ("empty", "dot", "up", "long", "mixed", "scratch"):
        os.rename(hostile / name, hostile / f"new-{name}")
    moved = {key if key.startswith(("/", ".")) else f"new-{key}" for key in HIDDEN}
    assert set(bucket.keys()) == moved
    assert bucket.get("new-up/../../../etc/passwd") == b"up/../../../etc/passwd"
    assert read_file(hostile / "new-mixed/file") == b"mixed/file"


# Not valid UTF-8 among them. Ceph 16 repeats prefixes in its listings as they are, which is no XML then.
ODD = ["\x01control", "esc\x1b[31m", "tab\there", "line\nbreak", "return\r", "\x7f", "&amp;<x>\"'", "%2F%00", "a+b c",
       "\ufffe", " blank ", "-rf", "~", "\\", "*?[", "ü", "u\u0308", "\U0001f600",
       "...", ".s3mount-probe-x", "\udcff\udcfe", "\udcc3("]


@pytest.mark.servers("embedded")
def test_any_bytes_are_a_name_and_are_moved_and_removed(mount, bucket):
    odd = [os.fsencode(name) for name in ODD]
    os.mkdir(mount / "dir")
    base = os.fsencode(mount / "dir")
    for name in odd:
        os.mkdir(os.path.join(base, name))
        write_file(os.path.join(base, name, name), name)
    mount.remount()
    assert sorted(os.listdir(base)) == sorted(odd)
    os.rename(mount / "dir", mount / "moved")
    base = os.fsencode(mount / "moved")
    assert bucket.keys("dir") == []
    mount.remount()
    for name in odd:
        assert read_file(os.path.join(base, name, name)) == name
        os.rename(os.path.join(base, name, name), os.path.join(base, name, b"x" + name))
    assert sorted(os.listdir(base)) == sorted(odd)
    shutil.rmtree(base)
    assert bucket.keys() == []


@pytest.mark.servers("embedded", "radosgw")
def test_a_file_beside_a_directory_of_its_name(mount, bucket):
    bucket.put("a", b"the file")
    bucket.put("a/b", b"below")
    assert os.listdir(mount.path) == ["a"] and os.listdir(mount / "a") == ["b"]
    with fails_with(errno.EISDIR):
        os.unlink(mount / "a")
    with fails_with(errno.EEXIST):
        os.mkdir(mount / "a")
    os.rename(mount / "a", mount / "moved")
    assert (bucket.keys(), read_file(mount / "moved/b")) == (["a", "moved/b"], b"below")
    wait_until(lambda: sorted(os.listdir(mount.path)) == ["a", "moved"], 5, "the file shows", 0.1)
    assert read_file(mount / "a") == b"the file"


@pytest.mark.servers("embedded", "radosgw")
def test_a_directory_object_that_has_bytes_keeps_them(mount, bucket):
    bucket.put("dir/", b"somebody's note", ContentType="text/plain")
    assert os.listdir(mount / "dir") == []
    os.chmod(mount / "dir", 0o700)
    mount.sync()
    assert bucket.get("dir/") == b"somebody's note" and bucket.metadata("dir/")["mode"] == str(0o40700)
    os.rename(mount / "dir", mount / "moved")
    assert bucket.get("moved/") == b"somebody's note"
    os.rmdir(mount / "moved")
    assert bucket.keys() == []


def test_our_own_names_cannot_be_made(mount, bucket):
    name = f".s3mount-probe-{'a' * 32}"
    for make in (os.mkdir, lambda path: write_file(path, b"x"), lambda path: os.symlink("x", path)):
        with fails_with(errno.EINVAL):
            make(mount / name)
    write_file(mount / "file", b"x")
    with fails_with(errno.EINVAL):
        os.rename(mount / "file", mount / name)
    assert bucket.keys() == ["file"]


def test_a_name_or_key_that_is_too_long_is_refused(mount, bucket):
    for name in ("n" * 256, "ü" * 128):
        with fails_with(errno.ENAMETOOLONG):
            write_file(mount / name, b"x")
    path = mount.path
    for _ in range(4):
        path = os.path.join(path, "d" * 250)
        os.mkdir(path)
    with fails_with(errno.ENAMETOOLONG):
        os.mkdir(os.path.join(path, "e" * 20))
    write_file(os.path.join(path, "f" * 20), b"fits")
    with fails_with(errno.ENAMETOOLONG):
        os.rename(mount / ("d" * 250), mount / ("d" * 255))
    assert read_file(os.path.join(path, "f" * 20)) == b"fits"
    assert max(len(key) for key in bucket.keys()) == 1024

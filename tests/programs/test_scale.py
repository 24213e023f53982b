"""Large directories, deep ones, and trees of many objects that a client put there without directories.

S3MOUNT_TEST_ENTRIES=100000 and S3MOUNT_TEST_OBJECTS=200000 are the long form.
"""
import os
import subprocess
import time

import pytest

import servers
from files import drop_caches, read_file, write_file
from preload import BODY, preload
from programs import run

ENTRIES = int(os.environ.get("S3MOUNT_TEST_ENTRIES", "20000"))
OBJECTS = int(os.environ.get("S3MOUNT_TEST_OBJECTS", "30000"))
DEPTH = 100
# fs/vfs/inode.c: 500,000 names of about 600 bytes at most; a listing under way, buffers and libraries beside it.
MEMORY_BASE, MEMORY_OF_NAME = 100 << 20, 1000
BUCKET = "large"


@pytest.fixture
def filled(request, make_mount, tmp_path):
    """filled(keys, [options]): a mount of a server of its own that holds them."""
    started = []

    def fill(keys, options=()):
        server = servers.Embedded(tmp_path)
        preload(server.dir / "data", BUCKET, keys)
        started.append(server.start())
        return make_mount(servers.Bucket(server, BUCKET), options, on=server)
    yield fill
    for mount in request.node.mounts_of_test:
        if mount.process.alive():
            mount.unmount()
    for server in started:
        server.stop()


def memory(mount):
    """Resident, now and at most, in bytes."""
    with open(f"/proc/{mount.process.pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return [int(fields[name].split()[0]) << 10 for name in ("VmRSS", "VmHWM")]


class Timed:
    """with Timed("what"): prints how long it took."""

    def __init__(self, what):
        self.what, self.start = what, None

    def __enter__(self):
        self.start = time.monotonic()

    def __exit__(self, *_):
        print(f"{self.what}: {time.monotonic() - self.start:.2f} s")


def find(root, *words):
    return run("find", root, *words, "-printf", ".", seconds=1800).count(".")


def test_a_large_directory(filled):
    names = [f"entry-{number:06}" for number in range(ENTRIES)]
    mount = filled([f"dir/{name}" for name in names])
    directory = mount / "dir"
    with Timed(f"listing {ENTRIES} entries"):
        assert sorted(os.listdir(directory)) == names
    with Timed("ls -l of them"):
        assert run("sh", "-c", 'ls -lU "$0" | wc -l', directory, seconds=600).strip() == str(ENTRIES + 1)
    drop_caches()
    with Timed("500 in no order"):
        for name in names[:: ENTRIES // 500]:
            assert os.stat(os.path.join(directory, name)).st_size == len(BODY)
    assert read_file(os.path.join(directory, names[ENTRIES // 3])) == BODY
    with Timed("100 created, 50 of them renamed, 100 others removed"):
        for number in range(100):
            write_file(os.path.join(directory, f"new-{number:03}"), b"new")
            os.unlink(os.path.join(directory, names[number * 7]))
        for number in range(50):
            os.rename(os.path.join(directory, f"new-{number:03}"), os.path.join(directory, f"moved-{number:03}"))
    gone = {names[number * 7] for number in range(100)}
    expected = sorted([*(set(names) - gone), *(f"new-{number:03}" for number in range(50, 100)),
                       *(f"moved-{number:03}" for number in range(50))])
    with Timed("listing again"):
        assert sorted(os.listdir(directory)) == expected
    assert sorted(key.removeprefix("dir/") for key in servers.Bucket(mount.server, BUCKET).keys()) == expected
    check_memory(mount, ENTRIES)


def check_memory(mount, names):
    now, most = memory(mount)
    print(f"memory: {now >> 20} MiB, at most {most >> 20} MiB")
    assert most < MEMORY_BASE + names * MEMORY_OF_NAME


def test_a_directory_is_whole_while_it_changes(filled):
    """What is there all the time is listed exactly once, however the rest comes and goes."""
    names = [f"entry-{number:06}" for number in range(3000)]
    directory = filled([f"dir/{name}" for name in names]) / "dir"
    program = """while [ ! -e stop ]; do
        for i in 1 2 3 4 5; do : >aaa$i; : >zzz$i; done
        rm aaa? zzz?
    done"""
    with subprocess.Popen(["sh", "-c", program], cwd=directory) as changing:
        for _ in range(10):
            found = [name for name in os.listdir(directory) if name.startswith("entry-")]
            assert sorted(found) == names
        write_file(os.path.join(directory, "stop"), b"")
        assert changing.wait(60) == 0


def test_a_deep_directory(mount, bucket):
    deep = "/".join(f"d{number}" for number in range(DEPTH))
    with Timed(f"{DEPTH} directories, one in another"):
        os.makedirs(mount / deep)
    write_file(mount / f"{deep}/file", b"deep")
    drop_caches()
    assert find(mount.path) == DEPTH + 2
    os.rename(mount / "d0", mount / "moved")
    assert read_file(mount / deep.replace("d0", "moved", 1) + "/file") == b"deep"
    mount.sync()
    assert len(bucket.keys()) == DEPTH + 1
    run("rm", "-r", mount / "moved")
    assert bucket.keys() == []


@pytest.mark.limit(3600)
@pytest.mark.parametrize("markers", [False, True], ids=["flat", "with directory objects"])
def test_a_tree_of_many_objects(filled, markers):
    """Three levels, a hundred objects in each of the lowest directories."""
    files = [f"a{number // 10000:02}/b{number // 100 % 100:02}/file{number:07}" for number in range(OBJECTS)]
    directories = {name.rpartition("/")[0] for name in files}
    directories |= {name.partition("/")[0] for name in files}
    mount = filled(sorted(files + [name + "/" for name in directories]) if markers else files)
    for attempt in ("find, the first time", "find again"):
        with Timed(f"{attempt}, of {OBJECTS} files"):
            assert find(mount.path, "-type", "f") == len(files)
    assert find(mount.path, "-type", "d") == len(directories) + 1
    drop_caches()
    with Timed("du"):
        assert int(run("du", "-sb", mount.path, seconds=1800).split()[0]) == \
            len(files) * len(BODY) + (len(directories) + 1) * 4096
    check_memory(mount, len(files) + len(directories))
    mount.remount()
    with Timed("find after a remount"):
        assert find(mount.path, "-type", "f", "-size", f"-{len(BODY) + 1}c") == len(files)
    write_file(mount / f"{files[0].rpartition('/')[0]}/new", b"new")
    assert find(mount / files[0].partition("/")[0], "-name", "new") == 1

"""The disk of the cache runs full, under load and with S3 away, and has room again."""
import errno
import hashlib
import os
import threading
import time

import pytest

from disks import SmallDisk
from files import MIB, noise, read_file, write_file

pytestmark = pytest.mark.servers("embedded")  # it is about this machine, not about the server

LIMITS = ["cache_size=1G", "dirty_limit=1G"]  # the disk is full before they are reached
LONG = "attr_timeout=600"  # with S3 away, a name that is known to be free must stay so


@pytest.fixture
def disk():
    with SmallDisk(64) as made:
        yield made


def write_until_refused(mount, names, accepted, size=MIB, limit=200):
    """Each file whose close returned is in accepted, with its digest. Returns the errno of the first refusal."""
    for number, name in zip(range(limit), names):
        data = noise(size, f"{name}{number}")
        try:
            write_file(mount / name, data)
        except OSError as error:
            return error.errno
        accepted[name] = hashlib.sha256(data).hexdigest()
    return None


def assert_in_bucket(bucket, accepted):
    for name, digest in accepted.items():
        assert hashlib.sha256(bucket.get(name)).hexdigest() == digest, name


@pytest.mark.limit(300)
@pytest.mark.parametrize("crash", [False, True], ids=["", "kill9"])
def test_nothing_accepted_is_lost_and_it_heals(disk, bucket, make_mount, server, crash):
    bucket.put("object", b"in the bucket")
    mount = make_mount(bucket, ["close=local", "fsync=local", LONG, *LIMITS], cache=os.path.join(disk.path, "cache"))
    assert os.listdir(mount.path) == ["object"]  # so that it is known which names are free
    accepted = {}
    server.hang()
    try:
        start = time.monotonic()
        refused = write_until_refused(mount, (f"file{n}" for n in range(200)), accepted)
        assert refused == errno.ENOSPC
        assert len(accepted) >= 30
        assert time.monotonic() - start < 100
        assert hashlib.sha256(read_file(mount / "file0")).hexdigest() == accepted["file0"]
        status = mount.status()
        assert status["dirty_bytes"] >= len(accepted) * MIB
        if crash:
            mount.kill9()
    finally:
        server.go_on()
    if crash:
        mount.mount()  # on a disk that is full
    assert read_file(mount / "object") == b"in the bucket"
    mount.wait_clean(90)
    assert_in_bucket(bucket, accepted)
    assert write_until_refused(mount, [f"again{n}" for n in range(20)], accepted) is None
    mount.wait_clean(60)
    assert mount.status()["accepts_writes"]
    assert_in_bucket(bucket, accepted)


@pytest.mark.limit(300)
def test_a_load_larger_than_the_disk_goes_through(disk, bucket, make_mount):
    """Writers are held up, and nothing fails while S3 takes what they write."""
    mount = make_mount(bucket, ["close=local", "fsync=local", *LIMITS], cache=os.path.join(disk.path, "cache"))
    accepted, refusals = {}, []

    def writer(index):
        refusals.append(write_until_refused(
            mount, (f"w{index}-{n}" for n in range(30)), accepted, size=2 * MIB, limit=30))
    writers = [threading.Thread(target=writer, args=(index,)) for index in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert refusals == [None] * 4
    mount.wait_clean(60)
    assert len(accepted) == 120
    assert_in_bucket(bucket, accepted)


@pytest.mark.limit(300)
def test_the_disk_is_taken_by_others_and_given_back(disk, bucket, make_mount):
    bucket.put("large", noise(9 * MIB, 3))
    mount = make_mount(bucket, ["close=local", "fsync=local", *LIMITS], cache=os.path.join(disk.path, "cache"))
    write_file(mount / "before", b"before")
    mount.sync()
    ballast = disk.fill()
    with pytest.raises(OSError) as refused:
        write_file(mount / "refused", noise(8 * MIB))
    assert refused.value.errno == errno.ENOSPC
    assert read_file(mount / "large") == noise(9 * MIB, 3)
    assert read_file(mount / "before") == b"before"
    os.unlink(mount / "before")  # what makes room is always possible
    os.unlink(ballast)
    deadline = time.monotonic() + 20
    while not mount.status()["accepts_writes"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    write_file(mount / "after", b"after")
    mount.sync()
    assert bucket.get("after") == b"after"
    assert not bucket.exists("before")

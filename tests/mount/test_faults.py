"""Faults of S3 under a running mount, one kind at a time, through the scripted faults of the embedded server.

Whatever happens: the right bytes end up in the bucket under the right names, callers get success or an honest
error in time, nothing stays dirty once the fault is over, no multipart upload is left, and nobody is stormed.
"""
import errno
import os
import shutil
import threading
import time

import pytest

import servers
from files import MIB, fails_with, noise, pwrite_file, read_file, write_file
from processes import wait_until

SMALL = 100_000
LARGE = 20 * MIB
FIRST, SECOND = "first-key", "second-key"
SECRET = "secret-0123456789"

LOST = ["drop_before", "drop_after", "drop_body:1000", "drop_body:1000000000"]
BUSY = ["status:500:InternalError", "status:503:SlowDown", "status:400:RequestTimeout"]


class FaultServer(servers.Embedded):
    @property
    def options(self):
        keys = self.dir / "keys"
        keys.write_text("".join(f"{key}:{SECRET}\n" for key in (servers.ACCESS_KEY, FIRST, SECOND))
                        .replace(f"{servers.ACCESS_KEY}:{SECRET}", f"{servers.ACCESS_KEY}:{servers.SECRET_KEY}"))
        return ("--access-key-file", keys)


@pytest.fixture(scope="module")
def server():
    started = FaultServer()
    try:
        yield started.start()
    finally:
        started.stop()
        shutil.rmtree(started.dir, ignore_errors=True)


@pytest.fixture(autouse=True)
def _healed(server):
    yield
    server.clear()


def count(server, *operations):
    counters = server.control()
    return sum(counters.get(operation, 0) for operation in operations or ["total"])


def heal(server, mount, bucket, expected, seconds=90):
    """The fault is over: everything becomes clean by itself, and the bucket holds this and nothing else."""
    server.clear()
    mount.wait_clean(seconds)
    mount.sync()
    wait_until(lambda: bucket.uploads() == [], 10, "no multipart upload is left")
    for key, data in expected.items():
        assert bucket.get(key) == data, f"{key} in the bucket"
    assert sorted(bucket.keys()) == sorted(expected)


def timed(seconds, function, *arguments):
    start = time.monotonic()
    result = function(*arguments)
    took = time.monotonic() - start
    assert took < seconds, f"took {took:.1f} s"
    return result


@pytest.mark.parametrize("times", [1, 3])
def test_small_files_are_written_through_every_fault_of_put(mount, bucket, server, times):
    expected = {}
    for number, action in enumerate([*LOST, *BUSY, "status:409:ConditionalRequestConflict", "status:412:PreconditionFailed",
                                     "status:502:BadGateway", "status:429:TooManyRequests"]):
        name, old, new = f"file{number}", noise(SMALL, number), noise(SMALL + 7, number + 100)
        for data in old, new:  # created, then replaced: If-None-Match, then If-Match
            server.control("DELETE", "/_control/requests")
            server.fault(op="PutObject", key_prefix=name, count=times, action=action)
            timed(20, write_file, mount / name, data)
            assert bucket.get(name) == data, action
            assert count(server) < 12 * times + 12, f"{action}: {server.control()}"
            server.clear()
        expected[name] = new
    heal(server, mount, bucket, expected)


@pytest.mark.parametrize("operation,actions", [
    ("CreateMultipartUpload", ["drop_before", "drop_after", *BUSY, "truncate:10"]),
    ("UploadPart", [*LOST, *BUSY, "status:404:NoSuchUpload"]),
    ("CompleteMultipartUpload", ["drop_before", "drop_after", "truncate:10", *BUSY, "error_in_200:InternalError",
                                 "error_in_200:SlowDown", "status:409:ConditionalRequestConflict",
                                 "status:404:NoSuchUpload", "status:412:PreconditionFailed",
                                 "status:400:InvalidPart"]),
])
def test_large_files_are_written_through_every_fault_of_multipart_uploads(mount, bucket, server, operation, actions):
    expected = {}
    for number, action in enumerate(actions):
        name, data = f"file{number}", noise(LARGE, number)
        server.control("DELETE", "/_control/requests")
        server.fault(op=operation, count=1, action=action)
        timed(40, write_file, mount / name, data)
        assert bucket.get(name) == data, action
        assert count(server) < 60, f"{action}: {server.control()}"
        expected[name] = data
    heal(server, mount, bucket, expected)


@pytest.mark.parametrize("action", ["drop_before", "drop_after", *BUSY, "error_in_200:InternalError", "truncate:20",
                                    "status:404:NoSuchUpload"])
def test_parts_that_the_server_copies(mount, bucket, server, action):
    data = noise(LARGE, 1)
    write_file(mount / "file", data)
    server.fault(op="UploadPartCopy", count=1, action=action)
    timed(40, pwrite_file, mount / "file", b"changed", 0)
    heal(server, mount, bucket, {"file": b"changed" + data[7:]})


COPIES = ["drop_before", "drop_after", *BUSY, "error_in_200:InternalError", "error_in_200:SlowDown", "truncate:20",
          "status:409:ConditionalRequestConflict"]


def test_attributes_and_renames_through_every_fault_of_copy(mount, bucket, server):
    expected = {}
    for number, action in enumerate(COPIES):
        name, data = f"file{number}", noise(SMALL, number)
        write_file(mount / name, data)
        server.control("DELETE", "/_control/requests")
        server.fault(op="CopyObject", count=1, action=action)
        os.chmod(mount / name, 0o600)
        mount.sync()
        assert bucket.metadata(name)["mode"] == "33152", action
        server.fault(op="CopyObject", count=1, action=action)
        timed(30, os.rename, mount / name, mount / f"moved{number}")
        assert count(server) < 40, f"{action}: {server.control()}"
        expected[f"moved{number}"] = data
    heal(server, mount, bucket, expected)
    assert {bucket.metadata(name)["mode"] for name in expected} == {"33152"}


def test_files_are_removed_through_every_fault_of_delete(mount, bucket, server):
    for number, action in enumerate(["drop_before", "drop_after", *BUSY, "status:409:ConditionalRequestConflict"]):
        write_file(mount / f"file{number}", b"data")
        server.fault(op="DeleteObject", count=1, action=action)
        try:
            timed(30, os.unlink, mount / f"file{number}")
        except OSError as error:
            assert action.startswith("status:409") and error.errno == errno.EBUSY, action
            os.unlink(mount / f"file{number}")
        assert not os.path.exists(mount / f"file{number}")
    heal(server, mount, bucket, {})


def test_a_burst_of_slow_down_delays_and_storms_nobody(mount, bucket, server):
    expected = {f"file{number}": noise(SMALL, number) for number in range(8)}
    server.fault(op="*", action="status:503:SlowDown")
    server.control("DELETE", "/_control/requests")
    writers = [threading.Thread(target=write_file, args=(mount / name, data), daemon=True)
               for name, data in expected.items()]
    for writer in writers:
        writer.start()
    time.sleep(6)
    assert count(server) < 8 * 60, server.control()
    server.clear()
    for writer in writers:
        writer.join(30)
        assert not writer.is_alive()
    heal(server, mount, bucket, expected)


@pytest.mark.parametrize("seconds", [-1200, 1200])
def test_a_clock_that_is_twenty_minutes_off(bucket, make_mount, server, seconds):
    server.control("POST", "/_control", action=f"skew:{seconds}")
    mount = make_mount(bucket)
    server.control("DELETE", "/_control/requests")
    write_file(mount / "before", b"1")
    server.control("POST", "/_control", action="skew:0")  # it is set right while we are mounted
    write_file(mount / "between", b"2")
    server.control("POST", "/_control", action=f"skew:{-seconds}")
    timed(10, write_file, mount / "after", b"3")
    assert read_file(mount / "before") == b"1"
    large = noise(LARGE, 1)
    write_file(mount / "large", large)
    assert count(server) < 60, server.control()
    heal(server, mount, bucket, {"before": b"1", "between": b"2", "after": b"3", "large": large})


def profile(path, key):
    new = path.with_suffix(".new")
    new.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n")
    os.replace(new, path)


@pytest.mark.limit(240)
@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken"])
def test_keys_that_expire_are_read_again(bucket, make_mount, server, tmp_path, code):
    file = tmp_path / "credentials"
    profile(file, FIRST)
    mount = make_mount(bucket, environment={"AWS_SHARED_CREDENTIALS_FILE": str(file)})
    write_file(mount / "before", b"1")
    fd = os.open(mount / "open", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"2")
    server.fault(op="*", access_key=FIRST, action=f"status:400:{code}")
    server.control("DELETE", "/_control/requests")
    with fails_with(errno.EACCES):  # nothing newer is there: a clear error, and no second attempt at once
        timed(20, os.close, fd)
    assert count(server) < 20, server.control()
    log = mount.process.output()
    assert "default" in log and "read again" in log, log[-2000:]
    profile(file, SECOND)
    time.sleep(1)  # what was read is taken for the newest for a second
    timed(20, write_file, mount / "after", b"3")
    assert read_file(mount / "before") == b"1"
    assert SECRET not in mount.process.output()
    mount.wait_clean(90)
    assert bucket.get("after") == b"3"
    assert bucket.get("open") == b"2"


def test_our_own_412_is_a_success(mount, bucket, server):
    """The first attempt is applied, its reply lost; the second meets what the first has made."""
    for base in (False, True):
        server.fault(op="PutObject", key_prefix="file", count=1, action="drop_after")
        timed(20, write_file, mount / "file", b"one" if base else b"two")
        assert sorted(bucket.keys()) == ["file"]
    heal(server, mount, bucket, {"file": b"one"})


def test_a_foreign_412_is_a_conflict(mount, bucket, server):
    write_file(mount / "file", b"base")
    fd = os.open(mount / "file", os.O_WRONLY)
    os.write(fd, b"ours")
    bucket.put("file", b"theirs")
    with fails_with(errno.ESTALE):
        os.close(fd)
    server.clear()
    mount.sync()
    copies = [key for key in bucket.keys() if key.startswith("file.conflict-")]
    assert len(copies) == 1 and bucket.get(copies[0]) == b"ours"
    assert bucket.get("file") == b"theirs"
    log = mount.process.output()
    assert copies[0] in log and "ETag" in log


def test_what_others_deleted_comes_back(mount, bucket, server):
    """404 NoSuchKey to If-Match."""
    for name, size in ("small", SMALL), ("large", LARGE):
        write_file(mount / name, noise(size, 1))
        fd = os.open(mount / name, os.O_WRONLY)
        os.pwrite(fd, b"changed", 0)
        bucket.delete(name)
        try:
            timed(30, os.close, fd)
        except OSError as error:
            assert error.errno == errno.ESTALE
    mount.wait_clean(60)
    assert bucket.get("small") == b"changed" + noise(SMALL, 1)[7:]
    assert bucket.uploads() == []
    assert any(bucket.get(key)[:7] == b"changed" for key in bucket.keys() if key.startswith("large"))


READS = ["truncate:1000", "length:5", "length:-5", "drop_before", "status:500:InternalError", "status:503:SlowDown",
         "truncate:0"]


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_reads_through_every_fault_of_get(bucket, make_mount, server, size):
    data = noise(size, 3)
    for number in range(len(READS)):
        bucket.put(f"file{number}", data)
    mount = make_mount(bucket)
    for number, action in enumerate(READS):
        server.control("DELETE", "/_control/requests")
        server.fault(op="GetObject", key_prefix=f"file{number}", count=2, action=action)
        assert timed(30, read_file, mount / f"file{number}") == data, action
        assert count(server) < 60, f"{action}: {server.control()}"
        server.clear()


@pytest.mark.parametrize("action", ["truncate:100", "truncate:0", "length:5", "length:-5", "drop_before",
                                    "status:500:InternalError", "status:503:SlowDown"])
def test_listings_are_whole_or_fail(bucket, make_mount, server, action):
    names = [f"name{number}" for number in range(30)]
    for name in names:
        bucket.put(f"dir/{name}", b"x")
    mount = make_mount(bucket)
    server.control("DELETE", "/_control/requests")
    server.fault(op="ListObjectsV2", count=2, action=action)
    assert sorted(timed(30, os.listdir, mount / "dir")) == sorted(names)
    assert count(server) < 100


@pytest.mark.limit(240)
@pytest.mark.parametrize("action", ["stall:40000", "stall_body:1000"])
def test_answers_that_never_come_or_stop_half_way(bucket, make_mount, server, action):
    data = noise(SMALL, 4)
    bucket.put("file", data)
    mount = make_mount(bucket)
    os.stat(mount / "file")
    server.fault(op="GetObject", count=1, action=action)
    assert timed(100, read_file, mount / "file") == data
    heal(server, mount, bucket, {"file": data})


@pytest.mark.limit(240)
def test_an_upload_that_is_never_answered(bucket, make_mount, server):
    mount = make_mount(bucket)
    server.fault(op="PutObject", key_prefix="file", count=1, action="stall_after:40000")
    timed(100, write_file, mount / "file", b"data")
    heal(server, mount, bucket, {"file": b"data"})


@pytest.mark.limit(240)
def test_one_kilobyte_a_second(bucket, make_mount, server):
    """Slow is not broken: what makes progress is not given up."""
    data = noise(40_000, 5)
    bucket.put("file", data)
    mount = make_mount(bucket)
    server.fault(op="GetObject", count=1, action="slow:1000")
    assert timed(90, read_file, mount / "file") == data
    assert count(server, "GetObject") <= 2, server.control()


@pytest.mark.parametrize("mode,said", [("racy", "won"), ("ignore", "ignores conditional writes"),
                                       ("unsupported", "ignores conditional writes"), ("on", None)])
def test_the_probe_finds_servers_that_do_not_hold_conditions(bucket, make_mount, server, mode, said):
    server.control("POST", "/_control", action=f"conditions:{mode}")
    mount = make_mount(bucket)
    log = mount.process.output()
    assert said in log if said else "conditional" not in log
    assert bucket.keys() == [] and bucket.uploads() == []
    # Both versions are found even so, as long as they do not come at the same moment.
    write_file(mount / "file", b"base")
    fd = os.open(mount / "file", os.O_WRONLY)
    os.write(fd, b"ours")
    bucket.put("file", b"theirs")
    with fails_with(errno.ESTALE):
        os.close(fd)
    mount.sync()
    assert sorted(bucket.get(key) for key in bucket.keys()) == [b"ours", b"theirs"]
    mount.unmount()
    server.control("DELETE", "/_control/requests")
    mount.mount()  # the verdict is kept
    assert count(server, "PutObject") == 0
    assert said in mount.process.output() if said else True


def test_scratch_objects_are_not_shown(bucket, make_mount, server):
    name = ".s3mount-probe-" + 32 * "0" + "-1"
    bucket.put(name, b"of another node")
    mount = make_mount(bucket)
    assert os.listdir(mount.path) == []
    assert not os.path.exists(mount / name)
    assert "hidden" not in mount.process.output()


def test_conditions_that_are_ignored_all_of_a_sudden(bucket, make_mount, server):
    """The verdict says that they hold, but the server has changed: ours is not lost silently at least."""
    mount = make_mount(bucket)
    server.control("POST", "/_control", action="conditions:ignore")
    data = noise(LARGE, 6)
    write_file(mount / "small", b"1")
    write_file(mount / "large", data)
    write_file(mount / "small", b"2")
    heal(server, mount, bucket, {"small": b"2", "large": data})


def test_opaque_etags(bucket, make_mount, server):
    server.control("POST", "/_control", action="etags:opaque")
    mount = make_mount(bucket, ["close=local"])
    data = noise(40 * MIB, 7)
    write_file(mount / "small", b"1")
    write_file(mount / "large", data)
    mount.crash_and_remount()
    pwrite_file(mount / "large", b"changed", 10 * MIB)
    write_file(mount / "small", b"2")
    server.control("POST", "/_control", action="etags:md5")
    heal(server, mount, bucket, {"small": b"2", "large": data[:10 * MIB] + b"changed" + data[10 * MIB + 7:]})


def parts_there(bucket):
    return sum(len(bucket.client.list_parts(Bucket=bucket.name, Key=upload["Key"], UploadId=upload["UploadId"])
                   .get("Parts", [])) for upload in bucket.uploads())


def test_an_upload_that_a_crash_cut_off_goes_on(bucket, make_mount, server):
    mount = make_mount(bucket, ["close=local", "part_size=5M"])
    data = noise(60 * MIB, 8)
    server.fault(op="UploadPart", after=8, action="status:503:SlowDown")
    write_file(mount / "large", data)
    wait_until(lambda: parts_there(bucket) == 8, 30, "some parts are there")
    mount.kill9()
    server.clear()
    mount.mount()
    mount.sync()
    assert count(server, "UploadPart") == 4, server.control()
    assert count(server, "CreateMultipartUpload") == 0
    heal(server, mount, bucket, {"large": data})


def test_a_lost_first_reply_and_a_crash_leave_no_upload(bucket, make_mount, server):
    mount = make_mount(bucket, ["close=local"])
    data = noise(LARGE, 9)
    server.fault(op="CreateMultipartUpload", action="drop_after")
    server.fault(op="ListMultipartUploads", action="drop_before")
    write_file(mount / "large", data)
    wait_until(lambda: count(server, "CreateMultipartUpload") > 1, 30, "uploads that nobody knows")
    mount.kill9()
    server.clear()
    mount.mount()
    heal(server, mount, bucket, {"large": data})

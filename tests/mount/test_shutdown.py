"""The end of a mount, and looking at it, while S3 is dead in every way: each within its time, and nothing is lost."""
import contextlib
import errno
import os
import signal
import subprocess
import threading
import time

import pytest

from dead_server import KINDS, DyingServer
from files import MIB, noise, read_file, write_file
from mounts import MountFailed
from processes import is_mounted, wait_until

pytestmark = pytest.mark.servers("embedded")  # it is about this machine, not about the server

SIGNAL_SECONDS = 8
KNOWN_SECONDS = 31  # asking S3 first may take 30 s; then what is known is given
FILES = {f"file{n}": noise(1000 + n, n) for n in range(50)} | {"large": noise(20 * MIB, 99)}


@pytest.fixture
def dying():
    with DyingServer() as server:
        server.put("cached", b"cached")
        server.put("uncached", noise(20 * MIB, 3))
        server.put("dir/below", b"below")
        yield server


@pytest.fixture
def make_dirty(dying, make_mount):
    def make(kind, *options):
        """S3 is dead, and FILES are acknowledged and not there."""
        mount = make_mount(dying.bucket, ["close=local", "attr_timeout=5", *options], on=dying)
        assert read_file(mount / "cached") == b"cached"
        assert sorted(os.listdir(mount.path)) == ["cached", "dir", "uncached"]
        assert os.listdir(mount / "dir") == ["below"]
        dying.die(kind)
        for name, data in FILES.items():
            write_file(mount / name, data)
        return mount
    return make


def in_background(function, *arguments):
    def run():
        with contextlib.suppress(OSError):
            function(*arguments)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def assert_all_is_uploaded(server, mount):
    server.revive()
    mount.mount()
    mount.wait_clean(60)
    for name, data in FILES.items():
        assert server.get(name) == data, name


@pytest.mark.parametrize("kind", KINDS)
def test_sigterm_ends_it_in_time_and_keeps_the_rest(dying, make_dirty, kind, stopwatch):
    mount = make_dirty(kind)
    # Others are in the middle of something.
    busy = [in_background(read_file, mount / "uncached"), in_background(os.listdir, mount / "new-directory"),
            in_background(os.stat, mount / "absent"),
            in_background(os.rename, mount / "cached", mount / "renamed"),
            in_background(os.unlink, mount / "dir/below")]
    time.sleep(0.5)
    start = stopwatch()
    os.kill(mount.process.pid, signal.SIGTERM)
    status = mount.process.wait(SIGNAL_SECONDS)
    seconds = stopwatch() - start
    print(f"SIGTERM, S3 {kind}: {seconds:.1f} s")
    assert status == 3
    assert seconds < SIGNAL_SECONDS
    assert not is_mounted(mount.path)
    for thread in busy:
        thread.join(5)
        assert not thread.is_alive()
    log = mount.process.output()
    assert "are not in S3; they are safe in" in log and "the next mount" in log
    assert_all_is_uploaded(dying, mount)


@pytest.mark.parametrize("kind", KINDS)
def test_umount_returns_at_once_and_the_drain_ends(dying, make_dirty, kind, stopwatch):
    mount = make_dirty(kind, "drain_timeout=3")
    start = stopwatch()
    subprocess.run(["umount", mount.path], check=True, timeout=20)
    umounted = stopwatch() - start
    status = mount.process.wait(15)
    print(f"umount, S3 {kind}: {umounted:.1f} s, the process ended after {stopwatch() - start:.1f} s")
    assert umounted < 2
    assert 2.5 < stopwatch() - start < 7
    assert status == 3
    assert f"{len(FILES)} files" in mount.process.output()
    assert_all_is_uploaded(dying, mount)


@pytest.mark.limit(300)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_known_can_be_looked_at(dying, make_dirty, kind, stopwatch):
    mount = make_dirty(kind)
    times = {}

    def timed(what, limit, function, *arguments):
        start = stopwatch()
        result = function(*arguments)
        times[what] = round(stopwatch() - start, 1)
        assert times[what] < limit, what
        return result
    status = timed("status", 2, mount.status)
    assert status["dirty_files"] == len(FILES)
    assert status["oldest_dirty_age"] < 60
    assert timed("cat of what is dirty", 2, read_file, mount / "large") == FILES["large"]
    time.sleep(6)  # names and attributes are old now
    assert timed("cat of what is cached", KNOWN_SECONDS, read_file, mount / "cached") == b"cached"
    assert "below" in timed("ls", KNOWN_SECONDS, os.listdir, mount / "dir")
    assert timed("stat", KNOWN_SECONDS, os.stat, mount / "cached").st_size == 6
    timed("statfs", 2, os.statvfs, mount.path)
    assert timed("status", 2, mount.status)["dirty_files"] == len(FILES)
    print(f"S3 {kind}: {times}")
    wait_until(lambda: mount.status()["blocked"] > 0, 60, "an upload has failed", 1)
    entry = mount.status()["pending"][0]
    assert entry["state"] in ("blocked", "uploading") and entry["attempts_failed"] > 0 and entry["error"]
    text = mount.tool("status", mount.path).stdout
    assert "blocked" in text and "failed attempts" in text
    os.kill(mount.process.pid, signal.SIGTERM)
    assert mount.process.wait(SIGNAL_SECONDS) == 3


def test_the_middle_of_an_outage_is_told_and_its_end_heals(dying, make_dirty):
    mount = make_dirty("errors")
    wait_until(lambda: mount.status()["failures"] > 0, 60, "an upload has failed", 0.5)
    assert mount.status()["accepts_writes"]
    dying.revive()
    mount.wait_clean(60)
    status = mount.status()
    assert status["pending"] == [] and status["blocked"] == 0 and status["oldest_dirty_age"] == 0
    assert dying.get("large") == FILES["large"]


@pytest.mark.parametrize("kind", ["hangs", "swallows"])
def test_a_mount_that_has_not_begun_ends_at_once(dying, make_mount, kind, stopwatch):
    mount = make_mount(dying.bucket, on=dying, start=False)
    dying.die(kind)
    threading.Timer(1.5, lambda: os.kill(mount.process.pid, signal.SIGTERM)).start()
    with pytest.raises(MountFailed):
        mount.mount()
    assert stopwatch() < 4


def test_a_close_that_waits_for_a_dead_server_ends_with_the_mount(dying, make_mount):
    mount = make_mount(dying.bucket, on=dying)
    assert sorted(os.listdir(mount.path)) == ["cached", "dir", "uncached"]
    outcome = []

    def write():
        try:
            write_file(mount / "file", b"data")
            outcome.append(0)
        except OSError as error:
            outcome.append(error.errno)
    dying.die("hangs")
    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    time.sleep(1)
    assert not outcome
    os.kill(mount.process.pid, signal.SIGTERM)
    assert mount.process.wait(SIGNAL_SECONDS) == 3
    thread.join(5)
    assert outcome and outcome[0] in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.EINTR, errno.ETIMEDOUT)
    dying.revive()
    mount.mount()
    mount.wait_clean(60)
    assert dying.get("file") == b"data"


def test_looking_at_a_mount_whose_process_is_stopped_gives_up(mount, stopwatch):
    mount.process.pause()
    try:
        done = mount.tool("status", mount.path, timeout=30)
        assert done.returncode == 1 and "does not answer within" in done.stderr
        assert stopwatch() < 15
        done = mount.tool("sync", mount.path, "--timeout", "1", timeout=30)
        assert done.returncode == 1 and "does not answer within" in done.stderr
    finally:
        mount.process.signal_all(signal.SIGCONT)
    assert mount.status()["dirty_files"] == 0

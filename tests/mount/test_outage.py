"""The server is away for a while, refusing connections or saying nothing, and comes back.

S3MOUNT_TEST_OUTAGE=60 makes it a minute; 15 s by default. The long outage, in which the dirty limit is reached,
lasts S3MOUNT_TEST_LONG_OUTAGE seconds: a minute by default, which is enough for each wait in it to end.
"""
import errno
import os
import threading
import time

import pytest

from files import MIB, noise, read_file, write_file
from processes import wait_until

SECONDS = float(os.environ.get("S3MOUNT_TEST_OUTAGE", "15"))
LONG_SECONDS = float(os.environ.get("S3MOUNT_TEST_LONG_OUTAGE", "60"))


class Outage:
    def __init__(self, server, kind, seconds=SECONDS):
        self.server, self.kind, self.seconds = server, kind, seconds

    def __enter__(self):
        self.start = time.monotonic()
        if self.kind == "refuses":
            self.server.go_away()
        else:
            self.server.hang()

    def __exit__(self, *exception):
        if not any(exception):
            time.sleep(max(0, self.start + self.seconds - time.monotonic()))
        if self.kind == "refuses":
            self.server.come_back()
        else:
            self.server.go_on()


@pytest.mark.limit(300)
@pytest.mark.parametrize("kind", ["refuses", "hangs"])
def test_local_work_goes_on_and_is_uploaded_afterwards(bucket, make_mount, server, kind):
    mount = make_mount(bucket, ["close=local", "fsync=local"])
    large = noise(20 * MIB, 7)
    write_file(mount / "cached", b"cached")
    mount.sync()
    assert read_file(mount / "cached") == b"cached"
    assert os.listdir(mount.path) == ["cached"]  # so that it is known which names are free
    start = time.monotonic()
    with Outage(server, kind):
        for number in range(10):
            write_file(mount / f"file{number}", b"%d" % number)
        write_file(mount / "large", large)
        assert read_file(mount / "file3") == b"3"
        assert mount.status()["dirty_bytes"] >= len(large)
        assert time.monotonic() - start < 10, "local work waited for the server"
    mount.wait_clean(60)
    assert bucket.get("large") == large
    assert bucket.get("cached") == b"cached"
    assert sorted(bucket.keys()) == sorted(["cached", "large"] + [f"file{n}" for n in range(10)])


@pytest.mark.limit(300)
@pytest.mark.parametrize("kind", ["refuses", "hangs"])
def test_a_rename_during_an_outage_leaves_one_file_under_the_new_name(bucket, make_mount, server, kind):
    """Also when an upload under the old name was under way, and arrives after all."""
    mount = make_mount(bucket, ["close=local"])
    assert os.listdir(mount.path) == []
    renamer = threading.Thread(target=lambda: os.rename(mount / "old", mount / "new"), daemon=True)
    with Outage(server, kind):
        write_file(mount / "old", b"data")
        time.sleep(1)
        renamer.start()
    renamer.join(60)
    assert not renamer.is_alive(), "rename still waits, with the server back"
    assert os.listdir(mount.path) == ["new"]
    mount.sync()
    assert bucket.keys() == ["new"]
    assert bucket.get("new") == b"data"


@pytest.mark.limit(300)
@pytest.mark.parametrize("kind", ["refuses", "hangs"])
def test_close_waits_for_s3_and_is_right_about_it(mount, bucket, server, kind):
    """close=s3: whatever close() says during the outage, nothing is lost, and success means: in S3."""
    result = {}

    def write():
        try:
            write_file(mount / "file", b"data")
            result["ok"] = bucket.get("file")
        except OSError as error:
            result["error"] = error
    with Outage(server, kind):
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        time.sleep(1)
        assert "ok" not in result
    writer.join(150)
    assert not writer.is_alive()
    assert result.get("ok", b"data") == b"data"
    mount.wait_clean(120)
    assert bucket.get("file") == b"data"


@pytest.mark.limit(300)
def test_an_outage_is_never_taken_for_a_deletion(mount, bucket, server):
    for name in ("a", "b"):
        bucket.put(f"dir/{name}", b"x")
    assert sorted(os.listdir(mount / "dir")) == ["a", "b"]
    answers = []

    def look():
        for name in ("dir/a", "dir/never-seen"):
            try:
                os.stat(mount / name)
                answers.append("there")
            except FileNotFoundError:
                answers.append(f"{name} is absent")
            except OSError as error:
                answers.append(error)
    with Outage(server, "refuses"):
        time.sleep(2)  # longer than attributes are taken for granted
        looker = threading.Thread(target=look, daemon=True)
        looker.start()
        looker.join(5)
    looker.join(100)
    assert not looker.is_alive()
    assert "dir/a is absent" not in answers
    assert sorted(os.listdir(mount / "dir")) == ["a", "b"]
    assert read_file(mount / "dir/a") == b"x"


@pytest.mark.limit(300)
def test_unmount_during_an_outage_says_what_is_left_and_the_next_mount_uploads_it(bucket, make_mount, server):
    mount = make_mount(bucket, ["close=local", "drain_timeout=2"])
    assert os.listdir(mount.path) == []
    server.go_away()
    try:
        write_file(mount / "file", b"left behind")
        start = time.monotonic()
        mount.unmount(check=False)
        assert time.monotonic() - start < 20
        log = mount.process.output()
        assert "file" in log and mount.cache in log, log
    finally:
        server.come_back()
    mount.mount()
    assert read_file(mount / "file") == b"left behind"
    mount.sync()
    assert bucket.get("file") == b"left behind"


class Filler(threading.Thread):
    """Writes files of 64 KiB until it is told ENOSPC; then waits for room and writes a few more."""

    SIZE = 64 << 10

    def __init__(self, mount, word, over):
        super().__init__(daemon=True)
        self.mount, self.word, self.over = mount, word, over
        self.written, self.refused, self.waited, self.problem = {}, 0, 0, None

    def put(self, number):
        name, data = f"{self.word}-{number:04}", noise(self.SIZE, f"{self.word}-{number}")
        start = time.monotonic()
        try:
            write_file(self.mount / name, data)
            self.written[name] = data
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self.refused += 1
            self.waited = max(self.waited, time.monotonic() - start)
            os.truncate(self.mount / name, 0)  # nothing of it is wanted

    def run(self):
        try:
            number = 0
            while not self.refused:
                self.put(number)
                number += 1
            self.over.wait(120)
            for number in range(1000, 1010):
                self.put(number)
        except OSError as error:
            self.problem = error


class Watch(threading.Thread):
    """Reads what is cached, lists, and looks at the status, all the time."""

    def __init__(self, mount, files, limit):
        super().__init__(daemon=True)
        self.mount, self.files, self.limit = mount, files, limit
        self.ended, self.problems, self.turns, self.slowest, self.dirtiest = threading.Event(), [], 0, 0, 0

    def run(self):
        while not self.ended.is_set():
            start = time.monotonic()
            try:
                for name, data in self.files.items():
                    if read_file(self.mount / name) != data:
                        self.problems.append(f"{name} has other bytes")
                if missing := set(self.files) - {f"kept/{name}" for name in os.listdir(self.mount / "kept")}:
                    self.problems.append(f"not listed: {missing}")
                if os.path.exists(self.mount / "never"):
                    self.problems.append("a name that never was is there")
            except OSError as error:
                self.problems.append(error)
            self.turns += 1
            self.slowest = max(self.slowest, time.monotonic() - start)
            self.dirtiest = max(self.dirtiest, self.mount.status()["dirty_bytes"])


@pytest.mark.servers("embedded")
@pytest.mark.limit(600)
def test_a_long_outage_fills_the_cache_and_nothing_else(bucket, make_mount, server):
    """Two hours of it, compressed by a small dirty limit: cached files stay readable, writes go on until the limit,
    then writers wait and are told ENOSPC; afterwards everything goes to S3, and new writes find room."""
    limit = 8 * MIB
    files = {f"kept/file{number:03}": noise(1000 + 97 * number, number) for number in range(100)}
    files["kept/large"] = noise(12 * MIB, 1)
    for name, data in files.items():
        bucket.put(name, data)
    mount = make_mount(bucket, ["close=local", "fsync=local", f"dirty_limit={limit}"])
    for name, data in files.items():
        assert read_file(mount / name) == data
    assert os.listdir(mount.path) == ["kept"]
    over = threading.Event()
    fillers = [Filler(mount, f"filler{number}", over) for number in range(4)]
    watch = Watch(mount, files, limit)
    with Outage(server, "refuses", LONG_SECONDS):
        for thread in (watch, *fillers):
            thread.start()
        wait_until(lambda: all(filler.refused or filler.problem for filler in fillers), LONG_SECONDS - 5,
                   "each writer is told ENOSPC", 0.2)
        assert sum(len(data) for filler in fillers for data in filler.written.values()) > limit * 3 // 4
    over.set()
    for thread in fillers:
        thread.join(60)
        assert not thread.is_alive() and thread.problem is None, thread.problem
    watch.ended.set()
    watch.join(60)
    mount.wait_clean(60)
    print(f"{watch.turns} turns, the slowest {watch.slowest:.1f} s; at most {watch.dirtiest} bytes dirty; "
          f"ENOSPC after {max(filler.waited for filler in fillers):.1f} s")
    assert watch.problems == []
    assert watch.turns > 3 and watch.slowest < 35
    assert watch.dirtiest <= limit
    assert all(10 < filler.waited < 50 and filler.refused == 1 for filler in fillers)
    written = {name: data for filler in fillers for name, data in filler.written.items()}
    assert len([name for name in written if "-10" in name]) == 40, "there was no room after the outage"
    left = {key for key in bucket.keys() if not key.endswith("/")}
    assert {**files, **written}.keys() <= left
    for name, data in {**files, **written}.items():
        assert bucket.get(name) == data
    assert all(bucket.head(key)["ContentLength"] == 0 for key in left - files.keys() - written.keys())

"""The server is away for a while, refusing connections or saying nothing, and comes back.

S3MOUNT_TEST_OUTAGE=60 makes it a minute; 15 s by default.
"""
import os
import threading
import time

import pytest

from files import MIB, noise, read_file, write_file

SECONDS = float(os.environ.get("S3MOUNT_TEST_OUTAGE", "15"))


class Outage:
    def __init__(self, server, kind):
        self.server, self.kind = server, kind

    def __enter__(self):
        self.start = time.monotonic()
        if self.kind == "refuses":
            self.server.go_away()
        else:
            self.server.hang()

    def __exit__(self, *exception):
        if not any(exception):
            time.sleep(max(0, self.start + SECONDS - time.monotonic()))
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

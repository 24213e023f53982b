"""Copies of whole files: the server makes them, and the bytes stay where they are."""
import errno
import fcntl
import os
import subprocess

import pytest

from files import MIB, fails_with, noise, read_file, write_file

DATA = noise(9 * MIB, 3)
FICLONE = 0x40049409


@pytest.mark.parametrize("there", [False, True])
def test_cp_of_an_object_moves_no_bytes(mount, bucket, server, there):
    bucket.put("theirs", DATA, Metadata={"mode": str(0o100755), "mtime": "1"})
    if there:
        write_file(mount / "copy", b"of before")
    counts = hasattr(server, "control")
    if counts:
        server.control("DELETE", "/_control/requests")
    subprocess.run(["cp", mount / "theirs", mount / "copy"], check=True)
    if counts:
        counters = server.control()
        assert counters["CopyObject"] == 1, counters
        assert not {"GetObject", "PutObject", "UploadPart"} & {name for name in counters if counters[name]}, counters
    assert bucket.get("copy") == DATA
    assert bucket.uploads() == []
    bucket.delete("theirs")
    assert read_file(mount / "copy") == DATA
    assert os.stat(mount / "copy").st_mode & 0o777 == (0o644 if there else 0o755)
    with open(mount / "copy", "r+b") as file:
        file.write(b"begin")
    assert bucket.get("copy") == b"begin" + DATA[5:]


def test_cp_p_keeps_times_and_owner(mount, bucket):
    write_file(mount / "file", DATA, mode=0o640)
    os.chown(mount / "file", 1, 2)
    os.utime(mount / "file", (1_000_000_000, 1_000_000_001))
    subprocess.run(["cp", "-p", mount / "file", mount / "copy"], check=True)
    mount.sync()
    found = os.stat(mount / "copy")
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777, found.st_mtime) == (1, 2, 0o640, 1_000_000_001)
    assert bucket.get("copy") == DATA and bucket.head("copy")["Metadata"]["uid"] == "1"


def test_a_clone_is_refused_by_the_kernel(mount):
    write_file(mount / "file", DATA)
    with open(mount / "file", "rb") as source, open(mount / "copy", "wb") as target:
        with fails_with(errno.EOPNOTSUPP):
            fcntl.ioctl(target, FICLONE, source.fileno())

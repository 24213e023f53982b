"""Sizes at which something changes: nothing, one byte, a part of an upload and its neighbours, 1 GiB; and a
directory of 10,000 files."""
import concurrent.futures
import hashlib
import os
import subprocess
import time

import pytest

from files import MIB, digest, digest_file, noise, read_file, write_file

EDGE = 8 * MIB
SINGLE_MAX = 16 * MIB  # from here on an upload goes in parts


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, EDGE - 1, EDGE, EDGE + 1,
                                  SINGLE_MAX - 1, SINGLE_MAX, SINGLE_MAX + 1, 3 * EDGE + 5])
def test_a_file_of_this_size_is_the_same_everywhere(mount, bucket, size):
    data = noise(size, size)
    write_file(mount / "ours", data)
    bucket.put("theirs", data)
    assert bucket.get("ours") == data
    assert bucket.head("ours")["ContentLength"] == os.stat(mount / "ours").st_size == size
    mount.unmount()
    mount.forget_cache()
    mount.mount()
    assert os.stat(mount / "theirs").st_size == size
    assert read_file(mount / "theirs") == data
    assert read_file(mount / "ours") == data
    assert bucket.uploads() == []


@pytest.mark.limit(420)
def test_one_gibibyte(mount, bucket):
    block = noise(MIB, 99)
    sha = hashlib.sha256()
    with open(mount / "big", "wb", buffering=0) as file:
        for number in range(1024):
            data = number.to_bytes(8, "big") + block[8:]
            sha.update(data)
            file.write(data)
    expected = (sha.hexdigest(), 1 << 30)
    assert digest(bucket.stream("big")) == expected
    mount.unmount()
    mount.forget_cache()
    mount.mount()
    assert digest_file(mount / "big") == expected
    with open(mount / "big", "r+b") as file:
        file.seek(512 * MIB + 3)
        file.write(b"one small change")
    body = bucket.client.get_object(Bucket=bucket.name, Key="big",
                                    Range=f"bytes={512 * MIB}-{512 * MIB + 31}")["Body"].read()
    assert body[3:19] == b"one small change"
    assert bucket.head("big")["ContentLength"] == 1 << 30
    assert bucket.uploads() == []


COUNT = 10_000


@pytest.mark.limit(420)
def test_ten_thousand_files_that_are_there_already(bucket, make_mount):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: bucket.put(f"dir/file{number:05}", b"%d" % number), range(COUNT)))
    mount = make_mount(bucket)
    start = time.monotonic()
    names = os.listdir(mount / "dir")
    assert sorted(names) == [f"file{number:05}" for number in range(COUNT)]
    assert sum(entry.stat().st_size for entry in os.scandir(mount / "dir")) == \
        sum(len(str(number)) for number in range(COUNT))
    assert time.monotonic() - start < 60
    assert read_file(mount / "dir/file07777") == b"7777"


@pytest.mark.limit(420)
def test_ten_thousand_files_of_our_own(bucket, make_mount):
    mount = make_mount(bucket, ["close=local"])
    os.mkdir(mount / "dir")
    for number in range(COUNT):
        write_file(mount / f"dir/file{number:05}", b"%d" % number)
    assert len(os.listdir(mount / "dir")) == COUNT
    mount.sync(300)
    keys = bucket.keys("dir/file")
    assert keys == [f"dir/file{number:05}" for number in range(COUNT)]
    for number in range(0, COUNT, 997):
        assert bucket.get(f"dir/file{number:05}") == b"%d" % number
    subprocess.run(["rm", "-r", mount / "dir"], check=True)
    mount.sync(300)
    assert bucket.keys() == []

"""fallocate, holes and copy_file_range: the same calls here and on a local file system."""
import ctypes
import errno
import os
import random
import subprocess

import pytest

from files import MIB, NOBODY, as_user, drop_caches, fails_with, libc, mode_of, noise, read_file, write_file

KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO_RANGE, INSERT, UNSHARE = 1, 2, 8, 16, 32, 64
DATA = noise(MIB + 1000, 1)


def fallocate(fd, mode, offset, length):
    """Returns 0 or the errno's name."""
    if libc.fallocate(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)) == 0:
        return 0
    return errno.errorcode[ctypes.get_errno()]


def pair(mount):
    local = os.path.join(mount.base, "local")
    os.makedirs(local, exist_ok=True)
    return os.path.join(mount.path, "file"), os.path.join(local, "file")


@pytest.mark.parametrize("mode", [0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE,
                                  PUNCH_HOLE, KEEP_SIZE | 4, UNSHARE | 128, PUNCH_HOLE | ZERO_RANGE | KEEP_SIZE])
def test_fallocate_does_what_it_does_locally(mount, bucket, mode):
    ranges = [(0, 1), (4096, 8192), (5000, 100_001), (MIB - 10, 20), (MIB, 1000), (MIB, 5000), (2 * MIB, 100),
              (3 * MIB + 5, 70_000), (0, 0), (-1, 5), (5, -1), (2**63 - 10, 100)]

    def outcome(path):
        results = []
        for offset, length in ranges:
            write_file(path, DATA)
            fd = os.open(path, os.O_RDWR)
            results.append((fallocate(fd, mode, offset, length), os.fstat(fd).st_size))
            results.append(os.pread(fd, 8 * MIB, 0))
            os.close(fd)
            results.append(read_file(path))
        return results
    ours, theirs = pair(mount)
    assert outcome(ours) == outcome(theirs)
    assert bucket.get("file") == read_file(ours)


def test_fallocate_needs_a_writer_and_takes_no_strange_modes(mount):
    ours, theirs = pair(mount)
    for path in (ours, theirs):
        write_file(path, DATA)
        reader = os.open(path, os.O_RDONLY)
        assert fallocate(reader, 0, 0, 10) == "EBADF"
        os.close(reader)
    fd = os.open(ours, os.O_RDWR)
    for mode in (COLLAPSE, INSERT):
        assert fallocate(fd, mode, 0, 4096) == "ENOTSUP"
    assert fallocate(fd, 0, 0, 6 << 40) == "EFBIG"
    assert fallocate(fd, 0, 0, 4 << 40) == "ENOSPC"
    os.close(fd)
    assert read_file(ours) == DATA


def test_what_is_punched_out_of_an_object_of_others(mount, bucket):
    """Larger than what is brought here whole before a change."""
    data = noise(20 * MIB, 2)
    bucket.put("file", data)
    fd = os.open(mount / "file", os.O_RDWR)
    assert fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 5 * MIB + 1, 7 * MIB) == 0
    os.close(fd)
    expected = data[:5 * MIB + 1] + bytes(7 * MIB) + data[12 * MIB + 1:]
    assert bucket.get("file") == expected
    assert read_file(mount / "file") == expected


def test_a_hole_survives_a_crash(bucket, make_mount):
    mount = make_mount(bucket)
    data = noise(20 * MIB, 3)
    write_file(mount / "small", DATA)
    bucket.put("large", data)
    fds = [os.open(mount / name, os.O_RDWR) for name in ("small", "large")]
    for fd in fds:
        assert fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 10_000, 500_000) == 0
        assert os.pwrite(fd, b"after", 20_000) == 5
    mount.kill9()
    for fd in fds:
        with fails_with(errno.ENOTCONN):
            os.close(fd)
    mount.mount()
    mount.sync()
    for name, before in (("small", DATA), ("large", data)):
        expected = bytearray(before)
        expected[10_000:510_000] = bytes(500_000)
        expected[20_000:20_005] = b"after"
        assert bucket.get(name) == expected


def allocate(path):
    fd = os.open(path, os.O_WRONLY)
    assert fallocate(fd, 0, 0, 2 * MIB) == 0


def copy_within(path):
    fd = os.open(path, os.O_RDWR)
    assert os.copy_file_range(fd, fd, 10, 0, 100) == 10


@pytest.mark.parametrize("change", [allocate, copy_within])
def test_set_id_bits_go_as_on_a_local_file_system(bucket, make_mount, change):
    mount = make_mount(bucket, ["allow_other"])
    for path in pair(mount):
        write_file(path, DATA)
        os.chown(path, NOBODY, NOBODY)
        os.chmod(path, 0o6755)
        assert as_user(NOBODY, lambda: change(path)) is None  # pylint: disable=cell-var-from-loop
        assert mode_of(path) == 0o755


def test_random_ranges_beside_a_local_file(mount, bucket):
    paths = pair(mount)
    generator = random.Random(7)
    fds = [os.open(path, os.O_RDWR | os.O_CREAT, 0o644) for path in paths]
    for _ in range(400):
        offset, length = generator.randrange(2 * MIB), generator.randrange(1, 300_000)
        operation, byte = generator.randrange(6), bytes([generator.randrange(1, 256)])
        for fd in fds:
            if operation < 3:
                mode = (0, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE)[operation]
                assert fallocate(fd, mode, offset, length) == 0
            elif operation == 3:
                os.ftruncate(fd, offset)
            else:
                os.pwrite(fd, byte * length, offset)
    sizes = [os.fstat(fd).st_size for fd in fds]
    assert sizes[0] == sizes[1]
    assert os.pread(fds[0], sizes[0], 0) == os.pread(fds[1], sizes[1], 0)
    for fd in fds:
        os.close(fd)
    assert bucket.get("file") == read_file(paths[1])


def seeks(path, offsets):
    fd = os.open(path, os.O_RDONLY)
    try:
        results = []
        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
            for offset in offsets:
                try:
                    results.append(os.lseek(fd, offset, whence))
                except OSError as error:
                    results.append(errno.errorcode[error.errno])
        return results
    finally:
        os.close(fd)


OFFSETS = [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 5 * MIB, 5 * MIB + 99, 5 * MIB + 100, 9 * MIB, -1]


def test_holes_are_found_where_a_local_file_has_them(mount):
    paths = pair(mount)
    for path in paths:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(fd, DATA[:65536], MIB)
        os.pwrite(fd, DATA[:100], 5 * MIB)
        os.close(fd)
    ours, theirs = (seeks(path, OFFSETS) for path in paths)
    assert ours == theirs
    assert ours[0] == MIB


def test_without_the_file_here_and_while_it_is_written_all_is_data(mount, bucket):
    size = 6 * MIB
    bucket.put("theirs", bytes(size))
    assert seeks(mount / "theirs", [0, 5, size - 1, size]) == [0, 5, size - 1, "ENXIO", size, size, size, "ENXIO"]
    fd = os.open(mount / "file", os.O_RDWR | os.O_CREAT, 0o644)
    os.ftruncate(fd, size)
    assert (os.lseek(fd, 10, os.SEEK_DATA), os.lseek(fd, 10, os.SEEK_HOLE)) == (10, size)
    os.close(fd)


def copy_range(path, other, from_offset, to_offset, length):
    source, target = os.open(path, os.O_RDONLY), os.open(other, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        total = 0
        while total < length:
            more = os.copy_file_range(source, target, length - total, from_offset + total, to_offset + total)
            if more == 0:
                break
            total += more
        return total, os.fstat(target).st_size, os.pread(target, 64 * MIB, 0)
    except OSError as error:
        return errno.errorcode[error.errno]
    finally:
        os.close(source)
        os.close(target)


def test_copy_file_range_does_what_it_does_locally(mount, bucket):
    paths = pair(mount)
    data = noise(20 * MIB + 77, 4)
    for path in paths:
        write_file(path, data)
    bucket.put("theirs", data)
    write_file(os.path.join(os.path.dirname(paths[1]), "theirs"), data)
    for source, offset, to_offset, length in (("file", 0, 0, len(data)), ("file", 5, MIB + 3, 9 * MIB),
                                              ("theirs", 100, 7, 12 * MIB), ("file", len(data) - 10, 0, 100),
                                              ("file", len(data), 0, 100), ("file", 0, 3 * MIB, 0)):
        ours, theirs = (copy_range(os.path.join(os.path.dirname(path), source), path + ".copy", offset, to_offset, length)
                        for path in paths)
        assert ours == theirs
    for path in paths:
        assert copy_range(path, path, 0, 100, 1000) == "EINVAL"  # they overlap
        copy_range(path, path, 0, 2 * MIB, MIB)
    mount.sync()
    for name in ("file", "file.copy"):
        assert bucket.get(name) == read_file(os.path.join(os.path.dirname(paths[1]), name))


def test_cp_makes_holes_where_it_is_told_to(mount, bucket):
    data = DATA[:MIB] + bytes(3 * MIB) + DATA
    write_file(mount / "source", data)
    subprocess.run(["cp", "--sparse=always", mount / "source", mount / "sparse"], check=True)
    drop_caches()
    assert bucket.get("sparse") == read_file(mount / "sparse") == data
    assert seeks(mount / "sparse", [MIB]) == [4 * MIB, MIB]

"""Small helpers around files, errors and users."""
import ctypes
import hashlib
import os
import random
import stat
import traceback

import pytest

NOBODY = 65534
MIB = 1 << 20


def noise(size, seed=0):
    return random.Random(seed).randbytes(size)


def write_file(path, data, mode=0o644, flags=os.O_TRUNC):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags, mode)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)  # an error of publishing comes from here


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def pwrite_file(path, data, offset):
    fd = os.open(path, os.O_WRONLY)
    try:
        assert os.pwrite(fd, data, offset) == len(data)
    finally:
        os.close(fd)


def pwrite_all(fd, data, offset):
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], offset + done)


def read_all(fd):
    return b"".join(iter(lambda: os.read(fd, MIB), b""))


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def digest(stream, block=MIB):
    """SHA-256 and length of what a file or an S3 body gives."""
    sha, length = hashlib.sha256(), 0
    while data := stream.read(block):
        sha.update(data)
        length += len(data)
    return sha.hexdigest(), length


def digest_file(path):
    with open(path, "rb") as file:
        return digest(file)


def fails_with(number):
    """with fails_with(errno.ENOENT): ..."""
    return pytest.raises(OSError, match=rf"^\[Errno {number}\]")


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def as_user(uid, function, gid=None):
    """Runs function in a child of that user. Returns None, or the errno of the OSError that it raised."""
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            os.setgroups([])
            os.setgid(uid if gid is None else gid)
            os.setuid(uid)
            function()
            status = 0
        except OSError as error:
            status = error.errno or 255
        except BaseException:  # pylint: disable=broad-except  # a child must not return
            traceback.print_exc()
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status not in (255,), "the child failed in another way"
    return status or None


RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
AT_FDCWD = -100
libc = ctypes.CDLL(None, use_errno=True)


def renameat2(old, new, flags):
    if libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), old)


def drop_caches():
    """The kernel forgets clean pages, names and inodes: what follows comes from the daemon."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3\n")

"""Files without a name: O_TMPFILE, which FUSE passes on from Linux 6.2 on, and the name that one may get."""
import ctypes
import errno
import os

from files import AT_FDCWD, fails_with, libc, noise, read_file, write_all, write_file

DATA = noise(300_000, 5)
AT_SYMLINK_FOLLOW = 0x400
KERNEL = tuple(int(part) for part in os.uname().release.split(".")[:2])


def make(directory, flags=0):
    """A descriptor; None where the kernel has no way to ask for one."""
    if KERNEL >= (6, 2):
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | flags, 0o640)
    with fails_with(errno.EOPNOTSUPP):
        os.open(directory, os.O_TMPFILE | os.O_RDWR | flags, 0o640)
    return None


def give_name(fd, name):
    """linkat(2) as its manual says to do this; os.link would not follow the link."""
    if libc.linkat(AT_FDCWD, b"/proc/self/fd/%d" % fd, AT_FDCWD, os.fsencode(name), AT_SYMLINK_FOLLOW) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def test_a_file_without_a_name_is_never_published(mount, bucket):
    fd = make(mount.path)
    if fd is None:
        return
    write_all(fd, DATA)
    os.fsync(fd)
    assert os.pread(fd, len(DATA), 0) == DATA
    assert os.fstat(fd).st_nlink == 0
    assert os.listdir(mount.path) == []
    mount.sync()
    os.close(fd)
    mount.sync()
    assert bucket.keys() == [] and bucket.uploads() == []
    assert mount.status()["pending"] == []


def test_it_may_get_a_name_once(mount, bucket):
    os.mkdir(mount / "dir")
    write_file(mount / "taken", b"x")
    fd = make(mount / "dir")
    if fd is None:
        return
    write_all(fd, DATA)
    with fails_with(errno.EEXIST):
        give_name(fd, mount / "taken")
    give_name(fd, mount / "named")
    assert os.fstat(fd).st_nlink == 1
    with fails_with(errno.EPERM):
        give_name(fd, mount / "again")
    write_all(fd, b"end")
    os.close(fd)
    assert bucket.get("named") == DATA + b"end"
    assert os.stat(mount / "named").st_mode & 0o777 == 0o640
    assert bucket.keys() == ["dir/", "named", "taken"]
    mount.remount()
    assert read_file(mount / "named") == DATA + b"end"


def test_one_that_must_not_get_a_name_does_not(mount, bucket):
    fd = make(mount.path, os.O_EXCL)
    if fd is None:
        return
    with fails_with(errno.ENOENT):
        give_name(fd, mount / "named")
    os.close(fd)
    assert bucket.keys() == []

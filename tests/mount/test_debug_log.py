"""What -d says: one line for each operation of the kernel and for each request to S3."""
import os
import re

from files import fails_with, write_file


def lines_of(mount, pattern):
    return re.findall(pattern, mount.process.output(), re.MULTILINE)


def test_operations_and_requests_have_a_line_each(bucket, make_mount):
    mount = make_mount(bucket, start=False)
    mount.mount("-d")
    inode = os.stat(mount.path).st_ino
    write_file(mount / "file", b"never shown")
    with fails_with(2):
        os.unlink(mount / "missing")
    os.mkdir(mount / "dir")
    with fails_with(2):
        os.rename(mount / "dir/a", mount / "b")
    mount.unmount()
    for pattern in (rf'fuse: create inode {inode} "file": ok, \d+ us$', r"fuse: write inode \d+ 11 at 0: ok, \d+ us$",
                    r"fuse: flush inode \d+: ok, \d+ us$", rf'fuse: mkdir inode {inode} "dir": ok, \d+ us$',
                    rf'fuse: lookup inode {inode} "missing": No such file or directory, \d+ us$',
                    r"s3: PutObject file: HTTP 200, \d+ ms, 1 attempts$"):
        assert len(lines_of(mount, pattern)) == 1, pattern
    assert "never shown" not in mount.process.output()


def test_without_it_nothing_of_that_is_logged(bucket, make_mount):
    mount = make_mount(bucket)
    write_file(mount / "file", b"x")
    mount.unmount()
    assert not lines_of(mount, "fuse: |s3: ")

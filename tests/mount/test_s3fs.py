"""One bucket in s3fs and in s3mount: what one writes the other shows, attribute by attribute.

s3fs keeps no device numbers; what it does not know it leaves alone.
"""
import os
import socket
import stat
import subprocess

import pytest

from files import MIB, mode_of, noise, read_file, write_file
from mounts import mounted_s3fs

pytestmark = pytest.mark.servers("embedded")

NS = 1_700_000_000_123_456_789
KINDS = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "fifo": stat.S_IFIFO, "sock": stat.S_IFSOCK, "char": stat.S_IFCHR,
         "block": stat.S_IFBLK}
XATTRS = {"user.text": b"value", "user.binary": bytes(range(64)), "user.empty": b"", "trusted.t": b"root's",
          "user.name \xfc%=;": b"odd"}  # s3fs reads no others: it looks for quotes, commas, colons and braces
LARGE = noise(11 * MIB, 1)  # s3fs sends parts from twice their size on


@pytest.fixture(name="mount")
def fixture_mount(bucket, make_mount):
    return make_mount(bucket, ["acl"])


@pytest.fixture
def s3fs(server, bucket, tmp_path):
    with mounted_s3fs(server, bucket, tmp_path, "use_xattr", "multipart_size=5") as point:
        yield str(point)


def make(root):
    """Everything that both can store."""
    def at(name):
        return os.path.join(root, name)
    for name, kind in KINDS.items():
        if kind == stat.S_IFDIR:
            os.mkdir(at(name))
        elif kind == stat.S_IFSOCK:
            with socket.socket(socket.AF_UNIX) as endpoint:
                here = os.getcwd()
                os.chdir(root)  # the path of a socket has at most 107 bytes
                try:
                    endpoint.bind(name)
                finally:
                    os.chdir(here)
        else:
            os.mknod(at(name), kind | 0o600, os.makedev(1, 3))
    write_file(at("file"), b"some bytes")
    write_file(at("empty"), b"")
    write_file(at("large"), LARGE)
    os.mkdir(at("dir/below"))
    write_file(at("dir/below/page.html"), b"<p>")
    for number, target in enumerate(("file", "/absolute/\xfc", "../up", "a" * 1000, "in the middle")):
        os.symlink(target, at(f"link{number}"))
    for number, name in enumerate(("file", "dir", "fifo", "char", "empty", "large", "dir/below/page.html")):
        os.chown(at(name), 1000 + number, 4_000_000_000 + number)
        os.chmod(at(name), (0o640, 0o1777, 0o4755, 0o2710, 0o000, 0o777, 0o604)[number])
    for name in ("file", "dir", "large"):
        for key, value in XATTRS.items():
            os.setxattr(at(name), key, value)
    subprocess.run(["setfacl", "-m", "u:1234:r--,g:99:---", at("dir/below/page.html")], check=True)
    for name in ("file", "large", "dir/below/page.html", "empty"):
        os.utime(at(name), ns=(NS + 5, NS))
    os.utime(at("fifo"), ns=(1_000_000_001, 1_999_999_999))  # s3fs takes the first second for no time
    os.utime(at("dir/below"), ns=(NS + 3, NS + 4))


def describe(root):
    """Path -> all that the two have in common."""
    found = {}
    for path, directories, names in os.walk(root):
        for name in directories + names:
            full = os.path.join(path, name)
            info = os.lstat(full)
            kind = stat.S_IFMT(info.st_mode)
            entry = {"mode": oct(info.st_mode), "owner": (info.st_uid, info.st_gid), "mtime": info.st_mtime_ns}
            if name in ("dir", "moved"):  # we store no times of directories when entries come and go
                del entry["mtime"]
            if kind == stat.S_IFREG:
                entry["bytes"] = read_file(full)
            elif kind == stat.S_IFLNK:
                entry["target"] = os.readlink(full)
            if kind in (stat.S_IFREG, stat.S_IFDIR):
                entry["xattrs"] = {key: os.getxattr(full, key) for key in os.listxattr(full) if "selinux" not in key}
                entry["acl"] = subprocess.run(["getfacl", "-cpnE", full], check=True, capture_output=True).stdout
            found[os.path.relpath(full, root)] = entry
    return found


def assert_same(ours, theirs):
    assert sorted(ours) == sorted(theirs)
    different = [(name, what, str(ours[name][what])[:300], str(theirs[name].get(what))[:300])
                 for name in ours for what in ours[name] if ours[name][what] != theirs[name].get(what)]
    assert not different


def test_what_s3fs_wrote_is_the_same_here(s3fs, mount, bucket):
    make(s3fs)
    theirs = describe(s3fs)
    assert_same(describe(mount.path), theirs)
    assert len(theirs) == 15 and theirs["file"]["mtime"] == NS == theirs["dir/below"]["mtime"] - 4
    assert theirs["file"]["owner"] == (1000, 4_000_000_000)
    assert "-" in bucket.head("large")["ETag"]  # of parts
    assert {name: stat.S_IFMT(os.lstat(mount / name).st_mode) for name in KINDS} == KINDS


def test_what_we_wrote_is_the_same_in_s3fs(s3fs, mount):
    make(mount.path)
    mount.sync()
    ours = describe(mount.path)
    assert_same(ours, describe(s3fs))
    assert len(ours) == 15 and ours["file"]["mtime"] == NS and ours["file"]["xattrs"] == XATTRS
    assert os.lstat(mount / "char").st_rdev == os.lstat(mount / "block").st_rdev == os.makedev(1, 3)


def test_what_one_changed_of_the_others_is_the_same_on_both_sides(s3fs, mount):
    make(s3fs)
    for name in ("file", "dir", "fifo", "empty", "large"):
        os.chmod(mount / name, 0o711)
        os.utime(mount / name, ns=(NS + 7, NS + 9))
    os.chown(mount / "link0", 7, 8, follow_symlinks=False)  # without having read where it points to
    os.chown(mount / "link3", 7, 8, follow_symlinks=False)
    os.setxattr(mount / "file", "user.ours", b"1")
    os.removexattr(mount / "file", "user.text")
    os.rename(mount / "dir", mount / "moved")
    os.rename(mount / "link1", mount / "moved/link")
    write_file(mount / "moved/below/page.html", b"<p>rewritten")
    mount.sync()
    ours = describe(mount.path)
    assert_same(ours, describe(s3fs))
    assert ours["link3"]["target"] == "a" * 1000 and ours["link0"]["owner"] == (7, 8)
    assert ours["moved/link"]["target"] == "/absolute/\xfc" and ours["large"]["bytes"] == LARGE


def test_what_s3fs_changed_of_ours_is_the_same_on_both_sides(s3fs, bucket, make_mount):
    mount = make_mount(bucket, ["attr_timeout=0", "acl"])
    make(mount.path)
    mount.sync()
    for name in ("file", "dir", "fifo", "empty", "large", "char"):
        os.chmod(os.path.join(s3fs, name), 0o711)
    os.rename(os.path.join(s3fs, "file"), os.path.join(s3fs, "dir/below/file"))
    os.setxattr(os.path.join(s3fs, "large"), "user.theirs", b"1")
    write_file(os.path.join(s3fs, "empty"), b"no more")
    theirs = describe(s3fs)
    assert_same(describe(mount.path), theirs)
    assert theirs["large"]["xattrs"] == {**XATTRS, "user.theirs": b"1"} and "dir/below/file" in theirs
    # The number of a device is ours alone, and s3fs has kept what it does not know.
    assert os.lstat(mount / "char").st_rdev == os.makedev(1, 3)


def test_targets_with_blanks_at_their_ends_are_ours_alone(s3fs, mount, bucket):
    """s3fs trims them when it reads; what it stores has them."""
    os.symlink("  two blanks \n", mount / "ours")
    mount.sync()
    assert bucket.get("ours") == b"  two blanks \n"
    assert os.readlink(os.path.join(s3fs, "ours")) == "two blanks"
    assert os.readlink(mount / "ours") == "  two blanks \n"
    os.symlink(" x ", os.path.join(s3fs, "theirs"))
    assert os.readlink(mount / "theirs") == bucket.get("theirs").decode()


def test_directories_of_all_kinds(s3fs, mount, bucket):
    """dir/ is what s3fs and we write; without an object there is one for as long as keys are below it. The older
    forms, dir and dir_$folder$, are objects beside it, and shown as what they are."""
    bucket.put("marker/", b"", ContentType="application/x-directory")
    bucket.put("bare/", b"")
    bucket.put("nextcloud/", b"", ContentType="httpd/unix-directory")
    bucket.put("implied/file", b"x")
    bucket.put("old", b"", ContentType="application/x-directory",
               Metadata={"mode": str(0o40750), "uid": "7", "gid": "7"})
    bucket.put("old/file", b"x")
    bucket.put("hadoop_$folder$", b"")
    bucket.put("hadoop/file", b"x")
    shown = sorted(os.listdir(mount.path))
    assert shown == ["bare", "hadoop", "hadoop_$folder$", "implied", "marker", "nextcloud", "old"]
    for name in shown:
        assert os.path.isdir(mount / name) == (name != "hadoop_$folder$")
    assert set(os.listdir(s3fs)) >= {"bare", "hadoop", "implied", "marker", "nextcloud", "old"}
    for name in ("marker", "bare", "nextcloud"):
        os.chmod(mount / name, 0o711)
        mount.sync()
        assert mode_of(os.path.join(s3fs, name)) == 0o711
        os.rmdir(mount / name)
    assert not {key for key in bucket.keys() if key.startswith(("marker", "bare", "next"))}

"""Trees in and out: rsync, tar, cp -a, mv, find, du, rm -r, dpkg-deb, unzip, dd."""
import os
import stat
import subprocess
import zipfile

import pytest

from files import MIB, drop_caches, noise, read_file
from programs import cold, run, tree

SYSTEM = ("etc/ssl", "etc/pam.d", "etc/security", "usr/share/python3", "usr/share/debconf")  # below the root


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Parts of this system, and what there may be besides."""
    root = tmp_path_factory.mktemp("source")
    run("cp", "-a", "--parents", *SYSTEM, root, cwd="/")
    odd = root / "odd"
    odd.mkdir()
    (odd / "ünïcödé \n name").write_bytes(b"name")
    (odd / "empty").touch()
    (odd / "empty directory").mkdir(mode=0o1777)
    (odd / "dangling").symlink_to("nowhere/at all")
    os.mkfifo(odd / "fifo", 0o620)
    os.mknod(odd / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    (odd / "setuid").write_bytes(noise(70_000, 1))
    os.chown(odd / "setuid", 1234, 4321)
    os.chmod(odd / "setuid", 0o4751)
    with open(odd / "sparse", "wb") as file:
        file.seek(3 * MIB)
        file.write(b"end")
    os.setxattr(odd / "empty", "user.note", b"\0\1binary")
    run("setfacl", "-m", "u:1234:r,g:4321:r", odd / "sparse")
    os.utime(odd / "empty", ns=(1, 1_234_567_890_123_456_789))
    return root


def differences(source, target):
    return run("rsync", "-naciHAX", "--delete", f"{source}/", f"{target}/")


def test_rsync(each_mount, source):
    target = each_mount / "copy"
    run("rsync", "-aHAX", f"{source}/", f"{target}/")
    assert differences(source, target) == ""
    cold(each_mount)
    assert differences(source, target) == ""
    (source / "odd/empty").write_bytes(b"no more")
    try:
        assert "odd/empty" in differences(source, target)
        run("rsync", "-aHAX", "--inplace", f"{source}/", f"{target}/")
        assert differences(source, target) == ""
    finally:
        (source / "odd/empty").write_bytes(b"")


def test_rsync_says_of_hard_links_that_there_are_none(each_mount, tmp_path):
    (tmp_path / "one").write_bytes(b"linked")
    os.link(tmp_path / "one", tmp_path / "two")
    said = run("rsync", "-aH", f"{tmp_path}/", f"{each_mount.path}/", status=23)
    assert "Operation not permitted (1)" in said
    run("rsync", "-a", f"{tmp_path}/", f"{each_mount.path}/")
    assert read_file(each_mount / "one") == read_file(each_mount / "two") == b"linked"


def test_tar(each_mount, source):
    words = ("--xattrs", "--acls", "--numeric-owner")
    run("tar", "-C", source, *words, "-cf", each_mount / "archive.tar", ".")
    os.mkdir(each_mount / "copy")
    run("tar", "-C", each_mount / "copy", *words, "-xpf", each_mount / "archive.tar")
    cold(each_mount)
    assert run("tar", "-C", each_mount / "copy", *words, "-df", each_mount / "archive.tar") == ""
    assert description(each_mount / "copy") == description(source)


def description(root):
    """Names, kinds, modes, owners, times, targets; of files the bytes as well."""
    names = run("find", ".", "-printf", r"%P %y %m %U %G %Ts %l\0", cwd=root).split("\0")
    files = run("find", ".", "-type", "f", "-print0", cwd=root).split("\0")
    return sorted(names), {name: read_file(os.path.join(root, name)) for name in files if name}


def test_cp_mv_find_du_rm(each_mount, source):
    for name in ("one", "two"):
        run("cp", "-a", source, each_mount / name)
    run("diff", "-r", "--no-dereference", each_mount / "one/etc", source / "etc")
    assert differences(source, each_mount / "two") == ""
    count = len(run("find", source, "-print0").split("\0"))
    assert len(run("find", each_mount / "one", "-print0").split("\0")) == count
    run("mv", each_mount / "one", each_mount / "three")
    run("mv", each_mount / "three", each_mount / "two/below")
    assert len(run("find", each_mount / "two", "-print0").split("\0")) == 2 * count - 1
    apparent = run("du", "-sb", "--exclude=below", each_mount / "two").split()[0]
    files = run("find", source, "-type", "f", "-printf", "%s\n").split()
    assert sum(map(int, files)) <= int(apparent)
    run("rm", "-r", each_mount / "two")
    assert os.listdir(each_mount.path) == []


def test_a_tree_leaves_nothing_in_the_bucket(make_mount, bucket, source):
    mount = make_mount(bucket, ["acl"])
    run("cp", "-a", source, mount / "tree")
    assert len(bucket.keys()) >= len(run("find", source, "-type", "f", "-print0").split("\0"))
    run("rm", "-rf", mount / "tree")
    assert bucket.keys() == []


def test_dpkg_deb(each_mount, tmp_path):
    package = tmp_path / "package"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "DEBIAN/control").write_text("Package: sample\nVersion: 1.0\nArchitecture: all\n"
                                            "Maintainer: A <a@example.com>\nDescription: sample\n")
    for number in range(50):
        path = package / f"usr/share/sample/d{number % 5}/file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise(number * 500, number))
    run("dpkg-deb", "--root-owner-group", "-b", package, each_mount / "sample.deb")
    run("dpkg-deb", "-R", each_mount / "sample.deb", each_mount / "unpacked")
    cold(each_mount)
    assert tree(each_mount / "unpacked") == tree(package)


def test_unzip(each_mount, tmp_path):
    with zipfile.ZipFile(each_mount / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(100):
            archive.writestr(f"d{number % 7}/file{number}", noise(number * 300, number))
    run("unzip", "-q", each_mount / "archive.zip", "-d", each_mount / "out")
    run("unzip", "-q", each_mount / "archive.zip", "-d", tmp_path / "out")
    cold(each_mount)
    assert "No errors" in run("unzip", "-t", each_mount / "archive.zip")
    assert tree(each_mount / "out") == tree(tmp_path / "out")


def test_dd_with_direct_io(each_mount, bucket, tmp_path):
    data = noise(5 * MIB + 4096, 5)
    (tmp_path / "data").write_bytes(data)
    run("dd", f"if={tmp_path}/data", f"of={each_mount / 'direct'}", "bs=4k", "oflag=direct", "status=none")
    run("dd", f"if={tmp_path}/data", f"of={each_mount / 'direct'}", "bs=512k", "seek=3", "skip=3", "count=2",
        "conv=notrunc,fsync", "oflag=direct", "status=none")
    drop_caches()
    found = subprocess.run(["dd", f"if={each_mount / 'direct'}", "bs=64k", "iflag=direct", "status=none"], check=True,
                           stdout=subprocess.PIPE, timeout=60).stdout
    assert found == data
    each_mount.sync()
    assert bucket.get("direct") == data

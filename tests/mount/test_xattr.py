"""Extended attributes: the same calls here and on a local file system; their format in S3; s3fs beside us."""
import errno
import os
import re
import stat
import struct
import subprocess

import pytest

from files import NOBODY, as_user, fails_with, mode_of, read_file, write_file
from mounts import mounted_s3fs

VALUES = {"user.text": b"value", "user.empty": b"", "user.binary": bytes(range(256)),
          "user.\xe9\"\\,:{}": b"odd name", "trusted.t": b"root's", "security.s": b"label"}


@pytest.fixture(name="mount")
def fixture_mount(bucket, make_mount):
    return make_mount(bucket, ["acl"])


@pytest.fixture
def both(mount):
    """The mount, and a directory on the local file system beside it."""
    local = os.path.join(mount.base, "local")
    os.mkdir(local)
    return mount.path, local


def outcome(function, *arguments, **named):
    try:
        return function(*arguments, **named)
    except OSError as error:
        return errno.errorcode[error.errno]


def stored(path):
    # Labels that a security module gives every file are not ours.
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False) if name != "security.selinux"}


def calls_on(directory, make):
    """What a sequence of calls gives, one after the other, on a new file."""
    path = os.path.join(directory, "thing")
    make(path)
    results = []

    def call(function, *arguments):
        results.append((function.__name__, arguments, outcome(function, path, *arguments, follow_symlinks=False)))
    call(os.listxattr)
    call(os.getxattr, "user.none")
    call(os.removexattr, "user.none")
    for name, value in VALUES.items():
        call(os.setxattr, name, value)
        call(os.getxattr, name)
    call(os.setxattr, "user.text", b"again", os.XATTR_CREATE)
    call(os.setxattr, "user.text", b"replaced", os.XATTR_REPLACE)
    call(os.setxattr, "user.none", b"x", os.XATTR_REPLACE)
    call(os.setxattr, "user.new", b"x", os.XATTR_CREATE)
    call(os.setxattr, "noprefix", b"x")
    call(os.setxattr, "user.", b"x")
    call(os.setxattr, "user." + "n" * 251, b"x")
    call(os.setxattr, "user.huge", bytes(70_000))
    call(os.removexattr, "user.binary")
    call(os.removexattr, "user.binary")
    results.append(sorted(stored(path).items()))
    return results


@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "fifo"])
def test_calls_give_what_they_give_locally(both, kind):
    def make(path):
        {"file": lambda: write_file(path, b"x"), "directory": lambda: os.mkdir(path),
         "symlink": lambda: os.symlink("nowhere", path), "fifo": lambda: os.mkfifo(path)}[kind]()
    ours, theirs = (calls_on(directory, make) for directory in both)
    assert ours == theirs
    assert len(ours) > 20


def test_they_are_kept_in_the_object_and_come_back(mount, bucket):
    write_file(mount / "file", b"x")
    os.mkdir(mount / "dir")
    os.symlink("file", mount / "link")
    for name in ("file", "dir"):
        for key, value in VALUES.items():
            os.setxattr(mount / name, key, value)
    os.setxattr(mount / "link", "trusted.t", b"of the link", follow_symlinks=False)
    mount.sync()
    assert bucket.head("file")["Metadata"]["xattr"].startswith("%7B%22user.text%22%3A%22dmFsdWU%3D%22%2C")
    mount.unmount()
    mount.forget_cache()
    mount.mount()
    assert stored(mount / "file") == VALUES == stored(mount / "dir")
    assert stored(mount / "link") == {"trusted.t": b"of the link"}
    assert os.readlink(mount / "link") == "file"


def test_the_last_one_that_goes_takes_the_header_with_it(mount, bucket):
    write_file(mount / "file", b"x")
    os.setxattr(mount / "file", "user.a", b"1")
    mount.sync()
    assert "xattr" in bucket.head("file")["Metadata"]
    os.removexattr(mount / "file", "user.a")
    mount.sync()
    assert "xattr" not in bucket.head("file")["Metadata"]


def test_they_survive_writes_chmod_rename_and_a_crash(mount, bucket):
    write_file(mount / "file", b"x")
    os.setxattr(mount / "file", "user.a", b"1")
    write_file(mount / "file", b"other data")
    os.chmod(mount / "file", 0o600)
    os.rename(mount / "file", mount / "moved")
    os.mkdir(mount / "dir")
    os.rename(mount / "moved", mount / "dir/moved")
    os.rename(mount / "dir", mount / "other")
    os.setxattr(mount / "other/moved", "user.b", b"2")
    mount.crash_and_remount()
    assert stored(mount / "other/moved") == {"user.a": b"1", "user.b": b"2"}
    mount.sync()
    assert "user.b" in bucket.head("other/moved")["Metadata"]["xattr"]
    assert bucket.get("other/moved") == b"other data"


def test_what_is_open_can_be_given_some(mount):
    fd = os.open(mount / "file", os.O_RDWR | os.O_CREAT, 0o644)
    os.write(fd, b"data")
    os.setxattr(fd, "user.a", b"1")
    os.unlink(mount / "file")
    os.setxattr(fd, "user.b", b"2")
    assert (os.getxattr(fd, "user.a"), os.getxattr(fd, "user.b")) == (b"1", b"2")
    os.close(fd)


def test_those_of_the_root_are_of_this_node(mount):
    os.setxattr(mount.path, "user.a", b"1")
    mount.remount()
    assert stored(mount.path) == {"user.a": b"1"}


def test_what_does_not_fit_is_refused_and_changes_nothing(mount, bucket):
    write_file(mount / "file", b"x")
    os.setxattr(mount / "file", "user.a", bytes(1000))
    with fails_with(errno.ENOSPC):
        os.setxattr(mount / "file", "user.b", bytes(800))
    with fails_with(errno.ENOSPC):
        os.setxattr(mount / "file", "user.a", bytes(65536))
    assert stored(mount / "file") == {"user.a": bytes(1000)}
    # As full as it may be, the longest of all other attributes still fit.
    size = 2000
    while outcome(os.setxattr, mount / "file", "user.a", bytes(size)) == "ENOSPC":
        size -= 1
    os.chown(mount / "file", 4_000_000_000, 4_000_000_000)
    mount.sync()
    assert os.getxattr(mount / "file", "user.a") == bytes(size) and size > 1000
    assert bucket.head("file")["Metadata"]["uid"] == "4000000000"


def test_a_header_that_others_broke_is_left_alone(mount, bucket):
    bucket.put("file", b"x", Metadata={"xattr": "%7Bnonsense"})
    assert stored(mount / "file") == {}
    with fails_with(errno.EIO):
        os.setxattr(mount / "file", "user.a", b"1")
    os.chmod(mount / "file", 0o600)
    mount.sync()
    assert bucket.head("file")["Metadata"]["xattr"] == "%7Bnonsense"


def test_only_root_sees_names_of_trusted_ones(bucket, make_mount):
    mount = make_mount(bucket, ["allow_other"])
    write_file(mount / "file", b"x")
    os.setxattr(mount / "file", "trusted.t", b"1")
    os.setxattr(mount / "file", "user.u", b"1")

    def look():
        assert os.listxattr(mount / "file") == ["user.u"]
        os.setxattr(mount / "file", "user.u", b"2")
    assert as_user(NOBODY, look) == errno.EACCES
    assert os.getxattr(mount / "file", "user.u") == b"1"


# Tools


def test_tools_copy_them(both, tmp_path):
    source, (ours, local) = tmp_path / "source", both
    source.mkdir()
    write_file(source / "file", b"data", mode=0o640)
    (source / "dir").mkdir()
    for name in ("file", "dir"):
        os.setxattr(source / name, "user.a", b"1")
        os.setxattr(source / name, "user.b", bytes(range(64)))
    for number, command in enumerate((["cp", "-a", "SOURCE", "TARGET"], ["rsync", "-aX", "SOURCE/", "TARGET/"],
                                      ["sh", "-c", "mkdir TARGET && tar -C SOURCE --xattrs -cf - . | "
                                       "tar -C TARGET --xattrs --xattrs-include='*' -xf -"])):
        there, back = f"{ours}/{number}", f"{local}/{number}"
        for one, other in ((source, there), (there, back)):
            words = [word.replace("SOURCE", str(one)).replace("TARGET", str(other)) for word in command]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), words
        for target in (there, back):
            for name in ("file", "dir"):
                assert stored(f"{target}/{name}") == stored(source / name), (target, name)
            assert mode_of(f"{target}/file") == 0o640


def test_capabilities_count_until_the_file_is_written(both):
    # cap_net_raw=ep, version 2 (include/uapi/linux/capability.h)
    capability = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
    for directory in both:
        path = os.path.join(directory, "program")
        for change in (lambda: write_file(path, b"x", flags=os.O_APPEND), lambda: os.truncate(path, 0),
                       lambda: os.chown(path, 1, 1)):
            write_file(path, b"program")
            os.setxattr(path, "security.capability", capability)
            assert os.getxattr(path, "security.capability") == capability
            change()
            assert "security.capability" not in os.listxattr(path)


# POSIX ACLs: (tag, permissions, id) as in include/uapi/linux/posix_acl.h

OWNER, USER, GROUP, MASK, OTHERS, NO_ID = 1, 2, 4, 16, 32, 0xffffffff
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_an_acl_that_is_only_a_mode_becomes_the_mode(both):
    for directory in both:
        path = os.path.join(directory, "file")
        write_file(path, b"x")
        os.setxattr(path, ACCESS, acl((OWNER, 6, NO_ID), (GROUP, 4, NO_ID), (OTHERS, 0, NO_ID)))
        assert mode_of(path) == 0o640
        assert os.listxattr(path) == []
        with pytest.raises(OSError):
            os.getxattr(path, ACCESS)


def test_without_the_option_there_are_none(bucket, make_mount):
    mount = make_mount(bucket, ["acl"])
    write_file(mount / "file", b"x", mode=0o640)
    subprocess.run(["setfacl", "-m", "u:nobody:r", mount / "file"], check=True)
    kept = os.getxattr(mount / "file", ACCESS)
    mount.unmount()
    mount.options.remove("acl")
    mount.mount()
    assert os.listxattr(mount / "file") == []
    for call in (lambda: os.getxattr(mount / "file", ACCESS), lambda: os.setxattr(mount / "file", ACCESS, kept),
                 lambda: os.removexattr(mount / "file", ACCESS)):
        with fails_with(errno.EOPNOTSUPP):
            call()
    os.setxattr(mount / "file", "user.a", b"1")
    mount.unmount()
    mount.options.append("acl")
    mount.mount()
    assert os.getxattr(mount / "file", ACCESS) == kept, "what is stored is not touched"


def test_other_acls_are_kept_and_enforced(bucket, make_mount):
    mount = make_mount(bucket, ["allow_other", "acl"])
    write_file(mount / "file", b"x", mode=0o600)
    assert as_user(NOBODY, lambda: read_file(mount / "file")) == errno.EACCES
    value = acl((OWNER, 6, NO_ID), (USER, 6, NOBODY), (GROUP, 0, NO_ID), (MASK, 6, NO_ID), (OTHERS, 0, NO_ID))
    os.setxattr(mount / "file", ACCESS, value)
    assert mode_of(mount / "file") == 0o660
    assert as_user(NOBODY, lambda: read_file(mount / "file")) is None
    os.mkdir(mount / "dir")
    os.setxattr(mount / "dir", DEFAULT, value)
    mount.unmount()
    mount.forget_cache()
    mount.mount()
    assert os.getxattr(mount / "file", ACCESS) == value == os.getxattr(mount / "dir", DEFAULT)
    assert as_user(NOBODY, lambda: read_file(mount / "file")) is None
    write_file(mount / "dir/new", b"x", mode=0o640)
    assert os.getxattr(mount / "dir/new", ACCESS) == acl((OWNER, 6, NO_ID), (USER, 6, NOBODY), (GROUP, 0, NO_ID),
                                                         (MASK, 4, NO_ID), (OTHERS, 0, NO_ID))
    os.chmod(mount / "file", 0o644)
    assert os.getxattr(mount / "file", ACCESS) == acl((OWNER, 6, NO_ID), (USER, 6, NOBODY), (GROUP, 0, NO_ID),
                                                      (MASK, 4, NO_ID), (OTHERS, 4, NO_ID))
    os.removexattr(mount / "file", ACCESS)
    assert mode_of(mount / "file") == 0o644
    with fails_with(errno.ENODATA):
        os.getxattr(mount / "file", ACCESS)


def test_tools_bring_acls_here_and_back(mount):
    source = os.path.join(mount.base, "source")
    os.mkdir(source)
    write_file(f"{source}/file", b"x", mode=0o640)
    subprocess.run(["setfacl", "-m", "u:nobody:r", f"{source}/file"], check=True)
    subprocess.run(["setfacl", "-d", "-m", "u:nobody:rwx", source], check=True)
    for number, command in enumerate((["cp", "-a"], ["rsync", "-aAX"])):
        there, back = mount / f"there{number}", os.path.join(mount.base, f"back{number}")
        for words in ([*command, f"{source}/.", there], [*command, f"{there}/.", back]):
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), words
        for name, attribute in (("file", ACCESS), ("", DEFAULT)):
            assert os.getxattr(f"{there}/{name}", attribute) == os.getxattr(f"{source}/{name}", attribute)
            assert os.getxattr(f"{back}/{name}", attribute) == os.getxattr(f"{source}/{name}", attribute)


# s3fs


@pytest.fixture
def s3fs(server, bucket, tmp_path):
    with mounted_s3fs(server, bucket, tmp_path, "use_xattr") as point:
        yield point


SHARED = {"user.text": b"value", "user.binary": bytes(range(256)), "trusted.t": b"root's", "user.b": b"//++"}


def test_s3fs_reads_what_we_wrote(s3fs, mount):
    write_file(mount / "file", b"x")
    os.mkdir(mount / "dir")
    for name in ("file", "dir"):
        for key, value in SHARED.items():
            os.setxattr(mount / name, key, value)
    mount.sync()
    for name in ("file", "dir"):
        assert stored(s3fs / name) == SHARED
    os.removexattr(mount / "file", "user.text")
    mount.sync()
    assert "user.text" not in stored(s3fs / "file")


def test_we_read_what_s3fs_wrote(s3fs, mount):
    write_file(s3fs / "file", b"x")
    os.mkdir(s3fs / "dir")
    for name in ("file", "dir"):
        for key, value in SHARED.items():
            os.setxattr(s3fs / name, key, value)
    for name in ("file", "dir"):
        assert stored(mount / name) == SHARED
        assert stat.S_IMODE(os.stat(mount / name).st_mode) == stat.S_IMODE(os.stat(s3fs / name).st_mode)
    assert read_file(mount / "file") == b"x"


# What became of a file


def state(path, name):
    """As a script asks for it."""
    done = subprocess.run(["getfattr", "--only-values", "-n", f"user.s3mount.{name}", path], capture_output=True,
                          text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def test_the_state_of_a_file_is_told(bucket, make_mount):
    mount = make_mount(bucket, ["close=local"])
    fd = os.open(mount / "file", os.O_RDWR | os.O_CREAT, 0o644)
    os.write(fd, bytes(5000))
    # A child that is started would close its copy of fd, which publishes.
    assert os.getxattr(mount / "file", "user.s3mount.state") == b"dirty"
    assert os.getxattr(mount / "file", "user.s3mount.pending") == b"5000"
    for name in ("etag", "error", "conflict"):
        with fails_with(errno.ENODATA):
            os.getxattr(mount / "file", f"user.s3mount.{name}")
    os.close(fd)
    mount.sync()
    assert (state(mount / "file", "state"), state(mount / "file", "pending")) == ("clean", "0")
    assert state(mount / "file", "error") is None
    assert state(mount / "file", "etag") == bucket.head("file")["ETag"].strip('"')
    for name in ("state", "xyz"):
        for change in (lambda attribute: os.setxattr(mount / "file", attribute, b"x"),
                       lambda attribute: os.removexattr(mount / "file", attribute)):
            with fails_with(errno.EPERM):
                change(f"user.s3mount.{name}")


def test_a_conflict_copy_says_so_and_its_copies_do_not(bucket, make_mount):
    mount = make_mount(bucket)
    write_file(mount / "file", b"base")
    base = bucket.head("file")["ETag"].strip('"')
    fd = os.open(mount / "file", os.O_WRONLY)
    os.write(fd, b"ours")
    bucket.put("file", b"theirs")
    with fails_with(errno.ESTALE):
        os.close(fd)
    mount.sync()
    name, = (key for key in bucket.keys() if key.startswith("file.conflict-"))
    assert state(mount / name, "state") == "conflict"
    mark = bucket.head(name)["Metadata"]["s3mount-conflict"]
    assert state(mount / name, "conflict") == mark
    assert re.fullmatch(rf"node={re.escape(os.uname().nodename)} time=\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ base={base}",
                        mark)
    subprocess.run(["cp", "-a", mount / name, mount / "copy"], check=True)
    assert (state(mount / "copy", "conflict"), state(mount / "copy", "state")) == (None, "clean")
    assert os.listxattr(mount / "copy") == os.listxattr(mount / name) == []


# What is asked of whom


def test_what_is_known_costs_no_request(bucket, make_mount):
    mount = make_mount(bucket, ["attr_timeout=0"], start=False)
    mount.mount("-d")
    write_file(mount / "file", b"x")
    mount.sync()
    fd = os.open(mount / "file", os.O_RDWR)
    before = len(re.findall(r"s3: ", mount.process.output()))
    for _ in range(20):
        with fails_with(errno.ENODATA):
            os.getxattr(fd, "security.capability")
        os.listxattr(fd)
    os.pwrite(fd, b"y", 0)
    log = mount.process.output()
    assert len(re.findall(r"fuse: getxattr inode", log)) >= 20
    assert len(re.findall(r"s3: ", log)) == before
    os.close(fd)

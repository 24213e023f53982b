"""Mounting and what belongs to it: background, fstab, prefix, credentials, sync, status, unmount, s3fs."""
import errno
import json
import os
import pathlib
import signal
import stat
import subprocess

import pytest

from files import MIB, NOBODY, as_user, fails_with, mode_of, noise, read_file, write_file
from mounts import mounted_s3fs
from processes import BIN, is_mounted, wait_until
from servers import ACCESS_KEY, REGION, SECRET_KEY

HELPER = "/sbin/mount.fuse.s3mount"


def daemons_of(path):
    """Ids of the s3mount processes that were told to mount at path."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].rpartition(b"/")[2] in (b"s3mount", b"mount.fuse.s3mount") and os.fsencode(path) in words:
            found.append(int(entry.parent.name))
    return found


def unmounted_cleanly(mount, *command):
    subprocess.run(command, check=True)
    wait_until(lambda: not daemons_of(mount.path), 30, "the daemon ends after unmount")
    assert not is_mounted(mount.path)


def test_background_returns_when_the_mount_is_usable(bucket, make_mount):
    bucket.put("file", b"there")
    mount = make_mount(bucket, start=False)
    done = mount.run_background()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert read_file(mount / "file") == b"there"
    write_file(mount / "new", b"new")
    assert bucket.get("new") == b"new"
    unmounted_cleanly(mount, "umount", mount.path)


def test_fusermount_ends_it_as_well(bucket, make_mount):
    mount = make_mount(bucket, ["close=local"], start=False)
    assert mount.run_background().returncode == 0
    write_file(mount / "file", b"drained")
    unmounted_cleanly(mount, "fusermount3", "-u", mount.path)
    assert bucket.get("file") == b"drained"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(bucket, make_mount, number):
    mount = make_mount(bucket, ["close=local"])
    write_file(mount / "file", b"drained")
    os.kill(mount.process.pid, number)
    assert mount.process.wait(30) == 0
    wait_until(lambda: not is_mounted(mount.path), 5, "the mount is gone")
    assert bucket.get("file") == b"drained"


def test_mount_type_in_fstab(bucket, make_mount, server):
    """mount -t fuse.s3mount finds the helper that `make install` puts into /sbin."""
    mount = make_mount(bucket, start=False)
    existed = os.path.lexists(HELPER)
    if not existed:
        os.symlink(BIN / "s3mount", HELPER)
    try:
        table = pathlib.Path(mount.base, "fstab")
        table.write_text(f"{mount.source} {mount.path} fuse.s3mount {mount.option_list()},_netdev,nofail,"
                         "x-systemd.requires=network-online.target 0 0\n")
        subprocess.run(["mount", "--fstab", table, mount.path], check=True, env=mount.child_environment(),
                       timeout=30)
        assert "fuse.s3mount" in subprocess.check_output(["findmnt", "-n", "-o", "FSTYPE", mount.path], text=True)
        write_file(mount / "file", b"x")
        assert bucket.get("file") == b"x"
        unmounted_cleanly(mount, "umount", mount.path)
    finally:
        if not existed:
            os.unlink(HELPER)


def test_unmount_waits_until_all_is_in_s3(bucket, make_mount):
    mount = make_mount(bucket, ["close=local"])
    data = noise(50 * MIB, 1)
    write_file(mount / "large", data)
    for number in range(50):
        write_file(mount / f"f{number}", b"%d" % number)
    mount.unmount()
    assert bucket.get("large") == data
    assert len(bucket.keys()) == 51


def test_unmount_of_a_busy_mount_is_refused_and_changes_nothing(mount):
    with open(mount / "file", "wb") as file:
        with pytest.raises(OSError):
            mount.unmount()
        file.write(b"still usable")
    assert read_file(mount / "file") == b"still usable"


def test_prefix_is_the_root_of_the_mount(bucket, make_mount):
    bucket.put("other/file", b"other")
    bucket.put("site/there", b"there")
    bucket.put("sitemap", b"no")
    mount = make_mount(bucket, prefix="site")
    assert os.listdir(mount.path) == ["there"]
    write_file(mount / "new", b"new")
    os.mkdir(mount / "dir")
    assert sorted(bucket.keys()) == ["other/file", "site/dir/", "site/new", "site/there", "sitemap"]


def test_prefix_that_holds_nothing_yet(bucket, make_mount):
    mount = make_mount(bucket, ["prefix=deep/er"])
    assert os.listdir(mount.path) == []
    write_file(mount / "file", b"x")
    assert bucket.get("deep/er/file") == b"x"


def test_sync_returns_when_all_is_in_s3(bucket, make_mount):
    mount = make_mount(bucket, ["close=local"])
    data = noise(30 * MIB, 2)
    write_file(mount / "large", data)
    os.mkdir(mount / "dir")
    os.chmod(mount / "dir", 0o700)
    mount.sync()
    assert bucket.get("large") == data
    assert int(bucket.metadata("dir/")["mode"]) == stat.S_IFDIR | 0o700
    assert mount.status()["dirty_bytes"] == 0


def test_status_tells_what_is_dirty(bucket, make_mount, server):
    mount = make_mount(bucket, ["close=local", "fsync=local"])
    assert mount.status()["dirty_bytes"] == 0
    assert os.listdir(mount.path) == []
    server.go_away()
    try:
        write_file(mount / "file", bytes(100_000))
        status = mount.status()
        assert status["dirty_bytes"] == 100_000
        assert bucket.name in json.dumps(status)
        text = mount.tool("status", mount.path)
        assert text.returncode == 0 and bucket.name in text.stdout
        wait_until(lambda: mount.status()["last_error"], 30, "status names the last error", 0.2)
    finally:
        server.come_back()
    mount.wait_clean(60)


def test_the_size_of_the_cache_is_a_limit(bucket, make_mount):
    mount = make_mount(bucket, ["cache_size=32M"])
    for number in range(12):
        write_file(mount / f"f{number}", noise(8 * MIB, number))
    wait_until(lambda: disk_usage(mount.cache) < 48 * MIB, 10, "the cache is under its limit")
    for number in range(12):
        assert read_file(mount / f"f{number}") == noise(8 * MIB, number)
    wait_until(lambda: disk_usage(mount.cache) < 48 * MIB, 10, "the cache is under its limit after reading")


def disk_usage(directory):
    total = 0
    for path, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def test_a_warm_cache_survives_a_remount(bucket, make_mount, server):
    data = noise(10 * MIB, 3)
    bucket.put("file", data)
    mount = make_mount(bucket)
    assert read_file(mount / "file") == data
    mount.remount()
    used = disk_usage(mount.cache)
    assert used >= 10 * MIB
    assert read_file(mount / "file") == data
    assert disk_usage(mount.cache) < used + MIB


# Credentials


def test_credentials_from_a_profile(bucket, make_mount, tmp_path, server):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        f"[other]\naws_access_key_id = no\naws_secret_access_key = no\n\n"
        f"[mine]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
    (tmp_path / ".aws/config").write_text(
        f"[profile mine]\nregion = {REGION}\nendpoint_url = {server.endpoint}\n")
    mount = make_mount(bucket, start=False, environment={"HOME": str(tmp_path)})
    mount.option_list = lambda: f"profile=mine,cache={mount.cache}"
    mount.mount()
    write_file(mount / "file", b"x")
    assert bucket.get("file") == b"x"


@pytest.mark.parametrize("line", ["{key}:{secret}", "{bucket}:{key}:{secret}"])
def test_credentials_from_the_passwd_file_of_s3fs(bucket, make_mount, tmp_path, line):
    path = tmp_path / "passwd"
    path.write_text(line.format(key=ACCESS_KEY, secret=SECRET_KEY, bucket=bucket.name) + "\n")
    path.chmod(0o600)
    mount = make_mount(bucket, [f"passwd_file={path}"], environment={})
    write_file(mount / "file", b"x")
    assert bucket.get("file") == b"x"


def test_the_secret_is_nowhere_to_be_seen(bucket, make_mount):
    mount = make_mount(bucket, ["debug"])
    write_file(mount / "file", b"x")
    for pid in mount.process.family():
        assert SECRET_KEY.encode() not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    assert SECRET_KEY not in mount.process.output()
    assert SECRET_KEY not in json.dumps(mount.status())
    found = subprocess.run(["grep", "-r", "-l", "-a", SECRET_KEY, mount.cache], capture_output=True, text=True)
    assert found.stdout == ""


def test_other_users_cannot_look_into_the_cache(mount):
    write_file(mount / "file", b"private")
    for path, _, names in os.walk(mount.cache):
        for name in names:
            file = os.path.join(path, name)
            assert as_user(NOBODY, lambda: read_file(file)) is not None, file


# s3fs beside us on the same bucket


@pytest.fixture
def s3fs(server, bucket, tmp_path):
    with mounted_s3fs(server, bucket, tmp_path) as point:
        yield point


def test_what_s3fs_wrote_is_the_same_here(s3fs, mount):
    write_file(s3fs / "file", b"by s3fs", mode=0o640)
    os.chown(s3fs / "file", 1234, 5678)
    os.utime(s3fs / "file", (1_500_000_000, 1_600_000_000))
    os.mkdir(s3fs / "dir", 0o700)
    os.symlink("file", s3fs / "link")
    ours = os.stat(mount / "file")
    assert read_file(mount / "file") == b"by s3fs"
    assert (ours.st_uid, ours.st_gid, mode_of(mount / "file")) == (1234, 5678, 0o640)
    assert int(ours.st_mtime) == 1_600_000_000
    assert mode_of(mount / "dir") == 0o700
    assert os.readlink(mount / "link") == "file"


def test_what_we_wrote_is_the_same_for_s3fs(s3fs, mount):
    write_file(mount / "file", b"by us", mode=0o640)
    os.chown(mount / "file", 1234, 5678)
    os.utime(mount / "file", (1_500_000_000, 1_600_000_000))
    os.mkdir(mount / "dir", 0o700)
    os.symlink("file", mount / "link")
    mount.sync()
    theirs = os.stat(s3fs / "file")
    assert read_file(s3fs / "file") == b"by us"
    assert (theirs.st_uid, theirs.st_gid, mode_of(s3fs / "file")) == (1234, 5678, 0o640)
    assert int(theirs.st_mtime) == 1_600_000_000
    assert mode_of(s3fs / "dir") == 0o700
    assert os.readlink(s3fs / "link") == "file"


def test_what_s3fs_changes_is_not_taken_for_ours(s3fs, bucket, mount):
    """It keeps the metadata that it does not know, the mark of our publication among it."""
    write_file(mount / "file", b"our first")
    fd = os.open(mount / "file", os.O_WRONLY)
    os.write(fd, b"our second")
    with open(s3fs / "file", "r+b") as theirs:
        theirs.write(b"THEIRS")
    assert bucket.head("file")["Metadata"]["s3mount-putid"], "s3fs does not keep it any more: what does?"
    with fails_with(errno.ESTALE):
        os.close(fd)
    mount.sync()
    copy, = (key for key in bucket.keys() if key.startswith("file.conflict-"))
    assert (bucket.get("file"), bucket.get(copy)) == (b"THEIRSrst", b"our second")


def test_help_version_and_man_page():
    for words, expected in ((["--help"], "cache_size"), (["--version"], "s3mount "), (["--man"], ".Sh NAME")):
        done = subprocess.run([BIN / "s3mount", *words], text=True, capture_output=True, timeout=10)
        assert (done.returncode, done.stderr) == (0, "")
        assert expected in done.stdout

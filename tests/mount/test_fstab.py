"""As a machine has it: installed by `make install`, mounted from fstab by mount(8), or by an ordinary user.

Each test runs in a mount namespace of its own, in which what was installed lies over the system's directories.
"""
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

from files import NOBODY
from processes import BIN, ROOT, WORK, wait_until
from servers import ACCESS_KEY, REGION, SECRET_KEY

HELPER = "/sbin/mount.fuse.s3mount"

# Usage: script DESTDIR LAYER COMMAND..; LAYER goes over /sbin. In "without" a whiteout (overlayfs.rst of Linux)
# hides a helper that this machine may have: mount(8) then asks mount.fuse3, which leaves it to a shell without PATH
# to find s3mount.
NAMESPACE = """
set -e
mount --bind "$1/usr/local/bin" /usr/local/bin
mount -t overlay overlay -o "lowerdir=$1/$2:$(realpath /sbin)" "$(realpath /sbin)"
mknod -m 666 "$1/fuse" c 10 229 # as udev makes it; containers have it for root alone
mount --bind "$1/fuse" /dev/fuse
shift 2
exec "$@"
"""


@pytest.fixture(scope="module")
def installed():
    WORK.mkdir(parents=True, exist_ok=True)
    directory = WORK / "installed"
    program = BIN / "s3mount"
    subprocess.run(["make", "-s", "-C", ROOT, "-o", program, "install", f"BUILD={BIN.parent}",
                    f"DESTDIR={directory}", "PREFIX=/usr/local"], check=True, timeout=60)
    (directory / "without").mkdir()
    os.mknod(directory / "without/mount.fuse.s3mount", stat.S_IFCHR, os.makedev(0, 0))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def in_namespace(installed):
    def run(script, helper=True, **variables):
        # Exactly what init or cron would give: no PATH, HOME or credentials of ours.
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", NAMESPACE, "sh",
                               installed, "sbin" if helper else "without", "/bin/sh", "-ec", script],
                              env={name: str(value) for name, value in variables.items()}, cwd="/",
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        os.unlink(installed / "fuse")
        assert done.returncode == 0, done.stdout + done.stderr
        return done
    return run


@pytest.fixture
def place(bucket, make_mount):
    """Directories, a passwd file and options for a mount that mount(8) makes."""
    mount = make_mount(bucket, start=False)
    passwd = pathlib.Path(mount.base, "passwd")
    passwd.write_text(f"{ACCESS_KEY}:{SECRET_KEY}\n")
    passwd.chmod(0o600)
    mount.options = [f"passwd_file={passwd}", f"log={mount.log}"]
    bucket.put("there", b"there")
    return mount


def ended(place):
    """The process of a mount has said its last word, and its cache is free again."""
    wait_until(lambda: ": ended" in pathlib.Path(place.log).read_text(), 10, "the mount ends")


def test_what_make_install_installs(installed):
    program, helper = installed / "usr/local/bin/s3mount", pathlib.Path(f"{installed}{HELPER}")
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    assert os.readlink(helper) == "/usr/local/bin/s3mount"
    assert ".Sh NAME" in (installed / "usr/local/share/man/man8/s3mount.8").read_text()


@pytest.mark.parametrize("unmount", ["umount", "fusermount3 -u"])
@pytest.mark.parametrize("helper", [True, False], ids=["own-helper", "mount.fuse3"])
def test_a_line_of_fstab(place, bucket, in_namespace, helper, unmount):
    table = pathlib.Path(place.base, "fstab")
    table.write_text(f"{place.source} {place.path} fuse.s3mount {place.option_list()},allow_other,noatime,_netdev,"
                     "nofail,x-systemd.requires=network-online.target 0 0\n")
    done = in_namespace("""
        [ "$has_helper" = True ] || ! [ -e /sbin/mount.fuse.s3mount ]
        mount --fstab "$table" "$path"
        findmnt --noheadings --output SOURCE,FSTYPE,OPTIONS "$path"
        cat "$path/there"
        echo new >"$path/new"
        $unmount "$path"
        ! mountpoint -q "$path"
        """, helper, has_helper=helper, table=table, path=place.path, unmount=unmount)
    source, kind, options = done.stdout.splitlines()[0].split()
    assert (source, kind) == (bucket.name, "fuse.s3mount")
    assert {"allow_other", "default_permissions", "nosuid", "nodev"} <= set(options.split(","))
    assert done.stdout.endswith("there")
    ended(place)
    assert bucket.get("new") == b"new\n"


@pytest.mark.parametrize("unmount", ["umount", "fusermount3 -u"])
def test_an_ordinary_user_mounts(place, bucket, in_namespace, unmount):
    """Relative paths, from the user's directory; the daemon does not stay in it."""
    for name in ("", "mnt", "passwd"):
        os.chown(os.path.join(place.base, name), NOBODY, NOBODY)
    words = f"endpoint={place.server.endpoint},region={REGION},cache=own-cache,passwd_file=passwd,log={place.log}"
    user = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    done = in_namespace(f"""
        cd "$base"
        {user} /usr/local/bin/s3mount "$source" mnt -o "$words"
        {user} stat -c '%u %a' mnt
        {user} cat mnt/there
        {user} sh -c 'echo new >mnt/new'
        {user} /usr/local/bin/s3mount sync mnt
        pid=$(cat own-cache/*/LOCK)
        echo; readlink "/proc/$pid/cwd"
        {user} {unmount} mnt
        ! mountpoint -q mnt
        """, base=place.base, source=place.source, words=words)
    assert done.stdout.split() == [str(NOBODY), "755", "there", "/"]
    ended(place)
    assert bucket.get("new") == b"new\n"
    assert bucket.metadata("new")["uid"] == str(NOBODY)


def test_a_failure_of_fstab_is_one_clear_message(place, in_namespace):
    table = pathlib.Path(place.base, "fstab")
    words = place.option_list().replace("passwd_file=", "passwd_file=/nowhere")
    table.write_text(f"{place.source} {place.path} fuse.s3mount {words} 0 0\n")
    done = in_namespace('! mount --fstab "$table" "$path"', table=table, path=place.path)
    assert "option 'passwd_file'" in done.stderr and "/nowhere" in done.stderr

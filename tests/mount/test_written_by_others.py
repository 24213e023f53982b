"""What other tools write into the bucket, and what it looks like here; what theirs becomes when we change it."""
import concurrent.futures
import errno
import os
import stat
import subprocess

import pytest

from files import MIB, fails_with, noise, read_file, write_file
from servers import ACCESS_KEY, REGION, SECRET_KEY

pytestmark = pytest.mark.servers("embedded")

NS = 1_700_000_000_123_456_789
COUNT = 300


@pytest.fixture
def rclone(server, bucket):
    """rclone(word, ..) runs it; the bucket is "s3:NAME"."""
    environment = server.environment(
        RCLONE_CONFIG="/dev/null", RCLONE_CONFIG_S3_TYPE="s3", RCLONE_CONFIG_S3_PROVIDER="Other",
        RCLONE_CONFIG_S3_ENDPOINT=server.endpoint, RCLONE_CONFIG_S3_REGION=REGION,
        RCLONE_CONFIG_S3_ACCESS_KEY_ID=ACCESS_KEY, RCLONE_CONFIG_S3_SECRET_ACCESS_KEY=SECRET_KEY)

    def run(*words):
        done = subprocess.run(["rclone", *words], env=environment, text=True, capture_output=True, timeout=60,
                              check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


def test_rclone_copies_a_tree_in_and_ours_out(rclone, mount, bucket, tmp_path):
    source, back = tmp_path / "source", tmp_path / "back"
    (source / "dir").mkdir(parents=True)
    write_file(source / "dir/page.html", b"<p>", mode=0o640)
    write_file(source / "large", noise(20 * MIB))
    for name in ("dir/page.html", "large"):
        os.utime(source / name, ns=(NS, NS))
    rclone("copy", "--s3-upload-cutoff", "6M", "--s3-chunk-size", "5M", str(source), f"s3:{bucket.name}/in")
    for name in ("dir/page.html", "large"):
        assert os.stat(mount / f"in/{name}").st_mtime_ns == NS, name
        assert read_file(mount / f"in/{name}") == (source / name).read_bytes()
    assert "-" in bucket.head("in/large")["ETag"] and "md5chksum" in bucket.metadata("in/large")
    os.chmod(mount / "in/large", 0o600)
    os.rename(mount / "in/dir", mount / "in/moved")
    write_file(mount / "ours", b"by us")
    os.utime(mount / "ours", ns=(NS, NS + 1))
    mount.sync()
    assert bucket.metadata("in/large")["md5chksum"]
    rclone("copy", f"s3:{bucket.name}", str(back))
    assert (back / "in/moved/page.html").read_bytes() == b"<p>"
    assert os.stat(back / "in/large").st_mtime_ns == NS and (back / "in/large").read_bytes() == noise(20 * MIB)
    assert os.stat(back / "ours").st_mtime_ns == NS + 1
    rclone("check", "--download", f"s3:{bucket.name}", str(back))


def test_rclone_keeps_owner_and_mode_for_us(rclone, mount, bucket, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    write_file(source / "file", b"x", mode=0o604)
    os.chown(source / "file", 1234, 5678)
    os.utime(source / "file", ns=(NS - 10**9, NS))
    rclone("copy", "--metadata", str(source), f"s3:{bucket.name}")
    info = os.stat(mount / "file")
    assert (info.st_mode, info.st_uid, info.st_gid) == (stat.S_IFREG | 0o604, 1234, 5678)
    assert (info.st_mtime_ns, info.st_atime_ns) == (NS, NS - 10**9)


# Objects as these tools store them; the sources of the formats are in fs/vfs/attributes.h and the tools' own code.
STORED = {
    "aws": ({}, b"plain"),
    "geesefs-file": ({"mode": "33188", "uid": "7", "gid": "8", "mtime": "1700000000"}, b"x"),
    "geesefs-link": ({"--symlink-target": "target/of it"}, b""),
    "geesefs-fifo": ({"mode": str(0o10640)}, b""),
    "geesefs-char": ({"mode": str(0o20600), "rdev": str(os.makedev(4, 65))}, b""),
    "gcs": ({"goog-reserved-posix-mode": "640", "goog-reserved-posix-uid": "7", "goog-reserved-posix-gid": "8",
             "goog-reserved-file-mtime": "1700000000"}, b"x"),
    "s3sync": ({"permissions": "416", "owner": "7", "group": "8"}, b"x"),
    "broken": ({"mode": "rw-r--r--", "uid": "root", "gid": "-1", "mtime": "yesterday", "rdev": "x"}, b"x"),
}


def test_attributes_of_other_tools(bucket, make_mount):
    for key, (metadata, body) in STORED.items():
        bucket.put(key, body, Metadata=metadata)
    bucket.put("goofys/", b"")
    bucket.put("implied/file", b"x")
    mount = make_mount(bucket, ["uid=1000", "gid=2000", "umask=027", "dirmask=007"])

    def look(name):
        info = os.lstat(mount / name)
        return info.st_mode, info.st_uid, info.st_gid
    file, default = stat.S_IFREG | 0o640, (1000, 2000)
    assert {name: look(name) for name in [*STORED, "goofys", "implied", "implied/file"]} == {
        "aws": (file, *default), "broken": (file, *default), "implied/file": (file, *default),
        "goofys": (stat.S_IFDIR | 0o770, *default), "implied": (stat.S_IFDIR | 0o770, *default),
        "geesefs-file": (stat.S_IFREG | 0o644, 7, 8), "geesefs-link": (stat.S_IFLNK | 0o777, *default),
        "geesefs-fifo": (stat.S_IFIFO | 0o640, *default), "geesefs-char": (stat.S_IFCHR | 0o600, *default),
        "gcs": (file, 7, 8), "s3sync": (file, 7, 8)}
    assert os.readlink(mount / "geesefs-link") == "target/of it"
    assert os.lstat(mount / "geesefs-char").st_rdev == os.makedev(4, 65)
    for name in ("geesefs-file", "gcs"):
        assert os.stat(mount / name).st_mtime_ns == 1_700_000_000 * 10**9
    for name in ("aws", "broken", "s3sync"):
        assert os.stat(mount / name).st_mtime == bucket.head(name)["LastModified"].timestamp()


def test_what_we_change_of_theirs(mount, bucket):
    for key, (metadata, body) in STORED.items():
        bucket.put(key, body, Metadata={**metadata, "own": "kept"}, ContentType="text/x-own")
    for key in STORED:
        os.chown(mount / key, 9, 9, follow_symlinks=False)
    mount.sync()
    for key, (_, body) in STORED.items():
        head = bucket.head(key)
        assert (head["ContentType"], head["Metadata"]["own"], head["Metadata"]["uid"]) == (
            "text/x-own", "kept", "9"), key
        # Whoever looks for a link's target in the body finds it there as well.
        assert bucket.get(key) == (b"target/of it" if key == "geesefs-link" else body)
        assert not {"owner", "permissions", "goog-reserved-posix-uid"} & set(head["Metadata"]), key
    assert bucket.metadata("geesefs-link")["--symlink-target"] == os.readlink(mount / "geesefs-link") == "target/of it"


def test_keys_without_directories_before_them(mount, bucket):
    """As a client that knows no directories writes them, next to one that does."""
    deep = "/".join(f"d{level}" for level in range(100))
    bodies = {f"{deep}/file": b"deep"}
    for number in range(COUNT):  # empty with a marker, full without one, full with one
        if number % 3 != 1:
            bodies[f"flat/{number:03}/"] = b""
        if number % 3 != 0:
            bodies[f"flat/{number:03}/file"] = b"x"
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda item: bucket.put(*item), bodies.items()))
    assert read_file(mount / f"{deep}/file") == b"deep"
    assert [path for path, _, names in os.walk(mount / "d0") if names] == [mount / deep]
    assert sorted(os.listdir(mount / "flat")) == [f"{number:03}" for number in range(COUNT)]
    for number in range(9):
        assert os.listdir(mount / f"flat/{number:03}") == (["file"] if number % 3 else [])
    os.unlink(mount / f"{deep}/file")
    os.removedirs(mount / deep)
    assert bucket.keys("d0") == []
    with fails_with(errno.ENOTEMPTY):
        os.rmdir(mount / "flat/001")
    os.rename(mount / "flat", mount / "moved")
    assert bucket.keys() == sorted(key.replace("flat", "moved") for key in bodies if key.startswith("flat"))
    subprocess.run(["rm", "-r", mount / "moved"], check=True)
    assert bucket.keys() == []

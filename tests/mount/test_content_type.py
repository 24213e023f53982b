"""What a browser is told that a file is: by its name when it is new, by whoever said so otherwise."""
import os

import pytest

from files import MIB, noise, write_file

NONE = "application/octet-stream"
pytestmark = pytest.mark.servers("embedded")


def type_of(bucket, key):
    return bucket.head(key)["ContentType"]


BY_NAME = {"index.html": "text/html", "STYLE.CSS": "text/css", "photo.jpeg": "image/jpeg",
           "page.html.gz": "application/gzip", "data.json": "application/json", "README": NONE, ".html": NONE,
           "x.no-such-extension": NONE}


def test_a_new_file_has_the_type_of_its_name(mount, bucket):
    for name in BY_NAME:
        write_file(mount / name, b"x")
    assert {name: type_of(bucket, name) for name in BY_NAME} == BY_NAME
    for name in BY_NAME:
        os.chmod(mount / name, 0o600)
        write_file(mount / name, b"y")
    mount.sync()
    assert {name: type_of(bucket, name) for name in BY_NAME} == BY_NAME


def test_a_large_one_as_well(mount, bucket):
    write_file(mount / "film.mp4", noise(40 * MIB))
    mount.sync()
    assert type_of(bucket, "film.mp4") == "video/mp4"


def test_what_is_no_file_has_the_type_of_its_kind(mount, bucket):
    os.mkdir(mount / "dir.html")
    os.symlink("x", mount / "link.html")
    os.mkfifo(mount / "fifo.html")
    os.rename(mount / "link.html", mount / "link.css")
    os.rename(mount / "dir.html", mount / "dir.css")
    assert (type_of(bucket, "dir.css/"), type_of(bucket, "link.css"), type_of(bucket, "fifo.html")) == (
        "application/x-directory", NONE, NONE)


def test_a_type_that_the_name_gave_changes_with_the_name(mount, bucket):
    """As editors and downloads do it: written under one name, renamed to the one that counts."""
    write_file(mount / "page.html.tmp", b"x")
    os.rename(mount / "page.html.tmp", mount / "page.html")
    assert type_of(bucket, "page.html") == "text/html"
    write_file(mount / "new", b"y")
    os.rename(mount / "new", mount / "page.html")
    assert type_of(bucket, "page.html") == "text/html"
    os.rename(mount / "page.html", mount / "page.txt")
    assert type_of(bucket, "page.txt") == "text/plain"
    os.chmod(mount / "page.txt", 0o600)
    mount.sync()
    assert type_of(bucket, "page.txt") == "text/plain"
    os.mkdir(mount / "dir")
    write_file(mount / "dir/a.css", b"x")
    os.rename(mount / "dir", mount / "moved")
    assert type_of(bucket, "moved/a.css") == "text/css"


def test_a_name_that_changes_before_the_file_is_in_s3(bucket, make_mount):
    mount = make_mount(bucket, ["close=local"])
    fd = os.open(mount / "a.tmp", os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(fd, b"x")
    os.rename(mount / "a.tmp", mount / "a.png")
    os.close(fd)
    mount.sync()
    assert (bucket.keys(), type_of(bucket, "a.png")) == (["a.png"], "image/png")


def test_a_type_that_somebody_chose_stays(mount, bucket):
    bucket.put("page.html", b"x", ContentType="text/html; charset=utf-8")
    write_file(mount / "page.html", b"y")
    os.chmod(mount / "page.html", 0o600)
    mount.sync()
    assert type_of(bucket, "page.html") == "text/html; charset=utf-8"
    os.rename(mount / "page.html", mount / "page.bin")
    assert type_of(bucket, "page.bin") == "text/html; charset=utf-8"


def test_it_survives_a_crash(bucket, make_mount):
    mount = make_mount(bucket, ["close=local"])
    write_file(mount / "a.svg", b"x")
    os.rename(mount / "a.svg", mount / "b.gif")
    mount.crash_and_remount()
    mount.sync()
    assert type_of(bucket, "b.gif") == "image/gif"


def test_it_can_be_switched_off_and_have_types_of_its_own(bucket, make_mount, tmp_path):
    own = tmp_path / "types"
    own.write_text("text/x-own own\n")
    for number, (word, expected) in enumerate(
            {"off": (NONE, NONE), str(own): (NONE, "text/x-own"), "/etc/mime.types": ("text/html", NONE)}.items()):
        mount = make_mount(bucket, [f"mime={word}"])
        for name, wanted in zip((f"{number}.html", f"{number}.own"), expected):
            write_file(mount / name, b"x")
            assert type_of(bucket, name) == wanted
    failing = make_mount(bucket, ["mime=/nowhere/types"], start=False).run_background()
    assert failing.returncode != 0 and "/nowhere/types" in failing.stderr


"""What an object has beside its bytes and attributes is not lost by what we do: tags, storage class, encryption,
the headers that browsers and caches look at, metadata of others."""
import os
import pathlib
import subprocess

import pytest

from files import MIB, noise, read_file, write_file

# Ceph 16 forgets tags whenever a copy gets new metadata or an upload has parts, whatever is asked of it.
pytestmark = pytest.mark.servers("embedded")

TAGS = {"team": "a + b = c", "löschen": "nein/ja:_@.", "empty": ""}
METADATA = {"my-own": "value", "numbers": "1 2 3"}
HEADERS = {"ContentType": "text/x-own; charset=utf-8", "CacheControl": "max-age=60", "ContentLanguage": "de",
           "ContentDisposition": 'attachment; filename="x"'}


def tags_of(bucket, key):
    answer = bucket.client.get_object_tagging(Bucket=bucket.name, Key=key)
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def set_tags(bucket, key, tags=None):
    bucket.client.put_object_tagging(Bucket=bucket.name, Key=key, Tagging={
        "TagSet": [{"Key": name, "Value": value} for name, value in (tags or TAGS).items()]})


# Each changes "file" in a directory, and tells what it is called then.


def chmod(base):
    os.chmod(base / "file", 0o600)
    return "file"


def rewrite(base):
    write_file(base / "file", b"other bytes")
    return "file"


def append(base):
    write_file(base / "file", b"more", flags=os.O_APPEND)
    return "file"


def grow_to_parts(base):
    write_file(base / "file", noise(34 * MIB))
    return "file"


def truncate(base):
    os.truncate(base / "file", 1)
    return "file"


def rename(base):
    os.rename(base / "file", base / "moved")
    return "moved"


def rename_with_its_directory(base):
    os.mkdir(base / "dir")
    os.rename(base / "file", base / "dir/file")
    os.rename(base / "dir", base / "other")
    return "other/file"


def set_attribute(base):
    os.setxattr(base / "file", "user.a", b"1")
    return "file"


CHANGES = [chmod, rewrite, append, grow_to_parts, truncate, rename, rename_with_its_directory, set_attribute]


def changed(mount):
    """The keys after each of the changes."""
    keys = {change.__name__: f"{change.__name__}/{change(pathlib.Path(mount.path, change.__name__))}"
            for change in CHANGES}
    mount.sync()
    return keys


def put_for_each(bucket, **arguments):
    for change in CHANGES:
        bucket.put(f"{change.__name__}/file", b"bytes of others", **arguments)


@pytest.mark.servers("embedded", "versitygw")
def test_nothing_beside_the_bytes_is_lost(mount, bucket):
    put_for_each(bucket, Metadata=METADATA, **HEADERS)
    for change in CHANGES:
        set_tags(bucket, f"{change.__name__}/file")
    for change, key in changed(mount).items():
        head = bucket.head(key)
        assert tags_of(bucket, key) == TAGS, change
        assert {name: head["Metadata"].get(name) for name in METADATA} == METADATA, change
        assert {name: head.get(name) for name in HEADERS} == HEADERS, change


def test_storage_class_and_encryption_stay(mount, bucket):
    kept = {"StorageClass": "STANDARD_IA", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:key/1",
            "BucketKeyEnabled": True, "WebsiteRedirectLocation": "/elsewhere"}
    put_for_each(bucket, Expires="Wed, 21 Oct 2026 07:28:00 GMT", **kept)
    for change, key in changed(mount).items():
        head = bucket.head(key)
        assert {name: head.get(name) for name in kept} == kept, change
        assert head["ExpiresString"] == "Wed, 21 Oct 2026 07:28:00 GMT", change


def test_the_class_of_what_is_not_encrypted_stays_as_well(mount, bucket):
    """A renamed directory has it from the listing."""
    bucket.put("dir/cold", b"x", StorageClass="GLACIER_IR")
    bucket.put("dir/warm", b"x")
    os.rename(mount / "dir", mount / "moved")
    assert [bucket.head(f"moved/{name}").get("StorageClass") for name in ("cold", "warm")] == ["GLACIER_IR", None]


def test_tags_of_a_directory_and_a_link_stay(bucket, make_mount):
    mount = make_mount(bucket, ["attr_timeout=0"])
    os.mkdir(mount / "dir")
    os.symlink("target", mount / "link")
    mount.sync()
    for key in ("dir/", "link"):
        set_tags(bucket, key)
    os.chmod(mount / "dir", 0o700)
    os.chown(mount / "link", 7, 7, follow_symlinks=False)
    mount.sync()
    os.rename(mount / "dir", mount / "moved")
    os.rename(mount / "link", mount / "new")
    assert (tags_of(bucket, "moved/"), tags_of(bucket, "new")) == (TAGS, TAGS)
    assert os.readlink(mount / "new") == "target"


def test_tags_that_are_set_after_we_saw_the_file_stay(mount, bucket):
    """They make no new version: nothing but the next HEAD tells of them."""
    write_file(mount / "file", b"first")
    assert read_file(mount / "file") == b"first"
    set_tags(bucket, "file")
    write_file(mount / "file", b"second")
    assert tags_of(bucket, "file") == TAGS
    bucket.client.delete_object_tagging(Bucket=bucket.name, Key="file")
    write_file(mount / "file", b"third")
    assert tags_of(bucket, "file") == {} and bucket.get("file") == b"third"


def test_files_without_tags_cost_no_request_for_them(mount, bucket, server):
    server.control("DELETE")
    bucket.put("file", b"x")
    for change in (rewrite, chmod, rename):
        change(pathlib.Path(mount.path))
    mount.sync()
    assert server.control().get("GetObjectTagging", 0) == 0


def test_where_tags_may_not_be_read_the_file_is_not_written_without_them(mount, bucket, server):
    bucket.put("file", b"theirs")
    set_tags(bucket, "file")
    server.fault(op="GetObjectTagging", action="status:403:AccessDenied", count=1)
    done = subprocess.run(["sh", "-c", f"echo ours > {mount / 'file'}"], capture_output=True, text=True, check=False)
    mount.wait_clean(20)
    assert (tags_of(bucket, "file"), bucket.get("file")) == (TAGS, b"ours\n")
    assert "GetObjectTagging" in mount.process.output(), done.stderr

"""The embedded S3 server: listings, small and large, and what a restart finds again."""
import bisect
import concurrent.futures
import os
import random
import time
import uuid

import pytest

from embedded import EmbeddedServer, Refused, keys_of, prefixes_of
from processes import WORK


@pytest.fixture(scope="module")
def own():
    server = EmbeddedServer(WORK / f"own-{uuid.uuid4().hex[:8]}", "--min-part-size", "1K", "--fast-etag")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def s3(own):
    return own.client()


def fill(s3, bucket, keys):
    s3.create_bucket(Bucket=bucket)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key), keys))


def model(keys, prefix="", delimiter="", after=""):
    """What a listing holds by the book: keys and common prefixes, in order."""
    found = []
    for key in sorted(keys, key=lambda key: key.encode()):
        if not key.startswith(prefix) or key.encode() <= after.encode():
            continue
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key[:end + len(delimiter)] if end >= 0 else key
        if end >= 0 and (name == after or (found and found[-1] == name)):
            continue
        found.append(name)
    return found


def read_pages(call, **arguments):
    """All pages in order, merged as their keys are; checks that no page is larger than asked for."""
    names, state = [], {}
    for _ in range(10000):
        page = call(**arguments, **state)
        found = sorted(keys_of(page) + prefixes_of(page), key=lambda key: key.encode())
        assert len(found) <= arguments.get("MaxKeys", 1000)
        names += found
        if not page["IsTruncated"]:
            return names
        if "NextContinuationToken" in page:
            state = {"ContinuationToken": page["NextContinuationToken"]}
        else:
            state = {"Marker": page.get("NextMarker") or keys_of(page)[-1]}
    raise AssertionError("the listing does not end")


KEYS = ["a", "a/", "a/b", "a/b/c", "a/b/d", "a/c", "a0", "ab", "a//", "a//x", "b/", "b/c/d/e", "c", "d/1", "d/2",
        "dir-x/1", "dir/1", "dir/2", "dir0", "e&f/<g>", "h i/j+k", "é/ü", "\U00010000", "\uffff", "z/z"]


@pytest.mark.parametrize("version", ["list_objects", "list_objects_v2"])
def test_listings_agree_with_a_model(s3, version):
    bucket = f"list-{uuid.uuid4().hex[:8]}"
    fill(s3, bucket, KEYS)
    call = getattr(s3, version)
    for prefix in ("", "a", "a/", "a/b", "d", "dir", "dir/", "none", "z/z"):
        for delimiter in ("", "/", "b", "//"):
            wanted = model(KEYS, prefix, delimiter)
            for size in (1, 2, 7, 1000):
                assert read_pages(call, Bucket=bucket, Prefix=prefix, Delimiter=delimiter, MaxKeys=size) == wanted
    for after in ("a", "a/", "a/b", "a/zzz", "dir/", "zzz", "\uffff", "\U00010000"):
        for delimiter in ("", "/"):
            name = "Marker" if version == "list_objects" else "StartAfter"
            page = call(Bucket=bucket, Delimiter=delimiter, **{name: after})
            found = sorted(keys_of(page) + prefixes_of(page), key=lambda key: key.encode())
            assert found == model(KEYS, "", delimiter, after), (after, delimiter)


def test_a_page_says_what_it_is(s3):
    bucket = f"list-{uuid.uuid4().hex[:8]}"
    fill(s3, bucket, ["a/1", "b", "c"])
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/", MaxKeys=2)
    assert (page["KeyCount"], page["MaxKeys"], page["IsTruncated"], page["Name"]) == (2, 2, True, bucket)
    assert page["Contents"][0]["Size"] == 0 and page["Contents"][0]["StorageClass"] == "STANDARD"
    assert page["Contents"][0]["ETag"] == s3.head_object(Bucket=bucket, Key="b")["ETag"]
    page = s3.list_objects_v2(Bucket=bucket, MaxKeys=0)
    assert page["KeyCount"] == 0 and not page["IsTruncated"]
    with Refused(400, "InvalidArgument"):
        s3.list_objects_v2(Bucket=bucket, ContinuationToken="nonsense")
    with Refused(404, "NoSuchBucket"):
        s3.list_objects_v2(Bucket="no-such-bucket")


def test_a_restart_finds_everything_again(s3, own):
    bucket = f"kept-{uuid.uuid4().hex[:8]}"
    data = os.urandom(300000)
    fill(s3, bucket, ["gone", "empty"])
    s3.put_object(Bucket=bucket, Key="k\tü=&%", Body=data, ContentType="text/x", Metadata={"a": "1=2&3 %4"})
    s3.put_object(Bucket=bucket, Key="over", Body=b"old" * 1000)
    s3.put_object(Bucket=bucket, Key="over", Body=b"new" * 1000)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k\tü=&%"})
    s3.delete_object(Bucket=bucket, Key="gone")
    ended = s3.create_multipart_upload(Bucket=bucket, Key="parts", Metadata={"m": "x"})["UploadId"]
    running = s3.create_multipart_upload(Bucket=bucket, Key="running")["UploadId"]
    for upload, key in ((ended, "parts"), (running, "running")):
        etags = [s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=n, Body=data[n * 2000:][:2000])
                 ["ETag"] for n in (1, 2)]
        if upload == ended:
            s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={
                "Parts": [{"PartNumber": n + 1, "ETag": etag} for n, etag in enumerate(etags)]})
    for kill in (False, True, False):
        before = {key: s3.head_object(Bucket=bucket, Key=key) for key in keys_of(s3.list_objects_v2(Bucket=bucket))}
        own.restart(kill)
        s3 = own.client()
        assert sorted(before) == ["copy", "empty", "k\tü=&%", "over", "parts"]
        for key, head in before.items():
            reply = s3.get_object(Bucket=bucket, Key=key)
            body = reply["Body"].read()
            assert [reply[name] for name in ("ETag", "LastModified", "ContentType", "Metadata")] == [
                head[name] for name in ("ETag", "LastModified", "ContentType", "Metadata")]
            assert body == {"copy": data, "empty": b"", "k\tü=&%": data, "over": b"new" * 1000,
                            "parts": data[2000:6000]}[key]
        assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [running]
    listed = s3.list_parts(Bucket=bucket, Key="running", UploadId=running)["Parts"]
    s3.complete_multipart_upload(Bucket=bucket, Key="running", UploadId=running, MultipartUpload={
        "Parts": [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in listed]})
    assert s3.get_object(Bucket=bucket, Key="running")["Body"].read() == data[2000:6000]


def files_of(own):
    return sum(len(names) for _, _, names in os.walk(own.directory / "root" / "data"))


def test_what_nothing_refers_to_leaves_the_disk(own):
    s3 = own.client()
    bucket = f"disk-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    before = files_of(own)
    for _ in range(3):
        s3.put_object(Bucket=bucket, Key="key", Body=b"x" * 5000)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "key"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="up")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="up", UploadId=upload, PartNumber=1, Body=b"y" * 5000)
    assert files_of(own) == before + 2  # the copy shares its file
    s3.delete_object(Bucket=bucket, Key="key")
    s3.abort_multipart_upload(Bucket=bucket, Key="up", UploadId=upload)
    assert files_of(own) == before + 1
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"x" * 5000
    s3.delete_object(Bucket=bucket, Key="copy")
    assert files_of(own) == before


def write_index(own, bucket, keys):
    """A large bucket without a request per key: lines of the index, as the server writes them."""
    with open(own.directory / "root" / "index.log", "a", encoding="utf-8") as log:
        log.write(f"B\t{bucket}\t19000000000\n")
        log.writelines(f"O\t{bucket}\t{key}\t19000000000\t%22x%22\t0\t\tcontent-type=text%2Fplain\n" for key in keys)


@pytest.mark.limit(300)
def test_large_buckets_are_listed_fast(own):
    keys = [f"dir/{n:06d}" for n in range(100000)] + [f"many/{n:05d}/file" for n in range(50000)] + [
        f"other/{n % 10}/{n:05d}" for n in range(50000)]
    own.stop()
    write_index(own, "large", keys)
    started = time.monotonic()
    own.start()
    assert time.monotonic() - started < 10
    s3 = own.client()

    def timed(**arguments):
        start = time.monotonic()
        names = read_pages(s3.list_objects_v2, Bucket="large", **arguments)
        return names, time.monotonic() - start
    names, seconds = timed(Delimiter="/")
    assert names == ["dir/", "many/", "other/"] and seconds < 0.2
    names, seconds = timed(Delimiter="/", Prefix="other/")
    assert len(names) == 10 and seconds < 0.2
    names, seconds = timed(Delimiter="/", Prefix="dir/")
    assert len(names) == 100000 and seconds < 40  # most of it is boto3 reading XML
    names, seconds = timed(Delimiter="/", Prefix="many/")
    assert len(names) == 50000 and seconds < 20
    ordered = sorted(keys)
    slowest = 0
    for key in random.Random(1).sample(keys, 100):
        start = time.monotonic()
        page = s3.list_objects_v2(Bucket="large", StartAfter=key, MaxKeys=3)
        slowest = max(slowest, time.monotonic() - start)
        at = bisect.bisect_right(ordered, key)
        assert keys_of(page) == ordered[at:at + 3]
    assert slowest < 0.5

"""The embedded S3 server: buckets, objects, conditions, copies and multipart uploads, as boto3 sees them."""
import concurrent.futures
import datetime
import hashlib
import os
import time
import uuid

import botocore.exceptions
import pytest

from embedded import EmbeddedServer, Refused, keys_of, md5
from processes import WORK


@pytest.fixture(scope="module")
def own():
    server = EmbeddedServer(WORK / f"own-{uuid.uuid4().hex[:8]}", "--min-part-size", "1K", "--max-part-size", "4M",
                            "--max-put-size", "8M", "--max-copy-size", "3M")
    yield server
    assert server.stop() == 0


@pytest.fixture
def make_server(tmp_path):
    made = []

    def make(*options, **arguments):
        made.append(EmbeddedServer(tmp_path / f"server{len(made)}", *options, **arguments))
        return made[-1]
    yield make
    for server in made:
        server.stop()


@pytest.fixture(scope="module")
def s3(own):
    return own.client()


@pytest.fixture
def bucket(s3):
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


# --- buckets ---

def test_buckets_are_made_listed_and_removed(own, s3):
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    assert name in [item["Name"] for item in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    with Refused(409, "BucketAlreadyOwnedByYou"):
        s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="key")
    with Refused(409, "BucketNotEmpty"):
        s3.delete_bucket(Bucket=name)
    s3.delete_object(Bucket=name, Key="key")
    s3.delete_bucket(Bucket=name)
    with Refused(404):
        s3.head_bucket(Bucket=name)
    with Refused(404, "NoSuchBucket"):
        s3.put_object(Bucket=name, Key="key", Body=b"x")
    assert name not in [item["Name"] for item in s3.list_buckets()["Buckets"]]


def test_a_bucket_of_another_region_says_where_it_is(make_server):
    server = make_server("--region", "eu-central-1", "--create-bucket", "far")
    s3 = server.client(region="eu-central-1")
    assert s3.head_bucket(Bucket="far")["BucketRegion"] == "eu-central-1"
    assert s3.get_bucket_location(Bucket="far")["LocationConstraint"] == "eu-central-1"
    with Refused(400, "AuthorizationHeaderMalformed") as refused:
        server.client(region="us-west-2").list_buckets()
    assert refused.error["Error"]["Region"] == "eu-central-1"
    s3.put_object(Bucket="far", Key="key", Body=b"x")
    # boto3 finds the right region by itself from that answer
    assert server.client(region="us-west-2").get_object(Bucket="far", Key="key")["Body"].read() == b"x"


def test_what_is_not_there_says_so(s3, bucket):
    with Refused(501, "NotImplemented"):
        s3.get_bucket_cors(Bucket=bucket)
    with Refused(501, "NotImplemented"):
        s3.put_object_legal_hold(Bucket=bucket, Key="key", LegalHold={"Status": "ON"})
    with Refused(501, "NotImplemented"):
        s3.list_object_versions(Bucket=bucket)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"]


# --- objects ---

@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 65537, 3 << 20])
def test_what_was_put_is_what_is_got(s3, bucket, size):
    data = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="key", Body=data, ContentType="text/plain", CacheControl="no-cache",
                        StorageClass="STANDARD_IA", Metadata={"mode": "33188", "mtime": "1.5"})
    assert put["ETag"] == md5(data)
    for reply in s3.head_object(Bucket=bucket, Key="key"), s3.get_object(Bucket=bucket, Key="key"):
        assert reply["ETag"] == md5(data)
        assert reply["ContentLength"] == size
        assert reply["ContentType"] == "text/plain"
        assert reply["CacheControl"] == "no-cache"
        assert reply["StorageClass"] == "STANDARD_IA"
        assert reply["Metadata"] == {"mode": "33188", "mtime": "1.5"}
        assert abs(reply["LastModified"].timestamp() - time.time()) < 60
    assert reply["Body"].read() == data


@pytest.mark.parametrize("key", [
    "plain", "a/b/c", "a//b", "/leading", "trailing/", "with space", "plus+plus", "%41 percent", "ü–€😀", "q?x=1&y#f",
    "<&>\"'", "*()!~,;:@=$", "..", "tab\there", "line\nfeed", "\x01\x7f", "x" * 1024])
def test_every_key_comes_back_as_it_went(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == [key]
    assert keys_of(s3.list_objects(Bucket=bucket)) == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()
    if "\x01" in key:  # no XML 1.0 can hold it
        s3.delete_object(Bucket=bucket, Key=key)
    else:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    with Refused(404):
        s3.head_object(Bucket=bucket, Key=key)


def test_a_key_or_metadata_beyond_the_limit_is_refused(s3, bucket):
    with Refused(400, "KeyTooLongError"):
        s3.put_object(Bucket=bucket, Key="x" * 1025)
    with Refused(400, "MetadataTooLarge"):
        s3.put_object(Bucket=bucket, Key="key", Metadata={"large": "x" * 2048})
    with Refused(400, "EntityTooLarge"):
        s3.put_object(Bucket=bucket, Key="key", Body=bytes((8 << 20) + 1))
    with Refused(404):
        s3.head_object(Bucket=bucket, Key="key")


@pytest.mark.parametrize("header,first,last", [
    ("bytes=0-0", 0, 0), ("bytes=10-19", 10, 19), ("bytes=90000-", 90000, 99999), ("bytes=-5", 99995, 99999),
    ("bytes=-200000", 0, 99999), ("bytes=99999-200000", 99999, 99999), ("bytes=0-99999", 0, 99999)])
def test_a_range_is_answered_with_206(s3, bucket, header, first, last):
    data = os.urandom(100000)
    s3.put_object(Bucket=bucket, Key="key", Body=data)
    reply = s3.get_object(Bucket=bucket, Key="key", Range=header)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert reply["ContentRange"] == f"bytes {first}-{last}/100000"
    assert reply["Body"].read() == data[first:last + 1]


def test_a_range_beyond_the_end_is_416_and_a_malformed_one_is_ignored(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"0123456789")
    for header in "bytes=10-", "bytes=10-20", "bytes=-0":
        with Refused(416, "InvalidRange") as refused:
            s3.get_object(Bucket=bucket, Key="key", Range=header)
        assert refused.error["ResponseMetadata"]["HTTPHeaders"]["content-range"] == "bytes */10"
    for header in "bytes=5-3", "lines=1-2", "bytes=a-b":
        assert s3.get_object(Bucket=bucket, Key="key", Range=header)["Body"].read() == b"0123456789"
    s3.put_object(Bucket=bucket, Key="empty")
    with Refused(416, "InvalidRange"):
        s3.get_object(Bucket=bucket, Key="empty", Range="bytes=0-0")


def test_reads_obey_their_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"x")["ETag"]
    now = datetime.datetime.now(datetime.timezone.utc)
    earlier, later = now - datetime.timedelta(hours=1), now + datetime.timedelta(hours=1)
    for call in s3.get_object, s3.head_object:
        for good in ({"IfMatch": etag}, {"IfMatch": etag.strip('"')}, {"IfNoneMatch": '"other"'},
                     {"IfModifiedSince": earlier}, {"IfUnmodifiedSince": later},
                     {"IfMatch": etag, "IfUnmodifiedSince": earlier}):
            assert call(Bucket=bucket, Key="key", **good)["ETag"] == etag
        for condition, status in (({"IfMatch": '"other"'}, 412), ({"IfNoneMatch": etag}, 304),
                                  ({"IfModifiedSince": later}, 304), ({"IfUnmodifiedSince": earlier}, 412)):
            with Refused(status):
                call(Bucket=bucket, Key="key", **condition)


def test_writes_obey_their_conditions(s3, bucket):
    with Refused(404, "NoSuchKey"):
        s3.put_object(Bucket=bucket, Key="key", Body=b"0", IfMatch='"nothing"')
    first = s3.put_object(Bucket=bucket, Key="key", Body=b"1", IfNoneMatch="*")["ETag"]
    with Refused(412, "PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="key", Body=b"2", IfNoneMatch="*")
    second = s3.put_object(Bucket=bucket, Key="key", Body=b"3", IfMatch=first)["ETag"]
    with Refused(412, "PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="key", Body=b"4", IfMatch=first)
    with Refused(412, "PreconditionFailed"):
        s3.delete_object(Bucket=bucket, Key="key", IfMatch=first)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"3"
    s3.delete_object(Bucket=bucket, Key="key", IfMatch=second)
    with Refused(404):
        s3.head_object(Bucket=bucket, Key="key")
    s3.delete_object(Bucket=bucket, Key="key")


@pytest.mark.parametrize("what", ["create", "replace"])
def test_of_many_conditional_writes_at_once_one_wins(s3, bucket, what):
    condition = {"IfNoneMatch": "*"}
    if what == "replace":
        condition = {"IfMatch": s3.put_object(Bucket=bucket, Key="key", Body=b"base")["ETag"]}

    def write(number):
        try:
            s3.put_object(Bucket=bucket, Key="key", Body=b"%d" % number, **condition)
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return None
        return b"%d" % number
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        winners = [body for body in pool.map(write, range(32)) if body]
    assert len(winners) == 1
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == winners[0]


def test_servers_without_conditions(make_server):
    s3 = make_server("--no-conditions", "ignore", "--create-bucket", "old").client()
    s3.put_object(Bucket="old", Key="key", Body=b"1")
    s3.put_object(Bucket="old", Key="key", Body=b"2", IfNoneMatch="*")
    assert s3.get_object(Bucket="old", Key="key")["Body"].read() == b"2"
    s3 = make_server("--no-conditions", "unsupported", "--create-bucket", "old").client()
    with Refused(501, "NotImplemented"):
        s3.put_object(Bucket="old", Key="key", Body=b"2", IfNoneMatch="*")


def test_deletes_of_many_keys(s3, bucket):
    etags = {key: s3.put_object(Bucket=bucket, Key=key, Body=key.encode())["ETag"] for key in "abc"}
    reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": [
        {"Key": "a"}, {"Key": "absent"}, {"Key": "b", "ETag": etags["a"]}, {"Key": "c", "ETag": etags["c"]}]})
    assert sorted(item["Key"] for item in reply["Deleted"]) == ["a", "absent", "c"]
    assert [(item["Key"], item["Code"]) for item in reply["Errors"]] == [("b", "PreconditionFailed")]
    reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    assert "Deleted" not in reply and keys_of(s3.list_objects_v2(Bucket=bucket)) == []


# --- copies ---

def test_copies_keep_or_replace_the_metadata(s3, bucket):
    data = os.urandom(200000)
    etag = s3.put_object(Bucket=bucket, Key="a", Body=data, ContentType="text/a", Metadata={"x": "1"})["ETag"]
    source = {"Bucket": bucket, "Key": "a"}
    assert s3.copy_object(Bucket=bucket, Key="b", CopySource=source)["CopyObjectResult"]["ETag"] == etag
    s3.copy_object(Bucket=bucket, Key="c", CopySource=source, MetadataDirective="REPLACE", ContentType="text/c",
                   Metadata={"y": "2"})
    s3.delete_object(Bucket=bucket, Key="a")
    b, c = (s3.get_object(Bucket=bucket, Key=key) for key in "bc")
    assert (b["ContentType"], b["Metadata"], b["Body"].read() == data) == ("text/a", {"x": "1"}, True)
    assert (c["ContentType"], c["Metadata"], c["Body"].read() == data) == ("text/c", {"y": "2"}, True)


def tags_of(s3, bucket, key):
    return {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}


def test_tags_are_kept_by_copies_and_lost_by_what_is_written_anew(s3, bucket):
    tags = {"team": "a + b", "empty": ""}
    s3.put_object(Bucket=bucket, Key="a", Body=b"a", Tagging="team=a%20%2B%20b&empty=")
    assert (tags_of(s3, bucket, "a"), s3.head_object(Bucket=bucket, Key="a")["TagCount"]) == (tags, 2)
    source = {"Bucket": bucket, "Key": "a"}
    s3.copy_object(Bucket=bucket, Key="b", CopySource=source, MetadataDirective="REPLACE", Tagging="x=y")
    s3.copy_object(Bucket=bucket, Key="c", CopySource=source, TaggingDirective="REPLACE", Tagging="x=y")
    assert (tags_of(s3, bucket, "b"), tags_of(s3, bucket, "c")) == (tags, {"x": "y"})
    before = s3.head_object(Bucket=bucket, Key="a")
    s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": [{"Key": "n", "Value": "1"}]})
    after = s3.head_object(Bucket=bucket, Key="a")
    assert (tags_of(s3, bucket, "a"), after["ETag"], after["LastModified"]) == (
        {"n": "1"}, before["ETag"], before["LastModified"])
    s3.delete_object_tagging(Bucket=bucket, Key="b")
    s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    assert (tags_of(s3, bucket, "a"), tags_of(s3, bucket, "b")) == ({}, {})
    assert "TagCount" not in s3.head_object(Bucket=bucket, Key="a")
    with Refused(404, "NoSuchKey"):
        tags_of(s3, bucket, "absent")


def test_class_and_encryption_are_the_destinations_own(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"a", StorageClass="STANDARD_IA", ServerSideEncryption="aws:kms")
    source = {"Bucket": bucket, "Key": "a"}
    s3.copy_object(Bucket=bucket, Key="b", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="c", CopySource=source, StorageClass="STANDARD_IA",
                   ServerSideEncryption="aws:kms")
    heads = [s3.head_object(Bucket=bucket, Key=key) for key in "abc"]
    assert [(head.get("StorageClass"), head.get("ServerSideEncryption")) for head in heads] == [
        ("STANDARD_IA", "aws:kms"), (None, None), ("STANDARD_IA", "aws:kms")]
    assert len({head["ETag"] for head in heads}) == 3  # of what KMS encrypts they are no MD5


def test_copies_obey_conditions_of_both_sides(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"a")["ETag"]
    other = s3.put_object(Bucket=bucket, Key="b", Body=b"b")["ETag"]
    source = {"Bucket": bucket, "Key": "a"}
    for condition in ({"CopySourceIfMatch": other}, {"CopySourceIfNoneMatch": etag}, {"IfNoneMatch": "*"},
                      {"IfMatch": etag}):
        with Refused(412, "PreconditionFailed"):
            s3.copy_object(Bucket=bucket, Key="b", CopySource=source, **condition)
    assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == b"b"
    s3.copy_object(Bucket=bucket, Key="b", CopySource=source, CopySourceIfMatch=etag, IfMatch=other)
    s3.copy_object(Bucket=bucket, Key="new", CopySource=source, IfNoneMatch="*")
    for key in "b", "new":
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"a"


def test_copies_that_cannot_be(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    s3.put_object(Bucket=bucket, Key="large", Body=bytes((3 << 20) + 1))
    with Refused(400, "InvalidRequest"):
        s3.copy_object(Bucket=bucket, Key="a", CopySource={"Bucket": bucket, "Key": "a"})
    with Refused(400, "InvalidRequest"):
        s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "large"})
    with Refused(404, "NoSuchKey"):
        s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "absent"})
    with Refused(404, "NoSuchBucket"):
        s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": "no-such-bucket", "Key": "a"})


# --- multipart ---

def upload_parts(s3, bucket, key, parts, **arguments):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **arguments)["UploadId"]
    return upload, [{"PartNumber": number, "ETag": s3.upload_part(
        Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in parts]


def complete(s3, bucket, key, upload, parts, **arguments):
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts},
                                        **arguments)


def test_a_multipart_upload_is_its_parts_in_order(s3, bucket):
    bodies = [os.urandom(size) for size in (300000, 2048, 100000, 1)]
    upload, parts = upload_parts(s3, bucket, "key", [(n, bodies[i]) for i, n in ((3, 900), (0, 2), (2, 70), (1, 5))],
                                 Metadata={"x": "1"}, ContentType="text/x")
    parts.sort(key=lambda part: part["PartNumber"])
    bodies = [bodies[0], bodies[1], bodies[2], bodies[3]]
    listed = s3.list_parts(Bucket=bucket, Key="key", UploadId=upload)["Parts"]
    assert [(part["PartNumber"], part["Size"], part["ETag"]) for part in listed] == [
        (number, len(body), md5(body)) for number, body in zip((2, 5, 70, 900), bodies)]
    page = s3.list_parts(Bucket=bucket, Key="key", UploadId=upload, MaxParts=2)
    assert page["IsTruncated"] and page["NextPartNumberMarker"] == 5
    page = s3.list_parts(Bucket=bucket, Key="key", UploadId=upload, PartNumberMarker=5)
    assert [part["PartNumber"] for part in page["Parts"]] == [70, 900] and not page["IsTruncated"]
    with Refused(404):
        s3.head_object(Bucket=bucket, Key="key")
    etag = complete(s3, bucket, "key", upload, parts)["ETag"]
    assert etag == md5(b"".join(hashlib.md5(body).digest() for body in bodies))[:-1] + '-4"'
    reply = s3.get_object(Bucket=bucket, Key="key")
    data = b"".join(bodies)
    assert (reply["ETag"], reply["Metadata"], reply["ContentType"]) == (etag, {"x": "1"}, "text/x")
    assert reply["Body"].read() == data
    for first, last in ((0, 299999), (299999, 300001), (299990, 402047), (302048, 402048), (400000, 402048)):
        got = s3.get_object(Bucket=bucket, Key="key", Range=f"bytes={first}-{last}")["Body"].read()
        assert got == data[first:last + 1]
    with Refused(404, "NoSuchUpload"):
        complete(s3, bucket, "key", upload, parts)


def test_a_part_may_be_sent_again_or_left_out(s3, bucket):
    upload, parts = upload_parts(s3, bucket, "key", [(1, b"old" * 1000), (1, b"new" * 1000), (2, b"left out"),
                                                     (3, b"end")])
    complete(s3, bucket, "key", upload, parts[1:2] + parts[3:])
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"new" * 1000 + b"end"


def test_an_upload_that_does_not_fit_is_refused_and_stays(s3, bucket):
    upload, parts = upload_parts(s3, bucket, "key", [(1, b"x" * 1024), (2, b"y" * 1023), (3, b"z")])
    with Refused(400, "EntityTooSmall"):
        complete(s3, bucket, "key", upload, parts)
    with Refused(400, "InvalidPartOrder"):
        complete(s3, bucket, "key", upload, [parts[2], parts[0]])
    with Refused(400, "InvalidPart"):
        complete(s3, bucket, "key", upload, [{"PartNumber": 1, "ETag": parts[1]["ETag"]}])
    with Refused(400, "InvalidPart"):
        complete(s3, bucket, "key", upload, [parts[0], {"PartNumber": 4, "ETag": parts[1]["ETag"]}])
    with Refused(400, "MalformedXML"):
        complete(s3, bucket, "key", upload, [])
    with Refused(400, "EntityTooLarge"):
        s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=1, Body=bytes((4 << 20) + 1))
    with Refused(400, "InvalidArgument"):
        s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=10001, Body=b"x")
    with Refused(404, "NoSuchUpload"):
        s3.upload_part(Bucket=bucket, Key="other", UploadId=upload, PartNumber=1, Body=b"x")
    complete(s3, bucket, "key", upload, parts[:1])


def test_completing_obeys_its_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"old")["ETag"]
    upload, parts = upload_parts(s3, bucket, "key", [(1, b"new")])
    for condition in {"IfNoneMatch": "*"}, {"IfMatch": '"other"'}:
        with Refused(412, "PreconditionFailed"):
            complete(s3, bucket, "key", upload, parts, **condition)
    complete(s3, bucket, "key", upload, parts, IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"new"


def test_uploads_are_listed_and_aborted(s3, bucket):
    ids = {}
    for key in ("b/1", "a/1", "a/2", "a/1", "c"):
        ids.setdefault(key, []).append(s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"])
    listed = [(item["Key"], item["UploadId"]) for item in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]]
    assert listed == [(key, upload) for key in sorted(ids) for upload in sorted(ids[key])]
    paged, marker = [], {}
    while True:
        page = s3.list_multipart_uploads(Bucket=bucket, Prefix="a/", MaxUploads=1, **marker)
        paged += [(item["Key"], item["UploadId"]) for item in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert paged == [item for item in listed if item[0].startswith("a/")]
    for key, upload in listed:
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with Refused(404, "NoSuchUpload"):
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)


def test_parts_are_copied_from_ranges(s3, bucket):
    data = os.urandom(100000)
    etag = s3.put_object(Bucket=bucket, Key="a", Body=data)["ETag"]
    upload, parts = upload_parts(s3, bucket, "key", [(2, b"middle" * 1000)])
    source = {"CopySource": {"Bucket": bucket, "Key": "a"}, "CopySourceIfMatch": etag}
    target = {"Bucket": bucket, "Key": "key", "UploadId": upload}
    for number, header in ((1, "bytes=10-50009"), (3, "bytes=99999-99999")):
        part = s3.upload_part_copy(**target, **source, PartNumber=number, CopySourceRange=header)
        parts.append({"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]})
    with Refused(416, "InvalidRange"):
        s3.upload_part_copy(**target, **source, PartNumber=4, CopySourceRange="bytes=99999-100000")
    with Refused(400, "InvalidArgument"):
        s3.upload_part_copy(**target, **source, PartNumber=4, CopySourceRange="bytes=5-")
    with Refused(412, "PreconditionFailed"):
        s3.upload_part_copy(**target, **{**source, "CopySourceIfMatch": '"other"'}, PartNumber=4)
    s3.delete_object(Bucket=bucket, Key="a")
    complete(s3, bucket, "key", upload, sorted(parts, key=lambda part: part["PartNumber"]))
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == data[10:50010] + b"middle" * 1000 + data[-1:]

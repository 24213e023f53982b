"""The embedded S3 server: scripted faults and counters."""
import http.client
import threading
import time
import urllib.error
import uuid

import botocore.exceptions
import pytest

from embedded import EmbeddedServer, Refused, md5
from processes import WORK, wait_until


@pytest.fixture(scope="module")
def own():
    server = EmbeddedServer(WORK / f"own-{uuid.uuid4().hex[:8]}", "--create-bucket", "bucket", "--min-part-size", "1K")
    yield server
    assert server.stop() == 0


@pytest.fixture
def s3(own):
    own.clear()
    yield own.client()
    own.clear()


def exists(s3, key):
    try:
        s3.head_object(Bucket="bucket", Key=key)
    except botocore.exceptions.ClientError:
        return False
    return True


def test_a_status_hits_the_operation_the_keys_and_the_times_that_it_names(own, s3):
    own.fault(op="PutObject", key_prefix="a/", after=1, count=2, action="status:503:SlowDown")
    s3.put_object(Bucket="bucket", Key="b", Body=b"x")
    s3.put_object(Bucket="bucket", Key="a/1", Body=b"x")
    for key in "a/2", "a/3":
        with Refused(503, "SlowDown"):
            s3.put_object(Bucket="bucket", Key=key, Body=b"x")
        assert not exists(s3, key)
    s3.put_object(Bucket="bucket", Key="a/4", Body=b"x")


def test_a_fault_without_a_count_stays_until_it_is_cleared(own, s3):
    own.fault(op="*", action="status:500:InternalError")
    for _ in range(3):
        with Refused(500, "InternalError"):
            s3.list_buckets()
    own.clear()
    s3.list_buckets()


@pytest.mark.parametrize("action,applied", [("drop_before", False), ("drop_after", True)])
def test_a_dropped_connection(own, s3, action, applied):
    own.fault(op="PutObject", count=1, action=action)
    with pytest.raises((botocore.exceptions.ConnectionClosedError, botocore.exceptions.EndpointConnectionError)):
        s3.put_object(Bucket="bucket", Key=action, Body=b"x" * 100000)
    assert exists(s3, action) == applied


def test_a_stall_delays_that_request_alone(own, s3):
    s3.put_object(Bucket="bucket", Key="key", Body=b"x")
    own.fault(op="GetObject", count=1, action="stall:700")
    slow = threading.Thread(target=lambda: s3.get_object(Bucket="bucket", Key="key"))
    start = time.monotonic()
    slow.start()
    wait_until(lambda: own.control().get("GetObject"), 5, "the slow request")
    s3.get_object(Bucket="bucket", Key="key")
    assert time.monotonic() - start < 0.6
    slow.join()
    assert time.monotonic() - start >= 0.7


@pytest.mark.parametrize("taken", [1000, 1_000_000_000])
def test_a_connection_that_ends_within_or_after_the_body(own, s3, taken):
    own.fault(op="PutObject", count=1, action=f"drop_body:{taken}")
    with pytest.raises(botocore.exceptions.HTTPClientError):
        s3.put_object(Bucket="bucket", Key=f"dropped{taken}", Body=b"x" * 300_000)
    assert not exists(s3, f"dropped{taken}")


@pytest.mark.parametrize("size", [1000, 1000000])
def test_a_wrong_length(own, s3, size):
    s3.put_object(Bucket="bucket", Key="key", Body=b"x" * size)
    own.fault(op="GetObject", count=1, action="length:5")
    reply = s3.get_object(Bucket="bucket", Key="key")
    assert reply["ContentLength"] == size + 5
    with pytest.raises((botocore.exceptions.IncompleteReadError, botocore.exceptions.ResponseStreamingError,
                        http.client.IncompleteRead)):
        reply["Body"].read()
    own.fault(op="GetObject", count=1, action="length:-5")
    assert len(s3.get_object(Bucket="bucket", Key="key")["Body"].read()) == size - 5


def test_a_slow_body_and_one_that_stops(own, s3):
    s3.put_object(Bucket="bucket", Key="key", Body=b"x" * 1000)
    own.fault(op="GetObject", count=1, action="slow:1000")
    start = time.monotonic()
    assert len(s3.get_object(Bucket="bucket", Key="key")["Body"].read()) == 1000
    assert 0.7 < time.monotonic() - start < 5
    own.fault(op="GetObject", count=1, action="stall_body:500")
    connection = http.client.HTTPConnection("127.0.0.1", own.port, timeout=1)
    url = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "key"})
    connection.request("GET", url[url.index("/bucket"):])
    reply = connection.getresponse()
    assert reply.read(500) == b"x" * 500
    with pytest.raises(TimeoutError):
        reply.read(1)
    connection.close()


def test_a_fault_for_one_key_of_access(own, s3):
    own.fault(op="*", access_key="another", action="status:400:ExpiredToken")
    s3.list_buckets()
    own.fault(op="*", access_key="demo-access-key", action="status:400:ExpiredToken")
    with Refused(400, "ExpiredToken"):
        s3.list_buckets()


def test_opaque_etags_and_conditions_that_race(own, s3):
    assert s3.put_object(Bucket="bucket", Key="key", Body=b"x")["ETag"] == md5(b"x")
    own.control("POST", "/_control", action="etags:opaque")
    assert s3.put_object(Bucket="bucket", Key="key", Body=b"x")["ETag"] != md5(b"x")
    own.control("POST", "/_control", action="conditions:racy")
    with Refused(412):
        s3.put_object(Bucket="bucket", Key="key", Body=b"y", IfNoneMatch="*")
    won = []
    racers = [threading.Thread(target=lambda n=n: won.append(s3.put_object(
        Bucket="bucket", Key="raced", Body=b"%d" % n, IfNoneMatch="*"))) for n in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(won) > 1
    own.control("POST", "/_control", action="conditions:ignore")
    s3.put_object(Bucket="bucket", Key="key", Body=b"y", IfNoneMatch="*")


@pytest.mark.parametrize("size", [1000, 1000000])
def test_a_truncated_body(own, s3, size):
    s3.put_object(Bucket="bucket", Key="key", Body=b"x" * size)
    own.fault(op="GetObject", count=1, action="truncate:500")
    body = s3.get_object(Bucket="bucket", Key="key")["Body"]
    with pytest.raises((botocore.exceptions.IncompleteReadError, botocore.exceptions.ResponseStreamingError,
                        http.client.IncompleteRead)):
        body.read()
    assert len(s3.get_object(Bucket="bucket", Key="key")["Body"].read()) == size


def test_an_error_inside_of_200(own, s3):
    s3.put_object(Bucket="bucket", Key="key", Body=b"x")
    own.fault(op="CopyObject", count=1, action="error_in_200:SlowDown")
    connection = http.client.HTTPConnection("127.0.0.1", own.port)
    with pytest.raises(botocore.exceptions.ClientError) as caught:  # botocore knows of it
        s3.copy_object(Bucket="bucket", Key="copied", CopySource={"Bucket": "bucket", "Key": "key"})
    assert caught.value.response["Error"]["Code"] == "SlowDown"
    connection.close()
    assert not exists(s3, "copied")


def test_single_keys_of_a_delete_can_fail(own, s3):
    for key in "d1", "d2":
        s3.put_object(Bucket="bucket", Key=key)
    own.fault(op="DeleteObjects.Key", key_prefix="d2", action="status:500:InternalError")
    reply = s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "d1"}, {"Key": "d2"}]})
    assert [item["Key"] for item in reply["Deleted"]] == ["d1"]
    assert [(item["Key"], item["Code"]) for item in reply["Errors"]] == [("d2", "InternalError")]
    assert exists(s3, "d2")


def test_down_drops_every_connection_until_up(own, s3):
    s3.list_buckets()
    own.control("POST", "/_control", action="down")
    for _ in range(3):
        with pytest.raises(botocore.exceptions.HTTPClientError):
            s3.list_buckets()
    own.control("POST", "/_control", action="up")
    s3.list_buckets()


def test_requests_are_counted_by_operation(own, s3):
    s3.put_object(Bucket="bucket", Key="key", Body=b"x")
    s3.head_object(Bucket="bucket", Key="key")
    s3.head_object(Bucket="bucket", Key="key")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="key")["UploadId"]
    s3.abort_multipart_upload(Bucket="bucket", Key="key", UploadId=upload)
    assert own.control() == {"PutObject": 1, "HeadObject": 2, "CreateMultipartUpload": 1,
                             "AbortMultipartUpload": 1, "total": 5}
    own.control("DELETE", "/_control/requests")
    assert own.control() == {"total": 0}


@pytest.mark.parametrize("fault", [
    {"op": "NoSuchOperation", "action": "drop_before"}, {"op": "PutObject"}, {"action": "status:x"},
    {"action": "explode"}, {"action": "stall"}, {"action": "drop_before", "count": "many"},
    {"action": "drop_before", "oops": 1}])
def test_malformed_faults_are_refused(own, s3, fault):
    with pytest.raises(urllib.error.HTTPError) as caught:
        own.fault(**fault)
    assert caught.value.code == 400
    s3.list_buckets()

"""The embedded S3 server: who may ask, and whether bodies are what was signed. The signer is botocore, or this file."""
import base64
import datetime
import hashlib
import hmac
import http.client
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zlib

import boto3
import botocore
import botocore.config
import botocore.exceptions
import pytest

from embedded import ACCESS_KEY, SECRET_KEY, EmbeddedServer, Refused, keys_of, md5
from processes import WORK


@pytest.fixture(scope="module")
def own():
    server = EmbeddedServer(WORK / f"own-{uuid.uuid4().hex[:8]}", "--create-bucket", "bucket")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def s3(own):
    return own.client()


def test_wrong_keys_are_refused(own):
    with Refused(403, "InvalidAccessKeyId"):
        own.client(access="nobody").list_buckets()
    with Refused(403, "SignatureDoesNotMatch") as refused:
        own.client(secret="wrong-secret").list_objects_v2(Bucket="bucket", Prefix="a b")
    assert refused.error["Error"]["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    assert SECRET_KEY not in str(refused.error)
    with Refused(400, "InvalidToken"):
        own.client(token="unknown").list_buckets()
    with Refused(403, "AccessDenied"):
        own.client(signature_version=botocore.UNSIGNED).list_objects_v2(Bucket="bucket")
    with Refused(403):
        own.client(secret="wrong-secret").head_bucket(Bucket="bucket")


def test_any_region_is_right_unless_one_is_given(own):
    assert own.client(region="mars-north-1").list_objects_v2(Bucket="bucket")["KeyCount"] >= 0


def test_keys_come_from_the_environment_or_a_file(tmp_path):
    (tmp_path / "keys").write_text("# two keys\nfirst:first-secret\n\nsecond:second-secret:second-token\n")
    server = EmbeddedServer(tmp_path / "file", "--access-key-file", tmp_path / "keys")
    server.client("first", "first-secret").list_buckets()
    server.client("second", "second-secret", token="second-token").list_buckets()
    with Refused(403, "InvalidAccessKeyId"):
        server.client("second", "second-secret").list_buckets()
    with Refused(403, "InvalidAccessKeyId"):
        server.client().list_buckets()
    server.stop()
    server = EmbeddedServer(tmp_path / "environment", environment={
        "S3SERVER_ACCESS_KEY": "mine", "S3SERVER_SECRET_KEY": "my-secret"})
    server.client("mine", "my-secret").list_buckets()
    with Refused(403, "InvalidAccessKeyId"):
        server.client().list_buckets()
    assert "my-secret" not in server.process.output()
    server.stop()


def test_a_skewed_clock_is_told(own, s3):
    own.control("POST", "/_control", action="skew:1200")
    try:
        with Refused(403, "RequestTimeTooSkewed") as refused:
            s3.list_buckets()
        assert refused.error["Error"]["ServerTime"]
        date = refused.error["ResponseMetadata"]["HTTPHeaders"]["date"]
        skewed = datetime.datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=datetime.timezone.utc)
        assert 1190 < skewed.timestamp() - time.time() < 1210
        own.control("POST", "/_control", action="skew:-1200")
        with Refused(403, "RequestTimeTooSkewed"):
            s3.list_buckets()
        own.control("POST", "/_control", action="skew:-600")
        s3.list_buckets()
    finally:
        own.clear()


def fetch(url, method="GET", data=None, headers=None, context=None):
    request = urllib.request.Request(url, method=method, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_presigned_urls(own, s3):
    key = "pre signed/ü"
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": key}, ExpiresIn=60)
    get = s3.generate_presigned_url(
        "get_object", Params={"Bucket": "bucket", "Key": key, "ResponseContentType": "text/x"}, ExpiresIn=60)
    assert fetch(put, "PUT", b"data")[0] == 200
    assert fetch(get) == (200, b"data")
    assert b"SignatureDoesNotMatch" in fetch(get.replace("text%2Fx", "text%2Fy"))[1]
    assert b"SignatureDoesNotMatch" in fetch(get, "DELETE")[1]
    own.control("POST", "/_control", action="skew:61")
    status, body = fetch(get)
    own.clear()
    assert status == 403 and b"Request has expired" in body


# --- requests signed here, to send what no library sends ---

def sign(method, path, host, payload, headers, query=""):
    """Headers of a signed request, and what signing chunks needs."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": host, "x-amz-date": now, "x-amz-content-sha256": payload,
               **{name.lower(): value for name, value in headers.items()}}
    names = ";".join(sorted(headers))
    canonical = "\n".join([method, path, query, *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names,
                           payload])
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET_KEY}".encode()
    for item in scope.split("/"):
        key = hmac.digest(key, item.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, "
                                f"Signature={signature}")
    return headers, key, now, scope, signature


def send(own, method, path, headers, body):
    connection = http.client.HTTPConnection("127.0.0.1", own.port, timeout=20)
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    status, text = reply.status, reply.read()
    connection.close()
    return status, text


def host(own):
    return f"127.0.0.1:{own.port}"


def test_virtual_hosts(own, s3):
    s3.put_object(Bucket="bucket", Key="host/key", Body=b"x")
    name = f"bucket.localhost:{own.port}"  # not resolved: the header alone decides
    for path, query, status, found in (("/host/key", "", 200, b"x"), ("/", "list-type=2", 200, b"<Key>host/key<"),
                                       ("/bucket/host/key", "", 404, b"NoSuchKey")):
        headers = sign("GET", path, name, "UNSIGNED-PAYLOAD", {}, query)[0]
        got, text = send(own, "GET", f"{path}?{query}", headers, None)
        assert got == status and found in text
    headers = sign("GET", "/", f"no-such.localhost:{own.port}", "UNSIGNED-PAYLOAD", {})[0]
    assert b"NoSuchBucket" in send(own, "GET", "/", headers, None)[1]


def test_a_body_that_is_not_what_was_signed_is_refused(own, s3):
    signed = hashlib.sha256(b"right").hexdigest()
    headers = sign("PUT", "/bucket/signed", host(own), signed, {})[0]
    status, text = send(own, "PUT", "/bucket/signed", headers, b"wrong")
    assert status == 400 and b"XAmzContentSHA256Mismatch" in text
    with Refused(404):
        s3.head_object(Bucket="bucket", Key="signed")
    assert send(own, "PUT", "/bucket/signed", headers, b"right")[0] == 200
    assert s3.get_object(Bucket="bucket", Key="signed")["Body"].read() == b"right"


@pytest.mark.parametrize("name,digest", [
    ("content-md5", lambda data: hashlib.md5(data).digest()),
    ("x-amz-checksum-sha1", lambda data: hashlib.sha1(data).digest()),
    ("x-amz-checksum-sha256", lambda data: hashlib.sha256(data).digest()),
    ("x-amz-checksum-crc32", lambda data: zlib.crc32(data).to_bytes(4, "big"))])
def test_digests_of_the_body_are_checked(own, name, digest):
    data = os.urandom(100001)
    for body, status in ((data, 200), (data[:-1] + bytes([data[-1] ^ 1]), 400)):
        headers = sign("PUT", "/bucket/sum", host(own), "UNSIGNED-PAYLOAD",
                       {name: base64.b64encode(digest(data)).decode()})[0]
        assert send(own, "PUT", "/bucket/sum", headers, body)[0] == status


# "123456789" is the check value of the CRC catalogues
@pytest.mark.parametrize("name,value", [
    ("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888")])
def test_crcs_are_those_of_the_catalogue(own, name, value):
    for body, status in ((b"123456789", 200), (b"123456780", 400)):
        headers = sign("PUT", "/bucket/sum", host(own), "UNSIGNED-PAYLOAD",
                       {f"x-amz-checksum-{name}": base64.b64encode(bytes.fromhex(value)).decode()})[0]
        assert send(own, "PUT", "/bucket/sum", headers, body)[0] == status


def chunks_of(pieces, key, now, scope, signature):
    """Body of STREAMING-AWS4-HMAC-SHA256-PAYLOAD."""
    body = b""
    for piece in [*pieces, b""]:
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", now, scope, signature, hashlib.sha256(b"").hexdigest(),
                          hashlib.sha256(piece).hexdigest()])
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        body += f"{len(piece):x};chunk-signature={signature}\r\n".encode() + piece + b"\r\n"
    return body


@pytest.mark.parametrize("damage", [None, "data", "signature", "length", "truncated"])
def test_signed_chunks(own, s3, damage):
    pieces = [os.urandom(65536), os.urandom(65536), os.urandom(1234)]
    data = b"".join(pieces)
    key = f"chunks-{damage}"
    length = len(data) + (1 if damage == "length" else 0)
    headers, *signing = sign("PUT", f"/bucket/{key}", host(own), "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                             {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(length)})
    body = bytearray(chunks_of(pieces, *signing))
    if damage == "data":
        body[70000] ^= 1
    elif damage == "signature":
        body[body.index(b"chunk-signature=", 70000) + 20] ^= 1
    elif damage == "truncated":
        del body[-100:]
    status, text = send(own, "PUT", f"/bucket/{key}", headers, bytes(body))
    if damage is None:
        assert status == 200, text
        reply = s3.get_object(Bucket="bucket", Key=key)
        assert reply["Body"].read() == data and "ContentEncoding" not in reply
        return
    assert status == (403 if damage in ("data", "signature") else 400), text
    with Refused(404):
        s3.head_object(Bucket="bucket", Key=key)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_chunks_with_a_trailing_checksum_as_boto3_sends_them(own, tmp_path, algorithm):
    # boto3 sends trailers over HTTPS only
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
                    "-out", certificate], check=True, capture_output=True)
    server = EmbeddedServer(tmp_path / "server", "--tls-cert", certificate, "--tls-key", key, "--create-bucket", "tls",
                            scheme="https")
    s3 = server.client(verify=str(certificate))
    data = os.urandom(3000000)
    (tmp_path / "file").write_bytes(data)
    with open(tmp_path / "file", "rb") as body:
        s3.put_object(Bucket="tls", Key="key", Body=body, ChecksumAlgorithm=algorithm)
    reply = s3.get_object(Bucket="tls", Key="key")
    assert (reply["Body"].read() == data, reply["ETag"]) == (True, md5(data))
    server.stop()


@pytest.mark.parametrize("good", [True, False])
def test_an_unsigned_trailer_is_checked(own, good):
    data = b"x" * 100000
    checksum = base64.b64encode(zlib.crc32(data if good else b"else").to_bytes(4, "big")).decode()
    headers = sign("PUT", "/bucket/trailer", host(own), "STREAMING-UNSIGNED-PAYLOAD-TRAILER", {
        "content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(data)),
        "x-amz-trailer": "x-amz-checksum-crc32"})[0]
    body = b"186a0\r\n" + data + f"\r\n0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n".encode()
    assert send(own, "PUT", "/bucket/trailer", headers, body)[0] == (200 if good else 400)


def test_headers_that_matter_must_be_signed(own):
    headers = sign("PUT", "/bucket/key", host(own), "UNSIGNED-PAYLOAD", {})[0]
    status, text = send(own, "PUT", "/bucket/key", {**headers, "x-amz-meta-added": "later"}, b"x")
    assert status == 403 and b"HeadersNotSigned" in text
    headers = sign("PUT", "/bucket/key", host(own), "UNSIGNED-PAYLOAD", {"x-amz-meta-a": "  b   c "})[0]
    headers["x-amz-meta-a"] = "b c"
    status, text = send(own, "PUT", "/bucket/key", headers, b"x")
    assert status == 403 and b"SignatureDoesNotMatch" in text


def test_spaces_in_headers_are_signed_as_one(own, s3):
    headers = sign("PUT", "/bucket/spaces", host(own), "UNSIGNED-PAYLOAD", {"x-amz-meta-a": "b c"})[0]
    headers["x-amz-meta-a"] = " b   c "
    assert send(own, "PUT", "/bucket/spaces", headers, b"x")[0] == 200


def test_anonymous_requests_when_allowed(tmp_path):
    server = EmbeddedServer(tmp_path / "server", "--anonymous", "--create-bucket", "open")
    server.client().put_object(Bucket="open", Key="key", Body=b"x")
    s3 = server.client(signature_version=botocore.UNSIGNED)
    assert s3.get_object(Bucket="open", Key="key")["Body"].read() == b"x"
    with Refused(403, "SignatureDoesNotMatch"):
        server.client(secret="wrong").get_object(Bucket="open", Key="key")
    server.stop()

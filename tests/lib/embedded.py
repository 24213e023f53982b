"""The embedded S3 server with options of the test's choice, and its control interface.

    server = EmbeddedServer(directory, "--min-part-size", "1K")
    server.fault(op="PutObject", key_prefix="a/", count=2, action="status:503:SlowDown")
"""
import hashlib
import json
import pathlib
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

from processes import BIN, MARK_NAME, SESSION_MARK, Process, wait_until

ACCESS_KEY = "demo-access-key"
SECRET_KEY = "demo-secret-key-0123456789"


class Control:
    """The control interface; see tests/s3server/control.c."""

    def control(self, method="GET", path="/_control/requests", **body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method,
            data=json.dumps(body).encode() if body else None)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)

    def fault(self, **fault):
        return self.control("POST", "/_control", **fault)

    def clear(self):
        return self.control("DELETE", "/_control")


class EmbeddedServer(Control):
    def __init__(self, directory, *options, scheme="http", environment=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.options = [str(option) for option in options]
        self.scheme = scheme
        self.environment = {MARK_NAME: SESSION_MARK, **(environment or {})}
        self.process = None
        self.start()

    def start(self):
        port_file = self.directory / "port"
        port_file.unlink(missing_ok=True)
        self.process = Process(
            [BIN / "s3server", "--root", self.directory / "root", "--port", "0", "--port-file", port_file,
             *self.options], self.directory / "log", self.environment)
        wait_until(lambda: port_file.exists() or not self.process.alive(), 20, "the server's port")
        if not port_file.exists():
            raise RuntimeError(f"the server died at start:\n{self.process.output()}")
        self.port = int(port_file.read_text())

    @property
    def endpoint(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def stop(self):
        return self.process.stop()

    def restart(self, kill=False):
        if kill:
            self.process.kill9()
        else:
            assert self.stop() == 0
        self.start()

    def client(self, access=ACCESS_KEY, secret=SECRET_KEY, region="us-east-1", token=None, endpoint=None,
               verify=None, retries=0, addressing="path", **config):
        settings = botocore.config.Config(
            signature_version=config.pop("signature_version", "s3v4"), s3={"addressing_style": addressing},
            retries={"max_attempts": retries}, max_pool_connections=64, connect_timeout=10, read_timeout=60,
            **config)
        return boto3.client("s3", endpoint_url=endpoint or self.endpoint, region_name=region,
                            aws_access_key_id=access, aws_secret_access_key=secret, aws_session_token=token,
                            verify=verify, config=settings)


class Refused:
    """with Refused(404, "NoSuchKey"): .. wants that answer."""

    def __init__(self, status, code=None):
        self.status, self.code, self.error = status, code, None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert isinstance(error, botocore.exceptions.ClientError), f"not refused: {error!r}"
        self.error = error.response
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == self.status, error.response
        if self.code:
            assert error.response["Error"]["Code"] == self.code
        return True


def md5(data):
    return f'"{hashlib.md5(data).hexdigest()}"'


def keys_of(reply):
    return [item["Key"] for item in reply.get("Contents", [])]


def prefixes_of(reply):
    return [item["Prefix"] for item in reply.get("CommonPrefixes", [])]

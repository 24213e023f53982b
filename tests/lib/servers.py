"""S3 servers that the tests run on, each on loopback, each with an independent client (boto3).

embedded    the project's own small server, for demo and tests
radosgw     Ceph's gateway with one monitor and one OSD in memory; knows no conditional writes to speak of
versitygw   a gateway to plain files with conditional writes
"""
import os
import pathlib
import shutil
import signal
import subprocess
import uuid

import boto3
import botocore.config
import botocore.exceptions

from embedded import Control
from processes import BIN, MARK_NAME, ROOT, SESSION_MARK, WORK, Process, accepts, free_port, wait_until

REGION = "us-east-1"
ACCESS_KEY = "testaccesskey"
SECRET_KEY = "testsecretkey1234567890"


class Server:
    name = None
    conditional = True  # keeps the promise of If-Match and If-None-Match on PUT

    def __init__(self, parent=WORK):
        self.port = free_port()
        self.dir = pathlib.Path(parent, f"{self.name}-{self.port}")
        self.dir.mkdir(parents=True)
        self.front = None  # the process that speaks S3
        self._client = None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def credentials(self):
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    def environment(self, **more):
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.dir), "LANG": "C.UTF-8",
                 MARK_NAME: SESSION_MARK}
        return {**plain, **more}

    def client(self):
        if self._client is None:
            config = botocore.config.Config(
                signature_version="s3v4", s3={"addressing_style": "path"}, max_pool_connections=32,
                retries={"max_attempts": 3}, connect_timeout=10, read_timeout=120,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required")
            self._client = boto3.client(
                "s3", endpoint_url=self.endpoint, region_name=REGION, config=config,
                aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY)
        return self._client

    def answers(self):
        if not self.front.alive():
            raise RuntimeError(f"{self.name} died at start:\n{self.front.output()[-4000:]}")
        if not accepts(self.port):
            return False
        try:
            self.client().list_buckets()
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError):
            return False
        return True

    def start_front(self):
        raise NotImplementedError

    def start(self):
        self.start_front()
        wait_until(self.answers, 60, f"{self.name} answers", 0.05)
        return self

    def stop(self):
        if self.front:
            self.front.stop()

    def go_away(self):
        """Connections are refused from now on; what is stored stays."""
        self.front.kill9()

    def come_back(self):
        self.start_front()
        wait_until(self.answers, 60, f"{self.name} answers again", 0.05)

    def hang(self):
        """Connections are accepted by the kernel, and nothing answers."""
        self.front.pause()

    def go_on(self):
        self.front.signal_all(signal.SIGCONT)

    def renew(self):
        """Between suites: a chance to start afresh, where a server grows without bounds."""

    def make_bucket(self, name=None):
        name = name or f"bucket-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return Bucket(self, name)


class Bucket:
    """A bucket as boto3 sees it."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.client = server.client()

    def keys(self, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def head(self, key):
        return self.client.head_object(Bucket=self.name, Key=key)

    def metadata(self, key):
        return self.head(key)["Metadata"]

    def get(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def stream(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"]

    def put(self, key, body=b"", **arguments):
        return self.client.put_object(Bucket=self.name, Key=key, Body=body, **arguments)

    def exists(self, key):
        try:
            self.head(key)
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def uploads(self):
        return self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])

    def parts(self, upload):
        return self.client.list_parts(Bucket=self.name, Key=upload["Key"],
                                      UploadId=upload["UploadId"]).get("Parts", [])

    def delete(self, *keys):
        for first in range(0, len(keys), 1000):
            batch = [{"Key": key} for key in keys[first:first + 1000]]
            self.client.delete_objects(Bucket=self.name, Delete={"Objects": batch, "Quiet": True})

    def drop(self):
        for upload in self.uploads():
            self.client.abort_multipart_upload(Bucket=self.name, Key=upload["Key"],
                                               UploadId=upload["UploadId"])
        # Deepest first: for a server of plain files a directory object goes when it is empty.
        self.delete(*sorted(self.keys(), reverse=True))
        self.client.delete_bucket(Bucket=self.name)


class Embedded(Control, Server):
    name = "embedded"
    options = ()

    def start_front(self):
        (self.dir / "data").mkdir(exist_ok=True)
        self.front = Process(
            [BIN / "s3server", "--port", self.port, "--root", self.dir / "data", "--region", REGION,
             *self.options],
            self.dir / "log", self.environment(S3SERVER_ACCESS_KEY=ACCESS_KEY,
                                               S3SERVER_SECRET_KEY=SECRET_KEY))


class Versitygw(Server):
    name = "versitygw"

    def start_front(self):
        for name in ("data", "meta"):
            (self.dir / name).mkdir(exist_ok=True)
        self.front = Process(
            [ROOT / "build/tools/versitygw", "--port", f"127.0.0.1:{self.port}", "--region", REGION,
             "posix", "--sidecar", self.dir / "meta", self.dir / "data"],
            self.dir / "log", self.environment(ROOT_ACCESS_KEY=ACCESS_KEY, ROOT_SECRET_KEY=SECRET_KEY))


RADOSGW_CONF = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}]
mon initial members = one
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = true
keyring = {dir}/keyring
run dir = {dir}/run
crash dir = {dir}/crash
admin socket = {dir}/run/$name.$pid.asok
log file = {dir}/$name.log
pid file =
setuser =
ms bind ipv6 = false
ms mon client mode = crc
mon allow pool size one = true
mon max pg per osd = 2000
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
[mon.one]
mon data = {dir}/mon
mon data avail crit = 1
mon data avail warn = 1
[osd.0]
osd data = {dir}/osd
osd uuid = {osd_uuid}
osd objectstore = memstore
memstore device bytes = {memory}
osd scrub begin hour = 0
osd scrub end hour = 1
[client]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw thread pool size = 64
rgw data = {dir}/rgw
rgw dynamic resharding = false
rgw override bucket index max shards = 1
rgw gc obj min wait = 2
rgw gc processor period = 4
rgw gc processor max time = 4
"""


class Radosgw(Server):
    name = "radosgw"
    conditional = False
    MEMORY = 12 << 30
    RENEW_ABOVE = 3 << 30

    def __init__(self, parent=WORK):
        super().__init__(parent)
        self.mon = self.osd = None

    def start(self):
        for name in ("mon", "osd", "run", "crash"):
            (self.dir / name).mkdir(exist_ok=True)
        (self.dir / "keyring").touch()
        fsid, osd_uuid, mon_port = str(uuid.uuid4()), str(uuid.uuid4()), free_port()
        (self.dir / "conf").write_text(RADOSGW_CONF.format(
            fsid=fsid, osd_uuid=osd_uuid, mon_port=mon_port, port=self.port, dir=self.dir,
            memory=self.MEMORY))
        (self.dir / "osd/type").write_text("memstore\n")
        monmap = self.dir / "monmap"
        self.run("monmaptool", "--create", "--fsid", fsid, "--addv", "one", f"[v2:127.0.0.1:{mon_port}]",
                 monmap)
        self.run("ceph-mon", "--id", "one", "--mkfs", "--monmap", monmap, conf=True)
        self.mon = self.daemon("ceph-mon", "--id", "one")
        self.run("ceph", "osd", "new", osd_uuid, conf=True)
        self.run("ceph-osd", "--id", "0", "--mkfs", "--osd-uuid", osd_uuid, conf=True)
        self.osd = self.daemon("ceph-osd", "--id", "0")
        wait_until(lambda: "1 up" in self.run("ceph", "osd", "stat", conf=True), 60, "the OSD is up", 0.2)
        self.run("radosgw-admin", "user", "create", "--uid=test", "--display-name=test",
                 f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}", conf=True)
        return super().start()

    def start_front(self):
        self.front = self.daemon("radosgw", "--name", "client.rgw")

    def run(self, program, *arguments, conf=False):
        argv = [program, *(["--conf", self.dir / "conf"] if conf else []), *arguments]
        done = subprocess.run([str(arg) for arg in argv], env=self.environment(), text=True, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stdout[-2000:]}")
        return done.stdout

    def daemon(self, program, *arguments):
        return Process([program, "--conf", self.dir / "conf", *arguments, "-f"],
                       self.dir / f"{program}.out", self.environment())

    def stop(self):
        for process in (self.front, self.osd, self.mon):
            if process:
                process.kill9()  # nothing of it is to be kept

    def renew(self):
        pages = int(pathlib.Path(f"/proc/{self.osd.pid}/statm").read_text().split()[1])
        if pages * os.sysconf("SC_PAGE_SIZE") > self.RENEW_ABOVE:
            self.stop()
            shutil.rmtree(self.dir)
            self.dir.mkdir()
            self.start()


SERVERS = {server.name: server for server in (Embedded, Radosgw, Versitygw)}

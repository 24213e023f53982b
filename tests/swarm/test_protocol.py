"""The plugin's own process, without an engine: HTTP as engines speak it and as they do not, hangs and crashes.

These are the cases where the timing or the bytes matter, which no engine lets a test choose.
"""
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import time

import pytest

import embedded
from processes import BIN, MARK_NAME, SESSION_MARK, WORK, Process, is_mounted, mount_points, wait_until


class Plugin:
    def __init__(self, directory, endpoint, environment=None, wait=True):
        self.dir = pathlib.Path(directory)
        self.socket = self.dir / "p.sock"
        self.volumes = self.dir / "volumes"
        self.state = self.dir / "state"
        for path in (self.volumes, self.state):
            path.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PATH": os.environ["PATH"], MARK_NAME: SESSION_MARK,
            "S3MOUNT_PLUGIN_SOCKET": str(self.socket), "S3MOUNT_PLUGIN_VOLUMES": str(self.volumes),
            "S3MOUNT_PLUGIN_STATE": str(self.state), "S3MOUNT_PLUGIN_PROGRAM": str(BIN / "s3mount"),
            "S3FS_ACCESSKEY": embedded.ACCESS_KEY, "S3FS_SECRETKEY": embedded.SECRET_KEY,
            "S3FS_ENDPOINT": endpoint, **(environment or {})}
        self.start(wait)

    def start(self, wait=True):
        self.process = Process([BIN / "s3mount-plugin"], self.dir / "log", self.environment)
        if wait:
            wait_until(self.listens, 10, "the plugin listens", 0.005)

    def listens(self):
        with socket.socket(socket.AF_UNIX) as sock:
            return sock.connect_ex(str(self.socket)) == 0

    def connect(self, timeout=60):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(str(self.socket))
        return sock

    def call(self, verb, timeout=60, **body):
        return self.send(f"/VolumeDriver.{verb}", json.dumps(body).encode() + b"\n", timeout)

    def send(self, path, body, timeout=60):
        """As the engine does: an empty Host, no Content-Type."""
        with self.connect(timeout) as sock:
            sock.sendall(f"POST {path} HTTP/1.1\r\nHost: \r\nUser-Agent: Go-http-client/1.1\r\n"
                         f"Content-Length: {len(body)}\r\n"
                         "Accept: application/vnd.docker.plugins.v1.2+json\r\n\r\n".encode() + body)
            return read_answer(sock)

    def ok(self, verb, **body):
        status, answer = self.call(verb, **body)
        assert (status, answer["Err"]) == (200, ""), answer
        return answer

    def fails(self, verb, **body):
        status, answer = self.call(verb, **body)
        assert status != 200 and answer["Err"]
        return answer["Err"]

    def references(self, name):
        return self.ok("Get", Name=name)["Volume"]["Status"]["references"]

    def stop(self):
        self.process.kill9()
        for point in mount_points(self.volumes):
            os.system(f"umount -l {point}")


def read_answer(sock):
    answer = http.client.HTTPResponse(sock, method="POST")
    answer.begin()
    return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module")
def s3():
    server = embedded.EmbeddedServer(WORK / "protocol-s3")
    for name in ("one", "two", "three", "four"):
        server.client().create_bucket(Bucket=f"bucket-{name}")
    yield server
    server.process.kill9()


@pytest.fixture
def make_plugin(s3, tmp_path):
    made = []

    def make(**more):
        made.append(Plugin(tmp_path, s3.endpoint, **more))
        return made[-1]
    yield make
    for plugin in made:
        plugin.stop()


@pytest.fixture
def plugin(make_plugin):
    started = make_plugin()
    wait_until(lambda: started.ok("List")["Volumes"], 10, "the buckets are listed")
    return started


def test_it_listens_before_it_looks_at_anything(make_plugin):
    start = time.monotonic()
    plugin = make_plugin(environment={"S3FS_ENDPOINT": "http://192.0.2.1:9"}, wait=False)
    wait_until(plugin.listens, 5, "it listens", 0.002)
    assert time.monotonic() - start < 0.5
    assert plugin.ok("List") == {"Volumes": [], "Err": ""}


def test_activation_and_capabilities(plugin):
    assert plugin.send("/Plugin.Activate", b"") == (200, {"Implements": ["VolumeDriver"]})
    assert plugin.ok("Capabilities")["Capabilities"] == {"Scope": "local"}


@pytest.mark.parametrize("verb", ["Create", "Remove", "Mount", "Unmount", "Path", "Get"])
def test_an_empty_body_is_an_error_and_makes_nothing(plugin, verb):
    before = plugin.ok("List")["Volumes"]
    status, answer = plugin.send(f"/VolumeDriver.{verb}", b"")
    assert status != 200 and answer["Err"]
    assert plugin.ok("List")["Volumes"] == before


def test_strange_but_valid_http_is_understood(plugin):
    body = b'{"Name":"bucket-one"}'
    heads = {
        "no Host": b"POST /VolumeDriver.Get HTTP/1.1\r\nContent-Length: 21\r\n\r\n" + body,
        "chunked": b"POST /VolumeDriver.Get HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                   b"5\r\n" + body[:5] + b"\r\n10\r\n" + body[5:] + b"\r\n0\r\n\r\n",
        "1.0": b"POST /VolumeDriver.Get HTTP/1.0\r\nContent-Length: 21\r\n\r\n" + body,
    }
    for what, request in heads.items():
        with plugin.connect() as sock:
            for at in range(len(request)):  # in the smallest pieces
                sock.sendall(request[at:at + 1])
            status, answer = read_answer(sock)
        assert (status, answer["Volume"]["Name"]) == (200, "bucket-one"), what


def test_one_connection_carries_many_requests(plugin):
    request = b"POST /VolumeDriver.Get HTTP/1.1\r\nHost: \r\nContent-Length: 21\r\n\r\n" + b'{"Name":"bucket-one"}'
    with plugin.connect() as sock:
        for _ in range(50):
            sock.sendall(request)
            assert read_answer(sock)[0] == 200
        sock.sendall(request * 3)  # pipelined
        sock.shutdown(socket.SHUT_WR)
        received = b""
        while piece := sock.recv(65536):
            received += piece
        assert received.count(b"HTTP/1.1 200") == 3


def test_rubbish_never_makes_a_volume_nor_ends_the_plugin(plugin):
    before = plugin.ok("List")["Volumes"]
    dice = random.Random(7)
    for _ in range(300):
        kind = dice.randrange(4)
        if kind == 0:
            data = dice.randbytes(dice.randrange(400))
        elif kind == 1:
            data = b"POST /VolumeDriver.Create HTTP/1.1\r\nHost: \r\nContent-Length: 50\r\n\r\n{"
        elif kind == 2:
            body = dice.randbytes(20)
            data = b"POST /VolumeDriver.Create HTTP/1.1\r\nHost: \r\nContent-Length: 20\r\n\r\n" + body
        else:
            data = b"POST /VolumeDriver.%s HTTP/1.1\r\nHost: \r\nContent-Length: %d\r\n\r\n" % (
                dice.choice([b"Mount", b"Get", b""]), dice.randrange(-5, 99))
        with plugin.connect() as sock:
            sock.sendall(data)
    assert plugin.ok("List")["Volumes"] == before
    assert plugin.process.alive()


def test_a_body_above_the_limit_is_refused(plugin):
    status, answer = plugin.send("/VolumeDriver.Create", b'{"Name":"' + b"x" * (2 << 20) + b'"}')
    assert status == 413 and "1 MiB" in answer["Err"]
    assert plugin.process.alive()


def test_local_answers_stay_fast_while_three_mounts_hang(plugin, s3):
    for number in range(3):
        plugin.ok("Create", Name=f"v{number}", Opts={"bucket": "bucket-one", "prefix": str(number)})
    s3.process.pause()
    try:
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            mounts = [pool.submit(plugin.call, "Mount", Name=f"v{n}", ID="a") for n in range(3)]
            time.sleep(0.5)
            times = []
            for _ in range(100):
                for verb, body in (("Get", {"Name": "v0"}), ("List", {}), ("Path", {"Name": "v1"}),
                                   ("Get", {"Name": "bucket-two"}), ("Capabilities", {})):
                    start = time.monotonic()
                    plugin.ok(verb, **body)
                    times.append(time.monotonic() - start)
            assert sorted(times)[len(times) * 99 // 100] < 0.05, f"slowest: {max(times):.3f} s"
            assert not any(mount.done() for mount in mounts)
            s3.process.signal_all(signal.SIGCONT)
            for mount in mounts:
                status, answer = mount.result(40)
                assert (status, answer["Err"]) == (200, ""), answer
    finally:
        s3.process.signal_all(signal.SIGCONT)
    for number in range(3):
        plugin.ok("Unmount", Name=f"v{number}", ID="a")
        plugin.ok("Remove", Name=f"v{number}")


def test_a_mount_that_hangs_is_answered_within_25_seconds_and_undone(plugin, s3):
    s3.process.pause()
    try:
        start = time.monotonic()
        plugin.fails("Mount", Name="bucket-one", ID="a")
        assert time.monotonic() - start < 25
    finally:
        s3.process.signal_all(signal.SIGCONT)
    assert plugin.references("bucket-one") == 0
    assert not mount_points(plugin.volumes)


def test_a_mount_whose_caller_has_gone_leaves_no_reference(plugin, s3):
    s3.process.pause()
    try:
        sock = plugin.connect()
        body = b'{"Name":"bucket-two","ID":"gone"}'
        sock.sendall(b"POST /VolumeDriver.Mount HTTP/1.1\r\nHost: \r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        wait_until(lambda: plugin.references("bucket-two") == 1, 5, "the mount begins")
        sock.close()
    finally:
        s3.process.signal_all(signal.SIGCONT)
    wait_until(lambda: plugin.references("bucket-two") == 0, 30, "its reference is given back")
    wait_until(lambda: not mount_points(plugin.volumes), 20, "nothing is mounted")


def test_counts_are_per_id_and_unknown_ids_are_no_error(plugin):
    where = plugin.ok("Mount", Name="bucket-one", ID="a")["Mountpoint"]
    assert plugin.ok("Mount", Name="bucket-one", ID="a")["Mountpoint"] == where
    assert plugin.ok("Mount", Name="bucket-one", ID="b")["Mountpoint"] == where
    assert plugin.references("bucket-one") == 3
    for identity in ("zzz", "a", "b"):
        plugin.ok("Unmount", Name="bucket-one", ID=identity)
        assert is_mounted(where)
    plugin.ok("Unmount", Name="bucket-one", ID="a")
    assert not is_mounted(where)
    plugin.ok("Unmount", Name="bucket-one", ID="a")
    plugin.ok("Unmount", Name="no-such-volume", ID="a")


def test_many_mounts_and_unmounts_of_one_volume_at_once(plugin):
    def use(number):
        for _ in range(5):
            where = plugin.ok("Mount", Name="bucket-three", ID=str(number))["Mountpoint"]
            pathlib.Path(where, f"f{number}").write_text(str(number))
            plugin.ok("Unmount", Name="bucket-three", ID=str(number))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    assert plugin.references("bucket-three") == 0
    wait_until(lambda: not mount_points(plugin.volumes), 20, "nothing is mounted")


def test_a_name_that_is_no_bucket_costs_a_few_seconds_when_s3_hangs(plugin, s3):
    s3.process.pause()
    try:
        start = time.monotonic()
        plugin.fails("Get", Name="local-volume-of-somebody")
        assert time.monotonic() - start < 6
        wait_until(lambda: "cannot be listed" in plugin.process.output(), 20, "the listing fails")
        start = time.monotonic()
        plugin.fails("Get", Name="local-volume-of-somebody")
        assert time.monotonic() - start < 0.1
        time.sleep(2.1)
        start = time.monotonic()
        plugin.fails("Get", Name="local-volume-of-somebody")
        assert time.monotonic() - start < 2
    finally:
        s3.process.signal_all(signal.SIGCONT)


def test_sigterm_ends_all_mounts_within_eight_seconds(plugin):
    for name in ("one", "two", "three"):
        where = plugin.ok("Mount", Name=f"bucket-{name}", ID="a")["Mountpoint"]
        pathlib.Path(where, "f").write_text("x")
    start = time.monotonic()
    plugin.process.popen.terminate()
    assert plugin.process.popen.wait(10) == 0
    assert time.monotonic() - start < 8
    assert not mount_points(plugin.volumes)
    assert not [pid for pid in plugin.process.family()]
    plugin.start()
    assert plugin.references("bucket-one") == 0
    assert not mount_points(plugin.volumes), "a volume that was unmounted cleanly is mounted again"


def test_definitions_survive_and_unreadable_ones_are_kept_aside(plugin, s3):
    plugin.ok("Create", Name="good", Opts={"bucket": "bucket-four", "uid": "12"})
    plugin.ok("Create", Name="bad", Opts={"bucket": "bucket-four"})
    plugin.process.kill9()
    (plugin.state / "volumes/bad.json").write_text('{"version":1,"na')
    plugin.start()
    assert "uid=12" in plugin.ok("Get", Name="good")["Volume"]["Status"]["options"]
    plugin.fails("Get", Name="bad")
    assert (plugin.state / "volumes/bad.bad").read_text() == '{"version":1,"na'
    plugin.ok("Create", Name="good", Opts={"uid": "12", "bucket": "bucket-four"})
    assert "other options" in plugin.fails("Create", Name="good", Opts={"bucket": "bucket-four"})
    plugin.ok("Remove", Name="good")


def test_what_a_killed_plugin_had_not_uploaded_is_uploaded_by_the_next_one(plugin, s3):
    plugin.ok("Create", Name="late", Opts={"bucket": "bucket-four", "prefix": "late", "close": "local"})
    where = pathlib.Path(plugin.ok("Mount", Name="late", ID="a")["Mountpoint"])
    with open(where / "f", "w", encoding="ascii") as file:
        s3.process.pause()
        file.write("precious")
    plugin.process.kill9()
    s3.process.signal_all(signal.SIGCONT)
    plugin.start()
    client = s3.client()

    def there():
        return [item["Key"] for item in
                client.list_objects_v2(Bucket="bucket-four", Prefix="late/f").get("Contents", [])]
    wait_until(there, 30, "the file is in S3", 0.1)
    assert client.get_object(Bucket="bucket-four", Key="late/f")["Body"].read() == b"precious"
    wait_until(lambda: not mount_points(plugin.volumes), 30, "nothing is mounted any more")
    plugin.ok("Remove", Name="late")


def test_keys_that_may_not_list_buckets_are_no_obstacle(make_plugin, s3):
    s3.fault(op="ListBuckets", count=1000, action="status:403:AccessDenied")
    try:
        plugin = make_plugin()
        assert plugin.ok("Get", Name="bucket-one")["Volume"]["Name"] == "bucket-one"
        plugin.fails("Get", Name="no-such-bucket")
        where = plugin.ok("Mount", Name="bucket-one", ID="a")["Mountpoint"]
        assert is_mounted(where)
        plugin.ok("Unmount", Name="bucket-one", ID="a")
    finally:
        s3.clear()

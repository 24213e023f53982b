"""An S3 server that dies in every way there is, while a mount is on it.

    with DyingServer() as server:
        mount = make_mount(server.bucket, on=server)
        server.die("stalls") .. server.revive()
"""
import contextlib
import os
import shutil
import signal
import socket
import threading
import uuid

from embedded import ACCESS_KEY, SECRET_KEY, EmbeddedServer
from processes import MARK_NAME, SESSION_MARK, WORK

KINDS = ["refuses", "hangs", "stalls", "errors", "swallows"]


class Relay:
    """Passes connections on, until it swallows: then nothing moves, and new ones get no answer to their SYN."""

    def __init__(self, port):
        self.target = port
        self.swallowing = threading.Event()
        self.held, self.fillers = [], []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.accepting()

    def accepting(self):
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self.held += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    def copy(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.swallowing.is_set():
                    return
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def swallow(self):
        self.swallowing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(0)
        for _ in range(4):  # a full queue: the kernel drops what else comes
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self.fillers.append(filler)

    def close_all(self):
        for connection in self.held + self.fillers:
            connection.close()
        self.held, self.fillers = [], []

    def go_on(self):
        self.close_all()
        self.swallowing.clear()
        self.listener.close()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.accepting()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.close_all()


class DyingServer:
    def __init__(self):
        self.directory = WORK / f"dying-{uuid.uuid4().hex[:8]}"
        self.bucket = "bucket"
        self.embedded = EmbeddedServer(self.directory, "--create-bucket", self.bucket)
        self.relay = Relay(self.embedded.port)
        self.kind = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.revive()
        self.relay.close()
        self.embedded.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.relay.port}"

    def credentials(self):
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    def environment(self, **more):
        return {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LANG": "C.UTF-8",
                MARK_NAME: SESSION_MARK, **more}

    def die(self, kind):
        self.kind = kind
        if kind == "refuses":
            self.embedded.process.kill9()
        elif kind == "hangs":
            self.embedded.process.pause()
        elif kind == "stalls":
            self.embedded.fault(op="*", action="stall:600000")
        elif kind == "errors":
            self.embedded.fault(op="*", action="status:503:SlowDown")
        elif kind == "swallows":
            self.relay.swallow()

    def revive(self):
        kind, self.kind = self.kind, None
        if kind == "refuses":
            self.embedded.start()
            self.relay.target = self.embedded.port
        elif kind == "hangs":
            self.embedded.process.signal_all(signal.SIGCONT)
        elif kind in ("stalls", "errors"):
            self.embedded.clear()
        elif kind == "swallows":
            self.relay.go_on()

    def keys(self):
        pages = self.embedded.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {item["Key"] for page in pages for item in page.get("Contents", [])}

    def get(self, key):
        return self.embedded.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def put(self, key, data):
        self.embedded.client().put_object(Bucket=self.bucket, Key=key, Body=data)

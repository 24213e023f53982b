"""What is measured side by side: each mounts a bucket of one server, with a cache of its own."""
import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.request

from processes import BIN, Process, free_port, is_mounted, wait_until
from servers import ACCESS_KEY, REGION, SECRET_KEY

DRAIN_SECONDS = 600


class System:
    """up() .. down() around a measurement; cold() makes the next access start from nothing."""
    name = None

    def __init__(self, server, disk):
        self.server = server
        self.path = pathlib.Path(disk, self.name)
        self.path.mkdir()
        self.cache = pathlib.Path(disk, f"cache-{self.name}")
        self.log = pathlib.Path(disk, f"log-{self.name}")
        self.process = None
        self.bucket = None
        self.peak_kib = 0

    @staticmethod
    def version():
        return ""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return self.server.environment()

    def up(self):
        if self.bucket is None:
            self.bucket = self.server.make_bucket()
        self.cache.mkdir(exist_ok=True)
        self.process = Process(self.command(), self.log, self.environment(), cwd="/")

        def ready():
            if not self.process.alive():
                raise RuntimeError(f"{self.name} ended:\n{self.process.output()[-2000:]}")
            return is_mounted(self.path)
        wait_until(ready, 30, f"{self.name} is mounted")

    def settle(self):
        """Returns when every write so far is in the bucket."""

    def memory(self, field="VmRSS"):
        """KiB of all its processes."""
        total = 0
        for pid in self.process.family():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(field):
                    total += int(line.split()[1])
        return total

    def down(self):
        self.settle()
        self.peak_kib = max(self.peak_kib, self.memory("VmHWM"))
        for _ in range(100):
            if subprocess.run(["umount", self.path], stderr=subprocess.DEVNULL).returncode == 0:
                break
            time.sleep(0.1)
        self.process.wait(DRAIN_SECONDS)

    def cold(self):
        self.down()
        shutil.rmtree(self.cache)
        drop_caches()
        self.up()

    def finish(self):
        if self.process:
            self.process.kill9()
        if is_mounted(self.path):
            subprocess.run(["umount", "-l", self.path], check=False)


class Local(System):
    """The local file system below all of them: the limit."""
    name = "local"

    def up(self):
        pass

    def down(self):
        pass

    def settle(self):
        subprocess.run(["sync", "-f", self.path], check=True)

    def cold(self):
        self.settle()
        drop_caches()

    def finish(self):
        pass


class S3mount(System):
    name = "s3mount"
    options = "close=s3,fsync=s3"
    program = BIN / "s3mount"

    def version(self):
        return first_line([self.program, "--version"])

    def command(self):
        options = f"endpoint={self.server.endpoint},region={REGION},cache={self.cache},allow_other,{self.options}"
        return [self.program, "-f", self.bucket.name, self.path, "-o", options]

    def environment(self):
        return self.server.environment(**self.server.credentials())

    def settle(self):
        # fsync of a directory waits for all that is below it, as `s3mount sync` does. Asked for from this
        # process, as rclone is: to start a program would count milliseconds that neither of them needs.
        directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


class S3mountOther(S3mount):
    """Another build, to see what a change costs: S3MOUNT_BENCH_OTHER names its program."""
    name = "s3mount-other"
    program = os.environ.get("S3MOUNT_BENCH_OTHER", "")


class S3mountLocal(S3mount):
    """The same where close and fsync promise this node's disk, which is what rclone's come nearest to."""
    name = "s3mount-local"
    options = "close=local,fsync=local"


class S3fs(System):
    """Nothing is queued after close: it uploads in close and fsync."""
    name = "s3fs"

    @staticmethod
    def version():
        return first_line(["s3fs", "--version"])

    def command(self):
        passwd = self.cache.with_suffix(".passwd")
        passwd.touch(0o600)
        passwd.write_text(f"{ACCESS_KEY}:{SECRET_KEY}\n")
        options = f"url={self.server.endpoint},use_path_request_style,endpoint={REGION},passwd_file={passwd}," \
                  f"use_cache={self.cache},use_xattr,allow_other"
        return ["s3fs", "-f", self.bucket.name, self.path, "-o", options]


class Rclone(System):
    name = "rclone"

    @staticmethod
    def version():
        return first_line(["rclone", "version"])

    def command(self):
        config = self.cache.with_suffix(".conf")
        config.touch(0o600)
        config.write_text(
            f"[b]\ntype = s3\nprovider = Ceph\nenv_auth = false\naccess_key_id = {ACCESS_KEY}\n"
            f"secret_access_key = {SECRET_KEY}\nendpoint = {self.server.endpoint}\nregion = {REGION}\n"
            "force_path_style = true\n")
        self.control = f"127.0.0.1:{free_port()}"
        return ["rclone", "--config", config, "mount", f"b:{self.bucket.name}", self.path, "--vfs-cache-mode",
                "full", "--cache-dir", self.cache, "--allow-other", "--rc", "--rc-no-auth", "--rc-addr",
                self.control]

    def settle(self):
        request = urllib.request.Request(f"http://{self.control}/vfs/stats?fs=b:{self.bucket.name}", method="POST")

        def idle():
            with urllib.request.urlopen(request, timeout=10) as answer:
                cache = json.load(answer)["diskCache"]
            return cache["uploadsInProgress"] + cache["uploadsQueued"] == 0
        wait_until(idle, DRAIN_SECONDS, "rclone has uploaded all", 0.05)


def first_line(command):
    text = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False).stdout
    return text.splitlines()[0] if text else "?"


def drop_caches():
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")


SYSTEMS = {system.name: system for system in (Local, S3mount, S3mountOther, S3mountLocal, S3fs, Rclone)}
DEFAULT_SYSTEMS = (Local.name, S3mount.name, S3fs.name, Rclone.name)

"""One s3mount as a test sees it: its process, its mount point, its cache directory.

It runs in the foreground (-f), so that its process, log and exit status belong to the test; the way into
the background has tests of its own. Command-line contract: the project's README and `s3mount --help`.
"""
import contextlib
import errno
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from processes import BIN, WORK, Process, is_mounted, wait_until
from servers import ACCESS_KEY, REGION, SECRET_KEY

READY_SECONDS = 30
DRAIN_SECONDS = 120


class MountFailed(Exception):
    pass


class Mount:
    living = []

    def __init__(self, server, bucket, options=(), prefix=None, environment=None, cache=None, name=None,
                 node=None):
        """options: extra -o words; environment: instead of the server's credentials; node: its host name."""
        self.server = server
        self.source = getattr(bucket, "name", bucket) + (f":{prefix}" if prefix else "")
        WORK.mkdir(parents=True, exist_ok=True)
        self.base = tempfile.mkdtemp(prefix=f"{name or 'mount'}-", dir=WORK)
        os.chmod(self.base, 0o755)  # other users must reach the mount point
        self.path = os.path.join(self.base, "mnt")
        self.cache = cache or os.path.join(self.base, "cache")
        self.log = os.path.join(self.base, "log")
        os.mkdir(self.path)
        os.makedirs(self.cache, exist_ok=True)
        self.options = list(options)
        self.environment = environment
        self.node = node
        self.process = None
        Mount.living.append(self)

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def option_list(self):
        given = {word.partition("=")[0] for word in self.options}
        words = [f"endpoint={self.server.endpoint}", f"region={REGION}", f"cache={self.cache}"]
        words = [word for word in words if word.partition("=")[0] not in given]
        return ",".join(words + self.options)

    def command(self, *flags):
        return [str(BIN / "s3mount"), *flags, self.source, self.path, "-o", self.option_list()]

    def child_environment(self):
        credentials = self.server.credentials() if self.environment is None else self.environment
        return self.server.environment(**credentials)

    def start(self, *flags):
        """Without waiting for anything."""
        command = self.command("-f", *flags)
        if self.node:
            command = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.node, *command]
        self.process = Process(command, self.log, self.child_environment(), cwd="/")

    def mount(self, *flags):
        self.start(*flags)

        def ready():
            if not self.process.alive():
                self.process.kill9()
                raise MountFailed(f"exit status {self.process.popen.returncode}:\n{self.process.output()}")
            return is_mounted(self.path)
        wait_until(ready, READY_SECONDS, f"s3mount is ready; its log:\n{self.process.output()}")
        return self

    def run_background(self, timeout=20):
        """As a user types it. Returns the finished foreground part."""
        return subprocess.run(self.command(), env=self.child_environment(), cwd="/", text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL, capture_output=True)

    def unmount(self, seconds=DRAIN_SECONDS, check=True):
        """umount and wait for the end of the process, which drains what is dirty."""
        done = subprocess.run(["umount", self.path], text=True, capture_output=True, timeout=seconds)
        if done.returncode != 0:
            raise OSError(errno.EBUSY, done.stderr.strip())
        status = self.process.wait(seconds)
        if check and status != 0:
            raise MountFailed(f"exit status {status} after umount:\n{self.process.output()[-4000:]}")
        wait_until(lambda: not self.process.family(), 10, "no process is left after umount")
        return status

    def kill9(self):
        """Power off for the process and all its helpers; the kernel's mount goes as well."""
        self.process.kill9()
        subprocess.run(["umount", "-l", self.path], stderr=subprocess.DEVNULL, check=False)
        wait_until(lambda: not is_mounted(self.path), 10, "the dead mount is gone")

    def remount(self):
        self.unmount()
        return self.mount()

    def crash_and_remount(self):
        self.kill9()
        return self.mount()

    def forget_cache(self):
        shutil.rmtree(self.cache)
        os.mkdir(self.cache)

    def tool(self, *words, timeout=DRAIN_SECONDS):
        return subprocess.run([str(BIN / "s3mount"), *words], env=self.server.environment(), text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL, capture_output=True, cwd="/")

    def sync(self, timeout=DRAIN_SECONDS):
        done = self.tool("sync", self.path, timeout=timeout)
        assert done.returncode == 0, f"s3mount sync: {done.returncode} {done.stderr}"

    def recover(self, *words):
        done = subprocess.run([str(BIN / "s3mount"), "recover", *words], env=self.child_environment(), text=True,
                              timeout=60, stdin=subprocess.DEVNULL, capture_output=True, cwd="/", check=False)
        return done.returncode, done.stdout, done.stderr

    def volume_cache(self):
        """The cache directory of the volume, below the one that was given."""
        found = [entry for entry in pathlib.Path(self.cache).iterdir() if (entry / "data").is_dir()]
        assert len(found) == 1
        return found[0]

    def status(self):
        done = self.tool("status", self.path, "--json", timeout=20)
        assert done.returncode == 0, f"s3mount status: {done.returncode} {done.stderr}"
        return json.loads(done.stdout)

    def wait_clean(self, seconds):
        """Until nothing is dirty any more, by what status says."""
        return wait_until(lambda: self.status()["dirty_bytes"] == 0, seconds, "nothing is dirty", 0.2)

    def free(self):
        """For the watchdog and finalisers: end it whatever it does. Never blocks on the mount."""
        if self.process:
            try:
                self.process.kill9()
            except TimeoutError:
                pass
        deadline = time.monotonic() + 5
        while is_mounted(self.path) and time.monotonic() < deadline:
            subprocess.run(["umount", "-l", self.path], stderr=subprocess.DEVNULL, check=False)

    def finish(self):
        """End of a test: a clean unmount when it still runs, then the directory goes."""
        Mount.living.remove(self)
        problem = None
        try:
            if self.process and self.process.alive() and is_mounted(self.path):
                self.unmount()
        except Exception as error:  # pylint: disable=broad-except  # reported by the caller
            problem = f"{self.path}: {error}"
        finally:
            self.free()
        return problem

    def remove(self):
        shutil.rmtree(self.base, ignore_errors=True)


@contextlib.contextmanager
def mounted_s3fs(server, bucket, directory, *options):
    """The bucket in s3fs; keeps nothing that it learns of the bucket, so that it sees what we do at once."""
    passwd, point = directory / "passwd-s3fs", directory / "s3fs"
    passwd.write_text(f"{ACCESS_KEY}:{SECRET_KEY}\n")
    passwd.chmod(0o600)
    point.mkdir()
    words = [f"url={server.endpoint}", "use_path_request_style", f"endpoint={REGION}", f"passwd_file={passwd}",
             "stat_cache_expire=0", "attr_timeout=0", "entry_timeout=0", *options]
    subprocess.run(["s3fs", bucket.name, point, "-o", ",".join(words)], check=True, timeout=30,
                   env=server.environment())
    wait_until(lambda: is_mounted(point), 10, "s3fs is mounted")
    yield point
    subprocess.run(["umount", point], check=True)
    wait_until(lambda: subprocess.run(["pgrep", "-f", f"^s3fs {bucket.name} "], stdout=subprocess.DEVNULL)
               .returncode != 0, 10, "s3fs ends")

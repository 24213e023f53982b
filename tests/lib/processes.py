"""Processes, ports and leaks of a test session.

Every process that a test starts goes through Process and is ended by its own id; what it starts in turn is
found by SESSION_MARK in its environment or by its executable, and must be gone at the end of the session.
"""
import os
import pathlib
import signal
import socket
import subprocess
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("S3MOUNT_TEST_BUILD", "build")
BIN = BUILD / "bin"
WORK = pathlib.Path(os.environ.get("S3MOUNT_TEST_WORK", f"/var/tmp/s3mount-tests.{os.getpid()}"))

MARK_NAME = "TEST_SESSION_MARK"
SESSION_MARK = os.environ.setdefault(MARK_NAME, uuid.uuid4().hex)


def wait_until(condition, seconds, what, interval=0.02):
    """Returns the first true value of condition(); fails loudly after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(interval)


def free_port(host="127.0.0.1"):
    with socket.socket() as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


def accepts(port, host="127.0.0.1"):
    with socket.socket() as sock:
        sock.settimeout(0.5)
        return sock.connect_ex((host, port)) == 0


class Process:
    """A child in its own session, with its output in a file."""

    running = set()

    def __init__(self, argv, log, env=None, cwd=None):
        self.argv = [str(arg) for arg in argv]
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          env=env, cwd=cwd, start_new_session=True)
        self.pid = self.popen.pid
        Process.running.add(self)

    def alive(self):
        return self.popen.poll() is None

    def family(self):
        """Ids of all living processes of its session: itself and what it started."""
        return [pid for pid, session in sessions() if session == self.pid]

    def signal_all(self, number):
        for pid in self.family():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def pause(self):
        """Stopped when it returns: SIGSTOP lets a thread that runs on another processor go on for a moment."""
        self.signal_all(signal.SIGSTOP)
        wait_until(lambda: all(is_stopped(pid) for pid in self.family()), 10, f"{self.argv[0]} stops")

    def kill9(self):
        self.signal_all(signal.SIGKILL)
        self.popen.wait()
        wait_until(lambda: not self.family(), 10, f"{self.argv[0]} and its children end")
        Process.running.discard(self)

    def stop(self, seconds=10):
        """SIGTERM, and SIGKILL when that does not help. Returns the exit status."""
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        self.kill9()
        return self.popen.returncode

    def wait(self, seconds):
        status = self.popen.wait(seconds)
        if not self.family():
            Process.running.discard(self)
        return status

    def output(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def is_stopped(pid):
    try:
        stats = [stat.read_text() for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return True  # it has ended
    return all(stat.rpartition(")")[2].split()[0] in "TtZX" for stat in stats)


def sessions():
    """(pid, session) of every process that is not a zombie."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path("/proc", entry, "stat").read_text()
        except OSError:
            continue
        state, _, _, session = stat.rpartition(")")[2].split()[:4]
        if state not in "ZX":
            yield int(entry), int(session)


def mount_points(below):
    """Mount points below a directory, innermost first."""
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point == str(below) or point.startswith(f"{below}/"):
            found.append(point)
    return found[::-1]


def is_mounted(point):
    return str(point) in mount_points(point)


def net_namespaces():
    path = pathlib.Path("/run/netns")
    return set(os.listdir(path)) if path.is_dir() else set()


def marked_processes():
    """Living processes of this test session (but not this one and its parents)."""
    mark = f"{MARK_NAME}={SESSION_MARK}".encode()
    parents = set()
    pid = os.getpid()
    while pid > 1:
        parents.add(pid)
        pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    for pid, _ in sessions():
        if pid in parents:
            continue
        try:
            environ = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            program = os.readlink(f"/proc/{pid}/exe")
        except OSError:
            continue
        # s3mount clears its environment of secrets: know it by what it works in as well.
        ours = mark in environ or (program.startswith(f"{BIN}/") and str(WORK).encode() in command)
        if ours:
            yield pid, command.replace(b"\0", b" ").decode(errors="replace").strip()


def clean_up(namespaces_before):
    """Ends and unmounts what is left of the session. Returns a line for each, empty when all is well."""
    left = []
    for pid, command in marked_processes():
        left.append(f"process {pid}: {command}")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for point in mount_points(WORK):
        left.append(f"mount {point}")
        subprocess.run(["umount", "-l", point], check=False)
    for name in net_namespaces() - namespaces_before:
        left.append(f"network namespace {name}")
        subprocess.run(["ip", "netns", "delete", name], check=False)
    return left

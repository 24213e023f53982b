"""Programs on several nodes that change the same files at the same time, and what must be left of it.

Each change adds a line with a stamp of its own to what the program has read through the same open file. So a
version holds the stamps of all versions that it was based on, and nothing was lost silently exactly if each
stamp is in one of the objects that are left: under the file's name, or in a conflict copy of it.
"""
import collections
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import random
import time

from children import CLEANLY, join_child, start_child
from files import pwrite_all, read_all, write_all

CONFLICT = ".conflict-"
EPOCH = 10  # seconds, after which all go on with new names: files that only grow would fill the disk


def make_line(stamp, pad):
    """The checksum finds torn lines."""
    body = f"{stamp} {'.' * pad}"
    return f"{body} {hashlib.sha256(body.encode()).hexdigest()[:16]}\n".encode()


def stamps_of(data, where):
    """The stamps of one object, which must be whole lines, each there once."""
    assert not data or data.endswith(b"\n"), f"{where} ends within a line"
    stamps = []
    for line in data.decode().splitlines():
        body, _, check = line.rpartition(" ")
        assert hashlib.sha256(body.encode()).hexdigest()[:16] == check, f"{where} has a torn line: {line!r}"
        stamps.append(body.partition(" ")[0])
    assert len(set(stamps)) == len(stamps), f"{where} has a line twice"
    return stamps


class Program:
    """A child that changes files of one node until it is told to stop.

    turns: a directory of locks that all nodes share, or None. With it, what a program does between open and close
    still overlaps with others, but no two of them speak to the server about one file at the same moment.
    """

    def __init__(self, mount, word, names, seed, locks, turns=None):
        self.root, self.word, self.names, self.seed = mount.path, word, names, seed
        self.locks, self.turns = locks, turns
        self.report = os.path.join(mount.base, f"report-{word}")
        self.stop_file = os.path.join(mount.base, f"stop-{word}")
        self.pid = start_child(self.root, self.run)

    def stop(self, seconds=60):
        """Returns a list of (name, stamp, errno or None): what was written, and what close said."""
        with open(self.stop_file, "w", encoding="ascii"):
            pass  # a signal would interrupt what waits for S3
        join_child(self.pid, seconds, f"program {self.word}", lambda: f"program {self.word} hangs")
        with open(self.report, encoding="ascii") as file:
            return [json.loads(line) for line in file]

    # The child

    def run(self):
        chance = random.Random(self.seed)
        number = 0
        with open(self.report, "w", encoding="ascii") as report:
            while not os.path.exists(self.stop_file):
                number += 1
                name = f"{chance.choice(self.names)}-{int(time.monotonic() / EPOCH)}"
                stamp = f"{self.word}-{number}"
                line = make_line(stamp, chance.choice((0, 20, 300)))
                # Programs of one node take turns, as with flock(2); between nodes there are no locks.
                with locked(self.locks, name):
                    written, error = self.attempt(name, line, chance)
                if written:
                    report.write(json.dumps((name, stamp, error)) + "\n")
        return CLEANLY

    def attempt(self, name, line, chance):
        """(written, errno): whether a write was acknowledged, and what was said. After that, an error of close means
        that the bytes are kept beside."""
        append = chance.random() < 0.5
        written = False
        try:
            with locked(self.turns, name):
                fd = os.open(name, os.O_CREAT | (os.O_WRONLY | os.O_APPEND if append else os.O_RDWR), 0o644)
            try:
                with locked(self.turns, name):
                    data = b"" if append else read_all(fd)
                time.sleep(chance.choice((0, 0, 0.02)))
            except OSError:
                os.close(fd)
                raise
            with locked(self.turns, name):
                try:
                    if append:
                        write_all(fd, line)
                    else:  # as an editor without a temporary file: all that was read, and more
                        pwrite_all(fd, data + line, 0)
                    written = True
                finally:
                    os.close(fd)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            return written, error.errno
        return True, None


@contextlib.contextmanager
def locked(directory, name):
    if directory is None:
        yield
        return
    with open(os.path.join(directory, name), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def family_of(key):
    return key.partition(CONFLICT)[0]


def survivors(bucket):
    """name -> the stamps of all that is left of it."""
    left = collections.defaultdict(set)
    for key in bucket.keys():
        left[family_of(key)] |= set(stamps_of(bucket.get(key), key))
    return left


def losses(bucket, written):
    """Of (name, stamp, errno): what is in no object any more."""
    left = survivors(bucket)
    return [(name, stamp, error) for name, stamp, error in written if stamp not in left[name]]

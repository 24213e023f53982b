"""A program that works in a mount until it dies, writing down in a manifest what it did and was told.

It is a child of the test, so that a mount which is killed takes nothing else along. Its working directory is the
mount's root: the mount point itself may be something else a moment after the mount has died.
"""
import os
import random

import history
from children import CLEANLY, join_child, start_child
from files import noise, pwrite_all, write_all

SIZES = ((0, 0), (1, 100), (1, 5000), (1000, 200_000))  # most files are small
LARGE = (17 << 20, 24 << 20)  # above the size at which an upload has parts
MODES = (0o644, 0o600, 0o640)


class Writer:
    """One program: names that begin with its own word, in the mount's root and in directories of its own."""

    def __init__(self, directory, word, s3, worker=None):
        self.word, self.worker = word, worker or Worker
        self.state = history.State(s3)
        self.manifest = history.Manifest(os.path.join(directory, f"manifest-{word}"))
        self.offset = 0
        self.pid = None
        self.steps = 0  # acknowledged so far

    def start(self, root, seed):
        self.manifest.line(round=seed)
        self.pid = start_child(root, lambda: self.worker(self, seed).run())

    def join(self, seconds=30):
        """Waits for the end of the child, whose mount has died, and takes over what it wrote down.

        Returns (pending, errno): the step that was under way and what it was told."""
        join_child(self.pid, seconds, f"writer {self.word}", lambda:
                   f"{self.word} hangs in a mount that is dead: {self.manifest.read(0)[0][-1]}")
        lines, self.offset = self.manifest.read(self.offset)
        pending, error = history.replay(self.state, lines)
        self.steps += sum("done" in line and line["errno"] is None for line in lines)
        self.manifest.number = max([self.manifest.number, *(line.get("n", 0) for line in lines)])
        return pending, error

    def owns(self, path):
        return path.startswith(self.word + ".")


class Worker:
    """The child's part."""

    WEIGHTS = {"create": 14, "append": 8, "overwrite": 8, "rename": 6, "replace": 5, "unlink": 6, "rename_dir": 2}
    WEIGHT = 3  # of other jobs
    LARGE = 0.004  # of files

    def __init__(self, writer, seed):
        self.writer, self.state, self.manifest = writer, writer.state, writer.manifest
        self.random = random.Random(seed)
        self.seed = seed
        self.handles = {}  # number -> descriptor
        self.appending = set()
        self.count = 0

    def run(self):
        jobs = [getattr(self, name) for name in dir(self) if name.startswith("job_")]
        weights = [self.WEIGHTS.get(job.__name__[4:], self.WEIGHT) for job in jobs]
        try:
            while True:
                self.random.choices(jobs, weights)[0]()
        except OSError as error:
            self.manifest.after(error.errno or -1)
        return CLEANLY

    def step(self, op, call, **fields):
        """Written down, made, written down."""
        step = {"op": op, **fields}
        self.manifest.before(step)
        result = call()
        if op in ("create", "open"):
            self.handles[fields["handle"]] = result
        self.state.apply(step)
        self.manifest.after()

    # What there is to choose from

    def names(self, kind):
        return [path for path, node in self.state.names.items() if node.kind == kind]

    def pick(self, kind):
        names = self.names(kind)
        return self.random.choice(names) if names else None

    def new_name(self, kind):
        """In the root, or in one of its own directories; sometimes one that was used before."""
        directory = self.pick("dir") if self.random.random() < 0.7 else None
        if kind == "d" and directory and directory.count("/") > 2:
            directory = None
        while True:
            name = f"{self.writer.word}.{kind}{self.random.randrange(40)}"
            path = f"{directory}/{name}" if directory else name
            if path not in self.state.names:
                return path

    def size(self):
        if self.random.random() < self.LARGE:
            return self.random.randint(*LARGE)
        return self.random.randint(*self.random.choice(SIZES))

    # Parts of jobs

    def open(self, path, append):
        self.count += 1
        handle = f"{self.seed}.{self.count}"
        flags = os.O_RDWR | (os.O_APPEND if append else 0)
        self.step("open", lambda: os.open(path, flags), path=path, handle=handle, append=append)
        self.appending |= {handle} if append else set()
        return handle

    def create(self, path):
        self.count += 1
        handle = f"{self.seed}.{self.count}"
        mode = self.random.choice(MODES)
        self.step("create", lambda: os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), path=path,
                  handle=handle, mode=mode)
        return handle

    def write(self, handle, offset, size):
        if size == 0:
            return
        seed = self.random.getrandbits(40)
        data = noise(size, seed)

        def call():
            if offset is None:
                write_all(self.handles[handle], data)
            else:
                pwrite_all(self.handles[handle], data, offset)
        self.step("write", call, handle=handle, offset=offset, size=size, seed=seed)

    def end(self, handle):
        """Mostly closed, sometimes after an fsync; now and then left open, and others are open already."""
        if not self.state.handles[handle].kept:
            self.close(handle)
            return
        if self.random.random() < 0.3:
            self.step("fsync", lambda: os.fsync(self.handles[handle]), handle=handle)
        if self.random.random() < 0.85 or len(self.handles) > 3:
            self.close(handle)

    def close(self, handle):
        self.step("close", lambda: os.close(self.handles[handle]), handle=handle)
        del self.handles[handle]

    # Jobs

    def job_create(self):
        if len(self.state.names) > 40:
            return self.job_unlink()
        handle = self.create(self.new_name("f"))
        for _ in range(self.random.choice((0, 1, 1, 1, 3))):
            # A handle that was opened without O_APPEND writes where it is told to.
            self.write(handle, len(self.state.handles[handle].data), self.size())
        return self.end(handle)

    def job_append(self):
        if path := self.pick("file"):
            handle = self.open(path, True)
            for _ in range(self.random.choice((1, 1, 4))):
                self.write(handle, None, self.size() % 10_000)
            self.end(handle)

    def job_overwrite(self):
        if path := self.pick("file"):
            handle = self.open(path, False)
            for _ in range(self.random.choice((1, 2, 5))):
                length = len(self.state.handles[handle].data)
                self.write(handle, self.random.randint(0, length + 100), self.random.randint(1, 8000))
            self.end(handle)

    def job_truncate(self):
        if path := self.pick("file"):
            size = self.random.randint(0, min(len(self.state.names[path].data) + 5000, 400_000))
            self.step("truncate", lambda: os.truncate(path, size), path=path, size=size)

    def job_late(self):
        """Something more on a file that was left open, then close."""
        if self.handles:
            handle = self.random.choice(list(self.handles))
            offset = self.random.randint(0, len(self.state.handles[handle].data))
            self.write(handle, None if handle in self.appending else offset, 100)
            self.close(handle)

    def job_rename(self):
        if path := self.pick("file"):
            new = self.new_name("f")
            self.step("rename", lambda: os.rename(path, new), old=path, new=new)

    def job_replace(self):
        """As editors save: a new file is written and takes the place of the old one."""
        if target := self.pick("file"):
            path = self.new_name("f")
            handle = self.create(path)
            self.write(handle, 0, self.size() + 1)
            if self.random.random() < 0.5:
                self.step("fsync", lambda: os.fsync(self.handles[handle]), handle=handle)
            if self.random.random() < 0.8:
                self.close(handle)
            self.step("rename", lambda: os.rename(path, target), old=path, new=target)

    def job_unlink(self):
        if path := self.pick("file") or self.pick("link"):
            self.step("unlink", lambda: os.unlink(path), path=path)

    def job_chmod(self):
        if path := self.pick("file"):
            mode = self.random.choice(MODES)
            self.step("chmod", lambda: os.chmod(path, mode), path=path, mode=mode)

    def job_symlink(self):
        if len(self.names("link")) < 4:
            path = self.new_name("l")
            self.step("symlink", lambda: os.symlink("somewhere/else", path), path=path, target="somewhere/else")
        else:
            path = self.pick("link")
            self.step("unlink", lambda: os.unlink(path), path=path)

    def job_mkdir(self):
        if len(self.names("dir")) < 8:
            path = self.new_name("d")
            self.step("mkdir", lambda: os.mkdir(path, 0o755), path=path, mode=0o755)

    def job_rmdir(self):
        empty = [path for path in self.names("dir")
                 if not any(other.startswith(path + "/") for other in self.state.names)]
        if empty:
            path = self.random.choice(empty)
            self.step("rmdir", lambda: os.rmdir(path), path=path)

    def job_rename_dir(self):
        if path := self.pick("dir"):
            new = self.new_name("d")
            if not new.startswith(path + "/"):
                self.step("rename", lambda: os.rename(path, new), old=path, new=new)


class Mover(Worker):
    """Renames directories with what is below them, again and again."""

    WEIGHTS = {"rename_dir": 8, "create": 8, "mkdir": 3, "append": 1, "unlink": 1}
    WEIGHT = 0
    LARGE = 0

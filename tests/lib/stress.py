"""Programs that work in one mount side by side, each with a model of what it did, until they have made enough steps.

Names of their own, in directories that all use, are as in workload.py. Beside that they share files: of some, each
has a range to itself; to others, each appends lines with stamps. Whatever one of them reads or lists is compared
with its model at once, the rest with all models at the end.
"""
import mmap
import os
import signal

import history
import lineage
import workload
from children import CLEANLY
from files import noise, pwrite_all, write_all

RANGE = 64 << 10
RANGE_FILES = [f"shared.range{number}" for number in range(3)]
LINE_FILES = [f"shared.lines{number}" for number in range(2)]


class State(history.State):
    """What the program did to the shared files as well."""

    def __init__(self, s3=()):
        super().__init__(s3)
        self.ranges = {name: bytearray(RANGE) for name in RANGE_FILES}
        self.stamps = {name: [] for name in LINE_FILES}

    def do_share(self, name, offset, size, seed):
        self.ranges[name][offset:offset + size] = noise(size, seed)

    def do_line(self, name, stamp, pad):  # pylint: disable=unused-argument
        self.stamps[name].append(stamp)


class Program(workload.Writer):
    """number: which range of each shared file is its own."""

    def __init__(self, directory, number, steps):
        super().__init__(directory, f"p{number}", (), lambda writer, seed: Worker(writer, seed, number, steps))
        self.number = number
        self.state = State()


class Worker(workload.Worker):
    WEIGHTS = {**workload.Worker.WEIGHTS, "read": 10, "map": 6, "share": 8, "line": 8, "list": 6, "unlinked": 3}
    LARGE = 0.001

    def __init__(self, writer, seed, number, steps):
        super().__init__(writer, seed)
        self.first = number * RANGE
        self.steps = steps
        self.looks = 0

    def run(self):
        """Any error is one too many."""
        jobs = {name[4:]: getattr(self, name) for name in dir(self) if name.startswith("job_")}
        weights = [self.WEIGHTS.get(name, self.WEIGHT) for name in jobs]
        begun = self.manifest.number
        try:
            while self.manifest.number - begun + self.looks < self.steps:
                self.random.choices(list(jobs.values()), weights)[0]()
            for handle in list(self.handles):
                self.close(handle)
        except OSError as error:
            self.manifest.after(error.errno)
            self.explain()
            raise
        return CLEANLY

    def explain(self):
        """What led to the step that failed: the history of its name and of the directories above it."""
        lines, _ = self.manifest.read(0)
        step = lines[-2]
        path = step.get("path") or step.get("old") or step.get("name") or ""
        above = [path] + [path[:at] for at, letter in enumerate(path) if letter == "/"]
        print(f"{self.writer.word}: {step} failed: {lines[-1]}; before that:", self.manifest.explain(above), sep="\n",
              flush=True)

    def check(self, condition, what):
        self.looks += 1
        assert condition, f"{self.writer.word}, seed {self.seed}, step {self.manifest.number}: {what}"

    def job_read(self):
        if path := self.pick("file"):
            expected = self.state.names[path].data
            with open(path, "rb") as file:
                file.seek(offset := self.random.randint(0, len(expected)))
                found = file.read()
            self.check(found == expected[offset:], f"{path} reads differently from {offset} on")
            self.check(os.stat(path).st_size == len(expected), f"{path} has another size")

    def job_map(self):
        """Through a shared mapping, with msync or without."""
        path = self.pick("file")
        if not path or not self.state.names[path].data:
            return
        handle = self.open(path, False)
        length = len(self.state.handles[handle].data)
        offset = self.random.randrange(length)
        size = min(length - offset, self.random.randint(1, 20_000))
        seed = self.random.getrandbits(40)

        def call():
            with mmap.mmap(self.handles[handle], 0) as mapping:
                mapping[offset:offset + size] = noise(size, seed)
                if seed % 2:
                    mapping.flush()
        self.step("write", call, handle=handle, offset=offset, size=size, seed=seed)
        self.end(handle)

    def job_unlinked(self):
        """A file without a name, as programs use for what is temporary."""
        handle = self.create(path := self.new_name("f"))
        self.step("unlink", lambda: os.unlink(path), path=path)
        self.write(handle, 0, self.random.randint(1, 50_000))
        expected = self.state.handles[handle].data
        found = os.pread(self.handles[handle], len(expected) + 1, 0)
        self.check(found == expected, "an unlinked file reads differently")
        self.close(handle)

    def job_list(self):
        """What others do there meanwhile hides no name and shows none twice."""
        directory = self.pick("dir") or ""
        prefix = directory + "/" if directory else ""
        expected = {path[len(prefix):] for path in self.state.names
                    if path.startswith(prefix) and "/" not in path[len(prefix):]}
        found = [name for name in os.listdir(directory or ".") if self.writer.owns(name)]
        self.check(sorted(found) == sorted(expected), f"{directory or 'the root'} has {sorted(found)}")

    def job_share(self):
        name = self.random.choice(RANGE_FILES)
        offset = self.random.randrange(RANGE)
        size = self.random.randint(1, min(RANGE - offset, 8000))
        seed = self.random.getrandbits(40)

        def call():
            fd = os.open(name, os.O_RDWR)
            try:
                if seed % 3:
                    pwrite_all(fd, noise(size, seed), self.first + offset)
                else:
                    with mmap.mmap(fd, RANGE, offset=self.first) as mapping:
                        mapping[offset:offset + size] = noise(size, seed)
            finally:
                os.close(fd)
        self.step("share", call, name=name, offset=offset, size=size, seed=seed)
        with open(name, "rb") as file:
            file.seek(self.first)
            self.check(file.read(RANGE) == self.state.ranges[name], f"the own range of {name} reads differently")

    def job_line(self):
        name, pad = self.random.choice(LINE_FILES), self.random.choice((0, 20, 300))
        stamp = f"{self.writer.word}-{self.manifest.number}"

        def call():
            fd = os.open(name, os.O_WRONLY | os.O_APPEND)
            try:
                write_all(fd, lineage.make_line(stamp, pad))
            finally:
                os.close(fd)
        self.step("line", call, name=name, stamp=stamp, pad=pad)


def run_together(programs, root, chance, seconds):
    for program in programs:
        program.start(root, chance.getrandbits(32))
    running = list(programs)
    try:
        while running:
            assert running[0].join(seconds) == (None, None)
            del running[0]
    finally:
        for program in running[1:]:
            os.kill(program.pid, signal.SIGKILL)
            os.waitpid(program.pid, 0)


def make_shared(root, programs):
    for name in RANGE_FILES:
        with open(os.path.join(root, name), "wb") as file:
            file.truncate(len(programs) * RANGE)
    for name in LINE_FILES:
        with open(os.path.join(root, name), "wb"):
            pass


def check_shared(programs, read):
    """read(name): the bytes, through the mount or from the object."""
    for name in RANGE_FILES:
        data = read(name)
        assert len(data) == len(programs) * RANGE, f"{name} has {len(data)} bytes"
        for program in programs:
            first = program.number * RANGE
            assert data[first:first + RANGE] == program.state.ranges[name], f"{name}: the range of {program.word}"
    for name in LINE_FILES:
        stamps = lineage.stamps_of(read(name), name)
        for program in programs:
            own = [stamp for stamp in stamps if stamp.startswith(program.word + "-")]
            assert own == program.state.stamps[name], f"{name}: the lines of {program.word}"
        assert len(stamps) == sum(len(program.state.stamps[name]) for program in programs)

"""The rows of the benchmark, in groups that share their files.

A group is a function of a Run. Rows with a rate count COUNT per second; others are seconds. A row
NAME_durable is the same work until all of it is in the bucket.
"""
import os
import pathlib
import random
import shutil
import subprocess
import time

from processes import BIN

MIB = 1 << 20


class Failed(Exception):
    pass


class Run:
    """One group on one system: where it works, and the rows that it has measured so far."""

    def __init__(self, system, sources, scale, limit, rows):
        self.system, self.sources, self.limit, self.rows = system, sources, limit, rows
        self.scale = scale
        self.home = os.path.join(system.path, "bench")
        self.elapsed = 0

    def __truediv__(self, name):
        return os.path.join(self.home, name)

    def scaled(self, number):
        return max(1, number // self.scale)

    def add(self, name, unit, value):
        self.rows[name] = (unit, value)

    def result(self, name, count, unit, seconds):
        if count:
            self.add(name, unit, count / max(seconds, 1e-6))
        else:
            self.add(name, "s", seconds)

    def do(self, name, count, unit, *command, cwd="/", output=subprocess.DEVNULL):
        """Runs and times a command; a failure or a timeout ends the group."""
        start = time.monotonic()
        try:
            done = subprocess.run([str(word) for word in command], timeout=self.limit, stdin=subprocess.DEVNULL,
                                  stdout=output, stderr=subprocess.PIPE, text=True, cwd=cwd)
        except subprocess.TimeoutExpired:
            self.add(name, unit or "s", None)
            raise Failed(f"{name}: more than {self.limit} s") from None
        self.elapsed = time.monotonic() - start
        if done.returncode != 0:
            self.add(name, unit or "s", None)
            raise Failed(f"{name}: exit status {done.returncode}: {done.stderr.strip()[-300:]}")
        self.result(name, count, unit, self.elapsed)
        return done.stdout

    def until_durable(self, name, count=0, unit=None):
        start = time.monotonic()
        self.system.settle()
        self.result(f"{name}_durable", count, unit, self.elapsed + time.monotonic() - start)

    def both(self, name, count, unit, *command, **arguments):
        self.do(name, count, unit, *command, **arguments)
        self.until_durable(name, count, unit)

    def silently(self, *command):
        subprocess.run([str(word) for word in command], check=True, timeout=self.limit, cwd="/",
                       stdout=subprocess.DEVNULL)

    def check(self, name, fine):
        if not fine:
            raise Failed(f"{name}: the data is wrong")


def benchio(*words):
    return [BIN / "benchio", *words]


def dd(source, target, mib, *more):
    return ["dd", f"if={source}", f"of={target}", "bs=1M", f"count={mib}", "status=none", *more]


def seq(run):
    mib, big = run.scaled(1024), run / "big"
    run.both("seq_write_1g", mib, "MiB/s", *dd(run.sources.big, big, mib, "conv=fsync"))
    run.do("seq_read_1g_warm", mib, "MiB/s", *dd(big, "/dev/null", mib))
    run.system.cold()
    run.do("seq_read_1g_cold", mib, "MiB/s", *dd(big, "/dev/null", mib))
    run.silently("cmp", "-n", mib * MIB, run.sources.big, big)
    run.both("overwrite_1m_in_1g", 0, None,
             *dd(run.sources.big, big, 1, f"seek={mib // 2}", "conv=notrunc,fsync"))
    os.unlink(big)


def listing(directory, count):
    return ["sh", "-c", f"ls -l '{directory}' | tail -n +2 | wc -l | grep -qx {count}"]


def small(run):
    count, directory = run.scaled(1000), run / "small"
    os.mkdir(directory)
    run.both("create_1000x4k", count, "files/s", *benchio("create", directory, count, 4096, 1))
    run.do("ls_l_1000_warm", 0, None, *listing(directory, count))
    run.system.cold()
    run.do("ls_l_1000_cold", 0, None, *listing(directory, count))
    run.system.cold()
    run.do("read_1000x4k_cold", count, "files/s", *benchio("read", directory, count, 4096, 1))
    run.system.cold()
    run.do("read_1000x4k_cold_par8", count, "files/s", *benchio("read", directory, count, 4096, 8))
    run.both("rm_1000", 0, None, "rm", "-rf", directory)


def finding(directory, count, *what):
    return ["sh", "-c", f"find '{directory}' -type f {' '.join(what)} | wc -l | grep -qx {count}"]


def tree(run):
    directories, root = run.scaled(100), run / "tree"
    count = directories * 50
    os.mkdir(root)
    run.both("create_tree_5000_par8", count, "files/s", *benchio("tree", root, directories, 1024, 8))
    run.system.cold()
    run.do("find_5000_cold", 0, None, *finding(root, count))
    run.do("find_stat_5000_warm", 0, None, *finding(root, count, "-printf", "'%s\\n'"))
    run.system.cold()
    run.do("find_stat_5000_cold", 0, None, *finding(root, count, "-printf", "'%s\\n'"))
    run.both("rm_tree_5000", 0, None, "rm", "-rf", root)


def rand(run):
    mib, count, file = run.scaled(512), run.scaled(2000), run / "random"
    run.silently(*dd(run.sources.big, file, mib, "conv=fsync"))
    run.system.cold()
    run.do("rand_read_4k_cold", count, "op/s", *benchio("random", file, count))
    run.do("rand_read_4k_again", count, "op/s", *benchio("random", file, count))
    os.unlink(file)


def tar(run):
    directory = run / "tar"
    os.mkdir(directory)
    run.both("untar_2000", 0, None, "tar", "-C", directory, "-xf", run.sources.tar)
    statting = ["find", os.path.join(directory, "src"), "-printf", "%s%m\\n"]
    run.do("untar_stat_warm", 0, None, *statting)
    run.system.cold()
    run.do("untar_stat_cold", 0, None, *statting)
    run.do("untar_diff", 0, None, "diff", "-r", "--no-dereference", run.sources.tree, f"{directory}/src")
    run.both("rm_untar", 0, None, "rm", "-rf", directory)


def git(run):
    clone, command = run / "clone", ["git", "-c", "safe.directory=*"]
    status = [*command, "-C", clone, "status", "--porcelain"]
    run.do("git_clone", 0, None, *command, "clone", "-q", run.sources.repository, clone)
    run.check("git_status_warm", run.do("git_status_warm", 0, None, *status, output=subprocess.PIPE) == "")
    run.system.cold()
    run.check("git_status_cold", run.do("git_status_cold", 0, None, *status, output=subprocess.PIPE) == "")
    run.do("git_fsck", 0, None, *command, "-C", clone, "fsck", "--no-progress")
    shutil.rmtree(clone)


def rename(run):
    count = run.scaled(500)
    os.mkdir(run / "a")
    run.silently(*benchio("create", run / "a", count, 4096, 8))
    run.system.settle()
    run.both("rename_dir_500", 0, None, "mv", run / "a", run / "b")
    run.check("rename_dir_500", len(os.listdir(run / "b")) == count)
    run.system.settle()
    run.both("rename_file", 0, None, "mv", run / "b/f00000", run / "b/g")
    shutil.rmtree(run / "b")


def copy(run):
    mib, count = run.scaled(256), run.scaled(200)
    run.silently(*dd(run.sources.big, run / "c1", mib, "conv=fsync"))
    run.system.settle()
    run.both("cp_256m", mib, "MiB/s", "cp", run / "c1", run / "c2")
    os.mkdir(run / "ca")
    run.silently(*benchio("create", run / "ca", count, 4096, 8))
    run.system.settle()
    run.both("cp_r_200", 0, None, "cp", "-r", run / "ca", run / "cb")
    run.silently("rm", "-rf", run / "c1", run / "c2", run / "ca", run / "cb")


GROUPS = {group.__name__: group for group in (seq, small, tree, rand, tar, git, rename, copy)}


class Sources:
    """What is copied in, kept in memory so that reading it costs nothing."""

    def __init__(self, directory, groups):
        self.directory = pathlib.Path(directory)
        self.big = self.directory / "big"
        self.tree = self.directory / "src"
        self.tar = self.directory / "src.tar"
        self.repository = self.directory / "repository.git"
        if {"seq", "rand", "copy"} & set(groups):
            self.make_big()
        if "tar" in groups:
            self.make_tree(self.tree, 2000)
            subprocess.run(["tar", "-C", self.directory, "-cf", self.tar, "src"], check=True)
        if "git" in groups:
            self.make_repository()

    def make_big(self):
        with open("/dev/urandom", "rb") as noise, open(self.big, "wb") as file:
            for _ in range(256):
                file.write(noise.read(4 * MIB))

    @staticmethod
    def make_tree(root, count, seed=7):
        """Like a source tree: 40 directories three deep, sizes log-normal around 4 KiB, some +x, some links."""
        chance = random.Random(seed)
        places = [root] + [root / f"module{number}" for number in range(8)]
        places += [chance.choice(places[1:9]) / f"part{number}" for number in range(32)]
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            path = chance.choice(places) / f"file{number:04}.{chance.choice(['c', 'h', 'py', 'md'])}"
            if number % 100 == 99:
                if not path.is_symlink():
                    path.symlink_to("file0000.c")
                continue
            size = min(int(chance.lognormvariate(8, 1.2)), 200_000)
            path.write_bytes((b"static int value_%d;\n" % number * (size // 20 + 1))[:size])
            if number % 50 == 0:
                path.chmod(0o755)

    def make_repository(self):
        work = self.directory / "work"
        command = ["git", "-C", str(work), "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
        subprocess.run(["git", "init", "-q", work], check=True)
        for number in range(1, 21):
            self.make_tree(work / f"p{number % 4}", number * 20)
            (work / "number").write_text(f"{number}\n")
            subprocess.run([*command, "add", "-A"], check=True)
            subprocess.run([*command, "commit", "-q", "-m", f"commit {number}"], check=True)
        subprocess.run(["git", "clone", "-q", "--bare", work, self.repository], check=True)
        shutil.rmtree(work)

"""Random reads, writes and truncations beside a plain local file; then an independent look at the object.

Each test runs four sequences at once in one mount, 2,000 operations each, with remounts in between: clean
ones with and without the cache, and after kill -9. tests/lib/randio.c does the operations.
"""
import os
import subprocess

import pytest

from files import digest, digest_file, read_file
from processes import BIN

SEEDS = 24
AT_ONCE = 4
OPERATIONS = 2000
CHUNK = 500
SIZES = [64 << 10, 1 << 20, 6 << 20, 24 << 20]


def run_chunk(mount, models, seeds, first):
    running = [subprocess.Popen([str(BIN / "randio"), mount / f"seed{seed}", models / f"seed{seed}", str(seed),
                                 str(first), str(CHUNK), str(SIZES[seed % len(SIZES)])],
                                stderr=subprocess.PIPE, text=True) for seed in seeds]
    problems = [process.communicate()[1] or f"exit status {process.returncode}"
                for process in running if process.wait() != 0]
    assert not problems, "".join(problems)


@pytest.mark.limit(600)
@pytest.mark.parametrize("group", range(SEEDS // AT_ONCE))
def test_random_operations_give_the_same_bytes_as_a_local_file(bucket, make_mount, tmp_path, group):
    seeds = range(group * AT_ONCE + 1, (group + 1) * AT_ONCE + 1)
    options = [[], ["close=local", "fsync=local"], ["cache_size=64M"]][group % 3]
    mount = make_mount(bucket, options)
    between = [mount.remount, lambda: cold_remount(mount), lambda: after_kill9(mount)]
    for chunk in range(OPERATIONS // CHUNK):
        run_chunk(mount, tmp_path, seeds, chunk * CHUNK)
        if chunk < len(between):
            between[chunk]()
    mount.sync()
    for seed in seeds:
        expected = digest_file(tmp_path / f"seed{seed}")
        assert digest(bucket.stream(f"seed{seed}")) == expected, f"seed {seed}: the object differs"
        assert digest_file(mount / f"seed{seed}") == expected, f"seed {seed}: the file differs"
    assert sorted(bucket.keys()) == sorted(f"seed{seed}" for seed in seeds)


def cold_remount(mount):
    mount.unmount()
    mount.forget_cache()
    mount.mount()


def after_kill9(mount):
    mount.crash_and_remount()


def test_a_copied_tree_is_equal(mount, bucket, tmp_path):
    """Many small files of real use: the project's own sources, through cp and diff."""
    source = os.path.join(os.path.dirname(__file__), "..")
    subprocess.run(["cp", "-r", "--preserve=mode,timestamps", source, tmp_path / "tree"], check=True)
    subprocess.run(["cp", "-r", "--preserve=mode,timestamps", tmp_path / "tree", mount / "tree"], check=True)
    cold_remount(mount)
    subprocess.run(["diff", "-r", tmp_path / "tree", mount / "tree"], check=True)
    for directory, _, names in os.walk(tmp_path / "tree"):
        for name in names:
            path = os.path.join(directory, name)
            inside = os.path.relpath(path, tmp_path)
            assert bucket.get(inside) == read_file(path)
            assert os.stat(path).st_mtime_ns == os.stat(mount / inside).st_mtime_ns

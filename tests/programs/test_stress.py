"""Random operations: fsx, and programs of our own that share a mount; with remounts, and the objects at the end.

S3MOUNT_TEST_OPERATIONS=1000000 is the long form: that many in each mode, half of them by fsx. A run is repeated with
S3MOUNT_TEST_SEED=N.
"""
import os
import random
import subprocess
import time

import pytest

import history
import mounts
import stress
from files import digest, digest_file, read_file
from processes import ROOT
from programs import cold

SEED = int(os.environ.get("S3MOUNT_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
OPERATIONS = int(os.environ.get("S3MOUNT_TEST_OPERATIONS", "20000"))
MODES = ("close=s3", "close=local")
PROGRAMS = 4
ROUNDS = 4

# Of each shape one fsx; share: of the operations that there are for fsx. Above 8 MiB an upload has parts.
SHAPES = {
    "small": {"share": 0.50, "flen": 100_000, "opsize": 20_000},
    "middle": {"share": 0.49, "flen": 1 << 20, "opsize": 65536},
    "parts": {"share": 0.01, "flen": 40 << 20, "opsize": 4 << 20},
}
# At least a byte: posix_fallocate of none is EINVAL everywhere, which fsx takes for a file system without it.
FSX_CONFIG = """
flen = {flen}
[opsize]
min = 1
max = {opsize}
[weights]
close_open = 2
invalidate = 2
mapread = 10
mapwrite = 10
read = 10
write = 10
truncate = 5
fsync = 1
fdatasync = 1
posix_fallocate = 1
punch_hole = 3
sendfile = 3
posix_fadvise = 1
copy_file_range = 3
"""


REMOUNTS = (mounts.Mount.remount, cold, mounts.Mount.crash_and_remount)


def run_fsx(directory, shape, seed, operations, artifacts):
    """Started; the file is named after its shape."""
    config = artifacts / f"{shape}.toml"
    config.write_text(FSX_CONFIG.format(**SHAPES[shape]))
    return subprocess.Popen([ROOT / "build/tools/fsx", "-q", "-f", config, "-S", str(seed), "-N", str(operations),
                             "-P", artifacts, os.path.join(directory, shape)],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(running):
    outputs = {shape: process.communicate()[0] for shape, process in running.items()}
    for shape, process in running.items():
        assert process.returncode == 0, f"fsx {shape}:\n{outputs[shape][-8000:]}"


@pytest.mark.limit(4 * 3600)
@pytest.mark.parametrize("mode", MODES)
def test_fsx(bucket, make_mount, tmp_path, mode):
    """The same seed on a local file gives what the file and its object must be."""
    print(f"repeat with S3MOUNT_TEST_SEED={SEED} S3MOUNT_TEST_OPERATIONS={OPERATIONS}")
    mount = make_mount(bucket, [mode])
    rounds = len(REMOUNTS)
    for number, remount in enumerate(REMOUNTS):
        for directory in (mount.path, tmp_path):
            finish({shape: run_fsx(directory, shape, (SEED + number) % (1 << 32),
                                   int(OPERATIONS / 2 * SHAPES[shape]["share"] / rounds), tmp_path)
                    for shape in SHAPES})
        expected = {shape: digest_file(tmp_path / shape) for shape in SHAPES}
        remount(mount)
        assert {shape: digest_file(mount / shape) for shape in SHAPES} == expected
        mount.sync()
        assert {shape: digest(bucket.stream(shape)) for shape in SHAPES} == expected
    assert sorted(bucket.keys()) == sorted(SHAPES)


@pytest.mark.limit(4 * 3600)
@pytest.mark.parametrize("mode", MODES)
def test_programs_that_share_a_mount(bucket, make_mount, mode):
    print(f"repeat with S3MOUNT_TEST_SEED={SEED} S3MOUNT_TEST_OPERATIONS={OPERATIONS}")
    chance = random.Random(f"{SEED}/{mode}")
    mount = make_mount(bucket, [mode])
    programs = [stress.Program(mount.base, number, OPERATIONS // 2 // ROUNDS // PROGRAMS)
                for number in range(PROGRAMS)]
    stress.make_shared(mount.path, programs)
    for number in range(ROUNDS):
        start = time.monotonic()
        stress.run_together(programs, mount.path, chance, 3600)
        print(f"round {number}: {time.monotonic() - start:.1f} s")
        REMOUNTS[number % len(REMOUNTS)](mount)
        stress.check_shared(programs, lambda name: read_file(mount / name))
        compare(programs, "the mount", lambda program: history.observe(mount.path, program.owns))
    mount.sync()
    keys = bucket.keys()
    stress.check_shared(programs, bucket.get)
    compare(programs, "the bucket", lambda program:
            history.observe_bucket(bucket, [key for key in keys if program.owns(key)]))
    others = [key for key in keys if not any(program.owns(key) for program in programs)]
    assert sorted(others) == sorted(stress.RANGE_FILES + stress.LINE_FILES)
    assert bucket.uploads() == []


def compare(programs, where, observe):
    for program in programs:
        if wrong := history.difference(program.state.seen(), observe(program)):
            lines = "".join(f"\n  {path} {what}" for path, what in wrong.items())
            raise AssertionError(f"of {program.word} in {where}:{lines}\n{program.manifest.explain(wrong.keys())}")

"""kill -9 of s3mount at random moments under load, hundreds of times on one cache; also during recovery.

Several programs work in the mount and write down what they were told (lib/workload.py, lib/history.py). After
each remount the tree must be one that this allows; now and then, and at the end, so must the bucket be, seen
through boto3.

S3MOUNT_TEST_ROUNDS=1000 makes it longer. A run is repeated with S3MOUNT_TEST_SEED=N: the same programs, the same
moments as far as clocks go.
"""
import errno
import os
import random
import time

import pytest

import history
import workload
from processes import wait_until

SEED = int(os.environ.get("S3MOUNT_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
ROUNDS = int(os.environ.get("S3MOUNT_TEST_ROUNDS", "210"))  # on the embedded server, over all option sets
ELSEWHERE = 10  # times fewer on the others
FULL_CHECK = 12  # rounds between looks at the whole bucket
OPTIONS = ("close=s3", "close=local", "close=local,fsync=local")
# What a program is told whose file system dies. EIO is for a request that was just being handed over: a copy into a
# process that is being killed fails (fuse_dev_do_read in fs/fuse/dev.c of the kernel).
DEAD = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO)


def s3_steps(options):
    """What is in S3 when it returns."""
    return {word for word in ("close", "fsync") if f"{word}=local" not in options.split(",")}


def rounds_on(server, sets):
    """At least two, for there must be a crash after a recovery."""
    rounds = max(2, ROUNDS // sets)
    return rounds if server.name == "embedded" else max(2, rounds // ELSEWHERE)


class Trial:
    """One bucket, one cache, many crashes."""

    def __init__(self, mount, bucket, writers, seed):
        self.mount, self.bucket, self.writers = mount, bucket, writers
        self.random = random.Random(seed)
        self.pending = {}
        self.crashes = 0

    def load_and_crash(self):
        for writer in self.writers:
            writer.start(self.mount.path, self.random.getrandbits(32))
        time.sleep(self.random.uniform(0.02, 0.6))
        self.kill()
        for writer in self.writers:
            pending, error = writer.join()
            assert error in DEAD, f"a program got {errno.errorcode.get(error, error)} from {pending}"
            if error == errno.EIO:
                assert "error:" not in self.mount.process.output(), "the EIO may be ours"
            self.pending[writer.word] = pending

    def kill(self):
        self.mount.kill9()
        self.crashes += 1

    def come_back(self):
        """Often the recovery is killed as well, at any moment of it."""
        while self.random.random() < 0.4:
            self.mount.start()
            time.sleep(self.random.uniform(0, 0.2))
            self.kill()
        self.mount.mount()

    def fail(self, writer, where, wrong):
        lines = "".join(f"\n  {path} {what}" for path, what in wrong.items())
        raise AssertionError(f"after {self.crashes} crashes, of {writer.word} in {where}:{lines}\n"
                             f"under way was {self.pending.get(writer.word)}\n{writer.manifest.explain(wrong.keys())}")

    def check_promised(self):
        """While nobody has mounted it: what was said to be in S3 is there, and deleted names are not."""
        keys = self.bucket.keys()
        for writer in self.writers:
            pending = self.pending[writer.word]
            state, open_to_doubt = writer.state, set()
            if pending:
                open_to_doubt = state.touched_by(pending)
            own = {key.rstrip("/") for key in keys if writer.owns(key)}
            wrong = {name: "is there, and should not be" for name in own - state.names.keys() - open_to_doubt}
            sure = {path: node for path, node in state.names.items() if node.in_s3 and path not in open_to_doubt}
            found = history.observe_bucket(self.bucket, [path + "/" * (node.kind == "dir")
                                                         for path, node in sure.items() if path in own])
            for path, node in sure.items():
                if path not in found or bytes(node.data) != found[path][2]:
                    wrong[path] = "is not in S3 as it was when close returned"
            if wrong:
                self.fail(writer, "the bucket before the next mount", wrong)

    def check_mount(self):
        """What the new mount shows is one of the states that are allowed; it is the beginning of the next round."""
        for writer in self.writers:
            found = history.observe(self.mount.path, writer.owns)
            pending = self.pending.pop(writer.word, None)
            writer.state = next((state for state in history.outcomes(writer.state, pending, found)
                                 if state.seen() == found), writer.state)
            writer.state.crash()
            if wrong := history.difference(writer.state.seen(), found):
                self.pending[writer.word] = pending
                self.fail(writer, "the mount", wrong)

    def check_bucket(self):
        self.mount.sync()
        keys = self.bucket.keys()
        assert not [key for key in keys if ".conflict-" in key], "a conflict with nobody"
        for writer in self.writers:
            found = history.observe_bucket(self.bucket, [key for key in keys if writer.owns(key)])
            if wrong := history.difference(writer.state.seen(), found):
                self.fail(writer, "the bucket", wrong)
        assert all(any(writer.owns(key) for writer in self.writers) for key in keys), keys
        # One whose CreateMultipartUpload the crash cut off is found by a listing, at times a second one.
        wait_until(lambda: not self.bucket.uploads(), 60, "no multipart upload is left")


def crash_again_and_again(mount, bucket, writers, rounds, seed):
    trial = Trial(mount, bucket, writers, seed)
    start = time.monotonic()
    for number in range(rounds):
        trial.load_and_crash()
        if number % 3 == 0:
            trial.check_promised()
        trial.come_back()
        trial.check_mount()
        if number % FULL_CHECK == FULL_CHECK - 1:
            trial.check_bucket()
    trial.check_bucket()
    steps = sum(writer.steps for writer in writers)
    print(f"{rounds} rounds, {trial.crashes} crashes, {steps} steps in {time.monotonic() - start:.0f} s")
    return steps / rounds


@pytest.mark.limit(3600)
@pytest.mark.parametrize("options", OPTIONS)
def test_nothing_acknowledged_is_lost_in_many_crashes(bucket, make_mount, server, options):
    print(f"repeat with S3MOUNT_TEST_SEED={SEED} S3MOUNT_TEST_ROUNDS={ROUNDS}")
    mount = make_mount(bucket, options.split(","))
    writers = [workload.Writer(mount.base, f"w{number}", s3_steps(options)) for number in range(3)]
    steps = crash_again_and_again(mount, bucket, writers, rounds_on(server, len(OPTIONS)), f"{SEED}/{options}")
    assert steps > 20, "there was no load to speak of"


@pytest.mark.limit(3600)
def test_a_tree_that_is_renamed_is_at_one_place_after_many_crashes(bucket, make_mount, server):
    print(f"repeat with S3MOUNT_TEST_SEED={SEED} S3MOUNT_TEST_ROUNDS={ROUNDS}")
    mount = make_mount(bucket, ["close=local"])
    writers = [workload.Writer(mount.base, f"w{number}", s3_steps("close=local"), workload.Mover)
               for number in range(2)]
    steps = crash_again_and_again(mount, bucket, writers, rounds_on(server, len(OPTIONS)), f"{SEED}/tree")
    assert steps > 5, "there was no load to speak of"

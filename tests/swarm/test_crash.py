"""Processes of the plugin that are killed under services of a Swarm: what was acknowledged, and who goes on."""
import os
import signal

import pytest

from engine import BASE_IMAGE, PLUGIN
from processes import wait_until

DRIVER = f"{PLUGIN}:latest"
TARGET = "/data"
# A volume whose process died answers at once, with an error; while S3 is away it may take its time.
HEALTH = ("--health-cmd", f"ls {TARGET}/", "--health-interval", "1s", "--health-timeout", "60s",
          "--health-retries", "2")
REPLACED_SECONDS = 90


@pytest.fixture(scope="module")
def node(cluster):
    """A Swarm of one node: what happens on the node of a task is the same in a larger one."""
    made = cluster.add_node()
    made.docker("swarm", "init", "--advertise-addr", made.address)
    made.install_plugin(*cluster.article_settings())
    yield made
    made.shut_down()


@pytest.fixture
def service(node, bucket):
    """service(*words, command=..): one task on a volume of the test's bucket that acknowledges locally."""
    names = []

    def create(*words, command):
        names.append(f"svc-{bucket.name}")
        mount = (f"type=volume,source=vol-{bucket.name},target={TARGET},volume-driver={DRIVER},"
                 f"volume-opt=bucket={bucket.name},volume-opt=close=local,volume-opt=fsync=local")
        node.docker("service", "create", "--detach", "--name", names[-1], "--network", "host", "--stop-signal",
                    "KILL", "--restart-delay", "1s", "--mount", mount, *words, BASE_IMAGE, *command, timeout=180)
        return names[-1], wait_until(lambda: tasks(node, names[-1]), 90, "the task runs", 0.3)[0]
    yield create
    for name in names:
        node.docker("service", "rm", name, check=False)
    wait_until(lambda: not node.mounts(), 60, "no volume is mounted any more", 0.3)


def tasks(node, name):
    return node.output("ps", "-q", "--filter", f"label=com.docker.swarm.service.name={name}").split()


def volume(bucket):
    return f"vol-{bucket.name}"


def write_while_s3_is_away(node, cluster, container):
    """20 files that the container has closed and that are nowhere but in the cache."""
    node.shell(container, f"ls {TARGET}")  # so that it is known which names are free
    cluster.s3.hang()
    node.shell(container, f"for n in $(seq 20); do seq $n 50000 >{TARGET}/f$n; done")


def expect_files(bucket):
    """What was acknowledged reaches S3, byte for byte, and nothing beside it."""
    wait_until(lambda: len(bucket.keys("f")) == 20, 60, "what was written is in S3", 0.2)
    for number in range(1, 21):
        assert bucket.get(f"f{number}") == "".join(f"{n}\n" for n in range(number, 50001)).encode()
    assert not [key for key in bucket.keys() if "conflict" in key]


def kill(node, program):
    """kill -9; returns when there is another one."""
    old = node.pids(program)
    os.kill(old[0], signal.SIGKILL)
    wait_until(lambda: node.pids(program) and not set(node.pids(program)) & set(old), 30,
               f"{program} is started again", 0.1)


KILLED = pytest.mark.parametrize("program", ["s3mount-plugin", "s3mount"])


@KILLED
def test_a_task_with_a_health_check_is_replaced_and_goes_on(node, cluster, service, bucket, program):
    name, container = service(*HEALTH, command=("sleep", "86400"))
    try:
        write_while_s3_is_away(node, cluster, container)
        kill(node, program)
    finally:
        cluster.s3.go_on()
    expect_files(bucket)
    new = wait_until(lambda: [task for task in tasks(node, name) if task != container], REPLACED_SECONDS,
                     "the task is replaced", 0.5)[0]
    assert node.shell(new, f"head -n 1 {TARGET}/f7; echo goes on >{TARGET}/after; cat {TARGET}/after") == \
        "7\ngoes on"
    wait_until(lambda: bucket.keys("after"), 30, "the new task's file is in S3", 0.2)
    assert bucket.get("after") == b"goes on\n"
    assert len(node.mounts()) == 1


@KILLED
def test_a_program_that_ends_on_errors_is_replaced_and_goes_on(node, service, bucket, program):
    """The plain restart policy of services: a task that ends is replaced."""
    name, container = service(
        command=("sh", "-e", "-c", f"while true; do date >{TARGET}/tick; cat {TARGET}/tick; sleep 0.5; done"))
    wait_until(lambda: bucket.keys("tick"), 30, "the first tick is in S3", 0.2)
    kill(node, program)
    new = wait_until(lambda: [task for task in tasks(node, name) if task != container], REPLACED_SECONDS,
                     "the task is replaced", 0.5)[0]
    before = bucket.get("tick")
    wait_until(lambda: bucket.get("tick") != before, 30, "the new task writes", 0.2)
    assert node.exec(new, "cat", f"{TARGET}/tick").stdout


@KILLED
def test_a_program_that_goes_on_keeps_a_dead_volume_until_it_is_updated(node, service, bucket, program):
    name, container = service(command=("sleep", "86400"))
    node.shell(container, f"echo before >{TARGET}/f")
    kill(node, program)
    wait_until(lambda: "have to be restarted" in node.status(volume(bucket)).get("last_crash", ""), 30,
               "docker volume inspect tells", 0.2)
    done = node.exec(container, "cat", f"{TARGET}/f", check=False)
    assert done.returncode != 0 and "not connected" in done.stderr, done
    assert node.run_once("-v", f"{volume(bucket)}:/data", script="cat /data/f").stdout == "before\n"
    node.docker("service", "update", "--force", "--detach=false", name, timeout=180)
    new = tasks(node, name)[0]
    assert new != container
    assert node.shell(new, f"cat {TARGET}/f") == "before"

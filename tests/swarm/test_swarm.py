"""The article: a Swarm of three nodes, services on buckets, a node that dies."""
import json

import pytest

from engine import BASE_IMAGE, PLUGIN
from processes import wait_until

DRIVER = f"{PLUGIN}:latest"
TARGET = "/var/www/html"
MOVE_SECONDS = 120  # Swarm takes about 20 s to see that a node is gone


@pytest.fixture(scope="module")
def swarm(cluster):
    """Three nodes with the plugin; the first one is the manager."""
    nodes = [cluster.add_node() for _ in range(3)]
    manager = nodes[0]
    manager.docker("swarm", "init", "--advertise-addr", manager.address)
    token = manager.output("swarm", "join-token", "-q", "worker")
    for worker in nodes[1:]:
        worker.docker("swarm", "join", "--token", token, f"{manager.address}:2377")
    for node in nodes:
        node.install_plugin(*cluster.article_settings())
    yield nodes
    for node in nodes[::-1]:
        node.shut_down()


@pytest.fixture
def service(swarm):
    """service(name, *words) creates one; all are removed at the end."""
    names = []

    def create(name, *words, replicas=2, spread=True, command=("sleep", "86400")):
        names.append(name)
        swarm[0].docker("service", "create", "--detach", "--name", name, "--replicas", replicas, "--network",
                        "host", "--stop-signal", "KILL", "--restart-delay", "1s",
                        "--replicas-max-per-node", "1" if spread else "0", *words, BASE_IMAGE, *command,
                        timeout=180)
        wait_until(lambda: len(running(swarm, name)) == replicas, 90,
                   f"{replicas} tasks of {name} run; {tasks(swarm[0], name)}", 0.3)
    yield create
    for name in names:
        swarm[0].docker("service", "rm", name, check=False)
    wait_until(lambda: all(not node.pids("sleep") for node in swarm if node.process.alive()), 60,
               "no task is left")


def tasks(manager, name):
    lines = manager.output("service", "ps", "--no-trunc", "--format", "{{json .}}", name).splitlines()
    return [json.loads(line) for line in lines]


def running(swarm, name):
    """(node, container) of each task that runs, as the nodes themselves say it."""
    found = []
    for node in swarm:
        if not node.process.alive():
            continue
        done = node.docker("ps", "-q", "--filter", f"label=com.docker.swarm.service.name={name}", check=False)
        found += [(node, container) for container in done.stdout.split()]
    return found


def test_every_node_lists_the_buckets(swarm, bucket):
    for node in swarm:
        assert node.inspect("volume", "inspect", bucket.name)["Driver"] == DRIVER
        wait_until(lambda node=node: f"{DRIVER} {bucket.name}" in node.output(
            "volume", "ls", "--format", "{{.Driver}} {{.Name}}").splitlines(), 40, "the bucket is listed", 0.5)


@pytest.mark.parametrize("driver", ["", f",volume-driver={DRIVER}"], ids=["no driver named", "driver named"])
def test_two_replicas_share_a_bucket(swarm, service, bucket, driver):
    service("web", "--mount", f"type=volume,source={bucket.name},target={TARGET}{driver}")
    (first, one), (second, other) = running(swarm, "web")
    assert first is not second, "both tasks are on one node"
    for node in (first, second):
        assert node.inspect("volume", "inspect", bucket.name)["Driver"] == DRIVER
    first.shell(one, f"mkdir {TARGET}/css && echo '<h1>hello</h1>' >{TARGET}/index.html && "
                     f"echo 'h1 {{}}' >{TARGET}/css/style.css")
    wait_until(lambda: second.shell(other, f"cat {TARGET}/index.html {TARGET}/css/style.css", check=False)
               == "<h1>hello</h1>\nh1 {}", 5, "the other node reads it")
    assert bucket.get("index.html") == b"<h1>hello</h1>\n"
    assert bucket.get("css/style.css") == b"h1 {}\n"
    second.shell(other, f"echo more >>{TARGET}/index.html")
    assert bucket.get("index.html") == b"<h1>hello</h1>\nmore\n"
    bucket.put("robots.txt", b"User-agent: *\n")
    wait_until(lambda: first.shell(one, f"cat {TARGET}/robots.txt", check=False) == "User-agent: *", 5,
               "what others put is seen")


def test_docker_cp_into_a_task_leaves_it_running(swarm, service, bucket, tmp_path):
    service("web", "--mount", f"type=volume,source={bucket.name},target={TARGET},volume-driver={DRIVER}")
    node, container = running(swarm, "web")[0]
    (tmp_path / "page.html").write_text("copied\n")
    for _ in range(5):
        node.docker("cp", tmp_path / "page.html", f"{container}:{TARGET}/page.html")
        node.docker("cp", f"{container}:{TARGET}/page.html", tmp_path / "back.html")
        assert (tmp_path / "back.html").read_text() == "copied\n"
    assert len(node.mounts()) == 1
    assert node.shell(container, f"cat {TARGET}/page.html && echo alive >{TARGET}/still") == "copied"
    assert bucket.get("still") == b"alive\n"


def test_options_of_a_service_make_a_volume_on_each_node(swarm, service, bucket):
    service("slots", "--mount",
            f"type=volume,source=slot-volume,target={TARGET},volume-driver={DRIVER},"
            f"volume-opt=bucket={bucket.name},volume-opt=prefix=site,volume-opt=uid=33", replicas=3)
    found = running(swarm, "slots")
    assert len({node.name for node, _ in found}) == 3
    for node, container in found:
        assert node.shell(container, f"stat -c %u {TARGET}; echo x >{TARGET}/{node.name}") == "33"
        assert node.inspect("volume", "inspect", "slot-volume")["Options"]["prefix"] == "site"
    assert {f"site/{node.name}" for node, _ in found} <= set(bucket.keys())


def test_a_stack_gets_a_message_that_says_what_to_do(swarm, bucket):
    manager = swarm[0]
    manager.docker("service", "create", "--detach", "--name", "st_web", "--network", "host", "--mount",
                   f"type=volume,source=st_vol,target={TARGET},volume-driver={DRIVER}", BASE_IMAGE, "sleep",
                   "86400")
    try:
        wait_until(lambda: any("give -o bucket=BUCKET" in task["Error"] for task in tasks(manager, "st_web")),
                   60, "the task's error", 0.5)
    finally:
        manager.docker("service", "rm", "st_web")


def test_a_node_dies_and_its_task_finds_the_data_elsewhere(swarm, service, bucket):
    manager, *workers = swarm
    service("solo", "--mount", f"type=volume,source={bucket.name},target={TARGET}", "--constraint",
            "node.role==worker", replicas=1)
    (node, container), = running(swarm, "solo")
    node.shell(container, f"mkdir {TARGET}/d && seq 10000 >{TARGET}/d/numbers && echo kept >{TARGET}/f")
    node.power_cut()
    other = next(worker for worker in workers if worker is not node)
    wait_until(lambda: [found for found, _ in running(swarm, "solo")] == [other], MOVE_SECONDS,
               f"the task moves to {other.name}", 0.5)
    _, moved = running(swarm, "solo")[0]
    assert other.shell(moved, f"cat {TARGET}/f; tail -n 1 {TARGET}/d/numbers") == "kept\n10000"
    other.shell(moved, f"echo changed >{TARGET}/f")
    # The node comes back with what was on its disk, and must not bring the past with it.
    node.start()
    wait_until(lambda: node.inspect("plugin", "inspect", PLUGIN)["Enabled"], 30, "the plugin is enabled again")
    wait_until(lambda: manager.output("node", "ls", "--format", "{{.Hostname}} {{.Status}}").count("Ready") == 3,
               60, "the node is back", 0.5)
    assert node.run_once("-v", f"{bucket.name}:/data", script="cat /data/f").stdout == "changed\n"
    assert bucket.get("f") == b"changed\n"
    wait_until(lambda: not node.mounts(), 20, "what was left has been uploaded")
    assert node.status(bucket.name)["references"] == 0


def test_a_node_that_is_cut_off_uploads_later_without_overwriting(swarm, cluster, service, bucket):
    """Both sides change one file while they cannot see each other: nothing is lost."""
    manager, *workers = swarm
    name = "split-volume"
    service("split", "--mount",
            f"type=volume,source={name},target={TARGET},volume-driver={DRIVER},"
            f"volume-opt=bucket={bucket.name},volume-opt=close=local", "--constraint", "node.role==worker",
            replicas=1)
    (node, container), = running(swarm, "split")
    node.shell(container, f"echo base >{TARGET}/f")
    wait_until(lambda: bucket.keys() and bucket.get("f") == b"base\n", 20, "the base is in S3")
    node.docker("exec", "-d", container, "sh", "-c",
                f"exec 3>>{TARGET}/f; touch /ready; while [ ! -e /go ]; do sleep 0.1; done; echo stale >&3; "
                "exec 3>&-; touch /done")
    wait_until(lambda: node.exec(container, "test", "-e", "/ready", check=False).returncode == 0, 10, "ready")
    cluster.network.cut(node.number)
    node.exec(container, "touch", "/go")
    wait_until(lambda: node.exec(container, "test", "-e", "/done", check=False).returncode == 0, 20, "written")
    other = next(worker for worker in workers if worker is not node)
    wait_until(lambda: other in [found for found, _ in running(swarm, "split")], MOVE_SECONDS,
               f"a task starts on {other.name}", 0.5)
    moved = next(there for found, there in running(swarm, "split") if found is other)
    other.shell(moved, f"echo newer >>{TARGET}/f")
    wait_until(lambda: bucket.get("f") == b"base\nnewer\n", 20, "the newer version is in S3")
    cluster.network.mend(node.number)

    def copies():
        return [key for key in bucket.keys() if key != "f" and bucket.get(key) == b"base\nstale\n"]
    wait_until(copies, 120, f"the stale version is kept beside; there are {bucket.keys()}", 0.5)
    assert bucket.get("f") == b"base\nnewer\n"


def test_the_reboot_of_an_engine_brings_its_tasks_back(swarm, service, bucket):
    service("steady", "--mount", f"type=volume,source={bucket.name},target={TARGET}", "--constraint",
            "node.role==worker", replicas=2, spread=False)
    (first, one), (second, other) = running(swarm, "steady")
    first.shell(one, f"echo before >{TARGET}/f")
    first.reboot()
    wait_until(lambda: {node.name for node, _ in running(swarm, "steady")} == {first.name, second.name} or
               len(running(swarm, "steady")) >= 2, MOVE_SECONDS, "two tasks run again", 0.5)
    for node, container in running(swarm, "steady"):
        wait_until(lambda n=node, c=container: n.shell(c, f"cat {TARGET}/f", check=False) == "before", 20,
                   f"the data on {node.name}")


def test_disable_set_enable_on_a_node_of_the_swarm(swarm, service, bucket):
    worker = swarm[2]
    worker.docker("plugin", "disable", "-f", PLUGIN)
    worker.docker("plugin", "set", PLUGIN, "S3MOUNT_LOG_LEVEL=debug")
    worker.docker("plugin", "enable", PLUGIN)
    service("again", "--mount", f"type=volume,source={bucket.name},target={TARGET}", "--constraint",
            f"node.hostname=={worker.name}", replicas=1)
    (node, container), = running(swarm, "again")
    assert node is worker
    node.shell(container, f"echo x >{TARGET}/x")
    assert bucket.get("x") == b"x\n"

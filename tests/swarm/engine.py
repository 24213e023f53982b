"""Real Docker engines on this machine: nodes with a network of their own, a registry, an S3 server.

Each node is a dockerd in its own mount, PID, UTS and network namespaces, on one bridge, with private /run
and /var/lib. The namespaces belong to the node's first process, so that ending it is a power cut: nothing of
the node is left, not even its end of the cable. What stays on disk is there when the node starts again.

The builder is one more engine, in the machine's own network, because building needs Debian's mirror. It keeps
what it built in CACHE, so that a second run takes seconds.
"""
import contextlib
import fcntl
import ipaddress
import json
import os
import pathlib
import shutil
import signal
import subprocess

import processes
from processes import BIN, MARK_NAME, ROOT, SESSION_MARK, WORK, Process, accepts, free_port, wait_until

CACHE = pathlib.Path(os.environ.get("S3MOUNT_TEST_TOOLS", "/var/cache/s3mount-tests"))
SUITE = "trixie"
BASE_IMAGE = "debian:trixie-slim"
ACCESS_KEY = "swarm-access-key"
SECRET_KEY = "swarm-Secret-0123456789-never-shown"
PLUGIN = "s3mount"  # the alias under which nodes install it

START_SECONDS = 60


class CommandFailed(Exception):
    def __init__(self, argv, done):
        self.output = (done.stdout or "") + (done.stderr or "")
        super().__init__(f"{' '.join(map(str, argv))}: exit status {done.returncode}\n{self.output[-1500:]}")


def run(*argv, timeout=120, check=True, **more):
    argv = [str(word) for word in argv]
    done = subprocess.run(argv, text=True, stdin=more.pop("stdin", subprocess.DEVNULL),
                          capture_output=True, timeout=timeout, **more)
    if check and done.returncode != 0:
        raise CommandFailed(argv, done)
    return done


def debian_mirror():
    """Where this machine gets its own packages."""
    codename = pathlib.Path("/etc/os-release").read_text().split("VERSION_CODENAME=")[1].split()[0]
    found = run("apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {codename}",
                "Component: main").stdout.split()
    return os.environ.get("DEBIAN_MIRROR") or found[0]


def docker_client():
    """Debian's own client: another one may have been put before it, for another engine."""
    return "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else shutil.which("docker")


START_SCRIPT = """
set -e
# Other file systems that are mounted on the machine would be pinned by this copy of the mount table.
mount --make-rprivate /
mount -t proc proc /proc
while read -r _ _ _ _ point rest; do
    case "$rest" in *" - fuse"*) umount -l "$point" ;; esac
done </proc/self/mountinfo
mount -t tmpfs tmpfs /run
for name in lib cache; do mount --bind "$NODE/var-$name" "/var/$name"; done
mkdir -p /run/lock
hostname "$NAME"
ip link set lo up
while [ ! -e "$NODE/online" ]; do sleep 0.02; done
# As init does it: an engine that dies is started again, one that is stopped is not.
trap 'stopping=1; kill -TERM "$engine" || true' TERM
while [ -z "$stopping" ]; do
    [ ! -e "$NODE/hold" ] || { sleep 0.05; continue; }
    rm -f /run/docker.pid
    start_engine &
    engine=$!
    while kill -0 "$engine" 2>/dev/null; do wait "$engine" || true; done
done
"""
START_ENGINE = """
start_engine() {
    exec dockerd --data-root "$NODE/docker" -H "unix://$NODE/docker.sock" --pidfile /run/docker.pid \\
    --bridge=none --iptables=false --ip6tables=false --insecure-registry "$SUBNET" \\
    --cgroup-parent "/$CGROUP"
}
"""


class Docker:
    """The client of one engine."""

    socket = None

    def docker(self, *words, timeout=120, check=True, **more):
        argv = [docker_client(), "-H", f"unix://{self.socket}", *words]
        environment = {"PATH": os.environ["PATH"], "HOME": str(WORK), "DOCKER_BUILDKIT": "0",
                       MARK_NAME: SESSION_MARK}
        return run(*argv, timeout=timeout, check=check, env=environment, **more)

    def output(self, *words, **more):
        return self.docker(*words, **more).stdout.strip()

    def inspect(self, *words):
        return json.loads(self.output(*words))[0]

    def answers(self):
        return self.docker("version", check=False, timeout=20).returncode == 0

    def exec(self, container, *words, check=True, timeout=120):
        return self.docker("exec", "-w", "/", container, *words, check=check, timeout=timeout)

    def shell(self, container, script, check=True, timeout=120):
        return self.exec(container, "sh", "-c", script, check=check, timeout=timeout).stdout.strip()


class Builder(Docker):
    """An engine with the internet, for images; one at a time on this machine."""

    def __init__(self, network):
        self.dir = CACHE / "builder"
        self.socket = WORK / "builder.sock"
        self.network = network
        self.process = None

    def __enter__(self):
        CACHE.mkdir(parents=True, exist_ok=True)
        self.lock = open(CACHE / "builder.lock", "w", encoding="ascii")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        environment = {"PATH": os.environ["PATH"], "HOME": str(WORK), MARK_NAME: SESSION_MARK,
                       "DIR": str(self.dir), "SOCKET": str(self.socket), "SUBNET": str(self.network.subnet)}
        script = """
            set -e
            mount --make-rprivate /
            mount -t proc proc /proc
            mount -t tmpfs tmpfs /run
            mkdir -p "$DIR" /run/lock
            exec dockerd --data-root "$DIR" -H "unix://$SOCKET" --pidfile /run/docker.pid --bridge=none \
                --iptables=false --ip6tables=false --insecure-registry "$SUBNET"
        """
        self.process = Process(["unshare", "-m", "-p", "-f", "--kill-child", "sh", "-c", script],
                               WORK / "builder.log", environment)
        wait_until(lambda: self.answers() or not self.process.alive(), START_SECONDS, "the builder's engine",
                   0.1)
        if not self.process.alive():
            raise RuntimeError(f"the builder's engine died:\n{self.process.output()[-4000:]}")
        return self

    def __exit__(self, *exception):
        stop_engine(self.process)
        self.lock.close()

    def base_image(self):
        """debian:trixie-slim, as Dockerfiles of users name it, without Docker's hub."""
        if self.docker("image", "inspect", BASE_IMAGE, check=False).returncode == 0:
            return
        archive = CACHE / f"{SUITE}-minbase.tar"
        if not archive.exists():
            tree = CACHE / f"{SUITE}.{os.getpid()}"
            try:
                run("debootstrap", "--variant=minbase", SUITE, tree, debian_mirror(), timeout=1200)
                partial = archive.with_suffix(".partial")
                run("tar", "-C", tree, "--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*",
                    "--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*",
                    "-cf", partial, ".", timeout=300)
                partial.rename(archive)
            finally:
                shutil.rmtree(tree, ignore_errors=True)
        self.docker("import", archive, BASE_IMAGE, timeout=300)

    def plugin_directory(self):
        """What `make plugin` makes, with the project's own Dockerfile."""
        client = f"{docker_client()} -H unix://{self.socket}"
        run("make", "--no-print-directory", "-C", ROOT, "plugin-directory", f"BUILD={WORK}/plugin-build",
            f"DOCKER={client}", "PLUGIN_BUILD=--network host", timeout=1200,
            env={"PATH": os.environ["PATH"], "HOME": str(WORK), "DOCKER_BUILDKIT": "0"})
        self.docker("image", "prune", "-f", check=False)
        return WORK / "plugin-build/plugin"

    def push_plugin(self, directory, name):
        self.docker("plugin", "rm", "-f", name, check=False)
        self.docker("plugin", "create", name, directory, timeout=300)
        self.docker("plugin", "push", name, timeout=300)
        self.docker("plugin", "rm", "-f", name)

    def work_image(self, archive):
        """What containers run: the base image, as a file that engines without the internet load."""
        self.docker("save", "-o", archive, BASE_IMAGE, timeout=300)


def stop_engine(process):
    """As shutdown does it. The engine is a child of unshare, which a signal would not reach."""
    if process.alive():
        for pid in first_children(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.popen.wait(40)
    process.kill9()


def first_children(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in text.split()]


class Network:
    """A bridge on which the nodes, the registry and the S3 server meet."""

    def __init__(self):
        taken = run("ip", "-4", "-o", "addr").stdout
        number = next(n for n in range(10, 250) if f" 10.77.{n}." not in taken)
        self.subnet = ipaddress.ip_network(f"10.77.{number}.0/24")
        self.bridge = f"s3t{number}"
        self.address = str(self.subnet[254])

    def __enter__(self):
        # With an address of its own: otherwise it has that of one of its ports, and when the node behind it
        # dies, the others go on sending to an address that nobody has.
        run("ip", "link", "add", self.bridge, "address", f"02:73:33:00:00:{self.subnet[0].packed[2]:02x}", "type",
            "bridge")
        run("ip", "addr", "add", f"{self.address}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")
        return self

    def __exit__(self, *exception):
        run("ip", "link", "delete", self.bridge, check=False)

    def node_address(self, number):
        return str(self.subnet[number])

    def connect(self, number, pid):
        """A cable from the bridge into the network namespace of a process."""
        cable, inside = f"{self.bridge}v{number}", f"{self.bridge}p{number}"
        run("ip", "link", "delete", cable, check=False)
        run("ip", "link", "add", cable, "type", "veth", "peer", "name", inside)
        run("ip", "link", "set", inside, "netns", pid)
        run("ip", "link", "set", cable, "master", self.bridge, "up")
        within = ["nsenter", "-t", pid, "-n", "ip"]
        run(*within, "link", "set", inside, "name", "eth0")
        run(*within, "addr", "add", f"{self.node_address(number)}/24", "dev", "eth0")
        run(*within, "link", "set", "eth0", "up")

    def cut(self, number):
        run("ip", "link", "set", f"{self.bridge}v{number}", "down")

    def mend(self, number):
        run("ip", "link", "set", f"{self.bridge}v{number}", "up")


class Registry:
    def __init__(self, network):
        self.dir = WORK / "registry"
        self.dir.mkdir(parents=True)
        self.port = free_port(network.address)
        self.address = f"{network.address}:{self.port}"
        (self.dir / "config.yml").write_text(
            f"version: 0.1\nlog: {{level: warn}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.dir}/data}}}}\n"
            f"http: {{addr: '{self.address}'}}\n")
        self.process = Process(["docker-registry", "serve", self.dir / "config.yml"], self.dir / "log",
                               {"PATH": os.environ["PATH"], MARK_NAME: SESSION_MARK})
        wait_until(lambda: accepts(self.port, network.address), 20, "the registry")

    def stop(self):
        self.process.kill9()


class S3Server:
    """The project's small server where all nodes reach it."""

    def __init__(self, network):
        self.dir = WORK / "s3"
        self.dir.mkdir(parents=True)
        self.host = network.address
        self.port = free_port(self.host)
        self.process = None
        self.start()

    @property
    def endpoint(self):
        return f"http://{self.host}:{self.port}"

    def start(self):
        self.process = Process(
            [BIN / "s3server", "--listen", self.host, "--port", self.port, "--root", self.dir / "data"],
            self.dir / "log", {"PATH": os.environ["PATH"], MARK_NAME: SESSION_MARK,
                               "S3SERVER_ACCESS_KEY": ACCESS_KEY, "S3SERVER_SECRET_KEY": SECRET_KEY})
        wait_until(lambda: accepts(self.port, self.host), 20, "the S3 server")

    def stop(self):
        self.process.kill9()

    def hang(self):
        self.process.pause()

    def go_on(self):
        self.process.signal_all(signal.SIGCONT)

    def client(self):
        import boto3
        import botocore.config
        config = botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3},
                                        request_checksum_calculation="when_required",
                                        response_checksum_validation="when_required")
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", config=config,
                            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY)


class Node(Docker):
    """A machine of the cluster: start, kill, start again."""

    def __init__(self, cluster, number):
        self.cluster = cluster
        self.number = number
        self.name = f"node{number}"
        self.address = cluster.network.node_address(number)
        self.dir = WORK / self.name
        self.socket = self.dir / "docker.sock"
        self.cgroup = f"s3mount-{cluster.network.bridge}-{number}"
        for name in ("var-lib", "var-cache", "docker"):
            (self.dir / name).mkdir(parents=True)
        self.process = None

    def start(self):
        for name in ("online", "docker.sock"):
            (self.dir / name).unlink(missing_ok=True)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.dir), MARK_NAME: SESSION_MARK,
                       "NODE": str(self.dir), "NAME": self.name, "SUBNET": str(self.cluster.network.subnet),
                       "CGROUP": self.cgroup}
        self.process = Process(
            ["unshare", "-n", "-m", "-u", "-p", "-f", "--kill-child", "sh", "-c",
             START_ENGINE + START_SCRIPT],
            self.dir / "log", environment)
        # The child of unshare is the first process of the new namespaces.
        wait_until(lambda: first_children(self.process.pid), 10, f"{self.name} starts")
        wait_until(self.has_own_network, 10, f"the network namespace of {self.name}")
        self.cluster.network.connect(self.number, self.init)
        (self.dir / "online").touch()
        self.wait_engine()
        return self

    @property
    def init(self):
        """PID 1 of the node."""
        return first_children(self.process.pid)[0]

    def has_own_network(self):
        return os.readlink(f"/proc/{self.init}/ns/net") != os.readlink("/proc/self/ns/net")

    def wait_engine(self):
        wait_until(lambda: self.answers() or not self.process.alive(), START_SECONDS,
                   f"the engine of {self.name}", 0.1)
        if not self.process.alive():
            raise RuntimeError(f"{self.name} died:\n{self.process.output()[-6000:]}")

    def power_cut(self):
        """Everything of the node ends at once; the disk stays."""
        self.process.kill9()
        self.clean_cgroups()

    def shut_down(self):
        if self.process:
            stop_engine(self.process)
            self.clean_cgroups()

    def reboot(self):
        self.shut_down()
        return self.start()

    def kill_engine(self, while_down=None):
        """kill -9 of dockerd alone; init starts it again, after while_down() if there is one."""
        engine = self.pids("dockerd")
        (self.dir / "hold").touch()
        for pid in engine:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.pids("dockerd"), 10, f"the engine of {self.name} ends")
        if while_down:
            while_down()
        (self.dir / "hold").unlink()
        wait_until(lambda: self.pids("dockerd"), 10, f"the engine of {self.name} is started again")
        self.wait_engine()

    def clean_cgroups(self):
        """runc makes them, and a killed engine cannot take them away."""
        for top in pathlib.Path("/sys/fs/cgroup").glob(f"*/{self.cgroup}"):
            for folder in sorted(top.glob("**/"), reverse=True):
                with contextlib.suppress(OSError):
                    folder.rmdir()

    # What containers and the plugin see

    def load(self, archive):
        self.docker("load", "-i", archive, timeout=300)

    def install_plugin(self, *settings, alias=PLUGIN):
        """The article's command line."""
        self.docker("plugin", "install", "--grant-all-permissions", "--alias", alias,
                    self.cluster.plugin_name, *settings, timeout=300)

    def plugin_id(self, name=PLUGIN):
        return self.inspect("plugin", "inspect", name)["Id"]

    def processes(self):
        """(pid, arguments) of all processes of the node, seen from outside."""
        own = os.readlink(f"/proc/{self.init}/ns/net")
        found = []
        for pid, _ in processes.sessions():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/ns/net") == own:
                    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    found.append((pid, [word.decode(errors="replace") for word in words[:-1]]))
        return found

    def pids(self, program):
        return [pid for pid, words in self.processes() if words and words[0].rpartition("/")[2] == program]

    def mounts(self):
        """Mount points of our file system in the plugin's own view, one line for each."""
        plugin = self.pids("s3mount-plugin")
        if not plugin:
            return []
        text = pathlib.Path(f"/proc/{plugin[0]}/mountinfo").read_text()
        return [line.split()[4] for line in text.splitlines() if " - fuse" in line]

    def state(self):
        """The plugin's state directory, as the host sees it."""
        return self.dir / "var-lib/s3mount"

    def log(self):
        return self.process.output()

    def plugin_log(self):
        return "\n".join(line for line in self.log().splitlines() if "s3mount-plugin" in line)

    def status(self, volume):
        """What docker volume inspect shows as Status."""
        return self.inspect("volume", "inspect", volume)["Status"]

    def start_container(self, *words):
        """In the background, for tests to look into; ended by SIGKILL, for `sleep` ignores SIGTERM as PID 1."""
        return self.output("run", "-d", "--network", "none", "--stop-signal", "KILL", *words, BASE_IMAGE,
                           "sleep", "86400")

    def run_once(self, *words, script, check=True, timeout=120):
        return self.docker("run", "--rm", "--network", "none", *words, BASE_IMAGE, "sh", "-c", script,
                           check=check, timeout=timeout)

    def remove_containers(self):
        names = self.output("ps", "-aq").split()
        if names:
            self.docker("rm", "-f", *names)


class Cluster:
    """Network, registry with the plugin, S3 server, and nodes."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.nodes = []

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.network = stack.enter_context(Network())
            self.registry = Registry(self.network)
            stack.callback(self.registry.stop)
            self.s3 = S3Server(self.network)
            stack.callback(self.s3.stop)
            self.plugin_name = f"{self.registry.address}/s3mount:latest"
            self.image_archive = WORK / "image.tar"
            with Builder(self.network) as builder:
                builder.base_image()
                self.plugin_directory = builder.plugin_directory()
                builder.push_plugin(self.plugin_directory, self.plugin_name)
                builder.work_image(self.image_archive)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self.stack.close()

    def add_node(self):
        node = Node(self, len(self.nodes) + 1)
        self.nodes.append(node)
        self.stack.callback(node.shut_down)
        node.start()
        node.load(self.image_archive)
        return node

    def article_settings(self, **more):
        settings = {
            "S3FS_OPTIONS": f"allow_other,use_path_request_style,nonempty,url={self.s3.endpoint}",
            "S3FS_ENDPOINT": self.s3.endpoint,
            "S3FS_ACCESSKEY": ACCESS_KEY,
            "S3FS_SECRETKEY": SECRET_KEY, **more}
        return [f"{name}={value}" for name, value in settings.items()]

"""The plugin on one real engine: what its users do, and what engines do to plugins."""
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import time

import pytest

from engine import ACCESS_KEY, BASE_IMAGE, PLUGIN, SECRET_KEY, CommandFailed
from processes import wait_until

DRIVER = f"{PLUGIN}:latest"


@pytest.fixture(autouse=True)
def _no_containers_left(node):
    yield
    node.remove_containers()
    wait_until(lambda: not node.mounts(), 30, "no volume is mounted any more")


def refused(node, *words, timeout=60):
    start = time.monotonic()
    done = node.docker(*words, check=False, timeout=timeout)
    assert done.returncode != 0, f"it succeeded: {done.stdout}"
    assert time.monotonic() - start < 15
    return done.stderr


# The article


def test_buckets_of_the_account_are_volumes(node, make_bucket, bucket):
    # A bucket that is younger than the plugin's list is known when somebody asks for it.
    assert node.inspect("volume", "inspect", bucket.name)["Driver"] == DRIVER
    listed = node.output("volume", "ls", "-q").split()
    assert bucket.name in listed
    dotted = make_bucket("with.dots.and-more")
    wait_until(lambda: dotted.name in node.output("volume", "ls", "-q").split(), 40,
               "a new bucket is listed")


def test_a_container_writes_plain_objects_and_reads_what_others_put(node, bucket):
    bucket.put("from-outside.txt", b"outside")
    done = node.run_once("-v", f"{bucket.name}:/data",
                         script="cat /data/from-outside.txt; mkdir /data/dir; echo inside >/data/dir/f")
    assert done.stdout == "outside"
    assert bucket.get("dir/f") == b"inside\n"
    assert bucket.head("dir/f")["Metadata"]["mode"] == str(0o100644)
    assert node.run_once("-v", f"{bucket.name}:/data", script="cat /data/dir/f").stdout == "inside\n"


def test_a_mount_that_names_no_driver_finds_the_bucket(node, bucket):
    node.run_once("--mount", f"type=volume,source={bucket.name},target=/data", script="echo x >/data/x")
    assert bucket.get("x") == b"x\n"


def test_an_empty_bucket_gets_what_the_image_has_there(node, bucket):
    node.run_once("-v", f"{bucket.name}:/etc/apt", script="true")
    assert "sources.list" in bucket.keys()


def test_an_ordinary_user_writes_where_uid_says_so(node, bucket):
    node.docker("volume", "create", "-d", PLUGIN, "-o", f"bucket={bucket.name}", "-o", "uid=33", "-o",
                "gid=33", "-o", "umask=027", "of-www-data")
    done = node.run_once("--user", "33:33", "-v", "of-www-data:/data",
                         script="echo x >/data/x && stat -c '%u %g %a' /data")
    assert done.stdout.strip() == "33 33 750"
    assert node.status("of-www-data")["options"].count("uid=33") == 1
    node.docker("volume", "rm", "of-www-data")


def test_volumes_of_one_bucket_have_prefixes_of_their_own(node, bucket):
    for name in ("one", "two"):
        node.docker("volume", "create", "-d", PLUGIN, "-o", f"bucket={bucket.name}", "-o",
                    f"prefix=parts/{name}", f"part-{name}")
        node.run_once("-v", f"part-{name}:/data", script=f"echo {name} >/data/f; ls /data")
    assert bucket.get("parts/one/f") == b"one\n"
    assert bucket.get("parts/two/f") == b"two\n"
    node.docker("volume", "rm", "part-one", "part-two")
    assert bucket.get("parts/one/f") == b"one\n", "removing a volume removed its objects"
    assert not (node.state() / "volumes/part-one.json").exists()
    assert not (node.state() / "cache/part-one").exists()


# docker cp, containers that share a volume


def test_docker_cp_on_a_running_container_leaves_exactly_one_mount(node, bucket, tmp_path):
    container = node.start_container("-v", f"{bucket.name}:/data")
    node.shell(container, "echo start >/data/f")
    (tmp_path / "in").write_text("copied in\n")
    for number in range(20):
        node.docker("cp", f"{container}:/data/f", tmp_path / "out")
        assert (tmp_path / "out").read_text() == "start\n"
        node.docker("cp", tmp_path / "in", f"{container}:/data/in-{number}")
    assert len(node.mounts()) == 1
    assert len(node.pids("s3mount")) == 1
    assert node.status(bucket.name)["references"] == 1
    assert node.shell(container, "cat /data/in-19 && echo end >/data/f && cat /data/f") == "copied in\nend"
    assert bucket.get("f") == b"end\n"


def test_containers_share_one_mount_and_the_last_one_ends_it(node, bucket):
    names = [node.start_container("-v", f"{bucket.name}:/data") for _ in range(3)]
    node.shell(names[0], "echo shared >/data/f")
    assert node.shell(names[2], "cat /data/f") == "shared"
    assert len(node.mounts()) == 1 and node.status(bucket.name)["references"] == 3
    for name in names[:2]:
        node.docker("rm", "-f", name)
    assert len(node.mounts()) == 1 and node.shell(names[2], "cat /data/f") == "shared"
    node.docker("rm", "-f", names[2])
    assert not node.mounts() and node.status(bucket.name)["references"] == 0


def test_twelve_volumes_are_mounted_and_written_at_once(node, bucket):
    def use(number):
        name = f"many-{number}"
        node.docker("volume", "create", "-d", PLUGIN, "-o", f"bucket={bucket.name}", "-o",
                    f"prefix=many/{number}", name)
        node.run_once("-v", f"{name}:/data", script=f"echo {number} >/data/f")
        node.docker("volume", "rm", name)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        list(pool.map(use, range(12)))
    assert [bucket.get(f"many/{n}/f") for n in range(12)] == [f"{n}\n".encode() for n in range(12)]


# Errors


@pytest.mark.parametrize("options, expected", [
    (["bucket=no-such-bucket-here"], ["no-such-bucket-here", "NoSuchBucket"]),
    ([], ["st_vol", "give -o bucket=BUCKET"]),
    (["bucket=BUCKET", "prefx=a"], ["prefx", "did you mean 'prefix'"]),
    (["bucket=BUCKET", "uid=me"], ["uid", "me"]),
    (["bucket=BUCKET", "secret_key=abc"], ["secret_key", "credentials=NAME"]),
    (["bucket=BUCKET", "credentials=absent"], ["credentials", "absent"]),
    (["bucket=BUCKET", "credentials=wrong-secret"], ["SignatureDoesNotMatch", "wrong-secret"]),
    (["bucket=BUCKET", "credentials=wrong-key"], ["InvalidAccessKeyId", "wrong-key"]),
    (["bucket=BUCKET", "credentials=open-to-all"], ["credentials", "open-to-all"]),
    (["bucket=BUCKET", "endpoint=http://ADDRESS:1"], ["ADDRESS:1", "endpoint"]),
    (["bucket=BUCKET", "endpoint=http://no-such-host.invalid"], ["no-such-host.invalid", "endpoint"]),
])
def test_wrong_options_are_refused_by_name(node, cluster, bucket, options, expected):
    write_credentials(node, "wrong-secret", ACCESS_KEY, "not-the-secret")
    write_credentials(node, "wrong-key", "not-the-key", SECRET_KEY)
    write_credentials(node, "open-to-all", ACCESS_KEY, SECRET_KEY, 0o644)

    def fill(text):
        return text.replace("BUCKET", bucket.name).replace("ADDRESS", cluster.network.address)
    words = [word for option in options for word in ("-o", fill(option))]
    message = refused(node, "volume", "create", "-d", PLUGIN, *words, "st_vol")
    for part in expected:
        assert (part if "give" in part else fill(part)) in message, message
    assert "st_vol" not in node.output("volume", "ls", "-q").split()


def test_a_mount_that_fails_says_why_and_leaves_nothing(node, cluster, bucket):
    node.docker("volume", "create", "-d", PLUGIN, "-o", f"bucket={bucket.name}", "soon-without-bucket")
    bucket.client.delete_bucket(Bucket=bucket.name)
    message = refused(node, "run", "--rm", "--network", "none", "-v", "soon-without-bucket:/data", BASE_IMAGE,
                      "true")
    assert "NoSuchBucket" in message
    assert not node.mounts() and not node.pids("s3mount")
    assert node.status("soon-without-bucket")["references"] == 0
    assert "NoSuchBucket" in node.status("soon-without-bucket")["last_error"]
    node.docker("volume", "rm", "soon-without-bucket")


# Keys


def write_credentials(node, name, access_key, secret_key, mode=0o600):
    path = node.state() / "credentials" / name
    path.write_text(f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n")
    path.chmod(mode)


def test_keys_are_nowhere_but_where_they_were_put(node, bucket):
    write_credentials(node, "team", ACCESS_KEY, SECRET_KEY)
    node.docker("volume", "create", "-d", PLUGIN, "-o", f"bucket={bucket.name}", "-o", "credentials=team",
                "with-file")
    containers = [node.start_container("-v", f"{volume}:/data") for volume in ("with-file", bucket.name)]
    node.shell(containers[0], "echo x >/data/x")
    assert len(node.pids("s3mount")) == 2
    seen = {
        "volume inspect": node.output("volume", "inspect", "with-file", bucket.name),
        "inspect": node.output("inspect", *containers),
        "volume ls": node.output("volume", "ls"),
        "log": node.log(),
    }
    for pid, words in node.processes():
        seen[f"arguments of {pid}"] = " ".join(words)
        program = words[0].rpartition("/")[2] if words else ""
        if program in ("s3mount", "s3mount-plugin"):
            seen[f"environment of {program}"] = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode()
    for path in node.state().rglob("*"):
        if path.is_file() and path.parent.name != "credentials":
            seen[str(path)] = path.read_bytes().decode(errors="replace")
    assert [where for where, text in seen.items() if SECRET_KEY in text] == []
    node.remove_containers()
    node.docker("volume", "rm", "with-file")


# What goes wrong below the plugin


def test_a_volume_whose_process_dies_is_mounted_again(node, bucket):
    first = node.start_container("-v", f"{bucket.name}:/data")
    node.shell(first, "echo before >/data/f")
    os.kill(node.pids("s3mount")[0], signal.SIGKILL)
    wait_until(lambda: node.pids("s3mount") and len(node.mounts()) == 1, 10, "it is mounted again", 0.1)
    start = time.monotonic()
    assert node.run_once("-v", f"{bucket.name}:/data", script="cat /data/f").stdout == "before\n"
    assert time.monotonic() - start < 5


def test_a_plugin_that_is_killed_comes_back_with_its_volumes(node, bucket):
    node.docker("volume", "create", "-d", PLUGIN, "-o", f"bucket={bucket.name}", "-o", "prefix=p", "-o",
                "close=local", "--label", "a=b", "kept")
    first = node.start_container("-v", "kept:/data")
    node.shell(first, "for n in $(seq 50); do head -c 100000 /dev/urandom >/data/f$n; done; "
                      "cd /data && sha256sum f* >/tmp/sums")
    sums = node.exec(first, "cat", "/tmp/sums").stdout
    old = node.pids("s3mount-plugin")
    os.kill(old[0], signal.SIGKILL)
    wait_until(lambda: node.pids("s3mount-plugin") not in ([], old), 20, "the plugin is started again", 0.1)
    wait_until(lambda: len(bucket.keys("p/f")) == 50, 30, "what was written is in S3", 0.1)
    done = node.run_once("-v", "kept:/data", script="cd /data && sha256sum f*")
    assert done.stdout == sums
    assert node.inspect("volume", "inspect", "kept")["Labels"] == {"a": "b"}
    node.remove_containers()
    wait_until(lambda: node.status("kept")["references"] == 0, 10, "nobody uses it")
    node.docker("volume", "rm", "kept")
    assert len(bucket.keys("p/f")) == 50


def test_an_engine_that_is_killed_starts_the_same_container_again(node, bucket):
    container = node.start_container("-v", f"{bucket.name}:/data")
    for number in range(2):
        node.shell(container, f"echo {number} >>/data/f")
        node.kill_engine()
        wait_until(lambda: node.inspect("plugin", "inspect", PLUGIN)["Enabled"], 30, "the plugin is enabled")
        node.docker("start", container)
        assert node.shell(container, "tail -n 1 /data/f") == str(number)
        assert node.status(bucket.name)["references"] == 1 and len(node.mounts()) == 1
    node.docker("stop", container)
    assert node.status(bucket.name)["references"] == 0 and not node.mounts()
    assert bucket.get("f") == b"0\n1\n"


def test_options_and_labels_survive_engine_starts_without_s3(node, cluster, bucket):
    node.docker("volume", "create", "-d", PLUGIN, "-o", f"bucket={bucket.name}", "-o", "uid=7", "--label",
                "owner=me", "far")
    wait_until(lambda: bucket.name in node.output("volume", "ls", "-q").split(), 40, "the bucket is listed", 0.5)
    try:
        cluster.s3.stop()
        for _ in range(3):
            node.kill_engine()
            shown = node.inspect("volume", "inspect", "far")
            assert shown["Options"] == {"bucket": bucket.name, "uid": "7"}
            assert shown["Labels"] == {"owner": "me"}
        assert bucket.name in node.output("volume", "ls", "-q").split(), "the list of last time is not there"
        message = refused(node, "run", "--rm", "--network", "none", "-v", "far:/data", BASE_IMAGE, "true")
        assert str(cluster.s3.port) in message
    finally:
        cluster.s3.start()
    done = node.run_once("-v", "far:/data", script="touch /data/x && stat -c %u /data")
    assert done.stdout.strip() == "7"
    node.docker("volume", "rm", "far")


def test_other_volumes_are_answered_while_one_hangs_in_its_mount(node, cluster, bucket):
    node.docker("volume", "create", "-d", PLUGIN, "-o", f"bucket={bucket.name}", "slow")
    cluster.s3.hang()
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            slow = pool.submit(node.run_once, "-v", "slow:/data", script="true", check=False)
            wait_until(lambda: node.pids("s3mount"), 10, "the mount begins")
            slowest = 0
            for _ in range(20):
                start = time.monotonic()
                node.docker("volume", "inspect", "slow")
                node.docker("volume", "ls")
                slowest = max(slowest, time.monotonic() - start)
            assert slowest < 1, "two commands of the client"
            assert not slow.done()
            cluster.s3.go_on()
            assert slow.result(40) is not None
    finally:
        cluster.s3.go_on()
    node.docker("volume", "rm", "slow")


def test_changes_that_are_not_in_s3_keep_a_volume_from_being_removed(node, cluster, bucket):
    node.docker("volume", "create", "-d", PLUGIN, "-o", f"bucket={bucket.name}", "-o", "close=local", "-o",
                "drain_timeout=1", "dirty")
    container = node.start_container("-v", "dirty:/data")
    node.docker("exec", "-d", container, "sh", "-c",
                "exec 3>/data/g; touch /ready; while [ ! -e /go ]; do sleep 0.1; done; echo precious >&3; "
                "exec 3>&-; touch /done")
    wait_until(lambda: node.exec(container, "test", "-e", "/ready", check=False).returncode == 0, 10, "ready")
    cluster.s3.stop()
    try:
        node.exec(container, "touch", "/go")
        wait_until(lambda: node.exec(container, "test", "-e", "/done", check=False).returncode == 0, 10, "written")
        node.docker("rm", "-f", container)
        wait_until(lambda: not node.pids("s3mount"), 30, "s3mount ends with what is left")
        message = refused(node, "volume", "rm", "dirty")
        assert "not in S3" in message and "cache/dirty" in message
    finally:
        cluster.s3.start()
    node.docker("volume", "rm", "dirty")
    assert bucket.get("g") == b"precious\n"
    assert not (node.state() / "cache/dirty").exists()


# Life of the plugin


def test_disable_set_enable(node, bucket, make_bucket):
    container = node.start_container("-v", f"{bucket.name}:/data")
    node.shell(container, "echo x >/data/x")
    node.docker("rm", "-f", container)
    start = time.monotonic()
    node.docker("plugin", "disable", "-f", PLUGIN)
    assert time.monotonic() - start < 9, "the engine had to kill it"
    assert not node.pids("s3mount-plugin") and not node.pids("s3mount")
    node.docker("plugin", "set", PLUGIN, "S3FS_OPTIONS=allow_other uid=99")
    node.docker("plugin", "enable", PLUGIN)
    assert node.run_once("-v", f"{bucket.name}:/data", script="cat /data/x").stdout == "x\n"
    fresh = make_bucket("used-after-the-setting")
    assert node.run_once("-v", f"{fresh.name}:/data", script="stat -c %u /data").stdout == "99\n"


def test_disable_under_a_running_container_ends_in_time_and_enable_heals_new_ones(node, bucket):
    container = node.start_container("-v", f"{bucket.name}:/data")
    node.shell(container, "echo x >/data/x")
    start = time.monotonic()
    node.docker("plugin", "disable", "-f", PLUGIN)
    assert time.monotonic() - start < 9.5, "the engine had to kill it"
    node.docker("plugin", "enable", PLUGIN)
    assert node.run_once("-v", f"{bucket.name}:/data", script="cat /data/x").stdout == "x\n"


def test_settings_that_make_no_sense_are_told_by_every_mount(node, cluster, bucket):
    node.docker("plugin", "disable", "-f", PLUGIN)
    node.docker("plugin", "set", PLUGIN, "S3FS_OPTIONS=allow_othr")
    node.docker("plugin", "enable", PLUGIN)
    try:
        message = refused(node, "volume", "create", "-d", PLUGIN, "-o", f"bucket={bucket.name}", "nonsense")
        assert "S3FS_OPTIONS" in message and "did you mean 'allow_other'" in message
    finally:
        node.docker("plugin", "disable", "-f", PLUGIN)
        node.docker("plugin", "set", PLUGIN, "S3FS_OPTIONS=allow_other")
        node.docker("plugin", "enable", PLUGIN)


def test_definitions_and_cache_survive_the_removal_of_the_plugin(node, cluster, bucket):
    node.docker("volume", "create", "-d", PLUGIN, "-o", f"bucket={bucket.name}", "-o", "prefix=q", "survivor")
    node.run_once("-v", "survivor:/data", script="echo x >/data/x")
    node.docker("plugin", "rm", "-f", PLUGIN)
    assert (node.state() / "volumes/survivor.json").exists()
    assert list((node.state() / "cache/survivor").glob("*/journal.db"))
    node.install_plugin(*cluster.article_settings())
    assert node.run_once("-v", "survivor:/data", script="cat /data/x").stdout == "x\n"
    assert node.status("survivor")["options"].count("prefix=q") == 1
    assert bucket.keys() == ["q/x"] or sorted(bucket.keys()) == ["q/", "q/x"]
    node.docker("volume", "rm", "survivor")


def test_the_privileges_are_those_of_every_version(cluster):
    # An upgrade that asks for others is refused until a person grants them again.
    config = json.loads((cluster.plugin_directory / "config.json").read_text())
    assert config["network"] == {"type": "host"}
    assert config["linux"]["capabilities"] == ["CAP_SYS_ADMIN"]
    assert [device["path"] for device in config["linux"]["devices"]] == ["/dev/fuse"]
    assert [(mount["source"], mount["destination"]) for mount in config["mounts"]] == [("/var/lib", "/var/lib")]
    assert not {"pidhost", "ipchost"} & config.keys() and "allowAllDevices" not in config["linux"]


def test_the_image_is_small_and_has_no_shell(cluster):
    rootfs = cluster.plugin_directory / "rootfs"
    size = sum(path.stat().st_size for path in rootfs.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < 60 << 20
    assert not (rootfs / "usr/bin/sh").exists()
    assert re.match(r"s3mount-plugin \d", os.popen(f"chroot {rootfs} /usr/bin/s3mount-plugin --version").read())

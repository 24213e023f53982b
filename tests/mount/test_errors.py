"""Every way in which a mount can fail: one clear message, a non-zero exit status, soon, and nothing left."""
import glob
import os
import pathlib
import re
import subprocess
import time

import pytest

import stubs
from files import write_file
from processes import BIN, WORK, free_port, is_mounted
from servers import ACCESS_KEY, SECRET_KEY

LIMIT = 15


def check_failure(done, seconds, *patterns):
    """One line on stderr that matches all patterns, whatever their order."""
    text = done.stderr.strip()
    assert done.returncode != 0, f"it succeeded: {done.stdout} {text}"
    assert seconds < LIMIT, f"it took {seconds:.1f} s: {text}"
    assert done.stdout == ""
    assert len(text.splitlines()) == 1, f"not one message:\n{text}"
    for pattern in patterns:
        assert re.search(pattern, text, re.IGNORECASE), f"no {pattern!r} in: {text}"
    assert SECRET_KEY not in text and "wrong-secret" not in text


@pytest.fixture
def fails(bucket, make_mount):
    """fails([options], patterns..): mounts in the background as a user does, and wants it to fail."""
    def check(options, *patterns, source=None, path=None, environment=None, wrap=(), **more_environment):
        mount = make_mount(source or bucket, options, start=False, environment=environment)
        if path is not None:
            mount.path = path
        env = {**mount.child_environment(), **more_environment}
        start = time.monotonic()
        done = subprocess.run([*wrap, *mount.command()], env=env, cwd="/", text=True, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True)
        check_failure(done, time.monotonic() - start, *patterns)
        if path is None:
            assert not is_mounted(mount.path)
        assert not programs_with(mount.path, mount.option_list()), "a process is left"
        return done
    return check


def programs_with(path, options):
    """Processes of s3mount that were given exactly this mount point and these options."""
    found = []
    for name in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            words = pathlib.Path(name).read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"/s3mount") and os.fsencode(path) in words and os.fsencode(options) in words:
            found.append(name)
    return found


# What the server says


def test_no_such_bucket(fails):
    fails([], "no-such-bucket-here", "does not exist|no such bucket|NoSuchBucket", source="no-such-bucket-here")


def test_wrong_access_key(fails):
    fails([], "access key|credentials", "InvalidAccessKeyId|not know|AccessDenied",
          environment={"AWS_ACCESS_KEY_ID": "wrongaccesskey", "AWS_SECRET_ACCESS_KEY": SECRET_KEY})


def test_wrong_secret(fails):
    fails([], "secret", "SignatureDoesNotMatch|AccessDenied",
          environment={"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": "wrong-secret-of-some-length"})


def test_no_credentials(fails):
    fails([], "credential", "AWS_ACCESS_KEY_ID", environment={})


def test_half_of_the_credentials(fails):
    fails([], "AWS_SECRET_ACCESS_KEY", environment={"AWS_ACCESS_KEY_ID": ACCESS_KEY})


@pytest.mark.parametrize("status, code, patterns", [
    (403, "RequestTimeTooSkewed", ["clock"]),
    (400, "AuthorizationHeaderMalformed", ["region"]),
    (301, "PermanentRedirect", ["region"]),
    (403, "AccessDenied", ["AccessDenied", "allow|permi|polic|denie"]),
    (400, "ExpiredToken", ["ExpiredToken|expired"]),
    (503, "SlowDown", ["SlowDown|503"]),
    (500, "InternalError", ["InternalError|500"]),
])
def test_a_refusal_by_the_server_names_its_code_and_what_to_do(fails, status, code, patterns):
    with stubs.refusing_s3(status, code, "As the stub says.") as port:
        fails([f"endpoint=http://127.0.0.1:{port}"], *patterns)


@pytest.mark.parametrize("offset", ["-3h", "+3h"])
def test_clock_skew_is_corrected_by_what_the_server_says(bucket, make_mount, offset):
    library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    assert library, "libfaketime is missing: tests/lib/install-deps.sh test"
    mount = make_mount(bucket, start=False)
    mount.environment = {**mount.server.credentials(), "LD_PRELOAD": library[0], "FAKETIME": offset,
                         "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    mount.mount()
    write_file(mount / "file", b"signed with the time of the server")
    assert bucket.get("file") == b"signed with the time of the server"


def test_wrong_region_is_corrected_by_what_the_server_says(bucket, make_mount):
    """radosgw takes any region; the others know one and name it."""
    mount = make_mount(bucket, ["region=eu-wrong-9"])
    write_file(mount / "file", b"x")
    assert bucket.get("file") == b"x"


# What is at the endpoint


def test_endpoint_refuses_connections(fails):
    port = free_port()
    fails([f"endpoint=http://127.0.0.1:{port}"], f"127.0.0.1:{port}", "refused|connect|unreachable")


def test_endpoint_never_answers(fails):
    with stubs.listening() as port:
        fails([f"endpoint=http://127.0.0.1:{port}"], f"127.0.0.1:{port}", "answer|time")


def test_endpoint_has_no_address(fails):
    fails(["endpoint=http://s3.name-that-is-not.invalid"], "s3.name-that-is-not.invalid", "resolve|address|name")


def test_endpoint_is_not_a_url(fails):
    fails(["endpoint=::not a url::"], "endpoint")


def test_endpoint_is_a_web_site(fails):
    with stubs.web_site() as port:
        fails([f"endpoint=http://127.0.0.1:{port}"], f"127.0.0.1:{port}", "not .*S3")


def test_endpoint_does_not_speak_http(fails):
    with stubs.listening(stubs.banner) as port:
        fails([f"endpoint=http://127.0.0.1:{port}"], f"127.0.0.1:{port}", "not .*(S3|HTTP)")


def test_certificate_that_nobody_vouches_for(fails, tmp_path):
    with stubs.self_signed_https(tmp_path) as port:
        fails([f"endpoint=https://127.0.0.1:{port}"], f"127.0.0.1:{port}", "TLS|certificate", "ca_file")


def test_https_where_http_is_spoken(fails, server):
    fails([f"endpoint=https://127.0.0.1:{server.port}"], "TLS|SSL|http://")


# What the user typed


@pytest.mark.parametrize("option, hint", [("endpiont=x", "endpoint"), ("cachesize=1G", "cache_size"),
                                          ("allow-other", "allow_other"), ("xyzzy", "--help")])
def test_unknown_option(fails, option, hint):
    fails([option], option.partition("=")[0], hint)


@pytest.mark.parametrize("option", ["cache_size=lots", "umask=9", "close=never", "conflict=coin", "uid=me",
                                    "path_style=perhaps", "drain_timeout=soon"])
def test_malformed_option(fails, option):
    name, _, value = option.partition("=")
    fails([option], name, value)


@pytest.mark.parametrize("source", ["Bad_Bucket", "x", "s3://bucket"])
def test_bucket_name_that_cannot_be(fails, source):
    fails([], "bucket", source=source)


@pytest.mark.parametrize("words", [[], ["bucket-only"], ["a", "b", "c"], ["--nonsense", "bucket", "/mnt"]])
def test_wrong_usage(words):
    start = time.monotonic()
    done = subprocess.run([BIN / "s3mount", *words], text=True, capture_output=True, timeout=60)
    check_failure(done, time.monotonic() - start, "usage|--help")


# What is wrong on this machine


def test_mount_point_is_missing(fails):
    fails([], "/nowhere/at/all", "does not exist|no such", path="/nowhere/at/all")


def test_mount_point_is_a_file(fails, tmp_path):
    (tmp_path / "file").touch()
    fails([], str(tmp_path / "file"), "directory", path=str(tmp_path / "file"))


def test_mount_point_is_busy(fails, mount):
    fails([], mount.path, "mounted|busy|in use", path=mount.path)
    assert os.listdir(mount.path) == []


def test_no_dev_fuse(fails, tmp_path):
    (tmp_path / "empty").touch()
    fails([], "/dev/fuse",
          wrap=["unshare", "--mount", "sh", "-c", f'mount --bind {tmp_path}/empty /dev/fuse && exec "$@"', "sh"])


def test_dev_fuse_is_absent(fails):
    script = 'mkdir -p /run/lock; mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && ' \
             'mknod -m 666 /dev/urandom c 1 9 && exec "$@"'
    fails([], "/dev/fuse", wrap=["unshare", "--mount", "sh", "-c", script, "sh"])


def test_cache_directory_is_a_file(fails, tmp_path):
    (tmp_path / "file").touch()
    fails([f"cache={tmp_path}/file"], f"{tmp_path}/file", "cache")


def test_cache_directory_cannot_be_made(fails):
    fails(["cache=/proc/nothing/here"], "/proc/nothing", "cache")


def test_cache_directory_is_read_only(fails):
    cache = WORK / "read-only-cache"
    cache.mkdir(exist_ok=True)
    script = f'mount -t tmpfs -o ro none {cache} && exec "$@"'
    fails([f"cache={cache}"], str(cache), "read-only|write",
          wrap=["unshare", "--mount", "sh", "-c", script, "sh"])


def test_cache_directory_is_in_use_by_another_mount(fails, mount):
    fails([f"cache={mount.cache}"], re.escape(mount.cache), "in use|another")


def test_profile_that_does_not_exist(fails, tmp_path):
    (tmp_path / "config").write_text("[default]\nregion = us-east-1\n")
    fails(["profile=absent"], "profile", "absent", environment={}, AWS_CONFIG_FILE=str(tmp_path / "config"))


def test_passwd_file_that_others_can_read(fails, tmp_path):
    (tmp_path / "passwd").write_text(f"{ACCESS_KEY}:{SECRET_KEY}\n")
    (tmp_path / "passwd").chmod(0o644)
    fails([f"passwd_file={tmp_path}/passwd"], f"{tmp_path}/passwd", "permission|mode|chmod|0600|600",
          environment={})


@pytest.mark.parametrize("words", [["sync", "/tmp"], ["status", "/tmp"], ["status", "--json", "/nowhere"]])
def test_sync_and_status_of_what_is_no_mount(words):
    start = time.monotonic()
    done = subprocess.run([BIN / "s3mount", *words], text=True, capture_output=True, timeout=60)
    check_failure(done, time.monotonic() - start, words[-1])

"""Fixtures of the real-mount tests: servers, buckets, mounts; time limits; logs of what failed; leaks.

A test that needs something that is missing fails: nothing here is skipped.
"""
import os
import pathlib
import shutil
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

import mounts  # noqa: E402
import processes  # noqa: E402
import servers  # noqa: E402
import watchdog  # noqa: E402

DEFAULT_LIMIT = {"mount": 180, "programs": 300}  # by directory
OTHER_LIMIT = 1800
LOG_TAIL = 12000


def pytest_addoption(parser):
    parser.addoption("--servers", default=",".join(servers.SERVERS),
                     help="S3 servers to run on, by comma (default: all)")
    parser.addoption("--keep", action="store_true", help="keep the working directory")


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): time limit of the test (default 180)")
    config.addinivalue_line("markers", "servers(name, ..): the only servers that the test is about")
    names = config.getoption("--servers").split(",")
    unknown = set(names) - set(servers.SERVERS)
    if unknown:
        raise pytest.UsageError(f"--servers: unknown {', '.join(sorted(unknown))}")


def pytest_generate_tests(metafunc):
    if "server_name" in metafunc.fixturenames:
        names = metafunc.config.getoption("--servers").split(",")
        metafunc.parametrize("server_name", names, scope="session")


def pytest_collection_modifyitems(config, items):
    """A test that is about some servers is not there on the others, and one that needs none of them is there with
    the embedded one alone."""
    chosen = config.getoption("--servers").split(",")

    def is_about(item):
        marker = item.get_closest_marker("servers")
        name = item.callspec.params.get("server_name") if hasattr(item, "callspec") else None
        if name is None:
            return "embedded" in chosen or "mount" not in item.path.parts
        return marker is None or name in marker.args
    others = [item for item in items if not is_about(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if is_about(item)]


def pytest_sessionstart(session):
    session.config.namespaces_before = processes.net_namespaces()
    processes.WORK.mkdir(parents=True, exist_ok=True)


def pytest_sessionfinish(session):
    left = processes.clean_up(session.config.namespaces_before)
    if left:
        print("\nLeft behind by the tests:\n  " + "\n  ".join(left), file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if not session.config.getoption("--keep"):
        shutil.rmtree(processes.WORK, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else DEFAULT_LIMIT.get(item.path.parent.name, OTHER_LIMIT)

    def free_all():
        for mount in list(mounts.Mount.living):
            mount.free()
    with watchdog.Watchdog(seconds, free_all):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for mount in getattr(item, "mounts_of_test", []):
            if os.path.exists(mount.log):
                text = pathlib.Path(mount.log).read_text(errors="replace")
                report.sections.append((f"log of {mount.source} at {mount.path}", text[-LOG_TAIL:]))
    return report


@pytest.fixture(scope="session")
def server(server_name):
    """One S3 server, for all tests that run on it."""
    started = servers.SERVERS[server_name]()
    try:
        yield started.start()
    finally:
        started.stop()
        shutil.rmtree(started.dir, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _fresh_server(request):
    if "server_name" in request.fixturenames:
        request.getfixturevalue("server").renew()


@pytest.fixture
def bucket(server):
    """A new, empty bucket, seen through boto3."""
    made = server.make_bucket()
    yield made
    made.drop()


@pytest.fixture
def make_mount(request, server):
    """make_mount(bucket, [options], ...) mounts; all mounts are unmounted cleanly at the end."""
    item = request.node
    item.mounts_of_test = []

    def make(bucket, options=(), start=True, on=None, **arguments):
        mount = mounts.Mount(on or server, bucket, options, **arguments)
        item.mounts_of_test.append(mount)
        return mount.mount() if start else mount
    yield make
    problems = [problem for problem in (mount.finish() for mount in item.mounts_of_test) if problem]
    for mount in item.mounts_of_test:
        if not item.config.getoption("--keep") and not problems:
            mount.remove()
    assert not problems, "; ".join(problems)


@pytest.fixture
def mount(bucket, make_mount):
    """The usual case: one mount of the test's bucket."""
    return make_mount(bucket)


@pytest.fixture
def stopwatch():
    start = time.monotonic()
    return lambda: time.monotonic() - start

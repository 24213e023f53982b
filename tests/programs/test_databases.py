"""SQLite in each journal mode and PostgreSQL, on one node: locks, fsync, and what is there after a crash.

S3MOUNT_TEST_PGBENCH=60 makes the run of pgbench a minute, and adds one where each commit is in S3.
"""
import contextlib
import os
import pathlib
import pwd
import re
import signal
import sqlite3
import time

import pytest

from children import CLEANLY, join_child, start_child
from processes import wait_until
from programs import cold, run

PGBENCH = int(os.environ.get("S3MOUNT_TEST_PGBENCH", "8"))
JOURNALS = ("delete", "truncate", "persist", "memory", "wal")
LOCAL = ["close=local", "fsync=local"]  # for what fsyncs often and runs on one node


# SQLite


def connect(path, journal):
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    assert connection.execute(f"PRAGMA journal_mode={journal}").fetchone()[0] == journal
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def create(path, journal):
    with contextlib.closing(connect(path, journal)) as connection:
        connection.execute("CREATE TABLE counter(value INTEGER)")
        connection.execute("INSERT INTO counter VALUES(0)")
        connection.execute("CREATE TABLE entry(writer INTEGER, number INTEGER, filler BLOB)")


def count_up(path, journal, writer, transactions, acknowledged=None):
    """In each transaction the counter and an entry; what was committed is written to a descriptor."""
    connection = connect(path, journal)
    for number in range(transactions):
        connection.execute("BEGIN IMMEDIATE")
        value = connection.execute("SELECT value FROM counter").fetchone()[0]
        connection.execute("UPDATE counter SET value=?", (value + 1,))
        connection.execute("INSERT INTO entry VALUES(?, ?, randomblob(700))", (writer, number))
        connection.execute("COMMIT")
        if acknowledged is not None:
            os.write(acknowledged, b".")
    connection.close()
    return CLEANLY


def check(path, journal, at_least):
    with contextlib.closing(connect(path, journal)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        value = connection.execute("SELECT value FROM counter").fetchone()[0]
        assert value == connection.execute("SELECT count(*) FROM entry").fetchone()[0] >= at_least
        return value


@pytest.mark.parametrize("journal", JOURNALS)
def test_sqlite_with_two_processes(each_mount, journal):
    path = each_mount / "data.db"
    create(path, journal)
    children = [start_child(each_mount.path, lambda writer=writer: count_up(path, journal, writer, 25))
                for writer in range(2)]
    for child in children:
        join_child(child, 120, "a writer", lambda: "a writer hangs")
    assert check(path, journal, 50) == 50
    cold(each_mount)
    assert check(path, journal, 50) == 50
    left = ["data.db-journal"] if journal in ("persist", "truncate") else []
    assert sorted(os.listdir(each_mount.path)) == ["data.db", *left]


@pytest.mark.parametrize("journal", [journal for journal in JOURNALS if journal != "memory"])
@pytest.mark.parametrize("dies", ["the program", "s3mount"])
def test_sqlite_after_a_crash(bucket, make_mount, journal, dies):
    """Not with the journal in memory, of which SQLite says that a crash damages the database."""
    mount = make_mount(bucket, LOCAL)
    path = mount / "data.db"
    create(path, journal)
    committed = 0
    for _ in range(3):
        reader, writer = os.pipe()
        child = start_child(mount.path, lambda: count_up(path, journal, 1, 10_000, writer))
        os.close(writer)
        seen = len(os.read(reader, 1)) + len(os.read(reader, 20))
        time.sleep(0.05)
        if dies == "s3mount":
            mount.kill9()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while more := os.read(reader, 1000):
            seen += len(more)
        os.close(reader)
        if dies == "s3mount":
            mount.mount()
        committed = check(path, journal, committed + seen)
    mount.sync()


# PostgreSQL


class Postgres:
    def __init__(self, mount):
        self.mount = mount
        self.programs = max(pathlib.Path("/usr/lib/postgresql").iterdir(), key=lambda path: int(path.name)) / "bin"
        self.data = mount / "postgres"
        self.sockets = pathlib.Path(mount.base, "sockets")
        self.user = pwd.getpwnam("postgres")
        for path in (self.data, self.sockets):
            os.mkdir(path, 0o700)
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def run(self, program, *words, **more):
        return run("setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups",
                   self.programs / program, *words, cwd="/",
                   environment={"PGHOST": str(self.sockets), "PGUSER": "postgres"}, **more)

    def control(self, *words):
        return self.run("pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.sockets / "log", *words)

    def start(self):
        self.control("start", "-o", f"-c listen_addresses= -k {self.sockets} -c shared_buffers=16MB")
        self.number = int((self.sockets / ".s.PGSQL.5432.lock").read_text().split()[0])

    def kill(self):
        """By its process, for its directory may be gone, and its lock with it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.number, signal.SIGQUIT)
        wait_until(lambda: not os.path.exists(f"/proc/{self.number}"), 30, "the server is gone")

    def kill_with_mount(self):
        """Until it is killed itself it may say anything: it has no directory any more."""
        assert not self.panics()
        self.mount.kill9()
        self.kill()
        os.rename(self.sockets / "log", self.sockets / "log-without-mount")

    def query(self, text):
        return self.run("psql", "-Atqc", text, "postgres").strip()

    def check_sums(self):
        """pgbench changes all four by the same in each transaction."""
        sums = [self.query(f"SELECT sum({column}) FROM pgbench_{table}") for table, column in
                (("accounts", "abalance"), ("tellers", "tbalance"), ("branches", "bbalance"), ("history", "delta"))]
        assert len(set(sums)) == 1, sums
        return int(self.query("SELECT count(*) FROM pgbench_history"))

    def check_pages(self):
        self.control("stop", "-m", "fast")
        self.run("pg_checksums", "--check", "-D", self.data)
        self.start()

    def panics(self):
        return [line for line in (self.sockets / "log").read_text().splitlines() if "PANIC" in line]


def transactions(output):
    assert "number of failed transactions: 0 " in output, output
    print(re.search("tps = .*", output).group())
    return int(re.search(r"actually processed: (\d+)", output).group(1))


@pytest.fixture
def postgres(request, bucket, make_mount):
    mount = make_mount(bucket, [*request.param, "allow_other"])
    server = Postgres(mount)
    start = time.monotonic()
    server.run("initdb", "-D", server.data, "-A", "trust", "-k", "-U", "postgres")
    print(f"initdb: {time.monotonic() - start:.1f} s")
    server.start()
    yield server
    server.kill()


@pytest.mark.limit(900)
@pytest.mark.parametrize("postgres", [LOCAL], indirect=True, ids=["fsync=local"])
def test_postgres(postgres):
    """What was committed is there after each of them was killed."""
    postgres.run("pgbench", "-i", "-s", "1", "-q", "postgres")
    output = postgres.run("pgbench", "-c", "2", "-j", "2", "-T", PGBENCH, "postgres", seconds=PGBENCH + 120)
    done = transactions(output)
    assert postgres.check_sums() == done
    postgres.kill()
    cold(postgres.mount)
    postgres.start()
    assert postgres.check_sums() == done
    done += transactions(postgres.run("pgbench", "-n", "-c", "2", "-t", "100", "postgres"))
    postgres.kill_with_mount()
    postgres.mount.mount()
    postgres.start()
    assert postgres.check_sums() == done
    postgres.check_pages()
    assert not postgres.panics()


if os.environ.get("S3MOUNT_TEST_PGBENCH"):
    @pytest.mark.limit(900)
    @pytest.mark.parametrize("postgres", [[]], indirect=True, ids=["fsync=s3"])
    def test_postgres_with_each_commit_in_s3(postgres):
        """Slow, as each commit uploads what it changed of a log of 16 MiB, but right."""
        postgres.run("pgbench", "-i", "-s", "1", "-q", "postgres")
        done = transactions(postgres.run("pgbench", "-c", "2", "-j", "2", "-t", "10", "postgres"))
        assert postgres.check_sums() == done == 20
        assert not postgres.panics()

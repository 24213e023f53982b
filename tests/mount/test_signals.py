"""Signals to programs that wait for a mount: those that they survive end no wait, those that kill them do."""
import ctypes
import os
import signal
import threading
import time

import pytest

from children import CLEANLY, join_child, start_child
from files import libc, write_all, write_file
from processes import wait_until

pytestmark = pytest.mark.servers("embedded")


def sleeps(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] in "SD"


def raw(call, *arguments):
    """Without Python's own second attempt after an EINTR."""
    if getattr(libc, call)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), call)


def timer_goes_off(seen, seconds=0.05):
    """As in databases and web servers that supervise themselves: again and again."""
    signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)


@pytest.mark.parametrize("call", ["fsync", "close"])
def test_a_signal_that_a_program_handles_does_not_end_its_wait(mount, bucket, server, call):
    def run():
        seen = []
        fd = os.open("file", os.O_WRONLY | os.O_CREAT, 0o644)
        write_all(fd, b"data")
        server.hang()
        timer_goes_off(seen)
        threading.Timer(0.5, server.go_on).start()
        raw(call, fd)
        assert seen, "there was no signal"
        return CLEANLY
    try:
        join_child(start_child(mount.path, run), 30, call, lambda: f"{call} hangs")
    finally:
        server.go_on()
    assert bucket.get("file") == b"data"


def test_an_interrupt_of_one_request_is_not_taken_for_one_of_the_next(mount):
    """Many requests under signals, of which most meet a wait that nothing interrupts."""
    def run():
        timer_goes_off([], 0.001)
        for number in range(300):
            write_file(f"file{number % 10}", b"%d" % number)
            os.rename(f"file{number % 10}", "other")
            os.unlink("other")
        return CLEANLY
    join_child(start_child(mount.path, run), 60, "the program", lambda: "it hangs")


@pytest.mark.parametrize("number, before", [(signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGKILL, True)])
def test_a_signal_that_kills_a_program_ends_its_wait(mount, server, number, before):
    """Also when one that it survives came before: of that the kernel tells, and then of no other. (A SIGTERM then
    waits behind the other, on local disks as well.)"""
    ready, tell = os.pipe()

    def run():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        fd = os.open("file", os.O_WRONLY | os.O_CREAT, 0o644)
        write_all(fd, b"data")
        server.hang()
        os.write(tell, b"x")
        os.fsync(fd)
        return CLEANLY
    pid = start_child(mount.path, run)
    try:
        assert os.read(ready, 1) == b"x"
        time.sleep(0.2)
        wait_until(lambda: sleeps(pid), 10, "the program waits in fsync")
        if before:
            os.kill(pid, signal.SIGUSR1)
            time.sleep(0.2)
        os.kill(pid, number)
        ended, status = wait_until(lambda: (found := os.waitpid(pid, os.WNOHANG))[0] and found, 5,
                                   "the program is gone")
        assert (ended, os.waitstatus_to_exitcode(status)) == (pid, -number)
    finally:
        server.go_on()
        os.close(ready)
        os.close(tell)

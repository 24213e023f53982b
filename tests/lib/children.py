"""Children of a test that work in a mount on their own, beside it."""
import os
import signal
import sys
import time
import traceback

CLEANLY, UNEXPECTEDLY = 0, 3


def start_child(root, run):
    """Forks; the child works in root and ends with what run() returns, or UNEXPECTEDLY. Returns its pid."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = UNEXPECTEDLY
    try:
        for number in (signal.SIGALRM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(root)
        status = run()
    except BaseException:  # pylint: disable=broad-except  # a child must not return
        traceback.print_exc()
    finally:
        os._exit(status)


def join_child(pid, seconds, name, hangs):
    """Waits for a clean end. hangs(): says of one that is late, and is killed, what it was at."""
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise TimeoutError(hangs())
        time.sleep(0.002)
    assert os.waitstatus_to_exitcode(status) == CLEANLY, f"{name} failed, see above"

"""A time limit for each test that also frees a test which hangs inside of a mount.

A process that waits for a FUSE daemon does not see signals until the daemon answers or dies. So at the
limit the tracebacks are printed, the test's mounts are ended by kill -9 (which makes the kernel answer
for them), and the main thread gets an exception.
"""
import faulthandler
import signal
import sys
import threading


class TestTimeout(Exception):
    __test__ = False


class Watchdog:
    def __init__(self, seconds, free_mounts):
        self.seconds = seconds
        self.free_mounts = free_mounts
        self.expired = False
        self.timer = threading.Timer(seconds, self._expire)
        self.timer.daemon = True

    def __enter__(self):
        self.before = signal.signal(signal.SIGALRM, self._raise)
        self.timer.start()
        return self

    def __exit__(self, *exception):
        self.timer.cancel()
        signal.signal(signal.SIGALRM, self.before)

    def _raise(self, _number, _frame):
        raise TestTimeout(f"the test took more than {self.seconds} s")

    def _expire(self):
        self.expired = True
        faulthandler.dump_traceback(sys.__stderr__, all_threads=True)
        self.free_mounts()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

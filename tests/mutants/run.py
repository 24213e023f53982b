#!/usr/bin/env python3
"""run.py: puts each bug of bugs.py into a copy of the tree, builds, and says which test found it.

The last line is "N passed, N failed": a bug that nothing finds, or that does not compile, is a failure.
"""
import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from bugs import BUGS

ROOT = pathlib.Path(__file__).resolve().parents[2]
TREE = ROOT / "build/mutants"
BUILD_SECONDS, TEST_SECONDS = 600, 600


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", default="", help="only bugs whose name has this word")
    parser.add_argument("--all", action="store_true", help="run every test on each bug, also after one found it")
    return parser.parse_args()


def copy_tree():
    """The sources as they are now; what was built there before is used again."""
    files = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"], check=True,
                           capture_output=True, text=True).stdout.split("\0")
    kept = set()
    for name in filter(None, files):
        source, target = ROOT / name, TREE / name
        if not source.is_file():
            continue
        kept.add(target)
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    for found in [*TREE.rglob("*.c"), *TREE.rglob("*.h")]:
        if found not in kept:
            found.unlink()


def make(*targets):
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    return subprocess.run(["make", "--no-print-directory", "-s", f"-j{os.cpu_count()}", *targets], cwd=TREE,
                          capture_output=True, text=True, timeout=BUILD_SECONDS, env=environment, check=False)


def detectors():
    """(name, command): the simulation, then the unit tests of the rooms that the bugs are in, which are built when it has found nothing."""
    yield "simulation", ["tests/sim/run.sh", "build/bin/sim", "quick"]
    make("units").check_returncode()
    for source in sorted((TREE / "tests/unit").glob("test_*.c")):
        if source.stem.startswith(("test_vfs", "test_journal", "test_upload", "test_copy", "test_rename", "test_tree")):
            yield source.stem, [f"build/tests/{source.stem}"]


def outcome(command):
    """"": it passes; else how it ended: a bug may make it hang, with all that it has started."""
    with subprocess.Popen(command, cwd=TREE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          start_new_session=True) as running:
        try:
            return " fails" if running.wait(TEST_SECONDS) else ""
        except subprocess.TimeoutExpired:
            return f" hangs ({TEST_SECONDS} s)"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def find(everything):
    finders = []
    for name, command in detectors():
        if how := outcome(command):
            finders.append(name + how)
            if not everything:
                break
    return finders


def try_bug(bug, everything):
    originals = {}
    try:
        for file, old, new in bug.places():
            path = TREE / file
            text = path.read_text()
            if text.count(old) != 1:
                return [], f"its place stands {text.count(old)} times in {file}"
            originals.setdefault(path, text)
            path.write_text(text.replace(old, new))
        built = make("build/bin/sim")
        if built.returncode != 0:
            return [], "does not compile: " + built.stderr.strip()[-300:]
        return find(everything), ""
    finally:
        for path, text in originals.items():
            path.write_text(text)


def main():
    args = arguments()
    copy_tree()
    built = make("build/bin/sim")
    if built.returncode != 0:
        sys.exit(built.stderr)
    broken = [name for name, command in detectors() if outcome(command)]
    if broken:
        sys.exit(f"without any bug these fail: {', '.join(broken)}")
    bugs = [bug for bug in BUGS if args.k in bug.name]
    failed = 0
    print(f"{'breaks':6}  {'bug':62}  {'s':>4}  found by")
    for bug in bugs:
        start = time.monotonic()
        finders, problem = try_bug(bug, args.all)
        failed += not finders
        said = ", ".join(finders) or problem or "NOBODY"
        print(f"{bug.invariant:6}  {bug.name:62}  {time.monotonic() - start:4.0f}  {said}", flush=True)
    print(f"{len(bugs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs of build/bin/conformance, and the differences between two of them that docs/semantics.md allows.

A row of the page's table is: pattern of "area/case step" | what ext4 gives | what a mount gives | why. The first
three are shell patterns (fnmatch) in backquotes.
"""
import fnmatch
import itertools
import os
import pathlib
import re
import subprocess

from processes import BIN, ROOT

PAGE = ROOT / "docs/semantics.md"
HEADING = "## Differences from ext4"
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| `([^`]+)` \| (.+) \|$")


class Row:
    def __init__(self, cells):
        self.cases, self.local, self.mounted, self.reason = cells
        self.used = False

    def __str__(self):
        return f"{self.cases} | {self.local} | {self.mounted}"

    def matches(self, name, local, mounted):
        return all(itertools.starmap(fnmatch.fnmatchcase,
                                     ((name, self.cases), (local, self.local), (mounted, self.mounted))))


def rows(page=None):
    """Those of the table below HEADING; whatever else looks like a row there is an error."""
    text = (page or PAGE.read_text()).partition(HEADING)[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    matches = [(line, ROW.match(line)) for line in lines]
    bad = [line for line, match in matches if not match]
    assert lines and not bad, f"{HEADING}: not a row of the table: {bad}"
    return [Row(match.groups()) for _, match in matches]


def run(directory, which):
    """{"area/case step": result}; a step has one result. What is left in the directory is for clean_up."""
    done = subprocess.run([str(BIN / "conformance"), str(directory), which], text=True, timeout=170, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 0, f"conformance {which}: {done.returncode} {done.stderr}"
    results = {}
    for line in done.stdout.splitlines():
        name, _, result = line.rpartition(": ")
        assert name not in results, f"two results of one step: {line}"
        results[name] = result
    return results


def clean_up(directory):
    """All that a run has made can be removed again, whatever its names."""
    subprocess.run(["find", str(directory), "-mindepth", "1", "-not", "-name", "lost+found", "-delete"], check=True,
                   timeout=60)


def make_tree(directory):
    """What the cases for a read-only file system find."""
    root = pathlib.Path(directory)
    root.chmod(0o777)
    (root / "file").write_text("content")
    (root / "program").write_text("#!/bin/true\n")
    (root / "program").chmod(0o755)
    (root / "directory").mkdir()
    (root / "directory/below").write_text("")
    (root / "link").symlink_to("file")
    os.mkfifo(root / "fifo")


def unexplained(local, mounted, table):
    """Differences that no row explains, one line each; marks the rows that explain one."""
    found = []
    for name in sorted(local.keys() | mounted.keys()):
        here, there = local.get(name, "not run"), mounted.get(name, "not run")
        if here == there:
            continue
        rows_of_it = [row for row in table if row.matches(name, here, there)]
        for row in rows_of_it:
            row.used = True
        if not rows_of_it:
            found.append(f"{name}: {here} on ext4, {there} on the mount")
    return found

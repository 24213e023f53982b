#!/usr/bin/env python3
"""bench.py: s3mount (close=s3), s3fs, rclone and the local file system side by side, on one server, in one run.

The systems take turns within each repetition, so that what the machine does meanwhile hits all of them. The
table has the median of each row, and how many times faster s3mount is than each of the others: the median of
the ratios within a repetition, with their range. Absolute figures of different runs are not comparable.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import processes  # noqa: E402
import servers  # noqa: E402
from systems import DEFAULT_SYSTEMS, SYSTEMS  # noqa: E402
from workloads import GROUPS, Failed, Run, Sources  # noqa: E402

OURS = "s3mount"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=servers.SERVERS, default="embedded")
    parser.add_argument("--systems", default=",".join(DEFAULT_SYSTEMS),
                        help=f"by comma, of {', '.join(SYSTEMS)} (%(default)s)")
    parser.add_argument("--groups", default=",".join(GROUPS), help="by comma: %(default)s")
    parser.add_argument("--repetitions", type=int, default=3, help="default %(default)s")
    parser.add_argument("--scale", type=int, default=1, help="divides all sizes and counts")
    parser.add_argument("--limit", type=int, default=300, help="seconds for one step (%(default)s)")
    parser.add_argument("--plain-disk", action="store_true", help="no loop-mounted ext4 for caches and data")
    parser.add_argument("--disk-size", type=int, default=24, help="of that ext4, in GiB (%(default)s)")
    parser.add_argument("--json", help="write every single value to this file")
    parsed = parser.parse_args()
    for words, known in ((parsed.systems, SYSTEMS), (parsed.groups, GROUPS)):
        for word in words.split(","):
            if word not in known:
                parser.error(f"unknown: {word}; known: {', '.join(known)}")
    return parsed


def note(text):
    print(text, file=sys.stderr, flush=True)


class Disk:
    """A file system for caches, local files and the server: ext4 without discard, which is steadier."""

    def __init__(self, plain, gib):
        self.path = processes.WORK / "disk"
        self.path.mkdir(parents=True)
        self.image = processes.WORK / "disk.img"
        self.mounted = not plain
        if self.mounted:
            with open(self.image, "wb") as file:
                file.truncate(gib << 30)
            subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0", self.image], check=True)
            subprocess.run(["mount", "-o", "loop,nodiscard", self.image, self.path], check=True)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", self.path], check=False)


def touch_memory():
    """Fresh memory is slow to get on some virtual machines: take it once before anything is timed."""
    with open("/proc/meminfo", encoding="ascii") as file:
        fields = dict(line.split(":") for line in file)
    available = int(fields["MemAvailable"].split()[0]) // 1024
    mib = max(256, min(available - 3000, available * 3 // 4))
    note(f"touching {mib} MiB of memory")
    subprocess.run([processes.BIN / "benchio", "touch", str(mib)], check=False)


def measure(args, systems, sources):
    """values[row][system] = one value, or None for a failure, for each repetition; units[row]."""
    values, units, failures = {}, {}, []
    for repetition in range(args.repetitions):
        for group in args.groups.split(","):
            shift = repetition % len(systems)
            for system in systems[shift:] + systems[:shift]:
                start, rows = time.monotonic(), {}
                run = Run(system, sources, args.scale, args.limit, rows)
                try:
                    shutil.rmtree(run.home, ignore_errors=True)
                    os.makedirs(run.home)
                    GROUPS[group](run)
                except (Failed, OSError, subprocess.SubprocessError, TimeoutError) as error:
                    failures.append((system.name, f"{group}, repetition {repetition + 1}: {error}"))
                    note(f"  FAILED {system.name}: {failures[-1][1]}")
                    restart(system)
                note(f"  {repetition + 1}/{args.repetitions} {group:7} {system.name:8} "
                     f"{time.monotonic() - start:6.1f} s")
                for name, (unit, value) in rows.items():
                    units[name] = unit
                    values.setdefault(name, {}).setdefault(system.name, {})[repetition] = value
                system.settle()
    return values, units, failures


WIRE_SIZE, WIRE_COUNT, WIRE_IN_FLIGHT = 8 << 20, 32, 8


def measure_wire(server, scale):
    """What server and client give each other with nothing mounted and no disk of ours: no mount can be faster
    than that in the rows that end in S3. MB/s of writing and of reading."""
    bucket = server.make_bucket()
    environment = {**server.environment(), **server.credentials()}
    found = {}
    for kind in ("put", "range"):
        key = "wire" if kind == "put" else "wire-0"
        done = subprocess.run(
            [processes.BIN / "s3tool", "-e", server.endpoint, "-b", bucket.name, "-r", servers.REGION, "-p", "on",
             "bench", kind, key, str(WIRE_SIZE), str(WIRE_IN_FLIGHT), str(max(WIRE_IN_FLIGHT, WIRE_COUNT // scale))],
            env=environment, capture_output=True, text=True, check=True)
        found[kind] = float(done.stdout.split(",")[-1].split()[0]) * 1e6 / (1 << 20)
    return found


def wire_line(wires):
    medians = [statistics.median(wire[kind] for wire in wires) for kind in ("put", "range")]
    return (f"Server and client alone, nothing mounted, {WIRE_IN_FLIGHT} requests of {WIRE_SIZE >> 20} MiB at once: "
            f"writes {number(medians[0])} MiB/s, reads {number(medians[1])} MiB/s.")


def restart(system):
    system.finish()
    if system.cache.exists():
        shutil.rmtree(system.cache)
    system.up()


def number(value):
    if value is None:
        return "failed"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def ratios(unit, ours, theirs):
    """How many times faster ours is, within each repetition that has both."""
    pairs = [(ours[key], theirs[key]) for key in ours if ours[key] and theirs.get(key)]
    return [theirs_value / ours_value if unit == "s" else ours_value / theirs_value
            for ours_value, theirs_value in pairs]


def median(measured):
    fine = [value for value in measured.values() if value is not None]
    return statistics.median(fine) if len(fine) * 2 > len(measured) else None


def table(values, units, names):
    others = [name for name in names if name != OURS] if OURS in names else []
    print("| row | unit | " + " | ".join(names + [f"x {name}" for name in others]) + " |")
    print("|---|---|" + "---:|" * (len(names) + len(others)))
    behind = []
    for row, measured in values.items():
        cells = [number(median(measured[name])) if name in measured else "" for name in names]
        for name in others:
            found = ratios(units[row], measured.get(OURS, {}), measured.get(name, {}))
            if not found:
                cells.append("")
                continue
            middle = statistics.median(found)
            cells.append(f"{middle:.2f} ({min(found):.2f} to {max(found):.2f})")
            if name != "local" and middle < 1:
                behind.append(f"{row}: {middle:.2f} of {name}")
        print(f"| {row} | {units[row]} | " + " | ".join(cells) + " |")
    if others:
        print(f"\nx NAME: how many times faster {OURS} is than NAME (median; smallest to largest).")
        print("Behind a peer: " + ("; ".join(behind) if behind else "in no row") + ".")


def figures(systems, idle):
    print("\n| | size of the program, KiB | RSS idle, KiB | RSS at most, KiB | version |")
    print("|---|---:|---:|---:|---|")
    for system in systems:
        if system.name == "local":
            continue
        program = system.program if system.name.startswith(OURS) else shutil.which(system.name)
        print(f"| {system.name} | {os.path.getsize(program) // 1024} | {idle[system.name]} | "
              f"{system.peak_kib} | {system.version()} |")


def run_all(args, disk):
    sources = Sources(make_directory("/dev/shm", f"s3mount-bench.{os.getpid()}"), args.groups.split(","))
    server = servers.SERVERS[args.server](disk.path)
    systems = []
    try:
        touch_memory()
        server.start()
        systems = [SYSTEMS[name](server, disk.path) for name in args.systems.split(",")]
        for system in systems:
            system.up()
        time.sleep(1)
        idle = {system.name: system.memory() for system in systems if system.process}
        values, units, failures = measure(args, systems, sources)
        wires = [measure_wire(server, args.scale) for _ in range(args.repetitions)]
        for system in systems:
            system.down()
    finally:
        for system in systems:
            system.finish()
        server.stop()
        shutil.rmtree(sources.directory)
    print(f"\nServer {args.server}; {args.repetitions} repetitions; sizes divided by {args.scale}; "
          f"Linux {os.uname().release}, {os.cpu_count()} processors.\n")
    table(values, units, args.systems.split(","))
    print(wire_line(wires))
    figures(systems, idle)
    for name, failure in failures:
        print(f"\nFailed: {name}, {failure}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"units": units, "values": values}, indent=1))
    return 1 if any(name == OURS for name, _ in failures) else 0  # what peers cannot do is their affair


def make_directory(parent, name):
    path = pathlib.Path(parent, name)
    path.mkdir()
    return path


def main():
    args = arguments()
    if os.geteuid() != 0:
        sys.exit("bench: mounting, dropping caches and loop devices need root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: terminated"))  # what it mounted goes as well
    namespaces = processes.net_namespaces()
    disk = Disk(args.plain_disk, args.disk_size)
    try:
        return run_all(args, disk)
    finally:
        disk.close()
        for line in processes.clean_up(namespaces):
            note(f"left behind: {line}")
        shutil.rmtree(processes.WORK, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

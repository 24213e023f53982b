"""System calls give on a mount what they give on ext4, but for what docs/semantics.md lists.

tests/conformance does the same calls on both and tells each result in a line of its own.
"""
import pytest

import conformance
from disks import SmallDisk

STEPS = 8000  # of each pass, at least
LIKE_A_MOUNT = "nodev,nosuid,relatime"
pytestmark = pytest.mark.servers("embedded")


@pytest.fixture(scope="module", name="local")
def fixture_local():
    """What ext4 gives, by pass."""
    results = {}
    with SmallDisk(64, LIKE_A_MOUNT, block=4096) as disk:
        for which in ("root", "user"):
            results[which] = conformance.run(disk.path, which)
            conformance.clean_up(disk.path)
        conformance.make_tree(disk.path)
        disk.remount("ro")
        results["read-only"] = conformance.run(disk.path, "read-only")
    cut_short = [name for steps in results.values() for name in steps
                 if " stopped at " in name or name.endswith(" died")]
    assert not cut_short, f"cases that ext4 does not let run to the end: {cut_short}"
    return results


def unexplained(local, mount, which, table):
    mounted = conformance.run(mount.path, which)
    return [f"as {which}: {line}" for line in conformance.unexplained(local[which], mounted, table)]


@pytest.mark.parametrize("close", ["s3", "local"])
def test_results_are_those_of_ext4(local, bucket, make_mount, close):
    table = conformance.rows()
    mount = make_mount(bucket, ["allow_other", "acl", f"close={close}"])
    found = []
    for which in ("root", "user"):
        assert len(local[which]) >= STEPS, f"only {len(local[which])} steps as {which}"
        found += unexplained(local, mount, which, table)
        conformance.clean_up(mount.path)
    conformance.make_tree(mount.path)
    mount.unmount()
    mount.options.append("ro")
    found += unexplained(local, mount.mount(), "read-only", table)
    assert not found, "\n".join([f"{len(found)} differences that docs/semantics.md does not list:", *found])
    unused = [str(row) for row in table if not row.used]
    assert not unused, "docs/semantics.md lists what does not differ:\n" + "\n".join(unused)

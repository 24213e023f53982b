"""What a program did to a tree and was told: a manifest outside of the mount, and the states that it allows.

A step is written down before it is made, its outcome after. A step that was acknowledged has happened; the one
that was under way when the mount died may have happened, and a write in part. `State` is what must be there;
`outcomes` are the states that a manifest allows, of which the tree that is found must be one.
"""
import contextlib
import copy
import json
import os
import stat

from files import noise

EXPLAIN_STEPS = 25


class Node:
    """A file, directory or symbolic link, whatever its name is at the moment."""

    def __init__(self, kind, mode=None, data=b""):
        self.kind, self.mode, self.data = kind, mode, bytearray(data)
        self.in_s3 = False  # the last thing done to it was a close or fsync that waits for S3
        self.kept = True  # False: created, and neither written nor closed yet

    def seen(self):
        """As `observe` shows it."""
        return (self.kind, self.mode, bytes(self.data))


def parent_of(path):
    return path.rpartition("/")[0]


class State:
    """The names of one writer, and its open files. s3: the steps that are in S3 when they return."""

    def __init__(self, s3=()):
        self.names = {}
        self.handles = {}
        self.s3 = frozenset(s3)

    def crash(self):
        """What is found after one stays."""
        self.handles = {}
        for node in self.names.values():
            node.kept = True

    def apply(self, step):
        getattr(self, "do_" + step["op"])(**{key: value for key, value in step.items() if key not in ("op", "n")})

    def do_create(self, path, handle, mode):
        self.names[path] = self.handles[handle] = Node("file", mode)
        self.names[path].kept = False

    def do_open(self, path, handle, append):  # pylint: disable=unused-argument
        self.handles[handle] = self.names[path]

    def do_write(self, handle, offset, size, seed):
        self.write(self.handles[handle], offset, noise(size, seed))

    @staticmethod
    def write(node, offset, data):
        """offset None: at the end."""
        offset = len(node.data) if offset is None else offset
        node.data.extend(bytes(max(0, offset - len(node.data))))
        node.data[offset:offset + len(data)] = data
        node.in_s3 = False
        node.kept = True

    def do_fsync(self, handle):
        self.handles[handle].in_s3 |= "fsync" in self.s3

    def do_close(self, handle):
        node = self.handles.pop(handle)
        node.in_s3 |= "close" in self.s3
        node.kept = True

    def do_truncate(self, path, size):
        node = self.names[path]
        node.data[size:] = bytes(max(0, size - len(node.data)))
        node.in_s3 = False

    def do_chmod(self, path, mode):
        self.names[path].mode = mode

    def do_symlink(self, path, target):
        self.names[path] = Node("link", None, target.encode())
        self.names[path].in_s3 = "close" in self.s3

    def do_mkdir(self, path, mode):
        self.names[path] = Node("dir", mode)
        self.names[path].in_s3 = "close" in self.s3

    def do_unlink(self, path):
        del self.names[path]

    do_rmdir = do_unlink

    def do_rename(self, old, new):
        moved = [path for path in self.names if path == old or path.startswith(old + "/")]
        for path in moved:
            self.names[new + path[len(old):]] = self.names.pop(path)

    def touched_by(self, step):
        """The names about which S3 may say one thing or the other while that step is under way."""
        if "handle" in step and step["op"] != "create":
            node = self.handles.get(step["handle"])
            return {path for path, other in self.names.items() if other is node}
        tops = [step[word] for word in ("path", "old", "new") if word in step]
        moved = {step["new"] + path[len(step["old"]):] for path in self.names
                 if step["op"] == "rename" and path.startswith(step["old"] + "/")}
        return moved.union(tops, (path for path in self.names for top in tops if path.startswith(top + "/")))

    def seen(self):
        return {path: node.seen() for path, node in self.names.items()}


class Manifest:
    """A file with one line before each step and one after it. Only its writer appends."""

    def __init__(self, path):
        self.path = path
        self.number = 0
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def line(self, **fields):
        os.write(self.fd, json.dumps(fields).encode() + b"\n")

    def before(self, step):
        self.number += 1
        self.line(n=self.number, **step)

    def after(self, error=None):
        self.line(done=self.number, errno=error)

    def read(self, offset):
        """The lines from an offset on, and the offset behind them."""
        with open(self.path, "rb") as file:
            file.seek(offset)
            text = file.read()
        return [json.loads(line) for line in text.splitlines()], offset + len(text)

    def explain(self, paths):
        """The last steps of these names, by what they were called at the time, for whoever has to find out."""
        lines, _ = self.read(0)
        names, handles, shown = set(paths), set(), []
        for line in reversed(lines):
            new = line.get("new")
            moved = {name for name in names if new and (name + "/").startswith(new + "/")}
            names = names - moved | {line["old"] + name[len(new):] for name in moved}
            if moved or line.get("path") in names or line.get("old") in names or line.get("handle") in handles:
                shown.append(line)
                handles |= {line.get("handle")} - {None}
            elif "round" in line or line.get("errno"):
                shown.append(line)
        # A handle is met from its end, and named at its beginning: once more for what lies between.
        seen = {line.get("n") for line in shown}
        shown += [line for line in lines if line.get("handle") in handles and line["n"] not in seen]
        shown = [line for line in lines if line in shown[-4 * EXPLAIN_STEPS:] or line in shown[:4 * EXPLAIN_STEPS]]
        return "\n".join(json.dumps(line) for line in shown[-EXPLAIN_STEPS:])


def replay(state, lines):
    """Applies what was acknowledged. Returns the step that was under way, if there is one, and its errno."""
    pending = None
    for line in lines:
        if "n" in line:
            assert pending is None, "a step before the end of the one before it"
            pending = line
        elif "done" in line:
            if line["errno"] is not None:
                return pending, line["errno"]
            state.apply(pending)
            pending = None
    return pending, None


def partly(state, step, found):
    """After a write that was under way: as much of it as is found, when that is the beginning of it."""
    node = state.handles.get(step["handle"])
    path = next((path for path, other in state.names.items() if other is node), None)
    if path is None or path not in found:
        return
    data, there = noise(step["size"], step["seed"]), found[path][2]
    offset = len(node.data) if step["offset"] is None else step["offset"]
    length = len(os.path.commonprefix([data, there[offset:]]))
    for part in {length, max(0, min(length, len(there) - offset))} - {0}:
        after = copy.deepcopy(state)
        after.write(after.names[path], offset, data[:part])
        yield after


def outcomes(state, pending, found):
    """Each state that a tree may be in after a crash, given what was acknowledged and what was under way."""
    for after in outcomes_of_step(state, pending, found):
        yield after
        if fresh := [path for path, node in after.names.items() if not node.kept]:
            without = copy.deepcopy(after)
            for path in fresh:
                del without.names[path]
            yield without


def outcomes_of_step(state, pending, found):
    yield state
    if pending is None or pending["op"] in ("open", "fsync", "close"):
        return
    after = copy.deepcopy(state)
    after.apply(pending)
    yield after
    if pending["op"] == "write":
        yield from partly(state, pending, found)


def difference(expected, found):
    """The names that differ, with a word about how."""
    lines = {}
    for path in sorted(expected.keys() | found.keys()):
        one, other = expected.get(path), found.get(path)
        if one == other:
            continue
        if one is None or other is None:
            lines[path] = "is there, and should not be" if one is None else "is missing"
        elif one[:2] != other[:2]:
            lines[path] = f"is {other[:2]} and should be {one[:2]}"
        else:
            same = len(os.path.commonprefix([one[2], other[2]]))
            lines[path] = f"has {len(other[2])} bytes for {len(one[2])}, different from byte {same} on"
    return lines


def observe(root, wanted):
    """What the tree below a mount holds of the names that are wanted, read through the mount.

    A name may vanish meanwhile, when the server carries out what a mount that was killed had asked for: then it is
    not there, and whether that may be is the history's to say.
    """
    found = {}

    def walk(directory, prefix):
        for entry in os.scandir(directory):
            path = prefix + entry.name
            if not wanted(path):
                continue
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                found[path] = ("dir", stat.S_IMODE(mode), b"")
                walk(entry.path, path + "/")
            elif stat.S_ISLNK(mode):
                found[path] = ("link", None, os.fsencode(os.readlink(entry.path)))
            else:
                with contextlib.suppress(FileNotFoundError), open(entry.path, "rb") as file:
                    found[path] = ("file", stat.S_IMODE(mode), file.read())
    walk(root, "")
    return found


def observe_bucket(bucket, keys):
    """The same, from the objects, by the independent reader."""
    found = {}
    for key in keys:
        answer = bucket.client.get_object(Bucket=bucket.name, Key=key)
        body, mode = answer["Body"].read(), answer["Metadata"].get("mode")
        mode = None if mode is None else int(mode)
        if key.endswith("/"):
            assert body == b"", f"{key} has a body"
            found[key[:-1]] = ("dir", None if mode is None else stat.S_IMODE(mode), b"")
        elif mode is not None and stat.S_ISLNK(mode):
            found[key] = ("link", None, body)
        else:
            found[key] = ("file", None if mode is None else stat.S_IMODE(mode), body)
    return found

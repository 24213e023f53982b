"""What developers do: git, a build with make and gcc, a Python environment, npm."""
import io
import json
import os
import shutil
import tarfile
import zipfile

from files import noise
from processes import ROOT
from programs import cold, run, tree

COMMITTER = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "A",
             "GIT_COMMITTER_EMAIL": "a@example.com"}


def git(directory, *words):
    return run("git", "-C", directory, *words, environment=COMMITTER)


def make_repository(directory):
    git(directory.parent, "init", "-q", "-b", "main", directory)
    for commit in range(12):
        for number in range(8):
            path = directory / f"d{number % 3}" / f"file{number}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(noise(200 + 3000 * number, commit * 10 + number))
        (directory / "link").unlink(missing_ok=True)
        (directory / "link").symlink_to(f"d0/file{commit % 8}")
        git(directory, "add", "-A")
        git(directory, "commit", "-q", "-m", f"commit {commit}")
    git(directory, "tag", "-a", "-m", "a tag", "v1")


def test_git(each_mount, tmp_path):
    make_repository(tmp_path / "origin")
    head = git(tmp_path / "origin", "rev-parse", "HEAD")
    clone = each_mount / "clone"
    run("git", "clone", "-q", f"file://{tmp_path}/origin", clone)
    assert git(clone, "status", "--porcelain") == ""
    git(clone, "checkout", "-q", "-b", "work")
    with open(os.path.join(clone, "d1/new"), "w", encoding="ascii") as file:
        file.write("new\n")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "here")
    git(clone, "checkout", "-q", "main")
    git(clone, "merge", "-q", "--no-ff", "-m", "merge", "work")
    git(clone, "gc", "-q", "--aggressive", "--prune=now")
    assert git(clone, "fsck", "--full", "--strict").replace("notice: HEAD points to an unborn branch", "") == ""
    git(clone, "push", "-q", "origin", "work")
    cold(each_mount)
    assert git(clone, "fsck", "--full", "--strict") == ""
    assert git(clone, "status", "--porcelain") == ""
    assert git(clone, "rev-parse", "v1^{commit}") == head
    run("git", "clone", "-q", f"file://{clone}", tmp_path / "again")
    assert {name: entry for name, entry in tree(tmp_path / "again").items() if not name.startswith(".git")} == \
        {name: entry for name, entry in tree(clone).items() if not name.startswith(".git")}


def test_a_build_of_this_project(bucket, make_mount):
    """Make sees by times what is up to date; gcc, ar and ld read and write by mapping and in any order."""
    mount = make_mount(bucket, ["close=local"])
    shutil.copy(ROOT / "Makefile", mount / "Makefile")
    shutil.copytree(ROOT / "common", mount / "common")
    os.makedirs(mount / "tests/unit")
    for name in ("test_buf.c", "test_map.c", "test_json.c"):
        shutil.copy(ROOT / "tests/unit" / name, mount / "tests/unit")
    names = ("buf", "check", "error", "json", "json_write", "log", "map", "utf8")
    sources = " ".join(f"common/{name}.c" for name in names)
    units = [f"build/tests/{name}" for name in ("test_buf", "test_map", "test_json")]
    command = ["make", "-j2", f"SOURCES={sources}", "UNIT_HELPERS=tests/unit/test_buf.c", *units]
    assert "CC    common/buf.c" in run(*command, cwd=mount.path)
    for unit in units:
        assert "PASSED" in run(mount / unit)
    assert "CC " not in run(*command, cwd=mount.path)
    os.utime(mount / "common/map.h")
    again = run(*command, cwd=mount.path)
    assert "CC    common/map.c" in again and "CC    common/buf.c" not in again
    cold(mount)
    assert "CC " not in run(*command, cwd=mount.path)
    assert "PASSED" in run(mount / units[0])


def make_wheel(directory):
    """The smallest package that pip takes."""
    path = directory / "sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("sample/__init__.py", "ANSWER = 42\n")
        wheel.writestr("sample-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
        wheel.writestr("sample-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("sample-1.0.dist-info/RECORD", "sample/__init__.py,,\nsample-1.0.dist-info/METADATA,,\n"
                       "sample-1.0.dist-info/WHEEL,,\nsample-1.0.dist-info/RECORD,,\n")
    return path


def test_a_python_environment(bucket, make_mount, tmp_path):
    mount = make_mount(bucket, ["close=local"])
    wheel = make_wheel(tmp_path)
    run("/usr/bin/python3", "-m", "venv", "--without-pip", mount / "env")
    python = mount / "env/bin/python3"
    pip = (ROOT / "build/venv/bin/python3", "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--no-index", "-q", wheel)
    program = "import sample; print(sample.ANSWER, sample.__file__)"
    assert run(python, "-c", program).startswith(f"42 {mount.path}/env/")
    cold(mount)
    assert run(python, "-c", program).startswith(f"42 {mount.path}/env/")
    run(*pip, "uninstall", "-y", "-q", "sample")
    assert not [name for name in tree(mount / "env") if "sample" in name]


def make_npm_package(directory, name, dependencies):
    """As `npm pack` makes it."""
    files = {"package.json": json.dumps({"name": name, "version": "1.0.0", "main": "index.js", "bin": "index.js",
                                         "dependencies": dependencies}),
             "index.js": "#!/usr/bin/env node\nmodule.exports = () => '" + name + "';\n",
             **{f"lib/file{number}.js": f"// {number}\n" * 100 for number in range(40)}}
    with tarfile.open(directory / f"{name}.tgz", "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size, entry.mode = len(text), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return f"file:{directory}/{name}.tgz"


def test_npm_install(each_mount, tmp_path):
    leaf = make_npm_package(tmp_path, "leaf", {})
    middle = make_npm_package(tmp_path, "middle", {"leaf": leaf})
    os.mkdir(each_mount / "app")
    with open(each_mount / "app/package.json", "w", encoding="ascii") as file:
        json.dump({"name": "app", "version": "1.0.0", "dependencies": {"middle": middle}}, file)
    environment = {"HOME": str(tmp_path), "npm_config_cache": str(each_mount / "npm-cache")}
    words = ("--offline", "--no-audit", "--no-fund")
    run("npm", "install", *words, cwd=each_mount / "app", environment=environment)
    run("npm", "ci", *words, cwd=each_mount / "app", environment=environment)
    cold(each_mount)
    program = "console.log(require('middle')(), require('leaf')())"
    assert run("node", "-e", program, cwd=each_mount / "app") == "middle leaf\n"
    assert len(os.listdir(each_mount / "app/node_modules/leaf/lib")) == 40
    assert os.access(each_mount / "app/node_modules/.bin/middle", os.X_OK)
    run("npm", "uninstall", *words, "middle", cwd=each_mount / "app", environment=environment)
    assert not os.path.exists(each_mount / "app/node_modules/leaf")

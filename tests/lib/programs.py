"""Real programs in a mount: run with their output kept, and their results compared with what a local disk gives."""
import os
import pathlib
import subprocess
import tempfile

HOME = tempfile.TemporaryDirectory(prefix="s3mount-home.")  # some leave files there; gone with this process
os.chmod(HOME.name, 0o755)
PLAIN = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "LANG": "C.UTF-8", "HOME": HOME.name,
         "GIT_CONFIG_NOSYSTEM": "1"}


def run(*command, cwd=None, seconds=120, environment=None, status=0, stdin=None):
    """Runs to the end and returns what was printed, which is shown when the exit status is another one."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, timeout=seconds, input=stdin or "", text=True,
                          env={**PLAIN, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == status, f"{command[0]}: exit status {done.returncode}:\n{done.stdout[-6000:]}"
    return done.stdout


def tree(root):
    """Each name below a directory with its kind, mode, and bytes or target."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in names + files:
            path = pathlib.Path(directory, name)
            mode = path.lstat().st_mode
            content = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
            found[str(path.relative_to(root))] = (oct(mode), content)
    return found


def cold(mount):
    """All of it is fetched again from S3."""
    mount.unmount()
    mount.forget_cache()
    mount.mount()

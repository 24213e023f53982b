"""A small ext4 of its own, on a loop device: a disk that a test may fill."""
import os
import subprocess
import tempfile

from processes import WORK


class SmallDisk:
    """with SmallDisk(64) as disk: disk.path is a directory on a file system of that many MiB.

    options: of the mount; block: size of its blocks, else what mkfs.ext4 takes for that size.
    """

    def __init__(self, mebibytes, options="relatime", block=None):
        WORK.mkdir(parents=True, exist_ok=True)
        self.base = tempfile.mkdtemp(prefix="disk-", dir=WORK)
        self.image, self.path = os.path.join(self.base, "image"), os.path.join(self.base, "mnt")
        self.size, self.options, self.block = mebibytes << 20, options, block

    def __enter__(self):
        os.mkdir(self.path)
        with open(self.image, "wb") as file:
            file.truncate(self.size)
        blocks = ["-b", str(self.block)] if self.block else []
        subprocess.run(["mkfs.ext4", "-q", *blocks, "-m", "0", "-F", self.image], check=True)
        subprocess.run(["mount", "-o", f"loop,{self.options}", self.image, self.path], check=True)
        return self

    def __exit__(self, *exception):
        subprocess.run(["umount", self.path], check=True)
        os.unlink(self.image)

    def remount(self, options):
        subprocess.run(["mount", "-o", f"remount,{options}", self.path], check=True)

    def free(self):
        space = os.statvfs(self.path)
        return space.f_bavail * space.f_frsize

    def fill(self, leave=0):
        """Somebody else takes the rest of it."""
        path = os.path.join(self.path, "ballast")
        with open(path, "wb", buffering=0) as file:
            block = b"x" * 65536
            try:
                while self.free() > leave:
                    file.write(block)
            except OSError:
                pass
        return path

"""A disk that can lose its power: a file system in an image file, mounted by loop. What the image
holds at a moment is what a power cut at that moment would leave. Needs root and mkfs.ext4.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

_UMOUNT_SECONDS = 30.0


class Disk:
    """A file system of `megabytes` in `folder`, mounted at `place`. Raises `SystemExit` where that
    cannot be done."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
            raise SystemExit("power can be cut only by root, and with mkfs.ext4")
        self._image, self._cut = folder / "disk.img", folder / "cut.img"
        self.place = folder / "disk"
        self.place.mkdir(parents=True)
        _do("truncate", "-s", f"{megabytes}M", self._image)
        _do("mkfs.ext4", "-q", "-F", self._image)
        self.mount()

    def mount(self) -> None:
        _do("mount", "-o", "loop", self._image, self.place)

    def cut(self) -> None:
        """Keep what the disk holds now; everybody at it must be standing still."""
        _do("cp", "--sparse=always", self._image, self._cut)

    def power_up(self) -> None:
        """Nobody is at the disk any more: go on with what it held when it was cut."""
        self.unmount()
        self._cut.replace(self._image)
        self.mount()

    def unmount(self) -> None:
        deadline = time.monotonic() + _UMOUNT_SECONDS
        while subprocess.run(["umount", self.place], check=False, capture_output=True).returncode:
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.place} is in use and cannot be unmounted")
            time.sleep(0.2)


def _do(*words: object) -> None:
    done = subprocess.run(
        [str(word) for word in words], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{words[0]} does not work here: {done.stderr.strip()}")

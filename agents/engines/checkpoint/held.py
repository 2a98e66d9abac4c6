"""Holds a version while it is loaded or served, so that nobody thins it out meanwhile: by a shared
lock on its manifest, which ends with the process at the latest.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the version in `folder`. One without a manifest is nobody's to thin out."""
    try:
        manifest = (folder / "manifest.json").open("rb")
    except OSError:
        yield
        return
    with manifest:
        fcntl.flock(manifest, fcntl.LOCK_SH)
        yield

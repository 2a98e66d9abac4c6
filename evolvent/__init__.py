"""Composition and command line: the only place that knows every part."""

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evolvent.opened.opened import OpenRun


def open_run(path: str | PathLike[str], archive: str | None = None) -> "OpenRun":
    """The run in the folder `path`, to be asked; with `archive`, what was archived there. Raises
    `UsageError`."""
    from pathlib import Path

    from evolvent.opened.opened import OpenRun

    return OpenRun(Path(path), archive)

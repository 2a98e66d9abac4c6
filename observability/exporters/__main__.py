"""One target of curves in a process of its own: steps as JSON lines on standard input, until it
ends. `python -m observability.exporters TARGET FOLDER PROJECT NAME`.
"""

import fcntl
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from observability.exporters.config import Target
from observability.exporters.scalars import Kind, Step


class Writer(Protocol):
    """A program's own files, or its server."""

    def newest(self) -> dict[Kind, int]:
        """The newest version that is there, by kind of step."""
        ...

    def write(self, step: Step) -> None: ...
    def close(self) -> None: ...


def _tensorboard(folder: Path, project: str, name: str) -> Writer:
    from observability.exporters.tensorboard import TensorBoard

    return TensorBoard(folder)


def _trackio(folder: Path, project: str, name: str) -> Writer:
    from observability.exporters.trackio import Trackio

    return Trackio(project, name)


def _wandb(folder: Path, project: str, name: str) -> Writer:
    from observability.exporters.wandb import Wandb

    return Wandb(folder, project, name)


OPENED: dict[Target, Callable[[Path, str, str], Writer]] = {
    "tensorboard": _tensorboard,
    "trackio": _trackio,
    "wandb": _wandb,
}


def follow(writer: Writer, lines: Iterable[str]) -> None:
    """Write every step that is newer than what is there."""
    newest = dict(writer.newest())
    try:
        for line in lines:
            step = Step(**json.loads(line))
            if step.version > newest.get(step.kind, -1):
                writer.write(step)
                newest[step.kind] = step.version
    finally:
        writer.close()


if __name__ == "__main__":
    # tensorboardX would load torch where it is there.
    sys.modules["torch"] = None  # type: ignore[assignment]
    target, folder, project, name = sys.argv[1:]
    with (Path(folder) / f"{target}.lock").open("w") as lock:
        # The one of a start that was killed may still write what it was told.
        fcntl.flock(lock, fcntl.LOCK_EX)
        follow(OPENED[target](Path(folder), project, name), sys.stdin)  # type: ignore[index]

"""TensorBoard's event files, in the folder `tensorboard` of the curves."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorboardX import FileWriter  # type: ignore[import-untyped]
from tensorboardX.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboardX.proto.summary_pb2 import Summary  # type: ignore[import-untyped]

from observability.exporters.scalars import Kind, Step


class TensorBoard:
    def __init__(self, folder: Path) -> None:
        self._folder = folder / "tensorboard"
        self._newest = _newest(self._folder)
        # Files of one second would else have one name.
        self._writer = FileWriter(str(self._folder), filename_suffix=f".{time.time_ns()}")

    def newest(self) -> dict[Kind, int]:
        return self._newest

    def write(self, step: Step) -> None:
        values = [
            Summary.Value(tag=name, simple_value=value) for name, value in step.values.items()
        ]
        event = Event(step=step.version, wall_time=step.at, summary=Summary(value=values))
        self._writer.add_event(event, step.version, step.at)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _newest(folder: Path) -> dict[Kind, int]:
    found: dict[Kind, int] = {}
    for file in sorted(folder.glob("events.out.tfevents.*")):
        for event in _events(file.read_bytes()):
            for value in event.summary.value:
                kind = value.tag.partition("/")[0]
                found[kind] = max(event.step, found.get(kind, -1))
    return found


def _events(data: bytes) -> Iterator[Any]:
    """What a file holds: records of a length, its checksum, an event, its checksum. The last one
    may be cut off."""
    at = 0
    while at + 12 <= len(data):
        [length] = struct.unpack_from("<Q", data, at)
        end = at + 12 + length
        if end + 4 > len(data):
            return
        yield Event.FromString(data[at + 12 : end])
        at = end + 4

"""What an audit without findings leaves for the next one: where each partition was read to, what is
still open, and what is checked across that edge. Its form on disk; knows no log.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bus.cursor import Cursor
from bus.groups import name_of, stream_of
from observability.audit.facts import sealed
from observability.audit.facts.epochs import Run
from observability.audit.reading import Stream

FORMAT = 1

Spans = list[tuple[int, int]]
"""Numbers as runs [start, end)."""


class RefusedSnapshot(ValueError):
    """It is damaged, of another run, or ahead of the log: one sentence."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Edge(_Part):
    """Of one partition: records below `end` were read, the last one with this id and sha256;
    `digest` is over all of them. `in_one_piece` where it shows no order among commits."""

    end: int
    last_id: str
    last_sha256: str
    digest: str
    in_one_piece: bool


class Open(_Part):
    """A record that has no outcome yet; `id` is "" where it has no readable one."""

    offset: int
    id: str
    seconds: int
    commit: int
    version: int


class Done(_Part):
    base: int
    runs: Spans

    def cursor(self) -> Cursor:
        return Cursor(self.base, tuple((low, high) for low, high in self.runs))


class Chain(_Part):
    """The newest version as its event says it, the epochs of all, and which moved which policy."""

    head: str | None
    consumed: int
    epochs: list[Run]
    others: list[tuple[int, int]] = []
    heads: dict[str, tuple[int, int, int]] = {}


class Said(_Part):
    """Of what answers versions: `once` by topic or decision, and agent; of those from the first
    open one on, what was `granted` (topic, version, number) and said as `states`; `state` is the
    last before them."""

    once: dict[str, dict[str, Done]]
    granted: list[tuple[str, int, int]]
    states: list[tuple[int, int, int]]
    state: tuple[int, int]


class Snapshot(_Part):
    """Of the run that its events call `run`. Streams are called "topic/partition"."""

    format: int = FORMAT
    run: str | None
    edges: dict[str, Edge]
    open: dict[str, list[Open]]
    done: dict[str, dict[str, Done]]
    chain: Chain
    said: Said
    starts: list[tuple[int, dict[str, Any]]]
    asked: list[tuple[int, int]]
    counts: dict[str, int]

    def edge(self, stream: Stream) -> Edge | None:
        return self.edges.get(name_of(stream))

    @property
    def num_events(self) -> int:
        """How many were read before it."""
        return sum(edge.end for edge in self.edges.values())

    def cursors(self) -> Mapping[str, Mapping[Stream, Cursor]]:
        return {
            group: {stream_of(name): done.cursor() for name, done in found.items()}
            for group, found in self.done.items()
        }


def write(snapshot: Snapshot, file: Path) -> None:
    """Whole or not at all. Raises `OSError`."""
    sealed.write(snapshot.model_dump_json(), file)


def read(file: Path) -> Snapshot:
    """Raises `RefusedSnapshot`."""
    try:
        body = sealed.read(file)
        form = json.loads(body)["format"]
    except OSError as error:
        raise RefusedSnapshot(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise RefusedSnapshot(f"{file} is no snapshot of an audit, or damaged") from None
    if form != FORMAT:
        raise RefusedSnapshot(
            f"{file} is of another version of evolvent (format {form}): audit the whole run"
        )
    try:
        return Snapshot.model_validate_json(body)
    except ValidationError:
        raise RefusedSnapshot(f"{file} is no snapshot of an audit, or damaged") from None

"""The edge of a snapshot: taken while a log is read, and compared with a log before it is read on.
Knows no event.
"""

import hashlib
import json
import zlib
from pathlib import Path

from bus.cursor import Cursor
from bus.errors import BusError
from bus.groups import stream_of
from bus.log import Log
from bus.records import Record
from observability.audit.answers import Cursors
from observability.audit.facts.snapshot import Edge, RefusedSnapshot, Snapshot
from observability.audit.findings import Findings
from observability.audit.reading import Stream


class Reading:
    """The running digest of one partition, from where `before` ended."""

    def __init__(self, before: Edge | None) -> None:
        self._digest = hashlib.sha256(b"" if before is None else before.digest.encode())
        self._before = before
        self._last: Record | None = None

    def take(self, record: Record) -> None:
        check = zlib.crc32(record.value, zlib.crc32(record.key.encode()))
        self._digest.update(f"{record.offset} {record.event_id} {check}\n".encode())
        self._last = record

    def edge(self, end: int, *, in_one_piece: bool) -> Edge:
        before, last = self._before, self._last
        last_id = "" if before is None else before.last_id
        last_sha256 = "" if before is None else before.last_sha256
        if last is not None:
            last_id, last_sha256 = last.event_id, sha256_of(last)
        digest = self._digest.hexdigest()
        if last is None and before is not None:
            digest = before.digest
        return Edge(
            end=end,
            last_id=last_id,
            last_sha256=last_sha256,
            digest=digest,
            in_one_piece=in_one_piece,
        )


def sha256_of(record: Record) -> str:
    """Of everything that the log says of a record."""
    headers = json.dumps(record.headers, sort_keys=True)
    digest = hashlib.sha256(f"{record.offset}\n{record.key}\n{headers}\n".encode())
    digest.update(record.value)
    return digest.hexdigest()


def verify(snapshot: Snapshot, file: Path, log: Log, run: str | None) -> None:
    """Whether a log goes on from `snapshot`, by the last record of each partition. Raises
    `RefusedSnapshot`, and `BusError` where the log cannot be read at all."""
    if snapshot.run != run:
        raise RefusedSnapshot(f"{file} is of run {snapshot.run}, this is run {run}")
    heads = log.heads()
    for name, edge in snapshot.edges.items():
        stream = stream_of(name)
        if stream not in heads:
            raise RefusedSnapshot(f"{file} is of another log: this one has no {name}")
        if heads[stream] < edge.end:
            raise RefusedSnapshot(
                f"{file} is ahead of the log: it has read {name} up to {edge.end}, the log ends "
                f"at {heads[stream]}; audit the whole run"
            )
        if edge.end:
            _verify_last(edge, name, stream, file, log)


def check_not_back(snapshot: Snapshot, cursors: Cursors, findings: Findings) -> None:
    """What a group had done then is done now."""
    for group, streams in snapshot.cursors().items():
        for (topic, partition), then in streams.items():
            now = cursors.get(group, {}).get((topic, partition))
            if now is None:
                continue
            reached = now.first_open(0)
            lost = reached if then.is_done(reached) else _first_lost(then, now)
            if lost is not None:
                findings.violate(
                    "I5",
                    f"the cursor of group {group} went back: {topic}/{partition}/{lost} was done "
                    "when the snapshot was left, and is not any more",
                )


def _first_lost(then: Cursor, now: Cursor) -> int | None:
    for low, high in then.runs:
        reached = now.first_open(low)
        if reached < high:
            return reached
    return None


def _verify_last(edge: Edge, name: str, stream: Stream, file: Path, log: Log) -> None:
    try:
        found = list(log.read(*stream, edge.end - 1, edge.end))
    except BusError:
        found = []
    if not found or (found[0].event_id, sha256_of(found[0])) != (edge.last_id, edge.last_sha256):
        raise RefusedSnapshot(
            f"{file} is of another log: {name}/{edge.end - 1} is not the record that it has read "
            "there; audit the whole run"
        )

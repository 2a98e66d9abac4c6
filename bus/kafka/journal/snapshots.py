"""Snapshots of the fold: what a log is at a place of its journal, so that opening it reads on from
there. They lie in a compacted topic, which may be emptied: then the journal is read from its start.

    mark on the journal: (at, digest)  ->  snapshot: (at, where the mark lies, state)

A snapshot counts when the journal itself, at the place that it names, has its mark with its digest.
So a crash between the two leaves nothing that counts, and one that was changed is passed over.
"""

import json
import logging
import zlib
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from bus.cursor import Cursor
from bus.groups import Group, Holding, Member, Stream
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.topics import JOURNAL, SNAPSHOTS
from bus.kafka.journal.entry import Entry
from bus.kafka.journal.state import Index, Recent, State
from bus.topics import Topic

EVERY_BYTES = 4 * 1024 * 1024
"""Of the journal: read in some tenths of a second, whatever the size of its entries."""

KEPT = 3
"""Snapshots that compaction leaves."""

_FORMAT = 2
_READ_MILLISECONDS = 5_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A state, written out."""

    at: int
    slot: int
    """Of the newest `KEPT`, which one it takes the place of."""
    packed: bytes

    @property
    def digest(self) -> str:
        return sha256(self.packed).hexdigest()


def taken(state: State) -> Snapshot:
    """The state as it is now; under its lock."""
    said = json.dumps(_written(state), separators=(",", ":")).encode()
    slot = state.num_bytes // EVERY_BYTES % KEPT
    return Snapshot(at=state.position, slot=slot, packed=zlib.compress(said, 1))


async def write(
    cluster: Cluster, producer: AIOKafkaProducer, snapshot: Snapshot, mark: int
) -> None:
    """Its mark lies at `mark` already."""
    body = {"format": _FORMAT, "at": snapshot.at, "mark": mark}
    said = json.dumps(body | {"state": b64encode(snapshot.packed).decode()}).encode()
    key = str(snapshot.slot).encode()
    await producer.send_and_wait(cluster.topic(SNAPSHOTS), said, key=key, partition=0)


async def newest(cluster: Cluster, topics: Mapping[str, Topic]) -> State | None:
    """The state of the newest snapshot that counts; raises `BusError` or `KafkaError`."""
    consumer = cluster.consumer(max_wait_seconds=0.05)
    await cluster.start(consumer)
    try:
        await cluster.look(consumer, [SNAPSHOTS, JOURNAL])
        return await _newest(cluster, consumer, topics)
    finally:
        await cluster.stop(consumer)


async def _newest(
    cluster: Cluster, consumer: AIOKafkaConsumer, topics: Mapping[str, Topic]
) -> State | None:
    """Read from the end, a few at a time: what compaction has not come to yet is not looked at."""
    place = TopicPartition(cluster.topic(SNAPSHOTS), 0)
    first, end = await _ends(consumer, place)
    while first < end:
        start = max(first, end - KEPT)
        found = [_decoded(value) for value in await _read(consumer, place, start, end)]
        for mark, snapshot in sorted(
            filter(None, found), key=lambda one: (one[1].at, one[0]), reverse=True
        ):
            if not await _is_marked(cluster, consumer, snapshot, mark):
                _log.warning("A snapshot of %s at %d is passed over", cluster.app, snapshot.at)
                continue
            state = State(topics)
            try:
                _load(state, json.loads(zlib.decompress(snapshot.packed)))
            except (ValueError, KeyError, TypeError, zlib.error):
                continue
            return state
        end = start
    return None


def _decoded(value: bytes) -> tuple[int, Snapshot] | None:
    """Where its mark lies, and a snapshot of this format."""
    try:
        said = json.loads(value)
        if said["format"] != _FORMAT:
            return None
        packed = b64decode(said["state"], validate=True)
        return int(said["mark"]), Snapshot(at=int(said["at"]), slot=0, packed=packed)
    except (ValueError, KeyError, TypeError):
        return None


async def _is_marked(
    cluster: Cluster, consumer: AIOKafkaConsumer, snapshot: Snapshot, mark: int
) -> bool:
    place = TopicPartition(cluster.topic(JOURNAL), 0)
    _, end = await _ends(consumer, place)
    for value in await _read(consumer, place, mark, min(mark + 1, end)):
        try:
            entry = Entry.decode(value)
        except ValueError:
            return False
        told = (entry.kind, entry.at, entry.digest)
        return told == ("snapshot", snapshot.at, snapshot.digest) and mark >= snapshot.at
    return False


async def _ends(consumer: AIOKafkaConsumer, place: TopicPartition) -> tuple[int, int]:
    first = await consumer.beginning_offsets([place])
    end = await consumer.end_offsets([place])
    return first[place], end[place]


async def _read(
    consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int
) -> list[bytes]:
    """The values from `start` on, `end` not included, which the partition has reached."""
    values: list[bytes] = []
    consumer.assign([place])
    consumer.seek(place, start)
    while await consumer.position(place) < end:
        pages = await consumer.getmany(
            place, timeout_ms=_READ_MILLISECONDS, max_records=end - start
        )
        values += [one.value or b"" for one in pages.get(place, ()) if one.offset < end]
    return values


def _written(state: State) -> dict[str, Any]:
    return {
        "position": state.position,
        "chain": state.chain.hex(),
        "entries": state.num_entries,
        "bytes": state.num_bytes,
        "streams": [
            [*at, head, state.ends[at], list(one.offsets), list(one.positions)]
            for at, head in state.heads.items()
            for one in (state.index[at],)
        ],
        "starts": [[*at, first] for at, first in state.starts.items()],
        "floors": [[*at, raw] for at, raw in state.floors.items()],
        "groups": {name: _written_group(group) for name, group in state.groups.items()},
        "topics": state.topic_ids,
        "foreign": [[*at, known.runs] for at, known in state.foreign.items()],
        "passed": [
            [position, None if some is None else sorted([*at, raw] for at, raw in some)]
            for position, some in state.passed.items()
        ],
        "strangers": [state.num_strangers, state.strangers],
        "roots": list(state.roots.order),
        "answers": list(state.answers.order),
        "written": list(state.written.items()),
    }


def _written_group(group: Group) -> dict[str, Any]:
    return {
        "members": [
            [one.name, one.instance, sorted(one.topics), one.exclusive]
            for one in group.members.values()
        ],
        "holdings": [
            [*at, held.cursor.base, held.cursor.runs, held.epoch, held.owner, held.due]
            for at, held in group.holdings.items()
        ],
    }


def _load(state: State, said: dict[str, Any]) -> None:
    state.position = said["position"]
    state.num_entries, state.num_bytes = said["entries"], said["bytes"]
    state.chain = bytes.fromhex(said["chain"])
    for topic, part, head, end, offsets, positions in said["streams"]:
        at: Stream = (topic, part)
        state.heads[at], state.ends[at] = head, end
        state.index[at] = Index(offsets, positions)
    state.starts = {(topic, part): first for topic, part, first in said.get("starts", ())}
    state.floors = {(topic, part): raw for topic, part, raw in said.get("floors", ())}
    state.groups = {name: _loaded_group(group) for name, group in said["groups"].items()}
    state.topic_ids = said["topics"]
    state.foreign = {
        (topic, part): Cursor(-1, _runs(runs)) for topic, part, runs in said["foreign"]
    }
    state.passed = {
        position: None
        if some is None
        else frozenset(((topic, part), raw) for topic, part, raw in some)
        for position, some in said["passed"]
    }
    state.num_strangers, state.strangers = said["strangers"]
    state.roots, state.answers = Recent(said["roots"]), Recent(said["answers"])
    state.written = OrderedDict((writer, seq) for writer, seq in said["written"])


def _loaded_group(said: dict[str, Any]) -> Group:
    return Group(
        holdings={
            (topic, part): Holding(Cursor(base, _runs(runs)), epoch, owner, due)
            for topic, part, base, runs, epoch, owner, due in said["holdings"]
        },
        members={
            name: Member(
                name=name, instance=instance, topics=frozenset(topics), exclusive=exclusive
            )
            for name, instance, topics, exclusive in said["members"]
        },
    )


def _runs(said: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((start, end) for start, end in said)

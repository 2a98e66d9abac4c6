"""Where no commit is split and everything has its cause, a position is a moment of its log."""

import asyncio
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from bus.groups import Stream
from bus.log import Log
from bus.memory.bus import MemoryBus
from bus.records import Record
from bus.sqlite.bus import SqliteBus
from observability.replay.position import UnknownPosition, Vector, answer_of, position
from observability.replay.whole import check_whole
from tests.observability.archive.archiving import log_of
from tests.observability.replay.told import told

ORDERS = "control/0=1,weights/0=1,curricula/0=1,tasks/0=1,attempts/0=3"
VERSION = "12"
"""Of the example: far from its beginning and from its end."""


class Counted(SqliteBus):
    num_read = 0

    def read(
        self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
    ) -> Iterator[Record]:
        for record in super().read(topic, partition, start, end):
            self.num_read += 1
            yield record


@pytest.fixture(scope="module")
def bus(example: Path) -> Iterator[Counted]:
    bus = Counted(example / "log.sqlite", read_only=True)
    yield bus
    asyncio.run(bus.close())


def moved(vector: Vector, stream: Stream, by: int) -> Vector:
    return {**vector, stream: vector[stream] + by}


def refused(log: Log, vector: Vector) -> str:
    with pytest.raises(UnknownPosition) as found:
        check_whole(log, vector)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_after_every_commit_of_the_example_there_is_a_moment(bus: Counted) -> None:
    heads = bus.heads()
    order = sorted(
        (commit, stream, answer_of(record))
        for stream, end in heads.items()
        for commit, record in zip(bus.commits(*stream, 0, end), bus.read(*stream), strict=True)
    )
    vector, num_split = dict.fromkeys(heads, 0), 0
    for number, ((_, stream, answer), (_, _, following)) in enumerate(pairwise(order)):
        vector[stream] += 1
        if number % 37:
            continue
        if answer[0] is None or answer != following:
            check_whole(bus, vector)
        else:
            num_split += 1
            assert "which was committed with it" in refused(bus, vector)
    assert num_split


def test_a_position_that_splits_a_commit_names_a_record_of_it(bus: Counted) -> None:
    vector = position(bus, VERSION)
    check_whole(bus, vector)
    curriculum = vector["curricula", 0]
    said = refused(bus, moved(vector, ("tasks", 0), 2))
    assert "there is tasks/0/" in said and ", but not " in said and "name a version" in said
    said = refused(bus, moved(vector, ("curricula", 0), 1))
    assert f"there is curricula/0/{curriculum}, but not tasks/" in said
    instead = said.partition("name a version, or ")[2].split()[0]
    check_whole(bus, position(bus, instead))


def test_every_answer_has_its_cause_wherever_in_its_partition_it_is(bus: Counted) -> None:
    early = refused(bus, position(bus, ORDERS))
    assert re.search(r"there is attempts/0/\d, the answer to what is not there", early)
    vector = position(bus, VERSION)
    untaught = refused(bus, moved(vector, ("judgments", 0), -40))
    assert re.search(r"there is weights/0/\d+, the answer to what is not there", untaught)


def test_few_records_are_read(bus: Counted) -> None:
    vector = position(bus, VERSION)
    bus.num_read = 0
    check_whole(bus, vector)
    assert bus.num_read <= 4 * len(vector)


def test_a_log_whose_records_have_numbers_of_their_own() -> None:
    bus, events = MemoryBus(), told(4)
    ends = []
    for event in events:
        asyncio.run(bus.publish([event]))
        ends.append(bus.heads())
    for number, event in enumerate(events[:-1]):
        after = events[number + 1]
        split = event.answers is not None
        if split and (event.answers, event.agent) == (after.answers, after.agent):
            assert "which was committed with it" in refused(bus, ends[number])
        else:
            check_whole(bus, ends[number])


def test_without_an_order_causes_are_looked_for(bus: Counted, tmp_path: Path) -> None:
    vector = position(bus, VERSION)
    with log_of(tmp_path / "copy.sqlite") as copy:
        for stream in sorted(bus.heads()):
            asyncio.run(copy.append(list(bus.read(*stream))))
        check_whole(copy, vector)
        assert "observe` has shown" in refused(copy, position(copy, ORDERS))

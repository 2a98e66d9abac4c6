"""A moment of a log as a person says it is the same position on every log, and that moment's."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bus.events import Event, Weights
from bus.log import Log
from bus.memory.bus import MemoryBus
from bus.records import Record
from bus.sqlite.bus import SqliteBus
from observability.replay.position import UnknownPosition, Vector, named, position, text_of
from tests.observability.archive.archiving import EVENTS, archived, log_of, read
from tests.observability.story import BEGIN


@pytest.fixture(scope="module")
def bus(example: Path) -> Iterator[SqliteBus]:
    bus = SqliteBus(example / "log.sqlite", read_only=True)
    yield bus
    asyncio.run(bus.close())


@pytest.fixture(scope="module", params=["memory", "sqlite", "archive"])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """A story of 41 versions, each event in a commit of its own."""
    folder = tmp_path_factory.mktemp("logs")
    if request.param == "memory":
        bus = MemoryBus()
        for event in EVENTS:
            asyncio.run(bus.publish([event]))
        yield bus
        return
    with log_of(folder / "log.sqlite", EVENTS) as sqlite:
        if request.param == "sqlite":
            yield sqlite
        else:
            archived(sqlite, folder / "archive")
            yield read(folder / "archive")


def ids(log: Log, vector: Vector) -> list[str]:
    return sorted(
        one.event_id for stream, end in vector.items() for one in log.read(*stream, 0, end)
    )


def answer(event: Event) -> tuple[str | None, str]:
    """What is said in one commit has this in common."""
    return event.answers, event.agent


def test_a_version_and_an_event_mean_all_that_was_committed_up_to_it(log: Log) -> None:
    for number, event in enumerate(EVENTS):
        if number % 97 and not (isinstance(event, Weights) and event.number in (0, 1, 20, 40)):
            continue
        end = number + 1
        while end < len(EVENTS) and answer(event) == answer(EVENTS[end]) != (None, event.agent):
            end += 1
        before = sorted(one.id for one in EVENTS[:end])
        assert ids(log, position(log, event.id)) == before
        if isinstance(event, Weights):
            assert position(log, str(event.number)) == position(log, event.id)


def test_a_time_means_the_last_commit_that_is_dated_up_to_then(log: Log) -> None:
    for event in EVENTS[::131]:
        dated = [n for n, one in enumerate(EVENTS) if one.created_at <= event.created_at]
        found = position(log, event.created_at.isoformat())
        assert ids(log, found) == sorted(one.id for one in EVENTS[: max(dated) + 1])
    assert position(log, (BEGIN + timedelta(days=9)).isoformat()) == position(log, "end")
    assert not any(position(log, (BEGIN - timedelta(days=9)).isoformat()).values())
    assert position(log, "2026-03-01T12:00") == position(log, "2026-03-01T13:00+01:00")


def test_a_position_is_said_in_words_and_in_json(log: Log, tmp_path: Path) -> None:
    vector = position(log, "7")
    assert set(vector) == set(log.heads())
    assert position(log, text_of(vector)) == vector
    assert position(log, json.dumps(named(vector))) == vector
    file = tmp_path / "vector.json"
    file.write_text(json.dumps({"position": named(vector), "digest": "…"}))
    assert position(log, f"@{file}") == vector
    assert position(log, "weights/0=3")["tasks", 0] == 0


def test_what_is_no_position_is_one_sentence(log: Log, tmp_path: Path) -> None:
    end = log.heads()["tasks", 0]
    for said, why in {
        "41": "no such version on the log: the newest is 40",
        "f" * 32: "no such event",
        "yesterday": "name a version",
        f"tasks/0={end + 1}": f"tasks/0 ends at {end}, before {end + 1}",
        "tasks/0=-1": "cannot end at -1",
        "tasks/0=many": "as in tasks/0=12",
        "riddles/0=1": "there is no partition riddles/0",
        "tasks=1": "there is no partition tasks",
        "tasks/00=1": "there is no partition tasks/00",
        "tasks/0=1,tasks/0=2": "tasks/0 is named twice",
        '{"tasks/0": 1, "tasks/0": 2}': "tasks/0 is named twice",
        "tasks/0=1_0": "as in tasks/0=12",
        "tasks/0=+1": "as in tasks/0=12",
        '{"tasks/0": 1.5}': "cannot end at 1.5",
        '{"tasks/0": ': "as in tasks/0=12",
        f"@{tmp_path / 'none'}": "No such file",
    }.items():
        with pytest.raises(UnknownPosition, match=why) as found:
            position(log, said)
        assert "\n" not in str(found.value)


def test_at_every_version_the_example_has_what_that_version_rests_on(bus: SqliteBus) -> None:
    heads, before = bus.heads(), dict.fromkeys(bus.heads(), 0)
    for record in bus.read("weights"):
        version = record.event()
        assert isinstance(version, Weights)
        vector = position(bus, str(version.number))
        assert vector["weights", 0] == record.offset + 1
        for name, ranges in version.positions.items():
            topic, _, part = name.rpartition("/")
            assert ranges[-1][1] <= vector[topic, int(part)] <= heads[topic, int(part)]
        assert all(vector[stream] >= end for stream, end in before.items())
        before = vector


def test_few_records_are_read(tmp_path: Path) -> None:
    class Counted(SqliteBus):
        num_read = 0

        def read(
            self, topic: str, partition: int = 0, start: int = 0, end: int | None = None
        ) -> Iterator[Record]:
            for record in super().read(topic, partition, start, end):
                self.num_read += topic != "weights"
                yield record

    with log_of(tmp_path / "log.sqlite", EVENTS):
        pass
    bus = Counted(tmp_path / "log.sqlite", read_only=True)
    position(bus, "20")
    position(bus, (BEGIN + timedelta(minutes=20)).isoformat())
    asyncio.run(bus.close())
    assert bus.num_read < len(EVENTS) / 4


def test_a_log_without_its_order_says_so(bus: SqliteBus, tmp_path: Path) -> None:
    with log_of(tmp_path / "copy.sqlite") as copy:
        for stream in bus.heads():
            asyncio.run(copy.append(list(bus.read(*stream))))
        with pytest.raises(UnknownPosition, match="has lost in which order"):
            position(copy, "3")
        assert position(copy, "end") == copy.heads()

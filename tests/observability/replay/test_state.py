"""One log has one state, however it is read; what is open is what the log leaves unanswered."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.cursor import Cursor
from bus.errors import BusError
from bus.events import Weights, derive_id
from bus.memory.bus import MemoryBus
from bus.records import Record
from observability.replay.shown import as_json, as_text
from observability.replay.state import State
from tests.observability.replay.told import (
    OPEN,
    filled,
    folded,
    in_memory,
    interleaved,
    streams,
    told,
)
from tests.observability.story import RUN, Story

TOLD = in_memory()
WHOLE = folded(record for records in TOLD.values() for record in records)
seeds = st.integers(0, 10**6)


def again(state: State) -> State:
    """From the text that a snapshot holds."""
    return State.of(json.loads(json.dumps(state.form())))


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_the_order_of_partitions_changes_nothing(seed: int) -> None:
    state = folded(interleaved(TOLD, Random(seed)))
    assert state.digest == WHOLE.digest
    assert as_json(state) == as_json(WHOLE) and as_text(state) == as_text(WHOLE)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0, 1))
def test_a_prefix_and_then_the_rest_is_the_whole(seed: int, share: float) -> None:
    records = interleaved(TOLD, Random(seed))
    cut = int(share * len(records))
    before = folded(records[:cut])
    kept = again(before)
    assert kept.form() == before.form() and kept.digest == before.digest
    assert as_json(kept) == as_json(before)
    assert folded(records[cut:], kept).digest == WHOLE.digest


def test_the_digest_of_this_log_is_the_same_on_every_machine() -> None:
    """Another one needs another `FORMAT`: snapshots of this one cannot be read on."""
    assert WHOLE.digest == "2bab6d2cf819d1b875e16f98ce3da2b62d223272d7a6cd9be6b96f1d96126ceb"


def test_every_event_before_the_position_counts() -> None:
    digests = {WHOLE.digest}
    for stream, records in TOLD.items():
        rest = [record for at, of in TOLD.items() if at != stream for record in of]
        digests.add(folded([*rest, *records[:-1]]).digest)
    assert len(digests) == 1 + len(TOLD)


def test_what_is_open_is_what_nobody_has_answered() -> None:
    waiting = WHOLE.waiting
    assert {topic: len(rows) for topic, rows in waiting.open("solver").items()} == {"tasks": OPEN}
    assert {topic: len(rows) for topic, rows in waiting.open("critic").items()} == {
        "attempts": OPEN
    }
    said = as_json(WHOLE)
    assert said["queued"] == len(said["open"]["trainer"]["judgments"])
    assert said["open"]["proposer"] == {}
    [*_, newest] = TOLD["weights", 0]
    consumed = 0
    for record in TOLD["weights", 0]:
        event = record.event()
        assert isinstance(event, Weights)
        consumed += sum(end - start for of in event.positions.values() for start, end in of)
    judgments = sum(len(records) for (topic, _), records in TOLD.items() if topic == "judgments")
    assert said["queued"] == judgments - consumed > 0
    for topic, partition, offset, event_id in (
        (topic, *row) for of in said["open"].values() for topic, rows in of.items() for row in rows
    ):
        assert TOLD[topic, partition][offset].event_id == event_id
    assert said["version"] == newest.event().model_dump()["number"]
    assert said["served"] == {"current": 15, "proposer": 14}


def test_nothing_is_remembered_of_what_is_done() -> None:
    state = folded(interleaved(TOLD, Random(0)))
    form = state.waiting.form()
    assert sum(map(len, form["asked"].values())) == 2 * OPEN
    assert state.waiting.num_early == 0
    assert sum(map(len, form["unlearned"].values())) == len(
        [row for rows in state.waiting.open("trainer").values() for row in rows]
    )
    answers_first = sorted(TOLD, key=lambda stream: stream[0] != "judgments")
    early = folded(record for at in answers_first[:4] for record in TOLD[at])
    assert early.waiting.num_early == sum(len(TOLD[at]) for at in answers_first[:4])


def test_a_cursor_is_all_but_what_is_open() -> None:
    for topic, role in (("tasks", "solver"), ("attempts", "critic"), ("judgments", "trainer")):
        cursors = WHOLE.waiting.cursors(role, WHOLE.ends)
        rows = {(one.partition, one.offset) for one in WHOLE.waiting.open(role)[topic]}
        for partition in range(4):
            end = WHOLE.ends[topic, partition]
            done = [offset for offset in range(end) if (partition, offset) not in rows]
            assert cursors[topic, partition] == Cursor().advance(done)


def test_a_gap_is_one_sentence() -> None:
    records = TOLD["weights", 0]
    with pytest.raises(BusError, match="gap at weights/0/1: the next record is at 2"):
        folded([records[0], records[2]])


def test_an_event_of_another_topic_is_not_read() -> None:
    [record, *_] = TOLD["weights", 0]
    astray = Record(
        topic="curricula",
        partition=0,
        offset=0,
        key=record.key,
        headers=record.headers,
        value=record.value,
    )
    known = folded([astray]).known
    assert known.newest is None and known.num_unreadable == 1


def test_positions_of_any_size_cost_nothing() -> None:
    story = Story(versions=1)
    first, second = (story.weights(number, Random(number)) for number in (0, 1))
    ranges = {
        "judgments/0": ((-3, 10**30), (5, 2)),
        "tasks/0": ((0, 9),),
        "judgments/x": ((0, 1),),
    }
    far = second.model_copy(update={"positions": ranges, "id": derive_id(RUN, "x", "")})
    log = streams(filled(MemoryBus(), [first, *told(4), far]).log)
    state = folded(record for records in log.values() for record in records)
    assert {one.partition for one in state.waiting.open("trainer")["judgments"]} <= {1, 2, 3}
    assert again(state).digest == state.digest
